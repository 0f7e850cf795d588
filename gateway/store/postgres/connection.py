"""Reaching the server: where a store's connections live, how they are opened, and what their errors mean.

All connections of a store live in an event loop of its own, in one thread (`Home`). So the store may be used from any event
loop, and from threads that block (documents, the transfers of a message), and a busy loop of the caller's never delays a
transaction that holds locks.
"""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import asyncpg

from gateway.store.store import StoreUnavailable

T = TypeVar("T")

Row = Sequence[Any]


class Connection(Protocol):
    """What we use of asyncpg's connection, which ships no types."""

    async def execute(self, query: str, *values: Any, timeout: float | None = None) -> str: ...

    async def executemany(self, command: str, args: Iterable[Sequence[Any]]) -> None: ...

    async def fetch(self, query: str, *values: Any, timeout: float | None = None) -> list[Row]: ...

    async def fetchrow(self, query: str, *values: Any, timeout: float | None = None) -> Row | None: ...

    async def fetchval(self, query: str, *values: Any, timeout: float | None = None) -> Any: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[Any]], columns: Sequence[str]
    ) -> str: ...

    def transaction(self, **options: Any) -> AbstractAsyncContextManager[Any]: ...

    def cursor(self, query: str, *values: Any, prefetch: int) -> AsyncIterable[Row]: ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...

    def is_closed(self) -> bool: ...

    async def close(self, *, timeout: float | None = None) -> None: ...

    def terminate(self) -> None: ...


def rows_of(status: str) -> int:
    """The count at the end of a command's status ("UPDATE 3")."""
    return int(status.rpartition(" ")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the server is and how to speak with it. `options` go to `asyncpg.connect` as they are (password, ssl, …), `libpq` to
    `psycopg.connect`, which migrates: both from `gateway.store.postgres.access`."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    libpq: Mapping[str, Any] = field(default_factory=dict, repr=False)
    application_name: str = "bankgate"
    readers: int = 4  # connections for reading, at most
    connect_seconds: float = 10.0
    statement_seconds: float = 60.0
    message_seconds: float = 600.0  # a statement about all payments of a message, of which there may be a million
    lock_seconds: float = 15.0
    # A process that is stopped in the middle of a transaction keeps its locks and holds up the feed of all others: so long.
    idle_seconds: float = 10.0

    async def connect(self, *, reads_only: bool = False) -> Connection:
        """A connection with our settings. Raises `StoreUnavailable`."""
        settings = self.settings(reads_only=reads_only)
        async with named_errors():
            try:
                connection: Connection = await asyncpg.connect(
                    self.url,
                    timeout=self.connect_seconds,
                    command_timeout=self.command_seconds,
                    server_settings=settings,
                    **self.options,
                )
            except asyncpg.UndefinedObjectError as error:  # a setting that came with version 14
                raise StoreUnavailable(f"PostgreSQL 14 or later is needed: {error}") from error
        return connection

    @property
    def command_seconds(self) -> float:
        """How long to wait for an answer: longer than the server may take, so that only a server that is gone is given up."""
        return self.statement_seconds + 5

    def settings(self, *, reads_only: bool) -> dict[str, str]:
        """Of a session: it neither hangs nor holds up the others for ever (PostgreSQL, "Client Connection Defaults")."""
        return {
            "application_name": self.application_name,
            "statement_timeout": f"{int((self.statement_seconds if reads_only else self.message_seconds) * 1000)}ms",
            "lock_timeout": f"{int(self.lock_seconds * 1000)}ms",
            "idle_in_transaction_session_timeout": f"{int(self.idle_seconds * 1000)}ms",
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "on" if reads_only else "off",
            "synchronous_commit": "on",
            # A client that is gone in the middle of a long statement is noticed, and its locks are free.
            "client_connection_check_interval": "5s",
            "jit": "off",  # plans that touch many partitions look expensive, and are not
        }


# -- errors ------------------------------------------------------------------------------------------------------------

# https://www.postgresql.org/docs/current/errcodes-appendix.html: the classes that speak about the database's surroundings and not
# about our SQL. 08 connection, 28 authorisation, 3D no such database, 53 resources (disk full, too many connections), 57 operator
# intervention (shutdown, time-outs), 58 system error, XX internal error or corruption.
_UNAVAILABLE_CLASSES = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
# 25006 read only (a standby), 25P03 idle in transaction for too long, 42501 the role may not, 42P01 the tables are not there,
# 55000 a standby that has no transactions of its own, 55P03 lock not available.
_UNAVAILABLE_CODES = frozenset({"25006", "25P03", "42501", "42P01", "55000", "55P03"})
# 40001 serialization, 40P01 deadlock: nothing is wrong, the transaction is to be run again. 0A000 and 26000: a statement prepared
# before the tables were migrated.
_AGAIN = frozenset({"40001", "40P01", "0A000", "26000"})


def sqlstate(error: BaseException) -> str:
    """The five characters; empty if the error did not come from the server."""
    return str(getattr(error, "sqlstate", None) or "") if isinstance(error, asyncpg.PostgresError) else ""


def is_to_be_run_again(error: BaseException) -> bool:
    """Whether the whole transaction is lost through nobody's fault, and may succeed the next time."""
    return sqlstate(error) in _AGAIN


def is_unavailable(error: BaseException) -> bool:
    """Whether the database could not be reached or written, as against a mistake of ours."""
    if isinstance(error, asyncpg.PostgresError):
        code = sqlstate(error)
        return code[:2] in _UNAVAILABLE_CLASSES or code in _UNAVAILABLE_CODES or code in _AGAIN
    if isinstance(error, asyncpg.DataError):  # a value that the column cannot take
        return False
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError)


def named(error: Exception) -> Exception:
    """The room's named error, if the error speaks of the surroundings; else the error itself, which is our mistake."""
    if isinstance(error, StoreUnavailable) or not is_unavailable(error):
        return error
    code = sqlstate(error) or type(error).__name__
    unavailable = StoreUnavailable(f"the database cannot be reached or written: {error or code} [{code}]")
    unavailable.__cause__ = error
    return unavailable


@asynccontextmanager
async def named_errors() -> AsyncIterator[None]:
    """Turns errors that speak of the surroundings into `StoreUnavailable`."""
    try:
        yield
    except Exception as error:
        other = named(error)
        if other is error:
            raise
        raise other from error


# -- the loop ----------------------------------------------------------------------------------------------------------


class Home:
    """The thread and the event loop in which a store's connections live. One use: started when made, ended by `close`."""

    def __init__(self, name: str = "store-postgres") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """For `call_soon_threadsafe`."""
        return self._loop

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits the work, from any event loop. Cancelling cancels the work."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise StoreUnavailable("the store is closed") from error
        return await asyncio.wrap_future(future)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The same for threads: blocks. Never from inside the loop itself."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise StoreUnavailable("the store is closed") from error
        return future.result()

    def close(self) -> None:
        """Ends the loop and the thread. Blocking; harmless to call twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


# -- reading -----------------------------------------------------------------------------------------------------------

Question = Callable[[Connection], Awaitable[T]]


async def _leave_as_it_is(connection: Any) -> None:
    """Questions leave nothing behind in a session: asking the server to tidy up would cost each of them a round trip."""


class Readers:
    """Connections that only read, lent for as long as one question takes. Lives in the `Home` loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pool: Any = None  # asyncpg's, which ships no types

    async def open(self) -> None:
        """Reaches the server once. Raises `StoreUnavailable`."""
        async with named_errors():
            self._pool = await asyncpg.create_pool(
                self._database.url,
                min_size=1,
                max_size=self._database.readers,
                timeout=self._database.connect_seconds,
                command_timeout=self._database.command_seconds,
                server_settings=self._database.settings(reads_only=True),
                reset=_leave_as_it_is,
                **self._database.options,
            )

    async def ask(self, question: Question[T]) -> T:
        """Asks, a second time if the connection turned out to be dead (the server was restarted since). `StoreUnavailable`."""
        pool = self._pool
        if pool is None:
            raise StoreUnavailable("the store is not open")
        async with named_errors():
            try:
                return await self._once(pool, question)
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError) as error:
                if isinstance(error, asyncpg.DataError):
                    raise
                await pool.expire_connections()
                return await self._once(pool, question)

    async def _once(self, pool: Any, question: Question[T]) -> T:
        async with pool.acquire(timeout=self._database.connect_seconds) as db:
            return await question(db)

    async def close(self) -> None:
        """Harmless to call twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
