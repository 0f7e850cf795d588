"""The seal kind "jws": JSON Web Signature (RFC 7515), compact, with its payload in it or detached from it (RFC 7515, appendix F;
RFC 7797 where the payload is not base64url-encoded for signing).

Written here, so that a key in an HSM can sign; verified by joserfc, with keys of pinned certificates only. Messages of JSON
interfaces are small: both directions hold one in memory, up to `content_bytes_max`.

A detached signature travels in a header of the request, its payload in the body. As one file it is written so: the signature with
its empty middle, a line feed, the payload byte for byte. `split_detached` gives a channel the two.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.jose_parts import (
    CURVES,
    HEADER_BYTES_MAX,
    SCHEMES,
    JwsAlgorithm,
    algorithm_of,
    broken,
    check_critical,
    decode,
    encode,
    missing_library,
    read_header,
    thumbprint,
    write_header,
)
from keys.keyring import Certificate, OwnKey
from keys.seal import BadSeal, KeyUnavailable, SealError
from keys.trust import Trust, check_trusted
from keys.wire import check_validity, signer_on, to_wire

SIGNATURE_BYTES_MAX = 2048  # RSA with 8192 bits has 1366 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsOptions:
    """How messages are signed and which are taken. See `keys.jose_jws_profile.JwsProfile` for the words of a profile."""

    algorithm: JwsAlgorithm
    form: Literal["compact", "detached"] = "compact"
    encoded_payload: bool = True
    key_id: str | None = None
    certificate: Literal["none", "thumbprint", "chain"] = "none"
    headers: dict[str, str] = field(default_factory=dict)
    critical: tuple[str, ...] = ()
    accepted: tuple[JwsAlgorithm, ...] = ()
    understood: tuple[str, ...] = ()
    content_bytes_max: int = 16 * 1024**2

    @property
    def message_bytes_max(self) -> int:
        """The longest message with such a content."""
        return HEADER_BYTES_MAX + SIGNATURE_BYTES_MAX + self.content_bytes_max * 4 // 3 + 8


@dataclass(frozen=True, slots=True, kw_only=True)
class JwsSeal:
    """One profile, ready for use. Keys and certificates are asked for when they are first needed, each half for itself."""

    options: JwsOptions
    signing: Callable[[], OwnKey]
    pinned: Callable[[], tuple[Certificate, ...]]
    clock: Callable[[], datetime]
    trust: Callable[[], Trust | None] = lambda: None

    @property
    def kind(self) -> str:
        return "jws"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `SealError` where the content is larger than the profile takes."""
        out.write(self.sign(read_content(source, self.options.content_bytes_max)))

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Nothing is written unless the signature holds. Raises `BadSeal`."""
        out.write(self.verify(read_message(source, self.options.message_bytes_max)))

    def sign(self, content: bytes) -> bytes:
        """The message of a content."""
        return sign(content, self.options, signer_on(self.signing(), self.clock()))

    def verify(self, message: bytes) -> bytes:
        """The content of a message. Raises `BadSeal`."""
        now = self.clock()
        content, signers = verify(message, self.options, self.pinned(), now)
        check_trusted(self.trust(), signers, now)
        return content


def read_content(source: BinaryIO, bytes_max: int) -> bytes:
    """What is to be sealed. Raises `SealError` where it is too large."""
    content = source.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise SealError(f"the content is larger than the {bytes_max} bytes that this profile takes")
    return content


def read_message(source: BinaryIO, bytes_max: int) -> bytes:
    """What is to be opened. Raises `BadSeal` where it is too large."""
    message = source.read(bytes_max + 1)
    if len(message) > bytes_max:
        raise BadSeal("content.too-large", "the message is larger than this profile takes")
    return message


def split_detached(message: bytes) -> tuple[str, bytes]:
    """A detached message as the value of a header and the body of a request. Raises `BadSeal`."""
    signature, line_feed, payload = message.partition(b"\n")
    if not line_feed or not signature.isascii():
        raise broken("a detached signature is a line of its own before its payload")
    return signature.decode("ascii"), payload


def join_detached(signature: str, payload: bytes) -> bytes:
    """The message of a header and a body, as `JwsSeal.open` takes it."""
    return signature.encode("ascii", "replace") + b"\n" + payload


# ---- signing ----------------------------------------------------------------------------------------------------------


def sign(content: bytes, options: JwsOptions, key: OwnKey) -> bytes:
    """The message. Raises `KeyUnavailable`."""
    certificate = key.certificate
    check_key(options.algorithm, certificate)
    header = write_header(_header(options, certificate))
    signed = header + b"." + (encode(content) if options.encoded_payload else content)
    scheme = SCHEMES[options.algorithm]
    signature = encode(to_wire(scheme, certificate.public_key, key.open().sign(scheme, signed)))
    if options.form == "compact":
        return signed + b"." + signature
    return header + b".." + signature + b"\n" + content


def check_key(algorithm: str, certificate: Certificate) -> None:
    """Raises `KeyUnavailable` where this algorithm is not for such a key."""
    if not fits(algorithm, certificate):
        raise KeyUnavailable(f"{algorithm} does not fit the kind of key in {certificate.name}")


def fits(algorithm: str, certificate: Certificate) -> bool:
    """Whether this algorithm is for such a key: its kind, and for elliptic curves its curve (RFC 7518, 3.4)."""
    key = certificate.public_key
    if isinstance(key, ec.EllipticCurvePublicKey):
        return CURVES.get(algorithm) == key.curve.name
    return SCHEMES[algorithm].fits(key)


def _header(options: JwsOptions, certificate: Certificate) -> dict[str, Any]:
    header: dict[str, Any] = {"alg": options.algorithm, **options.headers}
    if options.key_id is not None:
        header["kid"] = options.key_id
    header |= named_certificate(options.certificate, certificate)
    critical = list(options.critical)
    if not options.encoded_payload:
        header["b64"] = False
        critical.append("b64")  # RFC 7797, 6
    if critical:
        header["crit"] = critical
    return header


def named_certificate(how: Literal["none", "thumbprint", "chain"], certificate: Certificate) -> dict[str, Any]:
    """What a header says of a certificate."""
    if how == "thumbprint":
        return {"x5t#S256": thumbprint(certificate)}
    if how == "chain":
        return {"x5c": [base64.b64encode(certificate.encoded).decode("ascii")]}  # base64, not base64url (RFC 7515, 4.1.6)
    return {}


# ---- verifying --------------------------------------------------------------------------------------------------------


def verify(
    message: bytes, options: JwsOptions, pinned: tuple[Certificate, ...], on: datetime
) -> tuple[bytes, tuple[Certificate, ...]]:
    """The content, and the pinned certificates whose key signed it. Raises `BadSeal`."""
    if options.form == "detached":
        line, payload = split_detached(message)
        token = line.encode("ascii").strip()
    else:
        token, payload = message.strip(), None
    parts = token.split(b".")
    if len(parts) != 3:
        raise broken("a signed message has three parts, joined by dots")
    header = read_header(parts[0])
    algorithm = algorithm_of(header, options.accepted, "signatures")
    check_critical(header, {"b64", *options.understood})
    content = _content(header, parts[1], payload)
    if len(content) > options.content_bytes_max:
        raise BadSeal("content.too-large", f"the content is larger than the {options.content_bytes_max} bytes of this profile")
    if len(parts[2]) > SIGNATURE_BYTES_MAX:
        raise broken("the signature is too long")
    decode(parts[2], "the signature")
    candidates = _candidates(header, algorithm, pinned)
    found = tuple(certificate for certificate in candidates if _verifies(token, payload, algorithm, options, certificate))
    if not found:
        raise BadSeal("signature.invalid", "the signature was not made over this by a pinned certificate")
    check_validity(found, on)
    return content, found


def _content(header: dict[str, Any], part: bytes, payload: bytes | None) -> bytes:
    encoded = header.get("b64", True)
    if not isinstance(encoded, bool) or ("b64" in header and "b64" not in header.get("crit", ())):
        raise broken("b64 must be true or false, and critical (RFC 7797, 6)")
    if payload is None:
        if not encoded:
            raise broken("a payload that is not encoded must be detached")
        if not part:
            raise BadSeal("content.missing", "the payload is not in the message: it may be detached")
        return decode(part, "the payload")
    if part:
        raise broken("a detached signature has an empty part where its payload would be")
    return payload


def _candidates(header: dict[str, Any], algorithm: str, pinned: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """The pinned certificates that may have signed. A header can only narrow the choice; keys inside it are never used."""
    named = header.get("x5t#S256")
    found = tuple(certificate for certificate in pinned if named is None or thumbprint(certificate) == named)
    if not found:
        raise BadSeal("signer.unknown", "the signature names a certificate that is not pinned in bank_signing_certificates")
    usable = tuple(certificate for certificate in found if fits(algorithm, certificate))
    if not usable:
        raise BadSeal("algorithm.refused", f"{algorithm} does not go with the key of any pinned certificate")
    return usable


def _verifies(token: bytes, payload: bytes | None, algorithm: str, options: JwsOptions, certificate: Certificate) -> bool:
    """Whether joserfc finds that the key of this certificate made the signature."""
    try:
        from joserfc import errors, jws
        from joserfc.registry import HeaderParameter
    except ImportError:
        raise missing_library() from None
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)  # headers have been judged
    anything = HeaderParameter("understood by the profile", lambda _value: None)
    registry.header_registry |= dict.fromkeys(options.understood, anything)
    registry.max_header_length = HEADER_BYTES_MAX
    registry.max_payload_length = options.message_bytes_max
    registry.max_signature_length = SIGNATURE_BYTES_MAX
    try:
        read = jws.extract_compact(token, payload, registry)
        return jws.validate_compact(read, jose_key(certificate), registry=registry)
    except (errors.JoseError, ValueError):
        return False


def jose_key(certificate: Certificate) -> Any:
    """The public key of a certificate as joserfc has it."""
    from joserfc.jwk import ECKey, RSAKey

    pem = certificate.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return RSAKey.import_key(pem) if isinstance(certificate.public_key, rsa.RSAPublicKey) else ECKey.import_key(pem)
