"""What every use case starts from: the configuration, the store, and what the caller may do."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from gateway.audit.lines import by_caller
from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.errors import BadRequest, Forbidden, NotFound
from gateway.store.audit import AuditStore
from gateway.store.store import Clock, Store
from gateway.telemetry import Metrics

T = TypeVar("T")
Row = TypeVar("Row")

PAGE_MAX = 1_000
REASON_LENGTH_MIN = 10
PAGES_LOOKED_THROUGH_MAX = 20
"""Of a list, for one page of what is a caller's own."""


class Desk:
    """Base of the use cases."""

    def __init__(self, configuration: Configuration, store: Store, *, clock: Clock, metrics: Metrics) -> None:
        self._configuration = configuration
        self._store = store
        self._clock = clock
        self._metrics = metrics

    @property
    def audit_store(self) -> AuditStore:
        """Where lines of the audit log go that are no use case's."""
        return self._store

    def now(self) -> datetime:
        """Now, aware, in UTC."""
        return self._clock()

    def _authorise(self, caller: Caller, action: str, connection_id: str | None = None) -> None:
        missing = caller.lacks(action, connection_id)
        if missing is not None:
            where = f" on connection {connection_id!r}" if connection_id else ""
            raise Forbidden(f"caller {caller.name!r} may not {action}{where}", missing)

    def _line(self, caller: Caller, action: str, kind: str, object_id: str, **detail: Any) -> AuditRecord:
        """The line of the audit log about what a caller does, or the person whom it carries."""
        return by_caller(caller, action, kind, object_id, **detail)

    def _visible(self, caller: Caller, action: str, connection_id: str | None) -> tuple[str, ...] | None:
        """The connections to look at: the one asked for, else all on which the caller may do this (None: no restriction)."""
        if connection_id:
            return (connection_id,)
        return caller.connections_for(action)

    def _settings(self, connection_id: str) -> ConnectionSettings:
        settings = self._configuration.connections.get(connection_id)
        if settings is None:
            raise NotFound(f"there is no connection {connection_id!r}")
        return settings


def need_reason(reason: str) -> None:
    """A person's decision needs a reason. Raises BadRequest."""
    if len(reason.strip()) < REASON_LENGTH_MIN:
        raise BadRequest("reason", f"say who was asked and what they said, in at least {REASON_LENGTH_MIN} characters")


def page_size(limit: int) -> int:
    """The page asked for, 100 by default. Raises BadRequest."""
    if limit < 0 or limit > PAGE_MAX:
        raise BadRequest("page.size", f"between 1 and {PAGE_MAX}")
    return limit or 100


async def page_of_own(
    caller: Caller,
    action: str,
    own: Callable[[Row], bool],
    page: Callable[[int, str | None], Awaitable[tuple[list[Row], str | None]]],
    *,
    limit: int,
    token: str | None,
) -> tuple[list[Row], str | None]:
    """One page of a list, without what the caller's permissions do not reach (`own` says what they do).

    Pages are read until one is full. Where hardly anything is the caller's own it may be given less, even nothing, with a token.
    """
    size = page_size(limit)
    if not caller.is_limited(action):
        return await one_page(page(size, token))
    found: list[Row] = []
    for _ in range(PAGES_LOOKED_THROUGH_MAX):
        rows, token = await one_page(page(size - len(found), token))
        found += filter(own, rows)
        if token is None or len(found) == size:
            break
    return found, token


async def one_page(rows: Awaitable[T]) -> T:
    """The page that the store gives. Raises BadRequest for a page token that is not one of this list's."""
    try:
        return await rows
    except ValueError:
        raise BadRequest("page.token", "is not a next_page_token of this list; leave it empty for the first page") from None
