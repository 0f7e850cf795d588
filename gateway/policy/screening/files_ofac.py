"""OFAC's tables: SDN.CSV with ALT.CSV, ADD.CSV and SDN_COMMENTS.CSV; the same forms for the consolidated list (CONS_PRIM.CSV …).

"Specially Designated Nationals and Blocked Persons, Data Specification" (dat_spec.txt, updated 2023-09-25): no header line, "-0-"
for nothing, a last line of the character 26. SDN.CSV has 12 columns (ent_num, SDN_Name, SDN_Type, Program, Title, Call_Sign,
Vess_type, Tonnage, GRT, Vess_flag, Vess_owner, Remarks), ALT.CSV 5 (ent_num, alt_num, alt_type, alt_name, alt_remarks), ADD.CSV 6
(ent_num, add_num, address, city and postal code, country, add_remarks), SDN_COMMENTS.CSV 2 (ent_num, the rest of the remarks,
which may go on in the middle of a word). Weak names stand in the remarks in single quotes, banks' BICs behind "SWIFT/BIC".
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from formats import checks
from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import ROWS_MAX, Broken, Reading, Unreadable, comparable, lines_of

PLACES_MAX: Final = 10  # of one entry
REMARKS_MAX: Final = 64 * 1024
_NOTHING: Final = "-0-"
_END_OF_FILE: Final = "\x1a"
_SDN_COLUMNS: Final = 12
_ALT_COLUMNS: Final = 5
_ADD_COLUMNS: Final = 6
_COMMENT_COLUMNS: Final = 2
_KINDS: Final = {"individual": Kind.PERSON, "vessel": Kind.OTHER, "aircraft": Kind.OTHER, "": Kind.ORGANISATION}
_ALT_TYPES: Final = frozenset({"aka", "fka", "nka", ""})
_WEAK: Final = re.compile(r"\b[afn]\.k\.a\. '(.{1,350}?)'(?=\s*(?:[;.(]|$))")
_BIC: Final = re.compile(r"\bSWIFT/BIC ([A-Z0-9]{8}(?:[A-Z0-9]{3})?)\b")


@dataclass(slots=True)
class _Beside:
    """What the other files say, by ent_num."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    remarks: dict[str, str] = field(default_factory=dict)


def read_ofac_csv(sdn: BinaryIO, alt: BinaryIO, addresses: BinaryIO | None = None, comments: BinaryIO | None = None) -> Reading:
    """SDN.CSV with what the other files say; problems of those name their own file. Raises `Broken`."""
    reading, beside = Reading(), _Beside()
    files = (("ALT.CSV", alt, _ALT_COLUMNS, _alt), ("ADD.CSV", addresses, _ADD_COLUMNS, _address))
    for name, source, columns, take in (*files, ("SDN_COMMENTS.CSV", comments, _COMMENT_COLUMNS, _comment)):
        for line, row in _rows(source) if source is not None else ():
            if len(row) != columns or not row[0].isdigit() or not take(reading, beside, row):
                reading.fail(line, f"{name}: is no row of {columns} columns with a number and what belongs to it")
    for line, row in _rows(sdn):
        reading.add(line, lambda row=row: _entry(reading, row, beside))  # type: ignore[misc]
    for name, left in (("ALT.CSV", beside.names), ("ADD.CSV", beside.places), ("SDN_COMMENTS.CSV", beside.remarks)):
        if left:
            text = f"{name} has rows for {len(left)} numbers that SDN.CSV does not have: the files are not of one day"
            reading.fail(None, text)
    return reading


def _rows(source: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Cells without blanks around them, but for the last one: remarks go on in another file."""
    with lines_of(source) as text:
        rows = csv.reader(text, strict=True)
        try:
            for row in rows:
                if rows.line_num > ROWS_MAX:
                    raise Broken(f"has more than {ROWS_MAX:,} rows", rows.line_num)
                cells = ["" if cell.strip() == _NOTHING else cell.strip() for cell in row]
                if cells and cells != [""] and cells[0] != _END_OF_FILE:
                    yield rows.line_num, [*cells[:-1], row[-1] if cells[-1] else ""]
        except csv.Error as error:
            raise Broken(f"is not CSV: {error}", rows.line_num) from None


def _alt(reading: Reading, beside: _Beside, row: Sequence[str]) -> bool:
    if row[2].lower() not in _ALT_TYPES:
        reading.notice(f"ALT.CSV: the type {row[2][:20]!r} of a name")
    beside.names[row[0]] += [row[3]] if row[3] else []
    return bool(row[3])


def _address(_reading: Reading, beside: _Beside, row: Sequence[str]) -> bool:
    """Rows that say nothing but that there is no address are common."""
    place = ", ".join(filter(None, row[3:5]))
    known = beside.places[row[0]]
    if place and place not in known and len(known) < PLACES_MAX:
        known.append(place)
    return True


def _comment(_reading: Reading, beside: _Beside, row: Sequence[str]) -> bool:
    beside.remarks[row[0]] = (beside.remarks.get(row[0], "") + row[1])[:REMARKS_MAX]
    return bool(row[1])


def _entry(reading: Reading, row: Sequence[str], beside: _Beside) -> ListEntry:
    if len(row) != _SDN_COLUMNS or not row[0].isdigit() or not row[1]:
        raise Unreadable(f"is no row of {_SDN_COLUMNS} columns with a number and a name")
    if row[2].lower() not in _KINDS:
        reading.notice(f"the type {row[2][:20]!r} of an entry")
    names = tuple(dict.fromkeys((row[1], *beside.names.pop(row[0], ()))))
    said = row[11] + beside.remarks.pop(row[0], "")
    return ListEntry(
        entry_id=row[0],
        kind=_KINDS.get(row[2].lower(), Kind.OTHER),
        names=names,
        weak=weak_names(said, names),
        bics=bics_in(_BIC.findall(said)),
        places=tuple(beside.places.pop(row[0], ())),
        about=row[3],
    )


def weak_names(remarks: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names that remarks have in quotes, without those that are known already or say nothing."""
    found = dict.fromkeys(" ".join(name.split()) for name in _WEAK.findall(remarks))
    return tuple(name for name in found if name not in names and comparable(name))


def bics_in(texts: Sequence[str]) -> tuple[str, ...]:
    """Those that are BICs; lists have others in such places as well."""
    given = (text.strip().upper() for text in texts)
    return tuple(dict.fromkeys(text for text in given if checks.bic_fault(text) is None))
