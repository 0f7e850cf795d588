"""What people decide about payments that rules stopped: looking at them, approving, releasing, refusing.

A decision is a signed-in person's, never a caller's. It names the digest of what the person saw: if the payment is another by
then, it is refused. It needs a second factor given for exactly this decision; the proof is kept beside it. Decision, change of
state, event and line of the audit log are one transaction.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.lifecycle import PaymentState
from gateway.payee.check import PayeeCheck
from gateway.people.desk import Source
from gateway.people.factors import SecondFactor
from gateway.people.people import People
from gateway.people.person import Acting, FactorProof, Person
from gateway.policy.chain import (
    Choice,
    Decision,
    NotAllowed,
    Progress,
    Standing,
    after,
    may_approve,
    may_refuse,
    may_release,
    progress,
)
from gateway.policy.cutoff import approve_by, late_words
from gateway.policy.texts import Words
from gateway.reasons import ours
from gateway.review_people import approvers_of
from gateway.review_standing import (
    VOID,
    Approvers,
    may_be_decided,
    place_of,
    purpose,
    standing,
    subject_of,
    way,
    why,
)
from gateway.store.records import Payment
from gateway.store.reviews import Decided, Review, Signed, Waiting
from gateway.store.store import Clock, RightsChanged, Stale, Store
from gateway.telemetry import Metrics
from gateway.use_cases.desk import Desk, need_reason, one_page, page_size
from gateway.window_answer import window_answer
from gateway.window_settings import send_window

FRESH: Final = timedelta(minutes=5)  # so old a second factor may be
TRIES: Final = 5
CHANGED: Final = "changed"
_LISTED: Final = (PaymentState.AWAITING_APPROVAL, PaymentState.HELD)
_RIGHTS_CHANGED: Final = "your rights were changed while you decided: look again / 您的权限在决定期间已变更，请重新查看"
_TOO_LATE: Final = frozenset({"ended", "complete", "not-held", CHANGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFactor:
    """What a person gives as a second factor: one of the four. The last two answer a challenge."""

    totp_code: str = ""
    recovery_code: str = ""
    assertion: str = ""  # JSON, as navigator.credentials.get() gives it
    id_token: str = ""
    challenge_id: str = ""


class Prover(Protocol):
    """How people prove who they are."""

    async def prove(self, acting: Acting, factor: GivenFactor, bound_to: bytes) -> FactorProof:
        """Takes the second factor for this purpose and uses it up. Raises an error of the caller's if it is not right."""


class PeopleProver:
    """Those who have accounts here."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def prove(self, acting: Acting, factor: GivenFactor, bound_to: bytes) -> FactorProof:
        assert acting.person is not None  # noqa: S101 - only people decide
        given = SecondFactor(**asdict(factor))
        return await self._people.prove(
            acting.person, given, bound_to, source=Source(caller=acting.caller, address=acting.address)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A payment before the people who decide about it.

    `digest`: of the content as it is, which a decision names. `intact`: that is what was judged. `approve_by`: when the last
    window for the requested date closes (None: not known, or always open); `late`: what is said of an approval after that.
    `people`: those who approved, as they are now, where a rule looks at them again.
    """

    payment: Payment
    review: Review
    signed: tuple[Signed, ...]
    digest: bytes
    intact: bool
    progress: tuple[Progress, ...] = ()
    holds: frozenset[str] = frozenset()
    people: Approvers | None = None
    approve_by: datetime | None = None
    late: Words | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What can be decided about it now, by whoever may."""
        if not may_be_decided(self.payment):
            return ()
        if self.payment.state is PaymentState.AWAITING_APPROVAL:
            return (Choice.APPROVE, Choice.REFUSE) if self.intact else (Choice.REFUSE,)
        if self.payment.state is PaymentState.HELD:
            sound = self.intact and self.holds and self.payment.reason.code != VOID
            return (Choice.RELEASE, Choice.REFUSE) if sound else (Choice.REFUSE,)
        return ()


class Approvals(Desk):
    """The use cases of people who decide. `prover` is set where people can sign in."""

    def __init__(self, configuration: Configuration, store: Store, *, clock: Clock, metrics: Metrics) -> None:
        super().__init__(configuration, store, clock=clock, metrics=metrics)
        self.prover: Prover | None = None
        self._judged_once = False

    async def list_approvals(
        self, caller: Caller, connection_id: str | None, states: Sequence[PaymentState], limit: int, token: str | None
    ) -> tuple[list[Case], str | None]:
        """What waits for people, the longest waiting first: of the states AWAITING_APPROVAL and HELD, both by default."""
        self._authorise(caller, "approve", connection_id)
        wanted = tuple(states) or _LISTED
        if not set(wanted) <= set(_LISTED):
            raise BadRequest("states", "payments wait for people as AWAITING_APPROVAL or HELD")
        found, following = await one_page(
            self._store.waiting(wanted, self._visible(caller, "approve", connection_id), limit=page_size(limit), after=token)
        )
        people = await approvers_of(self._store, found)
        return [self._case(one, people) for one in found if one.review is not None and may_be_decided(one.payment)], following

    async def approval(self, caller: Caller, payment_id: str) -> Case:
        """One payment with what rules found and people decided, wherever it stands. Raises NotFound."""
        self._authorise(caller, "approve")
        found = await self._judged(caller, payment_id)
        return self._case(found, await approvers_of(self._store, [found]))

    async def payee_of(self, payment: Payment) -> PayeeCheck | None:
        """The latest answer about the payee that the payment names now; None if there is none."""
        kept = await self._store.payee_checks([payment.payment_id])
        return next((one for one in kept.get(payment.payment_id, ()) if one.is_about(payment.asked_transfer)), None)

    async def case_of(self, payment: Payment) -> Case | None:
        """Likewise, for a payment that its caller was shown; None if no rules judged it."""
        if not self._judged_once:
            self._judged_once = (await self._store.review_book()).fence > 0
        found = await self._store.review(payment.payment_id) if self._judged_once else None
        if found is None or found.review is None:
            return None
        return self._case(found, await approvers_of(self._store, [found]))

    async def decide(
        self,
        caller: Caller,
        acting: Acting,
        payment_id: str,
        choice: Choice,
        *,
        digest: bytes,
        seen: int,
        reason: str,
        factor: GivenFactor,
    ) -> Case:
        """A person's decision about what they saw: `digest` of the content, `seen` the version of the review (0: not said; a
        release has to say it, since it is about what held the payment then).

        Raises Forbidden (not theirs to decide), TooLate (decided already, changed, gone), BadRequest, NotFound.
        """
        self._authorise(caller, "approve")
        person = acting.person
        if person is None or self.prover is None:
            raise Forbidden("people decide about payments, not callers: sign in, and send the session along")
        if choice is not Choice.APPROVE:
            need_reason(reason)
        if choice is Choice.RELEASE and not seen:
            raise BadRequest("review_version", "say which version of the review you looked at: a release is about what it found")
        proof: FactorProof | None = None
        for _ in range(TRIES):
            waiting = await self._judged(caller, payment_id)
            people = await approvers_of(self._store, [waiting])
            case, subject = self._case(waiting, people), subject_of(waiting.payment)
            now = standing(subject, case.review.verdict, waiting.signed)
            if seen not in {0, case.review.version}:
                raise TooLate("rules or people have said something else since you looked: look at it again", CHANGED)
            _may(case, now, person, choice, digest)
            if proof is None:
                proof = await self._proof(acting, choice, digest, factor)
            decided = self._decided(case, now, _Wish(choice, acting, person, proof, reason))
            try:
                await self._store.decide(decided)
            except RightsChanged:
                raise Forbidden(_RIGHTS_CHANGED) from None
            except Stale:  # somebody else decided, or rules changed: it is looked at again
                continue
            return await self.approval(caller, payment_id)
        raise TooLate("the payment keeps changing; look again", CHANGED)

    async def _judged(self, caller: Caller, payment_id: str) -> Waiting:
        found = await self._store.review(payment_id)
        if found is None or found.review is None or not caller.may("approve", found.payment.connection_id):
            raise NotFound("there is no such payment that rules have judged")
        return found

    async def _proof(self, acting: Acting, choice: Choice, digest: bytes, factor: GivenFactor) -> FactorProof:
        """A second factor given just now for this decision, and for nothing else."""
        assert self.prover is not None  # noqa: S101 - asked before
        bound_to = purpose(choice, digest)
        proof = await self.prover.prove(acting, factor, bound_to)
        age = self._clock() - proof.at
        if proof.bound_to != bound_to.hex() or not -FRESH <= age <= FRESH:
            raise Forbidden("the second factor was not given for this decision, or not just now")
        return proof

    def _case(self, waiting: Waiting, people: Approvers | None) -> Case:
        payment, review = waiting.payment, waiting.review
        subject = subject_of(payment)
        assert review is not None  # noqa: S101 - only payments that were judged are shown
        found = standing(subject, review.verdict, waiting.signed)
        by, late = self._in_time(payment, self._clock())
        return Case(
            payment=payment,
            review=review,
            signed=waiting.signed,
            digest=found.digest,
            intact=found.digest == review.digest,
            progress=progress(found, people),
            holds=found.held_by,
            people=people,
            approve_by=by,
            late=late,
        )

    def _in_time(self, payment: Payment, at: datetime) -> tuple[datetime | None, Words | None]:
        """Until when it has to be approved for the date it asks for; and what is said of an approval after that."""
        settings = self._configuration.connections.get(payment.connection_id)
        window = None if settings is None else send_window(settings)
        if window is None or payment.state not in _LISTED:
            return None, None
        by = approve_by(window, payment.terms)
        if by is None or at < by:
            return by, late_words(window, payment.terms, at)
        requested, answer = payment.terms.requested_execution_date, window_answer(window, payment.terms, at)
        return by, (
            f"An approval now comes after the last window for {requested}. {answer.text_en}",
            f"现在审批已晚于 {requested} 的最后发送窗口。{answer.text_zh}",
        )

    def _decided(self, case: Case, found: Standing, wish: "_Wish") -> Decided:
        payment, review, now = case.payment, case.review, self._clock()
        holds = found.held_by if wish.choice is Choice.RELEASE else frozenset()
        decision = Decision(choice=wish.choice, person=wish.person, digest=found.digest, at=now, holds=holds)
        people = None if case.people is None else {**case.people, wish.person.name: wish.person}
        following = after(found, decision, people)
        there = place_of(following, people)
        told = why(following, review.verdict, ours("reviewed"), people)
        if there is PaymentState.REJECTED:
            told = ours("refused-by-person", wish.reason[:500])
        signed = Signed(
            decision=decision,
            reason=wish.reason,
            factor=wish.proof,
            caller=wish.acting.caller,
            address=wish.acting.address,
        )
        return Decided(
            payment_id=payment.payment_id,
            version=payment.version,
            review=review.version,
            signed=signed,
            steps=way(payment.state, there, told),
            told=replace(told, code=_TOLD[wish.choice]),
            stands=told,
            audit=(_line(payment, signed, there),),
        )


@dataclass(frozen=True, slots=True)
class _Wish:
    """A decision before it is put to the payment."""

    choice: Choice
    acting: Acting
    person: Person
    proof: FactorProof
    reason: str


_TOLD: Final = {
    Choice.APPROVE: "bankgate.approved-in-part",
    Choice.RELEASE: "bankgate.released-in-part",
    Choice.REFUSE: "bankgate.refused-by-person",
}


def _may(case: Case, now: Standing, person: Person, choice: Choice, digest: bytes) -> None:
    """Raises `TooLate` or `Forbidden` where the person may not decide this, or it is not what they saw."""
    payment = case.payment
    if digest != case.digest:
        raise TooLate("the payment is not what you decided about: look at it again", CHANGED)
    if choice not in case.choices:
        if not case.intact and choice is not Choice.REFUSE:
            raise TooLate("what is stored is not what was judged: refuse it, and submit the payment anew", CHANGED)
        raise TooLate(f"the payment is {payment.state.value}; that is not decided about it now", payment.state.value)
    subject = subject_of(payment)
    refused: NotAllowed | None
    if choice is Choice.APPROVE:
        refused = may_approve(now, person, subject, case.people)
    else:
        refused = {Choice.REFUSE: may_refuse, Choice.RELEASE: may_release}[choice](now, person, subject)
    if refused is None:
        return
    if refused.code in _TOO_LATE:
        raise TooLate(f"{refused.text_en} / {refused.text_zh}", payment.state.value)
    raise Forbidden(f"{refused.text_en} / {refused.text_zh}")


def _line(payment: Payment, signed: Signed, there: PaymentState) -> AuditRecord:
    decision = signed.decision
    detail = {
        "choice": decision.choice.value,
        "digest": decision.digest.hex(),
        "holds": sorted(decision.holds),
        "reason": signed.reason,
        "state": there.value,
        "bound_to": signed.factor.bound_to,
    }
    return AuditRecord(
        action="approval.decided",
        actor=f"person: {decision.person.name}",
        object_kind="payment",
        object_id=payment.payment_id,
        caller=signed.caller,
        address=signed.address,
        factor=f"{signed.factor.kind} {signed.factor.factor_id}",
        detail=json.dumps(detail, ensure_ascii=False, sort_keys=True),
    )
