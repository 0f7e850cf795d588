"""Money that came back (退票) and is told by a line of a statement only: whose it was. For banks that answer at once.

At some of these banks the status of a payment stays "paid" for ever, and its return is a booked credit without our number. Such a
line is taken for the return of a payment where nothing else is possible: the bank marks it as money that came back, and amount,
currency, our account, the other account and (where both say it) the name fit exactly one payment that may have been executed,
sent within the days in which payments come back, which is known to be settled, and for which no other line was taken.
Anything less is a person's: they are told the line's payments that may be meant, and nothing moves.

The same line is told again and again, in the statement of the current day and in that of the day once it is over. What it was
taken for stays with the payment's number, before the payment moves; so a line never moves a second payment, and a stop between
the two steps is made good when the line is read again. Lines are told apart by the bank's reference of the booking, and where
it gives none by all that it says of the line. A payment for which a line was taken counts on among those that may be
meant by others: a bank that words one booking differently in two files makes a person look, and moves nothing.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from formats.report import AccountIdentification, Entry, EntryTransaction
from gateway import discrepancies as say
from gateway.apply_parts import Line, Told
from gateway.discrepancies import Origin
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.news import news_of
from gateway.news_store import NewsStore
from gateway.store.records import NewDiscrepancy, Reason
from gateway.store.serials import SentFilter, SentPayment, SerialNote
from gateway.store.store import Clock

DAYS: Final = timedelta(days=7)  # where the plugin does not say how long payments come back
AHEAD: Final = timedelta(days=31)  # so long before its day a payment may be sent
SHOWN_MAX: Final = 10  # payments that a person is shown
_NOT_EXECUTED: Final = frozenset({PaymentState.REJECTED, PaymentState.CANCELLED})
_KNOWN_TO_BE_PAID: Final = frozenset({PaymentState.SETTLED, PaymentState.RETURNED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A booked credit that the bank marks as money that came back, and that names no payment of ours. `line` tells it from
    others, `on` is the day of booking. What the line does not say is None or ""."""

    told: Told
    line: str
    account: str
    other_account: str
    other_name: str
    amount: Decimal | None
    currency: str
    on: date | None
    names_another: bool  # it has a number in the place of ours, which is none of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why a person has to look. `waits`: the payment is under way still, and the line is going to be told again."""

    kind: str
    why: str
    candidates: tuple[SentPayment, ...]
    waits: bool = False


def credits_of(lines: Iterable[Line], account: AccountIdentification | None, matched: Collection[str]) -> Iterator[Credit]:
    """The credits among the lines of a statement for which no payment was found. `matched`: keys of news for which one was."""
    number = _plain((account.other_id or account.iban) if account else None)
    for line in lines:
        transactions = line.entry.transactions or (EntryTransaction(),)
        for place, (key, transaction) in enumerate(zip(line.keys, transactions, strict=True)):
            news = news_of(line.entry, transaction)
            if key in matched or news is None or news.event is not PaymentEvent.BANK_RETURNED:
                continue
            words = news.reason.bank_text or transaction.additional_information or " / ".join(transaction.remittance_information)
            reason = Reason(code=news.reason.code, bank_text=words)
            yield Credit(
                told=Told(key=key, place=line.places[place], news=replace(news, reason=reason)),
                line=_identity(number, line.entry, transaction, place),
                account=number,
                other_account=_plain(transaction.counterparty_account),
                other_name=_plain(transaction.counterparty_name),
                amount=_amount(news.amount),
                currency=news.currency or "",
                on=_day(line.entry.booking_date),
                names_another=bool(news.serial_number or news.instruction_id or news.end_to_end_id or news.uetr),
            )


def _identity(account: str, entry: Entry, transaction: EntryTransaction, place: int) -> str:
    reference = entry.entry_reference or transaction.account_servicer_reference or entry.account_servicer_reference
    other = _plain(transaction.counterparty_account)
    facts: list[object] = [account, entry.booking_date, entry.amount, entry.currency, transaction.amount, other, place, reference]
    if reference is None:
        facts += [transaction.remittance_information, transaction.additional_information, entry.supplementary]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()[:32]


def judge(credit: Credit, sent: Sequence[SentPayment], days: timedelta, today: date) -> SentPayment | Doubt | None:
    """Whose return the credit is; or why that is not certain; None: no payment of ours may be meant. `sent`: those of its
    currency with its amount or its other account."""
    for one in sent:
        if one.returned_line == credit.line:
            return one
    near = tuple(one for one in sent if _may_be(credit, one, days))
    if not near:
        return None
    fits = tuple(one for one in near if _fits(credit, one))
    if len(fits) > 1:
        return Doubt(kind="ambiguous", why=f"{len(fits)} payments fit it, and nothing tells them apart", candidates=fits)
    if not fits or credit.names_another or not credit.account or credit.on is None:
        return Doubt(kind="unmatched", why="no payment fits all that it says", candidates=near)
    if fits[0].returned_line is not None:
        return Doubt(kind="ambiguous", why="another line was taken for the return of the one payment that fits", candidates=fits)
    if fits[0].state not in _KNOWN_TO_BE_PAID:
        waits = credit.on >= today
        return Doubt(kind="unmatched", why="the one payment that fits is not known to be settled", candidates=fits, waits=waits)
    return fits[0]


def _may_be(credit: Credit, one: SentPayment, days: timedelta) -> bool:
    """Whether the payment is of our account (as far as the line says), and was under way before the credit and not too long."""
    in_time = credit.on is None or (one.sent_on <= credit.on <= one.executed_on + days)
    return in_time and credit.account in {"", _plain(one.account)}


def _fits(credit: Credit, one: SentPayment) -> bool:
    same_name = not credit.other_name or not one.creditor_name or credit.other_name == _plain(one.creditor_name)
    return (
        one.state not in _NOT_EXECUTED
        and one.amount == credit.amount
        and one.currency == credit.currency
        and bool(credit.other_account)
        and credit.other_account == _plain(one.creditor_account)
        and same_name
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """How payments of a connection come back: within so many days after their day; `zone` is the bank's."""

    days: timedelta
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class ReturnFinder:
    """Of one file. `returns` None: nothing is looked for. `origin`: where a discrepancy comes from, by its place in the file."""

    store: NewsStore
    connection_id: str
    returns: Returns | None
    clock: Clock
    origin: Callable[[str], Origin]

    async def find(self, credits_found: Iterable[Credit]) -> list[Told]:
        """The news of those credits that are the return of a payment for certain, with its instruction id: that the line was
        taken for it is stored. Of the others a person is told what may be meant."""
        if self.returns is None:
            return []
        found: list[Told] = []
        for credit in credits_found:
            judged = await self._judged(credit, self.returns)
            if isinstance(judged, SentPayment):
                if judged.returned_line is None:
                    note = SerialNote(serial=judged.serial, returned_line=credit.line)
                    await self.store.note_serials(self.connection_id, [note])
                news = replace(credit.told.news, instruction_id=judged.instruction_id, serial_number=None, by_booking=True)
                found.append(replace(credit.told, news=news))
            elif judged is not None and not judged.waits:
                await self.store.add_discrepancies([self._told(credit, judged)])
        return found

    async def _judged(self, credit: Credit, returns: Returns) -> SentPayment | Doubt | None:
        if credit.amount is None:
            return None
        today = self.clock().astimezone(returns.zone).date()
        until = credit.on or today
        where = SentFilter(
            since=until - returns.days - AHEAD,
            until=until,
            currency=credit.currency,
            amount=credit.amount,
            creditor_account=credit.other_account or None,
        )
        sent = await self.store.sent_payments(self.connection_id, where)
        return judge(credit, sent, returns.days, today)

    def _told(self, credit: Credit, doubt: Doubt) -> NewDiscrepancy:
        facts = {
            "booking_date": None if credit.on is None else credit.on.isoformat(),
            "amount": credit.told.news.amount,
            "currency": credit.currency,
            "candidates": [one.payment_id for one in doubt.candidates[:SHOWN_MAX]],
            "why": doubt.why,
        }
        told = say.came_back(self.origin(credit.told.place), doubt.kind, doubt.why, facts)
        return replace(told, key=f"returned:{self.connection_id}:{credit.line}")  # of the line, in whatever file


def _plain(text: str | None) -> str:
    """Without the spaces that one side writes and the other does not."""
    return "".join((text or "").split())


def _amount(text: str | None) -> Decimal | None:
    try:
        found = Decimal(text or "")
    except InvalidOperation:
        return None
    return found if found.is_finite() and found > 0 else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
