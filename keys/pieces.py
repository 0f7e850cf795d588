"""Readers over bytes that are produced piece by piece."""

from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.ciphers import CipherContext

from keys.seal import BadSeal

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


class PlaintextReader(PieceReader):
    """Decrypts while it is read. Remembers a failure of the outer message, which must not be taken for one of the inner."""

    def __init__(self, encrypted: Iterator[bytes], context: CipherContext) -> None:
        super().__init__(self._decrypt(encrypted, context))
        self.encrypted_bytes = 0
        self.outer_failure: BadSeal | None = None

    def _decrypt(self, encrypted: Iterator[bytes], context: CipherContext) -> Iterator[bytes]:
        try:
            for chunk in encrypted:
                self.encrypted_bytes += len(chunk)
                yield context.update(chunk)
        except BadSeal as problem:
            self.outer_failure = problem
            raise

    def drain(self) -> None:
        """Reads the outer message to the end of its content. Raises `BadSeal` where that is broken."""
        if self.outer_failure is not None:
            raise self.outer_failure
        for _ in self._pieces:
            pass
