"""The doors, over real sockets on the loopback interface."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
import pytest

from simulator.front.bank import Incoming, Outgoing
from simulator.front.clock import Clock
from simulator.front.doors import TcpDoor
from simulator.front.framing import FRAMINGS, BadFrame
from simulator.front.running import run_front
from tests.simulator.front import test_cib as cib
from tests.simulator.front import test_cmb as cmb
from tests.simulator.front import test_spdb as spdb
from tests.simulator.front.support import START


async def exchange(host: str, port: int, message: bytes, *, half_close: bool = False) -> bytes:
    """Everything that comes back until the other side closes, or until a whole reply of `message`'s framing has come."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(message)
    if half_close:
        writer.write_eof()
    try:
        return await reader.read() if half_close else await reader.read(65536)
    finally:
        writer.close()


async def test_an_old_http_client_gets_its_answer() -> None:
    async with run_front("cib", accounts={cib.ACCOUNT: "10000.00"}, quiet_hours=False) as running:
        body = cib.fox(cib.transfer())
        head = f"POST / HTTP/1.0\r\nContent-Type: application/x-fox\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        answer = await exchange(running.host, running.port, head + body, half_close=False)
        assert answer.startswith(b"HTTP/1.0 200")
        assert b"PROCESSING" in answer


async def test_a_lost_answer_is_a_broken_line() -> None:
    front = run_front("cib", accounts={cib.ACCOUNT: "10000.00"}, quiet_hours=False)
    async with front as running, aiohttp.ClientSession() as session:
        running.moods.set("lose_answer")
        headers = {"Content-Type": "application/x-fox"}
        with pytest.raises(aiohttp.ClientError):
            await session.post(running.url, data=cib.fox(cib.transfer()), headers=headers)
        assert len(running.books.orders()) == 1


async def test_a_form_is_decoded_in_the_banks_encoding() -> None:
    async with run_front("cmb", accounts={cmb.ACCOUNT: "10000.00"}) as running, aiohttp.ClientSession() as session:
        text = cmb.package("DCPAYMNT", cmb.HEAD + cmb.payment(name="乙公司")).decode("gbk")
        form = urlencode({"REQDATA": text}, encoding="gbk")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(f"{running.url}/web", data=form, headers=headers) as answer:
            assert b"<RETCOD>0</RETCOD>" in await answer.read()
        assert running.books.orders()[0].payee.name == "乙公司"
        async with session.post(running.url, data="REQDATA=%FF%FF%FF", headers=headers) as answer:
            assert answer.status == 400


async def test_a_socket_with_eight_characters_of_length_serves_message_after_message() -> None:
    async with run_front("cmb", accounts={cmb.ACCOUNT: "10000.00"}, shape="tcp", clock=Clock(lambda: START)) as running:
        reader, writer = await asyncio.open_connection(running.host, running.port)
        for _ in range(2):
            message = cmb.status()
            writer.write(f"{len(message):<8}".encode() + message)
            length = await reader.readexactly(8)
            assert b"<RETCOD>0</RETCOD>" in await reader.readexactly(int(length))
        writer.close()


async def test_the_cloud_tells_its_public_key_beside_its_address() -> None:
    async with run_front("cmb_cloud", accounts={cmb.ACCOUNT: "10000.00"}) as running:
        ready = running.addresses()
        # GB/T 32918.5, the key of its example
        assert b64decode(ready["bank_public_key"]).hex().startswith("0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc07")
        assert "sign" not in ready


async def test_sign_service_and_packet_service_work_together() -> None:
    async with run_front("spdb", accounts={spdb.ACCOUNT: "10000.00"}) as running, aiohttp.ClientSession() as session:
        customer = spdb.Customer(running.front)
        body = spdb.BALANCE.encode("gbk")
        assert running.sign_url is not None
        async with session.post(running.sign_url, data=body, headers={"Content-Type": "INFOSEC_SIGN/1.0"}) as page:
            assert page.headers["Content-Type"] == "INFOSEC_SIGN_RESULT/1.0"
            assert b"<sign>" in await page.read()
        async with session.post(running.url, data=customer.packet("4402", spdb.BALANCE)) as answer:
            assert b"AAAAAAA" in await answer.read()


async def test_a_socket_takes_the_packets_of_spdb() -> None:
    async with run_front("spdb", accounts={spdb.ACCOUNT: "10000.00"}, shape="tcp") as running:
        packet = spdb.Customer(running.front).packet("4402", spdb.BALANCE)
        assert b"AAAAAAA" in await exchange(running.host, running.port, packet)


@asynccontextmanager
async def echoing(framing: str) -> AsyncIterator[TcpDoor]:
    """A door that answers what it heard."""

    def handle(incoming: Incoming) -> Outgoing:
        return Outgoing(body=b"<" + incoming.body + b">")

    door = await TcpDoor.start("127.0.0.1:0", framing, handle)
    try:
        yield door
    finally:
        await door.close()


PINGAN = b"A00101".ljust(30, b"0") + b"0000000005" + b" " * 182 + b"hello"


@pytest.mark.parametrize(
    ("framing", "message", "answer"),
    [
        ("abc", b"05     hello", b"<05     hello>"),
        ("pingan", PINGAN, b"<" + PINGAN + b">"),
        ("close", b"hello", b"<hello>"),
        ("spdb", b"000011hello", b"<000011hello>"),
        ("cmb", b"5       hello", b"7       <hello>"),
    ],
)
async def test_each_framing_finds_the_end_of_a_message(framing: str, message: bytes, answer: bytes) -> None:
    async with echoing(framing) as door:
        assert await exchange(door.host, door.port, message, half_close=FRAMINGS[framing].half_close) == answer


@pytest.mark.parametrize(
    ("framing", "message"),
    [
        ("abc", b"x5     hello"),
        ("abc", b"0    5 hello"),
        ("pingan", b"B" + PINGAN[1:]),
        ("pingan", PINGAN[:30] + b"         5" + PINGAN[40:]),
        ("spdb", b"11    hello"),
        ("spdb", b"000005hello"),
        ("spdb", b"999999999"),
        ("cmb", b"00000005hello"),
        ("cmb", b"99999999hello"),
    ],
)
async def test_a_header_of_another_shape_is_no_message(framing: str, message: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(message)
    reader.feed_eof()
    with pytest.raises((BadFrame, asyncio.IncompleteReadError)):
        await FRAMINGS[framing].read(reader)
