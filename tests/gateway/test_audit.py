"""Each of these once lost an answer, blocked a lane, or called safe to repeat what the bank may have had."""

import asyncio
from datetime import timedelta

import pytest

from channels.channel import Fate, FateReport, InDoubt, NotSent, Refused
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.store.store import StoreUnavailable

IDEMPOTENT = {"guarantee": {"kind": "idempotent", "evidence": "letter of 2026-03-02"}}
QUERYABLE = {"guarantee": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": 600}}
MISSING = FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="scripted", detail="not listed")
QUICK = {"retry": {"attempts_max": 3, "first_seconds": 1, "longest_seconds": 1}}


# -- doubt does not end because a repeat did not leave -----------------------------------------------------------------


@pytest.mark.parametrize("ending", [NotSent("connection refused"), Refused("403", "forbidden")])
async def test_a_repeat_that_fails_for_certain_says_nothing_about_the_attempt_in_doubt(make_desk, ending: Exception) -> None:
    """Held payments may be released into a new message: they must never be held while the bank may have the first one."""
    desk = await make_desk(**QUICK, **IDEMPOTENT)
    await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost", *[ending] * 10]
    for _ in range(10):
        await desk.pump()
        desk.clock.advance(minutes=1)
    delivery = await desk.delivery()
    assert delivery.state is DeliveryState.IN_DOUBT
    assert await desk.states() == {PaymentState.BATCHED: 1}
    assert len(desk.channel.sends) <= 3
    assert await desk.discrepancies() != []


async def test_a_repeat_that_gets_through_after_one_that_did_not_ends_the_doubt(make_desk) -> None:
    desk = await make_desk(**QUICK, **IDEMPOTENT)
    await desk.submit()
    desk.channel.outcomes = [InDoubt("cut"), NotSent("connection refused"), "arrived"]
    for _ in range(4):
        await desk.pump()
        desk.clock.advance(minutes=1)
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert [a.outcome for a in await desk.store.attempts((await desk.delivery()).delivery_id)][-1] == "confirmed"


# -- what the channel told a sender whose lane was taken over ----------------------------------------------------------


async def test_a_receipt_that_comes_after_the_lane_was_taken_over_is_still_proof(make_desk) -> None:
    desk, other = await make_desk(), await make_desk()
    await desk.submit()

    async def taken_over():  # type: ignore[no-untyped-def]
        await other.courier.recover()
        yield

    desk.channel.before_outcome = taken_over
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert await desk.states() == {PaymentState.SENT: 1}
    evidence = await desk.store.evidence((await desk.delivery()).delivery_id)
    assert [e.source for e in evidence] == ["scripted.rename"]


async def test_a_late_receipt_stops_the_repeat_that_absence_had_allowed(make_desk) -> None:
    """A sender stopped for longer than the quiet time: its receipt must reach the message before the next send does."""
    desk, other = await make_desk(**QUERYABLE), await make_desk(**QUERYABLE)
    await desk.submit()
    other.channel.fates = [MISSING, MISSING]

    async def taken_over():  # type: ignore[no-untyped-def]
        await other.courier.recover()
        await other.courier.advance(await other.delivery())  # asked; from here on it counts its own time, too
        other.clock.advance(hours=2)
        await other.courier.advance(await other.delivery())
        assert (await other.delivery()).state is DeliveryState.READY
        yield

    desk.channel.before_outcome = taken_over
    await desk.pump()
    await other.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert other.channel.sends == []


async def test_a_receipt_for_an_attempt_that_was_repeated_meanwhile_is_put_before_a_person(make_desk) -> None:
    desk, other = await make_desk(**QUERYABLE), await make_desk(**QUERYABLE)
    await desk.submit()
    other.channel.fates = [MISSING, MISSING]

    async def taken_over():  # type: ignore[no-untyped-def]
        await other.courier.recover()
        await other.courier.advance(await other.delivery())
        other.clock.advance(hours=2)
        await other.pump()
        await other.pump()
        assert len(other.channel.sends) == 1
        yield

    desk.channel.before_outcome = taken_over
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert await desk.discrepancies() == ["sent_twice"]


async def test_proof_that_nothing_left_ends_the_doubt_that_a_takeover_began(make_desk) -> None:
    desk, other = await make_desk(), await make_desk()
    await desk.submit()

    async def taken_over():  # type: ignore[no-untyped-def]
        await other.courier.recover()
        yield

    desk.channel.before_outcome = taken_over
    desk.channel.outcomes = [NotSent("connection refused")]
    await desk.pump()
    desk.channel.before_outcome = None
    desk.clock.advance(hours=1)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(desk.channel.bank) == 1


async def test_an_outcome_is_recorded_as_soon_as_a_full_disk_has_room_again(make_desk, monkeypatch) -> None:
    desk = await make_desk()
    await desk.submit()
    monkeypatch.setattr("gateway.outcome.RECORD_AGAIN", timedelta(0))
    change, failures = desk.store.change_delivery, iter(range(3))

    async def full(wanted):  # type: ignore[no-untyped-def]
        if wanted.state is DeliveryState.SENDING and next(failures, None) is not None:
            raise StoreUnavailable("database or disk is full")
        return await change(wanted)

    monkeypatch.setattr(desk.store, "change_delivery", full)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(desk.channel.sends) == 1


async def test_a_sender_stopped_before_its_first_byte_sends_nothing_once_its_time_is_over(make_desk, monkeypatch) -> None:
    """SIGSTOP between the commit and the send: the lease counts from before the commit, whatever the process slept through."""
    desk = await make_desk(retry={"lease_seconds": 1.0})
    await desk.submit()
    change = desk.store.change_delivery
    loop = asyncio.get_running_loop()
    now, slept = loop.time, 0.0

    async def slow(wanted):  # type: ignore[no-untyped-def]
        nonlocal slept
        changed = await change(wanted)
        if changed.state is DeliveryState.SENDING:
            slept = 3600.0
        return changed

    monkeypatch.setattr(loop, "time", lambda: now() + slept)
    monkeypatch.setattr(desk.store, "change_delivery", slow)
    await desk.pump()
    assert desk.channel.sends == []
    assert (await desk.delivery()).state is DeliveryState.READY


# -- one bad thing does not stop the others ----------------------------------------------------------------------------


async def test_a_file_that_breaks_the_reader_does_not_stop_the_next_one(make_desk, files, monkeypatch) -> None:
    desk = await make_desk()
    await desk.submit()
    await desk.pump()
    message = (await desk.delivery()).message_id
    parse = type(desk.connection.bank).parse

    def breaks(self, source):  # type: ignore[no-untyped-def]
        if source.read(3) == b"bad":
            raise KeyError("a fault of ours")
        source.seek(0)
        yield from parse(self, source)

    monkeypatch.setattr(type(desk.connection.bank), "parse", breaks)
    desk.channel.offers.append(("1.xml", b"bad"))
    await desk.receive(files.pain002(message, group="ACCP"), "2.xml")
    assert await desk.states() == {PaymentState.ACCEPTED: 1}
    found, _ = await desk.store.list_inbound(limit=10)
    assert sorted(f.state for f in found) == ["quarantined", "read"]
    assert await desk.discrepancies() == ["unreadable"]


async def test_a_message_that_breaks_the_writer_does_not_stop_the_next_one(make_desk, monkeypatch) -> None:
    desk = await make_desk()
    await desk.submit(1, prefix="A")
    await desk.form()
    await desk.submit(1, prefix="B")
    first, _ = await desk.form()
    render = type(desk.connection.bank).render

    def breaks(self, message, out):  # type: ignore[no-untyped-def]
        if message.message_id == first.message_id:
            raise KeyError("a fault of ours")
        render(self, message, out)

    monkeypatch.setattr(type(desk.connection.bank), "render", breaks)
    await desk.courier.advance_due()
    bad, good = await desk.deliveries()
    assert (bad.state, good.state) == (DeliveryState.READY, DeliveryState.SENT)
    assert await desk.discrepancies() == ["unforeseen"]
    monkeypatch.undo()
    desk.clock.advance(hours=1)
    await desk.pump()
    assert {d.state for d in await desk.deliveries()} == {DeliveryState.SENT}


# -- several news of one payment in one file ---------------------------------------------------------------------------


async def test_a_return_that_stands_before_its_debit_in_one_statement_is_read(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    reason = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    back = files.entry("10.00", f"<AcctSvcrRef>R2</AcctSvcrRef><InstrId>{payment_id}</InstrId>", direction="CRDT", details=reason)
    debit = files.entry("10.00", f"<AcctSvcrRef>R1</AcctSvcrRef><InstrId>{payment_id}</InstrId>")
    await desk.receive(files.camt054(back, debit))
    assert (await desk.payment(payment_id)).state is PaymentState.RETURNED
    assert await desk.discrepancies() == []


async def test_a_status_and_its_predecessor_in_one_report_leave_the_stronger_one_and_both_events(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    message = (await desk.delivery()).message_id
    statuses = [files.transaction(payment_id, "INV-1", status) for status in ("RCVD", "ACSC", "PDNG")]
    await desk.receive(files.pain002(message, body=files.block(f"{message}-1", *statuses)))
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.bank_status) == (PaymentState.SETTLED, "ACSC")
    states = [e.state for e in await desk.store.payment_events(payment_id)]
    assert states[-2:] == [PaymentState.SENT, PaymentState.SETTLED]


# -- "we have seen this before", said once for all ---------------------------------------------------------------------

SEEN = "<StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>"


@pytest.mark.parametrize("level", ["group", "block"])
async def test_transactions_rejected_because_the_whole_is_a_duplicate_are_not_rejected(make_desk, files, level: str) -> None:
    """The first copy is being executed: whoever saw REJECTED would submit the payment anew."""
    desk = await make_desk()
    ids = await desk.submit(2)
    await desk.pump()
    message = (await desk.delivery()).message_id
    transactions = [files.transaction(i, f"INV-{n}", "RJCT") for n, i in enumerate(ids, 1)]
    body = files.block(f"{message}-1", *transactions, status="RJCT")
    if level == "block":
        body = body.replace("<PmtInfSts>RJCT</PmtInfSts>", f"<PmtInfSts>RJCT</PmtInfSts>{SEEN}")
    await desk.receive(files.pain002(message, group="RJCT", reasons=SEEN if level == "group" else "", body=body))
    assert await desk.states() == {PaymentState.SENT: 2}
    assert set(await desk.discrepancies()) == {"duplicate_reported"}


async def test_a_block_without_a_status_that_is_called_a_duplicate_is_spared_the_groups_rejection(make_desk, files) -> None:
    desk = await make_desk()
    await desk.submit(2)
    await desk.pump()
    message = (await desk.delivery()).message_id
    body = files.block(f"{message}-1").replace("</OrgnlPmtInfId>", f"</OrgnlPmtInfId>{SEEN}")
    await desk.receive(files.pain002(message, group="RJCT", body=body))
    assert await desk.states() == {PaymentState.SENT: 2}
    assert await desk.discrepancies() == ["duplicate_reported"]


# -- the worker as a process -------------------------------------------------------------------------------------------


async def test_a_worker_that_is_told_to_stop_begins_no_more_sends(make_desk) -> None:
    """Else it goes on until it is killed in the middle of one, which is doubt for nothing."""
    desk = await make_desk()
    for prefix in ("A", "B"):
        await desk.submit(1, prefix=prefix)
        await desk.form()

    async def told_to_stop():  # type: ignore[no-untyped-def]
        desk.courier.winding_down = True
        yield

    desk.channel.before_outcome = told_to_stop
    again = await desk.courier.advance_due()
    assert [d.state for d in await desk.deliveries()] == [DeliveryState.SENT, DeliveryState.READY]
    assert again is not None
    assert again <= desk.clock()


async def test_a_gauge_that_cannot_be_read_ends_neither_the_worker_nor_its_send(tmp_path, monkeypatch, make_desk) -> None:
    from gateway.config import Configuration
    from gateway.worker import Worker, run_worker

    desk = await make_desk()
    await desk.submit()
    (tmp_path / "out").mkdir()
    connection = desk.connection.settings.model_copy(update={"schedule": desk.connection.settings.schedule})
    configuration = Configuration(directory=tmp_path, connections={"bank": connection})
    asked = asyncio.Event()

    async def locked(_: Worker) -> None:
        asked.set()
        raise StoreUnavailable("database is locked")

    monkeypatch.setattr(Worker, "set_gauges", locked)
    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(configuration, stop))
    async with asyncio.timeout(30):
        await asked.wait()
        while await desk.states() != {PaymentState.SENT: 1}:
            assert not running.done()
            await asyncio.sleep(0.02)
        stop.set()
        await running
    assert len(list((tmp_path / "out").iterdir())) == 1


# -- news of what we had given up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [NotSent("connection refused"), Refused("403", "forbidden")])
async def test_news_of_a_message_that_was_given_up_takes_its_payments_out_of_the_callers_hands(
    make_desk, files, ending: Exception
) -> None:
    """Held payments are cancelled and submitted anew, by the operator's guide: never those that the bank executes."""
    desk = await make_desk(**QUICK)
    ids = await desk.submit(2)
    desk.channel.outcomes = [ending] * 3
    for _ in range(4):
        await desk.pump()
        desk.clock.advance(minutes=1)
    assert await desk.states() == {PaymentState.HELD: 2}
    await desk.receive(files.pain002((await desk.delivery()).message_id, group="ACTC"))
    assert await desk.states() == {PaymentState.SENT: 2}
    await desk.receive(files.camt054(files.entry("10.00", f"<InstrId>{ids[0]}</InstrId>")))
    assert await desk.states() == {PaymentState.SENT: 1, PaymentState.SETTLED: 1}
    assert (await desk.discrepancies())[-1] == "contradiction"


@pytest.mark.parametrize("ending", [NotSent("connection refused"), Refused("403", "forbidden")])
async def test_an_end_to_end_id_alone_does_not_prove_a_message_that_provably_never_left(
    make_desk, files, ending: Exception
) -> None:
    """Callers use them again: last month's debit must not keep this month's payment from being sent."""
    desk = await make_desk(**QUICK)
    await desk.submit()
    desk.channel.outcomes = [ending]
    await desk.pump()
    state = (await desk.delivery()).state
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>INV-1</EndToEndId>")))
    assert (await desk.delivery()).state is state
    assert (await desk.discrepancies())[-1] == "contradiction"
