"""Callers are read again while the server runs: taken out, changed, and kept where the new file is broken."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from bankgate.v1 import payments_pb2, payments_pb2_grpc, types_pb2
from gateway import clock
from gateway.config import Configuration
from gateway.config_load import load
from gateway.rpc.server import RpcServer
from gateway.store.store import StoreUnavailable
from gateway.telemetry import Metrics
from tests.support.jose import ISSUER, key_set

from .fakes import FakeGateway
from .secured import CODE, fresh, listing

HOUSE = """
bank = "iso20022"
initiating_party = "Muster GmbH"
accounts = [{iban = "DE89370400440532013000", holder = "Muster GmbH", agent_bic = "COBADEFFXXX"}]
channel = {kind = "folder", upload = "out"}
"""
MAIN = '[listen]\naddress = "127.0.0.1:0"\n[[callers]]\nname = "erp"\nplaintext = true\n'
TOKEN = f'[[callers]]\nname = "batch"\ntoken = {{issuer = "{ISSUER}", subject = "erp"}}\n'
TOKENS = f'[[tokens]]\nissuer = "{ISSUER}"\naudience = ["bankgate"]\nkeys = "file:keys.json"\n'


@dataclass
class Running:
    directory: Path
    server: RpcServer
    channel: grpc.aio.Channel

    def write(self, text: str) -> None:
        (self.directory / "bankgate.toml").write_text(text, encoding="utf-8")

    async def reread(self) -> list[Any]:
        """Looks at the file as the server does every two seconds; what was logged."""
        with capture_logs() as logs:
            await self.server._rereading.look()
        return logs

    def watch(self, *tokens: str) -> Any:
        shown = [("authorization", f"Bearer {one}") for one in tokens]
        stub = payments_pb2_grpc.PaymentServiceStub(self.channel)
        return stub.WatchPaymentEvents(payments_pb2.WatchPaymentEventsRequest(), metadata=shown)

    async def opened(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while len(self.server._door.streams) != count:  # noqa: ASYNC110 - the server says nothing that could be waited for
                await asyncio.sleep(0.01)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "keys.json").write_bytes(key_set("ec"))
    (tmp_path / "bankgate.toml").write_text(MAIN + TOKEN + TOKENS, encoding="utf-8")
    server = RpcServer(load(tmp_path), FakeGateway(), metrics=Metrics(), clock=clock.now, reload=load)  # type: ignore[arg-type]
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Running(tmp_path, server, channel)
    await server.drain(0)


async def test_a_caller_taken_out_is_refused_at_the_next_call_and_its_streams_end(running: Running) -> None:
    shown = fresh()
    assert (await listing(running.channel, shown))[0] is CODE.OK
    taken, kept = running.watch(shown), running.watch()
    await running.opened(2)
    running.write(MAIN + TOKENS)
    (told,) = [one for one in await running.reread() if one["event"] == "callers.changed"]
    assert told["callers"] == ["batch"]
    assert (await listing(running.channel, shown))[0] is CODE.UNAUTHENTICATED
    assert (await listing(running.channel))[0] is CODE.OK
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await taken.read()
    assert ended.value.code() is CODE.UNAUTHENTICATED
    assert not kept.done()


@pytest.mark.parametrize("broken", ["[[callers", MAIN.replace("127.0.0.1", "0.0.0.0"), MAIN + 'nmae = "x"\n', ""])
async def test_a_broken_file_keeps_the_callers_from_before_and_says_so(running: Running, broken: str) -> None:
    running.write(broken)
    (told,) = [one for one in await running.reread() if one["event"] == "callers.not-read"]
    assert told["log_level"] == "error"
    assert told["problems"]
    assert (await listing(running.channel, fresh()))[0] is CODE.OK
    running.write(MAIN + TOKENS)
    await running.reread()
    assert (await listing(running.channel, fresh()))[0] is CODE.UNAUTHENTICATED


async def test_a_stream_ends_when_what_its_caller_may_do_has_changed_and_counts_anew(running: Running) -> None:
    call = running.watch(fresh())
    await running.opened()
    running.write(MAIN + TOKEN + 'actions = ["submit"]\n' + TOKENS)
    await running.reread()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert ended.value.code() is CODE.PERMISSION_DENIED
    running.write(MAIN + TOKEN + 'actions = ["submit", "read"]\n' + TOKENS)
    await running.reread()
    call = running.watch(fresh())
    await running.opened()
    running.write(MAIN + TOKEN + 'actions = ["read"]\n' + TOKENS)
    await running.reread()
    with pytest.raises(grpc.aio.AioRpcError) as changed:
        await call.read()
    assert changed.value.code() is CODE.UNAVAILABLE
    assert "resume_token" in (changed.value.details() or "")


async def test_what_was_read_is_told_until_it_worked_and_counts_before_that(running: Running) -> None:
    told: list[list[str]] = []

    async def tell(found: Configuration) -> None:
        told.append([one.name for one in found.callers])
        if len(told) == 1:
            raise StoreUnavailable("the disk is full")

    running.server._rereading._tell = tell
    running.write(MAIN + TOKENS)
    with pytest.raises(StoreUnavailable):
        await running.reread()
    assert (await listing(running.channel, fresh()))[0] is CODE.UNAUTHENTICATED, "whoever is taken out is gone at once"
    await running.reread()
    await running.reread()
    assert told == [["erp"], ["erp"]]


async def test_the_server_looks_by_itself_and_at_once_when_it_is_asked(running: Running) -> None:
    running.write(MAIN + TOKENS)
    running.server.reread()
    async with asyncio.timeout(10):
        while (await listing(running.channel, fresh()))[0] is not CODE.UNAUTHENTICATED:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.02)


async def test_other_parts_of_the_file_wait_for_a_new_start_and_that_is_said(running: Running) -> None:
    running.write('store = "sqlite:///other.db"\n' + MAIN + TOKEN + TOKENS)
    assert "configuration.other-parts-changed" in [one["event"] for one in await running.reread()]


async def test_a_stream_of_payments_ends_too_and_what_it_acknowledged_is_stored(running: Running) -> None:
    """Whoever has no access any more gets nothing further in through a stream that was open before."""
    ended = asyncio.Event()

    async def batches() -> AsyncIterator[payments_pb2.SubmitPaymentsRequest]:
        yield payments_pb2.SubmitPaymentsRequest(payments=[payment("before")])
        await ended.wait()
        yield payments_pb2.SubmitPaymentsRequest(payments=[payment("after")])

    shown = [("authorization", f"Bearer {fresh()}")]
    call = payments_pb2_grpc.PaymentServiceStub(running.channel).SubmitPaymentStream(batches(), metadata=shown)
    assert (await call.read()).payments[0].payment_reference == "before"
    running.write(MAIN + TOKENS)
    await running.reread()
    ended.set()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is CODE.UNAUTHENTICATED
    await running.opened(0)
    assert list(running.server._door.gateway.payments) == ["before"]  # type: ignore[attr-defined]


def payment(reference: str) -> types_pb2.PaymentRequest:
    return types_pb2.PaymentRequest(payment_reference=reference, connection_id="house", amount="1.00", currency="EUR")


async def test_a_file_that_says_the_same_changes_nothing(running: Running) -> None:
    call = running.watch()
    await running.opened()
    running.write(MAIN + TOKEN + TOKENS + "# a remark\n")
    assert [one["event"] for one in await running.reread()] == ["callers.unchanged"]
    assert not call.done()


async def test_keys_stay_read_when_only_callers_change(running: Running) -> None:
    assert (await listing(running.channel, fresh()))[0] is CODE.OK
    tokens = running.server._door.identity.tokens
    running.write(MAIN + TOKENS + TOKEN)
    await running.reread()
    assert running.server._door.identity.tokens is tokens
