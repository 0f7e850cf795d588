"""Who was looked at and is not the one of a list: what excuses a hit, from lists that say so and from people's decisions here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from gateway.policy.screening.entries import ListEntry
from gateway.policy.screening.names import name_of

Payee = tuple[str, str]  # the name as `payee_key` has it, and the account; neither is ever empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """A decision that a payee is not an entry of a list as the entry was then. `person`: who took it; "" where a list says so."""

    decision_id: str
    list_id: str
    entry_id: str
    digest: str
    about: str = ""
    person: str = ""
    valid_from: date | None = None
    valid_until: date | None = None  # the last day

    def valid_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_until is None or day <= self.valid_until)


Cleared = Mapping[Payee, Sequence[Excuse]]
NOBODY: Final[Cleared] = MappingProxyType({})


def payee_key(name: str) -> str:
    """A name as names are compared, as a text that can be kept; "" for one with nothing to compare."""
    read = name_of(name)
    return "" if read.is_empty else json.dumps(read.key, ensure_ascii=False)


def excuse_of(entry: ListEntry) -> Excuse | None:
    """What an entry of a list with action "pass" excuses."""
    decided = entry.not_the_same
    if decided is None:
        return None
    return Excuse(
        decision_id=entry.entry_id,
        list_id=decided.list_id,
        entry_id=decided.entry_id,
        digest=decided.digest,
        about=entry.about,
        valid_from=entry.valid_from,
        valid_until=entry.valid_until,
    )
