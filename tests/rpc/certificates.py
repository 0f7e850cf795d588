"""Certificates made for one test run: an authority, a server and clients."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PASSPHRASE = b"only for this test"


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(SHA256()).hex()


class Authority:
    """A certificate authority that issues server and client certificates."""

    def __init__(self, name: str = "test authority") -> None:
        self.root = _issue(name, None, authority=True)

    def server(self) -> Issued:
        return _issue("localhost", self.root)

    def client(self, name: str) -> Issued:
        return _issue(name, self.root)


def _issue(name: str, issuer: Issued | None, *, authority: bool = False) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
    )
    return Issued(builder.sign(issuer.key if issuer else key, SHA256()), key)


def write_server_files(directory: Path, authority: Authority, server: Issued, passphrase: bytes = PASSPHRASE) -> None:
    """What `[listen.tls]` refers to, under `directory`/tls."""
    tls = directory / "tls"
    tls.mkdir(parents=True, exist_ok=True)
    (tls / "server.pem").write_bytes(server.certificate_pem)
    (tls / "server.key").write_bytes(server.key_pem(passphrase))
    (tls / "passphrase").write_bytes(PASSPHRASE + b"\n")
    (tls / "clients.pem").write_bytes(authority.root.certificate_pem)
    for secret in ("server.key", "passphrase"):
        (tls / secret).chmod(0o600)
