"""`bankgate people`: the first officer, emergencies, and what is refused; no secret among the arguments."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.cli import people as commands
from gateway.cli.output import CommandFailed
from gateway.main import main
from gateway.store.factory import open_store

MAIN = """
store = "sqlite:///bankgate.db"
[listen]
address = "127.0.0.1:50051"
[[callers]]
name = "console"
plaintext = true
actions = ["people"]
{people}
"""
HOUSE = """
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
[channel]
kind = "folder"
upload = "out"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    (tmp_path / "bankgate.toml").write_text(MAIN.format(people='[people]\nkey = "file:people.key"'), encoding="utf-8")
    (tmp_path / "people.key").write_text("11" * 32)
    (tmp_path / "people.key").chmod(0o600)
    return tmp_path


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The commands send the log of the process to standard error; here the process goes on."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    def go(*words: str, stdin: str = "", code: int = 0) -> Any:
        monkeypatch.setattr(sys, "argv", ["bankgate", "people", *words, "--config", str(folder), "--json"])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsysbinary.readouterr()
        assert (ended.value.code or 0) == code, told.err
        return json.loads(told.out) if code == 0 else told.err.decode()

    return go


def test_the_first_officer_others_and_what_they_are(run: Any, folder: Path) -> None:
    assert len(run("init", "ada")["enrolment_code"]) == 43
    assert "people already" in run("init", "mallory", code=1)
    assert run("add", "eve", "--role", "approver", "--group", "treasury", "--connection", "house")["enrolment_code"]
    assert "there is such an account" in run("add", "eve", "--role", "viewer", code=1)
    assert "no such account" in run("roles", "bob", "--role", "viewer", code=1)
    assert "must not be approver" in run("roles", "eve", "--role", "approver", "--role", "security_officer", code=1)
    run("roles", "eve", "--role", "viewer")
    run("disable", "eve")
    assert run("reset-factors", "ada")["enrolment_code"]
    assert run("sessions", "ada") == []
    assert "no such account" in run("sessions", "nobody", code=1)
    assert run("sessions", "ada", "--end") == {"name": "ada", "ended": 0}
    people = run("list")["people"]
    assert [(one["name"], one["roles"], one["standing"]) for one in people] == [
        ("ada", ["security_officer"], "begins"),
        ("eve", ["viewer"], "disabled"),
    ]

    async def log() -> list[tuple[str, str | None]]:
        store = open_store("sqlite:///bankgate.db", folder)
        await store.open()
        try:
            return [(row.action, row.actor) for row in await store.audit_rows(0, 99)]
        finally:
            await store.close()

    lines = asyncio.run(log())
    assert [action for action, _ in lines] == [
        "person.added",
        "person.added",
        "person.changed",
        "person.disabled",
        "factors.reset",
    ]
    assert {actor for _, actor in lines} == {commands.at_machine()}


def test_an_account_for_emergencies_is_sealed_opened_with_a_reason_and_listed_for_review(run: Any) -> None:
    assert "there was none" in run("add", "emergency", "--role", "operator", "--sealed", code=2)
    assert "refused" in run("add", "emergency", "--role", "operator", "--sealed", stdin="emergency123\n", code=2)
    sealed = run("add", "emergency", "--role", "operator", "--sealed", stdin="kept in the safe, floor 3\n")
    assert len(sealed["recovery_codes"]) == 10
    assert "at least 10" in run("break-glass", "emergency", "--reason", "fire", code=1)
    opened = run("break-glass", "emergency", "--reason", "nobody is in and the bank calls", "--minutes", "15")
    (row,) = run("list")["people"]
    assert (row["standing"], row["emergencies_to_review"]) == ("sealed", [opened["opening_id"]])


def test_without_the_key_of_people_the_error_says_what_to_do(run: Any, folder: Path) -> None:
    (folder / "bankgate.toml").write_text(MAIN.format(people=""), encoding="utf-8")
    assert "openssl rand -hex 32" in run("init", "ada", code=1)


def test_no_command_takes_a_secret_as_argument() -> None:
    import typer.main

    group: Any = typer.main.get_command(commands.app)
    options = {option for command in group.commands.values() for parameter in command.params for option in parameter.opts}
    assert not [option for option in options if any(word in option for word in ("password", "code", "secret", "key"))]


def test_a_password_comes_from_one_line_of_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long walk by the river\r\nrest"))
    assert commands._password("x") == "a long walk by the river"
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(CommandFailed):
        commands._password("x")
