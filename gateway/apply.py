"""Applying what one bank file says: prove deliveries, move payments, keep statements, write down what does not fit.

`NewsApplier` works over the part of the store it needs (`NewsStore`), so that a replay runs the very same code over a shadow
that changes nothing. It applies a file in order and may be stopped anywhere and run again from the start: news never moves a
payment down, statements and discrepancies are kept once by their place in the file.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from formats.report import (
    AccountIdentification,
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
from formats.report import Reason as BankReason
from gateway import discrepancies as say
from gateway.apply_parts import Facts, Group, Line, Told, after, change_of, is_silent
from gateway.batch_booking import booked_block, is_batch_booking
from gateway.came_back import ReturnFinder, Returns, credits_of
from gateway.cancellation import answered
from gateway.continuity import Reading, StatementFacts, findings
from gateway.discrepancies import Origin
from gateway.fall_back import (
    NOT_KNOWN_TO_BE_SENT,
    Debits,
    executed_after_all,
    handed_over_once,
    hold_back,
    is_proven,
    is_surely_meant,
    may_fall_back,
    second_attempt,
)
from gateway.late_news import archived_among, concerns_us, of_archived, of_archived_message
from gateway.lifecycle import PAYMENT_TABLE, DeliveryState, IllegalTransition, PaymentEvent, PaymentState, advance
from gateway.matching import CandidateIndex, Match, News, NoMatch, keys_of, match, names_message
from gateway.news import (
    codes_of,
    event_of,
    is_duplicate,
    of_entry,
    of_return,
    of_transaction_status,
    reason_of,
    with_inherited,
)
from gateway.news_store import NewsStore
from gateway.payee_news import payee_checks
from gateway.place import Place
from gateway.proof import STALE_RETRIES, prove
from gateway.reasons import ours
from gateway.refused_whole import Part, contradict_part, refuse_part
from gateway.serial_news import by_instruction_id
from gateway.statement_discrepancies import MENDED_BY_A_STATEMENT, out_of_line
from gateway.store.records import (
    ChainsReconciled,
    Delivery,
    EntryRow,
    HoldBack,
    MessageNews,
    MessageNewsResult,
    NewDiscrepancy,
    NewStatement,
    PaymentChange,
)
from gateway.store.store import Clock, Stale
from gateway.twice import booked_twice

MAY_BE_THERE = frozenset({DeliveryState.SENDING, DeliveryState.IN_DOUBT})
BATCH = 500  # records worked through with one question to the store and one change of it


class NewsApplier:
    """Applies the records of one file, in order: `apply` for each, then `finish`. Counts what it did."""

    def __init__(
        self,
        store: NewsStore,
        *,
        connection_id: str,
        inbound_file_id: int,
        clock: Clock,
        fall_back_codes: frozenset[str] = frozenset(),
        returns: Returns | None = None,
    ) -> None:
        """`fall_back_codes`: reasons of a refused instant payment after which it goes out as a normal one, if it may.
        `returns`: how lines of statements that name no payment tell of returns (`gateway.came_back`); None: they never do."""
        self._store = store
        self._connection_id = connection_id
        self._inbound_file_id = inbound_file_id
        self._clock = clock
        self._fall_back_codes = fall_back_codes
        self._debits = Debits()
        self._told: set[str] = set()  # keys of news that name a payment of ours, and do not fit it
        self._returns = ReturnFinder(store, connection_id, returns, clock, self._origin_at)
        self._document: Document | None = None
        self._group: Group | None = None
        self._statuses: list[Told] = []
        self._place = Place()
        self._lines: list[Line] = []
        self._statement_row: int | None = None
        self._account: AccountIdentification | None = None  # of the statement
        self._statements = 0
        self._position = 0
        self._reading: Reading | None = None  # of a final statement
        self._kept: list[tuple[int, StatementFacts | None]] = []
        self.reconciled = ChainsReconciled()
        self.changed: Counter[PaymentState] = Counter()  # how many payments moved into which state
        self.rejected_in: set[str] = set()  # deliveries of which payments were rejected

    @property
    def source(self) -> str:
        """What follows from this file says so: "pain.002.001.10 MB-P002-1"."""
        document = self._document
        return "" if document is None else " ".join(filter(None, (document.message, document.message_id)))

    @property
    def records(self) -> int:
        """How many it has taken."""
        return self._place.records

    @property
    def _created(self) -> str | None:
        """When the bank wrote what is being read."""
        return None if self._document is None else self._document.creation_date_time

    @property
    def _origin(self) -> Origin:
        return self._origin_at(self._place.words)

    def _origin_at(self, place: str) -> Origin:
        return Origin(connection_id=self._connection_id, inbound_file_id=self._inbound_file_id, source=self.source, place=place)

    async def apply(self, record: ReportRecord) -> None:
        """Takes the next record. Work is done in batches; nothing is certain before `finish`."""
        self._place.take(record)
        if isinstance(record, TransactionStatus):
            await self._take_status(record)
        elif isinstance(record, Entry):
            await self._take_entry(record)
        elif isinstance(record, PaymentReturn):
            self._statuses.append(Told(key=str(self.records), place=self._place.words, news=of_return(record)))
        elif isinstance(record, PaymentInformationStatus):
            await self._flush()
            if self._group:
                self._group.blocks.append((record, self._place.words))
        elif isinstance(record, CancellationStatus):
            told = await answered(self._store, self._clock, self._origin, str(self.records), record)
            await self._store.add_discrepancies(told)
        elif isinstance(record, Remainder):
            return  # what a message says beside its records moves nothing, and ends no group; the file itself is kept
        else:
            await self._begin(record)
        if len(self._statuses) >= BATCH or len(self._lines) >= BATCH:
            await self._flush()

    async def _take_status(self, record: TransactionStatus) -> None:
        group = self._group
        if group is not None and group.refused:
            return
        above = [] if group is None else group.reasons_above(record)
        inherited = replace(record, reasons=with_inherited(record.reasons, *above))
        news = of_transaction_status(inherited, group.news.original_message_id if group else None)
        if any(is_duplicate(reasons) for reasons in above):
            news = replace(news, reason_codes=())  # whatever else it says, it proves no refusal
        self._statuses.append(Told(key=str(self.records), place=self._place.words, news=news))
        if is_duplicate(record.reasons):
            await self._note(say.duplicate_reported(self._origin, str(self.records), group.delivery if group else None))

    async def _take_entry(self, record: Entry) -> None:
        found = of_entry(record)
        self._position += 1
        if self._reading is not None:
            self._reading.take(record)
        places = [self._place.of_transaction(number, len(found)) for number in range(1, len(found) + 1)]
        keys = [f"{self._statements}.{self._position}.{number}" for number in range(len(found))]
        ids: list[str | None] = [None] * len(found)
        self._lines.append(Line(position=self._position, entry=record, news=found, keys=keys, places=places, payment_ids=ids))
        if is_batch_booking(record):
            await self._book_block(record)

    async def finish(self) -> None:
        """Applies what is still waiting, group statuses to those who got no news of their own, and compares statements."""
        await self._close_group()
        self._close_statement()
        if self._kept:
            self.reconciled = await self._store.reconcile_statements(
                self._connection_id, self._kept, self._judge, MENDED_BY_A_STATEMENT
            )

    def _judge(self, chain: str, statements: Sequence[StatementFacts]) -> list[NewDiscrepancy]:
        origin = self._origin_at("")
        return [out_of_line(origin, chain, finding) for finding in findings(statements)]

    def _close_statement(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and self._statement_row is not None:
            self._kept.append((self._statement_row, reading.facts()))

    # -- the larger pieces ---------------------------------------------------------------------------------------------

    async def _begin(self, record: ReportRecord) -> None:
        await self._close_group()
        if isinstance(record, Document):
            self._document = record
        elif isinstance(record, StatusReport):
            await self._open_group(record)
        elif isinstance(record, Statement):
            self._close_statement()
            self._account = record.account
            self._statement_row = await self._store.put_statement(
                NewStatement(
                    inbound_file_id=self._inbound_file_id,
                    connection_id=self._connection_id,
                    position=self._statements,
                    message=self._document.message if self._document else "",
                    statement=record,
                )
            )
            reading = Reading(self._document.message if self._document else "", record)
            self._reading = reading if reading.compared else None
            self._statements += 1
            self._position = 0
            self._debits.new_statement()

    async def _open_group(self, record: StatusReport) -> None:
        delivery = None
        if record.original_message_id:
            delivery = await self._store.delivery_by_message_id(self._connection_id, record.original_message_id)
        self._group = Group(
            delivery=delivery,
            status=record.group_status,
            event=event_of(record.group_status, record.group_reasons),
            news=record,
            place=self._place.words,
        )
        if delivery is None:
            foreign = say.foreign_message(self._origin, str(self.records), record.original_message_id, record.group_status)
            await self._note(foreign)
            return
        if not await self._prove(delivery):
            # One discrepancy says it all; none of its transactions can be believed before a person has looked.
            self._group.refused = True
            return
        self._group.once = handed_over_once(await self._store.delivery(delivery.delivery_id))
        if is_duplicate(record.group_reasons):
            await self._note(say.duplicate_reported(self._origin, f"group:{self.records}", delivery))

    async def _close_group(self) -> None:
        await self._flush()
        group, self._group = self._group, None
        if group is None or group.delivery is None or group.refused:
            return
        blocks_with_status: set[str | None] = set()
        for block, place in group.blocks:
            seen_before = is_duplicate(block.reasons)
            if seen_before:
                key = f"block:{block.original_payment_information_id}"
                await self._note(say.duplicate_reported(self._origin_at(place), key, group.delivery))
            if block.status is None and not seen_before:
                continue
            blocks_with_status.add(block.original_payment_information_id)
            if block.status is not None:
                reasons = with_inherited(block.reasons, group.news.group_reasons)
                facts = self._facts(group, block.status, reasons, place)
                await self._fall(group, block.original_payment_information_id, event_of(block.status, reasons), facts)
        if group.status is None or is_silent(group.event, group.status):
            return
        facts = self._facts(group, group.status, group.news.group_reasons, group.place)
        if not blocks_with_status:
            await self._fall(group, None, group.event, facts)
            return
        for known in await self._store.delivery_blocks(group.delivery.delivery_id):
            if known.payment_information_id not in blocks_with_status:
                await self._fall(group, known.payment_information_id, group.event, facts)

    def _facts(self, group: Group, status: str, reasons: tuple[BankReason, ...], place: str) -> Facts:
        proven = is_proven(status, codes_of(reasons), self._fall_back_codes)
        refuses = proven and group.once and not is_duplicate(group.news.group_reasons)
        return Facts(status, reason_of(status, reasons), place, refuses)

    async def _fall(self, group: Group, payment_information_id: str | None, event: PaymentEvent, facts: Facts) -> None:
        """A status of the whole falls to the transactions that carry none of their own."""
        if group.delivery is None or is_silent(event, facts.status):
            return
        origin = self._origin_at(facts.place)
        part = Part(group.delivery, payment_information_id, frozenset(group.own_news))
        if event is PaymentEvent.BANK_REJECTED and facts.refuses:
            left = await refuse_part(self._store, part, facts.reason, origin, self._created)
            self.changed[PaymentState.APPROVED] += left
            self.rejected_in.update([group.delivery.delivery_id] if left else [])
        result = await self._store.apply_message_news(
            MessageNews(
                delivery_id=group.delivery.delivery_id,
                payment_information_id=payment_information_id,
                event=event,
                bank_status=facts.status,
                reason=facts.reason,
                source=self.source,
                except_payment_ids=frozenset(group.own_news),
                place=facts.place,
            )
        )
        self._count(event, result)
        if result.changed and event is PaymentEvent.BANK_REJECTED:
            self.rejected_in.add(group.delivery.delivery_id)
        if result.contradicted_count:
            key = f"{payment_information_id}:{event.value}"
            await self._note(say.whole_contradicts_parts(origin, key, facts.status, group.delivery.delivery_id, result))
        elif event is PaymentEvent.BANK_REJECTED and not result.changed:
            late = await of_archived_message(self._store, origin, f"{payment_information_id}", facts, group.delivery)
            await self._store.add_discrepancies(late)
        await contradict_part(self._store, part, origin, event, self._created)

    async def _book_block(self, entry: Entry) -> None:
        booked = await booked_block(self._store, self._connection_id, entry)
        if booked is None:
            return
        if not await self._prove(booked.delivery):
            return
        place = f"{self._statements}.{self._position}"
        if not booked.amounts_agree:
            if booked.exceeds:
                part = Part(booked.delivery, booked.payment_information_id, frozenset())
                await contradict_part(self._store, part, self._origin, PaymentEvent.BANK_SETTLED, self._created)
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
                place=self._place.words,
            )
        )
        self._count(PaymentEvent.BANK_SETTLED, result)
        if result.contradicted_count:
            await self._note(say.whole_contradicts_parts(self._origin, place, "BOOK", booked.delivery.delivery_id, result))
        part = Part(booked.delivery, booked.payment_information_id, booked.left_out)
        await contradict_part(self._store, part, self._origin, PaymentEvent.BANK_SETTLED, self._created)

    # -- batches of single news ----------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        statuses, self._statuses = self._statuses, []
        lines, self._lines = self._lines, []
        if not statuses and not lines:
            return
        news = [*statuses]
        for line in lines:
            told = zip(line.keys, line.places, line.news, strict=True)
            news += [Told(key=key, place=place, news=item) for key, place, item in told if item is not None]
        matched = await self._apply_batch(await by_instruction_id(self._store, self._connection_id, news)) if news else {}
        if checks := payee_checks(statuses, matched, self._created, self._clock()):
            await self._store.keep_payee_checks(checks)
        if back := await self._returns.find(credits_of(lines, self._account, {*matched, *self._told})):
            matched |= await self._apply_batch(back)
        for line in lines:
            line.payment_ids[:] = [matched.get(key) for key in line.keys]
        if lines and self._statement_row is not None:
            rows = [EntryRow(position=x.position, entry=x.entry, payment_ids=tuple(x.payment_ids)) for x in lines]
            await self._store.put_entries(self._statement_row, rows)

    async def _apply_batch(self, news: list[Told]) -> dict[str, str]:
        for _ in range(STALE_RETRIES):
            try:
                return await self._try_batch(news)
            except Stale:
                continue  # somebody else moved one of these payments; look again and decide again
        return await self._try_batch(news)

    async def _try_batch(self, news: list[Told]) -> dict[str, str]:
        index = await self._candidates(news)
        matched: dict[str, str] = {}
        changes: list[PaymentChange] = []
        discrepancies: list[NewDiscrepancy] = []
        holds: list[HoldBack] = []
        unmatched: list[tuple[Told, NoMatch]] = []
        for told in news:
            found = match(told.news, index)
            if isinstance(found, NoMatch):
                unmatched.append((told, found))
                continue
            candidate = found.candidate
            matched[told.key] = candidate.payment_id
            if self._group is not None:
                self._group.own_news.add(candidate.payment_id)
            if candidate.attempts > 1 and executed_after_all(told.key, told.news, candidate, self._created, self._debits):
                origin = self._origin_at(told.place)
                holds.append(hold_back(origin, told.key, told.news.event, candidate.payment_id, candidate.message_id))
            elif not candidate.superseded:  # what is said of a refused attempt moves the payment no more
                discrepancies += await booked_twice(self._store, self._origin_at(told.place), told.key, told.news, candidate)
                discrepancies += self._move(told, found, index, changes)
        discrepancies += await self._unmatched(unmatched)
        if changes or discrepancies or holds:
            await self._store.change_payments(changes, discrepancies, holds)
        return matched

    async def _candidates(self, news: list[Told]) -> CandidateIndex:
        """Who may be meant. Deliveries that this news proves are settled first, and then the payments are read again."""
        keys = keys_of(told.news for told in news)
        candidates = await self._store.find_candidates(self._connection_id, keys)
        index = CandidateIndex(candidates)
        doubted: dict[str, tuple[bool, str]] = {}
        for told in news:
            found = match(told.news, index)
            if not isinstance(found, Match) or found.candidate.superseded:
                continue
            if found.candidate.state in NOT_KNOWN_TO_BE_SENT and found.candidate.delivery_id:
                delivery_id = found.candidate.delivery_id
                before, place = doubted.get(delivery_id, (False, told.place))
                doubted[delivery_id] = before or names_message(told.news, found), place
        if not doubted:
            return index
        for delivery_id, (named, place) in sorted(doubted.items()):
            delivery = await self._store.delivery(delivery_id)
            # An end-to-end id may have been used before by anybody: it shows where a message in doubt is, and no more. One once
            # in doubt counts as such: who found it missing may be wrong, and a repeat, or paying by other means, pays twice.
            if delivery is not None and (named or delivery.state in MAY_BE_THERE or delivery.doubt_since is not None):
                await self._prove(delivery, place)
        return CandidateIndex(await self._store.find_candidates(self._connection_id, keys))

    def _move(self, told: Told, found: Match, index: CandidateIndex, changes: list[PaymentChange]) -> list[NewDiscrepancy]:
        candidate, news, origin = found.candidate, told.news, self._origin_at(told.place)
        problems: list[NewDiscrepancy] = []
        if found.amount_differs:
            problems.append(say.other_amount(origin, told.key, news, candidate))
        if self._refuses(news, found):
            changes.append(second_attempt(candidate, news.reason, origin, self._created, found.by.value))
            index.supersede(candidate, self._created)
            self.changed[PaymentState.APPROVED] += 1
            self.rejected_in.update(filter(None, [candidate.delivery_id]))
            return problems
        try:
            following = advance(PAYMENT_TABLE, candidate.state, news.event)
        except IllegalTransition:
            problems.append(say.contradiction(origin, told.key, news, candidate))
            return problems
        change = change_of(told, candidate, following, self.source, found.by.value)
        if change is None:
            return problems
        changes.append(change)
        index.replace(after(candidate, change))
        if following is not candidate.state:
            self.changed[following] += 1
            if following is PaymentState.REJECTED and candidate.delivery_id:
                self.rejected_in.add(candidate.delivery_id)
        return problems

    def _refuses(self, news: News, found: Match) -> bool:
        """Whether this proves that an instant payment was refused which goes out again as a normal one: `gateway.fall_back`."""
        group, candidate = self._group, found.candidate
        if group is None or group.delivery is None or not group.once or news.event is not PaymentEvent.BANK_REJECTED:
            return False
        named = group.delivery.delivery_id == candidate.delivery_id and is_surely_meant(news, found)
        return named and may_fall_back(candidate) and is_proven(news.bank_status, news.reason_codes, self._fall_back_codes)

    def _count(self, event: PaymentEvent, result: MessageNewsResult) -> None:
        if event is not PaymentEvent.BANK_PENDING:  # which changes no state
            self.changed[advance(PAYMENT_TABLE, PaymentState.SENT, event)] += result.changed

    # -- what does not fit ---------------------------------------------------------------------------------------------

    async def _unmatched(self, unmatched: Sequence[tuple[Told, NoMatch]]) -> list[NewDiscrepancy]:
        problems: list[NewDiscrepancy | None] = []
        archived = await archived_among(self._store, self._connection_id, [told for told, _ in unmatched])
        self._told.update(told.key for told, found in unmatched if found.kind != "unmatched")
        for told, found in unmatched:
            origin = self._origin_at(told.place)
            if found.kind == "unmatched" and told.key in archived:
                problems.append(of_archived(origin, told, archived[told.key]))
            elif found.kind != "unmatched" or await concerns_us(self._store, self._connection_id, self._group, told.news):
                problems.append(say.no_match(origin, told.key, told.news, found))
        return [problem for problem in problems if problem is not None]

    async def _prove(self, delivery: Delivery, place: str | None = None) -> bool:
        origin = self._origin_at(self._place.words if place is None else place)
        return await prove(self._store, origin, self._clock, delivery)

    async def _note(self, discrepancy: NewDiscrepancy) -> None:
        await self._store.add_discrepancies([discrepancy])
