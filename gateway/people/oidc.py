"""People who sign in at an identity provider: what its ID token says of them (OpenID Connect Core 1.0, section 2). Pure.

Issuer, audience, algorithm, signature and times are checked before, by the verifier; here are the nonce, who it is, what they
may do, and whether a second factor was given there.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Protocol

from gateway.config import PeopleOidcSettings
from gateway.people.names import BadName, checked_name
from gateway.people.permissions import clash
from gateway.people.person import Role

SKEW: Final = timedelta(seconds=60)


class BadToken(Exception):
    """The ID token is not one to sign in with. Says why, for the log; nothing of the token itself."""


class IdTokens(Protocol):
    """Checks an ID token's signature, issuer, audience, algorithm and times, and gives its claims (`gateway.tokens`)."""

    async def verify(self, token: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the provider says it is. `second_factor_at`: when a second factor was given there, None: none was. `token_sha256`: of
    what makes the token one of a kind (`one_of_a_kind`); it counts once until `expires_at`."""

    name: str
    subject: str  # issuer and subject: what an account belongs to
    roles: frozenset[Role]
    groups: frozenset[str]
    second_factor_at: datetime | None
    factor: str  # "oidc mfa": how it was given
    token_sha256: str
    expires_at: datetime


def identity_of(settings: PeopleOidcSettings, claims: Mapping[str, Any], nonce: str, now: datetime) -> Identity:
    """The person of verified claims. Raises `BadToken`."""
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
        raise BadToken("its nonce is not the one that was asked for")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or claims.get("iss") != settings.issuer:
        raise BadToken("it has no subject of the configured issuer")
    _for_us(settings, claims)
    try:
        name = checked_name(str(claims.get(settings.name_claim, "")).casefold())
    except BadName:
        raise BadToken(f"its claim {settings.name_claim} is no name of a person here") from None
    told_roles = claims.get(settings.roles_claim, ())
    values = {str(value) for value in told_roles} if isinstance(told_roles, list | tuple) else {str(told_roles)}
    roles = frozenset(role for value, role in settings.roles.items() if value in values)
    if not roles:
        raise BadToken(f"its claim {settings.roles_claim} has no value that [people.oidc.roles] gives a role to")
    if problem := clash(roles):
        raise BadToken(problem)
    word = _second_factor(settings, claims)
    return Identity(
        name=name,
        subject=f"{settings.issuer} {subject}",
        roles=roles,
        groups=frozenset(group for value, group in settings.groups.items() if value in values),
        second_factor_at=_given_at(claims, now) if word else None,
        factor=f"oidc {word}" if word else "",
        token_sha256=one_of_a_kind(claims),
        expires_at=_moment(claims, "exp") + SKEW,
    )


def one_of_a_kind(claims: Mapping[str, Any]) -> str:
    """By what a used token is known again, in hex: the SHA-256 of issuer and `jti`, or else of all its claims. Not of its bytes:
    of one token there are many, by the signature's own freedom and by that of base64."""
    token_id = claims.get("jti")
    told = {"iss": claims.get("iss"), "jti": token_id} if isinstance(token_id, str) and token_id else claims
    return sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def facts_of(settings: PeopleOidcSettings, claims: Mapping[str, Any]) -> dict[str, Any]:
    """What a proof says in words of its token."""
    told = {name: claims[name] for name in ("acr", "amr", "auth_time") if name in claims}
    return {"issuer": settings.issuer, "subject": claims["sub"], "token_sha256": one_of_a_kind(claims), **told}


def _for_us(settings: PeopleOidcSettings, claims: Mapping[str, Any]) -> None:
    """A token for several audiences, or asked for by another party, is not ours (section 3.1.3.7, steps 3 to 5)."""
    audience, party = claims.get("aud"), claims.get("azp")
    if party is not None and party != settings.audience:
        raise BadToken("another party asked for it (azp)")
    if isinstance(audience, list | tuple) and len(audience) > 1 and party is None:
        raise BadToken("it is for several audiences (aud), and does not say who asked for it (azp)")


def _second_factor(settings: PeopleOidcSettings, claims: Mapping[str, Any]) -> str:
    """The configured word by which the token says that a second factor was given; "" for none."""
    if claims.get("acr") in settings.second_factor_acr:
        return str(claims["acr"])
    methods = claims.get("amr")
    found = [word for word in settings.second_factor_amr if isinstance(methods, list | tuple) and word in methods]
    return found[0] if found else ""


def _given_at(claims: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the person signed in there: `auth_time`; a provider that does not say gives no fresh factor. Never later than now."""
    value = claims.get("auth_time")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    at = _moment(claims, "auth_time")
    if at > now + SKEW:
        raise BadToken("its auth_time has not come yet")
    return min(at, now)


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(claims[name]), UTC)
    except (KeyError, TypeError, OverflowError, ValueError, OSError):
        raise BadToken(f"its {name} is no moment of the calendar") from None
