"""A second booking is told, whoever is to blame for it."""

import pytest

from channels.channel import InDoubt, Refused
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.lifecycle import PaymentState
from gateway.service import Gateway
from gateway.telemetry import Metrics

ANNA = Caller("anna", ("*",), frozenset({"operate"}))


async def booked(desk, files, reference: str, name: str) -> None:  # type: ignore[no-untyped-def]
    (payment,) = (await desk.states()).values()
    assert payment == 1
    refs = f"<EndToEndId>INV-1</EndToEndId><AcctSvcrRef>{reference}</AcctSvcrRef>"
    await desk.receive(files.camt054(files.entry("10.00", refs)) + f"<!-- {name} -->", name)


async def decided_wrongly(make_desk):  # type: ignore[no-untyped-def]
    """The bank has the message, a person said that it has not, and it was not sent again yet."""
    desk = await make_desk()
    await desk.submit(1)
    desk.channel.outcomes = ["arrived, answer lost"]
    await desk.pump()
    use = Gateway(
        Configuration(directory=desk.connection.base, connections={"bank": desk.connection.settings}),
        desk.store,
        clock=desk.clock,
        metrics=Metrics(),
    )
    await use.resolve_delivery(ANNA, (await desk.delivery()).delivery_id, False, "the hotline said it has nothing")
    return desk


async def sent_again_by_a_persons_word(make_desk):  # type: ignore[no-untyped-def]
    desk = await decided_wrongly(make_desk)
    desk.clock.advance(seconds=1)
    await desk.pump()
    assert len(desk.channel.bank) == 2, "a person said that it did not arrive, and it was sent again"
    return desk


async def test_a_debit_known_before_the_repeat_keeps_the_message_from_leaving_again(make_desk, files) -> None:
    """It names the payment by its end-to-end id alone, as many bookings do: of a message that was in doubt that is enough."""
    desk = await decided_wrongly(make_desk)
    await booked(desk, files, "R-1", "first.xml")
    desk.clock.advance(seconds=1)
    await desk.pump()
    assert len(desk.channel.bank) == 1, "paid twice, although the first debit was in hand"
    assert await desk.discrepancies() == ["decision_contradicted"]
    assert await desk.states() == {PaymentState.SETTLED: 1}


async def test_a_debit_takes_payments_of_a_refused_repeat_out_of_the_callers_hands(make_desk, files) -> None:
    """They are held, and would be cancelled and paid by other means, though the first copy was executed."""
    desk = await decided_wrongly(make_desk)
    desk.channel.outcomes = [Refused("403", "forbidden")]
    desk.clock.advance(seconds=1)
    await desk.pump()
    assert await desk.states() == {PaymentState.HELD: 1}
    await booked(desk, files, "R-1", "first.xml")
    assert await desk.states() == {PaymentState.SETTLED: 1}


async def test_a_second_debit_after_a_persons_wrong_word_is_told(make_desk, files) -> None:
    desk = await sent_again_by_a_persons_word(make_desk)
    await booked(desk, files, "R-1", "first.xml")
    assert await desk.discrepancies() == []
    await booked(desk, files, "R-2", "second.xml")
    assert await desk.discrepancies() == ["paid_twice"]
    assert await desk.states() == {PaymentState.SETTLED: 1}


async def test_the_same_debit_told_again_is_no_second_one(make_desk, files) -> None:
    desk = await sent_again_by_a_persons_word(make_desk)
    await booked(desk, files, "R-1", "first.xml")
    await booked(desk, files, "R-1", "second.xml")
    assert await desk.discrepancies() == []


@pytest.mark.parametrize("outcome", ["arrived", InDoubt("the answer was lost")])
async def test_a_message_that_went_out_once_may_be_booked_under_two_names(make_desk, files, outcome) -> None:
    desk = await make_desk()
    await desk.submit(1)
    desk.channel.outcomes = [outcome]
    await desk.pump()
    await booked(desk, files, "R-1", "first.xml")
    await booked(desk, files, "R-2", "second.xml")
    assert await desk.discrepancies() == []
