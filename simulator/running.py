"""Puts a bank together from its settings and takes it apart again, in one context manager."""

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulator import garbage
from simulator.bank import Bank
from simulator.control import Control
from simulator.customer import make_customers
from simulator.ebics.desk import Desk
from simulator.ebics.door import EbicsDoor, tls_context
from simulator.ebics.settings import EbicsDoorSettings
from simulator.fastbank import FastLedger
from simulator.front.running import RunningFront, open_front
from simulator.https import HttpsDoor, server_context
from simulator.identity import make_certificate
from simulator.ledger import Ledger
from simulator.mockledger import MockLedger
from simulator.money import to_minor
from simulator.moods import Moods
from simulator.payee import PayeeService
from simulator.records import Records
from simulator.settings import BankSettings, FastBankSettings, MockBankSettings, TlsDoorSettings, ssh_fingerprint
from simulator.sftp import SftpDoor
from simulator.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBank:
    """A bank with its doors open."""

    settings: BankSettings
    bank: Bank
    ledger: Ledger
    control: Control
    sftp: SftpDoor | None
    https: HttpsDoor | None
    server_certificate: Path | None  # PEM, of the HTTPS door
    ebics: EbicsDoor | None = None
    desk: Desk | None = None  # behind the EBICS door
    front: RunningFront | None = None
    payee: PayeeService | None = None
    payee_certificate: Path | None = None  # PEM

    @property
    def moods(self) -> Moods:
        return self.bank.moods

    def tree(self, customer: str) -> Tree:
        """The folders of a customer, the hidden ones too."""
        return self.bank.customers[customer].tree

    async def seed(
        self,
        account: str,
        iban: str,
        *,
        behaviour: str = "accept",
        balance: str = "1000000.00",
        currency: str = "EUR",
        name: str | None = None,
        bic: str = "MOCKNL2A",
        parameters: Mapping[str, Any] | None = None,
        closed: bool = False,
    ) -> Mapping[str, Any]:
        """Opens an account of the ledger, or changes the one with that id. The behaviours are in the room's README.

        `balance` is a decimal in units of the currency. Raises `Refusal`.
        """
        wanted = {
            "id": account,
            "iban": iban,
            "behaviour": behaviour,
            "balance": to_minor(Decimal(balance), currency),
            "currency": currency,
            "name": name or account,
            "bic": bic,
            "parameters": dict(parameters or {}),
            "closed": closed,
        }
        return await self.ledger.open_account(wanted)

    async def idle(self) -> None:
        """Returns once every file taken so far has been worked on."""
        await self.bank.idle()

    async def advance(self, days: int) -> Mapping[str, Any]:
        """Moves bank time and sends out what that brought."""
        return await self.bank.advance(days)

    async def books(self) -> dict[str, Any]:
        """What the bank executed; see `simulator.books.summarise`."""
        return await self.bank.books()

    def addresses(self) -> dict[str, Any]:
        """What a customer and a tester need to know, JSON-ready: the content of the ready file."""
        ready: dict[str, Any] = {"pid": os.getpid(), "control": {"url": self.control.url}}
        ready["ledger"] = {"kind": self.settings.ledger.kind}
        if isinstance(self.ledger, MockLedger):
            ready["ledger"]["url"] = self.ledger.url
        if self.sftp is not None:
            key = self.sftp.public_key
            ready["sftp"] = {
                "host": self.sftp.host,
                "port": self.sftp.port,
                "host_key": key,
                "host_key_fingerprint": ssh_fingerprint(key),
            }
        if self.https is not None:
            ready["https"] = {
                "url": f"https://{self.https.host}:{self.https.port}",
                "certificate": str(self.server_certificate),
            }
        if self.ebics is not None and self.desk is not None:
            ready["ebics"] = {"url": self.ebics.url, "host_id": self.desk.settings.host_id, "bank_keys": self.desk.keys.shown()}
        if self.payee is not None:
            ready["payee"] = {"url": self.payee.url, "certificate": str(self.payee_certificate)}
        if self.front is not None:
            ready["front"] = self.front.addresses()
        return ready


@asynccontextmanager
async def run(settings: BankSettings) -> AsyncIterator[RunningBank]:
    """Opens the doors; closes them on leaving, a child process included.

    Raises `LedgerDown` if the ledger does not start, `OSError` if an address or a file cannot be used, and what the keys room
    raises about a seal profile, `ValueError` for a front machine whose customer makes no sense.
    """
    data = settings.data_directory
    data.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds bank files in clear
    customers = make_customers(settings)
    async with AsyncExitStack() as stack:
        records = Records(data / "bank.db")
        stack.callback(records.close)
        ledger = await _ledger(settings)
        stack.push_async_callback(ledger.close)
        bank = Bank(settings.directory, customers, ledger, Moods(garbage.KINDS), records)
        await bank.start(settings.ledger.collect_seconds if isinstance(settings.ledger, MockBankSettings) else 0.0)
        stack.push_async_callback(bank.close)
        desk = ebics = None
        if settings.ebics is not None:
            desk = Desk(bank, settings.ebics, data)
            stack.callback(desk.close)
            desk.resume()
        front = None
        if settings.front is not None:
            front = await stack.enter_async_context(open_front(settings.front, settings.directory))
        payee, payee_certificate = await _payee(settings)
        if payee is not None:
            stack.push_async_callback(payee.close)
        control = await Control.start(bank, settings.control.listen, desk, front, payee)
        stack.push_async_callback(control.close)
        sftp = https = certificate = None
        if settings.sftp is not None:
            host_key = settings.path(settings.sftp.host_key) if settings.sftp.host_key else data / "host_key"
            sftp = await SftpDoor.start(bank, settings.sftp.listen, host_key)
            stack.push_async_callback(sftp.close)
        if settings.https is not None:
            certificate, key = _server_identity(settings, settings.https)
            context = server_context(certificate, key, settings.path(settings.https.client_ca))
            https = await HttpsDoor.start(bank, settings.https.listen, context, settings.https.file_bytes_max)
            stack.push_async_callback(https.close)
        if desk is not None and settings.ebics is not None:
            ebics = await EbicsDoor.start(desk, settings.ebics.listen, _ebics_tls(settings, settings.ebics))
            stack.push_async_callback(ebics.close)
        yield RunningBank(
            settings=settings,
            bank=bank,
            ledger=ledger,
            control=control,
            sftp=sftp,
            https=https,
            server_certificate=certificate,
            ebics=ebics,
            desk=desk,
            front=front,
            payee=payee,
            payee_certificate=payee_certificate,
        )


async def _ledger(settings: BankSettings) -> Ledger:
    if not settings.customers:  # a front machine alone: no files, so nothing for mock-bank to do
        return FastLedger(FastBankSettings(), settings.data_directory / "fastbank")
    if isinstance(settings.ledger, FastBankSettings):
        return FastLedger(settings.ledger, settings.data_directory / "fastbank")
    return await MockLedger.start(settings.ledger, settings.directory)


async def _payee(settings: BankSettings) -> tuple[PayeeService | None, Path | None]:
    door = settings.payee
    if door is None:
        return None, None
    certificate, key = _server_identity(settings, door)
    service = PayeeService(
        holders={one.account: one.name for one in door.holders}, mood=door.mood, latency_seconds=door.latency_seconds
    )
    await service.start(server_context(certificate, key, settings.path(door.client_ca)), door.listen)
    return service, certificate


def _ebics_tls(settings: BankSettings, door: EbicsDoorSettings) -> ssl.SSLContext | None:
    if not door.tls:
        return None
    certificate, key = _server_identity(settings, door)
    return tls_context(str(certificate), str(key))


def _server_identity(settings: BankSettings, door: TlsDoorSettings | EbicsDoorSettings) -> tuple[Path, Path]:
    if door.certificate is not None and door.key is not None:
        return settings.path(door.certificate), settings.path(door.key)
    certificate, key = settings.data_directory / "https_certificate.pem", settings.data_directory / "https_key.pem"
    if not (certificate.exists() and key.exists()):
        make_certificate("bankgate-simulator", certificate, key, server=True)
    return certificate, key
