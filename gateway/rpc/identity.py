"""Who is at the other end of a call: by client certificate, by bearer token, by both, and from which address."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.utils import base64url_encode

from gateway.addresses import is_within, peer_address
from gateway.callers import Caller, Callers
from gateway.rpc.errors import Unauthenticated
from gateway.rpc.metadata import SESSION_KEY
from gateway.tokens import TokenRefused, Tokens

AUTHORIZATION: Final = "authorization"
FORWARDED: Final = "x-forwarded-for"
PERSON_ADDRESS: Final = "bankgate-address"

Context = grpc.aio.ServicerContext[Any, Any]
Networks = Iterable[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call came with, before any of it is believed. `tokens`: every authorization header it had."""

    certificate: bytes | None  # PEM
    tokens: tuple[str, ...]
    address: str  # "" if the other end has none
    session: str = ""  # the token of the person whom the caller carries, "" for none
    person_address: str = ""  # where that person sits: as the caller says, else its own


def shown_by(context: Context, proxies: Networks) -> Shown:
    """What a call came with."""
    certificates = tuple(context.auth_context().get("x509_pem_cert") or ())
    tokens: list[str] = []
    forwarded: list[str] = []
    for key, value in context.invocation_metadata() or ():
        if key == AUTHORIZATION:
            tokens.append(value if isinstance(value, str) else "")
        elif key == FORWARDED and isinstance(value, str):
            forwarded += (part.strip() for part in value.split(","))
    address = _address(peer_address(context.peer()), forwarded, proxies)
    certificate = bytes(certificates[0]) if certificates else None
    session, told = single(context, SESSION_KEY), single(context, PERSON_ADDRESS)
    return Shown(certificate, tuple(tokens), address, session, plain_address(told) or address)


def plain_address(told: str) -> str:
    """A network address in its usual form; "" for what is none."""
    try:
        return str(ip_address(told))
    except ValueError:
        return ""


def single(context: Context, name: str) -> str:
    """The one value of the request's metadata under a name; "" if there is none, or more than one."""
    values = [value for key, value in context.invocation_metadata() or () if key == name]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def _address(peer: str, forwarded: list[str], proxies: Networks) -> str:
    """The address of the caller: the other end's, or, behind proxies that are believed, the last one they did not add."""
    address = peer
    while forwarded and is_within(address, proxies):
        address = forwarded.pop()
    return address


class Identity:
    """Finds the caller. What a call shows has to fit together, and to be all that the caller's entry asks for."""

    def __init__(self, callers: Callers, tokens: Tokens, clock: Callable[[], datetime], *, tls: bool) -> None:
        self.callers = callers
        self.tokens = tokens
        self._clock = clock
        self._tls = tls

    async def of(self, shown: Shown) -> Caller:
        """The caller, with the permissions of today. Raises `Unauthenticated`, `TokenKeysUnavailable`."""
        found: list[Caller] = []
        if shown.certificate is not None:
            found.append(self._by_certificate(shown.certificate))
        if shown.tokens:
            found.append(await self._by_token(shown.tokens, shown.certificate))
        caller = found[0] if found else self._in_the_clear()
        if any(other.name != caller.name for other in found):
            raise Unauthenticated("the client certificate is one caller's and the bearer token another's", "two-callers")
        if found and "certificate" in caller.needs and shown.certificate is None:
            raise Unauthenticated(f"caller {caller.name!r} has to show its client certificate too", "certificate-missing")
        if found and "token" in caller.needs and not shown.tokens:
            raise Unauthenticated(f"caller {caller.name!r} has to show its bearer token too", "token-missing")
        if not caller.may_call_from(shown.address):
            raise Unauthenticated(f"caller {caller.name!r} may not call from that address", "address")
        return replace(caller.at(self._clock().astimezone(UTC).date()), address=shown.address)

    def _in_the_clear(self) -> Caller:
        if self._tls or self.callers.plaintext is None:
            raise Unauthenticated(
                "no client certificate and no bearer token was shown, and no caller is configured with plaintext = true",
                "nothing-shown",
            )
        return self.callers.plaintext

    def _by_certificate(self, pem: bytes) -> Caller:
        fingerprint, expires = certificate_of(pem)[:2]
        caller = self.callers.by_fingerprint(fingerprint)
        if caller is None:
            raise Unauthenticated(
                f"no caller is configured with the client certificate whose SHA-256 fingerprint is {fingerprint}",
                "certificate-unknown",
            )
        if self._clock() > expires:  # checked when the connection was made, and connections live long
            raise Unauthenticated(
                f"the client certificate of caller {caller.name!r} expired at {expires.isoformat()}", "certificate-expired"
            )
        return caller

    async def _by_token(self, shown: tuple[str, ...], certificate: bytes | None) -> Caller:
        scheme, _, token = shown[0].partition(" ")
        if len(shown) != 1 or scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("authorization must be one header: Bearer and the token", "token-malformed")
        try:
            claims = await self.tokens.verify(token.strip())
            _bound_to(claims, certificate)
        except TokenRefused as error:
            raise Unauthenticated(f"the bearer token is not accepted: {error}", f"token-{error.kind}") from None
        caller = self.callers.by_token(claims)
        if caller is None:
            raise Unauthenticated("no caller is configured for the subject or the client of this bearer token", "token-unknown")
        return caller


def _bound_to(claims: Mapping[str, Any], certificate: bytes | None) -> None:
    """A token that is bound to a certificate counts with that one alone (RFC 8705, section 3). One that is bound to anything
    else (RFC 7800, RFC 9449) cannot be checked here and counts for nothing. Raises `TokenRefused`."""
    if "cnf" not in claims:
        return
    bound = claims["cnf"]
    if not isinstance(bound, Mapping) or set(bound) != {"x5t#S256"}:
        raise TokenRefused("binding", "it is bound to something that cannot be checked here (cnf)")
    if certificate is None or certificate_of(certificate)[2] != bound["x5t#S256"]:
        raise TokenRefused("binding", "it is bound to another client certificate (cnf)")


@lru_cache(maxsize=1024)
def certificate_of(pem: bytes) -> tuple[str, datetime, str]:
    """A certificate's SHA-256 fingerprint, its end, and its thumbprint as `x5t#S256` writes it."""
    certificate = x509.load_pem_x509_certificate(pem)
    thumbprint = base64url_encode(sha256(certificate.public_bytes(Encoding.DER)).digest()).decode()
    return certificate.fingerprint(SHA256()).hex(), certificate.not_valid_after_utc, thumbprint
