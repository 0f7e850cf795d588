"""Applying what one bank file says: prove deliveries, move payments, keep statements, write down what does not fit.

`NewsApplier` works over the part of the store it needs (`NewsStore`), so that a replay runs the very same code over a shadow
that changes nothing. It applies a file in order and may be stopped anywhere and run again from the start: news never moves a
payment down, statements and discrepancies are kept once by their place in the file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from formats.report import (
    CancellationStatus,
    Document,
    Entry,
    PaymentInformationStatus,
    PaymentReturn,
    Remainder,
    ReportRecord,
    Statement,
    StatusReport,
    TransactionStatus,
)
from gateway import discrepancies as say
from gateway.batch_booking import BlockStore, booked_block, is_batch_booking
from gateway.cancellation import answered
from gateway.discrepancies import Origin
from gateway.lifecycle import (
    DELIVERY_TABLE,
    PAYMENT_TABLE,
    DeliveryEvent,
    DeliveryState,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
)
from gateway.matching import CandidateIndex, Match, MatchKind, News, NoMatch, keys_of, match, names_message
from gateway.news import event_of, is_duplicate, of_entry, of_return, of_transaction_status, reason_of, with_inherited
from gateway.reasons import ours
from gateway.store.records import (
    Candidate,
    Delivery,
    DeliveryChange,
    EntryRow,
    Evidence,
    Keys,
    MessageNews,
    MessageNewsResult,
    NewDiscrepancy,
    NewStatement,
    PaymentChange,
    Reason,
)
from gateway.store.store import Clock, Stale

BATCH = 500  # records worked through with one question to the store and one change of it
STALE_RETRIES = 5
NOT_KNOWN_TO_BE_SENT = frozenset({PaymentState.BATCHED, PaymentState.HELD})
GIVEN_UP = frozenset({DeliveryState.REFUSED, DeliveryState.ABANDONED})

_EVENT_OF_STATE = {
    PaymentState.SENT: PaymentEvent.BANK_PENDING,
    PaymentState.ACCEPTED: PaymentEvent.BANK_ACCEPTED,
    PaymentState.SETTLED: PaymentEvent.BANK_SETTLED,
    PaymentState.REJECTED: PaymentEvent.BANK_REJECTED,
    PaymentState.RETURNED: PaymentEvent.BANK_RETURNED,
}


class NewsStore(BlockStore, Protocol):
    """The part of the store that applying news needs."""

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]: ...

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def change_delivery(self, change: DeliveryChange) -> Delivery: ...

    async def change_payments(self, changes: Sequence[PaymentChange], discrepancies: Sequence[NewDiscrepancy] = ()) -> None: ...

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult: ...

    async def put_statement(self, new: NewStatement) -> int: ...

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None: ...

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Facts:
    """The status word of a group or block and the reason that goes with it."""

    status: str
    reason: Reason


@dataclass(slots=True, kw_only=True)
class _Group:
    """The pain.002 group being read: its message, its delivery, and who got news of their own."""

    delivery: Delivery | None
    status: str | None
    event: PaymentEvent
    news: StatusReport
    blocks: list[PaymentInformationStatus] = field(default_factory=list)
    own_news: set[str] = field(default_factory=set)
    refused: bool = False  # the bank speaks of a message that cannot be with it


@dataclass(slots=True, kw_only=True)
class _Line:
    """One entry waiting in the batch, with the news of each of its transactions."""

    position: int
    entry: Entry
    news: list[News | None]
    payment_ids: list[str | None]


class NewsApplier:
    """Applies the records of one file, in order: `apply` for each, then `finish`. Counts what it did."""

    def __init__(self, store: NewsStore, *, connection_id: str, inbound_file_id: int, clock: Clock) -> None:
        self._store = store
        self._connection_id = connection_id
        self._inbound_file_id = inbound_file_id
        self._clock = clock
        self._document: Document | None = None
        self._group: _Group | None = None
        self._statuses: list[tuple[int, News]] = []
        self._lines: list[_Line] = []
        self._statement_row: int | None = None
        self._statements = 0
        self._position = 0
        self.records = 0
        self.changed: Counter[PaymentState] = Counter()  # how many payments moved into which state
        self.matched_by: dict[str, MatchKind] = {}
        self.rejected_in: set[str] = set()  # deliveries of which payments were rejected

    @property
    def source(self) -> str:
        """What follows from this file says so: "pain.002.001.10 MB-P002-1"."""
        document = self._document
        return "" if document is None else " ".join(filter(None, (document.message, document.message_id)))

    @property
    def _origin(self) -> Origin:
        return Origin(connection_id=self._connection_id, inbound_file_id=self._inbound_file_id, source=self.source)

    async def apply(self, record: ReportRecord) -> None:
        """Takes the next record. Work is done in batches; nothing is certain before `finish`."""
        self.records += 1
        if isinstance(record, TransactionStatus):
            group = self._group
            if group is not None and group.refused:
                return
            told = group.news.original_message_id if group else None
            self._statuses.append((self.records, of_transaction_status(self._with_reasons(record), told)))
            if is_duplicate(record.reasons):
                await self._note(say.duplicate_reported(self._origin, str(self.records), group.delivery if group else None))
        elif isinstance(record, Entry):
            news = of_entry(record)
            self._position += 1
            self._lines.append(_Line(position=self._position, entry=record, news=news, payment_ids=[None] * len(news)))
            if is_batch_booking(record):
                await self._book_block(record)
        elif isinstance(record, PaymentReturn):
            self._statuses.append((self.records, of_return(record)))
        elif isinstance(record, PaymentInformationStatus):
            await self._flush()
            if self._group:
                self._group.blocks.append(record)
        elif isinstance(record, CancellationStatus):
            await self._note(await answered(self._store, self._origin, str(self.records), record))
        elif isinstance(record, Remainder):
            return  # what a message says beside its records moves nothing, and ends no group; the file itself is kept
        else:
            await self._begin(record)
        if len(self._statuses) >= BATCH or len(self._lines) >= BATCH:
            await self._flush()

    def _with_reasons(self, record: TransactionStatus) -> TransactionStatus:
        if self._group is None or record.reasons:
            return record
        block_id = record.original_payment_information_id
        of_block = [b.reasons for b in self._group.blocks if b.original_payment_information_id == block_id]
        reasons = with_inherited((), *of_block, self._group.news.group_reasons)
        return replace(record, reasons=reasons) if reasons else record

    async def finish(self) -> None:
        """Applies what is still waiting, and group statuses to those who got no news of their own."""
        await self._close_group()

    # -- the larger pieces ---------------------------------------------------------------------------------------------

    async def _begin(self, record: ReportRecord) -> None:
        await self._close_group()
        if isinstance(record, Document):
            self._document = record
        elif isinstance(record, StatusReport):
            await self._open_group(record)
        elif isinstance(record, Statement):
            self._statement_row = await self._store.put_statement(
                NewStatement(
                    inbound_file_id=self._inbound_file_id,
                    connection_id=self._connection_id,
                    position=self._statements,
                    message=self._document.message if self._document else "",
                    statement=record,
                )
            )
            self._statements += 1
            self._position = 0

    async def _open_group(self, record: StatusReport) -> None:
        delivery = None
        if record.original_message_id:
            delivery = await self._store.delivery_by_message_id(self._connection_id, record.original_message_id)
        self._group = _Group(
            delivery=delivery,
            status=record.group_status,
            event=event_of(record.group_status, record.group_reasons),
            news=record,
        )
        if delivery is None:
            foreign = say.foreign_message(self._origin, str(self.records), record.original_message_id, record.group_status)
            await self._note(foreign)
            return
        if not await self._prove(delivery):
            # One discrepancy says it all; none of its transactions can be believed before a person has looked.
            self._group.refused = True
            return
        if is_duplicate(record.group_reasons):
            await self._note(say.duplicate_reported(self._origin, f"group:{self.records}", delivery))

    async def _close_group(self) -> None:
        await self._flush()
        group, self._group = self._group, None
        if group is None or group.delivery is None or group.refused:
            return
        blocks_with_status: set[str | None] = set()
        for block in group.blocks:
            seen_before = is_duplicate(block.reasons)
            if seen_before:
                place = f"block:{block.original_payment_information_id}"
                await self._note(say.duplicate_reported(self._origin, place, group.delivery))
            if block.status is None and not seen_before:
                continue
            blocks_with_status.add(block.original_payment_information_id)
            if block.status is not None:
                reasons = with_inherited(block.reasons, group.news.group_reasons)
                facts = _Facts(block.status, reason_of(block.status, reasons))
                await self._fall(group, block.original_payment_information_id, event_of(block.status, reasons), facts)
        if group.status is None or group.event is PaymentEvent.BANK_PENDING:
            return
        facts = _Facts(group.status, reason_of(group.status, group.news.group_reasons))
        if not blocks_with_status:
            await self._fall(group, None, group.event, facts)
            return
        for known in await self._store.delivery_blocks(group.delivery.delivery_id):
            if known.payment_information_id not in blocks_with_status:
                await self._fall(group, known.payment_information_id, group.event, facts)

    async def _fall(self, group: _Group, payment_information_id: str | None, event: PaymentEvent, facts: _Facts) -> None:
        """A status of the whole falls to the transactions that carry none of their own."""
        if group.delivery is None or event is PaymentEvent.BANK_PENDING:
            return
        result = await self._store.apply_message_news(
            MessageNews(
                delivery_id=group.delivery.delivery_id,
                payment_information_id=payment_information_id,
                event=event,
                bank_status=facts.status,
                reason=facts.reason,
                source=self.source,
                except_payment_ids=frozenset(group.own_news),
            )
        )
        self._count(event, result)
        if result.changed and event is PaymentEvent.BANK_REJECTED:
            self.rejected_in.add(group.delivery.delivery_id)
        if result.contradicted_count:
            place = f"{payment_information_id}:{event.value}"
            await self._note(say.whole_contradicts_parts(self._origin, place, facts.status, group.delivery.delivery_id, result))

    async def _book_block(self, entry: Entry) -> None:
        booked = await booked_block(self._store, self._connection_id, entry)
        if booked is None:
            return
        if not await self._prove(booked.delivery):
            return
        place = f"{self._statements}.{self._position}"
        if not booked.amounts_agree:
            expected = f"{booked.expected} {entry.currency}"
            amount = f"{entry.amount} {entry.currency}"
            await self._note(say.batch_of_other_amount(self._origin, place, amount, expected, booked.delivery))
            return
        result = await self._store.apply_message_news(
            MessageNews(
                delivery_id=booked.delivery.delivery_id,
                payment_information_id=booked.payment_information_id,
                event=PaymentEvent.BANK_SETTLED,
                bank_status=entry.status or "BOOK",
                reason=ours("settled"),
                source=self.source,
                except_payment_ids=booked.left_out,
            )
        )
        self._count(PaymentEvent.BANK_SETTLED, result)
        if result.contradicted_count:
            await self._note(say.whole_contradicts_parts(self._origin, place, "BOOK", booked.delivery.delivery_id, result))

    # -- batches of single news ----------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        statuses, self._statuses = self._statuses, []
        lines, self._lines = self._lines, []
        if not statuses and not lines:
            return
        news = [(f"{number}", item) for number, item in statuses]
        places: dict[str, tuple[_Line, int]] = {}
        for line in lines:
            for place, item in enumerate(line.news):
                if item is not None:
                    key = f"{self._statements}.{line.position}.{place}"
                    news.append((key, item))
                    places[key] = (line, place)
        matched = await self._apply_batch(news) if news else {}
        for key, payment_id in matched.items():
            if key in places:
                line, place = places[key]
                line.payment_ids[place] = payment_id
        if lines and self._statement_row is not None:
            rows = [EntryRow(position=x.position, entry=x.entry, payment_ids=tuple(x.payment_ids)) for x in lines]
            await self._store.put_entries(self._statement_row, rows)

    async def _apply_batch(self, news: list[tuple[str, News]]) -> dict[str, str]:
        for _ in range(STALE_RETRIES):
            try:
                return await self._try_batch(news)
            except Stale:
                continue  # somebody else moved one of these payments; look again and decide again
        return await self._try_batch(news)

    async def _try_batch(self, news: list[tuple[str, News]]) -> dict[str, str]:
        index = await self._candidates(news)
        matched: dict[str, str] = {}
        changes: list[PaymentChange] = []
        discrepancies: list[NewDiscrepancy] = []
        for key, item in news:
            found = match(item, index)
            if isinstance(found, NoMatch):
                problem = await self._unmatched(key, item, found)
                discrepancies += [problem] if problem else []
                continue
            candidate = found.candidate
            matched[key] = candidate.payment_id
            self.matched_by[candidate.payment_id] = found.by
            if self._group is not None:
                self._group.own_news.add(candidate.payment_id)
            discrepancies += self._move(key, item, found, index, changes)
        if changes or discrepancies:
            await self._store.change_payments(changes, discrepancies)
        return matched

    async def _candidates(self, news: list[tuple[str, News]]) -> CandidateIndex:
        """Who may be meant. Deliveries that this news proves are settled first, and then the payments are read again."""
        keys = keys_of(item for _, item in news)
        candidates = await self._store.find_candidates(self._connection_id, keys)
        index = CandidateIndex(candidates)
        doubted: dict[str, bool] = {}
        for _, item in news:
            found = match(item, index)
            if isinstance(found, Match) and found.candidate.state in NOT_KNOWN_TO_BE_SENT and found.candidate.delivery_id:
                delivery_id = found.candidate.delivery_id
                doubted[delivery_id] = doubted.get(delivery_id, False) or names_message(item, found)
        if not doubted:
            return index
        for delivery_id, named in sorted(doubted.items()):
            delivery = await self._store.delivery(delivery_id)
            # An end-to-end id may have been used before by anybody: it shows where a message in doubt is, and no more.
            if delivery is not None and (named or delivery.state in {DeliveryState.SENDING, DeliveryState.IN_DOUBT}):
                await self._prove(delivery)
        return CandidateIndex(await self._store.find_candidates(self._connection_id, keys))

    def _move(
        self, key: str, news: News, found: Match, index: CandidateIndex, changes: list[PaymentChange]
    ) -> list[NewDiscrepancy]:
        candidate = found.candidate
        problems: list[NewDiscrepancy] = []
        if found.amount_differs:
            problems.append(say.other_amount(self._origin, key, news, candidate))
        try:
            following = advance(PAYMENT_TABLE, candidate.state, news.event)
        except IllegalTransition:
            problems.append(say.contradiction(self._origin, key, news, candidate))
            return problems
        reference = news.account_servicer_reference
        says_more = reference is not None and reference != candidate.account_servicer_reference
        status_news = bool(news.bank_status) and news.bank_status != candidate.bank_status
        # A late and weaker status ("accepted" after "settled") changes neither the state nor the status shown.
        weaker = following is candidate.state and news.event is not _EVENT_OF_STATE.get(candidate.state)
        if weaker:
            status_news = False
        if following is candidate.state and not says_more and not status_news:
            return problems
        moved = replace(
            candidate,
            version=candidate.version + 1,  # the next news of the same payment in this batch follows upon this one
            state=following,
            bank_status=news.bank_status if status_news else candidate.bank_status,
            account_servicer_reference=reference or candidate.account_servicer_reference,
        )
        changes.append(
            PaymentChange(
                payment_id=candidate.payment_id,
                version=candidate.version,
                event=news.event,
                state=following,
                reason=news.reason,
                source=self.source,
                bank_status=news.bank_status if status_news else None,
                account_servicer_reference=reference if says_more else None,
            )
        )
        index.replace(moved)
        if following is not candidate.state:
            self.changed[following] += 1
            if following is PaymentState.REJECTED and candidate.delivery_id:
                self.rejected_in.add(candidate.delivery_id)
        return problems

    def _count(self, event: PaymentEvent, result: MessageNewsResult) -> None:
        self.changed[advance(PAYMENT_TABLE, PaymentState.SENT, event)] += result.changed

    # -- deliveries ----------------------------------------------------------------------------------------------------

    async def _prove(self, delivery: Delivery) -> bool:
        """Any bank news naming a message proves its delivery first (design, section 5, rule 6). False: it cannot be there."""
        for _ in range(STALE_RETRIES):
            if delivery.state is DeliveryState.SENT:
                return True
            if delivery.attempt == 0 or (delivery.state, DeliveryEvent.FOUND) not in DELIVERY_TABLE:
                await self._note(say.unexpected_delivery(self._origin, delivery))
                return False
            evidence = Evidence(
                found_at=self._clock(),
                source=self.source,
                verdict="arrived",
                detail="the bank's own news names the message",
            )
            try:
                await self._store.change_delivery(
                    DeliveryChange(
                        delivery_id=delivery.delivery_id,
                        fence=delivery.fence,
                        state=delivery.state,
                        event=DeliveryEvent.FOUND,
                        next_state=advance(DELIVERY_TABLE, delivery.state, DeliveryEvent.FOUND),
                        reason=ours("found", self.source),
                        source=self.source,
                        evidence=(evidence,),
                        payment_event=PaymentEvent.MESSAGE_SENT,
                        payment_reason=ours("sent"),
                        discrepancies=(say.unexpected_delivery(self._origin, delivery),) if delivery.state in GIVEN_UP else (),
                    )
                )
            except Stale:
                fresh = await self._store.delivery(delivery.delivery_id)
                if fresh is None:
                    return False
                delivery = fresh
            else:
                return True
        return False

    # -- what does not fit ---------------------------------------------------------------------------------------------

    async def _unmatched(self, key: str, news: News, found: NoMatch) -> NewDiscrepancy | None:
        if found.kind == "unmatched" and not await self._concerns_us(news):
            return None
        return say.no_match(self._origin, key, news, found)

    async def _concerns_us(self, news: News) -> bool:
        """A statement line may be about something else: it concerns us only if it names one of our messages.

        Of a status report on a foreign message the report itself is noted once, not each of its transactions.
        """
        if news.must_match:
            return self._group is None or self._group.delivery is not None
        if not news.message_id:
            return False
        return await self._store.delivery_by_message_id(self._connection_id, news.message_id) is not None

    async def _note(self, discrepancy: NewDiscrepancy) -> None:
        await self._store.add_discrepancies([discrepancy])
