"""Production coroutines, one step at a time, as values.

A model checker has to come back to a state and go on from there in another way; a coroutine cannot be copied. But a coroutine of
ours that touches the world only by awaiting the store or the channel is a function of the answers it was given and of when they
came. So a process is a `Node`: its task, the answers so far, and the request it now waits for an answer to. `Node.answer` gives
the next node, and is remembered, so that each stretch of production code between two awaits is run once for all the states that
share it. There is no second writing of the code under check: what is explored is `gateway.delivery`, `gateway.outcome`,
`gateway.proof`, `gateway.apply` and the decision of `gateway.use_cases.operations` themselves.

Time is in ticks. One is a second of the clock and of the loop, counted from the moment the task began.
"""

import asyncio
import math
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

BASE = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # when every task begins, as its process sees it


def moment(ticks: int) -> datetime:
    """That many ticks after the task began."""
    return BASE + timedelta(seconds=ticks)


def ticks(at: datetime | None) -> int | None:
    """The first tick not before the moment."""
    return None if at is None else math.ceil((at - BASE).total_seconds())


class HandLoop(asyncio.AbstractEventLoop):
    """The least of an event loop that tasks, futures and `asyncio.timeout` need. It moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 0
        self._soon: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return float(self.now)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers.append(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task did wrong is seen in its result."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._timers.remove(handle)

    def fire(self) -> None:
        """The timers whose time has come."""
        for handle in [one for one in self._timers if one.when() <= self.now]:
            self._timers.remove(handle)
            self._soon.append(handle)

    def turn(self) -> None:
        """Runs whatever is ready, until nothing is."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._soon:
                handle = self._soon.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(before)


@dataclass(frozen=True, slots=True)
class Request:
    """What a process waits for: a method of the store or of the channel, with its arguments."""

    name: str
    args: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()


class TimeIsUp:
    """Given as an answer: none came, and the process's own time-out fires."""


class Hands:
    """What a task sees of the world: `clock`, and objects whose every method is a request."""

    def __init__(self) -> None:
        self.loop = HandLoop()
        self.memory: Mapping[tuple[str, int], float] = {}  # what the process will still know after this task
        self.waiting: tuple[Request, asyncio.Future[Any]] | None = None

    def clock(self) -> datetime:
        return moment(self.loop.now)

    async def ask(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        future = self.loop.create_future()
        self.waiting = (Request(name, args, tuple(named.items())), future)
        try:
            return await future
        finally:
            self.waiting = None


class Asked:
    """The store or the channel as the task sees it."""

    def __init__(self, hands: Hands, **constants: Any) -> None:
        self._hands = hands
        self.__dict__.update(constants)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            return await self._hands.ask(name, args, named)

        return call


class Nothing:
    """Metrics that nobody reads."""

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        return lambda *_a, **_n: self

    def __enter__(self) -> None: ...

    def __exit__(self, *_problem: object) -> None: ...


Task = Callable[[Hands], Coroutine[Any, Any, Any]]
Answer = tuple[Hashable, int]  # a key of the answer, and the tick at which it came
Real = Callable[[Hashable], Any]  # what the key stands for: a value, an exception to raise, or TimeIsUp


@dataclass(slots=True, eq=False)
class Run:
    """A task under way."""

    hands: Hands
    task: asyncio.Task[Any]

    def give(self, answer: Any, at: int) -> None:
        loop = self.hands.loop
        loop.now = at
        assert self.hands.waiting is not None
        future = self.hands.waiting[1]
        if answer is TimeIsUp:
            loop.fire()
        elif isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        loop.turn()


@dataclass(slots=True, eq=False)
class Node:
    """A process in the middle of a task. `request` is None when the task is done; then `raised` is what came out of it."""

    number: int
    words: str  # the task, for people
    begin: Task = field(repr=False)
    history: tuple[Answer, ...]
    request: Hashable  # as the model's world encodes it
    asked: Request | None = field(repr=False)  # as the task made it
    raised: BaseException | None
    memory: frozenset[tuple[str, int]]  # of `Hands.memory`
    born: int  # the tick at which it began to wait
    run: Run | None = field(repr=False)
    following: dict[Answer, "Node"] = field(default_factory=dict, repr=False)


class Machine:
    """All the nodes there are. `encode` makes a hashable word of a request; `real` makes an answer of its key."""

    def __init__(self, encode: Callable[[Request], Hashable], real: Real) -> None:
        self._encode = encode
        self._real = real
        self.nodes: list[Node] = []
        self._first: dict[Hashable, Node] = {}

    def start(self, key: Hashable, words: str, begin: Task) -> Node:
        """The task at its first request. `key` tells tasks apart."""
        node = self._first.get(key)
        if node is None:
            node = self._first[key] = self._node(words, begin, (), self._run(begin))
        return node

    def answer(self, node: Node, key: Hashable, at: int) -> Node:
        """The process after this answer."""
        following = node.following.get((key, at))
        if following is None:
            run, node.run = node.run, None
            if run is None:
                run = self._run(node.begin)
                for earlier, when in node.history:
                    run.give(self._real(earlier), when)
            run.give(self._real(key), at)
            history = (*node.history, (key, at))
            following = node.following[key, at] = self._node(node.words, node.begin, history, run)
        return following

    def _run(self, begin: Task) -> Run:
        hands = Hands()
        task = asyncio.Task(begin(hands), loop=hands.loop)
        hands.loop.turn()
        return Run(hands, task)

    def _node(self, words: str, begin: Task, history: tuple[Answer, ...], run: Run) -> Node:
        raised, asked = None, None
        if run.task.done():
            raised = run.task.exception()
        else:
            assert run.hands.waiting is not None, f"{words}: waits for something else than the store and the channel"
            asked = run.hands.waiting[0]
        request = None if asked is None else self._encode(asked)
        waiting = None if asked is None else run
        memory = frozenset(run.hands.memory)
        node = Node(len(self.nodes), words, begin, history, request, asked, raised, memory, run.hands.loop.now, waiting)
        self.nodes.append(node)
        return node
