"""`bankgate submit`: payments from a file to a service, as often as one likes."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import connect
from gateway.cli.mapping import BadLine, Line, lines_of, template
from gateway.cli.output import (
    PROBLEMS,
    USAGE,
    CommandFailed,
    Json,
    err,
    out,
    print_error,
    print_json,
    print_warning,
    progress,
    run,
)
from gateway.cli.windows import counted
from gateway.rpc.client import Acknowledged, CallFailed, Client, PaymentMessage, Target

BATCH = 500
BATCH_BYTES_MAX = 8 * 1024 * 1024  # half of what a service takes in one message unless told otherwise
SHOWN_MAX = 50

File = Annotated[Path | None, typer.Argument(help="Payments: .jsonl (one PaymentRequest a line), .json or .csv.")]


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    file: str
    payments: int = 0
    stored: int = 0
    known: int = 0
    refused: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    send_windows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not (self.violations or self.conflicts or self.errors)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@connect.calls_a_service
def submit(
    file: File = None,
    *,
    service: connect.Service,
    connection: Annotated[str | None, typer.Option(help="Connection for payments that name none.", show_default=False)] = None,
    show_template: Annotated[bool, typer.Option("--template", help="Print the header line of a CSV file, and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether the payments would be taken.")] = False,
    as_json: Json = False,
) -> None:
    """Submit the payments of a file. Run it again after any failure: what is known is answered as known, and nothing is paid
    twice."""
    if show_template:
        typer.echo(template(), nl=False)
        return
    if file is None:
        raise CommandFailed("name a file of payments, or --template", USAGE)
    where = service.as_target()
    count = _readable(file, connection)
    started = time.monotonic()
    summary = Summary(file=str(file), payments=count)
    work = (
        _check(where, file, connection, summary, quiet=as_json) if dry_run else _send(where, file, connection, summary, as_json)
    )
    try:
        run(lambda: work)
    except CallFailed as error:
        _tell(summary, started, as_json=as_json, dry_run=dry_run, finished=False)
        raise connect.explained(error, where.address) from None
    _tell(summary, started, as_json=as_json, dry_run=dry_run, finished=True)
    if not summary.good:
        raise typer.Exit(PROBLEMS)


def _readable(file: Path, connection: str | None) -> int:
    """Reads the file once and counts it, so that a mistake in its last line is found before its first payment is sent."""
    count = 0
    bad: list[BadLine] = []
    for line in lines_of(file, connection):
        if isinstance(line, BadLine):
            bad.append(line)
        count += 1
    if bad:
        shown = [f"{file}:{line.number}: {line.problem}" for line in bad[:SHOWN_MAX]]
        more = [f"and {len(bad) - SHOWN_MAX} more"] if len(bad) > SHOWN_MAX else []
        raise CommandFailed("\n".join([f"{len(bad)} lines are no payments; nothing was sent", *shown, *more]))
    if not count:
        raise CommandFailed(f"{file}: there is no payment in it")
    return count


def _batches(file: Path, connection: str | None) -> Iterator[list[Line]]:
    batch: list[Line] = []
    room = BATCH_BYTES_MAX
    for line in lines_of(file, connection):
        if isinstance(line, BadLine):
            raise CommandFailed(f"{file}:{line.number}: changed while it was being sent")
        size = line.payment.ByteSize()
        if batch and (size > room or len(batch) == BATCH):
            yield batch
            batch, room = [], BATCH_BYTES_MAX
        batch.append(line)
        room -= size
    if batch:
        yield batch


async def _send(where: Target, file: Path, connection: str | None, summary: Summary, quiet: bool) -> None:
    numbers: dict[int, list[int]] = {}

    async def batches() -> AsyncIterator[Sequence[PaymentMessage]]:
        for place, batch in enumerate(_batches(file, connection)):
            numbers[place] = [line.number for line in batch]
            yield [line.payment for line in batch]
            await asyncio.sleep(0)  # reading a file never waits, and the answers want to be heard

    with progress(quiet=quiet) as bar:
        task = bar.add_task("submitting", total=summary.payments)
        async with Client(where) as client:
            async for answer in client.submit(batches()):
                lines = numbers.pop(answer.batch)
                _add(summary, answer, lines)
                bar.advance(task, len(lines))


def _add(summary: Summary, answer: Acknowledged, lines: list[int]) -> None:
    summary.stored += answer.stored
    summary.known += answer.known
    summary.refused += len(lines) - answer.stored - answer.known
    summary.violations += [_placed(item, lines) for item in answer.violations]
    summary.conflicts += [_placed(item, lines) for item in answer.conflicts]
    summary.warnings += [_placed(item, lines) for item in answer.warnings]
    summary.send_windows += [_placed(item, lines) for item in answer.send_windows]
    if answer.error:
        summary.errors.append(f"lines {lines[0]} to {lines[-1]}: {answer.error}")


async def _check(where: Target, file: Path, connection: str | None, summary: Summary, *, quiet: bool) -> None:
    with progress(quiet=quiet) as bar:
        task = bar.add_task("checking", total=summary.payments)
        async with Client(where) as client:
            for batch in _batches(file, connection):
                violations, conflicts, warnings, windows = await client.check([line.payment for line in batch])
                lines = [line.number for line in batch]
                summary.violations += [_placed(item, lines) for item in violations]
                summary.conflicts += [_placed(item, lines) for item in conflicts]
                summary.warnings += [_placed(item, lines) for item in warnings]
                summary.send_windows += [_placed(item, lines) for item in windows]
                bar.advance(task, len(batch))


def _placed(item: dict[str, Any], lines: list[int]) -> dict[str, Any]:
    """A violation or conflict with its line in the file instead of its place in a batch."""
    index = int(item.pop("index", 0))
    field_name = str(item.get("field", "")).partition("].")[2]
    if "field" in item:
        item["field"] = field_name or "payment"
    if "fields" in item:
        item["fields"] = [str(name).partition("].")[2] for name in item["fields"]]
    return {"line": lines[index], **item}


def _tell(summary: Summary, started: float, *, as_json: bool, dry_run: bool, finished: bool) -> None:
    summary.seconds = round(time.monotonic() - started, 3)
    if as_json:
        print_json(summary.as_json())
        return
    for tell, violation in (
        *((print_error, violation) for violation in summary.violations[:SHOWN_MAX]),
        *((print_warning, warning) for warning in summary.warnings[:SHOWN_MAX]),
    ):
        fix = f" Fix: {violation['fix']}" if violation.get("fix") else ""
        place = f"{summary.file}:{violation['line']}: {violation['field']}"
        tell(f"{place}: {violation.get('description_en', '')} [{violation.get('rule', '')}]{fix}")
    for conflict in summary.conflicts[:SHOWN_MAX]:
        fields = ", ".join(conflict.get("fields", [])) or "its content"
        print_error(
            f"{summary.file}:{conflict['line']}: {conflict.get('payment_reference')!r} is known with other content; "
            f"it differs in {fields}"
        )
    for error in summary.errors[:SHOWN_MAX]:
        print_error(error)
    for text, count in list(counted(summary.send_windows).items())[:SHOWN_MAX]:
        out().print(f"{count:,} payments: {text}", markup=False)
    told: tuple[list[Any], ...] = (summary.violations, summary.warnings, summary.conflicts, summary.errors)
    hidden = sum(max(0, len(found) - SHOWN_MAX) for found in told)
    if hidden:
        print_error(f"and {hidden} more; --json lists them all")
    if dry_run:
        verdict = "would be taken" if summary.good else "nothing was stored; this was a dry run"
        typer.echo(f"{summary.payments:,} payments checked: {verdict}")
        return
    typer.echo(
        f"{summary.stored:,} stored, {summary.known:,} known before, {summary.refused:,} refused, "
        f"of {summary.payments:,}; {summary.seconds:.1f} s"
    )
    if not finished:
        err().print("Not finished. Run the same command again: what is stored is answered as known.")
