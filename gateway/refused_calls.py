"""Calls that were refused at the door, in the audit log: each caller's first of a minute at once, with how many came before it.

A flood of them therefore fills no disk: one line a caller and minute, and one a minute for all who are nobody.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from gateway.audit.lines import by_itself
from gateway.audit.record import AuditRecord
from gateway.store.store import StoreUnavailable

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(minutes=1)
NOBODY: Final = ""  # the name under which all are counted whom no certificate names


class Log(Protocol):
    async def audit(self, records: list[AuditRecord], /) -> None: ...


class RefusedCalls:
    """Counts, and writes. Callers are those of the configuration, so there are never many."""

    def __init__(self, store: Log, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._quiet_until: dict[str, datetime] = {}
        self._more: dict[str, int] = {}

    async def note(self, caller: str, address: str, method: str, why: str) -> None:
        """`caller`: its name, or `NOBODY`. A store that cannot be written changes nothing about the refusal."""
        now = self._clock()
        if now < self._quiet_until.get(caller, now):
            self._more[caller] = self._more.get(caller, 0) + 1
            return
        self._quiet_until[caller] = now + EVERY
        await self._write([_line(caller, address, method, why, self._more.pop(caller, 0))])

    async def finish(self) -> None:
        """Writes down what was only counted, before the process ends."""
        left, self._more = self._more, {}
        if left:
            await self._write([_line(caller, "", "", "", count) for caller, count in left.items()])

    async def _write(self, records: list[AuditRecord]) -> None:
        try:
            await self._store.audit(records)
        except StoreUnavailable as error:
            log.warning("audit.refusal_not_written", error=str(error))


def _line(caller: str, address: str, method: str, why: str, more: int) -> AuditRecord:
    line = by_itself("access.refused", "method", method, address=address, why=why, more_since_the_last_line=more)
    who = f"caller: {caller}" if caller else "nobody known"
    return AuditRecord(
        action=line.action,
        actor=who,
        object_kind=line.object_kind,
        object_id=line.object_id,
        caller=caller,
        address=address,
        outcome="refused",
        detail=line.detail,
    )
