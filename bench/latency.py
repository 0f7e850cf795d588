"""One payment, from the submit call to its bytes on the bank's SFTP server, many times over, one at a time.

python -m bench.latency [--payments 200]
"""

import argparse
import asyncio
import time

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from bench import setting

PACE = """
[batching]
wait_seconds = 0
transfers_max = 10000

[schedule]
fetch_seconds = 0
"""


async def main(count: int) -> None:
    print(f"latency: {setting.machine()}")
    async with setting.setting(PACE) as at, at.channel() as channel:
        stub = payments_pb2_grpc.PaymentServiceStub(channel)
        events = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        sent: dict[str, float] = {}
        arrived = asyncio.Event()

        async def follow() -> None:
            async for answer in events:
                for event in answer.events:
                    if event.state == types_pb2.PAYMENT_STATE_SENT:
                        sent[event.payment_reference] = time.perf_counter()
                        arrived.set()

        following = asyncio.create_task(follow())
        seconds: list[float] = []
        for number in range(count):
            request = payments_pb2.SubmitPaymentsRequest(payments=[setting.payment(number, "la")])
            arrived.clear()
            started = time.perf_counter()
            await stub.SubmitPayments(request)
            async with asyncio.timeout(30):
                await arrived.wait()
            seconds.append(sent[request.payments[0].payment_reference] - started)
            await asyncio.sleep(0.02)
        following.cancel()
        ordered = sorted(seconds[5:])
        p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
        # The "sent" event is seen only after the bank's server answered the rename, so the bytes were there before.
        print(f"  from submit to the caller's event that the bank has the file: p50 {p50 * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=200)
    setting.run(main(parser.parse_args().payments))
