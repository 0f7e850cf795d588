"""The README's first command, as a newcomer runs it."""

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
    clear_keys = [p for p in (place / "gateway").rglob("*.pem") if "BEGIN PRIVATE KEY" in p.read_text(encoding="utf-8")]
    assert clear_keys == []
