"""kill -9 at any moment: what was acknowledged is paid once, or visibly waits; never twice, never lost."""

import asyncio
import random
from typing import Any

import pytest

from gateway.demo.cast import creditor_iban
from gateway.demo.scenery import SFTP_ACCOUNT
from gateway.rpc.client import CallFailed

PAYMENTS = 240


def request(number: int, connection: str = "acme-sftp", account: str = SFTP_ACCOUNT) -> dict[str, Any]:
    return {
        "payment_reference": f"KILL-{number:04d}",
        "connection_id": connection,
        "debtor_account": {"iban": account},
        "amount": f"{number % 90 + 1}.{number % 100:02d}",
        "currency": "EUR",
        "payment_type": {"service_level": "SEPA"},
        "charge_bearer": "SLEV",
        "creditor": {"name": f"Supplier {number}"},
        "creditor_account": {"iban": creditor_iban(number)},
    }


async def submit_stubbornly(stage: Any, batches: list[list[dict[str, Any]]]) -> None:
    """An ERP as the guide asks for: after any error, the same again, until it is answered."""
    for batch in batches:
        while not await submitted(stage, batch):  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.1)


async def submitted(stage: Any, batch: list[dict[str, Any]]) -> bool:
    try:
        async with stage.erp() as erp:
            await erp.submit(batch)
    except CallFailed as failure:
        if failure.code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN"}:
            raise
        return False
    return True


async def calm(stage: Any) -> bool:
    """Whether every payment is settled or travels in a message that is in doubt, and visibly waits for a person."""
    try:
        async with stage.erp() as erp:
            if await erp.any_in("approved", "sent", "accepted", "held") or not await erp.any_in("settled"):
                return False
            return not await erp.any_in("batched") or bool(await erp.in_doubt())
    except CallFailed:
        return False


async def decide_like_a_person(stage: Any) -> None:
    """Asks the bank's own books about each message in doubt, and tells the gateway; of one whose sender may still be alive
    the gateway wants to be told later."""
    async with stage.erp() as erp:
        doubts = await erp.deliveries_in_doubt()
        messages = (await stage.control("GET", "/books?payments=no"))["messages"]
        for delivery in doubts:
            arrived = delivery["message_id"] in messages
            try:
                await erp.resolve(delivery, arrived, "bank hotline: looked the message id up in their books")
            except CallFailed as failure:
                if failure.code != "FAILED_PRECONDITION":
                    raise


async def calm_without_doubt(stage: Any) -> bool:
    """The same with a person who decides about what is in doubt, as often as it takes."""
    if not await calm(stage):
        return False
    await decide_like_a_person(stage)
    async with stage.erp() as erp:
        return not await erp.in_doubt() and await calm(stage)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("seed", [1])
async def test_killed_workers_and_servers_pay_nothing_twice_and_lose_nothing(make_stage: Any, seed: int) -> None:
    chance = random.Random(seed)
    stage = await make_stage()
    await stage.start("serve")
    await stage.start("worker")
    batches = [[request(n) for n in range(start, start + 20)] for start in range(0, PAYMENTS, 20)]
    submitting = asyncio.create_task(submit_stubbornly(stage, batches))
    await stage.control("POST", "/moods", {"mood": "lose_answer", "count": 2})
    for _ in range(5):
        await asyncio.sleep(chance.uniform(0.15, 1.2))
        victim = chance.choice(("worker", "worker", "serve"))
        await stage.kill(victim)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        await stage.start(victim)
    await submitting
    await stage.until(lambda: calm_without_doubt(stage))
    books = await stage.control("GET", "/books")
    assert books["paid_twice"] == []
    assert books["totals"]["executed_distinct"] == PAYMENTS
    async with stage.erp() as erp:
        assert await erp.in_doubt() == set()


@pytest.mark.timeout(120)
async def test_a_bank_that_takes_a_file_twice_and_answers_twice_late_and_out_of_order_moves_each_payment_once(
    make_stage: Any,
) -> None:
    stage = await make_stage()
    await stage.start("serve")
    await stage.start("worker")
    for mood in (
        {"mood": "take_twice", "count": 1},
        {"mood": "duplicate_answers", "count": 2},
        {"mood": "garbage", "count": 2, "value": "truncated", "sealed": True},
        {"mood": "reorder", "count": 2},
    ):
        await stage.control("POST", "/moods", mood)
    await submit_stubbornly(stage, [[request(n) for n in range(start, start + 20)] for start in range(0, 60, 20)])
    await stage.until(lambda: calm(stage), 90)
    books = await stage.control("GET", "/books")
    assert books["paid_twice"] == []
    assert books["totals"]["executed_distinct"] == 60
