"""The rules about habits as a whole: kept profiles say what new ones say, floors over a year, nothing personal in words."""

import re
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.habits import Figures, measure
from bench.habits import settings as of_the_year
from bench.payments_year import KINDS, Made, Year
from gateway.habits_settings import HabitsSettings
from gateway.lifecycle import PaymentState
from gateway.policy.habits.history import History, HistoryNeeds
from gateway.policy.habits.judge import Habits, Profiles
from gateway.policy.habits.profile import Profile, Seen, median_and_spread
from gateway.policy.habits.words import name_key
from gateway.policy.subject import Past, Subject
from tests.policy.habits_workshop import ACME, FRENCH, NOON, OTHER, history_of, past, payment

SMALL = HabitsSettings(
    history_days=30,
    account_payments_min=10,
    active_days_min=5,
    creditor_payments_min=3,
    history_payments=50,
    limits=of_the_year().limits,
)


@pytest.fixture(scope="module")
def year() -> list[Made]:
    return Year(seed=7, scale=0.12, plantings=6).payments()


@pytest.fixture(scope="module")
def figures(year: list[Made]) -> Figures:
    return measure(year, of_the_year())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_planted_in_a_year_is_stopped(figures: Figures, kind: str) -> None:
    assert figures.recall(kind) >= (0.6 if kind == "duplicate-new-reference" else 0.8)


def test_few_ordinary_payments_of_a_year_are_stopped(figures: Figures) -> None:
    assert figures.false_positive_rate(warm=True) <= 0.012
    assert figures.precision() >= 0.6


# -- kept profiles ---------------------------------------------------------------------------------------------------------

NAMES = ("Acme GmbH", "Beta AG", "Gamma")
SUBJECTS = st.builds(
    lambda number, minutes, amount, account, name, said, caller: payment(
        f"p{number}",
        at=NOON + timedelta(minutes=minutes),
        amount=amount,
        account=account,
        name=name,
        said=said,
        caller=caller,
    ),
    st.integers(0, 150),
    st.integers(0, 60 * 24 * 60),
    st.sampled_from(["100.00", "100.00", "105.00", "9900.00", "50000.00"]),
    st.sampled_from([ACME, OTHER, FRENCH, ""]),
    st.sampled_from(NAMES),
    st.sampled_from(["", "RE 4711", "RE 4712", "Miete"]),
    st.sampled_from(["erp", "erp", "shop"]),
)
STEPS = st.lists(st.tuples(SUBJECTS, st.sampled_from(PaymentState)), min_size=25, max_size=60)


def newest(rows: list[Past], wanted: HistoryNeeds) -> History:
    """What a store answers."""
    found = history_of(row for row in rows if row.submitted_at >= wanted.since)

    def cut(of_key: tuple[Past, ...]) -> tuple[Past, ...]:
        return tuple(sorted(of_key, key=lambda row: (row.submitted_at, row.payment_id), reverse=True)[: wanted.limit])

    return History(
        accounts={key: cut(rows) for key, rows in found.accounts.items() if key in wanted.accounts},
        names={key: cut(rows) for key, rows in found.names.items() if key in wanted.names},
        debtors={key: cut(rows) for key, rows in found.debtors.items() if key in wanted.debtors},
    )


FEW = SMALL.model_copy(update={"history_payments": 12})  # so that rows drop out at the old end all the time


@settings(max_examples=60)
@given(STEPS, st.integers(10, 400))
def test_profiles_that_grew_say_what_profiles_built_anew_say(steps: list[tuple[Subject, PaymentState]], rows_max: int) -> None:
    """Whatever came in, in whatever order, with whatever changes of state, and whatever was let go in between."""
    habits = Habits(FEW)
    kept = Profiles(habits, rows_max=rows_max, keep=timedelta(days=1000))
    stored: dict[str, Past] = {}
    now = NOON
    for subject, state in steps:
        if subject.payment_id in stored:  # a payment keeps its creditor; only its state changes
            row = past(subject, state)
            before = stored[subject.payment_id]
            row = Past(**{name: getattr(before, name) for name in Past.__slots__} | {"state": state})
            stored[row.payment_id] = row
            kept.note(row)
            continue
        now = max(now, subject.submitted_at)
        wanted = kept.needs([subject], now)
        kept.learn(wanted, newest(list(stored.values()), wanted), now)
        anew = habits.judge(subject, newest(list(stored.values()), habits.needs(subject, now)), now)
        assert kept.judge(subject, now) == anew
        stored[subject.payment_id] = past(subject, state)
        kept.note(stored[subject.payment_id])
        kept.trim()
        assert kept.rows <= rows_max


def inside(profile: Profile) -> dict[str, object]:
    """Everything a profile knows, as it can be compared."""

    def plain(value: object) -> object:
        if isinstance(value, Seen):
            return value.past
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if one not in (0, [])}
        return [plain(one) for one in value] if isinstance(value, list) else value

    return {name: plain(value) for name, value in vars(profile).items()}


@settings(max_examples=60)
@given(STEPS, st.integers(1, 20), st.lists(st.integers(0, 24), max_size=6))
def test_a_profile_knows_the_newest_rows_and_nothing_of_the_others(
    steps: list[tuple[Subject, PaymentState]], limit: int, out: list[int]
) -> None:
    """Every index, after rows came, changed, were taken out and put back, and dropped out at the old end."""
    zone = ZoneInfo("Europe/Berlin")
    grown, rows = Profile(limit, zone), list({subject.payment_id: past(subject, state) for subject, state in steps}.values())
    for subject, _ in steps:
        grown.add(next(row for row in rows if row.payment_id == subject.payment_id))
    for place in out:
        taken = grown.take_out(steps[place][0].payment_id)
        if taken is not None:
            grown.add(taken)
    since = min(row.submitted_at for row in rows) + timedelta(days=10)
    grown.forget_before(since)
    newest_rows = sorted(rows, key=lambda row: (row.submitted_at, row.payment_id))[-limit:]
    assert inside(grown) == inside(Profile(limit, zone, [row for row in newest_rows if row.submitted_at >= since]))


def test_what_is_held_too_long_is_read_anew() -> None:
    habits = Habits(SMALL)
    kept = Profiles(habits, keep=timedelta(minutes=5))
    wanted = kept.needs([payment()], NOON)
    assert wanted.accounts == {ACME}
    assert wanted.names == {name_key("Acme GmbH")}
    kept.learn(wanted, History(), NOON)
    assert not kept.needs([payment()], NOON + timedelta(minutes=4))
    assert (
        kept.needs([payment()], NOON + timedelta(minutes=5)) | wanted
        == kept.needs([payment()], NOON + timedelta(minutes=5)) | wanted
    )
    assert kept.needs([payment()], NOON + timedelta(minutes=5)).accounts == {ACME}


def test_needs_of_many_payments_are_one_question() -> None:
    kept = Profiles(Habits(SMALL))
    wanted = kept.needs([payment("a"), payment("b", account=OTHER), payment("c", caller="shop", account="")], NOON)
    assert wanted.accounts == {ACME, OTHER}
    assert len(wanted.names) == 1
    assert {caller for caller, _ in wanted.debtors} == {"erp", "shop"}
    assert wanted.since == NOON - timedelta(days=SMALL.history_days)


def test_a_payment_nobody_read_the_past_of_is_not_judged_as_if_it_had_none() -> None:
    with pytest.raises(KeyError):
        Profiles(Habits(SMALL)).judge(payment(), NOON)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=60))
def test_median_and_deviation_are_those_of_the_textbook(numbers: list[float]) -> None:
    def median(ordered: list[float]) -> float:
        half = len(ordered) // 2
        return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2

    middle, spread = median_and_spread(sorted(numbers))
    assert middle == median(sorted(numbers))
    assert spread == pytest.approx(median(sorted(abs(number - middle) for number in numbers)))


# -- words -----------------------------------------------------------------------------------------------------------------


def test_no_account_and_no_name_stands_in_what_is_said(year: list[Made]) -> None:
    habits, stored, said = Habits(of_the_year()), [], []
    for made in year[-900:]:
        now = made.subject.submitted_at
        stored.append(past(made.subject))
    everything = history_of(stored)
    for made in year[-250:]:
        now = made.subject.submitted_at
        for one in habits.judge(made.subject, everything, now):
            said.append(repr(one))
            assert made.subject.creditor_account not in said[-1]
            assert (made.subject.transfer.creditor.name or "?") not in said[-1]
            assert one.text_en
            assert re.search("[一-鿿]", one.text_zh)
            assert one.score is not None
            assert 0 <= one.score <= 100
    assert len(said) > 100
    assert not [line for line in said if re.search(r"[A-Z]{2}\d{2}\d{15}", line)]


def test_money_stays_decimal_to_the_last_digit() -> None:
    """Two amounts that are one as floats are two."""
    one, other = "90071992547409.93", "90071992547409.94"
    assert float(one) == float(other) or Decimal(one) != Decimal(other)
    rows = [past(payment("earlier", at=NOON - timedelta(days=1), amount=one, said="RE 4711"))]
    found = {rule.rule for rule in Habits(SMALL).judge(payment(amount=other, said="RE 4711"), history_of(rows), NOON)}
    assert "habits.duplicate" not in found
    assert "habits.invoice-again" in found
