"""How the commands speak: nothing that has to be copied is ever cut off, and every line of an event says what proves it."""

import io
import sys
from typing import Any

import pytest

from gateway.cli import watch
from gateway.cli.output import Language, print_table

DELIVERY = "d261125145505bzsx496gwz"
ROW = (DELIVERY, "a-connection-with-a-long-name", "BG261125145505BZSX496GWZ", "sent", 110, "2345.67", 1, "words " * 20)
COLUMNS = ("delivery", "connection", "message id", "state", "payments", "sum", "attempts", "reason")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_in_a_pipe_keeps_each_row_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table(COLUMNS, [ROW])
    _, row = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == [DELIVERY, "a-connection-with-a-long-name", "BG261125145505BZSX496GWZ"]


def test_a_table_in_a_narrow_terminal_folds_and_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(COLUMNS, [ROW])
    lines = terminal.getvalue().splitlines()
    assert "…" not in terminal.getvalue()
    assert len(lines) > 2
    first = "".join(line.split(" ")[0] for line in lines if "delivery" not in line)
    assert first.endswith(DELIVERY)


def event(**more: Any) -> dict[str, Any]:
    reason = {"code": "bankgate.settled", "text_en": "Booked on the account."}
    shared = {"occurred_at": "2026-11-25T14:55:06.569483Z", "payment_reference": "INV-1", "reason": reason}
    return {**shared, "state": "PAYMENT_STATE_SETTLED", **more}


@pytest.mark.parametrize(
    ("source", "proof"),
    [
        ("camt.054.001.08 MB-C054-ACME-1", "  [camt.054.001.08 MB-C054-ACME-1]"),
        ("person", "  [person]"),
        ("gateway", ""),
        ("", ""),
    ],
)
def test_a_watched_event_names_the_bank_file_or_person_it_follows_from(
    source: str, proof: str, capsys: pytest.CaptureFixture[str]
) -> None:
    watch._show(event(source=source), as_json=False)
    assert capsys.readouterr().out == f"2026-11-25 14:55:06  INV-1  settled    Booked on the account.{proof}\n"


def test_a_watched_event_tells_its_reason_in_chinese_when_asked_and_in_english_where_no_chinese_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reason = {"code": "AC04", "text_en": "The account is closed.", "text_zh": "账户已销户。"}
    watch._show(event(reason=reason), as_json=False, language=Language.ZH)
    watch._show(event(), as_json=False, language=Language.ZH)
    chinese, english = capsys.readouterr().out.splitlines()
    assert chinese.endswith("AC04: 账户已销户。")
    assert english.endswith("Booked on the account.")
