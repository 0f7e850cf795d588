"""Documents in SQLite.

One that its writer left unfinished is removed at the next start: by then the process that owned it is gone, or a day has passed
(a process in another container cannot be asked).
"""

import io
import os
import socket
import sqlite3
from concurrent.futures import Future
from datetime import timedelta
from typing import BinaryIO
from uuid import uuid4

from gateway.store.documents import ChunkReader, still_there
from gateway.store.sqlite.connection import Readers
from gateway.store.sqlite.writer import Tx, Writer

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


class SqliteShelf:
    """One document's, for `gateway.store.documents.ChunkWriter`."""

    def __init__(self, writer: Writer, owner: Owner, kind: str) -> None:
        self._start = writer.start
        self._owner = owner.name
        self._kind = kind

    def begin(self) -> "Future[int]":
        return self._start(lambda tx: _begin(tx, self._kind, self._owner))

    def add(self, document_id: int, number: int, content: bytes) -> "Future[None]":
        return self._start(lambda tx: _insert_chunk(tx, document_id, number, content))

    def finish(self, document_id: int, sha256: str, size: int) -> "Future[None]":
        return self._start(lambda tx: _mark_finished(tx, document_id, sha256, size))

    def remove(self, document_id: int) -> "Future[None]":
        return self._start(lambda tx: remove(tx, document_id))


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
    still_there(document_id, added)


def _mark_finished(tx: Tx, document_id: int, sha256: str, size: int) -> None:
    changed = tx.db.execute(
        "UPDATE documents SET size = ?, sha256 = ?, finished_at = ? WHERE document_id = ? AND finished_at IS NULL",
        (size, sha256, tx.now, document_id),
    ).rowcount
    still_there(document_id, changed)


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


def open_document(readers: Readers, document_id: int) -> BinaryIO:
    """See the contract."""

    def ask(number: int) -> bytes:
        with readers.lend() as db:
            return chunk(db, document_id, number)

    with readers.lend() as db:
        size = size_of(db, document_id)
    return io.BufferedReader(ChunkReader(document_id, size, ask), buffer_size=64 * 1024)
