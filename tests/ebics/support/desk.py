"""Our side of the channel's tests: keys in files, notes in memory that can fail or crash, a clock that is set by hand."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from channels.channel import Arrival, Channel, Guarantee
from channels.ebics.channel import EbicsChannel
from channels.profiles import build_channel, parse_profile
from keys.ebics_keys import ebics_certificate
from keys.keymaterial import Subject
from keys.secrets import certificate_pem, resolve
from tests.ebics.support.bank import NOW, EbicsBank
from tests.ebics.support.parties import key

SERVICE = {"name": "SCT", "scope": "DE", "message": "pain.001"}
STATEMENTS = {"name": "EOP", "scope": "DE", "container": "ZIP", "message": "camt.053"}


class Crash(BaseException):
    """The process ends here."""


@dataclass
class MemoryNotes:
    """`crash_at`: the number of the write (from 1) at which the process ends; `after`: when it was stored already. `broken`: no
    write succeeds."""

    texts: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    crash_at: int = 0
    after: bool = False
    broken: bool = False

    async def read(self, name: str) -> str | None:
        return self.texts.get(name)

    async def write(self, name: str, text: str, *, was: str | None) -> bool:
        self.writes += 1
        if self.broken:
            raise OSError("the disk is full")
        crash = self.writes == self.crash_at
        if crash and not self.after:
            raise Crash
        if self.texts.get(name) != was:
            return False
        self.texts[name] = text
        if crash:
            raise Crash
        return True


@dataclass
class Desk:
    """Makes channels of one connection, over the same notes."""

    folder: Path
    bank: EbicsBank
    notes: MemoryNotes = field(default_factory=MemoryNotes)
    settings: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    kept: dict[str, bytes] = field(default_factory=dict)
    channels: list[EbicsChannel] = field(default_factory=list)

    def __post_init__(self) -> None:
        phrase = self.folder / "phrase"
        phrase.write_bytes(b"words\n")
        phrase.chmod(0o600)
        for version, name in (("A006", "A"), ("X002", "X"), ("E002", "E")):
            file = self.folder / f"{name}.pem"
            file.write_bytes(key(name).encrypted_pem(b"words", iterations=1))
            file.chmod(0o600)
            made = ebics_certificate(version, key(name), Subject(common_name="test"), on=NOW, days=365)  # type: ignore[arg-type]
            (self.folder / f"{name}.crt").write_bytes(made.public_bytes(Encoding.PEM))

    def table(self) -> dict[str, Any]:
        business = self.bank.version == "H005"
        keys = {
            name: {
                "key": f"file:{file}.pem",
                "passphrase": "file:phrase",
                **({"certificate": f"file:{file}.crt"} if business else {}),
            }
            for name, file in (("signature", "A"), ("authentication", "X"), ("encryption", "E"))
        }
        return {
            "kind": "ebics",
            "url": self.bank.url,
            "allow_plaintext_loopback": True,
            "version": self.bank.version,
            "host_id": "TESTHOST",
            "partner_id": "PARTNER1",
            "user_id": "USER1",
            **keys,
            "upload": {"service": SERVICE} if business else {"order_type": "CCT"},
            "downloads": [{"service": STATEMENTS} if business else {"order_type": "C53"}],
            "segment_chars": 40,
            **self.settings,
        }

    def channel(self) -> EbicsChannel:
        """A new one, as of a new process."""
        found: Channel = build_channel(
            parse_profile(self.table()),
            guarantee=Guarantee.QUERYABLE,
            absence_is_final=False,
            secret=lambda reference: resolve(reference, self.folder),
            certificate=lambda reference: certificate_pem(reference, self.folder),
            clock=self.clock,
            base=self.folder,
            notes=self.notes,
        )
        assert isinstance(found, EbicsChannel)
        self.channels.append(found)
        return found

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()

    def clock(self) -> datetime:
        return self.now

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    async def keep(self, arrival: Arrival) -> None:
        content = b"".join([piece async for piece in arrival.chunks()])
        self.kept[arrival.name] = content

    async def ready(self) -> EbicsChannel:
        """A channel whose onboarding is done."""
        channel = self.channel()
        await channel.onboarding.initialise()
        self.bank.activate()
        await channel.onboarding.fetch_bank_keys()
        x002, e002 = self.bank.fingerprints()
        await channel.onboarding.confirm(authentication=x002, encryption=e002)
        self.notes.writes = 0
        self.bank.asked.clear()
        return channel
