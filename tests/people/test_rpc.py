"""People over gRPC: the whole way of a person, who may carry it, and what no message can do."""

from base64 import b32decode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlparse

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2

from bankgate.v1 import access_pb2 as pb
from bankgate.v1 import access_pb2_grpc
from gateway.callers import Caller
from gateway.config import CallerSettings, Configuration, ListenSettings
from gateway.errors import FactorNeeded, Forbidden, NotSignedIn
from gateway.people import totp
from gateway.people.officers import wanted
from gateway.rpc.metadata import DETAILS_KEY
from gateway.rpc.server import RpcServer
from gateway.rpc.sessions import acting_of, source_of
from gateway.telemetry import Metrics
from tests.people.authenticator import Authenticator
from tests.people.conftest import CONSOLE, PASSWORD, House, Somebody

METHODS = pb.DESCRIPTOR.services_by_name["AccessService"].methods
WITHOUT_SESSION = {"SignIn", "BeginIdTokenSignIn", "Enrol"}
CARRIER = Caller("console", ("*",), frozenset({"people"}))
ERP = Caller("console", ("*",), frozenset({"submit", "read"}))


class Calls:
    """The service as a console calls it. `token`: of the session that goes with the calls."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub = access_pb2_grpc.AccessServiceStub(channel)
        self.token = ""

    async def __call__(self, method: str, request: Any = None) -> Any:
        metadata = [("bankgate-address", "192.0.2.7"), *([("bankgate-session", self.token)] if self.token else [])]
        request = GetMessageClass(METHODS_BY_NAME[method].input_type)() if request is None else request
        return await getattr(self.stub, method)(request, metadata=metadata)


METHODS_BY_NAME = {method.name: method for method in METHODS}


def told(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Code and reason."""
    metadata: Any = error.trailing_metadata()
    info = details.ErrorInfo()
    for key, value in metadata or ():
        if key == DETAILS_KEY:
            for detail in status_pb2.Status.FromString(value).details:
                detail.Unpack(info)
    return error.code().name, info.reason


async def serving(house: House, folder: Path, actions: Sequence[Any]) -> RpcServer:
    configuration = Configuration(
        directory=folder,
        listen=ListenSettings(address="127.0.0.1:0", drain_seconds=1),
        callers=(CallerSettings(name="console", plaintext=True, actions=tuple(actions)),),
    )
    gateway: Any = SimpleNamespace(people=house.people, audit_store=house.store, quota_store=house.store)
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=house.clock)
    await server.start()
    return server


@pytest.fixture
async def call(house: House, place: Path) -> AsyncIterator[Calls]:
    server = await serving(house, place, ["people"])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Calls(channel)
    await server.drain(0)


def secret_of(uri: str) -> bytes:
    shown = parse_qs(urlparse(uri).query)["secret"][0]
    return b32decode(shown + "=" * (-len(shown) % 8))


async def test_the_way_of_a_person_from_the_code_of_an_officer_to_a_decision(house: House, call: Calls) -> None:
    code = await house.people.first_officer("ada", "machine: root")
    begun = await call("Enrol", pb.EnrolRequest(name="ada", enrolment_code=code, new_password=PASSWORD))
    assert begun.enrolling
    call.token = begun.session_token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call("NewRecoveryCodes")
    assert told(refused.value) == ("PERMISSION_DENIED", "FACTOR_REQUIRED")
    phone = await call("EnrolTotp", pb.EnrolTotpRequest(label="phone"))
    ada = Somebody(house.people, house.clock, "ada", secret_of(phone.uri), call.token)
    await call("ConfirmTotp", pb.ConfirmTotpRequest(factor_id=phone.factor_id, totp_code=ada.code()))
    assert len((await call("NewRecoveryCodes")).codes) == 10
    asked = await call("BeginPasskeyRegistration")
    key = Authenticator()
    await call(
        "FinishPasskeyRegistration",
        pb.FinishPasskeyRegistrationRequest(
            challenge_id=asked.challenge_id, credential_json=key.create(asked.options_json), label="key"
        ),
    )
    await call("SignOut")
    call.token = ""
    first = await call("SignIn", pb.SignInRequest(name="ada", password=PASSWORD))
    assert list(first.factor_kinds) == ["passkey", "recovery_code", "totp"]
    factor = pb.SecondFactor(assertion_json=key.get(first.passkey_options_json))
    opened = await call("SignIn", pb.SignInRequest(sign_in_id=first.sign_in_id, second_factor=factor))
    call.token = opened.session_token
    me = await call("WhoAmI")
    assert (me.name, list(me.roles), me.fresh_factor, me.enrolling) == ("ada", ["security_officer"], True, False)
    assert len(me.factors) == 12
    assert [(one.this_one, one.address) for one in (await call("ListSessions")).sessions] == [(True, "192.0.2.7")]
    house.clock.advance(minutes=6)
    asked = await call("BeginFactor")
    factor = pb.SecondFactor(assertion_json=key.get(asked.passkey_options_json), challenge_id=asked.challenge_id)
    await call("StepUp", pb.StepUpRequest(second_factor=factor))
    done = await call("PutPerson", pb.PutPersonRequest(name="eve", roles=["approver"], connections=["bank-a"]))
    assert done.enrolment_code
    people = (await call("ListPeople")).people
    assert [(one.name, list(one.connections)) for one in people] == [("ada", ["*"]), ("eve", ["bank-a"])]
    await call("DisablePerson", pb.DisablePersonRequest(name="eve"))
    await call("ChangePassword", pb.ChangePasswordRequest(old_password=PASSWORD, new_password="quite another sentence"))
    await call("RemoveFactor", pb.RemoveFactorRequest(factor_id=phone.factor_id))
    await call("RevokeSession", pb.RevokeSessionRequest(session_id=me.session_id))
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call("WhoAmI")
    assert told(ended.value) == ("UNAUTHENTICATED", "SESSION_ENDED")


async def test_every_call_of_a_person_needs_their_session(call: Calls) -> None:
    for method in METHODS_BY_NAME.keys() - WITHOUT_SESSION:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(method)
        assert told(refused.value) == ("UNAUTHENTICATED", "SESSION_ENDED"), method
    for method in WITHOUT_SESSION - {"BeginIdTokenSignIn"}:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(method)
        assert told(refused.value) == ("UNAUTHENTICATED", "SIGN_IN_REFUSED"), method


async def test_a_caller_without_the_action_carries_nobody(house: House, place: Path) -> None:
    eve = await house.person("eve", "approver")
    server = await serving(house, place, ["submit", "read", "cancel", "statements", "operate", "replay"])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        calls = Calls(channel)
        calls.token = eve.token
        for method in METHODS_BY_NAME:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await calls(method)
            assert told(refused.value) == ("PERMISSION_DENIED", "FORBIDDEN"), method
    await server.drain(0)


def test_no_message_of_a_person_has_a_field_for_what_they_may_do() -> None:
    """Mass assignment: roles, groups and connections stand in one request, which officers alone may send."""
    powers = {"roles", "groups", "connections", "permissions", "disabled", "sealed", "enrolling", "caller"}
    found = {method.input_type.name for method in METHODS if powers & {field.name for field in method.input_type.fields}}
    assert found == {"PutPersonRequest"}


async def test_fields_that_a_request_does_not_have_do_nothing(house: House, call: Calls) -> None:
    eve = await house.person("eve", "viewer")
    call.token = (await eve.sign_in()).token
    more = pb.WhoAmIResponse(roles=["security_officer"], connections=["*"]).SerializeToString()
    request = pb.ChangePasswordRequest.FromString(
        pb.ChangePasswordRequest(old_password=PASSWORD, new_password="quite another sentence").SerializeToString()
        + pb.PersonEntry(disabled=True, sealed=True, wrong_tries=9).SerializeToString()
    )
    await call("ChangePassword", request)
    await call("WhoAmI", pb.WhoAmIRequest.FromString(more))
    account = await house.store.account("eve")
    assert account is not None
    assert (sorted(account.roles), account.disabled, account.sealed) == (["viewer"], False, False)


async def test_a_factor_is_exactly_one_and_an_assertion_names_its_challenge(house: House, call: Calls) -> None:
    eve = await house.person("eve", "approver")
    call.token = eve.token
    for factor in (pb.SecondFactor(), pb.SecondFactor(assertion_json="{}"), pb.SecondFactor(id_token="x")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call("StepUp", pb.StepUpRequest(second_factor=factor))
        assert told(refused.value) == ("INVALID_ARGUMENT", "ARGUMENT_INVALID")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call("BeginFactor", pb.BeginFactorRequest(bound_to=b"short"))
    assert told(refused.value) == ("INVALID_ARGUMENT", "ARGUMENT_INVALID")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call("StepUp", pb.StepUpRequest(second_factor=pb.SecondFactor(totp_code="000000")))
    assert told(refused.value) == ("PERMISSION_DENIED", "FACTOR_REFUSED")


# -- who acts, for other services ------------------------------------------------------------------------------------------


class Context:
    """What gRPC tells of a call."""

    def __init__(self, *metadata: tuple[str, Any]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self._metadata


def door(house: House) -> Any:
    return SimpleNamespace(gateway=SimpleNamespace(people=house.people))


async def test_without_a_session_the_caller_acts_and_with_one_the_person(house: House) -> None:
    eve = await house.person("eve", "approver")
    context: Any = Context(("bankgate-session", eve.token), ("bankgate-address", "192.0.2.7"))
    alone = await acting_of(door(house), Context(), replace(ERP, address="198.51.100.4"))  # type: ignore[arg-type]
    assert (alone.name, alone.person, alone.address) == ("caller: console", None, "198.51.100.4")
    acting = await acting_of(door(house), context, CARRIER)
    assert (acting.name, acting.caller, acting.address) == ("person: eve", "console", "192.0.2.7")
    with pytest.raises(Forbidden):
        await acting_of(door(house), context, ERP)
    await house.people.sign_out(await eve.session())
    with pytest.raises(NotSignedIn):
        await acting_of(door(house), context, CARRIER)


async def test_a_session_that_only_begins_acts_nowhere(house: House) -> None:
    done = await house.people.put_person("machine: root", wanted("eve", ["approver"], (), ()))
    opened = await house.people.enrol("eve", done.enrolment_code, PASSWORD, CONSOLE)
    context: Any = Context(("bankgate-session", opened.token))
    with pytest.raises(FactorNeeded):
        await acting_of(door(house), context, CARRIER)


@pytest.mark.parametrize(
    ("caller", "told_address", "own", "address"),
    [
        (CARRIER, "2001:db8::1", "198.51.100.4", "2001:db8::1"),
        (CARRIER, "not an address", "198.51.100.4", "198.51.100.4"),
        (CARRIER, "", "::1", "::1"),
        (ERP, "192.0.2.7", "2001:db8::2", "2001:db8::2"),
        (ERP, "", "", ""),
    ],
)
def test_an_address_is_believed_of_callers_that_carry_people(caller: Caller, told_address: str, own: str, address: str) -> None:
    context: Any = Context(*([("bankgate-address", told_address)] if told_address else []))
    assert source_of(context, replace(caller, address=own)).address == address


def test_codes_of_an_app_are_computed_from_the_uri_that_is_shown() -> None:
    assert secret_of(totp.uri(b"12345678901234567890", issuer="bankgate", name="eve")) == b"12345678901234567890"
