"""What the profiles of both kinds of XML signature have in common: their words, and what those make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from keys import store
from keys.algorithms import scheme_named
from keys.keyring import Certificate, OwnKey
from keys.profile_base import Reference, Suffix, certificate_problems, key_problems, missing_certificate, passphrase_problem
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.trust_profile import TrustWords, authorities_used, trust_problems
from keys.xml_signature import Writing
from keys.xmldsig import XmlDsigOptions

SignatureName = Literal[
    "rsa-pkcs1-sha256",
    "rsa-pkcs1-sha384",
    "rsa-pkcs1-sha512",
    "rsa-pss-sha256",
    "rsa-pss-sha384",
    "rsa-pss-sha512",
    "ecdsa-sha256",
    "ecdsa-sha384",
    "ecdsa-sha512",
]

ElementPath = Annotated[str, Field(pattern=r"^([A-Za-z_][\w.\-]*(/[A-Za-z_][\w.\-]*)*)?$", max_length=512)]
"""Local names from below the root, joined by "/": "CstmrCdtTrfInitn/SplmtryData/Envlp". Empty: the root itself."""


class XmlProfile(TrustWords):
    """The words that "xmldsig" and "xades" share."""

    signing_key: Reference
    signing_key_passphrase: Reference | None = None
    signing_certificate: Reference | None = None  # absent: that of the key in the key store
    bank_signing_certificates: tuple[Reference, ...] = Field(min_length=1)  # pinned: nobody else's signature counts
    signature: SignatureName = "rsa-pkcs1-sha256"  # the digests of the references are the same
    canonicalization: Literal["exclusive", "inclusive"] = "exclusive"
    signature_path: ElementPath = ""  # the signature becomes the last child of this element, and is expected there
    signature_prefix: Annotated[str, Field(pattern=r"^([A-Za-z_][\w.\-]*)?$", max_length=32)] = "ds"  # "": a default namespace
    key_info: Literal["certificate", "issuer-serial", "none"] = "certificate"
    xml_declaration: bool = True
    suffix: Suffix = ""
    content_bytes_max: int = Field(default=4 * 1024**3, ge=1)  # of a document, in both directions

    @model_validator(mode="after")
    def _passphrase(self) -> "XmlProfile":
        if problem := passphrase_problem(self.signing_key, self.signing_key_passphrase):
            raise ValueError(f"signing_key_passphrase: {problem}")
        if problem := missing_certificate(self.signing_key, self.signing_certificate):
            raise ValueError(f"signing_certificate: {problem}")
        return self

    @property
    def named_certificate(self) -> str:
        """The reference the own certificate is found by."""
        return self.signing_certificate or self.signing_key


def options_of(profile: XmlProfile) -> XmlDsigOptions:
    """How such a profile signs and what it takes."""
    return XmlDsigOptions(
        writing=Writing(
            scheme=scheme_named(profile.signature),
            exclusive=profile.canonicalization == "exclusive",
            prefix=profile.signature_prefix,
            key_info=profile.key_info,
        ),
        path=tuple(profile.signature_path.split("/")) if profile.signature_path else (),
        with_declaration=profile.xml_declaration,
        content_bytes_max=profile.content_bytes_max,
    )


def keys_of(profile: XmlProfile, base: Directory) -> tuple[Callable[[], OwnKey], Callable[[], tuple[Certificate, ...]]]:
    """The own key and the pinned certificates, each read when first asked for and then kept."""
    signing = cache(lambda: store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base))
    pinned = cache(lambda: tuple(store.load_certificate(name, base) for name in profile.bank_signing_certificates))
    return signing, pinned


def uses(profile: XmlProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    yield "signing_certificate", profile.named_certificate
    for reference in profile.bank_signing_certificates:
        yield "bank_signing_certificates", reference
    yield from authorities_used(profile)


def problems(profile: XmlProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private key."""
    yield from certificate_problems(uses(profile), base, on)
    scheme = scheme_named(profile.signature)
    try:
        if not scheme.fits(store.load_certificate(profile.named_certificate, base).public_key):
            yield f"signature: {scheme} does not fit the kind of key in {profile.named_certificate}"
    except KeyUnavailable:
        pass  # said above
    yield from trust_problems(profile, uses(profile), base, on)
    if open_keys:
        yield from key_problems(
            "signing_key", profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base
        )
