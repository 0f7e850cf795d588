"""What the demo needs before it starts: keys, certificates and the configuration of both sides.

Keys are written encrypted, each under a passphrase that only the processes needing it get in their environment: `serve` gets
the one of its TLS key, `worker` the ones of the connections, the bank its own.
"""

import ipaddress
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.store import Subject, new_key, self_signed, write_new

SFTP_ACCOUNT = "NL41MOCK0000000001"  # mock-bank's ACME, 125,000.00 EUR
POOR_ACCOUNT = "NL14MOCK0000000002"  # mock-bank's GLOBEX, 12.50 EUR
HTTPS_ACCOUNT = "NL03MOCK0000000006"  # opened by the demo, 200,000.00 EUR
BANK_BIC = "MOCKNL2AXXX"
VALID_DAYS = 30


@dataclass(frozen=True, slots=True)
class Passphrases:
    """Fresh ones for every demo. Environment variable → value."""

    serve: dict[str, str] = field(default_factory=lambda: {"DEMO_SERVE_KEY": secrets.token_urlsafe(24)})
    worker: dict[str, str] = field(
        default_factory=lambda: {name: secrets.token_urlsafe(24) for name in ("DEMO_SEAL_KEY", "DEMO_SFTP_KEY", "DEMO_HTTPS_KEY")}
    )
    bank: dict[str, str] = field(default_factory=lambda: {"DEMO_BANK_KEY": secrets.token_urlsafe(24)})


@dataclass(frozen=True, slots=True)
class Scenery:
    """Where everything is. `erp` holds the caller's certificate and key (PEM) in memory."""

    directory: Path
    passphrases: Passphrases
    erp_certificate: bytes
    erp_key: bytes = field(repr=False)
    authority: bytes

    @property
    def gateway(self) -> Path:
        return self.directory / "gateway"

    @property
    def bank(self) -> Path:
        return self.directory / "bank"


MOCK_BANK = """kind = "mock-bank"
clock = "{today}T09:00"
cutoff = "20:00"
collect_seconds = 0.2"""
FAST_BANK = 'kind = "fast"'  # the simulator's own stand-in, for benches


def set_up(directory: Path, ledger: str = MOCK_BANK) -> Scenery:
    """Makes keys, certificates and the bank's configuration. The gateway's follows once the bank's ports are known."""
    passphrases = Passphrases()
    scenery_authority = _Authority()
    gateway, bank = directory / "gateway", directory / "bank"
    for place in (gateway / "keys", gateway / "trust", gateway / "connections", bank / "keys"):
        place.mkdir(parents=True, mode=0o700)
    _serve_identity(gateway, scenery_authority, passphrases)
    erp_key = ec.generate_private_key(ec.SECP256R1())
    erp_certificate = scenery_authority.issue("erp", erp_key, client=True)
    _seal_keys(gateway, bank, passphrases)
    _sftp_key(gateway, passphrases)
    fingerprint = _https_identity(gateway, bank, passphrases)
    (bank / "simulator.toml").write_text(_bank_toml(gateway, fingerprint, ledger), encoding="utf-8")
    return _scenery(directory, passphrases, scenery_authority, erp_key, erp_certificate)


def _scenery(
    directory: Path,
    passphrases: Passphrases,
    authority: "_Authority",
    erp_key: ec.EllipticCurvePrivateKey,
    erp_certificate: x509.Certificate,
) -> Scenery:
    return Scenery(
        directory=directory,
        passphrases=passphrases,
        erp_certificate=erp_certificate.public_bytes(serialization.Encoding.PEM),
        erp_key=erp_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        authority=authority.certificate.public_bytes(serialization.Encoding.PEM),
    )


def set_up_gateway(directory: Path) -> Scenery:
    """What `serve` and its caller need, and nothing else: for a bank whose connection brings its own."""
    passphrases = Passphrases(worker={})
    authority = _Authority()
    for place in ("keys", "trust", "connections"):
        (directory / "gateway" / place).mkdir(parents=True, mode=0o700)
    (directory / "bank").mkdir(mode=0o700)
    _serve_identity(directory / "gateway", authority, passphrases)
    erp_key = ec.generate_private_key(ec.SECP256R1())
    return _scenery(directory, passphrases, authority, erp_key, authority.issue("erp", erp_key, client=True))


def write_gateway(scenery: Scenery, address: str, store: str) -> None:
    """Writes bankgate.toml: whose calls are believed, where we listen, where everything is kept."""
    certificate = x509.load_pem_x509_certificate(scenery.erp_certificate)
    text = _gateway_toml(certificate.fingerprint(hashes.SHA256()).hex(), address, store)
    (scenery.gateway / "bankgate.toml").write_text(text, encoding="utf-8")


DEMO_PACE = """
[batching]
wait_seconds = 0.4
transfers_max = 100

[schedule]
fetch_seconds = 0.5
ask_seconds = 1.0
"""


SQLITE = "sqlite:///bankgate.db"


def configure_gateway(
    scenery: Scenery, ready: dict[str, object], address: str, pace: str = DEMO_PACE, store: str = SQLITE
) -> None:
    """Writes bankgate.toml and both connections. `ready` is what the bank says about its doors; `address` where
    we listen, `pace` the tables on batching and schedule, `store` where everything is kept."""
    write_gateway(scenery, address, store)
    connections = scenery.gateway / "connections"
    (connections / "acme-sftp.toml").write_text(_sftp_toml(ready, pace), encoding="utf-8")
    (connections / "orion-https.toml").write_text(_https_toml(scenery, ready, pace), encoding="utf-8")


class _Authority:
    """A certificate authority that lives as long as the demo's set-up; its key is never written."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bankgate demo authority")])
        self.certificate = self._builder(self._name, self._key.public_key(), ca=True).sign(self._key, hashes.SHA256())

    def issue(self, name: str, key: ec.EllipticCurvePrivateKey, *, client: bool) -> x509.Certificate:
        """A TLS certificate: of a client, or of a server on this machine."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = self._builder(subject, key.public_key(), ca=False).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if not client:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )


def _serve_identity(gateway: Path, authority: _Authority, passphrases: Passphrases) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue("localhost", key, client=False)
    _write_key(gateway / "keys" / "serve.key.pem", key, passphrases.serve["DEMO_SERVE_KEY"])
    _write_public(gateway / "keys" / "serve.pem", certificate)
    _write_public(gateway / "trust" / "callers.pem", authority.certificate)


def _seal_keys(gateway: Path, bank: Path, passphrases: Passphrases) -> None:
    """A key pair for each side; each gets the other's certificate."""
    now = datetime.now(UTC)
    sides = (
        (gateway, bank, "gateway", passphrases.worker["DEMO_SEAL_KEY"]),
        (bank, gateway, "bank", passphrases.bank["DEMO_BANK_KEY"]),
    )
    for own, other, name, passphrase in sides:
        key = new_key("rsa-3072")
        certificate = self_signed(key, Subject(common_name=f"{name} seal"), on=now, days=VALID_DAYS)
        write_new(own / "keys" / "seal.key.pem", key.encrypted_pem(passphrase.encode()), private=True)
        _write_public(own / "keys" / "seal.pem", certificate)
        trust = other / "trust" if other is gateway else other / "keys"
        _write_public(trust / f"{name}-seal.pem", certificate)


def _sftp_key(gateway: Path, passphrases: Passphrases) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    encrypted = key.export_private_key("pkcs8-pem", passphrases.worker["DEMO_SFTP_KEY"])
    write_new(gateway / "keys" / "sftp.key.pem", encrypted, private=True)
    (gateway / "keys" / "sftp.pub").write_bytes(key.export_public_key())


def _https_identity(gateway: Path, bank: Path, passphrases: Passphrases) -> str:
    """The client certificate of the HTTPS connection, issued by an authority the bank believes; its fingerprint."""
    authority = _Authority()
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue("orion", key, client=True)
    _write_key(gateway / "keys" / "https.key.pem", key, passphrases.worker["DEMO_HTTPS_KEY"])
    _write_public(gateway / "keys" / "https.pem", certificate)
    _write_public(bank / "keys" / "client-ca.pem", authority.certificate)
    return certificate.fingerprint(hashes.SHA256()).hex()


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey, passphrase: str) -> None:
    encryption = serialization.BestAvailableEncryption(passphrase.encode())
    write_new(
        path,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
        private=True,
    )


def _write_public(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _quoted(value: object) -> str:
    """A TOML string: JSON's form of a string is one."""
    return json.dumps(str(value), ensure_ascii=False)


def _bank_toml(gateway: Path, fingerprint: str, ledger: str) -> str:
    authorized = (gateway / "keys" / "sftp.pub").read_text(encoding="utf-8").strip()
    seal = """
seal.kind = "cms"
seal.signing_key = "file:keys/seal.key.pem"
seal.signing_key_passphrase = "env:DEMO_BANK_KEY"
seal.signing_certificate = "file:keys/seal.pem"
seal.bank_encryption_certificates = ["file:keys/gateway-seal.pem"]
seal.bank_signing_certificates = ["file:keys/gateway-seal.pem"]
seal.decryption_keys = [{key = "file:keys/seal.key.pem", passphrase = "env:DEMO_BANK_KEY", certificate = "file:keys/seal.pem"}]
"""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"""# The bank of the demo: mock-bank behind an SFTP door and an HTTPS door.
[sftp]
listen = "127.0.0.1:0"

[https]
listen = "127.0.0.1:0"
client_ca = "keys/client-ca.pem"

[control]
listen = "127.0.0.1:0"

[ledger]
{ledger.format(today=today)}

[[customers]]
id = "acme"
accounts = ["{SFTP_ACCOUNT}", "{POOR_ACCOUNT}"]
sftp.user = "acme"
sftp.authorized_keys = [{_quoted(authorized)}]
{seal}
[[customers]]
id = "orion"
accounts = ["{HTTPS_ACCOUNT}"]
https.certificate_sha256 = ["{fingerprint}"]
{seal}
"""


def _gateway_toml(fingerprint: str, address: str, store: str) -> str:
    return f"""store = {_quoted(store)}

[listen]
address = "{address}"
tls.certificate = "file:keys/serve.pem"
tls.key = "file:keys/serve.key.pem"
tls.key_passphrase = "env:DEMO_SERVE_KEY"
tls.client_ca = "file:trust/callers.pem"

[telemetry]
log_level = "info"

[[callers]]
name = "erp"
certificate_sha256 = ["{fingerprint}"]
actions = ["submit", "read", "cancel", "statements", "operate", "replay"]
"""


_SEAL = """
[seal]
kind = "cms"
signing_key = "file:keys/seal.key.pem"
signing_key_passphrase = "env:DEMO_SEAL_KEY"
signing_certificate = "file:keys/seal.pem"
bank_encryption_certificates = ["file:trust/bank-seal.pem"]
bank_signing_certificates = ["file:trust/bank-seal.pem"]
decryption_keys = [{key = "file:keys/seal.key.pem", passphrase = "env:DEMO_SEAL_KEY", certificate = "file:keys/seal.pem"}]
"""


def _sftp_toml(ready: dict[str, object], pace: str) -> str:
    sftp = ready["sftp"]
    assert isinstance(sftp, dict)  # noqa: S101 - the shape of ready.json
    return f"""bank = "sepa"
initiating_party = "ACME Manufacturing BV"

[[accounts]]
iban = "{SFTP_ACCOUNT}"
currency = "EUR"
holder = "ACME Manufacturing BV"
agent_bic = "{BANK_BIC}"

[[accounts]]
iban = "{POOR_ACCOUNT}"
currency = "EUR"
holder = "ACME Petty Cash"
agent_bic = "{BANK_BIC}"

[channel]
kind = "sftp"
host = "{sftp["host"]}"
port = {sftp["port"]}
username = "acme"
host_keys = [{_quoted(sftp["host_key"])}]
client_key = "file:keys/sftp.key.pem"
client_key_passphrase = "env:DEMO_SFTP_KEY"
upload = "inbox"
downloads = ["outbox"]
done_directory = "archive"

# The bank takes files out of the inbox, so an absent name proves nothing: only its news, or a listing that shows the file, does.
[guarantee]
kind = "queryable"
absence_is_final = false
quiet_seconds = 3600
{_SEAL}{pace}"""


def _https_toml(scenery: Scenery, ready: dict[str, object], pace: str) -> str:
    https = ready["https"]
    assert isinstance(https, dict)  # noqa: S101 - the shape of ready.json
    trust = scenery.gateway / "trust" / "bank-tls.pem"
    trust.write_bytes(Path(str(https["certificate"])).read_bytes())
    return f"""bank = "sepa"
initiating_party = "Orion Handels GmbH"

[[accounts]]
iban = "{HTTPS_ACCOUNT}"
currency = "EUR"
holder = "Orion Handels GmbH"
agent_bic = "{BANK_BIC}"

[channel]
kind = "https"
base_url = "{https["url"]}"
trust = ["file:trust/bank-tls.pem"]
client_certificate = "file:keys/https.pem"
client_key = "file:keys/https.key.pem"
client_key_passphrase = "env:DEMO_HTTPS_KEY"
upload_mode = "put"
upload_path = "/files"
list_path = "/outbox"

# The bank's door refuses a name it has ever seen, and shows what it has by that name: creating it again cannot pay twice.
[guarantee]
kind = "idempotent"
evidence = "the simulator remembers every name for good (simulator/README.md, HTTPS door)"
{_SEAL}{pace}"""
