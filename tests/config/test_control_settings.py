"""The tables [habits] and [payee] in the main file: what loads, and what is told of what does not."""

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config_load import ConfigurationProblems, load
from tests.config.test_load import HOUSE, MAIN

GOOD = """
[habits]
hold_score = 50
time_zone = "Europe/Berlin"
limits = [{ currency = "EUR", amount = 9999.99 }]
weights = { weekday = 0 }

[payee]
close_match = "hold"

[payee.service]
base_url = "https://vop.example:8443"
trust = ["file:ca.pem"]
"""


def directory(tmp_path: Path, more: str) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "bankgate.toml").write_text(MAIN + more, encoding="utf-8")
    (tmp_path / "connections" / "bank.toml").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "ca.pem").touch()
    return tmp_path


def test_both_tables_load(tmp_path: Path) -> None:
    loaded = load(directory(tmp_path, GOOD))
    assert loaded.habits.limits[0].amount == Decimal("9999.99")
    assert loaded.habits.weights.weekday == 0
    assert loaded.payee.service is not None
    assert (loaded.payee.close_match, loaded.payee.seconds) == ("hold", 5.0)


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("hold_score = 50", "hold_scroe = 50", "habits.hold_scroe", "hold_score"),
        ("hold_score = 50", "block_score = 30", "habits", "block_score is below hold_score"),
        ("Europe/Berlin", "Europe/Bonn", "habits.time_zone", "time zone"),
        ("ca.pem", "gone.pem", "payee.service.trust[0]", "there is no file gone.pem"),
        ("https://", "http://", "payee.service", "https://"),
        ('close_match = "hold"', 'no_match = "pass"', "payee.no_match", "approval"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    with pytest.raises(ConfigurationProblems) as raised:
        load(directory(tmp_path, GOOD.replace(old, new)))
    (problem,) = raised.value.problems
    assert problem.key == key
    assert says in str(problem)
