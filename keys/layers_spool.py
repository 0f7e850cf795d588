"""A file for what must not lie anywhere in clear: in memory while it is small, on disk encrypted when it grows.

The disk gets chunks under AES-256-GCM with a key that lives and dies with the spool in this process; the nonce is the number of
the chunk, and each chunk is written once. A chunk that was altered on disk is noticed. The file has no name: it is gone with the
process.
"""

import io
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.seal import SealError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_CHUNK: Final = 64 * 1024
_TAG: Final = 16


class Spool(io.RawIOBase):
    """Written once from front to back, then read from anywhere, as often as needed."""

    def __init__(self, memory_bytes: int, random_bytes: Callable[[int], bytes]) -> None:
        super().__init__()
        self._memory_bytes = memory_bytes
        self._memory = bytearray()  # all of it; once on disk, the last chunk that is not full
        self._file: BinaryIO | None = None
        self._aead = AESGCM(random_bytes(32))
        self._stored = 0  # chunks on disk
        self._position = 0
        self._cached: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Appends. Raises `SealError` where something would be overwritten."""
        content = bytes(data)
        if self._position != self.size:
            raise SealError("a spool is written from front to back")
        self._memory += content
        self._position += len(content)
        if self._file is not None or len(self._memory) > self._memory_bytes:
            self._store()
        return len(content)

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Reads on."""
        view = memoryview(buffer).cast("B")
        piece = self._piece(len(view))
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}
        target = starts[whence] + offset
        if target < 0:
            raise ValueError("a position before the start")
        self._position = target
        return target

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._memory.clear()
        self._cached = (-1, b"")
        super().close()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._stored * _CHUNK + len(self._memory)

    def _piece(self, count: int) -> bytes:
        at = self._position
        if at >= self._stored * _CHUNK:
            start = at - self._stored * _CHUNK
            return bytes(self._memory[start : start + count])
        number, start = divmod(at, _CHUNK)
        return self._chunk(number)[start : start + count]

    def _store(self) -> None:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  # closed with the spool
        while len(self._memory) >= _CHUNK:
            nonce = self._stored.to_bytes(12, "big")
            self._file.seek(self._stored * (_CHUNK + _TAG))
            _write_all(self._file, self._aead.encrypt(nonce, bytes(self._memory[:_CHUNK]), None))
            del self._memory[:_CHUNK]
            self._stored += 1

    def _chunk(self, number: int) -> bytes:
        if self._cached[0] != number and self._file is not None:
            self._file.seek(number * (_CHUNK + _TAG))
            stored = self._file.read(_CHUNK + _TAG)
            try:
                self._cached = number, self._aead.decrypt(number.to_bytes(12, "big"), stored, None)
            except (InvalidTag, ValueError):
                raise SealError("what was kept on disk between two layers was altered there") from None
        return self._cached[1]


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def spool_factory(memory_bytes: int, random_bytes: Callable[[int], bytes]) -> Callable[[], io.BufferedRandom]:
    """Makes spools that keep up to `memory_bytes` in memory."""
    return lambda: io.BufferedRandom(Spool(memory_bytes, random_bytes), _CHUNK)
