"""Drives an upload (`channels.ebics.upload`): stores what the machine says before each message, sends it, tells it what came.

Why this cannot pay twice: the note is written, over the very text that we know, before each message; a process that was overtaken
cannot write it and sends nothing more. A new transaction is begun only where nothing of an earlier one can be executed, or where
the gateway decided so, on proof or by a person; and with the very bytes of before, since the note's name is their hash.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from channels.channel import ChannelError, InDoubt, NotSent, Parcel, Receipt, Refused
from channels.ebics import envelope, upload
from channels.ebics.codes import meaning
from channels.ebics.codes_table import BANK_KEYS_CHANGED, INVALID_USER_STATE, Remedy
from channels.ebics.correspondent import Correspondent, Session
from channels.ebics.line import NoAnswer, NotLeft
from channels.ebics.notes import Note, Overtaken, UploadNote, open_note, read_upload
from channels.ebics.orders import Order
from channels.ebics.securing import secured
from channels.ebics.spool import Packed, pack
from channels.ebics.upload import Outcome, UploadState
from keys.ebics_encryption import new_transaction_key

_WAITS: Final = frozenset({*INVALID_USER_STATE, BANK_KEYS_CHANGED})
"""Refusals of the access and not of the order: it waits until the access is mended."""


async def open_upload(here: Correspondent, parcel: Parcel) -> tuple[Note, UploadNote | None]:
    """What is noted of the upload of these bytes. Raises `InDoubt` where it cannot be read."""
    try:
        note = await open_note(here.notes, f"{here.profile.scope}/upload/{parcel.sha256.lower()}")
        return note, None if note.text is None else read_upload(note.text)
    except Exception as problem:  # the notes' errors are another room's, and a note that cannot be read proves nothing
        raise InDoubt(f"what is noted of this upload cannot be read: {type(problem).__name__}") from problem


@dataclass(slots=True)
class Uploading:
    """One upload in one transaction, from wherever it stands."""

    session: Session
    order: Order
    note: Note
    stands: UploadNote
    packed: Packed

    @property
    def state(self) -> UploadState:
        return self.stands.state

    async def run(self) -> UploadState:
        """Until it has ended, or nothing can be sent now. Raises `NotSent` or `InDoubt` for the latter."""
        while (step := upload.next_step(self.state)) is not None:
            opening = step.send.segment == 0
            before = self.state
            try:
                message = self._message(step.send)
                opened = self.session.correspondent.clock() if opening else self.stands.opened
                await self._put(replace(self.stands, state=step.state, opened=opened))
            except Exception as problem:
                raise held_up(before, problem) from problem
            await self._send(message)
        return self.state

    async def _send(self, message: bytes) -> None:
        try:
            answer = await self.session.exchange(message)
        except NotLeft as problem:
            await self._after(upload.not_left(self.state))
            raise held_up(self.state, problem) from problem
        except NoAnswer as problem:
            await self._after(upload.lost(self.state), str(problem))
        else:
            await self._after(upload.answered(self.state, answer))

    async def _after(self, state: UploadState, heard: str = "") -> None:
        """Stores what an answer, or none, made of it. Where the bank has said that it has the order, that is true even if it
        cannot be stored."""
        if heard and state.outcome is not Outcome.OPEN:
            state = replace(state, words=f"{state.words}; {heard}")
        try:
            await self._put(self.stands.at(state))
        except Exception as problem:
            if state.outcome is Outcome.ACCEPTED:
                self.stands = self.stands.at(state)
                return
            raise held_up(state, problem) from problem

    async def _put(self, stands: UploadNote) -> None:
        await self.note.put(stands.to_text())
        self.stands = stands

    def _message(self, send: upload.Send) -> bytes:
        session, state = self.session, self.state
        here = session.correspondent
        if send.segment == 0:
            start = secured(
                here.version,
                here.subscriber,
                session.keys.signing,
                session.bank,
                digest=self.packed.digest,
                transaction_key=bytes.fromhex(self.stands.transaction_key),
                segments=state.segments,
            )
            return envelope.start_request(
                here.version,
                here.subscriber,
                self.order,
                moment=here.moment(),
                bank=session.bank,
                key=session.keys.authentication,
                upload=start,
            )
        return envelope.transfer_request(
            here.version,
            here.profile.host_id,
            state.transaction_id or "",
            number=send.segment,
            last=send.last,
            key=session.keys.authentication,
            segment=self.packed.spool.segment(send.segment),
        )


async def prepared(session: Session, order: Order, parcel: Parcel, note: Note, stands: UploadNote | None) -> Uploading:
    """The upload to go on with. `stands`: what is noted; an upload that ended without the bank holding it begins a new
    transaction with the same bytes. Raises `ChannelError`, and what the store raises: nothing was sent."""
    here = session.correspondent
    state = None if stands is None else stands.state
    if state is not None and state.in_flight is not None:
        state = upload.lost(state)
    if stands is not None and state is not None and state.outcome is Outcome.OPEN:
        packed = await pack(parcel, bytes.fromhex(stands.transaction_key), here.profile.segment_chars)
        if packed.spool.sha256 == stands.text_sha256 and packed.spool.count == state.segments:
            return Uploading(session, order, note, stands.at(state), packed)
        packed.spool.close()
        if state.completed:
            raise InDoubt("the last segment went out, and this machine makes other ciphertext of it: it cannot be sent again")
        # Another zlib makes another ciphertext. Nothing was executed: a new transaction.
        state = replace(state, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER)
    key = new_transaction_key()
    packed = await pack(parcel, key, here.profile.segment_chars)
    fresh = upload.new_upload(digest=packed.digest.hex(), order_type=order.type, segments=packed.spool.count)
    if state is not None:
        fresh = replace(upload.anew(state, digest=packed.digest.hex()), segments=packed.spool.count, order_type=order.type)
    begun = UploadNote(state=fresh, transaction_key=key.hex(), text_sha256=packed.spool.sha256, opened=here.clock())
    return Uploading(session, order, note, begun, packed)


def held_up(state: UploadState, problem: Exception) -> ChannelError:
    """Nothing more could be sent: not sent, unless the last segment went out before, or another process goes on with it."""
    why = str(problem) if isinstance(problem, ChannelError) else f"{type(problem).__name__} while it was stored or signed"
    if isinstance(problem, Overtaken) or state.completed:
        return InDoubt(f"{_place(state)}: {why}")
    return NotSent(why)


def receipt_or_error(state: UploadState, clock: Callable[[], object]) -> Receipt:
    """What the end of an upload is for the gateway. Raises `NotSent`, `Refused`, `InDoubt`."""
    words = f"{state.words} ({_place(state)})" if state.words else _place(state)
    if state.outcome is Outcome.ACCEPTED:
        return Receipt(evidence=f"ebics {state.code or '000000'}", detail=words, at=clock())  # type: ignore[arg-type]
    if state.outcome is Outcome.NOT_HELD:
        if state.remedy is Remedy.CHANGE and state.code not in _WAITS:
            name = meaning(state.code or "").name
            raise Refused(f"ebics {state.code}", f"{words}{f' [{name}]' if name else ''}")
        raise NotSent(words if state.code is None else f"{words} [{state.code}]")
    raise InDoubt(words if state.code is None else f"{words} [{state.code}]")


def _place(state: UploadState) -> str:
    order = f"order {state.order_id}" if state.order_id else "no order number"
    return f"{order}, transaction {state.transaction_id or 'none'}"
