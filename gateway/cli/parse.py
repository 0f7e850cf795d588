"""`bankgate parse`: what is in a bank's file."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from formats import report
from formats.bank import BankFormat
from formats.codes import explain_bank_transaction_code
from formats.errors import Unparsable
from formats.exchange import HEAD
from formats.reader import files_in
from formats.reader import parse as read
from formats.schemas import validate_inbound
from formats.schemas_own import OwnSchemas
from gateway.cli.output import PROBLEMS, Json, out, print_error
from gateway.cli.render import plugin_named
from gateway.cli.schemas import Schemas, schemas_of
from gateway.cli.sources import opened, shown, why

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Files from a bank; - is standard input.")]


BankName = Annotated[
    str | None,
    typer.Option("--bank", help="The plugin that reads them: for replies of Chinese banks, as kept (.exchange) or bare."),
]


def parse(files: Files, as_json: Json = False, schemas: Schemas = None, bank: BankName = None) -> None:
    """Show what is in files from a bank: pain.001, pain.002, camt.029, camt.052/053/054, pacs.004, MT940; a ZIP of such files.
    With --bank, what a Chinese bank's front machine answered."""
    own = schemas_of(schemas)
    plugin = None if bank is None else plugin_named(bank)
    failed = False
    for name in files:
        show = _print_json if as_json else _show
        failed |= show(shown(name), records(name, own) if plugin is None else _replies(name, plugin))
    if failed:
        raise typer.Exit(PROBLEMS)


def records(name: str, own: OwnSchemas | None = None) -> Iterator[dict[str, Any]]:
    """The records of a file, or of each file of a ZIP archive, in the published shape; what cannot be read is an `error` record.
    `own` schemas win.

    Nothing is booked from what is shown here, so an MT940 without its closing balance is shown, and said to be incomplete; the
    gateway quarantines it (docs/decisions.md, 14).
    """
    file = shown(name)
    try:
        with opened(name) as source:
            for member, content in files_in(source):
                yield from _records_of(f"{file}/{member}" if member else file, content, own)
    except Unparsable as error:
        yield {"kind": "error", "file": file, "problem": error.problem, "line": error.line}
    except OSError as error:
        yield {"kind": "error", "file": file, "problem": f"cannot be read: {why(error)}", "line": None}


def _replies(name: str, bank: BankFormat) -> Iterator[dict[str, Any]]:
    """As `records`, by the bank's own plugin."""
    file = shown(name)
    try:
        with opened(name) as source:
            for record in bank.parse(source):
                yield report.as_json(record, file)
    except Unparsable as error:
        yield {"kind": "error", "file": file, "problem": error.problem, "line": error.line}
    except OSError as error:
        yield {"kind": "error", "file": file, "problem": f"cannot be read: {why(error)}", "line": None}


def _records_of(file: str, content: BinaryIO, own: OwnSchemas | None) -> Iterator[dict[str, Any]]:
    """Of one file, or one of an archive: the others are read all the same."""
    try:
        for record in read(content, validate=partial(validate_inbound, own=own), strict=False):
            yield report.as_json(record, file)
    except Unparsable as error:
        problem, line = (_NAME_THE_BANK, None) if _is_kept_reply(content) else (error.problem, error.line)
        yield {"kind": "error", "file": file, "problem": problem, "line": line}


_NAME_THE_BANK = "a kept reply of a bank that answers at once, which does not say whose it is: name the plugin with --bank"


def _is_kept_reply(content: BinaryIO) -> bool:
    content.seek(0)
    return content.read(len(HEAD)) == HEAD


_LINES = {
    "statement": "statement {statement_id} of account {number}: entries {entry_count}",
    "entry": "  {booking_date} {credit_debit} {amount} {currency} {status} {bank_transaction_code}",
    "status_report": "status of {original_message_id}: {group_status}",
    "payment_information_status": "  block {original_payment_information_id}: {status}",
    "transaction_status": "  {named}: {status}",
    "payment_return": "  returned: {named} {amount} {currency}",
    "cancellation_status": "  cancellation of {original}: {status} ({level})",
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
    shown = {key: "–" if value is None else value for key, value in (record | _made_up(record)).items()}
    line = _LINES[kind].format(**shown)
    if record.get("reversal"):
        line += " reversal"
    if kind == "entry" and record["bank_transaction_code"]:
        line += f" – {explain_bank_transaction_code(record['bank_transaction_code'])[0].rstrip('.')}"
    reasons = record.get("reasons") or record.get("group_reasons") or ()
    words = [" ".join(str(part) for part in (reason["code"], reason["text"]) if part) for reason in reasons]
    for balance in record.get("balances") or ():
        line += (
            f"\n  {balance['type']} {balance['credit_debit']} {balance['amount']} {balance['currency']} {balance['date'] or '–'}"
        )
    line += f" ({'; '.join(words)})" if words else ""
    line += "".join(f"\n    {detail}" for detail in _details(record))
    return line + "".join(f"\n    {path}: {value}" for path, value in _supplementary(record))


def _made_up(record: dict[str, Any]) -> dict[str, Any]:
    """What a line shows of several fields: the account's number, what a cancellation is of, by its narrowest name, and by which
    name of a payment something is told."""
    account = record.get("account") or {}
    named = record.get("original_end_to_end_id") or record.get("serial_number")
    narrowest = ("end_to_end_id", "instruction_id", "transaction_id", "payment_information_id", "message_id")
    names = (record.get(f"original_{name}") for name in narrowest)
    return {
        "number": account.get("iban") or account.get("other_id"),
        "original": next((name for name in names if name), None),
        "named": named,
    }


def _details(record: dict[str, Any]) -> Iterator[str]:
    """What there is below a line: text about the whole, charges, other amounts, and a line for each transaction of an entry."""
    if record["kind"] not in {"statement", "entry"}:
        return
    if record["additional_information"]:
        yield record["additional_information"]
    if record["kind"] == "entry":
        yield from _amounts(record)
        for number, transaction in enumerate(record["transactions"], 1):
            yield f"transaction {number}: {_transaction(transaction)}"
            yield from (f"  {amount}" for amount in _amounts(transaction))


def _transaction(transaction: dict[str, Any]) -> str:
    returned = [_words(reason["code"], reason["text"]) for reason in transaction["return_reasons"]]
    parts = (
        _words(transaction["credit_debit"], transaction["amount"], transaction["currency"]),
        transaction["end_to_end_id"] or transaction["instruction_id"] or transaction["uetr"],
        _words(transaction["counterparty_name"], transaction["counterparty_account"]),
        " / ".join(transaction["remittance_information"]),
        f"returned: {'; '.join(returned) or transaction['return_reason']}" if transaction["return_reason"] else None,
        transaction["additional_information"],
    )
    return ", ".join(part for part in parts if part) or "nothing said of it"


def _amounts(record: dict[str, Any]) -> Iterator[str]:
    """Amounts in other currencies or of other kinds, and charges, of an entry or a transaction."""
    for amount in record["amounts"]:
        rate = f"at {amount['exchange_rate']}" if amount["exchange_rate"] else None
        yield f"{amount['kind'].replace('_', ' ')} amount: {_words(amount['amount'], amount['currency'], rate)}"
    for charge in record["charges"]:
        yield f"charge: {_words(*(charge[name] for name in ('credit_debit', 'amount', 'currency', 'type', 'bearer')))}"


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word)


def _supplementary(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What has no field of its own, of the record and of its transactions."""
    yield from record.get("payment_information_supplementary", {}).items()
    yield from record.get("supplementary", {}).items()
    for number, transaction in enumerate(record.get("transactions") or (), 1):
        for path, value in transaction["supplementary"].items():
            yield f"transaction {number}, {path}", value
