"""Segments on their way: base64 text of ciphertext, in memory while it is little and in a file without a name when it is much.

Order data itself is never on a disk here: what goes through is encrypted before it is written, and decrypted after it was read.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Final, Self

from channels.channel import Parcel
from channels.content import verified
from keys.ebics_encryption import decrypted, encrypted, segments
from keys.ebics_signature import normalised

_IN_MEMORY: Final = 8 << 20


class Spool:
    """Segments of one order, in their order. Close it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._starts: list[int] = [0]
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def count(self) -> int:
        return len(self._starts) - 1

    @property
    def sha256(self) -> str:
        """Of the text of all segments so far, hex."""
        return self._digest.hexdigest()

    def append(self, segment: bytes) -> None:
        self._file.seek(self._starts[-1])
        self._file.write(segment)
        self._digest.update(segment)
        self._starts.append(self._starts[-1] + len(segment))

    def segment(self, number: int) -> bytes:
        """The segment of this number, from 1."""
        start, end = self._starts[number - 1], self._starts[number]
        self._file.seek(start)
        return self._file.read(end - start)

    def keep_first(self, count: int) -> None:
        """Forgets the segments after these, which come again."""
        del self._starts[count + 1 :]

    def all(self) -> Iterator[bytes]:
        return (self.segment(number) for number in range(1, self.count + 1))

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Packed:
    """An order ready to go: its segments, and the digest that is signed."""

    spool: Spool
    digest: bytes


async def pack(parcel: Parcel, transaction_key: bytes, chars: int) -> Packed:
    """Encrypts the parcel and cuts it. Raises `Unsendable` where the store gives other bytes than were sealed, and what the store
    raises."""
    loop = asyncio.get_running_loop()
    spool, digest = Spool(), hashlib.sha256()
    abandoned = False

    chunks = verified(parcel)

    async def following() -> bytes | None:
        return await anext(chunks, None)

    def pieces() -> Iterator[bytes]:
        while not abandoned and (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            digest.update(normalised(piece))
            yield piece

    def work() -> None:
        for segment in segments(encrypted(pieces(), transaction_key), chars):
            spool.append(segment)

    try:
        await asyncio.to_thread(work)
    except BaseException:
        abandoned = True
        spool.close()
        raise
    finally:
        with suppress(RuntimeError):  # cancelled: the thread may be waiting for one more piece
            await chunks.aclose()
    return Packed(spool, digest.digest())


async def unpacked(spool: Spool, transaction_key: bytes, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """The order data in these segments. Raises `BadSeal`; what was given before that is thrown away by whoever took it."""
    pieces = decrypted(spool.all(), transaction_key, bytes_max=bytes_max)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
