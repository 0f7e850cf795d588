"""Who has approved a payment, who still has to, and who may. Pure: any order of events gives a well-defined standing.

Every finding that asks for approval is a chain of its own: its steps are taken in order, each by so many different people of a
group. One person's approval counts for the step at which each chain stands, at most once in each. Nobody whose approval counts
anywhere decides for a second time, and never whoever submitted the payment.

A decision names the digest of what it is about. When the payment changes, every decision about the old content falls. When only
the rules change, decisions are put to the new chains in the order in which they were given, as what they were then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.lifecycle import PaymentState
from gateway.people.person import Person, Role
from gateway.policy.digest import digest_of
from gateway.policy.rules import RECHECK
from gateway.policy.subject import Subject, people_of
from gateway.policy.verdict import ApprovalStep, Finding, Outcome, Verdict

EVERY_CONNECTION: Final = "*"


class Choice(StrEnum):
    """What a person decides."""

    APPROVE = "approve"
    REFUSE = "refuse"  # ends it, whoever approved before
    RELEASE = "release"  # looked at what holds it: go on; no approval is given by that


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided.

    `person` is as they were then: name, roles, groups and connections are kept with the decision. `holds`: what they looked at
    (RELEASE only), as in `Standing.holds`.
    """

    choice: Choice
    person: Person
    digest: bytes
    at: datetime
    holds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The approvals one finding asks for. `recheck`: who has lost the role or the group since no longer counts."""

    rule: str
    version: int
    steps: tuple[ApprovalStep, ...]
    recheck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A payment before the people who decide about it."""

    payment_id: str
    digest: bytes
    submitted_by: str | None
    connection_id: str
    blocked: bool
    chains: tuple[Chain, ...]
    holds: frozenset[str]  # "rule, version": what has to be released
    decisions: tuple[Decision, ...] = ()
    cancelled: bool = False

    @property
    def valid(self) -> tuple[Decision, ...]:
        """The decisions about the content as it is."""
        return tuple(decision for decision in self.decisions if decision.digest == self.digest)

    @property
    def refused(self) -> Decision | None:
        """The refusal that ended it. It stays one whatever becomes of the content or the rules."""
        return next((decision for decision in self.decisions if decision.choice is Choice.REFUSE), None)

    @property
    def held_by(self) -> frozenset[str]:
        """What holds it and nobody has released."""
        released = (decision.holds for decision in self.valid if decision.choice is Choice.RELEASE)
        return self.holds.difference(*released)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one chain is. `approved`: by whom each step was, in order; one entry a step."""

    chain: Chain
    approved: tuple[tuple[str, ...], ...]

    @property
    def due(self) -> ApprovalStep | None:
        """The step that somebody has to take next; None: the chain is complete."""
        return next(iter(self.to_come), None)

    @property
    def to_come(self) -> tuple[ApprovalStep, ...]:
        """The steps that still lack somebody."""
        both = zip(self.chain.steps, self.approved, strict=True)
        return tuple(step for step, people in both if len(people) < step.count)

    @property
    def people(self) -> frozenset[str]:
        """Everybody whose approval counts."""
        return frozenset(name for names in self.approved for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAllowed:
    """Why a person may not decide. `code` is stable; the texts are for them."""

    code: str
    text_en: str
    text_zh: str


class DecisionRefused(Exception):
    """A decision that its person may not give. Nothing changed."""

    def __init__(self, reason: NotAllowed) -> None:
        self.reason = reason
        super().__init__(reason.text_en)


def standing_of(subject: Subject, verdict: Verdict) -> Standing:
    """A payment that was just judged; nobody has decided yet."""
    return Standing(
        payment_id=subject.payment_id,
        digest=digest_of(subject),
        submitted_by=subject.submitted_by,
        connection_id=subject.connection_id,
        blocked=verdict.outcome is Outcome.BLOCK,
        chains=chains_of(verdict.findings),
        holds=frozenset(hold_name(finding) for finding in verdict.findings if _holds(finding)),
    )


def judged_again(standing: Standing, subject: Subject, verdict: Verdict) -> Standing:
    """After the rules, the lists or the payment changed: the decisions stay, and count as far as they fit (see `valid`)."""
    return replace(standing_of(subject, verdict), decisions=standing.decisions, cancelled=standing.cancelled)


def chains_of(findings: Sequence[Finding]) -> tuple[Chain, ...]:
    """The chains that findings ask for. A finding that asks for approval and names no steps holds instead (`holds`)."""
    return tuple(
        Chain(rule=one.rule, version=one.version, steps=one.steps, recheck=RECHECK in one.facts)
        for one in findings
        if one.outcome is Outcome.APPROVAL and one.steps
    )


def hold_name(finding: Finding) -> str:
    """What a release names."""
    return f"{finding.rule}, {finding.version}"


def progress(standing: Standing, people: Mapping[str, Person] | None = None) -> tuple[Progress, ...]:
    """How far each chain is. `people`: everybody as they are now, for chains that recheck; None: nobody has changed."""
    return tuple(_progress(chain, standing, people) for chain in standing.chains)


def state(standing: Standing, people: Mapping[str, Person] | None = None) -> PaymentState:
    """Where the payment stands: CANCELLED, REJECTED, HELD, AWAITING_APPROVAL or APPROVED. APPROVED is the only way to a bank."""
    if standing.cancelled:
        return PaymentState.CANCELLED
    if standing.blocked or standing.refused is not None:
        return PaymentState.REJECTED
    if standing.held_by:
        return PaymentState.HELD
    complete = all(one.due is None for one in progress(standing, people))
    return PaymentState.APPROVED if complete else PaymentState.AWAITING_APPROVAL


def may_approve(
    standing: Standing, person: Person, subject: Subject, people: Mapping[str, Person] | None = None
) -> NotAllowed | None:
    """Why this person may not approve now; None: they may. `subject` is the payment as it is."""
    return _changed(standing, subject) or _may_approve(standing, person, people)


def may_refuse(standing: Standing, person: Person, subject: Subject) -> NotAllowed | None:
    """Likewise, for a refusal: any approver or operator for the connection, also after an approval of their own."""
    return _changed(standing, subject) or _may_end(standing, person)


def may_release(standing: Standing, person: Person, subject: Subject) -> NotAllowed | None:
    """Likewise, for what holds the payment: an approver or operator for the connection, never who submitted it."""
    return _changed(standing, subject) or _may_release(standing, person)


def may_clear(standing: Standing, person: Person, subject: Subject) -> NotAllowed | None:
    """Likewise, for saying that the payee is not somebody on a list: who may release it; of a payment that a list refused for
    good, for those after it, an approver for the connection who did not submit it."""
    if (reason := _changed(standing, subject)) is not None or not standing.blocked:
        return reason or _may_release(standing, person)
    return None if _may_at_all(standing, person) else _NO_CLEARING


def after(standing: Standing, decision: Decision, people: Mapping[str, Person] | None = None) -> Standing:
    """The standing with a decision more. Raises `DecisionRefused`, and nothing has changed, where it may not be given."""
    if decision.digest != standing.digest:
        raise DecisionRefused(_OTHER_CONTENT)
    match decision.choice:
        case Choice.APPROVE:
            reason = _may_approve(standing, decision.person, people)
        case Choice.REFUSE:
            reason = _may_end(standing, decision.person)
        case Choice.RELEASE:
            reason = _may_release(standing, decision.person)
            if reason is None and not decision.holds & standing.held_by:
                reason = _NOT_HELD
    if reason is not None:
        raise DecisionRefused(reason)
    return replace(standing, decisions=(*standing.decisions, decision))


def cancelled(standing: Standing) -> Standing:
    """The caller took it back."""
    return replace(standing, cancelled=True)


def _progress(chain: Chain, standing: Standing, people: Mapping[str, Person] | None) -> Progress:
    approved: list[list[str]] = [[] for _ in chain.steps]
    counted: set[str] = set()
    for decision in standing.valid:
        person = decision.person
        if decision.choice is not Choice.APPROVE or _key(person.name) in counted or not _may_at_all(standing, person):
            continue
        place = next((at for at, step in enumerate(chain.steps) if len(approved[at]) < step.count), None)
        if place is None or chain.steps[place].group not in person.groups:
            continue
        if chain.recheck and people is not None and not _still(standing, people.get(person.name), chain.steps[place].group):
            continue
        approved[place].append(person.name)
        counted.add(_key(person.name))
    return Progress(chain=chain, approved=tuple(tuple(names) for names in approved))


def _still(standing: Standing, person: Person | None, group: str) -> bool:
    return person is not None and group in person.groups and _may_at_all(standing, person)


def _may_at_all(standing: Standing, person: Person) -> bool:
    return Role.APPROVER in person.roles and _connected(standing, person) and not _submitted(standing, person)


def _may_approve(standing: Standing, person: Person, people: Mapping[str, Person] | None) -> NotAllowed | None:
    if (reason := _ended(standing)) is not None:
        return reason
    if Role.APPROVER not in person.roles:
        return _NO_APPROVER
    if not _connected(standing, person):
        return _OTHER_CONNECTION
    if _submitted(standing, person):
        return _SUBMITTER
    so_far = progress(standing, people)
    if any(_key(name) == _key(person.name) for one in so_far for name in one.people):
        return _TWICE
    due = [step.group for one in so_far if (step := one.due) is not None]
    if not due:
        return _COMPLETE
    if person.groups.isdisjoint(due):
        later = any(step.group in person.groups for one in so_far for step in one.to_come)
        return _not_yet(due) if later else _not_in_group(due)
    return None


def _may_end(standing: Standing, person: Person) -> NotAllowed | None:
    if (reason := _ended(standing)) is not None:
        return reason
    if person.roles.isdisjoint({Role.APPROVER, Role.OPERATOR}):
        return _NO_APPROVER
    if not _connected(standing, person):
        return _OTHER_CONNECTION
    return _SUBMITTER if _submitted(standing, person) else None


def _may_release(standing: Standing, person: Person) -> NotAllowed | None:
    reason = _may_end(standing, person)
    return _NOT_HELD if reason is None and not standing.held_by else reason


def _ended(standing: Standing) -> NotAllowed | None:
    return _ENDED if standing.cancelled or standing.blocked or standing.refused is not None else None


def _changed(standing: Standing, subject: Subject) -> NotAllowed | None:
    return None if digest_of(subject) == standing.digest else _OTHER_CONTENT


def _connected(standing: Standing, person: Person) -> bool:
    return EVERY_CONNECTION in person.connections or standing.connection_id in person.connections


def _submitted(standing: Standing, person: Person) -> bool:
    return _key(person.name) in {_key(name) for name in people_of(standing.submitted_by)}


def _key(name: str) -> str:
    """How names of people are compared: two spellings of one account never make two people."""
    return name.strip().casefold()


def _not_yet(groups: Sequence[str]) -> NotAllowed:
    named = ", ".join(sorted(set(groups)))
    return NotAllowed(code="not-yet", text_en=f"it is not your turn yet: first {named}", text_zh=f"尚未轮到您：先由 {named} 审批")


def _not_in_group(groups: Sequence[str]) -> NotAllowed:
    named = ", ".join(sorted(set(groups)))
    return NotAllowed(
        code="not-in-group",
        text_en=f"you are in none of the groups that are asked now: {named}",
        text_zh=f"您不属于当前应审批的组：{named}",
    )


_OTHER_CONTENT: Final = NotAllowed(
    code="changed", text_en="the payment is not what you decided about: look at it again", text_zh="付款内容已变更，请重新查看"
)
_ENDED: Final = NotAllowed(
    code="ended", text_en="the payment was refused or cancelled: nobody decides any more", text_zh="付款已被拒绝或撤销，不再审批"
)
_COMPLETE: Final = NotAllowed(code="complete", text_en="every approval has been given", text_zh="审批已全部完成")
_NO_APPROVER: Final = NotAllowed(code="not-approver", text_en="you do not have the role for it", text_zh="您没有相应的角色")
_OTHER_CONNECTION: Final = NotAllowed(
    code="other-connection", text_en="you have no rights for this connection", text_zh="您没有该连接的权限"
)
_SUBMITTER: Final = NotAllowed(
    code="submitter", text_en="who submits a payment does not decide about it", text_zh="提交人不得审批自己的付款"
)
_TWICE: Final = NotAllowed(code="twice", text_en="you have approved it already", text_zh="您已审批过")
_NO_CLEARING: Final = NotAllowed(
    code="not-yours",
    text_en="hits are cleared by an approver for the connection who did not submit the payment",
    text_zh="命中只能由该连接的审批人（非提交人）认定",
)
_NOT_HELD: Final = NotAllowed(code="not-held", text_en="nothing of that holds the payment", text_zh="该付款未因此被暂挂")


def _holds(finding: Finding) -> bool:
    return finding.outcome is Outcome.HOLD or (finding.outcome is Outcome.APPROVAL and not finding.steps)
