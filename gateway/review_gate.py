"""The last look at payments before their message is made: nothing leaves without the approvals that its review asks for.

Whatever happened in between (a state written by hand, a process that knew no rules, content changed in the database): each
payment of a message must have been judged, every approval that its review asks for must be there, and the digest of what is being
written must be the one that was judged and approved. It is reckoned from the very records that are rendered, while they are
rendered. Nor does anything leave of a release group that was not released, whether rules are configured or not.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from formats.instant import as_instant
from formats.model import CreditTransfer, PaymentTerms
from gateway import review_discrepancies as say
from gateway.discrepancies import Origin
from gateway.lanes import REVIEW_LANE
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, PaymentEvent, PaymentState, advance
from gateway.policy.digest import approval_digest
from gateway.reasons import ours
from gateway.review_people import approvers_of
from gateway.review_standing import Approvers, held_for, is_in_message, place_of, standing_now
from gateway.store.records import Delivery, DeliveryChange, NewDiscrepancy, Payment, PaymentChange
from gateway.store.reviews import Waiting
from gateway.store.store import Stale, Store

PAGE: Final = 500
TRIES: Final = 20
VOID, NOT_REVIEWED, GROUP = "approval-void", "not-reviewed", "group-not-released"
APPROVER_GONE, ON_LIST = "approver-gone", "hit-in-message"
_JUDGED_ANEW: Final = frozenset({NOT_REVIEWED, APPROVER_GONE, ON_LIST})
_AS_IT_SHOULD_BE: Final = frozenset({APPROVER_GONE, ON_LIST})
"""Rights and lists are changed by those who should: nobody has to look for who wrote into the database."""


class NotApproved(Exception):
    """Payments of a message must not leave: by payment id, why (`VOID`, `NOT_REVIEWED`, `APPROVER_GONE`, `ON_LIST`,
    `GROUP`)."""

    def __init__(self, payments: dict[str, str]) -> None:
        self.payments = payments
        super().__init__(f"{len(payments)} payments of a message must not leave")


@dataclass(frozen=True, slots=True)
class _Expected:
    payment_id: str
    digest: bytes
    refused: bool  # its instant attempt: what was asked for is told from what goes out now
    first_uetr: str | None

    @staticmethod
    def of(payment: Payment, digest: bytes) -> "_Expected":
        first = payment.refused
        return _Expected(payment.payment_id, digest, first is not None, None if first is None else first.uetr)

    def fits(self, connection_id: str, terms: PaymentTerms, transfer: CreditTransfer) -> bool:
        if self.refused:
            terms = replace(terms, payment_type=as_instant(terms.payment_type))
            transfer = replace(transfer, instruction_id=self.payment_id, uetr=self.first_uetr)
        return approval_digest(self.payment_id, connection_id, terms, transfer) == self.digest


@dataclass(slots=True)
class Watch:
    """What is expected of the payments of one message; `look` is told each as it is written. For one thread at a time."""

    connection_id: str
    expected: dict[str, _Expected] = field(default_factory=dict)  # by instruction id
    strict: bool = True  # every payment must have been judged
    changed: dict[str, str] = field(default_factory=dict)

    def look(self, terms: PaymentTerms, transfer: CreditTransfer) -> None:
        """Notes a payment that is not what was judged."""
        expected = self.expected.get(transfer.instruction_id)
        if expected is None:
            if self.strict:
                self.changed[transfer.instruction_id] = VOID
        elif not expected.fits(self.connection_id, terms, transfer):
            self.changed[expected.payment_id] = VOID

    def must_fit(self) -> None:
        """Raises `NotApproved` for what was noted."""
        if self.changed:
            raise NotApproved(self.changed)


@dataclass(slots=True)
class Gate:
    """The look, of one connection. `configured`: whether rules are, so that every payment must have been judged."""

    store: Store
    connection_id: str
    configured: Callable[[], bool]
    _begun: bool = False  # something was judged here once
    _ready: bool = False

    async def ready(self) -> bool:
        """Whether messages may be formed: not before everything that waited when rules came was judged by them once."""
        if not self._ready and self.configured():
            self._ready = bool((await self.store.review_book()).rules)
        return self._ready or not self.configured()

    async def watch(self, delivery: Delivery) -> Watch | None:
        """What to look for while the message is written; None: nothing was ever judged here. Raises `NotApproved`."""
        early = await self.store.unreleased_in(delivery.delivery_id)
        if early:
            raise NotApproved(dict.fromkeys(early, GROUP))
        strict = self.configured()
        if not strict and not self._begun:
            self._begun = (await self.store.review_book()).fence > 0
            if not self._begun:
                return None
        watch = Watch(self.connection_id, strict=strict)
        held: dict[str, str] = {}
        count = 0
        token: str | None = None
        while True:
            page, token = await self.store.delivery_reviews(delivery.delivery_id, limit=PAGE, after=token)
            count += len(page)
            people = await approvers_of(self.store, page)
            for one in page:
                problem = _problem(one, people, strict=strict)
                if problem is not None:
                    held[one.payment.payment_id] = problem
                elif one.review is not None:
                    watch.expected[one.payment.transfer.instruction_id] = _Expected.of(one.payment, one.review.digest)
            if token is None:
                break
        if held or count != delivery.payment_count:  # a payment was taken out of it, by a look that did not come to its end
            raise NotApproved(held)
        return watch

    async def hits(self, delivery: Delivery) -> dict[str, str]:
        """The payments of a message that were found on a list since they were put into it: what `NotApproved` takes."""
        found: dict[str, str] = {}
        token: str | None = None
        while self.configured():
            page, token = await self.store.delivery_reviews(delivery.delivery_id, limit=PAGE, after=token)
            found |= {one.payment.payment_id: ON_LIST for one in page if _problem(one, None, strict=False) == ON_LIST}
            if token is None:
                break
        return found

    async def stop(self, delivery: Delivery, problem: NotApproved) -> None:
        """Holds those payments, gives the message up and lets the others go into the next one. Raises `Stale`: then a later look
        finds the same, and goes on from there."""
        origin = Origin(connection_id=self.connection_id, inbound_file_id=0, source="gateway")
        changes: list[PaymentChange] = []
        for payment_id in problem.payments:
            found = await self.store.review(payment_id)
            if found is not None and found.payment.state is PaymentState.BATCHED:
                changes.append(_held(found, problem.payments[payment_id]))
        told = [
            _told(origin, delivery, payment_id, word)
            for payment_id, word in problem.payments.items()
            if word not in _AS_IT_SHOULD_BE
        ]
        await self.store.change_payments(changes, told)
        if not _JUDGED_ANEW.isdisjoint(problem.payments.values()):
            await self._judge_anew()
        await self.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=DeliveryEvent.ABANDON,
                next_state=advance(DELIVERY_TABLE, delivery.state, DeliveryEvent.ABANDON),
                reason=ours(VOID),
                payment_event=PaymentEvent.UNBATCH,
                payment_reason=ours("formed-again"),
            )
        )

    async def _judge_anew(self) -> None:
        """Lets the lane that judges look at everything that waits: what was held without a review is among it."""
        for _ in range(TRIES):
            with suppress(Stale):
                await self.store.finish_rules((await self.store.review_book()).fence, "")
                break
        await self.store.wake_lane(REVIEW_LANE)


def _problem(waiting: Waiting, people: Approvers | None, *, strict: bool) -> str | None:
    """Why a payment must not leave; None: it may."""
    if waiting.payment.state is not PaymentState.BATCHED:  # it was taken out already, and the message still lists it
        if _is_on_list(waiting):
            return ON_LIST
        return next((word for word in _JUDGED_ANEW if waiting.payment.reason == ours(word)), VOID)
    if waiting.review is None:
        return NOT_REVIEWED if strict else None
    found = standing_now(waiting)
    if found is None:
        return VOID
    if place_of(found) is not PaymentState.APPROVED:
        return ON_LIST if _is_on_list(waiting) else VOID
    # Complete, but for who has lost the right since, where that counts: it waits for others to approve it.
    return None if place_of(found, people) is PaymentState.APPROVED else APPROVER_GONE


def _is_on_list(waiting: Waiting) -> bool:
    return waiting.review is not None and any(map(is_in_message, waiting.review.verdict.findings))


def _told(origin: Origin, delivery: Delivery, payment_id: str, word: str) -> NewDiscrepancy:
    if word == GROUP:
        return say.group_not_released(origin, delivery, payment_id)
    return say.approval_void(origin, delivery, payment_id, word)


def _held(waiting: Waiting, word: str) -> PaymentChange:
    """What was found on a list is held by that rule, like what rules hold elsewhere, and is judged anew."""
    payment, review = waiting.payment, waiting.review
    return PaymentChange(
        payment_id=payment.payment_id,
        version=payment.version,
        event=PaymentEvent.HOLD,
        state=PaymentState.HELD,
        reason=held_for(review.verdict) if word == ON_LIST and review is not None else ours(word),
        source="review",
    )
