"""`bankgate audit prune`: old lines of the audit log leave the database, whole and verifiable, for a file.

In this order, so that a crash at any point loses nothing: the log is verified; the lines are written to the file, which is
durable and read back as `bankgate audit verify --export` reads it; the anchor and the line that tells of it are written in one
transaction; only then lines are removed, some at a time. A run that broke off after the anchor is finished by the next one.
"""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway import clock
from gateway.audit.anchor import AuditAnchor, pruning_line, seals_of_prunings
from gateway.audit.chain import AuditRow
from gateway.audit.checkpoint import Checkpoint, claim_of
from gateway.audit.form import as_json
from gateway.audit.verify import Verifier
from gateway.cli.audit_common import Archive, By, Key, text_of, with_store
from gateway.cli.audit_verify import (
    PAGE,
    Asked,
    Vouched,
    beginning_of_exports,
    checkpoint_text,
    heading_of,
    of_database,
    of_exports,
    of_store,
    verdict,
)
from gateway.cli.keys_common import whoever
from gateway.cli.output import USAGE, CommandFailed, out
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration
from gateway.store.archive_files import sync_directory
from gateway.store.seals import CannotPrune
from gateway.store.store import Store

REMOVED: Final = 10_000  # lines of one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pruned:
    """`finished`: lines that a run which was broken off had left."""

    finished: int
    first: int = 0
    last: int = 0
    sha256: str = ""


def prune(
    *,
    config: Config,
    target: Annotated[Path, typer.Option("--out", help="The file to be made for the lines. Keep it.", dir_okay=False)],
    before: Annotated[
        datetime | None,
        typer.Option(help="Lines from before this day (UTC) go. Absent: what audit_months allows.", show_default=False),
    ] = None,
    key: Key = None,
    archive: Archive = None,
    by: By = None,
) -> None:
    """Take old lines out of the log for good, after they were verified and written to a file; the rest verifies as before.

    Only whole checkpoints go. In PostgreSQL for the role that owns the tables: neither `serve` nor `worker` may."""
    configuration = loaded(config)
    limit = _limit(configuration, before)
    _must_be_new(target)
    pem = None if key is None else text_of(key)
    asked = Asked(archives=archive, key=pem)
    try:
        done = with_store(configuration, lambda store: _prune(store, limit, target, asked, whoever(by)))
    except ValueError as error:  # of the key given
        raise CommandFailed(f"--key {key}: {error}", USAGE) from None
    except (CannotPrune, OSError) as error:
        raise CommandFailed(f"nothing was pruned: {error}") from None
    if done.finished:
        out().print("lines that an earlier run had written to its file, and not removed, are gone now", markup=False)
    if not done.last:
        return
    out().print(
        f"{target}: lines {done.first} to {done.last}, SHA-256 {done.sha256}\nthe log begins with line {done.last + 1} now;"
        " keep the file: with it `bankgate audit verify --config DIR --export FILE` checks all lines",
        markup=False,
    )


def _limit(configuration: Configuration, before: datetime | None) -> datetime:
    """Before which lines may go. Raises `CommandFailed` where none may, or not so many."""
    months = configuration.retention.audit_months
    if months is None:
        raise CommandFailed("nothing says how long the audit log is kept: set [retention] audit_months", USAGE)
    now = clock.now()
    month = 12 * now.year + now.month - 1 - months
    kept_from = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    wanted = kept_from if before is None else before.replace(tzinfo=UTC)
    if wanted > kept_from:
        day = kept_from.date().isoformat()
        raise CommandFailed(f"--before: [retention] audit_months = {months} keeps all lines from {day} on", USAGE)
    return wanted


async def _prune(store: Store, limit: datetime, target: Path, asked: Asked, by: str) -> _Pruned:
    finished = await _remove(store)
    found = await of_database(store, Vouched(), asked)
    if not found["ok"]:
        problems = [found["fault"]["text"]] if found["fault"] else found["problems"]
        raise CommandFailed(f"nothing was pruned: the log does not verify: {'; '.join(problems)}")
    anchors = await store.audit_anchors()
    start = anchors[-1].size if anchors else 0
    checkpoints = await _checkpoints(store, start, await _older(store, start, limit))
    if not checkpoints and finished:
        return _Pruned(finished=finished)
    if not checkpoints:
        raise CommandFailed(f"there is no checkpoint over lines that are all from before {limit.date().isoformat()}")
    last = checkpoints[-1]
    await _write(store, start, checkpoints, target)
    verifier, sha256 = await _read_back(target, last, asked.key)
    anchor = AuditAnchor(size=last.size, head=verifier.head.hash, export_sha256=sha256, pruned_at=clock.now())
    seals = {name: hash_ for name, (hash_, _) in _last_seals(verifier).items()}
    await store.anchor_audit(anchor, pruning_line(by, anchor, last, seals))
    await _remove(store)
    return _Pruned(finished=finished, first=start + 1, last=last.size, sha256=sha256)


async def _remove(store: Store) -> int:
    count = 0
    while gone := await store.remove_pruned(REMOVED):
        count += gone
    return count


async def _older(store: Store, start: int, limit: datetime) -> int:
    """The last line before the first that is not older; never the last of all, on which the next one is chained."""
    last = start
    async with aclosing(of_store(store, start)) as pieces:  # type: ignore[type-var]  # an async generator
        async for piece in pieces:
            for row in piece:
                if row.occurred_at >= limit:
                    return last
                last = row.number
    return last - 1


async def _checkpoints(store: Store, start: int, end: int) -> list[Checkpoint]:
    """Those over more lines than `start`, and no more than `end`."""
    found: list[Checkpoint] = []
    after = start
    while page := await store.checkpoints(after, PAGE):
        found += (one for one in page if one.size <= end)
        after = page[-1].size
    return found


async def _rows(store: Store, start: int, end: int) -> AsyncIterator[AuditRow]:
    async with aclosing(of_store(store, start)) as pieces:  # type: ignore[type-var]  # an async generator
        async for piece in pieces:
            for row in piece:
                if row.number > end:
                    return
                yield row


async def _write(store: Store, start: int, checkpoints: list[Checkpoint], target: Path) -> None:
    """Whole lines, with the checkpoints in front; durable when this returns. A file of that name is never written over."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="") as file:
        file.write(await heading_of(store))
        file.writelines(checkpoint_text(one) for one in checkpoints)
        async for row in _rows(store, start, checkpoints[-1].size):
            file.write(json.dumps(as_json(row), ensure_ascii=False, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())
    _must_be_new(target)
    partial.rename(target)
    sync_directory(target.parent)


def _must_be_new(target: Path) -> None:
    if target.exists():
        raise CommandFailed(f"{target} is there already; nothing was pruned", USAGE)


async def _read_back(target: Path, last: Checkpoint, key: str | None) -> tuple[Verifier, str]:
    """The verified lines of the file, and its SHA-256. Raises `CommandFailed`."""
    vouched = Vouched()
    beginning = await beginning_of_exports([target], vouched, key)
    found, verifier = await verdict(of_exports(target), vouched, beginning=beginning)
    if not found["ok"] or verifier.head.number != last.size or found["head"] != claim_of(last.content).head:
        raise CommandFailed(f"{target}: is not what was to be written; nothing was pruned")
    with target.open("rb") as file:
        return verifier, hashlib.file_digest(file, "sha256").hexdigest()


def _last_seals(verifier: Verifier) -> dict[str, tuple[str, int]]:
    """Of each stream the last seal that these lines tell of, or hand on."""
    last: dict[str, tuple[str, tuple[str, int]]] = {}
    for name, told in {**verifier.seals, **seals_of_prunings(verifier.pruned)}.items():
        stream, _, first = name.partition(":")
        if stream not in last or int(first) > int(last[stream][0].partition(":")[2]):
            last[stream] = (name, told)
    return dict(last.values())
