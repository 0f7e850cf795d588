"""Which algorithms a CMS message may use, and the operations with them. Names are those of a seal profile.

Sources: RFC 5652 (CMS), RFC 5754 (SHA-2 in CMS), RFC 4056 (RSASSA-PSS in CMS), RFC 5753 (elliptic curves in CMS), RFC 3560
(RSAES-OAEP in CMS), RFC 5084 (AES-GCM in CMS), RFC 3565 (AES-CBC in CMS).
"""

from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from keys import der
from keys.der import Node
from keys.seal import BadSeal

Digest = Literal["sha256", "sha384", "sha512"]
Family = Literal["rsa-pkcs1", "rsa-pss", "ecdsa"]
KeyTransport = Literal["rsa-pkcs1", "rsa-oaep-sha256"]
ContentEncryption = Literal["aes-256-cbc", "aes-256-gcm"]

RSA_BITS_MIN = 2048

HASHES: Final[dict[Digest, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
DIGEST_OIDS: Final[dict[str, Digest]] = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
OID_OF_DIGEST: Final[dict[Digest, str]] = {name: dotted for dotted, name in DIGEST_OIDS.items()}

OAEP_SHA256: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
"""RSAES-OAEP with SHA-256 throughout and no label."""

RSA_ENCRYPTION: Final = "1.2.840.113549.1.1.1"
RSA_OAEP: Final = "1.2.840.113549.1.1.7"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
MGF1: Final = "1.2.840.113549.1.1.8"
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
_RSA_WITH: Final[dict[str, Digest]] = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_ECDSA_WITH: Final[dict[str, Digest]] = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
_REFUSED: Final[dict[str, str]] = {
    "1.2.840.113549.2.5": "MD5",
    "1.2.840.113549.1.1.4": "MD5 with RSA",
    "1.3.14.3.2.26": "SHA-1",
    "1.2.840.113549.1.1.5": "SHA-1 with RSA",
    "1.2.840.10045.4.1": "SHA-1 with ECDSA",
    "1.2.840.10040.4.3": "SHA-1 with DSA",
    "2.16.840.1.101.3.4.2.4": "SHA-224",
    "1.2.840.113549.1.1.14": "SHA-224 with RSA",
    "1.2.840.10045.4.3.1": "SHA-224 with ECDSA",
    "1.2.840.113549.3.7": "triple DES",
    "1.3.14.3.2.7": "DES",
    "1.2.840.113549.3.2": "RC2",
    "1.2.840.113549.3.4": "RC4",
}


def refused(dotted: str, purpose: str) -> BadSeal:
    """The error for an algorithm that is known as weak, or not known: by name, with the way out."""
    name = _REFUSED.get(dotted, f"algorithm {dotted}")
    return BadSeal("algorithm.refused", f"{name} is not accepted for {purpose}: see the algorithms in keys/README.md")


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How a signature is made: `str()` is its name in a profile ("rsa-pkcs1-sha256")."""

    family: Family
    digest: Digest
    salt_bytes: int | None = None  # of RSASSA-PSS, as read; None when writing: as long as the digest

    def __str__(self) -> str:
        return f"{self.family}-{self.digest}"

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return HASHES[self.digest]()

    @property
    def pss(self) -> padding.PSS:
        salt = self.hash.digest_size if self.salt_bytes is None else self.salt_bytes
        return padding.PSS(padding.MGF1(self.hash), salt)

    def fits(self, key: PublicKeyTypes) -> bool:
        """Whether a key of this kind can sign so."""
        return isinstance(key, ec.EllipticCurvePublicKey if self.family == "ecdsa" else rsa.RSAPublicKey)

    def encode(self) -> bytes:
        """The signatureAlgorithm of a SignerInfo. RSA with PKCS #1 v1.5 is said as rsaEncryption, which every reader must know
        (RFC 5754, 3.2)."""
        if self.family == "rsa-pkcs1":
            return der.algorithm(RSA_ENCRYPTION)
        if self.family == "ecdsa":
            dotted = next(dotted for dotted, digest in _ECDSA_WITH.items() if digest == self.digest)
            return der.sequence(der.oid(dotted))  # parameters are absent (RFC 5754, 3.3)
        digest = der.algorithm(OID_OF_DIGEST[self.digest])
        return der.algorithm(
            RSA_PSS,
            der.sequence(
                der.tlv(0xA0, digest),
                der.tlv(0xA1, der.algorithm(MGF1, digest)),
                der.tlv(0xA2, der.integer(self.hash.digest_size)),
            ),
        )

    def verifies(self, key: PublicKeyTypes, signature: bytes, data: bytes, *, prehashed: bool = False) -> bool:
        """Whether `signature` over `data` is by this key. False too where the key is of another kind.

        `prehashed`: `data` is the digest already.
        """
        digest = Prehashed(self.hash) if prehashed else self.hash
        try:
            if isinstance(key, rsa.RSAPublicKey) and self.family == "rsa-pkcs1":
                key.verify(signature, data, padding.PKCS1v15(), digest)
            elif isinstance(key, rsa.RSAPublicKey) and self.family == "rsa-pss":
                key.verify(signature, data, self.pss, digest)
            elif isinstance(key, ec.EllipticCurvePublicKey) and self.family == "ecdsa":
                key.verify(signature, data, ec.ECDSA(digest))
            else:
                return False
        except (InvalidSignature, ValueError):
            return False
        return True


def digest_of(identifier: Node) -> Digest:
    """The digest an AlgorithmIdentifier names. Raises `BadSeal` ("algorithm.refused", "structure")."""
    dotted = dotted_of(identifier)
    if dotted not in DIGEST_OIDS:
        raise refused(dotted, "signatures")
    no_parameters(identifier)
    return DIGEST_OIDS[dotted]


def dotted_of(identifier: Node) -> str:
    """The OID of an AlgorithmIdentifier."""
    parts = identifier.expect(der.SEQUENCE, "an algorithm").children()
    if not 1 <= len(parts) <= 2:
        raise der.broken("an algorithm is malformed")
    return parts[0].as_oid()


def no_parameters(identifier: Node) -> None:
    """Parameters must be absent or NULL (RFC 5754, 2). Raises `BadSeal`."""
    if any(part.raw != der.NULL for part in identifier.children()[1:]):
        raise der.broken("an algorithm has parameters that it does not take")


def signature_scheme(identifier: Node, digest: Digest) -> SignatureScheme:
    """The scheme a SignerInfo names beside its digest. Both must agree. Raises `BadSeal`."""
    dotted = dotted_of(identifier)
    if dotted == RSA_PSS:
        return _pss_scheme(identifier, digest)
    no_parameters(identifier)
    if dotted == RSA_ENCRYPTION:
        return SignatureScheme("rsa-pkcs1", digest)
    tables: tuple[tuple[Family, dict[str, Digest]], ...] = (("rsa-pkcs1", _RSA_WITH), ("ecdsa", _ECDSA_WITH))
    for family, table in tables:
        if dotted in table:
            if table[dotted] != digest:
                raise BadSeal("algorithm.refused", "the digest and the signature algorithm of the signer contradict each other")
            return SignatureScheme(family, digest)
    raise refused(dotted, "signatures")


def _pss_scheme(identifier: Node, digest: Digest) -> SignatureScheme:
    """RSASSA-PSS-params (RFC 4055, 3.1). One hash throughout; absent values mean SHA-1 there, which is refused."""
    parts = identifier.children()
    fields = {node.tag: node.children()[0] for node in parts[1].children() if node.content} if len(parts) == 2 else {}
    if 0xA0 not in fields or 0xA1 not in fields:
        raise BadSeal("algorithm.refused", "SHA-1 (the default of RSASSA-PSS) is not accepted for signatures")
    mask = fields[0xA1].children()
    if digest_of(fields[0xA0]) != digest or len(mask) != 2 or mask[0].as_oid() != MGF1 or digest_of(mask[1]) != digest:
        raise BadSeal("algorithm.refused", "RSASSA-PSS is accepted with one and the same hash throughout only")
    salt = fields[0xA2].as_integer() if 0xA2 in fields else 20
    trailer = fields[0xA3].as_integer() if 0xA3 in fields else 1
    if not 0 <= salt <= 512 or trailer != 1 or not fields.keys() <= {0xA0, 0xA1, 0xA2, 0xA3}:
        raise der.broken("the parameters of RSASSA-PSS are malformed")
    return SignatureScheme("rsa-pss", digest, salt)


def scheme_named(name: str) -> SignatureScheme:
    """The scheme of a profile's word. Raises `ValueError` on a word that profiles do not allow."""
    families: tuple[Family, ...] = ("rsa-pkcs1", "rsa-pss", "ecdsa")
    for family in families:
        for digest in HASHES:
            if name == f"{family}-{digest}":
                return SignatureScheme(family, digest)
    raise ValueError(f"there is no signature scheme {name!r}")
