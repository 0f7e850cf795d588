"""The one-machine store: one SQLite file, one writing thread a process, group commit."""

from gateway.store.sqlite.schema import UnknownSchema
from gateway.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "UnknownSchema"]
