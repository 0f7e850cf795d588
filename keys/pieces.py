"""A reader over bytes that are produced piece by piece."""

from collections.abc import Callable, Iterator

Read = Callable[[int], bytes]
"""Gives 1 to n bytes, or none at the end."""


class PieceReader:
    """Hands out what `pieces` yields, in the sizes that are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0

    def read(self, count: int) -> bytes:
        """1 to `count` bytes, or none at the end. Raises what `pieces` raises."""
        while self._at == len(self._piece):
            upcoming = next(self._pieces, None)
            if upcoming is None:
                return b""
            self._piece, self._at = upcoming, 0
        found = self._piece[self._at : self._at + count]
        self._at += len(found)
        return found

    def up_to(self, count: int) -> bytes:
        """`count` bytes, or fewer where the end comes first."""
        found = self.read(count)
        while len(found) < count and (more := self.read(count - len(found))):
            found += more
        return found
