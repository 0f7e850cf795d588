"""Decisions about payments, proved by the real second factors of real people: each good for one decision about one content."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from gateway.config import Configuration, ConnectionSettings
from gateway.connection import open_connection
from gateway.errors import FactorRefused, Forbidden
from gateway.lifecycle import PaymentState
from gateway.people.officers import wanted
from gateway.policy.chain import Choice
from gateway.prepare import Preparer
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.review_gate import Gate
from gateway.review_standing import purpose
from gateway.service import Gateway
from gateway.store.records import DeliveryFilter
from gateway.store.reviews import Decided
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


AGAIN = """
id = "pay"
version = 2
valid_from = 2026-01-01
default = "pass"

[[chains]]
id = "both"
steps = [{ group = "finance" }, { group = "board" }]
recheck = true
"""


@dataclass
class Desk:
    gateway: Gateway
    li: Somebody
    ids: list[str]
    reviewer: Reviewer

    async def approve(self, payment_id: str, factor: GivenFactor, by: Somebody | None = None) -> Case:
        case = await self.gateway.approval(CONSOLE, payment_id)
        acting = (await (by or self.li).session()).acting
        return await self.gateway.decide(
            CONSOLE, acting, payment_id, Choice.APPROVE, digest=case.digest, seen=0, reason="", factor=factor
        )

    def preparer(self, house: House) -> Preparer:
        """What forms messages, with the gate before it."""
        settings = self.gateway._configuration.connections["one"]
        connection = open_connection(settings, house.store._path.parent, house.clock)
        return Preparer(house.store, connection, house.clock, Metrics(), gate=Gate(house.store, "one", lambda: True))


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
    reviewer = Reviewer(house.store, checks_of(configuration, house.store), house.clock, Metrics())
    await reviewer.pump()
    return Desk(gateway, li, [one.payment_id for one in stored], reviewer)


def given(by: Somebody) -> GivenFactor:
    """A code that was not used before."""
    return GivenFactor(totp_code=by.new_code().totp_code)


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


async def test_rights_that_are_taken_away_between_the_factor_and_the_decision_do_not_count(
    desk: Desk, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is stopped, for minutes perhaps, after it has looked at the code and before it writes."""
    decide = house.store.decide

    async def revoked_meanwhile(decided: Decided) -> None:
        await house.people.put_person("machine: root", wanted("li", ("viewer",), (), ("*",)))
        await decide(decided)

    monkeypatch.setattr(house.store, "decide", revoked_meanwhile)
    with pytest.raises(Forbidden, match="changed while you decided"):
        await desk.approve(desk.ids[0], given(desk.li))
    case = await desk.gateway.approval(CONSOLE, desk.ids[0])
    assert (case.payment.state, case.signed) == (PaymentState.AWAITING_APPROVAL, ())


async def test_where_a_rule_looks_at_approvers_again_one_who_lost_the_group_counts_no_more(desk: Desk, house: House) -> None:
    (house.store._path.parent / "policies" / "p.toml").write_text(AGAIN, encoding="utf-8")
    await desk.reviewer.pump()
    others = {}
    for name, group in (("kim", "finance"), ("bo", "board")):
        done = await house.people.put_person("machine: root", wanted(name, ("approver",), (group,), ("*",)))
        others[name] = await house.begin(name, done.enrolment_code)
    first = desk.ids[0]
    case = await desk.approve(first, given(desk.li))
    assert case.progress[0].approved == (("li",), ())
    await house.people.put_person("machine: root", wanted("li", ("approver",), ("guests",), ("*",)))
    with pytest.raises(Forbidden, match="first finance"):
        await desk.approve(first, given(others["bo"]), others["bo"])
    case = await desk.approve(first, given(others["kim"]), others["kim"])
    assert (case.payment.state, case.progress[0].approved) == (PaymentState.AWAITING_APPROVAL, (("kim",), ()))
    (house.store._path.parent / "policies" / "p.toml").write_text(AGAIN.replace("version = 2", "version = 3"), encoding="utf-8")
    await desk.reviewer.pump()
    assert (await desk.gateway.approval(CONSOLE, first)).payment.state is PaymentState.AWAITING_APPROVAL, "nor when judged again"
    case = await desk.approve(first, given(others["bo"]), others["bo"])
    assert case.payment.state is PaymentState.APPROVED


async def test_a_complete_approval_waits_again_if_its_approver_was_disabled_before_it_left(desk: Desk, house: House) -> None:
    (house.store._path.parent / "policies" / "p.toml").write_text(AGAIN.replace(', { group = "board" }', ""), encoding="utf-8")
    await desk.reviewer.pump()
    first = desk.ids[0]
    assert (await desk.approve(first, given(desk.li))).payment.state is PaymentState.APPROVED
    await house.people.disable_person("machine: root", "li")
    preparer = desk.preparer(house)
    await preparer.form_messages()
    (delivery,), _ = await house.store.list_deliveries(DeliveryFilter(), limit=9)
    assert await preparer.seal_document(delivery) is None
    assert (await desk.gateway.approval(CONSOLE, first)).payment.reason.code == "bankgate.approver-gone"
    await desk.reviewer.pump()
    assert (await desk.gateway.approval(CONSOLE, first)).payment.state is PaymentState.AWAITING_APPROVAL
