"""A `Channel` to a bank that answers at once: sending is one exchange, asking another, fetching many.

Why this cannot pay twice. A payment goes out under the serial number it was given before its first send, with the content that
was stored then, and never under another one. What the reply does not prove is in doubt, and is asked about by that number.
Content goes out again only where the gateway decided so: under IDEMPOTENT, where the bank says that a number is never executed
twice and the wait it asks for is over; or on proof, or by a person. And even then the bank is asked first, if an earlier attempt
may have arrived.

Why no answer is lost. Each reply is stored as it came before anything is made of it; what it says of payments is read from there.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from channels.channel import (
    ChannelError,
    Fate,
    FateReport,
    Guarantee,
    InDoubt,
    Keep,
    NotSent,
    Parcel,
    Receipt,
    Refused,
)
from channels.content import fit_to_send, verified
from formats.dialogue import Asked, Asking, Heard, Outcome, StatusInquiry
from formats.exchange import Exchange
from gateway.dialogue.conversation import Conversation
from gateway.dialogue.manner import Manner
from gateway.dialogue.replies import arrival_of, keeper, references_of
from gateway.dialogue.rounds import Rounds
from gateway.dialogue.sought import Question, about, questions
from gateway.dialogue.telling import sent_on_a_word
from gateway.dialogue.verdicts import rejects_each
from gateway.lifecycle import DeliveryEvent
from gateway.masking import mask_text
from gateway.store.records import Delivery
from gateway.store.serials import GivenSerial, SerialAsk
from gateway.store.store import Store, StoreUnavailable

log = structlog.get_logger("dialogue")

CONTENT_BYTES_MAX: Final = 64 * 1024 * 1024
QUESTIONS_MAX: Final = 100  # about one message; one with more payments than these name is known by the first that is found
_TEXT_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Found:
    """What the bank says when asked about a message."""

    found: frozenset[str]
    missing: frozenset[str]
    asked: int
    of: int
    proves: bool  # that the message is with the bank: by a number that no other message had, or by all of its numbers
    words: str

    @property
    def all_missing(self) -> bool:
        return self.asked == self.of and len(self.missing) == self.of and not self.found


class DialogueChannel:
    """A `Channel`. Safe to use from one task at a time."""

    def __init__(
        self,
        conversation: Conversation,
        store: Store,
        *,
        connection_id: str,
        guarantee: Guarantee,
        absence_is_final: bool,
        manner: Manner,
        rounds: Rounds,
        ask_within: float,
    ) -> None:
        """`ask_within`: for so many seconds in all an earlier attempt is asked about before a message goes out again."""
        self.conversation = conversation
        self._store = store
        self._connection_id = connection_id
        self._guarantee = guarantee
        self._absence_is_final = absence_is_final
        self._manner = manner
        self._keep = keeper(store, connection_id)
        self._rounds = rounds
        self._ask_within = ask_within

    @property
    def kind(self) -> str:
        return "frontend"

    @property
    def guarantee(self) -> Guarantee:
        return self._guarantee

    @property
    def troubles(self) -> tuple[str, ...]:
        return self._rounds.troubles

    # -- sending -------------------------------------------------------------------------------------------------------

    async def send(self, parcel: Parcel) -> Receipt:
        """See `Channel.send`. Evidence: "<bank> <code>", of the reply to the payment or to a question about it."""
        fit_to_send(parcel, CONTENT_BYTES_MAX)
        try:
            content = b"".join([chunk async for chunk in verified(parcel)])
            delivery, serials = await self._of(parcel)
            doubted = await self._doubted(delivery)
        except Exception as fault:  # whatever it is, nothing was sent
            raise NotSent(_words(fault)) from fault
        if (until := self._manner.quiet_until(self.conversation.now())) is not None:
            raise NotSent(f"the bank takes nothing until {until:%H:%M} ({self.conversation.zone})")
        brought = _brought(delivery, serials)
        if doubted or brought:
            known = await self._known_before(delivery, serials, doubted=doubted)
            if known is not None:
                return known
            await self._tell_of_a_repeat(delivery)
        asked = Asked(
            kind=Asking.PAYMENT,
            function=delivery.message_name.partition(".")[2],
            account=serials[0].account.number,
            currency=serials[0].account.currency,
            serials=tuple(one.serial for one in serials),
            package=serials[0].package,
            repeat=doubted or bool(brought),
        )
        exchange, heard = await self.conversation.have(content, asked)
        await self._kept(exchange)
        if heard.outcome is Outcome.REFUSED and not asked.repeat and rejects_each(self.conversation.bank, exchange):
            heard = replace(heard, outcome=Outcome.TAKEN)  # the bank judged them: they failed, and nobody has to look
        return self._receipt_or_error(heard, doubted=doubted, repeat=asked.repeat)

    async def _known_before(self, delivery: Delivery, serials: Sequence[GivenSerial], *, doubted: bool) -> Receipt | None:
        """What the bank says about an earlier attempt, before anything is sent again. Raises `InDoubt` where it does not say, nor
        promises anything about repeats, unless a person decided: they may know what no question tells.

        Without a doubt about this message, some of its payments bring their numbers from an earlier one, which was given up, and
        were released by a person: the bank has to say no more than that it does not show them. `NotSent` where it is not reached.
        """
        idempotent = self._guarantee is Guarantee.IDEMPOTENT
        may_repeat = idempotent or not doubted or await self._decided_by_a_person(delivery)
        try:
            async with asyncio.timeout(self._ask_within):  # a lease bounds the send as a whole (`gateway.dialogue.settings`)
                found = await self._ask(delivery, serials)
        except Exception as fault:  # asking failed, or took too long: that says nothing about the attempt before
            if not doubted:
                raise NotSent(f"asking about numbers of an earlier message failed: {_words(fault)}") from fault
            if may_repeat:
                return None
            raise InDoubt(f"asking about the attempt before failed: {_words(fault)}") from fault
        if found.proves:
            return Receipt(evidence=self._evidence("status"), detail=found.words, at=self.conversation.clock())
        if found.found and not idempotent:
            raise InDoubt(f"the bank has some of the payments from an earlier message: {found.words}")
        if not found.all_missing and not may_repeat:
            raise InDoubt(f"the bank does not say what became of the attempt before: {found.words}")
        return None

    async def _tell_of_a_repeat(self, delivery: Delivery) -> None:
        """Where it is a person's word that sends it again, and would be a person's error if it was paid twice: told before it
        leaves, for no later answer need show it. Raises `NotSent`."""
        if self._guarantee is Guarantee.IDEMPOTENT or not await self._decided_by_a_person(delivery):
            return
        try:
            await self._store.add_discrepancies([sent_on_a_word(self._connection_id, delivery)])
        except StoreUnavailable as fault:
            raise NotSent(_words(fault)) from fault

    def _receipt_or_error(self, heard: Heard, *, doubted: bool, repeat: bool) -> Receipt:
        words = _said(heard)
        if heard.outcome is Outcome.TAKEN:
            return Receipt(evidence=self._evidence(heard.code), detail=words, at=self.conversation.clock())
        if heard.outcome is Outcome.REFUSED and not repeat:
            raise Refused(heard.code or "refused", words)
        if heard.outcome in {Outcome.NOT_TAKEN, Outcome.SIGN_IN} and not doubted:
            raise NotSent(words)
        # What a reply does not prove is in doubt; and of a repeat, "refused" may mean "you have sent this before".
        raise InDoubt(words)

    def _evidence(self, code: str) -> str:
        return " ".join(filter(None, (self.conversation.bank.name, code)))[:60]

    # -- asking --------------------------------------------------------------------------------------------------------

    async def fate(self, parcel: Parcel) -> FateReport:
        """See `Channel.fate`. "Not found" is "did not arrive" only where the bank promised that it is final, after its wait."""
        try:
            if (until := self._manner.quiet_until(self.conversation.now())) is not None:
                return _unknown(f"the bank answers nothing until {until:%H:%M} ({self.conversation.zone})")
            delivery, serials = await self._of(parcel)
            found = await self._ask(delivery, serials)
        except Exception as fault:  # asking failed: that says nothing about the message
            return _unknown(f"asking failed: {_words(fault)}")
        evidence = self._evidence("status")
        if found.proves:
            return FateReport(fate=Fate.ARRIVED, evidence=evidence, detail=found.words)
        waited = self.conversation.clock() - (delivery.doubt_since or delivery.updated_at)
        if found.all_missing and self._absence_is_final and waited >= self._manner.not_found_wait:
            return FateReport(fate=Fate.DID_NOT_ARRIVE, evidence=evidence, detail=found.words)
        return FateReport(fate=Fate.UNKNOWN, evidence=evidence, detail=found.words)

    async def _ask(self, delivery: Delivery, serials: Sequence[GivenSerial]) -> Found:
        """Asks by serial number until one proves that the message arrived, or all were asked about. Raises `ChannelError`."""
        brought = _brought(delivery, serials)
        found: set[str] = set()
        missing: set[str] = set()
        asked = 0
        words = ""
        most, zone = self.conversation.bank.dialogue.serials_per_question, self.conversation.zone
        for question in questions(serials, most, zone)[:QUESTIONS_MAX]:
            heard = await self._ask_status(question)
            asked += len(question)
            found |= set(heard.found)
            missing |= set(heard.missing)
            words = _said(heard)
            if found - brought or heard.outcome is not Outcome.TAKEN:
                break
        said = f"{len(found)} found and {len(missing)} not found of {len(serials)} payments of {delivery.message_id}"
        proves = bool(found - brought) or found >= {one.serial for one in serials}
        return Found(frozenset(found), frozenset(missing - found), asked, len(serials), proves, f"{said}; the bank: {words}")

    async def _ask_status(self, question: Question) -> Heard:
        """One question about payments; its reply is kept. Raises `ChannelError`."""
        conversation = self.conversation
        inquiry = StatusInquiry(sought=question, on=conversation.now().date())
        exchange, heard = await conversation.have(conversation.bank.inquire(inquiry, conversation.fresh()), about(question))
        await self._kept(exchange)
        return heard

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def receive(self, keep: Keep) -> int:
        """See `Channel.receive`: asks about what is due, and keeps each reply. Nothing has to be told to the bank."""
        return await self._rounds.go(keep)

    async def next_due(self) -> datetime | None:
        """When something is to be asked next by itself; None: nothing."""
        return await self._rounds.next_due()

    # -- the other side, seen ------------------------------------------------------------------------------------------

    async def check(self) -> tuple[str, ...]:
        """See `Channel.check`: the line, and the balance of the first account where the bank tells balances."""
        problems = await self.conversation.line.check()
        return problems or await self._rounds.try_balance()

    async def close(self) -> None:
        """See `Channel.close`."""
        await self.conversation.line.close()

    # -- shared --------------------------------------------------------------------------------------------------------

    async def _of(self, parcel: Parcel) -> tuple[Delivery, list[GivenSerial]]:
        """The delivery of a parcel, and the serial numbers it was given. Raises `LookupError`."""
        delivery = await self._store.delivery_by_message_id(self._connection_id, parcel.key)
        serials = [] if delivery is None else await self._store.serials_of(delivery.delivery_id)
        if delivery is None or not serials:
            raise LookupError("the message has no serial numbers")
        return delivery, serials

    async def _doubted(self, delivery: Delivery) -> bool:
        """Whether an attempt before this one may have arrived."""
        attempts = await self._store.attempts(delivery.delivery_id)
        return any(one.number < delivery.attempt and one.outcome != "not_sent" for one in attempts)

    async def _decided_by_a_person(self, delivery: Delivery) -> bool:
        """Whether it was a person who ended the doubt before this attempt."""
        told = await self._store.delivery_events(delivery.delivery_id)
        ends = [one for one in told if one.event == DeliveryEvent.FOUND_MISSING.value]
        return bool(ends) and ends[-1].source.startswith("person:")

    async def _kept(self, exchange: Exchange) -> None:
        """Stores a reply, and what it calls the payments. Where that fails, what was heard stands all the same: it can be asked
        for again."""
        try:
            await self._keep(arrival_of(exchange, self._connection_id, self.conversation.fresh()))
            if names := references_of(self.conversation.bank, exchange):
                again = self.conversation.clock() + self._manner.ask_after
                asks = [SerialAsk(serial=one, next_ask_at=again, bank_reference=name, questions=0) for one, name in names.items()]
                await self._store.ask_serials(self._connection_id, asks)
        except StoreUnavailable as problem:
            log.warning("reply_not_kept", connection=self._connection_id, problem=str(problem))


def _brought(delivery: Delivery, serials: Sequence[GivenSerial]) -> frozenset[str]:
    """The numbers that were given to payments in an earlier message, and came along into this one."""
    return frozenset(one.serial for one in serials if one.given_at < delivery.creation_date_time)


def _said(heard: Heard) -> str:
    """The bank's word for people: code and text, without account numbers."""
    text = mask_text(heard.text)[:_TEXT_MAX]
    return " ".join(filter(None, (f"[{heard.code}]" if heard.code else "", text))) or heard.outcome.value


def _words(fault: Exception) -> str:
    return str(fault) if isinstance(fault, ChannelError | LookupError) else type(fault).__name__


def _unknown(detail: str) -> FateReport:
    return FateReport(fate=Fate.UNKNOWN, evidence="none", detail=detail)
