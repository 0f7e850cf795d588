"""The demo of a Chinese bank: fifty payments with every outcome over its front machine, and answers lost on purpose."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from gateway.demo import processes, scenery
from gateway.demo.erp import Doubt, Ended, Erp
from gateway.demo.front_keys import FrontKeys, make_keys, take_bank_key
from gateway.demo.fronts import BANK_PACE, FRONTS, OPENING, PACE, Part, cast, connection_toml, toml, variable
from gateway.demo.processes import DidNotStart, Running
from gateway.demo.scenery import Scenery

PATIENCE_SECONDS = 120.0
BALANCE_SECONDS = 20.0
MOODS = (
    {"mood": "lose_answer", "count": 2, "when": "payment"},
    {"mood": "answer_unknown", "count": 1, "when": "payment"},
    {"mood": "garbage", "count": 1, "value": "truncated", "when": "payment"},
)
"""The first payments are taken, and the answers to them are lost, say nothing, or are cut short."""

Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class FrontOutcome:
    """Everything the demo shows at the end. `failures` empty: every payment ended as expected."""

    bank: str
    parts: list[Part]
    ended: dict[str, Ended] = field(default_factory=dict)
    doubted: list[Doubt] = field(default_factory=list)
    executed_twice: int = 0
    executed: int = 0
    balance: tuple[Decimal, Decimal | None] | None = None  # by the bank's books, and as it told us; None: it tells no balances
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class FrontDemo:
    """One run for one bank in one directory. `tell` is called with each step in words."""

    def __init__(self, bank: str, directory: Path, tell: Tell, store: str = scenery.SQLITE) -> None:
        self._front = FRONTS[bank]
        self._directory = directory
        self._store = store
        self._tell = tell
        self._running: list[Running] = []
        self._started = time.perf_counter()
        self.outcome = FrontOutcome(bank=bank, parts=cast(bank, "bank"))

    async def run(self, progress: Callable[[int, int], None]) -> FrontOutcome:
        """The whole play. Raises `DidNotStart` if a process does not come up."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._play(progress)
        except TimeoutError:
            self.outcome.failures.append(f"not everything ended within {PATIENCE_SECONDS:.0f} s")
        finally:
            for running in reversed(self._running):
                await running.stop()
        self._mark("all")
        return self.outcome

    async def _play(self, progress: Callable[[int, int], None]) -> None:
        bank = self.outcome.bank
        self._tell("keys, certificates and configuration for both sides, made for this run only")
        made = await asyncio.to_thread(scenery.set_up_gateway, self._directory)
        keys = await asyncio.to_thread(make_keys, bank, made.gateway)
        self._tell(f"the bank opens: a front machine that speaks as {bank}'s does (simulator/front/{bank}.py)")
        ready = await self._open_bank(made, keys)
        take_bank_key(bank, made.gateway, ready["front"])
        self._tell("the gateway starts: serve (gRPC over TLS) and worker (talks to the front machine)")
        address = await self._start_gateway(made, ready["front"], keys)
        async with (
            aiohttp.ClientSession(ready["control"]["url"]) as control,
            Erp(address, made.authority, made.erp_certificate, made.erp_key) as erp,
        ):
            await _post(control, "/front/moods", list(MOODS))
            self._mark("set-up")
            following = asyncio.create_task(self._follow(erp, progress))
            parts = self.outcome.parts
            self._tell(f"the ERP submits {len(parts)} payments; the bank takes the first ones and its answers are lost")
            await erp.submit([dict(part.request) for part in parts])
            doubted = await self._watch_doubts(erp, following)
            self.outcome.doubted = await erp.doubts(doubted)
            self._mark("to the end of every payment")
            await self._compare(erp, control)

    async def _open_bank(self, made: Scenery, keys: FrontKeys) -> dict[str, Any]:
        account = {"number": self._front.account, "balance": OPENING}
        table: dict[str, Any] = {
            "bank": self.outcome.bank,
            "accounts": [account],
            "customer": dict(keys.customer),
            "quiet_hours": False,
            "page_rows": 7,
            "pace": dict(BANK_PACE),
        }
        front = "".join(f"front.{key} = {toml(value)}\n" for key, value in table.items() if value != {})
        (made.bank / "simulator.toml").write_text(front, encoding="utf-8")
        running = await processes.start("bank", ["simulator", "--config", str(made.bank)], self._directory, {})
        self._running.append(running)
        return await processes.ready_file(running, made.bank / "data" / "ready.json")

    async def _start_gateway(self, made: Scenery, ready: dict[str, Any], keys: FrontKeys) -> str:
        address = processes.free_address()
        scenery.write_gateway(made, address, self._store)
        text = connection_toml(self.outcome.bank, ready, PACE)
        (made.gateway / "connections" / "bank.toml").write_text(text, encoding="utf-8")
        secrets = {variable(name): value for name, value in self._front.secrets.items()}
        config = ["--config", str(made.gateway)]
        for name, environment in (("serve", made.passphrases.serve), ("worker", {**secrets, **keys.environment})):
            running = await processes.start(name, ["gateway.main", name, *config], self._directory, environment)
            self._running.append(running)
        await processes.listening(self._running[-2], address)
        return address

    async def _follow(self, erp: Erp, progress: Callable[[int, int], None]) -> None:
        """The event stream, until every payment is where it must come to."""
        expected = {part.reference: part.state for part in self.outcome.parts}
        done: set[str] = set()
        async for ended in erp.events():
            self.outcome.ended[ended.reference] = ended
            if ended.state == expected.get(ended.reference):
                done.add(ended.reference)
                progress(len(done), len(expected))
            if len(done) == len(expected):
                return

    async def _watch_doubts(self, erp: Erp, following: "asyncio.Task[None]") -> set[str]:
        """The messages that were in doubt at any time until every payment had ended."""
        doubted: set[str] = set()
        while not following.done():
            doubted |= await erp.in_doubt()
            await asyncio.sleep(0.05)
        await following
        return doubted

    async def _compare(self, erp: Erp, control: aiohttp.ClientSession) -> None:
        """Each payment against its expected end, the account against the bank's books, and the books against doubles."""
        outcome = self.outcome
        for part in outcome.parts:
            ended = outcome.ended.get(part.reference)
            if ended is None or ended.state != part.state:
                outcome.failures.append(f"{part.reference}: expected {part.state}, got {ended.state if ended else 'nothing'}")
        if not outcome.doubted:
            outcome.failures.append("no message was ever in doubt, though answers were lost on purpose")
        books = await _books(control)
        outcome.executed = sum(order["executed"] for order in books["orders"])
        outcome.executed_twice = len(books["paid_twice"])
        if outcome.executed_twice:
            outcome.failures.append(f"the bank's books show {outcome.executed_twice} payments executed twice")
        ours = Decimal(books["accounts"][0]["balance"])
        told = await self._told(erp, ours)
        if told is not None:
            outcome.balance = (ours, told)
            if told != ours:
                outcome.failures.append(f"the bank's books say {ours}, and it told us {told}")

    async def _told(self, erp: Erp, expected: Decimal) -> Decimal | None:
        """The account's balance as the bank told it last; another one than expected is believed only after a while."""
        until = time.perf_counter() + BALANCE_SECONDS
        while True:
            told = await erp.told_balance(self._front.account)
            if told == expected or time.perf_counter() >= until:
                return told
            if told is None and time.perf_counter() >= until - BALANCE_SECONDS + 3:
                return None  # this bank tells no balances
            await asyncio.sleep(0.1)

    def _mark(self, what: str) -> None:
        self.outcome.seconds[what] = time.perf_counter() - self._started


async def _post(control: aiohttp.ClientSession, path: str, body: Any) -> None:
    async with control.post(path, json=body) as answer:
        if answer.status >= 400:
            raise DidNotStart(f"the bank refused {path}: {await answer.text()}")


async def _books(control: aiohttp.ClientSession) -> dict[str, Any]:
    async with control.get("/front") as answer:
        found: dict[str, Any] = await answer.json()
        return found
