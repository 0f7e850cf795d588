"""ScreeningService: hits of the screening lists that people decide to be somebody else."""

# ruff: noqa: N802 - the methods are named by the contract

from bankgate.v1 import screening_pb2 as pb
from bankgate.v1 import screening_pb2_grpc as services
from gateway.callers import Caller
from gateway.masking import masked_number
from gateway.rpc.approvals import digest_of, factor_of, reason_of
from gateway.rpc.door import Servicer, page_of, unary
from gateway.rpc.present import moment
from gateway.rpc.sessions import acting_in, in_session
from gateway.store.screening import Clearance
from gateway.use_cases.screening import ScreeningHit, revoking


class ScreeningServicer(Servicer, services.ScreeningServiceServicer):
    """See screening.proto."""

    @unary("approve")
    async def ListScreeningHits(self, caller: Caller, request: pb.ListScreeningHitsRequest) -> pb.ListScreeningHitsResponse:
        found = await self.gateway.screening_hits(caller, request.payment_id, request.valid_until)
        return pb.ListScreeningHitsResponse(
            digest=found.digest.hex(),
            valid_until=found.valid_until.isoformat(),
            hits=[_hit(hit, bound_to) for hit, bound_to in found.hits],
        )

    @in_session
    @unary("approve")
    async def ClearScreeningHit(self, caller: Caller, request: pb.ClearScreeningHitRequest) -> pb.ClearScreeningHitResponse:
        cleared = await self.gateway.clear_hit(
            caller,
            await acting_in(self, caller),
            request.payment_id,
            (request.list_id, request.entry_id, request.entry_digest),
            digest=digest_of(request.digest),
            valid_until=request.valid_until,
            reason=reason_of(request.reason),
            factor=factor_of(request.second_factor),
        )
        return pb.ClearScreeningHitResponse(clearances=[_clearance(one) for one in cleared])

    @unary("approve")
    async def ListScreeningClearances(
        self, caller: Caller, request: pb.ListScreeningClearancesRequest
    ) -> pb.ListScreeningClearancesResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.list_clearances(
            caller, request.connection_id or None, limit, token, ended=request.include_ended
        )
        return pb.ListScreeningClearancesResponse(clearances=[_clearance(one) for one in found], next_page_token=following or "")

    @in_session
    @unary("approve")
    async def RevokeScreeningClearance(
        self, caller: Caller, request: pb.RevokeScreeningClearanceRequest
    ) -> pb.RevokeScreeningClearanceResponse:
        ended = await self.gateway.revoke_clearance(
            caller,
            await acting_in(self, caller),
            request.clearance_id,
            reason=reason_of(request.reason),
            factor=factor_of(request.second_factor),
        )
        return pb.RevokeScreeningClearanceResponse(clearance=_clearance(ended))


def _hit(hit: ScreeningHit, bound_to: bytes) -> pb.ScreeningHit:
    finding = hit.finding
    return pb.ScreeningHit(
        list_id=hit.entry[0],
        entry_id=hit.entry[1],
        entry_digest=hit.entry[2],
        where=hit.where,
        kind=hit.kind,
        value=hit.value,
        score=finding.score or 0,
        outcome=finding.outcome.name.lower(),
        text_en=finding.text_en,
        text_zh=finding.text_zh,
        clearable=not hit.why_not,
        why_not=hit.why_not,
        bound_to="" if hit.why_not else bound_to.hex(),
    )


def _clearance(one: Clearance) -> pb.ScreeningClearance:
    revoked = one.revoked
    return pb.ScreeningClearance(
        clearance_id=one.clearance_id,
        payment_id=one.payment_id,
        connection_id=one.connection_id,
        list_id=one.list_id,
        entry_id=one.entry_id,
        entry_digest=one.entry_digest,
        value=one.value,
        creditor_name=one.creditor_name,
        creditor_account=masked_number(one.creditor_account),
        valid_until=one.valid_until.isoformat(),
        person=one.signed.person,
        reason=one.signed.reason,
        factor=one.signed.factor.kind,
        decided_at=moment(one.signed.at),
        revoked_at=None if revoked is None else moment(revoked.at),
        revoked_by="" if revoked is None else revoked.person,
        revoked_reason="" if revoked is None else revoked.reason,
        bound_to="" if revoked is not None else revoking(one.clearance_id).hex(),
    )
