"""AuditService: what was done, by whom, and from where."""

# ruff: noqa: N802 - the methods are named by the contract

from bankgate.v1 import audit_pb2 as pb
from bankgate.v1 import audit_pb2_grpc as services
from gateway.audit.chain import AuditRow
from gateway.callers import Caller
from gateway.rpc.door import Servicer, aware, page_of, unary
from gateway.store.audit import AuditFilter


class AuditServicer(Servicer, services.AuditServiceServicer):
    """The audit log, for those who may read all of it."""

    @unary("audit")
    async def ListAuditRecords(self, caller: Caller, request: pb.ListAuditRecordsRequest) -> pb.ListAuditRecordsResponse:
        limit, token = page_of(request.page)
        where = AuditFilter(
            action=request.action or None,
            actor=request.actor or None,
            object_kind=request.object_kind or None,
            object_id=request.object_id or None,
            outcome=request.outcome or None,
            since=aware(request.since) if request.HasField("since") else None,
            until=aware(request.until) if request.HasField("until") else None,
        )
        rows, following = await self.gateway.list_audit(caller, where, limit, token, personal=request.personal)
        return pb.ListAuditRecordsResponse(lines=[_line(row) for row in rows], next_page_token=following or "")


def _line(row: AuditRow) -> pb.AuditLine:
    line = pb.AuditLine(
        number=row.number,
        action=row.action,
        object_kind=row.object_kind,
        caller=row.caller,
        outcome=row.outcome,
        actor=row.actor or "",
        address=row.address or "",
        factor=row.factor or "",
        object_id=row.object_id or "",
        detail=row.detail or "",
        hidden=[part.value for part in row.erased],
        hash=row.hash,
        previous_hash=row.previous_hash,
    )
    line.occurred_at.FromDatetime(row.occurred_at)
    return line
