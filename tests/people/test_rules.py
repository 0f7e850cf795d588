"""The pure rules: one-time passwords by the RFC's own values, passwords, pauses, claims of an identity provider, the key of
people."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import PeopleOidcSettings
from gateway.people import pauses, totp
from gateway.people.oidc import BadToken, identity_of, one_of_a_kind
from gateway.people.passwords import LENGTH_MAX, Passwords, problem
from gateway.people.person import Role
from gateway.people.records import Pausing
from gateway.people.vault import RECOVERY_CODES, Vault, key_of, new_recovery_codes
from keys.seal import KeyUnavailable

SECRET = b"12345678901234567890"  # of RFC 4226, appendix D, and RFC 6238, appendix B


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code_at(SECRET, totp.step_at(seconds), digits=8) == code
    assert totp.accepted_step(SECRET, code[2:], seconds, used=0) == seconds // 30


def test_codes_are_those_of_rfc_4226() -> None:
    found = [totp.code_at(SECRET, counter) for counter in range(10)]
    assert found == ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]


@pytest.mark.parametrize("text", ["", "94287", "9428708", "９４２８７０", "94287o", "-94287", "+94287", "0x9428"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert totp.accepted_step(SECRET, text, 59, used=0) is None


def test_the_uri_for_an_app_says_what_is_meant() -> None:
    assert totp.uri(SECRET, issuer="pay & go", name="li.wei@corp") == (
        "otpauth://totp/pay%20%26%20go:li.wei%40corp?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=pay%20%26%20go"
        "&algorithm=SHA1&digits=6&period=30"
    )


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "x" * (LENGTH_MAX + 1),
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "password1234",
        "li.wei li.wei li",
        "LiWei-LiWei-2026",
        "123456789012345",
        "qwertyuiopasdf",
        "bankgatebankgate",
        "with a\nline end",
        "ﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁﬁ",
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    assert problem(password, "li.wei")


@pytest.mark.parametrize(
    "password", ["a long walk by the river", "春江潮水连海平海上明月共潮生", "Vb3$kq-Tz9!w", "correct horse battery staple"]
)
def test_good_passwords_are_taken(password: str) -> None:
    assert problem(password, "li.wei") == ""


def test_the_same_keys_in_another_form_of_unicode_are_the_same_password() -> None:
    cheap = Passwords(memory_kib=64, passes=1, lanes=1)
    stored = cheap.hashed("caf\u00e9 and a croissant")
    assert cheap.fits(stored, "cafe\u0301 and a croissant")
    assert not cheap.fits(stored, "cafe and a croissant")
    assert not cheap.fits(None, "caf\u00e9 and a croissant")
    assert not cheap.fits("no hash at all", "caf\u00e9 and a croissant")


def test_the_cost_is_that_of_rfc_9106() -> None:
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in Passwords().hashed("a long walk by the river")


@given(st.integers(1, 10_000), st.integers(0, 50), st.integers(1, 60), st.integers(60, 86_400))
def test_pauses_grow_and_end(tries: int, free: int, first: int, longest: int) -> None:
    rule = Pausing(free=free, first_seconds=first, longest_seconds=longest)
    pause, following = pauses.pause_after(tries, rule), pauses.pause_after(tries + 1, rule)
    assert timedelta(0) <= pause <= following <= timedelta(seconds=longest)
    assert (pause == timedelta(0)) == (tries <= free)


def test_strangers_cost_an_account_minutes_and_no_more() -> None:
    assert max(pauses.pause_after(tries, pauses.ACCOUNT) for tries in range(1, 500)) == timedelta(minutes=5)


# -- the key of people -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"\x07" * 32, b"07" * 32, b"07" * 32 + b"\n", b64encode(b"\x07" * 32) + b"\n"])
def test_the_key_is_32_bytes_in_any_of_three_forms(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    assert key_of("file:key", tmp_path) == b"\x07" * 32


@pytest.mark.parametrize("content", [b"", b"07" * 31, b"password", b"\x07" * 33, "é".encode() * 20])
def test_anything_else_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(KeyUnavailable, match="32 random bytes") as refused:
        key_of("file:key", tmp_path)
    assert "password" not in str(refused.value)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        key_of("file:key", tmp_path)


def test_recovery_codes_are_random_and_told_apart_by_person_and_key() -> None:
    codes = new_recovery_codes()
    assert len({*codes}) == RECOVERY_CODES
    assert all(len(code) == 19 and code[4] == code[9] == code[14] == "-" for code in codes)
    one, other = Vault(b"\x01" * 32), Vault(b"\x02" * 32)
    digests = {vault.recovery_digest(codes[0], name=name) for vault, name in ((one, "eve"), (one, "bob"), (other, "eve"))}
    assert len(digests) == 3


# -- claims ----------------------------------------------------------------------------------------------------------------

OIDC = PeopleOidcSettings(
    issuer="https://id.example.com",
    audience="bankgate",
    jwks="file:jwks.json",
    roles={"pay-approvers": Role.APPROVER, "pay-viewers": Role.VIEWER, "pay-officers": Role.SECURITY_OFFICER},
    groups={"pay-treasury": "treasury"},
    second_factor_acr=("urn:mfa",),
    second_factor_amr=("hwk", "otp"),
)
CLAIMS: Mapping[str, Any] = {
    "iss": "https://id.example.com",
    "sub": "4711",
    "nonce": "N",
    "preferred_username": "Li.Wei@Example.com",
    "groups": ["pay-approvers", "pay-treasury", "staff"],
    "auth_time": 1_790_000_000,
    "aud": "bankgate",
    "exp": 1_790_003_600,
}
NOW = datetime.fromtimestamp(1_790_000_600, UTC)


def test_claims_say_who_and_what_they_may_do() -> None:
    found = identity_of(OIDC, CLAIMS, "N", NOW)
    assert (found.name, found.subject) == ("li.wei@example.com", "https://id.example.com 4711")
    assert (found.roles, found.groups) == ({Role.APPROVER}, {"treasury"})
    assert (found.second_factor_at, found.factor) == (None, "")


@pytest.mark.parametrize(
    ("more", "factor"),
    [
        ({"acr": "urn:mfa"}, "oidc urn:mfa"),
        ({"amr": ["pwd", "otp"]}, "oidc otp"),
        ({"amr": ["pwd"]}, ""),
        ({"acr": "0", "amr": "otp"}, ""),
    ],
)
def test_a_second_factor_is_one_that_is_configured(more: dict[str, Any], factor: str) -> None:
    found = identity_of(OIDC, {**CLAIMS, **more}, "N", NOW)
    assert found.factor == factor
    assert found.second_factor_at == (datetime.fromtimestamp(1_790_000_000, UTC) if factor else None)


def test_a_provider_that_does_not_say_when_gives_no_fresh_factor() -> None:
    claims = {key: value for key, value in CLAIMS.items() if key != "auth_time"}
    assert identity_of(OIDC, {**claims, "acr": "urn:mfa"}, "N", NOW).second_factor_at is None
    assert identity_of(OIDC, {**claims, "acr": "urn:mfa", "auth_time": True}, "N", NOW).second_factor_at is None


def test_a_clock_that_is_a_little_ahead_gives_a_factor_of_now_and_never_of_later() -> None:
    ahead = {**CLAIMS, "acr": "urn:mfa", "auth_time": NOW.timestamp() + 30}
    assert identity_of(OIDC, ahead, "N", NOW).second_factor_at == NOW


def test_a_token_is_known_again_by_its_id_or_else_by_all_it_says() -> None:
    named = {**CLAIMS, "jti": "7"}
    assert one_of_a_kind(named) == one_of_a_kind({**named, "nonce": "other"})
    others = (CLAIMS, named, {**named, "jti": "8"}, {**named, "iss": "x"}, {**CLAIMS, "sub": "1"})
    assert len({one_of_a_kind(one) for one in others}) == len(others)
    assert one_of_a_kind(dict(reversed(CLAIMS.items()))) == one_of_a_kind(CLAIMS)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": 7},
        {"iss": "https://evil.example"},
        {"sub": ""},
        {"sub": None},
        {"preferred_username": ""},
        {"preferred_username": "../root"},
        {"groups": ["staff"]},
        {"groups": None},
        {"groups": ["pay-officers", "pay-approvers"]},
        {"acr": "urn:mfa", "auth_time": 1e300},
        {"acr": "urn:mfa", "auth_time": 1_790_000_700},
        {"azp": "another-client"},
        {"aud": ["bankgate", "another-client"]},
        {"aud": ["bankgate", "another-client"], "azp": "another-client"},
        {"exp": 1e300},
        {"exp": None},
    ],
)
def test_claims_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        identity_of(OIDC, {**CLAIMS, **change}, "N", NOW)
