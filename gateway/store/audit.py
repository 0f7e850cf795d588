"""The audit log as the rest of the gateway sees it. What a line is hashed over stands in `gateway.audit.chain`.

Lines are written in the transaction of what they tell: each store has a function `append(tx, records)` for its operations, which
notes them; the writer chains them all right before the commit, so that the order of the log is kept for as short as can be. Lines
of an operation that fails go with it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.audit.chain import AuditHead, AuditRow, Part
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.record import AuditRecord

LIST: Final = "audit"  # of page tokens
ROW_COLUMNS: Final = tuple(field.name for field in fields(AuditRow))
CHECKPOINT_COLUMNS: Final = tuple(field.name for field in fields(Checkpoint))
ERASED: Final = {
    Part.WHO: ("actor", "address", "factor", "who_salt"),
    Part.OBJECT: ("object_id", "object_salt"),
    Part.DETAIL: ("detail", "detail_salt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """None: any. `action`: that one, or all that begin with it and a dot; `actor`: "person: li.wei"; `until`: before it."""

    action: str | None = None
    actor: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[tuple[str, str, Any]]:
        """(column, "=" or ">=" or "<" or "prefix", value) of what is asked for."""
        asked = (
            *(("action", "prefix", self.action), ("actor", "=", self.actor), ("object_kind", "=", self.object_kind)),
            *(("object_id", "=", self.object_id), ("outcome", "=", self.outcome)),
            *(("occurred_at", ">=", self.since), ("occurred_at", "<", self.until)),
        )
        return [one for one in asked if one[2] is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditObject:
    """What a line is about, and which kind of line."""

    action: str
    object_kind: str
    object_id: str

    @property
    def filter(self) -> AuditFilter:
        """To list them."""
        return AuditFilter(action=self.action, object_kind=self.object_kind, object_id=self.object_id)

    def is_of(self, record: AuditRecord) -> bool:
        """Whether a line is one of them."""
        return (record.action, record.object_kind, record.object_id) == (self.action, self.object_kind, self.object_id)


class AuditStore(Protocol):
    """The part of `Store` about the audit log."""

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        """Writes lines about something that is no write of the store itself."""

    async def follow_audit(self, about: AuditObject, after: int, records: Sequence[AuditRecord]) -> bool:
        """Writes lines if the newest one of this action about this object still is number `after` (0: there is none); else
        nothing, and False. So of several processes that compare with what was last written down, one writes what changed."""

    async def audit_rows(self, after: int, limit: int) -> list[AuditRow]:
        """Lines with numbers above `after`, in their order."""

    async def audit_head(self) -> AuditHead:
        """The last line."""

    async def list_audit(self, where: AuditFilter, *, limit: int, before: str | None = None) -> tuple[list[AuditRow], str | None]:
        """A page, newest first, and the token of the next one."""

    async def audit_hashes(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Number and hash of lines with numbers above `after`, in their order."""

    async def erase_audit(self, numbers: Collection[int], part: Part, record: AuditRecord) -> int:
        """Takes texts and salt of that part away from these lines, and writes the line that tells it, all in one; returns of how
        many lines that had it still. For the role that owns the tables. Digests stay."""

    async def put_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keeps it; False if there is one of this size already, which stays."""

    async def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        """Those of sizes above `after`, in their order."""

    async def last_checkpoint(self) -> Checkpoint | None:
        """The newest; None before the first."""
