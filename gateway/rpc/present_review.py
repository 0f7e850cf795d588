"""Reviews and decisions in the words of the contract."""

from typing import Final

from bankgate.v1 import operations_pb2, types_pb2
from gateway.payee.check import PayeeCheck, shown_name
from gateway.people.person import Role
from gateway.policy.chain import Progress
from gateway.policy.verdict import Finding
from gateway.review_standing import purpose
from gateway.rpc.present import PAYMENT_STATES, moment, payment_message, reason_message
from gateway.store.reviews import Signed
from gateway.use_cases.approvals import Case

TEXT_MAX: Final = 4_000


def approval_message(case: Case) -> operations_pb2.Approval:
    """A payment before the people who decide about it."""
    payment, leading = case.payment, case.review.verdict.leading
    late_en, late_zh = case.late or ("", "")
    return operations_pb2.Approval(
        approval_id=payment.payment_id,
        payment_id=payment.payment_id,
        rule="" if leading is None else leading.rule,
        connection_id=payment.connection_id,
        state=PAYMENT_STATES[payment.state],
        reason=reason_message(payment.reason),
        payment=payment_message(payment),
        review=review_message(case),
        digest=case.digest.hex(),
        intact=case.intact,
        choices=[choice.value for choice in case.choices],
        late_en=late_en,
        late_zh=late_zh,
        review_version=case.review.version,
        approve_by=moment(case.approve_by),
        bound_to={choice.value: purpose(choice, case.digest).hex() for choice in case.choices},
    )


def payee_message(check: PayeeCheck, roles: frozenset[Role]) -> operations_pb2.PayeeVerification:
    """What was answered about the payee, for a person with these roles."""
    return operations_pb2.PayeeVerification(
        result=check.answer.result.value,
        suggested_name=shown_name(check, roles),
        reason=check.answer.reason,
        provider=check.provider,
        answered_at=moment(check.answered_at),
    )


def review_message(case: Case) -> types_pb2.PaymentReview:
    """What rules said, and what people decided."""
    return types_pb2.PaymentReview(
        findings=[_finding(one) for one in case.review.verdict.findings],
        chains=[_chain(one) for one in case.progress],
        decisions=[_decision(one) for one in case.signed],
        judged_at=moment(case.review.judged_at),
        holds=sorted(case.holds),
    )


def _finding(finding: Finding) -> types_pb2.ReviewFinding:
    return types_pb2.ReviewFinding(
        rule=finding.rule,
        version=finding.version,
        outcome=finding.outcome.name.lower(),
        text_en=finding.text_en[:TEXT_MAX],
        text_zh=finding.text_zh[:TEXT_MAX],
        score=finding.score,
        facts=[types_pb2.ReviewFact(name=name, value=value) for name, value in finding.facts],
    )


def _chain(standing: Progress) -> types_pb2.ApprovalChain:
    due = standing.due
    steps = []
    for step, people in zip(standing.chain.steps, standing.approved, strict=True):
        here = due is step and len(people) < step.count
        steps.append(types_pb2.ApprovalStep(group=step.group, count=step.count, approved_by=people, due=here))
        if here:
            due = None
    return types_pb2.ApprovalChain(rule=standing.chain.rule, version=standing.chain.version, steps=steps)


def _decision(signed: Signed) -> types_pb2.ReviewDecision:
    decision = signed.decision
    return types_pb2.ReviewDecision(
        choice=decision.choice.value,
        person=decision.person.name,
        decided_at=moment(decision.at),
        reason=signed.reason,
        factor=f"{signed.factor.kind} {signed.factor.factor_id}",
        digest=decision.digest.hex(),
    )
