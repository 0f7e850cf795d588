"""What the policies say of a payment. Pure: the same payment, figures and moment give the same findings, also in the simulation.

needs    = questions(policies, subject, now)       what has to be looked up; of many payments, put together with |
findings = judge(policies, subject, known, now)    what the rules say; () if nothing stands against it
findings = judge_in_order(policies, subjects, known, now)    many, each counted for those after it
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import product
from typing import Final

from gateway.policy.conditions import Case, Match
from gateway.policy.document import Document, Limit, Policies, Velocity, When
from gateway.policy.known import DIMENSIONS, Known, Needs, Running, UsageKey
from gateway.policy.period import bounds
from gateway.policy.rules import (
    automatic_finding,
    chain_finding,
    default_finding,
    limit_finding,
    no_rate_findings,
    restriction_finding,
    velocity_finding,
)
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome

LAPSED: Final = Finding(
    rule="no-policy-in-force",
    version=0,
    outcome=Outcome.HOLD,
    text_en="every policy that was in force has ended, and none follows it",
    text_zh="所有曾生效的策略均已到期，且无后续策略",
)
"""What holds every payment where there were rules once and now there are none: nobody decided that everything may go."""


def questions(policies: Policies, subject: Subject, now: datetime) -> Needs:
    """What must be looked up before the payment can be judged at that moment."""
    usage: set[UsageKey] = set()
    creditors = set()
    for case in _cases(policies, subject, now, None):
        document = case.document
        for _, _, rule in document.rules():
            if case.matches(rule.when) is Match.NO:
                continue
            if rule.when.beneficiary is not None and (key := case.creditor_key()) is not None:
                creditors.add(key)
            if isinstance(rule, Limit | Velocity):
                usage.update(usage_keys(case, rule))
    return Needs(usage=frozenset(usage), creditors=frozenset(creditors))


def judge(policies: Policies, subject: Subject, known: Known, now: datetime) -> tuple[Finding, ...]:
    """Everything that the policies in force say of a payment. Raises `NotAsked` where `known` lacks what `questions` names."""
    zone = policies.zone(subject.connection_id)
    if policies.lapsed(now.astimezone(zone).date()):
        return (LAPSED,)
    return tuple(finding for case in _cases(policies, subject, now, known) for finding in _of_document(case, known))


def judge_in_order(
    policies: Policies, subjects: Sequence[Subject], known: Known, now: datetime, *, blocked: AbstractSet[str] = frozenset()
) -> list[tuple[Finding, ...]]:
    """Many payments, in order: each one counts for those after it, as if they came one by one.

    `known` knows nothing of them. `blocked`: ids of payments that another check refuses; they count for nobody.
    """
    running = Running(known)
    found = []
    for subject in subjects:
        findings = judge(policies, subject, running.known, now)
        if subject.payment_id not in blocked and all(finding.outcome is not Outcome.BLOCK for finding in findings):
            running.count(subject)
        found.append(findings)
    return found


def usage_keys(case: Case, rule: Limit | Velocity) -> tuple[UsageKey, ...]:
    """The totals whose sum a rule compares; none for the limit of a single payment, or where the payment lacks a dimension."""
    if rule.period == "payment" or lacking(case, rule) is not None:
        return ()
    since, until = bounds(rule.period, case.subject.submitted_at, case.zone)
    values = [_values(case, rule.when, dimension, per=dimension in rule.per) for dimension in DIMENSIONS]
    return tuple(
        UsageKey(
            connection_id=connection,
            caller=caller,
            debtor_account=debtor,
            creditor_account=creditor,
            currency=currency,
            since=since,
            until=until,
        )
        for connection, caller, debtor, creditor, currency in product(*values, _currencies(case.document, rule))
    )


def lacking(case: Case, rule: Limit | Velocity) -> str | None:
    """The dimension of the rule that the payment does not have, such as a creditor's account."""
    return next((one for one in rule.per if rule.period != "payment" and not _value_of(case.subject, one)), None)


def _cases(policies: Policies, subject: Subject, now: datetime, known: Known | None) -> Iterator[Case]:
    day = now.astimezone(policies.zone(subject.connection_id)).date()
    for document in policies.in_force(day):
        case = Case(policies=policies, document=document, subject=subject, now=now, known=known)
        if case.in_scope():
            yield case


def _of_document(case: Case, known: Known) -> Iterator[Finding]:
    """The strictest kinds first: of equally strong findings the first is told."""
    document = case.document
    for restriction in document.restrictions:
        if _applies(case, restriction.when):
            yield from restriction_finding(case, restriction)
    for limit in document.limits:
        match case.matches(limit.when):
            case Match.NO_RATE:
                yield from no_rate_findings(case, limit, limit.steps)
            case Match.YES:
                keys = usage_keys(case, limit)
                yield from limit_finding(case, limit, [(key, known.used(key)) for key in keys], lacking(case, limit))
    for velocity in document.velocity:
        match case.matches(velocity.when):
            case Match.NO_RATE:
                yield from no_rate_findings(case, velocity, velocity.steps)
            case Match.YES:
                count = sum(known.used(key).count for key in usage_keys(case, velocity))
                yield from velocity_finding(case, velocity, count, lacking(case, velocity))
    yield from _people(case)


def _people(case: Case) -> Iterator[Finding]:
    """Who has to approve it: nobody where an automatic rule matches; else every chain that does; else as the default says."""
    document = case.document
    automatic = next((rule for rule in document.automatic if case.matches(rule.when) is Match.YES), None)
    if automatic is not None:
        yield automatic_finding(case, automatic)
        return
    asked = False
    for chain in document.chains:
        match case.matches(chain.when):
            case Match.NO_RATE:
                asked = True
                yield from no_rate_findings(case, chain, chain.steps)
            case Match.YES:
                asked = True
                yield chain_finding(case, chain)
    if not asked and document.default != "pass":
        yield default_finding(case)


def _applies(case: Case, when: When) -> bool:
    """A restriction counts also where an amount cannot be compared: it only ever says no."""
    return case.matches(when) is not Match.NO


def _values(case: Case, when: When, dimension: str, *, per: bool) -> tuple[str, ...]:
    """The values of a dimension that a total runs over: the payment's own, those the rule is about, or all ("")."""
    if per:
        return (_value_of(case.subject, dimension),)
    name = {"connection": "connections", "caller": "callers", "debtor_account": "debtor_accounts"}.get(dimension)
    given = [value for one in (case.document.scope, when) if name and (value := getattr(one, name)) is not None]
    return tuple(sorted(set(given[0]).intersection(*given[1:]))) if given else ("",)


def _value_of(subject: Subject, dimension: str) -> str:
    return str(getattr(subject, "connection_id" if dimension == "connection" else dimension))


def _currencies(document: Document, rule: Limit | Velocity) -> tuple[str, ...]:
    if isinstance(rule, Velocity):
        return ("",)
    others = document.rates.per_unit if rule.convert and document.rates is not None else ()
    return (rule.currency, *(one for one in sorted(others) if one != rule.currency))
