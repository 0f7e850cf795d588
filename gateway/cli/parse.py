"""`bankgate parse`: what is in a bank's file."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from formats import report
from formats.errors import Unparsable
from formats.reader import files_in
from formats.reader import parse as read
from formats.schemas import validate_inbound
from gateway.cli.output import PROBLEMS, Json, out, print_error
from gateway.cli.sources import opened, shown, why

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Files from a bank; - is standard input.")]


def parse(files: Files, as_json: Json = False) -> None:
    """Show what is in files from a bank: pain.001, pain.002, camt.029, camt.052/053/054, pacs.004, MT940; a ZIP of such files."""
    failed = False
    for name in files:
        show = _print_json if as_json else _show
        failed |= show(shown(name), records(name))
    if failed:
        raise typer.Exit(PROBLEMS)


def records(name: str) -> Iterator[dict[str, Any]]:
    """The records of a file, or of each file of a ZIP archive, in the published shape; what cannot be read is an `error` record.

    Nothing is booked from what is shown here, so an MT940 without its closing balance is shown, and said to be incomplete; the
    gateway quarantines it (docs/decisions.md, 14).
    """
    file = shown(name)
    try:
        with opened(name) as source:
            for member, content in files_in(source):
                yield from _records_of(f"{file}/{member}" if member else file, content)
    except Unparsable as error:
        yield {"kind": "error", "file": file, "problem": error.problem, "line": error.line}
    except OSError as error:
        yield {"kind": "error", "file": file, "problem": f"cannot be read: {why(error)}", "line": None}


def _records_of(file: str, content: BinaryIO) -> Iterator[dict[str, Any]]:
    """Of one file, or one of an archive: the others are read all the same."""
    try:
        for record in read(content, validate=validate_inbound, strict=False):
            yield report.as_json(record, file)
    except Unparsable as error:
        yield {"kind": "error", "file": file, "problem": error.problem, "line": error.line}


_LINES = {
    "statement": "statement {statement_id}: {entry_count} entries",
    "entry": "  {booking_date} {credit_debit} {amount} {currency} {status} {bank_transaction_code}",
    "status_report": "status of {original_message_id}: {group_status}",
    "payment_information_status": "  block {original_payment_information_id}: {status}",
    "transaction_status": "  {original_end_to_end_id}: {status}",
    "payment_return": "  returned: {original_end_to_end_id} {amount} {currency}",
    "cancellation_status": "  cancellation of {original_end_to_end_id}: {status} ({level})",
    "remainder": "  more of {of} {of_id}",
    "payment": "  {end_to_end_id}: {amount} {currency} to {creditor_name}",
}


def _print_json(_name: str, found: Iterable[dict[str, Any]]) -> bool:
    """For machines: one JSON object a line. Whether there was an error among them."""
    failed = False
    for record in found:
        failed |= record["kind"] == "error"
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")  # JSON is UTF-8, wherever the terminal stands
    return failed


def _show(name: str, found: Iterable[dict[str, Any]]) -> bool:
    """For people: one line a record. Whether there was an error among them."""
    console = out()
    counts: Counter[str] = Counter()
    for record in found:
        kind = record["kind"]
        counts[kind] += 1
        if kind == "error":
            line = f", line {record['line']}" if record["line"] else ""
            print_error(f"{name}{line}: {record['problem']}")
        elif kind == "document":
            verdict = {True: "keeps to its schema", False: "breaks its schema", None: "no schema checked"}[record["schema_valid"]]
            console.print(f"{name}: {record['message']} {record['message_id'] or ''} ({verdict})", markup=False)
            for problem in record["schema_problems"]:
                console.print(f"  schema: {problem}", markup=False)
        else:
            console.print(_line(kind, record), markup=False)
    summary = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items())
    console.print(f"{name}: {summary or 'nothing in it'}", markup=False)
    return counts["error"] > 0


def _line(kind: str, record: dict[str, Any]) -> str:
    shown = {key: "–" if value is None else value for key, value in record.items()}
    line = _LINES[kind].format(**shown)
    reasons = record.get("reasons") or record.get("group_reasons") or ()
    words = [" ".join(str(part) for part in (reason["code"], reason["text"]) if part) for reason in reasons]
    for balance in record.get("balances") or ():
        line += f"\n  {balance['type']} {balance['credit_debit']} {balance['amount']} {balance['currency']} {balance['date']}"
    line += f" ({'; '.join(words)})" if words else ""
    return line + "".join(f"\n    {path}: {value}" for path, value in _supplementary(record))


def _supplementary(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What has no field of its own, of the record and of its transactions."""
    yield from record.get("payment_information_supplementary", {}).items()
    yield from record.get("supplementary", {}).items()
    for number, transaction in enumerate(record.get("transactions") or (), 1):
        for path, value in transaction["supplementary"].items():
            yield f"transaction {number}, {path}", value
