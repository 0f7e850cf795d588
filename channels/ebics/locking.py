"""Locking our own access at the bank at once (SPR), as when a key may be in wrong hands; and beginning anew after a reset there.

From the moment before the message leaves the access counts as locked here: nothing more goes out. It stays so unless the bank
refused to lock, or nothing left us. Sent again after a lost answer it does no harm: a bank that has locked says that the state of
the subscriber allows nothing (091002 to 091004), which proves the lock.
"""

from dataclasses import dataclass, replace

from channels.channel import NotSent
from channels.ebics import orders, subscriber
from channels.ebics.codes_table import INVALID_USER_STATE
from channels.ebics.correspondent import Correspondent, NotReady
from channels.ebics.key_notes import open_change
from channels.ebics.notes import open_note, read_upload
from channels.ebics.ordering import Declined, give_signature, landed
from channels.ebics.subscriber import Subscription
from channels.ebics.upload import Outcome
from keys.ebics_signature import order_digest


@dataclass(frozen=True, slots=True)
class Locking:
    """The lock of one subscriber."""

    here: Correspondent

    async def lock(self) -> bool:
        """Whether the bank said that the access is locked. False: it did not answer, the access counts as locked here, and
        locking again asks once more. Raises `Declined` (the bank does not lock), `NotSent` (nothing left us), `NotReady`,
        `KeyTrouble`; then nothing has changed: an order to lock that was not answered before keeps the access locked here."""
        here = self.here
        note, stored = await here.open_note()
        session = await here.session(await here.own_keys(stored), locked=True)
        order_note = await open_note(here.notes, f"{here.profile.scope}/SPR/{stored.own.replace(' ', '/')}")
        last = None if order_note.text is None else landed(read_upload(order_note.text).state)
        before = stored.subscription
        await note.put(replace(stored, subscription=subscriber.locked(before)).to_text())
        try:
            state = await give_signature(session, orders.lock_subscriber(), order_digest((orders.SPR_DATA,)), order_note, last)
        except NotSent:
            await note.put(replace(stored, subscription=before).to_text())
            raise
        if state.outcome is Outcome.ACCEPTED or (state.before and state.code in INVALID_USER_STATE):
            return True
        if state.outcome is not Outcome.NOT_HELD:
            return False
        if state.before:
            words = "the bank refuses this order to lock; of the one before, which was not answered, nothing is known"
            raise Declined(f"{words}. The access stays locked here: {state.words}", state.code)
        await note.put(replace(stored, subscription=before).to_text())
        raise Declined(f"the bank did not lock the access: {state.words}", state.code)

    async def begin_anew(self) -> Subscription:
        """The bank has reset the access, as a person says: it begins anew, with the keys that are in use now, which are others
        than those that the bank had. Nothing is sent. Raises `NotReady`, `KeyTrouble`, `Overtaken`."""
        here = self.here
        note, stored = await here.open_note()
        keys = await here.ring.keys()
        if set(stored.own.split()) & set(keys.names.split()):
            raise NotReady("the keys in use are among those that the bank had before: make new ones")
        change_note, change = await open_change(here.notes, here.profile.scope)
        if change is not None:
            await change_note.put(replace(change.stands, closed=True).to_text())
        fresh = Subscription(by_authority=here.profile.by_authority)
        await note.put(replace(stored, subscription=fresh, own="").to_text())
        return fresh
