"""Documents: bytes in 1 MiB chunks, so that a file of any size passes through constant memory. What every store shares of them.

A document is visible once it is finished. One that its writer left unfinished is removed when its owner is gone.
"""

import hashlib
import io
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gateway.store.store import StoreUnavailable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")

CHUNK = 1024 * 1024
IN_FLIGHT = 2  # chunks handed to the writer and not yet durable; then `write` waits


class Shelf(Protocol):
    """Where one document is written to: each method is one operation of the store's writer, whose future gives its result."""

    def begin(self) -> "Future[int]":
        """A new unfinished document's number."""

    def add(self, document_id: int, number: int, content: bytes) -> "Future[None]":
        """One chunk. Raises `StoreUnavailable` if the document is gone."""

    def finish(self, document_id: int, sha256: str, size: int) -> "Future[None]":
        """Makes it visible. Raises `StoreUnavailable` if the document is gone."""

    def remove(self, document_id: int) -> "Future[None]":
        """Removes it and its chunks."""


class ChunkWriter:
    """The contract's `DocumentWriter`. Errors of a chunk show at the next call."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._chunks = 0
        self._document_id: int | None = None
        self._pending: deque[Future[None]] = deque()
        self._ended = False
        self._failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Takes bytes; waits while two chunks are on their way. Raises `StoreUnavailable`; then only `discard` is left."""
        self._check()
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        self._buffer += view
        while len(self._buffer) >= CHUNK:
            self._store(bytes(self._buffer[:CHUNK]))
            del self._buffer[:CHUNK]
        return len(view)

    def finish(self) -> tuple[int, str, int]:
        """See the contract. Raises `StoreUnavailable`; then only `discard` is left."""
        self._check()
        size, sha256 = self._size, self._digest.hexdigest()
        if self._buffer:
            self._store(bytes(self._buffer))
        document_id = self._begun()
        self._wait(0)
        self._result(self._shelf.finish(document_id, sha256, size))
        self._end()
        return document_id, sha256, size

    def discard(self) -> None:
        """Throws away what was written. After `finish` it does nothing, so that it may stand in a `finally`."""
        if self._ended:
            return
        self._end()
        document_id = self._document_id
        if document_id is not None:
            with suppress(StoreUnavailable):  # then the next start removes it
                self._shelf.remove(document_id).result()

    def _end(self) -> None:
        self._ended = True
        self._buffer.clear()
        self._pending.clear()

    def _check(self) -> None:
        if self._ended:
            raise ValueError("the document is finished or discarded")
        if self._failed:
            raise StoreUnavailable("an earlier part of the document could not be stored; discard it and begin again")

    def _result(self, future: "Future[T]") -> T:
        """Waits for an operation. One that failed spoils the document: it would have a hole."""
        try:
            return future.result()
        except BaseException:
            self._failed = True
            raise

    def _begun(self) -> int:
        if self._document_id is None:
            self._document_id = self._result(self._shelf.begin())
        return self._document_id

    def _store(self, chunk: bytes) -> None:
        document_id, number = self._begun(), self._chunks
        self._chunks += 1
        self._wait(IN_FLIGHT - 1)
        self._pending.append(self._shelf.add(document_id, number, chunk))

    def _wait(self, left: int) -> None:
        while len(self._pending) > left:
            self._result(self._pending.popleft())


def still_there(document_id: int, rows: Any) -> None:
    """Raises `StoreUnavailable` where an operation met no row: a hole or an early end would pass for the whole document."""
    if not rows:
        raise StoreUnavailable(f"document {document_id} was removed while it was being written")


class ChunkReader(io.RawIOBase):
    """Seekable, with one chunk in memory. Asks for each chunk by itself, so one that is never closed holds nothing."""

    def __init__(self, document_id: int, size: int, chunk: Callable[[int], bytes]) -> None:
        """`chunk`: the content of the chunk of that number, empty beyond the end."""
        self._document_id = document_id
        self._size = size
        self._ask = chunk
        self._position = 0
        self._number = -1
        self._chunk = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the start of the document")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        number, offset = divmod(self._position, CHUNK)
        if self._position >= self._size:
            return 0
        if number != self._number:
            self._chunk, self._number = self._ask(number), number
            if not self._chunk:
                # An early end would pass for the whole file, and half a message might be sent.
                raise StoreUnavailable(f"document {self._document_id} has lost its chunk {number}")
        part = self._chunk[offset : offset + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)
