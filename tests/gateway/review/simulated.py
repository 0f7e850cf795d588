"""A house in which everything happens at once, for a checker that trusts nothing of it.

Payments are submitted, judged by two runners, approved, refused and released by people who race, cancelled and sent, while
policies change, factors fail, a runner dies between judging and writing, and somebody writes into the database. What the bank got
is compared with what the simulation itself remembers: who was asked to approve what, and whose decision was taken.
"""

import asyncio
import random
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.errors import GatewayError
from gateway.lifecycle import PaymentState
from gateway.people.person import Person
from gateway.policy.chain import Choice
from gateway.review import Reviewer
from gateway.store.records import PaymentFilter
from gateway.store.store import Stale
from tests.gateway.review.conftest import BIG, CONSOLE, ERP, House, person

DAY = """
id = "limits"
version = 1
valid_from = 2026-01-01
default = "pass"

[[limits]]
id = "day"
period = "day"
amount = "2000.00"
currency = "EUR"
outcome = "hold"
"""
APPROVED_BY_HAND = "UPDATE payments SET state = 'approved' WHERE payment_id = ?"
CHANGED_BY_HAND = """
UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'Supplier', 'Thief') AS BLOB)
WHERE payment_key = (SELECT payment_key FROM payments WHERE payment_id = ?)
"""
PEOPLE = (person("ada", "finance"), person("bo", "board"), person("cai", "finance", "board"), person("dee", "finance"))
_TRANSFER = re.compile(rb"<InstrId>([0-9a-f]{32})</InstrId>.*?<InstdAmt Ccy=\"EUR\">([0-9.]+)</InstdAmt>", re.DOTALL)


class Caught(AssertionError):
    """The bank got something that it must not have got."""


@dataclass
class Simulation:
    house: House
    seed: int
    limit: Decimal | None = None  # of a day, where `DAY` is in force
    amounts: dict[str, Decimal] = field(default_factory=dict)
    entered_by: dict[str, str | None] = field(default_factory=dict)
    approved: dict[str, list[Person]] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    asked_from: Decimal = Decimal(100)  # the highest amount from which approval was ever not asked
    version: int = 7
    calls: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.house.doorkeeper.people = {one.name: one for one in PEOPLE}
        self.runners: list[Reviewer] = [self.house.reviewer, self.house.another_reviewer()]

    async def run(self, rounds: int) -> None:
        """So many rounds of up to four things at once; then all that may go, goes. Raises `Caught`."""
        actions: tuple[tuple[int, Callable[[], Awaitable[object]]], ...] = (
            (4, self.submit),
            (4, self.judge),
            (8, self.decide),
            (1, self.cancel),
            (1, self.change_rules),
            (2, self.write_by_hand),
            (3, self.send),
            (1, self.die),
        )
        weights, choices = zip(*actions, strict=True)
        for _ in range(rounds):
            some = self.chance.choices(choices, weights, k=self.chance.randint(1, 4))
            for outcome in await asyncio.gather(*(one() for one in some), return_exceptions=True):
                if isinstance(outcome, BaseException) and not isinstance(outcome, GatewayError | Stale | ConnectionError):
                    raise outcome
            self.check()
        for _ in range(4):
            await self.judge()
            await self.send()
            self.check()

    # -- what happens --------------------------------------------------------------------------------------------------

    async def submit(self) -> None:
        self.calls += 1
        amounts = [f"{self.chance.choice((20, 60, 110, 180, 240))}.00" for _ in range(self.chance.randint(1, 4))]
        by = self.chance.choice((None, None, "ada"))
        for stored, amount in zip(await self.house.submit(*amounts, by=by, prefix=f"C{self.calls}"), amounts, strict=True):
            self.amounts[stored.payment_id], self.entered_by[stored.payment_id] = Decimal(amount), by

    async def judge(self) -> None:
        await self.chance.choice(self.runners).pump()

    async def die(self) -> None:
        """Between judging and writing."""
        runner, write = self.house.another_reviewer(), self.house.store.write_judged

        async def dies(*_: object) -> frozenset[str]:
            self.house.store.write_judged = write  # type: ignore[method-assign]
            raise ConnectionError("killed")

        self.house.store.write_judged = dies  # type: ignore[method-assign]
        try:
            await runner.pump()
        finally:
            self.house.store.write_judged = write  # type: ignore[method-assign]

    async def decide(self) -> None:
        payment_id = await self._any(PaymentState.AWAITING_APPROVAL, PaymentState.HELD)
        if payment_id is None:
            return
        who = self.chance.choice(PEOPLE)
        case = await self.house.case(payment_id)
        choice = self.chance.choice((*case.choices, Choice.APPROVE, Choice.APPROVE))
        if choice is Choice.REFUSE and self.chance.random() < 0.8:
            choice = Choice.APPROVE
        digest = bytes(32) if self.chance.random() < 0.1 else case.digest
        factor = self.house.code(self.chance.choice(PEOPLE).name if self.chance.random() < 0.1 else who.name)
        await self.house.gateway.decide(
            CONSOLE,
            await self.house.doorkeeper.acting("console", who.name, ""),
            payment_id,
            choice,
            digest=digest,
            seen=case.review.version,
            reason="asked Li Wei on the telephone",
            factor=factor,
        )
        if choice is Choice.APPROVE:
            self.approved.setdefault(payment_id, []).append(who)
        elif choice is Choice.RELEASE:
            self.released.add(payment_id)

    async def cancel(self) -> None:
        payment_id = await self._any(PaymentState.AWAITING_APPROVAL, PaymentState.RECEIVED, PaymentState.APPROVED)
        if payment_id is not None:
            await self.house.gateway.cancel(ERP, payment_id=payment_id, reason="not needed")

    async def change_rules(self) -> None:
        self.version += 1
        above = self.chance.choice((50, 100, 150))
        self.asked_from = max(self.asked_from, Decimal(above))
        changed = BIG.replace("version = 7", f"version = {self.version}").replace('"100.00"', f'"{above}.00"')
        self.house.write("p0", changed)

    async def write_by_hand(self) -> None:
        """Somebody who has the database's password approves a payment, or changes whom it pays."""
        states = (PaymentState.AWAITING_APPROVAL, PaymentState.HELD, PaymentState.APPROVED, PaymentState.APPROVED)
        payment_id = await self._any(self.chance.choice(states))
        if payment_id is None:
            return
        by_hand = self.chance.choice((APPROVED_BY_HAND, CHANGED_BY_HAND))
        with sqlite3.connect(self.house.directory / "bankgate.db", timeout=10) as db:
            db.execute(by_hand, (payment_id,))

    async def send(self) -> None:
        with suppress(Stale):
            await self.house.send()

    async def _any(self, *states: PaymentState) -> str | None:
        found, _ = await self.house.store.list_payments(PaymentFilter(states=states), limit=100)
        return self.chance.choice(found).payment_id if found else None

    # -- what must hold ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises `Caught`."""
        sent: dict[str, Decimal] = {}
        for message in self.house.bank.got:
            if b"Thief" in message:
                raise Caught(f"seed {self.seed}: a payment was sent with another content than was submitted")
            for instruction_id, amount in _TRANSFER.findall(message):
                payment_id = instruction_id.decode()
                if payment_id in sent:
                    raise Caught(f"seed {self.seed}: a payment was sent twice")
                sent[payment_id] = Decimal(amount.decode())
        for payment_id, amount in sent.items():
            if amount != self.amounts[payment_id]:
                raise Caught(f"seed {self.seed}: a payment was sent with another content than was submitted")
            if amount > self.asked_from and not self._complete(payment_id):
                raise Caught(f"seed {self.seed}: a payment was sent without its approvals")
        counted = sum((amount for payment_id, amount in sent.items() if payment_id not in self.released), Decimal(0))
        if self.limit is not None and counted > self.limit:
            raise Caught(f"seed {self.seed}: more was sent than the limit of the day")

    def _complete(self, payment_id: str) -> bool:
        """Whether one of finance and somebody else of the board approved it, neither of whom entered it."""
        people = [one for one in self.approved.get(payment_id, ()) if one.name != self.entered_by[payment_id]]
        return any(
            "finance" in first.groups and "board" in second.groups and first.name != second.name
            for first in people
            for second in people
        )
