"""News that names a payment by its serial number does what news with our instruction id does, and is about nobody else's."""

import json
from zoneinfo import ZoneInfo

import pytest

from channels.channel import InDoubt
from gateway.dialogue.sought import questions
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.replay import ReplayedChange, ReplayedProblem
from tests.gateway.talking import talking
from tests.gateway.test_replay import run


async def sent(make_desk, count: int = 1, *outcomes: Exception):  # type: ignore[no-untyped-def]
    """A desk whose payments are with the bank, and their ids by serial number, in the order in which they were submitted."""
    desk = await talking(make_desk)
    desk.channel.outcomes += outcomes
    await desk.submit(count)
    await desk.pump()
    given = [one for row in await desk.deliveries() for one in await desk.store.serials_of(row.delivery_id)]
    return desk, {one.serial: one.payment_id for one in given}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PDNG", PaymentState.SENT),
        ("ACSP", PaymentState.ACCEPTED),
        ("ACSC", PaymentState.SETTLED),
        ("RJCT", PaymentState.REJECTED),
    ],
)
async def test_a_status_by_serial_number_moves_its_payment_and_no_other(make_desk, word: str, state: PaymentState) -> None:
    desk, ids = await sent(make_desk, 2)
    serial, other = ids
    await desk.receive(f"status {serial} {word} talking.E1")
    payment = await desk.payment(ids[serial])
    assert (payment.state, payment.bank_status) == (state, word)
    assert (payment.reason.code, payment.reason.bank_text) == ("talking.E1", "银行的话")
    assert (await desk.payment(ids[other])).bank_status is None
    assert await desk.discrepancies() == []


async def test_a_status_by_serial_number_proves_a_delivery_in_doubt(make_desk) -> None:
    desk, ids = await sent(make_desk, 1, InDoubt("no answer"))
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    (serial,) = ids
    await desk.receive(f"status {serial} ACSC")
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert await desk.states() == {PaymentState.SETTLED: 1}
    assert await desk.discrepancies() == []


async def test_money_that_came_back_is_told_by_the_serial_number(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    await desk.receive(f"status {serial} ACSC", "1.txt")
    await desk.receive(f"returned {serial} talking.TH01", "2.txt")
    payment = await desk.payment(ids[serial])
    assert (payment.state, payment.reason.code, payment.reason.bank_text) == (PaymentState.RETURNED, "talking.TH01", "账号不符")


async def test_a_statement_line_settles_and_a_reversal_returns_by_the_serial_number(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    await desk.receive(f"entry {serial} DBIT 10.00", "1.txt")
    assert await desk.states() == {PaymentState.SETTLED: 1}
    (row,) = (await desk.store.list_statements(limit=9))[0]
    (entry,) = await desk.store.entries(row.statement_row_id, limit=9)
    assert entry.payment_ids == (ids[serial],)
    await desk.receive(f"entry {serial} CRDT 10.00", "2.txt")
    assert await desk.states() == {PaymentState.RETURNED: 1}


async def test_a_line_of_another_amount_with_our_number_is_a_fee_or_a_part_and_settles_nothing(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    await desk.receive(f"entry {serial} DBIT 0.50", "1.txt")
    assert await desk.states() == {PaymentState.SENT: 1}
    assert await desk.discrepancies() != []
    await desk.receive(f"entry {serial} DBIT 10.00", "2.txt")
    assert await desk.states() == {PaymentState.SETTLED: 1}


async def test_a_number_that_nobody_has_is_told_with_the_number(make_desk) -> None:
    desk, _ = await sent(make_desk)
    await desk.receive("status 9999999999999999 ACSC")
    (told,) = (await desk.store.list_discrepancies(limit=9))[0]
    assert (told.kind, json.loads(told.evidence)["serial_number"]) == ("unmatched", "9999999999999999")
    assert await desk.states() == {PaymentState.SENT: 1}


async def test_a_statement_line_with_a_foreign_number_is_about_somebody_else(make_desk) -> None:
    desk, _ = await sent(make_desk)
    await desk.receive("entry 9999999999999999 DBIT 10.00")
    assert await desk.discrepancies() == []
    assert await desk.states() == {PaymentState.SENT: 1}


async def test_another_connection_s_payment_of_the_same_number_does_not_move(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    connection = desk.connection
    elsewhere = connection.settings.model_copy(update={"id": "other"})
    object.__setattr__(connection, "settings", elsewhere)
    await desk.receive(f"status {serial} ACSC")
    assert (await desk.payment(ids[serial])).state is PaymentState.SENT
    (told,) = (await desk.store.list_discrepancies(limit=9))[0]
    assert (told.kind, told.connection_id) == ("unmatched", "other")


async def test_a_number_in_a_status_of_another_amount_is_told(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    await desk.receive(f"entry {serial} DBIT 99.00")
    assert await desk.discrepancies() == ["mismatch"]


async def test_a_replay_finds_the_payment_too_and_tells_of_numbers_that_nobody_has(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    files = ("1.txt", f"status {serial} ACSP"), ("2.txt", f"entry {serial} DBIT 10.00"), ("3.txt", "status 12 ACSC")
    results = await run(desk, *files)
    assert [(r.file, r.before, r.after) for r in results if isinstance(r, ReplayedChange)] == [
        ("1.txt", PaymentState.SENT, PaymentState.ACCEPTED),
        ("2.txt", PaymentState.ACCEPTED, PaymentState.SETTLED),
    ]
    assert [(r.file, r.kind) for r in results if isinstance(r, ReplayedProblem)] == [("3.txt", "unmatched")]
    assert await desk.states() == {PaymentState.SENT: 1}, "nothing is moved unless asked for"
    await run(desk, *files, commit=True)
    assert await desk.states() == {PaymentState.SETTLED: 1}


async def test_what_the_bank_calls_a_payment_is_kept_and_said_in_the_next_question(make_desk) -> None:
    desk, ids = await sent(make_desk, 2)
    serial, other = ids
    await desk.receive(f"status {serial} ACSP talking.E1 B-1\nstatus {other} ACSP\nstatus 9999999999999999 ACSP talking.E1 B-2")
    given = {one.serial: one for row in await desk.deliveries() for one in await desk.store.serials_of(row.delivery_id)}
    assert (given[serial].bank_reference, given[other].bank_reference) == ("B-1", None)
    (question,) = questions([given[serial]], 1, ZoneInfo("Asia/Shanghai"))
    assert question[0].bank_reference == "B-1"
    payment = await desk.payment(ids[serial])
    assert payment.account_servicer_reference is None, "that is the reference of a booking"


async def test_a_replay_keeps_what_the_bank_calls_a_payment_only_if_asked_to(make_desk) -> None:
    desk, ids = await sent(make_desk)
    (serial,) = ids
    (delivery,) = await desk.deliveries()
    for commit, reference in ((False, None), (True, "B-1")):
        await run(desk, ("1.txt", f"status {serial} ACSP talking.E1 B-1"), commit=commit)
        (one,) = await desk.store.serials_of(delivery.delivery_id)
        assert one.bank_reference == reference
