"""PlanService over a real server and store: what is kept, found, filled in and planned; and what is nobody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.callers import Caller
from gateway.config import CallerSettings, Configuration, ListenSettings
from gateway.rpc.client import CallFailed, Client, Target
from gateway.rpc.server import RpcServer
from gateway.service import Gateway
from gateway.store.plans import PlanKind
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from tests.gateway.test_use_cases import connection

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SUPPLIER = {
    "beneficiary_id": "sup-7",
    "creditor": {"name": "北京长城科技有限公司", "postal_address": {"town_name": "北京", "country": "CN"}},
    "creditor_account": {"iban": "DE89370400440532013000"},
    "remittance_information": {"unstructured": ["Goods"]},
    "note": "Great Wall",
}
RENT = {
    "template_id": "rent",
    "payment": {
        "connection_id": "one",
        "amount": "{amount}",
        "currency": "EUR",
        "creditor": {"name": "Landlord", "postal_address": {"town_name": "Delft", "country": "NL"}},
        "creditor_account": {"iban": "DE89370400440532013000"},
        "remittance_information": {"unstructured": ["Rent {due_month}"]},
    },
}


class Calls:
    """The service as the commands call it."""

    def __init__(self, client: Client, gateway: Gateway) -> None:
        self.client = client
        self.gateway = gateway

    async def __call__(self, method: str, **request: Any) -> dict[str, Any]:
        return await self.client.call("PlanService", method, request)


@pytest.fixture
async def plans(tmp_path: Path) -> AsyncIterator[Calls]:
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: NOW)
    await store.open()
    configuration = Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", drain_seconds=5),
        callers=(CallerSettings(name="erp", plaintext=True),),
        connections={"one": connection("one", "NL41MOCK0000000001")},
    )
    gateway = Gateway(configuration, store, clock=lambda: NOW, metrics=Metrics())
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=lambda: NOW)
    port = await server.start()
    async with Client(Target(f"127.0.0.1:{port}")) as client:
        yield Calls(client, gateway)
    await server.drain(0)
    await store.close()


async def test_a_beneficiary_is_found_by_pinyin_and_a_changed_account_stands_in_its_history(plans: Calls) -> None:
    await plans("PutBeneficiary", beneficiary=SUPPLIER, reason="contract 4")
    for query in ("changcheng", "bjcc", "长城", "great wa", "3000"):
        found = await plans("SearchBeneficiaries", query=query)
        assert [one["beneficiary_id"] for one in found["beneficiaries"]] == ["sup-7"], query
    assert await plans("SearchBeneficiaries", query="shanghai") == {}
    moved = {**SUPPLIER, "creditor_account": {"iban": "NL14MOCK0000000002"}}
    await plans("PutBeneficiary", beneficiary=moved, version="1", reason="they called")
    shown = await plans("GetBeneficiary", beneficiary_id="sup-7")
    assert shown["beneficiary"]["creditor_account"] == {"iban": "NL14MOCK0000000002"}
    assert shown["beneficiary"]["account_changed_at"] == "2026-11-25T09:00:00Z"
    assert [(one["version"], one.get("fields"), one["changed_by"], one["reason"]) for one in shown["history"]] == [
        ("2", ["creditor_account"], "caller: erp", "they called"),
        ("1", None, "caller: erp", "contract 4"),
    ]
    with pytest.raises(CallFailed) as stale:
        await plans("PutBeneficiary", beneficiary=SUPPLIER, version="1")
    assert stale.value.code == "ABORTED"
    await plans("EndBeneficiary", beneficiary_id="sup-7", reason="gone")
    assert await plans("SearchBeneficiaries", query="changcheng") == {}
    assert await plans("ListBeneficiaries") == {}
    assert len((await plans("ListBeneficiaries", include_ended=True))["beneficiaries"]) == 1


async def test_a_template_is_filled_and_what_it_gives_can_be_submitted(plans: Calls) -> None:
    await plans("PutBeneficiary", beneficiary=SUPPLIER)
    put = await plans("PutTemplate", template=RENT)
    assert put["template"]["blanks"] == ["amount", "due_month"]
    filled = await plans("FillTemplate", template_id="rent", values={"amount": "7.00"}, payment_reference="R-1")
    assert filled["open_blanks"] == ["due_month"]
    assert filled["payment"]["remittance_information"] == {"unstructured": ["Rent "]}
    answer = await plans.client.call("PaymentService", "SubmitPayments", {"payments": [filled["payment"]]})
    assert answer["payments"][0]["payment_reference"] == "R-1"
    other = await plans("FillTemplate", template_id="rent", beneficiary_id="sup-7", values={"amount": "7.00", "due_month": "12"})
    assert other["payment"]["creditor"]["name"] == "北京长城科技有限公司"
    assert (other["template_version"], other["beneficiary_version"]) == ("1", "1")
    alone = await plans("FillTemplate", beneficiary_id="sup-7")
    assert alone["payment"]["remittance_information"] == {"unstructured": ["Goods"]}
    shown = await plans("ListTemplates")
    assert shown["templates"][0]["used"] == "2"


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("FillTemplate", {"template_id": "rent", "values": {"currency": "USD"}}, "values"),  # mass assignment
        ("FillTemplate", {}, "template_id"),
        ("PutTemplate", {"template": {**RENT, "payment": {"payment_reference": "x"}}}, "template.payment.payment_reference"),
        ("PutBeneficiary", {"beneficiary": {"beneficiary_id": "a"}}, "beneficiary.creditor.name"),
        ("PutBeneficiary", {"beneficiary": {**SUPPLIER, "note": "{amount}"}}, "beneficiary"),
        ("PutBeneficiary", {"beneficiary": {**SUPPLIER, "beneficiary_id": "a/b"}}, "beneficiary_id"),
        ("SearchBeneficiaries", {"query": "a", "limit": 51}, "limit"),
        ("PutStandingOrder", {"standing_order": {"standing_order_id": "o"}}, "standing_order.schedule"),
        ("PutStandingOrder", {"standing_order": {"schedule": {}}}, "standing_order.schedule.frequency"),
        (
            "PutStandingOrder",
            {"standing_order": {"schedule": {"frequency": "FREQUENCY_DAILY", "end": "soon"}}},
            "standing_order.schedule.end",
        ),
        ("ListOccurrences", {"standing_order_id": "rent", "page": {"token": "x"}}, "page.token"),
    ],
)
async def test_what_is_asked_wrongly_is_refused_by_its_place(
    plans: Calls, method: str, request_: dict[str, Any], field: str
) -> None:
    await plans("PutTemplate", template=RENT)
    order = {"standing_order_id": "rent", "template_id": "rent", "schedule": {"frequency": "FREQUENCY_DAILY"}}
    await plans("PutStandingOrder", standing_order=order)
    with pytest.raises(CallFailed) as refused:
        await plans(method, **request_)
    assert refused.value.code == "INVALID_ARGUMENT"
    assert [one.field for one in refused.value.broken] == [field]


async def test_what_belongs_to_another_caller_is_not_there(plans: Calls) -> None:
    other = Caller("other", ("*",), frozenset({"submit", "read"}))
    await plans("PutBeneficiary", beneficiary=SUPPLIER)
    assert await plans.gateway.search_beneficiaries(other, "changcheng", 0) == ([], True)
    assert (await plans.gateway.list_plans(other, PlanKind.BENEFICIARY, include_ended=True, limit=0, token=None))[0] == []
    for method, request in (
        ("GetBeneficiary", {"beneficiary_id": "sup-8"}),
        ("EndTemplate", {"template_id": "sup-7"}),
        ("FillTemplate", {"template_id": "nothing"}),
        ("PauseStandingOrder", {"standing_order_id": "nothing"}),
        ("ListOccurrences", {"standing_order_id": "nothing"}),
    ):
        with pytest.raises(CallFailed) as refused:
            await plans(method, **request)
        assert refused.value.code == "NOT_FOUND"


async def test_a_standing_order_shows_the_payments_to_come_and_what_they_lack(plans: Calls) -> None:
    await plans("PutTemplate", template=RENT)
    order = {
        "standing_order_id": "o-1",
        "template_id": "rent",
        "days": [{"due_date": "2026-12-31", "values": {"amount": "10.00"}}],
        "schedule": {"frequency": "FREQUENCY_MONTHLY_LAST_DAY", "shift": "DAY_SHIFT_PRECEDING", "skip": ["2027-01-31"]},
        "when_missed": "MISSED_RULE_LATE",
        "lead_days": 2,
    }
    put = (await plans("PutStandingOrder", standing_order=order))["standing_order"]
    assert put["schedule"]["start"] == "2026-11-25"
    shown = (await plans("ListStandingOrders", next=3))["standing_orders"]
    assert [
        (one["due_date"], one["execution_date"], one["submitted_at"], one.get("skipped"), one.get("open_blanks"))
        for one in shown[0]["next"]
    ] == [
        ("2026-11-30", "2026-11-30", "2026-11-27T23:00:00Z", None, ["amount"]),
        ("2026-12-31", "2026-12-31", "2026-12-28T23:00:00Z", None, None),
        ("2027-01-31", "2027-01-29", "2027-01-26T23:00:00Z", True, ["amount"]),
    ]
    assert put == shown[0]
    again = await plans("PutStandingOrder", standing_order={**order, "version": "7", "state": "PLAN_STATE_ENDED"})
    assert again["standing_order"] == put, "the same again, and what only answers say is nobody's to set"
    paused = (await plans("PauseStandingOrder", standing_order_id="o-1"))["standing_order"]
    assert paused["state"] == "PLAN_STATE_PAUSED"
    assert all(one["skipped"] for one in paused["next"])
    assert (await plans("ResumeStandingOrder", standing_order_id="o-1"))["standing_order"]["state"] == "PLAN_STATE_ACTIVE"
    ended = (await plans("EndStandingOrder", standing_order_id="o-1", reason="x"))["standing_order"]
    assert (ended["state"], "next" in ended) == ("PLAN_STATE_ENDED", False)
    assert await plans("ListOccurrences", standing_order_id="o-1") == {}


async def test_a_payment_for_every_day_is_one_for_every_bank_day_unless_told_otherwise_and_the_order_says_so(
    plans: Calls,
) -> None:
    await plans("PutTemplate", template=RENT)
    order = {"standing_order_id": "rent", "template_id": "rent"}
    for schedule, shift, skipped in (
        ({"frequency": "FREQUENCY_DAILY", "start": "2026-11-28"}, "DAY_SHIFT_SKIP", [True, True, False]),  # a Saturday
        (
            {"frequency": "FREQUENCY_DAILY", "start": "2026-11-28", "shift": "DAY_SHIFT_FOLLOWING"},
            "DAY_SHIFT_FOLLOWING",
            [False] * 3,
        ),
        ({"frequency": "FREQUENCY_DAILY", "start": "2026-11-28", "interval": 7}, "DAY_SHIFT_FOLLOWING", [False] * 3),
    ):
        put = (await plans("PutStandingOrder", standing_order={**order, "schedule": schedule}))["standing_order"]
        assert put["schedule"]["shift"] == shift
        assert [one.get("skipped", False) for one in put["next"]] == skipped


async def test_a_caller_that_may_only_read_keeps_nothing(plans: Calls) -> None:
    reader = Caller("erp", ("*",), frozenset({"read"}))
    with pytest.raises(Exception, match="may not submit"):
        await plans.gateway.put_beneficiary(reader, "a", SUPPLIER, version=None, reason="")
    with pytest.raises(Exception, match="may not submit"):
        await plans.gateway.fill_template(reader, "rent", "", {})
