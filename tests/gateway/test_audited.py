"""What use cases, the door and starting processes write into the audit log."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.audit.checkpoint import Checkpoint, claim_of
from gateway.audit.merkle import root_of
from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.checkpoints import Checkpointer
from gateway.config import AuditSettings, Configuration
from gateway.errors import Forbidden, TooLate
from gateway.lifecycle import DeliveryEvent
from gateway.refused_calls import NOBODY, RefusedCalls
from gateway.service import Gateway
from gateway.store.audit import AuditFilter
from gateway.store.sqlite import SqliteStore
from gateway.store.store import StoreUnavailable
from gateway.telemetry import Metrics
from gateway.worker import Worker
from tests.store.support.make import CALLER, HandClock, discrepancy, formed, moved, waiting

ADA = Caller("ada", ("*",), frozenset({"operate", "audit"}), address="192.0.2.7")
ERP = Caller(CALLER, ("*",), frozenset({"read", "cancel"}))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", clock=clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def gateway(store: SqliteStore, clock: HandClock, tmp_path: Path) -> Gateway:
    return Gateway(Configuration(directory=tmp_path), store, clock=clock, metrics=Metrics())


async def lines(store: SqliteStore) -> list[tuple[str, str, str, str]]:
    return [
        (row.action, row.actor or "", row.object_kind, row.object_id or "")
        for row in reversed((await store.list_audit(AuditFilter(), limit=99))[0])
    ]


async def test_a_cancellation_stands_in_the_log_once_with_its_reason(gateway: Gateway, store: SqliteStore) -> None:
    (new,) = await waiting(store, 1)
    for _ in range(2):
        await gateway.cancel(ERP, payment_id=new.payment_id, reason="asked for twice")
    assert await lines(store) == [("payment.cancelled", f"caller: {CALLER}", "payment", new.payment_id)]
    (row,) = await store.audit_rows(0, 9)
    assert json.loads(row.detail or "") == {"reason": "asked for twice"}


async def test_a_decision_stands_in_the_log_with_who_and_from_where_and_a_late_one_does_not(
    gateway: Gateway, store: SqliteStore
) -> None:
    delivery = await moved(store, await formed(store, 1, "1"), DeliveryEvent.STARTED)
    delivery = await moved(store, delivery, DeliveryEvent.LOST_TRACK)
    await gateway.resolve_delivery(ADA, delivery.delivery_id, True, "the bank's hotline says so")
    with pytest.raises(TooLate):
        await gateway.resolve_delivery(ADA, delivery.delivery_id, True, "the bank's hotline says so")
    await store.add_discrepancies([discrepancy("one")])
    await gateway.resolve_discrepancy(ADA, 1, "looked at by hand")
    with pytest.raises(TooLate):
        await gateway.resolve_discrepancy(ADA, 1, "looked at by hand")
    assert await lines(store) == [
        ("delivery.resolved", "caller: ada", "delivery", delivery.delivery_id),
        ("discrepancy.resolved", "caller: ada", "discrepancy", "1"),
    ]
    assert {row.address for row in await store.audit_rows(0, 9)} == {"192.0.2.7"}


async def test_the_log_is_masked_unless_asked_for_whole_and_asking_is_written_down(gateway: Gateway, store: SqliteStore) -> None:
    person = AuditRecord(action="person.changed", actor="person: li.wei", object_kind="person", object_id="ada", detail='{"a":1}')
    await store.audit([person])
    rows, _ = await gateway.list_audit(ADA, AuditFilter(), 9, None, personal=False)
    assert [(row.actor, row.object_id, row.detail) for row in rows] == [(None, None, None)]
    rows, _ = await gateway.list_audit(ADA, AuditFilter(action="person"), 9, None, personal=True)
    assert [(row.actor, row.object_id) for row in rows] == [("person: li.wei", "ada")]
    assert (await lines(store))[-1][0] == "audit.read"
    for nobody in (ERP, Caller("ada", ("one",), frozenset({"audit"}))):
        with pytest.raises(Forbidden):
            await gateway.list_audit(nobody, AuditFilter(), 9, None, personal=False)


async def test_a_flood_of_refused_calls_is_one_line_a_caller_and_minute(store: SqliteStore, clock: HandClock) -> None:
    refused = RefusedCalls(store, clock)
    for _ in range(1_000):
        await refused.note("erp", "192.0.2.7", "PaymentServicer.CancelPayment", "may not")
        await refused.note(NOBODY, "192.0.2.8", "PaymentServicer.GetPayment", "no certificate")
    clock.advance(minutes=1)
    await refused.note("erp", "192.0.2.9", "PaymentServicer.GetPayment", "may not")
    await refused.finish()
    await refused.finish()
    rows = await store.audit_rows(0, 99)
    told = [(row.actor, row.address, json.loads(row.detail or "")["more_since_the_last_line"]) for row in rows]
    assert told == [
        ("caller: erp", "192.0.2.7", 0),
        ("nobody known", "192.0.2.8", 0),
        ("caller: erp", "192.0.2.9", 999),
        ("nobody known", "", 999),
    ]
    assert {row.outcome for row in rows} == {"refused"}


async def test_a_store_that_cannot_be_written_leaves_a_refusal_what_it_is(clock: HandClock) -> None:
    class Full:
        async def audit(self, records: list[AuditRecord]) -> None:
            raise StoreUnavailable("the disk is full")

    await RefusedCalls(Full(), clock).note("erp", "", "m", "w")


async def test_checkpoints_come_after_so_many_lines_or_so_long_and_go_on_from_one_another(
    store: SqliteStore, clock: HandClock
) -> None:
    line = AuditRecord(action="a", actor="b", object_kind="c", object_id="d")
    settings = AuditSettings(checkpoint_rows=3, checkpoint_seconds=600)
    checkpointer = Checkpointer(store, settings, clock, None)

    async def made() -> int | None:
        found = await checkpointer.make_if_due()
        return None if found is None else found.size

    assert (await made(), await checkpointer.make()) == (None, None)
    await store.audit([line, line])
    assert await made() is None
    await store.audit([line])
    assert (await made(), await made()) == (3, None)
    await store.audit([line])
    clock.advance(minutes=9)
    assert await made() is None
    clock.advance(minutes=1)
    assert await made() == 4
    await store.audit([line] * 7)
    found = await checkpointer.make()
    assert isinstance(found, Checkpoint)
    assert await checkpointer.make() == found, "there is nothing new"
    rows = await store.audit_rows(0, 99)
    claim = claim_of(found.content)
    assert (claim.size, claim.root) == (11, root_of([row.hash for row in rows]).hex())
    assert (claim.log, claim.head) == (rows[0].hash.hex(), rows[-1].hash.hex())
    assert found.made_at - rows[0].occurred_at == timedelta(minutes=10)


async def test_the_worker_seals_what_has_waited_and_covers_the_line_with_its_checkpoint(
    store: SqliteStore, clock: HandClock, tmp_path: Path
) -> None:
    settings = AuditSettings(checkpoint_rows=1, seal_seconds=300)
    metrics = Metrics()
    worker = Worker(Configuration(directory=tmp_path, audit=settings), store, now=clock, measures=metrics)
    try:
        await waiting(store, 2)
        clock.advance(seconds=60)
        await worker.make_checkpoint()
        waited = {"stream": "payment_events"}
        assert metrics.registry.get_sample_value("bankgate_audit_unsealed_seconds", waited) == 60
        assert await lines(store) == []
        clock.advance(seconds=240)
        await worker.make_checkpoint()
        assert metrics.registry.get_sample_value("bankgate_audit_unsealed_seconds", waited) == 0
        assert await lines(store) == [("events.sealed", "bankgate", "event_seal", "payment_events:1")]
        made = await store.last_checkpoint()
        assert made is not None
        assert made.size == 1
    finally:
        await worker.close()
