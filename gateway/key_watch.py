"""Bringing what was done with keys into the audit log: the journals of commands, then what is different without any command."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import structlog

from gateway import clock, key_journal
from gateway.audit.lines import by_itself, by_operator
from gateway.audit.record import AuditRecord
from gateway.config import Configuration
from gateway.in_force import RENEW_AFTER, InForce
from gateway.key_journal import Deed, JournalBusy, JournalUnusable
from gateway.keys_in_force import key_stores, keys_view
from gateway.onboarding import onboarding_of
from gateway.started import configuration_view
from gateway.store.audit import AuditObject, AuditStore
from gateway.store.store import Stale, Store

EVERY: Final = timedelta(minutes=1)
TRIES: Final = 20  # against other processes that bring in the same journal
NOTHING_MORE: Final[Mapping[str, Any]] = MappingProxyType({})
ROWS: Final = 1_000  # of one transaction

log = structlog.get_logger("keys")


class KeyWatch:
    """Of one process: looks after the keys that a configuration names, from its start on."""

    def __init__(self, configuration: Configuration, store: Store, in_force: InForce) -> None:
        self._configuration = configuration
        self._store = store
        self._in_force = in_force
        self._unreadable: set[Path] = set()

    async def look(self) -> None:
        """Brings in what commands did, then compares the keys with what the log knows. Raises `StoreUnavailable`."""
        for path in await asyncio.to_thread(journals_of, self._configuration):
            try:
                brought, problem = await bring_in(self._store, path)
                if brought:
                    log.warning("key_journal.read", file=str(path), commands=brought)
                if problem:
                    log.error("key_journal.altered", file=str(path), problem=problem)
            except JournalBusy:
                continue
            except JournalUnusable as problem:
                if path not in self._unreadable:
                    log.warning("key_journal.not-read", problem=str(problem))
                self._unreadable.add(path)
        view = await asyncio.to_thread(keys_view, self._configuration)
        await self._in_force.tell(replace(view, parts={**view.parts, **await self._bank_keys()}))

    async def _bank_keys(self) -> dict[str, str]:
        """Of EBICS banks: the keys that a person confirmed, which stand in the store."""
        found = {}
        for settings in self._configuration.connections.values():
            onboarding = await onboarding_of(self._store, settings)
            if onboarding is not None and onboarding.confirmed:
                told = (f"{process} {kind} {digest.lower()}" for process, kind, digest in onboarding.confirmed)
                found[f"connections.{settings.id}.bank_keys"] = ", ".join(told)
        return found

    async def read_again(self, configuration: Configuration) -> None:
        """Another configuration was read: what changed in it is written down, and in the keys that it names."""
        await self._in_force.tell(configuration_view(configuration))
        self._configuration = configuration
        await self.look()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks every minute within."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY.total_seconds())
            try:
                await self.look()
            except Exception as fault:  # a locked database, a file being replaced: looked at again after the pause
                log.exception("keys.not-looked-at", fault=type(fault).__name__)


def journals_of(configuration: Configuration) -> list[Path]:
    """Where commands note what they do with the keys of a configuration: beside it, and beside key stores elsewhere."""
    beside = (store.with_name(f"{store.name}.journal") for store in key_stores(configuration))
    return list(dict.fromkeys((configuration.directory / key_journal.NAME, *beside)))


async def bring_in(store: AuditStore, path: Path) -> tuple[int, str]:
    """Brings the entries of a journal that the audit log does not have into it: how many commands, and what was found wrong with
    it and written down now. Raises `StoreUnavailable`, `JournalBusy`, `JournalUnusable`."""
    found = await asyncio.to_thread(key_journal.read, path)
    if found is None or (not found.name and not found.problem):
        return 0, ""
    brought = 0
    for _ in range(TRIES):
        about = AuditObject(action="key_journal.read", object_kind="key_journal", object_id=found.name[:16] or path.name)
        rows, _ = await store.list_audit(about.filter, limit=1)
        last = rows[0].number if rows else 0
        through, known = _read_up_to(rows[0].detail if rows else None)
        lost = len(found.hashes) < through or bool(through and found.hashes[through - 1] != known)
        new = [] if lost else [deed for deed in found.deeds if deed.number > through]
        due = bool(rows) and not lost and clock.now() - rows[0].occurred_at >= RENEW_AFTER
        if not new and not due:
            problem = (
                f"it ends before entry {through}, which was read from it, or has another one there" if lost else found.problem
            )
            return brought, await _told_problem(store, path, about.object_id, problem)
        some = new[:ROWS]
        upto = some[-1].number if len(new) > ROWS else max(through, len(found.hashes))
        lines = [line_of(deed, {"journal": path.name, "entry": deed.number}) for deed in some]
        read = by_itself(
            about.action, about.object_kind, about.object_id, file=str(path), through=upto, hash=found.hashes[upto - 1]
        )
        if await store.follow_audit(about, last, [*lines, read]):
            brought += len(some)
    raise Stale(f"others keep bringing in {path}")


def _read_up_to(detail: str | None) -> tuple[int, str]:
    """The last entry that was brought in, and its hash."""
    found = json.loads(detail or "{}")
    return int(found.get("through", 0)), str(found.get("hash", ""))


async def _told_problem(store: AuditStore, path: Path, name: str, problem: str) -> str:
    """Writes it down, once for each problem of each journal: the problem, if that was done now."""
    if not problem:
        return ""
    about = AuditObject(action="key_journal.altered", object_kind="key_journal", object_id=name)
    rows, _ = await store.list_audit(about.filter, limit=1)
    if rows and json.loads(rows[0].detail or "{}").get("problem") == problem:
        return ""
    line = by_itself(about.action, about.object_kind, about.object_id, file=str(path), problem=problem)
    return problem if await store.follow_audit(about, rows[0].number if rows else 0, [line]) else ""


def line_of(deed: Deed, more: Mapping[str, Any] = NOTHING_MORE) -> AuditRecord:
    """The line of the audit log about what somebody did."""
    told = deed.detail | {"at": deed.at, **more}
    line = by_operator(deed.user, deed.action, deed.action.partition(".")[0], deed.object_id, **told)
    return replace(line, address=deed.host, outcome=deed.outcome)
