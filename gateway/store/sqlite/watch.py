"""Waiting for what others write: one thread that looks at the file when it may have changed, and tells those who wait.

A change made in this process rings at once. A change made by another process is found by `PRAGMA data_version`, a look at
shared memory that costs microseconds, every few milliseconds while somebody waits, and never otherwise.

Waiting is by condition, not by signal: whoever begins to wait is first shown how things are, so nothing can be missed between
looking and waiting.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gateway.store.sqlite.connection import is_unavailable, unavailable
from gateway.store.store import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Sight:
    """How things are: the last event's number, and for each lane when it can be claimed (microseconds)."""

    last_event: int
    lanes: Mapping[str, int]


@dataclass(slots=True, eq=False)
class _Waiter:
    seen: Callable[[Sight], bool]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    interval: float


def look(db: sqlite3.Connection) -> Sight:
    """A claimed lane can be claimed again when its lease ends."""
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    lanes = dict(db.execute("SELECT lane, min(due_at) FROM wakes GROUP BY lane"))
    lanes.update(db.execute("SELECT lane, lease_until FROM lanes WHERE owner IS NOT NULL"))
    return Sight(last, lanes)


class Watch:
    """See the module."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._bell = threading.Event()
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._changed_here = True
        self._closed = False
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Something was committed in this process."""
        self._changed_here = True
        if self._waiters:
            self._bell.set()

    async def until(self, seen: Callable[[Sight], bool], *, timeout: float, interval: float) -> bool:
        """Waits until `seen` is true of how things are, or the time-out (False). `interval`: seconds between looks.

        `seen` is called in the watching thread, at every look. Raises `StoreUnavailable`.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(seen, loop, loop.create_future(), interval)
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._waiters.add(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-watch", daemon=True)
                self._thread.start()
        self._bell.set()
        try:
            async with asyncio.timeout(max(timeout, 0)):
                await waiter.future
        except TimeoutError:
            return False
        else:
            return True
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def close(self) -> None:
        """Ends the thread; whoever still waits is told `StoreUnavailable`. Blocking; harmless to call twice."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._bell.set()
        if thread is not None:
            thread.join()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        sight = Sight(0, {})
        version = -1
        while not self._closed:
            with self._lock:
                waiters = list(self._waiters)
            if not waiters:
                self._bell.wait()
                self._bell.clear()
                continue
            try:
                if db is None:
                    db = self._connect()
                # Cleared before looking: a change that comes while we look makes us look again.
                changed, self._changed_here = self._changed_here, False
                (now_version,) = db.execute("PRAGMA data_version").fetchone()
                if changed or now_version != version:
                    sight = look(db)
                    version = now_version
                seen = [waiter for waiter in waiters if waiter.seen(sight)]
            except Exception as error:
                self._changed_here = True
                if db is not None:
                    db.close()
                    db = None
                self._tell(waiters, _named(error))
                continue
            self._tell(seen, None)
            self._bell.wait(min(waiter.interval for waiter in waiters))
            self._bell.clear()
        if db is not None:
            db.close()
        with self._lock:
            waiters = list(self._waiters)
        self._tell(waiters, StoreUnavailable("the store is closed"))

    def _tell(self, waiters: list[_Waiter], error: Exception | None) -> None:
        with self._lock:
            self._waiters.difference_update(waiters)
        for loop in {waiter.loop for waiter in waiters}:
            futures = [waiter.future for waiter in waiters if waiter.loop is loop]
            with suppress(RuntimeError):  # the loop is gone, and so is everybody who waited in it
                loop.call_soon_threadsafe(_settle, futures, error)


def _named(error: Exception) -> Exception:
    return unavailable(error) if isinstance(error, sqlite3.Error) and is_unavailable(error) else error


def _settle(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # timed out or cancelled meanwhile
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
