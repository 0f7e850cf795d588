"""Key pairs of an issuer of tokens, its key set, and tokens good and bad."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

ISSUER = "https://login.example"
AUDIENCE = "bankgate"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, tuple[str, Any]] = {"rsa": ("RS256", RSA), "pss": ("PS256", RSA), "ec": ("ES256", EC), "ed": ("EdDSA", ED)}


def public(kid: str, algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    """A public key as a JSON Web Key."""
    made = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)  # type: ignore[call-overload]
    return {**made, "kid": kid, "use": "sig", **more}


def key_set(*kids: str) -> bytes:
    """The set an issuer publishes."""
    return json.dumps({"keys": [public(kid, *KEYS[kid]) for kid in kids or KEYS]}).encode()


def claims(now: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None takes one out."""
    base = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "erp",
        "client_id": "erp-client",
        "iat": now,
        "exp": now + timedelta(minutes=5),
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def token(kid: str = "ec", *, key: Any = None, algorithm: str | None = None, header: Any = None, **changes: Any) -> str:
    """A token signed by the issuer's key of that id, unless something else is asked for."""
    known, own = KEYS.get(kid, ("ES256", EC))
    headers = {"kid": kid, "typ": "at+jwt", **(header or {})}
    return jwt.encode(claims(**changes), key or own, algorithm=algorithm or known, headers=headers)


def part(content: Any) -> str:
    """One part of a token made by hand."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(algorithm: str = "none", signature: bytes = b"") -> str:
    """A token that claims to need no signature."""
    body = {**claims(), "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 300}
    return f"{part({'alg': algorithm, 'kid': 'ec', 'typ': 'at+jwt'})}.{part(body)}.{part(signature)}"


def keyed_with_the_public_key(kid: str = "rsa") -> str:
    """HS256 with the issuer's public key as the shared secret: what a confused verifier would believe."""
    import hmac

    secret = KEYS[kid][1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = {**claims(), "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 300}
    signed = f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'at+jwt'})}.{part(body)}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), 'sha256').digest())}"
