"""A connection to `TalkBank` over the real SQLite store: clock, line and chance are the test's."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from formats.dialogue import HeldAccount
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.config import ConnectionSettings
from gateway.connection import Connection
from gateway.delivery import Courier
from gateway.dialogue.channel import DialogueChannel
from gateway.dialogue.conversation import Conversation, SignedIn
from gateway.dialogue.manner import manner_of
from gateway.dialogue.rounds import Rounds
from gateway.intake import Intake
from gateway.lifecycle import PaymentState
from gateway.payment import new_payment_id
from gateway.prepare import Preparer
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryFilter, NewPayment, Payment
from gateway.store.serials import GivenSerial
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from keys.plain import PlainSeal
from tests.gateway.dialogue.talk import ScriptedLine, TalkBank

START = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
ACCOUNT = "755900000000001"


@dataclass
class HandClock:
    """Time that moves when the test says so."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Desk:
    """One connection with everything around it."""

    store: SqliteStore
    clock: HandClock
    line: ScriptedLine
    connection: Connection
    channel: DialogueChannel
    preparer: Preparer
    courier: Courier
    intake: Intake

    async def submit(self, count: int = 1, prefix: str = "INV") -> list[str]:
        rows = [self._row(f"{prefix}-{number}") for number in range(1, count + 1)]
        assert (await self.store.submit(rows)).stored
        return [row.payment_id for row in rows]

    def _row(self, reference: str) -> NewPayment:
        from decimal import Decimal
        from hashlib import sha256

        payment_id = new_payment_id()
        return NewPayment(
            payment_id=payment_id,
            caller="erp",
            payment_reference=reference,
            connection_id="bank",
            terms=PaymentTerms(
                debtor=Party(name="甲公司"),
                debtor_account=Account(other_id=ACCOUNT, currency="CNY"),
                debtor_agent=Agent(clearing_system_member_id="308584000013"),
                requested_execution_date=START.date(),
            ),
            transfer=CreditTransfer(
                instruction_id=payment_id,
                end_to_end_id=reference,
                amount=Decimal("123.45"),
                currency="CNY",
                creditor=Party(name="乙公司"),
                creditor_account=Account(other_id="6200000000000000005"),
            ),
            content_sha256=sha256(reference.encode()).digest(),
            state=PaymentState.APPROVED,
            reason=ours("approved"),
        )

    async def pump(self) -> None:
        """One turn of the sending lane."""
        await self.courier.recover()
        await self.preparer.form_messages()
        await self.courier.advance_due()

    async def fetch(self) -> None:
        """One turn of the fetching lane."""
        await self.intake.fetch()
        await self.intake.read_waiting()

    async def read(self) -> None:
        """Reads the replies that are kept, without asking anything."""
        await self.intake.read_waiting()

    async def delivery(self) -> Delivery:
        """The only one."""
        ((one,), _) = await self.store.list_deliveries(DeliveryFilter(connection_id="bank"), limit=2)
        return one

    async def payment(self, payment_id: str) -> Payment:
        found = await self.store.payment(payment_id)
        assert found is not None
        return found

    async def serials(self) -> list[GivenSerial]:
        return await self.store.serials_of((await self.delivery()).delivery_id)

    async def kept(self) -> list[str]:
        """The states of the replies that were kept, oldest first."""
        files, _ = await self.store.list_inbound(connection_id="bank", limit=100)
        return [file.state for file in files][::-1]

    async def discrepancies(self) -> list[str]:
        """The keys of the open ones, without what they are about."""
        found, _ = await self.store.list_discrepancies(limit=100)
        return [one.key.split(":")[1] for one in found][::-1]

    def questions(self) -> list[list[str]]:
        """The serial numbers of each question about payments so far."""
        return [said["status"] for said in self.line.said if "status" in said]

    def sends(self) -> list[bytes]:
        """The contents of each payment that was said so far."""
        return [content for content, said in zip(self.line.contents, self.line.said, strict=True) if "pay" in said]


MakeDesk = Callable[..., Desk]


@pytest.fixture
async def make_desk(tmp_path: Path) -> AsyncIterator[MakeDesk]:
    """Makes desks over one database file: `bank` is the plugin, the rest are settings of the connection."""
    opened: list[SqliteStore] = []
    clock = HandClock()

    async def make(
        bank: TalkBank | None = None, line: ScriptedLine | None = None, ask_within: float = 20.0, **settings: object
    ) -> Desk:
        plugin, wire = bank or TalkBank(), line or ScriptedLine()
        values: dict[str, object] = {
            "id": "bank",
            "bank": "iso20022",  # its plugin is handed in
            "initiating_party": "甲公司",
            "accounts": ({"other_id": ACCOUNT, "currency": "CNY", "holder": "甲公司"},),
            "channel": {"kind": "frontend"},
            "guarantee": {"kind": "queryable"},
            "dialogue": {"statement_seconds": 0, "balance_seconds": 0},
            "retry": {"lease_seconds": 60},
            "schedule": {"ask_seconds": 30},
            **settings,
        }
        parsed = ConnectionSettings.model_validate(values)
        store = SqliteStore(tmp_path / "bankgate.db", clock=clock)
        await store.open()
        opened.append(store)
        connection = Connection(parsed, plugin, PlainSeal(), "", tmp_path, clock)
        numbers = iter(range(10**7))
        manner = manner_of(parsed, plugin)
        conversation = Conversation(
            bank=plugin,
            line=wire,
            seal=wire.seal,
            open=wire.open,
            secrets=wire.secrets,
            zone=manner.zone,
            clock=clock,
            digits=lambda count: f"{next(numbers):0{count}d}",
            signed_in=SignedIn(),
        )
        accounts = [HeldAccount(number=ACCOUNT)]
        rounds = Rounds(conversation=conversation, store=store, connection_id="bank", accounts=accounts, manner=manner)
        channel = DialogueChannel(
            conversation,
            store,
            connection_id="bank",
            guarantee=connection.guarantee,
            absence_is_final=parsed.guarantee.absence_is_final,
            manner=manner,
            rounds=rounds,
            ask_within=ask_within,
        )
        metrics = Metrics()
        preparer = Preparer(store, connection, clock, metrics)
        courier = Courier(store, connection, channel, preparer, clock, metrics, uptime=lambda: clock().timestamp())
        intake = Intake(store, connection, channel, clock, metrics)
        return Desk(store, clock, wire, connection, channel, preparer, courier, intake)

    yield make  # type: ignore[misc]
    for store in opened:
        await store.close()


def usual(**changes: object) -> TalkBank:
    """The plugin with other data of its dialogue."""
    bank = TalkBank()
    return replace(bank, dialogue=replace(bank.dialogue, **changes))  # type: ignore[arg-type]
