"""Waiting for what others write: one look at the feed's end for all who wait, when the doorbell rings or a moment has passed.

Writers ring after their commit (NOTIFY, once per commit however many events it had; inside the transaction it would make
commits of all processes queue up). A ring may get lost, with its writer or with our connection: so everybody also looks by
themselves now and then. While rows are committed that an older transaction still hides, looks come in quick succession.

Waiting is by condition, not by signal: whoever begins to wait is first shown how things are, so nothing can be missed between
looking and waiting.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.store.postgres.connection import Connection, Database, Home, Readers, named, named_errors
from gateway.store.postgres.events import Place, newest, visible_end
from gateway.store.postgres.writer import CHANNEL
from gateway.store.store import StoreUnavailable

HIDDEN_SECONDS = 0.01  # between looks while something is committed and not to be shown yet
NET_SECONDS = 1.0  # between looks without a ring
LISTEN_AGAIN_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Waiter:
    seen: Callable[[Place], bool]
    future: asyncio.Future[None]


class Watch:
    """See the module. Lives in the `Home` loop; `until` may be awaited from any loop."""

    def __init__(self, home: Home, database: Database, readers: Readers) -> None:
        self._home = home
        self._database = database
        self._readers = readers
        self._bell = asyncio.Event()
        self._waiters: set[_Waiter] = set()
        self._closed = False
        self._listening: Connection | None = None
        self._listen_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Something may have changed. In the `Home` loop."""
        self._bell.set()

    async def until(self, seen: Callable[[Place], bool], timeout: float) -> bool:
        """Waits until `seen` is true of the last row that is shown, or the time-out (False). Raises `StoreUnavailable`."""
        return await self._home.run(self._until(seen, max(timeout, 0)))

    async def _until(self, seen: Callable[[Place], bool], timeout: float) -> bool:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        waiter = _Waiter(seen, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        self._bell.set()
        try:
            async with asyncio.timeout(timeout):
                await waiter.future
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiters.discard(waiter)

    async def close(self) -> None:
        """Whoever still waits is told `StoreUnavailable`."""
        self._closed = True
        self._bell.set()
        if self._task is not None:
            await self._task

    # -- the task ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._closed:
            self._bell.clear()
            hidden = False
            if self._waiters:
                try:
                    await self._listen()
                    hidden = await self._look()
                except Exception as error:  # not swallowed: it is the answer of those who wait
                    self._tell(list(self._waiters), named(error))
            if not self._closed:
                await self._wait(HIDDEN_SECONDS if hidden else NET_SECONDS if self._waiters else None)
        self._tell(list(self._waiters), StoreUnavailable("the store is closed"))
        if self._listening is not None:
            self._listening.terminate()

    async def _look(self) -> bool:
        """Ends the waits that are over. True: there is something that cannot be shown yet."""
        waiters = list(self._waiters)
        end, oldest_running = await self._readers.ask(newest)
        hidden = end[0] >= oldest_running
        if hidden:
            end = await self._readers.ask(visible_end)
        self._tell([waiter for waiter in waiters if waiter.seen(end)], None)
        return hidden

    def _tell(self, waiters: list[_Waiter], error: Exception | None) -> None:
        for waiter in waiters:
            self._waiters.discard(waiter)
            if waiter.future.done():  # timed out or cancelled meanwhile
                continue
            if error is None:
                waiter.future.set_result(None)
            else:
                waiter.future.set_exception(error)

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    async def _listen(self) -> None:
        """Sees to it that rings are heard. Without them the looks come by themselves, so a failure is not told."""
        now = asyncio.get_running_loop().time()
        if (self._listening is not None and not self._listening.is_closed()) or now < self._listen_at:
            return
        self._listen_at = now + LISTEN_AGAIN_SECONDS
        with suppress(StoreUnavailable):
            async with named_errors():
                self._listening = await self._database.connect(reads_only=True)
                await self._listening.add_listener(CHANNEL, lambda *_: self.ring())
                self._listening.add_termination_listener(lambda *_: self.ring())
