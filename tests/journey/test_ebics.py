"""An EBICS connection from nothing to the first statement: real commands, real processes, and a bank that speaks EBICS."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import processes
from gateway.demo.processes import Running
from tests.ebics.support.bank import EbicsBank

PAYMENT = {
    "payment_reference": "INV-1",
    "connection_id": "house",
    "debtor_account": {"iban": "DE89370400440532013000"},
    "amount": "1250.00",
    "currency": "EUR",
    "creditor": {"name": "Supplier"},
    "creditor_account": {"iban": "IE29AIBK93115212345678"},
    "payment_type": {"service_level": "SEPA"},
    "charge_bearer": "SLEV",
}
STATEMENT = b""":20:STARTUMSE
:25:37040044/0532013000
:28C:1/1
:60F:C261124EUR1000,00
:61:2611251125D250,00NTRFNONREF
:62F:C261125EUR750,00
-
"""


def settings(bank: EbicsBank) -> str:
    return f"""
bank = "iso20022"
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
agent_bic = "COBADEFFXXX"
[channel]
kind = "ebics"
url = "{bank.url}"
allow_plaintext_loopback = true
version = "H004"
host_id = "TESTHOST"
partner_id = "PARTNER1"
user_id = "USER1"
signature = {{ key = "store:bank-a" }}
authentication = {{ key = "store:bank-x" }}
encryption = {{ key = "store:bank-e" }}
[channel.upload]
order_type = "CCT"
[[channel.downloads]]
order_type = "STA"
[guarantee]
kind = "queryable"
[schedule]
fetch_seconds = 0.3
ask_seconds = 0.2
[retry]
first_seconds = 0.2
longest_seconds = 1.0
"""


class House:
    """One installation."""

    def __init__(self, directory: Path, bank: EbicsBank) -> None:
        self.directory, self.bank = directory, bank
        self.address = processes.free_address()
        self.running: dict[str, Running] = {}
        (directory / "connections").mkdir()
        (directory / "connections" / "house.toml").write_text(settings(bank), encoding="utf-8")
        (directory / "bankgate.toml").write_text(
            f'store = "sqlite:///bankgate.db"\n[listen]\naddress = "{self.address}"\n[[callers]]\nname = "erp"\n'
            'plaintext = true\nactions = ["submit", "read", "operate"]\n',
            encoding="utf-8",
        )

    async def say(self, *arguments: str, code: int = 0) -> str:
        """What a command prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.main", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "BANKGATE_CONFIG": str(self.directory), "BANKGATE_TARGET": self.address, "COLUMNS": "200"},
        )
        printed, _ = await process.communicate()
        assert process.returncode == code, printed.decode()
        return printed.decode()

    async def start(self, name: str) -> None:
        self.running[name] = await processes.start(
            name, ["gateway.main", name, "--config", str(self.directory)], self.directory, {}
        )
        if name == "serve":
            await processes.listening(self.running[name], self.address)

    async def kill(self, name: str) -> None:
        running = self.running.pop(name)
        running.process.kill()
        await running.process.wait()

    async def until(self, fine: Any) -> None:
        async with asyncio.timeout(60):
            while not fine():  # noqa: ASYNC110 - another process brings it about
                await asyncio.sleep(0.05)

    async def becomes(self, state: str) -> None:
        """Waits until the one delivery stands there."""
        found = ""
        for _ in range(30):
            (delivery,) = json.loads(await self.say("deliveries", "list", "--json"))
            found = str(delivery["state"]).lower().removeprefix("delivery_state_")
            if found == state:
                return
            await asyncio.sleep(0.2)  # another process brings it about
        raise AssertionError(f"{found}, not {state}: {self.running['worker'].tail()}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with EbicsBank(version="H004", clock=lambda: datetime.now(UTC)) as bank:
        house = House(tmp_path, bank)
        yield house
        for running in house.running.values():
            await running.stop()


async def test_a_person_sets_up_an_access_and_an_order_whose_answer_is_lost_is_executed_once(house: House) -> None:
    bank = house.bank
    keys = str(house.directory / "keys")
    await house.say("keys", "master", "new", str(house.directory / "master"))
    await house.say("keys", "master", "init", "--store", keys, "--master", f"file:{house.directory / 'master'}")
    assert "the letter" in await house.say("connections", "init", "house")
    assert "connections init" not in await house.say("connections", "check", "house", code=1)
    text = await house.say("connections", "letter", "house", "--language", "de")
    assert bank.keys["A006"].public_key_hash.hex(" ").upper()[:47] in text
    await house.say("connections", "letter", "house", "--out", str(house.directory / "letter.pdf"))
    assert (house.directory / "letter.pdf").read_bytes().startswith(b"%PDF-")

    bank.activate()
    x002, e002 = bank.fingerprints()
    await house.say("connections", "confirm-bank-keys", "house", "--authentication", x002, "--encryption", x002, code=1)
    await house.start("serve")
    (shown,) = json.loads(await house.say("connections", "list", "--json"))
    assert shown["onboarding"]["standing"] == "unconfirmed"
    await house.say("connections", "confirm-bank-keys", "house", "--authentication", x002, "--encryption", e002)
    assert "ready" in await house.say("connections", "check", "house")

    bank.offers["STA"] = [STATEMENT]
    bank.lose["CCT last"] = 3
    (house.directory / "payments.jsonl").write_text(json.dumps(PAYMENT), encoding="utf-8")
    await house.say("submit", str(house.directory / "payments.jsonl"))
    await house.start("worker")
    await house.until(lambda: bank.asked.count("CCT last") >= 3)
    await house.kill("worker")
    await house.start("worker")
    await house.until(lambda: not bank.offers["STA"])
    await house.becomes("sent")
    assert len(bank.executed) == 1
    assert b"INV-1" in bank.executed[0]
    assert "STA 0" in bank.receipts
    (file,) = json.loads(await house.say("inbound", "list", "--json"))
    assert file["name"].startswith("STA-")
    assert bank.faults == []
