"""The part of OperationsService in which people decide about payments that rules stopped."""

# ruff: noqa: N802 - the methods are named by the contract

from typing import Final

from bankgate.v1 import operations_pb2 as pb
from gateway.callers import Caller
from gateway.errors import BadRequest
from gateway.policy.chain import Choice
from gateway.rpc.door import Servicer, page_of, unary
from gateway.rpc.present import PAYMENT_STATES
from gateway.rpc.present_review import approval_message, payee_message
from gateway.rpc.sessions import acting_in, in_session
from gateway.use_cases.approvals import GivenFactor

REASON_MAX: Final = 500
DIGEST_LENGTH: Final = 64
ASSERTION_MAX: Final = 16 * 1024

_STATE_OF: Final = {value: state for state, value in PAYMENT_STATES.items()}


class ApprovalMethods(Servicer):
    """See the module."""

    @unary("approve")
    async def ListApprovals(self, caller: Caller, request: pb.ListApprovalsRequest) -> pb.ListApprovalsResponse:
        limit, token = page_of(request.page)
        for place, value in enumerate(request.states):
            if value not in _STATE_OF:
                raise BadRequest(f"states[{place}]", "is not a state this service knows")
        states = tuple(_STATE_OF[value] for value in request.states)
        found, following = await self.gateway.list_approvals(caller, request.connection_id or None, states, limit, token)
        return pb.ListApprovalsResponse(approvals=[approval_message(one) for one in found], next_page_token=following or "")

    @in_session
    @unary("approve")
    async def GetApproval(self, caller: Caller, request: pb.GetApprovalRequest) -> pb.GetApprovalResponse:
        case = await self.gateway.approval(caller, request.payment_id)
        shown = approval_message(case)
        check = await self.gateway.payee_of(case.payment)
        if check is not None:
            person = (await acting_in(self, caller)).person
            shown.payee.CopyFrom(payee_message(check, frozenset() if person is None else person.roles))
        return pb.GetApprovalResponse(approval=shown)

    @in_session
    @unary("approve")
    async def DecideApproval(self, caller: Caller, request: pb.DecideApprovalRequest) -> pb.DecideApprovalResponse:
        case = await self.gateway.decide(
            caller,
            await acting_in(self, caller),
            request.approval_id,
            Choice.APPROVE if request.approve else Choice.REFUSE,
            digest=digest_of(request.digest),
            seen=request.review_version,
            reason=reason_of(request.reason),
            factor=factor_of(request.second_factor),
        )
        return pb.DecideApprovalResponse(approval=approval_message(case))

    @in_session
    @unary("approve")
    async def ReleaseHeldPayment(self, caller: Caller, request: pb.ReleaseHeldPaymentRequest) -> pb.ReleaseHeldPaymentResponse:
        case = await self.gateway.decide(
            caller,
            await acting_in(self, caller),
            request.payment_id,
            Choice.RELEASE,
            digest=digest_of(request.digest),
            seen=request.review_version,
            reason=reason_of(request.reason),
            factor=factor_of(request.second_factor),
        )
        return pb.ReleaseHeldPaymentResponse(approval=approval_message(case))


def digest_of(text: str) -> bytes:
    """The digest of what a person saw. Raises BadRequest."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != DIGEST_LENGTH or len(digest) * 2 != DIGEST_LENGTH:
        raise BadRequest("digest", "must be the digest of what you saw, as ListApprovals gave it: 64 hex digits")
    return digest


def reason_of(text: str) -> str:
    """Likewise, what a person says about it."""
    reason = text.strip()
    if len(reason) > REASON_MAX:
        raise BadRequest("reason", f"at most {REASON_MAX} characters")
    return reason


def factor_of(given: pb.DecisionFactor) -> GivenFactor:
    """Likewise, what a person gives beside the session."""
    values = (given.totp_code, given.recovery_code, given.assertion, given.id_token)
    if sum(bool(value) for value in values) != 1:
        raise BadRequest("second_factor", "give one: a code, a recovery code, a passkey's assertion or an ID token")
    if any(len(value) > ASSERTION_MAX for value in values):
        raise BadRequest("second_factor", "is too long to be one")
    return GivenFactor(
        totp_code=given.totp_code,
        recovery_code=given.recovery_code,
        assertion=given.assertion,
        id_token=given.id_token,
        challenge_id=given.challenge_id,
    )
