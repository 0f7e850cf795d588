"""Nothing leaves without its approvals, whoever writes what into the database; and what is sound leaves all the same."""

import sqlite3

import pytest

from formats.model import PaymentType
from gateway.instant import InstantChoice
from gateway.lifecycle import DeliveryState, PaymentEvent, PaymentState
from gateway.policy.chain import Choice
from gateway.reasons import ours
from gateway.recall_lane import Recaller
from gateway.review_checks import checks_of
from gateway.store.records import DeliveryFilter, NextAttempt, PaymentChange, PaymentFilter
from tests.gateway.review.conftest import BIG, ERP, Build, House


def write(house: House, statement: str, *values: object) -> None:
    """Somebody with the database's password."""
    with sqlite3.connect(house.directory / "bankgate.db") as db:
        db.execute(statement, values)


async def sent(house: House) -> list[str]:
    found, _ = await house.store.list_payments(PaymentFilter(states=(PaymentState.SENT,)), limit=100)
    return [one.payment_reference for one in found]


async def test_a_payment_approved_by_hand_is_held_and_those_beside_it_leave(build: Build) -> None:
    house = build(BIG)
    small, big = await house.judged("50.00", "150.00")
    write(house, "UPDATE payments SET state = 'approved' WHERE payment_id = ?", big)
    assert await house.send() == 0, "the message that had both is given up"
    assert await house.send() == 1
    assert (await house.states([small, big]), await sent(house)) == (["sent", "held"], ["INV-0"])
    assert (await house.payment(big)).reason.code == "bankgate.approval-void"
    assert await house.discrepancies() == [("approval_void", big)]
    deliveries, _ = await house.store.list_deliveries(DeliveryFilter(), limit=9)
    assert [one.state for one in deliveries] == [DeliveryState.SENT, DeliveryState.ABANDONED]
    assert b"150.00" not in b"".join(house.bank.got)


async def test_half_of_the_approvals_is_not_enough(build: Build) -> None:
    house = build(BIG)
    (big,) = await house.judged("150.00")
    await house.decide("ada", big)
    write(house, "UPDATE payments SET state = 'approved' WHERE payment_id = ?", big)
    assert (await house.send(), await house.send(), await house.states([big])) == (0, 0, ["held"])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), '150', '950') AS BLOB)",
        "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'DE893704', 'DE683704') AS BLOB)",
        "UPDATE terms SET content = CAST(replace(CAST(content AS TEXT), '2026-11-26', '2026-11-27') AS BLOB)",
    ],
    ids=["amount", "creditor", "date"],
)
async def test_content_changed_after_the_approvals_does_not_leave(build: Build, change: str) -> None:
    house = build(BIG)
    (big,) = await house.judged("150.00")
    await house.decide("ada", big)
    await house.decide("bo", big)
    write(house, change)
    assert (await house.send(), await house.send(), await house.states([big])) == (0, 0, ["held"])
    assert (await house.payment(big)).reason.code == "bankgate.approval-void"
    await house.reviewer.pump()
    assert await house.states([big]) == ["held"], "rules do not release it"


@pytest.mark.parametrize("amounts", [("50.00",), ("150.00",)], ids=["approved", "awaiting"])
async def test_judging_again_never_takes_changed_content_for_what_was_submitted(build: Build, amounts) -> None:
    house = build(BIG)
    (one,) = await house.judged(*amounts)
    write(house, "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'Supplier', 'Thief') AS BLOB)")
    house.write("p0", BIG.replace("version = 7", "version = 8").replace('"100.00"', '"900.00"'))
    for _ in range(2):
        await house.reviewer.pump()
    assert (await house.states([one]), (await house.payment(one)).reason.code) == (["held"], "bankgate.approval-void")
    assert (await house.discrepancies(), (await house.case(one)).choices) == ([("approval_void", one)], (Choice.REFUSE,))
    assert await house.send() == 0


async def test_content_changed_while_the_message_is_written_does_not_leave(build: Build, monkeypatch) -> None:
    """After the look at reviews and approvals, before the transfers are read: what counts is what is rendered."""
    house = build(BIG)
    (small,) = await house.judged("50.00")
    watch = house.preparer.gate.watch  # type: ignore[union-attr]

    async def late(delivery):
        found = await watch(delivery)
        write(house, "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'Supplier', 'Supplies') AS BLOB)")
        return found

    monkeypatch.setattr("gateway.review_gate.Gate.watch", lambda _, delivery: late(delivery))
    assert (await house.send(), await house.states([small])) == (0, ["held"])
    assert await house.discrepancies() == [("approval_void", small)]


async def test_a_payment_stored_by_a_process_that_knew_no_rules_is_held_and_then_judged(build: Build) -> None:
    house = build()
    stored = [one.payment_id for one in await house.submit("50.00", "150.00")]
    house.write("p0", BIG)
    house.checks = house.reviewer.checks = checks_of(house.configuration, house.store)
    assert await house.send() == 0, "nothing is formed before everything that waits was judged once"
    await house.reviewer.pump()
    assert await house.states(stored) == ["approved", "awaiting_approval"]
    (late,) = await house.submit("20.00", prefix="L")
    assert late.state is PaymentState.APPROVED
    assert await house.send() == 0
    assert (await house.payment(late.payment_id)).reason.code == "bankgate.not-reviewed"
    await house.reviewer.pump()
    assert await house.send() == 1, "both in one message"
    assert await house.states([*stored, late.payment_id]) == ["sent", "awaiting_approval", "sent"]


async def test_a_gate_that_stopped_half_way_goes_on_where_it_was(build: Build, monkeypatch) -> None:
    """The payments are held, and then the process dies before the message is given up."""
    house = build(BIG)
    ids = await house.judged("50.00", "150.00")
    write(house, "UPDATE payments SET state = 'approved' WHERE payment_id = ?", ids[1])
    change = house.store.change_delivery

    async def dies(_):
        raise ConnectionError("killed")

    monkeypatch.setattr(house.store, "change_delivery", dies)
    await house.preparer.form_messages()
    (delivery,) = await house.store.due_deliveries("one", house.now())
    with pytest.raises(ConnectionError):
        await house.preparer.seal_document(delivery)
    assert await house.states(ids) == ["batched", "held"]
    monkeypatch.setattr(house.store, "change_delivery", change)
    assert (await house.send(), await house.send(), await house.states(ids)) == (0, 1, ["sent", "held"])


async def test_what_people_approved_once_leaves_also_as_a_normal_payment_after_its_instant_attempt(build: Build) -> None:
    house = build(BIG)
    kind = PaymentType(service_level="SEPA", local_instrument="INST")
    (big,) = await house.judged("150.00", payment_type=kind, instant=InstantChoice.INSTANT_ELSE_NORMAL)
    assert (await house.payment(big)).may_fall_back
    await house.decide("ada", big)
    await house.decide("bo", big)
    assert await house.send() == 1
    found = await house.payment(big)
    again = PaymentChange(
        payment_id=big,
        version=found.version,
        event=PaymentEvent.INSTANT_REFUSED,
        state=PaymentState.APPROVED,
        reason=ours("instant-refused"),
        source="pain.002",
        next_attempt=NextAttempt(uetr=None, report_created=None),
    )
    await house.store.change_payments([again])
    assert (await house.send(), await house.states([big])) == (2, ["sent"])
    assert house.bank.got[1].count(b"150.00") == house.bank.got[0].count(b"150.00")


async def test_a_recall_of_a_judged_payment_goes_out_although_its_message_pays_nothing(build: Build) -> None:
    """The look is for payments; the message of a recall has none, and must not be given up for that."""
    house = build(BIG, recalls={"message": "camt.055.001.09"})
    (payment_id,) = await house.judged("50.00")
    assert await house.send() == 1
    await house.gateway.recall(ERP, payment_id=payment_id, reason="DUPL")
    connection = house.preparer.connection
    await Recaller(house.store, connection, house.now).form()
    assert await house.send() == 2
    assert b"camt.055" in house.bank.got[1]
    assert await house.discrepancies() == []
