"""Reviews and decisions as rows, for every store; and from rows. The columns of each are those of the stores' SELECTs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from gateway.people.person import FactorProof, Person, Role
from gateway.policy.chain import Choice, Decision
from gateway.policy.subject import Past
from gateway.policy.verdict import ApprovalStep, Finding, Outcome, Verdict
from gateway.store import codec
from gateway.store.records import PaymentChange
from gateway.store.reviews import Decided, Facts, Judged, Review, Signed
from gateway.store.rows import Moment

REVIEWER: Final = "review"  # the source of what judging leads to
REVIEW_COLUMNS: Final = ("number", "version", "digest", "rules", "findings", "judged_at")
SIGNED_COLUMNS: Final = (
    *("decision", "person", "person_then", "digest", "holds", "reason", "factor_kind", "factor_id", "factor_at"),
    *("factor_bound_to", "factor_evidence", "caller", "address", "decided_at"),
)
PAST_COLUMNS: Final = (
    *("caller", "connection_id", "submitted_at", "debtor_account", "creditor_account", "creditor_name", "creditor_country"),
    *("amount", "currency", "requested_execution_date", "end_to_end_id", "remittance"),
)
PAID: Final = ("sent", "accepted", "settled")  # the bank has it, and it did not come back

_findings_of = msgspec.json.Decoder(list[dict[str, Any]]).decode


def findings_column(verdict: Verdict) -> str:
    """The findings as JSON."""
    return codec.json_list(
        {
            "rule": one.rule,
            "version": one.version,
            "outcome": int(one.outcome),
            "en": one.text_en,
            "zh": one.text_zh,
            "score": one.score,
            "facts": one.facts,
            "steps": [[step.group, step.count] for step in one.steps],
        }
        for one in verdict.findings
    )


def verdict_of(column: str) -> Verdict:
    """The verdict of a column value."""
    return Verdict(
        findings=tuple(
            Finding(
                rule=one["rule"],
                version=one["version"],
                outcome=Outcome(one["outcome"]),
                text_en=one["en"],
                text_zh=one["zh"],
                score=one["score"],
                facts=tuple((name, value) for name, value in one["facts"]),
                steps=tuple(ApprovalStep(group=group, count=count) for group, count in one["steps"]),
            )
            for one in _findings_of(column)
        )
    )


def facts_columns(facts: Facts) -> tuple[Any, ...]:
    """Debtor account, creditor account, name and key, country, amount, currency, requested date, end-to-end id and remittance.
    The moment of the submission is left out: each store writes it its own way."""
    return (
        facts.debtor_account,
        facts.creditor_account,
        facts.creditor_name,
        facts.creditor_key,
        facts.creditor_country,
        f"{facts.amount:f}",
        facts.currency,
        facts.requested_execution_date.isoformat(),
        facts.end_to_end_id,
        facts.remittance,
    )


def changes_of(moved: Judged | Decided, source: str) -> Iterator[PaymentChange]:
    """The steps of a payment as changes, each at the version that the one before leads to."""
    for place, step in enumerate(moved.steps):
        yield PaymentChange(
            payment_id=moved.payment_id,
            version=moved.version + place,
            event=step.event,
            state=step.state,
            reason=step.reason,
            source=source,
        )


def signed_columns(signed: Signed, moment: Callable[[datetime], Any]) -> tuple[Any, ...]:
    """`SIGNED_COLUMNS`."""
    decision, factor, person = signed.decision, signed.factor, signed.decision.person
    then = {"roles": sorted(person.roles), "groups": sorted(person.groups), "connections": person.connections}
    return (
        *(decision.choice.value, person.name, msgspec.json.encode(then).decode(), decision.digest),
        *(codec.json_list(sorted(decision.holds)), signed.reason, factor.kind, factor.factor_id, moment(factor.at)),
        *(factor.bound_to, factor.evidence, signed.caller, signed.address, moment(decision.at)),
    )


def still_may(person: Person, account: Sequence[Any]) -> bool:
    """Whether an account (roles, groups, connections as JSON, disabled) is that of the person as they decided."""
    roles, groups, connections, disabled = account
    now = (frozenset(msgspec.json.decode(text, type=list[str])) for text in (roles, groups, connections))
    return not disabled and tuple(now) == (frozenset(person.roles), person.groups, frozenset(person.connections))


def review_of(payment_id: str, row: Sequence[Any], moment: Moment) -> Review:
    """`REVIEW_COLUMNS`."""
    return Review(
        payment_id=payment_id,
        number=row[0],
        version=row[1],
        digest=bytes(row[2]),
        rules=row[3],
        verdict=verdict_of(row[4]),
        judged_at=moment(row[5]),
    )


class _Then(msgspec.Struct):
    roles: list[str]
    groups: list[str]
    connections: list[str]


def signed_of(row: Sequence[Any], moment: Moment) -> Signed:
    """`SIGNED_COLUMNS`."""
    then = msgspec.json.decode(row[2], type=_Then)
    person = Person(
        name=row[1],
        roles=frozenset(Role(role) for role in then.roles),
        groups=frozenset(then.groups),
        connections=tuple(then.connections),
    )
    holds = frozenset(msgspec.json.decode(row[4], type=list[str]))
    return Signed(
        decision=Decision(choice=Choice(row[0]), person=person, digest=bytes(row[3]), at=moment(row[13]), holds=holds),
        reason=row[5],
        factor=FactorProof(kind=row[6], factor_id=row[7], at=moment(row[8]), bound_to=row[9], evidence=row[10]),
        caller=row[11],
        address=row[12],
    )


def past_of(payment_id: str, state: str, row: Sequence[Any], moment: Moment) -> Past:
    """`PAST_COLUMNS`."""
    return Past(
        payment_id=payment_id,
        caller=row[0],
        connection_id=row[1],
        submitted_at=moment(row[2]),
        debtor_account=row[3],
        creditor_account=row[4],
        creditor_name=row[5],
        creditor_country=row[6],
        amount=Decimal(row[7]),
        currency=row[8],
        requested_execution_date=date.fromisoformat(row[9]),
        end_to_end_id=row[10],
        remittance=row[11],
        state=codec.PAYMENT_STATES[state],
    )
