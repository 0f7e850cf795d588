"""How much is taken of each caller: calls and payments in a second, calls and streams at once.

Kept in the memory of one process: two processes behind one name take twice as much. (What is taken in a day is counted in the
store, `gateway.quotas`.) Rates are token buckets that hold two seconds' worth. No clock of its own: `ticks` are seconds that only
grow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config import LimitSettings
from gateway.errors import LimitReached

BURST_SECONDS: Final = 2.0


@dataclass(slots=True)
class Bucket:
    """A token bucket. What is larger than the whole bucket is taken when that is full, and paid back before the next."""

    rate: float
    level: float = 0.0
    at: float = float("-inf")

    @property
    def size(self) -> float:
        return max(1.0, self.rate * BURST_SECONDS)

    def wait(self, count: float, ticks: float) -> float:
        """Seconds until so many may be taken; 0: now. Takes nothing."""
        self.level = min(self.size, self.level + (ticks - self.at) * self.rate)
        self.at = ticks
        return max(0.0, (min(count, self.size) - self.level) / self.rate)

    def take(self, count: float) -> None:
        self.level -= count


@dataclass(slots=True)
class Allowance:
    """What one caller has used."""

    name: str
    settings: LimitSettings
    calls: Bucket
    payments: Bucket
    calls_under_way: int = 0
    streams_open: int = 0

    def begin(self, ticks: float, *, stream: bool) -> None:
        """One more call or stream. Raises `LimitReached`; otherwise `end` has to follow."""
        wait = self.calls.wait(1, ticks)
        if wait > 0:
            raise self._reached("calls_per_second", f"{self.settings.calls_per_second:g} calls in a second", wait)
        if stream and self.streams_open >= self.settings.streams_at_once:
            raise self._reached("streams_at_once", f"{self.settings.streams_at_once} streams open at once", 1.0)
        if not stream and self.calls_under_way >= self.settings.calls_at_once:
            raise self._reached("calls_at_once", f"{self.settings.calls_at_once} calls under way at once", 0.1)
        self.calls.take(1)
        if stream:
            self.streams_open += 1
        else:
            self.calls_under_way += 1

    def end(self, *, stream: bool) -> None:
        if stream:
            self.streams_open -= 1
        else:
            self.calls_under_way -= 1

    def heard(self, size: int) -> None:
        """One request of so many bytes. Raises `LimitReached`."""
        most = self.settings.message_bytes_max
        if most is not None and size > most:
            raise LimitReached(
                f"a request of caller {self.name!r} may have {most} bytes, this one has {size}: send fewer payments in one",
                "message_bytes_max",
                None,
                self.name,
            )

    def check(self, payments: int, ticks: float, *, patience: float = 0.0) -> float:
        """Takes so many payments of the second's, and gives the seconds to wait before they are worked on: `patience` at most.
        Raises `LimitReached`."""
        wait = self.payments.wait(payments, ticks)
        if wait > patience:
            raise self._reached("payments_per_second", f"{self.settings.payments_per_second:g} payments in a second", wait)
        self.payments.take(payments)
        return wait

    def _reached(self, limit: str, words: str, seconds: float | None) -> LimitReached:
        return LimitReached(f"of caller {self.name!r} no more than {words} are taken", limit, seconds, self.name)


class Limits:
    """The allowances of all callers, by name."""

    def __init__(self, settings: Mapping[str, LimitSettings]) -> None:
        self._allowances = {name: _fresh(name, one) for name, one in settings.items()}

    def of(self, name: str) -> Allowance:
        """What a caller has used; one without settings is limited as by default."""
        found = self._allowances.get(name)
        if found is None:
            found = self._allowances[name] = _fresh(name, LimitSettings())
        return found

    def change(self, settings: Mapping[str, LimitSettings]) -> None:
        """Other settings: what was used stays used."""
        for name, one in settings.items():
            known = self._allowances.get(name)
            if known is None:
                self._allowances[name] = _fresh(name, one)
            elif known.settings != one:
                known.settings = one
                known.calls.rate, known.payments.rate = one.calls_per_second, one.payments_per_second


def _fresh(name: str, one: LimitSettings) -> Allowance:
    return Allowance(name, one, Bucket(one.calls_per_second), Bucket(one.payments_per_second))
