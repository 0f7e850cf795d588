"""Sums of judged payments by hour and by day of UTC, so that what a month has come to is not counted anew for every payment.

A row of `review_totals` is of one span (3600 or 86400 seconds, beginning at a multiple of it), connection, caller, account that
pays and currency, and only grows: with each first judgement, in its transaction. A payment that is rejected or cancelled is
marked in its review (`counted`, by a trigger, in whatever transaction moves it) and taken off when a sum is asked for. A sum is
made of whole days, whole hours around them, and single reviews in what is left of an hour at either end.

Amounts are three integers, as SQLite would sum decimals as floating point: thousand millions, units below these, and hundred
thousandths, each of which stays within 64 bits.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from gateway.lifecycle import PaymentState
from gateway.policy.known import UsageKey, Used
from gateway.store.reviews import Facts

HOUR, DAY = 3600, 86_400  # seconds
WHOLE: Final = 1_000_000_000
PARTS: Final = 100_000
KEYS: Final = ("connection_id", "caller", "debtor_account", "currency")
NOT_COUNTED: Final = frozenset({PaymentState.REJECTED, PaymentState.CANCELLED})

TotalKey = tuple[int, datetime, str, str, str, str]  # span, when it begins, connection, caller, account, currency
Sum = tuple[int, int, int, int]  # how many, and the three parts of the amount


def parts_of(amount: Decimal) -> tuple[int, int, int]:
    """An amount of no more than five decimals as three integers."""
    units = int(amount)
    return units // WHOLE, units % WHOLE, int((amount - units) * PARTS)


def used_of(sums: Iterable[Sum]) -> Used:
    """What sums come to together."""
    count, high, low, parts = (sum(column) for column in zip(*sums, strict=True))
    return Used(amount=(Decimal(high * WHOLE + low) * PARTS + parts) / PARTS, count=count)


def begins(moment: datetime, span: int) -> datetime:
    """When the span begins in which the moment is."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % span, UTC)


def grown(new: Iterable[tuple[str, str, Facts]]) -> dict[TotalKey, Sum]:
    """By what the rows grow with payments that are judged for the first time: connection, caller and facts of each."""
    found: dict[TotalKey, Sum] = defaultdict(lambda: (0, 0, 0, 0))
    for connection_id, caller, facts in new:
        high, low, parts = parts_of(facts.amount)
        for span in (HOUR, DAY):
            key = span, begins(facts.submitted_at, span), connection_id, caller, facts.debtor_account, facts.currency
            count, *amount = found[key]
            found[key] = count + 1, amount[0] + high, amount[1] + low, amount[2] + parts
    return dict(found)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a period: `span` 0 for what single reviews are looked through for."""

    span: int
    since: datetime
    until: datetime


def is_summed(key: UsageKey) -> bool:
    """Whether the rows of sums can answer it: they know no creditors, whose reviews are few and found by their index."""
    return not key.creditor_account


def pieces(since: datetime, until: datetime) -> Iterator[Piece]:
    """A period as whole days, whole hours and what is left, in order; together they are the period."""
    first_hour, last_hour = _up(since, HOUR), begins(until, HOUR)
    if first_hour >= last_hour:
        if since < until:
            yield Piece(0, since, until)
        return
    first_day, last_day = _up(first_hour, DAY), begins(last_hour, DAY)
    middle = (
        (Piece(HOUR, first_hour, last_hour),)
        if first_day >= last_day
        else (Piece(HOUR, first_hour, first_day), Piece(DAY, first_day, last_day), Piece(HOUR, last_day, last_hour))
    )
    for piece in (Piece(0, since, first_hour), *middle, Piece(0, last_hour, until)):
        if piece.since < piece.until:
            yield piece


def _up(moment: datetime, span: int) -> datetime:
    begun = begins(moment, span)
    return begun if begun == moment else begun + timedelta(seconds=span)
