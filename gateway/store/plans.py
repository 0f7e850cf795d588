"""Beneficiaries, templates and standing orders as a store keeps them: what is there, every version of it, and the words by which
it is found; and of standing orders, what became of each due date.

What they say is JSON that the store does not read. Nothing is deleted; what is over is ENDED. `handled_until` is the last due
date of a standing order about which something is written down: it only grows, in the transaction that writes, so that a date is
handled once whatever fails in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Protocol

from gateway.audit.record import AuditRecord
from gateway.store.records import NewDiscrepancy

FEW: Final = 3_000
"""Words that begin alike, up to which all of them are looked at in a search."""
WALKED: Final = (64, 2_000)
"""So many beneficiaries are looked at, the best first, where every beginning of a search is more common than that: those used
lately, then as many of the others; and so many where these were not enough."""


class PlanKind(StrEnum):
    BENEFICIARY = "beneficiary"
    TEMPLATE = "template"
    STANDING_ORDER = "standing_order"


class PlanState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class OccurrenceState(StrEnum):
    SUBMITTED = "submitted"
    LATE = "late"  # submitted after its day
    SKIPPED = "skipped"
    MISSED = "missed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """What a plan is known by: the caller it belongs to, and the id that the caller gave it."""

    kind: PlanKind
    caller: str
    plan_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as it stands. `look_at`: when the worker looks at a standing order next; None: never."""

    key: PlanKey
    version: int
    state: PlanState
    content: str
    used: int
    last_used_at: datetime | None
    handled_until: date | None
    look_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWrite:
    """`version`: the one that must be there; None: any, or none. `handled_until` counts for what is new or was ended. `words`
    replace those before. `audit`: what is written down of it if it changes anything."""

    key: PlanKey
    state: PlanState
    content: str
    changed_by: str
    reason: str = ""
    version: int | None = None
    words: tuple[str, ...] = ()
    handled_until: date | None = None
    look_at: datetime | None = None
    audit: tuple[AuditRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    """One version of a plan. `changed_by`: as `gateway.callers.Caller.actor` says."""

    version: int
    state: PlanState
    content: str
    changed_by: str
    reason: str
    changed_at: datetime

    @property
    def person(self) -> str:
        """The person who made it; "" where no person did."""
        kind, _, name = self.changed_by.partition("person: ")
        return "" if kind else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What became of a due date. `payment_id` None: there is no payment of it."""

    due_date: date
    state: OccurrenceState
    payment_reference: str
    payment_id: str | None
    detail: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOccurrence:
    """To be written for the plan in this version; see `PlanStore.record_occurrence`."""

    key: PlanKey
    version: int
    due_date: date
    state: OccurrenceState
    payment_reference: str
    payment_id: str | None = None
    detail: str = ""
    look_at: datetime | None = None
    discrepancies: Sequence[NewDiscrepancy] = ()


class PlanStore(Protocol):
    """The part of the store about plans."""

    async def put_plan(self, write: PlanWrite) -> Plan:
        """Adds a plan or a version of it; the same content and state as before changes nothing. Wakes the lane of plans where
        it is to be looked at. Raises `Stale` if another version is there than the one that must be."""

    async def plan(self, key: PlanKey) -> Plan | None: ...

    async def list_plans(
        self, kind: PlanKind, caller: str, *, include_ended: bool, limit: int, before: str | None = None
    ) -> tuple[list[Plan], str | None]:
        """Newest first."""

    async def plan_versions(self, key: PlanKey) -> list[PlanVersion]:
        """Newest first."""

    async def search_plans(
        self, caller: str, beginnings: Sequence[Sequence[str]], *, used_since: datetime, limit: int
    ) -> tuple[list[Plan], bool]:
        """The caller's active beneficiaries that have, for each of these, a word that begins with one of its beginnings. Those
        used since that moment first, and of them the most used; then the last used. False: so many fit that not all were looked
        at, which takes more than `FEW` words for each beginning, and more beneficiaries than are `WALKED`."""

    async def use_plan(self, key: PlanKey) -> None:
        """Counts one use more. Passes over what is not there."""

    async def due_plans(self, now: datetime, limit: int) -> list[Plan]:
        """Those to be looked at, the longest due first."""

    async def next_plan_due(self) -> datetime | None: ...

    async def look_at_plan(self, key: PlanKey, version: int, look_at: datetime | None) -> None:
        """When to look at it next; passes over a plan that changed meanwhile, which is due already."""

    async def record_occurrence(self, new: NewOccurrence) -> None:
        """Writes down what became of a due date, with the discrepancies that tell a person. `look_at` counts if the plan is still
        in this version. Raises `Stale` if that date was handled before."""

    async def occurrences(self, key: PlanKey, *, limit: int, before: str | None = None) -> tuple[list[Occurrence], str | None]:
        """Newest due date first; `before` is the second value of the previous answer."""


def due_token(before: str | None) -> str:
    """The due date of a page token; without one, one above every date. Raises ValueError if it is no token of this list."""
    if before is None:
        return "9999-99-99"
    name, _, day = before.partition(".")
    if name != "occurrences":
        raise ValueError("not a page token of this list")
    return date.fromisoformat(day).isoformat()
