"""Bearer tokens: what is believed, every forgery by its name, and keys that come and go."""

import asyncio
import json
import warnings
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import TokenIssuerSettings
from gateway.token_keys import AGAIN_SECONDS, SET_BYTES_MAX, IssuerKeys, KeysUnreadable, parsed
from gateway.tokens import TokenKeysUnavailable, TokenRefused, Tokens, TokenVerifier, tokens_of
from tests.support.jose import (
    AUDIENCE,
    EC,
    ISSUER,
    KEYS,
    NOW,
    OTHER,
    RSA,
    key_set,
    keyed_with_the_public_key,
    part,
    public,
    token,
    unsigned,
)


class Issuer:
    """An issuer whose set, clock and availability the test holds in its hand."""

    def __init__(self, content: bytes = b"", **bounds: float) -> None:
        self.content = content or key_set()
        self.ticks = 0.0
        self.reads = 0
        self.down = False
        self.keys = IssuerKeys(ISSUER, self.read, lambda: self.ticks, **bounds)

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise KeysUnreadable("the address answers 503")
        return self.content

    def verifier(self, **more: Any) -> TokenVerifier:
        return TokenVerifier(ISSUER, [AUDIENCE], self.keys, now=lambda: NOW, **more)


async def refused(shown: str, issuer: Issuer | None = None, **more: Any) -> str:
    with pytest.raises(TokenRefused) as caught:
        await Tokens([(issuer or Issuer()).verifier(**more)]).verify(shown)
    return caught.value.kind


@pytest.mark.parametrize("kid", sorted(KEYS))
async def test_a_token_signed_by_a_published_key_is_believed(kid: str) -> None:
    claims = await Tokens([Issuer().verifier()]).verify(token(kid))
    assert (claims["sub"], claims["client_id"]) == ("erp", "erp-client")


ATTACKS: dict[str, tuple[str, str]] = {
    "alg none": (unsigned(), "algorithm"),
    "alg NONE in capitals": (unsigned("NONE"), "algorithm"),
    "alg none with a signature": (unsigned("none", b"x" * 64), "algorithm"),
    "HS256 keyed with the public key": (keyed_with_the_public_key(), "algorithm"),
    "an algorithm off the list": (token("rsa", algorithm="RS512"), "algorithm"),
    "the key of one algorithm used for another": (token("ec", key=RSA, algorithm="RS256"), "key"),
    "another issuer": (token(iss="https://evil.example"), "issuer"),
    "an issuer that only begins the same": (token(iss=f"{ISSUER}/"), "issuer"),
    "no issuer": (token(iss=None), "issuer"),
    "another audience": (token(aud="another-service"), "audience"),
    "no audience": (token(aud=None), "malformed"),
    "expired": (token(iat=NOW - timedelta(minutes=9), exp=NOW - timedelta(seconds=61)), "expired"),
    "not yet": (token(nbf=NOW + timedelta(seconds=61)), "not-yet"),
    "issued in the future": (token(iat=NOW + timedelta(seconds=61), exp=NOW + timedelta(minutes=9)), "not-yet"),
    "no end": (token(exp=None), "malformed"),
    "an end that is no moment": (token(exp=10**30), "malformed"),
    "a life of a year": (token(exp=NOW + timedelta(days=365)), "lifetime"),
    "no subject": (token(sub=None), "malformed"),
    "an empty subject": (token(sub=""), "malformed"),
    "unknown kid": (token("nobody", key=EC), "key"),
    "signed by somebody else under a known kid": (token("ec", key=OTHER), "signature"),
    "its own key in jwk": (token("ec", key=OTHER, header={"jwk": public("ec", "ES256", OTHER)}), "own-key"),
    "its own keys at jku": (token("ec", key=OTHER, header={"jku": "https://evil.example/keys"}), "own-key"),
    "its own certificate at x5u": (token("ec", key=OTHER, header={"x5u": "https://evil.example/pem"}), "own-key"),
    "its own certificate in x5c": (token("ec", key=OTHER, header={"x5c": ["AAAA"]}), "own-key"),
    "an ID token": (token(header={"typ": "JWT"}), "type"),
    "an extension that has to be understood": (token(header={"crit": ["b64"], "b64": True}), "malformed"),
    "another payload under a good signature": (".".join([token().split(".")[0], part({"iss": ISSUER}), "AA"]), "signature"),
    "a token of five parts": (f"{token()}.AA.AA", "malformed"),
    "no token at all": ("hello", "malformed"),
    "a list for a header": (f"{part([])}.{part({})}.AA", "malformed"),
    "a very deep header": (f"{part(b'[' * 6000)}.{part({})}.AA", "malformed"),
    "a very long token": ("a" * 13_000, "malformed"),
}


@pytest.mark.parametrize("name", sorted(ATTACKS))
async def test_a_token_is_refused_that_is(name: str) -> None:
    shown, kind = ATTACKS[name]
    assert await refused(shown) == kind


async def test_a_minute_of_slack_and_not_a_second_more() -> None:
    for good in (
        token(iat=NOW - timedelta(minutes=5), exp=NOW - timedelta(seconds=59)),
        token(iat=NOW + timedelta(seconds=60)),
        token(nbf=NOW + timedelta(seconds=60)),
    ):
        assert await Tokens([Issuer().verifier()]).verify(good)


@given(place=st.integers(0, 400), change=st.integers(1, 63))
def test_no_token_with_one_character_changed_is_believed(place: int, change: int) -> None:
    """Anywhere: in the header, the claims or the signature. (Only the unused bits of a last character may differ.)"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = GOOD
    place %= len(good)
    if good[place] == ".":
        return
    other = letters[(letters.index(good[place]) + change) % 64]
    changed = good[:place] + other + good[place + 1 :]
    if good[place + 1 : place + 2] in {"", "."}:
        return

    async def asked() -> None:
        with pytest.raises(TokenRefused):
            await Tokens([Issuer(ONE_KEY).verifier()]).verify(changed)

    asyncio.run(asked())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "alg",
    "kid",
    "typ",
    "iss",
    "aud",
    "sub",
    "iat",
    "exp",
    "nbf",
    "cnf",
    "crit",
    "keys",
    "kty",
    "crv",
    "x",
    "y",
    "n",
    "e",
    "use",
)
TABLE = st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(["ES256", "EdDSA", "ec", "at+jwt", ISSUER, AUDIENCE]))


@given(
    shown=st.text(max_size=60) | st.builds(lambda a, b, c: f"{part(a)}.{part(b)}.{part(c)}", TABLE, TABLE, st.binary(max_size=80))
)
def test_whatever_is_shown_for_a_token_is_refused_and_nothing_else_happens(shown: str) -> None:
    async def asked() -> None:
        with pytest.raises((TokenRefused, TokenKeysUnavailable)):
            await Tokens([Issuer(ONE_KEY).verifier()]).verify(shown)

    asyncio.run(asked())


@given(claims=TABLE)
def test_whatever_an_issuer_signs_is_believed_or_refused_and_nothing_else_happens(claims: dict[str, Any]) -> None:
    body = f"{part({'alg': 'EdDSA', 'kid': 'ed', 'typ': 'at+jwt'})}.{part({'iss': ISSUER, 'aud': AUDIENCE, **claims})}"
    shown = f"{body}.{part(KEYS['ed'][1].sign(body.encode()))}"

    async def asked() -> None:
        with suppress(TokenRefused):
            found = await Tokens([Issuer(ONE_KEY).verifier()]).verify(shown)
            assert found["iss"] == ISSUER
            assert found["sub"]

    asyncio.run(asked())


@given(keys=st.lists(TABLE | JSON, max_size=4) | JSON)
def test_whatever_an_address_gives_for_keys_is_a_set_or_is_not_used(keys: Any) -> None:
    with suppress(KeysUnreadable):
        parsed(json.dumps({"keys": keys}).encode())


GOOD = token("ed")
ONE_KEY = key_set("ed")


def test_no_setting_lets_a_shared_secret_or_none_through() -> None:
    made = Issuer().verifier(algorithms=["none", "HS256", "ES256"])
    assert made._algorithms == ("ES256",)
    with pytest.raises(ValueError, match="algorithms"):
        TokenIssuerSettings.model_validate({"issuer": "i", "audience": ["a"], "keys": "file:x", "algorithms": ["HS256"]})


# -- keys ------------------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_found_at_once_and_strangers_kids_have_us_ask_once_a_minute() -> None:
    issuer = Issuer(key_set("rsa"))
    verify = issuer.verifier().verify
    await verify(token("rsa"))
    issuer.content = key_set("rsa", "ec")
    issuer.ticks = AGAIN_SECONDS
    await verify(token("ec"))
    assert issuer.reads == 2
    for _ in range(20):
        assert await refused(token("nobody", key=EC), issuer) == "key"
    assert issuer.reads == 2
    issuer.ticks += AGAIN_SECONDS
    await asyncio.gather(*(refused(token("nobody", key=EC), issuer) for _ in range(20)))
    assert issuer.reads == 3


async def test_a_key_that_left_the_set_stops_counting_after_the_cache_age() -> None:
    issuer = Issuer(key_set("rsa", "ec"), cache_seconds=300)
    verify = issuer.verifier().verify
    await verify(token("ec"))
    issuer.content = key_set("rsa")
    issuer.ticks = 299
    await verify(token("ec"))
    issuer.ticks = 300
    assert await refused(token("ec"), issuer) == "key"


async def test_old_keys_count_for_a_bounded_time_while_the_issuer_is_down() -> None:
    issuer = Issuer(cache_seconds=300, keep_seconds=3600)
    verify = issuer.verifier().verify
    await verify(token())
    issuer.down = True
    for issuer.ticks in (300, 301, 359, 360, 3599):
        await verify(token())
    assert issuer.reads == 4  # at 300, 360 and 3599: not every call waits for an issuer that is down
    issuer.ticks = 3600
    with pytest.raises(TokenKeysUnavailable):
        await verify(token())
    issuer.down, issuer.ticks = False, 3600 + AGAIN_SECONDS
    await verify(token())


async def test_no_token_is_believed_before_any_key_could_be_read() -> None:
    issuer = Issuer()
    issuer.down = True
    with pytest.raises(TokenKeysUnavailable):
        await issuer.verifier().verify(token())


def test_keys_of_another_use_kind_or_strength_check_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        listed = [
            public("enc", "ES256", EC, use="enc"),
            public("ops", "ES256", EC, key_ops=["sign"]),
            public("alg", "ES256", EC, alg="ES384"),
            public("weak", "RS256", weak),
            {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
            {"kty": "OKP", "crv": "P-256", "kid": "mixed", "x": "AA"},
            {**public("nameless", "ES256", EC), "kid": 7},
            public("good", "ES256", EC),
        ]
        found = parsed(json.dumps({"keys": listed}).encode())
    assert sorted(found) == [("good", "ES256")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>", "no JSON Web Key Set"),
        (b"[]", "no JSON Web Key Set"),
        (b'{"keys": 5}', "no JSON Web Key Set"),
        (b'{"keys": [5]}', "no JSON Web Key Set"),
        (b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}]}', "private or secret"),
        (json.dumps({"keys": [public("k", "ES256", EC), public("k", "ES256", OTHER)]}).encode(), "two keys"),
        (b" " * (SET_BYTES_MAX + 1), "too large"),
    ],
)
def test_what_is_no_key_set_of_public_keys_is_not_used(content: bytes, says: str) -> None:
    with pytest.raises(KeysUnreadable, match=says):
        parsed(content)


async def test_a_set_in_a_file_is_read_and_another_one_is_found_when_it_is_put_there(tmp_path: Any) -> None:
    (tmp_path / "keys.json").write_bytes(key_set("rsa"))
    settings = TokenIssuerSettings(issuer=ISSUER, audience=(AUDIENCE,), keys="file:keys.json")
    ticks = [0.0]
    tokens = tokens_of([settings], tmp_path, lambda: NOW, lambda: ticks[0])
    await tokens.verify(token("rsa"))
    (tmp_path / "keys.json").write_bytes(key_set("ec"))
    ticks[0] = 61
    await tokens.verify(token("ec"))
    (tmp_path / "keys.json").unlink()
    ticks[0] = 500
    await tokens.verify(token("ec"))
