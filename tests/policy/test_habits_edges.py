"""The four rules that no planted case of the generated year tries (other-name, weekday, burst, new-currency), at their edges:
cold start, exactly at the threshold, days on which clocks change, currencies without cents, one day unlike all others."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.habits_settings import HabitsSettings
from gateway.lifecycle import PaymentState
from gateway.policy.subject import Past
from tests.policy.habits_workshop import NOON, judged, past, payment

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = HabitsSettings(time_zone="Europe/Berlin")


def on_days(count: int, *, at: datetime = NOON, each: int = 1, weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[Past]:
    """`each` payments, two hours apart, on each of the last `count` such days before `at`."""
    rows: list[Past] = []
    day = at
    while len(rows) < count * each:
        day -= DAY
        if day.weekday() in weekdays:
            moments = [day.replace(hour=8, minute=0) + timedelta(hours=2 * place) for place in range(each)]
            rows += [
                past(payment(f"d{weekdays[0]}-{len(rows) + n}", at=one, account="", name="")) for n, one in enumerate(moments)
            ]
    return rows


def crowd(count: int, at: datetime, name: str = "c") -> list[Past]:
    """So many payments within the hour up to a moment."""
    step = timedelta(minutes=50) / max(1, count)
    return [past(payment(f"{name}{n}", at=at - n * step, account="", name="", amount=f"{n + 1}.10")) for n in range(count)]


# -- another name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "told"), [(0, False), (1, False), (2, True), (9, True)])
def test_an_account_is_known_by_its_name_from_the_second_payment_on(before: int, told: bool) -> None:
    rows = [past(payment(f"b{n}", at=NOON - (n + 1) * 9 * DAY)) for n in range(before)]
    assert ("habits.other-name" in judged(payment(name="Zyx Holding"), rows)) is told


@pytest.mark.parametrize(("names", "told"), [(1, True), (2, True), (3, False), (4, False)])
def test_from_three_names_on_an_account_collects_for_others(names: int, told: bool) -> None:
    each = ("Qqqq", "Wwww", "Jjjj", "Kkkk")[:names]
    rows = [past(payment(f"{name}{n}", at=NOON - (n + 1) * 9 * DAY, name=name)) for name in each for n in range(2)]
    assert ("habits.other-name" in judged(payment(name="Zyx Holding"), rows)) is told


@given(order=st.sampled_from(list(permutations(("Acme", "Handel", "Nord")))), form=st.sampled_from(["", " GmbH", " AG", " Ltd."]))
def test_the_same_words_in_another_order_or_legal_form_are_no_other_name(order: tuple[str, ...], form: str) -> None:
    rows = [past(payment(f"b{n}", at=NOON - (n + 1) * 9 * DAY, name="Acme Handel Nord GmbH")) for n in range(4)]
    found = judged(payment(name=" ".join(order).upper() + form), rows)
    assert "habits.other-name" not in found


@pytest.mark.parametrize("name", ["", "???", "   "])
def test_a_name_that_says_nothing_is_no_other_name(name: str) -> None:
    """Screening holds those."""
    rows = [past(payment(f"b{n}", at=NOON - (n + 1) * 9 * DAY)) for n in range(4)]
    assert "habits.other-name" not in judged(payment(name=name), rows)


# -- days of the week --------------------------------------------------------------------------------------------------

SUNDAY = datetime(2026, 3, 29, 10, 0, tzinfo=UTC)  # clocks go forward in Europe at 01:00 UTC


@pytest.mark.parametrize(("days", "told"), [(0, False), (19, False), (20, True), (60, True)])
def test_days_are_judged_from_twenty_days_with_payments_on(days: int, told: bool) -> None:
    found = judged(payment(at=SUNDAY, account="", name=""), on_days(days, at=SUNDAY))
    assert ("habits.weekday" in found) is told


@pytest.mark.parametrize(
    ("active", "sundays", "told"), [(50, 1, True), (49, 1, False), (100, 2, True), (100, 3, False), (20, 0, True)]
)
def test_a_weekday_is_rare_up_to_two_in_a_hundred_days(active: int, sundays: int, told: bool) -> None:
    rows = on_days(active - sundays, at=SUNDAY) + on_days(sundays, at=SUNDAY - 7 * DAY + HOUR, weekdays=(6,))
    assert ("habits.weekday" in judged(payment(at=SUNDAY, account="", name=""), rows)) is told


@given(minutes=st.integers(-36 * 60, 36 * 60), turn=st.sampled_from([SUNDAY, datetime(2026, 10, 25, 10, 0, tzinfo=UTC)]))
def test_the_day_is_that_of_the_clock_on_the_wall_on_days_it_is_changed_too(minutes: int, turn: datetime) -> None:
    at = turn + timedelta(minutes=minutes)
    local = at.astimezone(ZoneInfo("Europe/Berlin"))
    rows = [one for one in _SPRING[turn] if one.submitted_at < at]
    found = judged(payment(at=at, account="", name=""), rows, BERLIN)
    assert ("habits.weekday" in found) is (local.weekday() >= 5)
    if "habits.weekday" in found:
        assert ("Saturday", "Sunday")[local.weekday() - 5] in found["habits.weekday"].text_en


_SPRING = {turn: on_days(40, at=turn - 3 * DAY) for turn in (SUNDAY, datetime(2026, 10, 25, 10, 0, tzinfo=UTC))}


def test_one_sunday_in_the_past_makes_no_sunday_usual() -> None:
    rows = [*on_days(80, at=SUNDAY), *crowd(40, SUNDAY - 7 * DAY)]
    assert "habits.weekday" in judged(payment(at=SUNDAY, account="", name=""), rows)


# -- far more than ever ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("largest", "now", "told"), [(4, 12, False), (4, 13, True), (3, 9, False), (3, 10, True), (1, 9, False)])
def test_an_hour_is_a_burst_above_three_times_the_largest_and_from_ten_on(largest: int, now: int, told: bool) -> None:
    """Each payment of the largest hour before stands within one hour of the clock; `now` counts this payment."""
    before = crowd(largest, NOON.replace(minute=55) - 5 * DAY, "before")
    rows = [*on_days(25, at=NOON - 6 * DAY, each=1), *before, *crowd(now - 1, NOON - timedelta(minutes=1))]
    settings = HabitsSettings(burst_payments_min=10)
    found = judged(payment(account="", name=""), rows, settings)
    assert ("habits.burst" in found) is told
    if told:
        assert found["habits.burst"].text_en.startswith(f"{now} payments from this account within one hour; before, {largest}")


@pytest.mark.parametrize(("days", "told"), [(0, False), (19, False), (20, True)])
def test_nothing_is_a_burst_before_twenty_days_are_known(days: int, told: bool) -> None:
    rows = [*on_days(days), *crowd(30, NOON - timedelta(minutes=1))]
    assert ("habits.burst" in judged(payment(account="", name=""), rows)) is told


def test_one_day_of_a_hundred_payments_is_the_measure_of_the_next_one() -> None:
    """What the rule cannot see, and docs/habits.md says so: whoever burst once without being stopped may do it again."""
    payday = crowd(100, NOON - 30 * DAY, "payday")
    again = crowd(100, NOON - timedelta(minutes=1))
    assert "habits.burst" in judged(payment(account="", name=""), [*on_days(30), *again])
    assert "habits.burst" not in judged(payment(account="", name=""), [*on_days(30), *payday, *again])


@pytest.mark.parametrize("turn", [datetime(2026, 3, 29, 12, 0, tzinfo=UTC), datetime(2026, 10, 25, 12, 0, tzinfo=UTC)])
def test_a_day_of_23_or_25_hours_is_no_burst_by_itself(turn: datetime) -> None:
    """A payment every hour, day and night, for six weeks, the change of clocks at their end."""
    rows = [past(payment(f"h{n}", at=turn - n * HOUR, account="", name="")) for n in range(1, 42 * 24)]
    assert "habits.burst" not in judged(payment(at=turn, account="", name=""), rows, BERLIN)


# -- currencies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "told"), [(0, False), (49, False), (50, True)])
def test_a_currency_is_new_once_fifty_payments_are_known(before: int, told: bool) -> None:
    rows = on_days(before) if before else []
    assert ("habits.new-currency" in judged(payment(currency="CHF", account="", name=""), rows)) is told


@given(
    currency=st.sampled_from(["JPY", "KWD", "CLF", "USD"]),
    amount=st.sampled_from(["1", "1.0000", "1000000000", "0.001", "999999999999999999"]),
)
def test_a_currency_is_new_whatever_its_amounts_look_like_and_known_after_one_payment(currency: str, amount: str) -> None:
    """Without cents, with three decimals, with four."""
    now = payment(currency=currency, amount=amount, account="", name="")
    assert "habits.new-currency" in judged(now, _FIFTY)
    once = past(payment("once", at=NOON - 40 * DAY, currency=currency, amount="7", account="", name=""))
    assert "habits.new-currency" not in judged(now, [*_FIFTY, once])


_FIFTY = on_days(50)


def test_a_held_payment_makes_no_currency_known() -> None:
    tried = past(payment("tried", at=NOON - DAY, currency="JPY", account="", name=""), PaymentState.HELD)
    assert "habits.new-currency" in judged(payment(currency="JPY", account="", name=""), [*_FIFTY, tried])


def test_without_any_past_nothing_is_said_but_that_there_is_none() -> None:
    assert list(judged(payment(currency="JPY", at=SUNDAY, name="Zyx Holding"))) == ["habits.cold-start"]
