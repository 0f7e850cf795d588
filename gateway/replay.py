"""What would these bank files change? The production code of intake and matching over a shadow that changes nothing.

`Shadow` reads through to the real store, keeps its changes to itself, and answers later questions as if they had been made, so
that a folder of files replays as it would happen.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from formats.errors import Unparsable
from gateway.apply import NewsApplier
from gateway.errors import TooMany
from gateway.intake import REPLAY_UNFINISHED, Intake
from gateway.lifecycle import (
    NOTHING_GOES_OUT,
    PAYMENT_TABLE,
    DeliveryState,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
)
from gateway.store.records import (
    Candidate,
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
from gateway.store.store import Store
from keys.seal import BadSeal

MEMORY_BYTES_MAX = 8 * 1024 * 1024  # of an uploaded file; the rest waits in an unnamed temporary file
FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedChange:
    file: str
    payment_id: str
    payment_reference: str
    before: PaymentState
    after: PaymentState
    reason: Reason
    matched_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedProblem:
    file: str
    kind: str
    summary_en: str
    summary_zh: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedFile:
    file: str
    message: str | None
    records: int
    changes: int
    problems: int
    committed: bool


Replayed = ReplayedChange | ReplayedProblem | ReplayedFile


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
        self.log: list[tuple[Candidate, PaymentState, Reason, str]] = []
        self.problems: list[NewDiscrepancy] = []

    def take(self) -> tuple[list[tuple[Candidate, PaymentState, Reason, str]], list[NewDiscrepancy]]:
        """What has happened since the last call."""
        log, self.log = self.log, []
        problems, self.problems = self.problems, []
        return log, problems

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
        return await self._store.list_payments(where, limit=limit, before=before)

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
        self.problems += change.discrepancies
        for candidate, following in moving:
            self._moved(candidate, following, change.payment_reason, "")
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
        self.problems += discrepancies
        for change in changes:
            candidate = self._matched[change.payment_id]
            if change.state is not candidate.state:
                self._moved(candidate, change.state, change.reason, "")
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
            self._moved(present, held, hold.reason, "")
            if present.payment_id in self._again:
                again, first = self._again[present.payment_id]
                self._again[present.payment_id] = replace(again, state=held), first
        gone = present.state not in {PaymentState.APPROVED, *NOTHING_GOES_OUT} and not waits
        self.problems.append(hold.left if gone else hold.held)

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
                self._moved(candidate, following, news.reason, "message_id")
        if self._commit:
            return await self._store.apply_message_news(news)
        return MessageNewsResult(changed=changed, contradicted=tuple(contradicted[:100]), contradicted_count=len(contradicted))

    async def put_statement(self, new: NewStatement) -> int:
        return await self._store.put_statement(new) if self._commit else 0

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None:
        if self._commit:
            await self._store.put_entries(statement_row_id, entries)

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        self.problems += new
        if self._commit:
            await self._store.add_discrepancies(new)

    def _moved(self, candidate: Candidate, following: PaymentState, reason: Reason, by: str) -> None:
        moved = replace(candidate, state=following)
        self._matched[candidate.payment_id] = moved
        if not self._commit:
            self._candidates[candidate.payment_id] = moved
        self.log.append((candidate, following, reason, by))

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


@dataclass(slots=True)
class Replay:
    """One replay over one connection: files in order, each shown against what the earlier ones would have done."""

    store: Store
    intake: Intake
    commit: bool

    async def run(self, files: AsyncIterator[tuple[str, bytes]], *, sealed: bool) -> AsyncIterator[Replayed]:
        """`files` are chunks with the name of their file; a new name starts a new file."""
        shadow = Shadow(self.store, self.intake.connection.id, commit=self.commit)
        async for name, upload in _uploads(files):
            try:
                async for result in self._one(name, upload, shadow, sealed=sealed):
                    yield result
            finally:
                upload.close()

    async def _one(self, name: str, upload: BinaryIO, shadow: Shadow, *, sealed: bool) -> AsyncIterator[Replayed]:
        try:
            applier, message = await self._apply(name, upload, shadow, sealed=sealed)
        except (BadSeal, Unparsable) as fault:
            yield ReplayedProblem(
                file=name,
                kind="unreadable",
                summary_en=f"The file cannot be read: {fault}",
                summary_zh=f"文件无法读取：{fault}",
                evidence="{}",
            )
            yield ReplayedFile(file=name, message=None, records=0, changes=0, problems=1, committed=False)
            return
        log, problems = shadow.take()
        for candidate, following, reason, by in log:
            matched = applier.matched_by.get(candidate.payment_id)
            yield ReplayedChange(
                file=name,
                payment_id=candidate.payment_id,
                payment_reference=candidate.payment_reference,
                before=candidate.state,
                after=following,
                reason=reason,
                matched_by=matched.value if matched else by or "message_id",
            )
        for problem in problems:
            yield ReplayedProblem(
                file=name,
                kind=problem.kind,
                summary_en=problem.summary_en,
                summary_zh=problem.summary_zh,
                evidence=problem.evidence,
            )
        yield ReplayedFile(
            file=name,
            message=message,
            records=applier.records,
            changes=len(log),
            problems=len(problems),
            committed=self.commit,
        )

    async def _apply(self, name: str, upload: BinaryIO, shadow: Shadow, *, sealed: bool) -> tuple[NewsApplier, str | None]:
        opened = await asyncio.to_thread(self._opened, upload, sealed=sealed)
        inbound_file_id = 0
        if self.commit:
            inbound_file_id = await self._keep(name, upload if sealed else opened)
        applier = NewsApplier(
            shadow,
            connection_id=self.intake.connection.id,
            inbound_file_id=inbound_file_id,
            clock=self.intake.clock,
            fall_back_codes=self.intake.connection.fall_back_codes,
        )
        try:
            message = await self.intake.apply_opened(lambda: _rewound(opened), applier)
        except Unparsable as fault:
            if self.commit:
                await self.store.finish_inbound(inbound_file_id, state="quarantined", problem=fault.problem)
            raise
        if self.commit:
            await self.store.finish_inbound(inbound_file_id, state="read", message=message, records_applied=applier.records)
        return applier, message

    def _opened(self, upload: BinaryIO, *, sealed: bool) -> BinaryIO:
        upload.seek(0)
        if not sealed:
            return upload
        opened = _temporary()
        self.intake.connection.seal.open(upload, opened)
        opened.seek(0)
        return opened

    async def _keep(self, name: str, upload: BinaryIO) -> int:
        writer = self.store.document_writer("inbound")

        def copy() -> tuple[int, str, int]:
            upload.seek(0)
            while chunk := upload.read(1 << 20):
                writer.write(chunk)
            return writer.finish()

        document_id, sha256, size = await asyncio.to_thread(copy)
        # Not "read": what breaks off here would be lost. Not "stored": the worker would open what may be opened already.
        file, new = await self.store.keep_inbound(self.intake.connection.id, name, document_id, sha256, size, state="quarantined")
        if new:
            await self.store.finish_inbound(file.inbound_file_id, state="quarantined", problem=REPLAY_UNFINISHED)
        return file.inbound_file_id


def _rewound(stream: BinaryIO) -> BinaryIO:
    """The stream from its start; its reader may close it, and it stays open for the next."""
    stream.seek(0)
    return cast("BinaryIO", _Unclosed(stream))


class _Unclosed:
    """A stream whose `close` is left to whoever opened it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Does nothing, on purpose."""


def _temporary() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX))


async def _uploads(files: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[tuple[str, BinaryIO]]:
    current: tuple[str, BinaryIO] | None = None
    size = 0
    async for name, chunk in files:
        if current is None or (name and name != current[0]):
            if current is not None:
                yield current
            current, size = (name, _temporary()), 0
        size += len(chunk)
        if size > FILE_BYTES_MAX:
            raise TooMany(f"{current[0]}: larger than {FILE_BYTES_MAX} bytes")
        await asyncio.to_thread(current[1].write, chunk)
    if current is not None:
        yield current
