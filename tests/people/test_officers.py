"""What security officers may do, with how many eyes; that nobody gives themselves anything; and emergencies."""

import itertools

import pytest
from structlog.testing import capture_logs

from gateway.errors import BadRequest, FactorNeeded, Forbidden, NotFound, NotSignedIn, SignInRefused, TooLate
from gateway.people.factors import SecondFactor
from gateway.people.officers import wanted
from gateway.people.permissions import CHANGES_NOTHING, PERMISSIONS, Permission, clash, may, permissions_of
from gateway.people.person import Person, Role
from tests.people.conftest import CONSOLE, PASSWORD, House

VIEWER = wanted("eve", ["viewer"], (), ("*",))
WHAT = {
    # role: read, statements, submit, cancel, approve, operate, replay, audit, see_people, people, control
    Role.VIEWER: "11000000000",
    Role.SUBMITTER: "11110000000",
    Role.APPROVER: "11001000000",
    Role.OPERATOR: "11000110000",
    Role.SECURITY_OFFICER: "00000001111",
    Role.AUDITOR: "11000001100",
}


@pytest.mark.parametrize(("role", "permission"), list(itertools.product(Role, Permission)))
def test_every_role_may_what_the_table_says_and_no_more(role: Role, permission: Permission) -> None:
    expected = WHAT[role][list(Permission).index(permission)] == "1"
    for connections in (("*",), ("bank-a",), ()):
        person = Person(name="eve", roles=frozenset({role}), connections=connections)
        assert may(person, permission) is expected
        assert may(person, permission, "bank-a") is (expected and connections != ())
        assert may(person, permission, "bank-b") is (expected and connections == ("*",))


def test_the_table_is_whole_and_an_unknown_word_is_refused() -> None:
    assert PERMISSIONS.keys() == set(Role)
    everything = Person(name="eve", roles=frozenset(Role))
    assert not may(everything, "anything")
    assert not may(Person(name="eve", roles=frozenset()), Permission.READ)
    assert PERMISSIONS[Role.AUDITOR] <= CHANGES_NOTHING
    assert permissions_of(Role) == set(Permission)


def test_duties_are_separate_in_every_combination_of_roles() -> None:
    """No one person enters or approves payments and gives out roles, or audits what they do."""
    for size in range(1, len(Role) + 1):
        for roles in map(frozenset, itertools.combinations(Role, size)):
            if clash(roles):
                continue
            may_do = permissions_of(roles)
            assert not (Permission.PEOPLE in may_do and may_do & {Permission.SUBMIT, Permission.APPROVE, Permission.OPERATE})
            assert not (Role.AUDITOR in roles and may_do - CHANGES_NOTHING)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SECURITY_OFFICER])
async def test_nobody_but_an_officer_changes_people_not_even_themselves(house: House, role: Role) -> None:
    await house.officer()
    mallory = await house.person("mallory", role.value)
    await house.person("eve", "viewer")
    session = await mallory.fresh()
    for attempt in (
        house.people.put_person(session, VIEWER),
        house.people.put_person(session, wanted("mallory", ["security_officer"], (), ())),
        house.people.disable_person(session, "eve"),
        house.people.reset_factors(session, "eve"),
        house.people.end_sessions(session, "eve"),
        house.people.confirm(session, "x"),
        house.people.refuse(session, "x"),
        house.people.review_opening(session, "x", "looked at it"),
    ):
        with pytest.raises(Forbidden):
            await attempt
    if role is Role.AUDITOR:
        assert len((await house.people.list_people(session))[0]) == 3
    else:
        with pytest.raises(Forbidden):
            await house.people.list_people(session)


async def test_an_officer_needs_a_fresh_factor_and_never_changes_their_own_account(house: House) -> None:
    ada = await house.officer()
    house.clock.advance(minutes=6)
    with pytest.raises(FactorNeeded):
        await house.people.put_person(await ada.session(), VIEWER)
    session = await ada.fresh()
    for attempt in (
        house.people.put_person(session, wanted("ada", ["security_officer"], ("treasury",), ("*",))),
        house.people.reset_factors(session, "ada"),
        house.people.disable_person(session, "ada"),
    ):
        with pytest.raises(Forbidden):
            await attempt


async def test_where_there_are_two_officers_the_second_one_confirms(house: House) -> None:
    ada = await house.officer()
    grace = await house.person("grace", "security_officer")
    asked = await house.people.put_person(await ada.fresh(), VIEWER)
    assert asked.proposal_id
    assert not asked.enrolment_code
    assert await house.store.account("eve") is None
    with pytest.raises(Forbidden, match="another"):
        await house.people.confirm(await ada.fresh(), asked.proposal_id)
    done = await house.people.confirm(await grace.fresh(), asked.proposal_id)
    assert done.enrolment_code
    with pytest.raises(NotFound):
        await house.people.confirm(await grace.fresh(), asked.proposal_id)
    await house.begin("eve", done.enrolment_code)
    reset = await house.people.reset_factors(await grace.fresh(), "eve")
    with pytest.raises(Forbidden):
        await house.people.confirm(await grace.fresh(), reset.proposal_id)
    await house.people.confirm(await ada.fresh(), reset.proposal_id)
    with pytest.raises(SignInRefused):
        await house.people.sign_in("eve", PASSWORD, CONSOLE)
    assert (await house.actions()).count("proposal.made") == 2


async def test_an_officer_does_not_confirm_what_is_about_themselves(house: House) -> None:
    ada, grace = await house.officer(), await house.person("grace", "security_officer")
    edith = await house.person("edith", "security_officer")
    asked = await house.people.reset_factors(await ada.fresh(), "grace")
    with pytest.raises(Forbidden):
        await house.people.confirm(await grace.fresh(), asked.proposal_id)
    await house.people.refuse(await edith.fresh(), asked.proposal_id)


async def test_an_officer_gets_round_the_only_other_one_by_no_way(house: House) -> None:
    """Neither by taking over their account, nor by taking away their role, nor by disabling them first."""
    ada, grace = await house.officer(), await house.person("grace", "security_officer")
    for attempt in (
        house.people.reset_factors(await ada.fresh(), "grace"),
        house.people.put_person(await ada.fresh(), wanted("grace", ["viewer"], (), ())),
    ):
        with pytest.raises(Forbidden, match="at the machine"):
            await attempt
    await house.people.disable_person(await ada.fresh(), "grace")
    for attempt in (
        house.people.reset_factors(await ada.fresh(), "grace"),
        house.people.put_person(await ada.fresh(), wanted("grace", ["security_officer"], (), ())),
        house.people.put_person(await ada.fresh(), wanted("mallory", ["approver"], (), ("*",))),
    ):
        with pytest.raises(Forbidden, match="at the machine"):
            await attempt
    assert [account.name for account in await house.store.accounts()] == ["ada", "grace"]
    with pytest.raises(NotSignedIn):
        await grace.session()
    helped = await house.people.put_person("machine: root", wanted("eve", ["viewer"], (), ()))
    assert helped.enrolment_code, "who runs the commands has the database already"
    house.clock.advance(days=7)
    await ada.sign_in()
    assert (await house.people.put_person(await ada.session(), VIEWER)).proposal_id == "", (
        "who is gone for good is not waited for"
    )


async def test_a_proposal_grows_old_and_one_about_a_changed_account_is_still_judged_anew(house: House) -> None:
    ada, grace = await house.officer(), await house.person("grace", "security_officer")
    asked = await house.people.put_person(await ada.fresh(), VIEWER)
    house.clock.advance(days=7)
    await grace.sign_in()
    with pytest.raises(NotFound):
        await house.people.confirm(await grace.session(), asked.proposal_id)


async def test_a_disabled_account_is_enabled_by_officers_only(house: House) -> None:
    ada, eve = await house.officer(), await house.person("eve", "viewer")
    await house.people.disable_person(await ada.fresh(), "eve")
    with pytest.raises(SignInRefused):
        await eve.sign_in()
    await house.people.put_person(await ada.fresh(), VIEWER)
    await eve.sign_in()


@pytest.mark.parametrize(
    ("name", "roles", "groups", "connections", "field"),
    [
        ("Eve", ["viewer"], [], [], "name"),
        ("eve adams", ["viewer"], [], [], "name"),
        ("x" * 200, ["viewer"], [], [], "name"),
        ("eve", [], [], [], "roles"),
        ("eve", ["root"], [], [], "roles"),
        ("eve", ["security_officer", "approver"], [], [], "roles"),
        ("eve", ["auditor", "operator"], [], [], "roles"),
        ("eve", ["viewer"], ["A B"], [], "groups"),
        ("eve", ["viewer"], [], ["../x"], "connections"),
    ],
)
def test_what_an_account_cannot_be_is_told_by_its_field(
    name: str, roles: list[str], groups: list[str], connections: list[str], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        wanted(name, roles, groups, connections)
    assert refused.value.field == field


async def test_the_first_officer_is_made_at_the_machine_and_only_while_there_is_nobody(house: House) -> None:
    await house.officer()
    with pytest.raises(TooLate):
        await house.people.first_officer("mallory", "machine: root")


# -- emergencies -----------------------------------------------------------------------------------------------------------


async def test_a_sealed_account_works_while_it_is_open_loudly_and_waits_for_a_review(house: House) -> None:
    ada = await house.officer()
    codes = await house.people.seal_account(
        wanted("emergency", ["operator"], (), ("*",)), "sealed in an envelope", "machine: root"
    )

    async def sign_in(code: str) -> str:
        begun = await house.people.sign_in("emergency", "sealed in an envelope", CONSOLE)
        return (await house.people.finish_sign_in(begun.sign_in_id, SecondFactor(recovery_code=code), CONSOLE)).token

    with pytest.raises(SignInRefused):
        await sign_in(codes[0])
    with pytest.raises(BadRequest):
        await house.people.open_sealed("emergency", "fire", None, "machine: root")
    with capture_logs() as told:
        opening = await house.people.open_sealed("emergency", "the bank calls and nobody is in", 30, "machine: root")
        token = await sign_in(codes[0])
    errors = [line["event"] for line in told if line["log_level"] == "error"]
    assert errors == ["people.emergency-opened", "people.emergency-sign-in"]
    session = await house.people.session_of(token, CONSOLE)
    assert session.opening == opening
    assert session.session.expires_at == opening.open_until
    assert house.people._metrics.people_emergency_uses_total._value.get() == 2
    with pytest.raises(SignInRefused):
        await sign_in(codes[0])
    house.clock.advance(minutes=10)
    await house.people.session_of(token, CONSOLE)
    house.clock.advance(minutes=10)
    await house.people.session_of(token, CONSOLE)
    house.clock.advance(minutes=10)
    with pytest.raises(NotSignedIn):
        await house.people.session_of(token, CONSOLE)
    with pytest.raises(SignInRefused):
        await sign_in(codes[1])
    await ada.sign_in()
    views, _ = await house.people.list_people(await ada.session())
    (waiting,) = [one for view in views for one in view.openings]
    assert waiting.reviewed_at is None
    assert await emergencies(house) == [("emergency_access", None)], "where operators look"
    await house.people.review_opening(await ada.session(), waiting.opening_id, "looked at every line: one delivery resolved")
    with pytest.raises(TooLate):
        await house.people.review_opening(await ada.session(), waiting.opening_id, "and once more, just to see")
    assert {"emergency.sealed", "emergency.opened", "emergency.reviewed"} <= set(await house.actions())
    assert await emergencies(house) == [("emergency_access", "reviewed by ada")], "and it resolves by the review alone"


async def emergencies(house: House) -> list[tuple[str, str | None]]:
    found, _ = await house.store.list_discrepancies(include_resolved=True, limit=9)
    return [(one.kind, one.resolution) for one in found]


async def test_whoever_uses_an_emergency_account_leaves_no_way_back_into_it(house: House) -> None:
    codes = await house.people.seal_account(
        wanted("emergency", ["operator"], (), ("*",)), "sealed in an envelope", "machine: root"
    )
    await house.people.open_sealed("emergency", "the bank calls and nobody is in", 30, "machine: root")
    begun = await house.people.sign_in("emergency", "sealed in an envelope", CONSOLE)
    opened = await house.people.finish_sign_in(begun.sign_in_id, SecondFactor(recovery_code=codes[0]), CONSOLE)
    session = await house.people.session_of(opened.token, CONSOLE)
    assert house.people.is_fresh(session)
    for attempt in (
        house.people.enrol_totp(session, "mine"),
        house.people.begin_passkey(session),
        house.people.finish_passkey(session, "x", "{}", "mine"),
        house.people.new_recovery_codes(session),
        house.people.remove_factor(session, "x"),
        house.people.change_password(session, "sealed in an envelope", "known to me alone 7"),
    ):
        with pytest.raises(Forbidden, match="at the machine"):
            await attempt
    assert [one.counter for one in await house.store.factors_of("emergency")].count(1) == 1


async def test_an_emergency_account_is_changed_at_the_machine_only_and_is_nobody_s(house: House) -> None:
    ada = await house.officer()
    await house.people.seal_account(wanted("emergency", ["operator"], (), ("*",)), "sealed in an envelope", "machine: root")
    for attempt in (
        house.people.put_person(await ada.fresh(), wanted("emergency", ["viewer"], (), ())),
        house.people.reset_factors(await ada.fresh(), "emergency"),
        house.people.seal_account(wanted("ada", ["operator"], (), ()), "sealed in an envelope", "machine: root"),
        house.people.open_sealed("ada", "the bank calls and nobody is in", None, "machine: root"),
    ):
        with pytest.raises((BadRequest, NotFound)):
            await attempt
    again = await house.people.seal_account(
        wanted("emergency", ["operator"], (), ("*",)), "sealed in an envelope", "machine: root"
    )
    assert len(again) == 10
    await house.people.disable_person(await ada.fresh(), "emergency")
    with pytest.raises(NotFound):
        await house.people.open_sealed("emergency", "the bank calls and nobody is in", None, "machine: root")
