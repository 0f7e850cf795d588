"""What a caller is told of the send window, at once: in time or missed, when it opens next, and what that means for the date."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from formats.model import Account, Party, PaymentType, PostalAddress
from gateway.calendars import CALENDARS
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.errors import Invalid
from gateway.payment import PaymentOrder
from gateway.reasons import texts
from gateway.rpc.present import send_window_message
from gateway.send_window import Hours, SendWindow
from gateway.service import Gateway
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from gateway.window_answer import WindowOutcome, window_answer

ERP = Caller("erp", ("*",), frozenset({"submit", "read", "cancel", "operate"}))
WINDOW = {
    "calendar": "TARGET",
    "opens": "07:00",
    "cut_off": "16:30",
    "kinds": [{"local_instrument": "INST", "around_the_clock": True}],
}
CUT_OFF = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)  # a Wednesday, 16:30 in Berlin
TODAY, TOMORROW = date(2026, 11, 25), date(2026, 11, 26)


class Now:
    moment = CUT_OFF

    def __call__(self) -> datetime:
        return self.moment


def order(reference: str = "INV-1", connection_id: str = "waits", **changes: object) -> PaymentOrder:
    made = PaymentOrder(
        payment_reference=reference,
        connection_id=connection_id,
        amount=Decimal("12.50"),
        currency="EUR",
        content_sha256=b"",
        creditor=Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        creditor_account=Account(iban="DE89370400440532013000"),
    )
    made = replace(made, **changes)  # type: ignore[arg-type]
    return replace(made, content_sha256=hashlib.sha256(repr(made).encode()).digest())


@pytest.fixture
async def now() -> Now:
    return Now()


@pytest.fixture
async def gateway(tmp_path: Path, now: Now) -> AsyncIterator[Gateway]:
    def connection(name: str, window: dict[str, object] | None) -> ConnectionSettings:
        accounts = [{"iban": "NL41MOCK0000000001", "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}]
        values = {"id": name, "bank": "sepa", "initiating_party": "ACME BV", "accounts": accounts, "send_window": window}
        return ConnectionSettings.model_validate({**values, "channel": {"kind": "folder"}, "time_zone": "Europe/Berlin"})

    connections = {
        "waits": connection("waits", WINDOW),
        "refuses": connection("refuses", {**WINDOW, "missed": "refuse"}),
        "always": connection("always", None),
    }
    store = SqliteStore(tmp_path / "bankgate.db", clock=now)
    await store.open()
    yield Gateway(Configuration(directory=tmp_path, connections=connections), store, clock=now, metrics=Metrics())
    await store.close()


@pytest.mark.parametrize(
    ("moment", "outcome", "execution_date"),
    [
        (CUT_OFF - timedelta(seconds=1), WindowOutcome.IN_TIME, TODAY),
        (CUT_OFF, WindowOutcome.MISSED, TOMORROW),
        (CUT_OFF + timedelta(seconds=1), WindowOutcome.MISSED, TOMORROW),
        (datetime(2026, 11, 25, 5, 0, tzinfo=UTC), WindowOutcome.IN_TIME, TODAY),  # before it opens
        (datetime(2026, 11, 28, 12, 0, tzinfo=UTC), WindowOutcome.CLOSED_DAY, date(2026, 11, 30)),  # a Saturday
        (datetime(2026, 11, 30, 15, 30, tzinfo=UTC), WindowOutcome.MISSED, date(2026, 12, 1)),  # month's end
        (datetime(2026, 12, 31, 15, 30, tzinfo=UTC), WindowOutcome.MISSED, date(2027, 1, 4)),  # year's end
        (datetime(2026, 12, 24, 15, 30, tzinfo=UTC), WindowOutcome.MISSED, date(2026, 12, 28)),
    ],
)
async def test_the_answer_to_a_submission_says_in_time_or_missed_and_the_day_of_execution(
    gateway: Gateway, now: Now, moment: datetime, outcome: WindowOutcome, execution_date: date
) -> None:
    now.moment = moment
    (checked,) = (await gateway.check(ERP, [order()], None))[3]
    (submitted,) = await gateway.submit(ERP, [order()])
    answer = submitted.window
    assert answer is not None
    assert answer == checked, "a dry run says what a submission would say"
    assert (answer.outcome, answer.execution_date) == (outcome, execution_date)


async def test_what_was_missed_is_said_in_both_languages_with_the_next_window_and_the_date(gateway: Gateway) -> None:
    (submitted,) = await gateway.submit(ERP, [order(requested_execution_date=TODAY)])
    answer = submitted.window
    assert answer is not None
    assert (answer.opens_at, answer.closes_at) == (CUT_OFF + timedelta(hours=14.5), CUT_OFF + timedelta(days=1))
    assert answer.text_en == (
        "Today's cut-off has passed; the next window is from 2026-11-26 07:00 (Europe/Berlin) until 2026-11-26 16:30 "
        "(Europe/Berlin). The bank executes it on 2026-11-26 at the earliest, not on 2026-11-25."
    )
    assert "今日截止时间已过" in answer.text_zh
    assert "最早于 2026-11-26 执行，而非 2026-11-25" in answer.text_zh
    stored = await gateway.payment(ERP, payment_reference="INV-1")
    assert stored.terms.requested_execution_date == TODAY, "told, and not changed"
    assert (stored.reason.code, stored.reason.bank_text) == ("bankgate.waits-for-window", "2026-11-26 07:00 (Europe/Berlin)")
    assert all(texts(stored.reason))


async def test_a_holiday_is_named(gateway: Gateway, now: Now) -> None:
    now.moment = datetime(2026, 4, 3, 9, 0, tzinfo=UTC)
    (answer,) = (await gateway.check(ERP, [order()], None))[3]
    assert answer is not None
    assert answer.text_en.startswith("The bank is closed today (Good Friday); the next window is from 2026-04-07 07:00")


async def test_a_later_date_is_kept_although_todays_window_is_missed(gateway: Gateway) -> None:
    asked = order("LATER", "refuses", requested_execution_date=date(2026, 11, 27))
    (submitted,) = await gateway.submit(ERP, [asked])
    assert submitted.window is not None
    assert (submitted.window.outcome, submitted.window.late) == (WindowOutcome.MISSED, False)
    assert submitted.window.execution_date == date(2026, 11, 27)
    assert "can be kept" in submitted.window.text_en


async def test_a_date_on_which_the_bank_is_closed_moves_to_its_next_day_and_refuses_nothing(gateway: Gateway, now: Now) -> None:
    now.moment = CUT_OFF - timedelta(hours=1)
    (submitted,) = await gateway.submit(ERP, [order("SUNDAY", "refuses", requested_execution_date=date(2026, 11, 29))])
    assert submitted.window is not None
    assert (submitted.window.execution_date, submitted.window.late) == (date(2026, 11, 30), False)


async def test_a_connection_may_refuse_what_misses_its_date_and_offers_the_next_one(gateway: Gateway, now: Now) -> None:
    late = order("LATE", "refuses", requested_execution_date=TODAY)
    now.moment = CUT_OFF - timedelta(seconds=1)
    await gateway.submit(ERP, [late])
    now.moment = CUT_OFF
    (again,) = await gateway.submit(ERP, [late])
    assert again.already_known, "a repetition of what was taken in time is answered, not refused"
    with pytest.raises(Invalid) as caught:
        await gateway.submit(ERP, [replace(late, payment_reference="LATE-2")])
    (found,) = caught.value.violations
    assert (found.violation.field, found.violation.rule) == ("requested_execution_date", "send-window.missed")
    assert found.violation.fix == "2026-11-26"
    assert "2026-11-26 07:00" in found.violation.message_en
    assert "2026-11-26 07:00" in found.violation.message_zh
    await gateway.submit(ERP, [order("LATE-3", "refuses", requested_execution_date=date.fromisoformat(found.violation.fix))])


async def test_instant_payments_go_around_the_clock(gateway: Gateway, now: Now) -> None:
    now.moment = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)  # a Sunday night
    instant = order("NOW", payment_type=PaymentType(service_level="SEPA", local_instrument="INST"))
    (answer, _) = (await gateway.check(ERP, [instant, order("NORMAL")], None))[3]
    assert answer is not None
    assert (answer.outcome, answer.execution_date, answer.opens_at) == (WindowOutcome.ALWAYS_OPEN, date(2026, 11, 29), None)


async def test_without_a_window_nothing_is_said_and_nothing_waits(gateway: Gateway) -> None:
    (submitted,) = await gateway.submit(ERP, [order("ANY", "always")])
    assert submitted.window is None
    assert (await gateway.payment(ERP, payment_reference="ANY")).reason.code == "bankgate.approved"
    assert (await gateway.check(ERP, [order("ANY-2", "always")], None))[3] == (None,)


async def test_checked_for_another_day_the_window_is_that_of_the_beginning_of_that_day(gateway: Gateway) -> None:
    (answer,) = (await gateway.check(ERP, [order()], date(2026, 12, 26)))[3]
    assert answer is not None
    assert (answer.outcome, answer.execution_date) == (WindowOutcome.CLOSED_DAY, date(2026, 12, 28))


def test_a_year_the_calendar_does_not_know_is_said_and_no_date_is_promised() -> None:
    from formats.model import PaymentTerms

    window = SendWindow(calendar=CALENDARS["CN"], zone=ZoneInfo("Asia/Shanghai"), hours=Hours())
    terms = PaymentTerms(
        debtor=Party(name="A"), debtor_account=Account(other_id="1"), requested_execution_date=date(2027, 1, 4), debtor_agent=None
    )
    before = window_answer(window, terms, datetime(2026, 12, 30, 4, 0, tzinfo=UTC))
    assert (before.outcome, before.execution_date) == (WindowOutcome.IN_TIME, None)
    assert "does not reach 2027" in before.text_en
    after = window_answer(window, terms, datetime(2027, 1, 4, 4, 0, tzinfo=UTC))
    assert (after.outcome, after.execution_date, after.late) == (WindowOutcome.UNKNOWN, None, False)
    assert "2027" in after.text_en
    assert "2027" in after.text_zh


async def test_the_contract_carries_every_part_of_the_answer(gateway: Gateway) -> None:
    (submitted,) = await gateway.submit(ERP, [order()])
    told = send_window_message(submitted.window)
    assert told is not None
    assert (told.outcome, told.execution_date, told.requested_execution_date_kept) == (3, "2026-11-26", False)
    assert told.opens_at.ToDatetime(UTC) == CUT_OFF + timedelta(hours=14.5)
    assert told.closes_at.ToDatetime(UTC) == CUT_OFF + timedelta(days=1)
    assert told.time_zone == "Europe/Berlin"
    assert told.description_en
    assert told.description_zh
