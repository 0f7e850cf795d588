"""Every rule of every bank: what breaks it, where it is reported, and that nothing makes a check raise."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.bank import discover
from formats.banks.iso20022 import BANK as ISO
from formats.banks.sepa import BANK as SEPA_BANK
from formats.errors import Violation
from formats.iso20022 import STANDARD_PACKS, IsoBank
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.rules.rule import HERE, Pack, Rule
from formats.rules.sepa import SEPA_ALWAYS

Payment = tuple[PaymentTerms, CreditTransfer]
Change = Callable[[PaymentTerms, CreditTransfer], Payment]
ON = date(2026, 11, 24)
OLD = "pain.001.001.03"


def terms(**fields: Any) -> Change:
    return lambda terms, transfer: (replace(terms, **fields), transfer)


def kind(**fields: Any) -> Change:
    return terms(payment_type=PaymentType(**fields))


def transfer(**fields: Any) -> Change:
    return lambda terms, transfer: (terms, replace(transfer, **fields))


def creditor(**fields: Any) -> Change:
    return lambda terms, transfer: (terms, replace(transfer, creditor=replace(transfer.creditor, **fields)))


def address(**fields: Any) -> Change:
    return creditor(postal_address=PostalAddress(**{"town_name": "Lyon", "country": "FR"} | fields))


def organisation(**fields: Any) -> Change:
    return creditor(organisation=OrganisationIdentification(**fields))


def person(**fields: Any) -> Change:
    return creditor(person=PrivateIdentification(**fields))


def iban(value: str) -> Change:
    return transfer(creditor_account=Account(iban=value))


def document(**fields: Any) -> Change:
    return transfer(remittance_information=RemittanceInformation(structured=(StructuredRemittance(**fields),)))


def lines(*texts: str) -> Change:
    return transfer(remittance_information=RemittanceInformation(unstructured=texts))


REMITTED = "remittance_information.structured[0]"
LINE = "remittance_information.unstructured[0]"
PLACE = "creditor.postal_address"

# (what is changed, rule, field, fix, message). The payment is an everyday SEPA one; rules of `common` are put to one that asks
# for no service level, so that only they can speak.
COMMON_CASES: list[tuple[Change, str, str, str | None, str | None]] = [
    (transfer(instruction_id=None), "field.required", "instruction_id", None, None),
    (transfer(end_to_end_id=None), "field.required", "end_to_end_id", None, None),
    (transfer(amount=None), "field.required", "amount", None, None),
    (transfer(currency=None), "field.required", "currency", None, None),
    (terms(debtor=None), "field.required", "debtor", None, None),
    (terms(debtor_account=None), "field.required", "debtor_account", None, None),
    (terms(debtor_agent=None), "field.required", "debtor_agent", None, None),
    (terms(requested_execution_date=None), "field.required", "requested_execution_date", None, None),
    (terms(debtor=Party()), "payer.required", "debtor.name", None, None),
    (transfer(creditor=None), "payee.required", "creditor", None, None),
    (creditor(name=None), "payee.required", "creditor.name", None, None),
    (transfer(creditor_account=None), "payee.required", "creditor_account", None, None),
    (terms(requested_execution_date=date(2026, 11, 23)), "date.past", "requested_execution_date", None, None),
    (terms(requested_execution_date=date(2027, 11, 25)), "date.horizon", "requested_execution_date", None, None),
    (terms(requested_execution_date=datetime(2026, 11, 25)), "field.type", "requested_execution_date", None, None),  # noqa: DTZ001
    (terms(charge_bearer="OUR"), "charge-bearer.unknown", "charge_bearer", None, None),
    (terms(charge_bearer="shar"), "charge-bearer.unknown", "charge_bearer", "SHAR", None),
    (kind(instruction_priority="FAST"), "instruction-priority.unknown", "payment_type.instruction_priority", None, None),
    (kind(instruction_priority=" high"), "instruction-priority.unknown", "payment_type.instruction_priority", "HIGH", None),
    (kind(service_level="NURG", service_level_proprietary="X"), "payment-type.both", "payment_type.service_level", None, None),
    (kind(category_purpose="supp"), "code.form", "payment_type.category_purpose", "SUPP", None),
    (kind(category_purpose="SUPPX"), "text.too-long", "payment_type.category_purpose", None, None),
    (transfer(purpose="SUPP", purpose_proprietary="X"), "purpose.both", "purpose", None, None),
    (transfer(purpose="SUPPL"), "text.too-long", "purpose", None, None),
    (transfer(supplementary=(("cmb.field", "x"),)), "supplementary.unknown", "supplementary", None, None),
    (transfer(uetr="nonsense"), "uetr.form", "uetr", None, None),
    (
        transfer(uetr="7A562C67-CA16-48BA-B074-65581BE6F001"),
        "uetr.form",
        "uetr",
        "7a562c67-ca16-48ba-b074-65581be6f001",
        None,
    ),
    (transfer(uetr="7a562c67-ca16-48ba-b074-65581be6f001"), "uetr.version", "uetr", None, OLD),
    (transfer(amount=Decimal("NaN")), "amount.number", "amount", None, None),
    (transfer(amount=Decimal("Infinity")), "amount.number", "amount", None, None),
    (transfer(amount=Decimal(0)), "amount.positive", "amount", None, None),
    (transfer(amount=Decimal("-5.00")), "amount.positive", "amount", None, None),
    (transfer(amount=Decimal("1.005")), "amount.scale", "amount", None, None),
    (transfer(amount=Decimal("1E+17")), "amount.digits", "amount", None, None),
    (transfer(amount=5), "field.type", "amount", None, None),
    (transfer(currency="EUX"), "currency.unknown", "currency", None, None),
    (transfer(currency="usd"), "currency.unknown", "currency", "USD", None),
    (transfer(instruction_id=""), "text.empty", "instruction_id", None, None),
    (creditor(name="   "), "text.empty", "creditor.name", None, None),
    (transfer(end_to_end_id="x" * 36), "text.too-long", "end_to_end_id", None, None),
    (creditor(name="x" * 141), "text.too-long", "creditor.name", None, None),
    (lines("x" * 141), "text.too-long", LINE, None, None),
    (creditor(name="A\x00B"), "text.characters", "creditor.name", None, None),
    (creditor(name="A\u200bB"), "text.characters", "creditor.name", "AB", None),
    (lines("A\nB"), "text.characters", LINE, "A B", None),
    (creditor(name="\ud800"), "text.characters", "creditor.name", None, None),
    (creditor(name=7), "field.type", "creditor.name", None, None),
    (address(country="XX"), "country.unknown", f"{PLACE}.country", None, None),
    (address(country="fr"), "country.unknown", f"{PLACE}.country", "FR", None),
    (address(post_code="x" * 17), "text.too-long", f"{PLACE}.post_code", None, None),
    (address(address_line=("ok", "x" * 71)), "text.too-long", f"{PLACE}.address_line[1]", None, None),
    (address(address_line=["x"]), "field.type", f"{PLACE}.address_line", None, None),
    (address(building_name="Tower"), "address.version", f"{PLACE}.building_name", None, OLD),
    (address(address_line=("x",) * 8), "address.lines", f"{PLACE}.address_line", None, None),
    (iban("FR14 2004 1010 0505 0001 3M02 606"), "iban.form", "creditor_account.iban", "FR1420041010050500013M02606", None),
    (iban("ZZ1420041010050500013M02606"), "iban.country", "creditor_account.iban", None, None),
    (iban("FR1420041010050500013M0260"), "iban.length", "creditor_account.iban", None, None),
    (iban("FR1420041010050500013M02607"), "iban.check-digits", "creditor_account.iban", None, None),
    (transfer(creditor_account=Account()), "account.identification", "creditor_account", None, None),
    (
        transfer(creditor_account=Account(iban="FR1420041010050500013M02606", other_id="1")),
        "account.identification",
        "creditor_account",
        None,
        None,
    ),
    (
        transfer(creditor_account=Account(iban="FR1420041010050500013M02606", other_scheme="BBAN")),
        "account.scheme",
        "creditor_account.other_scheme",
        None,
        None,
    ),
    (transfer(creditor_agent=Agent(bic="COBADEF")), "bic.form", "creditor_agent.bic", None, None),
    (transfer(creditor_agent=Agent(bic="coba de ff")), "bic.form", "creditor_agent.bic", "COBADEFF", None),
    (transfer(creditor_agent=Agent(bic="COBAZZFF")), "bic.country", "creditor_agent.bic", None, None),
    (transfer(creditor_agent=Agent(bic="1234DE00")), "bic.form", "creditor_agent.bic", None, OLD),
    (
        transfer(creditor_agent=Agent(clearing_system_id="DEBLZ")),
        "agent.clearing-system",
        "creditor_agent.clearing_system_member_id",
        None,
        None,
    ),
    (organisation(lei="529900"), "lei.form", "creditor.organisation.lei", None, None),
    (organisation(lei="529900T8BM49AURSDO56"), "lei.check-digits", "creditor.organisation.lei", None, None),
    (organisation(lei="529900T8BM49AURSDO55"), "lei.version", "creditor.organisation.lei", None, OLD),
    (organisation(), "party.identification-empty", "creditor.organisation", None, None),
    (person(), "party.identification-empty", "creditor.person", None, None),
    (
        creditor(
            organisation=OrganisationIdentification(bic="COBADEFF"),
            person=PrivateIdentification(other=(OtherIdentification(id="1"),)),
        ),
        "party.identification",
        "creditor",
        None,
        None,
    ),
    (person(birth_date=date(1970, 1, 1), city_of_birth="Lyon"), "person.birth", "creditor.person.country_of_birth", None, None),
    (organisation(other=(OtherIdentification(id=None),)), "other.required", "creditor.organisation.other[0].id", None, None),  # type: ignore[arg-type]
    (
        organisation(other=(OtherIdentification(id="1", scheme_code="TXID", scheme_proprietary="X"),)),
        "other.scheme",
        "creditor.organisation.other[0].scheme_code",
        None,
        None,
    ),
    (transfer(remittance_information=RemittanceInformation()), "remittance.empty", "remittance_information", None, None),
    (document(), "remittance.document-empty", REMITTED, None, None),
    (document(document_type="CINX"), "remittance.document-type", f"{REMITTED}.document_type", None, None),
    (document(document_type="PUOR"), "remittance.document-type", f"{REMITTED}.document_type", None, OLD),
    (document(document_date=date(2026, 1, 1)), "remittance.document-typed", f"{REMITTED}.document_date", None, "pain.001.001.12"),
    (document(remitted_amount=Decimal("-1")), "remittance.remitted-amount", f"{REMITTED}.remitted_amount", None, None),
    (document(remitted_amount=Decimal("1.001")), "remittance.remitted-amount", f"{REMITTED}.remitted_amount", None, None),
    (document(creditor_reference_type="SCOR"), "remittance.reference-type", f"{REMITTED}.creditor_reference", None, None),
    (
        document(creditor_reference="RF18 5390 0754 7034"),
        "remittance.creditor-reference",
        f"{REMITTED}.creditor_reference",
        "RF18539007547034",
        None,
    ),
    (
        document(creditor_reference_type="SCOR", creditor_reference="RF19539007547034"),
        "remittance.creditor-reference",
        f"{REMITTED}.creditor_reference",
        None,
        None,
    ),
    (
        document(creditor_reference_type="QRR", creditor_reference="21 00000 00003 13947 14300 09017"),
        "remittance.qr-reference",
        f"{REMITTED}.creditor_reference",
        "210000000003139471430009017",
        None,
    ),
    (address(town_name=None), "address.unstructured", f"{PLACE}.town_name", None, None),
    (address(country=None, address_line=("x",)), "address.unstructured", f"{PLACE}.country", None, None),
    (address(address_line=("a", "b", "c")), "address.hybrid-lines", f"{PLACE}.address_line", None, None),
    (address(address_line=("1 rue X", "69001 LYON")), "address.repeated-town", f"{PLACE}.address_line[1]", None, None),
    (transfer(creditor_agent=Agent(bic="COBADEFF")), "agent.iban-country", "creditor_agent.bic", None, None),
    (
        kind(service_level="URGP", instruction_priority="NORM"),
        "instruction-priority.contradiction",
        "payment_type.instruction_priority",
        None,
        None,
    ),
    (
        kind(service_level="NURG", instruction_priority="HIGH"),
        "instruction-priority.contradiction",
        "payment_type.instruction_priority",
        None,
        None,
    ),
    (
        kind(service_level="SEPA", instruction_priority="HIGH"),
        "instruction-priority.sepa",
        "payment_type.instruction_priority",
        None,
        None,
    ),
    (kind(service_level="URGP"), "charge-bearer.slev-outside-sepa", "charge_bearer", None, None),
    (kind(service_level="NURG"), "charge-bearer.slev-doubtful", "charge_bearer", None, None),
    (
        kind(local_instrument="INST", instruction_priority="HIGH"),
        "instant.priority",
        "payment_type.instruction_priority",
        None,
        None,
    ),
    (kind(local_instrument="INST"), "instant.sepa-only", "payment_type.local_instrument", None, None),
]

SEPA_CASES: list[tuple[Change, str, str, str | None]] = [
    (transfer(creditor_account=Account(other_id="123")), "sepa.iban-only", "creditor_account.iban", None),
    (iban("BR1800360305000010009795493C1"), "sepa.country", "creditor_account.iban", None),
    (transfer(currency="USD"), "sepa.currency", "currency", None),
    (transfer(amount=Decimal("1000000000.00")), "sepa.amount-max", "amount", None),
    (terms(charge_bearer="SHAR"), "sepa.charge-bearer", "charge_bearer", "SLEV"),
    (
        document(creditor_reference_type="QRR", creditor_reference="210000000003139471430009017"),
        "sepa.reference-type",
        f"{REMITTED}.creditor_reference_type",
        None,
    ),
    (transfer(purpose_proprietary="TOOLS"), "sepa.purpose-code", "purpose_proprietary", None),
    (
        transfer(creditor_agent=Agent(bic="AGRIFRPP", clearing_system_member_id="18206")),
        "sepa.agent-bic",
        "creditor_agent.clearing_system_member_id",
        None,
    ),
    (creditor(name="x" * 71), "sepa.name-length", "creditor.name", None),
    (organisation(bic="COBADEFF", lei="529900T8BM49AURSDO55"), "sepa.one-identification", "creditor.organisation", None),
    (
        person(other=(OtherIdentification(id="1"), OtherIdentification(id="2"))),
        "sepa.one-identification",
        "creditor.person",
        None,
    ),
    (lines("one", "two"), "sepa.remittance-one", "remittance_information", None),
    (
        document(creditor_reference="RF18539007547034", additional_information="x" * 120),
        "sepa.structured-length",
        REMITTED,
        None,
    ),
    (transfer(end_to_end_id="/A"), "sepa.slashes", "end_to_end_id", None),
    (transfer(end_to_end_id="A//B"), "sepa.slashes", "end_to_end_id", None),
    (transfer(end_to_end_id="Ä_1"), "sepa.identifier-characters", "end_to_end_id", "Ae-1"),
    (creditor(name="李"), "sepa.characters", "creditor.name", "Li"),
    (creditor(name="李😀"), "sepa.characters", "creditor.name", None),
    (creditor(name="“Käse”"), "sepa.characters", "creditor.name", "'Käse'"),
]


def found(bank: IsoBank, payment: Payment, on: date = ON, message_name: str | None = None) -> tuple[Violation, ...]:
    return bank.check(*payment, on, message_name)


def plain(payments: SimpleNamespace) -> Payment:
    return replace(payments.sepa_terms(), payment_type=None), payments.sepa_transfer()


def sepa(payments: SimpleNamespace) -> Payment:
    return payments.sepa_terms(), payments.sepa_transfer()


@pytest.mark.parametrize(("change", "rule", "field", "fix", "message_name"), COMMON_CASES)
def test_common_rules_speak_of_the_right_place(
    payments: SimpleNamespace, change: Change, rule: str, field: str, fix: str | None, message_name: str | None
) -> None:
    broken = found(ISO, change(*plain(payments)), message_name=message_name)
    assert (rule, field, fix) in [(violation.rule, violation.field, violation.fix) for violation in broken]


@pytest.mark.parametrize(("change", "rule", "field", "fix"), SEPA_CASES)
def test_sepa_rules_hold_for_sepa_payments_alone(
    payments: SimpleNamespace, change: Change, rule: str, field: str, fix: str | None
) -> None:
    broken = [(violation.rule, violation.field, violation.fix) for violation in found(ISO, change(*sepa(payments)))]
    assert (rule, field, fix) in broken
    terms_, transfer_ = change(*plain(payments))
    assert not [violation.rule for violation in found(ISO, (terms_, transfer_)) if violation.rule.startswith("sepa.")]


def test_every_rule_has_a_case_that_breaks_it() -> None:
    cases = {rule for _, rule, *_ in COMMON_CASES} | {rule for _, rule, *_ in SEPA_CASES}
    elsewhere = {  # shown further below, and in test_packs.py
        *("instant.amount-max", "instant.amount-max-2017", "sepa.address-lines", "sepa.service-level", "currency.not-taken"),
    }
    assert {rule.id for pack in (*STANDARD_PACKS, SEPA_ALWAYS) for rule in pack.rules} == (cases | elsewhere) - {"field.type"}


@pytest.mark.parametrize("bank", [ISO, SEPA_BANK])
@pytest.mark.parametrize("build", [sepa, plain])
def test_the_everyday_payment_breaks_nothing(
    payments: SimpleNamespace, bank: IsoBank, build: Callable[[SimpleNamespace], Payment]
) -> None:
    assert found(bank, build(payments)) == ()


def test_everything_a_payment_can_say_is_taken_by_every_version_that_can_carry_it(payments: SimpleNamespace) -> None:
    for version in payments.versions:
        payment = payments.fit(payments.full_terms(), payments.full_transfer(), version)
        assert found(ISO, payment, message_name=version) == (), version


def test_all_problems_are_told_at_once(payments: SimpleNamespace) -> None:
    terms_, transfer_ = plain(payments)
    broken = found(
        ISO,
        (
            replace(terms_, charge_bearer="OUR", requested_execution_date=date(2020, 1, 1)),
            replace(
                transfer_,
                amount=Decimal("-1.005"),
                currency="EUR",
                creditor=Party(name="x" * 150, postal_address=PostalAddress(address_line=("only a line",))),
                creditor_account=Account(iban="FR1420041010050500013M02607"),
            ),
        ),
    )
    assert {violation.rule for violation in broken} == {
        *("charge-bearer.unknown", "date.past", "amount.positive", "amount.scale", "text.too-long"),
        *("address.unstructured", "iban.check-digits"),
    }
    assert len([violation for violation in broken if violation.rule == "address.unstructured"]) == 2


def test_an_instant_payment_with_sepa_is_taken(payments: SimpleNamespace) -> None:
    terms_, transfer_ = sepa(payments)
    instant = replace(terms_, payment_type=PaymentType(service_level="SEPA", local_instrument="INST"))
    assert found(ISO, (instant, transfer_)) == ()


def test_the_sepa_bank_holds_sepa_rules_without_a_service_level(payments: SimpleNamespace) -> None:
    terms_, transfer_ = plain(payments)
    broken = found(SEPA_BANK, (replace(terms_, charge_bearer="SHAR"), replace(transfer_, currency="USD")))
    assert {violation.rule for violation in broken} == {"sepa.charge-bearer", "sepa.currency", "currency.not-taken"}
    urgent = replace(terms_, payment_type=PaymentType(service_level="URGP"))
    assert {violation.rule for violation in found(SEPA_BANK, (urgent, transfer_))} == {"sepa.service-level"}


@pytest.mark.parametrize(("on", "taken"), [(date(2026, 11, 13), True), (date(2026, 11, 14), False)])
def test_the_sepa_bank_takes_the_old_version_until_its_last_day(payments: SimpleNamespace, on: date, taken: bool) -> None:
    broken = found(SEPA_BANK, sepa(payments), on, OLD)
    assert [violation.rule for violation in broken] == ([] if taken else ["message.unsupported"])


@pytest.mark.parametrize("name", ["pain.001.001.99", "pain.008.001.08", "", "nonsense"])
def test_a_message_that_is_not_taken_is_named_beside_the_other_problems(payments: SimpleNamespace, name: str) -> None:
    terms_, transfer_ = plain(payments)
    broken = found(ISO, (terms_, replace(transfer_, amount=Decimal(0))), message_name=name)
    assert [violation.rule for violation in broken] == ["message.unsupported", "amount.positive"]


def test_a_bank_adds_rules_of_its_own_as_one_more_pack(payments: SimpleNamespace) -> None:
    rule = Rule(
        id="mybank.no-cents",
        source="MyBank handbook 3.2",
        parts=("transfer",),
        field="amount",
        message_en="MyBank takes whole euros.",
        message_zh="MyBank 只接受整数欧元。",
        check=lambda transfer, _limit, _setting: () if transfer.amount == int(transfer.amount) else HERE,
    )
    bank = IsoBank(name="mybank", capabilities=ISO.capabilities, packs=(*STANDARD_PACKS, Pack(name="mybank", rules=(rule,))))
    assert [violation.rule for violation in found(bank, sepa(payments))] == ["mybank.no-cents"]


def test_terms_are_judged_anew_when_they_differ(payments: SimpleNamespace) -> None:
    terms_, transfer_ = sepa(payments)
    for _ in range(2):
        assert found(ISO, (terms_, transfer_)) == ()
        assert found(ISO, (replace(terms_, charge_bearer="CRED"), transfer_))
        assert found(ISO, (terms_, transfer_), date(2027, 1, 1))


def test_no_violation_shows_the_value_it_speaks_of(payments: SimpleNamespace) -> None:
    secret = "Zyxwvut"
    for change in (creditor(name=f"{secret}\x07"), creditor(name=secret * 30), iban(secret), transfer(end_to_end_id=secret * 10)):
        for violation in found(ISO, change(*sepa(payments))):
            assert secret not in violation.message_en + violation.message_zh + violation.source


WEIRD = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["\x00", "\ud800", "", "x" * 100_000, "\n", "ＤＥ", "{limit}", "%s"]),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.binary(max_size=3),
    st.lists(st.none(), max_size=2),
    st.tuples(st.none()),
    st.dictionaries(st.text(max_size=1), st.none(), max_size=1),
)
SHAPES = (
    Account, Agent, OrganisationIdentification, OtherIdentification, Party, PaymentType, PostalAddress,
    PrivateIdentification, RemittanceInformation, StructuredRemittance,
)  # fmt: skip


@st.composite
def anything(draw: st.DrawFn, depth: int = 3) -> Any:
    """Any value at all, often a part of the model that holds any values at all."""
    shape = draw(st.sampled_from((None, *SHAPES))) if depth else None
    if shape is None:
        return draw(WEIRD)
    names = draw(st.sets(st.sampled_from(sorted(shape.__dataclass_fields__)), max_size=3))
    fields = {name: draw(anything(depth - 1)) for name in names}
    if shape is OtherIdentification:
        fields.setdefault("id", None)
    value = shape(**fields)
    return draw(st.sampled_from([value, (value,)]))


@given(st.data())
def test_nothing_makes_a_check_raise(payments: SimpleNamespace, data: st.DataObject) -> None:
    terms_, transfer_ = sepa(payments)
    for part, shape in ((terms_, PaymentTerms), (transfer_, CreditTransfer)):
        for name in data.draw(st.sets(st.sampled_from(sorted(shape.__dataclass_fields__)), max_size=4)):
            object.__setattr__(part, name, data.draw(anything()))
    for bank in discover().values():
        for violation in bank.check(terms_, transfer_, ON, data.draw(st.sampled_from([None, OLD, "pain.001.001.12", "x"]))):
            assert violation.rule
            assert violation.message_en


@pytest.mark.parametrize("pair", [(None, None), ("x", 5)])
def test_even_no_payment_at_all_is_a_violation(pair: tuple[Any, Any]) -> None:
    assert [violation.rule for violation in ISO.check(pair[0], pair[1], ON)] == ["field.type"]
