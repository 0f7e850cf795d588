"""The bank's own keys, X002 and E002: made once, kept in the data directory, changed on command."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from keys.ebics_keys import DigestKind, EbicsKey, KeyVersion, ebics_certificate, own_key
from keys.keymaterial import SoftwareKey, Subject, checked
from simulator.ebics.answers import text64
from simulator.ebics.names import Version

VALID_DAYS: Final = 3650


class BankKeys:
    """Both keys with self-signed certificates, in clear: they are for tests and never a real bank's. `change` makes new ones; who
    still names the old ones by their hashes is told so (091008)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.authentication_key, self.authentication = self._load("X002")
        self.encryption_key, self.encryption = self._load("E002")

    def change(self) -> None:
        """New keys of both kinds."""
        for file in (*self._files("X002"), *self._files("E002")):
            file.unlink()
        self.authentication_key, self.authentication = self._load("X002")
        self.encryption_key, self.encryption = self._load("E002")

    def named(self, key: EbicsKey, digest: bytes, version: Version, *, any_kind: bool) -> bool:
        """Whether `digest` names the key as the version wants it: by its numbers in H004, by its certificate in H005."""
        kind: DigestKind = "certificate" if version.is_h005 else "public-key"
        return digest == key.digest(kind) or (version.is_h005 and any_kind and key.is_named_by(digest))

    def shown(self) -> dict[str, dict[str, str]]:
        """What a letter of the bank would say, JSON-ready: both kinds of hash, in hex and in base64."""
        found: dict[str, dict[str, str]] = {}
        for key in (self.authentication, self.encryption):
            certificate = key.digest("certificate")
            found[key.version] = {
                "public_key_sha256": key.public_key_hash.hex(),
                "public_key_sha256_base64": text64(key.public_key_hash),
                "certificate_sha256": certificate.hex(),
                "certificate_sha256_base64": text64(certificate),
            }
        return found

    def _files(self, version: str) -> tuple[Path, Path]:
        return self._directory / f"ebics_{version}.pem", self._directory / f"ebics_{version}.crt"

    def _load(self, version: KeyVersion) -> tuple[SoftwareKey, EbicsKey]:
        key_file, certificate_file = self._files(version)
        if not (key_file.exists() and certificate_file.exists()):
            made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            key_file.touch(mode=0o600)
            key_file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            subject = Subject(common_name=f"bankgate-simulator {version}")
            certificate = ebics_certificate(version, SoftwareKey(made), subject, on=datetime.now(UTC), days=VALID_DAYS)
            certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
        key = checked(key_file.name, load_pem_private_key(key_file.read_bytes(), None))
        return key, own_key(version, key, load_pem_x509_certificate(certificate_file.read_bytes()))
