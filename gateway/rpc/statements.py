"""StatementService: what the banks' statements and reports say."""

# ruff: noqa: N802 - the methods are named by the contract

from bankgate.v1 import statements_pb2 as pb
from bankgate.v1 import statements_pb2_grpc as services
from gateway.callers import Caller
from gateway.rpc.door import Servicer, page_of, row_id, unary
from gateway.rpc.present_statements import entry_message, statement_message


class StatementServicer(Servicer, services.StatementServiceServicer):
    """Statements and their entries, of the connections the caller may use."""

    @unary("statements")
    async def ListStatements(self, caller: Caller, request: pb.ListStatementsRequest) -> pb.ListStatementsResponse:
        limit, token = page_of(request.page)
        found, following = await self.gateway.list_statements(
            caller,
            connection_id=request.connection_id or None,
            iban=request.iban or None,
            message_prefix=request.message or None,
            limit=limit,
            token=token,
        )
        return pb.ListStatementsResponse(statements=[statement_message(row) for row in found], next_page_token=following or "")

    @unary("statements")
    async def GetStatement(self, caller: Caller, request: pb.GetStatementRequest) -> pb.GetStatementResponse:
        row = await self.gateway.statement(caller, row_id("id", request.id))
        return pb.GetStatementResponse(statement=statement_message(row))

    @unary("statements")
    async def ListEntries(self, caller: Caller, request: pb.ListEntriesRequest) -> pb.ListEntriesResponse:
        """The token is the position of the last entry given: entries never move."""
        statement_id = row_id("id", request.id)
        limit, token = page_of(request.page)
        after = row_id("page.token", token) if token else 0
        rows = await self.gateway.entries(caller, statement_id, after_position=after, limit=limit)
        following = str(rows[-1].position) if len(rows) == limit else ""
        return pb.ListEntriesResponse(entries=[entry_message(statement_id, row) for row in rows], next_page_token=following)
