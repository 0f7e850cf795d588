"""Several stores over one PostgreSQL at once, and a server that goes away: nothing twice, nothing lost, no wrong answer."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.postgres import writer
from gateway.store.postgres.connection import Database
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.store import PostgresStore
from gateway.store.postgres.writer import Tx
from gateway.store.records import PaymentChange, PaymentFilter, PlannedBlock, Reason
from gateway.store.store import OutcomeUnknown, Stale, Store, StoreUnavailable
from tests.store.support.make import (
    CALLER,
    CONNECTION,
    HandClock,
    change,
    feed,
    formed,
    new_delivery,
    payment,
    payments,
    waiting,
)
from tests.store.support.postgres import connections, eventually
from tests.support.postgres import Cluster

LONG = timedelta(seconds=20)
ROOT = Path(__file__).resolve().parents[2]
Another = Callable[[], Awaitable[PostgresStore]]


@pytest.fixture
def kind() -> str:
    return "postgres"


# -- several at once ---------------------------------------------------------------------------------------------------


async def test_of_stores_that_submit_the_same_references_one_stores_each(another: Another) -> None:
    """In opposite orders, ten at a time, so that they meet in the middle and wait for each other."""
    stores = [await another() for _ in range(3)]
    names = [f"r{number}" for number in range(60)]
    orders = [names, names[::-1], names[30:] + names[:30]]
    calls = [
        (store, [payment(name) for name in order[start : start + 10]])
        for store, order in zip(stores, orders, strict=True)
        for start in range(0, 60, 10)
    ]
    results = await asyncio.gather(*(store.submit(call) for store, call in calls))
    stored: Counter[str] = Counter()
    for (_, call), result in zip(calls, results, strict=True):
        assert result.stored
        for new, known in zip(call, result.known, strict=True):
            if known is None:
                stored[new.payment_reference] += 1
    assert stored == Counter(names)
    there = await stores[0].payments_by_reference(CALLER, names)
    for (_, call), result in zip(calls, results, strict=True):
        for new, known in zip(call, result.known, strict=True):
            told = new.payment_id if known is None else known.payment_id
            assert there[new.payment_reference].payment_id == told, "everybody hears of the one that is there"
    assert len(await feed(stores[1])) == 60


async def test_stores_that_form_at_once_take_each_payment_once(another: Another) -> None:
    stores = [await another() for _ in range(3)]
    new = await waiting(stores[0], 90)
    (group,) = await stores[0].waiting_groups(CONNECTION)
    block = PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=20)
    found = []
    for turn in range(4):
        found += await asyncio.gather(
            *(store.form_delivery(new_delivery(block, name=f"{turn}-{index}")) for index, store in enumerate(stores))
        )
    formed_ = [delivery for delivery in found if delivery is not None]
    taken = [
        transfer.instruction_id
        for delivery in formed_
        for transfer in await asyncio.to_thread(lambda each=delivery: list(stores[0].delivery_transfers(each.delivery_id, "B1")))
    ]
    assert sorted(taken) == sorted(item.payment_id for item in new)
    assert sum(delivery.payment_count for delivery in formed_) == 90
    assert await stores[1].count_payments(PaymentFilter()) == {PaymentState.BATCHED: 90}
    batched = [event.payment_id for event in await feed(stores[2]) if event.state is PaymentState.BATCHED]
    assert sorted(batched) == sorted(taken)


async def test_of_stores_that_start_the_same_message_one_may_send(another: Another) -> None:
    stores = [await another() for _ in range(4)]
    for name in "abcde":
        ready = await formed(stores[0], 1, name)
        results = await asyncio.gather(
            *(store.change_delivery(change(ready, DeliveryEvent.STARTED)) for store in stores), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["Delivery", "Stale", "Stale", "Stale"]
        assert len(await stores[1].attempts(ready.delivery_id)) == 1
        assert [row.event for row in await stores[2].delivery_events(ready.delivery_id)] == ["formed", "started"]


async def test_of_stores_that_change_the_same_payment_one_does(another: Another) -> None:
    stores = [await another() for _ in range(3)]
    (new,) = await waiting(stores[0], 1)
    cancel = PaymentChange(
        payment_id=new.payment_id,
        version=1,
        event=PaymentEvent.CANCEL,
        state=PaymentState.CANCELLED,
        reason=Reason(code="x"),
        source="caller",
    )
    results = await asyncio.gather(*(store.change_payments([cancel]) for store in stores), return_exceptions=True)
    assert Counter(type(result) for result in results) == {type(None): 1, Stale: 2}
    assert [event.state for event in await feed(stores[0])] == [PaymentState.APPROVED, PaymentState.CANCELLED]


async def test_a_payment_is_never_taken_into_a_message_and_cancelled_as_well(another: Another) -> None:
    here, there = await another(), await another()
    for turn in range(10):
        (new,) = await waiting(here, 1)
        (group,) = await here.waiting_groups(CONNECTION)
        cancel = PaymentChange(
            payment_id=new.payment_id,
            version=1,
            event=PaymentEvent.CANCEL,
            state=PaymentState.CANCELLED,
            reason=Reason(code="x"),
            source="caller",
        )
        block = PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=9)
        delivery, cancelled = await asyncio.gather(
            here.form_delivery(new_delivery(block, name=str(turn))), there.change_payments([cancel]), return_exceptions=True
        )
        assert (delivery is None) is (cancelled is None), "exactly one of them got it"


async def test_two_transactions_that_wait_for_each_other_both_succeed(another: Another) -> None:
    """The server breaks off one of them; its operations are run again, and its callers never hear of it."""
    stores = [await another() for _ in range(2)]
    for name in ("a", "b"):
        await stores[0].note_fetch(name, None)
    meeting = threading.Barrier(2, timeout=20)
    runs: Counter[int] = Counter()

    def crossing(index: int, first: str, second: str) -> Callable[[Tx], Awaitable[None]]:
        async def operation(tx: Tx) -> None:
            runs[index] += 1
            update = "UPDATE connections SET last_problem = coalesce(last_problem, '') || $2 WHERE connection_id = $1"
            await tx.connection.execute(update, first, str(index))
            if runs[index] == 1:
                await asyncio.to_thread(meeting.wait)
            await tx.connection.execute(update, second, str(index))

        return operation

    await asyncio.gather(
        stores[0]._write(crossing(0, "a", "b")),
        stores[1]._write(crossing(1, "b", "a")),
    )
    # The one that is run again may meet the other once more, before that has ended.
    assert sum(runs.values()) > 2, "one of them was broken off, and ran again"
    for name in ("a", "b"):
        assert sorted((await stores[0].health(name)).last_problem or "") == ["0", "1"]


PROCESS = """
import asyncio, sys
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from tests.store.support.make import payment

async def main(url, mark, count):
    store = PostgresStore(Database(url=url))
    await store.open()
    for start in range(0, int(count), 5):
        call = [payment(f"shared-{n}", payment_id=f"{mark}-{n:028}") for n in range(start, start + 5)]
        result = await store.submit(call)
        for new, known in zip(call, result.known):
            print(new.payment_reference, new.payment_id if known is None else known.payment_id, flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def process(database: Database, mark: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROCESS, database.url, f"{mark}aa", "300"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_processes_that_submit_the_same_lose_and_double_nothing_though_one_is_killed(
    another: Another, database: Database
) -> None:
    store = await another()
    running = [process(database, mark) for mark in "pqr"]
    try:
        first = running[0].stdout
        assert first is not None
        for _ in range(60):
            await asyncio.to_thread(first.readline)
        os.kill(running[0].pid, signal.SIGKILL)
        outputs = await asyncio.gather(*(asyncio.to_thread(each.communicate) for each in running))
    finally:
        for each in running:
            each.kill()
    assert [each.returncode for each in running] == [-signal.SIGKILL, 0, 0]
    there = await store.payments_by_reference(CALLER, [f"shared-{number}" for number in range(300)])
    assert len(there) == 300
    for output, _ in outputs:
        for line in output.splitlines():
            if line.count(" ") == 1:
                reference, payment_id = line.split(" ")
                assert there[reference].payment_id == payment_id
    assert Counter(event.payment_id for event in await feed(store)) == Counter(item.payment_id for item in there.values())


# -- a server that goes away -------------------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture
async def own(own_server: Cluster, clock: HandClock) -> Any:
    name = own_server.create_database()
    migrate(own_server.url(name))
    store = PostgresStore(Database(url=own_server.url(name)), clock=clock)
    await store.open()
    yield store
    await store.close()


WRITERS_SESSION = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'bankgate' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


async def test_a_session_ended_before_the_commit_applied_nothing_and_says_so(another: Another, database: Database) -> None:
    store = await another()

    async def operation(tx: Tx) -> None:
        await tx.connection.execute("INSERT INTO connections (connection_id) VALUES ('half')")
        await tx.connection.execute("SELECT pg_sleep(60)")

    async with connections(database, 1) as (outsider,):
        call = asyncio.create_task(store._write(operation))
        pid = await eventually(lambda: outsider.fetchval(f"{WRITERS_SESSION} AND wait_event = 'PgSleep'"))
        await outsider.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(StoreUnavailable) as told:
            await call
        assert not isinstance(told.value, OutcomeUnknown)
        assert await outsider.fetchval("SELECT count(*) FROM connections") == 0
    assert (await store.submit([payment()])).stored, "and the next call goes on"


async def test_a_session_ended_in_the_middle_of_its_commit_answers_by_what_became_of_it(
    own: PostgresStore, own_server: Cluster
) -> None:
    """The commit waits for a standby that is not there, and the session is ended while it waits: PostgreSQL has committed by
    then, and the client never hears of it. Whoever believes the broken connection would pay a second time."""
    new = payment()
    outsider = await asyncpg.connect(own.database.url)
    try:
        await outsider.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await outsider.execute("SELECT pg_reload_conf()")
        await eventually(lambda: outsider.fetchval("SELECT current_setting('synchronous_standby_names') = 'nobody'"))
        call = asyncio.create_task(own.submit([new]))
        pid = await eventually(lambda: outsider.fetchval(f"{WRITERS_SESSION} AND wait_event = 'SyncRep'"))
        await outsider.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await outsider.execute("SELECT pg_terminate_backend($1)", pid)
        await outsider.execute("SELECT pg_reload_conf()")
        result = await call
    finally:
        await outsider.close()
    assert result.known == (None,)
    assert await own.payment(new.payment_id) is not None
    assert len(await feed(own)) == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_an_answer_that_is_lost_on_the_way_is_found_out(own: PostgresStore, committed: bool) -> None:
    """The connection breaks just before COMMIT arrives, or just after it was carried out."""
    await waiting(own, 1)
    breaking_commit(own, committed=committed)
    new = payment()
    if committed:
        assert (await own.submit([new])).known == (None,)
    else:
        with pytest.raises(StoreUnavailable, match="nothing was applied"):
            await own.submit([new])
    assert (await own.payment(new.payment_id) is not None) is committed
    again = await own.submit([new])
    assert [known is not None for known in again.known] == [committed]


async def test_what_cannot_be_found_out_is_told_as_unknown_and_a_repeat_is_safe(
    own: PostgresStore, own_server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RESOLVE_SECONDS", 0.3)
    await waiting(own, 1)
    breaking_commit(own, committed=True, then=lambda: own_server.stop("immediate"))
    new = payment()
    with pytest.raises(OutcomeUnknown):
        await own.submit([new])
    await asyncio.to_thread(own_server.start)
    again = await own.submit([new])
    (known,) = again.known
    assert known is not None
    assert known.payment_id == new.payment_id
    assert len(await feed(own)) == 2


def breaking_commit(store: PostgresStore, *, committed: bool, then: Callable[[], None] = lambda: None) -> None:
    """The store's next COMMIT is carried out or not, and the connection is gone in either case."""
    the_writer: Any = store._the_writer
    connection = the_writer._db

    class Breaking:
        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        async def execute(self, query: str, *values: Any, **options: Any) -> str:
            if query != "COMMIT":
                return str(await connection.execute(query, *values, **options))
            if committed:
                await connection.execute(query)
            connection.terminate()
            then()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    the_writer._db = Breaking()


async def test_after_a_restart_of_the_server_the_store_goes_on_by_itself(own: PostgresStore, own_server: Cluster) -> None:
    await waiting(own, 3)
    waits = asyncio.create_task(own.events_changed((await feed(own))[-1].cursor, LONG))
    await asyncio.to_thread(own_server.restart)
    assert (await own.submit([payment()])).stored
    assert len(await feed(own)) == 4
    (result,) = await asyncio.gather(waits, return_exceptions=True)
    assert result is True or isinstance(result, StoreUnavailable)
    await asyncio.to_thread(own_server.kill9)
    for call in (own.submit([payment()]), own.payment("x"), own.events_after("", limit=1)):
        with pytest.raises(StoreUnavailable):
            await call
    await asyncio.to_thread(own_server.start)
    assert (await own.submit(payments(2))).stored
    assert len(await feed(own)) == 6


async def test_a_server_that_cannot_be_reached_is_named(clock: HandClock) -> None:
    store = PostgresStore(Database(url="postgresql://bankgate@127.0.0.1:1/x", connect_seconds=2), clock=clock)
    with pytest.raises(StoreUnavailable):
        await store.open()
    with pytest.raises(StoreUnavailable):
        await store.payment("x")
    await store.close()


async def test_a_role_without_rights_is_told_as_unavailable(store: Store, database: Database) -> None:
    async with connections(database, 1) as (outsider,):
        await outsider.execute("REVOKE ALL ON SCHEMA public FROM public; CREATE ROLE weak LOGIN")
        weak = Database(url=database.url.replace("//bankgate@", "//weak@"))
        connection = await weak.connect()
        with pytest.raises(asyncpg.PostgresError) as told:
            await connection.fetchval("SELECT count(*) FROM payments")
        connection.terminate()
        await outsider.execute("DROP OWNED BY weak; DROP ROLE weak")
    assert writer.named(told.value).__class__ is StoreUnavailable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.DiskFullError("could not extend file"), StoreUnavailable),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), StoreUnavailable),
        (asyncpg.OutOfMemoryError("out of memory"), StoreUnavailable),
        (asyncpg.AdminShutdownError("terminating connection"), StoreUnavailable),
        (asyncpg.CrashShutdownError("terminating connection"), StoreUnavailable),
        (asyncpg.CannotConnectNowError("the database system is starting up"), StoreUnavailable),
        (asyncpg.QueryCanceledError("statement timeout"), StoreUnavailable),
        (asyncpg.IdleInTransactionSessionTimeoutError("terminating connection"), StoreUnavailable),
        (asyncpg.LockNotAvailableError("lock timeout"), StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"), StoreUnavailable),
        (asyncpg.PostgresIOError("could not read block"), StoreUnavailable),
        (asyncpg.DataCorruptedError("invalid page"), StoreUnavailable),
        (asyncpg.InvalidPasswordError("password authentication failed"), StoreUnavailable),
        (asyncpg.InvalidCatalogNameError("database does not exist"), StoreUnavailable),
        (asyncpg.ConnectionDoesNotExistError("connection was closed"), StoreUnavailable),
        (asyncpg.DeadlockDetectedError("deadlock detected"), StoreUnavailable),
        (ConnectionRefusedError(), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (asyncpg.UniqueViolationError("our mistake"), asyncpg.UniqueViolationError),
        (asyncpg.UndefinedColumnError("our mistake"), asyncpg.UndefinedColumnError),
        (asyncpg.DataError("our mistake"), asyncpg.DataError),
        (ValueError("our mistake"), ValueError),
    ],
)
def test_errors_of_the_surroundings_are_told_from_our_own_mistakes(error: Exception, expected: type[Exception]) -> None:
    assert type(writer.named(error)) is expected
