"""The seal kind "cms": signed, then encrypted, by RFC 5652; what `openssl cms` reads and writes.

The encrypted layer holds the DER of a SignedData with the content attached. Sealing reads its source twice; opening reads it
once, and `out` receives content before its signature has been seen, as `keys.seal.Seal` says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from keys.algorithms import ContentEncryption, KeyTransport, SignatureScheme
from keys.armour import PemWriter
from keys.cms_read import Opening, open_message
from keys.cms_signed import Policy
from keys.cms_write import Envelope, EnvelopeWriter, Signing, copy_unchanged, measure, signed_data
from keys.keyring import OpeningKeys, SealingKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsOptions:
    """How messages are made and which are taken. See `keys.profiles.CmsProfile` for the words of a profile."""

    signature: SignatureScheme
    content_encryption: ContentEncryption = "aes-256-cbc"
    key_transport: KeyTransport = "rsa-pkcs1"
    encoding: Literal["der", "pem"] = "der"
    with_certificate: bool = True
    with_signing_time: bool = True
    attributes_required: bool = True
    content_bytes_max: int = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsSeal:
    """One profile, ready for use. The keys are asked for when they are first needed: a process that only seals never opens a
    decryption key, and one that does neither opens none."""

    options: CmsOptions
    sealing: Callable[[], SealingKeys]
    opening: Callable[[], OpeningKeys]
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]

    @property
    def kind(self) -> str:
        return "cms"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `SealError` where the source changes between the two readings."""
        options, now, keys = self.options, self.clock(), self.sealing()
        signer, recipients = keys.signer_on(now), keys.recipients_on(now)
        start = source.tell()
        measured = measure(source, options.signature.digest)
        source.seek(start)
        at = now if options.with_signing_time else None
        frame = signed_data(measured, Signing(signer, options.signature, at, options.with_certificate))
        armour = PemWriter(out) if options.encoding == "pem" else None
        envelope = Envelope(recipients, options.content_encryption, options.key_transport, self.random_bytes)
        writer = EnvelopeWriter(armour or out, frame.size, envelope)
        writer.write(frame.before)
        copy_unchanged(source, writer, measured, options.signature.digest)
        writer.write(frame.after)
        writer.close()
        if armour is not None:
            armour.close()

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `BadSeal` with one of the codes of keys/README.md."""
        keys = self.opening()
        policy = Policy(keys.signers, self.clock(), self.options.content_bytes_max, self.options.attributes_required)
        open_message(source.read, out, Opening(keys.decryption, self.random_bytes(32), policy))
