"""Attacks on what people decide, by name, over real TLS against the whole gateway: people, rules, store and door are the real
ones. Each of them tries what a thief of that thing would try, and the payment still waits after it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import grpc
import pytest

from bankgate.v1 import access_pb2, access_pb2_grpc, operations_pb2_grpc
from bankgate.v1 import operations_pb2 as ops
from gateway.config import CallerSettings, Configuration, ConnectionSettings, ListenSettings, TlsSettings
from gateway.people.officers import wanted
from gateway.policy.chain import Choice
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.review_standing import purpose
from gateway.rpc.server import RpcServer
from gateway.service import Gateway
from gateway.telemetry import Metrics
from gateway.use_cases.approvals import PeopleProver
from tests.gateway.review.conftest import ERP, IBAN, order
from tests.people.conftest import House, Somebody
from tests.people.test_decisions import POLICY
from tests.people.test_rpc import told
from tests.rpc.certificates import Authority, Issued, write_server_files

AUTHORITY = Authority()
CONSOLE, OTHER = AUTHORITY.client("console"), AUTHORITY.client("other")
TLS = TlsSettings(
    certificate="file:tls/server.pem",
    key="file:tls/server.key",
    key_passphrase="file:tls/passphrase",
    client_ca="file:tls/clients.pem",
)
Refusal = tuple[str, str]


@dataclass
class Desk:
    """Li, who may approve; three payments that wait; and a server with two consoles."""

    house: House
    li: Somebody
    gateway: Gateway
    server: RpcServer
    ids: list[str]
    digests: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def console(self, certificate: Issued = CONSOLE) -> AsyncIterator[grpc.aio.Channel]:
        credentials = grpc.ssl_channel_credentials(
            AUTHORITY.root.certificate_pem, private_key=certificate.key_pem(), certificate_chain=certificate.certificate_pem
        )
        async with grpc.aio.secure_channel(f"localhost:{self.server.port}", credentials) as channel:
            yield channel

    async def decide(self, place: int = 0, *, digest: str = "", console: Issued = CONSOLE, **factor: str) -> Refusal | None:
        """Li's approval of one of the payments, as a console sends it; None: it counts."""
        request = ops.DecideApprovalRequest(
            approval_id=self.ids[place],
            approve=True,
            digest=digest or self.digests[place],
            second_factor=ops.DecisionFactor(**factor) if factor else None,
        )
        return await self.send(request, console=console)

    async def send(self, request: ops.DecideApprovalRequest, *, console: Issued = CONSOLE) -> Refusal | None:
        metadata = (("bankgate-session", self.li.token),)
        async with self.console(console) as channel:
            try:
                await operations_pb2_grpc.OperationsServiceStub(channel).DecideApproval(request, metadata=metadata, timeout=30)
            except grpc.aio.AioRpcError as error:
                return told(error)
        return None

    async def ask(self, bound_to: bytes) -> Any:
        async with self.console() as channel:
            request = access_pb2.BeginFactorRequest(bound_to=bound_to)
            metadata = (("bankgate-session", self.li.token),)
            return await access_pb2_grpc.AccessServiceStub(channel).BeginFactor(request, metadata=metadata, timeout=30)

    async def states(self) -> list[str]:
        return [payment.state.value for one in self.ids if (payment := await self.house.store.payment(one))]


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    place = house.store._path.parent
    (place / "policies").mkdir()
    (place / "policies" / "p.toml").write_text(POLICY, encoding="utf-8")
    write_server_files(place, AUTHORITY, AUTHORITY.server())
    values = {
        "id": "one",
        "bank": "iso20022",
        "initiating_party": "ACME BV",
        "channel": {"kind": "folder"},
        "accounts": [{"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}],
    }
    configuration = Configuration(
        directory=place,
        listen=ListenSettings(address="127.0.0.1:0", tls=TLS, drain_seconds=1),
        callers=tuple(
            CallerSettings(name=name, certificate_sha256=(one.fingerprint,), actions=("approve", "people", "read"))
            for name, one in (("console", CONSOLE), ("other", OTHER))
        ),
        connections={"one": ConnectionSettings.model_validate(values)},
    )
    gateway = Gateway(configuration, house.store, clock=house.clock, metrics=Metrics())
    gateway.people, gateway.prover = house.people, PeopleProver(house.people)
    done = await house.people.put_person("machine: root", wanted("li", ("approver",), ("finance",), ("*",)))
    li = await house.begin("li", done.enrolment_code)
    stored = await gateway.submit(ERP, [order(f"INV-{n}", amount=Decimal("12.50")) for n in range(3)])
    await Reviewer(house.store, checks_of(configuration, house.store), house.clock, Metrics()).pump()
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=house.clock)
    await server.start()
    made = Desk(house, li, gateway, server, [one.payment_id for one in stored])
    for payment_id in made.ids:
        made.digests.append((await gateway.approval(ERP, payment_id)).digest.hex())
    yield made
    await server.drain(0)


async def test_replayed_approval(desk: Desk) -> None:
    """The same request again; its code for another payment; its signature for another payment; an old question again."""
    code = desk.li.new_code().totp_code
    assert await desk.decide(0, totp_code=code) is None
    assert await desk.decide(0, totp_code=code) == ("FAILED_PRECONDITION", "TOO_LATE")
    assert await desk.decide(1, totp_code=code) == ("PERMISSION_DENIED", "FACTOR_REFUSED")
    key = await desk.li.passkey()
    asked = await desk.ask(purpose(Choice.APPROVE, bytes.fromhex(desk.digests[1])))
    signed = {"assertion": key.get(asked.passkey_options_json), "challenge_id": asked.challenge_id}
    assert await desk.decide(2, **signed) == ("PERMISSION_DENIED", "FACTOR_REFUSED")
    assert await desk.decide(1, **signed) is None
    other = await desk.ask(purpose(Choice.APPROVE, bytes.fromhex(desk.digests[2])))
    for again in (signed, {**signed, "challenge_id": other.challenge_id}):
        assert await desk.decide(2, **again) == ("PERMISSION_DENIED", "FACTOR_REFUSED")
    assert await desk.states() == ["approved", "approved", "awaiting_approval"]


async def test_approval_for_changed_content(desk: Desk) -> None:
    """What was seen of another payment approves nothing. Then somebody writes into the database between the look and the
    decision: what was seen is refused, and so is what is there."""
    another = await desk.decide(0, digest=desk.digests[1], totp_code=desk.li.new_code().totp_code)
    assert another == ("FAILED_PRECONDITION", "TOO_LATE")
    with sqlite3.connect(desk.house.store._path) as db:
        db.execute("UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), '12.50', '92.50') AS BLOB)")
    assert await desk.decide(totp_code=desk.li.new_code().totp_code) == ("FAILED_PRECONDITION", "TOO_LATE")
    changed = (await desk.gateway.approval(ERP, desk.ids[0])).digest.hex()
    assert changed != desk.digests[0]
    assert await desk.decide(digest=changed, totp_code=desk.li.new_code().totp_code) == ("FAILED_PRECONDITION", "TOO_LATE")
    assert await desk.states() == ["awaiting_approval"] * 3


async def test_stolen_session_without_factor(desk: Desk) -> None:
    """A fresh session, at its own console: it approves nothing by itself, and guessing is slowed down for the right code too."""
    assert await desk.decide() == ("INVALID_ARGUMENT", "ARGUMENT_INVALID")
    for number in range(6):
        assert await desk.decide(totp_code=f"{number:06d}") == ("PERMISSION_DENIED", "FACTOR_REFUSED")
    assert await desk.decide(totp_code=desk.li.code()) == ("PERMISSION_DENIED", "FACTOR_REFUSED")
    assert await desk.states() == ["awaiting_approval"] * 3


async def test_stolen_session_at_another_callers_console(desk: Desk) -> None:
    """Under another certificate the token is nobody's; it ends, and the true owner notices."""
    factor = desk.li.new_code().totp_code
    assert await desk.decide(console=OTHER, totp_code=factor) == ("UNAUTHENTICATED", "SESSION_ENDED")
    assert await desk.decide(totp_code=factor) == ("UNAUTHENTICATED", "SESSION_ENDED")
    assert "session.stolen" in await desk.house.actions()
    assert await desk.states() == ["awaiting_approval"] * 3


async def test_mass_assignment_in_a_decision(desk: Desk) -> None:
    """Fields of other messages, and words in the metadata, make nobody somebody else and nothing approved."""
    more = ops.ReleaseHeldPaymentRequest(reason="released by nobody, for no reason at all", review_version=7).SerializeToString()
    more += access_pb2.PutPersonRequest(
        name="li", roles=["security_officer"], groups=["board"], connections=["*"]
    ).SerializeToString()
    bare = ops.DecideApprovalRequest(digest=desk.digests[0], approval_id=desk.ids[0]).SerializeToString()
    merged = ops.DecideApprovalRequest.FromString(more + bare)
    merged.approve = True
    refused = await desk.send(merged)
    assert refused is not None
    for name in ("bankgate-person", "bankgate-caller", "bankgate-roles", "person", "x-forwarded-user"):
        async with desk.console() as channel:
            stub = operations_pb2_grpc.OperationsServiceStub(channel)
            request = ops.DecideApprovalRequest(
                approval_id=desk.ids[0],
                approve=True,
                digest=desk.digests[0],
                second_factor=ops.DecisionFactor(totp_code=desk.li.new_code().totp_code),
            )
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.DecideApproval(request, metadata=((name, "li"),), timeout=30)
            assert told(error.value) == ("PERMISSION_DENIED", "FORBIDDEN"), name
    account = await desk.house.store.account("li")
    assert account is not None
    assert (sorted(account.roles), sorted(account.groups)) == (["approver"], ["finance"])
    assert await desk.states() == ["awaiting_approval"] * 3
