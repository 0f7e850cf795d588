"""Every kind of rule: what it stops, what it lets through, and the words it says it with."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from formats.model import Agent, PaymentType
from gateway.policy.chain import chains_of
from gateway.policy.judge import LAPSED, judge, questions
from gateway.policy.known import Known, NotAsked, Used
from gateway.policy.subject import Subject
from gateway.policy.texts import answer
from gateway.policy.verdict import ApprovalStep, Outcome
from tests.policy.cases import NOW, OTHERS, OURS, THEIRS, document, found, outcome, policies, subject, told

DAY_LIMIT = {"id": "day", "period": "day", "amount": "1000.00", "currency": "EUR", "outcome": "hold"}
NEW_VELOCITY = {
    "id": "new-beneficiary-velocity",
    "period": "day",
    "nth": 3,
    "per": ["creditor_account"],
    "outcome": "hold",
    "when": {"beneficiary": ["new"]},
}
RATES = {"base": "EUR", "date": "2026-11-01", "per_unit": {"USD": "0.9"}}


def limits(*rules: dict[str, Any], **changes: Any) -> Any:
    return policies(document(limits=list(rules), **changes))


def test_without_any_document_everything_passes() -> None:
    assert found(policies(), subject("999999999.99")) == []


def test_the_answer_names_rule_and_version_as_the_issue_writes_it() -> None:
    before = [subject(number=2), subject(number=3)]
    findings = found(policies(document(velocity=[NEW_VELOCITY])), subject(), before)
    assert told(findings) == ["held: third payment to a new beneficiary today; rule new-beneficiary-velocity, version 7"]
    assert answer(findings[0])[1] == ("已暂挂：今日第 3 笔付给同一新收款人的付款；规则 new-beneficiary-velocity，第 7 版")


def test_a_beneficiary_counts_as_new_until_the_days_of_the_document_have_passed() -> None:
    before = [subject(number=2), subject(number=3)]
    for days, paid_days_ago, held in ((1, 0, True), (1, 1, False), (30, 29, True), (30, 30, False), (0, 0, False)):
        rules = policies(document(velocity=[NEW_VELOCITY], known_creditors={"after_days": days}))
        paid = {THEIRS: NOW - timedelta(days=paid_days_ago, hours=1)}
        assert bool(found(rules, subject(), before, paid)) is held, (days, paid_days_ago)


def test_a_beneficiary_without_an_account_is_never_known_and_cannot_be_counted() -> None:
    findings = found(policies(document(velocity=[NEW_VELOCITY])), subject(creditor=""))
    assert told(findings) == [
        "held: the creditor's account is not named, so its total cannot be kept; rule new-beneficiary-velocity, version 7"
    ]


@pytest.mark.parametrize(
    ("before", "amount", "stopped"),
    [((), "1000.00", False), ((), "1000.01", True), (("400", "500"), "100.00", False), (("400", "500"), "100.01", True)],
)
def test_a_limit_is_what_may_be_reached_and_not_passed(before: tuple[str, ...], amount: str, stopped: bool) -> None:
    earlier = [subject(one, number=place + 2) for place, one in enumerate(before)]
    assert bool(found(limits(DAY_LIMIT), subject(amount), earlier)) is stopped


def test_a_limit_says_its_figures() -> None:
    rules = limits({**DAY_LIMIT, "per": ["debtor_account"], "amount": "10000"})
    (finding,) = found(rules, subject("2000.5"), [subject("10000", number=2)])
    assert finding.text_en == "EUR 12,000.50 from this account today with this payment, the limit is EUR 10,000"
    assert finding.text_zh == "含本笔，本付款账户今日合计 EUR 12,000.50，限额为 EUR 10,000"
    assert dict(finding.facts)["total"] == "EUR 12,000.50"


def test_the_day_is_that_of_the_connections_time_zone() -> None:
    """23:30 UTC is tomorrow in Berlin."""
    late = subject("600", number=2, at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC))
    early = subject("600", number=3, at=datetime(2026, 11, 24, 22, 30, tzinfo=UTC))
    assert found(limits(DAY_LIMIT), subject("600"), [late])
    assert not found(limits(DAY_LIMIT), subject("600"), [early])


def test_a_payment_of_yesterday_counts_for_yesterday_and_says_so() -> None:
    yesterday = subject("600", at=NOW - timedelta(days=1))
    (finding,) = found(limits(DAY_LIMIT), yesterday, [subject("600", number=2, at=NOW - timedelta(days=1, hours=2))])
    assert "on 2026-11-24" in finding.text_en
    assert "2026-11-24 当日" in finding.text_zh


def test_a_month_is_one_of_the_calendar() -> None:
    month = {**DAY_LIMIT, "period": "month"}
    for day, counts in ((1, True), (24, True)):
        assert bool(found(limits(month), subject("600"), [subject("600", number=2, at=NOW.replace(day=day))])) is counts
    assert not found(limits(month), subject("600"), [subject("600", number=2, at=datetime(2026, 10, 31, 22, tzinfo=UTC))])


@pytest.mark.parametrize(
    ("per", "other"),
    [
        ("caller", {"caller": "hr"}),
        ("connection", {"connection_id": "second"}),
        ("debtor_account", {"debtor": OTHERS}),
        ("creditor_account", {"creditor": OTHERS}),
    ],
)
def test_a_total_per_something_leaves_the_others_out(per: str, other: dict[str, str]) -> None:
    elsewhere = subject("600", number=2, **other)
    assert found(limits(DAY_LIMIT), subject("600"), [elsewhere])
    assert not found(limits({**DAY_LIMIT, "per": [per]}), subject("600"), [elsewhere])
    assert found(limits({**DAY_LIMIT, "per": [per]}), subject("600"), [subject("600", number=3)])


def test_a_total_over_named_callers_counts_theirs_together_and_nobody_elses() -> None:
    rules = limits({**DAY_LIMIT, "when": {"callers": ["erp", "hr"]}})
    assert found(rules, subject("600"), [subject("600", number=2, caller="hr")])
    assert not found(rules, subject("600"), [subject("600", number=2, caller="treasury")])
    assert not found(rules, subject("1001", caller="treasury"))


def test_a_limit_is_about_its_currency_alone_unless_it_converts() -> None:
    assert not found(limits(DAY_LIMIT), subject("5000", "USD"), [subject("900", number=2)])
    converting = limits({**DAY_LIMIT, "convert": True}, rates=RATES)
    assert not found(converting, subject("100", "USD"), [subject("900", number=2)])
    (finding,) = found(converting, subject("200", "USD"), [subject("900", number=2)])
    assert dict(finding.facts)["total"] == "EUR 1,080"
    assert dict(finding.facts)["rates of"] == "2026-11-01"
    assert found(converting, subject("200"), [subject("900", "USD", number=2)])


def test_a_currency_without_a_rate_is_held_and_not_taken_for_small() -> None:
    rules = limits({**DAY_LIMIT, "convert": True}, rates=RATES)
    expected = "held: the policy has no rate for JPY, so its amount cannot be judged; rule day, version 7"
    assert told(found(rules, subject("1", "JPY"))) == [expected]


def test_a_limit_that_asks_for_approval_says_of_whom() -> None:
    rules = limits({**DAY_LIMIT, "outcome": "approval", "steps": [{"group": "cfo"}, {"group": "board", "count": 2}]})
    (finding,) = found(rules, subject("1200"))
    assert finding.outcome is Outcome.APPROVAL
    assert finding.steps == (ApprovalStep(group="cfo", count=1), ApprovalStep(group="board", count=2))
    assert finding.text_en.endswith("; needs approval: 1 of cfo, then 2 of board")


def test_own_texts_get_the_figures() -> None:
    rules = limits({**DAY_LIMIT, "text_en": "{total} {period}: ask the treasurer ({limit})", "text_zh": "{period}{total}"})
    (finding,) = found(rules, subject("1200"))
    assert (finding.text_en, finding.text_zh) == ("EUR 1,200 today: ask the treasurer (EUR 1,000)", "今日EUR 1,200")


def test_payments_per_clock_hour() -> None:
    rules = policies(document(velocity=[{"id": "hourly", "period": "hour", "nth": 3, "per": ["caller"], "outcome": "block"}]))
    within = [subject(number=2, at=NOW), subject(number=3, at=NOW + timedelta(minutes=59))]
    (finding,) = found(rules, subject(), within)
    assert told([finding]) == ["refused: third payment of this caller in the hour 10:00-11:00; rule hourly, version 7"]
    assert not found(rules, subject(), [subject(number=2), subject(number=3, at=NOW - timedelta(microseconds=1))])


CHAINS = [
    {"id": "small", "when": {"amount_up_to": "1000", "currency": "EUR"}, "steps": [{"group": "clerks"}]},
    {"id": "large", "when": {"amount_above": "1000", "currency": "EUR"}, "steps": [{"group": "clerks"}, {"group": "cfo"}]},
]


@pytest.mark.parametrize(("amount", "rule"), [("1000.00", "small"), ("1000.01", "large")])
def test_chains_by_amount_have_no_gap_and_no_overlap(amount: str, rule: str) -> None:
    findings = found(policies(document(default="hold", chains=CHAINS)), subject(amount))
    assert [(finding.rule, finding.outcome) for finding in findings] == [(rule, Outcome.APPROVAL)]


def test_what_nothing_lets_through_waits_as_the_default_says() -> None:
    held = found(policies(document(default="hold", chains=CHAINS)), subject("10", "USD"))
    assert told(held) == ["held: no rule lets it through by itself; rule rules.default, version 7"]
    asked = found(policies(document(default="approval", default_steps=[{"group": "cfo"}])), subject())
    assert told(asked) == [
        "awaiting approval: no rule lets it through by itself; needs approval: 1 of cfo; rule rules.default, version 7"
    ]


def test_an_automatic_rule_asks_nobody_and_says_why() -> None:
    automatic = [{"id": "small-known", "when": {"beneficiary": ["known", "own"], "amount_up_to": "500", "currency": "EUR"}}]
    rules = policies(document(default="hold", chains=CHAINS, automatic=automatic), own_accounts=frozenset({OTHERS}))
    paid = {THEIRS: NOW - timedelta(days=5)}
    assert told(found(rules, subject("500"), paid=paid)) == [
        "passed: within the bounds of automatic approval; rule small-known, version 7"
    ]
    assert outcome(found(rules, subject("500"))) is Outcome.APPROVAL, "new: the chain counts"
    assert outcome(found(rules, subject("500.01"), paid=paid)) is Outcome.APPROVAL
    assert outcome(found(rules, subject("500", creditor=OTHERS))) is Outcome.PASS, "our own account"


@pytest.mark.parametrize("recheck", [True, False])
def test_that_approvers_are_looked_at_again_travels_with_the_finding(recheck: bool) -> None:
    steps = {"steps": [{"group": "cfo"}], "recheck": recheck}
    limit = {**DAY_LIMIT, "amount": "1", "outcome": "approval", **steps}
    undecided = {**limit, "id": "undecided", "convert": True, "when": {"currencies": ["JPY"]}}
    rules = policies(document(chains=[{"id": "all", **steps}], limits=[limit, undecided], rates=RATES))
    chains = chains_of([*found(rules, subject()), *found(rules, subject("1", "JPY"))])
    assert [(chain.rule, chain.recheck) for chain in chains] == [(rule, recheck) for rule in ("day", "all", "undecided", "all")]


def test_our_own_accounts_are_never_new() -> None:
    rules = policies(document(velocity=[NEW_VELOCITY]), own_accounts=frozenset({THEIRS}))
    assert not found(rules, subject(), [subject(number=2), subject(number=3)])


def test_an_automatic_rule_lets_no_limit_be_passed() -> None:
    rules = policies(document(default="hold", automatic=[{"id": "all"}], limits=[DAY_LIMIT]))
    assert outcome(found(rules, subject("1000.01"))) is Outcome.HOLD


def test_a_chain_whose_amount_cannot_be_compared_holds_and_asks_its_people() -> None:
    chains = [{"id": "big", "when": {"amount_above": "9", "currency": "EUR", "convert": True}, "steps": [{"group": "cfo"}]}]
    findings = found(policies(document(chains=chains, rates=RATES)), subject("1", "JPY"))
    assert [(one.outcome, one.steps) for one in findings] == [
        (Outcome.HOLD, ()),
        (Outcome.APPROVAL, (ApprovalStep(group="cfo", count=1),)),
    ]


@pytest.mark.parametrize(
    ("restriction", "bad", "good", "words"),
    [
        ({"what": "currency", "allowed": ["EUR"]}, subject("1", "USD"), subject(), "currency USD is not among those allowed"),
        ({"what": "country", "forbidden": ["IE"]}, subject(), subject(creditor=OURS), "creditor's country IE is forbidden"),
        (
            {"what": "country", "allowed": ["IE"]},
            subject(creditor="", creditor_agent=Agent(clearing_system_member_id="1")),
            subject(),
            "creditor's country unknown is not among those allowed",
        ),
        (
            {"what": "creditor_account", "forbidden": ["list:blocked"]},
            subject(),
            subject(creditor=OURS),
            "the creditor's account is forbidden",
        ),
        (
            {"what": "creditor_account", "allowed": ["ie29 aibk 9311 5212 3456 78"]},
            subject(creditor=OURS),
            subject(),
            "the creditor's account is not among those allowed",
        ),
        (
            {"what": "charge_bearer", "forbidden": ["DEBT"]},
            subject(charge_bearer="DEBT"),
            subject(charge_bearer="SHAR"),
            "charge bearer DEBT is forbidden",
        ),
        (
            {"what": "hours", "allowed": ["07:00-09:59", "10:01-24:00"]},
            subject(),
            subject(at=NOW + timedelta(minutes=1)),
            "time of submission 10:00 is not among those allowed: 07:00-09:59, 10:01-24:00",
        ),
    ],
)
def test_what_is_allowed_and_forbidden(restriction: dict[str, Any], bad: Subject, good: Subject, words: str) -> None:
    lists = {"blocked": {"accounts": [THEIRS]}}
    rules = policies(document(restrictions=[{"id": "only", "outcome": "block", **restriction}], lists=lists))
    assert told(found(rules, bad)) == [f"refused: {words}; rule only, version 7"]
    assert found(rules, good) == []


@pytest.mark.parametrize("what", ["country", "charge_bearer", "creditor_account"])
def test_what_is_not_known_may_be_forbidden_and_is_held(what: str) -> None:
    forbidden = {"country": "KP", "charge_bearer": "DEBT", "creditor_account": OTHERS}[what]
    rule = {"id": "no", "what": what, "forbidden": [forbidden], "outcome": "block"}
    assert outcome(found(policies(document(restrictions=[rule])), subject(creditor=""))) is Outcome.HOLD


def test_a_restriction_counts_also_where_the_amount_cannot_be_compared() -> None:
    when = {"amount_above": "1000", "currency": "EUR", "convert": True}
    rule = {"id": "no", "what": "country", "forbidden": ["IE"], "outcome": "block", "when": when}
    rules = policies(document(restrictions=[rule], rates=RATES))
    assert [outcome(found(rules, subject("1", currency))) for currency in ("EUR", "JPY")] == [Outcome.PASS, Outcome.BLOCK]


def test_kinds_of_payment_by_code_or_by_the_banks_own_word() -> None:
    chains = [{"id": "payroll", "when": {"category_purposes": ["SALA"]}, "steps": [{"group": "hr"}]}]
    rules = policies(document(chains=chains))
    assert found(rules, subject(payment_type=PaymentType(category_purpose="SALA")))
    assert found(rules, subject(payment_type=PaymentType(category_purpose_proprietary="SALA")))
    assert not found(rules, subject(payment_type=PaymentType(service_level="SALA")))
    assert not found(rules, subject())


def test_no_text_and_no_fact_shows_an_account_number() -> None:
    restriction = {"id": "no", "what": "creditor_account", "forbidden": [THEIRS], "outcome": "block", "text_en": "no: {value}"}
    rules = policies(document(restrictions=[restriction], limits=[{**DAY_LIMIT, "per": ["debtor_account", "creditor_account"]}]))
    shown = repr(found(rules, subject("5000")))
    assert THEIRS not in shown
    assert OURS not in shown


def test_a_version_counts_from_its_day_in_the_connections_time_zone() -> None:
    old = document(version=1, limits=[DAY_LIMIT], valid_until="2026-11-25")
    new = document(version=2, limits=[{**DAY_LIMIT, "amount": "2000"}], valid_from="2026-11-26")
    rules = policies(old, new)
    before, after = datetime(2026, 11, 25, 22, 59, tzinfo=UTC), datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
    one = subject("1500", at=before)
    assert rules.digest_at(before) != rules.digest_at(after + timedelta(hours=2)), "waiting payments are to be judged again"
    for now, versions in ((before, [1]), (after, [])):
        needs = questions(rules, one, now)
        known = Known(usage=dict.fromkeys(needs.usage, Used()), creditors={})
        assert [finding.version for finding in judge(rules, one, known, now)] == versions


def test_a_day_that_passes_changes_nothing_by_itself() -> None:
    """Else every waiting payment would be judged again at each midnight of each time zone."""
    rules = policies(document(limits=[DAY_LIMIT]))
    assert len({rules.digest_at(NOW + timedelta(hours=hours)) for hours in range(48)}) == 1


def test_of_two_versions_that_are_valid_the_higher_counts() -> None:
    rules = policies(document(version=2, limits=[DAY_LIMIT]), document(version=3))
    assert found(rules, subject("5000")) == []


def test_policies_that_have_all_ended_hold_and_those_that_have_not_begun_do_not() -> None:
    assert found(policies(document(valid_until="2026-11-24")), subject()) == [LAPSED]
    assert found(policies(document(valid_from="2026-11-26")), subject()) == []


def test_a_document_counts_for_its_scope_alone() -> None:
    rules = policies(document(default="hold", scope={"callers": ["hr"], "connections": ["house"]}))
    assert found(rules, subject()) == []
    assert outcome(found(rules, subject(caller="hr"))) is Outcome.HOLD


def test_a_figure_that_nobody_looked_up_is_a_fault_and_never_nothing() -> None:
    rules = policies(document(limits=[DAY_LIMIT]))
    with pytest.raises(NotAsked):
        judge(rules, subject(), Known(), NOW)
    rules = policies(document(chains=[{"id": "new", "when": {"beneficiary": ["new"]}, "steps": [{"group": "a"}]}]))
    with pytest.raises(NotAsked):
        judge(rules, subject(), Known(), NOW)
