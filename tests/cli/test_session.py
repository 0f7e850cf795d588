"""`bankgate session` against a real service: a person begins, signs in with password and factor, and signs out."""

import asyncio
import io
import json
import stat
import sys
from base64 import b32decode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from gateway import clock
from gateway.cli import connect
from gateway.cli import session as commands
from gateway.config_load import load
from gateway.people import totp
from gateway.people.officers import wanted
from gateway.people.people import People
from gateway.store.factory import open_store
from gateway.telemetry import Metrics

PASSWORD = "a sentence that nobody else says"


@pytest.fixture
def directory(directory: Path) -> Path:
    """Whose caller carries people."""
    (directory / "people.key").write_text("ab" * 32, encoding="ascii")
    (directory / "people.key").chmod(0o600)
    settings = (directory / "bankgate.toml").read_text(encoding="utf-8").replace('"replay"]', '"replay", "people"]')
    (directory / "bankgate.toml").write_text(f'people.key = "file:people.key"\n{settings}', encoding="utf-8")
    return directory


def code_for(directory: Path) -> str:
    """The code by which li.wei begins."""

    async def make() -> str:
        configuration = load(directory)
        store = open_store(configuration.store, directory, clock.now)
        await store.open()
        people = People(configuration.people, store, directory=directory, clock=clock.now, metrics=Metrics())
        made = await people.put_person("machine: root", wanted("li.wei", ["approver"], ["finance"], ["*"]))
        await store.close()
        return made.enrolment_code

    return asyncio.run(make())


class Typing:
    """Somebody at a pipe: one answer a line; a code of the app is made when it is asked for."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.uri = ""

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        answer = self.answers.pop(0) if self.answers else ""
        return f"{self.code(int(answer[5:])) if answer.startswith('code ') else answer}\n"

    def code(self, later: int) -> str:
        secret = parse_qs(urlparse(self.uri).query)["secret"][0]
        step = totp.step_at(clock.now().timestamp()) + later
        return totp.code_at(b32decode(secret + "=" * (-len(secret) % 8)), step)


def test_a_person_begins_signs_in_with_a_factor_and_signs_out(
    bankgate: Any, service: str, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing = Typing(code_for(directory), PASSWORD, "code 0")
    monkeypatch.setattr(sys, "stdin", typing)
    called = connect.service_call

    def listening(*arguments: Any, **options: Any) -> Any:
        answer = called(*arguments, **options)
        typing.uri = answer.get("uri", typing.uri)
        return answer

    monkeypatch.setattr(commands, "service_call", listening)
    kept = tmp_path / "session"
    begun = bankgate("session", "begin", "li.wei", "--session-file", kept, "--target", service, "--json")
    assert begun.code == 0, begun.err
    assert "otpauth://totp/" in begun.err
    codes = json.loads(begun.out)["recovery_codes"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = bankgate("session", "show", "--session-file", kept, "--target", service).out
    assert ("li.wei" in shown, "totp app" in shown, "10 left" in shown) == (True, True, True)

    typing.answers = [PASSWORD, codes[0]]
    signed_in = bankgate("session", "sign-in", "li.wei", "--target", service)
    token = signed_in.out.strip()
    assert (signed_in.code, len(token.split())) == (0, 1)  # the token alone: a shell takes it over
    monkeypatch.setenv("BANKGATE_SESSION", token)
    assert "9 left" in bankgate("session", "show", "--target", service).out
    assert "signed out" in bankgate("session", "end", "--target", service).out
    ended = bankgate("session", "show", "--target", service)
    assert (ended.code, "sign in again" in ended.err) == (1, True)
    assert bankgate("session", "end", "--session-file", kept, "--target", service).code == 0
    assert not kept.exists()
    assert "bankgate session sign-in" in bankgate("session", "show", "--session-file", kept, "--target", service).err

    typing.answers = [PASSWORD, codes[0]]
    again = bankgate("session", "sign-in", "li.wei", "--target", service)
    assert (again.code, "not right" in again.err) == (1, True)  # a recovery code counts once


def test_a_caller_that_carries_nobody_is_told_which_action_it_lacks(
    bankgate: Any, directory: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings = directory / "bankgate.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('"replay", "people"]', '"replay"]'), encoding="utf-8")
    monkeypatch.setenv("BANKGATE_SESSION", "x")
    service = request.getfixturevalue("service")
    assert "may not carry people who sign in (people): its actions are" in bankgate("session", "show", "--target", service).err


def test_no_answer_and_no_session_say_what_to_do(bankgate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.delenv("BANKGATE_SESSION", raising=False)
    asked = bankgate("session", "sign-in", "li.wei")
    assert (asked.code, "a line of standard input" in asked.err) == (2, True)
    shown = bankgate("session", "show")
    assert (shown.code, "bankgate session sign-in" in shown.err) == (2, True)
