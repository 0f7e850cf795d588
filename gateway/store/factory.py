"""From the setting `store` to a store."""

from pathlib import Path

from gateway.clock import now
from gateway.store.address import BadStoreUrl, is_postgres, sqlite_file
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.copy import copy_database
from gateway.store.store import Clock, Store

__all__ = ["BadStoreUrl", "empty_store", "open_copy", "open_store"]


def open_store(url: str, base: Path, clock: Clock = now) -> Store:
    """The store that `url` names, not yet opened: `await store.open()` comes next.

    "sqlite:///bankgate.db" is a file relative to `base`; "sqlite:////var/lib/bankgate.db" an absolute one. Raises `BadStoreUrl`.
    """
    return SqliteStore(_file(url, base), clock=clock)


def open_copy(url: str, base: Path, folder: Path, clock: Clock = now) -> Store:
    """A store over a copy, made now in `folder`, of the one that `url` names, which is only read. Raises `BadStoreUrl` and
    `StoreUnavailable`."""
    copy = folder / "copy.db"
    copy_database(_file(url, base), copy)
    return SqliteStore(copy, clock=clock)


def empty_store(folder: Path, clock: Clock = now) -> Store:
    """A store of its own in `folder`, for as long as that is there."""
    return SqliteStore(folder / "empty.db", clock=clock)


def _file(url: str, base: Path) -> Path:
    if is_postgres(url):
        raise BadStoreUrl("store: this version keeps its state in SQLite only; use sqlite:///bankgate.db")
    return sqlite_file(url, base)
