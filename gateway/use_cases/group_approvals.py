"""What people decide about a release group as a whole: one look, one second factor, a decision about each payment.

The digest that a person names is of all payments of the closed group that are not lost, so whoever changes one of them, or takes
one out, makes it another:

    digest = SHA-256( "bankgate release group" 0x01 group_id 0x00 ( payment_id 0x00 approval_digest )* )

over the payments in the order in which they were stored; `approval_digest` is that of `gateway.policy.digest`. Decided about are
those that wait for approval, all of them or none: for each the rules of a single decision hold (not who submitted it, whose turn
it is, nobody twice), and each keeps its own decision with the proof. What rules hold is looked at one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from gateway.audit.lines import detail_text
from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.errors import Forbidden, NotFound, TooLate, TooMany
from gateway.lifecycle import PaymentState
from gateway.people.person import Acting, FactorProof, Person
from gateway.policy.chain import Choice
from gateway.policy.digest import digest_of
from gateway.release_groups import KIND
from gateway.review_people import approvers_of
from gateway.review_standing import standing, subject_of
from gateway.store.groups import LOST, GroupState, ReleaseGroup
from gateway.store.reviews import Decided, Waiting
from gateway.store.store import RightsChanged, Stale
from gateway.use_cases.approvals import CHANGED, RIGHTS_CHANGED, TRIES, Approvals, Case, GivenFactor, Wish, may_decide
from gateway.use_cases.desk import need_reason

MEMBERS_MAX: Final = 2_000  # of a group that is decided about as a whole: what one person can look at, and one transaction hold
PAGE: Final = 500
_PREFIX: Final = b"bankgate release group\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCase:
    """A closed group before the people who decide. `awaiting`: its payments that wait for approval."""

    group: ReleaseGroup
    digest: bytes
    awaiting: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    case: GroupCase
    waiting: tuple[Waiting, ...]


def group_digest(group_id: str, members: Sequence[Waiting]) -> bytes:
    """What a decision about these payments of a group names; see the module."""
    digest = sha256(_PREFIX + group_id.encode() + b"\x00")
    for one in members:
        digest.update(one.payment.payment_id.encode() + b"\x00" + digest_of(subject_of(one.payment)))
    return digest.digest()


class GroupApprovals(Approvals):
    """The use cases of people who decide, about groups too."""

    async def group_case(self, caller: Caller, group_id: str) -> GroupCase:
        """One group, whoever submitted it. Raises NotFound, TooMany, TooLate for one that is not closed."""
        self._authorise(caller, "approve")
        return (await self._group(caller, group_id)).case

    async def decide_group(
        self,
        caller: Caller,
        acting: Acting,
        group_id: str,
        choice: Choice,
        *,
        digest: bytes,
        reason: str,
        factor: GivenFactor,
    ) -> tuple[ReleaseGroup, int]:
        """A person's decision, APPROVE or REFUSE, about all payments of a group that wait for approval: the group after it, and
        how many they were.

        Raises Forbidden (one of them is not theirs to decide), TooLate (changed, gone, nothing waits), BadRequest, NotFound,
        TooMany. Then nothing was decided.
        """
        self._authorise(caller, "approve")
        person = acting.person
        if person is None or self.prover is None:
            raise Forbidden("people decide about payments, not callers: sign in, and send the session along")
        if choice is not Choice.APPROVE:
            need_reason(reason)
        proof: FactorProof | None = None
        for _ in range(TRIES):
            found = await self._group(caller, group_id)
            _may_all(found, person, choice, digest)
            if proof is None:
                proof = await self._proof(acting, choice, digest, factor)
            decided = self._all_decided(found, Wish(choice, acting, person, proof, reason))
            try:
                await self._store.decide_group(group_id, found.case.group.version, decided)
            except RightsChanged:
                raise Forbidden(RIGHTS_CHANGED) from None
            except Stale:  # somebody else decided, or one of them moved: it is looked at again
                continue
            after = await self._store.release_group(group_id)
            assert after is not None  # noqa: S101 - groups stay
            return after, len(decided)
        raise TooLate("payments of the group keep changing; look again", CHANGED)

    async def _group(self, caller: Caller, group_id: str) -> _Found:
        group = await self._store.release_group(group_id)
        if group is None or not caller.may("approve", group.key.connection_id):
            raise NotFound("there is no such release group")
        if group.state is not GroupState.CLOSED:
            raise TooLate(
                f"the group is {group.state.value}: only a closed group is decided about as a whole / "
                f"放行组状态为 {group.state.value}，只有已封闭的组可整体审批",
                group.state.value,
            )
        live = sum(number for state, number in group.members.items() if state not in LOST)
        if live > MEMBERS_MAX:
            raise TooMany(f"the group has {live} payments; of more than {MEMBERS_MAX} each is decided about for itself")
        members: list[Waiting] = []
        after: str | None = None
        while True:
            page, after = await self._store.group_members(group_id, limit=PAGE, after=after)
            members += [one for one in page if one.payment.state not in LOST]
            if after is None:
                break
        waiting = tuple(one for one in members if one.payment.state is PaymentState.AWAITING_APPROVAL and one.review is not None)
        people = await approvers_of(self._store, waiting)
        awaiting = tuple(self._case(one, people) for one in waiting)
        case = GroupCase(group=group, digest=group_digest(group_id, members), awaiting=awaiting)
        return _Found(case=case, waiting=waiting)

    def _all_decided(self, found: _Found, wish: Wish) -> list[Decided]:
        """A decision about each, and the line of the audit log about the whole with the first."""
        decided = [
            self._decided(case, standing(subject_of(one.payment), case.review.verdict, one.signed), wish)
            for one, case in zip(found.waiting, found.case.awaiting, strict=True)
        ]
        group = found.case.group
        detail = {
            "choice": wish.choice.value,
            "digest": found.case.digest.hex(),
            "payments": len(decided),
            "reason": wish.reason,
            "bound_to": wish.proof.bound_to,
        }
        whole = AuditRecord(
            action="release_group.decided",
            actor=wish.acting.name,
            object_kind=KIND,
            object_id=group.group_id,
            caller=wish.acting.caller,
            address=wish.acting.address,
            factor=f"{wish.proof.kind} {wish.proof.factor_id}",
            detail=detail_text(detail),
        )
        return [replace(decided[0], audit=(whole, *decided[0].audit)), *decided[1:]]


def _may_all(found: _Found, person: Person, choice: Choice, digest: bytes) -> None:
    """Raises `TooLate` or `Forbidden` where the group is not what the person saw, or one payment is not theirs to decide."""
    if digest != found.case.digest:
        raise TooLate("the group is not what you decided about: look at it again", CHANGED)
    if not found.waiting:
        raise TooLate("no payment of the group waits for approval / 组内没有待审批的付款", found.case.group.state.value)
    for one, case in zip(found.waiting, found.case.awaiting, strict=True):
        now = standing(subject_of(one.payment), case.review.verdict, one.signed)
        try:
            may_decide(case, now, person, choice, case.digest)
        except Forbidden as refused:
            raise Forbidden(f"payment {one.payment.payment_reference}: {refused}") from None
        except TooLate as late:
            raise TooLate(f"payment {one.payment.payment_reference}: {late}", late.state) from None
