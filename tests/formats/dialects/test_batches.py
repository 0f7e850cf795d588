"""What one request carries, at every bank that takes several payments in one: whatever the check took."""

import io
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.banks.boc import BANK as BOC
from formats.banks.cib import BANK as CIB
from formats.banks.cmb import BANK as CMB
from formats.banks.cmb_cloud import BANK as CMB_CLOUD
from formats.banks.icbc import BANK as ICBC
from formats.banks.spdb import BANK as SPDB
from formats.dialects.dialect import Dialect
from formats.errors import refusing
from formats.model import Account, Agent, CreditTransfer, Party, PaymentInitiation, PaymentType, RemittanceInformation
from tests.formats.dialects.payments import DAY, TERMS, TRANSFER, message_of


def rendered(bank: Dialect[Any], message: PaymentInitiation) -> bytes:
    out = io.BytesIO()
    bank.render(message, out)
    return out.getvalue()


def with_batch(bank: Dialect[Any], **more: object) -> Dialect[Any]:
    return bank.configured({**bank.settings.model_dump(exclude_unset=True), "batch": True, **more})


BANKS = {
    "cib": with_batch(CIB),
    "cmb": with_batch(CMB),
    "cmb_cloud": with_batch(CMB_CLOUD),
    "icbc": with_batch(ICBC),
    "spdb": with_batch(SPDB),
    "boc, companies": with_batch(BOC, batch_kind="company"),
    "boc, persons": with_batch(BOC, batch_kind="person"),
}
OURS = {"boc, companies": "700000000001", "boc, persons": "700000000001"}

WORDS = st.tuples(
    st.sampled_from(((), (("cn.payee_type", "person"),), (("cn.payee_type", "company"),))),
    st.sampled_from(((), (("cn.own_bank", "yes"),), (("cn.own_bank", "no"),))),
    st.sampled_from(((), (("cn.same_city", "yes"),), (("cn.same_city", "no"),))),
    st.sampled_from(((), (("cn.city", "深圳"),), (("cn.city", "深圳"), ("cn.province", "广东")))),
    st.sampled_from(((), (("cn.rail", "HVPS"),), (("cn.rail", "BEPS"),), (("cn.rail", "IBPS"),))),
)
TRANSFERS = st.builds(
    lambda amount, name, lines, words, agent: replace(
        TRANSFER,
        amount=amount,
        creditor=Party(name=name),
        remittance_information=RemittanceInformation(unstructured=lines),
        supplementary=tuple(pair for some in words for pair in some),
        creditor_agent=agent,
    ),
    st.decimals(Decimal("0.01"), Decimal("99999999999.99"), places=2),
    st.sampled_from(("乙公司", "丙 & 丁", "A|B", "李四", "名" * 40)),
    st.sampled_from((("货款",), ("货款", "一月"), ("<用途>",), ("a|b",), ("用途" * 20,))),
    WORDS,
    st.sampled_from(
        (
            TRANSFER.creditor_agent,
            None,
            Agent(name="某银行"),
            Agent(clearing_system_id="CNAPS", clearing_system_member_id="309391000011", name="兴业银行某支行"),
            Agent(clearing_system_id="CNAPS", clearing_system_member_id="104100000004", name="中国银行某支行"),
        )
    ),
)


@pytest.mark.parametrize("name", BANKS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much], max_examples=25)
@given(mix=st.lists(TRANSFERS, min_size=1, max_size=40), urgent=st.booleans())
def test_what_a_check_took_is_never_held_because_of_its_neighbours(name: str, mix: list[CreditTransfer], urgent: bool) -> None:
    bank = BANKS[name]
    terms = replace(TERMS, payment_type=PaymentType(service_level="URGP") if urgent else None)
    terms = replace(terms, debtor_account=Account(other_id=OURS.get(name, "117000000000000001")))
    (message_name, *_) = bank.capabilities.sends  # the one that the gateway takes
    taken = [one for one in mix if not refusing(bank.check(terms, one, DAY, message_name))]
    most = bank.capabilities.transfers_max
    assert most > 1
    for start in range(0, len(taken), most):
        group = [replace(one, instruction_id=f"I{start + at}") for at, one in enumerate(taken[start : start + most])]
        assert rendered(bank, message_of(message_name, *group, terms=terms))


@pytest.mark.parametrize("name", BANKS)
def test_the_mixes_hold_payments_that_each_bank_takes(name: str) -> None:
    account = Account(other_id=OURS.get(name, "117000000000000001"))
    terms = replace(TERMS, debtor_account=account)
    kind = (("cn.payee_type", "person"),) if name == "boc, persons" else ()
    usual = replace(TRANSFER, supplementary=(("cn.city", "深圳"), ("cn.own_bank", "no"), *kind))
    bank = BANKS[name]
    assert refusing(bank.check(terms, usual, DAY)) == ()
    (message_name, *_) = bank.capabilities.sends
    assert rendered(bank, message_of(message_name, usual, replace(usual, instruction_id="I2"), terms=terms))
