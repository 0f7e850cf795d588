"""Never pay twice, never lose: each way a send can end, under each guarantee."""

import asyncio

import pytest

from channels.channel import Fate, FateReport, InDoubt, NotSent, Refused
from gateway.lifecycle import DeliveryState, PaymentState

QUERYABLE = {"guarantee": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": 600}}
IDEMPOTENT = {"guarantee": {"kind": "idempotent", "evidence": "letter of 2026-03-02"}}
MISSING = FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="scripted", detail="not listed")
THERE = FateReport(fate=Fate.ARRIVED, evidence="scripted", detail="listed")


async def test_a_confirmed_message_is_sent_once_and_its_payments_say_so(make_desk) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.SENT
    await desk.pump()
    assert len(desk.channel.sends) == 1


async def test_what_is_sent_is_what_was_stored_byte_for_byte_even_after_a_retry(make_desk) -> None:
    desk = await make_desk()
    await desk.submit(3)
    desk.channel.outcomes = [NotSent("connection refused"), "arrived"]
    await desk.pump()
    before = await desk.delivery()
    desk.clock.advance(minutes=1)
    await desk.pump()
    after = await desk.delivery()
    assert (before.document_sha256, before.message_id) == (after.document_sha256, after.message_id)
    assert after.state is DeliveryState.SENT
    assert after.attempt == 2
    assert len(desk.channel.bank) == 1


async def test_nothing_sent_waits_longer_each_time_and_is_given_up_with_its_payments_held(make_desk) -> None:
    desk = await make_desk(retry={"first_seconds": 10, "longest_seconds": 100, "attempts_max": 3})
    await desk.submit()
    desk.channel.outcomes = [NotSent("refused")] * 5
    for _ in range(5):
        await desk.pump()
        desk.clock.advance(seconds=101)
    assert (await desk.delivery()).state is DeliveryState.ABANDONED
    assert len(desk.channel.sends) == 3
    assert await desk.states() == {PaymentState.HELD: 1}
    assert await desk.discrepancies() == ["gave_up"]


async def test_a_message_not_due_yet_is_not_sent_again_early(make_desk) -> None:
    desk = await make_desk(retry={"first_seconds": 60})
    await desk.submit()
    desk.channel.outcomes = [NotSent("refused")]
    await desk.pump()
    await desk.pump()
    assert len(desk.channel.sends) == 1


@pytest.mark.parametrize("fault", [InDoubt("cut"), RuntimeError("a channel that breaks its promise")])
async def test_a_lost_answer_under_blind_is_never_followed_by_another_send(make_desk, fault: Exception) -> None:
    desk = await make_desk()
    await desk.submit()
    desk.channel.outcomes = [fault]
    desk.channel.fates = [MISSING] * 50
    for _ in range(40):
        await desk.pump()
        desk.clock.advance(hours=12)
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(desk.channel.sends) == 1
    assert await desk.states() == {PaymentState.BATCHED: 1}


async def test_under_blind_a_listing_that_shows_the_file_is_proof_all_the_same(make_desk) -> None:
    desk = await make_desk()
    await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost"]
    desk.channel.fates = [THERE]
    await desk.pump()
    desk.clock.advance(minutes=5)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert await desk.states() == {PaymentState.SENT: 1}


async def test_absence_counts_only_after_the_quiet_time(make_desk) -> None:
    desk = await make_desk(**QUERYABLE)
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut"), "arrived"]
    desk.channel.fates = [MISSING] * 20
    await desk.pump()
    for _ in range(4):
        desk.clock.advance(seconds=100)
        await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(desk.channel.sends) == 1
    for _ in range(6):
        desk.clock.advance(seconds=200)
        await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(desk.channel.sends) == 2


async def test_absence_that_the_bank_does_not_call_final_never_leads_to_another_send(make_desk) -> None:
    desk = await make_desk(guarantee={"kind": "queryable", "absence_is_final": False, "quiet_seconds": 1})
    await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost"]
    desk.channel.fates = [MISSING] * 100
    for _ in range(50):
        await desk.pump()
        desk.clock.advance(hours=6)
    assert len(desk.channel.sends) == 1


async def test_an_error_while_asking_is_no_answer(make_desk) -> None:
    desk = await make_desk(guarantee={"kind": "queryable", "absence_is_final": True, "quiet_seconds": 0})
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    desk.channel.fates = [OSError("no route")]
    await desk.pump()
    desk.clock.advance(minutes=5)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert [e.verdict for e in await desk.store.evidence((await desk.delivery()).delivery_id)] == ["unknown"]


async def test_under_idempotent_the_same_bytes_go_again_by_the_same_name(make_desk) -> None:
    desk = await make_desk(**IDEMPOTENT)
    await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost", "arrived"]
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    desk.clock.advance(minutes=1)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    first, second = desk.channel.bank
    assert first == second


async def test_repeats_under_idempotent_are_bounded(make_desk) -> None:
    desk = await make_desk(retry={"attempts_max": 3, "first_seconds": 1, "longest_seconds": 1}, **IDEMPOTENT)
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")] * 10
    for _ in range(10):
        await desk.pump()
        desk.clock.advance(minutes=1)
    assert len(desk.channel.sends) == 3
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT


async def test_a_door_that_refuses_holds_the_payments_and_tells_a_person(make_desk) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    desk.channel.outcomes = [Refused("403", "forbidden")]
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.REFUSED
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code) == (PaymentState.HELD, "bankgate.refused")
    assert await desk.discrepancies() == ["refused"]


async def test_found_sending_after_a_crash_is_in_doubt_and_not_sent_again(make_desk) -> None:
    desk = await make_desk()
    await desk.submit()

    class Killed(BaseException):
        pass

    async def die():  # type: ignore[no-untyped-def]
        raise Killed
        yield

    desk.channel.before_outcome = die
    with pytest.raises(Killed):
        await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENDING

    fresh = await make_desk()  # another process over the same file
    await fresh.courier.recover()
    assert (await fresh.delivery()).state is DeliveryState.IN_DOUBT
    fresh.clock.advance(hours=1)
    await fresh.pump()
    assert fresh.channel.sends == []


async def test_a_cancelled_send_stays_sending_for_the_next_owner_to_doubt(make_desk) -> None:
    desk = await make_desk()
    await desk.submit()
    started = asyncio.Event()

    async def hang():  # type: ignore[no-untyped-def]
        started.set()
        await asyncio.sleep(60)
        yield

    desk.channel.before_outcome = hang
    pumping = asyncio.create_task(desk.pump())
    await started.wait()
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    assert (await desk.delivery()).state is DeliveryState.SENDING


async def test_the_send_is_recorded_before_the_first_byte_leaves(make_desk) -> None:
    desk = await make_desk()
    await desk.submit()
    seen: list[tuple[DeliveryState, int]] = []

    async def look():  # type: ignore[no-untyped-def]
        delivery = await desk.delivery()
        seen.append((delivery.state, delivery.attempt))
        yield

    desk.channel.before_outcome = look
    await desk.pump()
    assert seen == [(DeliveryState.SENDING, 1)]


async def test_news_that_comes_while_the_send_is_under_way_wins_over_the_lost_answer(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost"]

    async def news():  # type: ignore[no-untyped-def]
        delivery = await desk.delivery()
        await desk.receive(files.pain002(delivery.message_id, group="ACCP"))
        yield

    desk.channel.before_outcome = news
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.ACCEPTED


async def test_a_message_that_cannot_be_said_is_stopped_before_it_is_sealed(make_desk, monkeypatch) -> None:
    desk = await make_desk()
    await desk.submit()
    await desk.form()

    def broken(_source: object, _name: str, _own: object) -> None:
        from formats.errors import Unrenderable, Violation

        raise Unrenderable((Violation(field="creditor.name", rule="r", source="s", message_en="m", message_zh="m"),))

    monkeypatch.setattr("gateway.prepare.validate_outbound", broken)
    await desk.courier.advance_due()
    assert (await desk.delivery()).state is DeliveryState.ABANDONED
    assert await desk.states() == {PaymentState.HELD: 1}
    assert desk.channel.sends == []
    assert await desk.discrepancies() == ["unrenderable"]


async def test_payments_with_other_terms_share_the_message_in_blocks_of_their_own(make_desk) -> None:
    from datetime import date

    desk = await make_desk()
    await desk.submit(2, prefix="A")
    await desk.submit(3, prefix="B", day=date(2026, 12, 1))
    await desk.pump()
    blocks = await desk.store.delivery_blocks((await desk.delivery()).delivery_id)
    assert sorted(b.count for b in blocks) == [2, 3]
    (name, data) = desk.channel.bank[0]
    assert data.count(b"<PmtInf>") == 2
    assert data.count(b"<CdtTrfTxInf>") == 5
    assert name == f"{(await desk.delivery()).message_id}.xml"


PROVED = FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="scripted", detail="the last part never left", proved=True)
BELIEVED = {"guarantee": {"kind": "queryable", "absence_is_final": False, "quiet_seconds": 3600}}


async def test_the_channels_own_proof_that_it_cannot_arrive_needs_no_promise_of_the_bank(make_desk) -> None:
    desk = await make_desk(**BELIEVED)
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut"), "arrived"]
    desk.channel.fates = [PROVED]
    await desk.pump()
    for _ in range(2):
        desk.clock.advance(minutes=2)
        await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (len(desk.channel.sends), len(desk.channel.bank)) == (2, 1)


async def test_under_blind_even_a_proof_of_the_channel_sends_nothing_again(make_desk) -> None:
    desk = await make_desk()
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    desk.channel.fates = [PROVED] * 9
    for _ in range(5):
        await desk.pump()
        desk.clock.advance(hours=2)
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(desk.channel.sends) == 1
