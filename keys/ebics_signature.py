"""The electronic signature of EBICS orders (A005, A006): what moves money.

    A005  RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) with SHA-256 over the order data N(D)
    A006  RSASSA-PSS (RFC 8017, 8.1) with SHA-256, MGF1 with SHA-256 and a salt of 32 octets; the message that PSS signs is the
          SHA-256 of N(D), so that N(D) is hashed twice

N(D) is the order data D without carriage returns, line feeds and Ctrl-Z (0D, 0A, 1A), which are not signed (EBICS 3.0.2,
chapter 14, as implementers cite it). The digest alone is enough to sign and to verify. Signing a parked order (HVE) needs that:
the bank tells the digest and keeps the data.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from keys.algorithms import SignatureScheme
from keys.ebics_keys import RSA_BITS_MAX, RSA_BITS_MIN, SignatureVersion
from keys.keyring import PrivateKey
from keys.seal import BadSeal, KeyUnavailable

DIGEST_BYTES: Final = 32
_NOT_SIGNED: Final = b"\r\n\x1a"
_A005: Final = SignatureScheme("rsa-pkcs1", "sha256")
_A006: Final = SignatureScheme("rsa-pss", "sha256", DIGEST_BYTES)


def normalised(piece: bytes) -> bytes:
    """N(D) of a piece of D: N of the whole is the pieces' N, one after another."""
    return piece.translate(None, _NOT_SIGNED)


def order_digest(pieces: Iterable[bytes]) -> bytes:
    """SHA-256 of N(D), read piece by piece: the DataDigest of H005 and of HVD, and what an electronic signature is over."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(normalised(piece))
    return digest.digest()


def sign_order(version: SignatureVersion, key: PrivateKey, digest: bytes) -> bytes:
    """The electronic signature over order data with this `order_digest`. Raises `KeyUnavailable`.

    A006 is randomised: two signatures over the same data differ, and say nothing about whether two orders are the same.
    """
    public = key.public_key
    if not isinstance(public, rsa.RSAPublicKey) or not RSA_BITS_MIN <= public.key_size <= RSA_BITS_MAX:
        raise KeyUnavailable(f"{version} needs an RSA key of {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")
    if len(digest) != DIGEST_BYTES:
        raise ValueError("the digest of order data has 32 bytes")
    if version == "A005":
        return key.sign(_A005, digest, prehashed=True)
    return key.sign(_A006, digest)


def verify_order(version: str, public: rsa.RSAPublicKey, digest: bytes, signature: bytes) -> None:
    """Raises `BadSeal` unless `signature` is by this key over order data with this `order_digest`: "algorithm.refused" where the
    process is another, "signature.invalid"."""
    if version not in {"A005", "A006"}:
        raise BadSeal("algorithm.refused", f"the signature process {version[:8]!r} is not taken: A005 and A006 are")
    good = (
        _A005.verifies(public, signature, digest, prehashed=True)
        if version == "A005"
        else _A006.verifies(public, signature, digest)
    )
    if not good:
        raise BadSeal("signature.invalid", f"the electronic signature ({version}) is not by this key over this order data")
