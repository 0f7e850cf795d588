"""Documents: bytes in 1 MiB chunks, so that a file of any size passes through constant memory.

A document is visible once it is finished. One that its writer left unfinished is removed at the next start: by then the process
that owned it is gone, or a day has passed (a process in another container cannot be asked).
"""

import hashlib
import io
import os
import socket
import sqlite3
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from uuid import uuid4

from gateway.store.sqlite.connection import Readers
from gateway.store.sqlite.writer import Operation, Tx, Writer
from gateway.store.store import StoreUnavailable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")

CHUNK = 1024 * 1024
IN_FLIGHT = 2  # chunks handed to the writer and not yet durable; then `write` waits
NUMBER_BITS = 20  # of a chunk's key: a document may have 2^20 chunks
ABANDONED_AFTER = timedelta(days=1)

_owners_here: set[str] = set()


class Owner:
    """Who writes unfinished documents: a host, a process, and one store opened in it."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"
        _owners_here.add(self.name)

    def retire(self) -> None:
        """Its unfinished documents are nobody's from now on."""
        _owners_here.discard(self.name)


def _is_dead(owner: str) -> bool:
    """Whether that owner surely writes no more. One on another host (or container) is never sure to be dead."""
    host, pid, _ = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    if int(pid) == os.getpid():
        return owner not in _owners_here
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def purge_unfinished(tx: Tx) -> None:
    """Removes what dead owners left, and what is older than a day."""
    oldest = tx.now - int(ABANDONED_AFTER.total_seconds() * 1_000_000)
    rows = tx.db.execute("SELECT document_id, owner, created_at FROM documents WHERE finished_at IS NULL").fetchall()
    for document_id, owner, created_at in rows:
        if created_at < oldest or _is_dead(owner):
            remove(tx, document_id)


def remove(tx: Tx, document_id: int) -> None:
    """Removes a document and its chunks."""
    tx.db.execute("DELETE FROM chunks WHERE chunk_key BETWEEN ? AND ?", _chunk_range(document_id))
    tx.db.execute("DELETE FROM documents WHERE document_id = ?", (document_id,))


def _chunk_range(document_id: int) -> tuple[int, int]:
    first = document_id << NUMBER_BITS
    return first, first + (1 << NUMBER_BITS) - 1


# -- writing -----------------------------------------------------------------------------------------------------------


class SqliteDocumentWriter:
    """The contract's `DocumentWriter`. Each full chunk is one operation of the store's writer; errors show at the next call."""

    def __init__(self, writer: Writer, owner: Owner, kind: str) -> None:
        self._writer = writer
        self._owner = owner.name
        self._kind = kind
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
        self._ask(lambda tx: _mark_finished(tx, document_id, sha256, size))
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
                self._writer.start(lambda tx: remove(tx, document_id)).result()

    def _end(self) -> None:
        self._ended = True
        self._buffer.clear()
        self._pending.clear()

    def _check(self) -> None:
        if self._ended:
            raise ValueError("the document is finished or discarded")
        if self._failed:
            raise StoreUnavailable("an earlier part of the document could not be stored; discard it and begin again")

    def _ask(self, operation: Operation[T]) -> T:
        """Runs an operation and waits for it. One that failed spoils the document: it would have a hole."""
        return self._result(self._writer.start(operation))

    def _result(self, future: "Future[T]") -> T:
        try:
            return future.result()
        except BaseException:
            self._failed = True
            raise

    def _begun(self) -> int:
        if self._document_id is None:
            self._document_id = self._ask(lambda tx: _begin(tx, self._kind, self._owner))
        return self._document_id

    def _store(self, chunk: bytes) -> None:
        document_id, number = self._begun(), self._chunks
        self._chunks += 1
        self._wait(IN_FLIGHT - 1)
        self._pending.append(self._writer.start(lambda tx: _insert_chunk(tx, document_id, number, chunk)))

    def _wait(self, left: int) -> None:
        while len(self._pending) > left:
            self._result(self._pending.popleft())


def _begin(tx: Tx, kind: str, owner: str) -> int:
    row = tx.db.execute(
        "INSERT INTO documents (kind, owner, created_at) VALUES (?, ?, ?) RETURNING document_id", (kind, owner, tx.now)
    ).fetchone()
    return int(row[0])


def _insert_chunk(tx: Tx, document_id: int, number: int, chunk: bytes) -> None:
    added = tx.db.execute(
        "INSERT INTO chunks (chunk_key, content) SELECT ?, ? WHERE EXISTS (SELECT 1 FROM documents WHERE document_id = ?)",
        ((document_id << NUMBER_BITS) + number, chunk, document_id),
    ).rowcount
    _still_there(document_id, added)


def _mark_finished(tx: Tx, document_id: int, sha256: str, size: int) -> None:
    changed = tx.db.execute(
        "UPDATE documents SET size = ?, sha256 = ?, finished_at = ? WHERE document_id = ? AND finished_at IS NULL",
        (size, sha256, tx.now, document_id),
    ).rowcount
    _still_there(document_id, changed)


def _still_there(document_id: int, rows: int) -> None:
    if not rows:
        raise StoreUnavailable(f"document {document_id} was removed while it was being written")


# -- reading -----------------------------------------------------------------------------------------------------------


def chunk(db: sqlite3.Connection, document_id: int, number: int) -> bytes:
    """One chunk; empty beyond the end."""
    row = db.execute("SELECT content FROM chunks WHERE chunk_key = ?", ((document_id << NUMBER_BITS) + number,)).fetchone()
    return b"" if row is None else bytes(row[0])


def size_of(db: sqlite3.Connection, document_id: int) -> int:
    """The size of a finished document in bytes. Raises LookupError if there is none of that number."""
    row = db.execute("SELECT size FROM documents WHERE document_id = ? AND finished_at IS NOT NULL", (document_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no finished document {document_id}")
    return int(row[0])


class _ChunkReader(io.RawIOBase):
    """Seekable, with one chunk in memory. Borrows a connection for each chunk, so one that is never closed holds nothing."""

    def __init__(self, readers: Readers, document_id: int) -> None:
        self._readers = readers
        self._document_id = document_id
        with readers.lend() as db:
            self._size = size_of(db, document_id)
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
            with self._readers.lend() as db:
                self._chunk, self._number = chunk(db, self._document_id, number), number
            if not self._chunk:
                # An early end would pass for the whole file, and half a message might be sent.
                raise StoreUnavailable(f"document {self._document_id} has lost its chunk {number}")
        part = self._chunk[offset : offset + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)


def open_document(readers: Readers, document_id: int) -> BinaryIO:
    """See the contract."""
    return io.BufferedReader(_ChunkReader(readers, document_id), buffer_size=64 * 1024)
