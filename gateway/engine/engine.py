"""The contract of the engine.

A lane is a bank connection: one wake pumps everything that is due in it. An engine promises at least once and one runner per
lane; it is never the proof that something happens once (that is the store's compare-and-set, design section 5), so that it can
be exchanged without a payment noticing.

Wakes belong into the transaction that gives a lane something to do. With the engine `local` the store writes them itself, in
the same transaction as the change (`gateway.store.store`, "Wakes"): `wake` here is for what changes nothing in the store.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

Pump = Callable[[str], Awaitable[datetime | None]]
"""Does all that is due in the lane; answers when to be called again at the latest (None: when somebody wakes the lane)."""

Task = Callable[[], Awaitable[None]]
"""Something done once per tick."""


class Engine(Protocol):
    """See the module."""

    async def wake(self, lane: str, *, not_before: datetime | None = None) -> None:
        """The lane has something to do, now or from `not_before` on. Duplicate wakes are harmless. Raises `StoreUnavailable`."""

    def every(self, name: str, interval: timedelta, task: Task) -> None:
        """Runs `task` once per tick in all processes together: ticks are the multiples of `interval` since 1970.

        One that fails is tried again before the next tick. Call it before `run`.
        """

    async def run(self, pump: Pump) -> None:
        """Pumps lanes until `stop`. A pump that raises is reported and called again later."""

    async def stop(self) -> None:
        """Takes up no more lanes and waits until the pumps that run have finished. Harmless to call twice."""
