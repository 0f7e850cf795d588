"""The words of a `[seal]` table with `kind = "cmb_cloud"` (CMB 云直联), and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from keys import secrets, sm
from keys.cmb_cloud import CmbCloudKeys, CmbCloudSeal, padded
from keys.profile_base import Profile
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.sm import Sm4Key
from keys.sm_keys import load_identity, load_private_key
from keys.sm_profile import Reference

User = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,16}$")]


class CmbCloudProfile(Profile):
    """`kind = "cmb_cloud"`: JSON signed by SM2, encrypted by SM4-CBC."""

    kind: Literal["cmb_cloud"]
    uid: User  # the login user (UID), as in the bank's settings
    signing_key: Reference  # our private key of SM2: encrypted PKCS#8 PEM
    signing_key_passphrase: Reference
    user_key: Reference  # the 16 characters that the bank gives each user (SM4)
    bank_signing_certificates: tuple[Reference, ...] = Field(min_length=1)  # or public keys: pinned; several around a change
    bank_uid: User | None = None  # under which the bank signs; None: the same login user


def build(profile: CmbCloudProfile, base: Directory, clock: Callable[[], datetime]) -> CmbCloudSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""

    @cache
    def keys() -> CmbCloudKeys:
        return CmbCloudKeys(
            user_id=padded(profile.uid),
            bank_user_id=padded(profile.bank_uid or profile.uid),
            signing=load_private_key(profile.signing_key, profile.signing_key_passphrase, base),
            bank=tuple(load_identity(reference, base) for reference in profile.bank_signing_certificates),
            secret=_user_key(profile, base),
        )

    return CmbCloudSeal(keys, clock)


def uses(profile: CmbCloudProfile) -> Iterator[tuple[str, str]]:
    """None: `keys.store` does not know the curve. See `expiries`."""
    del profile
    return iter(())


def expiries(profile: CmbCloudProfile, base: Directory, on: datetime) -> Iterator[tuple[str, str, datetime]]:
    """Every certificate of the bank with its end; bare public keys have none. Raises `KeyUnavailable`."""
    del on
    for reference in profile.bank_signing_certificates:
        if end := load_identity(reference, base).not_after:
            yield "bank_signing_certificates", reference, end


def problems(profile: CmbCloudProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open what is secret."""
    try:
        sm.library()
    except KeyUnavailable as problem:
        yield str(problem)
    for reference in profile.bank_signing_certificates:
        try:
            if reason := load_identity(reference, base).problem(on):
                yield f"bank_signing_certificates: {reason}"
        except KeyUnavailable as problem:
            yield f"bank_signing_certificates: {problem}"
    if not open_keys:
        return
    try:
        load_private_key(profile.signing_key, profile.signing_key_passphrase, base)
    except KeyUnavailable as problem:
        yield f"signing_key: {problem}"
    try:
        _user_key(profile, base)
    except KeyUnavailable as problem:
        yield f"user_key: {problem}"


def _user_key(profile: CmbCloudProfile, base: Directory) -> Sm4Key:
    """Raises `KeyUnavailable`."""
    try:
        return Sm4Key(secrets.passphrase(profile.user_key, base))
    except ValueError:
        raise KeyUnavailable(f"{profile.user_key}: the user key of CMB 云直联 has 16 characters") from None
