"""The worked examples of docs/policies.md: the files as they stand there, and the answers that the page promises."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from formats.model import PaymentType
from gateway.lifecycle import PaymentState
from gateway.policy.chain import standing_of, state
from gateway.policy.document import Document
from gateway.policy.document_rules import of_all, of_document
from gateway.policy.verdict import Outcome, Verdict
from tests.policy.cases import NOW, OTHERS, THEIRS, found, outcome, policies, subject, told

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"```toml\n# (policies/[\w-]+\.toml)\n.*?```\n(.*?)(?=\n## )", PAGE, re.DOTALL))
FILES = dict(re.findall(r"```toml\n# (policies/[\w-]+\.toml)\n(.*?)```", PAGE, re.DOTALL))
PROMISES = [
    (file, payment, promised)
    for file, after in SECTIONS.items()
    for payment, promised in re.findall(r"^\| ([A-Z]{3} [^|]+) \| ([^|]+) \|$", after, re.MULTILINE)
]
MEANT: dict[str, dict[str, Any]] = {
    "salary": {"payment_type": PaymentType(category_purpose="SALA")},
    "payroll": {"caller": "payroll"},
    "blocked": {"creditor": OTHERS},
}


def document_of(file: str) -> Document:
    return Document.model_validate(tomllib.loads(FILES[file]))


def test_the_page_has_the_three_examples_with_their_answers() -> None:
    assert len(FILES) == 3
    assert len(PROMISES) == 12


def test_the_examples_have_no_mistake_alone_or_together() -> None:
    documents = {file: document_of(file) for file in FILES}
    assert not [problem for document in documents.values() for problem in of_document(document)]
    assert not list(of_all(list(documents.items())))


@pytest.mark.parametrize(("file", "payment", "promised"), PROMISES)
def test_an_answer_is_the_one_the_page_promises(file: str, payment: str, promised: str) -> None:
    currency, amount, *words = payment.split()
    changes = {name: value for word in words if word in MEANT for name, value in MEANT[word].items()}
    paid = {THEIRS: NOW - timedelta(days=40)} if "known" in words else {}
    findings = found(policies(document_of(file)), subject(amount, currency, **changes), paid=paid)
    strongest = [finding for finding in findings if finding.outcome is outcome(findings)]
    assert told(strongest)[0] == promised


def test_the_answer_of_the_issue_is_one_of_the_examples() -> None:
    findings = found(policies(document_of("policies/two-people.toml")), subject(), [subject(number=2), subject(number=3)])
    leading = Verdict(findings=tuple(findings)).leading
    assert leading is not None
    assert told([leading]) == ["held: third payment to a new beneficiary today; rule new-beneficiary-velocity, version 1"]


def test_a_payroll_that_another_system_sends_is_not_the_payrolls() -> None:
    rules = policies(*(document_of(file) for file in FILES))
    one = subject("3000", payment_type=PaymentType(category_purpose="SALA"))
    assert {finding.rule for finding in found(rules, one)} == {"up-to-ten-thousand", "group-treasury.default"}
    assert state(standing_of(one, Verdict(findings=tuple(found(rules, one))))) is PaymentState.AWAITING_APPROVAL


def test_outside_office_hours_in_the_time_zone_of_the_connection() -> None:
    late = subject("1", at=NOW + timedelta(hours=9))  # 19:00 in Berlin
    findings = found(policies(document_of("policies/group-treasury.toml")), late)
    assert outcome(findings) is Outcome.HOLD
    assert "submitted at 19:00, outside office hours" in {finding.text_en for finding in findings}
