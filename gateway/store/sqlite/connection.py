"""Connections to the file: how they are opened, what their errors mean, and the few that read."""

import fcntl
import os
import queue
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.store.store import StoreUnavailable

CHECKPOINT_PAGES = 8192  # 32 MiB of log between checkpoints: hot pages are copied back once, not once per megabyte
LOG_BYTES_KEPT = 64 * 1024 * 1024
RETRY_SECONDS = 0.0005  # between attempts to get a lock that another process holds for milliseconds
READER_CACHE_KIB = 16 * 1024
WRITER_CACHE_KIB = 64 * 1024

# https://www.sqlite.org/rescode.html, the primary codes that speak about the database's surroundings and not about our SQL.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
    }
)
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})  # a refusal by trigger costs a connection


def primary_code(error: sqlite3.Error) -> int:
    """The result code without its extension; 0 if the error did not come from SQLite itself."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_unavailable(error: sqlite3.Error) -> bool:
    """Whether the database could not be reached or written, as against a mistake of ours. Our only triggers are those of a file
    that was moved (`gateway.store.sqlite.moved`)."""
    by_trigger = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER
    return by_trigger or primary_code(error) in _UNAVAILABLE


def spoils_connection(error: sqlite3.Error) -> bool:
    """Whether the connection should be opened afresh: everything but lock and space, which pass."""
    return is_unavailable(error) and primary_code(error) not in _PASSING


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """The room's named error for such an error."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StoreUnavailable(f"the database cannot be reached or written: {error} [{name}]")


@contextmanager
def named_errors() -> Iterator[None]:
    """Turns errors that speak of the surroundings into `StoreUnavailable`; others are our mistakes and pass through."""
    try:
        yield
    except sqlite3.Error as error:
        if is_unavailable(error):
            raise unavailable(error) from error
        raise


def create_private(path: Path) -> None:
    """Creates the file, readable by its owner only, if it is absent. SQLite gives its log the mode of the database.

    A file that is there is not touched: closing it would drop the locks that SQLite holds on it anywhere in this process
    (https://www.sqlite.org/howtocorrupt.html, section 2.2). For the same reason stores are started one at a time.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"the database file {path} cannot be created: {error.strerror}") from error


class WriteLock:
    """Held by whoever writes, from before a transaction begins until after its commit, in all processes that share the file.

    SQLite has a write lock of its own, but up to version 3.51.2 a checkpoint that runs while another connection commits can,
    rarely, lose pages (https://www.sqlite.org/wal.html, "The WAL-Reset Bug"); distributions will ship such versions for years.
    Our checkpoints run at the end of a commit, so under this lock none ever meets another process's commit.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._file: int | None = None

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Waits for the lock for so long, then `StoreUnavailable`. For one thread at a time."""
        self._take(time.monotonic() + seconds)
        try:
            yield
        finally:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _take(self, give_up: float) -> None:
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            while True:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= give_up:
                        raise StoreUnavailable("another process has been writing to the database for too long") from None
                    time.sleep(RETRY_SECONDS)
                else:
                    return
        except OSError as error:
            raise StoreUnavailable(f"the lock file {self._path} cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Harmless to call twice."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def connect(path: Path, *, busy_seconds: float, cache_kib: int) -> sqlite3.Connection:
    """A connection in autocommit mode with our settings, for any one thread at a time. It never creates the file."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(
        uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        db.execute("PRAGMA synchronous = FULL")
        # On macOS only these make a sync reach the disk; elsewhere they change nothing.
        db.execute("PRAGMA fullfsync = ON")
        db.execute("PRAGMA checkpoint_fullfsync = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{cache_kib}")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_KEPT}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def use_log(db: sqlite3.Connection, seconds: float) -> None:
    """Switches the file to write-ahead logging. Two processes that start at once meet here, and SQLite does not wait."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
            time.sleep(0.005)
            continue
        if mode != "wal":
            raise StoreUnavailable("the database cannot use write-ahead logging here: keep it on a local disk")
        return


class Readers:
    """Connections for reading, lent to one thread at a time, for as long as one question takes."""

    def __init__(self, path: Path, *, kept: int, busy_seconds: float) -> None:
        self._path = path
        self._kept = kept
        self._busy_seconds = busy_seconds
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """A connection. Errors of the surroundings are `StoreUnavailable`, and cost the connection."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        with named_errors():
            try:
                db = self._idle.get_nowait()
            except queue.Empty:
                db = connect(self._path, busy_seconds=self._busy_seconds, cache_kib=READER_CACHE_KIB)
                db.execute("PRAGMA query_only = ON")
            try:
                yield db
            except sqlite3.Error as error:
                if spoils_connection(error):
                    db.close()
                    raise
                self._give_back(db)
                raise
            except BaseException:
                self._give_back(db)
                raise
            self._give_back(db)

    def _give_back(self, db: sqlite3.Connection) -> None:
        if self._closed or self._idle.qsize() >= self._kept:
            db.close()
        else:
            self._idle.put(db)

    def close(self) -> None:
        """Closes the idle ones; those still lent are closed when they come back."""
        self._closed = True
        while not self._idle.empty():
            self._idle.get_nowait().close()
