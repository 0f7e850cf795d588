"""Durable ingest: payments a second that `serve` stores and acknowledges, the client on the same cores.

python -m bench.ingest [--payments 100000] [--unary 5000]
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator

from bankgate.v1 import payments_pb2, payments_pb2_grpc
from bench import setting

PACE = """
[batching]
wait_seconds = 3600
transfers_max = 1000000
"""


async def stream(at: setting.Setting, count: int, size: int) -> tuple[float, float]:
    """SubmitPaymentStream in batches of `size`: payments a second, and CPU µs of `serve` a payment."""
    requests = list(setting.batches(count, size, f"st{size}"))
    async with at.channel() as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)

        async def send() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
            for request in requests:
                yield request

        cpu, started = at.cpu_seconds("serve"), time.perf_counter()
        stored = 0
        async for answer in stub.SubmitPaymentStream(send()):
            if answer.error or answer.violations:
                raise SystemExit(f"refused: {answer}"[:2000])
            stored += len(answer.payments)
        took = time.perf_counter() - started
        if stored != count:
            raise SystemExit(f"{stored} of {count} acknowledged")
        return count / took, (at.cpu_seconds("serve") - cpu) / count * 1e6


async def batched_calls(at: setting.Setting, count: int, size: int, in_flight: int) -> float:
    """SubmitPayments with `size` payments a call."""
    requests = list(setting.batches(count, size, "bc"))
    async with at.channel() as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        return count / await _all(stub, requests, in_flight)


async def unary(at: setting.Setting, count: int, in_flight: int) -> tuple[float, list[float]]:
    """One payment a call, `in_flight` calls at once: calls a second, and each call's seconds."""
    requests = list(setting.batches(count, 1, "un"))
    latencies: list[float] = []
    async with at.channel() as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        return count / await _all(stub, requests, in_flight, latencies), sorted(latencies)


async def _all(
    stub: payments_pb2_grpc.PaymentServiceStub,
    requests: list[payments_pb2.SubmitPaymentsRequest],
    in_flight: int,
    latencies: list[float] | None = None,
) -> float:
    waiting = iter(requests)

    async def caller() -> None:
        for request in waiting:
            started = time.perf_counter()
            await stub.SubmitPayments(request)
            if latencies is not None:
                latencies.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return time.perf_counter() - started


async def main(payments: int, single: int) -> None:
    print(f"ingest: {setting.machine()}")
    async with setting.setting(PACE, worker=False, bank=False) as at:
        await stream(at, 2_000, 250)  # warm-up
        for size in (500, 1000):
            rate, cpu = await stream(at, payments, size)
            print(f"  stream, batches of {size:4}: {rate:8,.0f} payments/s   serve: {cpu:5.1f} µs CPU a payment")
        rate = await batched_calls(at, payments, 500, 4)
        print(f"  calls of 500, 4 in flight: {rate:6,.0f} payments/s")
        rate, latencies = await unary(at, single, 64)
        p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
        print(f"  unary, 64 in flight: {rate:12,.0f} payments/s   p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
        print(f"  peak memory of serve: {at.memory_mib('serve'):.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--unary", type=int, default=10_000)
    given = parser.parse_args()
    setting.run(main(given.payments, given.unary))
