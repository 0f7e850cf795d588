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
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self._latency = latency
        self._steps = 0
        self.before_step: Callable[[Holder], None] = lambda _: None
        self.reaping = False  # the world is over: what is left may run, in order to end

    def time(self) -> float:
        return self._moment

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

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        return self.call_at(self._moment + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise Endless("everybody waits for somebody else")
            self._moment = max(self._moment, timers[0][0])
        while timers and timers[0][0] <= self._moment:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: asyncio.Handle) -> None:
        self._steps += 1
        if self._steps > IDLE_STEPS_MAX:
            raise Endless("the world does not come to its end")
        context = handle._context  # type: ignore[attr-defined]
        owner = context.get(OWNER)
        if owner is not None and not self.reaping:
            if not owner.dead and not owner.paused:
                self.before_step(owner)
            if owner.dead or owner.paused:
                owner.held.append(handle)
                return
        try:
            context.run(handle._callback, *handle._args)  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.call_exception_handler({"message": f"in {handle!r}", "exception": error, "handle": handle})

    def _process_events(self, event_list: Any) -> None:
        return None

    def _write_to_self(self) -> None:
        return None
