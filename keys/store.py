"""Reaches key material by reference: opens private keys and certificates from files, the key store and tokens; writes new files.

In a file of its own a private key rests as encrypted PKCS#8 only, mode 0600, and is never overwritten. In the key store
(`keys.keystore`) it is encrypted under the master key; out of a token (`keys.hsm`) it never comes. Nothing here logs, no error
quotes content, and what holds a key shows its kind and nothing else.

    store:NAME             the key NAME of the key store `keys/` beside the configuration, in the version that is in force
    store:NAME@2           that version
    store:DIR#NAME         in the key store DIR (relative to the configuration)
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import secrets
from keys.keyimport import certificates_in, needs_passphrase, take_over
from keys.keymaterial import (
    KDF_ITERATIONS,
    KEY_KINDS,
    KeyKind,
    SoftwareKey,
    Subject,
    new_key,
    opened,
    pem_label,
    public_key_description,
    random_bytes,
    self_signed,
    signing_request,
)
from keys.keyring import Certificate, OwnKey, PrivateKey
from keys.keystore import KeyStore, store_at
from keys.keystore_model import Manifest, Version
from keys.seal import KeyUnavailable

__all__ = [
    "KDF_ITERATIONS",
    "KEY_KINDS",
    "STORE_DIRECTORY",
    "KeyKind",
    "SoftwareKey",
    "StoreReference",
    "Subject",
    "key_file_problem",
    "load_certificate",
    "load_private_key",
    "needs_passphrase",
    "new_key",
    "open_private_key",
    "own_key",
    "own_keys",
    "public_key_description",
    "random_bytes",
    "remembered",
    "self_signed",
    "signing_request",
    "store_reference",
    "system_clock",
    "take_over",
    "write_new",
]

STORE_DIRECTORY: Final = "keys"
"""Where the key store lies if a reference does not say: beside the configuration."""

Clock = Callable[[], datetime]
Made = TypeVar("Made")

_STORE = re.compile(r"store:(?:(?P<directory>[^#]+)#)?(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*)(?:@(?P<version>[1-9][0-9]{0,5}))?")


def system_clock() -> datetime:
    """Now: which version of a key is in force is asked at the moment it is used."""
    return datetime.now(UTC)


# ---- references into the key store --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreReference:
    """A `store:` reference. `version` None: the one that is in force."""

    store: KeyStore
    name: str
    version: int | None

    def public(self) -> Manifest:
        """The manifest, for what is public in it."""
        return self.store.public_manifest(self.name)

    def chosen(self, manifest: Manifest, on: datetime) -> Version:
        """The version meant: the one named, else the one in force, else, for a key that only decrypts and is not in use yet, the
        newest. Raises `KeyUnavailable`."""
        if self.version is not None:
            return manifest.version(self.version)
        if set(manifest.purposes) == {"decrypt"} and not any(version.usable_on(on) for version in manifest.versions):
            return next(iter(manifest.readable()), manifest.last)
        return manifest.current(on)

    def own(self, version: Version) -> OwnKey:
        """A version as an own key, opened when first used."""
        name, number, store = self.name, version.number, self.store
        if not version.certificates:
            raise KeyUnavailable(f"store:{name}@{number}: it has no certificate yet; attach one with: bankgate keys import")
        certificate = x509.load_der_x509_certificate(version.certificates[0])
        open_key = _once(lambda: _belonging(store.private_key(name, number), certificate))
        return OwnKey(Certificate.of(f"store:{name}@{number}", certificate), open_key)


def _once(make: Callable[[], PrivateKey]) -> Callable[[], PrivateKey]:
    """Calls `make` until it succeeds, and then never again."""
    made: list[PrivateKey] = []

    def get() -> PrivateKey:
        if not made:
            made.append(make())
        return made[0]

    return get


def _belonging(private: PrivateKey, certificate: x509.Certificate) -> PrivateKey:
    if private.public_key != certificate.public_key():
        raise KeyUnavailable(f"{private!r}: this private key does not belong to its certificate")
    return private


def store_reference(reference: str, base: Path) -> StoreReference | None:
    """What a `store:` reference names; None for other references. Raises `KeyUnavailable` on a malformed one."""
    if not reference.startswith("store:"):
        return None
    found = _STORE.fullmatch(reference)
    if found is None:
        raise KeyUnavailable(f"{reference}: a key of the key store is given as store:NAME, store:NAME@VERSION or store:DIR#NAME")
    version = found["version"]
    return StoreReference(
        store_at(base / (found["directory"] or STORE_DIRECTORY)), found["name"], int(version) if version else None
    )


class remembered(Generic[Made]):  # noqa: N801  # used like functools.cache
    """Calls `make` once, and again only after something changed in a key store that the references lead to: a rotation takes
    effect at the next file, without a restart. Threads may share it.

    `make` gives something whole (all keys of a profile): no caller ever holds half of the old and half of the new.
    """

    def __init__(self, make: Callable[[], Made], references: Iterable[str], base: Path, clock: Clock = system_clock) -> None:
        self._make = make
        self._references = tuple(reference for reference in references if reference.startswith("store:"))
        self._base = base
        self._clock = clock
        self._found: tuple[tuple[str, ...], datetime | None, Made] | None = None

    def __call__(self) -> Made:
        now, found = self._clock(), self._found
        leading = [place for reference in self._references if (place := store_reference(reference, self._base)) is not None]
        stamps = tuple(keystore.stamp() for keystore in dict.fromkeys(place.store for place in leading))
        if found is not None and found[0] == stamps and (found[1] is None or now < found[1]):
            return found[2]
        # stamped before it is made: what changes in between is noticed next time
        changes = [change for place in leading if (change := place.public().next_change(now)) is not None]
        made = self._make()
        self._found = (stamps, min(changes, default=None), made)
        return made


# ---- reading what is configured ---------------------------------------------------------------------------------------


def load_private_key(reference: str, passphrase: str | None, base: Path, clock: Clock = system_clock) -> PrivateKey:
    """Opens a private key: an encrypted PKCS#8 PEM file with the passphrase its reference names, a key of the key store (which
    has no passphrase), or a key in a token (the passphrase is its PIN). Raises `KeyUnavailable`."""
    if (place := store_reference(reference, base)) is not None:
        return place.store.private_key(place.name, place.chosen(place.public(), clock()).number)
    if reference.startswith("pkcs11:"):
        from keys.hsm import token_key

        return token_key(reference, passphrase, base)
    if passphrase is None:
        raise KeyUnavailable(f"{reference}: a key outside the key store needs the reference of its passphrase")
    return open_private_key(reference, base, secrets.passphrase(passphrase, base), f"passphrase {passphrase}")


def open_private_key(reference: str, base: Path, passphrase: bytes, called: str = "passphrase") -> SoftwareKey:
    """Opens an encrypted PKCS#8 PEM key with the passphrase at hand; errors call it `called`. Raises `KeyUnavailable`."""
    data = secrets.resolve(reference, base, private=True)
    if problem := _form_problem(data):
        raise KeyUnavailable(f"{reference}: {problem}")
    return opened(reference, data, passphrase, called)


def load_certificate(reference: str, base: Path, clock: Clock = system_clock) -> Certificate:
    """The one certificate a reference names: a file (PEM or DER), or that of a key in the key store, which needs no master key.
    Raises `KeyUnavailable`."""
    if (place := store_reference(reference, base)) is not None:
        return place.own(place.chosen(place.public(), clock())).certificate
    return Certificate.of(reference, _one_certificate(reference, secrets.resolve(reference, base)))


def stored_certificates(reference: str, base: Path, clock: Clock = system_clock) -> bytes:
    """PEM of the certificates of a key in the key store, its own first, in the version a `store:` reference means. Raises
    `KeyUnavailable`."""
    place = store_reference(reference, base)
    if place is None:
        raise KeyUnavailable(f"{reference}: this is no key of a key store")
    version = place.chosen(place.public(), clock())
    if not version.certificates:
        raise KeyUnavailable(f"{reference}: it has no certificate yet; attach one with: bankgate keys import")
    found = (x509.load_der_x509_certificate(encoded) for encoded in version.certificates)
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)


def certificates_end(reference: str, base: Path) -> datetime:
    """When the first of the certificates behind a reference expires (aware, UTC): of a chain the weakest link counts. Raises
    `KeyUnavailable`."""
    found = certificates_in(reference, secrets.certificate_pem(reference, base))
    if not found:
        raise KeyUnavailable(f"{reference}: there is no certificate in it")
    return min(certificate.not_valid_after_utc for certificate in found)


def own_key(certificate: str | None, key: str, passphrase: str | None, base: Path, clock: Clock = system_clock) -> OwnKey:
    """An own certificate with its private key, which is opened when first used and then kept. Raises `KeyUnavailable`, also at
    that first use, where the key does not belong to the certificate.

    A key of the key store brings its certificate along (`certificate` None, or the same reference). Beside another certificate,
    the version is the one that this certificate was issued for.
    """
    place = store_reference(key, base)
    if place is not None and certificate in (None, key):
        return place.own(place.chosen(place.public(), clock()))
    if certificate is None:
        raise KeyUnavailable(f"{key}: a key outside the key store needs a certificate beside it")
    loaded = load_certificate(certificate, base, clock)

    def open_key() -> PrivateKey:
        private = load_private_key(key, passphrase, base, clock) if place is None else _issued_for(place, loaded)
        if private.public_key != loaded.public_key:
            raise KeyUnavailable(f"{key}: this private key does not belong to the certificate {certificate}")
        return private

    return OwnKey(loaded, _once(open_key))


def own_keys(
    certificate: str | None, key: str, passphrase: str | None, base: Path, clock: Clock = system_clock
) -> tuple[OwnKey, ...]:
    """As `own_key`, for decryption: every version of a key in the key store that somebody may have encrypted for, newest first;
    of any other key, the one."""
    place = store_reference(key, base)
    if place is None or place.version is not None or certificate not in (None, key):
        return (own_key(certificate, key, passphrase, base, clock),)
    readable = place.public().readable()
    if not readable:
        raise KeyUnavailable(f"{key}: no version of this key can decrypt: each is retired, destroyed or without a certificate")
    return tuple(place.own(version) for version in readable)


def _issued_for(place: StoreReference, certificate: Certificate) -> PrivateKey:
    manifest = place.public()
    for version in manifest.versions:
        if version.alive and x509.load_der_x509_certificate(certificate.encoded).public_key() == version.load_public_key():
            return place.store.private_key(place.name, version.number)
    raise KeyUnavailable(f"store:{place.name}: the certificate {certificate.name} belongs to no version of this key")


# ---- files of their own -------------------------------------------------------------------------------------------------


def write_new(path: Path, content: bytes, *, private: bool) -> None:
    """Writes a file that must not exist yet, whole or not at all; mode 0600 where `private`. Raises `KeyUnavailable`."""
    temporary = path.with_name(f".{path.name}.{random_bytes(6).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _link_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as problem:
        raise KeyUnavailable(f"{path} cannot be written: {problem.strerror}") from None


def _link_new(temporary: Path, path: Path) -> None:
    """Gives a finished file its name. Unlike a rename, a link refuses to replace what is there."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise KeyUnavailable(f"{path} exists already, and keys are never overwritten; choose another name") from None


def key_file_problem(path: Path) -> str | None:
    """Why this file is no place for a private key (its form, its mode), in words; None if it is one. Opens no key."""
    try:
        return _form_problem(secrets.resolve(f"file:{path.name}", path.parent, private=True))
    except KeyUnavailable as problem:
        return str(problem)


def _form_problem(data: bytes) -> str | None:
    label = pem_label(data)
    if label == b"ENCRYPTED PRIVATE KEY":
        return None
    if label is None or not label.endswith(b"PRIVATE KEY"):
        return "this is not a private key in PEM form; to convert one, run: bankgate keys import"
    return "this private key is not encrypted, or in an old form; run: bankgate keys import"


def _one_certificate(reference: str, data: bytes) -> x509.Certificate:
    try:
        if pem_label(data) is None:
            return x509.load_der_x509_certificate(data)
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise KeyUnavailable(f"{reference}: this is not a certificate in PEM or DER form") from None
    if len(found) != 1:
        raise KeyUnavailable(f"{reference}: {len(found)} certificates are in it; name a file with the one that is meant")
    return found[0]
