"""`bankgate approvals` against a real service with rules: what a person sees, and what they decide."""

import asyncio
import io
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import clock
from gateway.config_load import load
from gateway.payee.check import PayeeCheck
from gateway.payee.check import digest_of as digest_of_payee
from gateway.payee.provider import PayeeAnswer, PayeeResult
from gateway.people.desk import Source
from gateway.people.factors import SecondFactor
from gateway.people.people import People
from gateway.people.person import Acting, FactorProof, Person, Role
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.store.factory import open_store
from gateway.telemetry import Metrics

POLICY = """
id = "pay"
version = 7
valid_from = 2026-01-01
default = "pass"

[[chains]]
id = "everything"
steps = [{ group = "finance" }, { group = "board" }]
"""


async def session_of(_: People, token: str, source: Source, **__: Any) -> Any:
    """Whoever signs in is who they say, in both groups."""
    person = Person(name=token, roles=frozenset({Role.APPROVER}), groups=frozenset({"finance", "board"}))
    acting = Acting(caller=source.caller, person=person, address=source.address)
    return SimpleNamespace(session=SimpleNamespace(enrolling=False, factor="totp 1"), acting=acting)


async def prove(_: People, person: Person, factor: SecondFactor, bound_to: bytes, *, source: Source) -> FactorProof:
    assert (factor.totp_code, source.caller) == ("123456", "erp")
    return FactorProof(kind="totp", factor_id=person.name, at=clock.now(), bound_to=bound_to.hex())


@pytest.fixture
def directory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a policy, and a caller that may carry people who decide."""
    (directory / "policies").mkdir()
    (directory / "policies" / "pay.toml").write_text(POLICY, encoding="utf-8")
    (directory / "people.key").write_text("ab" * 32, encoding="ascii")
    (directory / "people.key").chmod(0o600)
    settings = (directory / "bankgate.toml").read_text(encoding="utf-8").replace('"replay"]', '"replay", "approve", "people"]')
    (directory / "bankgate.toml").write_text(f'people.key = "file:people.key"\n{settings}', encoding="utf-8")
    monkeypatch.setattr(People, "session_of", session_of)
    monkeypatch.setattr(People, "prove", prove)
    return directory


def judge(directory: Path) -> datetime | None:
    """One turn of the worker's lane."""

    async def turn() -> datetime | None:
        configuration = load(directory)
        store = open_store(configuration.store, directory, clock.now)
        await store.open()
        try:
            return await Reviewer(store, checks_of(configuration, store), clock.now, Metrics()).pump()
        finally:
            await store.close()

    return asyncio.run(turn())


@pytest.fixture
def waiting(bankgate: Any, service: str, examples: Path, directory: Path) -> str:
    """The id of the first of three payments that wait for approval."""
    done = bankgate("submit", examples / "payments.jsonl", "--connection", "house", "--target", service)
    assert done.code == 0
    assert judge(directory) is not None
    found = json.loads(bankgate("approvals", "list", "--json", "--target", service).out)
    assert len(found) == 3
    return str(found[0]["payment_id"])


def digest_of(shown: str) -> str:
    found = re.search(r"digest +([0-9a-f]{64})", shown)
    assert found is not None
    return found[1]


def test_a_person_looks_approves_and_another_completes_it(
    bankgate: Any, service: str, waiting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = bankgate("approvals", "list", "--state", "awaiting-approval", "--target", service).out
    assert "waits for approval" in listed
    assert "rule everything, version 7; next: finance (0 of 2 given)" in listed
    shown = bankgate("approvals", "show", waiting, "--target", service).out
    assert "1 of finance: nobody yet  <- next" in shown
    monkeypatch.setenv("BANKGATE_CODE", "123456")
    monkeypatch.setenv("BANKGATE_SESSION", "ada")
    done = bankgate("approvals", "approve", waiting, "--digest", digest_of(shown), "--target", service)
    assert done.code == 0
    assert "1 of finance: ada" in done.out
    assert "1 of board: nobody yet  <- next" in done.out
    session = tmp_path / "session"
    session.write_text("bo\n", encoding="utf-8")
    arguments = ("approvals", "approve", waiting, "--digest", digest_of(shown), "--session-file", session)
    done = bankgate(*arguments, "--language", "zh", "--target", service)
    assert (done.code, done.out.splitlines()[2].split()[:2]) == (0, ["state", "approved"])


def test_all_payments_of_a_closed_group_are_approved_with_one_code(
    bankgate: Any, service: str, examples: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = (examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()
    file = tmp_path / "group.jsonl"
    file.write_text("".join(line[:-1] + ', "release_group": "PAYROLL"}\n' for line in lines), encoding="utf-8")
    assert bankgate("submit", file, "--connection", "house", "--target", service).code == 0
    judge(directory)
    group = json.loads(bankgate("groups", "list", "--json", "--target", service).out)[0]
    there = bankgate("groups", "show", group["group_id"], "--json", "--target", service).out
    sums = [f"--sum={currency}={amount}" for currency, amount in json.loads(there)["submitted"]["control_sums"].items()]
    done = bankgate("groups", "close", "PAYROLL", "--connection", "house", "--payments", "3", *sums, "--target", service)
    assert (done.code, "Waits for its group: 3 of 3 not approved yet." in done.out) == (0, True)
    monkeypatch.setenv("BANKGATE_CODE", "123456")
    for person in ("ada", "bo"):
        shown = bankgate("groups", "review", group["group_id"], "--target", service).out
        assert "waits for approval" in shown
        monkeypatch.setenv("BANKGATE_SESSION", person)
        done = bankgate("groups", "approve", group["group_id"], "--digest", digest_of(shown), "--target", service)
        assert (done.code, "decided         3 payments" in done.out) == (0, True)
    assert "All 3 are approved" in done.out
    again = bankgate("groups", "approve", group["group_id"], "--digest", digest_of(shown), "--target", service)
    assert (again.code, "no payment of the group waits" in again.err) == (1, True)


def test_the_name_under_which_an_account_is_held_is_shown_to_people_and_its_initials_to_a_caller(
    bankgate: Any, service: str, waiting: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep() -> None:
        configuration = load(directory)
        store = open_store(configuration.store, directory, clock.now)
        await store.open()
        payment = await store.payment(waiting)
        assert payment is not None
        answer = PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Closely Held BV")
        digest = digest_of_payee(payment.asked_transfer)
        check = PayeeCheck(
            payment_id=waiting, provider="vop", asked_at=clock.now(), answered_at=clock.now(), digest=digest, answer=answer
        )
        assert await store.keep_payee_checks([check]) == 1
        await store.close()

    asyncio.run(keep())
    show = ("approvals", "show", waiting, "--target", service)
    hidden = bankgate(*show).out
    assert "held under" in hidden
    assert "Closely" not in hidden
    monkeypatch.setenv("BANKGATE_SESSION", "ada")
    assert "held under      Closely Held BV (says vop)" in bankgate(*show).out


def test_a_refusal_needs_a_reason_and_ends_it(bankgate: Any, service: str, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANKGATE_CODE", "123456")
    monkeypatch.setenv("BANKGATE_SESSION", "ada")
    digest = digest_of(bankgate("approvals", "show", waiting, "--target", service).out)
    refuse = ("approvals", "refuse", waiting, "--digest", digest, "--target", service)
    assert bankgate(*refuse, "--reason", "no").code == 1
    done = bankgate(*refuse, "--reason", "not ours, asked Li Wei", "--json")
    assert json.loads(done.out)["state"] == "PAYMENT_STATE_REJECTED"
    again = bankgate(*refuse, "--reason", "not ours, asked Li Wei")
    assert (again.code, "rejected" in again.err) == (1, True)


def test_nothing_is_decided_without_session_factor_or_the_digest_that_was_shown(
    bankgate: Any, service: str, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve = ("approvals", "approve", waiting, "--digest", "ab" * 32, "--target", service)
    monkeypatch.setenv("BANKGATE_SESSION", "ada")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "a second factor is needed" in bankgate(*approve).err
    monkeypatch.setenv("BANKGATE_CODE", "123456")
    assert "not what you decided about" in bankgate(*approve).err
    monkeypatch.delenv("BANKGATE_SESSION")
    assert "sign in first" in bankgate(*approve).err
