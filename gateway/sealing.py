"""Sealing the events: made by the worker as it goes, so that no state change costs anything while a payment is on its way.

Each seal is over the next events that are not sealed, and stands with the line of the log that tells of it in one transaction. A
process that dies between two seals has sealed what it has; of two processes that seal at once the second finds the first one's
seal and goes on behind it.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from gateway.audit.events import SEAL_SALT_BYTES, LoggedEvent, Stream, seal_line, sealed
from gateway.config import AuditSettings
from gateway.store.seals import SealStore
from gateway.store.store import Clock

ROWS: Final = 10_000  # events under one seal, at most
TURNS: Final = 50  # seals of one stream before the checkpoint has its turn: of a database that has never been sealed


def _nobody(_stream: str, _seconds: float) -> None:
    pass


@dataclass(slots=True)
class Sealer:
    """Seals the events of one store. `waited`: told of each stream for how many seconds its oldest event has not been sealed."""

    store: SealStore
    settings: AuditSettings
    clock: Clock
    waited: Callable[[str, float], None] = _nobody
    rows: int = ROWS
    turns: int = TURNS

    async def seal_due(self) -> int:
        """As many as there are for whole seals, and the rest once it has waited for `seal_seconds`; how many were sealed. Of very
        many some are left for the next time."""
        return sum([await self._stream(stream, due_only=True) for stream in Stream])

    async def seal_all(self) -> int:
        """All that can be sealed now; how many were."""
        return sum([await self._stream(stream, due_only=False) for stream in Stream])

    async def _stream(self, stream: Stream, *, due_only: bool) -> int:
        count = 0
        for turn in itertools.count():
            last = await self.store.last_seal(stream)
            events = await self.store.logged_events(stream, last.last_cursor if last else "", self.rows)
            waited = (self.clock() - events[0].occurred_at).total_seconds() if events else 0.0
            self.waited(stream, max(0.0, waited))
            # An event from the future, of a machine whose clock is ahead, does not hold up those behind it.
            early = len(events) < self.rows and 0 <= waited < self.settings.seal_seconds
            if not events or (due_only and (early or turn == self.turns)):
                break
            same = _of_one_month(events)
            salt = secrets.token_bytes(SEAL_SALT_BYTES)
            seal = await asyncio.to_thread(sealed, stream, last, same, salt=salt, now=self.clock())
            if await self.store.put_seal(seal, seal_line(seal)):
                count += seal.event_count
        return count


def _of_one_month(events: Sequence[LoggedEvent]) -> list[LoggedEvent]:
    """The first ones, up to the first that will be archived with another month."""
    return list(takewhile(lambda event: event.month == events[0].month, events))
