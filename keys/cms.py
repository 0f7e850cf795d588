"""The seal kind "cms": RFC 5652, what `openssl cms` reads and writes. In four forms:

    signed-enveloped    signed, then encrypted: the DER of a SignedData as the content of an EnvelopedData. The right one
    signed              a SignedData with the content attached: anybody on the way can read it
    detached            S/MIME multipart/signed: the content in clear, and a SignedData without content behind it
    enveloped           an EnvelopedData: anybody who has our certificate can have written it

Sealing reads its source twice; opening reads it once, and `out` receives content before its signature has been seen, as
`keys.seal.Seal` says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from keys.algorithms import ContentEncryption, KeyTransport, SignatureScheme
from keys.armour import PemWriter
from keys.cms_detached import open_detached, write_detached
from keys.cms_read import Opening, open_message, open_signed
from keys.cms_signed import Policy
from keys.cms_write import Envelope, EnvelopeWriter, Signing, Sink, copy_unchanged, measure, signed_data
from keys.keyring import OpeningKeys, SealingKeys
from keys.trust import Trust

Form = Literal["signed-enveloped", "signed", "detached", "enveloped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsOptions:
    """How messages are made and which are taken. See `keys.cms_profile.CmsProfile` for the words of a profile."""

    signature: SignatureScheme
    form: Form = "signed-enveloped"
    bank_form: Form = "signed-enveloped"
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
    trust: Callable[[], Trust | None] = lambda: None

    @property
    def kind(self) -> str:
        return "cms"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `SealError` where the source changes between the two readings."""
        options, now, keys = self.options, self.clock(), self.sealing()
        if options.form == "detached":
            write_detached(source, out, self._signing(keys, now), self.random_bytes)
            return
        armour = PemWriter(out) if options.encoding == "pem" else None
        if options.form == "signed":
            self._write_signed(source, armour or out, keys, now)
        elif options.form == "enveloped":
            self._write_enveloped(source, armour or out, keys, now)
        else:
            self._write_both(source, armour or out, keys, now)
        if armour is not None:
            armour.close()

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Raises `BadSeal` with one of the codes of keys/README.md."""
        keys, form, options = self.opening(), self.options.bank_form, self.options
        policy = Policy(keys.signers, self.clock(), options.content_bytes_max, options.attributes_required, self.trust())
        if form == "signed":
            open_signed(source.read, out, policy)
        elif form == "detached":
            open_detached(source.read, out, policy)
        else:
            opening = Opening(keys.decryption, self.random_bytes(32), policy, signed_within=form == "signed-enveloped")
            open_message(source.read, out, opening)

    def _signing(self, keys: SealingKeys, now: datetime) -> Signing:
        at = now if self.options.with_signing_time else None
        return Signing(keys.signer_on(now), self.options.signature, at, self.options.with_certificate)

    def _envelope(self, keys: SealingKeys, now: datetime) -> Envelope:
        options = self.options
        return Envelope(keys.recipients_on(now), options.content_encryption, options.key_transport, self.random_bytes)

    def _write_both(self, source: BinaryIO, out: Sink, keys: SealingKeys, now: datetime) -> None:
        signing, envelope, digest = self._signing(keys, now), self._envelope(keys, now), self.options.signature.digest
        start = source.tell()
        measured = measure(source, digest)
        source.seek(start)
        frame = signed_data(measured, signing)
        writer = EnvelopeWriter(out, frame.size, envelope)
        writer.write(frame.before)
        copy_unchanged(source, writer, measured, digest)
        writer.write(frame.after)
        writer.close()

    def _write_signed(self, source: BinaryIO, out: Sink, keys: SealingKeys, now: datetime) -> None:
        signing, digest = self._signing(keys, now), self.options.signature.digest
        start = source.tell()
        measured = measure(source, digest)
        source.seek(start)
        frame = signed_data(measured, signing)
        out.write(frame.before)
        copy_unchanged(source, out, measured, digest)
        out.write(frame.after)

    def _write_enveloped(self, source: BinaryIO, out: Sink, keys: SealingKeys, now: datetime) -> None:
        envelope = self._envelope(keys, now)
        start = source.tell()
        measured = measure(source, "sha256")
        source.seek(start)
        writer = EnvelopeWriter(out, measured.size, envelope)
        copy_unchanged(source, writer, measured, "sha256")
        writer.close()
