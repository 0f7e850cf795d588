"""Seals over events, and anchors of a pruned log, as the rest of the gateway sees them (`gateway.audit.events`, `.anchor`)."""

from dataclasses import dataclass, fields
from typing import Final, Protocol

from gateway.audit.anchor import AuditAnchor
from gateway.audit.events import EventSeal, LoggedEvent, Stream
from gateway.audit.record import AuditRecord
from gateway.store.audit import AuditStore

SEAL_COLUMNS: Final = tuple(field.name for field in fields(EventSeal))
ANCHOR_COLUMNS: Final = tuple(field.name for field in fields(AuditAnchor))


class CannotPrune(Exception):
    """The lines may not go: says why. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedMonth:
    """A month whose events were archived. `month`: "2026-11"."""

    month: str
    event_count: int
    manifest_sha256: str


class SealStore(AuditStore, Protocol):
    """The part of `Store` about the audit log, with seals over events and with lines that go."""

    async def logged_events(self, stream: Stream, after: str, limit: int) -> list[LoggedEvent]:
        """The next events of a stream after a place ("": from the beginning), in their order: those before which none can appear
        any more. `month` never goes back from one seal to the next in a store whose months are told by the clock."""

    async def logged_events_of(self, stream: Stream, object_id: str) -> list[LoggedEvent]:
        """All events of a payment or a delivery, in their order."""

    async def put_seal(self, seal: EventSeal, record: AuditRecord) -> bool:
        """Keeps a seal and writes the line that tells of it, both or neither; False if there is one from there on already."""

    async def seals(self, stream: Stream, after: int, limit: int) -> list[EventSeal]:
        """Seals whose first event has a number above `after`, in their order."""

    async def last_seal(self, stream: Stream) -> EventSeal | None:
        """The newest; None before the first."""

    async def seal_over(self, stream: Stream, cursor: str) -> EventSeal | None:
        """The seal that an event at this place is under; None if it is not sealed."""

    async def archived_months(self) -> list[ArchivedMonth]:
        """In their order; none in a store that archives nothing."""

    async def anchor_audit(self, anchor: AuditAnchor, record: AuditRecord) -> None:
        """Notes that the lines up to `anchor.size` go, and writes the line that tells of it: from then on these may be removed.
        For the role that owns the tables. Raises `CannotPrune` unless a checkpoint covers exactly these lines, the last of them
        has the anchor's hash, and lines follow."""

    async def remove_pruned(self, limit: int) -> int:
        """Removes so many of the lines before the last anchor, oldest first, and after them the checkpoints before it; how many
        went, 0 when there are none left. For the role that owns the tables."""

    async def audit_anchors(self) -> list[AuditAnchor]:
        """In their order."""
