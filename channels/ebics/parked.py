"""Orders that wait at the bank for signatures (EDS): listed, looked at, signed, cancelled.

Nothing is signed blindly. What waits is fetched whole where the bank gives it (HVT with the order data), and its digest made
from that data must be the one that the bank wants signed (HVD); only then what is shown is what is signed. `sign` and `cancel`
are given the digest that a person saw, and the bank is asked once more whether it still is that one. The signature is over this
digest itself, which is not hashed again. Sources: schemas H004 and H005, ebics_orders (HVU to HVT); EBICS 2.5 and 3.0, chapter
on the distributed electronic signature.
"""

import hmac
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from channels.channel import ChannelError
from channels.ebics import key_data, orders
from channels.ebics.codes_table import DUPLICATE_ORDER, DUPLICATE_SIGNATURE
from channels.ebics.correspondent import Correspondent, NotReady, Session
from channels.ebics.notes import open_note, read_upload
from channels.ebics.order_data import (
    ParkedDetails,
    ParkedOrder,
    ParkedState,
    Signer,
    read_hvd,
    read_hvt,
    read_parked_list,
)
from channels.ebics.ordering import Declined, give, give_signature, inquire, landed
from channels.ebics.orders import Parked
from channels.ebics.upload import Outcome, UploadState
from keys.ebics_signature import order_digest

GONE: Final = frozenset({"090006", "091114", *DUPLICATE_ORDER})
"""The bank's words for an order that does not wait any more: executed, cancelled, or never there."""


class Done(StrEnum):
    """What came of signing or cancelling."""

    DONE = "done"
    ALREADY = "already"  # our signature was there already
    OPEN = "open"  # it was not answered: look, or do it again, which does it once


class Gone(ChannelError):
    """The order does not wait any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a parked order is. `data`: the order data, where the bank gives it; then `proved`: its digest is the one to be signed.
    `details`: what the bank tells of it instead."""

    order: ParkedOrder
    state: ParkedState
    data: bytes | None
    details: ParkedDetails | None

    @property
    def digest(self) -> bytes:
        return self.state.digest

    @property
    def proved(self) -> bool:
        return self.data is not None and hmac.compare_digest(order_digest((self.data,)), self.state.digest)


@dataclass(frozen=True, slots=True)
class ParkedOrders:
    """The parked orders that one subscriber may see."""

    here: Correspondent

    async def waiting(self) -> tuple[ParkedOrder, ...]:
        """HVZ; HVU at a bank that has no HVZ. Raises `NotReady`, `Declined`, `Unreachable`, `BadAnswer`."""
        session = await self.here.ready()
        try:
            return await self._listed(session, "HVZ")
        except Declined:
            return await self._listed(session, "HVU")

    async def content(self, order_id: str) -> Content:
        """HVD and HVT. Raises as `waiting`; `Gone` where no order of this number waits, `NotReady` where two do."""
        session = await self.here.ready()
        return await self._content(session, await self._found(order_id))

    async def sign(self, order_id: str, digest: bytes) -> Done:
        """HVE, over the digest that a person saw. Raises as `content`; `NotReady` where the bank tells another digest or the
        content does not fit it; `Declined` where the bank refuses the signature; `NotSent`."""
        session = await self.here.ready()
        note = await open_note(self.here.notes, f"{self.here.profile.scope}/HVE/{order_id}/{digest.hex()}")
        last = None if note.text is None else landed(read_upload(note.text).state)
        try:
            found = await self._seen(session, order_id, digest)
        except Gone as problem:
            if last is not None and last.completed:
                raise Gone(f"{problem}. Our signature went out before and may have been the last one it waited for") from None
            raise
        # A signature that came with an order whose payees are verified counts for nothing, though a bank may list it.
        verified = orders.verifies_payees(found.order.order_type, found.order.service)
        if self._signed_by_us(found.state.signers) and not (verified and found.order.ready):
            return Done.ALREADY
        state = await give_signature(session, orders.sign_parked(self._named(found.order)), digest, note, last)
        return _ended(state)

    async def cancel(self, order_id: str, digest: bytes) -> Done:
        """HVS. Raises as `sign`."""
        session = await self.here.ready()
        note = await open_note(self.here.notes, f"{self.here.profile.scope}/HVS/{order_id}/{digest.hex()}")
        stands = None if note.text is None else read_upload(note.text)
        try:
            found = await self._seen(session, order_id, digest)
        except Gone as problem:
            if stands is not None and landed(stands.state).completed:
                raise Gone(f"{problem}. Our cancellation went out before and may be what ended it") from None
            raise
        data = key_data.hvs_data(self.here.version, digest, session.keys.signing.version)
        if stands is not None and landed(stands.state).outcome in {Outcome.IN_DOUBT, Outcome.ACCEPTED}:
            # It waits, as was just seen: the one before did not cancel it.
            stands = stands.at(replace(landed(stands.state), outcome=Outcome.NOT_HELD))
        return _ended(await give(session, orders.cancel_parked(self._named(found.order)), data, note, stands))

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _listed(self, session: Session, order_type: Literal["HVZ", "HVU"]) -> tuple[ParkedOrder, ...]:
        data = await inquire(session, orders.parked_list(order_type))
        return () if data is None else read_parked_list(data, self.here.version, order_type)

    async def _found(self, order_id: str) -> ParkedOrder:
        found = [order for order in await self.waiting() if order.order_id == order_id]
        if not found:
            raise Gone(
                f"no order {order_id} waits for signatures: it was executed, cancelled, or never there; the bank's protocol "
                "(HAC) says which"
            )
        if len(found) > 1:
            raise NotReady(f"{len(found)} orders have the number {order_id}: the bank must tell them apart")
        return found[0]

    async def _content(self, session: Session, order: ParkedOrder) -> Content:
        named = self._named(order)
        try:
            data = await inquire(session, orders.parked_state("HVD", named))
        except Declined as problem:
            if problem.code in GONE:
                raise Gone(f"order {order.order_id} does not wait any more: {problem}") from problem
            raise
        if data is None:
            raise Gone(f"order {order.order_id} does not wait any more")
        state = read_hvd(data, self.here.version)
        if order.digest is not None and not hmac.compare_digest(order.digest, state.digest):
            raise NotReady(f"the bank tells two digests of order {order.order_id}: sign nothing, and ask the bank")
        whole: bytes | None = None
        details: ParkedDetails | None = None
        with suppress(Declined):
            whole = await inquire(session, orders.parked_state("HVT", replace(named, complete=True)))
        if whole is None:
            with suppress(Declined):
                told = await inquire(session, orders.parked_state("HVT", named))
                details = None if told is None else read_hvt(told, self.here.version)
        return Content(order=order, state=state, data=whole, details=details)

    async def _seen(self, session: Session, order_id: str, digest: bytes) -> Content:
        found = await self._content(session, await self._found(order_id))
        if not hmac.compare_digest(found.digest, digest):
            raise NotReady(f"the bank has another digest for order {order_id} than the one that was looked at: look again")
        if found.data is not None and not found.proved:
            raise NotReady(
                f"the bank's data of order {order_id} has another digest than the bank wants signed: sign nothing, ask the bank"
            )
        return found

    def _named(self, order: ParkedOrder) -> Parked:
        return Parked(
            partner_id=order.partner_id,
            order_id=order.order_id,
            order_type=order.order_type,
            file_format=order.file_format,
            service=order.service,
        )

    def _signed_by_us(self, signers: tuple[Signer, ...]) -> bool:
        profile = self.here.profile
        return any((signer.partner_id, signer.user_id) == (profile.partner_id, profile.user_id) for signer in signers)


def _ended(state: UploadState) -> Done:
    """Raises `Declined`, `Gone`."""
    if state.code in GONE and not state.before:
        raise Gone(f"the order does not wait any more: {state.words} [{state.code}]")
    if state.code in GONE:
        raise Gone(
            f"the order does not wait any more: {state.words} [{state.code}]. What we sent before may have been what ended it: "
            "the bank's protocol (HAC) says so"
        )
    if state.outcome is Outcome.ACCEPTED:
        return Done.ALREADY if state.code == DUPLICATE_SIGNATURE else Done.DONE
    if state.outcome is Outcome.NOT_HELD:
        raise Declined(state.words, state.code)
    return Done.OPEN
