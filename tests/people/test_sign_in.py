"""Signing in and sessions: what strangers learn (nothing), how guessing is slowed, and that what was taken away is gone at
once."""

import pytest

from gateway.config import PeopleSettings
from gateway.errors import BadRequest, FactorNeeded, NotSignedIn, PeopleNotSetUp, SignInRefused
from gateway.people.desk import Source
from gateway.people.factors import SecondFactor
from gateway.people.officers import wanted
from gateway.people.passwords import Passwords
from gateway.people.people import People
from gateway.people.person import Role
from gateway.people.vault import digest_of
from gateway.telemetry import Metrics
from keys.seal import KeyUnavailable
from tests.people.conftest import CHEAP, CONSOLE, PASSWORD, House

ELSEWHERE = Source(caller="console", address="198.51.100.9")
OTHER_CALLER = Source(caller="other", address="192.0.2.7")


async def test_a_password_and_a_code_open_a_session(house: House) -> None:
    eve = await house.person("eve", "approver")
    opened = await eve.sign_in()
    session = await eve.session()
    assert session.account.person.roles == {Role.APPROVER}
    assert session.acting.name == "person: eve"
    assert session.acting.factor is not None
    assert session.acting.factor.kind == "totp"
    assert (session.acting.caller, session.acting.address) == ("console", "192.0.2.7")
    assert opened.token not in str(await house.store.sessions_of("eve")), "only its digest is kept"
    assert (await house.actions())[-1] == "session.opened"


async def test_an_unknown_name_a_wrong_password_and_a_disabled_account_are_told_alike(house: House) -> None:
    ada = await house.officer()
    await house.person("eve", "approver")
    await house.person("gone", "viewer")
    await house.people.disable_person(await ada.fresh(), "gone")
    invited = await house.people.put_person("machine: root", wanted("new", ["viewer"], (), ()))
    assert invited.enrolment_code
    texts = set()
    for name, password in (
        ("nobody", PASSWORD),
        ("eve", "a long walk by the sea"),
        ("gone", PASSWORD),
        ("new", PASSWORD),
        ("", ""),
    ):
        with pytest.raises(SignInRefused) as refused:
            await house.people.sign_in(name, password, CONSOLE)
        texts.add(str(refused.value))
    assert len(texts) == 1


async def test_a_name_that_is_not_there_costs_the_same_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.person("eve", "approver")
    checked: list[object] = []
    fits = Passwords.fits

    def counting(self: Passwords, stored: str | None, password: str) -> bool:
        checked.append(stored)
        return fits(self, stored, password)

    monkeypatch.setattr(Passwords, "fits", counting)
    for name in ("nobody", "eve"):
        with pytest.raises(SignInRefused):
            await house.people.sign_in(name, "wrong password, surely", CONSOLE)
    assert len(checked) == 2
    lines = [row for row in await house.store.audit_rows(0, 999) if row.action == "sign_in.refused"]
    assert [(row.object_id, row.actor) for row in lines] == [("", "nobody known"), ("eve", "nobody known")]


async def test_guessing_is_slowed_by_name_and_a_pause_is_told_like_a_wrong_password(house: House) -> None:
    await house.person("eve", "approver")
    for _ in range(6):
        with pytest.raises(SignInRefused) as wrong:
            await house.people.sign_in("eve", "wrong password, surely", CONSOLE)
    with pytest.raises(SignInRefused) as paused:
        await house.people.sign_in("eve", PASSWORD, ELSEWHERE)
    assert str(paused.value) == str(wrong.value)
    house.clock.advance(seconds=3)
    assert (await house.people.sign_in("eve", PASSWORD, ELSEWHERE)).kinds == ("totp",)


async def test_strangers_can_keep_nobody_out_for_longer_than_minutes(house: House) -> None:
    eve = await house.person("eve", "approver")
    for _ in range(200):
        with pytest.raises(SignInRefused):
            await house.people.sign_in("eve", "wrong password, surely", Source(caller="console", address="198.51.100.1"))
        house.clock.advance(seconds=20)
    house.clock.advance(minutes=5)
    opened = await eve.sign_in()
    assert opened.tries > 5, "and the person is told"


async def test_guessing_from_one_address_over_many_names_is_slowed(house: House) -> None:
    await house.person("eve", "approver")
    for number in range(21):
        with pytest.raises(SignInRefused):
            await house.people.sign_in(f"name{number}", PASSWORD, ELSEWHERE)
    with pytest.raises(SignInRefused):
        await house.people.sign_in("eve", PASSWORD, ELSEWHERE)
    assert (await house.people.sign_in("eve", PASSWORD, CONSOLE)).kinds, "others are not"


async def test_one_s_own_right_password_does_not_buy_tries_at_others(house: House) -> None:
    await house.person("eve", "approver")
    for number in range(21):
        with pytest.raises(SignInRefused):
            await house.people.sign_in(f"name{number}", PASSWORD, ELSEWHERE)
        house.clock.advance(seconds=5)
        await house.people.sign_in("eve", PASSWORD, ELSEWHERE)
    house.clock.advance(hours=1)
    for wait in (0, 1):
        with pytest.raises(SignInRefused):
            await house.people.sign_in("name", PASSWORD, ELSEWHERE)
        house.clock.advance(seconds=wait)
    with pytest.raises(SignInRefused):
        await house.people.sign_in("eve", PASSWORD, ELSEWHERE)


async def test_the_second_step_is_for_the_caller_that_took_the_first_once_and_soon(house: House) -> None:
    eve = await house.person("eve", "approver")
    begun = await house.people.sign_in("eve", PASSWORD, CONSOLE)
    with pytest.raises(SignInRefused):
        await house.people.finish_sign_in(begun.sign_in_id, eve.new_code(), OTHER_CALLER)
    with pytest.raises(SignInRefused):
        await house.people.finish_sign_in(begun.sign_in_id, SecondFactor(totp_code="000000"), CONSOLE)
    house.clock.advance(seconds=1)
    await house.people.finish_sign_in(begun.sign_in_id, SecondFactor(totp_code=eve.code()), CONSOLE)
    with pytest.raises(SignInRefused):
        await house.people.finish_sign_in(begun.sign_in_id, eve.new_code(), CONSOLE)
    begun = await house.people.sign_in("eve", PASSWORD, CONSOLE)
    house.clock.advance(seconds=180)
    with pytest.raises(SignInRefused):
        await house.people.finish_sign_in(begun.sign_in_id, eve.new_code(), CONSOLE)


async def test_a_password_that_was_changed_between_the_steps_ends_the_sign_in(house: House) -> None:
    eve = await house.person("eve", "approver")
    begun = await house.people.sign_in("eve", PASSWORD, CONSOLE)
    await house.people.change_password(await eve.fresh(), PASSWORD, "quite another sentence")
    with pytest.raises(SignInRefused):
        await house.people.finish_sign_in(begun.sign_in_id, eve.new_code(), CONSOLE)


async def test_a_hash_of_lower_cost_is_made_anew_at_the_next_sign_in(house: House, settings: PeopleSettings) -> None:
    eve = await house.person("eve", "approver")
    dearer = Passwords(memory_kib=128, passes=1, lanes=1)
    eve.people = People(
        settings, house.store, directory=house.people._directory, clock=house.clock, metrics=Metrics(), passwords=dearer
    )
    await eve.sign_in()
    account = await house.store.account("eve")
    assert account is not None
    assert account.password is not None
    assert "m=128" in account.password
    assert CHEAP.outdated(account.password)
    await eve.sign_in()


# -- sessions --------------------------------------------------------------------------------------------------------------


async def test_a_session_of_another_caller_is_refused_and_ends(house: House) -> None:
    eve = await house.person("eve", "approver")
    with pytest.raises(NotSignedIn):
        await eve.session(OTHER_CALLER)
    with pytest.raises(NotSignedIn):
        await eve.session()
    assert (await house.actions())[-1] == "session.stolen"


@pytest.mark.parametrize("how", ["signed out", "revoked", "ended by an officer", "disabled", "factors reset", "password changed"])
async def test_what_ends_a_session_acts_on_the_next_request(house: House, how: str) -> None:
    ada, eve = await house.officer(), await house.person("eve", "approver")
    token = eve.token
    officer = await ada.fresh()
    match how:
        case "signed out":
            await house.people.sign_out(await eve.session())
        case "revoked":
            session_id = (await eve.session()).session.session_id
            await eve.sign_in()
            await house.people.revoke_session(await eve.session(), session_id)
        case "ended by an officer":
            assert await house.people.end_sessions(officer, "eve") == 1
        case "disabled":
            await house.people.disable_person(officer, "eve")
        case "factors reset":
            await house.people.reset_factors(officer, "eve")
        case "password changed":
            await eve.sign_in()
            await house.people.change_password(await eve.fresh(), PASSWORD, "quite another sentence")
            await eve.session()
    with pytest.raises(NotSignedIn):
        await house.people.session_of(token, CONSOLE)


async def test_a_change_of_roles_acts_on_the_next_request(house: House) -> None:
    ada, eve = await house.officer(), await house.person("eve", "approver")
    assert (await eve.session()).acting.person.roles == {Role.APPROVER}  # type: ignore[union-attr]
    change = wanted("eve", ["viewer"], ["treasury"], ["bank-a"])
    await house.people.put_person(await ada.fresh(), change)
    person = (await eve.session()).account.person
    assert (person.roles, person.groups, person.connections) == ({Role.VIEWER}, {"treasury"}, ("bank-a",))


async def test_a_session_ends_unused_and_at_its_longest(house: House) -> None:
    eve = await house.person("eve", "approver")
    for _ in range(3):
        house.clock.advance(minutes=14)
        await eve.session()
    house.clock.advance(minutes=15)
    with pytest.raises(NotSignedIn):
        await eve.session()
    await eve.sign_in()
    for _ in range(59):
        house.clock.advance(minutes=10)
        await eve.session()
    house.clock.advance(minutes=10)
    with pytest.raises(NotSignedIn):
        await eve.session()


async def test_a_person_keeps_their_newest_sessions(house: House) -> None:
    eve = await house.person("eve", "approver")
    first = eve.token
    for _ in range(5):
        await eve.sign_in()
    assert len(await house.people.own_sessions(await eve.session())) == 5
    with pytest.raises(NotSignedIn):
        await house.people.session_of(first, CONSOLE)


async def test_a_made_up_token_is_none(house: House) -> None:
    for token in ("", "x", "é", "x" * 5000):
        with pytest.raises(NotSignedIn):
            await house.people.session_of(token, CONSOLE)


# -- beginning -------------------------------------------------------------------------------------------------------------


async def test_an_enrolment_code_is_for_its_person_for_a_while_and_until_there_is_a_factor(house: House) -> None:
    done = await house.people.put_person("machine: root", wanted("eve", ["viewer"], (), ()))
    for name, code in (("bob", done.enrolment_code), ("eve", "wrong"), ("eve", "")):
        with pytest.raises(SignInRefused):
            await house.people.enrol(name, code, PASSWORD, CONSOLE)
    eve = await house.begin("eve", done.enrolment_code)
    with pytest.raises(SignInRefused):
        await house.people.enrol("eve", done.enrolment_code, PASSWORD, CONSOLE)
    await eve.session()
    late = await house.people.put_person("machine: root", wanted("late", ["viewer"], (), ()))
    house.clock.advance(hours=72)
    with pytest.raises(SignInRefused):
        await house.people.enrol("late", late.enrolment_code, PASSWORD, CONSOLE)


async def test_a_refused_password_leaves_the_code_good(house: House) -> None:
    done = await house.people.put_person("machine: root", wanted("eve", ["viewer"], (), ()))
    with pytest.raises(BadRequest, match="at least 12"):
        await house.people.enrol("eve", done.enrolment_code, "short", CONSOLE)
    await house.begin("eve", done.enrolment_code)


async def test_a_session_that_begins_can_neither_step_up_nor_decide(house: House) -> None:
    done = await house.people.put_person("machine: root", wanted("eve", ["security_officer"], (), ()))
    opened = await house.people.enrol("eve", done.enrolment_code, PASSWORD, CONSOLE)
    session = await house.people.session_of(opened.token, CONSOLE)
    assert session.session.enrolling
    with pytest.raises(FactorNeeded):
        await house.people.put_person(session, wanted("mallory", ["approver"], (), ()))
    with pytest.raises(FactorNeeded):
        await house.people.new_recovery_codes(session)
    with pytest.raises(SignInRefused):
        await house.people.sign_in("eve", PASSWORD, CONSOLE)


async def test_without_the_key_of_people_nobody_signs_in_and_the_error_says_what_to_do(
    house: House, settings: PeopleSettings
) -> None:
    def people(changed: PeopleSettings) -> People:
        return People(
            changed, house.store, directory=house.people._directory, clock=house.clock, metrics=Metrics(), passwords=CHEAP
        )

    with pytest.raises(PeopleNotSetUp, match="openssl rand"):
        await people(settings.model_copy(update={"key": None})).sign_in("eve", PASSWORD, CONSOLE)
    with pytest.raises(KeyUnavailable):
        await people(settings.model_copy(update={"key": "file:missing"})).sign_in("eve", PASSWORD, CONSOLE)


async def test_secrets_of_factors_open_with_their_key_for_their_person_only(house: House, settings: PeopleSettings) -> None:
    eve, bob = await house.person("eve", "viewer"), await house.person("bob", "viewer")
    (of_eve,) = await house.store.factors_of("eve")
    assert eve.secret.hex() not in of_eve.content
    vault = house.people._vault
    assert vault.opened(of_eve.content, name="eve", factor_id=of_eve.factor_id) == eve.secret
    (of_bob,) = await house.store.factors_of("bob")
    for name, factor_id in (("bob", of_eve.factor_id), ("eve", of_bob.factor_id)):
        with pytest.raises(KeyUnavailable):
            vault.opened(of_eve.content, name=name, factor_id=factor_id)
    assert bob.secret != eve.secret


async def test_sessions_that_time_has_ended_are_shown_to_nobody(house: House) -> None:
    """Neither to their owner nor to officers, who would look for somebody who is not there."""
    ada, eve = await house.officer(), await house.person("eve", "approver")
    await eve.sign_in()
    house.clock.advance(minutes=12)
    await eve.session()
    house.clock.advance(minutes=12)
    await ada.sign_in()
    assert [one.token_sha256 for one in await house.people.own_sessions(await eve.session())] == [digest_of(eve.token)]
    views, _ = await house.people.list_people(await ada.session())
    assert {view.account.name: len(view.sessions) for view in views} == {"ada": 1, "eve": 1}
