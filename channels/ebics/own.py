"""Our three keys, opened where they rest, when they are first needed; opened anew when a key store changed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from channels.channel import ChannelError
from channels.ebics.key_change import KeyUse
from channels.ebics.key_data import OwnKeys
from channels.ebics.profile import EbicsProfile, KeySettings
from channels.ebics.securing import Signing
from keys.ebics_keys import EbicsKey, KeyVersion, own_key
from keys.keyring import PrivateKey
from keys.seal import SealError
from keys.secrets import Directory
from keys.store import load_certificate, load_private_key, remembered

KeyReferences = tuple[tuple[KeyUse, str], ...]
"""References into the key store, by what the keys are for."""


class KeyTrouble(ChannelError):
    """The operator's: one of our keys cannot be used. Nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The private sides, and what of them goes to the bank."""

    signing: Signing
    authentication: PrivateKey
    encryption: PrivateKey
    public: OwnKeys

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of all three public keys."""
        return tuple(key.public_key_hash for key in (self.public.signature, self.public.authentication, self.public.encryption))

    @property
    def names(self) -> str:
        """The hashes of all three, in one text: by it a note knows that they are still the same."""
        three = (self.public.signature, self.public.authentication, self.public.encryption)
        return " ".join(f"{key.version}:{key.public_key_hash.hex()}" for key in three)


class KeyRing:
    """The keys of a profile."""

    def __init__(self, profile: EbicsProfile, base: Directory, clock: Callable[[], datetime]) -> None:
        self._profile, self._base, self._clock = profile, base, clock
        self._keys = remembered(self._open, profile.key_references, base, clock)

    def under(self, references: KeyReferences) -> "KeyRing":
        """The same keys, but where others are named."""
        named: dict[str, object] = {
            use: getattr(self._profile, use).model_copy(update={"key": reference, "passphrase": None, "certificate": None})
            for use, reference in references
        }
        return KeyRing(self._profile.model_copy(update=named), self._base, self._clock)

    async def keys(self) -> Keys:
        """Raises `KeyTrouble`."""
        try:
            return await asyncio.to_thread(self._keys)
        except SealError as problem:
            raise KeyTrouble(str(problem)) from problem

    def _open(self) -> Keys:
        profile = self._profile
        signing, signature = self._one(profile.signature_process, profile.signature)
        authentication, shown = self._one("X002", profile.authentication)
        encryption, wrapped_for = self._one("E002", profile.encryption)
        return Keys(
            signing=Signing(key=signing, version=profile.signature_process),
            authentication=authentication,
            encryption=encryption,
            public=OwnKeys(signature=signature, authentication=shown, encryption=wrapped_for),
        )

    def _one(self, version: KeyVersion, settings: KeySettings) -> tuple[PrivateKey, EbicsKey]:
        private = load_private_key(settings.key, settings.passphrase, self._base, self._clock)
        reference = settings.certificate_reference
        if not self._profile.with_certificates or reference is None:
            return private, own_key(version, private)
        return private, own_key(version, private, load_certificate(reference, self._base, self._clock).parsed)
