"""Statements, operations and replay over a real connection, and the shape of what they tell."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest

from bankgate.v1 import (
    operations_pb2,
    operations_pb2_grpc,
    replay_pb2,
    replay_pb2_grpc,
    statements_pb2,
    statements_pb2_grpc,
    types_pb2,
)
from formats.dialogue import HeldAccount
from formats.report import AccountIdentification, Balance, Entry, EntryTransaction, Statement
from gateway.config import AccountSettings, ConnectionSettings
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.onboarding import Onboarding
from gateway.rpc.present_serials import add_serial
from gateway.store.records import (
    Attempt,
    ConnectionHealth,
    Delivery,
    Discrepancy,
    EntryRow,
    Evidence,
    InboundFile,
    Reason,
    StatementRow,
)
from gateway.store.serials import GivenSerial
from gateway.store.story import DeliveryEventRow
from keys.seal import KeyUnavailable

from .fakes import NOW, FakeGateway

DELIVERY = Delivery(
    delivery_id="d1",
    connection_id="house",
    message_id="M1",
    message_name="pain.001.001.09",
    file_name="M1.xml",
    creation_date_time=NOW,
    state=DeliveryState.IN_DOUBT,
    reason=Reason(code="bankgate.in-doubt"),
    payment_count=2,
    control_sum=Decimal("30.10"),
    attempt=1,
    fence=3,
    lease_until=None,
    due_at=NOW,
    document_id=5,
    document_sha256="ab" * 32,
    document_size=4711,
    created_at=NOW,
    updated_at=NOW,
    doubt_since=NOW,
)
SETTINGS = ConnectionSettings(
    id="house",
    initiating_party="Muster",
    accounts=(AccountSettings(iban="DE89370400440532013000", holder="Muster"),),
    channel={"kind": "sftp", "password": "env:SECRET"},
)
ONBOARDING = Onboarding(
    standing="unconfirmed",
    english="Compare.",
    chinese="请核对。",
    code="091002",
    fingerprints=(("X002", "public-key", "AB12"), ("E002", "public-key", "CD34")),
)
HEALTH = ConnectionHealth(
    payments_waiting=3,
    oldest_waiting_at=NOW,
    deliveries_in_doubt=1,
    open_discrepancies=2,
    quarantined_files=0,
    last_sent_at=NOW,
    last_fetch_at=None,
    last_problem="refused",
)
DISCREPANCY = Discrepancy(
    discrepancy_id=7,
    key="k",
    connection_id="house",
    kind="unmatched",
    summary_en="en",
    summary_zh="zh",
    evidence="{}",
    inbound_file_id=4,
    payment_id=None,
    delivery_id=None,
    created_at=NOW,
    resolved_at=None,
    resolved_by=None,
    resolution=None,
)
INBOUND = InboundFile(
    inbound_file_id=4,
    connection_id="house",
    name="a.xml",
    sha256="cd" * 32,
    size=10,
    document_id=1,
    state="quarantined",
    message=None,
    problem="cut",
    received_at=NOW,
    records_applied=0,
)
ENTRIES = [
    EntryRow(
        position=position,
        entry=Entry(
            statement_id="S",
            amount="10.00",
            currency="EUR",
            credit_debit="DBIT",
            status="BOOK",
            bank_transaction_code="PMNT-ICDT-ESCT" if position == 1 else None,
            transactions=(EntryTransaction(end_to_end_id="E1", amount="10.00"), EntryTransaction(end_to_end_id="E2"))
            if position == 1
            else (),
        ),
        payment_ids=("p1", None) if position == 1 else ("p3",) if position == 2 else (None,),
    )
    for position in (1, 2, 3)
]
STATEMENT = StatementRow(
    statement_row_id=9,
    connection_id="house",
    inbound_file_id=4,
    position=0,
    message="camt.053.001.08",
    received_at=NOW,
    statement=Statement(
        statement_id="S",
        account=AccountIdentification(iban="DE89370400440532013000"),
        balances=(Balance(type="CLBD", amount="1.00", currency="EUR", credit_debit="CRDT", date=None),),
        entry_count=3,
    ),
)


SERIAL = GivenSerial(
    instruction_id="p1",
    payment_id="p1",
    serial="2026112500000001",
    package="20261125000000000001",
    delivery_id="d1",
    message_id="M1",
    state=PaymentState.SENT,
    account=HeldAccount(number="1"),
    given_at=NOW,
    first_sent_on=NOW.date(),
    bank_reference="000000000007",
    next_ask_at=NOW + timedelta(hours=1),
    asked=2,
    asked_at=NOW,
    end_to_end_id="INV-1",
)


class Operations(FakeGateway):
    """The fake, with one of everything."""

    resolved: tuple[Any, ...] = ()

    async def list_deliveries(self, caller: Any, where: Any, limit: int, token: str | None) -> Any:
        self.resolved = (where, limit, token)
        return [DELIVERY], "next"

    async def delivery(self, caller: Any, delivery_id: str) -> Any:
        attempt = Attempt(number=1, started_at=NOW, ended_at=NOW + timedelta(seconds=1), outcome="lost_track", detail="cut")
        evidence = Evidence(found_at=NOW, source="sftp.listing", verdict="unknown", detail="absent")
        event = DeliveryEventRow(
            number=1,
            event="lost_track",
            previous_state=DeliveryState.SENDING,
            state=DeliveryState.IN_DOUBT,
            attempt=1,
            reason=Reason(code="bankgate.in-doubt", bank_text="cut"),
            source="gateway",
            occurred_at=NOW,
        )
        return DELIVERY, [attempt], [evidence], [event]

    async def serials(self, delivery: Any) -> Any:
        return [SERIAL]

    async def resolve_delivery(self, caller: Any, delivery_id: str, arrived: bool, reason: str, *, attempt: int | None) -> Any:
        self.resolved = (delivery_id, arrived, reason, attempt)
        return DELIVERY

    async def queues(self, caller: Any, connection_id: str) -> Any:
        return []

    async def onboarding(self, caller: Any, connection_id: str) -> Any:
        return ONBOARDING

    def now(self) -> Any:
        return NOW

    async def connections(self, caller: Any) -> Any:
        return [(SETTINGS, HEALTH)]

    async def connection(self, caller: Any, connection_id: str) -> Any:
        raise KeyUnavailable("seal.signing_key: not for this process")

    async def list_discrepancies(self, caller: Any, connection_id: Any, include: bool, limit: int, token: Any) -> Any:
        return [DISCREPANCY], None

    async def resolve_discrepancy(self, caller: Any, discrepancy_id: int, reason: str) -> Any:
        self.resolved = (discrepancy_id, reason)
        return DISCREPANCY

    async def list_inbound(self, caller: Any, connection_id: Any, state: Any, limit: int, token: Any) -> Any:
        return [INBOUND], None

    async def reread(self, caller: Any, inbound_file_id: int) -> Any:
        return INBOUND

    async def fetch_now(self, caller: Any, connection_id: str) -> None:
        self.resolved = (connection_id,)

    async def list_statements(self, caller: Any, **where: Any) -> Any:
        self.resolved = tuple(sorted(where.items()))
        return [STATEMENT], None

    async def statement(self, caller: Any, statement_row_id: int) -> Any:
        assert statement_row_id == 9
        return STATEMENT

    async def entries(self, caller: Any, statement_row_id: int, *, after_position: int, limit: int) -> Sequence[EntryRow]:
        return [row for row in ENTRIES if row.position > after_position][:limit]


@pytest.fixture
def gateway() -> Operations:
    return Operations()


@pytest.fixture
def operations(channel: grpc.aio.Channel) -> Any:
    return operations_pb2_grpc.OperationsServiceStub(channel)


@pytest.fixture
def statements(channel: grpc.aio.Channel) -> Any:
    return statements_pb2_grpc.StatementServiceStub(channel)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), str(caught.value.details())


async def test_a_delivery_is_shown_with_its_attempts_its_evidence_and_its_guarantee(operations: Any) -> None:
    shown = (await operations.GetDelivery(operations_pb2.GetDeliveryRequest(delivery_id="d1"))).delivery
    assert (shown.control_sum, shown.payment_count, shown.guarantee) == ("30.10", 2, "blind")
    assert shown.state == operations_pb2.DELIVERY_STATE_IN_DOUBT
    assert shown.reason.text_en
    assert shown.attempt_log[0].outcome == "lost_track"
    assert shown.evidence[0].source == "sftp.listing"
    (event,) = shown.history
    assert (event.event, event.state, event.attempt) == ("lost_track", operations_pb2.DELIVERY_STATE_IN_DOUBT, 1)
    assert event.reason.text_zh


async def test_a_delivery_tells_what_the_bank_knows_its_payments_by(operations: Any) -> None:
    shown = (await operations.GetDelivery(operations_pb2.GetDeliveryRequest(delivery_id="d1"))).delivery
    assert shown.package_number == "20261125000000000001"
    (one,) = shown.serials
    assert (one.payment_id, one.end_to_end_id, one.serial_number) == ("p1", "INV-1", "2026112500000001")
    assert (one.bank_reference, one.first_sent_on, one.asked) == ("000000000007", "2026-11-25", 2)
    assert (one.last_asked_at.ToDatetime(UTC), one.next_ask_at.ToDatetime(UTC)) == (NOW, NOW + timedelta(hours=1))
    assert one.state == types_pb2.PAYMENT_STATE_SENT
    shown = types_pb2.Payment()
    add_serial(shown, SERIAL)
    assert (shown.serial_number, shown.bank_reference) == ("2026112500000001", "000000000007")
    add_serial(nothing := types_pb2.Payment(), None)
    assert nothing == types_pb2.Payment()


async def test_deliveries_are_listed_by_state_and_page(operations: Any, gateway: Operations) -> None:
    answer = await operations.ListDeliveries(
        operations_pb2.ListDeliveriesRequest(
            page=types_pb2.Page(size=5, token="t"), states=[operations_pb2.DELIVERY_STATE_IN_DOUBT]
        )
    )
    assert answer.next_page_token == "next"
    where, limit, token = gateway.resolved
    assert (where.states, limit, token) == ((DeliveryState.IN_DOUBT,), 5, "t")


async def test_a_decision_needs_a_direction_and_a_reason(operations: Any, gateway: Operations) -> None:
    request = operations_pb2.ResolveDeliveryRequest
    for broken, field in (
        (request(delivery_id="d1", reason="asked Ms X at the bank"), "resolution"),
        (request(delivery_id="d1", resolution=1, reason="   short   "), "reason"),
        (request(delivery_id="d1", resolution=1, reason="x" * 501), "reason"),
    ):
        code, text = await refused(operations.ResolveDelivery(broken))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith(field)
    assert gateway.resolved == ()
    await operations.ResolveDelivery(request(delivery_id="d1", resolution=2, reason="asked Ms X at the bank"))
    assert gateway.resolved == ("d1", False, "asked Ms X at the bank", None)
    await operations.ResolveDelivery(request(delivery_id="d1", resolution=2, reason="asked Ms X at the bank", attempt=3))
    assert gateway.resolved == ("d1", False, "asked Ms X at the bank", 3)


async def test_discrepancies_and_files_are_shown_and_acted_on_by_their_ids(operations: Any, gateway: Operations) -> None:
    found = (await operations.ListDiscrepancies(operations_pb2.ListDiscrepanciesRequest())).discrepancies[0]
    assert (found.discrepancy_id, found.inbound_file_id, found.open) == ("7", "4", True)
    await operations.ResolveDiscrepancy(
        operations_pb2.ResolveDiscrepancyRequest(discrepancy_id="7", reason="a duplicate of the bank's")
    )
    assert gateway.resolved == (7, "a duplicate of the bank's")
    code, _ = await refused(
        operations.ResolveDiscrepancy(operations_pb2.ResolveDiscrepancyRequest(discrepancy_id="x", reason="0123456789"))
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    files = (await operations.ListInboundFiles(operations_pb2.ListInboundFilesRequest(state="quarantined"))).files
    assert files[0].problem == "cut"
    assert (await refused(operations.ListInboundFiles(operations_pb2.ListInboundFilesRequest(state="lost"))))[0] is (
        grpc.StatusCode.INVALID_ARGUMENT
    )
    assert (await operations.RereadInboundFile(operations_pb2.RereadInboundFileRequest(inbound_file_id="4"))).file.name == "a.xml"
    await operations.FetchNow(operations_pb2.FetchNowRequest(connection_id="house"))
    assert gateway.resolved == ("house",)


async def test_a_connection_is_shown_without_its_secrets(operations: Any) -> None:
    (shown,) = (await operations.ListConnections(operations_pb2.ListConnectionsRequest())).connections
    assert (shown.channel, shown.seal, shown.guarantee, shown.payments_waiting) == ("sftp", "plain", "blind", 3)
    assert "SECRET" not in str(shown)


async def test_a_connection_that_is_being_set_up_says_where_it_stands_and_what_is_next(operations: Any) -> None:
    (shown,) = (await operations.ListConnections(operations_pb2.ListConnectionsRequest())).connections
    found = shown.onboarding
    assert (found.standing, found.next_step_en, found.next_step_zh, found.bank_code) == (
        "unconfirmed",
        "Compare.",
        "请核对。",
        "091002",
    )
    assert list(found.bank_key_fingerprints) == ["X002 public-key AB12", "E002 public-key CD34"]


async def test_a_key_that_is_not_there_is_the_operators_and_worth_trying_again(operations: Any) -> None:
    code, text = await refused(operations.GetConnection(operations_pb2.GetConnectionRequest(connection_id="house")))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "seal.signing_key" in text


async def test_statements_and_their_entries_name_the_payments_they_were_matched_with(
    statements: Any, gateway: Operations
) -> None:
    listed = await statements.ListStatements(statements_pb2.ListStatementsRequest(message="camt.053"))
    assert dict(gateway.resolved)["message_prefix"] == "camt.053"
    shown = (await statements.GetStatement(statements_pb2.GetStatementRequest(id=listed.statements[0].id))).statement
    assert (shown.account.iban, shown.balances[0].type, shown.entry_count) == ("DE89370400440532013000", "CLBD", 3)
    entries = (await statements.ListEntries(statements_pb2.ListEntriesRequest(id="9"))).entries
    assert [[t.payment_id for t in entry.transactions] for entry in entries] == [["p1", ""], ["p3"], []]
    assert [(entry.bank_transaction_text_en, entry.bank_transaction_text_zh) for entry in entries] == [
        ("Payments: credit transfer sent, SEPA credit transfer.", "支付：发出的贷记转账，SEPA 贷记转账。"),
        ("", ""),
        ("", ""),
    ]


async def test_entries_come_page_by_page(statements: Any) -> None:
    request = statements_pb2.ListEntriesRequest
    first = await statements.ListEntries(request(id="9", page=types_pb2.Page(size=2)))
    second = await statements.ListEntries(request(id="9", page=types_pb2.Page(size=2, token=first.next_page_token)))
    assert [entry.position for entry in (*first.entries, *second.entries)] == [1, 2, 3]
    assert second.next_page_token == ""
    code, _ = await refused(statements.ListEntries(request(id="9", page=types_pb2.Page(token="x"))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_replay_shows_changes_problems_and_the_end_of_each_file(channel: grpc.aio.Channel, gateway: Operations) -> None:
    requests = [
        replay_pb2.ReplayRequest(connection_id="house", name="a.xml", chunk=b"1"),
        replay_pb2.ReplayRequest(chunk=b"2"),
        replay_pb2.ReplayRequest(name="b.xml", chunk=b"3"),
    ]
    answers = [answer async for answer in replay_pb2_grpc.ReplayServiceStub(channel).Replay(iter(requests))]
    assert gateway.replayed == [("a.xml", b"1"), ("a.xml", b"2"), ("b.xml", b"3")]
    assert [answer.WhichOneof("result") for answer in answers] == ["change", "change", "change", "problem", "file"]
    change = answers[0].change
    assert (getattr(change, "from"), change.to) == (types_pb2.PAYMENT_STATE_SENT, types_pb2.PAYMENT_STATE_SETTLED)
    assert not answers[-1].file.committed


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "connection_id"),
        ([replay_pb2.ReplayRequest(name="a", chunk=b"1")], "connection_id"),
        ([replay_pb2.ReplayRequest(connection_id="house", chunk=b"1")], "name"),
        ([replay_pb2.ReplayRequest(connection_id="house", name="a", chunk=b"1" * (1 << 21))], "chunk"),
        (
            [
                replay_pb2.ReplayRequest(connection_id="house", name="a"),
                replay_pb2.ReplayRequest(connection_id="other", name="b"),
            ],
            "connection_id",
        ),
    ],
)
async def test_a_replay_that_is_not_put_right_names_the_argument(channel: grpc.aio.Channel, requests: Any, field: str) -> None:
    call = replay_pb2_grpc.ReplayServiceStub(channel).Replay(iter(requests))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [answer async for answer in call]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(caught.value.details()).startswith(field)


async def test_a_replay_that_goes_quiet_gives_its_place_to_others(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.rpc.replay.QUIET_SECONDS", 0.01)
    call = replay_pb2_grpc.ReplayServiceStub(channel).Replay()
    await call.write(replay_pb2.ReplayRequest(connection_id="house", name="a.xml", chunk=b"1"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [answer async for answer in call]
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "nothing came for" in str(caught.value.details())


async def test_a_file_that_its_sender_gives_up_arrives_as_given_up(channel: grpc.aio.Channel, gateway: Operations) -> None:
    requests = [
        replay_pb2.ReplayRequest(connection_id="house", name="a.xml", chunk=b"1"),
        replay_pb2.ReplayRequest(abandoned=True),
        replay_pb2.ReplayRequest(name="b.xml", chunk=b"3"),
    ]
    [answer async for answer in replay_pb2_grpc.ReplayServiceStub(channel).Replay(iter(requests))]
    assert gateway.replayed == [("a.xml", b"1"), ("a.xml", None), ("b.xml", b"3")]
