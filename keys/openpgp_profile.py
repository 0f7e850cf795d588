"""The words of a `[seal]` table with `kind = "openpgp"`, and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from keys import secrets
from keys.openpgp import (
    Cipher,
    Compression,
    Digest,
    OpeningFiles,
    OpenPgpOptions,
    OpenPgpSeal,
    OwnKeyFile,
    SealingFiles,
    keys_of,
    passphrase_problem,
)
from keys.openpgp_packets import FoundKey, keys_in, own_keys_in, packets_of
from keys.openpgp_program import home
from keys.openpgp_status import Listed, last_moment, usable
from keys.profile_base import Profile, Suffix
from keys.seal import KeyUnavailable
from keys.secrets import Directory


def _bare(value: object) -> object:
    """As gpg prints them, fingerprints have spaces."""
    return "".join(value.split()).upper() if isinstance(value, str) else value


Reference = Annotated[str, Field(pattern=r"^(file|env|credential):.", max_length=4096)]
"""As `keys.profile_base.Reference`, but not "store:" and "pkcs11:": the key store and tokens hold no OpenPGP keys."""

Fingerprint = Annotated[str, BeforeValidator(_bare), Field(pattern=r"^[0-9A-F]{40}$")]
"""Of a version 4 key, 40 hexadecimal digits. Of a primary key: it and its subkeys; of a subkey: that one alone."""


class OpenPgpKey(Profile):
    """One `[[seal.decryption_keys]]`: a private key that the bank may have encrypted for."""

    key: Reference
    passphrase: Reference


class OpenPgpProfile(Profile):
    """`kind = "openpgp"`: signed and encrypted (RFC 4880)."""

    kind: Literal["openpgp"]
    signing_key: Reference  # as gpg --export-secret-keys writes it, encrypted by its passphrase
    signing_key_passphrase: Reference
    signing_fingerprint: Fingerprint
    bank_keys: tuple[Reference, ...] = Field(min_length=1)  # as gpg --export writes them; in use is only what is pinned below
    bank_encryption_fingerprints: tuple[Fingerprint, ...] = Field(min_length=1)  # every one that is valid becomes a recipient
    bank_signing_fingerprints: tuple[Fingerprint, ...] = Field(min_length=1)  # nobody else's signature counts
    decryption_keys: tuple[OpenPgpKey, ...] = Field(min_length=1)  # several during a rotation
    encoding: Literal["binary", "armour"] = "binary"
    compression: Compression = "zlib"
    cipher: Cipher = "aes-256"
    digest: Digest = "sha512"
    text_signatures: bool = False  # also take signatures over text, which do not cover line endings
    suffix: Suffix = ".pgp"
    content_bytes_max: int = Field(default=4 * 1024**3, ge=1)  # of what the bank sends, unsealed


def build(profile: OpenPgpProfile, base: Directory, clock: Callable[[], datetime]) -> OpenPgpSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    return OpenPgpSeal(
        options=OpenPgpOptions(
            armour=profile.encoding == "armour",
            compression=profile.compression,
            cipher=profile.cipher,
            digest=profile.digest,
            text_signatures=profile.text_signatures,
            content_bytes_max=profile.content_bytes_max,
        ),
        sealing=cache(lambda: _sealing_files(profile, base)),
        opening=cache(lambda: _opening_files(profile, base)),
        clock=clock,
    )


def uses(profile: OpenPgpProfile) -> Iterator[tuple[str, str]]:
    """The certificates of a profile: none. OpenPGP keys are no certificates; `expiries` says how long they last."""
    del profile
    return iter(())


def expiries(profile: OpenPgpProfile, base: Directory, on: datetime) -> Iterator[tuple[str, str, datetime]]:
    """Every pinned key with an end: what it is used for (the profile's word), its fingerprint, and when it expires (aware, UTC).

    Reads public parts only and opens no private key. Raises `KeyUnavailable`.
    """
    keys = _listing(profile, base, on)
    for use, purpose, pin in _pins(profile):
        if end := last_moment(pin, purpose, keys):
            yield use, pin, end


def problems(profile: OpenPgpProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words.

    `open_keys`: also open the private keys and try them.
    """
    try:
        keys = _listing(profile, base, on)
        files = [*_private_files(profile, base)] if open_keys else []
    except KeyUnavailable as problem:
        yield str(problem)
        return
    judgements: dict[str, list[str | None]] = {}
    for use, purpose, pin in _pins(profile):
        try:
            judgements.setdefault(use, []).append(usable(pin, purpose, keys, on)[1])
        except KeyUnavailable as problem:
            yield f"{use}: {problem}"
    for use, judged in judgements.items():
        if None not in judged:  # one that may be used is enough: the others are the overlap of a rotation
            yield from (f"{use}: {problem}" for problem in judged)
    for file in files:
        with home(file.content, on) as gpg:
            if problem_of_file := passphrase_problem(gpg, file, on):
                yield problem_of_file


def _pins(profile: OpenPgpProfile) -> Iterator[tuple[str, str, str]]:
    """The profile's word, what the key is for, and its fingerprint."""
    yield "signing_fingerprint", "signing", profile.signing_fingerprint
    yield from (("bank_encryption_fingerprints", "encryption", pin) for pin in profile.bank_encryption_fingerprints)
    yield from (("bank_signing_fingerprints", "signing", pin) for pin in profile.bank_signing_fingerprints)


def _listing(profile: OpenPgpProfile, base: Directory, on: datetime) -> tuple[Listed, ...]:
    """Every key of the profile's files, as gpg sees it."""
    own = secrets.resolve(profile.signing_key, base, private=True)
    own_keys_in(profile.signing_key, own)
    with home(packets_of(own) + _bank_keys(profile, base), on) as gpg:
        return keys_of(gpg)


def _bank_keys(profile: OpenPgpProfile, base: Directory) -> bytes:
    """Their packets. Raises `KeyUnavailable` also where a private key stands where the bank's public one belongs."""
    packets = b""
    for reference in profile.bank_keys:
        content = secrets.resolve(reference, base)
        if any(key.secret for key in keys_in(reference, content)):
            raise KeyUnavailable(f"{reference}: a private key is in it; the bank's public key belongs there")
        packets += packets_of(content)
    return packets


def _private_file(reference: str, passphrase: str, base: Directory) -> tuple[OwnKeyFile, tuple[FoundKey, ...]]:
    content = secrets.resolve(reference, base, private=True)
    found = own_keys_in(reference, content)
    word = secrets.passphrase(passphrase, base)
    if b"\n" in word:
        raise KeyUnavailable(f"{passphrase}: a passphrase for gpg is one line")
    return OwnKeyFile(reference, packets_of(content), frozenset(key.key_id for key in found if key.secret), word), found


def _private_files(profile: OpenPgpProfile, base: Directory) -> Iterator[OwnKeyFile]:
    wanted = {(profile.signing_key, profile.signing_key_passphrase): None}
    wanted |= {(entry.key, entry.passphrase): None for entry in profile.decryption_keys}
    return (_private_file(key, passphrase, base)[0] for key, passphrase in wanted)


def _sealing_files(profile: OpenPgpProfile, base: Directory) -> SealingFiles:
    own, found = _private_file(profile.signing_key, profile.signing_key_passphrase, base)
    pin = profile.signing_fingerprint
    if not any(key.secret and pin in {key.fingerprint, key.primary} for key in found):
        raise KeyUnavailable(f"{profile.signing_key}: it does not hold the private key {pin} of signing_fingerprint")
    return SealingFiles(own, pin, _bank_keys(profile, base), profile.bank_encryption_fingerprints)


def _opening_files(profile: OpenPgpProfile, base: Directory) -> OpeningFiles:
    own = tuple(_private_file(entry.key, entry.passphrase, base)[0] for entry in profile.decryption_keys)
    return OpeningFiles(own, _bank_keys(profile, base), profile.bank_signing_fingerprints)
