"""Reading what the bank's statements say."""

from gateway.callers import Caller
from gateway.errors import NotFound
from gateway.store.records import EntryRow, StatementRow
from gateway.use_cases.desk import Desk, one_page, page_size


class Statements(Desk):
    """The use cases of a caller who reads accounts."""

    async def list_statements(
        self,
        caller: Caller,
        *,
        connection_id: str | None,
        iban: str | None,
        message_prefix: str | None,
        limit: int,
        token: str | None,
    ) -> tuple[list[StatementRow], str | None]:
        self._authorise(caller, "statements", connection_id)
        return await one_page(
            self._store.list_statements(
                connection_ids=self._visible(caller, connection_id),
                iban=iban,
                message_prefix=message_prefix,
                limit=page_size(limit),
                before=token,
            )
        )

    async def statement(self, caller: Caller, statement_row_id: int) -> StatementRow:
        self._authorise(caller, "statements")
        row = await self._store.statement(statement_row_id)
        if row is None or not caller.may("statements", row.connection_id):
            raise NotFound("there is no such statement")
        return row

    async def entries(self, caller: Caller, statement_row_id: int, *, after_position: int, limit: int) -> list[EntryRow]:
        await self.statement(caller, statement_row_id)
        return await self._store.entries(statement_row_id, after_position=after_position, limit=page_size(limit))
