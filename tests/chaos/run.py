"""One chaos run from its seed to its figures."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import audit, faults, figures
from tests.chaos.audit import Verdict
from tests.chaos.callers import Caller, Ledger, Watcher
from tests.chaos.databases import StoreKind
from tests.chaos.faults import Faults
from tests.chaos.figures import Figures
from tests.chaos.network import Network
from tests.chaos.plan import OF_A_NETWORK, OF_A_SERVER, Kind, draw
from tests.chaos.scene import ACCOUNTS
from tests.chaos.world import World, open_world

AFTER_SECONDS = 1.5  # callers go on for so long after the last fault is over, so that its end can be seen
LOSING = frozenset({"lose_answer", "ebics_lose_answer", "ebics_lose_request", "ebics_forget"})
LOSING_SECONDS = 15.0  # and at most so much longer, until something was sent that can be lost, or its answer


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """What kind of run. `strict_bank`: the bank knows a message again by its id and refuses it; else it executes it again, and
    only the gateway stands between a repeat and a second payment. A bank that takes files twice by itself is always strict."""

    seed: int
    seconds: float
    store: StoreKind = "sqlite"
    replicas: int = 2
    callers: int = 3
    payments: int = 400  # about so many, thrice that at most; a machine that is slow sees fewer
    every: float = 1.0
    strict_bank: bool = False
    courier: str = "ours"
    network: Network | None = None
    only: frozenset[Kind] = frozenset(Kind)

    def kinds(self, suffers: frozenset[Kind]) -> list[Kind]:
        """Every wanted kind that can be done here. `suffers`: those that can be done to the database."""
        cannot = (OF_A_SERVER | {Kind.FILL_DISK}) - suffers
        if self.network is None or not suffers & OF_A_SERVER:
            cannot |= OF_A_NETWORK
        if not self.strict_bank:
            cannot |= {Kind.TAKE_TWICE}
        return [kind for kind in Kind if kind in self.only - cannot]


async def run(chaos: Chaos, directory: Path, say: Callable[[str], None]) -> Figures:
    """Plays it in `directory`, which keeps the logs. What did not hold stands in the figures' `problems`."""
    began = time.monotonic()
    bank = "refuses a message it knows" if chaos.strict_bank else "executes whatever it is sent"
    async with open_world(
        directory,
        store=chaos.store,
        replicas=chaos.replicas,
        courier=chaos.courier,
        allow_duplicates=not chaos.strict_bank,
        network=chaos.network,
    ) as world:
        kinds = chaos.kinds(world.database.suffers)
        plan = draw(chaos.seed, chaos.seconds, replicas=chaos.replicas, kinds=kinds, every=chaos.every)
        say(f"seed {chaos.seed}: {chaos.store}, {chaos.replicas} replicas, a bank that {bank}; {len(plan)} strikes:")
        for strike in plan:
            say(f"  {strike}")
        if not world.database.disk.small:
            say("  (the database's disk is not filled: a small file system is mounted by root on Linux only)")
        ledger, watcher = Ledger(), Watcher(world, random.Random(f"watcher {chaos.seed}"))
        watching = asyncio.create_task(watcher.run())
        striking = Faults(world, plan, say)
        verdict = Verdict()
        try:
            await _storm(chaos, world, ledger, striking)
            say(f"{time.monotonic() - began:7.2f} s  calm; {len(ledger.requests)} payments submitted")
            await _settled(world, verdict, ledger, watcher)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        verdict.problems += striking.failed
        doors = {account.connection_id: account.door for account in ACCOUNTS}
        return Figures(
            seeds=[chaos.seed],
            store=chaos.store,
            seconds=round(time.monotonic() - began, 1),
            payments=len(ledger.requests),
            events=verdict.events,
            repeats=ledger.repeats,
            returns=watcher.returns,
            doubles=verdict.doubles,
            doubled_over=dict(verdict.doubled_over),
            lost=verdict.lost,
            waiting=verdict.waiting,
            in_doubt=verdict.in_doubt,
            decided=verdict.decided,
            settled_total=f"{verdict.settled_total:.2f}",
            by_themselves=dict(world.notes),
            settled_over=dict(verdict.settled_over),
            proofs=dict(verdict.proofs),
            recovery=figures.recovery(
                striking.struck,
                ledger.submitted_at,
                {reference: doors[request["connection_id"]] for reference, request in ledger.requests.items()},
                watcher.events,
                watcher.heard_at,
            ),
            problems=verdict.problems,
        )


async def _storm(chaos: Chaos, world: World, ledger: Ledger, striking: Faults) -> None:
    """Callers submit while faults strike; on return every submission is answered and every fault is over."""
    stop = asyncio.Event()
    most = chaos.payments // chaos.callers
    pause = chaos.seconds / max(1, most / 3.3)  # a batch holds 3.3 payments on average
    async with asyncio.TaskGroup() as group:
        for number in range(chaos.callers):
            caller = Caller(chr(ord("A") + number), world, ledger, random.Random(f"caller {chaos.seed} {number}"), pause=pause)
            group.create_task(caller.run(stop, 3 * most))
        await striking.run()
        await asyncio.sleep(AFTER_SECONDS)
        await _answers_lost(world)
        await faults.calm(world)
        stop.set()


async def _answers_lost(world: World) -> None:
    """Until the bank has lost everything that it was told to lose: what is taken back unused was no fault."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOSING_SECONDS):
            while any(mood["mood"] in LOSING for mood in (await world.control("GET", "/state"))["moods"]["on"]):  # noqa: ASYNC110
                await asyncio.sleep(0.2)  # the callers go on meanwhile


async def _settled(world: World, verdict: Verdict, ledger: Ledger, watcher: Watcher) -> None:
    """The calm and the reckoning."""
    try:
        await audit.settle(world, verdict)
        await audit.book(world)
    except TimeoutError:
        verdict.problems.append("not every payment ended although everything was calm")
    await audit.audit(world, ledger, watcher, verdict)
