"""Who may pay what, by real commands: nothing leaves without the people its rules ask, whatever is killed or forged."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.demo.cast import creditor_iban
from gateway.demo.scenery import SFTP_ACCOUNT
from gateway.rpc.client import CallFailed
from tests.journey.house import House

CHECK = Path(__file__).parents[2] / "deploy" / "scripts" / "audit_check.py"
PACE = "[batching]\nwait_seconds = 5.0\ntransfers_max = 100\n\n[schedule]\nfetch_seconds = 0.2\nask_seconds = 0.2\n"


def payment(reference: str, amount: str, number: int, name: str = "Supplier BV") -> dict[str, Any]:
    return {
        "payment_reference": reference,
        "connection_id": "acme-sftp",
        "debtor_account": {"iban": SFTP_ACCOUNT},
        "amount": amount,
        "currency": "EUR",
        "payment_type": {"service_level": "SEPA"},
        "charge_bearer": "SLEV",
        "creditor": {"name": name, "postal_address": {"town_name": "Amsterdam", "country": "NL"}},
        "creditor_account": {"iban": creditor_iban(number)},
        "remittance_information": {"unstructured": [f"Invoice {reference}"]},
    }


def states(house: House) -> dict[str, str]:
    """By reference, as the database has them."""
    with sqlite3.connect(house.database) as database:
        return dict(database.execute("SELECT payment_reference, state FROM payments"))


@pytest.fixture
async def house(make_stage: Any) -> House:
    house = House(await make_stage(pace=PACE))
    await house.set_up()
    await house.say("keys", "new", "checkpoints", "--common-name", "checkpoints", "--kind", "ec-p256",
                    "--passphrase", "env:CHECKPOINTS", "--out-dir", house.gateway / "keys")  # fmt: skip
    await house.say("people", "init", "ada")  # whose configuration names that key
    rows = {
        "li.wei": ("--role", "submitter", "--role", "approver", "--group", "accounting", "--group", "management"),
        "zhang": ("--role", "approver", "--group", "management"),
    }
    added = await asyncio.gather(*(house.say("people", "add", name, *words, "--json") for name, words in rows.items()))
    await house.stage.start("serve")
    codes = [(made["name"], made["enrolment_code"]) for made in map(json.loads, added)]
    await asyncio.gather(*(house.begin(name, code) for name, code in codes))
    return house


@pytest.mark.timeout(120)
async def test_only_what_the_right_people_approved_leaves_and_it_is_proved(house: House) -> None:
    stage = house.stage
    first = [payment("AUTO", "50.00", 1), payment("TWO", "1500.00", 2), payment("HAND", "900.00", 3),
             payment("LISTED", "20.00", 4, "Boris Frolow")]  # fmt: skip
    async with stage.erp() as erp:
        await erp.submit(first)
    await house.call("li.wei", "PaymentService", "SubmitPayments", {"payments": [payment("OWN", "1200.00", 5)]})
    async with stage.erp() as erp:
        await erp.submit([payment("DAY", "4000.00", 6)])
    await stage.start("worker")
    judged = {"AUTO": "approved", "TWO": "awaiting_approval", "HAND": "awaiting_approval", "LISTED": "held",
              "OWN": "awaiting_approval", "DAY": "rejected"}  # fmt: skip
    async with asyncio.timeout(30):
        while "received" in states(house).values():  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.05)
    await stage.kill("worker")  # judged, and not sent
    assert states(house) == judged

    two = await people_decide(house)
    with sqlite3.connect(house.database) as database:
        database.execute("UPDATE payments SET state = 'approved' WHERE payment_reference = 'HAND'")
    await stage.start("worker")
    ended = {"AUTO": "settled", "TWO": "settled", "OWN": "awaiting_approval", "LISTED": "rejected", "DAY": "rejected",
             "HAND": "held"}  # fmt: skip
    async with asyncio.timeout(40):
        while states(house) != ended:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)
    with sqlite3.connect(house.database) as database:
        assert database.execute("SELECT kind FROM discrepancies").fetchall() == [("approval_void",)]
    books = await stage.control("GET", "/books")
    assert sorted(one["end_to_end_id"] for one in books["payments"]) == ["AUTO", "TWO"]
    assert (books["paid_twice"], books["totals"]["executed"]) == ([], 2)
    await written_down(house, two["payment_id"])


async def people_decide(house: House) -> Any:
    """The chain of two, an approver who submitted, who approves twice, with an old code; and serve dies in the middle."""
    listed = {
        one["payment"]["request"]["payment_reference"]: one for one in json.loads(await house.say("approvals", "list", "--json"))
    }
    assert listed.keys() == {"TWO", "HAND", "OWN", "LISTED"}
    two, own, hand = listed["TWO"], listed["OWN"], listed["HAND"]
    li = house.people["li.wei"]
    assert "not your turn yet" in await house.refused("zhang", two, two["digest"], "123456")
    assert "who submits a payment does not decide about it" in await house.refused("li.wei", own, own["digest"], "123456")
    assert "not what you decided about" in await house.refused("li.wei", hand, two["digest"], "123456")
    assert "second factor" in await house.refused("li.wei", two, two["digest"], li.last_code())
    refusal = ("--reason", "Nobody here ordered this")
    await asyncio.gather(house.decide("approve", "li.wei", two), house.decide("refuse", "zhang", listed["LISTED"], *refusal))
    assert "approved it already" in await house.refused("li.wei", two, two["digest"], "123456")
    await approved_although_serve_dies(house, two)
    return two


async def approved_although_serve_dies(house: House, two: dict[str, Any]) -> None:
    """kill -9 while zhang's approval is under way: it counted or it did not, and the same again says which."""
    zhang, stage = house.people["zhang"], house.stage
    request = {"approval_id": two["payment_id"], "approve": True, "digest": two["digest"]}
    given = {**request, "second_factor": {"totp_code": await zhang.code()}}
    call = asyncio.create_task(house.call("zhang", "OperationsService", "DecideApproval", given))
    await asyncio.sleep(0.02)
    await stage.kill("serve")
    with suppress(CallFailed):
        await call
    await stage.start("serve")
    if states(house)["TWO"] == "awaiting_approval":
        given = {**request, "second_factor": {"recovery_code": zhang.recovery_codes[0]}}
        await house.call("zhang", "OperationsService", "DecideApproval", given)
    assert states(house)["TWO"] == "approved"
    shown = await house.call("zhang", "OperationsService", "GetApproval", {"payment_id": two["payment_id"]})
    assert [one["person"] for one in shown["approval"]["review"]["decisions"]] == ["li.wei", "zhang"]


async def written_down(house: House, payment_id: str) -> None:
    """The log verifies and proves a payment to a stranger; then somebody with the database changes a line of it."""
    with sqlite3.connect(house.database) as database:
        (number,) = database.execute("SELECT max(number) FROM audit_log WHERE action = 'approval.decided'").fetchone()
    bundle, key = house.stage.directory / "bundle", house.stage.directory / "checkpoints.pem"
    certificate = x509.load_pem_x509_certificate((house.gateway / "keys" / "checkpoints.crt").read_bytes())
    key.write_bytes(certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    await house.say("audit", "proof", payment_id, "--out", bundle)
    checked = await asyncio.to_thread(
        subprocess.run, [sys.executable, str(CHECK), str(bundle), "--key", str(key)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "good: " in await house.say("audit", "verify", "--config", house.gateway, "--key", key)
    with sqlite3.connect(house.database) as database:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute("UPDATE audit_log SET actor = 'person: eve' WHERE number = ?", (number,))
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("UPDATE audit_log SET actor = 'person: eve' WHERE number = ?", (number,))
    assert f"line {number}: " in await house.say("audit", "verify", "--config", house.gateway, code=1)
