"""Who may approve, refuse and release, and what counts: each refusal by its name."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.lifecycle import PaymentState
from gateway.people.person import Person, Role
from gateway.policy.chain import (
    Choice,
    Decision,
    DecisionRefused,
    Standing,
    after,
    cancelled,
    judged_again,
    may_approve,
    may_refuse,
    may_release,
    progress,
    standing_of,
    state,
)
from gateway.policy.digest import digest_of
from gateway.policy.rules import RECHECK
from gateway.policy.subject import Subject, entered_by
from gateway.policy.verdict import ApprovalStep, Finding, Outcome, Verdict
from tests.policy.cases import NOW, person, subject

PAYMENT = subject(submitted_by="wang.wu")
ANNA, BERT, CARL = person("anna", "clerks"), person("bert", "clerks", "cfo"), person("carl", "cfo")


def finding(rule: str = "chain", *steps: tuple[str, int], outcome: Outcome = Outcome.APPROVAL, recheck: bool = False) -> Finding:
    return Finding(
        rule=rule,
        version=7,
        outcome=outcome,
        text_en="",
        text_zh="",
        steps=tuple(ApprovalStep(group=group, count=count) for group, count in steps),
        facts=(RECHECK,) if recheck else (),
    )


HOLD = finding("hold", outcome=Outcome.HOLD)
CLERKS_THEN_CFO = finding("chain", ("clerks", 1), ("cfo", 1))


def standing(*findings: Finding, payment: Subject = PAYMENT) -> Standing:
    return standing_of(payment, Verdict(findings=findings))


def decided(before: Standing, who: Person, choice: Choice = Choice.APPROVE, holds: frozenset[str] = frozenset()) -> Standing:
    return after(before, Decision(choice=choice, person=who, digest=before.digest, at=NOW, holds=holds))


def refusal(before: Standing, who: Person, payment: Subject = PAYMENT) -> str | None:
    reason = may_approve(before, who, payment)
    return None if reason is None else reason.code


def test_steps_are_taken_in_order_by_different_people() -> None:
    one = standing(CLERKS_THEN_CFO)
    assert state(one) is PaymentState.AWAITING_APPROVAL
    assert refusal(one, CARL) == "not-yet"
    one = decided(one, BERT)
    assert refusal(one, BERT) == "twice", "although he is in the group that is due"
    assert refusal(one, ANNA) == "not-in-group", "her group's step is done"
    one = decided(one, CARL)
    assert state(one) is PaymentState.APPROVED
    assert [people for progressed in progress(one) for people in progressed.approved] == [("bert",), ("carl",)]
    assert refusal(one, ANNA) == "complete"


def test_any_n_of_a_group() -> None:
    one = standing(finding("two", ("clerks", 2)))
    one = decided(one, ANNA)
    assert state(one) is PaymentState.AWAITING_APPROVAL
    assert state(decided(one, BERT)) is PaymentState.APPROVED


@pytest.mark.parametrize("spelling", ["wang.wu", "Wang.Wu", " wang.wu "])
def test_never_the_submitter_however_the_name_is_spelt(spelling: str) -> None:
    assert refusal(standing(CLERKS_THEN_CFO), person(spelling, "clerks")) == "submitter"


def test_two_spellings_of_one_person_are_one() -> None:
    one = decided(standing(finding("two", ("clerks", 2))), ANNA)
    assert refusal(one, person("ANNA", "clerks")) == "twice"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.APPROVER])
def test_no_other_role_approves(role: Role) -> None:
    assert refusal(standing(CLERKS_THEN_CFO), person("dora", "clerks", roles=(role,))) == "not-approver"


def test_rights_are_for_connections() -> None:
    one = standing(CLERKS_THEN_CFO)
    assert refusal(one, person("dora", "clerks", connections=("second",))) == "other-connection"
    assert refusal(one, person("dora", "clerks", connections=("second", "house"))) is None


def test_somebody_of_no_group_is_told_whom_it_asks() -> None:
    reason = may_approve(standing(CLERKS_THEN_CFO), person("dora", "sales"), PAYMENT)
    assert reason is not None
    assert (reason.code, reason.text_en) == ("not-in-group", "you are in none of the groups that are asked now: clerks")


def test_a_refusal_ends_it_whoever_approved_before_and_after() -> None:
    one = decided(decided(standing(CLERKS_THEN_CFO), BERT), BERT, Choice.REFUSE)
    assert state(one) is PaymentState.REJECTED
    assert refusal(one, CARL) == "ended"
    with pytest.raises(DecisionRefused):
        decided(one, CARL)
    changed = replace(PAYMENT, transfer=replace(PAYMENT.transfer, amount=Decimal(1)))
    assert state(judged_again(one, changed, Verdict(findings=()))) is PaymentState.REJECTED


def test_replayed_approval_of_another_payment_with_the_same_content() -> None:
    other = replace(PAYMENT, payment_id=f"{2:032x}")
    given = Decision(choice=Choice.APPROVE, person=ANNA, digest=digest_of(other), at=NOW)
    with pytest.raises(DecisionRefused) as refused:
        after(standing(CLERKS_THEN_CFO), given)
    assert refused.value.reason.code == "changed"


def test_approval_for_changed_content_falls() -> None:
    one = decided(decided(standing(CLERKS_THEN_CFO), ANNA), CARL)
    changed = replace(PAYMENT, transfer=replace(PAYMENT.transfer, amount=Decimal("100.01")))
    again = judged_again(one, changed, Verdict(findings=(CLERKS_THEN_CFO,)))
    assert state(again) is PaymentState.AWAITING_APPROVAL
    assert refusal(again, ANNA) == "changed", "what she looks at is the old content"
    assert refusal(again, ANNA, changed) is None, "and she may approve the new one"
    back = judged_again(again, PAYMENT, Verdict(findings=(CLERKS_THEN_CFO,)))
    assert state(back) is PaymentState.APPROVED, "the very content that was approved"


def test_rules_that_change_keep_approvals_as_far_as_they_fit() -> None:
    one = decided(standing(finding("one", ("clerks", 1))), ANNA)
    stricter = judged_again(one, PAYMENT, Verdict(findings=(finding("two", ("clerks", 2)),)))
    assert state(stricter) is PaymentState.AWAITING_APPROVAL
    assert refusal(stricter, ANNA) == "twice"
    assert state(decided(stricter, BERT)) is PaymentState.APPROVED
    other = judged_again(one, PAYMENT, Verdict(findings=(finding("other", ("cfo", 1), ("clerks", 1)),)))
    assert progress(other)[0].approved == ((), ()), "given before the step that now comes first"
    assert refusal(decided(other, CARL), ANNA) is None, "and she may give it again when it is her turn"


def test_one_approval_counts_in_every_chain_that_waits_for_it() -> None:
    one = standing(finding("amount", ("clerks", 1)), finding("new-beneficiary", ("clerks", 1), ("cfo", 1)))
    one = decided(one, ANNA)
    assert [progressed.due is None for progressed in progress(one)] == [True, False]
    assert state(decided(one, CARL)) is PaymentState.APPROVED


def test_a_role_that_is_taken_away_later_does_not_undo_an_approval_unless_the_policy_says_recheck() -> None:
    now = {"anna": person("anna", "sales"), "carl": CARL}
    for recheck, expected in ((False, PaymentState.APPROVED), (True, PaymentState.AWAITING_APPROVAL)):
        one = standing(finding("chain", ("clerks", 1), recheck=recheck))
        assert state(decided(one, ANNA), now) is expected
        assert state(decided(one, ANNA), {"anna": ANNA}) is PaymentState.APPROVED
        assert state(decided(one, ANNA), {}) is expected, "the account is gone"


def test_what_holds_it_is_released_by_name_and_gives_no_approval() -> None:
    one = standing(HOLD, finding("screening", outcome=Outcome.HOLD), CLERKS_THEN_CFO)
    assert state(one) is PaymentState.HELD
    one = decided(one, ANNA, Choice.RELEASE, frozenset({"hold, 7"}))
    assert (state(one), one.held_by) == (PaymentState.HELD, frozenset({"screening, 7"}))
    one = decided(one, CARL, Choice.RELEASE, frozenset({"screening, 7"}))
    assert state(one) is PaymentState.AWAITING_APPROVAL
    reason = may_release(one, ANNA, PAYMENT)
    assert reason is not None
    assert reason.code == "not-held"


def test_a_release_does_not_cover_what_is_found_later() -> None:
    one = decided(standing(HOLD), ANNA, Choice.RELEASE, frozenset({"hold, 7"}))
    assert state(one) is PaymentState.APPROVED
    assert state(judged_again(one, PAYMENT, Verdict(findings=(replace(HOLD, version=8),)))) is PaymentState.HELD
    with pytest.raises(DecisionRefused):
        decided(standing(HOLD), ANNA, Choice.RELEASE, frozenset({"hold, 8"}))


def test_a_release_of_other_content_falls_like_an_approval() -> None:
    one = decided(standing(HOLD), ANNA, Choice.RELEASE, frozenset({"hold, 7"}))
    changed = replace(PAYMENT, transfer=replace(PAYMENT.transfer, amount=Decimal("100.01")))
    assert state(judged_again(one, changed, Verdict(findings=(HOLD,)))) is PaymentState.HELD


def test_who_submitted_it_releases_and_refuses_nothing() -> None:
    submitter = person("wang.wu", "clerks", roles=(Role.APPROVER, Role.OPERATOR))
    for reason in (may_release(standing(HOLD), submitter, PAYMENT), may_refuse(standing(HOLD), submitter, PAYMENT)):
        assert reason is not None
        assert reason.code == "submitter"


def test_a_finding_that_asks_for_approval_of_nobody_holds() -> None:
    assert state(standing(finding("habits"))) is PaymentState.HELD


def test_blocked_and_cancelled_payments_are_over() -> None:
    for one, expected in (
        (standing(finding("no", outcome=Outcome.BLOCK), CLERKS_THEN_CFO), PaymentState.REJECTED),
        (cancelled(standing(CLERKS_THEN_CFO)), PaymentState.CANCELLED),
        (judged_again(cancelled(standing(CLERKS_THEN_CFO)), PAYMENT, Verdict(findings=())), PaymentState.CANCELLED),
    ):
        assert state(one) is expected
        assert refusal(one, ANNA) == "ended"


def test_a_decision_of_long_ago_counts_as_one_of_today() -> None:
    """How fresh a second factor has to be is the business of who takes the decision; the chain knows no clock."""
    one = standing(finding("one", ("clerks", 1)))
    old = Decision(choice=Choice.APPROVE, person=ANNA, digest=one.digest, at=NOW - timedelta(days=90))
    assert state(after(one, old)) is PaymentState.APPROVED


CHOICES = {Choice.APPROVE: may_approve, Choice.REFUSE: may_refuse, Choice.RELEASE: may_release}
MAY = {
    Role.APPROVER: {Choice.APPROVE, Choice.REFUSE, Choice.RELEASE},
    Role.OPERATOR: {Choice.REFUSE, Choice.RELEASE},
}


@pytest.mark.parametrize("connections", [("*",), ("house",), ("second", "house"), ("second",), ()])
@pytest.mark.parametrize("choice", Choice)
@pytest.mark.parametrize("role", Role)
def test_who_decides_by_role_choice_and_connection(role: Role, choice: Choice, connections: tuple[str, ...]) -> None:
    one = standing(CLERKS_THEN_CFO, HOLD)
    who = person("dora", "clerks", roles=(role,), connections=connections)
    allowed = choice in MAY.get(role, set()) and not {"*", "house"}.isdisjoint(connections)
    assert (CHOICES[choice](one, who, PAYMENT) is None) is allowed


@pytest.mark.parametrize("name", ["ada", "bert"])
def test_of_several_people_who_made_a_payment_none_approves_it(name: str) -> None:
    one = replace(standing(CLERKS_THEN_CFO), submitted_by=entered_by(["bert", "ada"]))
    reason = may_approve(one, person(name, "clerks"), PAYMENT)
    assert reason is not None
    assert reason.code == "submitter"
    assert may_approve(one, person("carl", "clerks"), PAYMENT) is None
