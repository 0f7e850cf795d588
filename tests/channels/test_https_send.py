"""Sending over HTTPS: the points of failure of an HTTP client, each with the outcome that is told."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from channels.channel import Channel, InDoubt, NotSent, Refused
from channels.https_client import Progress, never_sent
from tests.channels.support.http_bank import HttpBank, Request, reply
from tests.channels.support.parcels import NOON, channel_of, eventually, failing_parcel, parcel
from tests.channels.support.proxy import Proxy
from tests.channels.support.tls import World, identity, server_context, world

CONTENT = bytes(range(256)) * 20
FILE = parcel(CONTENT, pieces=4)


def table(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "https",
        "base_url": f"https://127.0.0.1:{port}",
        "trust": ["env:CA"],
        **identity("CLIENT"),
        "upload_path": "/in",
        "timeouts": {"connect": 0.4, "read": 0.4, "total": 3},
        **changes,
    }


def plain(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "https",
        "base_url": f"http://127.0.0.1:{port}",
        "allow_plaintext_loopback": True,
        "upload_path": "/in",
        "timeouts": {"connect": 0.4, "read": 0.4, "total": 3},
        **changes,
    }


@pytest.fixture
async def open_channel() -> AsyncIterator[Callable[..., Channel]]:
    channels: list[Channel] = []

    def build(settings: dict[str, Any], **options: Any) -> Channel:
        channels.append(channel_of(settings, secrets=world().secrets, **options))
        return channels[-1]

    yield build
    for channel in channels:
        await channel.close()


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[HttpBank]:
    """A bank that demands a client certificate."""
    async with HttpBank(server_context(world().server, str(tmp_path), client_ca=world().ca)) as bank:
        yield bank


Open = Callable[..., Channel]


async def test_put_creates_the_file_once_with_its_hash_and_its_length(secure: HttpBank, open_channel: Open) -> None:
    receipt = await open_channel(table(secure.port)).send(FILE)
    assert (receipt.evidence, receipt.at) == ("http 201", NOON)
    assert secure.files == {FILE.name: CONTENT}
    (request,) = secure.requests
    assert request.headers["if-none-match"] == "*"
    assert request.headers["content-length"] == str(len(CONTENT))
    assert "transfer-encoding" not in request.headers
    assert request.headers["digest"].startswith("sha-256=")
    assert request.headers["content-digest"].startswith("sha-256=:")
    assert request.headers["idempotency-key"] == FILE.key


async def test_post_sends_the_raw_bytes_with_key_and_name(open_channel: Open) -> None:
    async with HttpBank() as bank:
        receipt = await open_channel(plain(bank.port, upload_mode="post", idempotency_header="X-Request-Id")).send(FILE)
        assert receipt.evidence == "http 202"
        assert bank.files == {FILE.name: CONTENT}
        assert bank.requests[0].headers["x-request-id"] == FILE.key
        assert "if-none-match" not in bank.requests[0].headers


async def test_an_empty_and_a_large_file_arrive(open_channel: Open) -> None:
    async with HttpBank() as bank:
        channel = open_channel(plain(bank.port))
        await channel.send(parcel(b"", "EMPTY.xml"))
        await channel.send(parcel(CONTENT * 1000, "LARGE.xml", pieces=9))
        assert bank.files == {"EMPTY.xml": b"", "LARGE.xml": CONTENT * 1000}


# Points before a connection stands: not sent.


async def test_nobody_listens(open_channel: Open) -> None:
    with pytest.raises(NotSent, match="ClientConnectorError"):
        await open_channel(table(1)).send(FILE)


async def test_no_such_host(open_channel: Open) -> None:
    with pytest.raises(NotSent, match="ClientConnectorDNSError"):
        await open_channel(table(1, base_url="https://does-not-exist.invalid")).send(FILE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a first packet when the queue is full")
async def test_the_first_packet_is_swallowed(open_channel: Open) -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # the queue is full: the kernel drops what comes next
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(NotSent, match="ConnectionTimeoutError"):
            await open_channel(table(full.getsockname()[1])).send(FILE)


@pytest.mark.parametrize(("fault", "said"), [("closes", "ClientConnectorError"), ("stalls", "ConnectionTimeoutError")])
async def test_the_tls_handshake_fails(open_channel: Open, fault: str, said: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if fault == "stalls":
            await asyncio.sleep(1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NotSent, match=said):
            await open_channel(table(server.sockets[0].getsockname()[1])).send(FILE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trust": ["env:OTHER_CA"]}, "ClientConnectorCertificateError"),
        ({"server_certificate_sha256": ["00" * 32, "11" * 32]}, "ServerFingerprintMismatch"),
    ],
)
async def test_a_server_we_do_not_believe_gets_nothing(
    secure: HttpBank, open_channel: Open, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotSent, match=said):
        await open_channel(table(secure.port, **changes)).send(FILE)
    assert secure.requests == []


async def test_a_certificate_for_another_host_is_not_believed(tmp_path: Path, open_channel: Open) -> None:
    async with HttpBank(server_context(world().elsewhere, str(tmp_path))) as bank:
        with pytest.raises(NotSent, match="ClientConnectorCertificateError"):
            await open_channel(table(bank.port)).send(FILE)
        assert bank.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"server_certificate_sha256": ["00" * 32, world().server.sha256]},
        {"trust": ["env:SERVER"]},
        {"trust": ["env:OTHER_CA", "env:CA"]},
    ],
)
async def test_pins_and_anchors_of_a_renewal_are_believed(secure: HttpBank, open_channel: Open, changes: dict[str, Any]) -> None:
    assert (await open_channel(table(secure.port, **changes)).send(FILE)).evidence == "http 201"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_key_passphrase": "env:WRONG"}, r"client_key: \S+ does not open"),
        ({"client_key": identity("STRANGER")["client_key"]}, "does not belong to"),
        ({"client_key_passphrase": "env:NOWHERE"}, "client_key_passphrase: env:NOWHERE cannot be read"),
        ({"client_key": "file:nowhere.pem"}, "client_key: file:nowhere.pem is not a file"),
        ({"trust": ["env:PASSPHRASE"]}, "trust: env:PASSPHRASE has no certificate"),
    ],
)
async def test_keys_that_cannot_be_used_are_named_and_nothing_is_sent(
    secure: HttpBank, open_channel: Open, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotSent, match=said) as caught:
        await open_channel(table(secure.port, **changes)).send(FILE)
    assert "correct horse" not in str(caught.value)
    assert secure.connections == 0


async def test_key_and_certificate_from_files_beside_the_configuration(
    secure: HttpBank, open_channel: Open, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "client.pem").write_bytes(world().client.pem)
    (keys / "client.key").write_bytes(world().client.key_pem)
    (keys / "client.key").chmod(0o600)
    settings = table(secure.port, client_certificate="file:keys/client.pem", client_key="file:keys/client.key")
    assert (await open_channel(settings, base=tmp_path).send(FILE)).evidence == "http 201"


async def test_a_renewed_client_certificate_is_used_at_the_next_try(secure: HttpBank, tmp_path: Path, open_channel: Open) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    channel = open_channel(table(secure.port, client_certificate="file:client.pem", client_key="file:client.key"), base=tmp_path)
    certificate.write_bytes(world().expired.pem)
    key.write_bytes(world().expired.key_pem)
    key.chmod(0o600)
    with pytest.raises((InDoubt, NotSent)):
        await channel.send(FILE)
    certificate.write_bytes(world().client.pem)
    key.write_bytes(world().client.key_pem)
    assert (await channel.send(FILE)).evidence == "http 201"


async def test_a_damaged_store_is_noticed_before_we_connect(open_channel: Open) -> None:
    async with HttpBank() as bank:
        for damaged in (parcel(CONTENT, sha256="0" * 64), parcel(CONTENT, size=len(CONTENT) + 1), failing_parcel(b"", OSError())):
            with pytest.raises(NotSent):
                await open_channel(plain(bank.port)).send(damaged)
        assert bank.connections == 0


# Points after a connection stands: in doubt, unless the bank's whole answer says otherwise; and one request only.


@pytest.mark.parametrize("mode", ["put", "post"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("reset mid-body", "ClientOSError|ServerDisconnectedError"),
        ("closed mid-body", "ClientOSError|ServerDisconnectedError"),
        ("stops reading", "TimeoutError"),
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
async def test_what_is_not_answered_whole_is_in_doubt_and_never_sent_twice(
    open_channel: Open, fault: str, said: str, mode: str
) -> None:
    brief = {"connect": 0.4, "read": 0.4, "total": 1.2 if fault == "stops reading" else 20}
    large = parcel(CONTENT * 4000, pieces=40)  # 20 MB: more than the kernel takes off our hands
    async with HttpBank(fault=fault) as bank:
        with pytest.raises(InDoubt, match=said):
            await open_channel(plain(bank.port, upload_mode=mode, timeouts=brief)).send(large)
        assert bank.connections == 1, "the client tried a second time by itself"
        assert bank.files == {}


@pytest.mark.parametrize("fault", ["closed mid-body", "read, then closed"])
async def test_even_a_small_put_is_never_sent_twice_by_the_client(open_channel: Open, fault: str) -> None:
    for content in (b"", b"x"):
        async with HttpBank(fault=fault) as bank:
            with pytest.raises(InDoubt):
                await open_channel(plain(bank.port)).send(parcel(content))
            await asyncio.sleep(0.02)
            assert bank.connections == 1


async def test_the_client_library_is_kept_from_repeating_a_put(open_channel: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp repeats a PUT by itself if the connection breaks before the content is begun; a race no server can provoke
    at will, so the break is made inside."""
    sent = []

    async def breaks(request: aiohttp.ClientRequest, _connection: object) -> aiohttp.ClientResponse:
        sent.append(request.method)
        raise aiohttp.ServerDisconnectedError

    monkeypatch.setattr(aiohttp.ClientRequest, "send", breaks)
    async with HttpBank() as bank:
        with pytest.raises(InDoubt, match="ServerDisconnectedError"):
            await open_channel(plain(bank.port)).send(FILE)
    assert sent == ["PUT"]


@pytest.mark.parametrize("client", [None, "EXPIRED", "STRANGER"])
async def test_a_refused_client_certificate_is_never_a_receipt(secure: HttpBank, open_channel: Open, client: str | None) -> None:
    """TLS 1.3 tells it only after we began: in doubt, though nothing was processed. See the module's text."""
    changes = identity(client)
    with pytest.raises((InDoubt, NotSent)):
        await open_channel(table(secure.port, **changes)).send(FILE)
    assert secure.requests == []


async def test_a_store_that_fails_in_the_middle_is_in_doubt_and_incomplete(open_channel: Open) -> None:
    async with HttpBank() as bank:
        with pytest.raises(InDoubt, match="request was begun"):
            await open_channel(plain(bank.port)).send(parcel(CONTENT, pieces=3, sha256="0" * 64))
        await eventually(lambda: bank.open_connections == 0)
        assert bank.files == {}


async def test_a_connection_closed_while_idle_does_not_disturb_the_next_send(open_channel: Open) -> None:
    async with HttpBank(fault="closes after each") as bank:
        channel = open_channel(plain(bank.port))
        for number in range(3):
            await channel.send(parcel(CONTENT, f"BG{number}.xml"))
        assert len(bank.files) == bank.connections == 3


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, None),
        (204, None),
        (203, InDoubt),
        (301, InDoubt),
        (307, InDoubt),
        (400, Refused),
        (401, Refused),
        (403, Refused),
        (408, InDoubt),
        (413, Refused),
        (418, InDoubt),
        (429, InDoubt),
        (500, InDoubt),
        (502, InDoubt),
        (503, InDoubt),
        (999, InDoubt),
    ],
)
async def test_a_status_means_what_the_profile_says_and_doubt_otherwise(
    open_channel: Open, status: int, outcome: type[Exception] | None
) -> None:
    told = b"" if status == 204 else b"DE89370400440532013000"
    async with HttpBank(answer=lambda _bank, _request: reply(status, told, headers="Location: /in\r\n")) as bank:
        channel = open_channel(plain(bank.port))
        if outcome is None:
            assert (await channel.send(FILE)).evidence == f"http {status}"
        else:
            with pytest.raises(outcome) as caught:
                await channel.send(FILE)
            assert "DE89" not in str(caught.value), "the bank's text may contain anything"
            if isinstance(caught.value, Refused):
                assert caught.value.code == f"http {status}"
        assert len(bank.requests) == 1, "a redirect was followed, or the request repeated"


async def test_what_a_broken_server_says_is_not_repeated(open_channel: Open) -> None:
    async with HttpBank(answer=lambda _bank, _request: b"DE89370400440532013000\r\n\r\n") as bank:
        with pytest.raises(InDoubt) as caught:
            await open_channel(plain(bank.port)).send(FILE)
        assert "DE89" not in str(caught.value)


async def test_a_bank_that_confirmed_what_429_means_is_believed(open_channel: Open) -> None:
    async with HttpBank(answer=lambda _bank, _request: reply(429)) as bank:
        with pytest.raises(NotSent, match="took nothing"):
            await open_channel(plain(bank.port, not_taken_statuses=[429])).send(FILE)


@pytest.mark.parametrize(
    ("there", "changes", "outcome"),
    [
        (CONTENT, {}, None),
        (CONTENT[:-1], {}, Refused),
        (CONTENT[:-1], {"conflict_means_arrived": True}, None),
        (CONTENT, {"status_shows_size": False}, InDoubt),
        (CONTENT, {"status_path": "/nowhere"}, InDoubt),
        (CONTENT, {"upload_mode": "post"}, InDoubt),
        (CONTENT, {"upload_mode": "post", "status_path": "/in"}, None),
        (CONTENT, {"status_shows_size": False, "status_sha256_header": "X-Sha"}, None),
        (CONTENT[:-1] + b"?", {"status_sha256_header": "X-Sha"}, Refused),
    ],
)
async def test_a_name_that_is_taken_is_a_receipt_only_if_it_is_our_file(
    open_channel: Open, there: bytes, changes: dict[str, Any], outcome: type[Exception] | None
) -> None:
    def answer(bank: HttpBank, request: Request) -> bytes:
        if request.method in ("PUT", "POST"):
            return reply(409)
        same = FILE.sha256 if there == CONTENT else "0" * 64
        return reply(200, there, head=True, headers=f"X-Sha: {same}\r\n") if "/in/" in request.target else reply(404)

    async with HttpBank(answer=answer) as bank:
        channel = open_channel(plain(bank.port, **changes))
        if outcome is None:
            assert (await channel.send(FILE)).evidence == "http 409"
        else:
            with pytest.raises(outcome):
                await channel.send(FILE)


async def test_cancelling_is_passed_on(open_channel: Open) -> None:
    async with HttpBank(fault="read, then silence") as bank:
        task = asyncio.create_task(open_channel(plain(bank.port, timeouts={"read": 30})).send(FILE))
        await eventually(lambda: len(bank.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(("direction", "mode"), [("up", "put"), ("up", "post"), ("down", "put")])
async def test_a_cut_at_every_byte_never_gives_a_false_receipt_or_a_false_not_sent(
    open_channel: Open, direction: str, mode: str
) -> None:
    small = CONTENT[:64]
    outcomes: dict[str, int] = {}
    async with HttpBank() as bank, Proxy(bank.port) as proxy:
        channel = open_channel(plain(proxy.port, upload_mode=mode))
        await channel.send(parcel(small, "MEASURE.xml"))
        whole = proxy.up if direction == "up" else proxy.down
        for offset in range(whole + 2):
            await eventually(lambda: proxy.idle)
            proxy.faultless()
            setattr(proxy, f"{direction}_limit", offset)
            name = f"BG{offset}.xml"
            try:
                await channel.send(parcel(small, name, pieces=2))
                outcome = "receipt"
            except (NotSent, InDoubt) as error:
                outcome = type(error).__name__
            await eventually(lambda: proxy.idle and bank.open_connections == 0)
            delivered = bank.files.get(name)
            assert delivered in (None, small)
            assert outcome != "receipt" or delivered == small, f"false receipt at byte {offset}"
            assert outcome != "NotSent" or delivered is None, f"false NotSent at byte {offset}"
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes["InDoubt"] > 30
    assert outcomes["receipt"] >= 1


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_cut_anywhere_in_a_tls_session_never_gives_a_false_outcome(
    tmp_path: Path, open_channel: Open, direction: str
) -> None:
    identities: World = world()
    context = server_context(identities.server, str(tmp_path), client_ca=identities.ca)
    async with HttpBank(context) as bank, Proxy(bank.port) as proxy:
        channel = open_channel(table(proxy.port))
        await channel.send(parcel(CONTENT, "MEASURE.xml"))
        whole = proxy.up if direction == "up" else proxy.down
        outcomes = set()
        for offset in [*range(0, whole, whole // 20), *range(whole - 60, whole + 10, 6)]:
            await eventually(lambda: proxy.idle)
            proxy.faultless()
            setattr(proxy, f"{direction}_limit", offset)
            name = f"BG{offset}.xml"
            try:
                await channel.send(parcel(CONTENT, name, pieces=2))
                outcome = "receipt"
            except (NotSent, InDoubt) as error:
                outcome = type(error).__name__
            await eventually(lambda: proxy.idle and bank.open_connections == 0)
            delivered = bank.files.get(name)
            assert outcome != "receipt" or delivered == CONTENT, f"false receipt at byte {offset}"
            assert outcome != "NotSent" or delivered is None, f"false NotSent at byte {offset}"
            outcomes.add(outcome)
        assert outcomes >= {"NotSent", "InDoubt"}


@pytest.mark.parametrize("began", [False, True])
def test_an_error_of_connecting_proves_nothing_once_a_byte_may_have_left(began: bool) -> None:
    """The second witness: whatever class a later release of aiohttp raises, after the first byte it is doubt."""
    refused = aiohttp.ClientConnectorError(SimpleNamespace(ssl=True, host="h", port=1), OSError())  # type: ignore[arg-type]
    assert never_sent(refused, Progress(began=began)) is not began
    assert not never_sent(aiohttp.ServerDisconnectedError(), Progress(began=began))
