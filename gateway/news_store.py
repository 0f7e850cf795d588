"""The part of the store that applying a bank's news needs, so that a replay can put a shadow in its place."""

from collections.abc import Sequence
from typing import Protocol

from gateway.batch_booking import BlockStore
from gateway.continuity import StatementFacts
from gateway.store.records import (
    Candidate,
    ChainsReconciled,
    Delivery,
    DeliveryChange,
    EntryRow,
    Keys,
    MessageNews,
    MessageNewsResult,
    NewDiscrepancy,
    NewStatement,
    PaymentChange,
)
from gateway.store.store import ChainJudge


class NewsStore(BlockStore, Protocol):
    """What `apply.NewsApplier` asks of the store and tells it."""

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]: ...

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def change_delivery(self, change: DeliveryChange) -> Delivery: ...

    async def change_payments(self, changes: Sequence[PaymentChange], discrepancies: Sequence[NewDiscrepancy] = ()) -> None: ...

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult: ...

    async def put_statement(self, new: NewStatement) -> int: ...

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None: ...

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None: ...

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled: ...
