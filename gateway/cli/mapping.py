"""Payments in files: JSON Lines, JSON, and CSV by a documented mapping.

CSV. The first line names the columns. A column is a field of `bankgate.v1.PaymentRequest` written with dots; a list takes a
place in brackets, and a list without one is its first place:

    payment_reference, amount, currency, creditor.name, creditor_account.iban, creditor.postal_address.town_name,
    remittance_information.unstructured, remittance_information.structured[0].creditor_reference, supplementary.<bank>.<field>

An empty cell is an absent field; `instant` is NORMAL, INSTANT or INSTANT_ELSE_NORMAL. The file is UTF-8, with or without a byte
order mark; the separator is a comma or a semicolon, whichever the first line holds more of. Amounts are decimals with a dot.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from gateway.cli.output import USAGE, CommandFailed
from gateway.rpc.client import BadPayment, PaymentMessage, parse_json, payment_from_json, payments_from_json

TEMPLATE_COLUMNS: Final = (
    "payment_reference",
    "connection_id",
    "requested_execution_date",
    "amount",
    "currency",
    "debtor_account.iban",
    "creditor.name",
    "creditor.postal_address.street_name",
    "creditor.postal_address.building_number",
    "creditor.postal_address.post_code",
    "creditor.postal_address.town_name",
    "creditor.postal_address.country",
    "creditor_account.iban",
    "creditor_agent.bic",
    "payment_type.service_level",
    "payment_type.local_instrument",
    "charge_bearer",
    "instant",
    "end_to_end_id",
    "purpose",
    "remittance_information.unstructured",
    "remittance_information.structured[0].creditor_reference_type",
    "remittance_information.structured[0].creditor_reference",
)
_LISTS: Final = frozenset({"unstructured", "structured", "address_line", "other"})
_PART: Final = re.compile(r"([a-z_]+)(?:\[([0-9]{1,3})\])?")
_SUPPLEMENTARY: Final = "supplementary."


@dataclass(frozen=True, slots=True)
class Line:
    """One payment of a file, and where it stands: the line in it, or, in a JSON file, its place from 1."""

    number: int
    payment: PaymentMessage


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no payment, and why."""

    number: int
    problem: str


def template() -> str:
    """The header line of a CSV file with the usual columns."""
    return ",".join(TEMPLATE_COLUMNS) + "\n"


def lines_of(path: Path, connection_id: str | None = None) -> Iterator[Line | BadLine]:
    """The payments of a file, by its suffix (.jsonl, .json, .csv), in constant memory but for .json.

    `connection_id` is filled in where a payment names none. Raises `CommandFailed` if the file as a whole cannot be used.
    """
    suffix = path.suffix.lower()
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json, ".csv": _csv}
    if suffix not in readers:
        raise CommandFailed(f"{path}: the suffix says what is in it: .jsonl, .json or .csv", USAGE)
    try:
        for line in readers[suffix](path):
            if connection_id and isinstance(line, Line) and not line.payment.connection_id:
                line.payment.connection_id = connection_id
            yield line
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None


def _json_lines(path: Path) -> Iterator[Line | BadLine]:
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                try:
                    yield Line(number, payment_from_json(parse_json(text)))
                except BadPayment as error:
                    yield BadLine(number, str(error))


def _json(path: Path) -> Iterator[Line | BadLine]:
    try:
        payments = payments_from_json(parse_json(path.read_text(encoding="utf-8-sig")))
    except BadPayment as error:
        raise CommandFailed(f"{path}: {error}") from None
    yield from (Line(number, payment) for number, payment in enumerate(payments, start=1))


def _csv(path: Path) -> Iterator[Line | BadLine]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        rows = csv.reader(file, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
        header: list[str] | None = None
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                yield BadLine(rows.line_num, f"is not CSV: {error}")
                return
            if row is None:
                return
            if header is None:
                header = _checked_header(path, row)
            elif any(cell.strip() for cell in row):
                yield _row(rows.line_num, header, row)


def _checked_header(path: Path, row: list[str]) -> list[str]:
    header = [name.strip() for name in row]
    problems = []
    fields: dict[str, str] = {}  # "x[0]" and "x" are one field
    for place, name in enumerate(header, start=1):
        if (first := fields.setdefault(name.replace("[0]", ""), name)) != name or header.index(name) != place - 1:
            problems.append(f"column {place}: {name!r} stands twice" + ("" if first == name else f", as {first!r} too"))
            continue
        try:
            payment_from_json(_nested([(name, "1")]))
        except BadPayment:
            close = get_close_matches(name, TEMPLATE_COLUMNS, n=1)
            hint = f"; did you mean {close[0]}?" if close else "; see `bankgate submit --template`"
            problems.append(f"column {place}: {name!r} is no field of a payment{hint}")
    if problems:
        raise CommandFailed("\n".join(f"{path}: {problem}" for problem in problems))
    return header


def _row(number: int, header: list[str], row: list[str]) -> Line | BadLine:
    if len(row) != len(header):
        return BadLine(number, f"has {len(row)} cells, and the header {len(header)}")
    try:
        return Line(number, payment_from_json(_nested([(n, c.strip()) for n, c in zip(header, row, strict=True) if c.strip()])))
    except BadPayment as error:
        return BadLine(number, str(error))


def _nested(cells: list[tuple[str, str]]) -> dict[str, Any]:
    """The JSON form of a payment from columns and cells. Raises `BadPayment`."""
    payment: dict[str, Any] = {}
    for name, value in cells:
        if name.startswith(_SUPPLEMENTARY):
            payment.setdefault("supplementary", []).append({"name": name.removeprefix(_SUPPLEMENTARY), "value": value})
        else:
            _put(payment, name, value)
    return payment


def _put(payment: dict[str, Any], name: str, value: str) -> None:
    here: Any = payment
    parts = name.split(".")
    for depth, part in enumerate(parts):
        match = _PART.fullmatch(part)
        if match is None:
            raise BadPayment(f"{name!r} is no field")
        word, place_text = match.groups()
        last = depth == len(parts) - 1
        if word not in _LISTS:
            if place_text is not None:
                raise BadPayment(f"{name!r}: {word} is no list")
            if last:
                here[word] = value
            else:
                here = here.setdefault(word, {})
            continue
        items = here.setdefault(word, [])
        place = int(place_text or 0)
        while len(items) <= place:
            items.append("" if last else {})
        if last:
            items[place] = value
        else:
            here = items[place]
