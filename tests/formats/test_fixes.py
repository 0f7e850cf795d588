"""A fix that is offered is one that passes: put in place of the value, no rule speaks of that field any more."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.bank import BankFormat, bank_named
from formats.model import CreditTransfer, Party, PaymentTerms, PaymentType, RemittanceInformation

SEPA = bank_named("sepa")
WRITTEN = st.text("abÄß№…|\\⁄_“”–€\t\u200b 中&", min_size=1, max_size=80)


def _broken(
    terms: PaymentTerms, transfer: CreditTransfer, payments: SimpleNamespace, field: str, bank: BankFormat = SEPA
) -> dict[str, str | None]:
    found = bank.check(terms, transfer, payments.day, "pain.001.001.09")
    return {violation.rule: violation.fix for violation in found if violation.field == field}


def _settled(
    put, text: str, terms: PaymentTerms, transfer: CreditTransfer, payments: SimpleNamespace, field: str, bank: BankFormat = SEPA
) -> None:
    """Applies fixes one after the other: each ends the rule that offered it, and what is left offers none or ends too."""
    for _ in range(3):
        broken = _broken(terms, put(transfer, text), payments, field, bank)
        offered = {rule: fix for rule, fix in broken.items() if fix is not None}
        for rule, fix in offered.items():
            after = _broken(terms, put(transfer, fix), payments, field, bank)
            assert rule not in after
            assert not set(after) - set(broken), "the fix breaks no rule that was kept before"
        if not offered:
            return
        text = next(iter(offered.values()))


@given(text=WRITTEN)
def test_a_fixed_name_passes(payments: SimpleNamespace, text: str) -> None:
    _settled(
        lambda transfer, name: replace(transfer, creditor=Party(name=name)),
        text,
        payments.sepa_terms(),
        payments.sepa_transfer(),
        payments,
        "creditor.name",
    )


@given(text=WRITTEN)
def test_a_fixed_identifier_passes(payments: SimpleNamespace, text: str) -> None:
    _settled(
        lambda transfer, value: replace(transfer, end_to_end_id=value),
        text,
        payments.sepa_terms(),
        payments.sepa_transfer(),
        payments,
        "end_to_end_id",
    )


@given(text=WRITTEN)
def test_a_fixed_remittance_line_passes(payments: SimpleNamespace, text: str) -> None:
    _settled(
        lambda transfer, line: replace(transfer, remittance_information=RemittanceInformation(unstructured=(line,))),
        text,
        payments.sepa_terms(),
        payments.sepa_transfer(),
        payments,
        "remittance_information.unstructured[0]",
    )


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        ("salary", {"text.too-long": None, "code.form": None}),
        ("sala ", {"text.too-long": None, "code.form": "SALA"}),
        ("ÄX", {"code.form": None}),
    ],
)
def test_a_code_is_only_mended_into_one_that_fits(payments: SimpleNamespace, code: str, broken: dict[str, str | None]) -> None:
    transfer = replace(payments.sepa_transfer(), purpose=code)
    assert _broken(payments.sepa_terms(), transfer, payments, "purpose") == broken


def test_a_service_level_is_not_mended_beside_a_proprietary_one(payments: SimpleNamespace) -> None:
    terms = replace(payments.sepa_terms(), payment_type=PaymentType(service_level_proprietary="FAST"))
    broken = _broken(terms, payments.sepa_transfer(), payments, "payment_type.service_level")
    assert broken == {"sepa.service-level": None}


@pytest.mark.parametrize(("name", "level"), [("ch_sps", None), ("de_dk", "URGP"), ("cgi_cross_border", "NURG")])
@given(text=WRITTEN)
def test_fixes_of_other_schemes_pass_too(payments: SimpleNamespace, name: str, level: str | None, text: str) -> None:
    bank = bank_named(name)
    kind = PaymentType(service_level=level) if level else None
    terms, transfer = replace(payments.sepa_terms(), payment_type=kind, charge_bearer="SHAR"), payments.sepa_transfer()
    for field, put in (
        ("creditor.name", lambda transfer, value: replace(transfer, creditor=replace(transfer.creditor, name=value))),
        ("end_to_end_id", lambda transfer, value: replace(transfer, end_to_end_id=value)),
    ):
        _settled(put, text, terms, transfer, payments, field, bank)
