"""The rules of a house in the world of control: as plain data for the checkers, as files for the gateway, and changing.

What a version asks of a payment is said here a second time, apart from `gateway.policy`.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from gateway import policies, review_screening
from gateway.config import Configuration
from gateway.habits_settings import HabitsSettings
from gateway.review_checks import checks_of
from gateway.screening_settings import ScreeningSettings

POLICY: Final = "policies/pay.toml"
LIST: Final = "own.csv"
SCREENING: Final = ScreeningSettings.model_validate({"lists": [{"id": "own", "file": LIST, "kind": "own"}]})
HABITS: Final = (None, HabitsSettings(), HabitsSettings(hold_score=15))
CREDITORS: Final = {
    "Supplier": "DE89370400440532013000",
    "Bakery Goldmann": "FR1420041010050500013M02606",
    "Yacht Charter Ltd": "GB29NWBK60161331926819",
}
CHAINS: Final = (
    (("finance", 1), ("board", 1)),
    (("finance", 2),),
    (("board", 1),),
    (("finance", 1), ("board", 2)),
)
Steps = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """One version of the policy, and the list of its day. `watched`: accounts that the board signs for, whatever the amount."""

    version: int
    above: int
    steps: Steps
    day_limit: int
    watched: tuple[str, ...] = ()
    recheck: bool = False
    listed: frozenset[str] = frozenset()  # names that are screened for

    def chains(self, amount: Decimal, account: str) -> dict[str, Steps]:
        """The approvals that a payment needs, by rule."""
        asked: dict[str, Steps] = {}
        if amount > self.above:
            asked["big"] = self.steps
        if account in self.watched:
            asked["watched"] = (("board", 1),)
        return asked

    @property
    def policy(self) -> str:
        """Its file."""
        steps = ", ".join(f'{{ group = "{group}", count = {count} }}' for group, count in self.steps)
        recheck = "recheck = true" if self.recheck else ""
        accounts = ", ".join(f'"{account}"' for account in self.watched)
        watched = f"""
[lists.watched]
accounts = [{accounts}]
[[chains]]
id = "watched"
when = {{ creditor_lists = ["watched"] }}
steps = [{{ group = "board" }}]
"""
        return f"""
id = "pay"
version = {self.version}
valid_from = 2026-01-01
default = "pass"
[[limits]]
id = "day"
period = "day"
amount = "{self.day_limit}.00"
currency = "EUR"
outcome = "hold"
[[chains]]
id = "big"
when = {{ currency = "EUR", amount_above = "{self.above}.00" }}
steps = [{steps}]
{recheck}
{watched if self.watched else ""}"""

    @property
    def names(self) -> str:
        """The file of the list."""
        return "\n".join(["name", *sorted(self.listed)]) + "\n"


@dataclass
class Rulebook:
    """The files as they are, and every state that they were in. `history` is in order: a place in it is what is called an age.

    `labels`: ages by the digest of rules that a judgement names. It is the gateway's own digest, for finding the version alone:
    what that version asks is compared with what was asked.
    """

    directory: Path
    dice: random.Random
    configuration: Configuration
    moment: Callable[[], datetime]
    history: list[Rules] = field(default_factory=list)
    habits: tuple[HabitsSettings | None, ...] = (None,)  # with which processes of this life run
    labels: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    stamp: int = 1

    def begin(self) -> None:
        """The first version."""
        (self.directory / "policies").mkdir()
        limit = self.dice.choice((400, 700, 5000))
        self._put(Rules(version=1, above=self.dice.choice((50, 100)), steps=self.dice.choice(CHAINS), day_limit=limit))

    @property
    def current(self) -> Rules:
        return self.history[-1]

    def change(self) -> str:
        """Another version, laxer or stricter, of the policy, of the list, or of both; told in a word."""
        now, dice = self.current, self.dice
        if dice.random() < 0.35:
            listed = now.listed ^ {dice.choice(sorted(CREDITORS))}
            self._put(replace(now, listed=listed))
            return "the list changed"
        watched = tuple(account for account in CREDITORS.values() if dice.random() < 0.2)
        self._put(
            replace(
                now,
                version=now.version + 1,
                above=dice.choice((10, 50, 100, 150, 1000)),
                steps=dice.choice(CHAINS),
                day_limit=dice.choice((300, 500, 700, 5000)),
                watched=watched,
                recheck=dice.random() < 0.4,
            )
        )
        return f"policy version {self.current.version}"

    def spoil(self) -> None:
        """Somebody saves half a file."""
        file = self.dice.choice((POLICY, LIST))
        self.broken.add(file)
        self._write(file, 'id = "pay"\nversion = ' if file == POLICY else "who,why\nnobody\n")

    def mend(self) -> None:
        """The files are whole again, as they ought to be."""
        for file in sorted(self.broken):
            self._write(file, self.current.policy if file == POLICY else self.current.names)
        self.broken.clear()

    def _put(self, rules: Rules) -> None:
        self.history.append(rules)
        self.broken.clear()
        self._write(POLICY, rules.policy)
        self._write(LIST, rules.names)
        for habits in self.habits:
            label = checks_of(with_habits(self.configuration, habits), None).digest(self.moment())  # type: ignore[arg-type]
            self.labels[label] = len(self.history) - 1  # the same words again are the newest

    def _write(self, name: str, text: str) -> None:
        """With a time of modification of its own: two changes within one tick of a real clock would look like one."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        self.stamp += 1
        os.utime(path, ns=(self.stamp * 10**9, self.stamp * 10**9))


def with_habits(configuration: Configuration, habits: HabitsSettings | None) -> Configuration:
    """The configuration with the table [habits], or without."""
    if habits is None:
        return configuration
    return configuration.model_copy(update={"habits": habits})


_document = policies._document
_load_screen = review_screening.load_screen


@cache
def _parsed(_: str) -> list[Any]:
    """What was made of a file, for as long as the program runs."""
    return []


def _document_once(table: dict[str, Any], file: str, problems: list[Any]) -> Any:
    known = _parsed(repr(table))
    if not known:
        before = len(problems)
        found = _document(table, file, problems)
        if len(problems) > before:
            return found
        known.append(found)
    return known[0]


def _screen_once(directory: Path, settings: ScreeningSettings, _before: object = None) -> Any:
    """Whether a list is plausible beside the one before is none of this world's matters."""
    known = _parsed((directory / LIST).read_text(encoding="utf-8"))
    if not known:
        known.append(_load_screen(directory, settings))  # raises for a list with mistakes
    return known[0]


@contextmanager
def parsed_once() -> Iterator[None]:
    """What costs and decides nothing: the same bytes are parsed once in all lives."""
    with patch.object(policies, "_document", _document_once), patch.object(review_screening, "load_screen", _screen_once):
        yield
