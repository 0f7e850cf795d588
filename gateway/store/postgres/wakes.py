"""The engine's wakes, written in the store's own transaction."""

from collections.abc import Collection
from datetime import datetime

from gateway.store.postgres.connection import Connection


async def write_wakes(connection: Connection, wakes: Collection[tuple[str, datetime | None]], now: datetime) -> None:
    """Every (lane, due; None: now) of a transaction that is about to commit."""
