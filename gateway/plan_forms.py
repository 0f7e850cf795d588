"""A payment's form from a template and a beneficiary that are kept: for whoever fills one in, and for standing orders."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from gateway.banks import bank_of
from gateway.config import ConnectionSettings
from gateway.errors import BadRequest, NotFound
from gateway.payment import PaymentOrder
from gateway.schedule import Schedule
from gateway.standing_order import BankDays, bank_days
from gateway.store.plans import Plan, PlanKey, PlanKind, PlanState
from gateway.templates import Filled, blanks, fill, paying
from gateway.window_settings import send_window

ReadOrder = Callable[[Mapping[str, Any]], PaymentOrder]
"""The order of a form: the JSON form of `bankgate.v1.PaymentRequest`."""


class KeptPlans(Protocol):
    """The part of the store that is asked."""

    async def plan(self, key: PlanKey) -> Plan | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a payment is filled from. `form` has the beneficiary's details in it, and its blanks open."""

    form: dict[str, Any]
    template: Plan | None
    beneficiary: Plan | None

    @property
    def blanks(self) -> tuple[str, ...]:
        """The names of the blanks."""
        return blanks(self.form)

    @property
    def connection_id(self) -> str:
        """Where the payment goes; "" if the form leaves it open."""
        return str(self.form.get("connection_id", ""))

    def filled(self, values: Mapping[str, str]) -> Filled:
        """See `gateway.templates.fill`."""
        return fill(self.form, values)


async def source_of(store: KeptPlans, caller: str, template_id: str, beneficiary_id: str) -> Source:
    """The template with its beneficiary, or the one that is named. Raises NotFound for what is not there or has ended."""
    if not template_id and not beneficiary_id:
        raise BadRequest("template_id", "name a template, a beneficiary, or both")
    template: Plan | None = None
    form: Mapping[str, Any] = {}
    if template_id:
        template = await active(store, PlanKey(kind=PlanKind.TEMPLATE, caller=caller, plan_id=template_id))
        content = json.loads(template.content)
        form, beneficiary_id = content["payment"], beneficiary_id or content.get("beneficiary_id", "")
    if not beneficiary_id:
        return Source(form=dict(form), template=template, beneficiary=None)
    beneficiary = await active(store, PlanKey(kind=PlanKind.BENEFICIARY, caller=caller, plan_id=beneficiary_id))
    # What a beneficiary says is not a form: braces in a name are a name's.
    return Source(form=paying(form, _literal(json.loads(beneficiary.content))), template=template, beneficiary=beneficiary)


async def active(store: KeptPlans, key: PlanKey) -> Plan:
    """The plan, which has not ended. Raises NotFound."""
    found = await store.plan(key)
    if found is None or found.state is PlanState.ENDED:
        what = key.kind.value.replace("_", " ")
        raise NotFound(
            f"there is no {what} {key.plan_id!r} of yours" if found is None else f"the {what} {key.plan_id!r} has ended"
        )
    return found


def bank_days_of(schedule: Schedule, settings: ConnectionSettings | None) -> BankDays:
    """The days of an order's connection; of one that is no longer configured, those of UTC and of Monday to Friday."""
    if settings is None:
        return bank_days(schedule, ZoneInfo("UTC"), None)
    zone = ZoneInfo(settings.time_zone or bank_of(settings).capabilities.time_zone)
    return bank_days(schedule, zone, send_window(settings))


def _literal(content: dict[str, Any]) -> dict[str, Any]:
    """A beneficiary without what only looks like a blank. Names of blanks in it are refused when it is put."""
    if blanks(content):
        raise BadRequest("beneficiary_id", "the beneficiary's details hold a name in braces, which would be read as a blank")
    return content
