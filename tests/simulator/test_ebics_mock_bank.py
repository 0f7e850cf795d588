"""mock-bank's ledger behind the EBICS door: what it decides comes out by EBICS, in both versions."""

import io
import shutil
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.fixture import iban, run_bank
from tests.simulator.ebics_support.bank import CUSTOMER, Branch, btd
from tests.simulator.ebics_support.writer import Client
from tests.simulator.ebics_support.xml import codes
from tests.simulator.helpers import Pay, pain001, texts

DEBTOR = iban("NL", "MOCK0700000001")
ZIP = '<Container containerType="ZIP"/>'
TYPES = {
    "H004": {"pain.002": ("CRZ", None), "camt.053": ("Z53", None), "camt.054": ("C54", None)},
    "H005": {
        "pain.002": ("BTD", btd("PSR", "pain.002", ZIP)),
        "camt.053": ("BTD", btd("EOP", "camt.053", ZIP)),
        "camt.054": ("BTD", btd("REP", "camt.054", ZIP)),
    },
}


@pytest.fixture
async def branch(tmp_path: Path, mock_bank: str, ebics_bank_keys: Path) -> AsyncIterator[Branch]:
    shutil.copytree(ebics_bank_keys, tmp_path / "data")
    ledger = {"kind": "mock-bank", "url": mock_bank, "collect_seconds": 0}
    async with run_bank(tmp_path, customers=[{**CUSTOMER, "accounts": [DEBTOR]}], ledger=ledger) as bank:
        await bank.seed("EBICS-DEBTOR", DEBTOR)
        yield Branch(bank)


def fetch(branch: Branch, client: Client, kind: str) -> list[bytes]:
    """The files of a kind that are on offer, out of their ZIP."""
    order_type, params = TYPES[client.version][kind]
    data = branch.download(client, order_type, params or "<StandardOrderParams/>")
    if not data:
        return []
    archive = zipfile.ZipFile(io.BytesIO(data))
    return [archive.read(name) for name in archive.namelist()]


@pytest.mark.parametrize("version", ["H004", "H005"])
async def test_a_payment_its_report_its_notification_and_its_statement(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    _, done = branch.upload(client, pain001(f"EM-{version}", DEBTOR, Pay(f"EM-{version}", "12.34")))
    assert codes(done) == ("000000", "000000")
    await branch.bank.idle()
    (report,) = fetch(branch, client, "pain.002")
    assert texts(report, "OrgnlMsgId") == [f"EM-{version}"]
    (notification,) = fetch(branch, client, "camt.054")
    assert texts(notification, "EndToEndId") == [f"EM-{version}"]
    assert fetch(branch, client, "camt.053") == []
    await branch.bank.advance(1)
    assert any(f"EM-{version}" in texts(statement, "EndToEndId") for statement in fetch(branch, client, "camt.053"))
    assert fetch(branch, client, "camt.053") == []


@pytest.mark.parametrize("version", ["H004", "H005"])
async def test_a_file_that_the_ledger_rejects_was_handed_over_and_pain_002_says_so(branch: Branch, version: str) -> None:
    client = branch.onboard(Client(version=version))
    branch.upload(client, pain001(f"ER-{version}", DEBTOR, Pay("ER"), count=5))
    await branch.bank.idle()
    (report,) = fetch(branch, client, "pain.002")
    assert "RJCT" in texts(report, "GrpSts")
    (order,) = branch.orders
    assert (order["state"], order["ledger"]) == ("final", "rejected")
    steps = branch.download(client, "HAC").decode()
    assert "<OrgnlPmtInfId>ORDER_HAC_FINAL_POS</OrgnlPmtInfId>" in steps
    assert "<AddtlInf>rejected</AddtlInf>" in steps
