"""Mistakes in the settings of screening, each with its key."""

from pathlib import Path

import pytest

from gateway.config_load import ConfigurationProblems, load

MAIN = '[[callers]]\nname = "erp"\nplaintext = true\n[screening]\n'
HOUSE = """
initiating_party = "Muster GmbH"
accounts = [{iban = "DE89370400440532013000", holder = "Muster GmbH"}]
channel = {kind = "folder", upload = "out"}
"""
OWN = '[[screening.lists]]\nid = "own"\nfile = "own.csv"\nkind = "own"\n'


def told(directory: Path, text: str) -> list[str]:
    (directory / "connections").mkdir(exist_ok=True)
    (directory / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (directory / "own.csv").write_text("name\n", encoding="utf-8")
    (directory / "bankgate.toml").write_text(MAIN + text, encoding="utf-8")
    try:
        load(directory)
    except ConfigurationProblems as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hold_score = 20\n", "screening.hold_score: must be at least 60"),
        ("hold_score = 90\nblock_score = 85\n", "block_score: must not be below hold_score"),
        ("hold = 90\n", "screening.hold: there is no such setting"),
        (OWN + "action = 'stop'\n", "screening.lists[0].action: must be 'hold', 'block' or 'pass'"),
        (OWN.replace('"own"\nfile', '"Own list"\nfile'), "screening.lists[0].id: does not have the form"),
        (OWN.replace("own.csv", "gone.csv"), "screening.lists[0].file: there is no file gone.csv"),
        (OWN + OWN, "screening.lists[1].id: 'own' is used more than once"),
        (OWN.replace('kind = "own"', 'kind = "ofac-csv"'), "alias_file: belongs to kind ofac-csv, and is required there"),
        (OWN.replace('kind = "own"', 'kind = "un-xml"\naction = "pass"'), "only a list of your own can say who may pass"),
        (OWN.replace("own.csv", "own.txt"), "a list of your own is a .csv or a .toml file"),
        (OWN + 'date = "soon"\n', "screening.lists[0].date:"),
        (OWN + 'sha256 = "abc"\n', "screening.lists[0].sha256: does not have the form"),
    ],
)
def test_a_mistake_is_told_with_its_key(text: str, problem: str, tmp_path: Path) -> None:
    problems = told(tmp_path, text)
    assert any(problem in one for one in problems), problems


def test_good_settings_are_taken(tmp_path: Path) -> None:
    assert told(tmp_path, OWN + 'action = "block"\ndate = 2026-11-20\nage_days_max = 30\n') == []
    assert load(tmp_path).screening.lists[0].id == "own"
