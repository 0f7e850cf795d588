"""The least time between two requests of one login: banks cut off, or lock, who asks too often.

Every channel of a process that uses the same login at the same address shares one pace, on whatever thread or loop it runs.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Pace:
    """Of one login. `clock` is monotonic, in seconds."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free: float | None = None  # from when on the next request may leave; None: at once

    @asynccontextmanager
    async def turn(self, pause: float) -> AsyncIterator[None]:
        """Waits until a request may leave; `pause` seconds after it began, and again after it ended, the next one may.

        A turn that is given up while waiting takes nobody's place; one that is given up later leaves its pause behind.
        """
        while (wait := self._take(pause)) > 0:
            await self._sleep(wait)
        try:
            yield
        finally:
            with self._lock:
                self._later(pause)

    def _take(self, pause: float) -> float:
        """0 and the turn is ours, or how long to wait before asking again."""
        with self._lock:
            now = self._clock()
            if self._free is not None and now < self._free:
                return self._free - now
            self._later(pause)
            return 0.0

    def _later(self, pause: float) -> None:
        free = self._clock() + pause
        self._free = free if self._free is None else max(self._free, free)


_shared: WeakValueDictionary[tuple[str, str], Pace] = WeakValueDictionary()
_shared_lock = threading.Lock()


def shared_pace(address: str, login: str) -> Pace:
    """The pace of a login at an address, the same for all who ask for it and while one of them holds it."""
    with _shared_lock:
        found = _shared.get((address, login))
        if found is None:
            found = _shared[address, login] = Pace()
        return found
