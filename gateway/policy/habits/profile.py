"""What is known of an account or a name, kept so that one more payment costs little. Pure.

A profile holds the newest payments of its key and answers from indexes over them. Its answers depend on the set of its payments
alone, never on the order in which they came: one that grew payment by payment says the same as one built anew.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from gateway.lifecycle import PaymentState
from gateway.policy.habits.words import document_numbers, name_key, numbers_of
from gateway.policy.subject import Past

K = TypeVar("K")

DEAD: Final = frozenset({PaymentState.REJECTED, PaymentState.CANCELLED, PaymentState.RETURNED})
"""Payments that moved no money, or whose money came back: to pay again is no repetition, and nothing is learned from them."""
WAITING: Final = frozenset({PaymentState.RECEIVED, PaymentState.HELD, PaymentState.AWAITING_APPROVAL})
"""Payments nobody has let go yet: they can be repeated, but what they look like is no habit."""


class Seen:
    """A past payment with what is compared of it, worked out once."""

    __slots__ = ("key", "log", "name", "numbers", "past")

    def __init__(self, past: Past) -> None:
        self.past = past
        self.key = (past.submitted_at, past.payment_id)
        self.name = name_key(past.creditor_name)
        self.numbers = numbers_of(past.remittance)
        self.log = math.log(past.amount) if past.amount > 0 else 0.0

    @property
    def learned(self) -> bool:
        """Whether it counts as a habit."""
        return self.past.state not in DEAD and self.past.state not in WAITING

    @property
    def live(self) -> bool:
        """Whether it stands for money that has gone or may go."""
        return self.past.state not in DEAD


def _key(seen: Seen) -> tuple[datetime, str]:
    return seen.key


def median_and_spread(ordered: list[float]) -> tuple[float, float]:
    """Median and median absolute deviation of ordered numbers (at least one)."""
    middle = _middle(ordered)
    place = bisect_left(ordered, middle)
    # The deviations below the median, and those above it, are each in order already: only as many as needed are merged.
    below, above = place - 1, place
    deviations: list[float] = []
    for _ in range(len(ordered) // 2 + 1):
        if below >= 0 and (above >= len(ordered) or middle - ordered[below] <= ordered[above] - middle):
            deviations.append(middle - ordered[below])
            below -= 1
        else:
            deviations.append(ordered[above] - middle)
            above += 1
    spread = deviations[-1] if len(ordered) % 2 else (deviations[-1] + deviations[-2]) / 2
    return middle, spread


def _middle(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


class Profile:
    """The newest `limit` payments of one key."""

    def __init__(self, limit: int, zone: ZoneInfo, rows: Iterable[Past] = ()) -> None:
        self._limit, self._zone = limit, zone
        self._by_id: dict[str, Seen] = {}
        self.rows: list[Seen] = []  # oldest first
        self._amounts: dict[tuple[str, Decimal], list[Seen]] = {}  # live, by currency and amount
        self._numbers: dict[str, list[Seen]] = {}  # live, by document number
        self._accounts: dict[str, list[Seen]] = {}  # learned, by creditor account
        self._logs: dict[tuple[str, str], list[float]] = {}  # learned, by caller and currency: logarithms, in order
        self._countries: Counter[str] = Counter()
        self._currencies: Counter[str] = Counter()
        self._hours: Counter[tuple[date, int]] = Counter()  # live payments, by day and hour of their submission
        self._days_at_hour: Counter[int] = Counter()  # days with a payment at that hour
        self._days: Counter[date] = Counter()
        self._days_at_weekday: Counter[int] = Counter()
        for row in rows:
            self.add(row)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, past: Past) -> None:
        """Takes a payment in, in place of what was known of it. What is older than the newest `limit` drops out."""
        known = self._by_id.pop(past.payment_id, None)
        if known is not None:
            self._remove(known)
        seen = Seen(past)
        self._by_id[past.payment_id] = seen
        insort(self.rows, seen, key=_key)
        self._count(seen, 1)
        if len(self.rows) > self._limit:
            self._drop_oldest()

    def take_out(self, payment_id: str) -> Past | None:
        """Takes a payment out and gives it back; None if it is not here."""
        seen = self._by_id.pop(payment_id, None)
        if seen is None:
            return None
        self._remove(seen)
        return seen.past

    def forget_before(self, since: datetime) -> None:
        """Drops what was submitted before."""
        while self.rows and self.rows[0].past.submitted_at < since:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self.rows[0]
        del self._by_id[oldest.past.payment_id]
        self._remove(oldest)

    def _remove(self, seen: Seen) -> None:
        del self.rows[bisect_left(self.rows, seen.key, key=_key)]
        self._count(seen, -1)

    def _count(self, seen: Seen, step: int) -> None:
        past = seen.past
        if seen.live:
            _index(self._amounts, (past.currency, past.amount), seen, step)
            for number in document_numbers(seen.numbers):
                _index(self._numbers, number, seen, step)
            self._count_time(past.submitted_at, step)
        if seen.learned:
            _index(self._accounts, past.creditor_account, seen, step)
            logs = self._logs.setdefault((past.caller, past.currency), [])
            if step > 0:
                insort(logs, seen.log)
            else:
                del logs[bisect_left(logs, seen.log)]
            _step(self._countries, past.creditor_country, step)
            _step(self._currencies, past.currency, step)

    def _count_time(self, moment: datetime, step: int) -> None:
        local = moment.astimezone(self._zone)
        day, hour = local.date(), local.hour
        if _step(self._hours, (day, hour), step) == max(step, 0):
            _step(self._days_at_hour, hour, step)
        if _step(self._days, day, step) == max(step, 0):
            _step(self._days_at_weekday, day.weekday(), step)

    # -- questions ---------------------------------------------------------------------------------------------------------

    def of_amount(self, currency: str, amount: Decimal) -> list[Seen]:
        """Live payments of exactly that amount, oldest first."""
        return self._amounts.get((currency, amount), [])

    def of_number(self, number: str) -> list[Seen]:
        """Live payments that name that document."""
        return self._numbers.get(number, [])

    def accounts(self) -> dict[str, list[Seen]]:
        """Learned payments by creditor account, oldest first."""
        return self._accounts

    def logs(self, caller: str, currency: str) -> list[float]:
        """The logarithms of learned amounts, in order."""
        return self._logs.get((caller, currency), [])

    def countries(self) -> Counter[str]:
        """Learned payments by the creditor's country."""
        return self._countries

    def currencies(self) -> Counter[str]:
        """Learned payments by currency."""
        return self._currencies

    def between(self, since: datetime, until: datetime) -> list[Seen]:
        """Live payments submitted after `since` and no later than `until`."""
        first = bisect_right(self.rows, (since, "\U0010ffff"), key=_key)
        last = bisect_right(self.rows, (until, "\U0010ffff"), key=_key)
        return [seen for seen in self.rows[first:last] if seen.live]

    def active_days(self, today: date) -> int:
        """Days with payments before today."""
        return len(self._days) - (today in self._days)

    def days_around_hour(self, hour: int, today: date) -> int:
        """Days before today with payments at that hour or at one beside it, counted per hour."""
        near = [(hour + step) % 24 for step in (-1, 0, 1)]
        return sum(self._days_at_hour[one] - ((today, one) in self._hours) for one in near)

    def days_at_weekday(self, weekday: int, today: date) -> int:
        """Days before today of that weekday with payments."""
        return self._days_at_weekday[weekday] - (today.weekday() == weekday and today in self._days)

    def largest_day(self, today: date) -> int:
        """The most payments of one day before today."""
        return max((count for day, count in self._days.items() if day < today), default=0)

    def largest_hour(self, today: date) -> int:
        """The most payments of one hour before today."""
        return max((count for (day, _), count in self._hours.items() if day < today), default=0)


def _index(index: dict[K, list[Seen]], key: K, seen: Seen, step: int) -> None:
    places = index.setdefault(key, [])
    if step > 0:
        insort(places, seen, key=_key)
        return
    del places[bisect_left(places, seen.key, key=_key)]
    if not places:
        del index[key]


def _step(counter: Counter[K], key: K, step: int) -> int:
    counter[key] += step
    count = counter[key]
    if not count:
        del counter[key]
    return count
