"""`recheck = true`: who has lost the role or the group since no longer counts, wherever the payment stands before the bank."""

from dataclasses import replace

import pytest

from gateway.people.person import Person, Role
from gateway.people.records import Account
from gateway.policy.chain import Choice
from gateway.store.people import AccountChange
from tests.gateway.review.conftest import ADA, BIG, BO, CAI, START, Build, House

RECHECKED = f"{BIG}recheck = true\n"


async def account(house: House, person: Person, **changes: object) -> None:
    """The account as it is from now on."""
    there = await house.store.account(person.name)
    made = Account(
        name=person.name,
        roles=person.roles,
        groups=person.groups,
        connections=person.connections,
        created_at=START,
        updated_at=house.now(),
        version=1 if there is None else there.version + 1,
    )
    made = replace(made, **changes)  # type: ignore[arg-type]
    await house.store.change_account(AccountChange(account=made, was=None if there is None else there.version))


async def staffed(build: Build, rules: str) -> tuple[House, str]:
    house = build(rules)
    for one in (ADA, BO, CAI):
        await account(house, one)
    (big,) = await house.judged("150.00")
    return house, big


LOSSES: list[dict[str, object]] = [
    {"groups": frozenset({"visitors"})},
    {"roles": frozenset({Role.VIEWER})},
    {"connections": ("two",)},
    {"disabled": True},
]


@pytest.mark.parametrize("loss", LOSSES, ids=["group", "role", "connection", "account"])
async def test_an_approved_payment_does_not_leave_when_an_approver_has_lost_the_right_since(
    build: Build, loss: dict[str, object]
) -> None:
    house, big = await staffed(build, RECHECKED)
    await house.decide("ada", big)
    await house.decide("bo", big)
    await account(house, ADA, **loss)
    assert (await house.send(), await house.states([big])) == (0, ["held"])
    assert (await house.payment(big)).reason.code == "bankgate.approver-gone"
    assert await house.discrepancies() == [], "nobody meddled with anything"
    await house.reviewer.pump()
    assert (await house.states([big]), await house.send()) == (["awaiting_approval"], 0)
    await house.decide("cai", big)
    assert await house.states([big]) == ["awaiting_approval"], "the board's approval came before the step that is now open"
    await house.decide("bo", big)
    assert (await house.send(), await house.states([big])) == (1, ["sent"])


async def test_without_recheck_an_approval_stays_whatever_its_giver_becomes(build: Build) -> None:
    house, big = await staffed(build, BIG)
    await house.decide("ada", big)
    await house.decide("bo", big)
    await account(house, ADA, groups=frozenset())
    assert (await house.send(), await house.states([big])) == (1, ["sent"])


async def test_a_first_approval_whose_giver_has_lost_the_group_does_not_open_the_second_step(build: Build) -> None:
    house, big = await staffed(build, RECHECKED)
    await house.decide("ada", big)
    await account(house, ADA, groups=frozenset())
    assert [one.approved for one in (await house.case(big)).progress] == [((), ())]
    with pytest.raises(Exception, match="not your turn"):
        await house.decide("bo", big)


async def test_rules_that_change_see_people_as_they_are(build: Build) -> None:
    house, big = await staffed(build, RECHECKED)
    await house.decide("ada", big)
    await house.decide("bo", big)
    await account(house, BO, disabled=True)
    house.write("p0", RECHECKED.replace("version = 7", "version = 8"))
    await house.reviewer.pump()
    assert (await house.states([big]), await house.send()) == (["awaiting_approval"], 0)
    assert "board (1 of 2 given)" in (await house.payment(big)).reason.text_en


async def test_who_has_the_group_again_counts_again(build: Build) -> None:
    house, big = await staffed(build, RECHECKED)
    await house.decide("ada", big)
    await house.decide("bo", big)
    await account(house, ADA, groups=frozenset())
    assert await house.send() == 0
    await account(house, ADA)
    await house.reviewer.pump()
    assert (await house.states([big]), await house.send()) == (["approved"], 1)


async def test_what_lost_an_approver_can_be_refused_meanwhile(build: Build) -> None:
    house, big = await staffed(build, RECHECKED)
    await house.decide("ada", big)
    await house.decide("bo", big)
    await account(house, ADA, groups=frozenset())
    assert await house.send() == 0
    await house.decide("cai", big, Choice.REFUSE)
    await house.reviewer.pump()
    assert await house.states([big]) == ["rejected"]
