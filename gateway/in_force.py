"""What is in force (configuration, rules, keys) compared with what the audit log last said is: a change is told once.

Whoever changes a file leaves no name, and may do it while no process runs. So the log keeps the last state of each kind as a line
of its own (`….in_force`), and a process that starts, or reads something again, compares what it sees with that line. What differs
becomes a line per thing, in one transaction with the new state, and only if the line it was compared with still is the last one:
of several processes that see the same change one writes it, and a change that was made while all of them were down is told at the
next start.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway import clock
from gateway.audit.lines import by_itself
from gateway.audit.record import AuditRecord
from gateway.store.audit import AuditObject, AuditStore
from gateway.store.store import Stale

log = structlog.get_logger("in_force")

GATEWAY: Final = "gateway"
TRIES: Final = 20  # against other processes that write the same kind
FORM: Final = 1
LOOK_AGAIN: Final = timedelta(days=1)  # at what the log says, while nothing changes here
RENEW_AFTER: Final = timedelta(days=7)  # so that a state never is as old as lines that are taken away for their age


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one process sees in force. `kind`: "configuration", "rules" or "keys".

    `parts`: by name, what each thing is known by: a digest, a fingerprint, a version; no secret, and nothing that a secret or an
    account number could be found by. `unseen`: names, or beginnings of names, that this process cannot look at: of those what was
    written down before goes on. `whole`: a digest of everything, for what no part tells.
    """

    kind: str
    parts: Mapping[str, str]
    unseen: tuple[str, ...] = ()
    whole: str = ""

    @property
    def about(self) -> AuditObject:
        """The lines that hold the state of this kind."""
        return AuditObject(action=f"{self.kind}.in_force", object_kind=self.kind, object_id=GATEWAY)


_ACTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "configuration": {"": "configuration"},
    "keys": {"": "key"},
    "rules": {"policy ": "policy", "screening list ": "screening_list", "": "review_setting"},
}
"""By kind and beginning of a part's name: the kind of thing that it is, as the log calls it."""


@dataclass(slots=True)
class InForce:
    """Of one process: what it has told already, so that it asks the log only when something is different from before.

    Two processes that see different files (machines that were not set up alike) each tell what they see when they start or when
    it changes, and not over and over."""

    store: AuditStore
    seen_by: str = field(default_factory=lambda: process_name("process"))
    clock: Callable[[], datetime] = clock.now
    _told: dict[str, tuple[View, datetime]] = field(default_factory=dict)

    async def tell(self, view: View) -> list[AuditRecord]:
        """Compares, and writes what changed: the lines about it, none if nothing did. Raises `StoreUnavailable`, `Stale`."""
        moment = self.clock()
        told, at = self._told.get(view.kind, (None, moment))
        if told == view and moment - at < LOOK_AGAIN:
            return []
        for _ in range(TRIES):
            rows, _ = await self.store.list_audit(view.about.filter, limit=1)
            last = rows[0] if rows else None
            before = None if last is None else _parts_of(last.detail)
            now = _merged(view, before[0] if before else {})
            same = before == (now, view.whole) and last is not None and moment - last.occurred_at < RENEW_AFTER
            if same or (before is None and not now):
                self._told[view.kind] = view, moment
                return []
            changes = [] if before is None else self._changes(view, *before, now)
            state = by_itself(
                view.about.action,
                view.kind,
                GATEWAY,
                form=FORM,
                parts=now,
                whole=view.whole,
                seen_by=self.seen_by,
                changes=len(changes),
            )
            if await self.store.follow_audit(view.about, 0 if last is None else last.number, [*changes, state]):
                self._told[view.kind] = view, moment
                for one in changes:
                    log.warning(one.action, object=one.object_id, seen_by=self.seen_by)
                return changes
        raise Stale(f"other processes keep writing what is in force ({view.kind})")

    def _changes(self, view: View, before: Mapping[str, str], whole: str, now: Mapping[str, str]) -> list[AuditRecord]:
        named = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
        if not named and view.whole != whole:
            return [self._line(view.kind, "whole", whole, view.whole)]
        return [self._line(view.kind, name, before.get(name), now.get(name)) for name in named]

    def _line(self, kind: str, name: str, was: str | None, now: str | None) -> AuditRecord:
        prefix, thing = next(one for one in _ACTIONS[kind].items() if name.startswith(one[0]))
        source = f"files on disk, read by {self.seen_by}"
        return by_itself(f"{thing}.changed", thing, name.removeprefix(prefix), was=was, now=now, by="unknown", source=source)


def process_name(process: str) -> str:
    """How a process is called where it says what it saw: "worker@host (pid 4711)"."""
    return f"{process}@{socket.gethostname()} (pid {os.getpid()})"


def _merged(view: View, before: Mapping[str, str]) -> dict[str, str]:
    kept = {name: known for name, known in before.items() if name not in view.parts and name.startswith(view.unseen)}
    return dict(view.parts) | kept


def _parts_of(detail: str | None) -> tuple[dict[str, str], str] | None:
    """Of a line that holds a state; None of one of another form, or erased: then there is nothing to compare with."""
    try:
        found: dict[str, Any] = json.loads(detail or "")
        if found["form"] != FORM:
            return None
        return {str(name): str(known) for name, known in found["parts"].items()}, str(found["whole"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
