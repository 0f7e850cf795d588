"""Two servers and two workers over one PostgreSQL database: callers may reach any of them, and any of them may die."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from gateway.demo import processes
from gateway.demo.erp import Erp
from gateway.rpc.client import CallFailed, Client, ClientTls, Target
from tests.journey.conftest import PACE, Stage
from tests.journey.test_kill import request

REPLICAS = ("a", "b")
LEASE_SECONDS = 2.0  # instead of 10, so that a test need not wait for so long
FINAL = {"PAYMENT_STATE_SETTLED", "PAYMENT_STATE_REJECTED"}


class Replicas:
    """Each replica is a machine of its own: its own directory and address, the same keys, bank and database."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.addresses = {name: processes.free_address() for name in REPLICAS}
        for name in REPLICAS:
            directory = stage.directory / f"gateway-{name}"
            shutil.copytree(stage.made.gateway, directory)
            file = directory / "bankgate.toml"
            settings = file.read_text(encoding="utf-8").replace(stage.address, self.addresses[name])
            file.write_text(f"{settings}\n[worker]\nlane_lease_seconds = {LEASE_SECONDS}\n", encoding="utf-8")

    async def start(self, *kinds: str, on: Sequence[str] = REPLICAS) -> None:
        """All at once."""
        made = self.stage.made
        for name in on:
            for kind in kinds:
                secrets = made.passphrases.serve if kind == "serve" else made.passphrases.worker
                arguments = ["gateway.main", kind, "--config", str(self.stage.directory / f"gateway-{name}")]
                running = await processes.start(f"{kind}-{name}", arguments, self.stage.directory, secrets)
                self.stage.running[f"{kind}-{name}"] = running
        if "serve" in kinds:
            for name in on:
                await processes.listening(self.stage.running[f"serve-{name}"], self.addresses[name])

    def erp(self, name: str) -> Erp:
        made = self.stage.made
        return Erp(self.addresses[name], made.authority, made.erp_certificate, made.erp_key)

    def client(self, name: str) -> Client:
        made = self.stage.made
        return Client(Target(self.addresses[name], ClientTls(made.authority, made.erp_certificate, made.erp_key)))

    async def submit(self, numbers: Sequence[int], *names: str) -> None:
        """An ERP behind a load balancer: after any error, the same again, to the next one."""
        for turn in range(200):
            try:
                async with self.erp(names[turn % len(names)]) as erp:
                    await erp.submit([request(number) for number in numbers])
            except CallFailed as failure:
                if failure.code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN"}:
                    raise
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError("nobody answered")

    async def settled(self, count: int, on: str) -> bool:
        """Whether so many payments are settled, and none in any other state."""
        async with self.erp(on) as erp:
            return not await erp.any_in("approved", "batched", "sent", "accepted", "held") and await self.count(on) == count

    async def settled_with_help(self, count: int, on: str) -> bool:
        """The same, where somebody looks messages in doubt up in the bank's books. Who was sending them must be dead."""
        async with self.erp(on) as erp:
            doubts = await erp.deliveries_in_doubt()
            messages = (await self.stage.control("GET", "/books?payments=no"))["messages"]
            for one in doubts:
                with suppress(CallFailed):  # the bank's news was faster
                    await erp.resolve(one, one["message_id"] in messages, "looked up in the bank's own books")
        return await self.settled(count, on)

    async def count(self, on: str) -> int:
        async with self.client(on) as client:
            wanted = {"states": ["PAYMENT_STATE_SETTLED"], "page": {"size": 1000}}
            return len((await client.call("PaymentService", "ListPayments", wanted)).get("payments", ()))


@pytest.fixture
async def make_replicas(postgres_url: str, make_stage: Callable[..., Any]) -> Callable[..., Any]:
    async def make() -> Replicas:
        stage: Stage = await make_stage(store=postgres_url, pace=PACE)
        return Replicas(stage)

    return make


async def watched(replicas: Replicas, name: str, token: str = "") -> AsyncIterator[dict[str, Any]]:
    async with replicas.client(name) as client:
        async for event in client.watch(token, (), stop_at_end=False):
            yield event


async def test_callers_may_reach_any_replica(make_replicas: Any, postgres_url: str) -> None:
    """Four processes start at once on an empty database; what one stored the other one shows, and each payment is paid once."""
    replicas = await make_replicas()
    await replicas.start("serve", "worker")
    await replicas.submit(range(20), "a")
    await replicas.submit(range(20, 40), "b")
    both = [(name, [request(number) for number in range(40, 60)]) for name in REPLICAS]

    async def submit(name: str, payments: list[dict[str, Any]]) -> list[bool]:
        async with replicas.erp(name) as erp:
            return [one.already_known for one in await erp.submit(payments)]

    known = await asyncio.gather(*(submit(name, payments) for name, payments in both))
    assert [sorted(pair) for pair in zip(*known, strict=True)] == [[False, True]] * 20, (
        "stored by one of them, known to the other"
    )
    await replicas.stage.until(lambda: replicas.settled(60, "b"))
    assert await replicas.settled(60, "a")
    books = await replicas.stage.control("GET", "/books")
    assert (books["paid_twice"], books["totals"]["executed_distinct"]) == ([], 60)
    with psycopg.connect(postgres_url) as connection:
        (workers,) = connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone() or (0,)
    assert workers == 2


async def test_a_watch_goes_on_at_another_replica_without_a_gap_or_a_repeat(make_replicas: Any) -> None:
    replicas = await make_replicas()
    await replicas.start("serve", "worker")
    await replicas.submit(range(30), "a")
    seen: list[dict[str, Any]] = []
    async for event in watched(replicas, "a"):
        seen.append(event)
        if len(seen) == 45:  # in the middle of it
            break
    with suppress(CallFailed):
        async for event in watched(replicas, "b", seen[-1]["resume_token"]):
            seen.append(event)
            if len(seen) == 60:
                await replicas.stage.kill("serve-b")
    submitting = asyncio.create_task(replicas.submit(range(30, 60), "a"))
    settled: set[str] = {event["payment_id"] for event in seen if event["state"] in FINAL}
    async with asyncio.timeout(60):
        async for event in watched(replicas, "a", seen[-1]["resume_token"]):
            seen.append(event)
            settled |= {event["payment_id"]} if event["state"] in FINAL else set()
            if len(settled) == 60:
                break
    await submitting
    async with replicas.client("a") as client:
        whole = [event async for event in client.watch("", (), stop_at_end=True)]
    assert [event["resume_token"] for event in seen] == [event["resume_token"] for event in whole[: len(seen)]]
    assert seen == whole[: len(seen)]


@pytest.mark.timeout(150)
async def test_when_a_worker_and_a_server_are_killed_the_others_go_on(make_replicas: Any) -> None:
    replicas = await make_replicas()
    stage: Stage = replicas.stage
    await replicas.start("serve", "worker")
    submitting = asyncio.create_task(replicas.submit(range(40), "a", "b"))
    await asyncio.sleep(0.3)
    await asyncio.gather(stage.kill("worker-a"), stage.kill("serve-a"))
    killed = time.monotonic()
    await submitting
    await stage.until(lambda: replicas.settled_with_help(40, "b"), 90)
    print(f"\n{time.monotonic() - killed:.1f} s from the kill until the others had settled all")
    await replicas.start("serve", "worker", on=["a"])
    await stage.kill("worker-b")
    killed = time.monotonic()
    await replicas.submit(range(40, 60), "a")
    await stage.until(lambda: replicas.settled_with_help(60, "a"), 90)
    print(f"{time.monotonic() - killed:.1f} s from the second kill until the restarted one had settled all")
    books = await stage.control("GET", "/books")
    assert (books["paid_twice"], books["totals"]["executed_distinct"]) == ([], 60)
