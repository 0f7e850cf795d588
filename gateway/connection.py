"""One bank connection at work: its settings together with the plugin, channel and seal they name."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from channels.channel import Channel, Guarantee
from channels.ebics.profile import EbicsProfile
from channels.frontend_profile import FrontendProfile
from channels.https_profile import HttpsProfile
from channels.profiles import build_channel
from channels.profiles import parse_profile as parse_channel
from formats.bank import BankFormat
from formats.dialogue import DialogueBank
from formats.model import OrganisationIdentification, OtherIdentification, Party
from formats.schemas_own import OwnSchemas
from gateway.banks import bank_of
from gateway.came_back import DAYS, Returns
from gateway.channel_notes import StoreNotes
from gateway.config import ConnectionSettings
from gateway.dialogue.conversation import SignedIn
from gateway.dialogue.manner import Manner, manner_of
from gateway.dialogue.opening import open_dialogue
from gateway.own_schemas import read_schemas
from gateway.send_window import SendWindow
from gateway.store.store import Store
from gateway.window_settings import send_window
from keys.plain import PlainSeal
from keys.profiles import build_seal, certificates, profile_file_suffix
from keys.profiles import parse_profile as parse_seal
from keys.seal import KeyUnavailable, Seal
from keys.secrets import certificate_pem, resolve
from keys.store import certificates_end

PLAIN: Final = PlainSeal()


@dataclass(frozen=True, slots=True)
class Connection:
    """What the worker holds of a connection. Building it opens no key and no socket; both happen at first use."""

    settings: ConnectionSettings
    bank: BankFormat
    seal: Seal
    file_suffix: str
    base: Path
    clock: Callable[[], datetime]
    schemas: OwnSchemas | None = None  # brought from the bank; they win over the official ones
    window: SendWindow | None = field(init=False)  # when the bank takes messages; None: always
    signed_in: SignedIn = field(init=False, default_factory=SignedIn)  # at a bank that answers at once

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", send_window(self.settings))

    @property
    def id(self) -> str:
        return self.settings.id

    @property
    def time_zone(self) -> ZoneInfo:
        """The bank's."""
        return ZoneInfo(self.settings.time_zone or self.bank.capabilities.time_zone)

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(self.settings.guarantee.kind)

    @property
    def initiating_party(self) -> Party:
        """[InitgPty] of every message of this connection."""
        identification = self.settings.initiating_party_id
        organisation = OrganisationIdentification(other=(OtherIdentification(id=identification),)) if identification else None
        return Party(name=self.settings.initiating_party, organisation=organisation)

    @property
    def transfers_max(self) -> int:
        """In one message: the operator's bound and the bank's, whichever is smaller."""
        return min(self.settings.batching.transfers_max, self.bank.capabilities.transfers_max)

    @property
    def fall_back_codes(self) -> frozenset[str]:
        """Reasons of a refused instant payment after which it may go out as a normal one: the operator's, else the bank's."""
        own = self.settings.instant.fall_back_codes
        return self.bank.capabilities.instant_fall_back if own is None else frozenset(own)

    @property
    def dialogue(self) -> DialogueBank | None:
        """The bank as one that answers at once; None: it is sent files."""
        return self.bank if isinstance(self.bank, DialogueBank) else None

    @property
    def manner(self) -> Manner | None:
        """How a bank that answers at once is talked to; None: it is sent files."""
        return None if self.dialogue is None else manner_of(self.settings, self.dialogue)

    @property
    def returns(self) -> Returns | None:
        """How payments of a bank that answers at once come back; None: a statement tells it by an id of ours only."""
        if self.dialogue is None or self.settings.dialogue.returns_days == 0:
            return None
        manner = manner_of(self.settings, self.dialogue)
        return Returns(days=manner.returns or DAYS, zone=manner.zone)

    @property
    def repeat_after(self) -> timedelta:
        """How long after a doubt a message may be sent again, where repeats are safe."""
        return timedelta(0) if self.manner is None else self.manner.repeat_after

    @property
    def file_seal(self) -> Seal:
        """What seals stored documents and opens files: nothing where each exchange is sealed by itself."""
        return self.seal if self.dialogue is None else PLAIN

    def channel(self, store: Store | None = None) -> Channel:
        """A channel of its own: one for sending, one for fetching, so that neither waits for the other. `store`: EBICS and banks
        that answer at once cannot do without."""
        profile = parse_channel(self.settings.channel)
        if self.dialogue is not None and isinstance(profile, FrontendProfile):
            return open_dialogue(
                self.settings,
                self.dialogue,
                profile,
                seal=self.seal,
                store=_needed(store),
                clock=self.clock,
                base=self.base,
                secret=lambda reference: resolve(reference, self.base),
                certificate=lambda reference: certificate_pem(reference, self.base),
                signed_in=self.signed_in,
            )
        return build_channel(
            profile,
            guarantee=self.guarantee,
            absence_is_final=self.settings.guarantee.absence_is_final,
            secret=lambda reference: resolve(reference, self.base),
            certificate=lambda reference: certificate_pem(reference, self.base),
            clock=self.clock,
            base=self.base,
            notes=None if store is None else StoreNotes(store),
        )

    def file_name(self, message_id: str, on: datetime) -> str:
        """The fixed name a message travels under."""
        name = self.settings.file_name.format(message_id=message_id, connection_id=self.id, date=on.strftime("%Y%m%d"))
        return name + self.file_suffix


def open_connection(settings: ConnectionSettings, base: Path, clock: Callable[[], datetime]) -> Connection:
    """The connection as configured. `base` is where relative references start."""
    profile = parse_seal(settings.seal)
    return Connection(
        settings=settings,
        bank=bank_of(settings),
        seal=build_seal(profile, base, clock),
        file_suffix=profile_file_suffix(profile),
        base=base,
        clock=clock,
        schemas=None if settings.schemas is None else read_schemas(base / settings.schemas),
    )


def certificate_ends(settings: ConnectionSettings, base: Path) -> list[tuple[str, datetime]]:
    """Every certificate of a connection, its seal's and its route's, with the moment it expires (aware, UTC). Reads what is
    public only, and leaves out what cannot be read: whoever uses it says why."""
    channel = parse_channel(settings.channel)
    found = dict(_ends_of_seal(settings, base))
    for reference in channel.certificate_references if isinstance(channel, HttpsProfile | EbicsProfile) else ():
        with suppress(KeyUnavailable):
            found[reference] = certificates_end(reference, base)
    return list(found.items())


def _ends_of_seal(settings: ConnectionSettings, base: Path) -> list[tuple[str, datetime]]:
    try:
        return certificates(parse_seal(settings.seal), base)
    except KeyUnavailable:
        return []


def _needed(store: Store | None) -> Store:
    if store is None:
        raise ValueError("a bank that answers at once is talked to over a store only: replies have to be kept")
    return store


def stored_keys(settings: ConnectionSettings) -> tuple[str, ...]:
    """The references of a route into key stores."""
    tables = [settings.channel, *(table for table in settings.channel.values() if isinstance(table, dict))]
    return tuple(text for table in tables for text in table.values() if isinstance(text, str) and text.startswith("store:"))
