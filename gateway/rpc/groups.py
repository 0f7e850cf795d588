"""ReleaseGroupService: payments that leave together."""

# ruff: noqa: N802 - the methods are named by the contract

from typing import Final

from bankgate.v1 import groups_pb2 as pb
from bankgate.v1 import groups_pb2_grpc as services
from gateway.callers import Caller
from gateway.errors import BadRequest
from gateway.policy.chain import Choice
from gateway.review_standing import purpose
from gateway.rpc.approvals import digest_of, factor_of, reason_of
from gateway.rpc.door import Servicer, page_of, unary
from gateway.rpc.present_groups import figures_of, group_message, name_of, shown_message, states_of
from gateway.rpc.present_review import approval_message
from gateway.rpc.sessions import acting_in, in_session

_CHOICES: Final = (Choice.APPROVE, Choice.REFUSE)


class ReleaseGroupServicer(Servicer, services.ReleaseGroupServiceServicer):
    """Every promise stands in groups.proto."""

    @unary("read")
    async def ListReleaseGroups(self, caller: Caller, request: pb.ListReleaseGroupsRequest) -> pb.ListReleaseGroupsResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.release_groups(
            caller, request.connection_id or None, states_of(request.states), limit, token
        )
        return pb.ListReleaseGroupsResponse(groups=[group_message(one) for one in found], next_page_token=following or "")

    @unary("read")
    async def GetReleaseGroup(self, caller: Caller, request: pb.GetReleaseGroupRequest) -> pb.GetReleaseGroupResponse:
        shown = await self.gateway.release_group(caller, name_of(request.group))
        return pb.GetReleaseGroupResponse(group=shown_message(shown))

    @in_session
    @unary("submit")
    async def CloseReleaseGroup(self, caller: Caller, request: pb.CloseReleaseGroupRequest) -> pb.CloseReleaseGroupResponse:
        shown = await self.gateway.close_group(
            caller, await acting_in(self, caller), name_of(request.group), figures_of(request.expected)
        )
        return pb.CloseReleaseGroupResponse(group=shown_message(shown))

    @in_session
    @unary("submit")
    async def ReleaseRest(self, caller: Caller, request: pb.ReleaseRestRequest) -> pb.ReleaseRestResponse:
        shown = await self.gateway.release_rest(
            caller,
            await acting_in(self, caller),
            name_of(request.group),
            figures_of(request.expected),
            reason_of(request.reason),
        )
        return pb.ReleaseRestResponse(group=shown_message(shown))

    @in_session
    @unary("cancel")
    async def CancelReleaseGroup(self, caller: Caller, request: pb.CancelReleaseGroupRequest) -> pb.CancelReleaseGroupResponse:
        shown = await self.gateway.cancel_group(
            caller, await acting_in(self, caller), name_of(request.group), reason_of(request.reason)
        )
        return pb.CancelReleaseGroupResponse(group=shown_message(shown))

    @unary("approve")
    async def GetGroupApproval(self, caller: Caller, request: pb.GetGroupApprovalRequest) -> pb.GetGroupApprovalResponse:
        limit, token = page_of(request.page)
        start = int(token) if token and token.isascii() and token.isdigit() else 0
        if token and not start:
            raise BadRequest("page.token", "is not a next_page_token of this list; leave it empty for the first page")
        case = await self.gateway.group_case(caller, request.group_id)
        end = start + limit
        return pb.GetGroupApprovalResponse(
            group=group_message(case.group),
            digest=case.digest.hex(),
            awaiting=len(case.awaiting),
            approvals=[approval_message(one) for one in case.awaiting[start:end]],
            next_page_token=str(end) if end < len(case.awaiting) else "",
            bound_to={choice.value: purpose(choice, case.digest).hex() for choice in _CHOICES},
        )

    @in_session
    @unary("approve")
    async def DecideGroup(self, caller: Caller, request: pb.DecideGroupRequest) -> pb.DecideGroupResponse:
        group, decided = await self.gateway.decide_group(
            caller,
            await acting_in(self, caller),
            request.group_id,
            Choice.APPROVE if request.approve else Choice.REFUSE,
            digest=digest_of(request.digest),
            reason=reason_of(request.reason),
            factor=factor_of(request.second_factor),
        )
        return pb.DecideGroupResponse(group=group_message(group), decided=decided)
