"""A front machine whose books outlive it, `serve` and workers: processes of their own, killed and frozen as a test wishes.

At a bank that promises nothing about repeated serial numbers, what goes out again is executed again, and its books show it.
"""

import asyncio
import fcntl
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from gateway.demo import processes, scenery
from gateway.demo.erp import Erp
from gateway.demo.fronts import BANK_PACE, FRONTS, IMPATIENT, OPENING, PACE, Part, cast, connection_toml, toml, variable
from gateway.demo.processes import Running
from gateway.demo.scenery import Scenery
from gateway.rpc.client import CallFailed, Client, ClientTls, Target

LANE_SECONDS = 2.0  # a worker that is silent for so long is taken for dead; 10 unless set
LEASE_SECONDS = 11.0  # of one send, after which its sender sends nothing any more; 900 unless set
TIMEOUTS = {"connect": 0.5, "read": 1, "total": 1}
SIGN_TIMEOUTS = {"connect": 0.5, "read": 3, "total": 3}
HICCUPS = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN"})


@dataclass
class FrontStage:
    """Processes by name: "bank", "serve", and workers. `parts`: what the ERP has to submit."""

    bank: str
    directory: Path
    made: Scenery
    address: str
    doors: dict[str, str]  # where the bank listens, the same after each start
    parts: list[Part]
    ready: dict[str, Any] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)

    # -- processes -----------------------------------------------------------------------------------------------------

    async def start_bank(self) -> None:
        """With the books that it had when it was killed."""
        told = self.made.bank / "data" / "ready.json"
        await asyncio.to_thread(told.unlink, missing_ok=True)
        config = ["simulator", "--config", str(self.made.bank)]
        self.running["bank"] = await processes.start("bank", config, self.directory, {})
        self.ready = await processes.ready_file(self.running["bank"], told)

    async def start(self, name: str, module: str = "gateway.main") -> None:
        """`serve`, or a worker of any other name. `module`: whose `worker` it is."""
        kind = "serve" if name == "serve" else "worker"
        secrets = {variable(key): value for key, value in FRONTS[self.bank].secrets.items()}
        environment = self.made.passphrases.serve if kind == "serve" else secrets
        arguments = [module, kind, "--config", str(self.made.gateway)]
        self.running[name] = await processes.start(name, arguments, self.directory, environment)
        if kind == "serve":
            await processes.listening(self.running[name], self.address)

    async def kill(self, name: str) -> None:
        """kill -9"""
        process = self.running.pop(name).process
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def freeze(self, name: str) -> Running:
        """SIGSTOP, and not in the middle of a transaction: SQLite has nobody who would end it, and the others would wait."""
        frozen = self.running[name]
        while True:
            frozen.process.send_signal(signal.SIGSTOP)
            if await asyncio.to_thread(_free, self.made.gateway / "bankgate.db"):
                return frozen
            frozen.process.send_signal(signal.SIGCONT)

    async def stop_all(self) -> None:
        for running in reversed(self.running.values()):
            with suppress(ProcessLookupError):
                running.process.send_signal(signal.SIGCONT)
            await running.stop()

    # -- the ERP -------------------------------------------------------------------------------------------------------

    def erp(self) -> Erp:
        return Erp(self.address, self.made.authority, self.made.erp_certificate, self.made.erp_key)

    async def submit(self, parts: list[Part]) -> None:
        """As the guide asks for: after any error, the same again, until it is answered."""
        while True:
            try:
                async with self.erp() as erp:
                    await erp.submit([dict(part.request) for part in parts])
            except CallFailed as failure:
                if failure.code not in HICCUPS:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def payments(self) -> list[dict[str, Any]]:
        made = self.made
        async with Client(Target(self.address, ClientTls(made.authority, made.erp_certificate, made.erp_key))) as client:
            answer = await client.call("PaymentService", "ListPayments", {"page": {"size": 1000}})
            found: list[dict[str, Any]] = answer.get("payments", [])
            return found

    async def not_there(self) -> dict[str, str]:
        """The payments that are not in the state that they must come to, with the state they are in."""
        wanted = {part.reference: part.state for part in self.parts}
        states = {
            one["request"]["payment_reference"]: one["state"].removeprefix("PAYMENT_STATE_").lower()
            for one in await self.payments()
        }
        return {name: states.get(name, "unknown") for name, state in wanted.items() if states.get(name) != state}

    # -- the bank's desk -----------------------------------------------------------------------------------------------

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The bank's remote control."""
        url = self.ready["control"]["url"] + path
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
            assert answer.status < 400, await answer.text()
            return await answer.json()

    async def moods(self, *moods: Mapping[str, Any]) -> None:
        await self.control("POST", "/front/moods", [{"when": "payment", **mood} for mood in moods])

    async def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.control("GET", "/front"))["orders"]
        return found

    async def doubled(self) -> dict[str, int]:
        """Amounts that were taken more than once, refused ones too. Every payment of a stage has its own amount: so this sees a
        payment under two serial numbers as well as one under the same."""
        taken = Counter(order["amount"] for order in await self.orders())
        return {f"{amount}": count for amount, count in taken.items() if count > 1}

    # -- a person ------------------------------------------------------------------------------------------------------

    async def lost(self, erp: Erp) -> list[dict[str, Any]]:
        """Deliveries in doubt with a payment that the bank's books do not show: nobody but a person can end these."""
        in_books = {order["amount"] for order in await self.orders()}
        return [one for one in await erp.deliveries_in_doubt() if int(Decimal(one["control_sum"]) * 100) not in in_books]

    async def only_a_person_is_missing(self) -> bool:
        """Whether every payment is at its end, or visibly in doubt because the bank never got it."""
        try:
            async with self.erp() as erp:
                left = await self.not_there()
                return len(left) == len(await self.lost(erp)) and set(left.values()) <= {"batched"}
        except CallFailed:
            return False

    async def decide_like_a_person(self) -> int:
        """Tells the gateway of each message that the bank's books do not show; for how many it was told. No sender of them may
        be alive. Of one whose sender's time is not over yet the gateway wants to be told later: ask again."""
        decided = 0
        async with self.erp() as erp:
            for delivery in await self.lost(erp):
                try:
                    await erp.resolve(delivery, False, "the bank's desk: no such record in the books")
                except CallFailed as failure:
                    if failure.code != "FAILED_PRECONDITION":
                        raise
                else:
                    decided += 1
        return decided

    async def all_there(self) -> bool:
        try:
            return not await self.not_there()
        except CallFailed:
            return False

    async def until(self, fine: Callable[[], Any], seconds: float = 90.0) -> None:
        """Waits until an awaitable condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not await fine():  # noqa: ASYNC110 - another process brings it about
                    await asyncio.sleep(0.4)
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s; left: {await self.not_there()}") from None


def _free(database: Path) -> bool:
    """Whether nobody is writing: neither the lock file nor SQLite's own lock is held."""
    with (
        database.with_name(f"{database.name}.lock").open("ab") as lock,
        closing(sqlite3.connect(database, timeout=0.5, isolation_level=None)) as connection,
    ):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except (sqlite3.OperationalError, BlockingIOError):
            return False
    return True


async def set_up(bank: str, directory: Path, count: int, store: str = scenery.SQLITE) -> FrontStage:
    """The bank is open, the gateway is configured against it and not started."""
    made = await asyncio.to_thread(scenery.set_up_gateway, directory)
    doors = {name: processes.free_address() for name in ("listen", "sign_listen", "control")}
    address = processes.free_address()
    stage = FrontStage(bank, directory, made, address, doors, cast(bank, "bank", count))
    table: dict[str, Any] = {
        "bank": bank,
        "accounts": [{"number": FRONTS[bank].account, "balance": OPENING}],
        "database": "books.db",
        "listen": doors["listen"],
        "sign_listen": doors["sign_listen"],
        "quiet_hours": False,
        "page_rows": 20,
        "pace": dict(BANK_PACE),
    }
    lines = [f"front.{key} = {toml(value)}" for key, value in table.items()]
    lines.append(f'control.listen = "{doors["control"]}"\n')
    (made.bank / "simulator.toml").write_text("\n".join(lines), encoding="utf-8")
    await stage.start_bank()
    scenery.write_gateway(made, address, store)
    with (made.gateway / "bankgate.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[worker]\nlane_lease_seconds = {LANE_SECONDS}\n")
    pace = {
        **PACE,
        "retry": {**PACE["retry"], "lease_seconds": LEASE_SECONDS},
        "dialogue": {**PACE["dialogue"], "statement_seconds": 5.0, "balance_seconds": 5.0},
    }
    text = connection_toml(bank, stage.ready["front"], pace).replace(toml(IMPATIENT["timeouts"]), toml(TIMEOUTS))
    text = text.replace("sign_service = {", f"sign_service = {{timeouts = {toml(SIGN_TIMEOUTS)}, ")
    (made.gateway / "connections" / "bank.toml").write_text(text, encoding="utf-8")
    return stage
