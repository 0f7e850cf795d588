"""What is asked by itself, round by round: what became of payments, what came back, balances, statements.

A payment is asked about until its end is known, at growing pauses; one that succeeded goes on being asked about, seldom, for as
long as the bank may still say that it came back. "No such record" is never an end: past the wait the bank is given, a person is
told.

Statements: each day that is over is asked for once; the current day again and again. How far we are is noted only after every
page was kept, so what a broken round has kept is kept once more by the next one, and read to the same result.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from channels.channel import ChannelError, Keep, Unreachable
from formats.dialogue import (
    Asked,
    Asking,
    BalanceInquiry,
    Heard,
    HeldAccount,
    Inquiry,
    Outcome,
    ReturnsInquiry,
    StatementInquiry,
    StatusInquiry,
)
from formats.exchange import Exchange
from gateway.dialogue.conversation import Conversation
from gateway.dialogue.manner import Manner
from gateway.dialogue.replies import arrival_of, references_of
from gateway.dialogue.sought import about, questions
from gateway.dialogue.telling import cannot_ask, not_known
from gateway.lifecycle import PaymentState
from gateway.store.serials import GivenSerial, SerialAsk
from gateway.store.store import Store

QUESTIONS_A_ROUND: Final = 200  # about payments; what is left is due at once again
PAGES_MAX: Final = 10_000
FIRST_DAYS: Final = 1  # before today, at the first contact
_OPEN: Final = frozenset({PaymentState.SENT, PaymentState.ACCEPTED})
_AT_AN_END: Final = frozenset({PaymentState.REJECTED, PaymentState.RETURNED, PaymentState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How far an account was looked at: kept in the store as a note."""

    balance_at: datetime | None = None
    returns_at: datetime | None = None
    statement_at: datetime | None = None
    final_until: date | None = None  # the last day that is over and was kept whole

    def to_text(self) -> str:
        facts = (self.balance_at, self.returns_at, self.statement_at, self.final_until)
        return json.dumps([None if fact is None else fact.isoformat() for fact in facts])

    @classmethod
    def of_text(cls, text: str | None) -> "Looked":
        if text is None:
            return cls()
        balance, returns, statement, final = json.loads(text)
        return cls(
            balance_at=_moment(balance), returns_at=_moment(returns), statement_at=_moment(statement), final_until=_day(final)
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Of one connection."""

    conversation: Conversation
    store: Store
    connection_id: str
    accounts: Sequence[HeldAccount]
    manner: Manner
    _troubles: list[str] = field(default_factory=list)
    _put_off: datetime | None = None  # the last round broke off, or the bank put its questions off: not before then
    _questions_put_off: bool = False

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._troubles)

    async def go(self, keep: Keep) -> int:
        """One round; how many replies were kept. Raises `Unreachable` where the bank could not be asked at all."""
        self._troubles = []
        if self.manner.quiet_until(self.conversation.now()) is not None:
            return 0
        kept, self._put_off = 0, self.conversation.clock() + self.manner.ask_after
        broke_off = False
        parts: tuple[Callable[[Keep], AsyncIterator[int]], ...] = (self._statuses, self._accounts)
        for part in parts:
            try:
                async for number in part(keep):
                    kept += number
            except ChannelError as problem:
                if not kept:
                    raise Unreachable(f"asking the bank failed: {problem}") from problem
                self._troubles.append(str(problem))
                broke_off = True
        if not broke_off and not self._questions_put_off:
            self._put_off = None
        return kept

    async def next_due(self) -> datetime | None:
        """When the next question about a payment is due, past the bank's quiet hours, and not at once where the last round broke
        off; None: none is."""
        due = await self.store.next_serial_due(self.connection_id)
        if due is None:
            return None
        now = self.conversation.clock()
        if self._put_off is not None:  # a clock that was set back must not make it longer
            due = max(due, min(self._put_off, now + self.manner.ask_after))
        until = self.manner.quiet_until(max(due, now).astimezone(self.conversation.zone))
        return due if until is None else until

    # -- payments ------------------------------------------------------------------------------------------------------

    async def _statuses(self, keep: Keep) -> AsyncIterator[int]:
        now, self._questions_put_off = self.conversation.clock(), False
        due = await self.store.serials_due(self.connection_id, now, QUESTIONS_A_ROUND)
        to_ask = [one for one in due if self._is_to_be_asked(one, now)]
        await self.store.ask_serials(self.connection_id, [self._left(one, now) for one in due if one not in to_ask])
        by_serial = {one.serial: one for one in to_ask}
        for question in questions(to_ask, self.conversation.bank.dialogue.serials_per_question, self.conversation.zone):
            exchange, heard = await self._asked(StatusInquiry(sought=question, on=self._today()), about(question))
            await self._keep(exchange, keep)
            names = references_of(self.conversation.bank, exchange)
            await self._after([by_serial[one.serial] for one in question], heard, names)
            yield 1
            if heard.outcome in {Outcome.NOT_TAKEN, Outcome.SIGN_IN}:
                self._troubles.append(f"the bank put a question off: {heard.code}")
                self._questions_put_off = True
                return

    def _is_to_be_asked(self, given: GivenSerial, now: datetime) -> bool:
        if given.state is PaymentState.HELD:  # never sent, as far as is known here, and asked about: a backup was restored
            return given.first_sent_on is None
        return given.state in _OPEN or (given.state is PaymentState.SETTLED and not self._returns_over(given, now))

    def _returns_over(self, given: GivenSerial, now: datetime) -> bool:
        if not self.manner.returns:
            return True  # the status never says it: a payment that succeeded is not asked about again
        sent = given.first_sent_on or given.given_at.date()
        return now.astimezone(self.conversation.zone).date() > sent + self.manner.returns

    def _left(self, given: GivenSerial, now: datetime) -> SerialAsk:
        """When to look again at a payment that is not asked about now: at its end never; in doubt, whoever sends it asks."""
        ended = given.state in _AT_AN_END or given.state is PaymentState.SETTLED
        return SerialAsk(serial=given.serial, next_ask_at=None if ended else now + self.manner.ask_after, questions=0)

    async def _after(self, asked: Sequence[GivenSerial], heard: Heard, names: Mapping[str, str]) -> None:
        now = self.conversation.clock()
        changes, told = [], []
        for one in asked:
            pause = self.manner.returns_every if one.state is PaymentState.SETTLED else self.manner.next_question(one.asked)
            changes.append(SerialAsk(serial=one.serial, next_ask_at=now + pause, bank_reference=names.get(one.serial)))
            sent = one.given_at
            if one.serial in heard.missing and one.state in _OPEN and now - sent > self.manner.not_found_wait:
                told.append(not_known(self.connection_id, one, heard))
        await self.store.ask_serials(self.connection_id, changes)
        if told:
            await self.store.add_discrepancies(told)

    # -- accounts ------------------------------------------------------------------------------------------------------

    async def _accounts(self, keep: Keep) -> AsyncIterator[int]:
        for account in self.accounts:
            name = f"dialogue:{self.connection_id}:{hashlib.sha256(account.number.encode()).hexdigest()[:16]}"
            note = await self.store.channel_note(name)
            before = Looked.of_text(note)
            async for number, looked in self._account(account, before, keep):
                yield number
                text = looked.to_text()
                if text != note and await self.store.put_channel_note(name, text, was=note):
                    note = text

    async def _account(self, account: HeldAccount, looked: Looked, keep: Keep) -> AsyncIterator[tuple[int, Looked]]:
        """Each thing that is due of an account, and how far we are after it."""
        now, asks, manner = self.conversation.clock(), self.conversation.bank.dialogue.asks, self.manner
        facts = {name: getattr(looked, name) for name in Looked.__dataclass_fields__}
        if Asking.BALANCE in asks and _due(looked.balance_at, manner.balance_every, now):
            if await self._one(BalanceInquiry(account=account), account, keep):
                facts["balance_at"] = now
            yield 1, Looked(**facts)
        if Asking.RETURNS in asks and _due(looked.returns_at, manner.returns_every, now):
            since = self._today() - manner.returns
            if await self._pages(account, (since, self._today()), keep, returns=True):
                facts["returns_at"] = now
            yield 1, Looked(**facts)
        if Asking.STATEMENT in asks and _due(looked.statement_at, manner.statement_every, now):
            for days in self._days(looked.final_until):
                if not await self._pages(account, days, keep):
                    yield 1, Looked(**facts)
                    return
                facts["final_until"] = min(days[1], self._today() - timedelta(days=1))
                yield 1, Looked(**facts)
            facts["statement_at"] = now
            yield 1, Looked(**facts)

    def _days(self, final_until: date | None) -> list[tuple[date, date]]:
        """The days to ask for: those over since the last time, in as many questions as the bank's limit needs; then today."""
        today, most = self._today(), self.conversation.bank.dialogue.statement_days_max
        since = today - timedelta(days=FIRST_DAYS) if final_until is None else final_until + timedelta(days=1)
        found = []
        while since < today:
            until = min(since + timedelta(days=most - 1), today - timedelta(days=1))
            found.append((since, until))
            since = until + timedelta(days=1)
        return [*found, (today, today)]

    async def _pages(self, account: HeldAccount, days: tuple[date, date], keep: Keep, *, returns: bool = False) -> bool:
        """Every page of a statement (or of a list of returns); whether all were answered and kept."""
        page: str | None = None
        seen: set[str | None] = set()
        while page not in seen and len(seen) < PAGES_MAX:
            seen.add(page)
            inquiry: Inquiry
            if returns:
                inquiry = ReturnsInquiry(account=account, since=days[0], until=days[1], page=page)
            else:
                inquiry = StatementInquiry(account=account, since=days[0], until=days[1], page=page, today=self._today())
            heard = await self._one(inquiry, account, keep)
            if heard is None:
                return False
            if heard.next_page is None:
                return True
            page = heard.next_page
        self._troubles.append("a statement whose pages never end; it is asked for again")
        return False

    async def _one(self, inquiry: Inquiry, account: HeldAccount, keep: Keep) -> Heard | None:
        """One question about an account, kept; None where the bank did not answer it, which is told."""
        asked = _asked_of(inquiry, account)
        exchange, heard = await self._asked(inquiry, asked)
        await self._keep(exchange, keep)
        if heard.outcome is Outcome.TAKEN:
            return heard
        self._troubles.append(cannot_ask(asked.kind, heard))
        return None

    # -- shared --------------------------------------------------------------------------------------------------------

    async def try_balance(self) -> tuple[str, ...]:
        """Whether the bank tells the balance of the first account; each problem in words. Keeps nothing."""
        if Asking.BALANCE not in self.conversation.bank.dialogue.asks or not self.accounts:
            return ()
        inquiry = BalanceInquiry(account=self.accounts[0])
        try:
            _, heard = await self._asked(inquiry, _asked_of(inquiry, self.accounts[0]))
        except ChannelError as problem:
            return (str(problem),)
        return () if heard.outcome is Outcome.TAKEN else (cannot_ask(Asking.BALANCE, heard),)

    async def _asked(self, inquiry: Inquiry, asked: Asked) -> tuple[Exchange, Heard]:
        content = self.conversation.bank.inquire(inquiry, self.conversation.fresh())
        return await self.conversation.have(content, asked)

    async def _keep(self, exchange: Exchange, keep: Keep) -> None:
        await keep(arrival_of(exchange, self.connection_id, self.conversation.fresh()))

    def _today(self) -> date:
        return self.conversation.now().date()


def _asked_of(inquiry: Inquiry, account: HeldAccount) -> Asked:
    if isinstance(inquiry, BalanceInquiry):
        return Asked(kind=Asking.BALANCE, function=Asking.BALANCE.value, account=account.number, currency=account.currency)
    assert isinstance(inquiry, StatementInquiry | ReturnsInquiry)  # noqa: S101 - of an account there are these three
    kind = Asking.RETURNS if isinstance(inquiry, ReturnsInquiry) else Asking.STATEMENT
    return Asked(
        kind=kind,
        function=kind.value,
        account=account.number,
        currency=account.currency,
        since=inquiry.since,
        until=inquiry.until,
        page=inquiry.page,
    )


def _due(last: datetime | None, every: timedelta | None, now: datetime) -> bool:
    return every is not None and (last is None or not timedelta(0) <= now - last < every)
