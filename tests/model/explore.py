"""Every reachable state of a world, one after the other; the promises in each; and from each the way to an end."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from gateway import apply
from gateway.lifecycle import PAYMENT_TABLE, advance
from tests.model.state import Rules, State
from tests.model.world import CodeRaised, World

Promise = Callable[[Rules, State], str | None]
"""What must hold in every state: None, or what is wrong in words."""


@dataclass(slots=True)
class Found:
    """What an exploration came to. `trace`: the way to what is wrong, step by step; empty if nothing is."""

    rules: Rules
    states: int = 0
    steps: int = 0
    cut: int = 0  # states in which the next attempt was not looked at
    code: int = 0  # stretches of production code between two requests that were run
    seconds: float = 0.0
    wrong: str = ""
    trace: list[str] = field(default_factory=list)
    delivery_rows: set[tuple[str, str]] = field(default_factory=set)  # of the table, as (state, event)
    payment_rows: set[tuple[str, str]] = field(default_factory=set)

    def line(self) -> str:
        """One line for people."""
        cut = f"   {self.cut:,} cut at attempt {self.rules.attempts + 1}" if self.cut else ""
        return (
            f"{self.rules.name:34} {self.states:9,} states {self.steps:10,} steps {self.code:7,} stretches of code"
            f" {self.seconds:6.1f} s CPU{cut}"
        )

    def story(self) -> str:
        """What is wrong, and how it came about."""
        return "\n".join([f"{self.rules.name}: {self.wrong}", *self.trace])


class TooLarge(Exception):
    """There are more states than were to be looked at."""


class Exploration:
    """Breadth first, so that the first way to a broken promise is a shortest one."""

    def __init__(self, rules: Rules, promises: Iterable[Promise], states_max: int = 3_000_000) -> None:
        self.world = World(rules)
        self.found = Found(rules)
        self.states: list[State] = []
        self._promises = list(promises)
        self._states_max = states_max
        self._numbers: dict[State, int] = {}
        self._came_from: list[tuple[int, str]] = []
        self._before: list[list[int]] = []  # the states that lead to a state: number × 2, + 1 if a person did it
        self._cut: list[int] = []

    def run(self) -> Found:
        """Looks at every state. Stops at the first broken promise."""
        started, found = time.process_time(), self.found
        with patch.object(apply, "advance", self._advance):
            self._explore()
        found.states, found.cut, found.code = len(self.states), len(self._cut), len(self.world.machine.nodes)
        found.delivery_rows, found.payment_rows = self.world.delivery_rows, self.world.payment_rows
        found.seconds = time.process_time() - started
        return found

    def _advance(self, table: Any, state: Any, event: Any) -> Any:
        """The gateway's own, which tells what was asked of it: news that changes nothing leaves no other trace."""
        following = advance(table, state, event)
        if table is PAYMENT_TABLE:
            self.world.payment_rows.add((state.value, event.value))
        return following

    def _explore(self) -> None:
        found, world = self.found, self.world
        self._add(world.first(), -1, "")
        number = 0
        while number < len(self.states) and not found.wrong:
            try:
                for words, after in world.steps(self.states[number]):
                    found.steps += 1
                    self._add(after, number, words)
            except CodeRaised as fault:
                self._tell(number, str(fault))
            if world.cut:
                self._cut.append(number)
            number += 1

    def _add(self, state: State, before: int, words: str) -> None:
        key = _canonical(state)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.states)
            if number >= self._states_max:
                raise TooLarge(f"{self.found.rules.name}: more than {self._states_max:,} states")
            self.states.append(state)
            self._came_from.append((before, words))
            self._before.append([])
            wrong = next(filter(None, (promise(self.found.rules, state) for promise in self._promises)), None)
            if wrong and not self.found.wrong:
                self._tell(number, wrong)
        if before >= 0:
            self._before[number].append(before * 2 + words.startswith("a person"))

    def _tell(self, number: int, wrong: str) -> None:
        self.found.wrong, self.found.trace = wrong, self.way_to(number)

    def way_to(self, number: int) -> list[str]:
        """The steps from the beginning to a state, numbered."""
        steps: list[str] = []
        while number > 0:
            before, words = self._came_from[number]
            steps.append(f"{words}{_standing(self.states[before], self.states[number])}")
            number = before
        return [f"{place:3}. {words}" for place, words in enumerate(reversed(steps), 1)]

    def require_a_way(self, what: str, end: Callable[[Rules, State], bool], *, person: bool) -> Found:
        """From every state there is a way to an end (or to where this exploration was cut off), without a person if none may
        help. A state from which there is none is told with the way to it."""
        reached = set(self._cut)
        reached.update(number for number, state in enumerate(self.states) if end(self.found.rules, state))
        waiting = list(reached)
        while waiting:
            for item in self._before[waiting.pop()]:
                number, by_person = divmod(item, 2)
                if number not in reached and (person or not by_person):
                    reached.add(number)
                    waiting.append(number)
        lost = next((number for number in range(len(self.states)) if number not in reached), None)
        if lost is not None:
            self._tell(lost, what)
        return self.found


def _canonical(state: State) -> State:
    """The senders are alike: which is which decides nothing."""
    senders = state.senders
    if len(senders) < 2 or senders[0] <= senders[1]:
        return state
    return state._replace(senders=tuple(sorted(senders)))


def _standing(before: State, after: State) -> str:
    """What of the books a step changed, in words."""
    told = []
    for number, (old, new) in enumerate(zip(before.books.rows, after.books.rows, strict=True)):
        if new is not None and (old is None or old.state != new.state):
            told.append(f"message {number + 1} is {new.state}, attempt {new.attempt}")
    if before.pay.state != after.pay.state:
        told.append(f"the payment is {after.pay.state}")
    told += [f"told: {kind}" for kind, _ in sorted(after.books.told - before.books.told)]
    told += [
        f"executed {one.executed} times" for one, old in zip(after.bank, before.bank, strict=True) if one.executed > old.executed
    ]
    return f"   [{'; '.join(told)}]" if told else ""
