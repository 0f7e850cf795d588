"""What `simulator.toml` can say, as data. Read once, checked whole; every problem is named with its key."""

import base64
import binascii
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from simulator.ebics.settings import EbicsCustomerSettings, EbicsDoorSettings
from simulator.front.settings import FrontSettings
from simulator.payee import PayeeMood
from simulator.settings_base import Address, Seconds, Settings, split_address


class BadSettings(Exception):
    """The operator's: the file cannot be used. The text names every problem with its key."""


class SftpDoorSettings(Settings):
    """The SFTP server. Without a host key one is made in the data directory and kept there."""

    listen: Address = "127.0.0.1:0"
    host_key: str | None = None  # path of an OpenSSH private key, relative to the configuration file


class TlsDoorSettings(Settings):
    """A server that wants client certificates. Without a certificate of its own one is made in the data directory, for
    "localhost" and the loopback addresses."""

    listen: Address = "127.0.0.1:0"
    certificate: str | None = None  # path of a PEM chain
    key: str | None = None  # path of its unencrypted PEM key
    client_ca: str  # path of PEM certificates

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class HttpsDoorSettings(TlsDoorSettings):
    """The HTTPS server for files.

    A client's certificate has to be issued by one of `client_ca` (or be listed there itself) AND be pinned by a customer.
    """

    file_bytes_max: int = Field(default=4 * 1024**3, ge=1)


class PayeeHolderSettings(Settings):
    account: str  # IBAN
    name: str


class PayeeDoorSettings(TlsDoorSettings):
    """The verification-of-payee service (`simulator.payee`), for every client that `client_ca` vouches for."""

    holders: tuple[PayeeHolderSettings, ...] = ()  # of other accounts the asked name decides
    mood: PayeeMood = PayeeMood.WELL
    latency_seconds: Seconds = 0.0


class ControlSettings(Settings):
    listen: Address = "127.0.0.1:0"

    @model_validator(mode="after")
    def _loopback(self) -> "ControlSettings":
        if split_address(self.listen)[0] not in {"127.0.0.1", "localhost"}:
            raise ValueError("the control API has no authentication and listens on 127.0.0.1 only")
        return self


class MockBankSettings(Settings):
    """The ledger of the package `mock-bank`: `url` of one that runs already, or the options of one to start as a child."""

    kind: Literal["mock-bank"] = "mock-bank"
    url: str | None = None
    database: str | None = None  # path; None: a throw-away bank that forgets everything when it stops
    clock: str | None = None  # "2026-11-25T09:00"; None: now
    cutoff: str | None = None  # "15:00"
    time_zone: str | None = None  # an IANA name; None: UTC
    status_delay_ms: int | None = None
    allow_duplicates: bool = False  # True: the bank executes a MsgId it has seen before
    collect_seconds: Seconds = 0.5  # how often answers are collected besides at once after a file and after an advance


class FastBankSettings(Settings):
    """The stand-in for benches: accepts every payment, books it at once."""

    kind: Literal["fast"] = "fast"
    opening_balance: str = Field(default="1000000000.00", pattern=r"^\d{1,13}(\.\d{1,5})?$")  # of an account first seen in a file
    statements: bool = True  # a camt.053 for each file and account, at once after the pain.002
    allow_duplicates: bool = False


class SftpCustomerSettings(Settings):
    """One SFTP account. Its tree holds `inbox/`, `outbox/`, `archive/` and, if shown, `taken/`."""

    user: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    authorized_keys: tuple[str, ...] = ()  # lines of an authorized_keys file
    authorized_keys_file: str | None = None
    show_taken: bool = False  # keep what was taken visible in taken/
    remember_names: bool = False  # True: a name ever used in the inbox is refused for good
    take_after_seconds: Seconds = 0.0  # how long a file lies in the inbox before the bank takes it

    @model_validator(mode="after")
    def _some_key(self) -> "SftpCustomerSettings":
        if not self.authorized_keys and self.authorized_keys_file is None:
            raise ValueError("give authorized_keys or authorized_keys_file: passwords are not taken")
        return self


class HttpsCustomerSettings(Settings):
    certificate_sha256: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = Field(min_length=1)


class CustomerSettings(Settings):
    """One customer of the bank: who it is, what it owns, how it comes in, how files are sealed."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    accounts: tuple[str, ...] = ()  # IBANs (or other account ids) whose answers go to this customer
    sftp: SftpCustomerSettings | None = None
    https: HttpsCustomerSettings | None = None
    ebics: EbicsCustomerSettings | None = None
    seal: dict[str, Any] = Field(default_factory=lambda: {"kind": "plain"})  # as the BANK's side; checked by keys/


class BankSettings(Settings):
    """The whole file. `directory` is where its relative paths start."""

    directory: Path
    data: str = "data"
    ready_file: str = "ready.json"  # in the data directory; written once every door is open
    sftp: SftpDoorSettings | None = None
    https: HttpsDoorSettings | None = None
    ebics: EbicsDoorSettings | None = None
    payee: PayeeDoorSettings | None = None
    control: ControlSettings = ControlSettings()
    ledger: MockBankSettings | FastBankSettings = Field(default=MockBankSettings(), discriminator="kind")
    front: FrontSettings | None = None  # a front machine of a Chinese bank, with a customer and books of its own
    customers: tuple[CustomerSettings, ...] = ()  # of the doors for files

    @model_validator(mode="after")
    def _consistent(self) -> "BankSettings":
        if not self.customers and self.front is None:
            raise ValueError("give at least one of [[customers]], or a [front]")
        _distinct("customers: id", [customer.id for customer in self.customers])
        _distinct("customers: sftp.user", [customer.sftp.user for customer in self.customers if customer.sftp])
        _distinct("customers: accounts", [account for customer in self.customers for account in customer.accounts])
        pins = [pin for customer in self.customers if customer.https for pin in customer.https.certificate_sha256]
        _distinct("customers: https.certificate_sha256", pins)
        _distinct("customers: ebics.partner", [customer.ebics.partner for customer in self.customers if customer.ebics])
        for customer in self.customers:
            if (customer.sftp and not self.sftp) or (customer.https and not self.https) or (customer.ebics and not self.ebics):
                raise ValueError(f"customer {customer.id}: uses a door that has no table of its own ([sftp], [https] or [ebics])")
            if customer.ebics and customer.seal.get("kind", "plain") != "plain":
                raise ValueError(f"customer {customer.id}: EBICS seals by itself; seal is of kind plain here")
        return self

    def path(self, name: str) -> Path:
        """A path of the file, relative to where the file is."""
        return self.directory / name

    @property
    def data_directory(self) -> Path:
        return self.path(self.data)


def _distinct(what: str, values: list[str]) -> None:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{what}: used twice ({len(repeated)} value(s)); each belongs to one customer")


def load_settings(file: Path) -> BankSettings:
    """The settings in a TOML file. Raises `BadSettings` with every problem by key."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file}: is not TOML: {error}") from error
    try:
        return BankSettings.model_validate({**table, "directory": file.resolve().parent})
    except ValidationError as error:
        problems = [(".".join(map(str, problem["loc"])) or "(file)", problem["msg"]) for problem in error.errors()]
        lines = [f"  {key}: {text}" for key, text in problems]
        raise BadSettings("\n".join([f"{file}:", *lines])) from error


def ssh_fingerprint(public_key_line: str) -> str:
    """ "SHA256:…" of an OpenSSH public key line, as `ssh-keygen -l` prints it. Raises `ValueError`."""
    fields = public_key_line.split()
    if len(fields) < 2:
        raise ValueError("not an OpenSSH public key line")
    try:
        blob = base64.b64decode(fields[1], validate=True)
    except binascii.Error as error:
        raise ValueError("not an OpenSSH public key line") from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
