"""Speaking with one bank as one subscriber: who we are, whom we believe, and an exchange of one message for one answer.

What is stored of the subscriber decides whether anything is sent at all: without bank keys that a person confirmed nothing is
signed for them or encrypted to them, and a bank that shows other keys stops the connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from channels.channel import ChannelError
from channels.ebics import envelope
from channels.ebics.answers import Answer, read_answer, read_key_answer, unproved_codes
from channels.ebics.codes import deciding
from channels.ebics.codes_table import BANK_KEYS_CHANGED
from channels.ebics.envelope import BankKeys, Moment
from channels.ebics.errors import BadAnswer, as_bad_answer
from channels.ebics.key_change import InForce
from channels.ebics.key_notes import open_change
from channels.ebics.line import Line, NoAnswer
from channels.ebics.names import Subscriber, Version
from channels.ebics.notes import SUBSCRIPTION, Note, Notes, SubscriberNote, open_note, read_subscriber
from channels.ebics.order_data import HpbData, read_hpb
from channels.ebics.own import KeyReferences, KeyRing, Keys
from channels.ebics.profile import EbicsProfile
from channels.ebics.subscriber import Standing, Subscription, bank_keys_fetched, words
from keys.ebics_encryption import decrypted_whole, unwrapped_key
from keys.keymaterial import random_bytes

KEY_DATA_BYTES_MAX: Final = 1 << 20


class NotReady(ChannelError):
    """Nothing may be sent as this subscriber now; the text says what a person does about it."""


@dataclass(slots=True)
class Correspondent:
    """One subscriber at one bank."""

    profile: EbicsProfile
    notes: Notes
    line: Line
    ring: KeyRing
    clock: Callable[[], datetime]
    _rings: dict[KeyReferences, KeyRing] = field(default_factory=dict, init=False)
    suspicion: bool = field(default=False, init=False)  # an answer did not verify, or says that the bank's keys are others

    @property
    def version(self) -> Version:
        return self.profile.protocol

    @property
    def subscriber(self) -> Subscriber:
        return self.profile.subscriber

    def moment(self) -> Moment:
        return Moment(nonce=random_bytes(envelope.NONCE_BYTES), time=self.clock())

    # -- what is stored ------------------------------------------------------------------------------------------------

    async def open_note(self) -> tuple[Note, SubscriberNote]:
        """The subscriber's note; an empty one where there is none yet. Raises `NotReady` where it cannot be read."""
        note = await open_note(self.notes, f"{self.profile.scope}/{SUBSCRIPTION}")
        if note.text is None:
            return note, SubscriberNote(subscription=Subscription(by_authority=self.profile.by_authority))
        try:
            return note, read_subscriber(note.text)
        except (ValueError, KeyError, TypeError) as problem:
            raise NotReady(f"the stored state of this subscriber cannot be read: {problem}") from problem

    async def own_keys(self, stored: SubscriberNote) -> Keys:
        """Our keys that the bank takes: those of a change under way, once the bank has them. Raises `NotReady`, `KeyTrouble`."""
        try:
            _, found = await open_change(self.notes, self.profile.scope)
        except (ValueError, KeyError, TypeError) as problem:
            raise NotReady(f"the stored change of our keys cannot be read: {problem}") from problem
        if found is None:
            keys = await self.ring.keys()
            same_keys(stored, keys)
            return keys
        in_force = found.change.in_force
        if in_force is InForce.UNKNOWN:
            raise NotReady(
                f"new keys of ours ({found.stands.order}) are on their way, and whether the bank took them is not known yet: "
                "run bankgate connections change-keys again"
            )
        references = found.stands.new if in_force is InForce.NEW else found.stands.old
        if self._rings.get(references) is None:
            self._rings[references] = self.ring.under(references)
        keys = await self._rings[references].keys()
        if in_force is InForce.OLD:
            same_keys(stored, keys)
        elif keys.names != found.stands.names:
            raise NotReady("the keys of the change are not those that were sent to the bank any more: restore the key store")
        return keys

    async def outdated(self, session: "Session") -> bool:
        """Whether our keys have changed since this session began, or are changing: then a refused authentication says nothing."""
        try:
            current = await self.own_keys((await self.open_note())[1])
        except ChannelError:
            return True
        return current.names != session.keys.names

    async def ready(self) -> "Session":
        """Everything that a transaction needs. Raises `NotReady`, `KeyTrouble`."""
        _, stored = await self.open_note()
        _usable(stored.subscription)
        return await self.session(await self.own_keys(stored))

    async def session(self, keys: Keys, *, locked: bool = False) -> "Session":
        """The same with these keys of ours; `locked`: even where the access is locked. Raises `NotReady`."""
        subscription = (await self.open_note())[1].subscription
        confirmed = _usable(replace(subscription, locked=subscription.locked and not locked))
        bank = BankKeys(
            authentication=confirmed.authentication,
            encryption=confirmed.encryption,
            digest_kind=self.profile.digest_kind,
        )
        return Session(correspondent=self, keys=keys, bank=bank)

    # -- the bank's keys -----------------------------------------------------------------------------------------------

    async def fetch_bank_keys(self) -> Subscription:
        """HPB. What it brings is stored: the confirmed keys again, or others that wait for a person. Raises `NotLeft`,
        `NoAnswer`, `BadAnswer`, `KeyTrouble`, `NotReady`."""
        note, stored = await self.open_note()
        keys = await self.own_keys(stored)
        request = envelope.hpb_request(self.version, self.subscriber, self.moment(), keys.authentication)
        answer = read_key_answer(await self.line.post(request), self.version)
        code = deciding(answer.technical, answer.business)
        if not answer.fine or answer.order_data is None or answer.encryption is None:
            found = replace(stored.subscription, code=code.code)
        else:
            with as_bad_answer():
                secret = unwrapped_key(keys.encryption, answer.encryption.wrapped_key)
                data = decrypted_whole(answer.order_data, secret, bytes_max=KEY_DATA_BYTES_MAX)
            try:
                found = bank_keys_fetched(stored.subscription, read_hpb(data, self.version), host_id=self.profile.host_id)
            except ValueError as problem:
                raise BadAnswer("structure", str(problem)) from problem
            found = replace(found, code=None)
        await note.put(replace(stored, subscription=found).to_text())
        return found

    async def settle_suspicion(self) -> str | None:
        """After an answer that did not verify, or 091008: looks whether the bank shows other keys. What a person must know, if
        anything; the connection has stopped then."""
        if not self.suspicion:
            return None
        self.suspicion = False
        try:
            found = await self.fetch_bank_keys()
        except ChannelError as problem:
            return f"the bank's keys could not be looked at: {problem}"
        if found.standing is Standing.BANK_KEY_CHANGED:
            return words(found).english
        return (
            "the bank shows the keys that were confirmed. If it goes on to refuse messages (091008), it wants its keys named by "
            "the other hash: see bank_key_digest"
        )


def _usable(subscription: Subscription) -> HpbData:
    """The bank's keys that a person confirmed. Raises `NotReady`."""
    if subscription.standing is not Standing.READY or subscription.bank is None:
        raise NotReady(words(subscription).english)
    return subscription.bank


def same_keys(stored: SubscriberNote, keys: Keys) -> None:
    """Raises `NotReady` where our keys are not those that went to the bank."""
    if stored.own and stored.own != keys.names:
        raise NotReady(
            "our keys are not those that were sent to the bank: name the versions that it has (store:NAME@1). New keys go to the "
            "bank after it has reset the access"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A subscriber who is ready: with keys and the bank's keys."""

    correspondent: Correspondent
    keys: Keys
    bank: BankKeys

    async def exchange(self, message: bytes) -> Answer:
        """The verified answer. Raises `NotLeft`; `NoAnswer` also where what came cannot be believed."""
        here = self.correspondent
        raw = await here.line.post(message)
        try:
            answer = read_answer(raw, here.version, self.bank.authentication)
        except BadAnswer as problem:
            here.suspicion = True
            raise NoAnswer(f"what came cannot be believed: {problem}{_unproved(raw, here.version)}") from problem
        if answer.says(BANK_KEYS_CHANGED):
            here.suspicion = True
        return answer


def _unproved(raw: bytes, version: Version) -> str:
    """The codes in an answer that did not verify: a hint for a person."""
    try:
        technical, business = unproved_codes(raw, version)
    except BadAnswer:
        return ""
    return f" (it says {technical} and {business})"
