"""Two workers on one database, one of them stopped in the middle of its work and woken after the other took its lanes over."""

import asyncio
import random
import signal
from contextlib import suppress
from typing import Any

import pytest

from gateway.config import WorkerSettings
from gateway.demo.cast import creditor_iban
from gateway.demo.scenery import SFTP_ACCOUNT, SQLITE
from gateway.rpc.client import CallFailed

PAYMENTS = 200


def payment(number: int) -> dict[str, Any]:
    return {
        "payment_reference": f"PAUSE-{number:04d}",
        "connection_id": "acme-sftp",
        "debtor_account": {"iban": SFTP_ACCOUNT},
        "amount": f"{number % 90 + 1}.{number % 100:02d}",
        "currency": "EUR",
        "payment_type": {"service_level": "SEPA"},
        "charge_bearer": "SLEV",
        "creditor": {"name": f"Supplier {number}"},
        "creditor_account": {"iban": creditor_iban(number)},
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    return SQLITE if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.mark.timeout(150)
async def test_a_worker_that_is_stopped_and_woken_again_beside_another_sends_nothing_twice(store: str, make_stage: Any) -> None:
    chance, stage = random.Random(3), await make_stage(store=store)
    await stage.start("serve")
    await stage.start("worker")
    stage.running["other"] = stage.running.pop("worker")
    await stage.start("worker")

    async def submit() -> None:
        for start in range(0, PAYMENTS, 10):
            async with stage.erp() as erp:
                await erp.submit([payment(n) for n in range(start, start + 10)])
            await asyncio.sleep(0.05)

    submitting = asyncio.create_task(submit())
    await asyncio.sleep(chance.uniform(0.3, 0.9))
    stopped = [stage.running[name].process for name in ("other", "worker")]
    for process in stopped:  # neither may go on: whoever is asked for the lanes next is a third
        process.send_signal(signal.SIGSTOP)
    stage.running["first"] = stage.running.pop("worker")
    await stage.start("worker")
    await submitting
    await asyncio.sleep(WorkerSettings().lane_lease_seconds + 1)
    for process in stopped:
        process.send_signal(signal.SIGCONT)

    woken = asyncio.get_running_loop().time()

    async def over() -> bool:
        async with stage.erp() as erp:
            await settle_doubts(stage, erp, quiet=asyncio.get_running_loop().time() - woken > 15)
            return not await erp.any_in("approved", "batched", "sent", "accepted", "held")

    await stage.until(over, 90)
    books = await stage.control("GET", "/books")
    assert books["paid_twice"] == []
    assert books["totals"]["executed_distinct"] == PAYMENTS


async def settle_doubts(stage: Any, erp: Any, *, quiet: bool) -> None:
    """A person looks each message in doubt up in the bank's books; "not there" counts once every sender has long been awake."""
    doubts = await erp.deliveries_in_doubt()
    messages = (await stage.control("GET", "/books?payments=no"))["messages"]
    for delivery in doubts:
        arrived = delivery["message_id"] in messages
        if arrived or quiet:
            with suppress(CallFailed):  # the bank's news was faster
                await erp.resolve(delivery, arrived, "bank hotline: looked the message id up in their books")
