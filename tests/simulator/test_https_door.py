"""The HTTPS door through a client of another hand: certificates, names used once, idempotency keys, the outbox."""

import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.fixture import iban, run_bank
from tests.simulator.helpers import Identities, Pay, Ways, pain001, texts

DEBTOR = iban("NL", "FAST0000000002")
ONCE = {"If-None-Match": "*"}


@pytest.fixture
async def ways(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    customer = {"id": "acme", "accounts": [DEBTOR], "https": acme["https"]}
    trusted = [identities.certificate, identities.stranger_certificate]
    async with run_bank(tmp_path, customers=[customer], ledger="fast", client_certificates=trusted) as bank:
        yield Ways(bank, identities, "acme", DEBTOR)


async def test_a_name_can_be_used_once_and_never_again(ways: Ways) -> None:
    content = pain001("H-1", DEBTOR, Pay("1"))
    async with ways.https() as http:
        async with http.put("/files/h-1.xml", data=content, headers=ONCE) as first:
            assert first.status == 201
            assert (await first.json())["sha256"] == hashlib.sha256(content).hexdigest()
        await ways.bank.idle()
        for _ in range(2):
            async with http.put("/files/h-1.xml", data=content, headers=ONCE) as again:
                assert again.status == 412
    assert (await ways.bank.books())["totals"]["executed"] == 1


async def test_an_upload_without_the_condition_is_refused(ways: Ways) -> None:
    async with ways.https() as http, http.put("/files/h-2.xml", data=b"x") as response:
        assert response.status == 428


async def test_the_bank_can_be_asked_about_a_name(ways: Ways) -> None:
    content = pain001("H-3", DEBTOR, Pay("3"))
    async with ways.https() as http:
        async with http.get("/files/h-3.xml/status") as before:
            assert before.status == 404
        async with http.put("/files/h-3.xml", data=content, headers=ONCE):
            await ways.bank.idle()
        async with http.get("/files/h-3.xml/status") as after:
            assert (await after.json())["state"] == "executed"
        async with http.head("/files/h-3.xml/status") as short:
            assert short.status == 200
        async with http.head("/files/h-3.xml") as head:
            assert head.headers["Content-Length"] == str(len(content))
            assert head.headers["X-Content-SHA256"] == hashlib.sha256(content).hexdigest()
        async with http.head("/files/never.xml") as never:
            assert never.status == 404


async def test_an_idempotency_key_gives_the_first_answer_again_and_executes_once(ways: Ways) -> None:
    content = pain001("H-4", DEBTOR, Pay("4"))
    async with ways.https() as http:
        answers = []
        for _ in range(3):
            headers = {"Idempotency-Key": "H-4", "X-File-Name": "h-4.xml"}
            async with http.post("/payments", data=content, headers=headers) as response:
                answers.append((response.status, (await response.json())["name"], response.headers.get("Idempotency-Replayed")))
            await ways.bank.idle()
        assert answers == [(201, "h-4.xml", None), (201, "h-4.xml", "true"), (201, "h-4.xml", "true")]
        async with http.post("/payments", data=b"other", headers={"Idempotency-Key": "H-4"}) as other:
            assert other.status == 422
        async with http.post("/payments", data=b"other") as none:
            assert none.status == 400
    assert (await ways.bank.books())["totals"]["executed"] == 1


async def test_answers_are_listed_fetched_and_acknowledged(ways: Ways) -> None:
    async with ways.https() as http:
        async with http.put("/files/h-5.xml", data=pain001("H-5", DEBTOR, Pay("5")), headers=ONCE):
            await ways.bank.idle()
        async with http.get("/outbox") as listing:
            files = await listing.json()
        assert [file["name"] for file in files] == ["pain.002.001.10-1.xml", "camt.053.001.08-2.xml"]
        async with http.get(f"/outbox/{files[0]['name']}") as response:
            body = await response.read()
        assert len(body) == files[0]["size"]
        assert texts(body, "OrgnlMsgId") == ["H-5"]
        async with http.delete(f"/outbox/{files[0]['name']}") as acknowledged:
            assert acknowledged.status == 204
        async with http.delete(f"/outbox/{files[0]['name']}") as again:
            assert again.status == 404
        async with http.get("/outbox") as listing:
            assert [file["name"] for file in await listing.json()] == ["camt.053.001.08-2.xml"]


async def test_a_body_that_is_not_what_its_digest_says_is_refused_and_its_name_stays_free(ways: Ways) -> None:
    content = pain001("H-6", DEBTOR, Pay("6"))
    right = base64.b64encode(hashlib.sha256(content).digest()).decode()
    async with ways.https() as http:
        headers = ONCE | {"Content-Digest": f"sha-256=:{right}:"}
        async with http.put("/files/h-6.xml", data=content + b" ", headers=headers) as wrong:
            assert wrong.status == 400
        async with http.put("/files/h-6.xml", data=content, headers=headers) as fine:
            assert fine.status == 201


@pytest.mark.parametrize("name", ["..%2F..%2Fbank.db", ".hidden", "a%20b", "x" * 101])
async def test_a_name_that_is_not_a_plain_name_is_refused(ways: Ways, name: str) -> None:
    async with ways.https() as http:
        async with http.put(f"/files/{name}", data=b"x", headers=ONCE) as put:
            assert put.status in {400, 404}
        async with http.get(f"/outbox/{name}") as get:
            assert get.status in {400, 404}


async def test_a_certificate_that_no_customer_pinned_is_forbidden(ways: Ways) -> None:
    stranger = ways.identities
    async with ways.https(stranger.stranger_certificate, stranger.stranger_key) as http, http.get("/outbox") as response:
        assert response.status == 403


async def test_a_certificate_nobody_trusts_or_none_at_all_gets_no_answer(ways: Ways) -> None:
    async with ways.https(ways.identities.outsider_certificate, ways.identities.outsider_key) as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get("/outbox")
    assert ways.bank.https is not None
    context = ssl.create_default_context(cafile=str(ways.bank.server_certificate))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as bare:
        with pytest.raises(aiohttp.ClientError):
            await bare.get(f"https://{ways.bank.https.host}:{ways.bank.https.port}/outbox")
