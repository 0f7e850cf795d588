"""The seal kind "sm": signed by SM2 and SM3, then encrypted by SM4 under a key that SM2 wraps.

The envelope is CMS (RFC 5652) with the algorithms of the Chinese standards:

    EnvelopedData, or AuthEnvelopedData (RFC 5083) with SM4-GCM
      RecipientInfo     key transport: issuer and serial number, or [0] key identifier of a bare public key;
                        SM2 encryption 1.2.156.10197.1.301.3; SM2Cipher of GM/T 0009 in DER around the 16 bytes of the key
      encrypted content SM4-CBC 1.2.156.10197.1.104.2 or SM4-GCM 1.2.156.10197.1.104.8, around the DER of
        SignedData      content attached; digest SM3 1.2.156.10197.1.401; one SignerInfo with signed attributes (content type,
                        message digest, signing time), signed by SM2 1.2.156.10197.1.301.1 under the user id of the profile

`syntax = "gmt0010"` writes the same under the content types of GM/T 0010-2012 (1.2.156.10197.6.1.4.2.1 data, .2 signed, .3
enveloped; that standard has no GCM). Both are read. Sealing reads its source twice, opening once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from keys.armour import PemWriter
from keys.seal import KeyUnavailable
from keys.sm import DEFAULT_USER_ID
from keys.sm_envelope_read import SmOpening, SmPolicy, open_envelope
from keys.sm_envelope_write import Syntax, Writing, write_envelope
from keys.sm_keys import SmIdentity, SmOwnKey

SmContentEncryption = Literal["sm4-cbc", "sm4-gcm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmOptions:
    """How messages are made and which are taken. See `keys.sm_profile.SmProfile` for the words of a profile."""

    content_encryption: SmContentEncryption = "sm4-cbc"
    syntax: Syntax = "cms"
    user_id: bytes = DEFAULT_USER_ID  # under which we sign
    bank_user_id: bytes = DEFAULT_USER_ID  # under which the bank signs
    encoding: Literal["der", "pem"] = "der"
    with_certificate: bool = True
    with_signing_time: bool = True
    attributes_required: bool = True
    content_bytes_max: int = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class SmSealingKeys:
    """What sealing needs."""

    signing: SmOwnKey
    recipients: tuple[SmIdentity, ...]


@dataclass(frozen=True, slots=True)
class SmOpeningKeys:
    """What opening needs. An own key stays in use after its certificate expired: reading an answer harms nobody."""

    decryption: tuple[SmOwnKey, ...]
    signers: tuple[SmIdentity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmSeal:
    """One profile, ready for use. The keys are asked for when they are first needed."""

    options: SmOptions
    sealing: Callable[[], SmSealingKeys]
    opening: Callable[[], SmOpeningKeys]
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]

    @property
    def kind(self) -> str:
        return "sm"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `SealError` where the source changes between the two readings."""
        options, now, keys = self.options, self.clock(), self.sealing()
        if problem := keys.signing.identity.problem(now):
            raise KeyUnavailable(f"{problem}: the bank would refuse what is signed with it; renew it and agree it with the bank")
        armour = PemWriter(out) if options.encoding == "pem" else None
        writing = Writing(
            signer=keys.signing,
            recipients=_valid(keys.recipients, now),
            user_id=options.user_id,
            at=now if options.with_signing_time else None,
            syntax=options.syntax,
            gcm=options.content_encryption == "sm4-gcm",
            with_certificate=options.with_certificate,
            random_bytes=self.random_bytes,
        )
        write_envelope(source, armour or out, writing)
        if armour is not None:
            armour.close()

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `BadSeal` with one of the codes of keys/README.md."""
        options, keys = self.options, self.opening()
        policy = SmPolicy(
            keys.signers, self.clock(), options.bank_user_id, options.content_bytes_max, options.attributes_required
        )
        open_envelope(source.read, out, SmOpening(keys.decryption, self.random_bytes(16), policy))


def _valid(recipients: tuple[SmIdentity, ...], on: datetime) -> tuple[SmIdentity, ...]:
    usable = tuple(recipient for recipient in recipients if recipient.problem(on) is None)
    if not usable:
        reasons = "; ".join(reason for recipient in recipients if (reason := recipient.problem(on)))
        raise KeyUnavailable(f"no encryption certificate of the bank can be used: {reasons}. Ask the bank for its current one")
    return usable
