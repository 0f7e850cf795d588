"""On which days the payments of a standing order fall due, and on which they are executed."""

from datetime import date, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calendars import CALENDARS, BankDay
from gateway.schedule import Frequency, Schedule, Shift, Shifted, due_after, due_dates, shifted, usual_shift

CN = CALENDARS["CN"].day
WEEKDAYS = CALENDARS["WEEKDAYS"].day


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def schedule(frequency: Frequency, start: str, **more: object) -> Schedule:
    return Schedule(frequency=frequency, start=date.fromisoformat(start), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (schedule(Frequency.DAILY, "2026-11-29", interval=10), days("2026-11-29", "2026-12-09", "2026-12-19")),
        (schedule(Frequency.WEEKLY, "2026-11-25", weekday=3), days("2026-11-25", "2026-12-02", "2026-12-09")),
        (schedule(Frequency.WEEKLY, "2026-11-25", weekday=1, interval=2), days("2026-11-30", "2026-12-14", "2026-12-28")),
        (
            schedule(Frequency.MONTHLY_ON_DAY, "2026-12-01", day=31),
            days("2026-12-31", "2027-01-31", "2027-02-28"),
        ),
        (
            schedule(Frequency.MONTHLY_ON_DAY, "2028-01-30", day=30),  # a leap year, and the start itself counts
            days("2028-01-30", "2028-02-29", "2028-03-30"),
        ),
        (
            schedule(Frequency.MONTHLY_ON_DAY, "2026-11-25", day=5, interval=3),  # the fifth of November has passed
            days("2026-12-05", "2027-03-05", "2027-06-05"),
        ),
        (schedule(Frequency.MONTHLY_LAST_DAY, "2027-12-31"), days("2027-12-31", "2028-01-31", "2028-02-29")),
        (
            schedule(Frequency.MONTHLY_ON_WEEKDAY, "2026-11-25", weekday=5, nth=1),
            days("2026-12-04", "2027-01-01", "2027-02-05"),
        ),
        (
            schedule(Frequency.MONTHLY_ON_WEEKDAY, "2026-11-01", weekday=7, nth=-1),
            days("2026-11-29", "2026-12-27", "2027-01-31"),
        ),
        (schedule(Frequency.YEARLY, "2026-11-25", day=29, month=2), days("2027-02-28", "2028-02-29", "2029-02-28")),
        (schedule(Frequency.YEARLY, "2026-11-25", day=25, month=11, interval=2), days("2026-11-25", "2028-11-25", "2030-11-25")),
    ],
    ids=lambda value: value.frequency.value if isinstance(value, Schedule) else "",
)
def test_each_rule_gives_the_days_that_a_calendar_on_the_wall_gives(rule: Schedule, expected: list[date]) -> None:
    assert list(islice(due_dates(rule), len(expected))) == expected


def test_an_end_and_a_count_both_end_it_and_skipped_days_count() -> None:
    rule = schedule(Frequency.MONTHLY_LAST_DAY, "2026-11-25", end=date(2027, 1, 31))
    assert list(due_dates(rule)) == days("2026-11-30", "2026-12-31", "2027-01-31")
    rule = schedule(Frequency.MONTHLY_LAST_DAY, "2026-11-25", count=2, skip=(date(2026, 11, 30),))
    assert list(due_dates(rule)) == days("2026-11-30", "2026-12-31")
    assert list(due_after(rule, date(2026, 11, 30))) == [(2, date(2026, 12, 31))]


@pytest.mark.parametrize(
    ("due", "shift", "expected", "known"),
    [
        # The National Day and Mid-Autumn weeks, and the Spring Festival of 2026 with its working weekends (State Council notice).
        ("2026-10-01", Shift.FOLLOWING, "2026-10-08", True),
        ("2026-10-01", Shift.PRECEDING, "2026-09-30", True),
        ("2026-10-01", Shift.NONE, "2026-10-01", True),
        ("2026-02-17", Shift.FOLLOWING, "2026-02-24", True),
        ("2026-02-17", Shift.MODIFIED_FOLLOWING, "2026-02-24", True),
        ("2026-02-14", Shift.FOLLOWING, "2026-02-14", True),  # a Saturday that is worked
        ("2026-01-31", Shift.MODIFIED_FOLLOWING, "2026-01-30", True),  # Monday would be February
        ("2026-01-31", Shift.FOLLOWING, "2026-02-02", True),
        ("2027-01-02", Shift.FOLLOWING, "2027-01-02", False),  # nobody has announced that year
        ("2026-12-31", Shift.FOLLOWING, "2026-12-31", True),
    ],
)
def test_a_day_on_which_the_bank_is_closed_moves_as_the_shift_says(due: str, shift: Shift, expected: str, known: bool) -> None:
    found = shifted(date.fromisoformat(due), shift, CN)
    assert (found.day.isoformat(), found.known) == (expected, known)


def test_a_search_that_runs_into_an_unknown_year_shifts_nothing_and_says_so() -> None:
    def bank_day(day: date) -> BankDay:
        return BankDay.UNKNOWN if day.year == 2027 else BankDay.CLOSED

    found = shifted(date(2026, 12, 31), Shift.FOLLOWING, bank_day)
    assert (found.day, found.known) == (date(2026, 12, 31), False)


RULES = st.builds(
    Schedule,
    frequency=st.sampled_from(Frequency),
    start=st.dates(date(2024, 1, 1), date(2030, 12, 31)),
    interval=st.integers(1, 4),
    day=st.integers(1, 31),
    month=st.sampled_from([1, 3, 5, 7, 8, 10, 12]),
    weekday=st.integers(1, 7),
    nth=st.sampled_from([1, 2, 3, 4, -1]),
    count=st.integers(1, 40),
)


@given(RULES, st.integers(0, 50))
def test_days_come_in_order_each_once_and_going_on_from_any_of_them_gives_the_rest(rule: Schedule, place: int) -> None:
    everything = list(due_dates(rule))
    assert len(everything) == rule.count
    assert everything == sorted(set(everything))
    assert everything[0] >= rule.start
    after = everything[min(place, len(everything) - 1)]
    rest = list(due_after(rule, after))
    assert [day for _, day in rest] == [day for day in everything if day > after]
    assert [everything[number - 1] for number, _ in rest] == [day for _, day in rest]


@given(RULES, st.sampled_from(Shift))
def test_shifted_days_are_bank_days_and_never_change_places(rule: Schedule, shift: Shift) -> None:
    moved = [shifted(day, shift, WEEKDAYS) for day in due_dates(rule)]
    assert {one.left_out for one in moved} <= {False, shift is Shift.SKIP}
    found = [one.day for one in moved if not one.left_out]
    assert found == sorted(found)
    if shift is not Shift.NONE:
        assert all(WEEKDAYS(day) is BankDay.OPEN for day in found)
    if shift is Shift.MODIFIED_FOLLOWING:
        assert [day.month for day in found] == [day.month for day in due_dates(rule)]
    assert all(abs(one.day - due) <= timedelta(days=3) for one, due in zip(moved, due_dates(rule), strict=True))
    if shift is Shift.SKIP:
        assert [one.left_out for one in moved] == [WEEKDAYS(due) is not BankDay.OPEN for due in due_dates(rule)]


@pytest.mark.parametrize(
    ("calendar", "first", "last", "paid"),
    [
        # Mid-Autumn and National Day of 2026, with Sunday 20 September and Saturday 10 October worked (State Council notice).
        ("CN", "2026-09-18", "2026-10-12", "0918 0920 0921 0922 0923 0924 0928 0929 0930 1008 1009 1010 1012"),
        ("TARGET", "2026-12-23", "2027-01-05", "1223 1224 1228 1229 1230 1231 0104 0105"),
        ("TARGET", "2026-04-01", "2026-04-08", "0401 0402 0407 0408"),  # Easter
    ],
)
def test_a_payment_for_every_day_is_one_for_every_bank_day(calendar: str, first: str, last: str, paid: str) -> None:
    rule = schedule(Frequency.DAILY, first, end=date.fromisoformat(last), shift=Shift.SKIP)
    found = [shifted(day, rule.shift, CALENDARS[calendar].day) for day in due_dates(rule)]
    assert [f"{one.day:%m%d}" for one in found if not one.left_out] == paid.split()
    following = [shifted(day, Shift.FOLLOWING, CALENDARS[calendar].day).day for day in due_dates(rule)]
    assert sorted(set(following)) == [one.day for one in found if not one.left_out], "the same days, some of them several times"


def test_a_day_that_nobody_has_announced_yet_is_not_left_out() -> None:
    assert shifted(date(2027, 10, 1), Shift.SKIP, CN) == Shifted(date(2027, 10, 1), known=False)


@pytest.mark.parametrize("frequency", Frequency)
@pytest.mark.parametrize("interval", [1, 2, 7])
def test_only_a_payment_for_every_day_leaves_days_out_unless_told_otherwise(frequency: Frequency, interval: int) -> None:
    wanted = Shift.SKIP if (frequency, interval) == (Frequency.DAILY, 1) else Shift.FOLLOWING
    assert usual_shift(frequency, interval) is wanted
