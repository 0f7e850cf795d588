"""The part of the matrix of `test_authorisation` about what callers keep and what they group: method, action, and a call."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bankgate.v1 import groups_pb2 as grp
from bankgate.v1 import operations_pb2 as ops
from bankgate.v1 import plans_pb2 as pln
from bankgate.v1 import types_pb2
from gateway.policy.verdict import Outcome
from gateway.store.groups import Figures, GroupAct, GroupKey
from gateway.store.records import NewPayment
from gateway.store.sqlite import SqliteStore
from gateway.use_cases.group_approvals import group_digest

BENEFICIARY = pln.Beneficiary(beneficiary_id="kept-b", creditor=types_pb2.Party(name="kept"))
TEMPLATE = pln.Template(template_id="kept-t", payment=types_pb2.PaymentRequest(connection_id="one", amount="{amount}"))
ORDER = pln.StandingOrder(standing_order_id="kept-o", template_id="kept-t", schedule=pln.Schedule(frequency=pln.FREQUENCY_DAILY))
PLAN_CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "PlanService.EndBeneficiary": ("submit", lambda _: pln.EndBeneficiaryRequest(beneficiary_id="kept-b")),
    "PlanService.GetBeneficiary": ("read", lambda _: pln.GetBeneficiaryRequest(beneficiary_id="kept-b")),
    "PlanService.ListBeneficiaries": ("read", lambda _: pln.ListBeneficiariesRequest()),
    "PlanService.SearchBeneficiaries": ("read", lambda _: pln.SearchBeneficiariesRequest(query="kept")),
    "PlanService.PutTemplate": ("submit", lambda _: pln.PutTemplateRequest(template=TEMPLATE)),
    "PlanService.ListTemplates": ("read", lambda _: pln.ListTemplatesRequest()),
    "PlanService.FillTemplate": ("submit", lambda _: pln.FillTemplateRequest(template_id="kept-t")),
    "PlanService.PutStandingOrder": ("submit", lambda _: pln.PutStandingOrderRequest(standing_order=ORDER)),
    "PlanService.PauseStandingOrder": ("submit", lambda _: pln.PauseStandingOrderRequest(standing_order_id="kept-o")),
    "PlanService.ResumeStandingOrder": ("submit", lambda _: pln.ResumeStandingOrderRequest(standing_order_id="kept-o")),
    "PlanService.EndStandingOrder": ("submit", lambda _: pln.EndStandingOrderRequest(standing_order_id="kept-o")),
    "PlanService.ListStandingOrders": ("read", lambda _: pln.ListStandingOrdersRequest()),
    "PlanService.ListOccurrences": ("read", lambda _: pln.ListOccurrencesRequest(standing_order_id="kept-o")),
    "PlanService.EndTemplate": ("submit", lambda _: pln.EndTemplateRequest(template_id="kept-t")),
    "PlanService.PutBeneficiary": ("submit", lambda _: pln.PutBeneficiaryRequest(beneficiary=BENEFICIARY)),
}


def named(name: str) -> grp.GroupName:
    return grp.GroupName(connection_id="one", release_group=name)


ONE = grp.GroupFigures(number_of_transactions=1, control_sums={"EUR": "1"})
GROUP_CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ReleaseGroupService.ListReleaseGroups": ("read", lambda _: grp.ListReleaseGroupsRequest()),
    "ReleaseGroupService.GetReleaseGroup": ("read", lambda _: grp.GetReleaseGroupRequest(group=named("open"))),
    "ReleaseGroupService.CloseReleaseGroup": (
        "submit",
        lambda _: grp.CloseReleaseGroupRequest(group=named("open"), expected=ONE),
    ),
    "ReleaseGroupService.ReleaseRest": ("submit", lambda _: grp.ReleaseRestRequest(group=named("closed"), expected=ONE)),
    "ReleaseGroupService.CancelReleaseGroup": ("cancel", lambda _: grp.CancelReleaseGroupRequest(group=named("gone"))),
    "ReleaseGroupService.GetGroupApproval": ("approve", lambda t: grp.GetGroupApprovalRequest(group_id=t.group[0])),
    "ReleaseGroupService.DecideGroup": (
        "approve",
        lambda t: grp.DecideGroupRequest(
            group_id=t.group[0], approve=True, digest=t.group[1], second_factor=ops.DecisionFactor(totp_code="3")
        ),
    ),
}


async def fill_groups(
    store: SqliteStore, like: NewPayment, stopped: Callable[[SqliteStore, NewPayment, Outcome], Awaitable[object]]
) -> tuple[str, str]:
    """Groups of caller "erp" on connection "one", a payment in each: open, to be cancelled, closed, and closed and to be
    approved. Of the last the id, and the digest that decisions name."""

    def member(name: str) -> NewPayment:
        transfer = replace(like.transfer, instruction_id=name, end_to_end_id=name)
        return replace(like, payment_id=name.ljust(32, "0"), payment_reference=name, transfer=transfer, release_group=name)

    await store.submit([member(name) for name in ("open", "gone", "closed")])
    await stopped(store, member("people"), Outcome.APPROVAL)
    expected = Figures(number_of_transactions=1, control_sums=(("EUR", Decimal(1)),))
    for name in ("closed", "people"):
        await store.close_group(GroupKey("erp", "one", name).group_id, expected, GroupAct(by="caller: erp"))
    group_id = GroupKey("erp", "one", "people").group_id
    members, _ = await store.group_members(group_id, limit=9)
    return group_id, group_digest(group_id, members).hex()
