"""What `serve` and `worker` may do in the database, tried with real roles: all their work, and nothing beyond it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest

from gateway.audit.record import AuditRecord
from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.people.person import Role
from gateway.people.records import Account, Opening
from gateway.policy.chain import Choice
from gateway.policy.known import UsageKey
from gateway.store.groups import GroupAct, GroupNotOpen
from gateway.store.people import AccountChange, IdTokenUse
from gateway.store.plans import NewOccurrence, OccurrenceState, PlanKey, PlanKind, PlanState, PlanWrite
from gateway.store.postgres.connection import Database
from gateway.store.postgres.grants import statements
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.status import status
from gateway.store.postgres.store import PostgresStore
from gateway.store.recalls import NewRecall, RecallAnswer, RecallState
from gateway.store.records import DeliveryFilter, PaymentChange, PaymentFilter, Reason
from gateway.store.serials import SerialAsk, SerialNote
from gateway.store.store import Stale, StoreUnavailable
from tests.store.support.make import (
    CONNECTION,
    START,
    HandClock,
    discrepancy,
    feed,
    formed,
    moved,
    new_delivery,
    seal_events,
    sent,
    waiting,
)
from tests.store.support.released import check, document, fill
from tests.store.test_reviews import HELD, decided, judge_all
from tests.store.test_screening_rows import SIGNED, clearance
from tests.support.postgres import Cluster


@dataclass
class Roles:
    cluster: Cluster
    name: str

    def url(self, role: str) -> str:
        return self.cluster.url(self.name, user=role)


@pytest.fixture
def roles(postgres: Cluster, database: Database, clock: HandClock) -> Iterator[Roles]:
    """Two roles with the rights that are printed; the tables and partitions are the owner's."""
    name = database.url.rpartition("/")[2]

    async def make_partitions() -> None:
        store = PostgresStore(database, clock=clock)
        await store.open()
        await store.close()

    asyncio.run(make_partitions())
    for role in ("t_serve", "t_worker"):
        postgres.execute(f"CREATE ROLE {role} LOGIN")
    for _ in range(2):
        for statement in statements(serve="t_serve", worker="t_worker"):
            postgres.execute(statement, database=name)
    yield Roles(postgres, name)
    for role in ("t_serve", "t_worker"):
        postgres.execute(f"DROP OWNED BY {role}", database=name)
        postgres.execute(f"DROP ROLE {role}")


@pytest.fixture
async def serve(roles: Roles, clock: HandClock) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(Database(url=roles.url("t_serve")), clock=clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def worker(roles: Roles, clock: HandClock) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(Database(url=roles.url("t_worker")), clock=clock)
    await store.open()
    yield store
    await store.close()


async def test_the_worker_can_do_all_its_work(worker: PostgresStore, clock: HandClock) -> None:
    await fill(worker, clock)
    await check(worker)


async def test_serve_can_do_all_its_work(worker: PostgresStore, serve: PostgresStore, clock: HandClock) -> None:
    new = await waiting(serve, 2)
    assert [row.payment_id for row in await feed(serve)] == [row.payment_id for row in new]
    assert len((await serve.list_payments(PaymentFilter(), limit=9))[0]) == 2
    await worker.add_discrepancies([discrepancy("one")])
    await serve.resolve_discrepancy(1, "person: ada", "looked at")
    delivery = await moved(worker, await formed(worker, 1, "1"), DeliveryEvent.STARTED, lease_until=clock())
    delivery = await moved(worker, delivery, DeliveryEvent.LOST_TRACK)
    await moved(serve, delivery, DeliveryEvent.FOUND, payment_event=PaymentEvent.MESSAGE_SENT)
    assert [row.state.value for row in (await serve.list_deliveries(DeliveryFilter(), limit=9))[0]] == ["sent"]
    kept = await document(serve, "inbound", b"<camt/>" * 300_000)
    file, _ = await serve.keep_inbound(CONNECTION, "stm.xml", *kept)
    assert await asyncio.to_thread(lambda: serve.open_document(file.document_id).read()) == b"<camt/>" * 300_000
    await serve.finish_inbound(file.inbound_file_id, state="stored")
    assert (await serve.health(CONNECTION)).open_discrepancies == 0


@pytest.mark.parametrize("role", ["t_serve", "t_worker"])
def test_both_roles_see_how_the_database_stands_also_in_months_made_later(roles: Roles, role: str, database: Database) -> None:
    """The owner makes them, and nobody grants them anything."""
    with psycopg.connect(database.url) as db:
        for table in ("payments", "transfers", "events"):
            first, end = 720 << 40, 721 << 40
            db.execute(f"CREATE TABLE {table}_203001 PARTITION OF {table} FOR VALUES FROM ({first}) TO ({end})")
    found = status(roles.url(role), {})
    assert [row["month"] for row in found["months"]][-1] == "2030-01"


def test_an_error_of_the_server_is_told_in_plain_words(roles: Roles) -> None:
    with pytest.raises(StoreUnavailable, match=r'up to date: connection failed.*role "nobody_at_all" does not exist$'):
        migrate(roles.url("nobody_at_all"))


async def test_the_worker_gives_serial_numbers_and_serve_finds_payments_by_them(
    worker: PostgresStore, serve: PostgresStore, clock: HandClock
) -> None:
    delivery = await formed(worker, 1, "1")
    (payment,) = (await worker.list_payments(PaymentFilter(), limit=9))[0]
    await worker.give_serials(delivery.delivery_id, delivery.fence, [(payment.payment_id, "S1")], "P1")
    await moved(worker, delivery, DeliveryEvent.STARTED)
    await worker.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=clock(), bank_reference="B1")])
    assert await serve.named_by_serial(CONNECTION, ["S1"]) == {"S1": payment.payment_id}
    assert await serve.serials_of(delivery.delivery_id) == await worker.serials_of(delivery.delivery_id)
    await serve.note_serials(CONNECTION, [SerialNote(serial="S1", bank_reference="B2", returned_line="L1")])
    (one,) = await serve.serials_of(delivery.delivery_id)
    assert one.bank_reference == "B2", "replay --commit notes what the bank's files say"


async def test_the_worker_judges_and_serve_writes_what_people_decide_and_changes_neither(
    worker: PostgresStore, serve: PostgresStore, roles: Roles
) -> None:
    (new,) = await waiting(serve, 1, state=PaymentState.RECEIVED)
    await judge_all(worker, [new], PaymentEvent.REQUIRE_APPROVAL, verdict=HELD)
    await worker.finish_rules(1, "rules")
    await serve.decide(decided(new, Choice.APPROVE))
    found = await serve.review(new.payment_id)
    assert found is not None
    assert [one.decision.person.name for one in found.signed] == ["ada"]
    with pytest.raises(StoreUnavailable, match="permission denied"):
        await judge_all(serve, [new])
    for attack in (
        "UPDATE reviews SET findings = '[]'",
        "UPDATE reviews SET digest = ''",
        "INSERT INTO reviews SELECT * FROM reviews",
        "DELETE FROM reviews",
        "UPDATE approvals SET person = 'bo'",
        "DELETE FROM approvals",
        "UPDATE review_book SET rules = ''",
    ):
        with psycopg.connect(roles.url("t_serve")) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(attack)


async def test_serve_writes_clearances_and_cancels_and_changes_neither_sums_nor_clearances(
    worker: PostgresStore, serve: PostgresStore, roles: Roles
) -> None:
    (new,) = await waiting(serve, 1, state=PaymentState.RECEIVED)
    await judge_all(worker, [new], PaymentEvent.REQUIRE_APPROVAL, verdict=HELD)
    await serve.clear_hits([clearance(1)], [])
    await serve.revoke_clearance("c1", SIGNED, [])
    assert await serve.clearances_stamp() == await worker.clearances_stamp() == "1.1"
    day = UsageKey(since=START - timedelta(days=1), until=START + timedelta(days=1))
    assert (await serve.used([day]))[day].count == 1
    reason = Reason(code="bankgate.cancelled")
    change = {"event": PaymentEvent.CANCEL, "state": PaymentState.CANCELLED, "reason": reason, "source": "caller"}
    await serve.change_payments([PaymentChange(payment_id=new.payment_id, version=2, **change)], [])  # type: ignore[arg-type]
    assert (await serve.used([day]))[day].count == 0, "serve moves payments, and whether they count moves with them"
    for role in ("t_serve", "t_worker"):
        for attack in (
            "UPDATE screening_clearances SET valid_until = '2099-12-31'",
            "DELETE FROM screening_clearances",
            "DELETE FROM screening_revocations",
            *(("UPDATE review_totals SET payments = 0", "DELETE FROM screening_lists") if role == "t_serve" else ()),
        ):
            with psycopg.connect(roles.url(role)) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(attack)


async def test_serve_keeps_plans_and_asks_for_recalls_and_the_worker_makes_something_of_them(
    worker: PostgresStore, serve: PostgresStore, clock: HandClock
) -> None:
    order = PlanKey(kind=PlanKind.STANDING_ORDER, caller="erp", plan_id="o")
    write = PlanWrite(key=order, state=PlanState.ACTIVE, content="1", changed_by="caller: erp", words=("w",), look_at=clock())
    for content in ("1", "2"):
        plan = await serve.put_plan(replace(write, content=content, words=(content,)))
    await serve.use_plan(order)
    due = NewOccurrence(
        key=order, version=plan.version, due_date=clock().date(), state=OccurrenceState.SKIPPED, payment_reference="o/1"
    )
    await worker.record_occurrence(due)
    assert len((await serve.occurrences(order, limit=9))[0]) == 1
    await sent(worker, 1)
    (payment,) = (await serve.list_payments(PaymentFilter(), limit=9))[0]
    asked = NewRecall(
        recall_id="R1",
        payment_id=payment.payment_id,
        connection_id=CONNECTION,
        reason="DUPL",
        note="",
        requested_by="caller: erp",
    )
    await serve.request_recall(asked)
    assert await worker.form_recall("R1", new_delivery(name="c1")) is not None
    said = RecallAnswer(recall_id="R1", state=RecallState.ACCEPTED, status="ACCR", reason=Reason(), source="camt.029")
    assert await serve.answer_recall(said, Reason()), "as `replay --commit` does"


async def test_serve_fills_and_closes_groups_and_the_worker_alone_releases_one(
    worker: PostgresStore, serve: PostgresStore, roles: Roles
) -> None:
    new = await waiting(serve, 2, release_group="G")
    await waiting(serve, 1, release_group="H")
    (other, group), _ = await serve.release_groups(limit=9)
    await serve.cancel_group(other.group_id, GroupAct(by="caller: erp"), Reason())
    found = await serve.release_group(group.group_id)
    assert found is not None
    assert found.submitted is not None
    await serve.close_group(group.group_id, found.submitted, GroupAct(by="caller: erp"))
    with psycopg.connect(roles.url("t_serve")) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("UPDATE release_groups SET state = 'released'")
    (ready,) = await serve.groups_to_release(CONNECTION)
    with pytest.raises(StoreUnavailable, match="row-level security"):
        await serve.free_group(ready.group_id, ready.version, GroupAct(by="serve"), Reason())
    await worker.free_group(ready.group_id, ready.version, GroupAct(by="gateway"), Reason())
    with pytest.raises(GroupNotOpen):
        await waiting(serve, 1, release_group="G")
    payment = await serve.payment(new[0].payment_id)
    assert payment is not None
    assert payment.group is not None
    assert not payment.group.waits


async def test_serve_reads_no_bytes_of_messages_to_banks(worker: PostgresStore, serve: PostgresStore) -> None:
    document_id, _, _ = await document(worker, "sealed", b"<sealed/>")
    assert await asyncio.to_thread(lambda: worker.open_document(document_id).read()) == b"<sealed/>"
    with pytest.raises(Exception, match="lost its chunk"):
        await asyncio.to_thread(lambda: serve.open_document(document_id).read())


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE deliveries SET document_id = 1",
        "UPDATE deliveries SET file_name = 'other.xml'",
        "UPDATE deliveries SET connection_id = 'bank-b'",
        "INSERT INTO documents (kind, owner, created_at) VALUES ('sealed', '1', now())",
        "INSERT INTO chunks SELECT document_id, 99, 'x' FROM documents WHERE kind = 'sealed'",
        "DELETE FROM events",
        "DELETE FROM payments",
        "DELETE FROM payment_keys",
        "UPDATE payment_keys SET caller = 'other'",
        "UPDATE events SET state = 'settled'",
        "DELETE FROM evidence",
        "UPDATE deliveries SET package = '1'",
        "UPDATE serial_numbers SET serial = '1'",
        "DELETE FROM serial_numbers",
        "UPDATE payee_checks SET result = 'match'",
        "DELETE FROM payee_checks",
        "DELETE FROM plans",
        "UPDATE plan_versions SET content = 'x'",
        "INSERT INTO plan_occurrences VALUES (1, '2026-12-01', 'submitted', 'r', NULL, '', now())",
        "UPDATE recalls SET delivery_id = 'other'",
        "UPDATE recalls SET payment_id = 'other'",
        "UPDATE terms SET content = 'x'",
        "UPDATE archives SET manifest_sha256 = ''",
        "UPDATE bankgate_schema SET version_num = '9'",
        "DROP TABLE payments",
        "CREATE TABLE more (n integer)",
        "ALTER TABLE chunks DISABLE ROW LEVEL SECURITY",
        "UPDATE audit_log SET actor = NULL, address = NULL, factor = NULL, who_salt = NULL",
        "DELETE FROM audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "INSERT INTO audit_checkpoints (size, made_at, content, frontier) VALUES (1, now(), '', '')",
    ],
)
async def test_serve_cannot_change_what_goes_to_a_bank_nor_what_happened(
    worker: PostgresStore, roles: Roles, attack: str
) -> None:
    ready = await formed(worker, 1, "1")
    await worker.attach_document(ready.delivery_id, ready.fence, *await document(worker, "sealed", b"<sealed/>"))
    with psycopg.connect(roles.url("t_serve")) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(attack)


@pytest.mark.parametrize("harmless", ["UPDATE chunks SET content = 'x'", "DELETE FROM chunks", "DELETE FROM documents"])
async def test_what_serve_does_to_documents_reaches_bank_files_only(worker: PostgresStore, roles: Roles, harmless: str) -> None:
    sealed, _, _ = await document(worker, "sealed", b"<sealed/>")
    with psycopg.connect(roles.url("t_serve")) as db:
        db.execute(harmless)
    assert await asyncio.to_thread(lambda: worker.open_document(sealed).read()) == b"<sealed/>"


async def test_serve_sees_where_onboarding_stands_and_nothing_else_that_channels_remember(
    worker: PostgresStore, serve: PostgresStore
) -> None:
    assert await worker.put_channel_note("bank/upload/1", "a transaction key", was=None)
    assert await worker.put_channel_note("bank/subscription", "ready", was=None)
    assert await serve.channel_note("bank/subscription") == "ready"
    assert await serve.channel_note("bank/upload/1") is None
    with pytest.raises(Exception, match=r"permission denied|not be written"):
        await serve.put_channel_note("bank/subscription", "other", was="ready")
    assert await worker.channel_note("bank/subscription") == "ready"


async def test_both_write_the_audit_log_and_neither_changes_it(worker: PostgresStore, serve: PostgresStore, roles: Roles) -> None:
    for store in (worker, serve):
        await store.audit([AuditRecord(action="process.started", actor="bankgate", object_kind="process", object_id="serve")])
    assert [row.number for row in await serve.audit_rows(0, 9)] == [1, 2]
    attacks = (
        "UPDATE audit_log SET actor = NULL, address = NULL, factor = NULL, who_salt = NULL",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DELETE FROM audit_checkpoints",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    )
    only_serve = "INSERT INTO audit_checkpoints (size, made_at, content, frontier) VALUES (1, now(), '', '')"
    for role, attack in [("t_serve", only_serve), *((role, attack) for role in ("t_serve", "t_worker") for attack in attacks)]:
        with psycopg.connect(roles.url(role)) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(attack)


async def test_serve_counts_the_day_of_callers_and_uses_id_tokens_up(serve: PostgresStore, clock: HandClock) -> None:
    for _ in range(2):
        await serve.take_quota("erp", clock().date(), needed=1, wanted=5, most=100)
    await serve.give_back_quota("erp", clock().date(), 1)
    use = IdTokenUse(name="li", token_sha256="t1", expires_at=clock() + timedelta(minutes=1))
    await serve.use_id_token(use)
    with pytest.raises(Stale):
        await serve.use_id_token(use)


async def test_the_worker_seals_events_and_nobody_but_the_owner_lets_lines_go(
    worker: PostgresStore, serve: PostgresStore, roles: Roles, database: Database
) -> None:
    await sent(worker, 1)
    assert await seal_events(worker) == 6
    await waiting(serve, 1)
    with pytest.raises(StoreUnavailable, match="permission denied"):
        await seal_events(serve)
    attacks = (
        "UPDATE events SET state = 'settled'",
        "DELETE FROM events",
        "UPDATE delivery_events SET state = 'sent'",
        "DELETE FROM delivery_events",
        "UPDATE event_seals SET leaves = ''",
        "DELETE FROM event_seals",
        "INSERT INTO audit_anchors VALUES (1, '', '', now())",
        "DELETE FROM audit_log",
        "ALTER TABLE events DISABLE TRIGGER ALL",
    )
    with psycopg.connect(database.url) as db:
        (partition,) = db.execute("SELECT DISTINCT tableoid::regclass::text FROM events").fetchall()
    for role in ("t_serve", "t_worker"):
        for attack in (*attacks, f"DELETE FROM {partition[0]}", f"UPDATE {partition[0]} SET state = 'settled'"):
            with psycopg.connect(roles.url(role)) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(attack)  # type: ignore[call-overload]  # a text of this test


async def test_serve_keeps_people_and_can_neither_open_a_sealed_account_nor_forget_one(
    worker: PostgresStore, serve: PostgresStore, roles: Roles, clock: HandClock
) -> None:
    account = Account(name="emergency", roles=frozenset({Role.OPERATOR}), sealed=True, created_at=clock(), updated_at=clock())
    await serve.change_account(AccountChange(account=account, was=None))
    opening = Opening(
        opening_id="o1",
        name="emergency",
        opened_by="machine",
        reason="fire",
        opened_at=clock(),
        open_until=clock.advance(hours=1),
    )
    with pytest.raises(StoreUnavailable, match="permission denied"):
        await serve.open_sealed(opening)
    await worker.open_sealed(opening)
    await serve.review_opening("o1", "ada", "looked at it")
    for attack in (
        "UPDATE people_openings SET open_until = now() + interval '9 days'",
        "DELETE FROM people_openings",
        "DELETE FROM people",
        "TRUNCATE people_factors",
    ):
        with psycopg.connect(roles.url("t_serve")) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(attack)
