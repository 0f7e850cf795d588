"""What several processes over one store bring and cost: SQLite, and PostgreSQL with 1, 2 and 4 workers and 1 and 2 serves.

    python -m bench.replicas [--payments 8000] [--lanes 4]

Payments go to several banks that are folders (sealed by CMS with RSA-3072, as over SFTP). Each variant gets an empty database,
and variants are gone through in turn, `--rounds` times: read the ratios. Client, every process and PostgreSQL share the cores.
"""

import argparse
import asyncio
import resource
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from bench import setting
from bench.fleet import Fleet, connections, fleet, lane, server, server_cpu, size_and_wal, tables
from tests.support.postgres import Cluster

PACE = """
[batching]
wait_seconds = 0.2
transfers_max = 500

[schedule]
fetch_seconds = 0
"""
AT_ONCE = PACE.replace("0.2", "0")
GIVE_UP_SECONDS = 300.0
BATCH = 250
IDLE_SECONDS = 4.0
LEASE_SECONDS = 10.0
KILLED_AFTER, GO_ON_FOR = 3.0, 20.0
SENT = types_pb2.PAYMENT_STATE_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    name: str
    serves: int
    workers: int

    @property
    def sqlite(self) -> bool:
        return self.name.startswith("SQLite")


VARIANTS = (
    Variant(name="SQLite, 1 serve, 1 worker", serves=1, workers=1),
    Variant(name="PostgreSQL, 1 serve, 1 worker", serves=1, workers=1),
    Variant(name="PostgreSQL, 1 serve, 2 workers", serves=1, workers=2),
    Variant(name="PostgreSQL, 1 serve, 4 workers", serves=1, workers=4),
    Variant(name="PostgreSQL, 2 serves, 2 workers", serves=2, workers=2),
)


@dataclass(slots=True)
class Measured:
    """One variant, a value a round."""

    rate: list[float] = field(default_factory=list)  # payments a second, submit to sent
    cpu: dict[str, list[float]] = field(default_factory=dict)  # µs a payment
    idle: dict[str, list[float]] = field(default_factory=dict)
    bytes_a_payment: list[tuple[float, float]] = field(default_factory=list)  # in the database, and in its log
    tables: dict[str, float] = field(default_factory=dict)  # bytes a payment

    def note(self, of: dict[str, list[float]], name: str, value: float) -> None:
        of.setdefault(name, []).append(value)


@asynccontextmanager
async def up(variant: Variant, cluster: Cluster, lanes: int, pace: str = PACE) -> AsyncIterator[tuple[Fleet, str]]:
    """The variant over an empty database, and its name ("": SQLite)."""
    database = "" if variant.sqlite else cluster.create_database()
    store = cluster.url(database) if database else "sqlite:///DIRECTORY/bankgate.db"
    async with fleet(
        store, serves=variant.serves, workers=variant.workers, lanes=lanes, pace=pace, lease=LEASE_SECONDS
    ) as running:
        yield running, database
    if database:
        cluster.drop_database(database)


def requests(count: int, lanes: int, run: str) -> list[payments_pb2.SubmitPaymentsRequest]:
    """Each of payments of one lane."""
    made = list(setting.batches(count, BATCH, run))
    for number, request in enumerate(made):
        for payment in request.payments:
            payment.connection_id = lane(number % lanes)
    return made


async def submit(at: Fleet, made: list[payments_pb2.SubmitPaymentsRequest]) -> None:
    """A stream to each serve at once."""

    async def to(replica: int) -> None:
        async def send() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
            for request in made[replica :: len(at.addresses)]:
                yield request

        async with at.channel(replica) as channel:
            async for answer in payments_pb2_grpc.PaymentServiceStub(channel).SubmitPaymentStream(send()):
                if answer.error or answer.violations:
                    raise SystemExit(f"refused: {answer}"[:2000])

    await asyncio.gather(*(to(replica) for replica in range(len(at.addresses))))


async def sent(at: Fleet, count: int, times: dict[str, float] | None = None) -> None:
    """Follows the events at the last serve until so many payments are sent."""
    async with at.channel(len(at.addresses) - 1) as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        async for answer in stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest()):
            for event in answer.events:
                if event.state == SENT:
                    count -= 1
                    if times is not None:
                        times[event.payment_reference] = time.perf_counter()
            if count <= 0:
                return


async def throughput(variant: Variant, cluster: Cluster, count: int, lanes: int, into: Measured) -> None:
    async with up(variant, cluster, lanes) as (at, database), asyncio.timeout(GIVE_UP_SECONDS):
        warm = await _warm(at, lanes, 2 * variant.workers)
        size, wal = size_and_wal(cluster, database) if database else (0, 0)
        before_tables = tables(cluster, database) if database else {}
        made = requests(count, lanes, "run")
        watching = asyncio.create_task(sent(at, warm + count))
        await asyncio.sleep(0.5)  # it has seen the first ones by then
        before, started = _cpu(at, cluster), time.perf_counter()
        await submit(at, made)
        await watching
        into.rate.append(count / (time.perf_counter() - started))
        for name, value in _cpu(at, cluster).items():
            into.note(into.cpu, name, (value - before[name]) / count * 1e6)
        if database:
            size_now, wal_now = size_and_wal(cluster, database)
            into.bytes_a_payment.append(((size_now - size) / count, (wal_now - wal) / count))
            now = tables(cluster, database)
            into.tables = {name: (value - before_tables.get(name, 0)) / count for name, value in now.items()}
        await asyncio.sleep(1)
        before, started = _cpu(at, cluster), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        took = time.perf_counter() - started
        for name, value in _cpu(at, cluster).items():
            into.note(into.idle, f"{name} % of a core", (value - before[name]) / took * 100)
        for kind in ("serve", "worker"):
            into.note(into.idle, f"{kind} MiB each", at.memory_mib(kind))
        if database:
            into.note(into.idle, "connections", connections(cluster, database) - 1)


async def _warm(at: Fleet, lanes: int, rounds: int) -> int:
    """A message in each lane, several times, so that every worker has read its keys and schemas; the number of payments."""
    for number in range(rounds):
        await submit(at, requests(BATCH * lanes, lanes, f"warm-{number}"))
        await sent(at, (number + 1) * BATCH * lanes)
    return rounds * BATCH * lanes


def _cpu(at: Fleet, cluster: Cluster) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "client": own.ru_utime + own.ru_stime,
        "serve": at.cpu_seconds("serve"),
        "worker": at.cpu_seconds("worker"),
        "PostgreSQL": server_cpu(cluster),
    }


async def feed(cluster: Cluster, count: int) -> list[float]:
    """Seconds from the answer to a submission at one serve until its event is seen at the other, sorted."""
    variant = Variant(name="PostgreSQL", serves=2, workers=0)
    async with up(variant, cluster, 1) as (at, _), at.channel(0) as one, at.channel(1) as other:
        seen: dict[str, float] = {}
        arrived = asyncio.Event()

        async def follow() -> None:
            stub = payments_pb2_grpc.PaymentServiceStub(other)
            async for answer in stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest()):
                seen.update((event.payment_reference, time.perf_counter()) for event in answer.events)
                arrived.set()

        following = asyncio.create_task(follow())
        stub, took = payments_pb2_grpc.PaymentServiceStub(one), []
        for number in range(count):
            (request,) = requests(1, 1, f"feed-{number}")
            await stub.SubmitPayments(request)
            answered, reference = time.perf_counter(), request.payments[0].payment_reference
            async with asyncio.timeout(30):
                while reference not in seen:
                    arrived.clear()
                    await arrived.wait()
            took.append(max(0.0, seen[reference] - answered))
        following.cancel()
    return sorted(took[3:])


async def take_over(cluster: Cluster, lanes: int) -> tuple[float, float]:
    """One of two workers is killed while a payment goes to each lane four times a second: the longest way from submit to sent in
    any lane, of payments submitted before, and after."""
    variant = Variant(name="PostgreSQL", serves=1, workers=2)
    async with up(variant, cluster, lanes, AT_ONCE) as (at, _), at.channel(0) as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        warm = await _warm(at, lanes, 4)
        rounds = int((KILLED_AFTER + GO_ON_FOR) * 4)
        made = requests(rounds * lanes * BATCH, lanes, "go")
        submitted: dict[str, float] = {}
        times: dict[str, float] = {}
        watching = asyncio.create_task(sent(at, warm + rounds * lanes, times))
        started = time.perf_counter()
        killed = 0.0
        for turn in range(rounds):
            for request in made[turn * lanes : (turn + 1) * lanes]:
                del request.payments[1:]
                submitted[request.payments[0].payment_reference] = time.perf_counter()
                await stub.SubmitPayments(request)
            if not killed and time.perf_counter() - started > KILLED_AFTER:
                killed = time.perf_counter()
                at.running["worker-1"].process.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.25)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await watching
        took = {reference: times[reference] - moment for reference, moment in submitted.items()}
        before = max(took[reference] for reference, moment in submitted.items() if moment < killed - 1)
        after = max(took[reference] for reference, moment in submitted.items() if moment >= killed - 1)
        return before, after


async def main(count: int, lanes: int, rounds: int) -> None:
    print(f"replicas: {setting.machine()}; {count:,} payments in {lanes} lanes, {rounds} rounds; medians")
    measured = {variant.name: Measured() for variant in VARIANTS}
    with server() as cluster:
        for _ in range(rounds):
            for variant in VARIANTS:
                await throughput(variant, cluster, count, lanes, measured[variant.name])
        _print(measured)
        latencies = await feed(cluster, 60)
        p50, p95 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.95)]
        print(f"  event at the other serve, from the submitter's answer on: p50 {p50 * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms")
        before, after = await take_over(cluster, lanes)
        print(
            f"  one of two workers killed (lease {LEASE_SECONDS:g} s): the slowest payment took {after:.1f} s,"
            f" before that {before * 1e3:.0f} ms"
        )


def _print(measured: dict[str, Measured]) -> None:
    base = statistics.median(measured[VARIANTS[1].name].rate)
    for name, one in measured.items():
        rate = statistics.median(one.rate)
        cpu = {part: statistics.median(values) for part, values in one.cpu.items()}
        if name.startswith("SQLite"):
            del cpu["PostgreSQL"]
        spent = ", ".join(f"{part} {value:.0f}" for part, value in cpu.items())
        print(f"  {name:34} {rate:7,.0f} payments/s ({rate / base:.2f} ×)   µs CPU a payment: {spent}; {sum(cpu.values()):.0f}")
    for name, one in measured.items():
        idle = {part: statistics.median(values) for part, values in one.idle.items()}
        if name.startswith("SQLite"):
            del idle["PostgreSQL % of a core"]
        print(f"  {name:34} idle: " + ", ".join(f"{part} {value:.1f}" for part, value in idle.items() if part[:6] != "client"))
        if one.bytes_a_payment:
            size, wal = (statistics.median(values) for values in zip(*one.bytes_a_payment, strict=True))
            print(f"  {'':34} a payment: {size:,.0f} bytes in the database, {wal:,.0f} bytes of WAL")
    largest = [(name, value) for name, value in measured[VARIANTS[1].name].tables.items() if value > 20]
    print("  bytes a payment, submitted to sent, by table: " + ", ".join(f"{name} {value:,.0f}" for name, value in largest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=8_000)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    setting.run(main(given.payments, given.lanes, given.rounds))
