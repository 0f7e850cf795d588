"""The README's first command, as a newcomer runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(150)
def test_the_demo_ends_with_every_payment_as_expected_and_leaves_no_secret_or_account_in_its_logs(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    command = [sys.executable, "-m", "gateway.main", "demo", "--directory", str(place), "--keep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended as expected" in done.stdout
    told = " ".join(done.stdout.split())
    assert "called it in doubt, sent nothing again" in told
    assert "The proof:" in told
    for name in ("serve.log", "worker.log"):
        log = (place / name).read_text(encoding="utf-8")
        assert "Traceback" not in log, log
        assert "MOCK0000000001" not in log
        assert "PRIVATE KEY" not in log
        assert "ACME" not in log
        assert "Orion" not in log
    clear_keys = [p for p in (place / "gateway").rglob("*.pem") if "BEGIN PRIVATE KEY" in p.read_text(encoding="utf-8")]
    assert clear_keys == []
    for private in (place, place / "bank" / "data", place / "gateway" / "bankgate.db", place / "gateway" / "bankgate.db.lock"):
        assert private.stat().st_mode & 0o077 == 0, f"{private} holds accounts and names, and others may reach it"
    assert re.search(r'"message_id": "BG[0-9]{12}[A-Z0-9]{10}"', (place / "worker.log").read_text(encoding="utf-8"))


@pytest.mark.timeout(150)
def test_the_demo_of_a_chinese_bank_ends_as_expected_and_leaves_no_secret_or_account_in_its_logs(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    command = [sys.executable, "-m", "gateway.main", "demo", "--bank", "boc", "--directory", str(place), "--keep"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "All 50 payments ended as expected" in told
    assert "none was guessed at" in told
    for name in ("serve.log", "worker.log"):
        log = (place / name).read_text(encoding="utf-8")
        assert "Traceback" not in log, log
        assert "700000000001" not in log
        assert "Passw0rd" not in log
        assert "甲公司" not in log
    stored = [path for path in (place / "gateway").rglob("*") if path.is_file()]
    assert not any(b"Passw0rd" in path.read_bytes() for path in stored), "the bank's password was stored"
