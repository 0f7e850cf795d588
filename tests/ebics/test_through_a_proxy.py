"""A proxy between us and the bank carries a tunnel and no content; one that makes none has sent nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from channels.channel import NotSent
from simulator.fixture import run_bank
from tests.channels.support.parcels import parcel
from tests.ebics.support.door import Connection
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, Branch
from tests.simulator.helpers import Pay, pain001

BOTH = pytest.mark.parametrize("version", ["H004", "H005"])
PAYMENT = parcel(pain001("P-1", DEBTOR, Pay("P-1a", "1.10")))
LOGIN = "Basic Z2F0ZTp3w7ZydHM="  # printf 'gate:w\u00f6rts' | base64


class Tunnels:
    """A proxy that knows CONNECT and nothing else. `answer`: what it says instead of making a tunnel."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.seen = bytearray()
        self.answer: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        self.asked.append((head[0], fields))
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            return
        method, target, _ = head[0].split()
        assert method == "CONNECT"
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pumps = [asyncio.create_task(self._pump(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                self.seen += data
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def proxy() -> AsyncIterator[Tunnels]:
    async with Tunnels() as made:
        yield made


@contextlib.asynccontextmanager
async def behind(proxy: Tunnels, tmp_path: Path, version: str) -> AsyncIterator[Connection]:
    """An access that is set up, through the proxy."""
    async with run_bank(tmp_path / "bank", customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"tls": True}) as bank:
        connection = Connection(tmp_path / "ours", Branch(bank), version)
        certificate = bank.settings.data_directory / "https_certificate.pem"
        login = connection.folder / "login"
        login.write_text("gate:w\u00f6rts\n", encoding="utf-8")
        login.chmod(0o600)
        connection.settings = {"trust": [f"file:{certificate}"], "proxy": proxy.url, "proxy_login": "file:login"}
        await connection.ready()
        try:
            yield connection
        finally:
            await connection.close()


@BOTH
async def test_an_order_through_a_proxy_does_not_arrive_or_is_seen_by_it(proxy: Tunnels, tmp_path: Path, version: str) -> None:
    async with behind(proxy, tmp_path, version) as connection:
        await connection.channel().send(PAYMENT)
        assert [order["state"] for order in connection.branch.orders][-1] in {"accepted", "final"}
        assert {line.split()[0] for line, _ in proxy.asked} == {"CONNECT"}
        assert {fields.get("Proxy-Authorization") for _, fields in proxy.asked} == {LOGIN}
        assert b"ebicsRequest" not in proxy.seen
        assert b"Proxy-Authorization" not in proxy.seen


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_makes_no_tunnel_leaves_an_order_in_doubt(proxy: Tunnels, tmp_path: Path, status: str) -> None:
    async with behind(proxy, tmp_path, "H004") as connection:
        asked = len(proxy.asked)
        proxy.answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
        with pytest.raises(NotSent, match=f"the proxy answered {status[:3]} and made no tunnel"):
            await connection.channel().send(PAYMENT)
        assert len(proxy.asked) == asked + 1
        assert not any(order["order_type"] == "CCT" for order in connection.branch.orders)
        proxy.answer = None
        await connection.channel().send(PAYMENT)
        assert [order["state"] for order in connection.branch.orders][-1] in {"accepted", "final"}


async def test_a_proxy_that_is_not_there_leaves_an_order_in_doubt(proxy: Tunnels, tmp_path: Path) -> None:
    async with behind(proxy, tmp_path, "H004") as connection:
        await proxy.__aexit__()
        with pytest.raises(NotSent, match="no connection: ClientProxyConnectionError"):
            await connection.channel().send(PAYMENT)


async def test_a_proxy_that_opens_tls_itself_is_believed(proxy: Tunnels, tmp_path: Path) -> None:
    async with behind(proxy, tmp_path, "H004") as connection:
        connection.settings["server_certificate_sha256"] = ["00" * 32]
        with pytest.raises(NotSent, match="ServerFingerprintMismatch"):
            await connection.channel().send(PAYMENT)
