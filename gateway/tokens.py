"""Bearer tokens: JSON Web Tokens (RFC 7519, as access tokens RFC 9068) of an issuer whose public keys are known.

PyJWT checks signature, issuer and audience; what it leaves open is decided here (RFC 8725, "JSON Web Token Best Current
Practices"): only algorithms with a key pair, the key by its id from the issuer's own set and never from the token, the type of
the token, a bounded life, and times with a minute of slack.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final, get_args

import jwt
from jwt.exceptions import InvalidAudienceError, InvalidIssuerError, InvalidSignatureError, PyJWTError
from jwt.utils import base64url_decode

from gateway.config import TokenAlgorithm, TokenIssuerSettings
from gateway.token_keys import IssuerKeys, KeysUnreadable, file_source, url_source

ALGORITHMS: Final[tuple[str, ...]] = get_args(TokenAlgorithm)
SKEW: Final = timedelta(seconds=60)
TOKEN_BYTES_MAX: Final = 12 * 1024
_OWN_KEY: Final = ("jwk", "jku", "x5u", "x5c")
"""Headers with which a token would say by which key it is to be believed."""


class TokenRefused(ValueError):
    """A token that is not believed. `kind` is one word for it (metrics, tests); the text says why, without its content."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class TokenKeysUnavailable(Exception):
    """Nobody can tell just now whether a token is good: the keys of its issuer cannot be read. Try again."""


class TokenVerifier:
    """Checks the tokens of one issuer. `types`: what `typ` may say, without "application/"; "" stands for none."""

    def __init__(
        self,
        issuer: str,
        audience: Iterable[str],
        keys: IssuerKeys,
        *,
        now: Callable[[], datetime],
        algorithms: Iterable[str] = ALGORITHMS,
        types: Iterable[str] = ("at+jwt",),
        lifetime_max: timedelta = timedelta(hours=2),
    ) -> None:
        self.issuer = issuer
        self._audience = tuple(audience)
        self._keys = keys
        self._now = now
        self._algorithms = tuple(name for name in algorithms if name in ALGORITHMS)  # never none, never a shared secret
        self._types = frozenset(types)
        self._lifetime_max = lifetime_max

    async def verify(self, token: str) -> Mapping[str, Any]:
        """The claims of a good token. Raises `TokenRefused`, `TokenKeysUnavailable`."""
        header, _ = unverified(token)
        algorithm, key_id = header["alg"], header.get("kid")
        if algorithm not in self._algorithms:
            raise TokenRefused("algorithm", f"it must be signed with {', '.join(self._algorithms)}")
        kind = str(header.get("typ", "")).lower().removeprefix("application/")
        if kind not in {one.lower() for one in self._types}:
            raise TokenRefused("type", "its typ is not one that is taken here (setting types)")
        if not isinstance(key_id, str):
            raise TokenRefused("key", "it names no key (kid)")
        try:
            key = await self._keys.key(key_id, algorithm)
        except KeysUnreadable:
            raise TokenKeysUnavailable(f"the keys of issuer {self.issuer} cannot be read just now; send again") from None
        if key is None:
            raise TokenRefused("key", "the issuer publishes no key of that kid for that algorithm")
        claims = self._claims(token, key, algorithm)
        self._in_time(claims)
        return claims

    def _claims(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        options: Any = {"require": ["iss", "aud", "sub", "exp", "iat"], "verify_exp": False, "verify_nbf": False}
        options["verify_iat"] = False  # times are ours to check, by the clock that the gateway was given
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm], audience=self._audience, issuer=self.issuer, options=options
            )
        except InvalidSignatureError:
            raise TokenRefused("signature", "its signature is not by the issuer's key") from None
        except InvalidAudienceError:
            raise TokenRefused("audience", "it is meant for another audience (aud)") from None
        except InvalidIssuerError:
            raise TokenRefused("issuer", "its issuer is not believed here (iss)") from None
        except (PyJWTError, ValueError, RecursionError):
            raise TokenRefused("malformed", "it is no token with iss, aud, sub, iat and exp") from None
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise TokenRefused("malformed", "its subject (sub) is empty")
        return claims

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
        if now >= expires + SKEW:
            raise TokenRefused("expired", f"it expired at {expires.isoformat()}")
        not_before = max(issued, _moment(claims, "nbf")) if "nbf" in claims else issued
        if now < not_before - SKEW:
            raise TokenRefused("not-yet", f"it begins to count at {not_before.isoformat()}")
        if expires - issued > self._lifetime_max:
            raise TokenRefused("lifetime", f"it lives longer than {self._lifetime_max} (setting lifetime_max_seconds)")


class Tokens:
    """The issuers that are believed, each with its verifier."""

    def __init__(self, verifiers: Iterable[TokenVerifier] = ()) -> None:
        self._by_issuer = {one.issuer: one for one in verifiers}

    async def verify(self, token: str) -> Mapping[str, Any]:
        """The claims of a good token. Raises `TokenRefused`, `TokenKeysUnavailable`."""
        _, claims = unverified(token)
        verifier = self._by_issuer.get(claims["iss"]) if isinstance(claims.get("iss"), str) else None
        if verifier is None:
            raise TokenRefused("issuer", "its issuer is not believed here (iss)")
        return await verifier.verify(token)


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as the token says them, before anything of it is believed. Raises `TokenRefused`."""
    if len(token) > TOKEN_BYTES_MAX:
        raise TokenRefused("malformed", f"it is longer than {TOKEN_BYTES_MAX} characters")
    try:
        parts = token.split(".")
        header, claims = (json.loads(base64url_decode(part)) for part in parts[:2])
    except (ValueError, RecursionError):
        raise TokenRefused("malformed", "it is no JSON Web Token in compact form") from None
    if len(parts) != 3 or not isinstance(header, dict) or not isinstance(claims, dict) or not isinstance(header.get("alg"), str):
        raise TokenRefused("malformed", "it is no JSON Web Token in compact form")
    if any(name in header for name in _OWN_KEY):
        raise TokenRefused("own-key", "it brings or names the key it wants to be believed by")
    if "crit" in header:
        raise TokenRefused("malformed", "it demands extensions (crit) that are not known here")
    return header, claims


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        pass
    raise TokenRefused("malformed", f"its {name} is no moment")


def tokens_of(
    settings: Iterable[TokenIssuerSettings], directory: Path, now: Callable[[], datetime], ticks: Callable[[], float] = monotonic
) -> Tokens:
    """The issuers of a configuration. Reads the authorities of their addresses; raises `keys.seal.KeyUnavailable`."""
    return Tokens([verifier_of(one, directory, now, ticks) for one in settings])


def verifier_of(
    one: TokenIssuerSettings, directory: Path, now: Callable[[], datetime], ticks: Callable[[], float] = monotonic
) -> TokenVerifier:
    """The verifier of one issuer, likewise."""
    from keys.secrets import resolve

    if one.keys.startswith("file:"):
        read = file_source(directory / one.keys.removeprefix("file:"))
    else:
        read = url_source(one.keys, None if one.ca is None else resolve(one.ca, directory))
    keys = IssuerKeys(one.issuer, read, ticks, cache_seconds=one.cache_seconds, keep_seconds=one.keep_seconds)
    return TokenVerifier(
        one.issuer,
        one.audience,
        keys,
        now=now,
        algorithms=one.algorithms,
        types=one.types,
        lifetime_max=timedelta(seconds=one.lifetime_max_seconds),
    )
