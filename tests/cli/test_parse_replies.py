"""`bankgate parse --bank`: what a Chinese bank's front machine answered, kept or bare."""

import json
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[1] / "formats" / "banks" / "icbc" / "inbound"


def test_a_bare_reply_and_a_kept_one_give_the_banks_records(bankgate: Any) -> None:
    for file in (SAMPLES / "status.xml", SAMPLES / "today.exchange"):
        done = bankgate("parse", file, "--bank", "icbc", "--json")
        expected = file.with_suffix(".expected.jsonl").read_text(encoding="utf-8").splitlines()
        assert done.code == 0, done.err
        assert [one["kind"] for one in map(json.loads, done.out.splitlines())] == [
            one["kind"] for one in map(json.loads, expected)
        ]


def test_people_see_the_serial_number_by_which_the_bank_knows_a_payment(bankgate: Any) -> None:
    file = SAMPLES / "status.xml"
    expected = file.with_suffix(".expected.jsonl").read_text(encoding="utf-8").splitlines()
    serials = {one["serial_number"] for one in map(json.loads, expected) if one["kind"] == "transaction_status"}
    done = bankgate("parse", file, "--bank", "icbc")
    assert serials
    assert all(f"  {serial}: " in done.out for serial in serials)


def test_who_does_not_name_the_bank_of_a_kept_reply_is_told_to(bankgate: Any) -> None:
    done = bankgate("parse", SAMPLES / "today.exchange")
    assert done.code == 1
    assert "--bank" in done.err
    assert bankgate("parse", SAMPLES / "today.exchange", "--bank", "icbx").code == 2


def test_what_the_plugin_cannot_read_is_an_error_and_the_other_files_are_shown(bankgate: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.xml"
    other.write_bytes(b"<OTHER/>")
    done = bankgate("parse", other, tmp_path / "missing.xml", SAMPLES / "balance.txt", "--bank", "icbc")
    assert done.code == 1
    assert "no reply of ICBC" in done.err
    assert "cannot be read" in done.err
    assert "ITBD" in done.out
