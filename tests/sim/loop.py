"""Virtual time and a process table in one event loop.

Nothing waits here: when nobody has anything to do, time jumps to the next timer. Every callback belongs to the simulated process
in whose context it was scheduled, so that a process is killed or stopped between any two awaits, the way kill -9 and SIGSTOP do:
what a dead process had scheduled does not run (no `finally`, no `except`), what a stopped one had waits until it is resumed.

Threads are simulated too: what production code hands to an executor runs at once, later by a latency from the seed.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

IDLE_STEPS_MAX = 3_000_000  # callbacks in one life; a life needs some thousands


class Endless(AssertionError):
    """The world does not come to its end."""


class Holder:
    """What the loop has to know of a process."""

    dead = False
    paused = False

    def __init__(self) -> None:
        self.held: list[asyncio.Handle] = []  # what is due and cannot run, as it is stopped or dead


OWNER: ContextVar[Holder | None] = ContextVar("OWNER", default=None)


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. `before_step` is asked before each callback of a process: the place where fate strikes."""

    def __init__(self, latency: Callable[[], float]) -> None:
        super().__init__()
        self._moment = 0.0
        self._latency = latency
        self._steps = 0
        self.before_step: Callable[[Holder], None] = lambda _: None
        self.reaping = False  # the world is over: what is left may run, in order to end

    def time(self) -> float:
        return self._moment

    def stop_the_clock_at(self, moment: float) -> None:
        """Moves time forward without running anything: the whole machine slept."""
        self._moment = max(self._moment, moment)

    def resume(self, holder: Holder) -> None:
        """SIGCONT: what had become due meanwhile runs now, in its order, and before timers that ran out since."""
        holder.paused = False
        self._ready.extend(holder.held)  # type: ignore[attr-defined]
        holder.held.clear()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._latency(), work)
        return future

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise Endless("everybody waits for somebody else")
            self._moment = max(self._moment, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._moment:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            self._step(ready.popleft())

    def _step(self, handle: asyncio.Handle) -> None:
        if handle._cancelled:
            return
        self._steps += 1
        if self._steps > IDLE_STEPS_MAX:
            raise Endless("the world does not come to its end")
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is not None and not self.reaping:
            if not owner.dead and not owner.paused:
                self.before_step(owner)
            if owner.dead or owner.paused:
                owner.held.append(handle)
                return
        handle._run()

    def _process_events(self, event_list: Any) -> None:
        return None

    def _write_to_self(self) -> None:
        return None
