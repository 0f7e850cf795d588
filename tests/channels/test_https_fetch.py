"""Asking and fetching over HTTPS."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.channel import Channel, Fate, Unreachable
from tests.channels.support.http_bank import HttpBank, Request, reply
from tests.channels.support.parcels import Shelf, channel_of, parcel

FILE = parcel(b"<Document/>" * 50)


@pytest.fixture
async def web() -> AsyncIterator[HttpBank]:
    async with HttpBank() as bank:
        yield bank


def channel_to(bank: HttpBank, *, final: bool = False, **changes: Any) -> Channel:
    table = {
        "kind": "https",
        "base_url": f"http://127.0.0.1:{bank.port}",
        "allow_plaintext_loopback": True,
        "upload_path": "/in",
        "list_path": "/out",
        "timeouts": {"connect": 0.5, "read": 0.5, "total": 3},
        **changes,
    }
    return channel_of(table, final=final)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    ("there", "final", "fate"),
    [
        (b"<Document/>" * 50, False, Fate.ARRIVED),
        (b"another", True, Fate.UNKNOWN),
        (None, False, Fate.UNKNOWN),
        (None, True, Fate.DID_NOT_ARRIVE),
    ],
)
async def test_fate_follows_what_the_bank_shows(web: HttpBank, there: bytes | None, final: bool, fate: Fate, method: str) -> None:
    if there is not None:
        web.files[FILE.name] = there
    channel = channel_to(web, final=final, status_method=method)
    report = await channel.fate(FILE)
    assert (report.fate, report.evidence) == (fate, f"http.{method.lower()}")
    await channel.close()


@pytest.mark.parametrize("status", [204, 301, 403, 410, 500, 503])
async def test_any_other_status_tells_no_fate(web: HttpBank, status: int) -> None:
    web.answer = lambda _bank, _request: reply(status, headers="Location: /elsewhere\r\n")
    channel = channel_to(web, final=True)
    assert (await channel.fate(FILE)).fate is Fate.UNKNOWN
    await channel.close()


async def test_trouble_while_asking_tells_no_fate(web: HttpBank) -> None:
    web.fault = "read, then silence"
    channel = channel_to(web, final=True)
    assert (await channel.fate(FILE)).evidence == "none"
    await channel.close()


async def test_a_route_that_cannot_be_asked_says_so(web: HttpBank) -> None:
    channel = channel_to(web, final=True, upload_mode="post")
    report = await channel.fate(FILE)
    assert report.fate is Fate.UNKNOWN
    assert "status_path" in report.detail
    assert web.connections == 0


async def test_files_come_in_the_banks_order_and_are_deleted_once_kept(web: HttpBank) -> None:
    web.outbox = {"b c.xml": b"1", "a.xml": b"2" * 3_000_000, "x.part": b"unfinished", ".hidden": b"", "../up.xml": b""}
    channel, shelf = channel_to(web), Shelf()
    assert await channel.receive(shelf.keep) == 2
    assert shelf.files == [("b c.xml", b"1"), ("a.xml", b"2" * 3_000_000)]
    assert web.acknowledged == [("DELETE", "/out/b%20c.xml"), ("DELETE", "/out/a.xml")]
    assert web.connections == 1, "questions share a connection"
    await channel.close()


async def test_paths_and_methods_of_the_profile_are_used(web: HttpBank) -> None:
    web.outbox = {"a.xml": b"1"}

    def answer(bank: HttpBank, request: Request) -> bytes:
        return reply(200, b"\xef\xbb\xbf"[:0] + b"a.xml\r\n\r\n") if request.target == "/names" else bank.serve(request)

    web.answer = answer
    changes: dict[str, Any] = {
        "list_path": "/names",
        "list_format": "lines",
        "file_path": "/files/{name}",
        "acknowledge_path": "/ack/{name}",
    }
    channel, shelf = channel_to(web, **changes, acknowledge_method="POST"), Shelf()
    assert await channel.receive(shelf.keep) == 1
    assert [request.target for request in web.requests] == ["/names", "/files/a.xml", "/ack/a.xml"]
    assert web.acknowledged == [("POST", "/ack/a.xml")]
    await channel.close()


async def test_a_route_without_downloads_fetches_nothing(web: HttpBank) -> None:
    assert await channel_to(web, list_path=None).receive(Shelf().keep) == 0
    assert web.connections == 0


@pytest.mark.parametrize(
    "listed",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"size": 1}]',
        b"not json",
        b"[" * 100_000,
        b"\xff\xfe",
        b'["a.xml"',
        b'[{"name": "a", "size": "x"}]',
    ],
)
async def test_a_list_that_is_no_list_is_told_and_not_taken_for_an_empty_one(web: HttpBank, listed: bytes) -> None:
    web.answer = lambda _bank, _request: reply(200, listed)
    channel = channel_to(web)
    with pytest.raises(Unreachable, match="list"):
        await channel.receive(Shelf().keep)
    await channel.close()


async def test_no_content_is_an_empty_list(web: HttpBank) -> None:
    web.answer = lambda _bank, _request: reply(204)
    channel = channel_to(web)
    assert await channel.receive(Shelf().keep) == 0
    await channel.close()


@pytest.mark.parametrize("status", [301, 401, 404, 500])
async def test_a_list_that_is_refused_is_not_taken_for_an_empty_one(web: HttpBank, status: int) -> None:
    web.answer = lambda _bank, _request: reply(status, b"[]")
    channel = channel_to(web)
    with pytest.raises(Unreachable, match=str(status)):
        await channel.receive(Shelf().keep)
    await channel.close()


async def test_a_file_in_trouble_stays_and_the_others_go_on(web: HttpBank) -> None:
    web.outbox = {"a.xml": b"1", "large.xml": b"x" * 200, "gone.xml": b"3", "packed.xml": b"4", "d.xml": b"5"}

    def answer(bank: HttpBank, request: Request) -> bytes:
        if request.target.endswith("gone.xml"):
            return reply(404)
        if request.target.endswith("packed.xml"):
            return reply(200, b"4", headers="Content-Encoding: gzip\r\n")
        return bank.serve(request)

    web.answer = answer
    channel, shelf = channel_to(web, file_bytes_max=100), Shelf(refuse=frozenset({"a.xml"}))
    assert await channel.receive(shelf.keep) == 1
    assert shelf.names == ["d.xml"]
    assert set(web.outbox) == {"a.xml", "large.xml", "gone.xml", "packed.xml"}
    await channel.close()


async def test_a_file_without_an_announced_length_is_still_bounded(web: HttpBank) -> None:
    def answer(bank: HttpBank, request: Request) -> bytes:
        if request.target == "/out":
            return reply(200, b'["endless.xml"]')
        chunk = b"10\r\n" + b"x" * 16 + b"\r\n"
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 100 + b"0\r\n\r\n"

    web.answer = answer
    channel, shelf = channel_to(web, file_bytes_max=1000), Shelf()
    assert await channel.receive(shelf.keep) == 0
    await channel.close()


async def test_a_file_that_is_cut_is_not_kept(web: HttpBank) -> None:
    web.outbox = {"a.xml": b"1"}

    def answer(bank: HttpBank, request: Request) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" if request.target.endswith("a.xml") else bank.serve(request)

    web.answer, web.fault = answer, "closes after each"
    channel, shelf = channel_to(web), Shelf()
    assert await channel.receive(shelf.keep) == 0
    assert set(web.outbox) == {"a.xml"}
    await channel.close()


async def test_a_kept_file_whose_acknowledgement_fails_comes_again(web: HttpBank) -> None:
    web.outbox = {"a.xml": b"1"}
    web.answer = lambda bank, request: reply(500) if request.method == "DELETE" else bank.serve(request)
    channel, shelf = channel_to(web), Shelf()
    assert [await channel.receive(shelf.keep), await channel.receive(shelf.keep)] == [1, 1]
    await channel.close()


async def test_a_bank_that_went_away_stops_the_round(web: HttpBank) -> None:
    web.outbox = {f"{n}.xml": b"1" for n in range(9)}
    channel, shelf = channel_to(web), Shelf()

    def answer(bank: HttpBank, request: Request) -> bytes:
        if request.target != "/out":
            bank.fault = "read, then reset"
        return bank.serve(request)

    web.answer = answer
    with pytest.raises(Unreachable, match="3 files in a row"):
        await channel.receive(shelf.keep)
    await channel.close()


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({}, 200, None),
        ({}, 401, "401"),
        ({"list_path": None}, 200, None),
        ({"list_path": None}, 404, None),
        ({"list_path": None}, 403, "403"),
        ({"list_path": None}, 502, "502"),
    ],
)
async def test_check_tells_problems_and_sends_nothing(
    web: HttpBank, changes: dict[str, Any], status: int, problem: str | None
) -> None:
    web.answer = lambda _bank, request: reply(status, b"[]", head=request.method == "HEAD")
    channel = channel_to(web, **changes)
    problems = await channel.check()
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]
    assert {request.method for request in web.requests} <= {"GET", "HEAD"}
    await channel.close()


async def test_check_names_a_key_that_cannot_be_read() -> None:
    table = {"kind": "https", "base_url": "https://127.0.0.1:1", "trust": ["env:NOWHERE"]}
    assert "trust: env:NOWHERE" in (await channel_of(table).check())[0]
