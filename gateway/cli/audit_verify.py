"""`bankgate audit verify`: whether the log is as it was written, against the database or exports of it, and so the events that it
seals."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gateway.audit.anchor import AuditAnchor, Beginning, beginning_of, prunings, seals_of_prunings
from gateway.audit.chain import AuditRow, moment_text
from gateway.audit.checkpoint import Checkpoint, Claim, claim_of
from gateway.audit.form import checkpoint_as_json, checkpoint_of_json, of_json
from gateway.audit.verify import Verifier
from gateway.checkpoints import is_signed_by
from gateway.cli.output import USAGE, CommandFailed, out, print_error
from gateway.sealed_events import StreamReport, check_events, newest_seals
from gateway.store import codec
from gateway.store.archive_files import digest
from gateway.store.audit import AuditStore
from gateway.store.store import Store

PAGE: Final = 5_000
LINE_CHARACTERS_MAX: Final = 1_000_000
SHOWN_MAX: Final = 20  # problems of one kind


@dataclass(slots=True)
class Vouched:
    """Checkpoints, and what was wrong with any of them."""

    claims: list[Claim] = field(default_factory=list)
    signed: int = 0
    unsigned: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, checkpoint: Checkpoint, key: str | None, called: str) -> None:
        """`key`: PEM; None: the key that stands beside the checkpoint, which proves only that it was not altered since."""
        try:
            claim = claim_of(checkpoint.content)
        except ValueError as error:
            self.problems.append(f"{called}: {error}")
            return
        by = key or checkpoint.public_key
        if checkpoint.signature is None:
            self.unsigned += 1
            if key is not None:
                self.problems.append(f"{called} is not signed, and a key was given to check it with")
        elif by is None or not is_signed_by(checkpoint, by):
            self.problems.append(f"{called} is not signed by {'the key given' if key else 'the key beside it'}")
        else:
            self.signed += 1
        self.claims.append(claim)


def read_checkpoint(path: Path) -> Checkpoint:
    """A file as `bankgate audit checkpoint` and proof bundles have it, with its signature (.sig) and key (.pem) beside it."""
    try:
        content = path.read_text(encoding="utf-8")
        signature, key = path.with_suffix(".sig"), path.with_suffix(".pem")
        signed = signature.read_bytes() if signature.is_file() else None
        beside = key.read_text(encoding="utf-8") if key.is_file() else None
        claim = claim_of(content)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path}: {error}", USAGE) from None
    return Checkpoint(size=claim.size, made_at=codec.EPOCH, content=content, frontier=b"", public_key=beside, signature=signed)


async def of_store(store: AuditStore, after: int = 0) -> AsyncIterator[Sequence[AuditRow]]:
    """All lines, some at a time. By their numbers: a line whose number is taken twice cannot be in a database."""
    while rows := await store.audit_rows(after, PAGE):
        yield rows
        after = rows[-1].number


async def of_exports(*paths: Path) -> AsyncIterator[Sequence[AuditRow]]:
    """All lines of exports, one after the other. Raises `CommandFailed` naming the line of the file that is none."""
    for path in paths:
        try:
            with path.open(encoding="utf-8") as file:
                lines = _lines(path, file)
                while piece := list(islice(lines, PAGE)):
                    yield piece
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"{path} cannot be read: {error}") from None


def _lines(path: Path, file: Any) -> Iterator[AuditRow]:
    place, before = 0, True
    while text := file.readline(LINE_CHARACTERS_MAX):
        place += 1
        try:
            if before and checkpoint_of_json(text) is not None:
                continue
            before = False
            yield of_json(text)
        except ValueError as error:
            raise CommandFailed(f"{path}, line {place} {error}") from None


def checkpoints_of(path: Path) -> list[Checkpoint]:
    """Those that stand in an export before its lines. Raises `CommandFailed`."""
    found: list[Checkpoint] = []
    try:
        with path.open(encoding="utf-8") as file:
            while (text := file.readline(LINE_CHARACTERS_MAX)) and (one := checkpoint_of_json(text)) is not None:
                found.append(one)
    except ValueError as error:  # also of what is no UTF-8
        raise CommandFailed(f"{path}, line {len(found) + 1} {error}") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error}") from None
    return found


async def beginning_of_exports(paths: Sequence[Path], vouched: Vouched, key: str | None) -> Beginning | None:
    """Takes the checkpoints of exports for what they are worth; where the first export begins after lines that are gone, the
    checkpoint over these is where it begins."""
    known: dict[int, Checkpoint] = {}
    for path in paths:
        for one in checkpoints_of(path):
            vouched.add(one, key, f"{path}: the checkpoint over {one.size} lines")
            known.setdefault(one.size, one)
    async with aclosing(of_exports(*paths[:1])) as pieces:  # type: ignore[type-var]  # an async generator
        first = await anext(pieces, ())
    checkpoint = known.get(first[0].number - 1) if first else None
    return None if checkpoint is None else _beginning(checkpoint, vouched)


def _beginning(checkpoint: Checkpoint, vouched: Vouched) -> Beginning | None:
    try:
        return beginning_of(checkpoint)
    except ValueError as error:
        vouched.problems.append(str(error))
        return None


async def verdict(
    pieces: AsyncIterator[Sequence[AuditRow]], vouched: Vouched, *, whole: bool = False, beginning: Beginning | None = None
) -> tuple[dict[str, Any], Verifier]:
    """What to tell: "ok", the first fault, and what was looked at. `whole`: no line is masked, so whatever is gone was erased."""
    verifier = Verifier(vouched.claims, beginning)
    async with aclosing(pieces) as all_pieces:  # type: ignore[type-var]  # an async generator, as all above are
        async for piece in all_pieces:
            verifier.take(piece)
            if verifier.fault is not None:
                break
    fault = verifier.finish()
    problems = [*vouched.problems]
    if whole and fault is None:
        problems += (
            f"line {number}: {part} is gone, and no line tells who erased it and why"
            for number, part in verifier.untold[:SHOWN_MAX]
        )
    found = {
        "ok": fault is None and not problems,
        "log": verifier.log,
        "first_line": verifier.first,
        "lines": verifier.head.number - verifier.first + 1,
        "head": verifier.head.hash.hex(),
        "root": verifier.root.hex(),
        "lines_with_erased_parts": verifier.erased,
        "checkpoints_signed": vouched.signed,
        "checkpoints_unsigned": vouched.unsigned,
        "checkpoints_of_pruned_lines": verifier.claims_before,
        "fault": None if fault is None else {"number": fault.number, "kind": fault.kind.value, "text": fault.text},
        "problems": problems,
    }
    return found, verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be checked beside the log of a database. `exports`: of the lines before the first one there, in their order."""

    exports: Sequence[Path] = ()
    archives: Path | None = None
    events: bool = True
    key: str | None = None


async def of_database(store: Store, vouched: Vouched, asked: Asked) -> dict[str, Any]:
    """The verdict about a database: its log, the place where that begins, and the events that it seals."""
    kept: dict[int, Checkpoint] = {}
    after = 0
    while found := await store.checkpoints(after, PAGE):
        for one in found:
            vouched.add(one, asked.key, f"the checkpoint over {one.size} lines in the database")
            kept[one.size] = one
        after = found[-1].size
    told_to = await newest_seals(store)
    anchors = await store.audit_anchors()
    size = anchors[-1].size if anchors else 0
    if asked.exports:
        beginning = await beginning_of_exports(asked.exports, vouched, asked.key)
        told, verifier = await verdict(_joined(store, asked.exports, size), vouched, whole=True, beginning=beginning)
    else:
        beginning = _beginning(kept[size], vouched) if size in kept else None
        told, verifier = await verdict(of_store(store, size), vouched, whole=True, beginning=beginning)
    if told["fault"] is None:
        told["problems"] += await _faults_of_pruning(store, anchors, verifier, asked.exports)
    if asked.events and told["fault"] is None:
        seals = verifier.seals if asked.exports else {**verifier.seals, **seals_of_prunings(verifier.pruned)}
        reports = await check_events(store, told_to, seals, asked.archives)
        told["events"] = {stream.value: _report(report) for stream, report in reports.items()}
        told["problems"] += [text for report in reports.values() for text in _words(report)]
    return told | {"ok": told["fault"] is None and not told["problems"]}


async def _joined(store: Store, exports: Sequence[Path], after: int) -> AsyncIterator[Sequence[AuditRow]]:
    async with aclosing(of_exports(*exports)) as pieces:  # type: ignore[type-var]  # an async generator
        async for piece in pieces:
            yield piece
    async for piece in of_store(store, after):
        yield piece


async def _faults_of_pruning(
    store: Store, anchors: Sequence[AuditAnchor], verifier: Verifier, exports: Sequence[Path]
) -> list[str]:
    """What does not fit between the anchors, the lines that tell of them, and the lines that are there."""
    lines = prunings(verifier.pruned)
    problems = [
        f"line {line.number} tells that lines up to {line.through} were pruned, and there is no such anchor"
        for line in lines
        if (line.through, line.head, line.export_sha256) not in {(a.size, a.head.hex(), a.export_sha256) for a in anchors}
    ]
    if not anchors:
        return problems
    last = anchors[-1]
    if last.size not in {line.through for line in lines}:
        problems.append(f"lines up to {last.size} were pruned, and no line tells who did it")
    first = await store.audit_hashes(0, 1)
    if first and first[0][0] <= last.size:
        problems.append(f"lines up to {last.size} were pruned, and some are still there: run `bankgate audit prune` again")
    known = {anchor.export_sha256 for anchor in anchors}
    problems += (f"{path} is not a file that lines were pruned to" for path in exports if digest(path) not in known)
    return problems


def _report(report: StreamReport) -> dict[str, Any]:
    fault, since = report.fault, report.unsealed_since
    told = None
    if fault is not None:
        told = {"number": fault.number, "object_id": fault.object_id, "kind": fault.kind.value, "text": fault.text}
    return {
        "sealed": report.sealed,
        "checked": report.checked,
        "archived_not_checked": report.archived,
        "archived_never_sealed": report.never_sealed,
        "not_sealed_yet": report.unsealed,
        "not_sealed_since": None if since is None else moment_text(since),
        "fault": told,
    }


def _words(report: StreamReport) -> list[str]:
    return [*report.problems, *([f"{report.fault.stream}: {report.fault.text}"] if report.fault else [])]


async def of_files(exports: Sequence[Path], vouched: Vouched, key: str | None) -> dict[str, Any]:
    """The verdict about exports, one behind the other."""
    beginning = await beginning_of_exports(exports, vouched, key)
    found, _ = await verdict(of_exports(*exports), vouched, beginning=beginning)
    return found


async def heading_of(store: Store) -> str:
    """What stands before the lines of an export: the checkpoint over those that were pruned, where any were."""
    anchors = await store.audit_anchors()
    found = await store.checkpoints(anchors[-1].size - 1, 1) if anchors else []
    return "".join(checkpoint_text(one) for one in found)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """A checkpoint as a line of an export."""
    return json.dumps(checkpoint_as_json(checkpoint), ensure_ascii=False, separators=(",", ":")) + "\n"


def tell(found: dict[str, Any]) -> None:
    """A verdict in words."""
    if found["fault"]:
        print_error(f"line {found['fault']['number']}: {found['fault']['text']}")
    for problem in found["problems"]:
        print_error(problem)
    if not found["ok"]:
        return
    signed, unsigned = found["checkpoints_signed"], found["checkpoints_unsigned"]
    since = f" from line {found['first_line']} on (those before were pruned)" if found["first_line"] > 1 else ""
    out().print(
        f"good: {found['lines']} lines{since}, {found['lines_with_erased_parts']} of them with erased or masked parts;"
        f" {signed} signed checkpoints and {unsigned} without a signature fit\nlog  {found['log']}\nroot {found['root']}",
        markup=False,
    )
    if before := found["checkpoints_of_pruned_lines"]:
        out().print(f"not compared: {before} checkpoints over fewer lines than were pruned; give --export FILE", markup=False)
    for stream, told in found.get("events", {}).items():
        out().print(_events_words(stream, told), markup=False)


def _events_words(stream: str, told: dict[str, Any]) -> str:
    words = [f"events up to {told['sealed']} are sealed", f"{told['checked']} of them compared"]
    if told["archived_not_checked"]:
        words.append(f"{told['archived_not_checked']} are archived and were not compared: give --archive DIR")
    if told["archived_never_sealed"]:
        words.append(f"{told['archived_never_sealed']} others were archived before there were seals")
    since = f", the oldest of {told['not_sealed_since']}" if told["not_sealed_since"] else ""
    return f"{stream}: {', '.join(words)}; {told['not_sealed_yet']} are not sealed yet{since}"
