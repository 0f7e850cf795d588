"""Properties of rules over many payments: together as one by one, no limit ever passed, and a document more never laxer."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.document import Policies
from gateway.policy.judge import judge, judge_in_order, questions
from gateway.policy.known import Known, Needs, usage_of
from gateway.policy.period import bounds
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome
from tests.policy.cases import BERLIN, NOW, OTHERS, OURS, THEIRS, document, known_to, policies, subject

RATES = {"base": "EUR", "date": "2026-11-01", "per_unit": {"USD": "0.9"}}
PER = ["connection", "caller", "debtor_account", "creditor_account"]
PAID = {THEIRS: NOW - timedelta(days=3)}

payments = st.lists(
    st.builds(
        lambda amount, currency, changes, minutes: subject(str(amount), currency, **changes, at=NOW + timedelta(minutes=minutes)),
        st.integers(1, 1200),
        st.sampled_from(["EUR", "EUR", "USD", "JPY"]),
        st.fixed_dictionaries(
            {
                "caller": st.sampled_from(["erp", "hr"]),
                "connection_id": st.sampled_from(["house", "second"]),
                "debtor": st.sampled_from([OURS, OTHERS]),
                "creditor": st.sampled_from([THEIRS, OTHERS, ""]),
            }
        ),
        st.integers(-60 * 30, 60 * 30),
    ),
    max_size=12,
).map(lambda found: [replace(one, payment_id=f"{place:032x}") for place, one in enumerate(found)])

ids = st.sets(st.integers(0, 11).map(lambda place: f"{place:032x}"), max_size=3)
whens = st.fixed_dictionaries(
    {},
    optional={
        "callers": st.sampled_from([["erp"], ["hr", "erp"]]),
        "beneficiary": st.sampled_from([["new"], ["known"], ["own", "new"]]),
        "creditor_not_in": st.just(["suppliers"]),
    },
)
limits = st.builds(
    lambda fixed, per, when: {
        "id": "limit",
        "currency": "EUR",
        **fixed,
        "per": [] if fixed["period"] == "payment" else per,
        "when": when,
    },
    st.fixed_dictionaries(
        {
            "period": st.sampled_from(["payment", "day", "month"]),
            "amount": st.integers(0, 2500).map(str),
            "outcome": st.sampled_from(["hold", "block"]),
            "convert": st.booleans(),
        }
    ),
    st.lists(st.sampled_from(PER), unique=True, max_size=3),
    whens,
)
velocities = st.builds(
    lambda nth, period, per, when: {"id": "often", "nth": nth, "period": period, "per": per, "outcome": "block", "when": when},
    st.integers(1, 4),
    st.sampled_from(["hour", "day", "month"]),
    st.lists(st.sampled_from(PER), unique=True, max_size=2),
    whens,
)


@st.composite
def documents(draw: st.DrawFn, name: str = "rules") -> Any:
    def renamed(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**rule, "id": f"{name}-{rule['id']}-{place}"} for place, rule in enumerate(rules)]

    return document(
        id=name,
        default=draw(st.sampled_from(["pass", "hold"])),
        rates=RATES,
        lists={"suppliers": {"accounts": [THEIRS]}},
        limits=renamed(draw(st.lists(limits, max_size=2))),
        velocity=renamed(draw(st.lists(velocities, max_size=2))),
        chains=renamed(draw(st.lists(whens.map(lambda when: {"id": "c", "when": when, "steps": [{"group": "a"}]}), max_size=1))),
        automatic=renamed(draw(st.lists(whens.map(lambda when: {"id": "auto", "when": when}), max_size=1))),
    )


def one_by_one(rules: Policies, subjects: list[Subject], blocked: frozenset[str]) -> list[tuple[Finding, ...]]:
    """Each judged with what a store would answer at that moment."""
    before: list[Subject] = []
    verdicts = []
    for one in subjects:
        findings = judge(rules, one, known_to(rules, [one], before, PAID), NOW)
        if one.payment_id not in blocked and all(finding.outcome is not Outcome.BLOCK for finding in findings):
            before.append(one)
        verdicts.append(findings)
    return verdicts


@settings(max_examples=60)
@given(
    documents(), documents(name="others"), payments, st.sets(st.integers(0, 11).map(lambda place: f"{place:032x}"), max_size=3)
)
def test_judged_together_is_judged_one_by_one(first: Any, second: Any, subjects: list[Subject], blocked: set[str]) -> None:
    rules = policies(first, second, own_accounts=frozenset({OTHERS}))
    together = judge_in_order(rules, subjects, known_to(rules, subjects, (), PAID), NOW, blocked=blocked)
    assert together == one_by_one(rules, subjects, frozenset(blocked))


@settings(max_examples=60)
@given(documents(), documents(name="others"), payments)
def test_a_document_more_never_lets_more_through(first: Any, second: Any, subjects: list[Subject]) -> None:
    alone, both = policies(first), policies(first, second)
    known = known_to(both, subjects, (), PAID)
    for one in subjects:
        findings = judge(alone, one, known, NOW)
        assert {finding.rule for finding in findings} <= {first.default_rule, *(rule.id for _, _, rule in first.rules())}
        assert {finding.version for finding in findings} <= {first.version}
        assert set(findings) <= set(judge(both, one, known, NOW))


@settings(max_examples=60)
@given(limits, payments, st.data())
def test_no_order_and_no_split_into_batches_passes_a_blocking_limit(
    limit: dict[str, Any], subjects: list[Subject], data: st.DataObject
) -> None:
    """What is let through of any order, cut into any batches, never comes to more than the limit says."""
    rule = {**limit, "outcome": "block", "when": {}, "convert": False}
    rules = policies(document(limits=[rule]))
    passed: list[Subject] = []
    left = data.draw(st.permutations(subjects))
    while left:
        size = data.draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        needs = Needs()
        for one in batch:
            needs |= questions(rules, one, NOW)
        known = Known(usage=usage_of(passed, needs.usage), creditors={})
        verdicts = judge_in_order(rules, batch, known, NOW)
        passed += [one for one, findings in zip(batch, verdicts, strict=True) if not findings]
    totals: dict[Any, Decimal] = {}
    for one in (one for one in passed if one.transfer.currency == "EUR"):
        zone = rules.zone(one.connection_id)
        period = one.payment_id if rule["period"] == "payment" else bounds(rule["period"], one.submitted_at, zone)
        key = (period, *(getattr(one, "connection_id" if name == "connection" else name) for name in rule["per"]))
        totals[key] = totals.get(key, Decimal(0)) + one.transfer.amount
    assert all(total <= Decimal(rule["amount"]) for total in totals.values())


@given(st.datetimes(min_value=NOW.replace(tzinfo=None, month=1), max_value=NOW.replace(tzinfo=None, year=2027)))
def test_every_moment_lies_in_exactly_one_hour_day_and_month(naive: Any) -> None:
    moment = naive.replace(tzinfo=NOW.tzinfo)
    for period in ("hour", "day", "month"):
        since, until = bounds(period, moment, BERLIN)
        assert since <= moment < until
        assert bounds(period, since, BERLIN) == (since, until)
        assert bounds(period, until - timedelta(microseconds=1), BERLIN) == (since, until)
        assert bounds(period, until, BERLIN)[0] == until


def test_what_is_blocked_by_a_rule_or_another_check_counts_for_nobody() -> None:
    limit = {"id": "day", "period": "day", "amount": "1000", "currency": "EUR", "outcome": "block"}
    rules = policies(document(limits=[limit]))
    many = [subject("600", number=1), subject("600", number=2), subject("400", number=3), subject("1", number=4)]
    known = known_to(rules, many)
    assert [bool(one) for one in judge_in_order(rules, many, known, NOW)] == [False, True, False, True]
    first = frozenset({many[0].payment_id})
    assert [bool(one) for one in judge_in_order(rules, many, known, NOW, blocked=first)] == [False, False, False, True]
    assert known == known_to(rules, many), "what was looked up stays as it was"
