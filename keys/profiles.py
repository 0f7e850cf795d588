"""The `[seal]` table of a connection file: its words, and the seal they make.

Paths are references (`keys.secrets`), relative to the directory of the configuration. Nothing is opened when a seal is built:
certificates and keys are read when they are first used, so that a process which must not hold private keys never does.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from keys import store
from keys.algorithms import ContentEncryption, KeyTransport, scheme_named
from keys.cms import CmsOptions, CmsSeal
from keys.keyring import Certificate, OpeningKeys, SealingKeys
from keys.plain import PlainSeal
from keys.seal import KeyUnavailable, Seal
from keys.secrets import Directory

Reference = Annotated[str, Field(pattern=r"^(file|env|pkcs11):.", max_length=4096)]
"""Where something secret or shared is found: "file:PATH", "env:NAME"."""

Suffix = Annotated[str, Field(pattern=r"^(\.[A-Za-z0-9]{1,10}){0,2}$")]

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


class _Profile(BaseModel):
    """Unknown words are mistakes, and a profile does not change. What was written is not repeated in errors: it may be a secret
    in the place of its reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PlainProfile(_Profile):
    """`kind = "plain"`: files go and come as they are."""

    kind: Literal["plain"] = "plain"
    suffix: Suffix = ""


class DecryptionKey(_Profile):
    """One `[[seal.decryption_keys]]`: a key that the bank may have encrypted for."""

    key: Reference
    passphrase: Reference
    certificate: Reference


class CmsProfile(_Profile):
    """`kind = "cms"`: signed, then encrypted (RFC 5652)."""

    kind: Literal["cms"]
    signing_key: Reference
    signing_key_passphrase: Reference
    signing_certificate: Reference
    bank_encryption_certificates: tuple[Reference, ...] = Field(min_length=1)  # every one that is valid becomes a recipient
    bank_signing_certificates: tuple[Reference, ...] = Field(min_length=1)  # pinned: nobody else's signature counts
    decryption_keys: tuple[DecryptionKey, ...] = Field(min_length=1)  # several during a rotation
    signature: SignatureName = "rsa-pkcs1-sha256"
    content_encryption: ContentEncryption = "aes-256-cbc"
    key_transport: KeyTransport = "rsa-pkcs1"  # towards RSA certificates; elliptic curves always use ECDH
    encoding: Literal["der", "pem"] = "der"
    suffix: Suffix = ".p7m"
    include_certificate: bool = True  # send the signing certificate along
    include_signing_time: bool = True
    signed_attributes: Literal["required", "optional"] = "required"  # of what the bank signs
    content_bytes_max: int = Field(default=4 * 1024**3, ge=1)  # of what the bank sends, unsealed


SealProfile = Annotated[PlainProfile | CmsProfile, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[PlainProfile | CmsProfile] = TypeAdapter(SealProfile, config=ConfigDict(hide_input_in_errors=True))


def parse_profile(table: Mapping[str, Any]) -> PlainProfile | CmsProfile:
    """Checks a `[seal]` table. Raises `pydantic.ValidationError` that names every wrong key."""
    return _ADAPTER.validate_python(dict(table))


def build_seal(profile: PlainProfile | CmsProfile, base: Directory, clock: Callable[[], datetime]) -> Seal:
    """The seal of a profile. `base` is where relative references start; `clock` gives the aware moment at which keys are judged.

    Opens nothing yet and so never fails; the seal raises `KeyUnavailable` when it is used. Keys are read once: after a rotation,
    build anew.
    """
    if isinstance(profile, PlainProfile):
        return PlainSeal()
    return CmsSeal(
        options=CmsOptions(
            signature=scheme_named(profile.signature),
            content_encryption=profile.content_encryption,
            key_transport=profile.key_transport,
            encoding=profile.encoding,
            with_certificate=profile.include_certificate,
            with_signing_time=profile.include_signing_time,
            attributes_required=profile.signed_attributes == "required",
            content_bytes_max=profile.content_bytes_max,
        ),
        sealing=cache(lambda: _sealing_keys(profile, base)),
        opening=cache(lambda: _opening_keys(profile, base)),
        clock=clock,
        random_bytes=store.random_bytes,
    )


def profile_file_suffix(profile: PlainProfile | CmsProfile) -> str:
    """What a sealed file's name gets appended: ".p7m", or nothing."""
    return profile.suffix


def certificates(profile: PlainProfile | CmsProfile, base: Directory) -> list[tuple[str, datetime]]:
    """Every certificate of a profile with the moment it expires (aware, UTC), for the metric of days left; see
    `keys.keyring.days_left`. Reads certificates only, never a private key. Raises `KeyUnavailable`."""
    return [(reference, store.load_certificate(reference, base).not_after) for _, reference in uses(profile)]


def uses(profile: PlainProfile | CmsProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    if isinstance(profile, CmsProfile):
        yield "signing_certificate", profile.signing_certificate
        for reference in profile.bank_encryption_certificates:
            yield "bank_encryption_certificates", reference
        for reference in profile.bank_signing_certificates:
            yield "bank_signing_certificates", reference
        for entry in profile.decryption_keys:
            yield "decryption_keys", entry.certificate


def check(profile: PlainProfile | CmsProfile, base: Directory, on: datetime, *, open_keys: bool) -> tuple[str, ...]:
    """What would keep this profile from working at that moment, all of it, in words; empty if nothing would.

    `open_keys`: also open the private keys and see that they belong to their certificates.
    """
    if isinstance(profile, PlainProfile):
        return ()
    problems: list[str] = []
    loaded: dict[str, list[Certificate]] = {}
    for use, reference in uses(profile):
        try:
            loaded.setdefault(use, []).append(store.load_certificate(reference, base))
        except KeyUnavailable as problem:
            problems.append(f"{use}: {problem}")
    for use, group in loaded.items():
        expired = [reason for certificate in group if (reason := certificate.problem(on))]
        if len(expired) == len(group):  # one that is valid is enough: the others are the overlap of a rotation
            problems.extend(f"{use}: {reason}" for reason in expired)
    scheme = scheme_named(profile.signature)
    problems.extend(
        f"signature: {scheme} does not fit the kind of key in {certificate.name}"
        for certificate in loaded.get("signing_certificate", ())
        if not scheme.fits(certificate.public_key)
    )
    if open_keys:
        problems.extend(_key_problems(profile, base))
    return tuple(problems)


def _key_problems(profile: CmsProfile, base: Directory) -> Iterator[str]:
    wanted = [("signing_key", profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase)]
    wanted += [("decryption_keys", entry.certificate, entry.key, entry.passphrase) for entry in profile.decryption_keys]
    for use, certificate, key, passphrase in wanted:
        try:
            private = store.load_private_key(key, passphrase, base)
        except KeyUnavailable as problem:
            yield f"{use}: {problem}"
            continue
        try:
            if private.public_key != store.load_certificate(certificate, base).public_key:
                yield f"{use}: {key}: this private key does not belong to the certificate {certificate}"
        except KeyUnavailable:
            continue  # the certificate has been reported on its own


def _sealing_keys(profile: CmsProfile, base: Directory) -> SealingKeys:
    signing = store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base)
    return SealingKeys(
        signing, tuple(store.load_certificate(reference, base) for reference in profile.bank_encryption_certificates)
    )


def _opening_keys(profile: CmsProfile, base: Directory) -> OpeningKeys:
    own = tuple(store.own_key(entry.certificate, entry.key, entry.passphrase, base) for entry in profile.decryption_keys)
    return OpeningKeys(own, tuple(store.load_certificate(reference, base) for reference in profile.bank_signing_certificates))
