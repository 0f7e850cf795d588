"""`bankgate screening hits, clear, cleared, revoke` against a real service whose list holds a payment."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.people.people import People

from .test_approvals import judge, prove, session_of

LIST = """
[[screening.lists]]
id = "own"
file = "own.csv"
kind = "own"
date = 2026-01-01
"""


@pytest.fixture
def directory(directory: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a list that has the creditor of the first example on it, and a caller that may carry people who decide."""
    first = json.loads((examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (directory / "own.csv").write_text(f"id,name\ne1,{first['creditor']['name']}\n", encoding="utf-8")
    (directory / "people.key").write_text("ab" * 32, encoding="ascii")
    (directory / "people.key").chmod(0o600)
    settings = (directory / "bankgate.toml").read_text(encoding="utf-8").replace('"replay"]', '"replay", "approve", "people"]')
    (directory / "bankgate.toml").write_text(f'people.key = "file:people.key"\n{settings}{LIST}', encoding="utf-8")
    monkeypatch.setattr(People, "session_of", session_of)
    monkeypatch.setattr(People, "prove", prove)
    return directory


def test_a_hit_is_shown_cleared_listed_and_revoked(
    bankgate: Any, service: str, examples: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--target", service)
    assert bankgate("submit", examples / "payments.jsonl", "--connection", "house", *at).code == 0
    assert judge(directory) is not None
    (held,) = (one["payment_id"] for one in json.loads(bankgate("approvals", "list", "--json", *at).out))
    shown = bankgate("screening", "hits", held, *at).out
    assert "own/e1" in shown
    assert "100 % like" in bankgate("screening", "hits", held, "--json", *at).out
    found = json.loads(bankgate("screening", "hits", held, "--json", *at).out)
    (hit,) = found["hits"]
    clear = ("screening", "clear", held, "--hit", "own/e1", "--digest", found["digest"], "--until", found["valid_until"], *at)
    clear = (*clear, "--entry-digest", hit["entry_digest"])
    monkeypatch.setenv("BANKGATE_CODE", "123456")
    monkeypatch.setenv("BANKGATE_SESSION", "ada")
    assert bankgate(*clear, "--reason", "no").code == 1
    assert bankgate("screening", "clear", held, "--hit", "e1", *clear[5:], "--reason", "passport seen, Li Wei").code == 2
    done = bankgate(*clear, "--reason", "passport seen, Li Wei", "--json")
    (cleared,) = json.loads(done.out)
    assert (cleared["person"], cleared["entry_id"], "•••" in cleared["creditor_account"]) == ("ada", "e1", True)
    assert judge(directory) is not None
    assert json.loads(bankgate("approvals", "list", "--json", *at).out) == []
    assert "passport seen, Li Wei" in bankgate("screening", "cleared", *at).out
    ended = bankgate("screening", "revoke", cleared["clearance_id"], "--reason", "the passport was forged", *at)
    assert (ended.code, "by ada" in ended.out) == (0, True)
    assert json.loads(bankgate("screening", "cleared", "--json", *at).out) == []
    assert len(json.loads(bankgate("screening", "cleared", "--ended", "--json", *at).out)) == 1
