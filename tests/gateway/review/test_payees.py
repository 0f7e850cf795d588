"""The verification of payees in the lane: who is asked, once, and what each answer does to a payment."""

from dataclasses import dataclass, field

from formats.model import Party, PostalAddress
from gateway.payee.provider import PayeeAnswer, PayeeQuestion, PayeeResult
from gateway.payee_settings import PayeeSettings
from gateway.review import Reviewer
from gateway.review_checks import ConfiguredChecks, PayeesCheck, Source
from tests.gateway.review.conftest import Build, House

GROUP = PayeeSettings(approvers="finance")


@dataclass
class Service:
    """Answers by the first word of the name; an unknown one makes it fail."""

    name: str = "scripted"
    asked: list[str] = field(default_factory=list)
    closed: bool = False

    async def verify(self, question: PayeeQuestion) -> PayeeAnswer:
        self.asked.append(question.name)
        match question.name.split()[0]:
            case "Close":
                return PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Closely Held BV")
            case "Other":
                return PayeeAnswer(result=PayeeResult.NO_MATCH)
            case "Broken":
                raise OSError("no route")
            case _:
                return PayeeAnswer(result=PayeeResult.MATCH)

    async def close(self) -> None:
        self.closed = True


def asking(house: House, service: Service) -> House:
    """The house with the service beside its policies."""
    source = Source(
        name="payees", watched=(), there=lambda: True, load=lambda store: PayeesCheck(service, GROUP, store, house.now)
    )
    house.checks = ConfiguredChecks((source, *house.checks.sources), house.store)
    house.reviewer = Reviewer(house.store, house.checks, house.now, house.metrics)
    return house


async def paid_to(house: House, *names: str) -> list[str]:
    ids = []
    for place, name in enumerate(names):
        creditor = Party(name=name, postal_address=PostalAddress(town_name="Amsterdam", country="NL"))
        ids += [one.payment_id for one in await house.submit("10.00", prefix=f"P{place}", creditor=creditor)]
    await house.reviewer.pump()
    return ids


async def test_each_answer_does_to_its_payment_what_the_settings_say(build: Build) -> None:
    service = Service()
    house = asking(build(), service)
    ids = await paid_to(house, "Right BV", "Close Ltd", "Other BV", "Broken BV")
    assert await house.states(ids) == ["approved", "awaiting_approval", "held", "approved"]
    assert (await house.payment(ids[2])).reason.code == "policy.payee.no-match"
    silent = (await house.case(ids[3])).review.verdict.findings
    assert [(one.rule, one.outcome.name) for one in silent] == [("payee.not-available", "PASS")], "told, and never a match"
    kept = await house.gateway.payee_of(await house.payment(ids[1]))
    assert kept is not None
    assert kept.answer.suggested_name == "Closely Held BV"


async def test_a_payment_that_is_judged_anew_is_not_asked_about_again(build: Build) -> None:
    service = Service()
    house = asking(build(), service)
    ids = await paid_to(house, "Other BV")
    house.write("later", 'id = "later"\nversion = 1\nvalid_from = 2026-01-01\ndefault = "pass"\n')
    await house.reviewer.pump()
    assert (await house.case(ids[0])).review.version == 2, "new rules judged it"
    assert await house.states(ids) == ["held"]
    assert service.asked == ["Other BV"]


async def test_the_service_is_left_when_the_worker_ends(build: Build) -> None:
    service = Service()
    house = asking(build(), service)
    await paid_to(house, "Right BV")
    await house.checks.close()
    assert service.closed
