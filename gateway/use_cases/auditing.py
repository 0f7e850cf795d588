"""Reading the audit log over the services."""

from gateway.audit.chain import AuditRow
from gateway.audit.form import masked
from gateway.callers import EVERY_CONNECTION, Caller
from gateway.errors import Forbidden
from gateway.store.audit import AuditFilter
from gateway.use_cases.desk import Desk, one_page, page_size


class Auditing(Desk):
    """The use cases of an auditor."""

    async def list_audit(
        self, caller: Caller, where: AuditFilter, limit: int, token: str | None, *, personal: bool
    ) -> tuple[list[AuditRow], str | None]:
        """The log tells of every connection, so it is for callers of all of them. Raises Forbidden, BadRequest."""
        self._authorise(caller, "audit")
        if EVERY_CONNECTION not in caller.connections:
            raise Forbidden(
                f"caller {caller.name!r} may not audit: the log tells of every connection, and it has some of them only"
            )
        if personal:
            await self._store.audit([self._line(caller, "audit.read", "audit", "personal", asked_for=where.action)])
        rows, following = await one_page(self._store.list_audit(where, limit=page_size(limit), before=token))
        return (rows if personal else [masked(row) for row in rows]), following
