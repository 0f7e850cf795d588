"""Orders that a person gives by hand, over the machines that carry payments: small order data or a signature alone, and questions
whose answers fit into memory."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from channels.channel import Arrival, ChannelError, Parcel, Unreachable
from channels.ebics.codes import meaning
from channels.ebics.correspondent import Session
from channels.ebics.download import End
from channels.ebics.downloading import fetch, slug
from channels.ebics.errors import BadAnswer
from channels.ebics.notes import Note, UploadNote
from channels.ebics.orders import Order
from channels.ebics.spool import Packed, Spool
from channels.ebics.upload import Outcome, UploadState, lost, new_upload
from channels.ebics.uploading import Uploading, prepared
from keys.ebics_encryption import new_transaction_key

ANSWER_BYTES_MAX: Final = 64 << 20


class Declined(ChannelError):
    """The bank does not do this. `code`: its return code, where it said one."""

    def __init__(self, words: str, code: str | None) -> None:
        self.code = code
        name = meaning(code).name if code else ""
        super().__init__(words + (f" [{code}{f' {name}' if name else ''}]" if code else ""))


async def inquire(session: Session, order: Order, *, bytes_max: int = ANSWER_BYTES_MAX) -> bytes | None:
    """The order data of a download; None where the bank has none. Raises `Declined`, `Unreachable`, `BadAnswer`."""
    content = bytearray()

    async def read(arrival: Arrival) -> None:
        content.clear()
        async for piece in arrival.chunks():
            content.extend(piece)
            if len(content) > bytes_max:
                raise BadAnswer("content.too-large", f"the answer to {order.type} is larger than {bytes_max >> 20} MiB")

    state = await fetch(session, order, read, called=f"question-{slug(order)}")
    if state.stored:  # whether the bank knows that we have it is of no account: nothing is used up by asking
        return bytes(content)
    if state.end is End.NO_DATA:
        return None
    if state.code is None:
        raise Unreachable(f"{order.type}: {state.words}")
    raise Declined(f"{order.type}: {state.words}", state.code)


async def give(session: Session, order: Order, data: bytes, note: Note, stands: UploadNote | None) -> UploadState:
    """An upload of small order data, from wherever it stands. Raises `NotSent`, `InDoubt`: it goes on from there."""
    uploading = await prepared(session, order, _parcel(data), note, stands)
    with uploading.packed.spool:
        return await uploading.run()


async def give_signature(session: Session, order: Order, digest: bytes, note: Note, before: UploadState | None) -> UploadState:
    """A signature alone, in a new message; only for orders that a second copy cannot do twice (HVE, SPR). `before`: how the last
    try stands. Raises `NotSent`, `InDoubt`."""
    fresh = new_upload(digest=digest.hex(), order_type=order.type, segments=0)
    if before is not None:
        fresh = replace(fresh, before=before.before or before.completed)
    begun = UploadNote(
        state=fresh, transaction_key=new_transaction_key().hex(), text_sha256="", opened=session.correspondent.clock()
    )
    with Spool() as spool:
        return await Uploading(session, order, note, begun, Packed(spool, digest)).run()


def landed(state: UploadState) -> UploadState:
    """A state as found: a message that was on its way is lost with the process that sent it."""
    return lost(state) if state.outcome is Outcome.OPEN and state.in_flight is not None else state


def _parcel(data: bytes) -> Parcel:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    sha256 = hashlib.sha256(data).hexdigest()
    return Parcel(name="order", size=len(data), sha256=sha256, chunks=chunks, key=sha256)
