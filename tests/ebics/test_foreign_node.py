"""The npm package ebics-client (H004) against the simulator: a client that none of us wrote lives a whole life at our bank.

It reports no errors of uploads, so that what it did is asked of the bank.
"""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from simulator.fixture import RunningBank, run_bank
from tests.simulator.ebics_support.bank import DEBTOR
from tests.simulator.helpers import Pay, pain001

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "ebics" / "node" / "life.js"
PACKAGES = ROOT / ".cache" / "node" / "node_modules"
CUSTOMER = {
    "id": "acme",
    "accounts": [DEBTOR],
    "ebics": {"partner": "PARTNER1", "users": [{"id": "USER1", "activation": "auto"}]},
}

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "ebics-client").is_dir(),
    reason="needs node and the package ebics-client, which `make setup` installs where it can",
)


async def live(bank: RunningBank, folder: Path) -> dict[str, object]:
    """Runs the script; what it saw."""
    assert bank.ebics is not None
    (folder / "payment.xml").write_bytes(pain001("N-1", DEBTOR, Pay("N-1", "7.50")).replace(b"><", b">\n<"))
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        bank.ebics.url,
        str(folder),
        str(folder / "payment.xml"),
        env={"PATH": os.environ.get("PATH", os.defpath), "NODE_PATH": str(PACKAGES)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    paid = await process.stdout.readline()
    if paid != b"paid\n":
        raise AssertionError((await process.stderr.read()).decode())
    await bank.idle()
    out, errors = await process.communicate(b"go on\n")
    assert process.returncode == 0, errors.decode()
    seen: dict[str, object] = json.loads(out)
    return seen


async def test_the_npm_client_lives_its_whole_life_and_its_payment_is_executed_once(tmp_path: Path) -> None:
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}) as bank:
        seen = await live(bank, tmp_path)
        books = await bank.books()
        assert bank.desk is not None
        told = bank.desk.books()
        left = sorted(path.name for path in bank.tree("acme").outbox.iterdir())
    assert seen["INI"] == seen["HIA"] == ["000000", "000000"]
    assert seen["HPB"] == ["bankE002", "bankX002"]
    assert "<HTDResponseOrderData" in str(seen["HTD"])
    assert seen["VMK"] == ["000000", "090005"]
    assert ":62F:" in str(seen["STA"])
    (order,) = [order for order in told["orders"] if order["order"] == "CCT"]
    assert isinstance(seen["CCT"], list)
    assert seen["CCT"][1] == order["order_id"]
    assert (order["state"], order["ledger"], order["signers"]) == ("final", "executed", [{"user": "USER1", "level": "E"}])
    assert (books["totals"]["executed"], books["paid_twice"]) == (1, [])
    assert told["open_transactions"] == 0, "a transaction was left without its receipt"
    assert [name.split("-")[0] for name in left] == ["pain.002.001.10"], "the statement was not acknowledged"
