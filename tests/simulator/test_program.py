"""The program: its configuration, its control API over HTTP, its end, and the child it must not leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.fixture import iban, run_bank
from simulator.ledger import LedgerDown
from simulator.main import CANNOT_START, USAGE, main
from simulator.mockbank_process import MockBankProcess
from simulator.settings import BadSettings, MockBankSettings, load_settings
from tests.simulator.helpers import CLOCK, Identities

DEBTOR = iban("NL", "MOCK0700000001")

CONFIG = """
[sftp]
[https]
client_ca = "{certificate}"
[ledger]
kind = "mock-bank"
clock = "{clock}"
[[customers]]
id = "acme"
accounts = ["{debtor}"]
[customers.sftp]
user = "acme-user"
authorized_keys = ["{key}"]
[customers.https]
certificate_sha256 = ["{fingerprint}"]
"""


@pytest.fixture
def config(tmp_path: Path, identities: Identities) -> Path:
    file = tmp_path / "simulator.toml"
    values = {"certificate": identities.certificate, "key": identities.ssh_line, "fingerprint": identities.fingerprint}
    file.write_text(CONFIG.format(**values, clock=CLOCK, debtor=DEBTOR))
    return file


def start(config: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    process = subprocess.Popen([sys.executable, "-m", "simulator", "--config", str(config)], stderr=subprocess.PIPE)
    ready = config.parent / "data" / "ready.json"
    while not ready.exists():
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.02)
    return process, json.loads(ready.read_text())


def ask(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def gone(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return True
    return False


def test_the_program_opens_its_doors_obeys_and_stops_with_its_child(config: Path) -> None:
    process, ready = start(config)
    control, ledger = ready["control"]["url"], ready["ledger"]["url"]
    try:
        assert ready["sftp"]["port"] > 0
        assert ready["https"]["url"].startswith("https://127.0.0.1:")
        assert Path(ready["https"]["certificate"]).exists()

        assert ask(f"{control}/accounts", "POST", {"id": "D", "iban": DEBTOR, "balance": 100})[0] == 200
        assert ask(f"{control}/accounts", "POST", {"id": "D", "balance": 200})[1]["balance"] == 200
        assert any(row["iban"] == DEBTOR for row in ask(f"{control}/accounts")[1])
        assert (
            ask(f"{control}/moods", "POST", [{"mood": "silent", "count": 2}, {"mood": "lose_answer", "customer": "acme"}])[0]
            == 200
        )
        assert ask(f"{control}/state")[1]["moods"]["on"] == [
            {"mood": "silent", "customer": "*", "left": 2, "value": None},
            {"mood": "lose_answer", "customer": "acme", "left": 1, "value": None},
        ]
        assert ask(f"{control}/moods", "DELETE")[1]["on"] == []
        assert ask(f"{control}/advance?days=1", "POST")[1]["calendarDays"] == 1
        assert ask(f"{control}/idle", "POST")[1] == {"idle": True}
        state = ask(f"{control}/state")[1]
        assert state["customers"]["acme"]["outbox"] == ["camt.053.001.08-1.xml"]
        assert state["bank"]["answers_of_no_customer"] > 0  # mock-bank's own four accounts
        assert ask(f"{control}/books?payments=no")[1]["totals"]["executed"] == 0
        assert ask(f"{control}/collect", "POST")[1] == {"answers": 0}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert gone(ledger)
    assert not (config.parent / "data" / "ready.json").exists()


@pytest.mark.parametrize(
    ("path", "method", "body", "says"),
    [
        ("/moods", "POST", {"mood": "grumpy"}, "no mood is called"),
        ("/moods", "POST", {"mood": "silent", "times": 2}, "a mood is an object"),
        ("/moods", "POST", {"mood": "silent", "customer": "nobody"}, "no such customer"),
        ("/moods", "POST", "silent", "a mood is an object"),
        ("/advance?days=soon", "POST", None, "days=N"),
        ("/advance?days=3651", "POST", None, "mock-bank"),
        ("/accounts", "POST", {"id": "X", "iban": "nonsense"}, "mock-bank"),
        ("/accounts", "POST", [], "JSON object"),
    ],
)
async def test_a_wrong_order_is_answered_with_what_would_be_right(
    tmp_path: Path, mock_bank: str, acme: dict[str, Any], path: str, method: str, body: Any, says: str
) -> None:
    customers = [{"id": "acme", "sftp": acme["sftp"]}]
    ledger = {"kind": "mock-bank", "url": mock_bank, "collect_seconds": 0}
    async with run_bank(tmp_path, customers=customers, ledger=ledger) as bank, aiohttp.ClientSession(bank.control.url) as http:
        async with http.request(method, path, json=body) as response:
            assert response.status == 400
            assert says in (await response.json())["error"]
        async with http.post("/moods", data=b"{") as response:
            assert (response.status, "not JSON" in (await response.json())["error"]) == (400, True)


def test_a_killed_program_takes_its_child_with_it(config: Path) -> None:
    process, ready = start(config)
    assert not gone(ready["ledger"]["url"] + "/_mock/health")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while not gone(ready["ledger"]["url"] + "/_mock/health"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(LedgerDown, match="tea time"):
        MockBankProcess.start(MockBankSettings(clock="tea time"), tmp_path)


def test_a_bank_whose_ledger_does_not_start_ends_with_a_status_of_its_own(config: Path) -> None:
    config.write_text(config.read_text().replace(CLOCK, "tea time"))
    assert main(["--config", str(config), "--log-level", "error"]) == CANNOT_START


def test_every_mistake_in_the_configuration_is_named_with_its_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "simulator.toml"
    file.write_text(
        'data = 5\ncolour = "red"\n[control]\nlisten = "0.0.0.0:80"\n[[customers]]\nid = "a b"\n[customers.sftp]\nuser = "u"\n'
    )
    with pytest.raises(BadSettings) as caught:
        load_settings(file)
    text = str(caught.value)
    for named in (
        "data:",
        "colour:",
        "control:",
        "customers.0.id:",
        "customers.0.sftp:",
        "loopback" if "loopback" in text else "127.0.0.1",
    ):
        assert named in text
    assert main(["--config", str(tmp_path)]) == USAGE
    assert main(["--config", str(tmp_path / "absent.toml")]) == USAGE


@pytest.mark.parametrize(
    ("customers", "says"),
    [
        ('[[customers]]\nid = "a"\naccounts = ["X"]\n[[customers]]\nid = "b"\naccounts = ["X"]\n', "accounts"),
        ('[[customers]]\nid = "a"\n[[customers]]\nid = "a"\n', "id"),
        ('[[customers]]\nid = "a"\n[customers.sftp]\nuser = "u"\nauthorized_keys = ["k"]\n', "sftp"),
    ],
)
def test_customers_that_get_in_each_others_way_are_refused(tmp_path: Path, customers: str, says: str) -> None:
    file = tmp_path / "simulator.toml"
    file.write_text(customers)
    with pytest.raises(BadSettings, match=says):
        load_settings(file)
