"""A connection over the real SQLite store, with a clock and a channel that the test scripts."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from channels.channel import Arrival, Fate, FateReport, Guarantee, Parcel, Receipt
from formats.bank import bank_named
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.config import ConnectionSettings
from gateway.connection import Connection
from gateway.delivery import Courier
from gateway.intake import Intake
from gateway.lifecycle import PaymentState
from gateway.own_schemas import read_schemas
from gateway.payment import new_payment_id
from gateway.prepare import Preparer
from gateway.reasons import ours
from gateway.store.records import Delivery, NewPayment, Payment
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from keys.plain import PlainSeal

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ACCOUNT = "NL41MOCK0000000001"
CREDITOR = "DE89370400440532013000"


@dataclass
class HandClock:
    """Time that moves when the test says so."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class ScriptedChannel:
    """Does what the test wrote down: each send takes the next outcome; what the bank then has stands in `bank`."""

    clock: HandClock
    guarantee: Guarantee = Guarantee.BLIND
    outcomes: list[Exception | str] = field(default_factory=list)
    fates: list[FateReport | Exception] = field(default_factory=list)
    bank: list[tuple[str, bytes]] = field(default_factory=list)
    sends: list[str] = field(default_factory=list)
    offers: list[tuple[str, bytes]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    before_outcome: Callable[[], AsyncIterator[None]] | None = None
    kind: str = "scripted"
    troubles: tuple[str, ...] = ()

    async def send(self, parcel: Parcel) -> Receipt:
        self.sends.append(parcel.name)
        outcome = self.outcomes.pop(0) if self.outcomes else "arrived"
        if self.before_outcome is not None:
            async for _ in self.before_outcome():
                pass
        if outcome in {"arrived", "arrived, answer lost"}:
            data = b"".join([chunk async for chunk in parcel.chunks()])
            assert hashlib.sha256(data).hexdigest() == parcel.sha256
            assert len(data) == parcel.size
            self.bank.append((parcel.name, data))
        if outcome == "arrived":
            return Receipt(evidence="scripted.rename", detail="ok", at=self.clock())
        if outcome == "arrived, answer lost":
            from channels.channel import InDoubt

            raise InDoubt("the answer was lost")
        assert isinstance(outcome, BaseException)
        raise outcome

    async def fate(self, parcel: Parcel) -> FateReport:
        answer = self.fates.pop(0) if self.fates else FateReport(fate=Fate.UNKNOWN, evidence="scripted", detail="-")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def receive(self, keep: Callable[[Arrival], object]) -> int:
        kept = 0
        for name, data in list(self.offers):

            async def chunks(data: bytes = data) -> AsyncIterator[bytes]:
                yield data

            await keep(Arrival(name=name, size=len(data), chunks=chunks))  # type: ignore[misc]
            self.acknowledged.append(name)
            self.offers.remove((name, data))
            kept += 1
        return kept

    async def check(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


@dataclass
class Desk:
    """One connection with everything around it."""

    store: SqliteStore
    clock: HandClock
    channel: ScriptedChannel
    connection: Connection
    preparer: Preparer
    courier: Courier
    intake: Intake

    async def submit(self, count: int = 1, *, prefix: str = "INV", amount: str = "10.00", day: date | None = None) -> list[str]:
        """Stores approved payments; their ids."""
        rows = [self.row(f"{prefix}-{number}", amount=amount, day=day) for number in range(1, count + 1)]
        assert (await self.store.submit(rows)).stored
        return [row.payment_id for row in rows]

    def row(self, reference: str, *, amount: str = "10.00", day: date | None = None) -> NewPayment:
        payment_id = new_payment_id()
        return NewPayment(
            payment_id=payment_id,
            caller="erp",
            payment_reference=reference,
            connection_id="bank",
            terms=PaymentTerms(
                debtor=Party(name="ACME BV"),
                debtor_account=Account(iban=ACCOUNT, currency="EUR"),
                debtor_agent=Agent(bic="MOCKNL2AXXX"),
                requested_execution_date=day or date(2026, 11, 26),
                charge_bearer="SLEV",
            ),
            transfer=CreditTransfer(
                instruction_id=payment_id,
                end_to_end_id=reference,
                amount=Decimal(amount),
                currency="EUR",
                creditor=Party(name="Supplier"),
                creditor_account=Account(iban=CREDITOR),
            ),
            content_sha256=hashlib.sha256(reference.encode()).digest(),
            state=PaymentState.APPROVED,
            reason=ours("approved"),
        )

    async def form(self) -> list[Delivery]:
        """Forms messages; the deliveries there are, oldest first."""
        await self.preparer.form_messages()
        return await self.deliveries()

    async def deliveries(self) -> list[Delivery]:
        from gateway.store.records import DeliveryFilter

        found, _ = await self.store.list_deliveries(DeliveryFilter(connection_id="bank"), limit=100)
        return found[::-1]

    async def delivery(self) -> Delivery:
        """The only one."""
        (one,) = await self.deliveries()
        return one

    async def pump(self) -> None:
        await self.preparer.form_messages()
        await self.courier.advance_due()

    async def payment(self, payment_id: str) -> Payment:
        found = await self.store.payment(payment_id)
        assert found is not None
        return found

    async def states(self) -> dict[PaymentState, int]:
        from gateway.store.records import PaymentFilter

        counts = await self.store.count_payments(PaymentFilter(connection_id="bank"))
        return {state: count for state, count in counts.items() if count}

    async def receive(self, data: bytes | str, name: str = "answer.xml") -> None:
        """The bank offers a file; it is fetched and read."""
        self.channel.offers.append((name, data.encode() if isinstance(data, str) else data))
        await self.intake.fetch()
        await self.intake.read_waiting()

    async def discrepancies(self) -> list[str]:
        """The kinds of the open ones, oldest first."""
        found, _ = await self.store.list_discrepancies(limit=100)
        return [one.kind for one in found][::-1]


MakeDesk = Callable[..., Desk]


@pytest.fixture
async def make_desk(tmp_path: Path) -> AsyncIterator[MakeDesk]:
    """Makes desks over one database file; settings of the connection as keyword arguments."""
    opened: list[SqliteStore] = []
    clock = HandClock()

    async def make(**settings: object) -> Desk:
        values: dict[str, object] = {
            "id": "bank",
            "bank": "iso20022",
            "message": "pain.001.001.09",
            "initiating_party": "ACME BV",
            "accounts": ({"iban": ACCOUNT, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX"},),
            "channel": {"kind": "folder", "upload": "out"},
            **settings,
        }
        parsed = ConnectionSettings.model_validate(values)
        store = SqliteStore(tmp_path / "bankgate.db", clock=clock)
        await store.open()
        opened.append(store)
        schemas = None if parsed.schemas is None else read_schemas(tmp_path / parsed.schemas)
        connection = Connection(parsed, bank_named(parsed.bank), PlainSeal(), "", tmp_path, clock, schemas)
        channel = ScriptedChannel(clock, guarantee=connection.guarantee)
        metrics = Metrics()
        preparer = Preparer(store, connection, clock, metrics)
        courier = Courier(store, connection, channel, preparer, clock, metrics, uptime=lambda: clock().timestamp())
        return Desk(store, clock, channel, connection, preparer, courier, Intake(store, connection, channel, clock, metrics))

    yield make  # type: ignore[misc]
    for store in opened:
        await store.close()


def pain002(message_id: str, *, group: str | None = None, reasons: str = "", body: str = "") -> str:
    """A status report as a bank writes it."""
    status = f"<GrpSts>{group}</GrpSts>" if group else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
        "<GrpHdr><MsgId>B-1</MsgId><CreDtTm>2026-11-25T10:00:00Z</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
        f"{status}{reasons}</OrgnlGrpInfAndSts>{body}</CstmrPmtStsRpt></Document>"
    )


def transaction(instruction_id: str, end_to_end_id: str, status: str, reason: str | None = None) -> str:
    """[TxInfAndSts]"""
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    return (
        f"<TxInfAndSts><OrgnlInstrId>{instruction_id}</OrgnlInstrId><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>"
        f"<TxSts>{status}</TxSts>{why}</TxInfAndSts>"
    )


def block(block_id: str, *transactions: str, status: str | None = None) -> str:
    """[OrgnlPmtInfAndSts]"""
    said = f"<PmtInfSts>{status}</PmtInfSts>" if status else ""
    return f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{block_id}</OrgnlPmtInfId>{said}{''.join(transactions)}</OrgnlPmtInfAndSts>"


def camt054(*entries: str) -> str:
    """A debit/credit notification."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn>'
        "<GrpHdr><MsgId>N-1</MsgId><CreDtTm>2026-11-26T10:00:00Z</CreDtTm></GrpHdr>"
        f"<Ntfctn><Id>N1</Id><Acct><Id><IBAN>{ACCOUNT}</IBAN></Id></Acct>{''.join(entries)}</Ntfctn>"
        "</BkToCstmrDbtCdtNtfctn></Document>"
    )


def entry(amount: str, refs: str, *, direction: str = "DBIT", status: str = "BOOK", more: str = "", details: str = "") -> str:
    """[Ntry] with one transaction."""
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}<Sts><Cd>{status}</Cd></Sts>'
        "<BookgDt><Dt>2026-11-26</Dt></BookgDt><NtryDtls><TxDtls>"
        f'<Refs>{refs}</Refs><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{details}'
        "</TxDtls></NtryDtls></Ntry>"
    )


class Files:
    """The makers above, for tests to use without importing this file."""

    pain002 = staticmethod(pain002)
    transaction = staticmethod(transaction)
    block = staticmethod(block)
    camt054 = staticmethod(camt054)
    entry = staticmethod(entry)


@pytest.fixture
def files() -> Files:
    return Files()
