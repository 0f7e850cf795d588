"""Which moments a bank takes messages at: to the second, over nights, weekends, holidays, year's end and changed clocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.model import PaymentType
from gateway.calendars import CALENDARS, BankDay
from gateway.send_window import Hours, KindHours, SendWindow

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
SEVEN_TO_HALF_PAST_FOUR = Hours(opens=time(7), cut_off=time(16, 30))
INSTANT = PaymentType(local_instrument="INST")
URGENT = PaymentType(service_level="URGP")


def target(**more: object) -> SendWindow:
    values = {"calendar": CALENDARS["TARGET"], "zone": BERLIN, "hours": SEVEN_TO_HALF_PAST_FOUR, **more}
    return SendWindow(**values)  # type: ignore[arg-type]


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


# (the moment in Frankfurt, open?, when it opens next, missed?, closed day?)
MOMENTS = [
    ("2026-11-25T16:29:59", True, None, False, False),  # the second before the cut-off
    ("2026-11-25T16:30:00", False, "2026-11-26T07:00", True, False),  # at it: too late
    ("2026-11-25T16:30:01", False, "2026-11-26T07:00", True, False),
    ("2026-11-26T06:59:59", False, "2026-11-26T07:00", False, False),  # not open yet is not missed
    ("2026-11-26T07:00:00", True, None, False, False),
    ("2026-11-27T16:30:00", False, "2026-11-30T07:00", True, False),  # a Friday: over the weekend
    ("2026-11-28T12:00:00", False, "2026-11-30T07:00", False, True),  # a Saturday
    ("2026-11-30T16:30:00", False, "2026-12-01T07:00", True, False),  # month's end
    ("2026-12-24T16:30:00", False, "2026-12-28T07:00", True, False),  # over Christmas and the weekend
    ("2026-12-25T08:00:00", False, "2026-12-28T07:00", False, True),
    ("2026-12-31T16:29:59", True, None, False, False),  # year's end
    ("2026-12-31T16:30:00", False, "2027-01-04T07:00", True, False),
    ("2026-12-31T23:59:59", False, "2027-01-04T07:00", True, False),
    ("2027-01-01T00:00:00", False, "2027-01-04T07:00", False, True),
    ("2026-04-02T16:30:00", False, "2026-04-07T07:00", True, False),  # before Good Friday
]


@pytest.mark.parametrize(("moment", "is_open", "opens", "missed", "closed_day"), MOMENTS)
def test_the_window_is_decided_to_the_second(
    moment: str, is_open: bool, opens: str | None, missed: bool, closed_day: bool
) -> None:
    standing = target().standing(None, at(moment))
    assert standing.open is is_open
    assert standing.opens_at == (at(opens) if opens else None)
    assert (standing.missed, standing.closed_day) == (missed, closed_day)


def test_the_bank_s_zone_decides_and_not_ours() -> None:
    window = SendWindow(calendar=CALENDARS["CN"], zone=SHANGHAI, hours=Hours(opens=time(8, 30), cut_off=time(17)))
    assert window.standing(None, datetime(2026, 11, 25, 8, 59, 59, tzinfo=UTC)).open  # 16:59:59 in Shanghai
    closed = window.standing(None, datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    assert not closed.open
    assert closed.opens_at == at("2026-11-26T08:30", SHANGHAI)


def test_a_weekend_that_is_worked_in_china_is_open_and_the_week_of_the_festival_is_not() -> None:
    window = SendWindow(calendar=CALENDARS["CN"], zone=SHANGHAI, hours=Hours(opens=time(9), cut_off=time(17)))
    assert window.standing(None, at("2026-10-10T10:00", SHANGHAI)).open  # a Saturday, worked for 7 October
    after = window.standing(None, at("2026-09-30T17:00", SHANGHAI))
    assert after.opens_at == at("2026-10-08T09:00", SHANGHAI)


def test_a_day_of_a_year_that_is_not_known_holds_nothing_back_and_says_so() -> None:
    window = SendWindow(calendar=CALENDARS["CN"], zone=SHANGHAI, hours=Hours(opens=time(9), cut_off=time(17)))
    standing = window.standing(None, at("2027-02-08T10:00", SHANGHAI))
    assert standing.open
    assert standing.opening is not None
    assert not standing.opening.known
    assert window.first_bank_day(date(2026, 12, 31)) == date(2026, 12, 31)
    assert window.first_bank_day(date(2027, 1, 1)) is None


def test_the_bank_s_own_days_stand_over_the_calendar() -> None:
    window = target(closed=frozenset({date(2026, 12, 24)}), open=frozenset({date(2026, 12, 25)}))
    assert not window.standing(None, at("2026-12-24T10:00")).open
    assert window.standing(None, at("2026-12-25T10:00")).open


def test_kinds_of_payment_have_hours_of_their_own_and_instant_ones_none() -> None:
    kinds = (
        KindHours(local_instrument="INST"),
        KindHours(service_level="URGP", hours=Hours(opens=time(7), cut_off=time(14))),
    )
    window = target(kinds=kinds)
    sunday, afternoon = at("2026-11-29T03:00"), at("2026-11-25T15:00")
    assert window.standing(INSTANT, sunday).open
    assert window.standing(INSTANT, sunday).opening is None
    assert window.standing(None, afternoon).open
    assert not window.standing(URGENT, afternoon).open
    assert window.standing(PaymentType(service_level_proprietary="URGP"), afternoon).missed


def test_without_a_cut_off_the_day_is_open_until_it_ends() -> None:
    window = target(hours=Hours())
    assert window.standing(None, at("2026-11-27T23:59:59")).open
    assert window.standing(None, at("2026-11-28T00:00:00")).opens_at == at("2026-11-30T00:00")


# Clocks in Berlin: 29 March 2026, 02:00 becomes 03:00 (at 01:00 UTC); 25 October 2026, 03:00 becomes 02:00 (at 01:00 UTC).
CHANGES = [
    # a time that does not exist is the moment of the jump
    (date(2026, 3, 29), time(2, 30), time(16), "2026-03-29T01:00:00", "2026-03-29T14:00:00"),
    (date(2026, 3, 29), time(1), time(2, 30), "2026-03-29T00:00:00", "2026-03-29T01:00:00"),
    # of a time that comes twice, the second one opens and the first one closes
    (date(2026, 10, 25), time(2, 30), time(16), "2026-10-25T01:30:00", "2026-10-25T15:00:00"),
    (date(2026, 10, 25), time(1), time(2, 30), "2026-10-24T23:00:00", "2026-10-25T00:30:00"),
]


@pytest.mark.parametrize(("day", "opens", "cut_off", "opens_utc", "closes_utc"), CHANGES)
def test_nothing_leaves_outside_the_hours_on_the_day_the_clocks_change(
    day: date, opens: time, cut_off: time, opens_utc: str, closes_utc: str
) -> None:
    window = target(calendar=CALENDARS["EVERY_DAY"], hours=Hours(opens=opens, cut_off=cut_off))
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (opens_utc, closes_utc))
    second = timedelta(seconds=1)
    assert not window.standing(None, first - second).open
    assert window.standing(None, first).open
    assert window.standing(None, last - second).open
    assert not window.standing(None, last).open


@given(
    name=st.sampled_from(sorted(CALENDARS)),
    moment=st.integers(0, 3 * 365 * 86_400).map(lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "America/Havana"]),
    opens=st.integers(0, 22),
    length=st.integers(1, 23),
)
def test_a_window_that_is_open_closes_later_one_that_is_not_opens_later_on_a_day_the_bank_works(
    name: str, moment: datetime, zone: str, opens: int, length: int
) -> None:
    cut_off = time(opens + length) if opens + length < 24 else None
    window = SendWindow(calendar=CALENDARS[name], zone=ZoneInfo(zone), hours=Hours(opens=time(opens), cut_off=cut_off))
    standing = window.standing(None, moment)
    opening = standing.opening
    assert opening is not None
    assert opening.opens_at < opening.closes_at
    assert window.bank_day(opening.day) is not BankDay.CLOSED
    if standing.open:
        assert opening.opens_at <= moment < opening.closes_at
    else:
        assert moment < opening.opens_at
        assert window.standing(None, opening.opens_at).open
        assert not window.standing(None, opening.opens_at - timedelta(microseconds=1)).open
    assert not window.standing(None, opening.closes_at).open or cut_off is None
