"""The part of the store that applying a bank's news needs: so that a replay runs the very same code over a shadow."""

from collections.abc import Sequence
from typing import Protocol

from gateway.continuity import StatementFacts
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
from gateway.store.store import ChainJudge

BY_MESSAGE = "message_id"  # news of a whole message or block: its payments were found by the message alone


class BlockStore(Protocol):
    """What tells whose block was booked."""

    async def delivery_by_message_id(self, connection_id: str, message_id: str) -> Delivery | None: ...

    async def delivery_blocks(self, delivery_id: str) -> list[DeliveryBlock]: ...

    async def list_payments(
        self, where: PaymentFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Payment], str | None]: ...

    async def refused_attempts(self, delivery_id: str) -> list[RefusedAttempt]: ...


class NewsStore(BlockStore, Protocol):
    """See the module."""

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]: ...

    async def named_by_serial(self, connection_id: str, serials: Sequence[str]) -> dict[str, str]: ...

    async def note_serials(self, connection_id: str, notes: Sequence[SerialNote]) -> None: ...

    async def sent_payments(self, connection_id: str, where: SentFilter) -> list[SentPayment]: ...

    async def find_recall(self, connection_id: str, recall_ids: Sequence[str], payment_id: str | None) -> Recall | None: ...

    async def recall_of_delivery(self, delivery_id: str) -> Recall | None: ...

    async def answer_recall(self, answer: RecallAnswer, reason: Reason) -> bool: ...

    async def archived_payments(self, connection_id: str, keys: Keys) -> list[ArchivedPayment]: ...

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def change_delivery(self, change: DeliveryChange) -> Delivery: ...

    async def change_payments(
        self,
        changes: Sequence[PaymentChange],
        discrepancies: Sequence[NewDiscrepancy] = (),
        holds: Sequence[HoldBack] = (),
    ) -> None: ...

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult: ...

    async def keep_payee_checks(self, checks: Sequence[PayeeCheck]) -> int: ...

    async def put_statement(self, new: NewStatement) -> int: ...

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None: ...

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None: ...

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled: ...
