"""Drives a change of our keys (`channels.ebics.key_change`), resumable after any crash, with both sets of keys kept throughout.

Noted once, before anything is sent: which keys are to replace which. Which of them are in force is never noted apart but read
from the note of the upload that brings the new ones, so that the two cannot contradict each other; every process that speaks
with the bank reads it, and takes the keys that the bank takes, whether or not the key store has been brought in line yet. While
the bank's word is missing nothing else goes out. The change is closed once the key store has the new keys in use.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from channels.channel import ChannelError, Fate, InDoubt
from channels.ebics import envelope, key_data, orders, upload
from channels.ebics.answers import Answer
from channels.ebics.correspondent import Correspondent, NotReady, Session
from channels.ebics.key_change import AUTHENTICATION_FAILED, ChangeOrder, InForce, KeyChange, asked
from channels.ebics.key_notes import Change, ChangeNote, open_change
from channels.ebics.notes import Note, UploadNote
from channels.ebics.ordering import give, inquire, landed
from channels.ebics.own import KeyReferences, Keys
from channels.ebics.protocol import FINAL_NEGATIVE, FINAL_POSITIVE, read_hac, verdict
from channels.ebics.upload import Outcome, UploadState

_CLOCKS: Final = timedelta(minutes=10)  # by which the bank's clock may be behind ours


@dataclass(frozen=True, slots=True)
class Changing:
    """The changes of one subscriber's keys."""

    here: Correspondent

    async def found(self) -> Change | None:
        """The change under way. Raises `NotReady` where it cannot be read."""
        return (await self._open())[1]

    async def begin(self, order: ChangeOrder, *, old: KeyReferences, new: KeyReferences) -> Change:
        """Notes a change; the new keys are in the key store already. Nothing is sent. Raises `NotReady` where one is under way,
        the bank is not ready for us, or a new key is one of the present ones; `Overtaken`, `KeyTrouble`."""
        here = self.here
        note, under_way = await self._open()
        if under_way is not None:
            raise NotReady(f"a change of keys ({under_way.stands.order}) is under way: end that one first")
        if {use for use, _ in new} != set(KeyChange(order=order).replaces) or {use for use, _ in old} != {use for use, _ in new}:
            raise NotReady(f"{order} replaces {' and '.join(KeyChange(order=order).replaces)}: name a new key for each")
        await here.ready()
        keys = await here.ring.under(new).keys()
        known = set((await here.ring.under(old).keys()).hashes)
        if len(set(keys.hashes)) < 3 or any(getattr(keys.public, use).public_key_hash in known for use, _ in new):
            raise NotReady("a new key is one of the keys that the bank has: make new ones")
        digest = hashlib.sha256(self._data(order, keys)).hexdigest()
        stands = ChangeNote(order=order, old=old, new=new, names=keys.names, upload=f"{here.profile.scope}/{order}/{digest}")
        await note.put(stands.to_text())
        found = await self.found()
        assert found is not None  # noqa: S101 - just written
        return found

    async def run(self) -> InForce:
        """Sends the new keys, or goes on; then says which keys are in force. OLD: the bank took nothing of it, and the next run
        sends the same keys anew. Raises `NotSent` (nothing whole left us), `InDoubt` (another process goes on, or the line broke:
        run again), `NotReady` where no change is under way or the bank must be asked by a person."""
        found = await self._need()
        if found.change.in_force is InForce.NEW:
            return InForce.NEW
        old, new = await self._session(found.stands.old), await self._session(found.stands.new)
        stands, note = found.upload, found.upload_note
        if stands is not None and landed(stands.state).outcome is Outcome.IN_DOUBT:
            stands = await self._asked(found, note, stands, old, new)
            if stands.state.outcome is Outcome.ACCEPTED:
                return InForce.NEW
        order = orders.upload(found.stands.order)
        await give(old, order, self._data(found.stands.order, new.keys), note, stands)
        found = await self._need()
        if found.change.in_force is InForce.UNKNOWN:
            assert found.upload is not None  # noqa: S101 - else the old keys were in force
            await self._asked(found, found.upload_note, found.upload, old, new)
        return (await self._need()).change.in_force

    async def told(self, in_force: InForce) -> InForce:
        """A person of the bank said which keys it has; only where the bank's word is missing. Raises `NotReady`."""
        found = await self._need()
        if found.upload is None or found.change.in_force is not InForce.UNKNOWN or in_force is InForce.UNKNOWN:
            raise NotReady(f"nothing is open: the {found.change.in_force} keys are in force")
        words = f"a person of the bank said that the {in_force} keys are in force"
        await self._decided(found.upload_note, found.upload, arrived=in_force is InForce.NEW, words=words)
        return in_force

    async def close(self) -> None:
        """The key store has the new keys in use: from here on the configured references lead to them. Where the old keys are in
        force the change is given up. Raises `NotReady` where the bank's word is missing."""
        found = await self._need()
        in_force = found.change.in_force
        if in_force is InForce.UNKNOWN:
            raise NotReady("which keys are in force is not known: run the change again, or ask the bank")
        if in_force is InForce.NEW:
            note, stored = await self.here.open_note()
            if (await self.here.ring.keys()).names != found.stands.names:
                raise NotReady("the configured references do not lead to the new keys yet")
            await note.put(replace(stored, own=found.stands.names).to_text())
        await found.note.put(replace(found.stands, closed=True).to_text())

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _open(self) -> tuple[Note, Change | None]:
        try:
            return await open_change(self.here.notes, self.here.profile.scope)
        except (ValueError, KeyError, TypeError) as problem:
            raise NotReady(f"the stored change of our keys cannot be read: {problem}") from problem

    async def _need(self) -> Change:
        found = await self.found()
        if found is None:
            raise NotReady("no change of keys is under way")
        return found

    async def _session(self, references: KeyReferences) -> Session:
        return await self.here.session(await self.here.ring.under(references).keys())

    def _data(self, order: ChangeOrder, keys: Keys) -> bytes:
        version, who = self.here.version, self.here.subscriber
        if order == "PUB":
            return key_data.ini_data(version, who, keys.public.signature)
        write = key_data.hca_data if order == "HCA" else key_data.hcs_data
        return write(version, who, keys.public)

    async def _asked(self, found: Change, note: Note, stands: UploadNote, old: Session, new: Session) -> UploadNote:
        """Asks the bank which keys are in force, by means that move nothing; its word is noted. Raises `NotReady` where it does
        not tell, `InDoubt` where it could not be asked."""
        change = replace(found.change, in_force=InForce.UNKNOWN)
        try:
            if change.may_be_asked:
                change = asked(change, await _tried(new))
                if change.in_force is InForce.OLD and (await _tried(old)).says(AUTHENTICATION_FAILED):
                    change = replace(change, in_force=InForce.UNKNOWN)  # it takes neither: nothing is proved
            else:
                change = replace(change, in_force=await self._in_protocol(old, stands))
        except ChannelError as problem:
            raise InDoubt(f"whether the bank took the new keys is open, and asking failed: {problem}") from problem
        if change.in_force is InForce.UNKNOWN:
            raise NotReady(
                "whether the bank took the new keys is open, and nothing goes out until it is known. Run this again later; if it "
                "stays so, ask the bank which keys it has, and say so (--bank-has old or new)"
            )
        arrived = change.in_force is InForce.NEW
        return await self._decided(note, stands, arrived=arrived, words=f"the bank takes the {change.in_force} keys")

    async def _in_protocol(self, session: Session, stands: UploadNote) -> InForce:
        """HAC about the order; only its end decides."""
        order_id, since = stands.state.order_id, stands.opened - _CLOCKS
        if order_id is None:
            return InForce.UNKNOWN
        here = self.here
        days = orders.DateRange(start=since.date(), end=here.clock().date())
        data = await inquire(session, orders.download("HAC", days))
        said = verdict(
            read_hac(data) if data else (),
            order_id=order_id,
            partner_id=here.profile.partner_id,
            order_types=frozenset({stands.state.order_type}),
            since=since,
        )
        ends = {(FINAL_POSITIVE, Fate.ARRIVED): InForce.NEW, (FINAL_NEGATIVE, Fate.DID_NOT_ARRIVE): InForce.OLD}
        return ends.get((said.step.action, said.fate), InForce.UNKNOWN) if said.step else InForce.UNKNOWN

    async def _decided(self, note: Note, stands: UploadNote, *, arrived: bool, words: str) -> UploadNote:
        doubt: UploadState = replace(landed(stands.state), outcome=Outcome.IN_DOUBT)
        found = stands.at(upload.proved(doubt, arrived=arrived, words=words))
        await note.put(found.to_text())
        return found


async def _tried(session: Session) -> Answer:
    """HTD with these keys: does the bank take them? A transaction that it opens is ended."""
    here, key = session.correspondent, session.keys.authentication
    message = envelope.start_request(
        here.version, here.subscriber, orders.download("HTD"), moment=here.moment(), bank=session.bank, key=key
    )
    answer = await session.exchange(message)
    if answer.transaction_id is not None and answer.fine and answer.segments == 1:
        receipt = envelope.receipt_request(here.version, here.profile.host_id, answer.transaction_id, stored=True, key=key)
        await session.exchange(receipt)
    return answer
