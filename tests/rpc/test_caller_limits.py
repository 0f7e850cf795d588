"""Limits of callers at a real server: what is refused, with which words and when to come again; and streams that stand still."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from bankgate.v1 import payments_pb2, payments_pb2_grpc
from gateway import clock
from gateway.config import Configuration
from gateway.errors import LimitReached
from gateway.rpc.metadata import DETAILS_KEY
from gateway.rpc.server import RpcServer
from gateway.store.store import OutcomeUnknown
from gateway.telemetry import Metrics

from .fakes import FakeGateway

CODE = grpc.StatusCode
Batch = Callable[..., payments_pb2.SubmitPaymentsRequest]


@asynccontextmanager
async def limited(
    directory: Path, limits: dict[str, Any], gateway: FakeGateway | None = None, **listen: Any
) -> AsyncIterator[tuple[RpcServer, Any]]:
    """A server in the clear on loopback whose one caller is limited, and a client's stub."""
    caller = {"name": "erp", "plaintext": True, "limits": limits}
    configuration = Configuration.model_validate(
        {"directory": directory, "listen": {"address": "127.0.0.1:0", **listen}, "callers": [caller]}
    )
    server = RpcServer(configuration, gateway or FakeGateway(), metrics=Metrics(), clock=clock.now)  # type: ignore[arg-type]
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield server, payments_pb2_grpc.PaymentServiceStub(channel)
    finally:
        await server.drain(0)


def told(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, float | None]:
    """Status, the limit's name, and when to come again."""
    raw = dict(error.trailing_metadata() or ())[DETAILS_KEY]
    status = status_pb2.Status.FromString(raw)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    seconds = None
    for one in status.details:
        one.Unpack(info)
        if one.Unpack(retry):
            seconds = retry.retry_delay.ToNanoseconds() / 1e9
    return error.code(), info.metadata["limit"], seconds


async def refusal(awaited: Any) -> tuple[grpc.StatusCode, str, float | None]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await awaited
    return told(refused.value)


async def taken_today(server: RpcServer) -> int:
    """What the store counts, once the server has given back what it held."""
    await server._door.quotas.finish()
    return sum(server._door.gateway.quotas.used.values())  # type: ignore[attr-defined]


def counted(server: RpcServer, limit: str) -> float:
    return server._door.metrics.calls_refused_total.labels("erp", limit)._value.get()  # type: ignore[no-any-return]


async def test_calls_payments_and_days_are_limited_each_by_its_name(tmp_path: Path, batch_of: Batch) -> None:
    list_request = payments_pb2.ListPaymentsRequest()
    async with limited(tmp_path, {"calls_per_second": 0.01}) as (server, stub):
        await stub.ListPayments(list_request)
        code, limit, seconds = await refusal(stub.ListPayments(list_request))
        assert (code, limit) == (CODE.RESOURCE_EXHAUSTED, "calls_per_second")
        assert 90 < (seconds or 0) <= 100
        assert counted(server, limit) == 1
    async with limited(tmp_path, {"payments_per_second": 0.5, "payments_per_day": 3}) as (server, stub):
        await stub.SubmitPayments(batch_of("A"))
        code, limit, seconds = await refusal(stub.SubmitPayments(batch_of("B")))
        assert (code, limit) == (CODE.RESOURCE_EXHAUSTED, "payments_per_second")
        assert 1 < (seconds or 0) <= 2
        assert (await refusal(stub.CheckPayments(payments_pb2.CheckPaymentsRequest(payments=batch_of("B").payments))))[1] == limit
        code, limit, seconds = await refusal(stub.SubmitPayments(batch_of("B", "C", "D")))
        assert (code, limit) == (CODE.RESOURCE_EXHAUSTED, "payments_per_day")
        assert 0 < (seconds or 0) <= 86_400
        assert await taken_today(server) == 1


async def test_a_repetition_and_a_refused_payment_cost_nothing_of_the_day(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {"payments_per_day": 2}) as (server, stub):
        for _ in range(3):
            await stub.SubmitPayments(batch_of("A"))
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.SubmitPayments(batch_of("B", currency="XXX"))
        assert await taken_today(server) == 1


async def test_the_day_is_one_for_all_servers_and_over_new_starts(tmp_path: Path, batch_of: Batch) -> None:
    gateway, quota = FakeGateway(), {"payments_per_day": 200}
    async with limited(tmp_path, quota, gateway) as (_, one), limited(tmp_path, quota, gateway) as (_, other):
        for number in range(6):
            await one.SubmitPayments(batch_of(*(f"A{number}-{n}" for n in range(10))))
            await other.SubmitPayments(batch_of(*(f"B{number}-{n}" for n in range(10))))
    async with limited(tmp_path, quota, gateway) as (server, again):
        assert (await refusal(again.SubmitPayments(batch_of(*(f"C-{n}" for n in range(81))))))[1] == "payments_per_day"
        await again.SubmitPayments(batch_of(*(f"C-{n}" for n in range(80))))
        assert (await refusal(again.SubmitPayments(batch_of("D"))))[1] == "payments_per_day"
        assert await taken_today(server) == len(gateway.payments) == 200


async def test_a_day_that_cannot_be_counted_lets_nothing_through(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {"payments_per_day": 1000}) as (server, stub):
        gateway: Any = server._door.gateway
        gateway.quotas.down = True
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.SubmitPayments(batch_of("A"))
        assert (refused.value.code(), gateway.payments) == (CODE.UNAVAILABLE, {})
        gateway.quotas.down = False
        await stub.SubmitPayments(batch_of("A"))
        gateway.error = OutcomeUnknown("the connection broke")
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.SubmitPayments(batch_of("B"))
        assert await taken_today(server) == 2, "what may be stored counts"


async def test_a_stream_is_slowed_down_and_loses_nothing(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {"payments_per_second": 20}) as (server, stub), asyncio.timeout(20):
        batches = [batch_of(*(f"{n}-{m}" for m in range(10))) for n in range(5)]
        answers = [answer async for answer in stub.SubmitPaymentStream(iter(batches))]
    assert [len(answer.payments) for answer in answers] == [10] * 5
    assert len(server._door.gateway.payments) == 50  # type: ignore[attr-defined]


async def test_too_many_calls_and_streams_at_once_are_refused_and_room_is_found_again(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {"calls_at_once": 1, "streams_at_once": 1}) as (server, stub), asyncio.timeout(20):
        server._door.gateway.hold = asyncio.Event()  # type: ignore[attr-defined]
        first = stub.SubmitPayments(batch_of("A"))
        watched = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        await until(lambda: len(server._door.under_way) == 2)
        assert (await refusal(stub.ListPayments(payments_pb2.ListPaymentsRequest())))[:2] == (
            CODE.RESOURCE_EXHAUSTED,
            "calls_at_once",
        )
        again = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        assert (await refusal(again.read()))[:2] == (CODE.RESOURCE_EXHAUSTED, "streams_at_once")
        server._door.gateway.hold.set()  # type: ignore[attr-defined]
        await first
        watched.cancel()
        await until(lambda: not server._door.under_way)
        await stub.ListPayments(payments_pb2.ListPaymentsRequest())
        await stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest(stop_at_end=True)).read()


async def test_requests_larger_than_the_callers_own_bound_are_refused(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {"message_bytes_max": 1024}) as (server, stub):
        large = batch_of(*(f"REFERENCE-{n}" for n in range(50)))
        assert await refusal(stub.SubmitPayments(large)) == (CODE.RESOURCE_EXHAUSTED, "message_bytes_max", None)
        assert (await refusal(stub.SubmitPaymentStream(iter([large])).read()))[1] == "message_bytes_max"
        await stub.SubmitPayments(batch_of("A"))
        assert len(server._door.gateway.payments) == 1  # type: ignore[attr-defined]


async def test_a_request_larger_than_the_servers_bound_never_gets_in(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {}, message_bytes_max=64 * 1024) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.SubmitPayments(batch_of(*(f"REFERENCE-{n}" for n in range(1000))))
    assert refused.value.code() is CODE.RESOURCE_EXHAUSTED


async def test_a_stream_that_brings_nothing_is_ended(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {}, stream_quiet_seconds=0.2) as (server, stub), asyncio.timeout(20):

        async def slow() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
            yield batch_of("A")
            await asyncio.Event().wait()

        call = stub.SubmitPaymentStream(slow())
        assert (await call.read()).payments[0].payment_reference == "A"
        assert (await refusal(call.read()))[:2] == (CODE.RESOURCE_EXHAUSTED, "stream_quiet_seconds")
        assert counted(server, "stream_quiet_seconds") == 1


async def test_a_stream_that_nobody_reads_is_ended(tmp_path: Path, batch_of: Batch) -> None:
    async with limited(tmp_path, {}, stream_unread_seconds=0.3) as (server, stub), asyncio.timeout(30):
        await stub.SubmitPayments(batch_of(*(f"A-{n}" for n in range(500))))
        server._door.gateway.events *= 100  # type: ignore[attr-defined]  # more than any window between the two
        call = stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest())
        await until(lambda: counted(server, "stream_unread_seconds") == 1)
        await until(lambda: not server._door.under_way)
        call.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the server says nothing of itself that could be waited for
        await asyncio.sleep(0.01)


def test_limits_are_generous_unless_somebody_sets_them() -> None:
    caller = Configuration.model_validate({"directory": ".", "callers": [{"name": "erp"}]}).callers[0]
    server_allowance = caller.limits
    assert (server_allowance.payments_per_day, server_allowance.calls_per_second) == (None, 10_000)
    assert issubclass(LimitReached, Exception)
