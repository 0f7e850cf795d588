"""What a person says about a message to a bank that answers at once, and payments that are released after one was given up."""

from gateway.lifecycle import DeliveryState, PaymentEvent, PaymentState
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryFilter, PaymentChange
from tests.gateway.dialogue.answers import IDEMPOTENT, decide, says_nothing, shows
from tests.gateway.dialogue.conftest import Desk, MakeDesk
from tests.gateway.dialogue.talk import LOST, Answer, ScriptedLine


async def test_a_persons_word_is_enough_where_the_bank_cannot_say(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=says_nothing))
    await desk.submit()
    await desk.pump()
    await decide(desk)
    await desk.pump()
    sends = desk.sends()
    assert len(sends) == 2
    assert sends[0] == sends[1]
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert await desk.discrepancies() == ["sent-on-a-word"], "nobody is told where a wrong word would show"


async def test_where_repeats_are_safe_a_persons_word_is_no_risk_to_tell_of(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=says_nothing), guarantee=IDEMPOTENT)
    await desk.submit()
    await desk.pump()
    await decide(desk)
    await desk.pump()
    assert len(desk.sends()) == 2
    assert await desk.discrepancies() == []


async def test_a_persons_word_is_not_enough_against_the_banks(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=shows))
    await desk.submit()
    await desk.pump()
    await decide(desk)
    await desk.pump()
    assert len(desk.sends()) == 1
    assert (await desk.delivery()).state is DeliveryState.SENT


async def released(desk: Desk, payment_id: str) -> None:
    """A person lets a payment go on that is held, a while later."""
    desk.clock.advance(seconds=60)
    payment = await desk.payment(payment_id)
    assert payment.state is PaymentState.HELD
    release = PaymentChange(
        payment_id=payment_id,
        version=payment.version,
        event=PaymentEvent.RELEASE,
        state=PaymentState.APPROVED,
        reason=ours("released"),
        source="person: anna",
    )
    await desk.store.change_payments([release])


async def last(desk: Desk) -> Delivery:
    found, _ = await desk.store.list_deliveries(DeliveryFilter(connection_id="bank"), limit=9)
    return found[0]


ONCE = {"lease_seconds": 60, "attempts_max": 1}
NOT_NOW: Answer = {"outcome": "not_taken", "code": "-5"}


async def test_a_payment_that_was_given_up_and_released_is_asked_about_before_it_leaves_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[NOT_NOW], usual=shows), retry=ONCE)
    (payment_id,) = await desk.submit()
    await desk.pump()
    await released(desk, payment_id)
    await desk.pump()
    assert len(desk.sends()) == 1
    assert (await last(desk)).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.SENT


async def test_one_that_the_bank_does_not_know_leaves_under_the_same_serial_number(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        return {"missing": said["status"]} if "status" in said else {"outcome": "taken"}

    desk = await make_desk(line=ScriptedLine(answers=[NOT_NOW], usual=answers), retry=ONCE)
    (payment_id,) = await desk.submit()
    await desk.pump()
    await released(desk, payment_id)
    await desk.pump()
    assert len(desk.sends()) == 2
    assert [said["pay"] for said in desk.line.said if "pay" in said] == 2 * [[[desk.questions()[0][0], "123.45"]]]


async def test_a_released_payment_that_cannot_be_asked_about_stays_here(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[NOT_NOW], usual=lambda said: LOST), retry=ONCE)
    (payment_id,) = await desk.submit()
    await desk.pump()
    await released(desk, payment_id)
    await desk.pump()
    assert len(desk.sends()) == 1
    assert (await desk.payment(payment_id)).state is PaymentState.HELD


async def test_a_refusal_of_a_released_payment_may_mean_the_earlier_one(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        return {"missing": said["status"]} if "status" in said else {"outcome": "refused", "code": "DUP"}

    desk = await make_desk(line=ScriptedLine(answers=[NOT_NOW], usual=answers), retry=ONCE)
    (payment_id,) = await desk.submit()
    await desk.pump()
    await released(desk, payment_id)
    await desk.pump()
    assert (await last(desk)).state is DeliveryState.IN_DOUBT


async def test_a_number_of_an_earlier_message_does_not_prove_that_this_one_arrived(make_desk: MakeDesk) -> None:
    old: list[str] = []

    def answers(said: dict[str, object]) -> Answer:
        serials = said.get("status", [])
        assert isinstance(serials, list)
        known = [serial for serial in serials if serial in old]
        return {"states": dict.fromkeys(known, "PDNG"), "missing": [serial for serial in serials if serial not in old]}

    desk = await make_desk(line=ScriptedLine(answers=[NOT_NOW], usual=answers), retry=ONCE)
    (first,) = await desk.submit()
    await desk.pump()
    old += [one.serial for one in await desk.serials()]
    await released(desk, first)
    (second,) = await desk.submit(prefix="NEW")
    await desk.pump()
    desk.clock.advance(seconds=60)
    await desk.pump()
    assert len(desk.sends()) == 1
    assert (await last(desk)).state is DeliveryState.IN_DOUBT
    assert (await desk.payment(second)).state is PaymentState.BATCHED
