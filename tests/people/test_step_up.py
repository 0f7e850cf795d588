"""A second factor by an ID token: for one question, signed by the provider, of the same person, given after it was asked, once.

With a real verifier and real signatures: the tokens here are what a browser could bring back, and what an attacker would.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest

from bankgate.v1 import access_pb2 as pb
from gateway.config import PeopleOidcSettings, PeopleSettings
from gateway.errors import FactorNeeded, FactorRefused, SignInRefused
from gateway.people.desk import SignedIn
from gateway.people.factors import Question, SecondFactor, purpose_of_session
from gateway.people.people import People
from gateway.people.person import FactorProof, Role
from gateway.telemetry import Metrics
from gateway.token_keys import AGAIN_SECONDS, IssuerKeys, KeysUnreadable
from gateway.tokens import TokenKeysUnavailable, TokenVerifier
from tests.people.conftest import CHEAP, CONSOLE, House
from tests.people.test_rpc import Calls, serving, told
from tests.store.support.make import HandClock
from tests.support.jose import AUDIENCE, EC, ISSUER, OTHER, RSA, key_set, part

DIGEST, ANOTHER = sha256(b"payment 1").digest(), sha256(b"payment 2").digest()
OIDC = PeopleOidcSettings(
    issuer=ISSUER,
    audience=AUDIENCE,
    jwks="file:jwks.json",
    roles={"pay-approvers": Role.APPROVER, "pay-viewers": Role.VIEWER},
    groups={"pay-treasury": "treasury"},
    second_factor_acr=("urn:mfa",),
    second_factor_amr=("otp",),
)


class Provider:
    """An identity provider: what it says of Li, and with which key it signs."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.down = False

    async def keys(self) -> bytes:
        if self.down:
            raise KeysUnreadable("nobody answers")
        return key_set()

    def says(self, nonce: str | None, **change: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        told = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "4711",
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": nonce,
            "preferred_username": "li",
            "groups": ["pay-approvers", "pay-treasury"],
            "acr": "urn:mfa",
            **change,
        }
        return {name: value for name, value in told.items() if value is not None}

    def token(self, nonce: str | None, **change: Any) -> str:
        return jwt.encode(self.says(nonce, **change), EC, algorithm="ES256", headers={"kid": "ec", "typ": "JWT"})


@pytest.fixture
def provider(clock: HandClock) -> Provider:
    return Provider(clock)


@pytest.fixture
def people(house: House, settings: PeopleSettings, place: Path, provider: Provider) -> People:
    keys = IssuerKeys(ISSUER, provider.keys, lambda: house.clock().timestamp(), keep_seconds=600)
    verifier = TokenVerifier(ISSUER, [AUDIENCE], keys, now=house.clock, types=("JWT", ""))
    return People(
        settings.model_copy(update={"oidc": OIDC}),
        house.store,
        directory=place,
        clock=house.clock,
        metrics=Metrics(),
        passwords=CHEAP,
        id_tokens=verifier,
    )


async def signed_in(people: People, provider: Provider, **change: Any) -> SignedIn:
    """Li, signed in; after a while, when nothing is fresh any more."""
    challenge_id, nonce = await people.begin_id_token(CONSOLE)
    opened = await people.sign_in_with_token(provider.token(nonce, **change), challenge_id, CONSOLE)
    provider.clock.advance(minutes=6)
    return await people.session_of(opened.token, CONSOLE)


async def prove(people: People, li: SignedIn, asked: Question, token: str, digest: bytes = DIGEST) -> FactorProof:
    factor = SecondFactor(id_token=token, challenge_id=asked.challenge_id)
    return await people.prove(li.account.person, factor, digest, source=CONSOLE)


async def test_a_token_of_this_question_proves_a_decision_and_says_by_what(
    house: House, people: People, provider: Provider
) -> None:
    li = await signed_in(people, provider)
    asked = await people.begin_factor(li.account.person, DIGEST)
    house.clock.advance(seconds=20)
    token = provider.token(asked.nonce, jti="J-1", amr=["pwd", "otp"])
    proof = await prove(people, li, asked, token)
    assert (proof.kind, proof.factor_id, proof.bound_to, proof.at) == ("oidc", "urn:mfa", DIGEST.hex(), house.clock())
    found = json.loads(proof.evidence)
    assert (found["issuer"], found["subject"], found["acr"], found["amr"]) == (ISSUER, "4711", "urn:mfa", ["pwd", "otp"])
    assert found["auth_time"] == int(house.clock().timestamp())
    assert found["token_sha256"] == sha256(json.dumps({"iss": ISSUER, "jti": "J-1"}, sort_keys=True).encode()).hexdigest()
    nonce = sha256(b"bankgate second factor 1\x00" + bytes.fromhex(found["nonce"]) + bytes.fromhex(found["bound_to"])).digest()
    claims = jwt.decode(
        found["id_token"], EC.public_key(), algorithms=["ES256"], audience=AUDIENCE, options={"verify_exp": False}
    )
    assert claims["nonce"] == part(nonce), "whoever has the provider's public key can check what it signed"
    lines = await house.store.audit_rows(0, 1000)
    assert [(one.action, one.factor) for one in lines][-1] == ("factor.proved", "oidc urn:mfa")


async def test_a_session_is_stepped_up_by_a_token_and_stays_fresh_for_a_while(
    house: House, people: People, provider: Provider
) -> None:
    li = await signed_in(people, provider)
    with pytest.raises(FactorNeeded):
        await people.new_recovery_codes(li)
    asked = await people.begin_factor(li.account.person, purpose_of_session(li.session.session_id))
    factor = SecondFactor(id_token=provider.token(asked.nonce), challenge_id=asked.challenge_id)
    await people.step_up(li, factor)
    again = (await people._store.sessions_of("li"))[0]
    assert (again.fresh_at, again.factor) == (house.clock(), "oidc urn:mfa")
    with pytest.raises(FactorRefused):
        await people.step_up(li, factor)
    assert "session.stepped_up" in await house.actions()


async def test_a_token_for_a_decision_steps_up_no_session_nor_the_other_way_round(people: People, provider: Provider) -> None:
    li = await signed_in(people, provider)
    for_payment = await people.begin_factor(li.account.person, DIGEST)
    for_session = await people.begin_factor(li.account.person, purpose_of_session(li.session.session_id))
    with pytest.raises(FactorRefused):
        await people.step_up(li, SecondFactor(id_token=provider.token(for_payment.nonce), challenge_id=for_payment.challenge_id))
    with pytest.raises(FactorRefused):
        await prove(people, li, for_session, provider.token(for_session.nonce))


Attack = Callable[[Provider, str], str]


def _by_hand(provider: Provider, nonce: str, algorithm: str, signature: bytes = b"") -> str:
    return f"{part({'alg': algorithm, 'kid': 'ec', 'typ': 'JWT'})}.{part(provider.says(nonce))}.{part(signature)}"


def _then(provider: Provider, **ago: float) -> int:
    moment: datetime = provider.clock() - timedelta(**ago)
    return int(moment.timestamp())


ATTACKS: dict[str, Attack] = {
    "a factor given before it was asked for": lambda p, n: p.token(n, auth_time=_then(p, seconds=90)),
    "an old auth_time": lambda p, n: p.token(n, auth_time=_then(p, hours=1)),
    "an auth_time that has not come yet": lambda p, n: p.token(n, auth_time=_then(p, minutes=-10)),
    "no auth_time": lambda p, n: p.token(n, auth_time=None),
    "another nonce": lambda p, n: p.token("A" * 43),
    "no nonce": lambda p, n: p.token(None),
    "another subject": lambda p, n: p.token(n, sub="4712"),
    "another issuer": lambda p, n: p.token(n, iss="https://evil.example"),
    "another audience": lambda p, n: p.token(n, aud="another-client"),
    "asked for by another client": lambda p, n: p.token(n, azp="another-client"),
    "a password alone": lambda p, n: p.token(n, acr="urn:password"),
    "amr without a second factor": lambda p, n: p.token(n, acr=None, amr=["pwd"]),
    "neither acr nor amr": lambda p, n: p.token(n, acr=None),
    "expired": lambda p, n: p.token(n, iat=_then(p, minutes=20), exp=_then(p, minutes=2)),
    "roles taken away at the provider": lambda p, n: p.token(n, groups=["pay-viewers", "pay-treasury"]),
    "a group taken away at the provider": lambda p, n: p.token(n, groups=["pay-approvers"]),
    "alg none": lambda p, n: _by_hand(p, n, "none"),
    "unsigned": lambda p, n: _by_hand(p, n, "ES256"),
    "signed by somebody else": lambda p, n: jwt.encode(p.says(n), OTHER, algorithm="ES256", headers={"kid": "ec", "typ": "JWT"}),
    "the key of one algorithm used for another": lambda p, n: jwt.encode(
        p.says(n), RSA, algorithm="RS256", headers={"kid": "ec", "typ": "JWT"}
    ),
    "an access token": lambda p, n: jwt.encode(p.says(n), EC, algorithm="ES256", headers={"kid": "ec", "typ": "at+jwt"}),
}


@pytest.mark.parametrize("name", sorted(ATTACKS))
async def test_no_second_factor_is(name: str, people: People, provider: Provider) -> None:
    li = await signed_in(people, provider)
    asked = await people.begin_factor(li.account.person, DIGEST)
    with pytest.raises(FactorRefused):
        await prove(people, li, asked, ATTACKS[name](provider, asked.nonce))
    await prove(people, li, asked, provider.token(asked.nonce))  # the question is still open for the right one


async def test_a_token_is_not_replayed_not_even_under_the_nonce_of_another_question(people: People, provider: Provider) -> None:
    """The same `jti` counts once, and a sign-in counts as well."""
    li = await signed_in(people, provider, jti="J-0", exp=_then(provider, hours=-1))
    asked, other = [await people.begin_factor(li.account.person, DIGEST) for _ in range(2)]
    token = provider.token(asked.nonce, jti="J-1")
    await prove(people, li, asked, token)
    for question, shown in (
        (asked, token),
        (other, token),
        (other, provider.token(other.nonce, jti="J-1")),
        (other, provider.token(other.nonce, jti="J-0")),
    ):
        provider.clock.advance(seconds=10)
        with pytest.raises(FactorRefused):
            await prove(people, li, question, shown)
    challenge_id, nonce = await people.begin_id_token(CONSOLE)
    with pytest.raises(SignInRefused):
        await people.sign_in_with_token(provider.token(nonce, jti="J-1"), challenge_id, CONSOLE)


async def test_a_token_for_another_payment_approves_nothing(people: People, provider: Provider) -> None:
    li = await signed_in(people, provider)
    asked, other = [await people.begin_factor(li.account.person, one) for one in (DIGEST, ANOTHER)]
    for question, token in ((other, provider.token(other.nonce)), (asked, provider.token(other.nonce))):
        with pytest.raises(FactorRefused):
            await prove(people, li, question, token)


async def test_a_person_with_an_account_here_has_no_factor_there(house: House, people: People, provider: Provider) -> None:
    eve = await house.person("eve", "approver")
    session = await people.session_of(eve.token, CONSOLE)
    asked = await people.begin_factor(session.account.person, DIGEST)
    with pytest.raises(FactorRefused):
        await prove(people, session, asked, provider.token(asked.nonce, preferred_username="eve"))


async def test_a_provider_that_is_down_costs_nobody_a_try(house: House, people: People, provider: Provider) -> None:
    li = await signed_in(people, provider)
    provider.down = True
    house.clock.advance(minutes=11)
    asked = await people.begin_factor(li.account.person, DIGEST)
    for _ in range(6):
        with pytest.raises(TokenKeysUnavailable):
            await prove(people, li, asked, provider.token(asked.nonce))
    provider.down = False
    house.clock.advance(seconds=AGAIN_SECONDS + 1)
    assert await prove(people, li, asked, provider.token(asked.nonce))


async def test_the_whole_way_over_grpc(house: House, people: People, provider: Provider, place: Path) -> None:
    house.people = people
    server = await serving(house, place, ["people"])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = Calls(channel)
        begun = await call("BeginIdTokenSignIn")
        opened = await call("SignIn", pb.SignInRequest(id_token=provider.token(begun.nonce), challenge_id=begun.challenge_id))
        call.token = opened.session_token
        house.clock.advance(minutes=6)
        assert not (await call("WhoAmI")).fresh_factor
        asked = await call("BeginFactor")
        wrong = pb.SecondFactor(id_token=provider.token(asked.nonce, amr=["pwd"], acr=None), challenge_id=asked.challenge_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call("StepUp", pb.StepUpRequest(second_factor=wrong))
        assert told(refused.value) == ("PERMISSION_DENIED", "FACTOR_REFUSED")
        right = pb.SecondFactor(id_token=provider.token(asked.nonce), challenge_id=asked.challenge_id)
        await call("StepUp", pb.StepUpRequest(second_factor=right))
        assert (await call("WhoAmI")).fresh_factor
    await server.drain(0)
