"""The whole matrix: every method of every service in the contract × every role × one's own connection and another.

Methods come from the contract's descriptors. What each of them needs stands here (AccessService) and in
`tests/rpc/test_authorisation.py` (everything else); a method that stands in neither fails here.
"""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
import pytest

from bankgate.v1 import access_pb2 as pb
from gateway.callers import Callers
from gateway.people.desk import Source
from gateway.people.permissions import PERMISSIONS, Permission
from gateway.people.person import Acting, Person, Role
from gateway.tokens import Tokens
from tests.people.conftest import PASSWORD, House
from tests.people.test_rpc import METHODS_BY_NAME, Calls, serving, told
from tests.rpc import test_authorisation as services
from tests.rpc.test_authorisation import CALLS, NOT_YET, STUBS, every_service

CODE = grpc.StatusCode
NOBODY, ANYBODY = "nobody has to be signed in", "whoever is signed in, about themselves"
NO_ROLE: Final = "no role of theirs allows it"

# Method of AccessService → who may, whether it needs a second factor given just now, and a call.
ACCESS: dict[str, tuple[str, bool, Any]] = {
    "SignIn": (NOBODY, False, pb.SignInRequest(name="x", password="y")),
    "BeginIdTokenSignIn": (NOBODY, False, pb.BeginIdTokenSignInRequest()),
    "Enrol": (NOBODY, False, pb.EnrolRequest(name="x", enrolment_code="y", new_password=PASSWORD)),
    "WhoAmI": (ANYBODY, False, pb.WhoAmIRequest()),
    "ListSessions": (ANYBODY, False, pb.ListSessionsRequest()),
    "RevokeSession": (ANYBODY, False, pb.RevokeSessionRequest(session_id="x")),
    "BeginFactor": (ANYBODY, False, pb.BeginFactorRequest()),
    "StepUp": (ANYBODY, False, pb.StepUpRequest(second_factor=pb.SecondFactor(recovery_code="ABCD"))),
    "ChangePassword": (ANYBODY, True, pb.ChangePasswordRequest(old_password=PASSWORD, new_password=PASSWORD)),
    "EnrolTotp": (ANYBODY, True, pb.EnrolTotpRequest(label="second")),
    "ConfirmTotp": (ANYBODY, True, pb.ConfirmTotpRequest(factor_id="x", totp_code="000000")),
    "BeginPasskeyRegistration": (ANYBODY, True, pb.BeginPasskeyRegistrationRequest()),
    "FinishPasskeyRegistration": (ANYBODY, True, pb.FinishPasskeyRegistrationRequest(challenge_id="x", credential_json="{}")),
    "NewRecoveryCodes": (ANYBODY, True, pb.NewRecoveryCodesRequest()),
    "RemoveFactor": (ANYBODY, True, pb.RemoveFactorRequest(factor_id="x")),
    "ListPeople": (Permission.SEE_PEOPLE, False, pb.ListPeopleRequest()),
    "PutPerson": (Permission.PEOPLE, True, pb.PutPersonRequest(name="new", roles=["viewer"], connections=["*"])),
    "DisablePerson": (Permission.PEOPLE, True, pb.DisablePersonRequest(name="bob")),
    "ResetFactors": (Permission.PEOPLE, True, pb.ResetFactorsRequest(name="bob")),
    "ConfirmProposal": (Permission.PEOPLE, True, pb.ConfirmProposalRequest(proposal_id="x")),
    "RefuseProposal": (Permission.PEOPLE, True, pb.RefuseProposalRequest(proposal_id="x")),
    "EndSessions": (Permission.PEOPLE, True, pb.EndSessionsRequest(name="bob")),
    "ReviewEmergency": (Permission.PEOPLE, True, pb.ReviewEmergencyRequest(opening_id="x", review="looked at it twice")),
    "SignOut": (ANYBODY, False, pb.SignOutRequest()),  # the last one: after it there is no session
}


def test_every_method_of_the_contract_stands_in_the_matrix_and_nothing_else() -> None:
    contract = {f"{service.name}.{method.name}" for service in every_service() for method in service.methods}
    assert contract == {*CALLS, *NOT_YET, *(f"AccessService.{name}" for name in ACCESS)}
    assert {service.name for service in every_service()} == {*STUBS, "AccessService"}


def test_every_action_of_the_matrix_is_one_that_a_role_can_have_or_nobody_has() -> None:
    assert {action for action, _ in CALLS.values()} <= {one.value for one in Permission}


# -- people about people ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
async def test_role_times_method_of_access_service_with_and_without_a_fresh_factor(house: House, place: Path, role: Role) -> None:
    await house.person("bob", "viewer")
    eve = await house.person("eve", role.value)
    server = await serving(house, place, ["people"])
    wrong: dict[tuple[str, bool], str] = {}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = Calls(channel)
        for fresh, (method, (who, factor, request)) in itertools.product((False, True), ACCESS.items()):
            if method == "WhoAmI":  # the round begins: a stolen session first, then one with a factor given just now
                house.clock.advance(minutes=6)
                call.token = (await eve.sign_in()).token if fresh else eve.token
            if who == NOBODY:
                call.token = ""
            reason = await _reason(call, method, request)
            if isinstance(who, Permission) and who not in PERMISSIONS[role]:
                good = reason == "FORBIDDEN"
            elif factor and not fresh:
                good = reason == "FACTOR_REQUIRED"
            else:
                good = reason not in {"FORBIDDEN", "FACTOR_REQUIRED", "SESSION_ENDED", "INTERNAL"}
            if not good:
                wrong[method, fresh] = reason
    await server.drain(0)
    assert not wrong


async def _reason(call: Calls, method: str, request: Any) -> str:
    try:
        await call(method, request)
    except grpc.aio.AioRpcError as error:
        return told(error)[1]
    return "OK"


def test_the_calls_of_the_matrix_are_those_of_their_methods() -> None:
    assert {name: type(request).DESCRIPTOR for name, (_, _, request) in ACCESS.items()} == {
        name: method.input_type for name, method in METHODS_BY_NAME.items()
    }


# -- people in every other service -----------------------------------------------------------------------------------------


class Whoever(services.Ada):
    """Whoever signs in is the person that the test says, and proves it."""

    def __init__(self, role: Role, connections: tuple[str, ...]) -> None:
        self.person = Person(name="eve", roles=frozenset({role}), groups=frozenset({"finance"}), connections=connections)

    async def session_of(self, token: str, source: Source, *, used: bool = True) -> Any:
        acting = Acting(caller=source.caller, person=self.person, address=source.address)
        return SimpleNamespace(session=SimpleNamespace(enrolling=False, factor="totp 1"), acting=acting)


async def carried(house: services.House, method: str) -> tuple[CODE, str, str]:
    """A call that a console makes for the person: code, words, and what came back. The console itself may everything."""
    service, _, name = method.partition(".")
    request = CALLS[method][1](house.things)
    asked = getattr(STUBS[service](house.channel), name)
    call = asked(iter(request) if isinstance(request, list) else request, metadata=(("bankgate-session", "eve"),))
    try:
        answers = [answer async for answer in call] if hasattr(call, "__aiter__") else [await call]
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or "", ""
    return CODE.OK, "", str(answers)


# The log tells of every connection, and beneficiaries are of none.
OF_EVERY_CONNECTION: Final = {"AuditService.ListAuditRecords"}
OF_NO_CONNECTION: Final = {
    *("PlanService.PutBeneficiary", "PlanService.EndBeneficiary", "PlanService.GetBeneficiary"),
    *("PlanService.ListBeneficiaries", "PlanService.SearchBeneficiaries"),
}
# What these give is cut to one's own, instead of being refused.
LISTS: Final = {
    *("OperationsService.ListConnections", "PlanService.ListTemplates", "PlanService.ListStandingOrders"),
    "ReleaseGroupService.ListReleaseGroups",
}


def _reached_nothing(method: str, code: CODE, said: str) -> bool:
    """Whether of things on connection "one" nothing came back to somebody of connection "two"."""
    if code in {CODE.PERMISSION_DENIED, CODE.NOT_FOUND}:
        return True
    if method.endswith("SubmitPaymentStream"):
        return "may not submit on connection" in said
    return method in LISTS and '"one"' not in said and "kept" not in said


@pytest.mark.parametrize("role", list(Role))
async def test_role_times_method_times_connection_of_every_other_service(tmp_path: Path, role: Role) -> None:
    wrong: dict[tuple[str, str], tuple[CODE, str, str]] = {}
    async with services.house(tmp_path) as made:
        gateway: Any = made.server._door.gateway
        made.server._door.change(Callers([services.caller()]), Tokens())
        for connection in ("two", "one"):  # what is refused first has to leave everything for the second round
            gateway.people = gateway.prover = Whoever(role, (connection,))
            for method, (action, _) in CALLS.items():
                code, text, said = await carried(made, method)
                if action not in PERMISSIONS[role]:
                    good = code is CODE.PERMISSION_DENIED and NO_ROLE in text
                elif method in OF_EVERY_CONNECTION:
                    good = code is CODE.PERMISSION_DENIED and "every connection" in text
                elif connection == "one":
                    good = code is CODE.OK
                else:
                    good = method in OF_NO_CONNECTION or _reached_nothing(method, code, said)
                if not good:
                    wrong[method, connection] = (code, text, said[:200])
    assert not wrong
