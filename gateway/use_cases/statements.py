"""Reading what the bank's statements say."""

from collections.abc import Awaitable

from gateway.callers import Caller, Money
from gateway.errors import NotFound
from gateway.policy.subject import account_key_of
from gateway.store.records import EntryRow, StatementRow
from gateway.use_cases.desk import Desk, page_of_own, page_size


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
        visible = self._visible(caller, "statements", connection_id)

        def page(size: int, before: str | None) -> Awaitable[tuple[list[StatementRow], str | None]]:
            return self._store.list_statements(
                connection_ids=visible, iban=iban, message_prefix=message_prefix, limit=size, before=before
            )

        return await page_of_own(caller, "statements", lambda row: _may_see(caller, row), page, limit=limit, token=token)

    async def statement(self, caller: Caller, statement_row_id: int) -> StatementRow:
        self._authorise(caller, "statements")
        row = await self._store.statement(statement_row_id)
        if row is None or not _may_see(caller, row):
            raise NotFound("there is no such statement")
        return row

    async def entries(self, caller: Caller, statement_row_id: int, *, after_position: int, limit: int) -> list[EntryRow]:
        await self.statement(caller, statement_row_id)
        return await self._store.entries(statement_row_id, after_position=after_position, limit=page_size(limit))


def _may_see(caller: Caller, row: StatementRow) -> bool:
    """Whether a statement is of an account of the caller's. One that does not tell its currency is of none."""
    account = row.statement.account
    money = Money(account_key_of(account.iban or account.other_id or ""), account.currency or "")
    return caller.may("statements", row.connection_id, money)
