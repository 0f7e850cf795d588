"""Which algorithms an XML signature may use, by the URIs that name them, and the refusals of the others by name.

Sources: XML Signature Syntax and Processing 1.1 (W3C 2013-04-11), 6; RFC 9231 (further URIs), 2.3.10 for RSASSA-PSS with its
parameters fixed by the URI; Canonical XML 1.0 (RFC 3076); Exclusive XML Canonicalization 1.0 (RFC 3741).
"""

from typing import Final

from keys.algorithms import Digest, SignatureScheme
from keys.seal import BadSeal

INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
SIGNED_PROPERTIES: Final = "http://uri.etsi.org/01903#SignedProperties"

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MGF1 = "http://www.w3.org/2007/05/xmldsig-more#"

DIGESTS: Final[dict[str, Digest]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    f"{_MORE}sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
URI_OF_DIGEST: Final[dict[Digest, str]] = {name: uri for uri, name in DIGESTS.items()}

_HASHES: tuple[Digest, ...] = ("sha256", "sha384", "sha512")
SIGNATURES: Final[dict[str, SignatureScheme]] = {
    **{f"{_MORE}rsa-{digest}": SignatureScheme("rsa-pkcs1", digest) for digest in _HASHES},
    **{f"{_MGF1}{digest}-rsa-MGF1": SignatureScheme("rsa-pss", digest) for digest in _HASHES},
    **{f"{_MORE}ecdsa-{digest}": SignatureScheme("ecdsa", digest) for digest in _HASHES},
}
URI_OF_SIGNATURE: Final[dict[SignatureScheme, str]] = {scheme: uri for uri, scheme in SIGNATURES.items()}

_WEAK = (
    ("hmac", "a shared secret (HMAC)"),
    ("md5", "MD5"),
    ("sha1", "SHA-1"),
    ("sha224", "SHA-224"),
    ("ripemd160", "RIPEMD-160"),
    ("dsa-", "DSA"),
    ("withcomments", "canonicalisation with comments"),
    ("xml-c14n11", "Canonical XML 1.1"),
    ("xmldsig#base64", "the base64 transform"),
    ("xslt", "the XSLT transform"),
    ("xpath", "the XPath transform"),
    ("xmldsig-filter2", "the XPath filter"),
)


def refused(uri: str | None, purpose: str) -> BadSeal:
    """The error for an algorithm that is known as weak, or not known: by name, with the way out."""
    lowered = (uri or "").lower()
    name = next((name for word, name in _WEAK if word in lowered.replace("ecdsa-", "")), None)
    return BadSeal(
        "algorithm.refused",
        f"{name or 'an unknown algorithm'} is not accepted for {purpose}: see the algorithms in keys/README.md",
    )


def signature_scheme(uri: str | None) -> SignatureScheme:
    """The scheme of a SignatureMethod. Raises `BadSeal` ("algorithm.refused")."""
    if uri not in SIGNATURES:
        raise refused(uri, "signatures")
    return SIGNATURES[uri]


def digest_named(uri: str | None) -> Digest:
    """The digest of a DigestMethod. Raises `BadSeal` ("algorithm.refused")."""
    if uri not in DIGESTS:
        raise refused(uri, "digests")
    return DIGESTS[uri]
