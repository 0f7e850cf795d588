"""`PostgresStore`: the contract of `gateway.store.store` over PostgreSQL. What a method does stands in the module of its subject.

Writing goes through the one `Writer` of the process, reading through a few connections that only read, waiting through the
`Watch`. Any number of processes, on any number of machines, may open the same database.
"""

import asyncio
import threading
from typing import TypeVar

from gateway import clock as gateway_clock
from gateway.store.postgres import documents
from gateway.store.postgres.answers import Answers
from gateway.store.postgres.connection import Database, Home, Question, Readers, named_errors
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.partitions import make_partitions
from gateway.store.postgres.writer import Operation, Writer
from gateway.store.store import Clock, StoreUnavailable

T = TypeVar("T")


class PostgresStore(Answers):
    """See the module. `open` it before use; every method raises `StoreUnavailable` when the server cannot be reached."""

    def __init__(self, database: Database, *, clock: Clock = gateway_clock.now) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._life = threading.Lock()
        self._closed = False
        self._home: Home | None = None
        self._readers: Readers | None = None
        self._the_writer: Writer | None = None

    # -- life ----------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        await asyncio.to_thread(self._start)

    async def close(self) -> None:
        await asyncio.to_thread(self._end)

    def _start(self) -> None:
        with self._life:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._the_writer is not None:
                return
            migrate(self._database.url, self._database.libpq)
            home = Home()
            readers = Readers(self._database)
            try:
                home.wait(self._prepare(readers))
            except BaseException:
                home.wait(readers.close())
                home.close()
                raise
            self._home, self._readers = home, readers
            self._the_writer = Writer(home, self._database, clock=self._clock, on_commit=lambda _: None)

    async def _prepare(self, readers: Readers) -> None:
        db = await self._database.connect()
        try:
            async with named_errors():
                await make_partitions(db, self._clock())
                await documents.purge_unfinished(db)
        finally:
            db.terminate()
        await readers.open()

    def _end(self) -> None:
        with self._life:
            self._closed = True
            home, self._home = self._home, None
            if home is None:
                return
            if self._the_writer is not None:
                self._the_writer.close()
            if self._readers is not None:
                home.wait(self._readers.close())
            home.close()

    # -- the seams to the modules --------------------------------------------------------------------------------------

    async def _write(self, operation: Operation[T]) -> T:
        if self._the_writer is None:
            raise StoreUnavailable("the store is not open")
        return await self._the_writer.run(operation)

    async def _read(self, question: Question[T]) -> T:
        if self._closed or self._home is None or self._readers is None:
            raise StoreUnavailable("the store is not open")
        return await self._home.run(self._readers.ask(question))
