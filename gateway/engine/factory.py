"""From the setting `store` to the engine that belongs to it: the lanes are where the payments are."""

from collections.abc import Sequence
from datetime import timedelta

from gateway import clock
from gateway.config import Configuration
from gateway.engine.engine import Engine
from gateway.engine.lanes import Report
from gateway.engine.local import LocalEngine
from gateway.engine.procrastinate import ProcrastinateEngine
from gateway.store.factory import access_to
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store


def engine_of(configuration: Configuration, store: Store, lanes: Sequence[str], *, owner: str, report: Report) -> Engine:
    """The engine that pumps `lanes`, woken by what `store` writes: `store` is the one that the configuration names.

    Raises `StoreUnavailable` where a secret of the database's cannot be had.
    """
    settings = configuration.worker
    lease = timedelta(seconds=settings.lane_lease_seconds)
    if isinstance(store, SqliteStore):
        return LocalEngine(
            store, lanes, owner=owner, report=report, clock=clock.now, concurrency=settings.lanes_at_once, lease=lease
        )
    access = access_to(configuration.store, configuration.directory, configuration.database)
    return ProcrastinateEngine(
        access.libpq(),
        lanes,
        owner=owner,
        report=report,
        clock=clock.now,
        concurrency=settings.lanes_at_once,
        lease=lease,
    )
