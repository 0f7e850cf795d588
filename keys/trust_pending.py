"""Certificates of banks that wait for a person: a changed key is never trusted by itself.

    trust/pending/ID.json                      proposed: nothing uses it
    trust/CONNECTION-USE-ID.crt                confirmed: the file to name in the profile
    trust/CONNECTION-USE-ID.json               who proposed it, who confirmed or rejected it, when, and from where it came

ID is the beginning of the certificate's SHA-256. To confirm, a person gives the whole SHA-256 of the new certificate as the bank
gave it by another way (a letter, a call to a known number), and that of the certificate it replaces, which shows that the right
one is replaced.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.keyring import Certificate
from keys.seal import KeyUnavailable
from keys.store import public_key_description, write_new

USES: Final = ("signing", "encryption", "signing-and-encryption", "tls", "authority")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ID = re.compile(r"[0-9a-f]{16}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, 64 hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def as_typed(text: str) -> str:
    """A fingerprint as people type it: any case, colons or spaces in between. Raises `KeyUnavailable` on anything but SHA-256."""
    found = re.sub(r"[\s:]", "", text).lower()
    if not _FINGERPRINT.fullmatch(found):
        raise KeyUnavailable("a fingerprint is the whole SHA-256 of a certificate, 64 hexadecimal digits; a part proves nothing")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A certificate that waits."""

    connection: str
    use: str
    certificate: x509.Certificate = field(repr=False)
    replaces: x509.Certificate | None = field(default=None, repr=False)
    source: str  # from where it came, in words
    proposed_by: str
    proposed_at: datetime

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    @property
    def id(self) -> str:
        return self.fingerprint[:16]

    @property
    def file_name(self) -> str:
        """Of the certificate, once confirmed."""
        return f"{self.connection}-{self.use}-{self.id}"

    def comparison(self) -> list[tuple[str, str, str]]:
        """What a person compares: the thing, as it is now (empty where nothing is replaced), as it would be."""
        old = _described(self.replaces) if self.replaces is not None else {}
        return [(name, old.get(name, ""), value) for name, value in _described(self.certificate).items()]


def _described(certificate: x509.Certificate) -> dict[str, str]:
    found = Certificate.of("proposed", certificate)
    public = found.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial number": f"{certificate.serial_number:x}",
        "key": public_key_description(found.public_key),
        "valid from": f"{found.not_before:%Y-%m-%d %H:%M} UTC",
        "valid until": f"{found.not_after:%Y-%m-%d %H:%M} UTC",
        "SHA-256 of the key": hashlib.sha256(public).hexdigest(),
        "SHA-256": fingerprint_of(certificate),
    }


class TrustDirectory:
    """The directory `trust/` of a configuration. Every failure is a `KeyUnavailable`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def propose(self, proposal: Proposal) -> Proposal:
        """Keeps a certificate waiting. One that waits already, or was confirmed or rejected before, is not kept twice."""
        for name, word in (("connection", proposal.connection), ("use", proposal.use)):
            if not _WORD.fullmatch(word):
                raise KeyUnavailable(f"the {name} of a proposal is made of letters, digits, - and _")
        Certificate.of("the proposed certificate", proposal.certificate)
        if (self.directory / f"{proposal.file_name}.json").exists():
            raise KeyUnavailable(f"{self.directory / proposal.file_name}.json: this certificate was judged before")
        if proposal.replaces is not None and fingerprint_of(proposal.replaces) == proposal.fingerprint:
            raise KeyUnavailable("the proposed certificate is the one in use")
        write_new(self._waiting(proposal.id), _encoded(_out(proposal)), private=False)
        return proposal

    def waiting(self) -> tuple[Proposal, ...]:
        """Everything that waits, oldest first."""
        folder = self.directory / "pending"
        found = [self.proposal(path.stem) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
        return tuple(sorted(found, key=lambda proposal: proposal.proposed_at))

    def proposal(self, identifier: str) -> Proposal:
        """One that waits. Raises `KeyUnavailable` where there is none, or its file was altered so that it is another one."""
        path = self._waiting(identifier)
        try:
            found = json.loads(path.read_bytes())
            proposal = _in(found)
        except OSError:
            raise KeyUnavailable(f"{identifier}: no certificate of this id waits; see: bankgate keys trust list") from None
        except (ValueError, KeyError, TypeError):
            raise KeyUnavailable(f"{path}: this is no proposal, or it was altered") from None
        if proposal.id != identifier:
            raise KeyUnavailable(f"{path}: the certificate in it is another one than its name says: it was altered")
        return proposal

    def confirm(self, identifier: str, fingerprints: Iterable[str], *, who: str, at: datetime) -> Path:
        """Makes a waiting certificate one that a profile may name, if every fingerprint it takes was given. The file to name."""
        proposal = self.proposal(identifier)
        given = [as_typed(text) for text in fingerprints]
        wanted = {"the new certificate": proposal.fingerprint}
        if proposal.replaces is not None:
            wanted["the certificate it replaces"] = fingerprint_of(proposal.replaces)
        for what, fingerprint in wanted.items():
            if not any(hmac.compare_digest(fingerprint, typed) for typed in given):
                raise KeyUnavailable(
                    f"{identifier}: the fingerprint of {what} was not given, or is not the one the bank told you. Nothing is "
                    "trusted. If they differ, call the bank at a number you know"
                )
        if surplus := set(given) - set(wanted.values()):
            raise KeyUnavailable(f"{identifier}: {len(surplus)} fingerprints belong to neither certificate; nothing is trusted")
        path, content = self.directory / f"{proposal.file_name}.crt", proposal.certificate.public_bytes(Encoding.PEM)
        if not path.exists() or path.read_bytes() != content:  # there: a confirmation that did not come to its end
            write_new(path, content, private=False)
        self._judged(proposal, {"confirmed_by": who, "confirmed_at": _text(at)})
        return path

    def reject(self, identifier: str, reason: str, *, who: str, at: datetime) -> None:
        """Takes a waiting certificate away; it cannot be proposed again."""
        self._judged(self.proposal(identifier), {"rejected_by": who, "rejected_at": _text(at), "reason": reason})

    def judged(self) -> tuple[dict[str, Any], ...]:
        """What was confirmed and rejected, by whom and when."""
        paths = sorted(self.directory.glob("*.json")) if self.directory.is_dir() else []
        try:
            return tuple(dict(json.loads(path.read_bytes())) for path in paths)
        except (ValueError, TypeError, OSError):
            raise KeyUnavailable(f"{self.directory}: a record of what was judged cannot be read, or was altered") from None

    def _judged(self, proposal: Proposal, verdict: dict[str, str]) -> None:
        record = {**_out(proposal), "fingerprint": proposal.fingerprint, **verdict}
        write_new(self.directory / f"{proposal.file_name}.json", _encoded(record), private=False)
        self._waiting(proposal.id).unlink(missing_ok=True)

    def _waiting(self, identifier: str) -> Path:
        if not _ID.fullmatch(identifier):
            raise KeyUnavailable("the id of a proposal is made of 16 hexadecimal digits; see: bankgate keys trust list")
        return self.directory / "pending" / f"{identifier}.json"


def _out(proposal: Proposal) -> dict[str, Any]:
    return {
        "connection": proposal.connection,
        "use": proposal.use,
        "certificate": _base64(proposal.certificate),
        "replaces": None if proposal.replaces is None else _base64(proposal.replaces),
        "source": proposal.source,
        "proposed_by": proposal.proposed_by,
        "proposed_at": _text(proposal.proposed_at),
    }


def _in(found: dict[str, Any]) -> Proposal:
    replaces = found["replaces"]
    return Proposal(
        connection=str(found["connection"]),
        use=str(found["use"]),
        certificate=_certificate(found["certificate"]),
        replaces=None if replaces is None else _certificate(replaces),
        source=str(found["source"]),
        proposed_by=str(found["proposed_by"]),
        proposed_at=datetime.fromisoformat(found["proposed_at"]),
    )


def _base64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _certificate(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
