"""The words of a `[seal]` table with `kind = "cms"`, and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from keys import store
from keys.algorithms import ContentEncryption, KeyTransport, scheme_named
from keys.cms import CmsOptions, CmsSeal, Form
from keys.keyring import Certificate, OpeningKeys, SealingKeys
from keys.profile_base import (
    Profile,
    Reference,
    Suffix,
    certificate_problems,
    key_problems,
    missing_certificate,
    passphrase_problem,
)
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.trust import subject_named
from keys.trust_profile import TrustWords, authorities_used, trust_of, trust_problems

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

_SIGNED: Final[tuple[Form, ...]] = ("signed-enveloped", "signed", "detached")
_ENCRYPTED: Final[tuple[Form, ...]] = ("signed-enveloped", "enveloped")


def _subject(text: str) -> str:
    subject_named(text)
    return text


Subject = Annotated[str, AfterValidator(_subject)]


class DecryptionKey(Profile):
    """One `[[seal.decryption_keys]]`: a key that the bank may have encrypted for. One of the key store brings its certificate
    and stands for all its versions."""

    key: Reference
    passphrase: Reference | None = None
    certificate: Reference | None = None

    @model_validator(mode="after")
    def _whole(self) -> "DecryptionKey":
        if problem := passphrase_problem(self.key, self.passphrase):
            raise ValueError(f"passphrase: {problem}")
        if problem := missing_certificate(self.key, self.certificate):
            raise ValueError(f"certificate: {problem}")
        return self

    @property
    def named_certificate(self) -> str:
        """The reference its certificate is found by."""
        return self.certificate or self.key


class CmsProfile(TrustWords):
    """`kind = "cms"`: signed, then encrypted (RFC 5652), unless a weaker form is chosen."""

    kind: Literal["cms"]
    form: Form = "signed-enveloped"  # of what we send
    bank_form: Form | None = None  # of what the bank sends; absent: the same
    signing_key: Reference | None = Field(default=None, validate_default=True)
    signing_key_passphrase: Reference | None = None
    signing_certificate: Reference | None = None  # absent: that of the key in the key store
    bank_encryption_certificates: tuple[Reference, ...] = Field(default=(), validate_default=True)  # each valid one: a recipient
    bank_signing_certificates: tuple[Reference, ...] = Field(default=())  # pinned: nobody else's signature counts
    decryption_keys: tuple[DecryptionKey, ...] = Field(default=(), validate_default=True)  # several during a rotation
    bank_subjects: tuple[Subject, ...] = ()  # also taken unpinned, if issued below `chain`
    signature: SignatureName = "rsa-pkcs1-sha256"
    content_encryption: ContentEncryption = "aes-256-cbc"
    key_transport: KeyTransport = "rsa-pkcs1"  # towards RSA certificates; elliptic curves always use ECDH
    encoding: Literal["der", "pem"] = "der"
    suffix: Suffix = ".p7m"
    include_certificate: bool = True  # send the signing certificate along
    include_signing_time: bool = True
    signed_attributes: Literal["required", "optional"] = "required"  # of what the bank signs
    content_bytes_max: int = Field(default=4 * 1024**3, ge=1)  # of what the bank sends, unsealed

    @field_validator("signing_key", "bank_encryption_certificates", "decryption_keys")
    @classmethod
    def _needed(cls, value: Any, info: ValidationInfo) -> Any:
        """What the chosen forms need must be there, said beside its own name like every other mistake."""
        form = info.data.get("form")
        bank_form = info.data.get("bank_form") or form
        wanted = {
            "signing_key": form in _SIGNED,
            "bank_encryption_certificates": form in _ENCRYPTED,
            "decryption_keys": bank_form in _ENCRYPTED,
        }
        if not value and wanted[str(info.field_name)]:
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "CmsProfile":
        if problem := passphrase_problem(self.signing_key, self.signing_key_passphrase):
            raise ValueError(f"signing_key_passphrase: {problem}")
        if problem := missing_certificate(self.signing_key, self.signing_certificate):
            raise ValueError(f"signing_certificate: {problem}")
        if self.opens_as in _SIGNED and not self.bank_signing_certificates and not self.bank_subjects:
            raise ValueError("bank_signing_certificates: pin a certificate of the bank, or name bank_subjects")
        if self.bank_subjects and not self.chain:
            raise ValueError("chain: bank_subjects need the certificates of the authorities")
        if "detached" in (self.form, self.opens_as) and self.encoding != "der":
            raise ValueError("encoding: a detached signature is S/MIME text already; leave encoding out")
        return self

    @property
    def opens_as(self) -> Form:
        """The form of what the bank sends."""
        return self.bank_form or self.form

    @property
    def named_signing_certificate(self) -> str | None:
        """The reference the own certificate is found by."""
        return self.signing_certificate or self.signing_key


def build(profile: CmsProfile, base: Directory, clock: Callable[[], datetime]) -> CmsSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    return CmsSeal(
        options=CmsOptions(
            signature=scheme_named(profile.signature),
            form=profile.form,
            bank_form=profile.opens_as,
            content_encryption=profile.content_encryption,
            key_transport=profile.key_transport,
            encoding=profile.encoding,
            with_certificate=profile.include_certificate,
            with_signing_time=profile.include_signing_time,
            attributes_required=profile.signed_attributes == "required",
            content_bytes_max=profile.content_bytes_max,
        ),
        sealing=cache(lambda: _sealing_keys(profile, base, clock)),
        opening=cache(lambda: _opening_keys(profile, base, clock)),
        clock=clock,
        random_bytes=store.random_bytes,
        trust=lambda: trust_of(profile, base, profile.bank_subjects),
    )


def uses(profile: CmsProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    if profile.form in _SIGNED and profile.named_signing_certificate is not None:
        yield "signing_certificate", profile.named_signing_certificate
    if profile.form in _ENCRYPTED:
        yield from (("bank_encryption_certificates", reference) for reference in profile.bank_encryption_certificates)
    if profile.opens_as in _SIGNED:
        yield from (("bank_signing_certificates", reference) for reference in profile.bank_signing_certificates)
    if profile.opens_as in _ENCRYPTED:
        yield from (("decryption_keys", entry.named_certificate) for entry in profile.decryption_keys)
    yield from authorities_used(profile)


def problems(profile: CmsProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private keys."""
    yield from certificate_problems(uses(profile), base, on)
    scheme = scheme_named(profile.signature)
    for use, reference in uses(profile):
        if use != "signing_certificate":
            continue
        try:
            if not scheme.fits(store.load_certificate(reference, base).public_key):
                yield f"signature: {scheme} does not fit the kind of key in {reference}"
        except KeyUnavailable:
            continue  # reported among the certificates
    yield from trust_problems(profile, uses(profile), base, on, profile.bank_subjects)
    if open_keys:
        yield from _key_problems(profile, base)


def _key_problems(profile: CmsProfile, base: Directory) -> Iterator[str]:
    if profile.form in _SIGNED and profile.signing_key is not None:
        named = profile.named_signing_certificate
        yield from key_problems("signing_key", named, profile.signing_key, profile.signing_key_passphrase, base)
    if profile.opens_as in _ENCRYPTED:
        for entry in profile.decryption_keys:
            yield from key_problems("decryption_keys", entry.named_certificate, entry.key, entry.passphrase, base)


def _sealing_keys(profile: CmsProfile, base: Directory, clock: Callable[[], datetime]) -> SealingKeys:
    signing = None
    if profile.form in _SIGNED and profile.signing_key is not None:
        signing = store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base, clock)
    recipients: tuple[Certificate, ...] = ()
    if profile.form in _ENCRYPTED:
        recipients = tuple(store.load_certificate(reference, base) for reference in profile.bank_encryption_certificates)

    def doubt(certificate: Certificate, on: datetime) -> str | None:
        trust = trust_of(profile, base, profile.bank_subjects)
        finding = trust.finding(certificate, "encrypt", on) if trust is not None else None
        return None if finding is None else str(finding)

    return SealingKeys(signing, recipients, doubt)


def _opening_keys(profile: CmsProfile, base: Directory, clock: Callable[[], datetime]) -> OpeningKeys:
    entries = profile.decryption_keys if profile.opens_as in _ENCRYPTED else ()
    own = (store.own_keys(entry.certificate, entry.key, entry.passphrase, base, clock) for entry in entries)
    signers = profile.bank_signing_certificates if profile.opens_as in _SIGNED else ()
    return OpeningKeys(
        tuple(key for keys in own for key in keys), tuple(store.load_certificate(reference, base) for reference in signers)
    )
