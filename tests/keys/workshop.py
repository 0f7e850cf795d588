"""A workshop for the tests of this room: parties with keys on disk, and messages made wrong on purpose."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import der, store
from keys.algorithms import OID_OF_DIGEST, SignatureScheme
from keys.cms_recipients import issuer_and_serial
from keys.cms_write import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    Envelope,
    EnvelopeWriter,
    Signing,
    copy_unchanged,
    measure,
    signed_data,
)
from keys.keyring import Certificate, OwnKey
from keys.profiles import build_seal, parse_profile
from keys.seal import BadSeal, Seal
from keys.store import KeyKind, SoftwareKey

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PASSPHRASE = "correct horse"  # of every key made here
ITERATIONS = 1000  # the real number is tested once; here it would only cost time


def today() -> datetime:
    return NOW


def later(days: int) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(days=days)


@dataclass
class Workshop:
    """Makes each party once, in one directory."""

    directory: Path
    keys: dict[str, SoftwareKey] = field(default_factory=dict)
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    seals: dict[Any, Seal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        secret = self.directory / "passphrase"
        secret.write_text(PASSPHRASE + "\n")
        secret.chmod(0o600)

    def party(self, name: str, kind: KeyKind, *, common_name: str | None = None, on: datetime = NOW, days: int = 365) -> str:
        """Files NAME.key and NAME.crt of a new party."""
        self.keys[name] = key = store.new_key(kind)
        self.certificates[name] = store.self_signed(key, store.Subject(common_name=common_name or name), on=on, days=days)
        store.write_new(
            self.directory / f"{name}.key", key.encrypted_pem(PASSPHRASE.encode(), iterations=ITERATIONS), private=True
        )
        self.write_certificate(name, self.certificates[name])
        return name

    def write_certificate(self, name: str, certificate: x509.Certificate) -> None:
        store.write_new(self.directory / f"{name}.crt", certificate.public_bytes(Encoding.PEM), private=False)

    def same_key(self, name: str, other: str, *, on: datetime, days: int) -> str:
        """Another certificate for the key of `other`."""
        self.keys[name] = self.keys[other]
        self.certificates[name] = store.self_signed(self.keys[other], store.Subject(common_name=name), on=on, days=days)
        self.write_certificate(name, self.certificates[name])
        (self.directory / f"{name}.key").write_bytes((self.directory / f"{other}.key").read_bytes())
        (self.directory / f"{name}.key").chmod(0o600)
        return name

    def table(self, own: str, bank: str, **changes: Any) -> dict[str, Any]:
        """The `[seal]` table of `own` towards `bank`."""
        return {
            "kind": "cms",
            "signing_key": f"file:{own}.key",
            "signing_key_passphrase": "file:passphrase",
            "signing_certificate": f"file:{own}.crt",
            "bank_encryption_certificates": [f"file:{bank}.crt"],
            "bank_signing_certificates": [f"file:{bank}.crt"],
            "decryption_keys": [self.decryption_key(own)],
        } | changes

    def decryption_key(self, own: str) -> dict[str, str]:
        return {"key": f"file:{own}.key", "passphrase": "file:passphrase", "certificate": f"file:{own}.crt"}

    def seal(self, own: str, bank: str, *, clock: Callable[[], datetime] = today, **changes: Any) -> Seal:
        """The seal of such a table; the same one each time, so that keys are opened once."""
        key = (own, bank, clock, repr(sorted(changes.items())))
        if key not in self.seals:
            self.seals[key] = build_seal(parse_profile(self.table(own, bank, **changes)), self.directory, clock)
        return self.seals[key]

    def certificate(self, name: str) -> Certificate:
        return Certificate.of(name, self.certificates[name])

    def own_key(self, name: str) -> OwnKey:
        return OwnKey(self.certificate(name), lambda: self.keys[name])

    def signed(self, by: str, content: bytes, scheme: Any) -> bytes:
        """A SignedData that is not encrypted."""
        source = io.BytesIO(content)
        measured = measure(source, scheme.digest)
        source.seek(0)
        frame = signed_data(measured, Signing(self.own_key(by), scheme, NOW, True))
        inside = io.BytesIO()
        copy_unchanged(source, inside, measured, scheme.digest)
        return frame.before + inside.getvalue() + frame.after

    def encrypted(self, recipient: str, inside: bytes, *, gcm: bool = False) -> bytes:
        """Any bytes, encrypted."""
        out = io.BytesIO()
        encryption = "aes-256-gcm" if gcm else "aes-256-cbc"
        writer = EnvelopeWriter(out, len(inside), Envelope((self.certificate(recipient),), encryption, "rsa-pkcs1", os.urandom))
        writer.write(inside)
        writer.close()
        return out.getvalue()


def sealed(seal: Seal, content: bytes) -> bytes:
    out = io.BytesIO()
    seal.seal(io.BytesIO(content), out)
    return out.getvalue()


def opened(seal: Seal, message: bytes) -> bytes:
    out = io.BytesIO()
    seal.open(io.BytesIO(message), out)
    return out.getvalue()


def code_of(seal: Seal, message: bytes) -> str | None:
    """The code with which opening fails; None if it does not."""
    try:
        opened(seal, message)
    except BadSeal as problem:
        return problem.code
    return None


class _Tail:
    """A padder that ends the content with bytes of the forger's choice."""

    def __init__(self, tail: bytes) -> None:
        self._tail = tail

    def update(self, data: bytes) -> bytes:
        return data

    def finalize(self) -> bytes:
        return self._tail


def encrypted_with_padding(workshop: Workshop, recipient: str, inside: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """As `Workshop.encrypted` by AES-CBC, but the right padding goes through `change` first (same length)."""
    count = 16 - len(inside) % 16
    out = io.BytesIO()
    envelope = Envelope((workshop.certificate(recipient),), "aes-256-cbc", "rsa-pkcs1", os.urandom)
    writer = EnvelopeWriter(out, len(inside), envelope)
    writer._padder = _Tail(change(bytes((count,)) * count))  # type: ignore[assignment]
    writer.write(inside)
    writer.close()
    return out.getvalue()


@dataclass(kw_only=True)
class Forgery:
    """A SignedData put together piece by piece, right unless told otherwise."""

    workshop: Workshop
    by: str
    content: bytes
    named_as: x509.Certificate | None = None  # whom the signer claims to be
    by_key_identifier: bool = False
    content_type: str = DATA
    attribute_content_type: str = DATA
    digest: bytes | None = None  # None: that of the content
    attributes: bool = True
    extra_attributes: tuple[bytes, ...] = ()
    announced: str = OID_OF_DIGEST["sha256"]
    signer_digest: str = OID_OF_DIGEST["sha256"]
    signatures: int = 1
    detached: bool = False
    signature: bytes | None = None

    def attribute_set(self) -> list[bytes]:
        digest = hashlib.sha256(self.content).digest() if self.digest is None else self.digest
        values = {CONTENT_TYPE: der.oid(self.attribute_content_type), MESSAGE_DIGEST: der.tlv(der.OCTET_STRING, digest)}
        return [der.sequence(der.oid(kind), der.set_of((value,))) for kind, value in values.items()] + [*self.extra_attributes]

    def signer(self) -> bytes:
        claimed = Certificate.of("claimed", self.named_as or self.workshop.certificates[self.by])
        name = issuer_and_serial(claimed)
        if self.by_key_identifier:
            name = der.tlv(0x80, claimed.key_identifier or b"")
        scheme = SignatureScheme("rsa-pkcs1", "sha256")
        signed = der.set_of(self.attribute_set()) if self.attributes else self.content
        return der.sequence(
            der.integer(1),
            name,
            der.algorithm(self.signer_digest),
            der.tlv(0xA0, *sorted(self.attribute_set())) if self.attributes else b"",
            scheme.encode(),
            der.tlv(der.OCTET_STRING, self.signature or self.workshop.keys[self.by].sign(scheme, signed)),
        )

    def build(self) -> bytes:
        content = b"" if self.detached else der.tlv(0xA0, der.tlv(der.OCTET_STRING, self.content))
        inside = der.sequence(
            der.integer(1),
            der.set_of((der.algorithm(self.announced),)),
            der.sequence(der.oid(self.content_type), content),
            der.set_of([self.signer()] * self.signatures),
        )
        return der.sequence(der.oid(SIGNED_DATA), der.tlv(0xA0, inside))
