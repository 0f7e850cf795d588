"""Instant-else-normal: out again as a normal payment after the bank's proven refusal, once, and never upon less than that."""

from dataclasses import replace
from typing import Any

import pytest

from channels.channel import InDoubt, NotSent, Refused
from formats.instant import FALL_BACK_REASONS
from formats.model import PaymentType
from gateway.instant import InstantChoice
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.news import DUPLICATE_CODES
from gateway.replay import Replay, ReplayedChange, ReplayedProblem
from gateway.store.records import Payment

UETR = "97ed4827-7b6f-4491-a06f-b548d5a7512d"
P = PaymentState


def instant(desk: Any, reference: str, **given: Any) -> Any:
    """An approved instant-else-normal payment, as `submit` stores it."""
    row = desk.row(reference, **given)
    kind = PaymentType(service_level="SEPA", local_instrument="INST")
    uetr = f"{len(reference):08x}{UETR[8:]}"
    return replace(
        row,
        terms=replace(row.terms, payment_type=kind),
        transfer=replace(row.transfer, uetr=uetr),
        instant=InstantChoice.INSTANT_ELSE_NORMAL,
        may_fall_back=True,
    )


async def sent(make_desk: Any, count: int = 1, **settings: Any) -> tuple[Any, list[str], str]:
    """A desk whose instant payments are with the bank: (desk, payment ids, message id)."""
    desk = await make_desk(**settings)
    rows = [instant(desk, f"INV-{number}") for number in range(1, count + 1)]
    assert (await desk.store.submit(rows)).stored
    await desk.pump()
    return desk, [row.payment_id for row in rows], (await desk.deliveries())[0].message_id


def refusal(
    files: Any, message: str, payment_id: str, *codes: str, status: str = "RJCT", end: str = "INV-1", **group: Any
) -> str:
    why = "".join(f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>" for code in codes)
    one = files.transaction(payment_id, end, status).replace("</TxInfAndSts>", f"{why}</TxInfAndSts>")
    return str(files.pain002(message, body=files.block(f"{message}-1", one), **group))


def debit(files: Any, refs: str, amount: str = "10.00") -> str:
    return str(files.camt054(files.entry(amount, refs)))


async def told(desk: Any, payment_id: str) -> list[PaymentState]:
    return [event.state for event in await desk.store.payment_events(payment_id)]


async def fallen(make_desk: Any, files: Any, **settings: Any) -> tuple[Any, str, str]:
    """A desk with one payment whose instant attempt was refused and which waits again: (desk, payment id, first message)."""
    desk, (payment_id,), message = await sent(make_desk, **settings)
    await desk.receive(refusal(files, message, payment_id, "AB06"), "refusal.xml")
    assert (await desk.payment(payment_id)).state is P.APPROVED
    return desk, payment_id, message


# -- falling back ----------------------------------------------------------------------------------------------------------


async def test_a_refused_instant_payment_goes_out_again_as_a_normal_one_with_ids_of_its_own(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    first = await desk.payment(payment_id)
    await desk.receive(refusal(files, message, payment_id, "AB06"))
    waiting = await desk.payment(payment_id)
    assert (waiting.state, waiting.delivery_id, waiting.bank_status) == (P.APPROVED, None, None)
    await desk.pump()
    again = await desk.payment(payment_id)
    assert again.state is P.SENT
    assert again.message_id != message
    assert again.transfer.instruction_id == f"{payment_id}-2"
    assert again.transfer.end_to_end_id == first.transfer.end_to_end_id
    assert again.transfer.uetr not in {None, first.transfer.uetr}
    assert again.terms == replace(first.terms, payment_type=PaymentType(service_level="SEPA"))
    assert again.refused is not None
    assert (again.refused.message_id, again.refused.uetr) == (message, first.transfer.uetr)
    (_, one), (_, two) = desk.channel.bank
    assert b"<Cd>INST</Cd>" in one
    assert b"INST" not in two
    assert f"<InstrId>{payment_id}-2</InstrId>".encode() in two


async def test_the_caller_is_told_of_the_refusal_and_never_sees_rejected(make_desk, files) -> None:
    desk, payment_id, message = await fallen(make_desk, files)
    await desk.pump()
    assert await told(desk, payment_id) == [P.APPROVED, P.BATCHED, P.SENT, P.APPROVED, P.BATCHED, P.SENT]
    event = (await desk.store.payment_events(payment_id))[3]
    assert (event.reason.code, event.message_id) == ("bankgate.instant-refused", message)
    assert event.reason.bank_text == "AB06"
    assert "A bank on the way did not answer in time" in event.reason.text_en
    assert "普通付款" in event.reason.text_zh


async def test_the_second_attempt_settles_by_its_own_ids_and_by_the_end_to_end_id_alone(make_desk, files) -> None:
    for number, refs in enumerate(("<InstrId>{id}-2</InstrId>", "<EndToEndId>{end}</EndToEndId>")):
        desk = await make_desk()
        row = instant(desk, f"WAY-{number}")
        assert (await desk.store.submit([row])).stored
        await desk.pump()
        message = (await desk.payment(row.payment_id)).message_id
        await desk.receive(refusal(files, message, row.payment_id, "AG03", end=f"WAY-{number}"), f"{number}-a.xml")
        await desk.pump()
        await desk.receive(debit(files, refs.format(id=row.payment_id, end=f"WAY-{number}")), f"{number}-b.xml")
        assert (await desk.payment(row.payment_id)).state is P.SETTLED
        assert await desk.discrepancies() == []


async def test_a_second_refusal_rejects_because_there_is_one_fall_back_only(make_desk, files) -> None:
    desk, payment_id, _ = await fallen(make_desk, files)
    await desk.pump()
    second = (await desk.payment(payment_id)).message_id
    await desk.receive(refusal(files, second, f"{payment_id}-2", "AB06"), "second.xml")
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code) == (P.REJECTED, "AB06")
    await desk.pump()
    assert len(desk.channel.bank) == 2


async def test_an_accepted_instant_payment_may_still_be_refused(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(refusal(files, message, payment_id, status="ACSP"), "1.xml")
    await desk.receive(refusal(files, message, payment_id, "AB08"), "2.xml")
    assert await told(desk, payment_id) == [P.APPROVED, P.BATCHED, P.SENT, P.ACCEPTED, P.APPROVED]


@pytest.mark.parametrize("level", ["group", "block"])
async def test_a_message_or_block_refused_as_a_whole_goes_out_again_but_for_what_did_not_ask_for_that(
    make_desk, files, level: str
) -> None:
    desk = await make_desk()
    rows = [instant(desk, "INV-1"), instant(desk, "INV-2"), replace(instant(desk, "INV-3"), may_fall_back=False)]
    assert (await desk.store.submit(rows)).stored
    await desk.pump()
    message = (await desk.deliveries())[0].message_id
    why = "<StsRsnInf><Rsn><Cd>TM01</Cd></Rsn></StsRsnInf>"
    part = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}-1</OrgnlPmtInfId><PmtInfSts>RJCT</PmtInfSts>{why}</OrgnlPmtInfAndSts>"
    whole = files.pain002(message, group="RJCT", reasons=why) if level == "group" else files.pain002(message, body=part)
    await desk.receive(whole)
    assert [(await desk.payment(row.payment_id)).state for row in rows] == [P.APPROVED, P.APPROVED, P.REJECTED]
    await desk.receive(whole.replace(">B-1<", ">B-2<"), "again.xml")
    assert [(await desk.payment(row.payment_id)).state for row in rows] == [P.APPROVED, P.APPROVED, P.REJECTED]


# -- what proves nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codes", [(), ("MS03",), ("AC04",), ("FRAD",), ("AM04",), ("AM14",), ("XQZ9",), ("AB06", "FRAD"), ("FF01",)], ids=str
)
async def test_a_refusal_that_normal_would_meet_too_or_that_says_nothing_certain_stays_a_rejection(
    make_desk, files, codes: tuple[str, ...]
) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(refusal(files, message, payment_id, *codes))
    assert (await desk.payment(payment_id)).state is P.REJECTED
    await desk.pump()
    assert len(desk.channel.bank) == 1


@pytest.mark.parametrize("status", ["PDNG", "RCVD", "BLCK", "ACTC", "XYZW", "PART"])
async def test_no_other_status_word_falls_back_whatever_its_reason(make_desk, files, status: str) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(refusal(files, message, payment_id, "AB06", status=status))
    assert (await desk.payment(payment_id)).state is P.SENT


async def test_a_cancellation_is_no_refusal(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(refusal(files, message, payment_id, "AB06", status="CANC"))
    assert (await desk.payment(payment_id)).state is P.REJECTED


@pytest.mark.parametrize("code", sorted(DUPLICATE_CODES))
async def test_a_refusal_as_duplicate_at_any_level_never_falls_back(make_desk, files, code: str) -> None:
    above = f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>"
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(refusal(files, message, payment_id, code), "1.xml")
    assert (await desk.payment(payment_id)).state is P.SENT
    await desk.receive(refusal(files, message, payment_id, "AB06", group="RJCT", reasons=above), "2.xml")
    assert (await desk.payment(payment_id)).state is P.REJECTED
    assert code not in FALL_BACK_REASONS


async def test_a_refusal_in_a_report_that_does_not_name_the_message_rejects_only(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    nameless = refusal(files, message, payment_id, "AB06").replace(f"<OrgnlMsgId>{message}</OrgnlMsgId>", "")
    await desk.receive(nameless)
    assert (await desk.payment(payment_id)).state is not P.APPROVED


async def test_a_refusal_with_an_id_or_an_amount_that_is_not_ours_rejects_only(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 2)
    other_id = refusal(files, message, "f" * 32, "AB06")
    await desk.receive(other_id, "1.xml")
    amount = '<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">9.99</InstdAmt></Amt></OrgnlTxRef></TxInfAndSts>'
    await desk.receive(refusal(files, message, ids[1], "AB06", end="INV-2").replace("</TxInfAndSts>", amount), "2.xml")
    assert await desk.states() == {P.REJECTED: 2}


async def test_silence_doubt_and_refusal_at_the_door_never_fall_back(make_desk, files) -> None:
    for outcome, state in ((InDoubt("cut"), P.BATCHED), (Refused("403", "forbidden"), P.HELD), ("arrived", P.SENT)):
        desk = await make_desk()
        row = instant(desk, f"S-{state.value}")
        assert (await desk.store.submit([row])).stored
        desk.channel.outcomes = [outcome]
        for _ in range(5):
            await desk.pump()
            desk.clock.advance(days=2)
        assert (await desk.payment(row.payment_id)).state is state
        assert (await desk.payment(row.payment_id)).refused is None


async def test_a_refusal_after_a_doubt_and_a_repeat_may_be_the_repeats_and_rejects_only(make_desk, files) -> None:
    desk = await make_desk(guarantee={"kind": "idempotent", "evidence": "letter of 2026-03-02"})
    row = instant(desk, "INV-1")
    assert (await desk.store.submit([row])).stored
    desk.channel.outcomes = ["arrived, answer lost", "arrived"]
    await desk.pump()
    desk.clock.advance(minutes=10)
    await desk.pump()
    assert len(desk.channel.bank) == 2
    await desk.receive(refusal(files, (await desk.delivery()).message_id, row.payment_id, "AB06"))
    assert (await desk.payment(row.payment_id)).state is P.REJECTED


async def test_a_message_that_left_at_the_second_try_after_nothing_had_left_falls_back_all_the_same(make_desk, files) -> None:
    desk = await make_desk()
    row = instant(desk, "INV-1")
    assert (await desk.store.submit([row])).stored
    desk.channel.outcomes = [NotSent("no route"), "arrived"]
    await desk.pump()
    desk.clock.advance(minutes=10)
    await desk.pump()
    await desk.receive(refusal(files, (await desk.delivery()).message_id, row.payment_id, "AB06"))
    assert (await desk.payment(row.payment_id)).state is P.APPROVED


async def test_after_a_settlement_a_refusal_is_a_contradiction_and_nothing_goes_out(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    await desk.receive(debit(files, f"<InstrId>{payment_id}</InstrId>"), "1.xml")
    await desk.receive(refusal(files, message, payment_id, "AB06"), "2.xml")
    assert (await desk.payment(payment_id)).state is P.SETTLED
    assert await desk.discrepancies() == ["contradiction"]


async def test_plain_instant_and_plain_normal_payments_are_rejected_as_ever(make_desk, files) -> None:
    desk = await make_desk()
    rows = [replace(instant(desk, "INV-1"), instant=InstantChoice.INSTANT, may_fall_back=False), desk.row("INV-2")]
    assert (await desk.store.submit(rows)).stored
    await desk.pump()
    for number, row in enumerate(rows, start=1):
        message = (await desk.payment(row.payment_id)).message_id
        await desk.receive(refusal(files, message, row.payment_id, "AB06", end=f"INV-{number}"), f"{number}.xml")
    assert await desk.states() == {P.REJECTED: 2}


async def test_the_operator_says_which_reasons_allow_it(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 2, instant={"fall_back_codes": ["MS03"]})
    await desk.receive(refusal(files, message, ids[0], "MS03"), "1.xml")
    await desk.receive(refusal(files, message, ids[1], "AB06", end="INV-2"), "2.xml")
    assert [(await desk.payment(i)).state for i in ids] == [P.APPROVED, P.REJECTED]


# -- what the bank says of the refused message afterwards --------------------------------------------------------------------


async def test_the_refusal_again_and_late_weaker_news_change_nothing(make_desk, files) -> None:
    desk, payment_id, message = await fallen(make_desk, files)
    late = [
        refusal(files, message, payment_id, "AB06"),
        refusal(files, message, payment_id, "AC04"),
        refusal(files, message, payment_id, status="PDNG"),
        refusal(files, message, payment_id, status="ACSP"),  # written no later than the refusal: its own past
        files.pain002(message, group="RJCT", reasons="<StsRsnInf><Rsn><Cd>AB06</Cd></Rsn></StsRsnInf>"),
        files.pain002(message, group="ACCP"),
    ]
    for stage in range(2):
        before = await desk.store.payment_events(payment_id)
        for number, file in enumerate(late):
            await desk.receive(f"{file}<!-- {stage} {number} -->", f"{stage}-{number}.xml")
        assert await desk.store.payment_events(payment_id) == before
        assert await desk.discrepancies() == []
        await desk.pump()
    assert (await desk.payment(payment_id)).state is P.SENT


EXECUTED = {
    "debit by instruction id": lambda files, message, pid, uetr: debit(files, f"<InstrId>{pid}</InstrId>"),
    "debit by UETR": lambda files, message, pid, uetr: debit(files, f"<UETR>{uetr}</UETR>"),
    "debit by message and end-to-end id": lambda files, message, pid, uetr: debit(
        files, f"<MsgId>{message}</MsgId><EndToEndId>INV-1</EndToEndId>"
    ),
    "settled": lambda files, message, pid, uetr: refusal(files, message, pid, status="ACSC"),
    "group settled": lambda files, message, pid, uetr: files.pain002(message, group="ACSC"),
    "accepted later": lambda files, message, pid, uetr: refusal(files, message, pid, status="ACSP").replace("T10:00", "T11:00"),
    "group accepted later": lambda files, message, pid, uetr: files.pain002(message, group="ACCP").replace("T10:00", "T11:00"),
    "accepted at no certain time": lambda files, message, pid, uetr: refusal(files, message, pid, status="ACSP").replace(
        "T10:00:00Z", "T10:00:00"
    ),
    "batch booking": lambda files, message, pid, uetr: files.camt054(
        '<Ntry><Amt Ccy="EUR">10.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<NtryDtls><Btch><MsgId>{message}</MsgId></Btch></NtryDtls></Ntry>"
    ),
}
UNSENT_ONLY = {
    "debit by end-to-end id": lambda files, message, pid, uetr: debit(files, "<EndToEndId>INV-1</EndToEndId>"),
}


def facts_of(payment: Payment) -> str:
    return (payment.refused.uetr if payment.refused else payment.transfer.uetr) or ""


@pytest.mark.parametrize("says", [*EXECUTED, *UNSENT_ONLY])
async def test_executed_after_all_holds_a_payment_that_waits(make_desk, files, says: str) -> None:
    desk, payment_id, message = await fallen(make_desk, files)
    make = {**EXECUTED, **UNSENT_ONLY}[says]
    await desk.receive(make(files, message, payment_id, facts_of(await desk.payment(payment_id))), "late.xml")
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code) == (P.HELD, "bankgate.perhaps-executed")
    await desk.pump()
    assert len(desk.channel.bank) == 1
    assert await desk.discrepancies() == ["contradiction"]


@pytest.mark.parametrize("says", [*EXECUTED, *UNSENT_ONLY])
async def test_executed_after_all_stops_a_message_that_has_not_left_and_frees_the_others(make_desk, files, says: str) -> None:
    desk, payment_id, message = await fallen(make_desk, files)
    other = replace(
        desk.row("OTHER"), terms=replace((await desk.payment(payment_id)).terms, payment_type=PaymentType(service_level="SEPA"))
    )
    assert (await desk.store.submit([other])).stored
    await desk.form()  # both in one message, not sealed yet
    make = {**EXECUTED, **UNSENT_ONLY}[says]
    await desk.receive(make(files, message, payment_id, facts_of(await desk.payment(payment_id))), "late.xml")
    assert (await desk.payment(payment_id)).state is P.HELD
    await desk.courier.advance_due()
    assert (await desk.deliveries())[1].state is DeliveryState.ABANDONED
    await desk.pump()
    assert (await desk.payment(other.payment_id)).state is P.SENT
    assert (await desk.payment(payment_id)).state is P.HELD
    assert all(f"{payment_id}-2".encode() not in data for _, data in desk.channel.bank)
    assert "contradiction" in await desk.discrepancies()


@pytest.mark.parametrize("says", EXECUTED)
async def test_executed_after_all_of_a_payment_that_has_left_calls_for_a_person_at_once(make_desk, files, says: str) -> None:
    desk, payment_id, message = await fallen(make_desk, files)
    await desk.pump()
    await desk.receive(EXECUTED[says](files, message, payment_id, facts_of(await desk.payment(payment_id))), "late.xml")
    assert (await desk.payment(payment_id)).state is P.SENT
    assert await desk.discrepancies() == ["paid_twice"]


async def test_a_second_message_in_doubt_is_not_repeated_once_the_first_is_said_to_be_executed(make_desk, files) -> None:
    desk, payment_id, _ = await fallen(make_desk, files, guarantee={"kind": "idempotent", "evidence": "letter of 2026-03-02"})
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    await desk.receive(debit(files, f"<InstrId>{payment_id}</InstrId>"), "late.xml")
    for _ in range(3):
        desk.clock.advance(hours=3)
        await desk.pump()
    assert len(desk.channel.sends) == 2
    second = (await desk.deliveries())[1]
    assert (second.state, second.due_at) == (DeliveryState.IN_DOUBT, None)  # it waits for news or a person, and not in vain
    assert await desk.discrepancies() == ["paid_twice", "in_doubt"]


async def test_a_second_message_found_missing_is_held_and_not_sent_again_after_that(make_desk, files) -> None:
    desk, payment_id, _ = await fallen(
        make_desk, files, guarantee={"kind": "queryable", "absence_is_final": True, "quiet_seconds": 60}
    )
    from channels.channel import Fate, FateReport

    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    await desk.receive(debit(files, f"<InstrId>{payment_id}</InstrId>"), "late.xml")
    desk.channel.fates = [FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="scripted", detail="asked")] * 5
    for _ in range(4):
        desk.clock.advance(hours=3)
        await desk.pump()
    assert len(desk.channel.sends) == 2
    assert (await desk.payment(payment_id)).state is P.HELD
    assert await desk.discrepancies() == ["paid_twice", "gave_up"]


@pytest.mark.parametrize("where", ["one statement", "two statements with two references"])
async def test_a_second_debit_that_names_no_attempt_calls_for_a_person_at_once(make_desk, files, where: str) -> None:
    desk, payment_id, _ = await fallen(make_desk, files)
    await desk.pump()
    one, two = (
        files.entry("10.00", f"<AcctSvcrRef>{reference}</AcctSvcrRef><EndToEndId>INV-1</EndToEndId>")
        for reference in (("REF", "REF") if where == "one statement" else ("REF-1", "REF-2"))
    )
    for number, file in enumerate([files.camt054(one, two)] if where == "one statement" else map(files.camt054, (one, two))):
        await desk.receive(file, f"{number}.xml")
    assert (await desk.payment(payment_id)).state is P.SETTLED
    assert await desk.discrepancies() == ["paid_twice"]


async def test_the_same_debit_in_two_statements_is_one_debit(make_desk, files) -> None:
    desk, payment_id, _ = await fallen(make_desk, files)
    await desk.pump()
    for number in range(2):
        entry = files.entry("10.00", "<AcctSvcrRef>REF</AcctSvcrRef><EndToEndId>INV-1</EndToEndId>")
        await desk.receive(files.camt054(entry) + f"<!-- {number} -->", f"{number}.xml")
    assert (await desk.payment(payment_id)).state is P.SETTLED
    assert await desk.discrepancies() == []


async def test_a_batch_booked_without_the_refused_payment_settles_the_others_in_either_order(make_desk, files) -> None:
    for booked_first in (False, True):
        desk = await make_desk()
        prefix = f"B{int(booked_first)}"
        rows = [instant(desk, f"{prefix}-{number}") for number in (1, 2)]
        assert (await desk.store.submit(rows)).stored
        await desk.pump()
        message = (await desk.payment(rows[0].payment_id)).message_id
        booking = files.camt054(
            '<Ntry><Amt Ccy="EUR">10.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
            f"<NtryDtls><Btch><MsgId>{message}</MsgId></Btch></NtryDtls></Ntry>"
        )
        refused = refusal(files, message, rows[0].payment_id, "AB06", end=f"{prefix}-1")
        for part, file in enumerate((booking, refused) if booked_first else (refused, booking)):
            await desk.receive(file, f"{prefix}-{part}.xml")
        while await desk.intake.read_waiting():
            pass
        assert [(await desk.payment(row.payment_id)).state for row in rows] == [P.APPROVED, P.SETTLED]


@pytest.mark.parametrize(("booked", "state"), [("20.00", P.HELD), ("5.00", P.APPROVED)])
async def test_a_batch_booked_with_more_than_the_refusals_leave_holds_what_was_refused(make_desk, files, booked, state) -> None:
    desk, ids, message = await sent(make_desk, 3)
    await desk.receive(refusal(files, message, ids[0], "AB06"), "1.xml")
    await desk.receive(refusal(files, message, ids[1], "AC04", end="INV-2"), "2.xml")
    booking = f"<NtryDtls><Btch><MsgId>{message}</MsgId></Btch></NtryDtls></Ntry>"
    head = f'<Ntry><Amt Ccy="EUR">{booked}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
    await desk.receive(files.camt054(head + booking), "3.xml")
    assert [(await desk.payment(i)).state for i in ids] == [state, P.REJECTED, P.SENT]
    assert "mismatch" in await desk.discrepancies()


async def test_refusal_and_debit_in_one_file_hold_the_payment_before_anything_can_go_out(make_desk, files) -> None:
    desk, (payment_id,), message = await sent(make_desk)
    refused, settled = (
        files.transaction(payment_id, "INV-1", status, reason) for status, reason in (("RJCT", "AB06"), ("ACSC", None))
    )
    await desk.receive(files.pain002(message, body=files.block(f"{message}-1", refused, settled)))
    assert (await desk.payment(payment_id)).state is P.HELD
    assert await told(desk, payment_id) == [P.APPROVED, P.BATCHED, P.SENT, P.APPROVED, P.HELD]


# -- replay ----------------------------------------------------------------------------------------------------------------


async def replayed(desk: Any, *texts: str, commit: bool) -> list[tuple[Any, ...]]:
    async def chunks() -> Any:
        for number, text in enumerate(texts):
            yield f"{number}.xml", text.encode()

    results = [one async for one in Replay(desk.store, desk.intake, commit).run(chunks(), sealed=False)]
    changes = [(one.before, one.after) for one in results if isinstance(one, ReplayedChange)]
    return changes + [(one.kind,) for one in results if isinstance(one, ReplayedProblem)]


@pytest.mark.parametrize("commit", [False, True])
async def test_a_replay_shows_the_fall_back_and_what_speaks_against_it(make_desk, files, commit: bool) -> None:
    desk, ids, message = await sent(make_desk, 2)
    refused = refusal(files, message, ids[0], "AB06")
    late = [files.pain002(message, group="RJCT").replace(">B-1<", ">B-3<"), debit(files, f"<InstrId>{ids[0]}</InstrId>")]
    shown = await replayed(desk, refused, refused.replace(">B-1<", ">B-2<"), *late, commit=commit)
    assert shown == [(P.SENT, P.APPROVED), (P.SENT, P.REJECTED), (P.APPROVED, P.HELD), ("contradiction",)]
    states = [(await desk.payment(i)).state for i in ids]
    assert states == ([P.HELD, P.REJECTED] if commit else [P.SENT, P.SENT])


async def test_a_replay_of_a_whole_refusal_counts_each_payment_once(make_desk, files) -> None:
    desk, _, message = await sent(make_desk, 3)
    why = "<StsRsnInf><Rsn><Cd>AB06</Cd></Rsn></StsRsnInf>"
    whole = files.pain002(message, group="RJCT", reasons=why)
    shown = await replayed(desk, whole, whole.replace(">B-1<", ">B-2<"), commit=False)
    assert shown == [(P.SENT, P.APPROVED)] * 3
