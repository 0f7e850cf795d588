"""The card of a bank: every rule done, failed or exempt with its reason."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from formats.bank import BankFormat
from formats.conformance.samples import Problem, Samples

EXEMPT_FILE: Final = "exempt.toml"


def many(count: int, one: str, several: str = "") -> str:
    """A number with its noun: "1 message", "2 messages"."""
    return f"{count} {one if count == 1 else several or one + 's'}"


class Verdict(StrEnum):
    """What became of a rule."""

    DONE = "done"
    FAILED = "failed"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule found: its problems, and in words what was looked at.

    `not_applicable` says why there was nothing to look at, where the bank cannot do what the rule is about.
    """

    looked_at: str
    problems: tuple[Problem, ...] = ()
    not_applicable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is judged. `plugin` is how a direction calls the plugin's file."""

    bank: BankFormat
    samples: Samples
    plugin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRule:
    """One rule of the card. `judge` may let the plugin's exceptions through: they are told as problems."""

    id: str
    title_en: str
    title_zh: str
    judge: Callable[[Case], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One rule's line on the card. `text`: what was looked at, or why the bank is exempt."""

    rule: str
    title_en: str
    title_zh: str
    verdict: Verdict
    text: str
    problems: tuple[Problem, ...] = ()

    @property
    def complaint(self) -> str:
        """The problems for a person, one a paragraph; empty where there are none."""
        return "\n".join(f"- {problem}" for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All lines of one bank."""

    bank: str
    samples: str
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.count(Verdict.FAILED)

    def count(self, verdict: Verdict) -> int:
        """How many rules came to this."""
        return sum(line.verdict is verdict for line in self.lines)


def judge(rule: CardRule, case: Case) -> Line:
    """One rule put to a bank, its exemptions applied. Never raises for what the plugin does."""
    try:
        found = rule.judge(case)
    except Exception as error:  # whatever a plugin raises is what the card is to tell
        if _is_ours(error):
            raise
        found = Found(looked_at="", problems=(_raised(error, case),))
    can = case.bank.capabilities
    if found.not_applicable and not can.sends and not can.reads:
        return _line(rule, Verdict.FAILED, "", (_nothing(case),))
    if found.not_applicable and not found.problems:
        return _line(rule, Verdict.EXEMPT, found.not_applicable)
    exempt = case.samples.exempt.get(rule.id)
    if exempt is None:
        return _line(rule, Verdict.FAILED if found.problems else Verdict.DONE, found.looked_at, found.problems)
    if isinstance(exempt, str):
        if found.problems:
            return _line(rule, Verdict.EXEMPT, f"{exempt} ({EXEMPT_FILE})")
        return _line(rule, Verdict.FAILED, found.looked_at, (_needless(rule.id, ""),))
    subjects = {problem.subject for problem in found.problems}
    left = [problem for problem in found.problems if problem.subject not in exempt]
    left += [_needless(rule.id, subject) for subject in exempt if subject not in subjects]
    reasons = "; ".join(f"{subject}: {reason}" for subject, reason in exempt.items())
    return _line(rule, Verdict.FAILED if left else Verdict.EXEMPT, f"{reasons} ({EXEMPT_FILE})", tuple(left))


def _line(rule: CardRule, verdict: Verdict, text: str, problems: tuple[Problem, ...] = ()) -> Line:
    return Line(
        rule=rule.id, title_en=rule.title_en, title_zh=rule.title_zh, verdict=verdict, text=text, problems=_distinct(problems)
    )


def _distinct(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same problem of several subjects is told once."""
    seen: dict[Problem, Problem] = {}
    for problem in problems:
        seen.setdefault(replace(problem, subject=""), problem)
    return tuple(seen.values())


def _nothing(case: Case) -> Problem:
    return Problem(
        place=case.plugin,
        problem="there is nothing to judge: the bank neither takes nor sends anything.",
        direction="Fill in its capabilities first (shape).",
    )


def _needless(rule: str, subject: str) -> Problem:
    what = f"{rule}, {subject}" if subject else rule
    return Problem(
        place=EXEMPT_FILE,
        problem=f"an exemption is declared and not needed ({what}).",
        direction="Delete it: what is exempt without need would hide the next fault.",
    )


def _is_ours(error: Exception) -> bool:
    """Whether only the kit's own code was running: then the fault is the kit's, and no plugin is to be blamed."""
    return all("/formats/conformance/" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


def _raised(error: Exception, case: Case) -> Problem:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else case.plugin
    return Problem(
        place=case.plugin,
        problem=f"{type(error).__name__} was raised at {place}: {str(error)[:200]}",
        direction="check raises nothing, render only Unrenderable, parse only Unparsable; say the case by one of these.",
    )
