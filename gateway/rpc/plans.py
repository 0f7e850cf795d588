"""PlanService: beneficiaries, templates and standing orders."""

# ruff: noqa: N802 - the methods are named by the contract

from bankgate.v1 import plans_pb2 as pb
from bankgate.v1 import plans_pb2_grpc as services
from gateway.callers import Caller
from gateway.errors import BadRequest
from gateway.rpc.door import Servicer, page_of, unary
from gateway.rpc.forms import order_of_form, request_of
from gateway.rpc.present_plans import (
    beneficiary_message,
    change_message,
    content_of,
    occurrence_message,
    standing_order_message,
    standing_order_of,
    template_message,
)
from gateway.store.plans import PlanKind

REASON_MAX = 500


class PlanServicer(Servicer, services.PlanServiceServicer):
    """What a caller keeps to make payments from; every promise stands in plans.proto."""

    @unary("submit")
    async def PutBeneficiary(self, caller: Caller, request: pb.PutBeneficiaryRequest) -> pb.PutBeneficiaryResponse:
        content = content_of(request.beneficiary, "beneficiary_id")
        plan = await self.gateway.put_beneficiary(
            caller,
            request.beneficiary.beneficiary_id,
            content,
            version=request.version or None,
            reason=_reason(request.reason),
        )
        return pb.PutBeneficiaryResponse(beneficiary=beneficiary_message(plan))

    @unary("submit")
    async def EndBeneficiary(self, caller: Caller, request: pb.EndBeneficiaryRequest) -> pb.EndBeneficiaryResponse:
        plan = await self.gateway.end_plan(caller, PlanKind.BENEFICIARY, request.beneficiary_id, _reason(request.reason))
        return pb.EndBeneficiaryResponse(beneficiary=beneficiary_message(plan))

    @unary("read")
    async def GetBeneficiary(self, caller: Caller, request: pb.GetBeneficiaryRequest) -> pb.GetBeneficiaryResponse:
        plan, history = await self.gateway.beneficiary(caller, request.beneficiary_id)
        return pb.GetBeneficiaryResponse(
            beneficiary=beneficiary_message(plan, history), history=[change_message(change) for change in history]
        )

    @unary("read")
    async def ListBeneficiaries(self, caller: Caller, request: pb.ListBeneficiariesRequest) -> pb.ListBeneficiariesResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.list_plans(
            caller, PlanKind.BENEFICIARY, include_ended=request.include_ended, limit=limit, token=token
        )
        return pb.ListBeneficiariesResponse(
            beneficiaries=[beneficiary_message(plan) for plan in found], next_page_token=following or ""
        )

    @unary("read")
    async def SearchBeneficiaries(self, caller: Caller, request: pb.SearchBeneficiariesRequest) -> pb.SearchBeneficiariesResponse:
        found, whole = await self.gateway.search_beneficiaries(caller, request.query, request.limit)
        return pb.SearchBeneficiariesResponse(beneficiaries=[beneficiary_message(plan) for plan in found], more_may_fit=not whole)

    @unary("submit")
    async def PutTemplate(self, caller: Caller, request: pb.PutTemplateRequest) -> pb.PutTemplateResponse:
        plan = await self.gateway.put_template(
            caller,
            request.template.template_id,
            content_of(request.template, "template_id"),
            version=request.version or None,
            reason=_reason(request.reason),
        )
        return pb.PutTemplateResponse(template=template_message(plan))

    @unary("submit")
    async def EndTemplate(self, caller: Caller, request: pb.EndTemplateRequest) -> pb.EndTemplateResponse:
        plan = await self.gateway.end_plan(caller, PlanKind.TEMPLATE, request.template_id, _reason(request.reason))
        return pb.EndTemplateResponse(template=template_message(plan))

    @unary("read")
    async def ListTemplates(self, caller: Caller, request: pb.ListTemplatesRequest) -> pb.ListTemplatesResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.list_plans(
            caller, PlanKind.TEMPLATE, include_ended=request.include_ended, limit=limit, token=token
        )
        return pb.ListTemplatesResponse(templates=[template_message(plan) for plan in found], next_page_token=following or "")

    @unary("submit")
    async def FillTemplate(self, caller: Caller, request: pb.FillTemplateRequest) -> pb.FillTemplateResponse:
        filled, source = await self.gateway.fill_template(
            caller, request.template_id, request.beneficiary_id, dict(request.values)
        )
        payment = request_of(filled.form)
        payment.payment_reference = request.payment_reference
        return pb.FillTemplateResponse(
            payment=payment,
            open_blanks=filled.open,
            template_version=source.template.version if source.template else 0,
            beneficiary_version=source.beneficiary.version if source.beneficiary else 0,
        )

    @unary("submit")
    async def PutStandingOrder(self, caller: Caller, request: pb.PutStandingOrderRequest) -> pb.PutStandingOrderResponse:
        planned = await self.gateway.put_standing_order(
            caller,
            request.standing_order.standing_order_id,
            standing_order_of(request.standing_order),
            version=request.version or None,
            reason=_reason(request.reason),
            read=order_of_form,
        )
        return pb.PutStandingOrderResponse(standing_order=standing_order_message(planned))

    @unary("submit")
    async def PauseStandingOrder(self, caller: Caller, request: pb.PauseStandingOrderRequest) -> pb.PauseStandingOrderResponse:
        planned = await self.gateway.pause_standing_order(caller, request.standing_order_id, _reason(request.reason))
        return pb.PauseStandingOrderResponse(standing_order=standing_order_message(planned))

    @unary("submit")
    async def ResumeStandingOrder(self, caller: Caller, request: pb.ResumeStandingOrderRequest) -> pb.ResumeStandingOrderResponse:
        planned = await self.gateway.resume_standing_order(caller, request.standing_order_id, _reason(request.reason))
        return pb.ResumeStandingOrderResponse(standing_order=standing_order_message(planned))

    @unary("submit")
    async def EndStandingOrder(self, caller: Caller, request: pb.EndStandingOrderRequest) -> pb.EndStandingOrderResponse:
        planned = await self.gateway.end_standing_order(caller, request.standing_order_id, _reason(request.reason))
        return pb.EndStandingOrderResponse(standing_order=standing_order_message(planned))

    @unary("read")
    async def ListStandingOrders(self, caller: Caller, request: pb.ListStandingOrdersRequest) -> pb.ListStandingOrdersResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.standing_orders(
            caller, include_ended=request.include_ended, following=request.next, limit=limit, token=token
        )
        return pb.ListStandingOrdersResponse(
            standing_orders=[standing_order_message(planned) for planned in found], next_page_token=following or ""
        )

    @unary("read")
    async def ListOccurrences(self, caller: Caller, request: pb.ListOccurrencesRequest) -> pb.ListOccurrencesResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.occurrences(caller, request.standing_order_id, limit, token)
        return pb.ListOccurrencesResponse(occurrences=[occurrence_message(one) for one in found], next_page_token=following or "")


def _reason(text: str) -> str:
    if len(text) > REASON_MAX:
        raise BadRequest("reason", f"at most {REASON_MAX} characters")
    return text
