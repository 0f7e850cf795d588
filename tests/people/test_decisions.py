"""Decisions about payments, proved by the real second factors of real people: each good for one decision about one content."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from gateway.config import Configuration, ConnectionSettings
from gateway.errors import FactorRefused
from gateway.lifecycle import PaymentState
from gateway.people.officers import wanted
from gateway.policy.chain import Choice
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.review_standing import purpose
from gateway.service import Gateway
from gateway.telemetry import Metrics
from gateway.use_cases.approvals import Case, GivenFactor, PeopleProver
from tests.gateway.review.conftest import CONSOLE, ERP, IBAN, order
from tests.people.conftest import CONSOLE as FROM
from tests.people.conftest import House, Somebody

POLICY = """
id = "pay"
version = 1
valid_from = 2026-01-01
default = "approval"
default_steps = [{ group = "finance" }]
"""


@dataclass
class Desk:
    gateway: Gateway
    li: Somebody
    ids: list[str]

    async def approve(self, payment_id: str, factor: GivenFactor) -> Case:
        case = await self.gateway.approval(CONSOLE, payment_id)
        acting = (await self.li.session()).acting
        return await self.gateway.decide(
            CONSOLE, acting, payment_id, Choice.APPROVE, digest=case.digest, seen=0, reason="", factor=factor
        )


@pytest.fixture
async def desk(house: House) -> Desk:
    """Three payments that finance has to approve, and Li of finance."""
    place = house.store._path.parent
    (place / "policies").mkdir()
    (place / "policies" / "p.toml").write_text(POLICY, encoding="utf-8")
    account = {"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}
    values = {
        "id": "one",
        "bank": "iso20022",
        "initiating_party": "ACME BV",
        "accounts": [account],
        "channel": {"kind": "folder"},
    }
    connections = {"one": ConnectionSettings.model_validate(values)}
    configuration = Configuration(directory=place, connections=connections)
    gateway = Gateway(configuration, house.store, clock=house.clock, metrics=Metrics())
    gateway.prover = PeopleProver(house.people)
    done = await house.people.put_person("machine: root", wanted("li", ("approver",), ("finance",), ("*",)))
    li = await house.begin("li", done.enrolment_code)
    stored = await gateway.submit(ERP, [order(f"INV-{place}", amount=Decimal("12.50")) for place in range(3)])
    await Reviewer(house.store, checks_of(configuration, house.store), house.clock, Metrics()).pump()
    return Desk(gateway, li, [one.payment_id for one in stored])


async def test_a_code_of_an_app_approves_one_payment_and_is_used_up(desk: Desk) -> None:
    code = desk.li.new_code().totp_code
    case = await desk.approve(desk.ids[0], GivenFactor(totp_code=code))
    assert case.payment.state is PaymentState.APPROVED
    (signed,) = case.signed
    assert (signed.decision.person.name, signed.factor.kind, signed.caller) == ("li", "totp", "console")
    assert signed.factor.bound_to == purpose(Choice.APPROVE, case.digest).hex()
    with pytest.raises(FactorRefused):
        await desk.approve(desk.ids[1], GivenFactor(totp_code=code))


async def test_a_passkey_signs_the_payment_that_is_approved_and_no_other(desk: Desk, house: House) -> None:
    passkey = await desk.li.passkey()
    case = await desk.gateway.approval(CONSOLE, desk.ids[0])
    person = (await desk.li.session(FROM)).acting.person
    assert person is not None
    question = await house.people.begin_factor(person, purpose(Choice.APPROVE, case.digest))
    given = GivenFactor(assertion=passkey.get(question.options), challenge_id=question.challenge_id)
    with pytest.raises(FactorRefused):
        await desk.approve(desk.ids[1], given)
    question = await house.people.begin_factor(person, purpose(Choice.APPROVE, case.digest))
    given = GivenFactor(assertion=passkey.get(question.options), challenge_id=question.challenge_id)
    case = await desk.approve(desk.ids[0], given)
    (signed,) = case.signed
    assert (case.payment.state, signed.factor.kind) == (PaymentState.APPROVED, "passkey")
    assert signed.factor.evidence, "what a third party checks it by"
