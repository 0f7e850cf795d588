"""Who only opens connections: requests that never come, and the services that everybody may use."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.rpc import strangers
from gateway.rpc.server import RpcServer
from tests.support.jose import ISSUER, key_set

from .certificates import Authority
from .secured import CODE, secured
from .test_caller_limits import until


async def silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@asynccontextmanager
async def opened(directory: Path, **listen: Any) -> AsyncIterator[tuple[RpcServer, grpc.aio.Channel]]:
    """A stranger's connection to the listener for tokens."""
    (directory / "keys.json").write_bytes(key_set("ec"))
    caller = {"name": "token", "token": {"issuer": ISSUER, "subject": "erp"}}
    async with (
        secured(directory, [caller], authority=Authority(), keys="file:keys.json", **listen) as made,
        asyncio.timeout(20),
        made.channel() as channel,
    ):
        yield made.server, channel


async def ended(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if hasattr(call, "read") else call)
    return caught.value.code()


@pytest.mark.parametrize("method", ["ListPayments", "WatchPaymentEvents"])
async def test_a_call_that_never_sends_its_request_is_ended(method: str, tmp_path: Path) -> None:
    """As only a client of one's own can do it: the method is called as one that streams its requests."""
    async with opened(tmp_path, request_seconds=0.2) as (_, channel):
        call = channel.stream_stream(f"/bankgate.v1.PaymentService/{method}")
        assert await ended(call(silence())) is CODE.DEADLINE_EXCEEDED
        assert await ended(call(iter([]))) is CODE.INVALID_ARGUMENT


async def test_public_streams_have_a_few_places_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "PUBLIC_STREAMS_MAX", 2)
    async with opened(tmp_path) as (server, channel):
        stub = health_pb2_grpc.HealthStub(channel)
        open_ones = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for one in open_ones:
            assert (await one.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await ended(stub.Watch(health_pb2.HealthCheckRequest())) is CODE.RESOURCE_EXHAUSTED
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        open_ones[0].cancel()
        await until(lambda: server._strangers._streams == 1)
        assert (await stub.Watch(health_pb2.HealthCheckRequest()).read()).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_public_stream_that_says_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "PUBLIC_QUIET_SECONDS", 0.2)
    async with opened(tmp_path) as (_, channel):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        assert await ended(stub.ServerReflectionInfo(silence())) is CODE.DEADLINE_EXCEEDED
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        assert (await stub.ServerReflectionInfo(iter([asked])).read()).list_services_response.service
