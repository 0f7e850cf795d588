"""The HTTPS provider against the simulated service, over TLS with certificates of both sides."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import ValidationError

from channels.references import References
from gateway.payee.https import HttpsPayees, service_of
from gateway.payee.provider import (
    NONSENSE,
    NOT_APPLICABLE,
    NOT_ASKED,
    REFUSED,
    TIMEOUT,
    UNREACHABLE,
    PayeeAnswer,
    PayeeQuestion,
    PayeeResult,
    ask,
    not_available,
)
from gateway.payee.verify import verify
from gateway.payee_settings import PayeeServiceSettings, PayeeSettings
from simulator.payee import PayeeMood, PayeeService
from tests.channels.support.tls import identity, server_context, world
from tests.policy.habits_workshop import NOON, payment

HELD = "DE75512108001245126199"
FREE = "DE12500105170648489890"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PayeeService]:
    """A service that demands a client certificate."""
    found = PayeeService(holders={HELD: "Acme Handels GmbH"})
    await found.start(server_context(world().server, str(tmp_path), client_ca=world().ca))
    yield found
    await found.close()


Open = Callable[..., HttpsPayees]


@pytest.fixture
async def provider(service: PayeeService) -> AsyncIterator[Open]:
    opened: list[HttpsPayees] = []

    def build(**changes: Any) -> HttpsPayees:
        table = {
            "base_url": f"https://127.0.0.1:{service.port}",
            "trust": ["env:CA"],
            **identity("CLIENT"),
            "timeouts": {"connect": 1, "read": 5, "total": 10},
            **changes,
        }
        secrets = world().secrets
        references = References(secret=secrets.__getitem__, certificate=secrets.__getitem__, base=Path("/"))
        opened.append(HttpsPayees(PayeeServiceSettings.model_validate(table), references))
        return opened[-1]

    yield build
    for one in opened:
        await one.close()


def question(name: str, account: str = FREE, reference: str = "q-1") -> PayeeQuestion:
    return PayeeQuestion(name=name, account=account, bic="INGDDEFFXXX", reference=reference)


@pytest.mark.parametrize(
    ("name", "account", "answer"),
    [
        ("Acme Handels GmbH", HELD, PayeeAnswer(result=PayeeResult.MATCH, reference="vop-1")),
        (
            "ACME Handel GmbH",
            HELD,
            PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Acme Handels GmbH", reference="vop-1"),
        ),
        ("Mallory", HELD, PayeeAnswer(result=PayeeResult.NO_MATCH, reference="vop-1")),
        ("Ada Close", FREE, PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Ada Closely", reference="vop-1")),
        ("Ada Nobody", FREE, PayeeAnswer(result=PayeeResult.NOT_AVAILABLE, reason="BNOR", reference="vop-1")),
    ],
)
async def test_the_four_answers_arrive(
    service: PayeeService, provider: Open, name: str, account: str, answer: PayeeAnswer
) -> None:
    assert await provider().verify(question(name, account)) == answer
    assert service.asked == [
        {
            "requestId": "q-1",
            "party": {"name": name},
            "partyAccount": {"iban": account},
            "partyAgent": {"bicfi": "INGDDEFFXXX"},
        }
    ]


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (PayeeMood.HANGS_UP, UNREACHABLE),
        (PayeeMood.FAILS, UNREACHABLE),
        (PayeeMood.REDIRECTS, UNREACHABLE),  # followed nowhere: names and accounts go to the service of the settings alone
        (PayeeMood.REFUSES, REFUSED),
        (PayeeMood.NO_JSON, NONSENSE),
        (PayeeMood.UNKNOWN_CODE, NONSENSE),
        (PayeeMood.OTHER_QUESTION, NONSENSE),
        (PayeeMood.NAME_WITHOUT_CLOSE_MATCH, NONSENSE),
        (PayeeMood.CONTROL_CHARACTERS, NONSENSE),
        (PayeeMood.ENDLESS, NONSENSE),
    ],
)
async def test_whatever_else_comes_is_no_answer_and_never_a_match(
    service: PayeeService, provider: Open, mood: PayeeMood, reason: str
) -> None:
    service.mood = mood
    assert await ask(provider(), question("Acme"), 5) == not_available(reason)


async def test_silence_is_no_answer(service: PayeeService, provider: Open) -> None:
    service.mood = PayeeMood.SILENT
    assert await ask(provider(), question("Acme"), 0.3) == not_available(TIMEOUT)


async def test_an_answer_later_than_the_scheme_allows_is_none(service: PayeeService, provider: Open) -> None:
    service.latency_seconds = 0.5
    assert await ask(provider(), question("Acme"), 0.3) == not_available(TIMEOUT)


async def test_a_kept_connection_that_ended_is_no_reason_for_no_answer(service: PayeeService, provider: Open) -> None:
    service.mood = PayeeMood.HANGS_UP_ONCE
    assert (await provider().verify(question("Acme"))).result is PayeeResult.MATCH
    assert len(service.asked) == 2


async def test_many_questions_share_few_connections(service: PayeeService, provider: Open) -> None:
    """And each payee is asked about once, however many payments it gets."""
    subjects = [payment(f"p{number}", name=f"Acme {number % 30}", account=FREE) for number in range(60)]
    numbers = itertools.count()
    checks = await verify(
        subjects, provider(), PayeeSettings(at_once=3), clock=lambda: NOON, new_reference=lambda: f"q-{next(numbers)}"
    )
    assert [one.payment_id for one in checks] == [subject.payment_id for subject in subjects]
    assert {one.answer.result for one in checks} == {PayeeResult.MATCH}
    assert all(one.is_about(subject.transfer) for one, subject in zip(checks, subjects, strict=True))
    assert len({str(asked["requestId"]) for asked in service.asked}) == len(service.asked) == 30
    assert len(service.connections) <= 3


async def test_a_silent_service_holds_many_payments_no_longer_than_the_settings_say(
    service: PayeeService, provider: Open
) -> None:
    service.mood = PayeeMood.SILENT
    subjects = [payment(f"p{number}", name=f"Acme {number}", account=FREE) for number in range(500)] + [
        payment("chf", currency="CHF")
    ]
    settings = PayeeSettings(at_once=2, seconds=0.2, all_seconds=0.3)
    checks = await asyncio.wait_for(
        verify(subjects, provider(), settings, clock=lambda: NOON, new_reference=lambda: "q"), timeout=20
    )
    assert len(checks) == 501
    assert {one.answer.reason for one in checks} == {TIMEOUT, NOT_ASKED, NOT_APPLICABLE}


@pytest.mark.parametrize("changes", [{"trust": ["env:OTHER_CA"]}, identity("STRANGER"), identity(None), {"trust": ["env:GONE"]}])
async def test_who_is_not_believed_gives_no_answer(service: PayeeService, provider: Open, changes: dict[str, Any]) -> None:
    """A service with another certificate; ourselves with one it does not know, or none; settings that lead nowhere."""
    with structlog.testing.capture_logs() as logged:
        assert await ask(provider(**changes), question("Acme"), 5) == not_available(UNREACHABLE)
    assert not service.asked
    assert logged[0]["error"], "an operator is told why"
    assert "Acme" not in str(logged)


async def test_the_service_of_the_settings_reads_its_certificates_below_the_configuration(
    service: PayeeService, tmp_path: Path
) -> None:
    secrets = world().secrets
    for name in ("CA", "CLIENT", "CLIENT_KEY", "PASSPHRASE"):
        (tmp_path / name).write_bytes(secrets[f"env:{name}"])
        (tmp_path / name).chmod(0o600)
    settings = PayeeSettings.model_validate(
        {
            "service": {
                "base_url": f"https://127.0.0.1:{service.port}",
                "trust": ["file:CA"],
                "client_certificate": "file:CLIENT",
                "client_key": "file:CLIENT_KEY",
                "client_key_passphrase": "file:PASSPHRASE",
            }
        }
    )
    built = service_of(settings, tmp_path)
    assert built is not None
    assert (await built.verify(question("Acme"))).result is PayeeResult.MATCH
    await built.close()
    assert service_of(PayeeSettings(), tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base_url": "http://vop.example"}, "https://"),
        ({"base_url": "https://user@vop.example"}, "https://"),
        ({"trust": []}, "trust"),
        ({"path": "no-slash"}, "pattern"),
        ({"client_certificate": "env:CLIENT"}, "go together"),
    ],
)
def test_settings_that_would_send_names_in_clear_or_to_anybody_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        PayeeServiceSettings.model_validate({"base_url": "https://vop.example", "trust": ["env:CA"], **changes})
