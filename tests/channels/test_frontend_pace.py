"""Pauses between the requests of one login: kept by all who share it, and never lost to a cancellation."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from channels.channel import NotSent
from channels.frontend_pace import Pace, shared_pace
from tests.channels.support.front_machine import exchanger_of, payment, tcp


@dataclass
class Watch:
    """A clock that moves when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds
        await asyncio.sleep(0)


async def test_the_next_request_waits_for_the_pause_after_the_last_one_ended() -> None:
    watch = Watch()
    pace = Pace(watch.read, watch.sleep)
    async with pace.turn(2.0):
        watch.now += 30  # a slow bank
    assert watch.slept == []
    async with pace.turn(1.0):
        pass
    assert watch.slept == [2.0]
    watch.now += 0.25
    async with pace.turn(0.0):
        pass
    assert watch.slept == [2.0, 0.75], "the pause is that of the request before"


async def test_requests_at_once_leave_one_after_another() -> None:
    watch = Watch()
    pace = Pace(watch.read, watch.sleep)
    left: list[float] = []

    async def one() -> None:
        async with pace.turn(2.0):
            left.append(watch.now)

    await asyncio.gather(*(one() for _ in range(4)))
    assert all(later - earlier >= 2.0 for earlier, later in pairwise(left))
    assert len(left) == 4


async def test_a_turn_given_up_while_waiting_takes_nobodys_place() -> None:
    stuck = asyncio.Event()
    watch = Watch()

    async def never(_seconds: float) -> None:
        stuck.set()
        await asyncio.Event().wait()

    pace = Pace(watch.read, never)
    async with pace.turn(5.0):
        pass
    waiting = asyncio.create_task(pace.turn(100.0).__aenter__())
    await stuck.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    watch.now += 5.0
    async with pace.turn(0.0):
        pass  # would wait for ever if the one given up had left its pause


async def test_a_request_that_failed_leaves_its_pause_behind() -> None:
    watch = Watch()
    pace = Pace(watch.read, watch.sleep)
    with pytest.raises(RuntimeError):
        async with pace.turn(3.0):
            raise RuntimeError("the line broke")
    async with pace.turn(0.0):
        pass
    assert watch.slept == [3.0]


def test_one_login_at_one_address_has_one_pace() -> None:
    one = shared_pace("127.0.0.1:8080", "demo")
    assert shared_pace("127.0.0.1:8080", "demo") is one
    assert shared_pace("127.0.0.1:8080", "other") is not one
    assert shared_pace("127.0.0.1:8081", "demo") is not one


async def test_both_exchangers_of_a_connection_keep_one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    pace = Pace(watch.read, watch.sleep)
    monkeypatch.setattr("channels.frontend.shared_pace", lambda _address, _login: pace)
    table = tcp(1, "length8", payment_pause=1.0)
    sends, asks = (exchanger_of(table, pauses=(7.0, 2.0)) for _ in range(2))
    for exchanger, request in ((sends, payment(b"x")), (asks, payment(b"x"))):
        with pytest.raises(NotSent):
            await exchanger.exchange(request)
    assert watch.slept == [1.0], "the profile's pause comes before the bank's usual one"
