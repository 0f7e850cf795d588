"""A house with rules: the real use cases, lane, gate and policies over the real store; people who prove themselves as told."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from channels.channel import Arrival, FateReport, Guarantee, Parcel, Receipt
from formats.model import Account, Party, PostalAddress
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.connection import open_connection
from gateway.delivery import Courier
from gateway.errors import Forbidden
from gateway.payment import PaymentOrder
from gateway.people.person import Acting, FactorProof, Person, Role
from gateway.policy.chain import Choice
from gateway.prepare import Preparer
from gateway.review import Reviewer
from gateway.review_checks import ConfiguredChecks, checks_of
from gateway.review_gate import Gate
from gateway.service import Gateway, Submitted
from gateway.store.records import Payment
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from gateway.use_cases.approvals import Case, GivenFactor

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ACTIONS = frozenset({"submit", "read", "cancel", "operate", "approve"})
ERP, CONSOLE = Caller("erp", ("*",), ACTIONS), Caller("console", ("*",), ACTIONS)
IBAN = "NL41MOCK0000000001"
BIG = """
id = "pay"
version = 7
valid_from = 2026-01-01
default = "pass"

[[chains]]
id = "big"
when = { currency = "EUR", amount_above = "100.00" }
steps = [{ group = "finance" }, { group = "board" }]
"""
DAY_LIMIT = """
id = "limits"
version = 3
valid_from = 2026-01-01
default = "pass"

[[limits]]
id = "day"
period = "day"
amount = "1000.00"
currency = "EUR"
per = ["debtor_account"]
outcome = "hold"

[[restrictions]]
id = "embargo"
what = "country"
forbidden = ["KP"]
outcome = "block"
"""


def person(name: str, *groups: str, roles: Sequence[Role] = (Role.APPROVER,), connections: tuple[str, ...] = ("*",)) -> Person:
    return Person(name=name, roles=frozenset(roles), groups=frozenset(groups), connections=connections)


ADA, BO, CAI = person("ada", "finance"), person("bo", "board"), person("cai", "finance", "board")


@dataclass
class Doorkeeper:
    """People as the gateway meets them: sessions by name, and second factors that are right once, for one purpose."""

    clock: Callable[[], datetime]
    people: dict[str, Person] = field(default_factory=lambda: {one.name: one for one in (ADA, BO, CAI)})
    used: set[str] = field(default_factory=set)
    age: timedelta = timedelta(0)
    bound_to: bytes | None = None  # a proof given for something else

    async def acting(self, caller: str, session: str, address: str) -> Acting:
        if session not in self.people:
            raise Forbidden("this session has ended")
        return Acting(caller=caller, person=self.people[session], address=address)

    async def prove(self, acting: Acting, factor: GivenFactor, bound_to: bytes) -> FactorProof:
        assert acting.person is not None
        if factor.totp_code in self.used or not factor.totp_code.startswith(acting.person.name):
            raise Forbidden("the second factor is not right")
        self.used.add(factor.totp_code)
        at = self.clock() - self.age
        return FactorProof(kind="totp", factor_id="t1", at=at, bound_to=(self.bound_to or bound_to).hex())


@dataclass
class OpenBank:
    """Takes everything."""

    guarantee: Guarantee = Guarantee.BLIND
    kind: str = "scripted"
    troubles: tuple[str, ...] = ()
    got: list[bytes] = field(default_factory=list)

    async def send(self, parcel: Parcel) -> Receipt:
        self.got.append(b"".join([chunk async for chunk in parcel.chunks()]))
        return Receipt(evidence="scripted", detail="ok", at=START)

    async def fate(self, parcel: Parcel) -> FateReport:
        raise AssertionError("nothing is in doubt")

    async def receive(self, keep: Callable[[Arrival], object]) -> int:
        return 0

    async def check(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


@dataclass
class House:
    directory: Path
    store: SqliteStore
    moment: list[datetime]
    configuration: Configuration
    doorkeeper: Doorkeeper
    bank: OpenBank = field(default_factory=OpenBank)
    metrics: Metrics = field(default_factory=Metrics)
    _codes: int = 0

    def __post_init__(self) -> None:
        self.gateway = Gateway(self.configuration, self.store, clock=self.now, metrics=self.metrics)
        self.gateway.prover = self.doorkeeper
        self.checks: ConfiguredChecks = checks_of(self.configuration, self.store)
        self.reviewer = self.another_reviewer()
        connection = open_connection(self.configuration.connections["one"], self.directory, self.now)
        gate = Gate(self.store, "one", lambda: self.checks.configured)
        self.preparer = Preparer(self.store, connection, self.now, self.metrics, gate=gate)
        self.courier = Courier(self.store, connection, self.bank, self.preparer, self.now, self.metrics)

    def now(self) -> datetime:
        return self.moment[0]

    def another_reviewer(self) -> Reviewer:
        return Reviewer(self.store, checks_of(self.configuration, self.store), self.now, self.metrics)

    def advance(self, **by: float) -> None:
        self.moment[0] += timedelta(**by)

    def write(self, name: str, policy: str) -> None:
        (self.directory / "policies").mkdir(exist_ok=True)
        (self.directory / "policies" / f"{name}.toml").write_text(policy, encoding="utf-8")

    async def submit(self, *amounts: str, by: str | None = None, prefix: str = "INV", **changes: object) -> list[Submitted]:
        orders = [order(f"{prefix}-{place}", amount=Decimal(amount), **changes) for place, amount in enumerate(amounts)]
        return await self.gateway.submit(ERP, orders, submitted_by=by)

    async def judged(self, *amounts: str, **given: object) -> list[str]:
        """Submitted and judged; the payment ids."""
        stored = await self.submit(*amounts, **given)  # type: ignore[arg-type]
        await self.reviewer.pump()
        return [one.payment_id for one in stored]

    async def payment(self, payment_id: str) -> Payment:
        found = await self.store.payment(payment_id)
        assert found is not None
        return found

    async def states(self, ids: Sequence[str]) -> list[str]:
        return [(await self.payment(one)).state.value for one in ids]

    async def case(self, payment_id: str) -> Case:
        return await self.gateway.approval(CONSOLE, payment_id)

    def code(self, name: str) -> GivenFactor:
        self._codes += 1
        return GivenFactor(totp_code=f"{name} {self._codes}")

    async def decide(
        self, name: str, payment_id: str, choice: Choice = Choice.APPROVE, *, digest: bytes | None = None, seen: int = 0
    ) -> Case:
        case = await self.case(payment_id)
        acting = await self.doorkeeper.acting("console", name, "ipv4:10.0.0.1:1")
        return await self.gateway.decide(
            CONSOLE,
            acting,
            payment_id,
            choice,
            digest=case.digest if digest is None else digest,
            seen=seen or (case.review.version if choice is Choice.RELEASE else 0),
            reason="asked Li Wei on the telephone",
            factor=self.code(name),
        )

    async def send(self) -> int:
        """Forms messages and sends what is due; how many messages the bank has."""
        await self.preparer.form_messages()
        await self.courier.advance_due()
        return len(self.bank.got)

    async def discrepancies(self) -> list[tuple[str, str | None]]:
        found, _ = await self.store.list_discrepancies(limit=100)
        return [(one.kind, one.payment_id) for one in found][::-1]

    async def story(self, payment_id: str) -> list[tuple[str, str, str]]:
        return [(row.state.value, row.reason.code, row.source) for row in await self.store.payment_events(payment_id)]


def order(reference: str, **changes: object) -> PaymentOrder:
    base = PaymentOrder(
        payment_reference=reference,
        connection_id="one",
        amount=Decimal("12.50"),
        currency="EUR",
        content_sha256=b"",
        creditor=Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        creditor_account=Account(iban="DE89370400440532013000"),
        requested_execution_date=date(2026, 11, 26),
    )
    made = replace(base, **changes)  # type: ignore[arg-type]
    return replace(made, content_sha256=hashlib.sha256(repr(made).encode()).digest())


Build = Callable[..., House]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Builds the house: policies by file name, settings of the connection as keyword arguments."""
    moment = [START]
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: moment[0])
    await store.open()

    def make(*policies: str, **settings: object) -> House:
        for place, policy in enumerate(policies):
            (tmp_path / "policies").mkdir(exist_ok=True)
            (tmp_path / "policies" / f"p{place}.toml").write_text(policy, encoding="utf-8")
        account = {"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}
        values = {"id": "one", "bank": "iso20022", "initiating_party": "ACME BV", "accounts": [account]}
        values |= {"channel": {"kind": "folder", "upload": "out"}, **settings}
        connections = {"one": ConnectionSettings.model_validate(values)}
        configuration = Configuration(directory=tmp_path, connections=connections)
        return House(tmp_path, store, moment, configuration, Doorkeeper(lambda: moment[0]))

    yield make
    await store.close()
