"""A bank's front machine and the gateway that talks to it, in one process: real sockets, store, and configuration files."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway import clock
from gateway.callers import Caller
from gateway.config_load import load
from gateway.demo.front_keys import make_keys, take_bank_key
from gateway.demo.fronts import BANK_PACE, FRONTS, OPENING, PACE, Part, connection_toml, variable
from gateway.lifecycle import DeliveryState
from gateway.rpc.client import orders_from_messages, payments_from_json
from gateway.store.factory import open_store
from gateway.store.records import Delivery, DeliveryFilter, Payment, PaymentFilter
from gateway.store.store import Store
from gateway.telemetry import Metrics
from gateway.use_cases.operations import Operations
from gateway.use_cases.payments import Payments
from gateway.worker import Worker
from simulator.front.running import RunningFront, run_front

ERP = Caller(name="erp", connections=("*",), actions=frozenset({"submit", "read", "statements", "operate"}))


@dataclass
class House:
    """Both sides."""

    bank: RunningFront
    store: Store
    worker: Worker
    payments: Payments
    operations: Operations
    parts: list[Part] = field(default_factory=list)

    async def submit(self, parts: list[Part]) -> None:
        """As the ERP does. Raises what the gateway has against it."""
        self.parts += parts
        orders = orders_from_messages(payments_from_json({"payments": [dict(part.request) for part in parts]}))
        await self.payments.submit(ERP, orders)

    async def turn(self) -> None:
        """One turn of each lane."""
        for lane in self.worker.lanes:
            await self.worker.pump(lane)

    async def until_the_end(self, seconds: float = 60.0) -> dict[str, tuple[str, str]]:
        """Turns until every payment is where it must be; state and reason of those that are not, by reference, after so long."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            await self.turn()
            left = await self.not_there()
            if not left or asyncio.get_running_loop().time() > until:
                return left
            await asyncio.sleep(0.05)

    async def in_doubt_for(self, turns: int) -> list[Delivery]:
        """The messages in doubt: turns until there is one, and then so many more, in which it is asked about again and again."""
        async with asyncio.timeout(60):
            while not await self.deliveries(DeliveryState.IN_DOUBT):
                await self.turn()
        for _ in range(turns):
            await self.turn()
            await asyncio.sleep(0.05)
        return await self.deliveries(DeliveryState.IN_DOUBT)

    async def not_there(self) -> dict[str, tuple[str, str]]:
        """Payments that are not in the state they must come to."""
        wanted = {part.reference: part.state for part in self.parts}
        found = await self.found()
        return {
            reference: (found[reference].state.value, found[reference].reason.code)
            for reference, state in wanted.items()
            if found[reference].state.value != state
        }

    async def found(self) -> dict[str, Payment]:
        """Every payment by reference."""
        rows, _ = await self.store.list_payments(PaymentFilter(connection_id="bank"), limit=1000)
        return {row.payment_reference: row for row in rows}

    async def deliveries(self, *states: DeliveryState) -> list[Delivery]:
        rows, _ = await self.store.list_deliveries(DeliveryFilter(connection_id="bank", states=states), limit=1000)
        return rows

    async def closing_balance(self) -> Decimal | None:
        """What the bank's newest word about the account's balance is."""
        rows, _ = await self.store.list_statements(connection_ids=("bank",), limit=100)
        for row in rows:
            for balance in row.statement.balances:
                if balance.type == "ITBD" and balance.amount is not None:
                    return Decimal(balance.amount)
        return None

    async def until_the_balance_is_told(self, seconds: float = 20.0) -> Decimal | None:
        """Turns until the bank's word about the account is what its books say, or for so long; that word."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            told = await self.closing_balance()
            if told == self.book_balance() or asyncio.get_running_loop().time() > until:
                return told
            await self.turn()
            await asyncio.sleep(0.05)

    async def debits(self) -> dict[str, Decimal]:
        """The debits of all statements by the bank's own reference, each once however often it was told."""
        rows, _ = await self.store.list_statements(connection_ids=("bank",), limit=1000)
        found: dict[str, Decimal] = {}
        for row in rows:
            for entry in await self.store.entries(row.statement_row_id, limit=1000):
                if entry.entry.credit_debit == "DBIT" and not entry.entry.reversal:
                    key = entry.entry.account_servicer_reference or entry.entry.entry_reference or repr(entry.entry)
                    found[key] = Decimal(entry.entry.amount)
        return found

    def book_balance(self) -> Decimal:
        """What is on the account by the bank's own books."""
        account = self.bank.books.account(next(iter(self.bank.books.accounts())).number)
        assert account is not None
        return Decimal(account.balance) / 100


@asynccontextmanager
async def open_house(bank: str, directory: Path, *, store: str = "sqlite:///bankgate.db", **more: Any) -> AsyncIterator[House]:
    """The bank is open, the gateway is configured against it and has not done anything yet. `more`: of the simulator."""
    front = FRONTS[bank]
    keys = make_keys(bank, directory)
    os.environ.update(keys.environment)
    for name, value in front.secrets.items():
        os.environ[variable(name)] = value
    settings = {"pace": BANK_PACE, "page_rows": 7, "quiet_hours": False, "customer": dict(keys.customer), **more}
    async with run_front(bank, accounts={front.account: OPENING}, **settings) as running:
        (directory / "connections").mkdir(parents=True)
        (directory / "bankgate.toml").write_text(f'store = "{store}"\n[[callers]]\nname = "erp"\nplaintext = true\n')
        take_bank_key(bank, directory, running.addresses())
        text = connection_toml(bank, running.addresses(), PACE)
        (directory / "connections" / "bank.toml").write_text(text, encoding="utf-8")
        configuration = load(directory)
        opened = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
        await opened.open()
        metrics = Metrics()
        worker = Worker(configuration, opened, measures=metrics)
        payments = Payments(configuration, opened, clock=clock.now, metrics=metrics)
        operations = Operations(configuration, opened, clock=clock.now, metrics=metrics)
        try:
            yield House(running, opened, worker, payments, operations)
        finally:
            await worker.close()
            await opened.close()
