"""The one-machine store: one SQLite file, one writing thread a process, group commit."""

from gateway.store.sqlite.store import SqliteStore
from gateway.store.store import UnknownSchema

__all__ = ["SqliteStore", "UnknownSchema"]
