"""Until when an approval has to be given, and that one which comes too late says so."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from formats.model import PaymentTerms, PaymentType
from gateway.calendars import CALENDARS
from gateway.policy.cutoff import approve_by, late_words
from gateway.send_window import Hours, KindHours, SendWindow
from tests.policy.cases import BERLIN, subject

WINDOW = SendWindow(
    calendar=CALENDARS["TARGET"],
    zone=BERLIN,
    hours=Hours(opens=time(7), cut_off=time(16, 30)),
    kinds=(KindHours(local_instrument="INST"),),
)
CUT_OFF = datetime(2026, 11, 26, 15, 30, tzinfo=UTC)  # of the requested day, a Thursday: 16:30 in Berlin


def terms(day: date = date(2026, 11, 26), **changes: object) -> PaymentTerms:
    return replace(subject().terms, requested_execution_date=day, **changes)  # type: ignore[arg-type]


def test_an_approval_has_time_until_the_cut_off_of_the_requested_day() -> None:
    assert approve_by(WINDOW, terms()) == CUT_OFF
    assert late_words(WINDOW, terms(), CUT_OFF - timedelta(seconds=1)) is None


def test_an_approval_after_the_last_window_says_so_in_both_languages() -> None:
    words = late_words(WINDOW, terms(), CUT_OFF)
    assert words is not None
    assert words[0].startswith("This approval comes after the last window for 2026-11-26. ")
    assert words[1].startswith("该审批晚于 2026-11-26 的最后发送窗口。")
    assert "2026-11-27" in words[0], "and when it can be executed instead"


def test_for_a_day_on_which_the_bank_is_closed_the_next_bank_day_counts() -> None:
    assert approve_by(WINDOW, terms(date(2026, 11, 28))) == datetime(2026, 11, 30, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "one", [terms(payment_type=PaymentType(local_instrument="INST")), terms(date(2199, 1, 1))], ids=["instant", "unknown year"]
)
def test_around_the_clock_and_beyond_the_calendar_there_is_no_last_moment(one: PaymentTerms) -> None:
    assert approve_by(WINDOW, one) is None
