"""Amounts, days and balances between the texts of these banks and the records of `formats.report`. Exact, unrounded."""

import re
from collections.abc import Collection, Iterable
from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Final

from formats.errors import Unparsable
from formats.model import PaymentInitiation
from formats.report import Balance

CURRENCY: Final = "CNY"
CHINA: Final = timezone(timedelta(hours=8), "UTC+8")
"""China Standard Time; there has been no summer time since 1991 (IANA tz database, Asia/Shanghai)."""
_AMOUNT: Final = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d{1,18})(\.\d{1,6})?", re.ASCII)
_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?!\d)", re.ASCII)


def yuan(amount: Decimal) -> str:
    """Yuan with two decimals: "100.00". The amount has at most two (rule amount.scale)."""
    return f"{amount:.2f}"


def day_of(message: PaymentInitiation) -> date:
    """The day in China on which a message was made."""
    return message.creation_date_time.astimezone(CHINA).date()


def unsigned(text: str) -> tuple[str, bool]:
    """An amount without its sign and its thousands' commas, and whether it was negative. Raises `Unparsable`."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Unparsable("an amount that is no decimal number")
    return found[2].replace(",", "") + (found[3] or ""), found[1] == "-"


def says_returned(side: str | None, texts: Iterable[str | None], words: Collection[str]) -> str | None:
    """The first text of a credit's line that begins with one of the words for money that came back ("退票"); None: none does."""
    if side != "CRDT":
        return None
    return next((text for text in texts if text and text.strip().startswith(tuple(words))), None)


def balance(kind: str, text: str, on: str | None) -> tuple[Balance, ...]:
    """A balance of an ISO type ("ITBD"), negative ones as debit; none where the text is empty. Raises `Unparsable`."""
    if not text.strip():
        return ()
    amount, negative = unsigned(text)
    return (Balance(type=kind, amount=amount, currency=CURRENCY, credit_debit="DBIT" if negative else "CRDT", date=on),)


def iso_day(text: str) -> str | None:
    """ "2026-01-05" of a text that begins with that day, with or without its dashes; None of any other, and of no day at all."""
    found = _DAY.match(text.strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat() if found else None
    except ValueError:
        return None


def moved(side: str | None, *, negative: bool) -> str | None:
    """The side of a line as the money moved: a negative debit brings money back, as a reversal of a debit does in a camt."""
    return {"DBIT": "CRDT", "CRDT": "DBIT"}.get(side or "") if negative else side
