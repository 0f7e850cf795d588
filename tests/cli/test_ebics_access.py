"""An EBICS access and orders that wait for signatures, as a person types it, against the simulator's bank."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keys.ebics_signature import order_digest
from keys.keystore import store_at
from simulator.fixture import run_bank
from tests.channels.support.parcels import parcel
from tests.cli.test_onboarding import with_key_store
from tests.config.test_ebics import EBICS
from tests.ebics.support.door import Connection
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, Branch
from tests.simulator.helpers import Pay, pain001

DATA = pain001("C-1", DEBTOR, Pay("C-1a", "1.10"), Pay("C-1b", "2.20"))


@dataclass
class BankInThread:
    branch: Branch
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=120)

    def state(self) -> str:
        return self.branch.desk.subscribers.known("PARTNER1", "USER1").state.value

    def command(self, command: str) -> None:
        async def work() -> None:
            self.branch.desk.subscribers.command("PARTNER1", "USER1", command)

        self.run(work())

    def last_order(self) -> str:
        """The state of the last payment order."""

        async def work() -> str:
            return str(self.branch.orders[-1]["state"])

        return str(self.run(work()))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[BankInThread]:
    started: list[BankInThread] = []
    ready, over = threading.Event(), threading.Event()

    async def live() -> None:
        async with run_bank(tmp_path / "bank", customers=[CUSTOMER], ledger={"kind": "fast"}) as running:
            started.append(BankInThread(Branch(running), asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    try:
        assert ready.wait(timeout=60)
        yield started[0]
    finally:
        over.set()
        thread.join()


@pytest.fixture
def person(bankgate: Any, directory: Path, bank: BankInThread) -> Any:
    """Types commands about a connection that is onboarded."""
    assert bank.branch.bank.ebics is not None
    reached = f'url = "{bank.branch.bank.ebics.url}"\nallow_plaintext_loopback = true'
    text = (
        EBICS.replace('url = "https://ebics.bank.example/ebics"\ntrust = ["env:CA"]', reached)
        .replace('{ key = "pkcs11:token=t;object=e", passphrase = "env:PIN" }', '{ key = "store:bank-e" }')
        .replace("bank-a@1", "bank-a")
        .replace("bank-x@1", "bank-x")
        .replace("BANKHOST", "TESTHOST")
    )
    (directory / "connections" / "bank.toml").write_text(text, encoding="utf-8")
    with_key_store(bankgate, directory)

    def types(group: str, command: str, *more: str) -> Any:
        return bankgate(group, command, "bank", *more, "--config", directory)

    def onboard() -> None:
        assert types("connections", "init").code == 0
        bank.command("activate")
        keys = bank.branch.desk.keys
        x002, e002 = (key.public_key_hash.hex() for key in (keys.authentication, keys.encryption))
        done = types("connections", "confirm-bank-keys", "--authentication", x002, "--encryption", e002)
        assert done.code == 0, done.err

    types.onboard = onboard  # type: ignore[attr-defined]
    onboard()
    return types


def test_keys_are_changed_the_access_described_locked_and_begun_anew(person: Any, bank: BankInThread, directory: Path) -> None:
    before = dict(bank.branch.desk.subscribers.known("PARTNER1", "USER1").keys)
    bank.branch.bank.moods.set("ebics_lose_answer", 1, {"order_type": "HCS", "when": "init"})
    lost = person("connections", "change-keys")
    assert (lost.code, "goes on with the same keys" in lost.err or "old keys are in force" in lost.out) == (1, True)
    done = person("connections", "change-keys", "--json")
    assert (done.code, json.loads(done.out)["in_force"]) == (0, "new"), done.err
    after = bank.branch.desk.subscribers.known("PARTNER1", "USER1").keys
    assert all(after[use].public != before[use].public for use in before)
    manifest = store_at(directory / "keys").public_manifest("bank-a")
    assert [version.state for version in manifest.versions] == ["overlap", "active"], "the second run made no third key"
    assert person("connections", "check").code == 0
    told = json.loads(person("connections", "describe", "--json").out)
    assert (told["refused"], told["bank"]["host_id"]) == ([], "TESTHOST")
    assert "版本" in person("connections", "describe").out
    wrong = person("connections", "lock", "--user", "USER2")
    assert (wrong.code, bank.state()) == (2, "ready")
    locked = person("connections", "lock", "--user", "USER1")
    assert (locked.code, bank.state(), "begin-anew" in locked.out) == (0, "locked", True), locked.err
    assert person("connections", "check").code == 1
    assert person("connections", "begin-anew").code == 2
    bank.command("reset")
    assert person("connections", "begin-anew", "--bank-has-reset").code == 0
    person.onboard()
    assert person("connections", "check").code == 0


def test_an_order_is_signed_only_with_the_digest_and_the_totals_that_were_shown(
    person: Any, bank: BankInThread, tmp_path: Path
) -> None:
    other = Connection(tmp_path / "other", bank.branch, "H004", "USER2")

    async def send() -> None:
        await (await other.ready()).send(parcel(DATA))
        await other.close()

    bank.run(send())
    digest = order_digest((DATA,)).hex()
    (row,) = json.loads(person("ebics", "waiting", "--json").out)
    assert (row["kind"], row["done"], row["digest"]) == ("CCT", 1, digest)
    shown = person("ebics", "show", row["order"])
    assert "2 payments, 3.30 EUR" in shown.out
    assert "this gateway did not send it" in shown.out
    for wrong in (
        ("--digest", "00" * 32, "--totals", "2 payments, 3.30 EUR"),
        ("--digest", digest, "--totals", "2 payments, 3 EUR"),
    ):
        refused = person("ebics", "sign", row["order"], *wrong)
        assert (refused.code, "nothing was done" in refused.err) == (1, True)
    assert bank.last_order() == "parked"
    signed = person("ebics", "sign", row["order"], "--digest", digest, "--totals", "2 payments, 3.30 EUR")
    assert (signed.code, "signed" in signed.out) == (0, True), signed.err
    assert bank.last_order() in {"accepted", "final"}
    assert json.loads(person("ebics", "waiting", "--json").out) == []
    gone = person("ebics", "cancel", row["order"], "--digest", digest, "--totals", "2 payments, 3.30 EUR")
    assert (gone.code, "no order" in gone.err) == (1, True)

    # One whose payees the bank verifies: what it found of them is confirmed too.
    other.settings = {"upload": {"order_type": "CTV"}}

    async def send_verified() -> str:
        assert (await other.channel().send(parcel(DATA.replace(b"C-1", b"C-2")))).waits
        await other.close()
        return str(bank.branch.orders[-1]["order_id"])

    order = bank.run(send_verified())
    looked = person("ebics", "show", order, "--json")
    assert looked.code == 0, looked.err
    shown = json.loads(looked.out)
    assert (shown["kind"], shown["done"], shown["payees"]) == ("CTV", 0, "not known here"), "the other system has the report"
    seen = ("--digest", shown["digest"], "--totals", "2 payments, 3.30 EUR")
    refused = person("ebics", "sign", order, *seen, "--payees", "2 match")
    assert (refused.code, "nothing was done" in refused.err, bank.last_order()) == (1, True, "parked")
    signed = person("ebics", "sign", order, *seen, "--payees", "not known here")
    assert (signed.code, bank.last_order() in {"accepted", "final"}) == (0, True), signed.err
