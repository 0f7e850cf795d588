"""Lists of others in tables and lines: the European Union's CSV, and OpenSanctions' simple CSV and entities in JSON lines.

EU: "Financial Sanctions Database, CSV 1.1" (csvFullSanctionsList_1_1): semicolons, a header line, a row for each name, address,
birth date or document of an entity, which Entity_LogicalId holds together; days as 31/12/2026. OpenSanctions: its documentation
of bulk data, compared with what writes the files (zavod/exporters/simplecsv.py, nested.py): `aliases` is a line of CSV of its own
with semicolons, in which names that have one are quoted, weak names among them without a mark; `targets.nested.json` has related
entities inside of the properties of `entities.ftm.json`.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, BinaryIO, Final

from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import ENTRIES_MAX, LINE_CHARACTERS_MAX, ROWS_MAX, Broken, Reading, Unreadable, lines_of
from gateway.policy.screening.files_ofac import PLACES_MAX, bics_in

_EU_NEEDED: Final = ("Entity_LogicalId", "NameAlias_WholeName")
_EU_PREFIXES: Final = ("Entity_", "NameAlias_", "Address_", "BirthDate_", "Identification_", "Citizenship_")
_EU_KINDS: Final = {
    **dict.fromkeys(("person", "p"), Kind.PERSON),
    **dict.fromkeys(("enterprise", "e"), Kind.ORGANISATION),
}
_EU_PARTS: Final = ("NameAlias_FirstName", "NameAlias_MiddleName", "NameAlias_LastName")
LOW_QUALITY: Final = ("low quality", "lo quality")  # so remarks on names of the EU's lists say that one is weak

_SIMPLE_COLUMNS: Final = ("id", "schema", "name", "aliases")
_SIMPLE_KNOWN: Final = frozenset(
    (
        *(*_SIMPLE_COLUMNS, "birth_date", "countries", "addresses", "identifiers", "sanctions", "phones", "emails"),
        *("program_ids", "dataset", "first_seen", "last_seen", "last_change"),
    )
)
_FTM_KINDS: Final = {
    "Person": Kind.PERSON,
    **dict.fromkeys(("Organization", "Company", "PublicBody", "LegalEntity"), Kind.ORGANISATION),
    **dict.fromkeys(("Vessel", "Airplane", "Vehicle", "Asset", "CryptoWallet", "Security", "BankAccount", "Thing"), Kind.OTHER),
}
_NAMELESS: Final = frozenset(
    (
        *("Sanction", "Address", "Identification", "Passport", "Ownership", "Directorship", "Position", "Occupancy", "Family"),
        *("Associate", "Membership", "Employment", "Representation", "UnknownLink", "Succession", "Similar"),
    )
)
_NESTED_MAX: Final = 4  # levels of entities inside of entities


def _csv(
    source: BinaryIO, delimiter: str, needed: Sequence[str], known: Callable[[str], bool], reading: Reading
) -> Iterator[tuple[int, dict[str, str] | None]]:
    """The rows of a table with a header line, as columns and cells; None: one with another number of cells. Raises `Broken`."""
    with lines_of(source) as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in needed if name not in header]
            if missing:
                raise Broken(f"the first line does not name the columns {', '.join(missing)}", 1)
            for name in header:
                if not known(name):
                    reading.notice(f"the column {name[:60]!r}")
            for row in rows:
                if rows.line_num > ROWS_MAX:
                    raise Broken(f"has more than {ROWS_MAX:,} rows", rows.line_num)
                if any(row):
                    yield rows.line_num, dict(zip(header, row, strict=True)) if len(row) == len(header) else None
        except csv.Error as error:
            raise Broken(f"is not CSV: {error}", rows.line_num) from None


# -- the European Union ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Entity:
    """What the rows of one entity have said so far; dicts for their order."""

    line: int
    kind: Kind = Kind.OTHER
    names: dict[str, None] = field(default_factory=dict)
    weak: dict[str, None] = field(default_factory=dict)
    bics: list[str] = field(default_factory=list)
    places: dict[str, None] = field(default_factory=dict)
    about: str = ""

    def entry(self, entry_id: str) -> ListEntry:
        if not (self.names or self.weak):
            raise Unreadable("has no name in any of its rows")
        return ListEntry(
            entry_id=entry_id,
            kind=self.kind,
            names=tuple(self.names),
            weak=tuple(name for name in self.weak if name not in self.names),
            bics=bics_in(self.bics),
            places=tuple(self.places),
            about=self.about,
        )


def read_eu_csv(source: BinaryIO) -> Reading:
    """The EU's list as CSV. Raises `Broken`."""
    reading = Reading()
    found: dict[str, _Entity] = {}

    def known(name: str) -> bool:
        return name == "fileGenerationDate" or name.startswith(_EU_PREFIXES)

    for line, cells in _csv(source, ";", _EU_NEEDED, known, reading):
        if cells is None or not cells["Entity_LogicalId"].strip():
            reading.fail(line, "is no row of as many columns as the first line has, with an Entity_LogicalId")
            continue
        if reading.dated is None and cells.get("fileGenerationDate"):
            reading.dated = _eu_day(cells["fileGenerationDate"], line)
        _eu_row(cells, found.setdefault(cells["Entity_LogicalId"].strip(), _Entity(line)))
        if len(found) > ENTRIES_MAX:
            raise Broken(f"has more than {ENTRIES_MAX:,} entries", line)
    for number, one in found.items():
        reading.add(one.line, lambda one=one, number=number: one.entry(number))  # type: ignore[misc]
    return reading


def _eu_day(text: str, line: int) -> date:
    """Day first: the American order, which OFAC has, would be another day."""
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text.strip()[:10], form).date()  # noqa: DTZ007 - a calendar date
        except ValueError:
            continue
    raise Broken("fileGenerationDate is no date such as 31/12/2026", line)


def _eu_row(cells: Mapping[str, str], one: _Entity) -> None:
    for column in ("Entity_SubjectType", "Entity_SubjectType_ClassificationCode"):
        one.kind = _EU_KINDS.get(cells.get(column, "").strip().lower(), one.kind)
    name = " ".join(cells["NameAlias_WholeName"].split())
    name = name or " ".join(filter(None, (cells.get(part, "").strip() for part in _EU_PARTS)))
    if name:
        low = any(word in cells.get("NameAlias_Remark", "").lower() for word in LOW_QUALITY)
        (one.weak if low else one.names)[name] = None
    if cells.get("Identification_TypeCode", "").strip().lower() == "swiftbic":
        one.bics += [cells.get(column, "") for column in ("Identification_Number", "Identification_LatinNumber")]
    place = ", ".join(filter(None, (cells.get(f"Address_{part}", "").strip() for part in ("City", "CountryDescription"))))
    if place and len(one.places) < PLACES_MAX:
        one.places[place] = None
    one.about = one.about or cells.get("Entity_Regulation_Programme", "").strip()


# -- OpenSanctions -----------------------------------------------------------------------------------------------------


def read_opensanctions_csv(source: BinaryIO) -> Reading:
    """targets.simple.csv. Raises `Broken`."""
    reading = Reading()
    for line, cells in _csv(source, ",", _SIMPLE_COLUMNS, _SIMPLE_KNOWN.__contains__, reading):
        reading.add(line, lambda cells=cells: _simple(cells, reading))  # type: ignore[misc]
    return reading


def _simple(cells: Mapping[str, str] | None, reading: Reading) -> ListEntry:
    if cells is None:
        raise Unreadable("has another number of columns than the first line")
    if not cells["id"] or not cells["name"].strip():
        raise Unreadable("has no id or no name")
    _know_schema(cells["schema"], reading)
    try:
        aliases = next(csv.reader([cells["aliases"]], delimiter=";", strict=True), [])
    except csv.Error:
        raise Unreadable("its aliases are not names with semicolons between them") from None
    names = (name.strip() for name in (cells["name"], *aliases))
    return ListEntry(
        entry_id=cells["id"],
        kind=_FTM_KINDS.get(cells["schema"], Kind.OTHER),
        names=tuple(dict.fromkeys(name for name in names if name)),
        about=(cells.get("sanctions") or cells.get("program_ids") or cells.get("dataset") or "")[:500],
    )


def _know_schema(schema: str, reading: Reading) -> None:
    if schema not in _FTM_KINDS:
        reading.notice(f"the schema {schema[:40]!r}")


def read_opensanctions_ftm(source: BinaryIO) -> Reading:
    """entities.ftm.json or targets.nested.json: one JSON object a line. Those that are no targets, and what only belongs to
    others, are left out. Raises `Broken`."""
    reading = Reading()
    with lines_of(source) as text:
        number = 0
        while line := text.readline(LINE_CHARACTERS_MAX + 1):
            number += 1
            if len(line) > LINE_CHARACTERS_MAX:
                raise Broken(f"a line is longer than {LINE_CHARACTERS_MAX:,} characters", number)
            if line.strip():
                reading.add(number, lambda line=line: _ftm(line, reading))  # type: ignore[misc]
    return reading


def _ftm(line: str, reading: Reading) -> ListEntry | None:
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
    _know_schema(content["schema"], reading)
    caption = content.get("caption")
    names = [*([caption] if isinstance(caption, str) else []), *_values(properties, "name", "alias", "previousName")]
    accounts = [*_values(properties, "iban", "accountNumber"), *_nested(properties, ("iban", "accountNumber"), _NESTED_MAX)]
    return ListEntry(
        entry_id=content["id"],
        kind=_FTM_KINDS.get(content["schema"], Kind.OTHER),
        names=tuple(dict.fromkeys(names)) if content["schema"] != "BankAccount" else (),
        weak=tuple(dict.fromkeys(_values(properties, "weakAlias"))),
        accounts=tuple(dict.fromkeys("".join(text.split()).upper() for text in accounts)),
        bics=bics_in(_values(properties, "swiftBic")),
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


def _nested(properties: Mapping[str, Any], names: Sequence[str], levels: int) -> Iterator[str]:
    """Of bank accounts among the entities inside of an entity."""
    for values in properties.values() if levels else ():
        for inner in values if isinstance(values, list) else ():
            inside = inner.get("properties") if isinstance(inner, dict) else None
            if isinstance(inside, dict):
                yield from _values(inside, *names) if inner.get("schema") == "BankAccount" else ()
                yield from _nested(inside, names, levels - 1)
