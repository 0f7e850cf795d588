"""From the setting `store` to a store. What speaks to PostgreSQL is imported where there is one: the libraries are large."""

from pathlib import Path

from gateway.clock import now
from gateway.config import DatabaseSettings
from gateway.store.address import BadStoreUrl, is_postgres, postgres_address, sqlite_file
from gateway.store.postgres.access import Access
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.copy import copy_database
from gateway.store.store import Clock, Store

NO_DATABASE = DatabaseSettings()

__all__ = ["BadStoreUrl", "access_to", "empty_store", "open_copy", "open_store"]


def open_store(url: str, base: Path, clock: Clock = now, *, database: DatabaseSettings = NO_DATABASE) -> Store:
    """The store that `url` names (`gateway.store.address`), not yet opened: `await store.open()` comes next.

    Raises `BadStoreUrl`, and `StoreUnavailable` where a secret that `database` names cannot be had.
    """
    if is_postgres(url):
        from gateway.store.postgres.store import PostgresStore

        return PostgresStore(access_to(url, base, database).database(url), clock=clock)
    return SqliteStore(sqlite_file(url, base), clock=clock)


def access_to(url: str, base: Path, database: DatabaseSettings = NO_DATABASE) -> Access:
    """How the database that a PostgreSQL `url` names is reached. Raises `BadStoreUrl`."""
    return Access(address=postgres_address(url), settings=database, base=base)


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
        from gateway.store.postgres.copy import copy_connection

        copy_connection(url, access_to(url, base, database).libpq(), connection_id, copy)
    else:
        copy_database(sqlite_file(url, base), copy)
    return SqliteStore(copy, clock=clock)


def empty_store(folder: Path, clock: Clock = now) -> Store:
    """A store of its own in `folder`, for as long as that is there."""
    return SqliteStore(folder / "empty.db", clock=clock)
