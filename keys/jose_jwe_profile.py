"""The words of a `[seal]` table with `kind = "jwe"`, and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from keys import jose_jws_profile, store
from keys.cms_profile import DecryptionKey
from keys.jose_jwe import JweOptions, JweSeal
from keys.jose_jws_profile import JwsProfile
from keys.keyring import OpeningKeys, OwnKey
from keys.profile_base import Profile, Reference, Suffix, certificate_problems, key_problems
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.trust_profile import trust_of, trust_problems


class JweProfile(Profile):
    """`kind = "jwe"`: signed, then encrypted (RFC 7516 around RFC 7515). The words of what is inside stand in `[seal.signed]`."""

    kind: Literal["jwe"]
    signed: JwsProfile | Literal["nothing"]  # "nothing": encrypted only, which proves nothing about who wrote it
    bank_encryption_certificates: tuple[Reference, ...] = Field(min_length=1)  # the first that is valid is the recipient
    decryption_keys: tuple[DecryptionKey, ...] = Field(min_length=1)  # several during a rotation
    key_id: Annotated[str, Field(min_length=1, max_length=500)] | None = None  # kid of the bank's key
    with_thumbprint: bool = False  # x5t#S256 of the bank's certificate
    suffix: Suffix = ""
    content_bytes_max: int = Field(default=16 * 1024**2, ge=1, le=256 * 1024**2)

    @model_validator(mode="after")
    def _compact(self) -> "JweProfile":
        if isinstance(self.signed, JwsProfile) and (self.signed.form != "compact" or self.signed.suffix):
            raise ValueError("signed: what is encrypted is a compact signature without a suffix of its own")
        return self


def build(
    profile: JweProfile, base: Directory, clock: Callable[[], datetime], random_bytes: Callable[[int], bytes] = store.random_bytes
) -> JweSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    inside = profile.signed if isinstance(profile.signed, JwsProfile) else None
    return JweSeal(
        options=JweOptions(
            signed=jose_jws_profile.options_of(inside) if inside else None,
            key_id=profile.key_id,
            with_thumbprint=profile.with_thumbprint,
            content_bytes_max=profile.content_bytes_max,
        ),
        signing=cache(lambda: _signing(inside, base)),
        recipients=cache(lambda: jose_jws_profile.pinned(profile.bank_encryption_certificates, base)),
        opening=cache(lambda: _opening(profile, inside, base)),
        clock=clock,
        random_bytes=random_bytes,
        trust=lambda: trust_of(inside, base) if inside else None,
    )


def _signing(inside: JwsProfile | None, base: Directory) -> OwnKey:
    if inside is None:
        raise KeyUnavailable("this profile has no signing key")
    return store.own_key(inside.signing_certificate, inside.signing_key, inside.signing_key_passphrase, base)


def _opening(profile: JweProfile, inside: JwsProfile | None, base: Directory) -> OpeningKeys:
    own = tuple(
        key for entry in profile.decryption_keys for key in store.own_keys(entry.certificate, entry.key, entry.passphrase, base)
    )
    signers = jose_jws_profile.pinned(inside.bank_signing_certificates, base) if inside else ()
    return OpeningKeys(own, signers)


def uses(profile: JweProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    if isinstance(profile.signed, JwsProfile):
        yield from jose_jws_profile.uses(profile.signed)
    for reference in profile.bank_encryption_certificates:
        yield "bank_encryption_certificates", reference
    for entry in profile.decryption_keys:
        yield "decryption_keys", entry.named_certificate


def problems(profile: JweProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private keys."""
    inside = profile.signed if isinstance(profile.signed, JwsProfile) else None
    said = list(jose_jws_profile.problems(inside, base, on, open_keys)) if inside else []
    yield from said
    known = set(jose_jws_profile.uses(inside)) if inside else set()
    outside = [use for use in uses(profile) if use not in known]
    yield from certificate_problems(outside, base, on)
    if inside:
        yield from (problem for problem in trust_problems(inside, outside, base, on) if problem not in said)
    if open_keys:
        for entry in profile.decryption_keys:
            yield from key_problems("decryption_keys", entry.certificate, entry.key, entry.passphrase, base)
