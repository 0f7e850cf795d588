"""What a chaos run measured: a table for people, JSON for machines."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.chaos.faults import Struck
from tests.chaos.plan import CONNECTION_KINDS

PROBLEMS_SHOWN = 20  # the others stand in the JSON
REACHED_BANK = frozenset({"PAYMENT_STATE_SENT", "PAYMENT_STATE_ACCEPTED", "PAYMENT_STATE_SETTLED"})


@dataclass(kw_only=True)
class Figures:
    """One run, or several together (`together`). Seconds in `recovery` are per strike, in the order of time."""

    runs: int = 1
    seeds: list[int] = field(default_factory=list)
    store: str = ""
    seconds: float = 0.0
    payments: int = 0
    events: int = 0
    repeats: int = 0  # submissions made again
    returns: int = 0  # of the watcher
    doubles: int = 0
    doubled_over: dict[str, int] = field(default_factory=dict)  # payments, by connection
    lost: int = 0
    waiting: int = 0
    in_doubt: int = 0
    decided: int = 0
    settled_total: str = "0"
    by_themselves: dict[str, int] = field(default_factory=dict)
    settled_over: dict[str, int] = field(default_factory=dict)  # payments, by connection
    proofs: dict[str, int] = field(default_factory=dict)  # whether the bank has a message: by connection, verdict and source
    recovery: dict[str, list[float | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(map(len, self.recovery.values()))

    def as_json(self) -> dict[str, Any]:
        """Every figure; times as median and worst."""
        whole = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "recovery"}
        return {
            **whole,
            "faults": self.faults,
            "faults_by_kind": {
                kind: {"struck": len(times), "median_seconds": _median(times), "worst_seconds": _worst(times)}
                for kind, times in sorted(self.recovery.items())
            },
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def table(self) -> str:
        """For a terminal."""
        again = f"submissions repeated {self.repeats}, watcher came back {self.returns} times"
        rows = [
            f"store {self.store}, {self.runs} run(s), seeds {', '.join(map(str, self.seeds))}, {self.seconds:.0f} s",
            f"payments {self.payments}, faults {self.faults}, {again}",
            f"executed twice {self.doubles}{_over(self.doubled_over)}, lost {self.lost}, held for a person {self.waiting}",
            f"in doubt after the calm {self.in_doubt} messages, decided by a person {self.decided}",
            f"settled {self.settled_total} EUR, by gateway, statements, books and ledger; events {self.events}, each seen once",
            f"processes that ended by themselves and were started again: {self.by_themselves or 'none'}",
            "payments settled: " + _listed(self.settled_over),
            "the bank has a message: " + _listed(self.proofs),
            "",
            f"{'fault':<40}{'struck':>7}{'median s':>10}{'worst s':>9}   until a payment submitted after it was at the bank",
        ]
        for kind, times in sorted(self.recovery.items()):
            rows.append(f"{kind:<40}{len(times):>7}{_shown(_median(times)):>10}{_shown(_worst(times)):>9}")
        return "\n".join([*rows, *self._shown_problems()])

    def _shown_problems(self) -> list[str]:
        shown = [f"PROBLEM  {problem}" for problem in self.problems[:PROBLEMS_SHOWN]]
        more = len(self.problems) - len(shown)
        return [*shown, f"PROBLEM  and {more} more"] if more > 0 else shown


def recovery(
    struck: Sequence[Struck],
    submitted: Mapping[str, float],
    doors: Mapping[str, str],
    events: Sequence[Mapping[str, Any]],
    heard_at: Sequence[float],
) -> dict[str, list[float | None]]:
    """By kind of fault: seconds from its beginning until a payment that was submitted after that was known to be at the bank.

    `submitted` and `doors` are by reference. For a fault of a line only payments over that kind of door count. None: nothing was
    submitted any more. Faults overlap, so that a time also holds what other faults did meanwhile.
    """
    at_bank: dict[str, float] = {}
    for event, when in zip(events, heard_at, strict=True):
        if event["state"] in REACHED_BANK:
            at_bank.setdefault(event["payment_reference"], when)
    found: defaultdict[str, list[float | None]] = defaultdict(list)
    for one in sorted(struck, key=lambda one: one.began):
        door = next((door for door, kinds in CONNECTION_KINDS.items() if one.strike.kind in kinds), "")
        times = [
            at_bank[reference] - one.began
            for reference, when in submitted.items()
            if when >= one.began and reference in at_bank and doors[reference].endswith(door)
        ]
        found[one.strike.kind.value].append(round(min(times), 2) if times else None)
    return dict(found)


def together(several: Sequence[Figures]) -> Figures:
    """The sums of several runs."""
    whole = Figures(runs=len(several), store=", ".join(sorted({one.store for one in several})))
    for one in several:
        whole.seeds += one.seeds
        whole.problems += one.problems
        for name in ("seconds", "payments", "events", "repeats", "returns", "doubles", "lost", "waiting", "in_doubt", "decided"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        for name in ("doubled_over", "by_themselves", "settled_over", "proofs"):
            sums = Counter(getattr(whole, name)) + Counter(getattr(one, name))
            setattr(whole, name, dict(sums))
        for kind, times in one.recovery.items():
            whole.recovery.setdefault(kind, []).extend(times)
    whole.settled_total = str(sum((Decimal(one.settled_total) for one in several), Decimal(0)))
    return whole


def _known(times: Sequence[float | None]) -> list[float]:
    return [one for one in times if one is not None]


def _median(times: Sequence[float | None]) -> float | None:
    known = _known(times)
    return round(statistics.median(known), 2) if known else None


def _worst(times: Sequence[float | None]) -> float | None:
    return max(_known(times), default=None)


def _listed(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _over(counts: Mapping[str, int]) -> str:
    return f" ({_listed(counts)})" if counts else ""


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
