"""`bankgate screening`: who is on the lists of a configuration, and how old they are."""

import json
from pathlib import Path

import pytest

from .conftest import Bankgate

MAIN = """
[[callers]]
name = "erp"
plaintext = true
[screening]
hold_score = 80
[[screening.lists]]
id = "own"
file = "lists/own.csv"
kind = "own"
action = "block"
date = 2026-01-01
"""
HOUSE = """
initiating_party = "Muster GmbH"
accounts = [{iban = "DE89370400440532013000", holder = "Muster GmbH"}]
channel = {kind = "folder", upload = "out"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "bankgate.toml").write_text(MAIN, encoding="utf-8")
    (tmp_path / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    text = "id,name,account,country,reason\nb1,Boris Frolov,CH9300762011623852957,,invented\nb2,,,KP,\n"
    (tmp_path / "lists" / "own.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_name_on_a_list_is_said_with_what_a_decision_needs(bankgate: Bankgate, config: Path) -> None:
    done = bankgate("screening", "check", "FROLOW Boris", "--config", config)
    assert done.code == 1
    assert "frolow for frolov: sounds alike" in done.out
    assert "own, b1, " in done.out
    told = json.loads(bankgate("screening", "check", "Фролов Борис", "--config", config, "--json").out)
    assert told["outcome"] == "block"
    assert told["findings"][0]["facts"]["entry"] == "b1"
    assert "收款人名称" in bankgate("screening", "check", "Boris Frolov", "--config", config, "--language", "zh").out


def test_a_list_that_is_too_short_or_has_unknown_parts_is_told(bankgate: Bankgate, config: Path) -> None:
    """The first asks somebody to look (status 1), the second is told alone."""
    lists = '[[screening.lists]]\nid = "os"\nfile = "os.csv"\nkind = "opensanctions-csv"\nage_days_max = 3650\n'
    (config / "bankgate.toml").write_text(MAIN + lists, encoding="utf-8")
    (config / "os.csv").write_text("id,schema,name,aliases,risk\n1,Person,Boris Frolov,,high\n", encoding="utf-8")
    done = bankgate("screening", "lists", "--config", config)
    assert (done.code, "list os has what no reader knows" in done.err, "the column 'risk'" in done.err) == (0, True, True)
    (config / "bankgate.toml").write_text(f"{MAIN}{lists}entries_min = 2\n", encoding="utf-8")
    done = bankgate("screening", "lists", "--config", config)
    assert (done.code, "list os is not plausible: it has 1 entries" in done.err) == (1, True)


def test_a_name_on_no_list_is_said_to_be_on_none(bankgate: Bankgate, config: Path) -> None:
    done = bankgate("screening", "check", "Anna Berg", "--config", config)
    assert (done.code, done.out) == (0, "outcome  score  rule  why  for a decision: list, entry, digest\nnothing on 1 lists\n")


def test_account_and_country_are_checked_too_and_the_account_is_masked(bankgate: Bankgate, config: Path) -> None:
    done = bankgate(
        "screening", "check", "Anna Berg", "--account", "CH93 0076 2011 6238 5295 7", "--country", "kp", "--config", config
    )
    assert done.code == 1
    assert "The creditor's account is on list own" in done.out
    assert "KP, a country on list own" in done.out
    assert "2011623852957" not in done.out


def test_lists_are_shown_with_date_counts_and_digest(bankgate: Bankgate, config: Path) -> None:
    told = json.loads(bankgate("screening", "lists", "--config", config, "--json").out)
    (one,) = told["lists"]
    assert (one["id"], one["date"], one["entries"], one["names"], one["old"]) == ("own", "2026-01-01", 2, 1, False)
    assert len(one["sha256"]) == len(told["screen"]) == 64


def test_an_old_list_is_warned_of(bankgate: Bankgate, config: Path) -> None:
    (config / "bankgate.toml").write_text(MAIN + "age_days_max = 30\n", encoding="utf-8")
    done = bankgate("screening", "lists", "--config", config)
    assert done.code == 1
    assert "list own is" in done.err
    assert "days old" in done.err


def test_a_bad_row_is_told_with_its_line_and_nothing_is_screened(bankgate: Bankgate, config: Path) -> None:
    (config / "lists" / "own.csv").write_text("name\nAnna Berg\n...\n", encoding="utf-8")
    done = bankgate("screening", "check", "Anna Berg", "--config", config)
    assert done.code == 1
    assert "lists/own.csv:3: a name has no letter" in done.err
    assert not done.out


def test_without_lists_the_command_says_where_they_belong(bankgate: Bankgate, config: Path) -> None:
    (config / "bankgate.toml").write_text(MAIN.partition("[screening]")[0], encoding="utf-8")
    done = bankgate("screening", "lists", "--config", config)
    assert done.code == 1
    assert "[[screening.lists]]" in done.err
