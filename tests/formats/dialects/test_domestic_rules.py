"""What holds for every domestic payment in China, and the rules that a bank makes of its widths and characters."""

from dataclasses import replace
from typing import Any

import pytest

from formats.model import Account, CreditTransfer, Party, PaymentTerms, RemittanceInformation, StructuredRemittance
from formats.pain001_versions import VERSIONS
from formats.rules import RuleSet
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.rule import Setting
from tests.formats.dialects.payments import DAY, TERMS, TRANSFER, transfer

SETTING = Setting(DAY, VERSIONS["pain.001.001.09"], 15, frozenset({"CNY"}))
OWN = widths("x", "invented", Widths(payee_name=10, remark=4, payer_name=6), forbidden="<>&")
RULES = RuleSet((DOMESTIC, OWN))


def broken(changed: CreditTransfer = TRANSFER, terms: PaymentTerms = TERMS) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in RULES.check(terms, changed, SETTING)]


def said(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"cn.{name}", value) for name, value in values.items())


def lines(*texts: str) -> RemittanceInformation:
    return RemittanceInformation(unstructured=texts)


def test_an_everyday_payment_breaks_nothing() -> None:
    assert broken() == []


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"currency": "EUR"}, "currency", "cn.currency"),
    ({"creditor": Party()}, "creditor.name", "payee.required"),
    ({"creditor": Party(name="a\nb")}, "creditor.name", "text.characters"),
    ({"creditor": Party(name="李𠮷")}, "creditor.name", "x.encoding"),
    ({"creditor": Party(name="a&amp;b")}, "creditor.name", "x.forbidden-characters"),
    ({"creditor": Party(name="六个汉字过宽")}, "creditor.name", "x.payee-name-width"),
    ({"creditor_account": Account(iban="DE89370400440532013000")}, "creditor_account.iban", "cn.account-number"),
    ({"remittance_information": lines("a", "b", "c")}, "remittance_information.unstructured", "cn.remittance-lines"),
    ({"remittance_information": lines("a", "三个字")}, "remittance_information.unstructured[1]", "x.remark-width"),
    (
        {"remittance_information": lines("a", "b"), "supplementary": said(remark="c")},
        "supplementary.cn.remark",
        "cn.remark-twice",
    ),
    (
        {"remittance_information": RemittanceInformation(structured=(StructuredRemittance(additional_information="y"),))},
        "remittance_information.structured",
        "cn.remittance-structured",
    ),
    ({"supplementary": said(rail="SWIFT")}, "supplementary.cn.rail", "cn.supplementary"),
    ({"supplementary": said(sity="深圳")}, "supplementary", "cn.supplementary"),
    ({"supplementary": said(city="深\n圳")}, "supplementary.cn.city", "cn.supplementary-characters"),
    ({"supplementary": said(city="𠮷")}, "supplementary.cn.city", "x.encoding"),
    ({"supplementary": said(remark="a<b")}, "supplementary.cn.remark", "x.forbidden-characters"),
]


@pytest.mark.parametrize(("changes", "field", "rule"), CASES, ids=[f"{rule} {field}" for _, field, rule in CASES])
def test_each_rule_finds_what_it_is_for_and_nothing_else_is_found(changes: dict[str, Any], field: str, rule: str) -> None:
    assert broken(transfer(**changes)) == [(field, rule)]


def test_the_payers_side_is_held_to_its_widths_too() -> None:
    assert broken(terms=replace(TERMS, debtor=Party(name="四个汉字"))) == [("debtor.name", "x.payer-name-width")]


def test_an_account_number_is_held_to_its_shape_and_to_the_encoding() -> None:
    found = broken(transfer(creditor_account=Account(other_id="账号😀")))
    assert {rule for _, rule in found} == {"cn.account-shape", "x.encoding"}


@pytest.mark.parametrize("junk", [None, 7, ("a",), (("a",),), ((1, 2),), (("cn.city", None),)], ids=repr)
def test_what_is_no_pair_of_texts_in_supplementary_raises_nothing(junk: Any) -> None:
    assert all(isinstance(rule, str) for _, rule in broken(transfer(supplementary=junk)))
