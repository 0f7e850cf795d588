"""Front machines on sockets: what came of an exchange is told truly at every point where it can break."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from channels.channel import InDoubt, NotSent
from tests.channels.support.front_machine import FrontMachine, exchanger_of, payment, tcp
from tests.channels.support.tls import identity, server_context, world

BODY = "<CMBSDKPGK>甲</CMBSDKPGK>".encode("gbk")
ANSWER = "<CMBSDKPGK>乙</CMBSDKPGK>".encode("gbk")


def headed(framing: str, body: bytes) -> bytes:
    return {
        "length6_inclusive": f"{len(body) + 6:<6}".encode(),
        "abc7": f"0{len(body):<6}".encode(),
        "length8": f"{len(body):<8}".encode(),
        "close": b"",
    }[framing] + body


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ("length6_inclusive", b"000031" + BODY),
        ("abc7", b"025    " + BODY),
        ("length8", b"25      " + BODY),
        ("close", BODY),
    ],
)
async def test_one_request_and_its_whole_reply_in_every_framing(framing: str, sent: bytes) -> None:
    whole = headed(framing, ANSWER)
    pieces = tuple(whole[at : at + 1] for at in range(len(whole)))  # byte by byte: a read is not a message
    async with FrontMachine(None if framing == "close" else len(sent), pieces) as machine:
        assert await exchanger_of(tcp(machine.port, framing)).exchange(payment(BODY)) == ANSWER
        assert machine.heard == [sent]


async def test_a_ping_an_message_travels_with_its_own_header() -> None:
    header = b"A001010101" + b"C" * 20 + b"%010d" % len(BODY) + b" " * 182
    reply = b"A001010101" + b"C" * 20 + b"%010d" % len(ANSWER) + b" " * 47 + b"000000" + b" " * 129 + ANSWER
    async with FrontMachine(222 + len(BODY), (reply[:100], reply[100:], b"trailer")) as machine:
        assert await exchanger_of(tcp(machine.port, "pingan222")).exchange(payment(header + BODY)) == reply


async def test_a_reply_is_whole_though_the_front_machine_keeps_the_connection() -> None:
    async with FrontMachine(len(BODY) + 8, (headed("length8", ANSWER),), fault="stays open") as machine:
        assert await exchanger_of(tcp(machine.port, "length8")).exchange(payment(BODY)) == ANSWER


async def test_nobody_listens_is_not_sent() -> None:
    with pytest.raises(NotSent, match="Connection refused"):
        await exchanger_of(tcp(1, "length8")).exchange(payment(BODY))


@pytest.mark.parametrize("body", [b"", b"x" * 100_000_000])
async def test_what_cannot_be_written_is_not_sent_and_opens_no_connection(body: bytes) -> None:
    async with FrontMachine() as machine:
        with pytest.raises(NotSent):
            await exchanger_of(tcp(machine.port, "length8")).exchange(payment(body))
        assert machine.connections == 0


REPLY = headed("length8", ANSWER)


@pytest.mark.parametrize(
    ("fault", "pieces", "said"),
    [
        ("closes at once", (), "ended after 0 bytes|OSError|Connection"),
        ("resets at once", (), "Connection|ended after 0"),
        ("reads, then closes", (), "ended after 0 bytes of a header of 8"),
        ("reads, then resets", (), "Connection reset|ended after 0"),
        ("silence", (), "TimeoutError"),
        ("silence", (REPLY[:5],), "TimeoutError"),
        ("silence", (REPLY[:-1],), "TimeoutError"),
        ("", (REPLY[:5],), "ended after 5 bytes of a header of 8"),
        ("", (REPLY[:8],), f"ended after 0 of {len(ANSWER)} bytes"),
        ("", (REPLY[:-1],), f"ended after {len(ANSWER) - 1} of {len(ANSWER)} bytes"),
        ("", (b"HTTP/1.1 200 OK\r\n\r\n",), "says no length"),
        ("", (b"\0\0\0\0\0\0\0\x18" + ANSWER,), "says no length"),
        ("stays open", (b"99999999" + ANSWER,), "more than 1000"),
    ],
)
async def test_a_request_that_was_begun_and_not_answered_whole_is_in_doubt(
    fault: str, pieces: tuple[bytes, ...], said: str
) -> None:
    async with FrontMachine(len(BODY) + 8, pieces, fault=fault) as machine:
        with pytest.raises(InDoubt, match=said):
            await exchanger_of(tcp(machine.port, "length8", reply_bytes_max=1000)).exchange(payment(BODY))
        assert machine.connections == 1, "it was said a second time"


@pytest.mark.parametrize(("pieces", "said"), [((), "without a reply"), ((b"x" * 600, b"x" * 600), "more than 1000 bytes")])
async def test_a_reply_that_ends_with_the_connection_is_bounded_and_never_nothing(pieces: tuple[bytes, ...], said: str) -> None:
    async with FrontMachine(None, pieces) as machine:
        with pytest.raises(InDoubt, match=said):
            await exchanger_of(tcp(machine.port, "close", reply_bytes_max=1000)).exchange(payment(BODY))


async def test_a_trickle_ends_at_the_total_time_and_is_in_doubt() -> None:
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY) + 8)
        writer.write(b"1000    ")
        while not done.is_set():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        table = tcp(server.sockets[0].getsockname()[1], "length8", timeouts={"connect": 0.3, "read": 5, "total": 0.4})
        with pytest.raises(InDoubt, match="TimeoutError"):
            await exchanger_of(table).exchange(payment(BODY))
        done.set()


async def test_tls_shows_our_certificate_and_carries_the_reply(tmp_path: Path) -> None:
    context = server_context(world().server, str(tmp_path), client_ca=world().ca)
    async with FrontMachine(len(BODY) + 8, (REPLY,), context=context) as machine:
        table = tcp(machine.port, "length8", tls=True, trust=["env:CA"], **identity("CLIENT"))
        assert await exchanger_of(table, secrets=world().secrets).exchange(payment(BODY)) == ANSWER


@pytest.mark.parametrize(
    "changes",
    [
        {"trust": ["env:OTHER_CA"]},
        {"trust": ["env:CA"], "server_certificate_sha256": ["00" * 32]},
        {"trust": ["env:NOWHERE"]},
        {"trust": ["env:CA"], **identity("CLIENT"), "client_key_passphrase": "env:WRONG"},
    ],
)
async def test_a_front_machine_that_is_not_believed_gets_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with FrontMachine(len(BODY) + 8, (REPLY,), context=server_context(world().server, str(tmp_path))) as machine:
        with pytest.raises(NotSent):
            await exchanger_of(tcp(machine.port, "length8", tls=True, **changes), secrets=world().secrets).exchange(payment(BODY))
        assert machine.heard == []


async def test_tls_with_a_machine_that_speaks_none_is_not_sent() -> None:
    async with FrontMachine(8, (b"no TLS here",)) as machine:
        table = tcp(machine.port, "length8", tls=True, trust=["env:CA"])
        with pytest.raises(NotSent):
            await exchanger_of(table, secrets=world().secrets).exchange(payment(BODY))


async def test_check_connects_and_says_nothing() -> None:
    async with FrontMachine(1) as machine:
        assert await exchanger_of(tcp(machine.port, "length8")).check() == ()
        assert machine.heard == []
    (problem,) = await exchanger_of(tcp(1, "length8")).check()
    assert "127.0.0.1:1" in problem
