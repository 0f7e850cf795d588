"""What the tests of the simulator share: pain.001 of our own, and ways into a bank."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncssh
from lxml import etree

from simulator.fixture import RunningBank, iban

CLOCK = "2026-11-25T09:00"  # a Wednesday
TODAY = "2026-11-25"
ELSEWHERE = iban("DE", "370400440000000001")  # a creditor at a bank the ledger does not hold


@dataclass(frozen=True)
class Pay:
    """One credit transfer of a sample message."""

    end_to_end_id: str
    amount: str = "10.00"
    creditor: str = ELSEWHERE
    currency: str = "EUR"


def pain001(message_id: str, debtor: str, *payments: Pay, count: int | None = None, execute: str = TODAY) -> bytes:
    """A pain.001.001.09 in one block; `count` to lie about the number of transactions."""
    transfers = "".join(
        f"<CdtTrfTxInf><PmtId><InstrId>I-{pay.end_to_end_id}</InstrId><EndToEndId>{pay.end_to_end_id}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{pay.currency}">{pay.amount}</InstdAmt></Amt><CdtrAgt><FinInstnId><BICFI>COBADEFFXXX</BICFI>'
        f"</FinInstnId></CdtrAgt><Cdtr><Nm>Sand &amp; Gravel</Nm></Cdtr><CdtrAcct><Id><IBAN>{pay.creditor}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>Invoice {pay.end_to_end_id}</Ustrd></RmtInf></CdtTrfTxInf>"
        for pay in payments
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">'
        f"<CstmrCdtTrfInitn><GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>2026-11-25T08:00:00Z</CreDtTm>"
        f"<NbOfTxs>{len(payments) if count is None else count}</NbOfTxs><InitgPty><Nm>Tester</Nm></InitgPty></GrpHdr>"
        f"<PmtInf><PmtInfId>{message_id}-1</PmtInfId><PmtMtd>TRF</PmtMtd><ReqdExctnDt><Dt>{execute}</Dt></ReqdExctnDt>"
        f"<Dbtr><Nm>Tester</Nm></Dbtr><DbtrAcct><Id><IBAN>{debtor}</IBAN></Id><Ccy>EUR</Ccy></DbtrAcct>"
        "<DbtrAgt><FinInstnId><BICFI>MOCKNL2A</BICFI></FinInstnId></DbtrAgt>"
        f"<ChrgBr>SLEV</ChrgBr>{transfers}</PmtInf></CstmrCdtTrfInitn></Document>"
    ).encode()


@dataclass(frozen=True)
class Identities:
    """Who comes in through the doors."""

    ssh_key: Any
    ssh_line: str
    certificate: Path
    key: Path
    fingerprint: str
    stranger_certificate: Path  # trusted by TLS, pinned by no customer
    stranger_key: Path
    outsider_certificate: Path  # not even trusted by TLS
    outsider_key: Path


def number(name: str) -> int:
    """12 of "pain.002.001.10-12.xml.p7m"."""
    return int(name.partition("-")[2].partition(".")[0])


def texts(document: bytes, tag: str) -> list[str]:
    """The texts of every element of that local name, in document order."""
    return [element.text or "" for element in etree.fromstring(document).iter(f"{{*}}{tag}")]


async def content_of(sftp: asyncssh.SFTPClient, path: str) -> bytes:
    """The bytes of a file on the other side."""
    async with sftp.open(path, "rb") as file:
        raw: Any = await file.read()
    content: bytes = raw
    return content


@dataclass
class Ways:
    """Ways into a running bank as its customer "acme"."""

    bank: RunningBank
    identities: Identities
    account: str  # its debtor account: the ledger's id, and the IBAN
    debtor: str

    @asynccontextmanager
    async def sftp(self, username: str = "acme-user", client_key: Any = None) -> AsyncIterator[asyncssh.SFTPClient]:
        door = self.bank.sftp
        assert door is not None
        known = asyncssh.import_known_hosts(f"[{door.host}]:{door.port} {door.public_key}\n")
        async with (
            asyncssh.connect(
                door.host,
                door.port,
                username=username,
                client_keys=[client_key or self.identities.ssh_key],
                known_hosts=known,
                config=[],
                agent_path=None,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            yield client

    async def upload(self, content: bytes, name: str) -> None:
        """As customers do: a `.part`, then the final name; the bank has worked on it on return."""
        async with self.sftp() as sftp:
            async with sftp.open(f"/inbox/{name}.part", "wb") as file:
                await file.write(content)
            await sftp.rename(f"/inbox/{name}.part", f"/inbox/{name}")
        await self.bank.idle()

    async def fetch(self, *, delete: bool = False) -> dict[str, bytes]:
        """Everything in the outbox by name, by number; each is moved to the archive, or deleted."""
        found = {}
        names = await self.fetch_names()
        async with self.sftp() as sftp:
            for name in names:
                found[name] = await content_of(sftp, f"/outbox/{name}")
                if delete:
                    await sftp.remove(f"/outbox/{name}")
                else:
                    await sftp.rename(f"/outbox/{name}", f"/archive/{name}")
        return found

    async def fetch_names(self) -> list[str]:
        """What is on offer, by number."""
        async with self.sftp() as sftp:
            entries = await sftp.readdir("/outbox")
        return sorted(
            (str(entry.filename) for entry in entries if entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR), key=number
        )

    @asynccontextmanager
    async def https(self, certificate: Path | None = None, key: Path | None = None) -> AsyncIterator[aiohttp.ClientSession]:
        door = self.bank.https
        assert door is not None
        context = ssl.create_default_context(cafile=str(self.bank.server_certificate))
        context.load_cert_chain(certificate or self.identities.certificate, key or self.identities.key)
        async with aiohttp.ClientSession(
            f"https://{door.host}:{door.port}", connector=aiohttp.TCPConnector(ssl=context)
        ) as session:
            session._retry_connection = False  # or aiohttp sends a PUT whose answer was lost a second time by itself
            yield session
