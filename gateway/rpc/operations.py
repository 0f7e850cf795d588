"""OperationsService: what the people who run bankgate see and decide."""

# ruff: noqa: N802 - the methods are named by the contract

from typing import Final

from bankgate.v1 import operations_pb2 as pb
from bankgate.v1 import operations_pb2_grpc as services
from gateway.callers import Caller
from gateway.config import ConnectionSettings
from gateway.errors import BadRequest
from gateway.rpc.approvals import ApprovalMethods
from gateway.rpc.door import not_in_this_release, page_of, row_id, unary
from gateway.rpc.present import (
    DELIVERY_STATES,
    delivery_event_message,
    delivery_message,
    discrepancy_message,
    inbound_message,
)
from gateway.rpc.present_connection import connection_message
from gateway.rpc.present_serials import add_serials
from gateway.store.records import ConnectionHealth, DeliveryFilter

REASON_MIN: Final = 10
REASON_MAX: Final = 500
INBOUND_STATES: Final = ("stored", "read", "quarantined")

_STATE_OF: Final = {value: state for state, value in DELIVERY_STATES.items()}


class OperationsServicer(ApprovalMethods, services.OperationsServiceServicer):
    """Deliveries, discrepancies, inbound files and connections, of the connections the caller may use."""

    @unary("operate")
    async def ListDeliveries(self, caller: Caller, request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
        limit, token = page_of(request.page)
        for place, value in enumerate(request.states):
            if value not in _STATE_OF:
                raise BadRequest(f"states[{place}]", "is not a state this service knows")
        where = DeliveryFilter(
            connection_id=request.connection_id or None, states=tuple(_STATE_OF[value] for value in request.states)
        )
        found, following = await self.gateway.list_deliveries(caller, where, limit, token)
        guarantees = await self._guarantees(caller)
        return pb.ListDeliveriesResponse(
            deliveries=[delivery_message(d, guarantee=guarantees.get(d.connection_id, "")) for d in found],
            next_page_token=following or "",
        )

    @unary("operate")
    async def GetDelivery(self, caller: Caller, request: pb.GetDeliveryRequest) -> pb.GetDeliveryResponse:
        return pb.GetDeliveryResponse(delivery=await self._delivery(caller, request.delivery_id))

    @unary("operate")
    async def ResolveDelivery(self, caller: Caller, request: pb.ResolveDeliveryRequest) -> pb.ResolveDeliveryResponse:
        if request.resolution not in {pb.RESOLUTION_ARRIVED, pb.RESOLUTION_DID_NOT_ARRIVE}:
            raise BadRequest("resolution", "say RESOLUTION_ARRIVED or RESOLUTION_DID_NOT_ARRIVE")
        arrived = request.resolution == pb.RESOLUTION_ARRIVED
        attempt = request.attempt or None
        await self.gateway.resolve_delivery(caller, request.delivery_id, arrived, _reason(request.reason), attempt=attempt)
        return pb.ResolveDeliveryResponse(delivery=await self._delivery(caller, request.delivery_id))

    @unary("operate")
    async def ListDiscrepancies(self, caller: Caller, request: pb.ListDiscrepanciesRequest) -> pb.ListDiscrepanciesResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.list_discrepancies(
            caller, request.connection_id or None, request.include_resolved, limit, token
        )
        return pb.ListDiscrepanciesResponse(
            discrepancies=[discrepancy_message(item) for item in found], next_page_token=following or ""
        )

    @unary("operate")
    async def ResolveDiscrepancy(self, caller: Caller, request: pb.ResolveDiscrepancyRequest) -> pb.ResolveDiscrepancyResponse:
        found = await self.gateway.resolve_discrepancy(
            caller, row_id("discrepancy_id", request.discrepancy_id), _reason(request.reason)
        )
        return pb.ResolveDiscrepancyResponse(discrepancy=discrepancy_message(found))

    @unary("operate")
    async def ListInboundFiles(self, caller: Caller, request: pb.ListInboundFilesRequest) -> pb.ListInboundFilesResponse:
        limit, token = page_of(request.page)
        if request.state and request.state not in INBOUND_STATES:
            raise BadRequest("state", f"must be one of {', '.join(INBOUND_STATES)}")
        found, following = await self.gateway.list_inbound(
            caller, request.connection_id or None, request.state or None, limit, token
        )
        return pb.ListInboundFilesResponse(files=[inbound_message(file) for file in found], next_page_token=following or "")

    @unary("operate")
    async def RereadInboundFile(self, caller: Caller, request: pb.RereadInboundFileRequest) -> pb.RereadInboundFileResponse:
        file = await self.gateway.reread(caller, row_id("inbound_file_id", request.inbound_file_id))
        return pb.RereadInboundFileResponse(file=inbound_message(file))

    @unary("operate")
    async def ListConnections(self, caller: Caller, request: pb.ListConnectionsRequest) -> pb.ListConnectionsResponse:  # noqa: ARG002
        found = await self.gateway.connections(caller)
        return pb.ListConnectionsResponse(connections=[await self._connection(caller, *item) for item in found])

    @unary("operate")
    async def GetConnection(self, caller: Caller, request: pb.GetConnectionRequest) -> pb.GetConnectionResponse:
        settings, health = await self.gateway.connection(caller, request.connection_id)
        return pb.GetConnectionResponse(connection=await self._connection(caller, settings, health))

    @unary("operate")
    async def FetchNow(self, caller: Caller, request: pb.FetchNowRequest) -> pb.FetchNowResponse:
        await self.gateway.fetch_now(caller, request.connection_id)
        return pb.FetchNowResponse()

    ListKeys = not_in_this_release("keys are not listed by this release; run `bankgate keys list` where they are kept")

    async def _connection(self, caller: Caller, settings: ConnectionSettings, health: ConnectionHealth) -> pb.Connection:
        queues = await self.gateway.queues(caller, settings.id)
        onboarding = await self.gateway.onboarding(caller, settings.id)
        return connection_message(settings, health, queues, self.gateway.now(), onboarding)

    async def _delivery(self, caller: Caller, delivery_id: str) -> pb.Delivery:
        delivery, attempts, evidence, events = await self.gateway.delivery(caller, delivery_id)
        guarantees = await self._guarantees(caller)
        guarantee = guarantees.get(delivery.connection_id, "")
        shown = delivery_message(delivery, tuple(attempts), tuple(evidence), guarantee)
        shown.history.extend(delivery_event_message(event) for event in events)
        add_serials(shown, await self.gateway.serials(delivery))
        return shown

    async def _guarantees(self, caller: Caller) -> dict[str, str]:
        return {settings.id: settings.guarantee.kind for settings, _ in await self.gateway.connections(caller)}


def _reason(text: str) -> str:
    """A person's reason: long enough to say who was asked and what they said."""
    reason = text.strip()
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise BadRequest("reason", f"say who was asked and what they said, in {REASON_MIN} to {REASON_MAX} characters")
    return reason
