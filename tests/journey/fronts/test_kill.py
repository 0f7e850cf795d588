"""kill -9, freezing, and a front machine that dies too, at a bank that executes what comes again: nothing twice, nothing lost."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.scenery import SQLITE
from tests.journey.fronts.stage import LEASE_SECONDS, FrontStage, set_up

PAYMENTS = 50
SLOW = {"mood": "slow", "value": 0.3, "count": None}  # so that whoever is killed is killed in the middle of an exchange


@pytest.fixture
async def make_front_stage(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    stages: list[FrontStage] = []

    async def make(bank: str, count: int = PAYMENTS, store: str = SQLITE) -> FrontStage:
        stages.append(await set_up(bank, tmp_path, count, store))
        return stages[-1]

    yield make
    for stage in stages:
        await stage.stop_all()


async def taken(stage: FrontStage, count: int) -> None:
    """Waits until the bank has so many orders."""

    async def enough() -> bool:
        return len(await stage.orders()) >= count

    await stage.until(enough)


async def to_the_end(stage: FrontStage) -> int:
    """Every payment to its end, with a person's help for what the bank never got; for how many it was needed."""
    helped = 0

    async def over() -> bool:
        nonlocal helped
        if await stage.only_a_person_is_missing():
            helped += await stage.decide_like_a_person()
        return await stage.all_there()

    await stage.until(over)
    return helped


async def sound(stage: FrontStage) -> None:
    """What must hold at the end, whatever happened."""
    assert await stage.doubled() == {}, "taken by the bank more than once"
    assert (await stage.control("GET", "/front"))["paid_twice"] == []
    assert len(await stage.orders()) == len(stage.parts)
    async with stage.erp() as erp:
        assert await erp.in_doubt() == set()


@pytest.mark.timeout(240)
async def test_killed_workers_and_front_machines_pay_nothing_twice_and_lose_nothing(make_front_stage: Any) -> None:
    chance = random.Random(1)
    stage = await make_front_stage("icbc")
    await stage.start("serve")
    await stage.start("worker")
    bad_days = ({"mood": "lose_answer", "count": 2}, {"mood": "lose_request", "count": 2}, SLOW)
    await stage.moods(*bad_days)
    await stage.submit(stage.parts)
    for turn, victim in enumerate(("worker", "bank", "worker", "worker"), 1):
        await taken(stage, turn * PAYMENTS // 6)
        await asyncio.sleep(chance.uniform(0.0, 0.4))
        await stage.kill(victim)
        if victim == "bank":
            await asyncio.sleep(chance.uniform(0.0, 0.5))  # whoever calls now finds nobody there
            await stage.start_bank()
            await stage.moods(*bad_days)
        else:
            await stage.start(victim)
    await stage.control("DELETE", "/front/moods")
    assert await to_the_end(stage) > 0, "no request was lost, though two were to be"
    await sound(stage)


@pytest.mark.timeout(240)
async def test_a_worker_that_is_frozen_beyond_its_leases_and_woken_beside_another_sends_nothing_twice(
    make_front_stage: Any,
) -> None:
    stage = await make_front_stage("icbc", 16)
    await stage.start("serve")
    await stage.start("frozen")
    await stage.moods({"mood": "lose_request", "count": 1}, SLOW)
    await stage.submit(stage.parts)
    await taken(stage, 5)
    frozen = await stage.freeze("frozen")
    await stage.start("worker")
    await taken(stage, 8)  # the other took the lane over
    await asyncio.sleep(LEASE_SECONDS)
    frozen.process.send_signal(signal.SIGCONT)
    await stage.control("DELETE", "/front/moods")
    await to_the_end(stage)
    await sound(stage)


@pytest.mark.timeout(240)
async def test_two_workers_over_postgresql_of_which_one_dies_pay_nothing_twice_and_lose_nothing(
    make_front_stage: Any, postgres_url: str
) -> None:
    stage = await make_front_stage("spdb", 16, postgres_url)
    await stage.start("serve")
    await stage.start("worker")
    await stage.start("other")
    await stage.moods({"mood": "lose_answer", "count": 2}, SLOW)
    await stage.submit(stage.parts)
    await taken(stage, 5)
    await stage.kill("worker")
    await taken(stage, 9)
    await stage.start("worker")
    await stage.kill("other")
    await stage.control("DELETE", "/front/moods")
    await to_the_end(stage)
    await sound(stage)


@pytest.mark.timeout(120)
async def test_the_books_show_a_worker_that_takes_a_doubt_for_not_arrived(make_front_stage: Any) -> None:
    """The control: with this fault, the checks above must fail."""
    stage = await make_front_stage("icbc", 3)
    await stage.start("serve")
    await stage.start("worker", "tests.journey.fronts.careless")
    await stage.moods({"mood": "lose_answer", "count": 1})
    await stage.submit(stage.parts)
    await taken(stage, 4)
    assert len(await stage.doubled()) == 1
    assert len((await stage.control("GET", "/front"))["paid_twice"]) == 1


@pytest.mark.timeout(120)
async def test_a_worker_that_is_frozen_while_its_request_is_signed_sends_nothing_after_its_lease(make_front_stage: Any) -> None:
    """The worst moment: nothing of the request has left, the other worker and a person take it for lost, and it is sent again."""
    stage = await make_front_stage("icbc", 1)
    await stage.start("serve")
    await stage.start("frozen")
    await stage.control("POST", "/front/moods", {"mood": "slow", "value": 2.5, "when": "seal"})
    await stage.submit(stage.parts)

    async def being_signed() -> bool:
        return bool((await stage.control("GET", "/front"))["moods"]["used"])

    await stage.until(being_signed)
    frozen = await stage.freeze("frozen")
    await stage.start("worker")
    await stage.until(stage.only_a_person_is_missing)
    await asyncio.sleep(LEASE_SECONDS)
    assert await stage.orders() == []
    assert await stage.decide_like_a_person() == 1
    await taken(stage, 1)
    told = len(frozen.tail(10_000))
    frozen.process.send_signal(signal.SIGCONT)

    async def woken() -> bool:
        return len(frozen.tail(10_000)) > told

    await stage.until(woken)
    await stage.until(stage.all_there)
    await sound(stage)
