"""What an answer about a payee asks for, who sees the name it suggests, and that an answer stands for nobody else."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog

from formats.model import Account
from gateway.payee.check import (
    BANK_GROUP_STATUSES,
    BANK_STATUSES,
    PayeeCheck,
    answer_of_status,
    bank_words,
    digest_of,
    finding_of,
    question_of,
    shown_name,
)
from gateway.payee.provider import (
    NOT_APPLICABLE,
    REASONS,
    TIMEOUT,
    PayeeAnswer,
    PayeeQuestion,
    PayeeResult,
    ask,
    explain_reason,
    not_available,
)
from gateway.payee_settings import PayeeSettings
from gateway.people.person import Role
from gateway.policy.verdict import Outcome
from tests.policy.habits_workshop import ACME, OTHER, payment

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
CLOSE = PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Acme Handels GmbH")
QUESTION = PayeeQuestion(name="Acme GmbH", account=ACME, reference="q1")


def check(answer: PayeeAnswer) -> PayeeCheck:
    return PayeeCheck(
        payment_id="now", provider="https", asked_at=AT, answered_at=AT, digest=digest_of(payment().transfer), answer=answer
    )


@pytest.mark.parametrize(
    ("answer", "settings", "outcome"),
    [
        (PayeeAnswer(result=PayeeResult.MATCH), {}, Outcome.PASS),
        (CLOSE, {}, Outcome.APPROVAL),
        (CLOSE, {"close_match": "hold"}, Outcome.HOLD),
        (CLOSE, {"close_match": "pass"}, Outcome.PASS),
        (PayeeAnswer(result=PayeeResult.NO_MATCH), {}, Outcome.HOLD),
        (PayeeAnswer(result=PayeeResult.NO_MATCH), {"no_match": "approval"}, Outcome.APPROVAL),
        (not_available(TIMEOUT), {}, Outcome.PASS),
        (not_available(TIMEOUT), {"not_available": "hold"}, Outcome.HOLD),
        (not_available("BNOR"), {"not_available": "approval"}, Outcome.APPROVAL),
        (not_available(NOT_APPLICABLE), {"not_available": "hold"}, Outcome.PASS),  # nobody is asked: nothing to wait for
    ],
)
def test_each_answer_asks_for_what_the_settings_say(answer: PayeeAnswer, settings: dict[str, str], outcome: Outcome) -> None:
    found = finding_of(check(answer), payment(), PayeeSettings.model_validate(settings))
    assert found.outcome is outcome
    assert bool(found.steps) is (outcome is Outcome.APPROVAL)
    assert found.rule == f"payee.{answer.result.value.replace('_', '-')}"
    assert found.text_en
    assert found.text_zh


def test_no_match_cannot_be_set_to_pass() -> None:
    with pytest.raises(ValueError, match="no_match"):
        PayeeSettings.model_validate({"no_match": "pass"})


def test_an_answer_that_is_not_known_never_reads_as_a_match() -> None:
    told = finding_of(check(not_available(TIMEOUT)), payment(), PayeeSettings())
    assert told.rule == "payee.not-available"
    assert told.text_en == "whether name and account belong together is not known: No answer came in time."
    assert ("reason", TIMEOUT) in told.facts


def test_no_account_and_no_name_stands_in_what_is_said() -> None:
    told = repr(finding_of(check(CLOSE), payment(), PayeeSettings()))
    assert ACME not in told
    assert "Acme" not in told
    assert "Handels" not in told


@pytest.mark.parametrize("changed", ["name", "account"])
def test_an_answer_about_another_name_or_account_is_none(changed: str) -> None:
    """Asked about one payee, paid to another: the match falls with the change."""
    other = payment(name="Mallory") if changed == "name" else payment(account=OTHER)
    told = finding_of(check(PayeeAnswer(result=PayeeResult.MATCH)), other, PayeeSettings(not_available="hold"))
    assert told.outcome is Outcome.HOLD
    assert "changed after the check" in told.text_en


def test_the_suggested_name_is_shown_to_those_who_decide_and_to_others_its_initials() -> None:
    for role in Role:
        shown = shown_name(check(CLOSE), {role})
        decides = role in {Role.SUBMITTER, Role.APPROVER, Role.OPERATOR, Role.SECURITY_OFFICER}
        assert shown == ("Acme Handels GmbH" if decides else "A••• H••• G•••")
    assert shown_name(check(PayeeAnswer(result=PayeeResult.MATCH)), {Role.AUDITOR}) == ""


def test_what_the_scheme_does_not_cover_is_not_asked() -> None:
    settings = PayeeSettings()
    asked = question_of(payment(), settings, "q1")
    assert asked == PayeeQuestion(name="Acme GmbH", account=ACME, reference="q1")
    for subject in (payment(currency="CHF"), payment(account=""), payment(name="")):
        assert question_of(subject, settings, "q1") == not_available(NOT_APPLICABLE)
    local = payment()
    local = replace(local, transfer=replace(local.transfer, creditor_account=Account(other_id="123456")))
    assert question_of(local, settings, "q1") == not_available(NOT_APPLICABLE)


# -- asking ----------------------------------------------------------------------------------------------------------------


class Broken:
    name = "broken"

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    async def verify(self, question: PayeeQuestion) -> PayeeAnswer:
        if self._failure is None:
            await asyncio.Event().wait()
        raise self._failure or AssertionError

    async def close(self) -> None:
        return None


async def test_silence_ends_in_time_as_a_state_of_its_own() -> None:
    assert await ask(Broken(None), QUESTION, 0.01) == not_available(TIMEOUT)


async def test_a_provider_that_fails_holds_nothing_up_and_its_words_are_not_logged() -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await ask(Broken(ValueError(f"cannot parse {ACME} of Acme GmbH")), QUESTION, 1)
    assert answer.result is PayeeResult.NOT_AVAILABLE
    assert logged == [
        {"event": "payee_check_failed", "provider": "broken", "error": "ValueError", "log_level": "warning"},
    ]


async def test_being_stopped_is_no_answer() -> None:
    task = asyncio.ensure_future(ask(Broken(None), QUESTION, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_every_reason_has_words_in_both_languages() -> None:
    for english, chinese in [*REASONS.values(), explain_reason("X1")]:
        assert english.endswith(".")
        assert chinese.endswith("。")


# -- what banks tell in a pain.002 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "result"), BANK_STATUSES.items())
def test_a_banks_status_of_a_payee_is_an_answer_of_the_check(code: str, result: PayeeResult) -> None:
    answer = answer_of_status(code, ["BNOR"])
    assert answer is not None
    assert answer.result is result
    assert answer.reason == ("BNOR" if result is PayeeResult.NOT_AVAILABLE else "")


@pytest.mark.parametrize("code", ["ACCP", "RJCT", "RVCM", "RVNC", "", None])
def test_other_statuses_say_nothing_of_one_payee(code: str | None) -> None:
    assert answer_of_status(code, ["BNOR"]) is None


def test_every_status_about_payees_has_words_that_promise_no_payment() -> None:
    for code in {*BANK_STATUSES, *BANK_GROUP_STATUSES}:
        english, chinese = bank_words(code)
        assert "ayee" in english
        assert "收款人" in chinese
        assert "reject" not in english
