"""What was judged of payments, and what people decided about them: as the rest of the gateway sees it.

A review is one row per judged payment; it stays when the payment's month is archived, since rules look back at it. Decisions are
rows of their own, never changed. Two compare-and-sets keep them true. The book's fence orders judgements: what rules count (sums,
past payments) only grows by judging, so two runners that both counted before either wrote are told apart by it. A review's
version orders the decisions about one payment, and its judgements anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from gateway.audit.record import AuditRecord
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.people.person import FactorProof
from gateway.policy.chain import Decision
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.subject import Past
from gateway.policy.verdict import Verdict
from gateway.store.records import NewDiscrepancy, Payment, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What later judgements look up of a payment. Accounts as `account_key` writes them, "" for none."""

    debtor_account: str
    creditor_account: str
    creditor_name: str
    creditor_key: str  # the name as names are compared
    creditor_country: str
    amount: Decimal
    currency: str
    requested_execution_date: date
    end_to_end_id: str
    remittance: str
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The last judgement of a payment. `digest`: of the content that was judged; `rules`: of the checks that judged it."""

    payment_id: str
    number: int  # the place among all judged payments, by the first judgement
    version: int
    digest: bytes
    rules: str
    verdict: Verdict
    judged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What one person decided about one payment, why, and what they proved who they are with."""

    decision: Decision
    reason: str
    factor: FactorProof
    caller: str  # that carried it
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of a payment along its table, with the reason that goes with it."""

    event: PaymentEvent
    state: PaymentState
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The judgement of one payment, to be written if the payment still is at `version`, and its review at `review` (None: it has
    none yet). `steps` move it; with none of them, `told` (if given) is an event in the state where it stands, and `stands` says
    why it does so from now on."""

    payment_id: str
    version: int
    review: int | None
    facts: Facts
    digest: bytes
    verdict: Verdict
    steps: tuple[Step, ...] = ()
    told: Reason | None = None
    stands: Reason | None = None
    discrepancies: tuple[NewDiscrepancy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision to be written if payment and review still are as they were looked at. `steps` move the payment; with none of
    them `told` is an event in the state where it stands (one approval of several), and `stands` says why it does so
    from now on."""

    payment_id: str
    version: int
    review: int
    signed: Signed
    steps: tuple[Step, ...] = ()
    told: Reason
    stands: Reason | None = None
    audit: tuple[AuditRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A payment that has not left, with its review and what was decided about it."""

    payment: Payment
    review: Review | None
    signed: tuple[Signed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Where judging stands: `fence` grows with every writing; `rules` is the digest by which all that waits was judged ("" before
    the first time, another word while it is being judged by other rules)."""

    fence: int
    rules: str


class PastBy(StrEnum):
    """What past payments are looked up by."""

    CREDITOR_ACCOUNT = "creditor_account"
    CREDITOR_KEY = "creditor_key"
    DEBTOR_ACCOUNT = "debtor_account"


class ReviewStore(Protocol):
    """The part of the store about reviews; see `gateway.store.store`."""

    async def review_book(self) -> Book: ...

    async def unjudged(self, limit: int) -> list[Waiting]:
        """RECEIVED payments, in the order in which they were stored."""

    async def waiting(
        self, states: Sequence[PaymentState], connection_ids: Sequence[str] | None, *, limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        """Payments in these states (of HELD, AWAITING_APPROVAL and APPROVED: those in no message), with their reviews, in the
        order in which they were stored; `after` is the second value of the previous answer (None at the end)."""

    async def write_judged(self, fence: int, rules: str, judged: Sequence[Judged]) -> frozenset[str]:
        """Writes what a runner found that read the book at `fence`: all of it, or `Stale` if another one has written since.

        Payments that moved meanwhile (cancelled) are left out; the ids of those that were written are the answer. Lines of the
        audit log tell the verdicts that were written (`gateway.store.review_lines`).
        """

    async def finish_rules(self, fence: int, rules: str) -> None:
        """Everything that waits was judged by these rules. Raises `Stale`."""

    async def review(self, payment_id: str) -> Waiting | None:
        """The payment with its review and decisions, wherever it stands; None if there is no such payment."""

    async def decide(self, decided: Decided) -> None:
        """Writes a decision and what follows from it, or raises `Stale`; `RightsChanged` where the person has an account that
        is not as the decision says any more: what was taken away counts nowhere from then on."""

    async def delivery_reviews(
        self, delivery_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        """The payments of a message, in order; `after` as in `waiting`."""

    async def waiting_since(self, connection_id: str) -> Mapping[PaymentState, tuple[datetime, date | None]]:
        """Of RECEIVED and AWAITING_APPROVAL, where some wait: since when the longest does, and the earliest requested execution
        date of those that were judged."""

    async def used(self, keys: Sequence[UsageKey], *, below: int | None = None) -> dict[UsageKey, Used]:
        """What totals have come to: of judged payments that are neither rejected nor cancelled. `below`: only of those that were
        judged for the first time before the one of this number."""

    async def first_paid(self, keys: Sequence[CreditorKey]) -> dict[CreditorKey, datetime | None]:
        """When the first payment to a creditor was submitted, of those that were sent and did not come back; None: never."""

    async def past(
        self, by: PastBy, keys: Sequence[str], *, since: datetime, limit: int, caller: str | None = None
    ) -> dict[str, list[Past]]:
        """Judged payments by the key (of one caller, if it is given), newest first, no more than `limit` of each; keys without
        any are left out."""
