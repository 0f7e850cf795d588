"""What a person decides is about the attempt that was asked about, and about no later one."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.channel import InDoubt, NotSent
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.errors import BadRequest, TooLate
from gateway.lifecycle import DeliveryEvent, DeliveryState
from gateway.store.records import DeliveryChange
from gateway.telemetry import Metrics
from gateway.use_cases.operations import Operations

ADA = Caller("ada", ("*",), frozenset({"operate"}))
SAID = "Ms Weber, bank hotline: they have nothing"


def office(desk: Any, directory: Path) -> Operations:
    return Operations(Configuration(directory=directory), desk.store, clock=desk.clock, metrics=Metrics())


async def in_doubt_at_attempt(desk: Any, attempt: int) -> str:
    await desk.submit()
    desk.channel.outcomes = [NotSent("refused")] * (attempt - 1) + [InDoubt("cut")]
    for _ in range(attempt):
        await desk.pump()
        desk.clock.advance(minutes=20)
    found = await desk.delivery()
    assert (found.state, found.attempt) == (DeliveryState.IN_DOUBT, attempt)
    return str(found.delivery_id)


async def test_that_an_earlier_attempt_did_not_arrive_does_not_send_a_message_again(make_desk, tmp_path: Path) -> None:
    """Found by tests/model: the bank was asked about attempt 1 and said no; attempt 2 began meanwhile, and arrived."""
    desk = await make_desk()
    delivery_id = await in_doubt_at_attempt(desk, 2)
    with pytest.raises(TooLate, match="attempt 2 has begun since"):
        await office(desk, tmp_path).resolve_delivery(ADA, delivery_id, False, SAID, attempt=1)
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT


async def test_from_the_second_attempt_on_a_person_has_to_say_which_one_did_not_arrive(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery_id = await in_doubt_at_attempt(desk, 2)
    desk_of_ada = office(desk, tmp_path)
    with pytest.raises(BadRequest, match="which attempt"):
        await desk_of_ada.resolve_delivery(ADA, delivery_id, False, SAID)
    decided = await desk_of_ada.resolve_delivery(ADA, delivery_id, False, SAID, attempt=2)
    assert decided.state is DeliveryState.READY


async def test_of_a_first_attempt_nothing_more_has_to_be_said(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery_id = await in_doubt_at_attempt(desk, 1)
    assert (await office(desk, tmp_path).resolve_delivery(ADA, delivery_id, False, SAID)).state is DeliveryState.READY


async def test_that_an_earlier_attempt_arrived_is_true_of_the_message(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery_id = await in_doubt_at_attempt(desk, 2)
    assert (await office(desk, tmp_path).resolve_delivery(ADA, delivery_id, True, SAID, attempt=1)).state is DeliveryState.SENT


async def test_while_a_stopped_sender_may_go_on_nobody_can_say_that_its_attempt_did_not_arrive(make_desk, tmp_path: Path) -> None:
    """Found by freezing a worker: the bank had nothing, the message left again, and then the first sender woke and sent."""
    desk = await make_desk()
    await desk.submit()
    (formed,) = await desk.form()
    ready = await desk.preparer.seal_document(formed)
    started = DeliveryChange(
        delivery_id=ready.delivery_id,
        fence=ready.fence,
        state=ready.state,
        event=DeliveryEvent.STARTED,
        next_state=DeliveryState.SENDING,
        lease_until=desk.clock() + timedelta(seconds=900),
    )
    await desk.store.change_delivery(started)  # by a process that is stopped now
    await desk.courier.recover()
    ada = office(desk, tmp_path)
    with pytest.raises(TooLate, match="decide after 2026-11-25 09:15:00 UTC"):
        await ada.resolve_delivery(ADA, formed.delivery_id, False, SAID)
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    desk.clock.advance(seconds=901)
    assert (await ada.resolve_delivery(ADA, formed.delivery_id, False, SAID)).state is DeliveryState.READY


async def test_that_it_arrived_can_be_said_at_any_time(make_desk, tmp_path: Path) -> None:
    desk = await make_desk()
    delivery_id = await in_doubt_at_attempt(desk, 1)
    assert (await office(desk, tmp_path).resolve_delivery(ADA, delivery_id, True, SAID)).state is DeliveryState.SENT
