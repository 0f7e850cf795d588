"""A shadow of the store: what applying bank news reads and writes, without a change to what is stored.

It reads through to the real store, keeps its changes to itself, and answers later questions as if they had been made, so that a
folder of files replays as it would happen.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from gateway.continuity import StatementFacts
from gateway.lifecycle import (
    NOTHING_GOES_OUT,
    PAYMENT_TABLE,
    DeliveryState,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
)
from gateway.news_store import BY_MESSAGE
from gateway.payee.check import PayeeCheck
from gateway.store.archived import ArchivedPayment
from gateway.store.recalls import Recall, RecallAnswer
from gateway.store.records import (
    Candidate,
    ChainsReconciled,
    Delivery,
    DeliveryBlock,
    DeliveryChange,
    EntryRow,
    HoldBack,
    Keys,
    MessageNews,
    MessageNewsResult,
    NewDiscrepancy,
    NewStatement,
    Payment,
    PaymentChange,
    PaymentFilter,
    Reason,
    RefusedAttempt,
)
from gateway.store.serials import SentFilter, SentPayment, SerialNote
from gateway.store.store import ChainJudge, Store

PROBLEMS_MAX = 10_000  # of one file, kept to be told; a file may name millions of payments that are none of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a payment's state, and where in the file its reason stands."""

    before: Candidate
    after: PaymentState
    reason: Reason
    place: str
    matched_by: str


class Shadow:
    """The part of the store that applying news needs; `commit` passes the changes on, else they stay here."""

    def __init__(self, store: Store, connection_id: str, *, commit: bool) -> None:
        self._store = store
        self._connection_id = connection_id
        self._commit = commit
        self._candidates: dict[str, Candidate] = {}  # as moved; with `commit` the store itself knows, and what others did
        self._deliveries: dict[str, Delivery] = {}
        self._matched: dict[str, Candidate] = {}
        self._again: dict[str, tuple[Candidate, Candidate]] = {}  # would go out again as normal: (present, refused attempt)
        self._statements: dict[str, list[StatementFacts]] = {}  # by chain, those that are not stored
        self._returned_lines: dict[str, str] = {}  # by serial number, those that are not stored
        self._moves: list[Move] = []
        self._problems: list[NewDiscrepancy] = []
        self._more = 0

    def take(self) -> tuple[list[Move], list[NewDiscrepancy], int]:
        """What has happened since the last call; the number is that of the problems beyond `PROBLEMS_MAX`."""
        moves, self._moves = self._moves, []
        problems, self._problems = self._problems, []
        more, self._more = self._more, 0
        return moves, problems, more

    def _tell(self, problems: Sequence[NewDiscrepancy]) -> None:
        room = PROBLEMS_MAX - len(self._problems)
        self._problems += problems[:room]
        self._more += max(0, len(problems) - room)

    def state_of(self, payment: Payment) -> PaymentState:
        """Where the payment would stand now."""
        moved = self._candidates.get(payment.payment_id)
        return payment.state if moved is None else moved.state

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]:
        found = await self._store.find_candidates(connection_id, keys)
        shown: list[Candidate] = []
        for candidate in found:
            if candidate.payment_id in self._again:
                shown += self._again[candidate.payment_id]
            elif candidate.superseded:
                shown.append(candidate)
            else:
                shown.append(self._candidates.get(candidate.payment_id, candidate))
        self._matched.update((candidate.payment_id, candidate) for candidate in shown if not candidate.superseded)
        return shown

    async def named_by_serial(self, connection_id: str, serials: Sequence[str]) -> dict[str, str]:
        return await self._store.named_by_serial(connection_id, serials)

    async def note_serials(self, connection_id: str, notes: Sequence[SerialNote]) -> None:
        if self._commit:
            await self._store.note_serials(connection_id, notes)
            return
        for note in notes:
            if note.returned_line is not None:
                self._returned_lines.setdefault(note.serial, note.returned_line)

    async def sent_payments(self, connection_id: str, where: SentFilter) -> list[SentPayment]:
        shown = []
        for one in await self._store.sent_payments(connection_id, where):
            moved = self._candidates.get(one.payment_id)
            line = one.returned_line or self._returned_lines.get(one.serial)
            shown.append(replace(one, state=one.state if moved is None else moved.state, returned_line=line))
        return shown

    async def find_recall(self, connection_id: str, recall_ids: Sequence[str], payment_id: str | None) -> Recall | None:
        return await self._store.find_recall(connection_id, recall_ids, payment_id)

    async def recall_of_delivery(self, delivery_id: str) -> Recall | None:
        return await self._store.recall_of_delivery(delivery_id)

    async def answer_recall(self, answer: RecallAnswer, reason: Reason) -> bool:
        return await self._store.answer_recall(answer, reason) if self._commit else True

    async def archived_payments(self, connection_id: str, keys: Keys) -> list[ArchivedPayment]:
        return await self._store.archived_payments(connection_id, keys)

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return self._deliveries.get(delivery_id) or await self._store.delivery(delivery_id)

    async def delivery_by_message_id(self, connection_id: str, message_id: str) -> Delivery | None:
        found = await self._store.delivery_by_message_id(connection_id, message_id)
        return None if found is None else self._deliveries.get(found.delivery_id, found)

    async def delivery_blocks(self, delivery_id: str) -> list[DeliveryBlock]:
        return await self._store.delivery_blocks(delivery_id)

    async def list_payments(
        self, where: PaymentFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Payment], str | None]:
        """Those of a message as they would stand: in the state that they moved to here, without those that left the message."""
        if self._commit:
            return await self._store.list_payments(where, limit=limit, before=before)
        page, token = await self._store.list_payments(replace(where, states=()), limit=limit, before=before)
        moved = [replace(payment, state=self.state_of(payment)) for payment in page if payment.payment_id not in self._again]
        return [payment for payment in moved if not where.states or payment.state in where.states], token

    async def change_delivery(self, change: DeliveryChange) -> Delivery:
        moving: list[tuple[Candidate, PaymentState]] = []
        if change.payment_event is not None:
            async for candidate in self._members(change.delivery_id, None):
                following = PAYMENT_TABLE.get((candidate.state, change.payment_event), candidate.state)
                if following is not candidate.state:
                    moving.append((candidate, following))
        if self._commit:
            changed = await self._store.change_delivery(change)
        else:
            known = await self.delivery(change.delivery_id)
            if known is None:
                raise LookupError(change.delivery_id)
            changed = replace(known, state=change.next_state, fence=known.fence + 1)
            self._deliveries[change.delivery_id] = changed
        self._tell(change.discrepancies)
        for candidate, following in moving:
            self._moved(candidate, following, change.payment_reason, change.place, BY_MESSAGE)
        return changed

    async def change_payments(
        self,
        changes: Sequence[PaymentChange],
        discrepancies: Sequence[NewDiscrepancy] = (),
        holds: Sequence[HoldBack] = (),
    ) -> None:
        standing = {hold.payment_id: await self._present(hold.payment_id) for hold in holds}
        if self._commit:
            await self._store.change_payments(changes, discrepancies, holds)
        self._tell(discrepancies)
        for change in changes:
            candidate = self._matched[change.payment_id]
            if change.state is not candidate.state:
                self._moved(candidate, change.state, change.reason, change.place, change.matched_by)
            if change.event is PaymentEvent.INSTANT_REFUSED and not self._commit:
                self._begin_again(candidate, change)
            if change.payment_id in standing:
                standing[change.payment_id] = replace(standing[change.payment_id], state=change.state)
        for hold in holds:
            await self._hold(hold, standing[hold.payment_id])

    def _begin_again(self, candidate: Candidate, change: PaymentChange) -> None:
        created = change.next_attempt.report_created if change.next_attempt else None
        first = replace(candidate, attempts=2, may_fall_back=False, report_created=created)
        nowhere = replace(first, delivery_id=None, message_id=None, payment_information_id=None, uetr=None, bank_status=None)
        present = replace(nowhere, attempt=2, state=change.state)
        self._again[candidate.payment_id] = present, first

    async def _present(self, payment_id: str) -> Candidate:
        """The attempt that a payment is at."""
        found = await self.find_candidates(self._connection_id, Keys(payment_ids=(payment_id,)))
        return next(candidate for candidate in found if not candidate.superseded)

    async def _hold(self, hold: HoldBack, present: Candidate) -> None:
        """Tells what `HoldBack` says of a payment that stands like this, and takes it for done."""
        delivery = await self.delivery(present.delivery_id) if present.delivery_id else None
        waits = present.state is PaymentState.BATCHED and delivery is not None and delivery.state is DeliveryState.READY
        if present.state is PaymentState.APPROVED or waits:
            held = advance(PAYMENT_TABLE, present.state, PaymentEvent.HOLD)
            self._moved(present, held, hold.reason, hold.place, "")
            if present.payment_id in self._again:
                again, first = self._again[present.payment_id]
                self._again[present.payment_id] = replace(again, state=held), first
        gone = present.state not in {PaymentState.APPROVED, *NOTHING_GOES_OUT} and not waits
        self._tell([hold.left if gone else hold.held])

    async def refused_attempts(self, delivery_id: str) -> list[RefusedAttempt]:
        known = await self._store.refused_attempts(delivery_id)
        return known + [
            RefusedAttempt(
                payment_id=first.payment_id,
                amount=first.amount,
                uetr=first.uetr,
                delivery_id=delivery_id,
                message_id=first.message_id or "",
                payment_information_id=first.payment_information_id or "",
                reason=Reason(),
                report_created=first.report_created,
                refused_at=None,
            )
            for _, first in self._again.values()
            if first.delivery_id == delivery_id
        ]

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult:
        contradicted: list[str] = []
        changed = 0
        async for candidate in self._members(news.delivery_id, news.payment_information_id):
            if candidate.payment_id in news.except_payment_ids:
                continue
            try:
                following = advance(PAYMENT_TABLE, candidate.state, news.event)
            except IllegalTransition:
                contradicted.append(candidate.payment_id)
                continue
            if following is not candidate.state:
                changed += 1
                self._moved(candidate, following, news.reason, news.place, BY_MESSAGE)
        if self._commit:
            return await self._store.apply_message_news(news)
        return MessageNewsResult(changed=changed, contradicted=tuple(contradicted[:100]), contradicted_count=len(contradicted))

    async def keep_payee_checks(self, checks: Sequence[PayeeCheck]) -> int:
        return await self._store.keep_payee_checks(checks) if self._commit else 0

    async def put_statement(self, new: NewStatement) -> int:
        return await self._store.put_statement(new) if self._commit else 0

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None:
        if self._commit:
            await self._store.put_entries(statement_row_id, entries)

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled:
        added: dict[str, list[StatementFacts]] = {}
        for _, facts in kept:
            if facts is not None:
                added.setdefault(facts.chain, []).append(facts)
        told = 0
        for chain, new in sorted(added.items()):
            before = [*await self._store.statement_facts(connection_id, chain), *self._statements.get(chain, ())]
            known = {problem.key for problem in judge(chain, before)}
            found = [problem for problem in judge(chain, [*before, *new]) if problem.key not in known]
            self._tell(found)
            told += len(found)
            if not self._commit:
                self._statements.setdefault(chain, []).extend(new)
        if self._commit:
            return await self._store.reconcile_statements(connection_id, kept, judge, resolution)
        return ChainsReconciled(told=told)

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        self._tell(new)
        if self._commit:
            await self._store.add_discrepancies(new)

    def _moved(self, candidate: Candidate, following: PaymentState, reason: Reason, place: str, by: str) -> None:
        moved = replace(candidate, state=following)
        self._matched[candidate.payment_id] = moved
        if not self._commit:
            self._candidates[candidate.payment_id] = moved
        self._moves.append(Move(before=candidate, after=following, reason=reason, place=place, matched_by=by))

    async def _members(self, delivery_id: str, payment_information_id: str | None) -> AsyncIterator[Candidate]:
        token: str | None = None
        while True:
            where = PaymentFilter(connection_id=self._connection_id, delivery_id=delivery_id)
            page, token = await self._store.list_payments(where, limit=1000, before=token)
            for payment in page:
                if payment.payment_id in self._again:
                    continue  # it has left this message
                if payment_information_id in {None, payment.payment_information_id}:
                    shown = self._candidates.get(payment.payment_id)
                    yield shown or Candidate(
                        payment_id=payment.payment_id,
                        version=payment.version,
                        state=payment.state,
                        connection_id=payment.connection_id,
                        delivery_id=payment.delivery_id,
                        message_id=payment.message_id,
                        payment_information_id=payment.payment_information_id,
                        end_to_end_id=payment.transfer.end_to_end_id,
                        uetr=payment.transfer.uetr,
                        amount=payment.transfer.amount,
                        currency=payment.transfer.currency,
                        bank_status=payment.bank_status,
                        account_servicer_reference=payment.account_servicer_reference,
                        caller=payment.caller,
                        payment_reference=payment.payment_reference,
                        may_fall_back=payment.may_fall_back,
                        attempt=2 if payment.refused else 1,
                        attempts=2 if payment.refused else 1,
                    )
            if token is None:
                return
