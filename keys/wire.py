"""What XML signatures, JOSE and signed requests have in common: how a signature value is written, who may sign or have signed."""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from keys.algorithms import SignatureScheme
from keys.keyring import Certificate, OwnKey, PublicKey
from keys.seal import BadSeal, KeyUnavailable


def to_wire(scheme: SignatureScheme, key: PublicKey, signature: bytes) -> bytes:
    """A signature as XML and JOSE write it: ECDSA as r and s of fixed length, one after the other (XMLDSig 1.1, 6.4.3; RFC 7518,
    3.4), others as they are."""
    if scheme.family != "ecdsa" or not isinstance(key, ec.EllipticCurvePublicKey):
        return signature
    size = _field_bytes(key.curve)
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(signature))


def from_wire(scheme: SignatureScheme, key: PublicKey, signature: bytes) -> bytes | None:
    """The other way round; None where the length is not that of the key."""
    if scheme.family != "ecdsa" or not isinstance(key, ec.EllipticCurvePublicKey):
        return signature
    size = _field_bytes(key.curve)
    if len(signature) != 2 * size:
        return None
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))


def _field_bytes(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def signer_on(key: OwnKey, on: datetime) -> OwnKey:
    """The own signing key. Raises `KeyUnavailable` outside the validity of its certificate."""
    if problem := key.certificate.problem(on):
        raise KeyUnavailable(f"{problem}: the bank would refuse what is signed with it; renew it and agree it with the bank")
    return key


def check_validity(found: tuple[Certificate, ...], on: datetime) -> None:
    """Raises `BadSeal` ("signer.expired") unless one of the certificates whose key has signed is valid at that moment."""
    problems = [problem for certificate in found if (problem := certificate.problem(on))]
    if len(problems) == len(found):
        raise BadSeal("signer.expired", f"the signature holds, but {problems[0]}")
