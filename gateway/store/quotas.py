"""What callers took of their day, over all processes: `QuotaStore` is the part of the store's contract about it.

A process takes more than the call at hand needs, and works on what it holds without asking again. What is taken is taken: a
process that is killed leaves what it held unused that day, so that together they never pass the quota.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

SHARE: Final = 8
"""A process holds at most this part of what is left, so that near the end there is something left for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """So many were taken for the process (0: fewer are left than it needs), and so many are taken of the day by all of them."""

    count: int
    used: int


class QuotaStore(Protocol):
    async def take_quota(self, caller: str, day: date, *, needed: int, wanted: int, most: int) -> Granted:
        """Takes at least `needed` and at most `wanted` of the caller's day, unless that would pass `most`. Forgets earlier days,
        but for the one before."""
        ...

    async def give_back_quota(self, caller: str, day: date, count: int) -> None:
        """So many of those taken were not used."""
        ...


def granted(*, needed: int, wanted: int, left: int) -> int:
    """How many a process gets of those that are left."""
    if left < needed:
        return 0
    return max(needed, min(wanted, left // SHARE))
