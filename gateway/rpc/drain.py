"""Stopping politely: streams that would stay open end where their reader can go on from, and nothing new is begun."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, TypeVar

from gateway.rpc.errors import Draining

T = TypeVar("T")

AHEAD_MAX = 256
"""How many items a stream may be ahead of a slow reader before its source has to wait."""


class _End:
    """Marks the end of a source in the queue between it and its reader."""


_END: Final = _End()


class Drain:
    """Whether the service is stopping. Started once, never undone."""

    def __init__(self) -> None:
        self._started = asyncio.Event()
        self._pumps: set[asyncio.Task[None]] = set()

    @property
    def started(self) -> bool:
        return self._started.is_set()

    def start(self) -> None:
        """Ends every stream that `until` is feeding."""
        self._started.set()
        for pump in tuple(self._pumps):
            pump.cancel()

    async def wait(self) -> None:
        """Until stopping has begun."""
        await self._started.wait()

    async def until(self, source: AsyncIterator[T]) -> AsyncIterator[T]:
        """The source's items, then `Draining` if stopping begins before the source ends.

        The source runs in a task of its own, so that stopping interrupts the wait for its next item and never a write to the
        client. Items already fetched are still given: a resume token given is a resume token good.
        """
        if self.started:
            raise Draining
        queue: asyncio.Queue[T | _End] = asyncio.Queue()
        room = asyncio.Semaphore(AHEAD_MAX)
        pump = asyncio.create_task(_pump(source, queue, room))
        self._pumps.add(pump)
        try:
            while not isinstance(item := await queue.get(), _End):
                room.release()
                yield item
            await asyncio.wait((pump,))
            if pump.cancelled():
                raise Draining
            await pump  # raises what the source raised
        finally:
            self._pumps.discard(pump)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)


async def _pump(source: AsyncIterator[T], queue: "asyncio.Queue[T | _End]", room: asyncio.Semaphore) -> None:
    try:
        async for item in source:
            await room.acquire()  # the queue itself has no bound, so that the mark of the end never has to wait
            queue.put_nowait(item)
    finally:
        queue.put_nowait(_END)
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
