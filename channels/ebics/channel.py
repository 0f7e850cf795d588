"""EBICS as a `Channel`: an order is uploaded in one transaction, and what the bank offers is downloaded, order by order.

In doubt is an order whose last segment went out and was not answered. It is asked about in the same transaction first (the bank
says which segments it has), then in the bank's customer protocol (HAC). "Did not arrive" is said on proof only: our own notes
show that the last segment never left, or the bank says that the order ended badly. What the gateway makes of that is its rule.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from channels.channel import (
    Arrival,
    ChannelError,
    Fate,
    FateReport,
    Guarantee,
    InDoubt,
    Keep,
    NotSent,
    Parcel,
    Receipt,
    Unreachable,
)
from channels.content import fit_to_send
from channels.ebics import orders, upload
from channels.ebics.changing import Changing
from channels.ebics.codes_table import Remedy
from channels.ebics.correspondent import Correspondent, Session
from channels.ebics.describing import Description, described, lacking
from channels.ebics.downloading import fetch, trouble
from channels.ebics.errors import BadAnswer
from channels.ebics.key_change import AUTHENTICATION_FAILED
from channels.ebics.line import Line
from channels.ebics.locking import Locking
from channels.ebics.notes import Note, Notes, UploadNote
from channels.ebics.onboarding import Onboarding
from channels.ebics.own import KeyRing
from channels.ebics.parked import ParkedOrders
from channels.ebics.profile import EbicsProfile
from channels.ebics.protocol import BYTES_MAX, Step, Verdict, read_hac, verdict
from channels.ebics.upload import Outcome, UploadState
from channels.ebics.uploading import open_upload, prepared, receipt_or_error
from channels.references import References

HAC_AGE: Final = timedelta(seconds=20)
"""So long one customer protocol answers for all orders that are older than it: a turn of the gateway asks about several."""
_NEVER_LEFT: Final = "the last segment never left: the bank has no whole order"
WAITS_FOR_RELEASE: Final = (
    "the bank verifies the payees first and executes nothing of it until it is released there: bankgate ebics waiting"
)
_CLOCKS: Final = timedelta(minutes=10)  # by which the bank's clock may be behind ours


@dataclass(frozen=True, slots=True)
class _Protocol:
    """The customer protocol as fetched."""

    at: datetime
    since: datetime
    steps: tuple[Step, ...]
    heard: str = ""  # why the bank shows none


class EbicsChannel:
    """A `Channel` over EBICS. Safe to use from one task at a time."""

    def __init__(
        self,
        profile: EbicsProfile,
        *,
        guarantee: Guarantee,
        references: References,
        notes: Notes,
        clock: Callable[[], datetime],
    ) -> None:
        self._profile = profile
        self._guarantee = guarantee
        self._clock = clock
        self._line = Line(profile, references)
        self._troubles: list[str] = []
        self._protocol: _Protocol | None = None
        ring = KeyRing(profile, references.base, clock)
        self._here = Correspondent(profile, notes, self._line, ring, clock)

    @property
    def kind(self) -> str:
        return "ebics"

    @property
    def guarantee(self) -> Guarantee:
        return self._guarantee

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._troubles)

    @property
    def onboarding(self) -> Onboarding:
        """The way from new keys to a working connection."""
        return Onboarding(self._here)

    @property
    def changing(self) -> Changing:
        """New keys of ours for old ones."""
        return Changing(self._here)

    @property
    def locking(self) -> Locking:
        """The lock of our own access."""
        return Locking(self._here)

    @property
    def parked(self) -> ParkedOrders:
        """Orders that wait at the bank for signatures."""
        return ParkedOrders(self._here)

    async def describe(self, days: int) -> Description:
        """What the bank says about itself and our access; its protocol of so many days. Raises `NotReady`, `Unreachable`."""
        return await described(self._here, days)

    # -- sending -------------------------------------------------------------------------------------------------------

    async def send(self, parcel: Parcel) -> Receipt:
        """See `Channel.send`. Evidence: "ebics <return code>", or what was found where these bytes had been sent before."""
        receipt = await self._send(parcel)
        ordered = self._profile.ordered(parcel.message)
        if ordered is None or not ordered.verifies_payees:
            return receipt
        return replace(receipt, detail=f"{receipt.detail}; {WAITS_FOR_RELEASE}", waits=True)

    async def _send(self, parcel: Parcel) -> Receipt:
        """Sent again after a doubt was decided: the bank is asked once more, and only then a new transaction is begun."""
        fit_to_send(parcel, self._profile.file_bytes_max)
        ordered = self._profile.ordered(parcel.message)
        if ordered is None:
            missing = "recalls" if self._profile.upload else "upload"
            raise NotSent(f"[channel.{missing}] is missing: this route does not send {parcel.message or 'anything'}")
        order = ordered.order()
        note, stands = await open_upload(self._here, parcel)
        if stands is not None and stands.state.outcome is Outcome.ACCEPTED:
            known = _by_notes(stands.state)
            assert known is not None  # noqa: S101 - of an upload that was accepted
            return Receipt(evidence=known.evidence, detail=known.detail, at=self._clock())
        try:
            session = await self._here.ready()
        except Exception as problem:  # whatever it is: nothing was sent
            raise NotSent(_words(problem)) from problem
        if stands is not None and (stands.state.completed or stands.state.outcome is Outcome.IN_DOUBT):
            try:
                stands, report = await self._settled(session, order, parcel, note, stands)
            except Exception as problem:  # it is asked about once more before anything is sent anew
                raise InDoubt(f"asking about the upload before failed: {_words(problem)}") from problem
            if report.fate is Fate.ARRIVED:
                return Receipt(evidence=report.evidence, detail=report.detail, at=self._clock())
            stands = stands.at(_decided(stands.state))
        state = await self._uploaded(session, order, parcel, note, stands)
        refused = state.outcome is Outcome.NOT_HELD and state.code == AUTHENTICATION_FAILED
        if refused and await self._here.outdated(session):
            raise NotSent(f"our keys changed while this was sent, and the bank took nothing of it: {state.words} [{state.code}]")
        heard = await self._here.settle_suspicion()
        if heard is not None and state.outcome is not Outcome.ACCEPTED:
            state = replace(state, words=f"{state.words}; {heard}")
        return receipt_or_error(state, self._clock)

    async def _uploaded(
        self, session: Session, order: orders.Order, parcel: Parcel, note: Note, stands: UploadNote | None
    ) -> UploadState:
        try:
            uploading = await prepared(session, order, parcel, note, stands)
        except InDoubt:
            raise
        except Exception as problem:  # nothing of this attempt was sent
            raise NotSent(f"preparing: {_words(problem)}") from problem
        with uploading.packed.spool:
            return await uploading.run()

    # -- asking --------------------------------------------------------------------------------------------------------

    async def fate(self, parcel: Parcel) -> FateReport:
        """See `Channel.fate`. Evidence: "ebics.transfer", "ebics.hac", "ebics.notes"."""
        try:
            note, stands = await open_upload(self._here, parcel)
            if stands is None:
                return _unknown("ebics.notes", "nothing is noted about an upload of these bytes")
            if not stands.state.completed and stands.state.outcome is Outcome.OPEN:
                await note.put(stands.at(_closed(stands.state)).to_text())  # whoever was at it can send nothing more now
                return FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="ebics.notes", detail=_NEVER_LEFT, proved=True)
            if (known := _by_notes(stands.state)) is not None:
                return known
            ordered = self._profile.ordered(parcel.message)
            order = ordered.order() if ordered else orders.upload(stands.state.order_type)
            _, report = await self._settled(await self._here.ready(), order, parcel, note, stands)
        except Exception as problem:  # asking failed: that says nothing about the order
            return _unknown("none", f"asking failed: {_words(problem)}")
        return report

    async def _settled(
        self, session: Session, order: orders.Order, parcel: Parcel, note: Note, stands: UploadNote
    ) -> tuple[UploadNote, FateReport]:
        """What is known after asking about an upload whose last segment went out: in its transaction, then in the protocol."""
        state = upload.lost(stands.state) if stands.state.in_flight is not None else stands.state
        stands = stands.at(state)
        if state.outcome is Outcome.OPEN:
            uploading = await prepared(session, order, parcel, note, stands)
            with uploading.packed.spool:
                state = await uploading.run()
            stands = uploading.stands
            await self._here.settle_suspicion()
        if (known := _by_notes(state)) is not None:
            return stands, replace(known, evidence="ebics.transfer")
        found = await self._in_protocol(session, stands)
        if found.fate is Fate.UNKNOWN:
            heard = self._protocol.heard if self._protocol else ""
            return stands, _unknown("ebics.hac", f"{state.words}; {heard or 'the customer protocol does not show how it ended'}")
        step = found.step
        detail = f"order {state.order_id}: {step.action if step else ''} of {step.at if step else ''}" + (
            f", reason {step.reason}" if step and step.reason else ""
        )
        stands = stands.at(upload.proved(state, arrived=found.fate is Fate.ARRIVED, words=detail))
        await note.put(stands.to_text())
        return stands, FateReport(fate=found.fate, evidence="ebics.hac", detail=detail)

    async def _in_protocol(self, session: Session, stands: UploadNote) -> Verdict:
        """HAC about this order. Raises `ChannelError`."""
        order_id = stands.state.order_id
        since = stands.opened - _CLOCKS
        if order_id is None:
            return Verdict(fate=Fate.UNKNOWN)
        now = self._clock()
        kept = self._protocol
        young = kept is not None and timedelta(0) <= now - kept.at < HAC_AGE and kept.at >= stands.opened
        if kept is None or not young or since < kept.since:
            kept = self._protocol = await self._fetched_protocol(session, since, now)
        types = frozenset({stands.state.order_type})
        return verdict(kept.steps, order_id=order_id, partner_id=self._profile.partner_id, order_types=types, since=since)

    async def _fetched_protocol(self, session: Session, since: datetime, now: datetime) -> _Protocol:
        """With dates, so that the bank shows again what it has shown before. Raises `Unreachable` and `BadAnswer`."""
        content = bytearray()

        async def read(arrival: Arrival) -> None:
            async for piece in arrival.chunks():
                content.extend(piece)
                if len(content) > BYTES_MAX:
                    raise BadAnswer("content.too-large", "the customer protocol is larger than any")

        days = orders.DateRange(start=since.date(), end=now.date())
        order = orders.download("HAC", days)
        state = await fetch(session, order, read, called="evidence-HAC")
        heard = trouble(order, state) or ""
        if heard and state.code is None:
            raise Unreachable(heard)
        return _Protocol(now, since, read_hac(bytes(content)) if content and state.stored else (), heard)

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def receive(self, keep: Keep) -> int:
        """See `Channel.receive`: each configured download once. The receipt goes out after `keep`; where that failed, a negative
        one."""
        self._troubles = []
        kept = 0
        if not self._profile.downloads:
            return 0
        try:
            session = await self._here.ready()
        except Exception as problem:
            raise Unreachable(_words(problem)) from problem
        for settings in self._profile.downloads:
            order = settings.order()
            try:
                state = await fetch(session, order, keep)
            except Unreachable:
                raise
            except Exception as problem:  # this order is fetched again next time; the others go on
                self._troubles.append(f"{order.type}: {_words(problem)}")
                continue
            kept += state.stored is True
            if (words := trouble(order, state)) is not None:
                self._troubles.append(words)
        if (heard := await self._here.settle_suspicion()) is not None:
            self._troubles.append(heard)
        return kept

    # -- the other side, seen ------------------------------------------------------------------------------------------

    async def check(self) -> tuple[str, ...]:
        """See `Channel.check`: the bank's server (HEV), our keys, and where onboarding stands; an access that waits for the bank
        is tried (HPB). Once nothing of that is amiss: whether the bank grants what is set (HTD)."""
        return await self.onboarding.problems() or await lacking(self._here)

    async def close(self) -> None:
        await self._line.close()


def _by_notes(state: UploadState) -> FateReport | None:
    """What our own notes prove; None where the bank has to be asked."""
    if state.outcome is Outcome.ACCEPTED:
        return FateReport(fate=Fate.ARRIVED, evidence="ebics.notes", detail=f"{state.words} (order {state.order_id})")
    if state.outcome is Outcome.NOT_HELD:
        proved = not (state.completed or state.before)
        return FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="ebics.notes", detail=state.words or _NEVER_LEFT, proved=proved)
    return None


def _closed(state: UploadState) -> UploadState:
    """An upload whose last segment never left ends here; the next one is a new transaction."""
    return replace(state, in_flight=None, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER, words=_NEVER_LEFT)


def _decided(state: UploadState) -> UploadState:
    """The gateway sends again what was in doubt, so it decided that the bank holds nothing of it: on proof, or by a person."""
    if state.outcome is Outcome.OPEN:
        return state
    with suppress(ValueError):
        return upload.proved(state, arrived=False, words="decided that the bank holds nothing of it")
    return state


def _words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, ChannelError) else type(problem).__name__


def _unknown(evidence: str, detail: str) -> FateReport:
    return FateReport(fate=Fate.UNKNOWN, evidence=evidence, detail=detail)
