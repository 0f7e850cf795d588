"""The part of `PostgresStore` about documents and what banks say in them: files, statements, discrepancies, health."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import BinaryIO, TypeVar

from gateway.audit.record import AuditRecord
from gateway.continuity import StatementFacts
from gateway.store import codec
from gateway.store.documents import CHUNK, ChunkWriter
from gateway.store.postgres import discrepancies, documents, inbound, notes, statements
from gateway.store.postgres.connection import Home, Question, Readers
from gateway.store.postgres.writer import Operation, Writer
from gateway.store.records import (
    ChainsReconciled,
    ConnectionHealth,
    Discrepancy,
    EntryRow,
    InboundFile,
    NewDiscrepancy,
    NewStatement,
    StatementRow,
)
from gateway.store.store import ChainJudge, DocumentWriter, StoreUnavailable

T = TypeVar("T")


class Answers(ABC):
    """See the module. Stands on what `PostgresStore` opens."""

    _home: Home | None
    _readers: Readers | None
    _the_writer: Writer | None

    def __init__(self) -> None:
        self._owner = documents.Owner()

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    # -- documents -----------------------------------------------------------------------------------------------------

    def document_writer(self, kind: str) -> DocumentWriter:
        if self._the_writer is None:
            raise StoreUnavailable("the store is not open")
        return ChunkWriter(documents.PostgresShelf(self._the_writer, self._owner, kind))

    def open_document(self, document_id: int) -> BinaryIO:
        if self._home is None or self._readers is None:
            raise StoreUnavailable("the store is not open")
        return documents.open_document(self._home, self._readers, document_id)

    async def document_chunks(self, document_id: int) -> AsyncIterator[bytes]:
        size = await self._read(lambda db: documents.size_of(db, document_id))
        for number in range(-(-size // CHUNK)):
            yield await self._read(partial(documents.chunk, document_id=document_id, number=number))

    # -- inbound -------------------------------------------------------------------------------------------------------

    async def keep_inbound(
        self,
        connection_id: str,
        name: str,
        document_id: int,
        sha256: str,
        size: int,
        *,
        state: str = "stored",
        opened: bool = False,
    ) -> tuple[InboundFile, bool]:
        keep = partial(inbound.keep_inbound, document_id=document_id, sha256=sha256, size=size, state=state, opened=opened)
        return await self._write(lambda tx: keep(tx, connection_id, name))

    async def inbound_file(self, inbound_file_id: int) -> InboundFile | None:
        return await self._read(lambda db: inbound.inbound_file(db, inbound_file_id))

    async def list_inbound(
        self, *, connection_id: str | None = None, state: str | None = None, limit: int, before: str | None = None
    ) -> tuple[list[InboundFile], str | None]:
        return await self._read(
            lambda db: inbound.list_inbound(db, connection_id=connection_id, state=state, limit=limit, before=before)
        )

    async def unread_inbound(self, connection_id: str) -> list[InboundFile]:
        return await self._read(lambda db: inbound.unread_inbound(db, connection_id))

    async def finish_inbound(
        self,
        inbound_file_id: int,
        *,
        state: str,
        message: str | None = None,
        problem: str | None = None,
        records_applied: int = 0,
        discrepancies: Sequence[NewDiscrepancy] = (),
        audit: Sequence[AuditRecord] = (),
    ) -> None:
        await self._write(
            lambda tx: inbound.finish_inbound(
                tx,
                inbound_file_id,
                state=state,
                message=message,
                problem=problem,
                records_applied=records_applied,
                found=discrepancies,
                audit=audit,
            )
        )

    # -- statements ----------------------------------------------------------------------------------------------------

    async def put_statement(self, new: NewStatement) -> int:
        return await self._write(lambda tx: statements.put_statement(tx, new))

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None:
        rows = codec.entry_rows(entries)
        await self._write(lambda tx: statements.put_entries(tx, statement_row_id, rows))

    async def statement_facts(self, connection_id: str, chain: str) -> list[StatementFacts]:
        return await self._read(lambda db: statements.facts(db, connection_id, chain))

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled:
        return await self._write(lambda tx: statements.reconcile(tx, connection_id, kept, judge, resolution))

    async def statement(self, statement_row_id: int) -> StatementRow | None:
        return await self._read(lambda db: statements.statement(db, statement_row_id))

    async def list_statements(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        iban: str | None = None,
        message_prefix: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[StatementRow], str | None]:
        return await self._read(
            lambda db: statements.list_statements(
                db, connection_ids=connection_ids, iban=iban, message_prefix=message_prefix, limit=limit, before=before
            )
        )

    async def entries(self, statement_row_id: int, *, after_position: int = 0, limit: int) -> list[EntryRow]:
        return await self._read(lambda db: statements.entries(db, statement_row_id, after_position=after_position, limit=limit))

    # -- discrepancies and health --------------------------------------------------------------------------------------

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        await self._write(lambda tx: discrepancies.add(tx, new))

    async def discrepancy(self, discrepancy_id: int) -> Discrepancy | None:
        return await self._read(lambda db: discrepancies.discrepancy(db, discrepancy_id))

    async def list_discrepancies(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        include_resolved: bool = False,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[Discrepancy], str | None]:
        return await self._read(
            lambda db: discrepancies.list_discrepancies(
                db, connection_ids=connection_ids, include_resolved=include_resolved, limit=limit, before=before
            )
        )

    async def resolve_discrepancy(
        self, discrepancy_id: int, by: str, resolution: str, audit: Sequence[AuditRecord] = ()
    ) -> Discrepancy:
        return await self._write(lambda tx: discrepancies.resolve(tx, discrepancy_id, by, resolution, audit))

    async def note_fetch(self, connection_id: str, problem: str | None) -> None:
        await self._write(lambda tx: discrepancies.note_fetch(tx, connection_id, problem))

    async def health(self, connection_id: str) -> ConnectionHealth:
        return await self._read(lambda db: discrepancies.health(db, connection_id))

    # -- channels ------------------------------------------------------------------------------------------------------

    async def channel_note(self, name: str) -> str | None:
        return await self._read(lambda db: notes.note(db, name))

    async def put_channel_note(self, name: str, content: str, *, was: str | None) -> bool:
        return await self._write(lambda tx: notes.put_note(tx, name, content, was))

    async def forget_upload_notes(self, before: datetime, *, limit: int) -> int:
        return await self._write(lambda tx: notes.forget_uploads(tx, before, limit))
