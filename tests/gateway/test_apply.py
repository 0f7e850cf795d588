"""What the bank's answers do to payments: status reports at every level, statements, returns, and all that does not fit."""

from channels.channel import InDoubt
from gateway.lifecycle import DeliveryState, PaymentState


async def sent(make_desk, count: int = 1, **settings):  # type: ignore[no-untyped-def]
    """A desk whose payments are with the bank: (desk, payment ids, message id, block id)."""
    desk = await make_desk(**settings)
    ids = await desk.submit(count)
    await desk.pump()
    delivery = await desk.delivery()
    return desk, ids, delivery.message_id, f"{delivery.message_id}-1"


async def test_each_transaction_gets_its_own_verdict_with_the_banks_reason(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    good = files.transaction(ids[0], "INV-1", "ACCP")
    bad = files.transaction(ids[1], "INV-2", "RJCT", "AC04")
    await desk.receive(files.pain002(message, group="PART", body=files.block(block, good, bad)))
    first, second = [await desk.payment(i) for i in ids]
    assert (first.state, first.bank_status) == (PaymentState.ACCEPTED, "ACCP")
    assert (second.state, second.bank_status, second.reason.code) == (PaymentState.REJECTED, "RJCT", "AC04")
    assert await desk.discrepancies() == []


async def test_part_is_not_a_rejection_of_those_not_named(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    bad = files.transaction(ids[1], "INV-2", "RJCT", "AC04")
    await desk.receive(files.pain002(message, group="PART", body=files.block(block, bad)))
    assert (await desk.payment(ids[0])).state is PaymentState.SENT


async def test_a_group_status_falls_only_to_those_without_one_of_their_own(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 3)
    bad = files.transaction(ids[1], "INV-2", "RJCT", "AC04")
    await desk.receive(files.pain002(message, group="ACSC", body=files.block(block, bad)))
    assert await desk.states() == {PaymentState.SETTLED: 2, PaymentState.REJECTED: 1}
    assert await desk.discrepancies() == []


async def test_a_block_status_falls_to_its_own_block_only(make_desk, files) -> None:
    from datetime import date

    desk = await make_desk()
    first = await desk.submit(1, prefix="A")
    second = await desk.submit(1, prefix="B", day=date(2026, 12, 1))
    await desk.pump()
    delivery = await desk.delivery()
    blocks = {(await desk.payment(i)).payment_information_id: i for i in (*first, *second)}
    rejected, other = sorted(blocks)
    await desk.receive(files.pain002(delivery.message_id, group="PART", body=files.block(rejected, status="RJCT")))
    assert (await desk.payment(blocks[rejected])).state is PaymentState.REJECTED
    assert (await desk.payment(blocks[other])).state is PaymentState.SENT


async def test_a_rejected_message_rejects_every_payment_of_it(make_desk, files) -> None:
    desk, _, message, _ = await sent(make_desk, 3)
    why = "<StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>"
    await desk.receive(files.pain002(message, group="RJCT", reasons=why))
    assert await desk.states() == {PaymentState.REJECTED: 3}


async def test_a_rejection_as_duplicate_rejects_nothing_and_is_put_before_a_person(make_desk, files) -> None:
    desk, _, message, _ = await sent(make_desk, 2)
    why = "<StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>"
    await desk.receive(files.pain002(message, group="RJCT", reasons=why))
    assert await desk.states() == {PaymentState.SENT: 2}
    assert await desk.discrepancies() == ["duplicate_reported"]


async def test_an_unknown_status_word_moves_nothing_and_is_kept_verbatim(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk)
    await desk.receive(files.pain002(message, body=files.block(block, files.transaction(ids[0], "INV-1", "XYZW"))))
    payment = await desk.payment(ids[0])
    assert (payment.state, payment.bank_status) == (PaymentState.SENT, "XYZW")


async def test_news_proves_a_delivery_in_doubt_before_it_moves_payments(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    desk.channel.outcomes = ["arrived, answer lost"]
    await desk.pump()
    delivery = await desk.delivery()
    assert delivery.state is DeliveryState.IN_DOUBT
    await desk.receive(files.pain002(delivery.message_id, group="ACCP"))
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.ACCEPTED
    (evidence,) = await desk.store.evidence(delivery.delivery_id)
    assert (evidence.source, evidence.verdict) == ("pain.002.001.10 B-1", "arrived")
    states = [event.state for event in await desk.store.payment_events(payment_id)]
    assert states == [PaymentState.APPROVED, PaymentState.BATCHED, PaymentState.SENT, PaymentState.ACCEPTED]


async def test_a_debit_on_the_account_proves_a_delivery_in_doubt_too(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    desk.channel.outcomes = [InDoubt("cut")]
    await desk.pump()
    refs = f"<InstrId>{payment_id}</InstrId><EndToEndId>INV-1</EndToEndId>"
    await desk.receive(files.camt054(files.entry("10.00", refs)))
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.SETTLED


async def test_news_of_a_message_that_never_left_is_a_contradiction(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    (delivery,) = await desk.form()
    await desk.receive(files.pain002(delivery.message_id, group="ACCP"))
    assert await desk.discrepancies() == ["contradiction"]
    assert (await desk.payment(payment_id)).state is PaymentState.BATCHED
    assert (await desk.delivery()).state is DeliveryState.READY


async def test_a_booked_debit_settles_by_end_to_end_id_alone(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>INV-1</EndToEndId>")))
    assert (await desk.payment(ids[0])).state is PaymentState.SETTLED


async def test_a_pending_entry_settles_nothing(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>INV-1</EndToEndId>", status="PDNG")))
    assert (await desk.payment(ids[0])).state is PaymentState.SENT


async def test_a_credit_with_a_return_reason_returns_a_settled_payment(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    refs = f"<InstrId>{ids[0]}</InstrId><EndToEndId>INV-1</EndToEndId>"
    why = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    await desk.receive(files.camt054(files.entry("10.00", refs)), "1.xml")
    await desk.receive(files.camt054(files.entry("10.00", refs, direction="CRDT", details=why)), "2.xml")
    payment = await desk.payment(ids[0])
    assert (payment.state, payment.reason.code) == (PaymentState.RETURNED, "AC04")


async def test_a_return_that_comes_before_the_debit_ends_the_same(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    refs = f"<InstrId>{ids[0]}</InstrId><EndToEndId>INV-1</EndToEndId>"
    why = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    await desk.receive(files.camt054(files.entry("10.00", refs, direction="CRDT", details=why)), "1.xml")
    await desk.receive(files.camt054(files.entry("10.00", refs)), "2.xml")
    assert (await desk.payment(ids[0])).state is PaymentState.RETURNED
    assert await desk.discrepancies() == []


async def test_money_that_comes_in_with_one_of_our_ids_is_no_return(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>INV-1</EndToEndId>", direction="CRDT")))
    assert (await desk.payment(ids[0])).state is PaymentState.SENT
    assert await desk.discrepancies() == []


async def test_rejected_and_settled_is_a_contradiction_in_either_order_and_the_first_stays(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    for number, payment_id in enumerate(ids, start=1):
        refs = f"<InstrId>{payment_id}</InstrId><EndToEndId>INV-{number}</EndToEndId>"
        settled = files.camt054(files.entry("10.00", refs))
        rejected = files.pain002(message, body=files.block(block, files.transaction(payment_id, f"INV-{number}", "RJCT", "AC04")))
        for part, file in enumerate((settled, rejected) if number == 1 else (rejected, settled)):
            await desk.receive(file, f"{number}-{part}.xml")
    assert [(await desk.payment(i)).state for i in ids] == [PaymentState.SETTLED, PaymentState.REJECTED]
    assert await desk.discrepancies() == ["contradiction", "contradiction"]


async def test_the_same_file_again_changes_nothing_and_makes_no_second_event(make_desk, files) -> None:
    desk, ids, message, _ = await sent(make_desk)
    file = files.pain002(message, group="ACCP")
    await desk.receive(file, "a.xml")
    before = await desk.store.payment_events(ids[0])
    await desk.receive(file, "b.xml")
    await desk.receive(file.replace(">B-1<", ">B-2<"), "c.xml")  # the same news in another file
    assert await desk.store.payment_events(ids[0]) == before
    assert desk.channel.acknowledged == ["a.xml", "b.xml", "c.xml"]


async def test_a_file_read_again_from_the_start_applies_only_what_is_missing(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    unknown = files.transaction("0" * 32, "NOBODY", "RJCT", "AC04")
    good = files.transaction(ids[0], "INV-1", "ACCP")
    await desk.receive(files.pain002(message, body=files.block(block, unknown, good)))
    events = await desk.store.payment_events(ids[0])
    (file,), _ = await desk.store.list_inbound(limit=10)
    await desk.intake.read(file)
    assert await desk.store.payment_events(ids[0]) == events
    assert await desk.discrepancies() == ["unmatched"]


async def test_a_status_of_a_foreign_message_is_noted_once_not_per_transaction(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    body = files.block("X-1", *(files.transaction("0" * 31 + str(n), f"N{n}", "RJCT", "AC04") for n in range(9)))
    await desk.receive(files.pain002("SOMEBODY-ELSES", group="PART", body=body))
    assert await desk.discrepancies() == ["unmatched"]
    assert (await desk.payment(ids[0])).state is PaymentState.SENT


async def test_two_payments_with_one_end_to_end_id_are_not_guessed_between(make_desk, files) -> None:
    desk = await make_desk()
    rows = [desk.row("INV-1"), desk.row("INV-1b")]
    from dataclasses import replace

    twins = [replace(row, transfer=replace(row.transfer, end_to_end_id="SAME")) for row in rows]
    assert (await desk.store.submit(twins)).stored
    await desk.pump()
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>SAME</EndToEndId>")))
    assert await desk.states() == {PaymentState.SENT: 2}


async def test_a_batch_booking_settles_the_whole_block(make_desk, files) -> None:
    desk, _, message, block = await sent(make_desk, 3)
    batch = (
        '<Ntry><Amt Ccy="EUR">30.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<NtryDtls><Btch><MsgId>{message}</MsgId><PmtInfId>{block}</PmtInfId><NbOfTxs>3</NbOfTxs></Btch></NtryDtls></Ntry>"
    )
    await desk.receive(files.camt054(batch))
    assert await desk.states() == {PaymentState.SETTLED: 3}


async def test_a_batch_booking_without_the_rejected_ones_settles_the_others(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 3)
    bad = files.transaction(ids[0], "INV-1", "RJCT", "AC04")
    await desk.receive(files.pain002(message, group="PART", body=files.block(block, bad)), "1.xml")
    batch = (
        '<Ntry><Amt Ccy="EUR">20.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<NtryDtls><Btch><PmtInfId>{block}</PmtInfId></Btch></NtryDtls></Ntry>"
    )
    await desk.receive(files.camt054(batch), "2.xml")
    assert await desk.states() == {PaymentState.SETTLED: 2, PaymentState.REJECTED: 1}
    assert await desk.discrepancies() == []


async def test_a_batch_booking_of_another_amount_settles_nothing(make_desk, files) -> None:
    desk, _, message, _ = await sent(make_desk, 3)
    batch = (
        '<Ntry><Amt Ccy="EUR">29.99</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<NtryDtls><Btch><MsgId>{message}</MsgId></Btch></NtryDtls></Ntry>"
    )
    await desk.receive(files.camt054(batch))
    assert await desk.states() == {PaymentState.SENT: 3}
    assert await desk.discrepancies() == ["mismatch"]


async def test_statements_are_kept_with_the_payments_their_entries_were_matched_with(make_desk, files) -> None:
    desk, ids, _, _ = await sent(make_desk)
    stranger = files.entry("55.00", "<EndToEndId>SOMETHING</EndToEndId>")
    await desk.receive(files.camt054(files.entry("10.00", "<EndToEndId>INV-1</EndToEndId>"), stranger))
    (statement,), _ = await desk.store.list_statements(limit=10)
    entries = await desk.store.entries(statement.statement_row_id, limit=10)
    assert [e.payment_ids for e in entries] == [(ids[0],), (None,)]
    assert await desk.discrepancies() == []


async def test_a_return_message_returns_by_the_original_ids(make_desk, files) -> None:
    desk, ids, message, _ = await sent(make_desk)
    await desk.receive(
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.004.001.09"><PmtRtr><GrpHdr><MsgId>R-1</MsgId>'
        "<CreDtTm>2026-11-28T10:00:00Z</CreDtTm><NbOfTxs>1</NbOfTxs></GrpHdr>"
        f"<OrgnlGrpInf><OrgnlMsgId>{message}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInf>"
        f"<TxInf><RtrId>R1</RtrId><OrgnlInstrId>{ids[0]}</OrgnlInstrId><OrgnlEndToEndId>INV-1</OrgnlEndToEndId>"
        '<RtrdIntrBkSttlmAmt Ccy="EUR">10.00</RtrdIntrBkSttlmAmt><RtrRsnInf><Rsn><Cd>MD07</Cd></Rsn></RtrRsnInf></TxInf>'
        "</PmtRtr></Document>"
    )
    payment = await desk.payment(ids[0])
    assert (payment.state, payment.reason.code) == (PaymentState.RETURNED, "MD07")


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Document><CstmrPmtStsRpt>&b;</CstmrPmtStsRpt></Document>"
)


async def test_hostile_and_broken_files_are_quarantined_with_their_bytes_and_the_next_file_is_read(make_desk, files) -> None:
    desk, ids, message, _ = await sent(make_desk)
    good = files.pain002(message, group="ACCP")
    broken = ["", good[: len(good) // 2], BOMB, "<a>" * 10_000, "not a bank file", "PK\x03\x04zip", "<Document/>"]
    for number, data in enumerate(broken):
        desk.channel.offers.append((f"{number}.xml", data.encode()))
    await desk.receive(good, "good.xml")
    inbound, _ = await desk.store.list_inbound(limit=100)
    by_name = {file.name: file for file in inbound}
    assert [by_name[f"{n}.xml"].state for n in range(len(broken))] == ["quarantined"] * len(broken)
    assert by_name["good.xml"].state == "read"
    assert await desk.discrepancies() == ["unreadable"] * len(broken)
    for number, data in enumerate(broken):
        with desk.store.open_document(by_name[f"{number}.xml"].document_id) as kept:
            assert kept.read() == data.encode()
    assert (await desk.payment(ids[0])).state is PaymentState.ACCEPTED


async def test_a_cut_file_applies_nothing_of_itself(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    whole = files.pain002(
        message, body=files.block(block, *(files.transaction(i, f"INV-{n}", "ACCP") for n, i in enumerate(ids, 1)))
    )
    await desk.receive(whole[: whole.rindex("<TxInfAndSts>") + 20])
    assert await desk.states() == {PaymentState.SENT: 2}


async def test_a_file_left_at_the_bank_is_told_once_and_the_fetch_is_not_called_a_failure(make_desk, files) -> None:
    desk, _, _, _ = await sent(make_desk)
    desk.channel.troubles = ("a file on offer was not kept and stays there: 3000000000 bytes are more than file_bytes_max",)
    await desk.intake.fetch()
    await desk.intake.fetch()
    assert await desk.discrepancies() == ["left_at_the_bank"]
    health = await desk.store.health("bank")
    assert health.last_problem is not None
    assert "file_bytes_max" in health.last_problem


async def test_state_changes_are_counted_as_they_are_made(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 3)
    bad = files.transaction(ids[1], "INV-2", "RJCT", "AC04")
    await desk.receive(files.pain002(message, group="ACSC", body=files.block(block, bad)))

    def counted(state: str) -> float | None:
        name = "bankgate_payments_state_changes_total"
        return desk.intake.metrics.registry.get_sample_value(name, {"connection": "bank", "state": state})

    assert (counted("sent"), counted("settled"), counted("rejected")) == (3, 2, 1)


async def test_an_answer_to_a_cancellation_is_put_before_a_person_and_moves_nothing(make_desk, files) -> None:
    desk, ids, message, block = await sent(make_desk, 2)
    answer = (
        f"<CxlDtls><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId><GrpCxlSts>PACR</GrpCxlSts></OrgnlGrpInfAndSts>"
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{block}</OrgnlPmtInfId><TxInfAndSts><OrgnlInstrId>{ids[1]}</OrgnlInstrId>"
        "<OrgnlEndToEndId>INV-2</OrgnlEndToEndId><TxCxlSts>ACCR</TxCxlSts></TxInfAndSts></OrgnlPmtInfAndSts></CxlDtls>"
    )
    namespace = "urn:iso:std:iso:20022:tech:xsd:camt.029.001.09"
    await desk.receive(f'<Document xmlns="{namespace}"><RsltnOfInvstgtn>{answer}</RsltnOfInvstgtn></Document>')
    assert await desk.states() == {PaymentState.SENT: 2}
    assert await desk.discrepancies() == ["cancellation_answered"] * 3
    found, _ = await desk.store.list_discrepancies(connection_ids=["bank"], limit=10)
    assert {item.payment_id for item in found} == {None, ids[1]}
    assert {item.delivery_id for item in found} == {(await desk.delivery()).delivery_id}
    assert any("ACCR. The cancellation is accepted." in item.summary_en and "已被接受" in item.summary_zh for item in found)
