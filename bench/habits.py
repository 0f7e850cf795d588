"""The rules about habits over a generated year: what they stop of what was planted, and what they stop of what is ordinary.

python -m bench.habits [--seed 1] [--scale 1.0] [--plantings 25]
"""

import argparse
import heapq
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bench.payments_year import KINDS, LIMIT, Made, Year
from gateway.habits_settings import BelowLimitSettings, HabitsSettings
from gateway.lifecycle import PaymentState
from gateway.policy.habits.history import History
from gateway.policy.habits.judge import FAMILIES, Habits, Profiles
from gateway.policy.habits.words import past_of
from gateway.policy.subject import Past
from gateway.policy.verdict import Outcome

LOOKED_AT_AFTER = timedelta(hours=4)  # so long a held payment waits for a person, who then calls back what passed of it
COLD_MONTHS = 3  # nothing is planted in them, and the rules know little


@dataclass(slots=True)
class Figures:
    """What came of one year."""

    payments: int = 0
    planted: Counter[str] = field(default_factory=Counter)  # payments, by kind
    held: Counter[str] = field(default_factory=Counter)
    events: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    caught: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    ordinary: Counter[int] = field(default_factory=Counter)  # payments, by month
    false: Counter[int] = field(default_factory=Counter)  # ordinary ones held, by month
    fired: Counter[str] = field(default_factory=Counter)  # by rule, over all payments
    fired_rightly: Counter[str] = field(default_factory=Counter)
    false_by_rule: Counter[str] = field(default_factory=Counter)  # ordinary payments held, by the rule that weighed most
    seconds: float = 0.0

    def recall(self, kind: str) -> float:
        """The share of planted events of a kind of which at least one payment was held."""
        return len(self.caught[kind]) / len(self.events[kind]) if self.events[kind] else 1.0

    def false_positive_rate(self, *, warm: bool) -> float:
        """The share of ordinary payments held, in the months after the cold start or in all."""
        months = [month for month in self.ordinary if not warm or month > COLD_MONTHS]
        return sum(self.false[month] for month in months) / max(1, sum(self.ordinary[month] for month in months))

    def precision(self) -> float:
        """The share of planted payments among those held."""
        right = self.held.total()
        return right / max(1, right + self.false.total())


def settings() -> HabitsSettings:
    """The defaults, and the one limit the year knows."""
    return HabitsSettings(limits=(BelowLimitSettings(currency="EUR", amount=LIMIT),))


def measure(year: list[Made], chosen: HabitsSettings) -> Figures:
    """Judges the year payment by payment, as a lane would."""
    figures, habits = Figures(payments=len(year)), Habits(chosen)
    profiles = Profiles(habits, keep=timedelta(days=10_000))  # this process is the only one that changes anything
    waiting: list[tuple[datetime, str, Past]] = []
    passed: defaultdict[tuple[str, int], list[Past]] = defaultdict(list)  # planted and not held, by planting
    started = time.perf_counter()
    for made in year:
        subject = made.subject
        now = subject.submitted_at
        while waiting and waiting[0][0] <= now:
            profiles.note(heapq.heappop(waiting)[2])
        wanted = profiles.needs([subject], now)
        if wanted:
            profiles.learn(wanted, History(), now)  # a key met for the first time: nothing was paid to it before
        findings = profiles.judge(subject, now)
        held = bool(findings) and findings[0].outcome >= Outcome.HOLD
        profiles.note(past_of(subject, PaymentState.HELD if held else PaymentState.APPROVED))
        final = PaymentState.CANCELLED if held and made.kind else made.state
        if held or final is not PaymentState.SETTLED:
            heapq.heappush(waiting, (now + LOOKED_AT_AFTER, subject.payment_id, past_of(subject, final)))
        if made.kind and not held:
            passed[made.kind, made.event].append(past_of(subject, PaymentState.RETURNED))
        for one in passed.pop((made.kind, made.event), ()) if held else ():
            heapq.heappush(waiting, (now + LOOKED_AT_AFTER, one.payment_id, one))
        _count(figures, made, [one.rule for one in findings if one.rule in FAMILIES], held=held)
    figures.seconds = time.perf_counter() - started
    return figures


def _count(figures: Figures, made: Made, rules: list[str], *, held: bool) -> None:
    month = made.subject.submitted_at.month
    figures.fired.update(set(rules))
    if made.kind:
        figures.planted[made.kind] += 1
        figures.events[made.kind].add(made.event)
        figures.fired_rightly.update(set(rules))
        if held:
            figures.held[made.kind] += 1
            figures.caught[made.kind].add(made.event)
    else:
        figures.ordinary[month] += 1
        if held:
            figures.false[month] += 1
            figures.false_by_rule[rules[0]] += 1


def show(figures: Figures) -> None:
    """The tables."""
    planted = figures.planted.total()
    print(f"{figures.payments} payments, {planted} of them planted; {figures.payments / figures.seconds:,.0f} judged a second")
    print(f"held: {figures.held.total()} planted, {figures.false.total()} ordinary; precision {figures.precision():.3f}")
    print(
        f"ordinary payments held: {figures.false_positive_rate(warm=False):.3%} of the year, "
        f"{figures.false_positive_rate(warm=True):.3%} after the first {COLD_MONTHS} months"
    )
    print("\nplanted                  events  caught  recall  payments  held")
    for kind in KINDS:
        events, caught = len(figures.events[kind]), len(figures.caught[kind])
        print(f"{kind:24} {events:6} {caught:7} {figures.recall(kind):7.2f} {figures.planted[kind]:9} {figures.held[kind]:5}")
    print("\nrule                     fired  on planted  precision  ordinary held by it")
    for rule in FAMILIES:
        fired, right = figures.fired[rule], figures.fired_rightly[rule]
        precision = f"{right / fired:9.2f}" if fired else "        -"
        print(f"{rule.removeprefix('habits.'):24} {fired:5} {right:11}  {precision} {figures.false_by_rule[rule]:12}")
    print("\nmonth  ordinary  held  rate")
    for month in range(1, 13):
        ordinary, false = figures.ordinary[month], figures.false[month]
        print(f"{month:5} {ordinary:9} {false:5}  {false / max(1, ordinary):.3%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--plantings", type=int, default=25)
    given = parser.parse_args()
    show(measure(Year(seed=given.seed, scale=given.scale, plantings=given.plantings).payments(), settings()))
