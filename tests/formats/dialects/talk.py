"""How the tests of dialects talk with a plugin: what was asked, when, and the bytes of a message."""

import io
from datetime import date, datetime, timedelta, timezone
from typing import Any

from formats.dialects.dialect import Dialect
from formats.dialogue import Asked, Asking, Heard, HeldAccount, Sought, StatementInquiry, StatusInquiry, Wrapping
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentTerms
from formats.report import ReportRecord, TransactionStatus
from tests.formats.dialects.payments import message_of

AT = datetime(2026, 1, 5, 9, 30, 1, tzinfo=timezone(timedelta(hours=8)))
DAY = date(2026, 1, 5)
FRESH = "26010509300112345678"
WRAPPING = Wrapping(at=AT, fresh=FRESH, token="TOKEN", secrets={"password": "******"})


def asked(kind: Asking, *serials: str, account: str = "1", page: str | None = None) -> Asked:
    return Asked(
        kind=kind, function=kind.value, account=account, currency="CNY", since=DAY, until=DAY, page=page, serials=serials, at=AT
    )


def content_of(bank: Dialect[Any], terms: PaymentTerms, *transfers: CreditTransfer) -> bytes:
    out = io.BytesIO()
    bank.render(message_of(f"{bank.name}.transfer", *transfers, terms=terms), out)
    return out.getvalue()


def wrapped(bank: Dialect[Any], content: bytes, kind: Asking = Asking.PAYMENT) -> bytes:
    return bank.wrap(content, asked(kind), WRAPPING).body


def heard(bank: Dialect[Any], reply: bytes, question: Asked | None) -> Heard:
    return bank.hear(Exchange(reply=reply, asked=question))


def records(bank: Dialect[Any], reply: bytes, question: Asked | None) -> list[ReportRecord]:
    return list(bank.records(Exchange(reply=reply, asked=question)))


def statuses(bank: Dialect[Any], reply: bytes, question: Asked | None) -> list[tuple[str | None, str | None, str | None]]:
    """Serial number, status word and reason code of each status record."""
    found = [one for one in records(bank, reply, question) if isinstance(one, TransactionStatus)]
    return [(one.serial_number, one.status, one.reasons[0].code) for one in found]


def status_question(account: str, *serials: str, bank_reference: str | None = None) -> StatusInquiry:
    held = HeldAccount(number=account)
    sought = (Sought(serial=serial, package=None, account=held, sent_on=DAY, bank_reference=bank_reference) for serial in serials)
    return StatusInquiry(sought=tuple(sought), on=DAY)


def statement_question(account: str, page: str | None = None, *, day: date = DAY) -> StatementInquiry:
    return StatementInquiry(account=HeldAccount(number=account), since=day, until=day, page=page, today=DAY)
