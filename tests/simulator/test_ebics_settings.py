"""The tables of the EBICS door: what they take, what they refuse, and TLS."""

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from simulator.fixture import run_bank
from simulator.settings import BankSettings
from tests.simulator.ebics_support.bank import CUSTOMER

HEV = b'<ebicsHEVRequest xmlns="http://www.ebics.org/H000"><HostID>TESTHOST</HostID></ebicsHEVRequest>'


def table(folder: Path, **more: Any) -> dict[str, Any]:
    return {"directory": folder, "customers": [CUSTOMER], "ebics": {}, **more}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ebics": None}, "a door that has no table of its own"),
        ({"ebics": {"listen": "0.0.0.0:1"}}, "without tls the EBICS door listens on 127.0.0.1 only"),
        ({"ebics": {"tls": True, "key": "k.pem"}}, "certificate and key belong together"),
        ({"ebics": {"versions": []}}, "versions"),
        ({"ebics": {"segment_chars": 1001}}, "segment_chars"),
        ({"ebics": {"tolerate": {"everything": True}}}, "everything"),
        ({"customers": [{**CUSTOMER, "seal": {"kind": "cms"}}]}, "EBICS seals by itself"),
        ({"customers": [CUSTOMER, {**CUSTOMER, "id": "other", "accounts": []}]}, "ebics.partner: used twice"),
        (
            {"customers": [{"id": "acme", "ebics": {"partner": "P", "users": [{"id": "U"}, {"id": "U"}]}}]},
            "two users have one id",
        ),
        ({"customers": [{"id": "acme", "ebics": {"partner": "P!", "users": [{"id": "U"}]}}]}, "partner"),
    ],
)
def test_tables_that_make_no_sense_are_named(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    assert BankSettings.model_validate(table(tmp_path)).ebics is not None
    with pytest.raises(ValidationError, match=said):
        BankSettings.model_validate(table(tmp_path, **wrong))


async def test_with_tls_the_door_has_a_certificate_for_this_machine(tmp_path: Path) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"tls": True}) as bank:
        assert bank.ebics is not None
        assert bank.addresses()["ebics"]["url"] == bank.ebics.url
        trusting = ssl.create_default_context(cafile=str(tmp_path / "data" / "https_certificate.pem"))
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as http,
            http.post(bank.ebics.url, data=HEV) as answer,
        ):
            assert b"03.00" in await answer.read()
            assert bank.ebics.url.startswith("https://127.0.0.1:")


async def test_a_bank_of_one_version_refuses_the_other(tmp_path: Path) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"versions": ["H004"]}) as bank:
        assert bank.desk is not None
        assert b"03.00" not in (bank.desk.handle(HEV).body or b"")
        reply = bank.desk.handle(b'<ebicsRequest xmlns="urn:org:ebics:H005" Version="H005" Revision="1"/>')
        assert b"<ReturnCode>091010" in (reply.body or b"")
        assert b'xmlns="urn:org:ebics:H004"' in (reply.body or b"")
