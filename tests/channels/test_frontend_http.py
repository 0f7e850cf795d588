"""Front machines over HTTP, and the sign service beside them: every outcome told truly, and bytes as the banks want them."""

import contextlib
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from channels.channel import InDoubt, NotSent
from channels.frontend import Carried, NotOpened, NotSealed
from tests.channels.support.front_machine import exchanger_of, payment
from tests.channels.support.http_bank import HttpBank, reply
from tests.channels.support.tls import server_context, world

BODY = '<?xml version="1.0" encoding="GBK"?><FOX>甲</FOX>'.encode("gbk")
ANSWER = "<FOX>乙</FOX>".encode("gbk")


def at(port: int, **changes: Any) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{port}", **changes}


def answers(content: bytes, status: int = 200) -> HttpBank:
    return HttpBank(answer=lambda _bank, _request: reply(status, content))


async def test_a_raw_body_is_posted_as_it_is_under_the_banks_own_type() -> None:
    async with answers(ANSWER) as bank:
        table = at(bank.port, path="/B2EC/E2BServlet", content_type="application/x-fox")
        assert await exchanger_of(table).exchange(payment(BODY)) == ANSWER
        (request,) = bank.requests
        assert (request.method, request.target, request.body) == ("POST", "/B2EC/E2BServlet", BODY)
        assert request.headers["content-type"] == "application/x-fox"
        assert request.headers["content-length"] == str(len(BODY))
        assert "transfer-encoding" not in request.headers


async def test_the_plugins_type_and_target_come_before_the_profiles() -> None:
    async with answers(ANSWER) as bank:
        request = payment(BODY, content_type="application/x-NS-BDES", target="?userID=demo.y.9900&PackageID=GW1")
        assert await exchanger_of(at(bank.port, path="/servlet/Req")).exchange(request) == ANSWER
        assert bank.requests[0].target == "/servlet/Req?userID=demo.y.9900&PackageID=GW1"
        assert bank.requests[0].headers["content-type"] == "application/x-NS-BDES"


async def test_a_form_is_encoded_in_the_banks_charset() -> None:
    async with answers(ANSWER) as bank:
        fields = (("Version", "0.0.1.0"), ("Cert", ""), ("reqData", "甲+&= /"))
        assert await exchanger_of(at(bank.port, shape="http_form")).exchange(payment(b"", fields=fields)) == ANSWER
        (request,) = bank.requests
        assert request.body == b"Version=0.0.1.0&Cert=&reqData=%BC%D7%2B%26%3D+%2F"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        parsed = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, encoding="gbk", errors="strict")
        assert tuple(parsed) == fields


async def test_http_1_0_is_spoken_to_front_machines_that_know_no_more() -> None:
    async with HttpBank(answer=lambda _b, _r: b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER, fault="closes after each") as bank:
        assert await exchanger_of(at(bank.port, http_version="1.0")).exchange(payment(BODY)) == ANSWER
        assert [request.version for request in bank.requests] == ["HTTP/1.0"]


async def test_spdb_packets_have_their_length_over_http_too() -> None:
    async with answers(f"{len(ANSWER) + 6:<6}".encode() + ANSWER) as bank:
        assert await exchanger_of(at(bank.port, framing="length6_inclusive")).exchange(payment(BODY)) == ANSWER
        assert bank.requests[0].body == f"{len(BODY) + 6:06}".encode() + BODY


@pytest.mark.parametrize("answer", [b"", ANSWER, b"999   " + ANSWER])
async def test_a_packet_that_is_not_as_long_as_it_says_is_in_doubt(answer: bytes) -> None:
    async with answers(answer) as bank:
        with pytest.raises(InDoubt, match="answered with what is no message"):
            await exchanger_of(at(bank.port, framing="length6_inclusive")).exchange(payment(BODY))


@pytest.mark.parametrize(
    ("changes", "request_"),
    [
        ({}, Carried()),
        ({"shape": "http_form"}, payment(BODY)),
        ({"shape": "http_form"}, payment(b"", fields=(("reqData", "𠮷"),))),
        ({}, payment(BODY, target="?a=b\r\nHost: elsewhere")),
        ({"shape": "http_form"}, payment(b"", fields=(("a", "b"),), charset="no-such-charset")),
        ({"framing": "pingan222"}, payment(BODY)),
    ],
)
async def test_what_cannot_be_written_is_not_sent_and_opens_no_connection(changes: dict[str, Any], request_: Carried) -> None:
    async with answers(ANSWER) as bank:
        with pytest.raises(NotSent) as caught:
            await exchanger_of(at(bank.port, **changes)).exchange(request_)
        assert bank.connections == 0
        assert "𠮷" not in str(caught.value), "a character may be part of a name"


async def test_nobody_listens_is_not_sent() -> None:
    with pytest.raises(NotSent, match="ClientConnectorError"):
        await exchanger_of(at(1)).exchange(payment(BODY))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a first packet when the queue is full")
async def test_a_connection_that_never_stands_is_not_sent() -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(NotSent, match="ConnectionTimeoutError"):
            await exchanger_of(at(full.getsockname()[1])).exchange(payment(BODY))


async def test_a_bank_that_is_not_believed_gets_nothing(tmp_path: Path) -> None:
    async with HttpBank(server_context(world().server, str(tmp_path))) as bank:
        table = {"url": f"https://127.0.0.1:{bank.port}", "trust": ["env:OTHER_CA"]}
        with pytest.raises(NotSent, match="ClientConnectorCertificateError"):
            await exchanger_of(table, secrets=world().secrets).exchange(payment(BODY))
        assert bank.requests == []


async def test_a_bank_over_https_is_asked(tmp_path: Path) -> None:
    context = server_context(world().server, str(tmp_path))
    async with HttpBank(context, answer=lambda _bank, _request: reply(200, ANSWER)) as bank:
        table = {"url": f"https://127.0.0.1:{bank.port}", "trust": ["env:CA"]}
        assert await exchanger_of(table, secrets=world().secrets).exchange(payment(BODY)) == ANSWER


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("reset mid-body", "ClientOSError|ServerDisconnectedError"),
        ("closed mid-body", "ClientOSError|ServerDisconnectedError"),
        ("read, then closed", "ServerDisconnectedError"),
        ("read, then reset", "ClientOSError"),
        ("read, then silence", "SocketTimeoutError"),
        ("garbage", "ClientResponseError"),
        ("half a status line", "ServerDisconnectedError"),
        ("200, then cut", "ClientPayloadError"),
        ("200, then silence", "SocketTimeoutError"),
        ("answers early", "TimeoutError"),
    ],
)
async def test_a_request_that_was_begun_and_not_answered_whole_is_in_doubt_and_said_once(fault: str, said: str) -> None:
    async with HttpBank(fault=fault) as bank:
        with pytest.raises(InDoubt, match=said):
            await exchanger_of(at(bank.port)).exchange(payment(BODY * 400_000))  # 20 MB: more than the kernel takes at once
        assert bank.connections == 1, "it was said a second time"


@pytest.mark.parametrize("status", [201, 204, 301, 307, 400, 401, 403, 404, 413, 429, 500, 502, 503])
async def test_a_status_of_the_web_says_nothing_about_a_payment(status: int) -> None:
    async with answers(b"" if status == 204 else b"6222020000000000001", status) as bank:
        with pytest.raises(InDoubt, match=str(status)) as caught:
            await exchanger_of(at(bank.port)).exchange(payment(BODY))
        assert len(bank.requests) == 1
        assert "6222" not in str(caught.value)


async def test_a_reply_beyond_the_bound_is_in_doubt_and_not_read_on() -> None:
    async with answers(b"x" * 2000) as bank:
        with pytest.raises(InDoubt, match="more than 1000 bytes"):
            await exchanger_of(at(bank.port, reply_bytes_max=1000)).exchange(payment(BODY))


async def test_secrets_are_read_when_they_are_asked_for_and_named_when_they_are_not_there() -> None:
    known = {"env:CIB": b"pass word\n"}
    exchanger = exchanger_of(at(1, secrets={"password": "env:CIB"}), secrets=known)
    assert exchanger.secrets() == {"password": "pass word"}
    known["env:CIB"] = b"renewed"
    assert exchanger.secrets() == {"password": "renewed"}
    known.clear()
    problems = await exchanger.check()
    assert any("secrets.password" in problem and "env:CIB" in problem for problem in problems)
    assert any("url" in problem and "127.0.0.1:1" in problem for problem in problems)


# The sign service


def signed_by(content: bytes) -> HttpBank:
    return answers(content)


SIGNED = (
    b"<html><head><title>\xc7\xa9\xc3\xfb\xbd\xe1\xb9\xfb</title><result>0</result></head>"
    b"<body><sign>\nMIIBase64==\n</sign></body></html>"
)


async def test_content_is_signed_in_the_banks_type_and_the_signature_taken_out() -> None:
    async with signed_by(SIGNED) as service:
        exchanger = exchanger_of(at(1, sign_service={"url": f"http://127.0.0.1:{service.port}"}))
        assert await exchanger.seal(BODY) == b"MIIBase64=="
        (request,) = service.requests
        assert request.body == BODY
        assert request.headers["content-type"] == "INFOSEC_SIGN/1.0"
        assert request.headers["content-length"] == str(len(BODY))


async def test_a_signature_is_verified_and_the_clear_content_kept_to_the_byte() -> None:
    clear = "<body>\n<note>货款 </note></body>\n".encode("gbk")
    async with signed_by(b"<html><head><result>0</result></head><body><sic>" + clear + b"</sic></body></html>") as service:
        exchanger = exchanger_of(at(1, sign_service={"url": f"http://127.0.0.1:{service.port}", "path": "/verify"}))
        assert await exchanger.open(b"MII") == clear
        assert service.requests[0].target == "/verify"
        assert service.requests[0].headers["content-type"] == "INFOSEC_VERIFY_SIGN/1.0"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>busy</html>",
        b"<html><head><result>-1002</result></head><body><sign>MII</sign></body></html>",
        b"<html><head><result>0</result></head><body><sign></sign></body></html>",
        b"<html><head><result>0</result></head><body><sic>x</body></html>",
    ],
)
async def test_without_a_good_signature_nothing_is_sent_and_nothing_believed(answer: bytes) -> None:
    async with signed_by(answer) as service:
        exchanger = exchanger_of(at(1, sign_service={"url": f"http://127.0.0.1:{service.port}"}))
        with pytest.raises(NotSealed):
            await exchanger.seal(BODY)
        with pytest.raises(NotOpened) as caught:
            await exchanger.open(b"MII")
        assert caught.value.refused


async def test_a_sign_service_that_is_away_means_not_sent_and_a_reply_that_waits() -> None:
    assert issubclass(NotSealed, NotSent)
    for table in (at(1), at(1, sign_service={"url": "http://127.0.0.1:1"})):
        with pytest.raises(NotSealed):
            await exchanger_of(table).seal(BODY)
        with pytest.raises(NotOpened) as caught:
            await exchanger_of(table).open(BODY)
        assert not caught.value.refused, "that it could not be asked says nothing about the signature"
    async with HttpBank(fault="read, then closed") as service:
        exchanger = exchanger_of(at(1, sign_service={"url": f"http://127.0.0.1:{service.port}"}))
        with pytest.raises(NotSealed):
            await exchanger.seal(BODY)


async def test_a_bank_sees_each_request_of_a_kept_exchanger_on_a_connection_of_its_own() -> None:
    async with answers(ANSWER) as bank:
        exchanger = exchanger_of(at(bank.port))
        for _ in range(3):
            await exchanger.exchange(payment(BODY))
        assert bank.connections == len(bank.requests) == 3
        await exchanger.close()
        await exchanger.close()
