"""People who sign in at an identity provider: what its ID token says of them (OpenID Connect Core 1.0, section 2). Pure.

Issuer, audience, algorithm, signature and times are checked before, by the verifier; here are the nonce, who it is, what they
may do, and whether a second factor was given there.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    """Who the provider says it is. `second_factor_at`: when a second factor was given there, None: none was."""

    name: str
    subject: str  # issuer and subject: what an account belongs to
    roles: frozenset[Role]
    groups: frozenset[str]
    second_factor_at: datetime | None
    factor: str  # "oidc mfa": how it was given


def identity_of(settings: PeopleOidcSettings, claims: Mapping[str, Any], nonce: str) -> Identity:
    """The person of verified claims. Raises `BadToken`."""
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
        raise BadToken("its nonce is not the one that was asked for")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or claims.get("iss") != settings.issuer:
        raise BadToken("it has no subject of the configured issuer")
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
        second_factor_at=_given_at(claims) if word else None,
        factor=f"oidc {word}" if word else "",
    )


def _second_factor(settings: PeopleOidcSettings, claims: Mapping[str, Any]) -> str:
    """The configured word by which the token says that a second factor was given; "" for none."""
    if claims.get("acr") in settings.second_factor_acr:
        return str(claims["acr"])
    methods = claims.get("amr")
    found = [word for word in settings.second_factor_amr if isinstance(methods, list | tuple) and word in methods]
    return found[0] if found else ""


def _given_at(claims: Mapping[str, Any]) -> datetime | None:
    """When the person signed in there: `auth_time`; a provider that does not say gives no fresh factor."""
    value = claims.get("auth_time")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise BadToken("its auth_time lies outside the calendar") from None
