"""The simulator's verification-of-payee service as the program opens it, and its remote control."""

import asyncio
import ssl
from pathlib import Path

import aiohttp

from simulator.identity import make_certificate
from simulator.running import run
from simulator.settings import BankSettings


async def test_the_service_opens_with_the_bank_and_takes_moods(tmp_path: Path) -> None:
    make_certificate("erp", tmp_path / "erp.pem", tmp_path / "erp.key", server=False)
    settings = BankSettings.model_validate(
        {
            "directory": tmp_path,
            "ledger": {"kind": "fast"},
            "customers": [{"id": "acme"}],
            "payee": {"client_ca": "erp.pem", "holders": [{"account": "DE1", "name": "Acme GmbH"}]},
        }
    )
    async with run(settings) as bank, aiohttp.ClientSession() as session:
        ready = bank.addresses()
        context = ssl.create_default_context(cafile=ready["payee"]["certificate"])
        context.load_cert_chain(tmp_path / "erp.pem", tmp_path / "erp.key")
        url = f"{ready['payee']['url']}/vop/v1/payee-verifications"
        question = {"requestId": "1", "party": {"name": "acme  gmbh"}, "partyAccount": {"iban": "DE1"}}
        async with session.post(url, json=question, ssl=context) as answer:
            assert (await answer.json())["partyNameMatch"] == "MTCH"
        control = f"{ready['control']['url']}/payee"
        async with session.post(control, json={"mood": "fails", "latency_seconds": 0}) as answer:
            assert await answer.json() == {"mood": "fails", "latency_seconds": 0.0, "questions": 1}
        async with session.post(url, json=question, ssl=context) as answer:
            assert answer.status == 503
        for bad in ({"mood": "merry"}, {"latency_seconds": -1}, {"mode": "well"}):
            async with session.post(control, json=bad) as answer:
                assert answer.status == 400
        async with session.get(control) as answer:
            assert (await answer.json())["questions"] == 2
        stranger = ssl.create_default_context(cafile=ready["payee"]["certificate"])
        try:
            async with session.post(url, json=question, ssl=stranger) as answer:
                assert answer.status >= 400
        except (aiohttp.ClientError, asyncio.IncompleteReadError):
            return
        raise AssertionError("a client without a certificate was answered")
