"""Signing in at an identity provider: for one question, by its own subject, with what it says; and a factor given there."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway.config import PeopleSettings
from gateway.errors import FactorRefused, SignInRefused
from gateway.people.desk import Source
from gateway.people.factors import SecondFactor
from gateway.people.people import People
from gateway.people.person import Role
from gateway.telemetry import Metrics
from tests.people.conftest import CHEAP, CONSOLE, House
from tests.people.test_rules import CLAIMS, OIDC

DIGEST = sha256(b"payment 1").digest()


class Provider:
    """What a verifier makes of a token: here the token is its claims. One with a wrong signature is refused."""

    async def verify(self, token: str) -> Mapping[str, Any]:
        if token.startswith("forged"):
            raise ValueError("the signature does not fit")
        found: Mapping[str, Any] = json.loads(token)
        return found


@pytest.fixture
def people(house: House, settings: PeopleSettings, place: Path) -> People:
    with_oidc = settings.model_copy(update={"oidc": OIDC})
    return People(
        with_oidc, house.store, directory=place, clock=house.clock, metrics=Metrics(), passwords=CHEAP, id_tokens=Provider()
    )


def token(nonce: str, **change: Any) -> str:
    return json.dumps({**CLAIMS, "nonce": nonce, **change})


async def sign_in(people: People, **change: Any) -> str:
    challenge_id, nonce = await people.begin_id_token(CONSOLE)
    return (await people.sign_in_with_token(token(nonce, **change), challenge_id, CONSOLE)).token


async def test_an_account_follows_its_claims_at_every_sign_in(house: House, people: People) -> None:
    first = await people.session_of(await sign_in(people), CONSOLE)
    assert first.account.person.roles == {Role.APPROVER}
    assert not first.session.enrolling
    assert not people.is_fresh(first)
    again = await people.session_of(await sign_in(people, groups=["pay-viewers"]), CONSOLE)
    assert again.account.person.roles == {Role.VIEWER}
    assert (await people.session_of(await sign_in(people, groups=["pay-viewers"]), CONSOLE)).account == again.account


async def test_a_token_answers_its_own_question_once(people: People) -> None:
    challenge_id, nonce = await people.begin_id_token(CONSOLE)
    other_id, other = await people.begin_id_token(CONSOLE)
    for attempt in (
        people.sign_in_with_token(token(nonce), other_id, CONSOLE),
        people.sign_in_with_token("forged" + token(nonce), challenge_id, CONSOLE),
        people.sign_in_with_token(token(other), other_id, CONSOLE),
        people.sign_in_with_token(token(nonce), challenge_id, CONSOLE),
    ):
        with pytest.raises(SignInRefused):
            await attempt


async def test_a_sign_in_is_finished_by_the_caller_that_began_it(people: People) -> None:
    """A token that was caught on its way back from the provider is no good at another caller, and its question is gone."""
    challenge_id, nonce = await people.begin_id_token(CONSOLE)
    for source in (Source(caller="other", address=CONSOLE.address), CONSOLE):
        with pytest.raises(SignInRefused):
            await people.sign_in_with_token(token(nonce), challenge_id, source)


async def test_a_name_that_belongs_to_another_account_is_not_taken_over(house: House, people: People) -> None:
    await house.person("eve", "submitter")
    with pytest.raises(SignInRefused):
        await sign_in(people, preferred_username="eve")
    await sign_in(people)
    with pytest.raises(SignInRefused):
        await sign_in(people, sub="another")


async def test_a_disabled_account_stays_disabled_whatever_the_provider_says(house: House, people: People) -> None:
    ada = await house.officer()
    await sign_in(people)
    await house.people.disable_person(await ada.fresh(), "li.wei@example.com")
    with pytest.raises(SignInRefused):
        await sign_in(people)
    with pytest.raises(SignInRefused):
        await people.sign_in("li.wei@example.com", "", CONSOLE)


async def test_a_factor_given_at_the_provider_is_bound_to_the_digest_and_fresh(house: House, people: People) -> None:
    session = await people.session_of(await sign_in(people), CONSOLE)
    person, now = session.account.person, int(house.clock().timestamp())

    async def prove(digest: bytes = DIGEST, **change: Any) -> str:
        asked = await people.begin_factor(person, DIGEST)
        claims = {"nonce": asked.nonce, "acr": "urn:mfa", "auth_time": now, **change}
        factor = SecondFactor(id_token=token(**claims), challenge_id=asked.challenge_id)
        proof = await people.prove(person, factor, digest, source=CONSOLE)
        with pytest.raises(FactorRefused):
            await people.prove(person, factor, digest, source=CONSOLE)
        house.clock.advance(seconds=30)
        return f"{proof.kind} {proof.factor_id}"

    assert await prove() == "oidc urn:mfa"
    for wrong in ({"acr": "0"}, {"auth_time": now - 600}, {"sub": "another"}, {"nonce": "other"}):
        with pytest.raises(FactorRefused):
            await prove(**wrong)
        house.clock.advance(hours=25)
        now = int(house.clock().timestamp())
    with pytest.raises(FactorRefused):
        await prove(sha256(b"another payment").digest())


async def test_a_fresh_sign_in_with_a_factor_is_a_fresh_session(house: House, people: People) -> None:
    now = int(house.clock().timestamp())
    session = await people.session_of(await sign_in(people, acr="urn:mfa", auth_time=now), CONSOLE)
    assert people.is_fresh(session)
    old = await people.session_of(await sign_in(people, acr="urn:mfa", auth_time=now - 3600), CONSOLE)
    assert not people.is_fresh(old)
