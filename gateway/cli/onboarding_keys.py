"""The three keys of a subscriber, made where they are missing or new ones are due, before anything of them is sent."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509

from channels.ebics.key_change import KeyUse
from channels.ebics.own import KeyReferences
from channels.ebics.profile import EbicsProfile, KeySettings
from gateway import clock
from gateway.cli.keys_common import whoever
from gateway.cli.output import CommandFailed
from keys.ebics_keys import KeyVersion, ebics_certificate
from keys.keymaterial import SoftwareKey, Subject, new_key
from keys.keystore_model import Purpose
from keys.seal import KeyUnavailable
from keys.store import store_reference

_PURPOSES: Final[dict[KeyUse, Purpose]] = {"signature": "sign", "authentication": "sign", "encryption": "decrypt"}


def make_missing_keys(profile: EbicsProfile, base: Path, *, organisation: str, by: str | None, days: int) -> tuple[str, ...]:
    """Makes, certifies and puts in use the keys that `store:NAME` names and the key store does not have: which ones. A key that
    is named with a version, in a token or in a file is not made here. Raises `KeyUnavailable`."""
    made = []
    for use, purpose in _PURPOSES.items():
        version, settings = _version(profile, use), _settings(profile, use)
        place = store_reference(settings.key, base)
        if place is None or place.version is not None or not _missing(settings.key, base):
            continue
        if profile.by_authority:
            raise CommandFailed(
                f"{settings.key}: there is no such key, and the bank takes certificates of an authority: make it with "
                "`bankgate keys new` and `request`, and attach the certificate with `import`"
            )
        now, key, certificate = _made(profile, use, organisation, days)
        who = whoever(by)
        place.store.add(place.name, key, (purpose,), certificates=(certificate,), who=who, at=now, what=f"created for {version}")
        place.store.activate(place.name, 1, who=who, at=now)
        made.append(settings.key)
    return tuple(made)


def next_versions(
    profile: EbicsProfile, base: Path, uses: Iterable[KeyUse], *, organisation: str, by: str | None, days: int
) -> tuple[KeyReferences, KeyReferences]:
    """The versions in use of these keys, and a new one of each, which is made unless one waits already: not in use, so that
    nothing changes for anybody. Raises `CommandFailed` for keys that are not made here, `KeyUnavailable`."""
    old, new = [], []
    for use in uses:
        reference = _settings(profile, use).key
        place = store_reference(reference, base)
        if place is None or place.version is not None:
            raise CommandFailed(
                f"{reference}: new versions are made of keys of the key store that are named without a version (store:NAME). "
                "Name it so, or bring the key there, first"
            )
        if profile.by_authority:
            raise CommandFailed(f"{reference}: the bank takes certificates of an authority, which are not made here")
        now, manifest = clock.now(), place.public()
        current = place.chosen(manifest, now)
        waiting = [version for version in manifest.versions if version.number > current.number and version.state == "created"]
        if not waiting:
            now, key, certificate = _made(profile, use, organisation, days)
            what = f"created for {_version(profile, use)}, to be sent to the bank"
            manifest = place.store.add_version(place.name, key, certificates=(certificate,), who=whoever(by), at=now, what=what)
            waiting = [manifest.last]
        old.append((use, f"{reference}@{current.number}"))
        new.append((use, f"{reference}@{waiting[-1].number}"))
    return tuple(old), tuple(new)


def put_in_use(references: KeyReferences, base: Path, *, by: str | None) -> None:
    """Puts these versions in use; the ones before go on to open what was encrypted for them. Those that are in use stay so."""
    for _, reference in references:
        place = store_reference(reference, base)
        assert place is not None  # noqa: S101 - of `next_versions`
        assert place.version is not None  # noqa: S101 - as above
        if place.public().version(place.version).state != "active":
            place.store.activate(place.name, place.version, who=whoever(by), at=clock.now())


def own_keys(profile: EbicsProfile, base: Path) -> dict[str, str]:
    """SHA-256 of the public keys that the profile names in key stores, as they are in force: for the audit log."""
    found = {}
    for use in _PURPOSES:
        reference = _settings(profile, use).key
        with suppress(KeyUnavailable):  # whoever needs it says why it cannot be had
            place = store_reference(reference, base)
            if place is not None:
                found[reference] = sha256(place.chosen(place.public(), clock.now()).public_key).hexdigest()
    return found


def _made(profile: EbicsProfile, use: KeyUse, organisation: str, days: int) -> tuple[datetime, SoftwareKey, x509.Certificate]:
    now, key = clock.now(), new_key("rsa-3072")
    subject = Subject(common_name=profile.user_id, organization=organisation)
    return now, key, ebics_certificate(_version(profile, use), key, subject, on=now, days=days)


def _version(profile: EbicsProfile, use: KeyUse) -> KeyVersion:
    others: dict[KeyUse, KeyVersion] = {"authentication": "X002", "encryption": "E002"}
    return others.get(use, profile.signature_process)


def _settings(profile: EbicsProfile, use: KeyUse) -> KeySettings:
    found: KeySettings = getattr(profile, use)
    return found


def _missing(reference: str, base: Path) -> bool:
    place = store_reference(reference, base)
    if place is None:
        return False
    if not place.store.exists():
        raise KeyUnavailable(f"{reference}: there is no key store yet; see bankgate keys master new, and init")
    return place.name not in {manifest.name for manifest in place.store.public_manifests()}
