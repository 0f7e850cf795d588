"""Send windows as the commands show them. Services run on the real clock here: their bank is closed today, whenever that is."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

WINDOW = """
[send_window]
calendar = "EVERY_DAY"
missed = "{missed}"
closed = [{closed}]
[[send_window.kinds]]
local_instrument = "INST"
around_the_clock = true
"""


def close_today(directory: Path, missed: str) -> None:
    """No send today: nor on the days beside it, for a test that runs at midnight."""
    today = datetime.now(UTC).date()
    days = ", ".join(f'"{today + timedelta(days=n)}"' for n in range(-1, 3))
    with (directory / "connections" / "house.toml").open("a", encoding="utf-8") as file:
        file.write(WINDOW.format(missed=missed, closed=days))


@pytest.fixture
def waits(directory: Path) -> None:
    close_today(directory, "wait")


@pytest.fixture
def refuses(directory: Path) -> None:
    close_today(directory, "refuse")


@pytest.fixture
def today(examples: Path, tmp_path: Path) -> Path:
    """A file with one payment for today."""
    payment = json.loads((examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()[0])
    payment.pop("requested_execution_date", None)
    file = tmp_path / "today.jsonl"
    file.write_text(json.dumps(payment), encoding="utf-8")
    return file


@pytest.mark.usefixtures("waits")
def test_submitting_and_its_dry_run_say_when_the_window_opens(bankgate: Any, service: str, today: Path) -> None:
    house = ("--connection", "house", "--target", service)
    for more in (("--dry-run",), ()):
        shown = bankgate("submit", today, *house, *more)
        assert shown.code == 0
        assert "1 payments: The bank is closed today; the next window is from " in shown.out
        assert "at the earliest, not on" in shown.out
    (told,) = json.loads(bankgate("submit", today, *house, "--json").out)["send_windows"]
    window = told["send_window"]
    assert (told["line"], window["outcome"]) == (1, "SEND_WINDOW_OUTCOME_CLOSED_DAY")
    assert window["opens_at"]
    assert window["closes_at"]
    assert window["description_zh"].startswith("银行今日不营业")
    (waiting,) = json.loads(bankgate("connections", "list", "--json", "--target", service).out)
    first, instant = waiting["send_windows"]
    assert ("open" in first, first["calendar"], instant["kind"], instant["open"]) == (False, "EVERY_DAY", "INST", True)
    assert "closed until" in bankgate("connections", "list", "--target", service).out


@pytest.mark.usefixtures("refuses")
def test_what_misses_its_date_is_refused_with_the_next_date_where_the_connection_says_so(
    bankgate: Any, service: str, today: Path
) -> None:
    done = bankgate("submit", today, "--connection", "house", "--target", service)
    assert done.code == 1
    assert "requested_execution_date: The last window for" in done.err
    assert "[send-window.missed] Fix: 20" in done.err


@pytest.mark.usefixtures("waits")
def test_checking_a_connection_says_its_calendar_and_its_windows(bankgate: Any, directory: Path) -> None:
    shown = bankgate("connections", "check", "--offline", "--config", directory)
    assert "calendar EVERY_DAY, known until 9999: every day" in shown.out
    assert "payments: closed; window " in shown.out
    assert "INST: around the clock" in shown.out


@pytest.mark.usefixtures("waits")
def test_checking_a_request_says_its_windows_where_a_configuration_is_given(
    bankgate: Any, directory: Path, examples: Path, tmp_path: Path
) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    for payment in request["payments"]:
        payment["connection_id"] = "house"
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    count = len(request["payments"])
    on = ("--on", str(datetime.now(UTC).date()), "--config", directory)
    assert f"{count} payments: The bank is closed today; the next window is from" in bankgate("check", file, *on).out
    assert f"{count} payments: 银行今日不营业" in bankgate("check", file, *on, "--language", "zh").out
    told = json.loads(bankgate("check", file, *on, "--json").out)["send_windows"]
    assert [item["send_window"]["outcome"] for item in told] == ["SEND_WINDOW_OUTCOME_CLOSED_DAY"] * count
    assert "send_windows" not in json.loads(bankgate("check", file, "--json").out)
