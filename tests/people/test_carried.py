"""A call that carries a person may do no more than the person's roles allow, on every method of every service, and on their
connections alone; one without a person is the caller's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import pytest

from bankgate.v1 import operations_pb2 as ops
from bankgate.v1 import operations_pb2_grpc, payments_pb2_grpc
from bankgate.v1 import payments_pb2 as pay
from gateway.callers import Caller, Money, Permission
from gateway.config import CallerSettings, Configuration, ConnectionSettings, ListenSettings
from gateway.people.officers import wanted
from gateway.people.permissions import PERMISSIONS
from gateway.people.person import Role
from gateway.rpc.server import RpcServer
from gateway.service import Gateway
from gateway.telemetry import Metrics
from tests.people.conftest import House
from tests.rpc.test_authorisation import CALLS, STUBS, Things

ACTIONS: Final = ("submit", "read", "cancel", "statements", "operate", "replay", "approve", "audit", "people")
CODE = grpc.StatusCode
IBAN: Final = "NL41MOCK0000000001"


def connection(name: str) -> ConnectionSettings:
    account = {"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}
    values = {
        "id": name,
        "bank": "sepa",
        "initiating_party": "ACME BV",
        "accounts": [account],
        "channel": {"kind": "folder", "upload": "out"},
    }
    return ConnectionSettings.model_validate(values)


@dataclass
class Service:
    channel: grpc.aio.Channel

    async def code(self, method: str, session: str) -> grpc.StatusCode:
        """How the call of the matrix ends under a session."""
        service, _, name = method.partition(".")
        request = CALLS[method][1](Things("1", "1", "1", "1", awaiting=("1", "ab" * 32), held=("1", "ab" * 32)))
        asked = getattr(STUBS[service](self.channel), name)
        call = asked(iter(request) if isinstance(request, list) else request, metadata=(("bankgate-session", session),))
        try:
            if isinstance(call, grpc.aio.UnaryStreamCall | grpc.aio.StreamStreamCall):
                async for _ in call:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return CODE.OK


@asynccontextmanager
async def serving(house: House, folder: Path, *actions: str) -> AsyncIterator[Service]:
    configuration = Configuration(
        directory=folder,
        listen=ListenSettings(address="127.0.0.1:0", drain_seconds=1),
        callers=(CallerSettings(name="console", plaintext=True, actions=actions),),  # type: ignore[arg-type]
        connections={name: connection(name) for name in ("one", "two")},
    )
    gateway = Gateway(configuration, house.store, clock=house.clock, metrics=Metrics())
    gateway.people = house.people
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=house.clock)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Service(channel)
    await server.drain(0)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_opens_its_own_methods_and_no_other_whatever_the_caller_may(house: House, place: Path, role: Role) -> None:
    somebody = await house.person("eve", role.value)
    wrong = {}
    async with serving(house, place, *ACTIONS) as service:
        for method, (action, _) in CALLS.items():
            code = await service.code(method, somebody.token)
            if (code is CODE.PERMISSION_DENIED) is (action in PERMISSIONS[role]):
                wrong[method] = (action, code)
    # What an open method says next (no such payment, a factor that is not right) is its own; deciding refuses by itself too.
    decisions = {
        *("OperationsService.DecideApproval", "OperationsService.ReleaseHeldPayment", "ReleaseGroupService.DecideGroup"),
    }
    everywhere = {"OperationsService.ListInboundFiles", "AuditService.ListAuditRecords"}
    assert not {method: found for method, found in wrong.items() if method not in decisions | everywhere}


async def test_a_person_reaches_no_connection_but_their_own(house: House, place: Path) -> None:
    somebody = await house.person("eve", "operator")
    await house.people.put_person("machine: root", wanted("eve", ["operator"], (), ("two",)))
    session = (("bankgate-session", somebody.token),)
    async with serving(house, place, *ACTIONS) as service:
        stub = operations_pb2_grpc.OperationsServiceStub(service.channel)
        seen = await stub.ListConnections(ops.ListConnectionsRequest(), metadata=session)
        assert [one.connection_id for one in seen.connections] == ["two"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetConnection(ops.GetConnectionRequest(connection_id="one"), metadata=session)
        assert refused.value.code() in {CODE.PERMISSION_DENIED, CODE.NOT_FOUND}


async def test_a_caller_that_may_not_carry_people_gets_nowhere_with_a_session(house: House, place: Path) -> None:
    somebody = await house.person("eve", "viewer")
    async with serving(house, place, "read") as service:
        payments = payments_pb2_grpc.PaymentServiceStub(service.channel)
        await payments.ListPayments(pay.ListPaymentsRequest())
        assert await service.code("PaymentService.ListPayments", somebody.token) is CODE.PERMISSION_DENIED


async def test_a_session_that_is_none_is_not_taken_for_the_caller(house: House, place: Path) -> None:
    async with serving(house, place, *ACTIONS) as service:
        assert await service.code("PaymentService.ListPayments", "x" * 43) is CODE.UNAUTHENTICATED


def test_narrowing_adds_nothing_and_keeps_every_limit() -> None:
    small = Permission(actions=frozenset({"submit", "read"}), connections=frozenset({"*"}), currencies=frozenset({"EUR"}))
    wide = Caller("console", ("*",), frozenset({"submit", "read"}), (small,))
    narrow = wide.within(frozenset({"submit", "approve"}), ("one",))
    assert narrow.may("submit", "one", Money(IBAN, "EUR"))
    assert not narrow.may("submit", "two", Money(IBAN, "EUR"))
    assert not narrow.may("submit", "one", Money(IBAN, "USD"))
    assert not narrow.may("read", "one")
    assert not narrow.may("approve", "one")
    nothing = wide.within(frozenset({"audit"}), ("*",))
    assert not any(nothing.may(action) for action in ACTIONS)
