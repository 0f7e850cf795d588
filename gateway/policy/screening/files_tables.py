"""Lists of others in tables and lines: OFAC's SDN.CSV with ALT.CSV, and OpenSanctions' simple CSV and entities in JSON lines.

OFAC: "Specially Designated Nationals and Blocked Persons, Data Specification" (dat_spec.txt, updated 2023-09-25): no header line,
"-0-" for nothing, a last line of the character 26. OpenSanctions: the pages on "Simplified tabular format" and "FollowTheMoney
entities" of its documentation, which no published file was at hand to compare with.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from formats import checks
from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import LINE_CHARACTERS_MAX, Broken, Reading, Unreadable, lines_of

_NOTHING: Final = "-0-"
_END_OF_FILE: Final = "\x1a"
_SDN_COLUMNS: Final = 12
_ALT_COLUMNS: Final = 5
_OFAC_KINDS: Final = {"individual": Kind.PERSON, "vessel": Kind.OTHER, "aircraft": Kind.OTHER, "": Kind.ORGANISATION}

_SIMPLE_COLUMNS: Final = ("id", "schema", "name", "aliases")
_FTM_KINDS: Final = {
    "Person": Kind.PERSON,
    **dict.fromkeys(("Organization", "Company", "PublicBody", "LegalEntity"), Kind.ORGANISATION),
}
_NAMELESS: Final = frozenset(("Sanction", "Address", "Identification", "Passport", "Ownership", "Directorship", "Position"))


def read_ofac_csv(sdn: BinaryIO, alt: BinaryIO) -> Reading:
    """SDN.CSV, with the other names of ALT.CSV, which carry the problem of their own file. Raises `Broken`."""
    reading = Reading()
    others: dict[str, list[str]] = defaultdict(list)
    for line, row in _ofac_rows(alt):
        if len(row) != _ALT_COLUMNS or not row[0].isdigit() or not row[3]:
            reading.fail(line, f"ALT.CSV: is no row of {_ALT_COLUMNS} columns with a number and a name")
            continue
        others[row[0]].append(row[3])
    for line, row in _ofac_rows(sdn):
        reading.add(line, lambda row=row: _sdn(row, others))  # type: ignore[misc]
    if others:
        reading.fail(
            None, f"ALT.CSV has names for {len(others)} numbers that SDN.CSV does not have: the files are not of one day"
        )
    return reading


def _ofac_rows(source: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    with lines_of(source) as text:
        rows = csv.reader(text, strict=True)
        try:
            for row in rows:
                cells = [cell.strip() for cell in row]
                if cells and cells != [""] and cells[0] != _END_OF_FILE:
                    yield rows.line_num, ["" if cell == _NOTHING else cell for cell in cells]
        except csv.Error as error:
            raise Broken(f"is not CSV: {error}", rows.line_num) from None


def _sdn(row: Sequence[str], others: dict[str, list[str]]) -> ListEntry:
    if len(row) != _SDN_COLUMNS or not row[0].isdigit() or not row[1]:
        raise Unreadable(f"is no row of {_SDN_COLUMNS} columns with a number and a name")
    return ListEntry(
        entry_id=row[0],
        kind=_OFAC_KINDS.get(row[2].lower(), Kind.OTHER),
        names=tuple(dict.fromkeys((row[1], *others.pop(row[0], ())))),
        about=row[3],
    )


def read_opensanctions_csv(source: BinaryIO) -> Reading:
    """targets.simple.csv: names apart by semicolons. Raises `Broken`."""
    reading = Reading()
    with lines_of(source) as text:
        rows = csv.reader(text, strict=True)
        try:
            header = next(rows, [])
            missing = [name for name in _SIMPLE_COLUMNS if name not in header]
            if missing:
                raise Broken(f"the first line does not name the columns {', '.join(missing)}", 1)
            for row in rows:
                reading.add(rows.line_num, lambda row=row: _simple(header, row))  # type: ignore[misc]
        except csv.Error as error:
            raise Broken(f"is not CSV: {error}", rows.line_num) from None
    return reading


def _simple(header: Sequence[str], row: Sequence[str]) -> ListEntry:
    if len(row) != len(header):
        raise Unreadable(f"has {len(row)} columns, and the first line {len(header)}")
    cells = dict(zip(header, row, strict=True))
    if not cells["id"] or not cells["name"].strip():
        raise Unreadable("has no id or no name")
    names = (cells["name"], *cells["aliases"].split(";"))
    return ListEntry(
        entry_id=cells["id"],
        kind=_FTM_KINDS.get(cells["schema"], Kind.OTHER),
        names=tuple(dict.fromkeys(name.strip() for name in names if name.strip())),
        about=(cells.get("sanctions") or cells.get("program_ids") or cells.get("dataset") or "")[:500],
    )


def read_opensanctions_ftm(source: BinaryIO) -> Reading:
    """entities.ftm.json: one JSON object a line. Those that are no targets, and what only belongs to others, are left out. Raises
    `Broken`."""
    reading = Reading()
    with lines_of(source) as text:
        number = 0
        while line := text.readline(LINE_CHARACTERS_MAX + 1):
            number += 1
            if len(line) > LINE_CHARACTERS_MAX:
                raise Broken(f"a line is longer than {LINE_CHARACTERS_MAX:,} characters", number)
            if line.strip():
                reading.add(number, lambda line=line: _ftm(line))  # type: ignore[misc]
    return reading


def _ftm(line: str) -> ListEntry | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise Unreadable("is no JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("id"), str) or not isinstance(content.get("schema"), str):
        raise Unreadable("is no entity with id and schema")
    if content.get("target") is False or content["schema"] in _NAMELESS:
        return None
    properties = content.get("properties")
    if not isinstance(properties, dict):
        raise Unreadable("has no properties")
    caption = content.get("caption")
    names = [*([caption] if isinstance(caption, str) else []), *_values(properties, "name", "alias", "previousName")]
    bics = [text.upper() for text in _values(properties, "swiftBic")]
    return ListEntry(
        entry_id=content["id"],
        kind=_FTM_KINDS.get(content["schema"], Kind.OTHER),
        names=tuple(dict.fromkeys(names)) if content["schema"] != "BankAccount" else (),
        weak=tuple(dict.fromkeys(_values(properties, "weakAlias"))),
        accounts=tuple("".join(text.split()).upper() for text in _values(properties, "iban", "accountNumber")),
        bics=tuple(text for text in bics if checks.bic_fault(text) is None),
        about="; ".join(_values(properties, "programId", "program", "topics"))[:500],
    )


def _values(properties: Mapping[str, Any], *names: str) -> list[str]:
    found = []
    for name in names:
        values = properties.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Unreadable(f"{name} is no list of texts")
        found += [value.strip() for value in values if value.strip()]
    return found
