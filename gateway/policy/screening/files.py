"""What reading a list gives, whatever its form: entries, the date it says, and every row that could not be read."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import BinaryIO, Final, TextIO

from formats import checks
from formats.countries import COUNTRIES, IBAN_LENGTHS
from gateway.policy.screening.entries import ListEntry
from gateway.policy.screening.names import name_of

ENTRIES_MAX: Final = 2_000_000
ROWS_MAX: Final = 20_000_000  # of a table in which an entry has several
PROBLEMS_MAX: Final = 50  # told one by one; the rest is counted
NOTICES_MAX: Final = 50
LINE_CHARACTERS_MAX: Final = 4 * 1024 * 1024


class Unreadable(Exception):
    """One row, element or line that cannot be read; the text says why."""


class Broken(Exception):
    """The file as a whole: the rest of it cannot be read."""

    def __init__(self, text: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(text)


@dataclass(slots=True)
class Reading:
    """Filled while a file is read. `problems`: (line, text), the first of them; `failed` counts all. `notices`: what the file has
    and no reader knows (a column, an element, a code), and how often: people are told, and the list is taken."""

    entries: list[ListEntry] = field(default_factory=list)
    dated: date | None = None
    problems: list[tuple[int | None, str]] = field(default_factory=list)
    failed: int = 0
    notices: dict[str, int] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def add(self, line: int | None, make: Callable[[], ListEntry | None]) -> None:
        """One row: its entry, or a problem. None: the row is no entry and needs not be one."""
        if len(self.entries) >= ENTRIES_MAX:
            raise Broken(f"has more than {ENTRIES_MAX:,} entries", line)
        try:
            entry = make()
            if entry is None:
                return
            _check(entry)
            if entry.entry_id in self._ids:
                raise Unreadable(f"the id {entry.entry_id!r} is there twice")
        except Unreadable as problem:
            self.fail(line, str(problem))
            return
        self._ids.add(entry.entry_id)
        self.entries.append(entry)

    def notice(self, text: str) -> None:
        """Something that no reader knows."""
        if text in self.notices or len(self.notices) < NOTICES_MAX:
            self.notices[text] = self.notices.get(text, 0) + 1

    def fail(self, line: int | None, text: str) -> None:
        self.failed += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append((line, text))


def _check(entry: ListEntry) -> None:
    for name in (*entry.names, *entry.weak):
        read = name_of.__wrapped__(name)
        if read.is_empty:
            raise Unreadable("a name has no letter that could be compared")
        if not read.is_whole:
            raise Unreadable("a name is too long to be one")
    if not (entry.names or entry.weak or entry.accounts or entry.bics or entry.countries or entry.terms):
        raise Unreadable("says nothing that payments could be compared with: no name, account, BIC, country or term")


def comparable(name: str) -> bool:
    """Whether there is something in a name that could be compared."""
    read = name_of.__wrapped__(name)
    return not read.is_empty and read.is_whole


@contextmanager
def lines_of(source: BinaryIO) -> Iterator[TextIO]:
    """The text of a file in UTF-8, line ends as they are. The file stays open. Raises `Broken`."""
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        yield text
    except UnicodeDecodeError:
        raise Broken("is not UTF-8 text") from None
    finally:
        text.detach()


def account(text: str) -> str:
    """An account as `account_key` makes it. Raises `Unreadable` for what looks like an IBAN and is none."""
    found = "".join(text.split()).upper()
    if IBAN_LENGTHS.get(found[:2]) == len(found) and found[2:4].isdigit() and (fault := checks.iban_fault(found)) is not None:
        raise Unreadable(f"an account is no IBAN although it looks like one: its {fault} is wrong")
    return found


def bic(text: str) -> str:
    """A BIC in capitals. Raises `Unreadable`."""
    found = text.strip().upper()
    if checks.bic_fault(found) is not None:
        raise Unreadable("a BIC is none (ISO 9362: 8 or 11 capital letters and digits)")
    return found


def country(text: str) -> str:
    """A country's code in capitals. Raises `Unreadable`."""
    found = text.strip().upper()
    if found not in COUNTRIES:
        raise Unreadable(f"{found[:20]!r} is no country code of ISO 3166-1")
    return found


def day(text: str) -> date:
    """A date, with or without a time after it. Raises `Unreadable`."""
    for form, length in (("%Y-%m-%d", 10), ("%m/%d/%Y", 10)):
        try:
            return datetime.strptime(text.strip()[:length], form).date()  # noqa: DTZ007 - a calendar date
        except ValueError:
            continue
    raise Unreadable(f"{text.strip()[:30]!r} is no date such as 2026-11-20")
