"""From the setting `store` to a store."""

from pathlib import Path

from gateway.clock import now
from gateway.config import DatabaseSettings
from gateway.store.address import BadStoreUrl, is_postgres, postgres_address, sqlite_file
from gateway.store.postgres.access import Access
from gateway.store.postgres.copy import copy_connection
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.copy import copy_database
from gateway.store.store import Clock, Store

NO_DATABASE = DatabaseSettings()

__all__ = ["BadStoreUrl", "empty_store", "open_copy", "open_store"]


def open_store(url: str, base: Path, clock: Clock = now) -> Store:
    """The store that `url` names, not yet opened: `await store.open()` comes next.

    "sqlite:///bankgate.db" is a file relative to `base`; "sqlite:////var/lib/bankgate.db" an absolute one. Raises `BadStoreUrl`.
    """
    return SqliteStore(_file(url, base), clock=clock)


def open_copy(
    url: str,
    base: Path,
    folder: Path,
    clock: Clock = now,
    *,
    connection_id: str,
    database: DatabaseSettings = NO_DATABASE,
) -> Store:
    """A store over a copy, made now in `folder`, of the one that `url` names, which is only read. Of a PostgreSQL database it
    holds what a replay over `connection_id` asks for. Blocking. Raises `BadStoreUrl` and `StoreUnavailable`."""
    copy = folder / "copy.db"
    if is_postgres(url):
        access = Access(address=postgres_address(url), settings=database, base=base)
        copy_connection(url, access.libpq(), connection_id, copy)
    else:
        copy_database(sqlite_file(url, base), copy)
    return SqliteStore(copy, clock=clock)


def empty_store(folder: Path, clock: Clock = now) -> Store:
    """A store of its own in `folder`, for as long as that is there."""
    return SqliteStore(folder / "empty.db", clock=clock)


def _file(url: str, base: Path) -> Path:
    if is_postgres(url):
        raise BadStoreUrl("store: this version keeps its state in SQLite only; use sqlite:///bankgate.db")
    return sqlite_file(url, base)
