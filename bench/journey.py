"""The journey of many payments: submitted, sealed in pain.001, carried over SFTP, answered by pain.002 and camt.053, matched, and
every event streamed back. Real processes: serve, worker, and the simulator's fast bank; all on the same cores as the client.

    python -m bench.journey [--payments 100000]
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from bench import setting

PACE = """
[batching]
wait_seconds = 1.0
transfers_max = 10000

[schedule]
fetch_seconds = 0.5
ask_seconds = 1.0
"""
GIVE_UP_SECONDS = 600.0


async def submit(stub: payments_pb2_grpc.PaymentServiceStub, count: int) -> float:
    async def send() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
        for request in setting.batches(count, 500, "jr"):
            yield request

    started = time.perf_counter()
    async for answer in stub.SubmitPaymentStream(send()):
        if answer.error or answer.violations:
            raise SystemExit(f"refused: {answer}"[:2000])
    return time.perf_counter() - started


async def follow(stub: payments_pb2_grpc.PaymentServiceStub, count: int) -> tuple[int, Counter[str]]:
    """Reads the event stream until every payment is settled."""
    seen: Counter[str] = Counter()
    events = 0
    async for answer in stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest()):
        events += len(answer.events)
        seen.update(types_pb2.PaymentState.Name(event.state) for event in answer.events)
        if seen["PAYMENT_STATE_SETTLED"] == count:
            return events, seen
    return events, seen


async def main(count: int) -> None:
    print(f"journey: {setting.machine()}")
    async with setting.setting(PACE) as at, at.channel() as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        started = time.perf_counter()
        watching = asyncio.create_task(follow(stub, count))
        submitted = await submit(stub, count)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            events, seen = await watching
        took = time.perf_counter() - started
        print(f"  {count:,} payments in {took:.1f} s: {count / took:,.0f} payments/s from first submit to last event")
        print(
            f"  submitted in {submitted:.1f} s; {events:,} events: "
            + ", ".join(f"{v:,} {k[14:].lower()}" for k, v in seen.items())
        )
        for name in ("serve", "worker", "bank"):
            cpu = at.cpu_seconds(name)
            print(
                f"  {name:6}: peak memory {at.memory_mib(name):5.0f} MiB, {cpu:6.1f} s CPU ({cpu / count * 1e6:.0f} µs a payment)"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    setting.run(main(parser.parse_args().payments))
