"""A connection to the simulator's EBICS bank: keys in a key store, notes in memory that can crash, a person's commands."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from channels.channel import Guarantee
from channels.ebics.channel import EbicsChannel
from channels.ebics.key_change import ChangeOrder, KeyChange, KeyUse
from channels.ebics.own import KeyReferences
from channels.ebics.profile import EbicsProfile
from channels.profiles import build_channel, parse_profile
from keys.ebics_keys import ebics_certificate
from keys.keymaterial import Subject
from keys.keystore import KeyStore
from keys.secrets import certificate_pem, resolve
from tests.ebics.support.desk import SERVICE, MemoryNotes
from tests.keys.keystores import made
from tests.simulator.ebics_support.bank import Branch
from tests.simulator.ebics_support.writer import soft_key

PROCESSES: dict[KeyUse, Any] = {"signature": "A006", "authentication": "X002", "encryption": "E002"}
WHO: dict[str, Any] = {"who": "tests", "at": datetime(2026, 1, 1, tzinfo=UTC)}


@dataclass
class Connection:
    """One user of the bank, from a folder of its own."""

    folder: Path
    branch: Branch
    version: str
    user: str = "USER1"
    notes: MemoryNotes = field(default_factory=MemoryNotes)
    channels: list[EbicsChannel] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.store: KeyStore = made(self.folder)
        for use in PROCESSES:
            self.store.add(use, soft_key(f"{self.user}/{use}/1"), [purpose(use)], certificates=[self._certificate(use, 1)], **WHO)
            self.store.activate(use, 1, **WHO)

    def _certificate(self, use: KeyUse, number: int) -> Any:
        key = soft_key(f"{self.user}/{use}/{number}")
        on = datetime.now(UTC) - timedelta(days=1)
        return ebics_certificate(PROCESSES[use], key, Subject(common_name=self.user), on=on, days=100)

    def profile(self) -> EbicsProfile:
        assert self.branch.bank.ebics is not None
        business = self.version == "H005"
        table = {
            "kind": "ebics",
            "url": self.branch.bank.ebics.url,
            "allow_plaintext_loopback": True,
            "version": self.version,
            "host_id": "TESTHOST",
            "partner_id": "PARTNER1",
            "user_id": self.user,
            **{use: {"key": f"store:{use}"} for use in PROCESSES},
            "upload": {"service": SERVICE, "park": True} if business else {"order_type": "CCT"},
            "segment_chars": 4000,
            **self.settings,
        }
        found = parse_profile(table)
        assert isinstance(found, EbicsProfile)
        return found

    def channel(self) -> EbicsChannel:
        """As of a new process."""
        found = build_channel(
            self.profile(),
            guarantee=Guarantee.QUERYABLE,
            absence_is_final=False,
            secret=lambda reference: resolve(reference, self.folder),
            certificate=lambda reference: certificate_pem(reference, self.folder),
            clock=lambda: datetime.now(UTC),
            base=self.folder,
            notes=self.notes,
        )
        assert isinstance(found, EbicsChannel)
        self.channels.append(found)
        return found

    async def ready(self) -> EbicsChannel:
        """Onboarding, whole."""
        channel = self.channel()
        await channel.onboarding.initialise()
        self.branch.desk.subscribers.command("PARTNER1", self.user, "activate")
        await channel.onboarding.fetch_bank_keys()
        keys = self.branch.desk.keys
        x002, e002 = (key.public_key_hash.hex() for key in (keys.authentication, keys.encryption))
        await channel.onboarding.confirm(authentication=x002, encryption=e002)
        self.notes.writes = 0
        return channel

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()

    # keys ------------------------------------------------------------------------------------------------------------------

    def new_keys(self, order: ChangeOrder) -> tuple[KeyReferences, KeyReferences]:
        """Second versions of what the order replaces, not in use."""
        uses = KeyChange(order=order).replaces
        for use in uses:
            self.store.add_version(use, soft_key(f"{self.user}/{use}/2"), certificates=[self._certificate(use, 2)], **WHO)
        return tuple((use, f"store:{use}@1") for use in uses), tuple((use, f"store:{use}@2") for use in uses)

    def put_in_use(self, order: ChangeOrder) -> None:
        for use in KeyChange(order=order).replaces:
            self.store.activate(use, 2, **WHO)

    @property
    def bank_has(self) -> set[str]:
        """Which of our keys the bank has, as "signature/2"."""
        user = self.branch.desk.subscribers.known("PARTNER1", self.user)
        known = {
            soft_key(f"{self.user}/{use}/{n}").public_key.public_numbers(): f"{use}/{n}" for use in PROCESSES for n in (1, 2)
        }
        return {known[key.public.public_numbers()] for key in user.keys.values()}


def purpose(use: KeyUse) -> Any:
    return "decrypt" if use == "encryption" else "sign"
