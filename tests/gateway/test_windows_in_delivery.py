"""Send windows at work: when messages are formed, when they start, and how many may be under way."""

from datetime import UTC, date, datetime, timedelta

import pytest

from channels.channel import Fate, FateReport, InDoubt, NotSent
from gateway import worker
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.worker import SendLane

# The clock of these tests stands at 2026-11-25 09:00 UTC, a Wednesday: 10:00 in Berlin.
BERLIN = {"time_zone": "Europe/Berlin"}
WINDOW = {"calendar": "TARGET", "opens": "07:00", "cut_off": "16:30"}
CUT_OFF = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
NEXT_OPENS = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
IDEMPOTENT = {"guarantee": {"kind": "idempotent", "evidence": "letter of 2026-03-02"}}


@pytest.mark.parametrize(("at", "formed"), [(CUT_OFF - SECOND, 1), (CUT_OFF, 0), (CUT_OFF + SECOND, 0)])
async def test_at_the_cut_off_approved_payments_wait_and_a_second_before_they_are_formed(make_desk, at, formed: int) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    await desk.submit()
    desk.clock.moment = at
    look_again = await desk.preparer.form_messages()
    assert len(await desk.deliveries()) == formed
    assert look_again == (None if formed else NEXT_OPENS)


async def test_what_waited_over_the_night_is_formed_when_the_window_opens(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    desk.clock.moment = CUT_OFF
    await desk.submit()
    await desk.pump()
    assert await desk.states() == {PaymentState.APPROVED: 1}
    desk.clock.moment = NEXT_OPENS
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_waiting_for_company_never_carries_payments_past_the_cut_off(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, batching={"wait_seconds": 7200}, **BERLIN)
    desk.clock.moment = CUT_OFF - timedelta(hours=1)
    await desk.submit()
    look_again = await desk.preparer.form_messages()
    assert look_again == CUT_OFF - timedelta(seconds=60)  # lead_seconds
    desk.clock.moment = look_again
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_each_kind_of_payment_waits_for_its_own_window(make_desk) -> None:
    from dataclasses import replace

    from formats.model import PaymentType

    kinds = [{"local_instrument": "INST", "around_the_clock": True}, {"service_level": "URGP", "cut_off": "12:00"}]
    desk = await make_desk(send_window={**WINDOW, "kinds": kinds}, **BERLIN)
    desk.clock.moment = datetime(2026, 11, 25, 11, 0, tzinfo=UTC)  # noon in Berlin

    def of_kind(reference: str, kind: PaymentType):  # type: ignore[no-untyped-def]
        row = desk.row(reference)
        return replace(row, terms=replace(row.terms, payment_type=kind))

    urgent = of_kind("URGENT", PaymentType(service_level="URGP"))
    instant = of_kind("INSTANT", PaymentType(service_level="SEPA", local_instrument="INST"))
    await desk.store.submit([urgent, instant, desk.row("NORMAL")])
    await desk.pump()
    assert (await desk.payment(urgent.payment_id)).state is PaymentState.APPROVED
    assert await desk.states() == {PaymentState.APPROVED: 1, PaymentState.SENT: 2}
    desk.clock.moment = CUT_OFF + timedelta(hours=9)  # past midnight
    await desk.store.submit([of_kind("AT-NIGHT", PaymentType(service_level="SEPA", local_instrument="INST"))])
    await desk.pump()
    assert await desk.states() == {PaymentState.APPROVED: 1, PaymentState.SENT: 3}


async def test_a_message_formed_just_before_the_cut_off_does_not_start_after_it_and_says_so(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    await desk.form()
    desk.clock.moment = CUT_OFF
    due = await desk.courier.advance_due()
    delivery = await desk.delivery()
    assert desk.channel.sends == []
    assert (delivery.state, delivery.due_at, due) == (DeliveryState.READY, NEXT_OPENS, NEXT_OPENS)
    assert delivery.reason.code == "bankgate.window-closed"
    assert delivery.reason.bank_text == "2026-11-26 07:00 (Europe/Berlin)"
    desk.clock.moment = NEXT_OPENS
    await desk.courier.advance_due()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_the_window_that_closes_while_a_message_is_rendered_keeps_it_from_starting(make_desk, monkeypatch) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    seal = type(desk.preparer).seal_document

    async def slow(preparer, delivery):  # type: ignore[no-untyped-def]
        sealed = await seal(preparer, delivery)
        desk.clock.moment = CUT_OFF
        return sealed

    monkeypatch.setattr(type(desk.preparer), "seal_document", slow)
    await desk.pump()
    delivery = await desk.delivery()
    assert desk.channel.sends == []
    assert delivery.document_sha256 is not None
    assert (delivery.state, delivery.attempt, delivery.due_at) == (DeliveryState.READY, 0, NEXT_OPENS)


async def test_a_retry_after_the_cut_off_waits_for_the_next_window(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, retry={"first_seconds": 60}, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    desk.channel.outcomes = [NotSent("connection refused")]
    await desk.pump()
    for _ in range(20):
        desk.clock.advance(minutes=30)
        await desk.pump()
    delivery = await desk.delivery()
    assert len(desk.channel.sends) == 1
    assert (delivery.due_at, delivery.reason.code) == (NEXT_OPENS, "bankgate.window-closed")
    assert [attempt.outcome for attempt in await desk.store.attempts(delivery.delivery_id)] == ["not_sent"]
    desk.clock.moment = NEXT_OPENS
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_over_the_turn_of_the_year_a_message_waits_for_the_first_bank_day(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    desk.clock.moment = datetime(2026, 12, 31, 15, 29, 59, tzinfo=UTC)
    await desk.submit(day=date(2027, 1, 4))
    await desk.form()
    desk.clock.advance(seconds=1)
    await desk.courier.advance_due()
    assert (await desk.delivery()).due_at == datetime(2027, 1, 4, 6, 0, tzinfo=UTC)


async def test_a_doubt_is_asked_about_and_ended_by_evidence_at_any_hour(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    desk.clock.moment = CUT_OFF + timedelta(hours=5)
    desk.channel.fates = [FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")]
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_a_repeat_under_idempotent_waits_for_the_window_and_the_question_does_not(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **IDEMPOTENT, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    for _ in range(24):
        desk.clock.advance(minutes=30)
        await desk.pump()
    delivery = await desk.delivery()
    assert len(desk.channel.sends) == 1
    assert delivery.due_at is not None
    assert delivery.due_at <= NEXT_OPENS
    assert [one.verdict for one in await desk.store.evidence(delivery.delivery_id)] == ["unknown"]
    desk.clock.moment = NEXT_OPENS
    await desk.pump()
    assert len(desk.channel.sends) == 2
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_the_same_question_under_idempotent_ends_the_doubt_when_the_file_is_there(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **IDEMPOTENT, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    desk.channel.outcomes = ["arrived, answer lost"]
    await desk.pump()
    desk.clock.moment = CUT_OFF + timedelta(hours=1)
    desk.channel.fates = [FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")]
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(desk.channel.sends) == 1


async def test_while_its_window_is_closed_a_lane_sleeps_until_it_opens(make_desk) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    desk.clock.moment = CUT_OFF
    await desk.submit()
    lane = SendLane(desk.courier, desk.preparer)
    assert await lane.pump() == NEXT_OPENS
    await desk.submit(prefix="LATER")
    assert await lane.pump() <= desk.clock() + worker.COUNT_PAUSE  # woken by a submit: counted at most once a second
    desk.clock.advance(seconds=2)
    assert await lane.pump() == NEXT_OPENS


# -- how many may be under way ---------------------------------------------------------------------------------------------


async def test_no_more_messages_are_formed_while_so_many_are_unresolved(make_desk) -> None:
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 3})
    await desk.submit(10)
    desk.channel.outcomes = [InDoubt("cut")] * 10
    for _ in range(5):
        await desk.pump()
        desk.clock.advance(minutes=1)
    assert len(await desk.deliveries()) == 3
    assert await desk.states() == {PaymentState.APPROVED: 7, PaymentState.BATCHED: 3}
    assert await desk.preparer.form_messages() > desk.clock()  # and it is looked at again by itself


async def test_messages_go_on_as_soon_as_one_is_known_to_have_arrived(make_desk) -> None:
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 2})
    await desk.submit(4)
    desk.channel.outcomes = [InDoubt("cut"), InDoubt("cut")]
    await desk.pump()
    desk.channel.fates = [FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")]
    desk.clock.advance(minutes=1)
    await desk.pump()  # one doubt ends
    desk.clock.advance(minutes=1)
    for _ in range(4):
        await desk.pump()
        desk.clock.advance(seconds=30)
    states = [one.state for one in await desk.deliveries()]
    assert sorted(states) == sorted([DeliveryState.SENT] * 3 + [DeliveryState.IN_DOUBT])


async def test_a_message_that_is_ready_does_not_start_while_too_many_are_in_doubt(make_desk) -> None:
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 2})
    await desk.submit(2)
    await desk.form()
    lax = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 2})
    first, second = await desk.deliveries()
    desk.channel.outcomes = [InDoubt("cut"), InDoubt("cut")]
    await desk.courier.advance(first)
    stricter = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 1})
    again = await stricter.courier.advance_due()
    assert stricter.channel.sends == []
    assert (await desk.store.delivery(second.delivery_id)).state is DeliveryState.READY
    assert again is not None
    assert again > desk.clock() or again == (await desk.store.delivery(first.delivery_id)).due_at
    await lax.courier.advance_due()
    assert lax.channel.sends == [second.file_name]


async def test_questions_about_doubts_never_keep_a_ready_message_waiting(make_desk) -> None:
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 100})
    await desk.submit(40)
    desk.channel.outcomes = [InDoubt("cut")] * 40
    await desk.pump()
    desk.clock.advance(minutes=10)
    await desk.submit(1, prefix="NEW")
    asked: list[str] = []
    fate = desk.channel.fate

    async def asking(parcel):  # type: ignore[no-untyped-def]
        asked.append(f"asked after {len(desk.channel.sends)} sends")
        return await fate(parcel)

    desk.channel.fate = asking
    await desk.pump()
    assert len(desk.channel.sends) == 41
    assert asked == ["asked after 41 sends"] * 20  # a bounded number in one turn; the others come next


async def test_pauses_between_attempts_double_with_jitter_up_to_the_longest(make_desk) -> None:
    desk = await make_desk(retry={"first_seconds": 2, "longest_seconds": 60})
    for attempt in range(1, 60):
        full = min(60, 2 * 2 ** (attempt - 1))
        pauses = {desk.courier.recorder.backoff(attempt).total_seconds() for _ in range(50)}
        assert all(full / 2 <= pause <= full for pause in pauses)
        assert len(pauses) > 10, "without jitter every message of a bank that comes back knocks at once"


async def test_what_may_not_start_never_hides_the_doubts_that_hold_it_back(make_desk) -> None:
    """A bound made smaller later: many older messages are ready, and the doubts that keep them so must still be asked about."""
    before = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 200})
    await before.submit(130)
    await before.form()
    *_, last = await before.deliveries()
    before.channel.outcomes = [InDoubt("cut")]
    await before.courier.advance(last)
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 1})
    desk.clock.advance(minutes=5)
    desk.channel.fates = [FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")]
    await desk.courier.advance_due()
    assert (await desk.store.delivery(last.delivery_id)).state is DeliveryState.SENT
    await desk.courier.advance_due()
    assert len(desk.channel.sends) == 100  # one turn


async def test_a_sender_stopped_over_the_cut_off_sends_nothing_after_it(make_desk, monkeypatch) -> None:
    desk = await make_desk(send_window=WINDOW, **BERLIN)
    await desk.submit()
    desk.clock.moment = CUT_OFF - SECOND
    change = type(desk.store).change_delivery

    async def stopped(store, wanted):  # type: ignore[no-untyped-def]
        changed = await change(store, wanted)
        if changed.state is DeliveryState.SENDING:
            desk.clock.moment = CUT_OFF  # SIGSTOP between the commit and the first byte
        return changed

    monkeypatch.setattr(type(desk.store), "change_delivery", stopped)
    await desk.pump()
    assert desk.channel.sends == []
    assert (await desk.delivery()).state is DeliveryState.READY
    desk.clock.advance(minutes=5)
    await desk.pump()
    assert (await desk.delivery()).due_at == NEXT_OPENS
    assert desk.channel.sends == []


async def test_a_repeat_that_the_cut_off_overtakes_does_not_leave_after_it(make_desk, monkeypatch) -> None:
    desk = await make_desk(send_window=WINDOW, **IDEMPOTENT, **BERLIN)
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    desk.clock.moment = CUT_OFF - SECOND
    blocks = type(desk.store).delivery_blocks

    async def slowly(store, delivery_id):  # type: ignore[no-untyped-def]
        found = await blocks(store, delivery_id)
        desk.clock.moment = CUT_OFF
        return found

    monkeypatch.setattr(type(desk.store), "delivery_blocks", slowly)
    await desk.courier.advance_due()
    assert len(desk.channel.sends) == 1
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT


async def test_a_lane_that_is_held_back_comes_back_after_a_pause_and_does_not_spin(make_desk) -> None:
    before = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 3}, schedule={"ask_seconds": 3600})
    await before.submit(3)
    await before.form()
    before.channel.outcomes = [InDoubt("cut")] * 2
    for delivery in (await before.deliveries())[:2]:
        await before.courier.advance(delivery)
    desk = await make_desk(batching={"transfers_max": 1}, retry={"in_flight_max": 2}, schedule={"ask_seconds": 3600})
    await desk.submit(prefix="MORE")
    desk.clock.advance(seconds=2)
    lane = SendLane(desk.courier, desk.preparer)
    await lane.pump()  # asks about the doubts, in vain; one message is ready, one payment waits
    comes_back = await lane.pump()
    assert desk.channel.sends == []
    assert comes_back is not None
    assert comes_back >= desk.clock() + timedelta(seconds=1)
