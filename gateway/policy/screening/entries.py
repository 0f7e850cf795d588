"""What lists hold, whatever file they came from."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"
    OTHER = "other"  # a vessel, an aircraft, or what the list does not say


class ListAction(StrEnum):
    """What a hit on a list asks for."""

    PASS = "pass"  # noqa: S105 - no password. Nothing: the list says who is known to be good, or that somebody is not the one of another list
    HOLD = "hold"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTheSame:
    """That a person decided: this creditor is not that entry. It counts until the entry's content changes."""

    list_id: str
    entry_id: str
    digest: str  # `ListEntry.digest` at the time of the decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One entry. `names` in the list's own order, the first one leads; `weak` names are known by the list to say little.

    `accounts` are as `account_key` makes them, `bics` of 8 or 11 characters, `countries` such as are listed themselves (not where
    somebody comes from), `terms` words that must not stand in a remittance text.
    """

    entry_id: str
    kind: Kind = Kind.OTHER
    names: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    bics: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    places: tuple[str, ...] = ()  # of addresses, as people are shown them; not compared
    about: str = ""  # the list's words on why: a programme, a reason
    valid_from: date | None = None
    valid_until: date | None = None  # the last day
    not_the_same: NotTheSame | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what the entry says, in any order: a decision about it falls when this changes."""
        content = [
            *(sorted(values) for values in (self.names, self.weak, self.accounts, self.bics, self.countries, self.terms)),
            self.kind.value,
            *([sorted(self.places)] if self.places else []),
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()

    def valid_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_until is None or day <= self.valid_until)


@dataclass(frozen=True, kw_only=True)
class ScreeningList:
    """One list as it was read. `sha256` is of its file, of all its files in order if it has several."""

    id: str
    kind: str  # as in the settings: "own", "ofac-csv", …
    source: str  # the file, as the settings name it
    date: date
    sha256: str
    action: ListAction
    entries: tuple[ListEntry, ...] = field(repr=False)
    skipped: int = 0  # rows that could not be read, of a list that is taken all the same
    notices: tuple[str, ...] = ()  # what the file has that no reader knows
    lift_blocks: bool = False  # whether a decision that somebody is not the one of an entry counts where the entry blocks

    @cached_property
    def names(self) -> int:
        return sum(len(entry.names) + len(entry.weak) for entry in self.entries)


def day_limits(lists: Iterable[ScreeningList]) -> tuple[date, ...]:
    """The days on which an entry begins to count, or no longer counts, in order."""
    entries = [entry for one in lists for entry in one.entries]
    first = {entry.valid_from for entry in entries if entry.valid_from is not None}
    over = {entry.valid_until + timedelta(days=1) for entry in entries if entry.valid_until not in {None, date.max}}
    return tuple(sorted(first | over))
