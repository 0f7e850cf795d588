"""What rules find, and what follows from all of it together."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """What a finding asks for. Of several the strongest counts."""

    PASS = 0  # nothing stands against it
    APPROVAL = 1  # people have to approve it
    HOLD = 2  # a person has to look at it first
    BLOCK = 3  # it must not go


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStep:
    """One step of a chain: so many different people of a group."""

    group: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says of one payment.

    `rule` and `version` name the rule as its document does; the texts say why in a person's words, without account numbers;
    `facts` are what it was decided by (name and value, account numbers masked), so that it can be followed later.
    """

    rule: str
    version: int
    outcome: Outcome
    text_en: str
    text_zh: str
    score: int | None = None  # 0 to 100, of rules that weigh
    facts: tuple[tuple[str, str], ...] = ()
    steps: tuple[ApprovalStep, ...] = ()  # APPROVAL only: in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings about one payment; the first of the strongest is the one that is told."""

    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """The strongest; PASS if there is no finding."""
        return max((finding.outcome for finding in self.findings), default=Outcome.PASS)

    @property
    def leading(self) -> Finding | None:
        """The finding that is told; None if nothing stands against the payment."""
        return next((one for one in self.findings if one.outcome is self.outcome and one.outcome is not Outcome.PASS), None)


def verdict_of(*groups: Sequence[Finding]) -> Verdict:
    """The findings of several kinds of rules as one verdict."""
    return Verdict(findings=tuple(finding for group in groups for finding in group))
