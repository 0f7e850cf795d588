"""Payments and policies for the tests of rules, and the plainest store there is: a list of what was judged before."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.people.person import Person, Role
from gateway.policy.document import Document, Policies
from gateway.policy.document_rules import of_document
from gateway.policy.judge import judge, questions
from gateway.policy.known import CreditorKey, Known, usage_of
from gateway.policy.subject import Subject
from gateway.policy.texts import answer
from gateway.policy.verdict import Finding, Outcome, Verdict

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # a Wednesday, 10:00 in Berlin
OURS = "DE89370400440532013000"
THEIRS = "IE29AIBK93115212345678"
OTHERS = "FR1420041010050500013M02606"


def subject(amount: str = "100.00", currency: str = "EUR", **changes: Any) -> Subject:
    """A payment from our account to theirs. `creditor`: their account, "" for none; `at`: when it was submitted."""
    creditor = changes.pop("creditor", THEIRS)
    number = changes.pop("number", 1)
    terms = PaymentTerms(
        debtor=Party(name="Example AG"),
        debtor_account=Account(iban=changes.pop("debtor", OURS)),
        debtor_agent=Agent(bic="COBADEFFXXX"),
        requested_execution_date=date(2026, 11, 26),
    )
    transfer = CreditTransfer(
        instruction_id=f"{number:032x}",
        end_to_end_id=f"INV-{number}",
        amount=Decimal(amount),
        currency=currency,
        creditor=Party(name="Supplier Ltd"),
        creditor_account=Account(iban=creditor) if creditor else None,
    )
    terms = replace(terms, **{name: changes.pop(name) for name in ("charge_bearer", "payment_type") if name in changes})
    transfer = replace(transfer, **{name: changes.pop(name) for name in ("creditor_agent",) if name in changes})
    given = {"caller": "erp", "connection_id": "house", "submitted_at": NOW, "submitted_by": None, **changes}
    if "at" in given:
        given["submitted_at"] = given.pop("at")
    return Subject(payment_id=f"{number:032x}", terms=terms, transfer=transfer, **given)


def document(**changes: Any) -> Document:
    """A document without a mistake; it lets everything pass unless told otherwise."""
    made = Document.model_validate({"id": "rules", "version": 7, "valid_from": "2026-01-01", "default": "pass", **changes})
    assert not list(of_document(made))
    return made


def policies(*documents: Document, **changes: Any) -> Policies:
    """Those documents, on a gateway whose connection "house" is in Berlin."""
    return Policies(documents=documents, zones={"house": BERLIN}, **changes)


Paid = dict[str, datetime] | None


def known_to(
    rules: Policies, subjects: Iterable[Subject], before: Iterable[Subject] = (), paid: dict[str, datetime] | None = None
) -> Known:
    """What a store answers: `before` was judged and counts, accounts in `paid` were first paid at those moments."""
    usage, creditors = set(), set()
    for one in subjects:
        needs = questions(rules, one, NOW)
        usage |= needs.usage
        creditors |= needs.creditors
    return Known(usage=usage_of(before, usage), creditors={key: _first(key, paid or {}) for key in creditors})


def _first(key: CreditorKey, paid: dict[str, datetime]) -> datetime | None:
    return paid.get(key.creditor_account)


def found(rules: Policies, one: Subject, before: Iterable[Subject] = (), paid: Paid = None) -> list[Finding]:
    """What the rules say of one payment."""
    return list(judge(rules, one, known_to(rules, [one], before, paid), NOW))


def told(findings: Iterable[Finding]) -> list[str]:
    """Findings as people read them."""
    return [answer(finding)[0] for finding in findings]


def outcome(findings: Iterable[Finding]) -> Outcome:
    """The strongest."""
    return Verdict(findings=tuple(findings)).outcome


def person(name: str, *groups: str, roles: tuple[Role, ...] = (Role.APPROVER,), connections: tuple[str, ...] = ("*",)) -> Person:
    """Somebody with an account."""
    return Person(name=name, roles=frozenset(roles), groups=frozenset(groups), connections=connections)
