"""Renminbi across borders (CIPS) goes through the ISO formats, not through the banks' domestic dialects."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from formats.bank import bank_named
from formats.errors import refusing
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentBlock,
    PaymentInitiation,
    PaymentTerms,
    PostalAddress,
    RemittanceInformation,
)
from formats.schemas import validate_outbound

DAY = date(2026, 11, 26)
TERMS = PaymentTerms(
    debtor=Party(name="Meridian Tools Ltd", postal_address=PostalAddress(town_name="Leeds", country="GB")),
    debtor_account=Account(iban="GB29NWBK60161331926819"),
    debtor_agent=Agent(bic="NWBKGB2L"),
    requested_execution_date=DAY,
    charge_bearer="SHAR",
)
TRANSFER = CreditTransfer(
    instruction_id="I1",
    end_to_end_id="E1",
    amount=Decimal("88000.50"),
    currency="CNY",
    creditor=Party(name="Shenzhen Example Co", postal_address=PostalAddress(town_name="Shenzhen", country="CN")),
    creditor_account=Account(other_id="755900000000001"),
    creditor_agent=Agent(bic="CMBCCNBS"),
    purpose="GDDS",
    remittance_information=RemittanceInformation(unstructured=("Contract 2026-77",)),
)


@pytest.mark.parametrize("name", ["iso20022", "cgi_cross_border"])
@pytest.mark.parametrize("version", ["pain.001.001.09", "pain.001.001.03"])
def test_yuan_across_borders_is_taken_and_written_by_the_schema(name: str, version: str) -> None:
    bank = bank_named(name)
    assert refusing(bank.check(TERMS, TRANSFER, DAY, version)) == ()
    message = PaymentInitiation(
        message_id="M1",
        message_name=version,
        creation_date_time=datetime(2026, 11, 26, 9, tzinfo=UTC),
        initiating_party=Party(name="Meridian Tools Ltd"),
        blocks=(
            PaymentBlock(
                payment_information_id="B1",
                terms=TERMS,
                count=1,
                control_sum=TRANSFER.amount,
                transfers=lambda: (TRANSFER,),
            ),
        ),
    )
    out = io.BytesIO()
    bank.render(message, out)
    assert b'Ccy="CNY">88000.50<' in out.getvalue()
    out.seek(0)
    validate_outbound(out, version)


def test_a_payment_to_china_without_a_purpose_is_asked_back_about() -> None:
    found = bank_named("cgi_cross_border").check(TERMS, replace(TRANSFER, purpose=None), DAY)
    assert ("cross-border.purpose", "warning") in [(one.rule, one.severity) for one in found]


@pytest.mark.parametrize("name", ["icbc", "cib", "boc", "cmb_cloud"])
def test_a_domestic_dialect_refuses_another_currency_and_says_where_it_belongs(name: str) -> None:
    found = refusing(bank_named(name).check(TERMS, replace(TRANSFER, currency="USD"), DAY))
    (told,) = [one for one in found if one.rule == "cn.currency"]
    assert "cross-border" in told.message_en
    assert "跨境" in told.message_zh


def test_cnh_is_no_currency_code() -> None:
    assert "currency.unknown" in {one.rule for one in bank_named("icbc").check(TERMS, replace(TRANSFER, currency="CNH"), DAY)}
