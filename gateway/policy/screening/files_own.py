"""Lists of our own: CSV with a header line, or TOML with [[entries]]; the same words in both.

    id           what the entry is called in findings; CSV: absent, its line number; TOML: absent, its place
    name         who is meant; further names in TOML as a list
    account      an account of theirs: IBAN or other number
    bic          a bank: 8 characters cover all its branches
    country      a country (ISO 3166-1), wherever it stands in a payment
    term         words that must not stand in the remittance information
    valid_from, valid_until   days, both included
    reason       why, as people are told
    list, entry, digest       only where action = "pass": this name with this account is not that entry of that list, as long as
                 the entry's digest is this (`bankgate screening check` prints it)

Name and account in one row: either is enough for a hit. BIC, country and term stand in rows of their own, so that nobody
takes a country beside a name for a condition. In lists with action "pass" name and account must both be there, and both
must fit."""

import csv
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO, Final

from gateway.policy.screening.entries import Kind, ListEntry, NotTheSame
from gateway.policy.screening.files import Broken, Reading, Unreadable, account, bic, country, day, lines_of

COLUMNS: Final = (
    *("id", "name", "account", "bic", "country", "term", "valid_from", "valid_until", "reason", "list", "entry", "digest"),
)
_BYTES_MAX: Final = 64 * 1024 * 1024  # of TOML, which is read whole


def read_csv(source: BinaryIO, *, passes: bool) -> Reading:
    """The rows of a CSV file. Raises `Broken`."""
    reading = Reading()
    with lines_of(source) as text:
        rows = csv.reader(text, strict=True)
        try:
            header = [name.strip().lower() for name in next(rows, [])]
            _check_header(header)
            for row in rows:
                if any(cell.strip() for cell in row):
                    reading.add(rows.line_num, _maker(header, row, f"line-{rows.line_num}", passes=passes))
        except csv.Error as error:
            raise Broken(f"is not CSV: {error}", rows.line_num) from None
    return reading


def _check_header(header: Sequence[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if not header or unknown or len(set(header)) != len(header):
        what = f"unknown: {', '.join(unknown)[:100]}" if unknown else "one is missing or there twice"
        raise Broken(f"the first line must name columns, out of {', '.join(COLUMNS)} ({what})", 1)


def _maker(header: Sequence[str], row: Sequence[str], number: str, *, passes: bool) -> Callable[[], ListEntry]:
    def make() -> ListEntry:
        if len(row) != len(header):
            raise Unreadable(f"has {len(row)} columns, and the first line {len(header)}")
        return entry_of({name: cell.strip() for name, cell in zip(header, row, strict=True)}, number, passes=passes)

    return make


def read_toml(source: BinaryIO, *, passes: bool) -> Reading:
    """The [[entries]] of a TOML file. Raises `Broken`."""
    reading = Reading()
    content = source.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise Broken(f"is larger than {_BYTES_MAX // 2**20} MiB; write a long list as CSV")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise Broken("is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise Broken(f"is not TOML: {error}") from None
    entries = table.get("entries", [])
    if set(table) - {"entries", "date"} or not isinstance(entries, list):
        raise Broken("holds [[entries]] and, if wanted, a date, and nothing else")
    reading.dated = table["date"] if isinstance(table.get("date"), date) else None
    for place, row in enumerate(entries, 1):
        reading.add(None, lambda row=row, place=place: _from_table(row, place, passes=passes))  # type: ignore[misc]
    return reading


def _from_table(row: Any, place: int, *, passes: bool) -> ListEntry:
    if not isinstance(row, dict):
        raise Unreadable(f"entry {place}: is no table")
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        raise Unreadable(f"entry {place}: there is no {', '.join(unknown)[:100]}")
    if any(not isinstance(value, str | date | list) for value in row.values()):
        raise Unreadable(f"entry {place}: values are texts, dates or lists of texts")
    try:
        return entry_of(row, f"entry-{place}", passes=passes)
    except Unreadable as problem:
        raise Unreadable(f"entry {place}: {problem}") from None


def entry_of(row: Mapping[str, Any], number: str, *, passes: bool) -> ListEntry:
    """The entry that a row means. Raises `Unreadable`."""
    names, accounts = _texts(row.get("name")), tuple(account(text) for text in _texts(row.get("account")))
    bics = tuple(bic(text) for text in _texts(row.get("bic")))
    countries = tuple(country(text) for text in _texts(row.get("country")))
    terms = _texts(row.get("term"))
    if passes and (not (names and accounts) or bics or countries or terms):
        raise Unreadable("names who may pass: it needs name and account, and nothing else to compare")
    if sum(map(bool, ((names or accounts), bics, countries, terms))) > 1:
        raise Unreadable("mixes name or account with bic, country or term: write a row for each, any one of which is a hit")
    return ListEntry(
        entry_id=str(row.get("id") or number),
        kind=Kind.OTHER,
        names=names,
        accounts=accounts,
        bics=bics,
        countries=countries,
        terms=terms,
        about=str(row.get("reason") or "")[:500],
        valid_from=_date(row.get("valid_from")),
        valid_until=_date(row.get("valid_until")),
        not_the_same=_decision(row, passes=passes),
    )


def _decision(row: Mapping[str, Any], *, passes: bool) -> NotTheSame | None:
    given = [str(row.get(name) or "") for name in ("list", "entry", "digest")]
    if not any(given):
        return None
    if not passes:
        raise Unreadable('list, entry and digest belong to a list with action = "pass"')
    if not all(given):
        raise Unreadable("list, entry and digest belong together: which entry it is not, and what that said when it was decided")
    return NotTheSame(list_id=given[0], entry_id=given[1], digest=given[2].lower())


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if any(not isinstance(item, str | None) for item in values):
        raise Unreadable("has a value that is no text")
    return tuple(item.strip() for item in values if item and item.strip())


def _date(value: Any) -> date | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, date) else day(str(value))
