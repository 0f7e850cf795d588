"""The three keys of a subscriber, made where they are missing, before anything of them is sent."""

from pathlib import Path

from channels.ebics.profile import EbicsProfile, KeySettings
from gateway import clock
from gateway.cli.keys_common import whoever
from gateway.cli.output import CommandFailed
from keys.ebics_keys import KeyVersion, ebics_certificate
from keys.keymaterial import Subject, new_key
from keys.keystore_model import Purpose
from keys.seal import KeyUnavailable
from keys.store import store_reference


def make_missing_keys(profile: EbicsProfile, base: Path, *, organisation: str, by: str | None, days: int) -> tuple[str, ...]:
    """Makes, certifies and puts in use the keys that `store:NAME` names and the key store does not have: which ones. A key that
    is named with a version, in a token or in a file is not made here. Raises `KeyUnavailable`."""
    wanted: tuple[tuple[KeyVersion, KeySettings, Purpose], ...] = (
        (profile.signature_process, profile.signature, "sign"),
        ("X002", profile.authentication, "sign"),
        ("E002", profile.encryption, "decrypt"),
    )
    made = []
    for version, settings, purpose in wanted:
        place = store_reference(settings.key, base)
        if place is None or place.version is not None or not _missing(settings.key, base):
            continue
        if profile.by_authority:
            raise CommandFailed(
                f"{settings.key}: there is no such key, and the bank takes certificates of an authority: make it with "
                "`bankgate keys new` and `request`, and attach the certificate with `import`"
            )
        now, key = clock.now(), new_key("rsa-3072")
        subject = Subject(common_name=profile.user_id, organization=organisation)
        certificate = ebics_certificate(version, key, subject, on=now, days=days)
        who = whoever(by)
        place.store.add(place.name, key, (purpose,), certificates=(certificate,), who=who, at=now, what=f"created for {version}")
        place.store.activate(place.name, 1, who=who, at=now)
        made.append(settings.key)
    return tuple(made)


def _missing(reference: str, base: Path) -> bool:
    place = store_reference(reference, base)
    if place is None:
        return False
    if not place.store.exists():
        raise KeyUnavailable(f"{reference}: there is no key store yet; see bankgate keys master new, and init")
    return place.name not in {manifest.name for manifest in place.store.public_manifests()}
