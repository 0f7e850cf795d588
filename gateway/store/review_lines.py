"""What was judged, as lines of the audit log: in the transaction of the verdicts, for both stores.

What a rule stopped, and what was judged otherwise than before, is a line of its own, by the payment's id. What passed at once is
one line for all that were judged together, with every id and the rules by which it passed: a line each would be as much as the
payments themselves. Findings' texts and facts are left out (they name people); they stand in the review and in the events.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gateway.audit.lines import by_itself
from gateway.audit.record import AuditRecord
from gateway.policy.verdict import Finding, Outcome, Verdict
from gateway.store.reviews import Judged

BY_NO_RULE: Final = "no rule stands against it"
UNCHANGED: Final = "as before"


def lines_of(rules: str, judged: Sequence[Judged]) -> list[AuditRecord]:
    """The lines about these verdicts. `rules`: the digest of all checks that judged, as `rules.in_force` lists them by name."""
    passed: dict[str, list[str]] = defaultdict(list)
    lines: list[AuditRecord] = []
    for one in judged:
        if one.review is not None and not one.steps and one.told is None:
            passed[UNCHANGED].append(one.payment_id)
        elif one.review is None and one.verdict.outcome is Outcome.PASS:
            passed[_by(one.verdict)].append(one.payment_id)
        else:
            lines.append(_line(rules, one))
    if passed:
        count = sum(map(len, passed.values()))
        lines.append(by_itself("payments.passed", "payments", rules, count=count, by=dict(passed)))
    return lines


def _line(rules: str, one: Judged) -> AuditRecord:
    return by_itself(
        "payment.judged",
        "payment",
        one.payment_id,
        verdict=one.verdict.outcome.name.lower(),
        state=one.steps[-1].state.value if one.steps else None,
        reason=one.told.code if one.told is not None else None,
        findings=list(_findings(one.verdict.findings)),
        content=one.digest.hex(),
        rules=rules,
        again=one.review is not None,
    )


def _by(verdict: Verdict) -> str:
    """The rules that let a payment pass, in order."""
    return ", ".join(f"{one.rule} version {one.version}" for one in verdict.findings) or BY_NO_RULE


def _findings(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    for one in findings:
        told = {"rule": one.rule, "version": one.version, "outcome": one.outcome.name.lower(), "score": one.score}
        if one.steps:
            told["steps"] = [[step.group, step.count] for step in one.steps]
        yield told
