"""Mistakes in a connection's send window: each named with its file and key."""

from datetime import date, time
from pathlib import Path

import pytest

from gateway.config_load import ConfigurationProblems, load
from gateway.window_settings import send_window

MAIN = '[listen]\naddress = "127.0.0.1:50051"\n[[callers]]\nname = "erp"\nplaintext = true\n'
HOUSE = """
initiating_party = "Muster GmbH"
time_zone = "Europe/Zurich"
channel = {{ kind = "folder", upload = "out" }}
accounts = [{{ iban = "DE89370400440532013000", holder = "Muster GmbH" }}]
{}
"""

# (the settings, the key, a part of the problem)
MISTAKES = [
    ("[send_window]", "send_window.calendar", "is required"),
    ('[send_window]\ncalendar = "TARGETT"', "send_window.calendar", "there is no calendar"),
    ('[send_window]\ncalendar = "CH"\nopens = "7:00"', "send_window.opens", "time of day"),
    ('[send_window]\ncalendar = "CH"\ncut_off = 1630', "send_window.cut_off", "time of day"),
    ('[send_window]\ncalendar = "CH"\ncut_off = "24:00"', "send_window.cut_off", "time of day"),
    ('[send_window]\ncalendar = "CH"\nopens = "17:00"\ncut_off = "16:00"', "send_window.cut_off", "later than opens"),
    ('[send_window]\ncalendar = "CH"\nclosed = ["24.12.2026"]', "send_window.closed[0]", "must be a date"),
    ('[send_window]\ncalendar = "CH"\nclosed = ["2026-02-30"]', "send_window.closed[0]", "must be a date"),
    ('[send_window]\ncalendar = "CH"\nclosed = ["2026-12-24", "2026-12-24"]', "send_window.closed[1]", "stands here twice"),
    ('[send_window]\ncalendar = "CH"\nclosed = [2026-12-24]\nopen = [2026-12-24]', "send_window.open[0]", "under closed too"),
    ('[send_window]\ncalendar = "CH"\nmissed = "later"', "send_window.missed", "must be"),
    ('[send_window]\ncalendar = "CH"\ncutoff = "16:00"', "send_window.cutoff", "there is no such setting"),
    ('[send_window]\ncalendar = "CH"\nkinds = [{ cut_off = "12:00" }]', "send_window.kinds[0]", "needs service_level"),
    (
        '[send_window]\ncalendar = "CH"\nkinds = [{ service_level = "URGP" }]',
        "send_window.kinds[0]",
        "says nothing about its hours",
    ),
    (
        '[send_window]\ncalendar = "CH"\nkinds = [{ local_instrument = "INST", around_the_clock = true, opens = "08:00" }]',
        "send_window.kinds[0].opens",
        "has no meaning",
    ),
    (
        '[send_window]\ncalendar = "CH"\nopens = "08:00"\nkinds = [{ service_level = "URGP", cut_off = "07:00" }]',
        "send_window.kinds[0].cut_off",
        "later than opens",
    ),
    (
        '[send_window]\ncalendar = "CH"\n' + '[[send_window.kinds]]\nservice_level = "URGP"\ncut_off = "12:00"\n' * 2,
        "send_window.kinds[1]",
        "stands here twice",
    ),
    ("[retry]\nin_flight_max = 0", "retry.in_flight_max", "at least 1"),
    ("[alarms]\nready_seconds = -1", "alarms.ready_seconds", "at least 0"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "bankgate.toml").write_text(MAIN, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("text", "key", "problem"), MISTAKES)
def test_a_mistake_is_named_with_its_file_and_key(directory: Path, text: str, key: str, problem: str) -> None:
    (directory / "connections" / "house.toml").write_text(HOUSE.format(text), encoding="utf-8")
    with pytest.raises(ConfigurationProblems) as caught:
        load(directory)
    found = [(one.file, one.key, one.problem) for one in caught.value.problems]
    assert [(file, where) for file, where, _ in found] == [("connections/house.toml", key)]
    assert problem in found[0][2]


def test_times_and_dates_are_read_in_words_and_as_toml_writes_them(directory: Path) -> None:
    text = (
        '[send_window]\ncalendar = "CH"\nopens = "07:30"\ncut_off = 16:45:00\nclosed = [2026-12-24, "2026-12-31"]\n'
        '[[send_window.kinds]]\nlocal_instrument = "INST"\naround_the_clock = true\n'
        '[[send_window.kinds]]\nservice_level = "URGP"\ncut_off = "14:00"\n'
    )
    (directory / "connections" / "house.toml").write_text(HOUSE.format(text), encoding="utf-8")
    window = send_window(load(directory).connections["house"])
    assert window is not None
    assert (window.hours.opens, window.hours.cut_off, window.zone.key) == (time(7, 30), time(16, 45), "Europe/Zurich")
    assert window.closed == {date(2026, 12, 24), date(2026, 12, 31)}
    instant, urgent = window.kinds
    assert instant.hours is None
    assert urgent.hours is not None
    assert (urgent.hours.opens, urgent.hours.cut_off) == (time(7, 30), time(14))


def test_a_connection_without_the_setting_is_always_open(directory: Path) -> None:
    (directory / "connections" / "house.toml").write_text(HOUSE.format(""), encoding="utf-8")
    assert send_window(load(directory).connections["house"]) is None
