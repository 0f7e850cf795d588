"""The production EBICS channel over a simulated network: its machines, its driver and its notes in the real store.

Replaced are the HTTP post (`SimLine`), the opening of keys, and `pack`, which runs in a thread that waits for the loop: in
simulated time that is one and the same. Everything breaks at each step of a transaction, which is named in what is counted, and
before and after each note that is written.
"""

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING

from channels.channel import FateReport, Guarantee, Parcel, Receipt
from channels.content import verified
from channels.ebics.channel import EbicsChannel
from channels.ebics.line import NoAnswer, NotLeft
from channels.ebics.notes import SUBSCRIPTION, SubscriberNote
from channels.ebics.order_data import HpbData
from channels.ebics.own import Keys
from channels.ebics.profile import EbicsProfile
from channels.ebics.securing import Signing
from channels.ebics.spool import Packed, Spool
from channels.ebics.subscriber import Sent, Subscription
from channels.references import References
from gateway.channel_notes import StoreNotes
from keys.ebics_encryption import encrypted, segments
from keys.ebics_signature import normalised
from tests.ebics.support.parties import bank_keys, key, own_keys
from tests.sim.bank import ON_THE_WAY
from tests.sim.settings import NOWHERE

if TYPE_CHECKING:
    from tests.sim.world import Process, World

TIMEOUT = 90.0  # seconds; then a message counts as unanswered. Three of them fit into a send's lease
SERVICES = {"upload": {"name": "SCT", "message": "pain.001"}, "download": {"name": "REP", "message": "camt.054"}}
UPLOADING = frozenset({"first message of an upload", "segment", "last segment"})
_PHASE = re.compile(rb"<TransactionPhase>(\w+)</TransactionPhase>")
_LAST = re.compile(rb'<SegmentNumber lastSegment="(?:true|1)"')


def profile(version: str, segment_chars: int) -> EbicsProfile:
    """The bank's parameter sheet."""
    own = {name: {"key": f"store:{name}@1"} for name in ("signature", "authentication", "encryption")}
    h005 = version == "H005"
    return EbicsProfile.model_validate(
        {
            "kind": "ebics",
            "url": "https://bank.example/ebics",
            "trust": ["file:bank.pem"],
            "version": version,
            "host_id": "SIM",
            "partner_id": "PARTNER1",
            "user_id": "USER1",
            **own,
            "bank_key_digest": "public-key",
            "segment_chars": segment_chars,
            "upload": {"service": SERVICES["upload"]} if h005 else {"order_type": "CCT"},
            "downloads": [{"service": SERVICES["download"]} if h005 else {"order_type": "C54"}],
        }
    )


def subscriber_note(settings: EbicsProfile) -> tuple[str, str]:
    """The note of a subscriber whose bank keys a person has confirmed: its name and its text."""
    bank = bank_keys()
    keys = HpbData(authentication=bank.authentication, encryption=bank.encryption, host_id="SIM")
    found = SubscriberNote(subscription=Subscription(ini=Sent.YES, hia=Sent.YES, bank=keys))
    return f"{settings.scope}/{SUBSCRIPTION}", found.to_text()


def step_of(message: bytes) -> str:
    """Which step of which transaction a message is, in words."""
    phase = _PHASE.search(message)
    if phase is None:
        return "key message"
    data = b"<DataTransfer" in message
    match phase[1]:
        case b"Initialisation":
            return "first message of an upload" if data else "first message of a download"
        case b"Transfer" if data:
            return "last segment" if _LAST.search(message) else "segment"
        case b"Transfer":
            return "question for a segment"
    return "receipt"


class SimNotes(StoreNotes):
    """Notes in the store of a process that is killed or stopped just before and just after it writes one."""

    def __init__(self, world: "World", process: "Process") -> None:
        super().__init__(process.store)
        object.__setattr__(self, "_world", world)
        object.__setattr__(self, "_process", process)

    async def write(self, name: str, text: str, *, was: str | None) -> bool:
        world: World = self._world  # type: ignore[attr-defined]
        process: Process = self._process  # type: ignore[attr-defined]
        chance = 0.03 if "/upload/" in name else 0.005
        await strike(world, process, "before a note", chance)
        written = await super().write(name, text, was=was)
        await strike(world, process, "after a note", chance)
        return written


async def strike(world: "World", process: "Process", where: str, chance: float) -> None:
    """Kills or stops the process here, perhaps."""
    if world.strikes(f"ebics: killed {where}", chance):
        world.kill(process, where)
        await world.never()
    if world.strikes(f"ebics: stopped {where}", chance):
        world.pause(process, where)
        await asyncio.sleep(0)


class SimRing:
    """Our keys, opened."""

    def __init__(self) -> None:
        public = own_keys(certificates=False)
        self._keys = Keys(
            signing=Signing(key=key("A"), version="A006"), authentication=key("X"), encryption=key("E"), public=public
        )

    async def keys(self) -> Keys:
        return self._keys


class SimLine:
    """The network: it delays, loses a message or its answer, and delivers what it seemed to have lost."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process
        self.sending = ""  # the message whose bytes go out

    async def post(self, message: bytes) -> bytes:
        """As `channels.ebics.line.Line.post`."""
        world, step = self._world, step_of(message)
        bank = world.ebics
        assert bank is not None
        often = 3.0 if step in UPLOADING else 1.0  # there are fewer of these
        await strike(world, self._process, f"before a {step}", 0.01 * often)
        if world.strikes(f"ebics: no connection for a {step}", 0.03):
            raise NotLeft("no connection: ConnectionRefusedError")
        if step == "last segment" and self.sending:
            world.under_way(self.sending)
        await self._way()
        if world.strikes(f"ebics: {step} lost", 0.03 * often):
            await self._way()
            raise NoAnswer("not answered whole: ServerDisconnectedError")
        if world.strikes(f"ebics: {step} on its way for long", 0.02 * often):
            world.later(ON_THE_WAY * world.dice.random(), lambda: bank.answer(message), flying=self.sending or "ebics")
            raise NoAnswer("not answered whole: TimeoutError")
        answer = bank.answer(message)
        await strike(world, self._process, f"after a {step}", 0.01 * often)
        await self._way()
        if world.strikes(f"ebics: answer to a {step} lost", 0.5 if world.kind.deaf and step == "last segment" else 0.04 * often):
            raise NoAnswer("not answered whole: ServerDisconnectedError")
        if world.strikes(f"ebics: answer to a {step} cut", 0.01):
            return answer[: len(answer) // 2]
        return answer

    async def _way(self) -> None:
        """Half of the way. Long, sometimes; then the time-out comes first."""
        world = self._world
        seconds = world.dice.choice([1, 1, 1, 2, 60 if world.chaos else 1]) * world.dice.random()
        if world.strikes("ebics: slow", 0.02):
            seconds = 2 * TIMEOUT * world.dice.random()
        await asyncio.sleep(min(seconds, TIMEOUT))
        if seconds > TIMEOUT:
            raise NoAnswer("not answered whole: TimeoutError")

    async def close(self) -> None:
        return None


class SimEbicsChannel(EbicsChannel):
    """The production channel, with the simulated network and keys in the place of the real ones."""

    def __init__(self, world: "World", process: "Process", guarantee: Guarantee) -> None:
        nothing = References(secret=_no_secret, certificate=_no_secret, base=NOWHERE)
        assert world.ebics is not None
        super().__init__(
            profile(world.ebics.version, world.ebics.segment_chars),
            guarantee=guarantee,
            references=nothing,
            notes=SimNotes(world, process),
            clock=process.clock,
        )
        self._world, self._process = world, process
        self._net = self._line = self._here.line = SimLine(world, process)  # type: ignore[assignment]
        self._here.ring = SimRing()  # type: ignore[assignment]

    async def send(self, parcel: Parcel) -> Receipt:
        world = self._world
        world.tell(self._process, f"begins to send {parcel.name}")
        world.begins_to_send(self._process, parcel.name)
        self._net.sending = parcel.key
        try:
            return await super().send(parcel)
        finally:
            self._net.sending = ""

    async def fate(self, parcel: Parcel) -> FateReport:
        report = await super().fate(parcel)
        self._world.seen[f"ebics: asked, {report.fate.value} by {report.evidence}"] += 1
        self._world.tell(self._process, f"hears of {parcel.name}: {report.fate.value} by {report.evidence}, {report.detail}")
        return report


def _no_secret(reference: str) -> bytes:
    raise AssertionError(f"{reference}: nothing is read in a simulation")


async def packed_in_one_thread(parcel: Parcel, transaction_key: bytes, chars: int) -> Packed:
    """`channels.ebics.spool.pack` without its thread."""
    digest, spool = hashlib.sha256(), Spool()
    pieces = [piece async for piece in verified(parcel)]
    for piece in pieces:
        digest.update(normalised(piece))
    for segment in segments(encrypted(pieces, transaction_key), chars):
        spool.append(segment)
    return Packed(spool, digest.digest())
