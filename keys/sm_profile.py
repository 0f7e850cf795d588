"""The words of a `[seal]` table with `kind = "sm"`, and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from keys import sm, store
from keys.profile_base import Profile, Suffix
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.sm_envelope import SmContentEncryption, SmOpeningKeys, SmOptions, SmSeal, SmSealingKeys
from keys.sm_envelope_write import Syntax
from keys.sm_keys import SmIdentity, load_identity, own_key

Reference = Annotated[str, Field(pattern=r"^(file|env|credential):.", max_length=4096)]
"""As `keys.profile_base.Reference`, but not "store:" and "pkcs11:": the key store and tokens hold no keys of SM2."""

UserId = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]
"""The user id that goes into an SM2 signature. Where none was agreed: 1234567812345678."""


class SmDecryptionKey(Profile):
    """One `[[seal.decryption_keys]]`: a key that the bank may have encrypted for."""

    key: Reference
    passphrase: Reference
    certificate: Reference  # or the bare public key


class SmProfile(Profile):
    """`kind = "sm"`: signed, then encrypted, by SM2, SM3 and SM4. "Certificate" is also a bare public key of SM2."""

    kind: Literal["sm"]
    signing_key: Reference
    signing_key_passphrase: Reference
    signing_certificate: Reference
    bank_encryption_certificates: tuple[Reference, ...] = Field(min_length=1)  # every one that is valid becomes a recipient
    bank_signing_certificates: tuple[Reference, ...] = Field(min_length=1)  # pinned: nobody else's signature counts
    decryption_keys: tuple[SmDecryptionKey, ...] = Field(min_length=1)  # several during a rotation
    user_id: UserId = sm.DEFAULT_USER_ID.decode()  # under which we sign
    bank_user_id: UserId = sm.DEFAULT_USER_ID.decode()  # under which the bank signs
    content_encryption: SmContentEncryption = "sm4-cbc"
    syntax: Syntax = "cms"
    encoding: Literal["der", "pem"] = "der"
    suffix: Suffix = ".p7m"
    include_certificate: bool = True  # send the signing certificate along
    include_signing_time: bool = True
    signed_attributes: Literal["required", "optional"] = "required"  # of what the bank signs
    content_bytes_max: int = Field(default=4 * 1024**3, ge=1)  # of what the bank sends, unsealed

    @model_validator(mode="after")
    def _agrees(self) -> "SmProfile":
        if self.syntax == "gmt0010" and self.content_encryption == "sm4-gcm":
            raise ValueError('syntax: GM/T 0010 has no SM4-GCM; take syntax = "cms", or content_encryption = "sm4-cbc"')
        return self


def build(profile: SmProfile, base: Directory, clock: Callable[[], datetime]) -> SmSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    return SmSeal(
        options=SmOptions(
            content_encryption=profile.content_encryption,
            syntax=profile.syntax,
            user_id=profile.user_id.encode(),
            bank_user_id=profile.bank_user_id.encode(),
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


def uses(profile: SmProfile) -> Iterator[tuple[str, str]]:
    """The certificates of a profile that `keys.store` can read: none, for it does not know the curve. See `expiries`."""
    del profile
    return iter(())


def expiries(profile: SmProfile, base: Directory, on: datetime) -> Iterator[tuple[str, str, datetime]]:
    """Every certificate of a profile: what it is used for, its reference, and when it expires (aware, UTC). Bare public keys do
    not expire. Raises `KeyUnavailable`."""
    del on
    for use, reference in _identities(profile):
        if end := load_identity(reference, base).not_after:
            yield use, reference, end


def problems(profile: SmProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words.

    `open_keys`: also open the private keys and see that they belong to their certificates.
    """
    try:
        sm.library()
    except KeyUnavailable as problem:
        yield str(problem)
    loaded: dict[str, list[SmIdentity]] = {}
    for use, reference in _identities(profile):
        try:
            loaded.setdefault(use, []).append(load_identity(reference, base))
        except KeyUnavailable as problem:
            yield f"{use}: {problem}"
    for use, group in loaded.items():
        expired = [reason for one in group if (reason := one.problem(on))]
        if len(expired) == len(group):  # one that is valid is enough: the others are the overlap of a rotation
            yield from (f"{use}: {reason}" for reason in expired)
    if open_keys:
        yield from _key_problems(profile, base)


def _key_problems(profile: SmProfile, base: Directory) -> Iterator[str]:
    wanted = [("signing_key", profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase)]
    wanted += [("decryption_keys", entry.certificate, entry.key, entry.passphrase) for entry in profile.decryption_keys]
    for use, certificate, key, passphrase in wanted:
        try:
            own_key(certificate, key, passphrase, base).open()
        except KeyUnavailable as problem:
            yield f"{use}: {problem}"


def _identities(profile: SmProfile) -> Iterator[tuple[str, str]]:
    yield "signing_certificate", profile.signing_certificate
    yield from (("bank_encryption_certificates", reference) for reference in profile.bank_encryption_certificates)
    yield from (("bank_signing_certificates", reference) for reference in profile.bank_signing_certificates)
    yield from (("decryption_keys", entry.certificate) for entry in profile.decryption_keys)


def _sealing_keys(profile: SmProfile, base: Directory) -> SmSealingKeys:
    signing = own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base)
    return SmSealingKeys(signing, tuple(load_identity(reference, base) for reference in profile.bank_encryption_certificates))


def _opening_keys(profile: SmProfile, base: Directory) -> SmOpeningKeys:
    own = tuple(own_key(entry.certificate, entry.key, entry.passphrase, base) for entry in profile.decryption_keys)
    return SmOpeningKeys(own, tuple(load_identity(reference, base) for reference in profile.bank_signing_certificates))
