"""Where a judged payment stands, and how it gets there: between the store's rows and the pure rules. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from formats.model import RemittanceInformation
from formats.rules.places import creditor_country
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.people.person import Person
from gateway.policy.chain import Choice, Standing, chains_of, hold_name, progress, standing_of, state
from gateway.policy.habits.words import name_key
from gateway.policy.subject import Past, Subject, account_key
from gateway.policy.verdict import ApprovalStep, Finding, Outcome, Verdict
from gateway.reasons import ours
from gateway.store.records import Payment, Reason
from gateway.store.reviews import Facts, Signed, Step, Waiting

_P, _E = PaymentState, PaymentEvent
Approvers = Mapping[str, Person]
"""Those who approved, by name, as they are now."""

BY_POLICY: Final = "policy."  # how the codes of reasons begin that rules gave
NOT_REVIEWED: Final = "bankgate.not-reviewed"
APPROVER_GONE: Final = "bankgate.approver-gone"
VOID: Final = "bankgate.approval-void"
_PURPOSE: Final = b"bankgate decision\x01"

IN_MESSAGE: Final = ("found", "after it was put into a message")
"""The fact that marks a finding which came when its payment was in a message already."""

_WAYS: Final[Mapping[tuple[PaymentState, PaymentState], tuple[PaymentEvent, ...]]] = {
    (_P.RECEIVED, _P.APPROVED): (_E.APPROVE,),
    (_P.RECEIVED, _P.AWAITING_APPROVAL): (_E.REQUIRE_APPROVAL,),
    (_P.RECEIVED, _P.HELD): (_E.HOLD,),
    (_P.RECEIVED, _P.REJECTED): (_E.REFUSE,),
    (_P.HELD, _P.APPROVED): (_E.RELEASE,),
    (_P.HELD, _P.AWAITING_APPROVAL): (_E.REQUIRE_APPROVAL,),
    (_P.HELD, _P.REJECTED): (_E.REFUSE,),
    (_P.AWAITING_APPROVAL, _P.APPROVED): (_E.APPROVE,),
    (_P.AWAITING_APPROVAL, _P.HELD): (_E.HOLD,),
    (_P.AWAITING_APPROVAL, _P.REJECTED): (_E.REFUSE,),
    (_P.APPROVED, _P.AWAITING_APPROVAL): (_E.HOLD, _E.REQUIRE_APPROVAL),
    (_P.APPROVED, _P.HELD): (_E.HOLD,),
    (_P.APPROVED, _P.REJECTED): (_E.REFUSE,),
}
WAITING: Final = frozenset(state for state, _ in _WAYS)
"""States in which a payment can still be judged, or decided about."""


def subject_of(payment: Payment) -> Subject:
    """What rules judge: the payment as it was asked for."""
    return Subject(
        payment_id=payment.payment_id,
        caller=payment.caller,
        connection_id=payment.connection_id,
        submitted_at=payment.created_at,
        submitted_by=payment.submitted_by,
        terms=payment.asked_terms,
        transfer=payment.asked_transfer,
    )


def facts_of(payment: Payment) -> Facts:
    """What later judgements look up of it."""
    return facts_of_subject(subject_of(payment))


def facts_of_subject(subject: Subject) -> Facts:
    """Likewise."""
    terms, transfer = subject.terms, subject.transfer
    return Facts(
        debtor_account=account_key(terms.debtor_account),
        creditor_account=account_key(transfer.creditor_account),
        creditor_name=transfer.creditor.name or "",
        creditor_key=name_key(transfer.creditor.name),
        creditor_country=creditor_country(transfer) or "",
        amount=transfer.amount,
        currency=transfer.currency,
        requested_execution_date=terms.requested_execution_date,
        end_to_end_id=transfer.end_to_end_id,
        remittance=_remittance(transfer.remittance_information),
        submitted_at=subject.submitted_at,
    )


def past_of(subject: Subject, state: PaymentState) -> Past:
    """A payment that is being judged, as those after it look back at it."""
    facts = facts_of_subject(subject)
    return Past(
        payment_id=subject.payment_id,
        caller=subject.caller,
        connection_id=subject.connection_id,
        submitted_at=facts.submitted_at,
        debtor_account=facts.debtor_account,
        creditor_account=facts.creditor_account,
        creditor_name=facts.creditor_name,
        creditor_country=facts.creditor_country,
        amount=facts.amount,
        currency=facts.currency,
        requested_execution_date=facts.requested_execution_date,
        end_to_end_id=facts.end_to_end_id,
        remittance=facts.remittance,
        state=state,
    )


def _remittance(told: RemittanceInformation | None) -> str:
    """As one line: free text, and references to invoices."""
    if told is None:
        return ""
    named = ((one.document_number, one.creditor_reference) for one in told.structured)
    references = (text for pair in named for text in pair if text)
    return " ".join(" ".join((*told.unstructured, *references)).split())


def standing(subject: Subject, verdict: Verdict, signed: Sequence[Signed]) -> Standing:
    """The payment as it is now, with everything that people decided about it. Decisions about another content do not count."""
    return replace(standing_of(subject, verdict), decisions=tuple(one.decision for one in signed))


def standing_now(waiting: Waiting) -> Standing | None:
    """Likewise, of a payment of the store; None if it was not judged, or its content is not what was judged."""
    if waiting.review is None:
        return None
    found = standing(subject_of(waiting.payment), waiting.review.verdict, waiting.signed)
    return found if found.digest == waiting.review.digest else None


def may_be_judged_anew(payment: Payment) -> bool:
    """Whether rules decide where it stands: not if it is held for another reason, which only people can end."""
    if payment.state is _P.HELD:
        return payment.reason.code.startswith(BY_POLICY) or payment.reason.code in {NOT_REVIEWED, APPROVER_GONE}
    return payment.state in WAITING


def may_be_decided(payment: Payment) -> bool:
    """Whether people decide about it here: beside what rules stopped, what was found to be changed can be refused."""
    return may_be_judged_anew(payment) or (payment.state is _P.HELD and payment.reason.code == VOID)


def purpose(choice: Choice, digest: bytes) -> bytes:
    """What a second factor is given for: SHA-256("bankgate decision" 0x01 choice 0x00 digest), choice being one of "approve",
    "refuse", "release". The digest names the payment, so a proof is good for one decision about one payment and one content."""
    return sha256(_PURPOSE + choice.value.encode() + b"\x00" + digest).digest()


# -- moving ------------------------------------------------------------------------------------------------------------


def way(here: PaymentState, there: PaymentState, reason: Reason) -> tuple[Step, ...]:
    """The steps from a state to another; none if it is there already. Raises `KeyError` where there is no way."""
    if here is there:
        return ()
    steps: list[Step] = []
    for event in _WAYS[here, there]:
        here = advance(PAYMENT_TABLE, here, event)
        steps.append(Step(event=event, state=here, reason=reason))
    return tuple(steps)


def place_of(found: Standing, people: Approvers | None = None) -> PaymentState:
    """Where a payment belongs that is neither in a message nor at its end. `people`: as `looked_at_again` says."""
    return state(found, people)


def looked_at_again(signed: Sequence[Signed], verdict: Verdict) -> frozenset[str] | None:
    """The names of those who approved, where a rule looks at its approvers again: who has lost the role or the group since does
    not count. They are to be read anew, and given as `people`. None: no rule does."""
    if not any(chain.recheck for chain in chains_of(verdict.findings)):
        return None
    return frozenset(one.decision.person.name for one in signed if one.decision.choice is Choice.APPROVE)


def why(found: Standing, verdict: Verdict, approved: Reason, people: Approvers | None = None) -> Reason:
    """The reason that goes with its place, in a person's words; `approved` is that of a payment that may go."""
    match place_of(found, people):
        case _P.REJECTED:
            return _told(verdict.leading, "refused", "拒绝") if found.refused is None else ours("refused-by-person")
        case _P.HELD:
            holds = (one for one in verdict.findings if hold_name(one) in found.held_by)
            return _told(next(holds, None), "held", "暂挂")
        case _P.AWAITING_APPROVAL:
            return _waits(found, verdict, people)
        case _:
            return approved


def _waits(found: Standing, verdict: Verdict, people: Approvers | None) -> Reason:
    """The first chain that is not complete, and whom it waits for."""
    for one in progress(found, people):
        if (due := one.due) is None:
            continue
        done = sum(len(people) for people in one.approved)
        asked = sum(step.count for step in one.chain.steps)
        finding = next((f for f in verdict.findings if (f.rule, f.version) == (one.chain.rule, one.chain.version)), None)
        told = _told(finding, "waits for approval", "待审批")
        return replace(
            told,
            text_en=f"{told.text_en}; next: {due.group} ({done} of {asked} given)",
            text_zh=f"{told.text_zh}；下一审批组：{due.group}（已审批 {done}/{asked}）",
        )
    return ours("awaiting-approval")


def is_in_message(finding: Finding) -> bool:
    """Whether a finding came when its payment was in a message already, and stops it."""
    return finding.outcome is not Outcome.PASS and IN_MESSAGE in finding.facts


def held_for(verdict: Verdict) -> Reason:
    """Why a payment is taken out of a message: the first finding that came when it was in there."""
    return _told(next((one for one in verdict.findings if is_in_message(one)), None), "held", "暂挂")


def _told(finding: Finding | None, word_en: str, word_zh: str) -> Reason:
    if finding is None:
        return ours("awaiting-approval")
    return Reason(
        code=f"{BY_POLICY}{finding.rule}",
        text_en=f"{word_en}: {finding.text_en}; rule {finding.rule}, version {finding.version}",
        text_zh=f"{word_zh}：{finding.text_zh}；规则 {finding.rule}，版本 {finding.version}",
    )


def asks_the_same(old: Verdict, new: Verdict) -> bool:
    """Whether two verdicts stop a payment by the same rules in the same way."""

    def asked(verdict: Verdict) -> set[tuple[str, int, Outcome, tuple[ApprovalStep, ...]]]:
        return {(one.rule, one.version, one.outcome, one.steps) for one in verdict.findings if one.outcome is not Outcome.PASS}

    return asked(old) == asked(new)
