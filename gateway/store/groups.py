"""Payments that leave together, as a store keeps them: release groups, and what each of them needs to be one transaction.

A payment may name a group of its caller's and its connection's. From its first row on it then waits (`payments.release_waits`),
and the claim of a bank's lane, and the index that it goes by, pass over what waits: whatever state the payment gets, by whomever,
no message takes it. One statement ends the waiting of all members at once, in the transaction that makes the group RELEASED;
nothing else does.

    OPEN ──close──▶ CLOSED ──release──▶ RELEASED        OPEN, CLOSED ──cancel──▶ CANCELLED

To an OPEN group payments are added. It is CLOSED by saying how many they are and what they come to; then nothing is added.
It is RELEASED when exactly that many are approved, and come to exactly that. A name is used once, for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Final, Protocol

from formats.model import PaymentTerms
from gateway.audit.record import AuditRecord
from gateway.lifecycle import PaymentState
from gateway.store.records import Reason
from gateway.store.reviews import Decided, Waiting

TERMS_MAX: Final = 20  # different terms of a group that are looked at, for what is said of send windows
NO_MEMBER: Final = frozenset({PaymentState.CANCELLED})  # not counted when a group is closed: its caller took it back before
LOST: Final = NO_MEMBER | {PaymentState.REJECTED}  # will never leave


class GroupState(StrEnum):
    OPEN = "open"  # payments are added
    CLOSED = "closed"  # complete: it waits until all of its payments are approved
    RELEASED = "released"  # all of its payments may leave, since one moment
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, order=True)
class GroupKey:
    """What a group is known by: the caller it belongs to, its connection, and the name that the caller gave it."""

    caller: str
    connection_id: str
    name: str

    @property
    def group_id(self) -> str:
        """32 hex digits, the same for the same key: the first of SHA-256 over the three texts, each with a byte 0x00 behind."""
        return sha256("".join(f"{part}\0" for part in (self.caller, self.connection_id, self.name)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How many payments, and what they come to: (currency, sum) in the order of the currencies, none of them zero."""

    number_of_transactions: int
    control_sums: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseGroup:
    """A group as it stands. `expected`: what it was closed with, or what of it is to go; None while it is open.

    `members` counts its payments by state; of groups in a list that are over it is left out. `submitted` (without what was
    cancelled) and `rest` (without what was rejected, either) are there where one group was asked for.
    """

    key: GroupKey
    state: GroupState
    version: int
    expected: Figures | None
    created_at: datetime
    closed_at: datetime | None
    closed_by: str
    ended_at: datetime | None
    ended_by: str
    reason: str
    members: Mapping[PaymentState, int] = field(default_factory=dict)
    submitted: Figures | None = None
    rest: Figures | None = None

    @property
    def group_id(self) -> str:
        return self.key.group_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAct:
    """What somebody does to a group. `by`: "caller: …" or "person: …", as in the line of the audit log that goes with it."""

    by: str
    reason: str = ""
    audit: tuple[AuditRecord, ...] = ()


class GroupNotOpen(Exception):
    """New payments name groups that take no more. Nothing of the call was stored. By group, where it stands."""

    def __init__(self, groups: Mapping[GroupKey, GroupState]) -> None:
        self.groups = groups
        super().__init__(f"{len(groups)} release groups are not open")


class GroupStore(Protocol):
    """The part of the store about release groups. `Store.submit` opens a group with its first payment."""

    async def release_group(self, group_id: str, *, figures: bool = True) -> ReleaseGroup | None:
        """One group. Without `figures` as in a list, which costs little for a large one."""

    async def shut_groups(self, group_ids: Sequence[str]) -> dict[str, GroupState]:
        """Of these groups those that take no more payments, by id, and where they stand."""

    async def release_groups(
        self,
        *,
        caller: str | None = None,
        connection_ids: Sequence[str] | None = None,
        states: Sequence[GroupState] = (),
        limit: int,
        before: str | None = None,
    ) -> tuple[list[ReleaseGroup], str | None]:
        """Newest first; `before` is the second value of the previous answer (None at the end)."""

    async def group_members(
        self, group_id: str, *, states: Sequence[PaymentState] = (), limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        """Its payments (in these states, if any are named) with their reviews, in the order in which they were stored."""

    async def group_terms(self, group_id: str) -> list[PaymentTerms]:
        """The different terms of its payments that are not lost, the earliest requested date first; at most `TERMS_MAX`."""

    async def close_group(self, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
        """Closes an OPEN group whose payments, but for `NO_MEMBER`, come to this. As it then stands: still OPEN where they do
        not, and as it was where it was not open. Wakes the lane."""

    async def take_rest(self, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
        """Lets a CLOSED group go without what is lost, if the others come to this: `expected` becomes it. As it then stands."""

    async def cancel_group(self, group_id: str, act: GroupAct, told: Reason) -> ReleaseGroup:
        """Cancels an OPEN or CLOSED group with every payment of it that can be. As it then stands."""

    async def groups_to_release(self, connection_id: str) -> list[ReleaseGroup]:
        """CLOSED groups of which as many payments are approved as are to go. Without `members` and figures."""

    async def free_group(self, group_id: str, version: int, act: GroupAct, told: Reason) -> None:
        """Makes the group RELEASED and ends the waiting of its payments, an event each. Raises `Stale` if it is not CLOSED at
        this version any more, or not exactly what is to go is approved now. Wakes the lane."""

    async def unreleased_in(self, delivery_id: str) -> list[str]:
        """The ids of payments in a message whose group is not RELEASED; there are none, unless somebody wrote in the database."""

    async def decide_group(self, group_id: str, version: int, decided: Sequence[Decided]) -> None:
        """Writes one decision about each of several payments of a CLOSED group, all or none. Raises `Stale`."""


def closed(there: ReleaseGroup, expected: Figures, act: GroupAct, now: datetime) -> ReleaseGroup:
    """The group after it was closed."""
    state, version = GroupState.CLOSED, there.version + 1
    return replace(there, state=state, version=version, expected=expected, closed_at=now, closed_by=act.by)


def rest_taken(there: ReleaseGroup, expected: Figures, act: GroupAct) -> ReleaseGroup:
    """The group after the rest was taken for it."""
    return replace(there, version=there.version + 1, expected=expected, reason=act.reason)


def figures_of(totals: Mapping[tuple[str, PaymentState], tuple[int, Decimal]], without: frozenset[PaymentState]) -> Figures:
    """Of counts and sums by currency and state."""
    sums: dict[str, Decimal] = {}
    count = 0
    for (currency, state), (number, amount) in totals.items():
        if state not in without:
            count += number
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return Figures(number_of_transactions=count, control_sums=tuple(sorted(sums.items())))
