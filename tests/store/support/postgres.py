"""Connections beside the store's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from gateway.store.postgres.connection import Database

PATIENCE_SECONDS = 20


@asynccontextmanager
async def connections(database: Database, count: int) -> AsyncIterator[list[Any]]:
    """That many, in autocommit."""
    opened = [await asyncpg.connect(database.url) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """Looks until what is seen is true, and gives it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (seen := await look()):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.005)
        return seen
