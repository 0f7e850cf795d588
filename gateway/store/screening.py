"""What is kept about screening: decisions that a hit is somebody else, how the lists were, and how far payments in messages were
looked at again. `ScreeningStore` is the part of the store's contract about it.

Clearances and their ends are rows that are added and never changed. A clearance is about one entry of one list as it was
(`entry_digest`), and one payee: the name as names are compared (`creditor_key`) and the account.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Protocol

from gateway.audit.record import AuditRecord
from gateway.lifecycle import PaymentState
from gateway.people.person import FactorProof
from gateway.policy.screening.plausible import Taken
from gateway.store.reviews import Waiting

IN_MESSAGES: Final = (PaymentState.BATCHED, PaymentState.SENT, PaymentState.ACCEPTED)
"""The states of payments that are in a message, or with the bank, and not at their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who decided, why, and what they proved who they are with."""

    person: str
    reason: str
    factor: FactorProof
    caller: str  # that carried it
    address: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """That a payee is not an entry of a list. `payment_id`: the payment it was decided about; `value`: what was found on the
    list; `valid_until`: the last day (UTC)."""

    clearance_id: str
    payment_id: str
    connection_id: str
    list_id: str
    entry_id: str
    entry_digest: str
    value: str
    creditor_name: str
    creditor_key: str
    creditor_account: str
    valid_until: date
    signed: Signature
    revoked: Signature | None = None


class ScreeningStore(Protocol):
    async def screening_lists(self) -> list[Taken]:
        """The lists as they were when they were last taken into use."""
        ...

    async def note_screening_lists(self, taken: Sequence[Taken]) -> None:
        """Lists are in use as they are now."""
        ...

    async def clearances_stamp(self) -> str:
        """How many were ever given, and after a point how many revoked: another one whenever something was decided."""
        ...

    async def standing_clearances(self, today: date) -> list[Clearance]:
        """Those that count on a day, in the order in which they were given."""
        ...

    async def clear_hits(self, clearances: Sequence[Clearance], audit: Sequence[AuditRecord]) -> None:
        """Writes clearances, all of them at once."""
        ...

    async def revoke_clearance(self, clearance_id: str, signed: Signature, audit: Sequence[AuditRecord]) -> None:
        """Ends a clearance for good. Raises `Stale` for one that is revoked already, or is not there."""
        ...

    async def clearance(self, clearance_id: str) -> Clearance | None: ...

    async def list_clearances(
        self, connection_ids: Sequence[str] | None, *, standing_on: date | None, limit: int, after: str | None = None
    ) -> tuple[list[Clearance], str | None]:
        """Newest first; `standing_on`: only those that count on that day; `after` is the second value of the previous answer."""
        ...

    async def in_messages(self, since: datetime, *, limit: int, after: str | None = None) -> tuple[list[Waiting], str | None]:
        """Payments in `IN_MESSAGES` that were submitted since then, in the order in which they were stored."""
        ...

    async def rescreened(self) -> str:
        """The digest of the screen by which payments in messages were last looked at; "" before the first time."""
        ...

    async def finish_rescreening(self, digest: str) -> None:
        """They were looked at by this screen."""
        ...


SIGNATURE_COLUMNS: Final = (
    *("person", "reason", "factor_kind", "factor_id", "factor_at", "factor_bound_to", "factor_evidence", "caller", "address"),
    "decided_at",
)
CLEARANCE_COLUMNS: Final = (
    *("clearance_id", "payment_id", "connection_id", "list_id", "entry_id", "entry_digest", "value", "creditor_name"),
    *("creditor_key", "creditor_account", "valid_until", *SIGNATURE_COLUMNS),
)
LIST_COLUMNS: Final = ("list_id", "list_date", "entries", "sha256", "taken_at")
_OWN: Final = len(CLEARANCE_COLUMNS) - len(SIGNATURE_COLUMNS)

Moment = Callable[[Any], Any]


def signature_values(signed: Signature, column: Moment) -> tuple[Any, ...]:
    """`SIGNATURE_COLUMNS`; `column` makes a column's value of a moment."""
    factor = signed.factor
    return (
        *(signed.person, signed.reason, factor.kind, factor.factor_id, column(factor.at), factor.bound_to, factor.evidence),
        *(signed.caller, signed.address, column(signed.at)),
    )


def clearance_values(one: Clearance, column: Moment) -> tuple[Any, ...]:
    """`CLEARANCE_COLUMNS`."""
    return (
        *(one.clearance_id, one.payment_id, one.connection_id, one.list_id, one.entry_id, one.entry_digest, one.value),
        *(one.creditor_name, one.creditor_key, one.creditor_account, one.valid_until.isoformat()),
        *signature_values(one.signed, column),
    )


def _signature(row: Sequence[Any], moment: Moment) -> Signature:
    factor = FactorProof(kind=row[2], factor_id=row[3], at=moment(row[4]), bound_to=row[5], evidence=row[6])
    return Signature(person=row[0], reason=row[1], factor=factor, caller=row[7], address=row[8], at=moment(row[9]))


def clearance_of(row: Sequence[Any], moment: Moment) -> Clearance:
    """`CLEARANCE_COLUMNS`, and those of its revocation, which are None where there is none."""
    signed, revoked = row[_OWN : len(CLEARANCE_COLUMNS)], row[len(CLEARANCE_COLUMNS) :]
    return Clearance(
        clearance_id=row[0],
        payment_id=row[1],
        connection_id=row[2],
        list_id=row[3],
        entry_id=row[4],
        entry_digest=row[5],
        value=row[6],
        creditor_name=row[7],
        creditor_key=row[8],
        creditor_account=row[9],
        valid_until=date.fromisoformat(row[10]),
        signed=_signature(signed, moment),
        revoked=None if revoked[0] is None else _signature(revoked, moment),
    )


def taken_of(row: Sequence[Any]) -> Taken:
    """The first four of `LIST_COLUMNS`."""
    return Taken(list_id=row[0], date=date.fromisoformat(row[1]), entries=row[2], sha256=row[3])


def taken_values(one: Taken) -> tuple[Any, ...]:
    """Likewise."""
    return one.list_id, one.date.isoformat(), one.entries, one.sha256
