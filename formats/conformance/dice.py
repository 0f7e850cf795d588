"""A seeded source of choices that gives the same ones on every machine and every Python.

`random.Random` promises that only for `random()` itself; its `choice` and `shuffle` have changed between versions, and a failing
case that cannot be made again helps nobody.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
    """Throws that follow from the seed alone."""

    __slots__ = ("_counter", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._counter = 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; `limit` is at least 1."""
        self._counter += 1
        digest = sha256(f"{self._seed}/{self._counter}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of the choices; there is at least one."""
        return choices[self.below(len(choices))]
