"""Who may call what, on whose connections: every method of the contract, against the real gateway over a real store.

A method that is added to the contract and not to `CALLS` fails here.
"""

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor

import bankgate.v1
from bankgate.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    groups_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    payments_pb2,
    payments_pb2_grpc,
    plans_pb2_grpc,
    replay_pb2,
    replay_pb2_grpc,
    screening_pb2_grpc,
    statements_pb2,
    statements_pb2_grpc,
    types_pb2,
)
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from formats.report import AccountIdentification, Statement
from gateway.callers import Callers
from gateway.config import CallerSettings, Configuration, ConnectionSettings, ListenSettings
from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentState
from gateway.people.desk import Source
from gateway.people.person import Acting, FactorProof, Person, Role
from gateway.policy.verdict import ApprovalStep, Finding, Outcome
from gateway.reasons import ours
from gateway.rpc.server import SERVICES, RpcServer
from gateway.service import Gateway
from gateway.store.records import DeliveryChange, NewDelivery, NewDiscrepancy, NewPayment, NewStatement, PlannedBlock
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from gateway.tokens import Tokens
from gateway.use_cases.approvals import GivenFactor
from tests.rpc import screened
from tests.rpc.matrix import GROUP_CALLS, PLAN_CALLS, fill_groups

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
IBAN = "NL41MOCK0000000001"
REASON = "Ms Weber of the bank's hotline"
ACTIONS = ("submit", "read", "cancel", "statements", "operate", "replay", "approve", "audit", "people")
CODE = grpc.StatusCode


@dataclass(frozen=True)
class Things:
    """What lies on connection "one"; connection "two" has nothing."""

    payment_id: str
    statement_id: str
    discrepancy_id: str
    inbound_file_id: str
    delivery_id: str = "d1"
    awaiting: tuple[str, str] = ("", "")  # a payment that waits for approval, and the digest to approve
    held: tuple[str, str] = ("", "")
    listed: str = ""  # the digest of a payment that a screening list holds
    group: tuple[str, str] = ("1", "ab" * 32)  # likewise of a release group


def payment(reference: str = "NEW") -> types_pb2.PaymentRequest:
    return types_pb2.PaymentRequest(
        payment_reference=reference,
        connection_id="one",
        amount="1.00",
        currency="EUR",
        creditor=types_pb2.Party(name="C", postal_address=types_pb2.PostalAddress(town_name="Bonn", country="DE")),
        creditor_account=types_pb2.Account(iban="DE89370400440532013000"),
    )


pay, ops, stm, rep = payments_pb2, operations_pb2, statements_pb2, replay_pb2
Make = Callable[[Things], Any]
THERE = "there".ljust(32, "0")  # a payment that the bank has
# Method → the action it needs, and a call about things of connection "one".
CALLS: dict[str, tuple[str, Make]] = {
    "PaymentService.SubmitPayments": ("submit", lambda _: pay.SubmitPaymentsRequest(payments=[payment()])),
    "PaymentService.SubmitPaymentStream": ("submit", lambda _: [pay.SubmitPaymentsRequest(payments=[payment("STREAM")])]),
    "PaymentService.CheckPayments": ("submit", lambda _: pay.CheckPaymentsRequest(payments=[payment()])),
    "PaymentService.GetPayment": ("read", lambda t: pay.GetPaymentRequest(payment_id=t.payment_id)),
    "PaymentService.ListPayments": ("read", lambda _: pay.ListPaymentsRequest(connection_id="one")),
    "PaymentService.CancelPayment": ("cancel", lambda t: pay.CancelPaymentRequest(payment_id=t.payment_id, reason="r")),
    "PaymentService.RecallPayment": ("cancel", lambda _: pay.RecallPaymentRequest(payment_id=THERE, reason="DUPL")),
    "PaymentService.WatchPaymentEvents": (
        "read",
        lambda _: pay.WatchPaymentEventsRequest(connection_ids=["one"], stop_at_end=True),
    ),
    "StatementService.ListStatements": ("statements", lambda _: stm.ListStatementsRequest(connection_id="one")),
    "StatementService.GetStatement": ("statements", lambda t: stm.GetStatementRequest(id=t.statement_id)),
    "StatementService.ListEntries": ("statements", lambda t: stm.ListEntriesRequest(id=t.statement_id)),
    "OperationsService.ListDeliveries": ("operate", lambda _: ops.ListDeliveriesRequest(connection_id="one")),
    "OperationsService.GetDelivery": ("operate", lambda t: ops.GetDeliveryRequest(delivery_id=t.delivery_id)),
    "OperationsService.ResolveDelivery": (
        "operate",
        lambda t: ops.ResolveDeliveryRequest(delivery_id=t.delivery_id, resolution=ops.RESOLUTION_ARRIVED, reason=REASON),
    ),
    "OperationsService.ListDiscrepancies": ("operate", lambda _: ops.ListDiscrepanciesRequest(connection_id="one")),
    "OperationsService.ResolveDiscrepancy": (
        "operate",
        lambda t: ops.ResolveDiscrepancyRequest(discrepancy_id=t.discrepancy_id, reason=REASON),
    ),
    "OperationsService.ListInboundFiles": ("operate", lambda _: ops.ListInboundFilesRequest(connection_id="one")),
    "OperationsService.RereadInboundFile": (
        "operate",
        lambda t: ops.RereadInboundFileRequest(inbound_file_id=t.inbound_file_id),
    ),
    "OperationsService.ListConnections": ("operate", lambda _: ops.ListConnectionsRequest()),
    "OperationsService.GetConnection": ("operate", lambda _: ops.GetConnectionRequest(connection_id="one")),
    "OperationsService.FetchNow": ("operate", lambda _: ops.FetchNowRequest(connection_id="one")),
    "OperationsService.ListApprovals": ("approve", lambda _: ops.ListApprovalsRequest(connection_id="one")),
    "OperationsService.GetApproval": ("approve", lambda t: ops.GetApprovalRequest(payment_id=t.awaiting[0])),
    "OperationsService.DecideApproval": (
        "approve",
        lambda t: ops.DecideApprovalRequest(
            approval_id=t.awaiting[0], approve=True, digest=t.awaiting[1], second_factor=ops.DecisionFactor(totp_code="1")
        ),
    ),
    "OperationsService.ReleaseHeldPayment": (
        "approve",
        lambda t: ops.ReleaseHeldPaymentRequest(
            payment_id=t.held[0],
            digest=t.held[1],
            review_version=1,
            reason=REASON,
            second_factor=ops.DecisionFactor(totp_code="2"),
        ),
    ),
    "AuditService.ListAuditRecords": ("audit", lambda _: audit_pb2.ListAuditRecordsRequest(object_kind="process")),
    **screened.CALLS,
    "ReplayService.Replay": ("replay", lambda _: [rep.ReplayRequest(connection_id="one", name="f", chunk=b"<x/>")]),
    **PLAN_CALLS,
    **GROUP_CALLS,
}
# In the contract, not in this release: these answer nothing to anybody.
NOT_YET = {"OperationsService.ListKeys"}
# What a signed-in person decides: the caller that carries them needs the action people beside.
OF_PEOPLE = {
    *("OperationsService.DecideApproval", "OperationsService.ReleaseHeldPayment", "ReleaseGroupService.DecideGroup"),
    *screened.OF_PEOPLE,
}
# These name no connection; what they give is cut to the caller's own instead.
UNNAMED = {
    "OperationsService.ListConnections": "connections",
    "OperationsService.ListDeliveries": "deliveries",
    "OperationsService.ListDiscrepancies": "discrepancies",
    "OperationsService.ListApprovals": "approvals",
    "ScreeningService.ListScreeningClearances": "clearances",
    "StatementService.ListStatements": "statements",
}
MINE = {
    *("PlanService.ListBeneficiaries", "PlanService.SearchBeneficiaries", "PlanService.ListTemplates"),
    *("PlanService.ListStandingOrders", "ReleaseGroupService.ListReleaseGroups"),
}
STUBS = {
    "PaymentService": payments_pb2_grpc.PaymentServiceStub,
    "StatementService": statements_pb2_grpc.StatementServiceStub,
    "OperationsService": operations_pb2_grpc.OperationsServiceStub,
    "ReplayService": replay_pb2_grpc.ReplayServiceStub,
    "AuditService": audit_pb2_grpc.AuditServiceStub,
    "PlanService": plans_pb2_grpc.PlanServiceStub,
    "ScreeningService": screening_pb2_grpc.ScreeningServiceStub,
    "ReleaseGroupService": groups_pb2_grpc.ReleaseGroupServiceStub,
}


def every_service() -> Iterator[ServiceDescriptor]:
    """Of every file of the contract, whoever adds one."""
    for found in pkgutil.iter_modules(bankgate.v1.__path__, "bankgate.v1."):
        if found.name.endswith("_pb2"):
            yield from importlib.import_module(found.name).DESCRIPTOR.services_by_name.values()


def every_method() -> Iterator[str]:
    """But for those of AccessService, which need a session besides: `tests/people/test_rpc.py` has their matrix."""
    for service in (one for one in every_service() if one.name != "AccessService"):
        yield from (f"{service.name}.{method.name}" for method in service.methods)


def test_every_method_of_the_contract_stands_in_the_matrix() -> None:
    of_access = {name for name in every_method() if name.startswith("AccessService.")}  # tests/people/test_rpc.py, likewise
    assert sorted(every_method()) == sorted({*CALLS, *NOT_YET, *of_access})


def test_every_service_of_the_contract_is_served_and_tells_its_health() -> None:
    assert sorted(SERVICES) == sorted(service.full_name for service in every_service())


def connection(name: str) -> ConnectionSettings:
    account = {"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}
    values = {"id": name, "bank": "sepa", "initiating_party": "ACME BV", "accounts": [account]}
    more = {"channel": {"kind": "folder", "upload": "out"}, "recalls": {"message": "camt.055.001.09"}}
    return ConnectionSettings.model_validate({**values, **more})


async def fill(store: SqliteStore) -> Things:
    """One thing of each kind on connection "one"; payments are of caller "erp"."""
    terms = PaymentTerms(
        debtor=Party(name="ACME BV"),
        debtor_account=Account(iban=IBAN),
        debtor_agent=Agent(bic="MOCKNL2AXXX"),
        requested_execution_date=NOW.date(),
    )
    transfers = [
        CreditTransfer(instruction_id=name, end_to_end_id=name, amount=Decimal(1), currency="EUR", creditor=Party(name="C"))
        for name in ("sent", "waiting", "awaiting", "held", "there")
    ]
    new = [
        NewPayment(
            payment_id=transfer.instruction_id.ljust(32, "0"),
            caller="erp",
            payment_reference=transfer.instruction_id,
            connection_id="one",
            terms=terms,
            transfer=transfer,
            content_sha256=transfer.instruction_id.encode(),
            state=PaymentState.SENT if transfer.instruction_id == "there" else PaymentState.APPROVED,
            reason=ours("approved"),
        )
        for transfer in transfers
    ]
    await store.submit(new[:1])
    await one_in_doubt(store)
    await store.submit([new[1], new[4]])
    things = await the_rest(store, new[1].payment_id)
    awaiting, held = await stopped(store, new[2], Outcome.APPROVAL), await stopped(store, new[3], Outcome.HOLD)
    await store.submit(new[4:])
    await screened.cleared(store, NOW)
    listed = await screened.stopped_by(store, screened.on_a_list(new[3]), screened.HIT)
    return replace(things, awaiting=awaiting, held=held, listed=listed, group=await fill_groups(store, new[1], stopped))


async def one_in_doubt(store: SqliteStore) -> None:
    """A delivery of what waits, sent and lost track of."""
    (group,) = await store.waiting_groups("one")
    blocks = (PlannedBlock(payment_information_id="M-1", terms_id=group.terms_id, count=1),)
    formed = NewDelivery(
        delivery_id="d1",
        connection_id="one",
        message_id="M",
        message_name="pain.001.001.09",
        file_name="M.xml",
        creation_date_time=NOW,
        blocks=blocks,
        due_at=NOW,
    )
    delivery = await store.form_delivery(formed)
    assert delivery is not None
    steps = (
        (DeliveryEvent.STARTED, DeliveryState.SENDING),
        (DeliveryEvent.LOST_TRACK, DeliveryState.IN_DOUBT),
    )
    for event, following in steps:
        change = DeliveryChange(
            delivery_id="d1",
            fence=delivery.fence,
            state=delivery.state,
            event=event,
            next_state=following,
            reason=ours("in-doubt"),
            source="test",
            due_at=None,
        )
        delivery = await store.change_delivery(change)


async def the_rest(store: SqliteStore, payment_id: str) -> Things:
    """A file, a statement and a discrepancy, besides the payment."""
    writer = store.document_writer("inbound")
    await asyncio.to_thread(writer.write, b"raw")
    file, _ = await store.keep_inbound("one", "f.xml", *await asyncio.to_thread(writer.finish))
    statement = Statement(statement_id="S", account=AccountIdentification(iban=IBAN, other_id=None, currency="EUR"))
    row = await store.put_statement(
        NewStatement(
            inbound_file_id=file.inbound_file_id, connection_id="one", position=1, message="camt.053", statement=statement
        )
    )
    found = NewDiscrepancy(key="k", connection_id="one", kind="unmatched", summary_en="e", summary_zh="z", evidence="{}")
    await store.add_discrepancies([found])
    (discrepancy,), _ = await store.list_discrepancies(limit=1)
    return Things(
        payment_id=payment_id,
        statement_id=str(row),
        discrepancy_id=str(discrepancy.discrepancy_id),
        inbound_file_id=str(file.inbound_file_id),
    )


@dataclass
class House:
    """A server whose one caller the test exchanges."""

    server: RpcServer
    things: Things
    channel: grpc.aio.Channel

    async def call(self, method: str, caller: CallerSettings, request: Any = None) -> tuple[CODE, str, list[Any]]:
        """How it ended, in which words, and every answer."""
        self.server._door.change(Callers([caller]), Tokens())
        service, _, name = method.partition(".")
        asked = getattr(STUBS[service](self.channel), name)
        request = CALLS[method][1](self.things) if request is None else request
        try:
            session = (("bankgate-session", "ada"),) if method in OF_PEOPLE else ()
            call = asked(iter(request) if isinstance(request, list) else request, metadata=session)
            answers = [answer async for answer in call] if hasattr(call, "__aiter__") else [await call]
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or "", []
        return CODE.OK, "", answers


class Ada:
    """Whoever signs in is Ada, and proves it."""

    async def session_of(self, token: str, source: Source, **_: Any) -> Any:
        ada = Person(name=token, roles=frozenset({Role.APPROVER}), groups=frozenset({"finance"}))
        acting = Acting(caller=source.caller, person=ada, address=source.address)
        return SimpleNamespace(session=SimpleNamespace(enrolling=False, factor="totp 1"), acting=acting)

    async def prove(self, acting: Acting, factor: GivenFactor, bound_to: bytes) -> FactorProof:
        return FactorProof(kind="totp", factor_id="1", at=NOW, bound_to=bound_to.hex())


async def stopped(store: SqliteStore, new: NewPayment, outcome: Outcome) -> tuple[str, str]:
    """A payment that rules stopped: its id, and the digest that decisions name."""
    steps = (ApprovalStep(group="finance", count=1),) if outcome is Outcome.APPROVAL else ()
    finding = Finding(rule="r", version=1, outcome=outcome, text_en="e", text_zh="z", steps=steps)
    return new.payment_id, await screened.stopped_by(store, new, finding)


@asynccontextmanager
async def house(directory: Path) -> AsyncIterator[House]:
    store = SqliteStore(directory / "bankgate.db", clock=lambda: NOW)
    await store.open()
    things = await fill(store)
    configuration = Configuration(
        directory=directory,
        listen=ListenSettings(address="127.0.0.1:0"),
        callers=(CallerSettings(name="erp", plaintext=True),),
        connections={name: connection(name) for name in ("one", "two")},
    )
    gateway = Gateway(configuration, store, clock=lambda: NOW, metrics=Metrics())
    gateway.people = gateway.prover = Ada()  # type: ignore[assignment]
    server = RpcServer(configuration, gateway, metrics=Metrics(), clock=lambda: NOW + timedelta(seconds=1))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        made = House(server, things, channel)
        for method in ("PutBeneficiary", "PutTemplate", "PutStandingOrder"):
            assert (await made.call(f"PlanService.{method}", caller()))[0] is CODE.OK
        yield made
    await server.drain(0)
    await store.close()


def caller(name: str = "erp", *, actions: tuple[str, ...] = ACTIONS, connections: tuple[str, ...] = ("*",)) -> CallerSettings:
    return CallerSettings.model_validate({"name": name, "plaintext": True, "actions": actions, "connections": connections})


async def test_a_stream_whose_caller_is_refused_ends_though_it_never_sends_anything(tmp_path: Path) -> None:
    """The server hears a refused stream up to its first request, but does not wait for it without end."""

    async def silent() -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield rep.ReplayRequest()

    async with house(tmp_path) as ours_, asyncio.timeout(30):
        code, text, _answers = await ours_.call("ReplayService.Replay", caller(actions=("read",)), silent())
    assert code is CODE.PERMISSION_DENIED
    assert "may not replay" in text


@pytest.mark.parametrize("action", ACTIONS)
async def test_one_action_opens_its_own_methods_and_no_other(action: str, tmp_path: Path) -> None:
    async with house(tmp_path) as ours_:
        wrong = {}
        for method, (needed, _) in CALLS.items():
            code, text, _answers = await ours_.call(method, caller(actions=(action,)))
            expected = CODE.OK if needed == action and method not in OF_PEOPLE else CODE.PERMISSION_DENIED
            if code is not expected:
                wrong[method] = (code, text)
    assert not wrong


async def test_who_may_approve_and_carry_people_carries_their_decisions(tmp_path: Path) -> None:
    async with house(tmp_path) as ours_:
        both = caller(actions=("approve", "people"))
        codes = {method: (await ours_.call(method, both))[:2] for method in sorted(OF_PEOPLE)}
    assert codes == dict.fromkeys(OF_PEOPLE, (CODE.OK, ""))


async def test_a_caller_without_actions_may_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as ours_:
        codes = {method: (await ours_.call(method, caller(actions=())))[0] for method in CALLS}
    assert set(codes.values()) == {CODE.PERMISSION_DENIED}


async def test_things_of_a_connection_that_is_not_ones_own_are_refused_or_unknown(tmp_path: Path) -> None:
    """All actions, but for connection "two" only: whatever the method, nothing of connection "one" comes back."""
    async with house(tmp_path) as ours_:
        stranger = caller("stranger", connections=("two",))
        wrong = {}
        for method in CALLS:
            code, text, answers = await ours_.call(method, stranger)
            said = str(answers)
            refused = code in {CODE.PERMISSION_DENIED, CODE.NOT_FOUND}
            in_acknowledgement = method.endswith("SubmitPaymentStream") and "may not submit on connection" in said
            own_only = method.endswith("ListConnections") and 'id: "two"' in said and '"one"' not in said
            # What is kept belongs to its caller: a stranger has lists of its own, and beneficiaries are of no connection.
            own_only |= method in MINE and not str(answers[0])
            if not (refused or in_acknowledgement or own_only or method == "PlanService.PutBeneficiary"):
                wrong[method] = (code, text, said)
    assert not wrong


@pytest.mark.parametrize("method", sorted(UNNAMED))
async def test_lists_without_a_connection_are_cut_to_ones_own(method: str, tmp_path: Path) -> None:
    request = type(CALLS[method][1](Things("", "", "", "")))()
    async with house(tmp_path) as ours_:
        for connections, seen in (("two",), False), (("one",), True), (("*",), True):
            code, _, (answer,) = await ours_.call(method, caller(connections=connections), request)
            assert code is CODE.OK
            items = getattr(answer, UNNAMED[method])
            names = {getattr(item, "connection_id", "") or item.id for item in items}
            assert ("one" in names) is seen
            assert method.endswith("ListConnections") or names <= {"one"}


async def test_inbound_files_are_listed_over_all_connections_only_for_who_may_use_all(tmp_path: Path) -> None:
    method, request = "OperationsService.ListInboundFiles", ops.ListInboundFilesRequest()
    async with house(tmp_path) as ours_:
        assert (await ours_.call(method, caller(connections=("one", "two")), request))[0] is CODE.INVALID_ARGUMENT
        assert (await ours_.call(method, caller(), request))[0] is CODE.OK


async def test_payments_and_their_events_are_their_callers_alone(tmp_path: Path) -> None:
    """Whatever another caller may do and on whichever connections: payments belong to who submitted them."""
    async with house(tmp_path) as ours_:
        other = caller("other")
        for method in ("PaymentService.GetPayment", "PaymentService.CancelPayment"):
            assert (await ours_.call(method, other))[0] is CODE.NOT_FOUND
        for method in ("PaymentService.ListPayments", "PaymentService.WatchPaymentEvents"):
            code, _, answers = await ours_.call(method, other)
            assert code is CODE.OK
            assert "sent" not in str(answers)
            assert "sent" in str((await ours_.call(method, caller()))[2])


async def test_connections_of_others_are_not_named_to_a_caller_who_mistypes_one(tmp_path: Path) -> None:
    mistyped = payment()
    mistyped.connection_id = "tow"
    async with house(tmp_path) as ours_:
        request = pay.CheckPaymentsRequest(payments=[mistyped])
        _, _, (answer,) = await ours_.call("PaymentService.CheckPayments", caller(connections=("two",)), request)
    (text,) = [str(violation) for violation in answer.violations if violation.rule == "connection.unknown"]
    assert "there are: two." in text


async def test_what_this_release_lacks_is_told_as_such(tmp_path: Path) -> None:
    async with house(tmp_path) as ours_:
        for method in NOT_YET:
            request = getattr(ops, f"{method.partition('.')[2]}Request")()
            assert (await ours_.call(method, caller(actions=()), request))[0] is CODE.UNIMPLEMENTED
