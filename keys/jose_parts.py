"""The parts that JWS and JWE are made of, read strictly: base64url without padding (RFC 7515, 2), and JSON headers in which no
name stands twice (RFC 7515, 4). What is critical and not understood is refused (RFC 7515, 4.1.11)."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from keys.algorithms import SignatureScheme
from keys.keyring import Certificate
from keys.seal import BadSeal, KeyUnavailable

JwsAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
JweAlgorithm = Literal["RSA-OAEP-256", "ECDH-ES+A256KW"]
JWE_ENCRYPTION: Final = "A256GCM"

SCHEMES: Final[dict[str, SignatureScheme]] = {
    "RS256": SignatureScheme("rsa-pkcs1", "sha256"),
    "RS384": SignatureScheme("rsa-pkcs1", "sha384"),
    "RS512": SignatureScheme("rsa-pkcs1", "sha512"),
    "PS256": SignatureScheme("rsa-pss", "sha256"),
    "PS384": SignatureScheme("rsa-pss", "sha384"),
    "PS512": SignatureScheme("rsa-pss", "sha512"),
    "ES256": SignatureScheme("ecdsa", "sha256"),
    "ES384": SignatureScheme("ecdsa", "sha384"),
    "ES512": SignatureScheme("ecdsa", "sha512"),
}
CURVES: Final[dict[str, str]] = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
"""Which curve an algorithm goes with (RFC 7518, 3.4)."""

HEADER_BYTES_MAX: Final = 16 * 1024
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_STANDARD = frozenset(
    ["alg", "enc", "zip", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "epk", "apu", "apv"]
)


def broken(detail: str) -> BadSeal:
    """The error for what is no JWS or JWE."""
    return BadSeal("structure", detail)


def encode(content: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def decode(text: bytes, what: str) -> bytes:
    """The other way round. Only the one encoding that RFC 4648 calls canonical is read: no two texts say the same bytes."""
    if not _BASE64URL.fullmatch(text):
        raise broken(f"{what} is no base64url")
    try:
        content = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise broken(f"{what} is no base64url") from None
    if encode(content) != text:
        raise broken(f"{what} is no canonical base64url")
    return content


def write_header(header: Mapping[str, Any]) -> bytes:
    """A header as it is signed: compact JSON, base64url."""
    return encode(json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode("ascii"))


def read_header(text: bytes) -> dict[str, Any]:
    """A header. Raises `BadSeal`."""
    if len(text) > HEADER_BYTES_MAX:
        raise broken(f"the header is larger than {HEADER_BYTES_MAX} bytes")
    header = read_json(decode(text, "the header"), "the header")
    if not isinstance(header, dict):
        raise broken("the header is no JSON object")
    return header


def read_json(text: bytes, what: str) -> Any:
    """JSON in UTF-8 in which no object has a name twice. Raises `BadSeal`."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_no_name_twice)
    except (ValueError, RecursionError):
        raise broken(f"{what} is no JSON, or says a name twice") from None


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def check_critical(header: Mapping[str, Any], understood: Collection[str]) -> None:
    """Raises `BadSeal` ("header.critical") unless all that is critical is understood."""
    if "crit" not in header:
        return
    critical = header["crit"]
    well_formed = isinstance(critical, list) and critical and all(isinstance(name, str) for name in critical)
    if not well_formed or len(set(critical)) != len(critical) or not all(name in header for name in critical):
        raise broken("the list of critical headers is malformed")
    strange = [name for name in critical if name not in understood or name in _STANDARD]
    if strange:
        raise BadSeal("header.critical", f"{len(strange)} critical headers are not understood; see understood_headers")


def algorithm_of(header: Mapping[str, Any], accepted: Collection[str], purpose: str) -> str:
    """The `alg` of a header. Raises `BadSeal` ("algorithm.refused"): that of no signature, and shared secrets, above all."""
    name = header.get("alg")
    if not isinstance(name, str) or name not in accepted:
        raise refused(name, purpose)
    return name


def refused(name: object, purpose: str) -> BadSeal:
    """The error for an algorithm that is not accepted. Only names of RFC 7518 are repeated."""
    known = isinstance(name, str) and re.fullmatch(r"none|[A-Z0-9+-]{1,20}|RSA1_5|dir", name)
    said = f"the algorithm {name}" if known else "an unknown algorithm"
    if isinstance(name, str) and name.lower() == "none":
        said = "no signature at all (alg: none)"
    elif isinstance(name, str) and name.startswith("HS"):
        said = f"a shared secret ({name})"
    return BadSeal("algorithm.refused", f"{said} is not accepted for {purpose}: see the algorithms in keys/README.md")


def thumbprint(certificate: Certificate) -> str:
    """`x5t#S256` (RFC 7515, 4.1.8)."""
    return encode(hashlib.sha256(certificate.encoded).digest()).decode("ascii")


def missing_library() -> KeyUnavailable:
    """The error where joserfc is not installed."""
    return KeyUnavailable("JOSE needs the package joserfc; run: pip install 'bankgate[jose]'")
