"""The demo itself: submits the cast, loses an answer on purpose, lets bank time pass, and follows every payment to its end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from gateway.demo import processes, scenery
from gateway.demo.cast import LATE_RETURN, RETURN_REASON, Part, cast, conflicting, repeated, unpayable
from gateway.demo.erp import Doubt, Ended, Erp
from gateway.demo.processes import DidNotStart, Running
from gateway.demo.scenery import HTTPS_ACCOUNT, POOR_ACCOUNT, SFTP_ACCOUNT, Scenery
from gateway.rpc.client import CallFailed

OPENING = {SFTP_ACCOUNT: Decimal("125000.00"), POOR_ACCOUNT: Decimal("12.50"), HTTPS_ACCOUNT: Decimal("200000.00")}
PATIENCE_SECONDS = 90.0
STATEMENT_SECONDS = 15.0
DAYS_UNTIL_RETURNED = 7  # three business days after booking, across a week-end, and the end of that day
FINAL = frozenset({"settled", "returned", "rejected", "cancelled"})

Tell = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Everything the demo shows at the end. `failures` empty: every payment ended as expected."""

    ended: dict[str, Ended] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    doubted: list[Doubt] = field(default_factory=list)
    refusals: dict[str, CallFailed] = field(default_factory=dict)
    # account, opening balance, what the payments leave of it, and what the statement says is left
    balances: list[tuple[str, Decimal, Decimal, Decimal | None]] = field(default_factory=list)
    executed_twice: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class Demo:
    """One run in one directory, over `store`, which is empty. `tell` is called with each step in words."""

    def __init__(self, directory: Path, tell: Tell, store: str = scenery.SQLITE) -> None:
        self._directory = directory
        self._store = store
        self._tell = tell
        self._running: list[Running] = []
        self._started = time.perf_counter()
        self.outcome = Outcome(parts=cast())

    async def run(self, progress: Callable[[int, int], None]) -> Outcome:
        """The whole play. Raises `DidNotStart` if a process does not come up."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._play(progress)
        except TimeoutError:
            self.outcome.failures.append(f"not everything ended within {PATIENCE_SECONDS:.0f} s")
        finally:
            for running in reversed(self._running):
                await running.stop()
        self.outcome.seconds["all"] = time.perf_counter() - self._started
        return self.outcome

    async def _play(self, progress: Callable[[int, int], None]) -> None:
        self._tell("keys, certificates and configuration for both sides, made for this run only")
        made = await asyncio.to_thread(scenery.set_up, self._directory)
        bank = await self._start_bank(made)
        address = await self._start_gateway(made, bank.ready)
        async with bank, Erp(address, made.authority, made.erp_certificate, made.erp_key) as erp:
            await bank.prepare()
            self._mark("set-up")
            following = asyncio.create_task(self._follow(erp, progress))
            await self._submit(erp)
            await self._accepted(erp)
            self._tell("a week passes at the bank: debits booked, statements issued, one payment back")
            await bank.advance(DAYS_UNTIL_RETURNED)
            await following
            self._mark("to the end of every payment")
            await self._compare(erp, bank)

    async def _start_bank(self, made: Scenery) -> "Bank":
        self._tell("the bank opens: mock-bank's ledger, an SFTP door and an HTTPS door")
        running = await processes.start("bank", ["simulator", "--config", str(made.bank)], self._directory, made.passphrases.bank)
        self._running.append(running)
        return Bank(await processes.ready_file(running, made.bank / "data" / "ready.json"))

    async def _start_gateway(self, made: Scenery, ready: dict[str, Any]) -> str:
        self._tell("the gateway starts: serve (gRPC over TLS) and worker (holds the keys)")
        address = processes.free_address()
        await asyncio.to_thread(scenery.configure_gateway, made, ready, address, store=self._store)
        config = ["--config", str(made.gateway)]
        for name, secrets in (("serve", made.passphrases.serve), ("worker", made.passphrases.worker)):
            self._running.append(await processes.start(name, ["gateway.main", name, *config], self._directory, secrets))
        await processes.listening(self._running[-2], address)
        return address

    async def _submit(self, erp: Erp) -> None:
        parts = self.outcome.parts
        self._tell(f"the ERP submits {len(parts)} payments, for two connections to the bank")
        self._tell("the bank will take the first SFTP file and cut the line before it answers")
        for start in range(0, len(parts), 60):
            await erp.submit([part.request for part in parts[start : start + 60]])
        again = await erp.submit([repeated(parts)])
        if not again[0].already_known:
            self.outcome.failures.append("a repeated reference was stored a second time")
        for story, request in (
            ("same reference, other amount", conflicting(parts)),
            ("address of lines only, wrong IBAN", unpayable()),
        ):
            try:
                await erp.submit([request])
                self.outcome.failures.append(f"accepted, though it must be refused: {story}")
            except CallFailed as refusal:
                self.outcome.refusals[story] = refusal
        self._mark("submitted")

    async def _accepted(self, erp: Erp) -> None:
        """Waits until every payment has the bank's verdict; notes which messages were in doubt meanwhile, and what settled it."""
        doubted: set[str] = set()
        while True:
            doubted |= await erp.in_doubt()
            if not await erp.any_in("approved", "batched", "sent"):
                break
            await asyncio.sleep(0.1)
        self.outcome.doubted = await erp.doubts(doubted)
        self._mark("bank's verdict on all")

    async def _follow(self, erp: Erp, progress: Callable[[int, int], None]) -> None:
        """The event stream, until every payment has come to its expected end or to one it cannot leave."""
        expected = {part.reference: part.expected.state for part in self.outcome.parts}
        done: set[str] = set()
        async for ended in erp.events():
            self.outcome.ended[ended.reference] = ended
            wanted = expected.get(ended.reference)
            if ended.state == wanted or (ended.state in FINAL and not (ended.state == "settled" and wanted == "returned")):
                done.add(ended.reference)
                progress(len(done), len(expected))
            if len(done) == len(expected):
                return

    async def _compare(self, erp: Erp, bank: "Bank") -> None:
        """Each payment against its expected end; the statements against the payments; the bank's books against doubles."""
        outcome = self.outcome
        for part in outcome.parts:
            ended = outcome.ended.get(part.reference)
            wanted = part.expected
            if ended is None or (ended.state, ended.code) != (wanted.state, wanted.code):
                got = "nothing" if ended is None else f"{ended.state} ({ended.code})"
                outcome.failures.append(f"{part.reference}: expected {wanted.state} ({wanted.code}), got {got}")
        if not outcome.doubted:
            outcome.failures.append("no message was ever in doubt, though an answer was lost on purpose")
        outcome.failures += [f"{one.message_id} was sent {one.sendings} times" for one in outcome.doubted if one.sendings != 1]
        for account, opening in OPENING.items():
            moved = sum(
                (
                    part.amount
                    for part in outcome.parts
                    if part.debtor_iban == account and outcome.ended[part.reference].state == "settled"
                ),
                Decimal(0),
            )
            closing = await self._closing(erp, account, opening - moved)
            outcome.balances.append((account, opening, opening - moved, closing))
            if closing != opening - moved:
                outcome.failures.append(f"{account}: the statement closes at {closing}, the payments say {opening - moved}")
        outcome.executed_twice = await bank.executed_twice()
        if outcome.executed_twice:
            outcome.failures.append(f"the bank's books show {outcome.executed_twice} payments executed twice")

    async def _closing(self, erp: Erp, account: str, expected: Decimal) -> Decimal | None:
        """The balance the last statement closes at. A debit advice may settle the last payment before the statement is read, so
        another answer than `expected` is believed only when it has stayed for `STATEMENT_SECONDS`."""
        until = time.perf_counter() + STATEMENT_SECONDS
        while True:
            closing = await erp.closing_balance(account)
            if closing == expected or time.perf_counter() >= until:
                return closing
            await asyncio.sleep(0.1)

    def _mark(self, what: str) -> None:
        self.outcome.seconds[what] = time.perf_counter() - self._started


class Bank:
    """The bank's remote control."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready

    async def __aenter__(self) -> "Bank":
        self._session = aiohttp.ClientSession(self.ready["control"]["url"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def prepare(self) -> None:
        """Opens Orion's account, marks the payment that will come back, and loses the answer to the first SFTP file."""
        orion = {"id": "ORION", "name": "Orion Handels GmbH", "iban": HTTPS_ACCOUNT, "currency": "EUR", "balance": 20_000_000}
        await self._post("/accounts", {**orion, "behaviour": "accept"})
        parameters = {"days": 3, "reason": RETURN_REASON, "end_to_end_id": LATE_RETURN}
        await self._post("/accounts", {"id": "ACME", "behaviour": "return-later", "parameters": parameters})
        await self._post("/moods", {"mood": "lose_answer", "count": 1, "customer": "acme"})

    async def advance(self, days: int) -> None:
        """Moves bank time day by day, as statements are issued per day."""
        await self._post(f"/advance?days={days}", {})

    async def executed_twice(self) -> int:
        """How many payments the ledger executed more than once."""
        async with self._session.get("/books?payments=no") as answer:
            books = await answer.json()
        return len(books["paid_twice"])

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with self._session.post(path, json=body) as answer:
            if answer.status >= 400:
                raise DidNotStart(f"the bank refused {path}: {await answer.text()}")
