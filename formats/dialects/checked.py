"""The payments of a request to a Chinese bank, looked at once more before they are written; and what several rows of a reply say
of one payment."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta, timezone
from typing import Any, Final

from formats.dialects.dialect import Dialect
from formats.dialects.tables import PENDING
from formats.errors import Unrenderable, refusing
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import TransactionStatus

CHINA: Final = timezone(timedelta(hours=8), "UTC+8")
"""China Standard Time; there has been no summer time since 1991 (IANA tz database, Asia/Shanghai)."""


def must_pass(bank: Dialect[Any], payments: Iterable[tuple[PaymentTerms, CreditTransfer]]) -> None:
    """Raises `Unrenderable` where a payment breaks a rule of the bank whatever the day of sending: nothing is cut or left out."""
    broken = refusing(
        violation for terms, transfer in payments for violation in bank.check(terms, transfer, terms.requested_execution_date)
    )
    if broken:
        raise Unrenderable(broken)


def day_of(message: PaymentInitiation) -> date:
    """The day in China on which a message was made."""
    return message.creation_date_time.astimezone(CHINA).date()


def agreed(statuses: Iterable[TransactionStatus]) -> tuple[TransactionStatus, ...]:
    """One status for each serial number, in order. Rows of one payment that say different things prove nothing: pending, with the
    reasons of all."""
    found: dict[str | None, TransactionStatus] = {}
    for one in statuses:
        other = found.get(one.serial_number)
        if other is None or other == one:
            found[one.serial_number] = one
        else:
            status = one.status if one.status == other.status else PENDING
            found[one.serial_number] = replace(other, status=status, reasons=(*other.reasons, *one.reasons))
    return tuple(found.values())
