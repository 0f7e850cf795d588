"""The dated packs and the banks made of them: good payments pass, each rule has a case, and each date holds on its very day."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from formats.bank import bank_named, discover
from formats.errors import refusing
from formats.iso20022 import IsoBank
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentBlock,
    PaymentInitiation,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.rules.packs import PACKS

Payment = tuple[PaymentTerms, CreditTransfer]
ON = date(2026, 11, 25)
DAY = timedelta(days=1)

QR_IBAN = "CH4431999123000889012"
IBAN = "CH9300762011623852957"
QRR = "210000000003139471430009017"
SCOR = "RF18539007547034"

ZURICH = PostalAddress(street_name="Bahnhofstrasse", building_number="1", post_code="8001", town_name="Zürich", country="CH")
NEW_YORK = PostalAddress(street_name="Water Street", building_number="55", town_name="New York", country="US")


def terms(
    iban: str, *, level: str | None = None, bearer: str | None = None, name: str = "Maier & Co", **kind: Any
) -> PaymentTerms:
    return PaymentTerms(
        debtor=Party(name=name),
        debtor_account=Account(iban=iban),
        debtor_agent=Agent(bic={"CH": "UBSWCHZH80A", "DE": "COBADEFFXXX", "FR": "BNPAFRPPXXX", "GB": "MIDLGB22XXX"}[iban[:2]]),
        requested_execution_date=ON,
        payment_type=PaymentType(service_level=level, **kind) if level or kind else None,
        charge_bearer=bearer,
    )


def transfer(
    account: str | Account, currency: str, *, address: PostalAddress | None = None, agent: Agent | None = None, **fields: Any
) -> CreditTransfer:
    return CreditTransfer(
        instruction_id="I-1",
        end_to_end_id="E-1",
        amount=Decimal("1949.00"),
        currency=currency,
        creditor=Party(name="Supplier Ltd", postal_address=address),
        creditor_account=Account(iban=account) if isinstance(account, str) else account,
        creditor_agent=agent,
        **fields,
    )


def reference(kind: str | None, value: str | None) -> RemittanceInformation:
    return RemittanceInformation(
        structured=(StructuredRemittance(creditor_reference_type=kind, creditor_reference=value),),
    )


def lines(*texts: str) -> RemittanceInformation:
    return RemittanceInformation(unstructured=texts)


SWISS, GERMAN, FRENCH, BRITISH = IBAN, "DE89370400440532013000", "FR1420041010050500013M02606", "GB29NWBK60161331926819"

# The everyday payments of each bank. They are good: no violation and no warning.
GOOD: dict[str, Payment] = {
    "ch_sps QR-bill": (terms(SWISS), transfer(QR_IBAN, "CHF", address=ZURICH, remittance_information=reference("QRR", QRR))),
    "ch_sps SCOR": (terms(SWISS), transfer(IBAN, "EUR", address=ZURICH, remittance_information=reference("SCOR", SCOR))),
    "ch_sps plain": (terms(SWISS), transfer(IBAN, "CHF", remittance_information=lines("Rechnung 4711"))),
    "ch_sps clearing": (terms(SWISS, level="NURG", bearer="SLEV"), transfer(IBAN, "CHF")),
    "ch_sps SEPA": (terms(SWISS, level="SEPA", bearer="SLEV"), transfer(GERMAN, "EUR")),
    "ch_sps abroad": (
        terms(SWISS, bearer="SHAR"),
        transfer(Account(other_id="009876543"), "USD", address=NEW_YORK, agent=Agent(bic="CHASUS33")),
    ),
    "de_dk SEPA": (terms(GERMAN, level="SEPA", bearer="SLEV"), transfer(FRENCH, "EUR", remittance_information=lines("RE 4711"))),
    "de_dk instant": (terms(GERMAN, level="SEPA", local_instrument="INST"), transfer(FRENCH, "EUR")),
    "de_dk urgent": (terms(GERMAN, level="URGP", bearer="SHAR"), transfer(FRENCH, "EUR", agent=Agent(bic="BNPAFRPP"))),
    "de_dk silent": (terms(GERMAN), transfer(FRENCH, "EUR", remittance_information=reference("SCOR", SCOR))),
    "fr_cfonb SEPA": (terms(FRENCH, level="SEPA", bearer="SLEV"), transfer(GERMAN, "EUR")),
    "fr_cfonb treasury": (terms(FRENCH, level="URGP", bearer="SHAR"), transfer(FRENCH, "EUR")),
    "fr_cfonb abroad": (
        terms(FRENCH, bearer="DEBT"),
        transfer(Account(other_id="009876543"), "USD", address=NEW_YORK, agent=Agent(bic="CHASUS33")),
    ),
    "cgi_cross_border wire": (
        terms(BRITISH, level="URGP", bearer="SHAR"),
        transfer(
            Account(other_id="009876543"),
            "USD",
            address=NEW_YORK,
            agent=Agent(clearing_system_id="USABA", clearing_system_member_id="021000021"),
            purpose="SUPP",
        ),
    ),
    "cgi_cross_border China": (
        terms(BRITISH, level="URGP", bearer="DEBT"),
        transfer(
            Account(other_id="6222021001116245702"),
            "CNY",
            address=PostalAddress(town_name="Shanghai", country="CN", address_line=("Century Avenue 100",)),
            agent=Agent(bic="ICBKCNBJSHI"),
            purpose="GDDS",
        ),
    ),
    "cgi_cross_border SEPA": (terms(BRITISH, level="SEPA", bearer="SLEV"), transfer(GERMAN, "EUR")),
    "cgi_cross_border clearing": (
        terms(BRITISH, level="NURG"),
        transfer(BRITISH, "GBP", address=PostalAddress(town_name="Leeds", country="GB")),
    ),
    "sepa plain": (terms(GERMAN, level="SEPA", bearer="SLEV"), transfer(FRENCH, "EUR")),
}

Change = Callable[[PaymentTerms, CreditTransfer], Payment]


def both(terms_fields: dict[str, Any], transfer_fields: dict[str, Any]) -> Change:
    return lambda t, c: (replace(t, **terms_fields), replace(c, **transfer_fields))


def of_terms(**fields: Any) -> Change:
    return both(fields, {})


def of_transfer(**fields: Any) -> Change:
    return both({}, fields)


def of_creditor(**fields: Any) -> Change:
    return lambda t, c: (t, replace(c, creditor=replace(c.creditor, **fields)))


REFERENCE = "remittance_information.structured[0].creditor_reference_type"

# (the good payment, what is changed, the rule it breaks, where, "error" or "warning"): nothing else may be told.
CASES: list[tuple[str, Change, str, str, str]] = [
    ("ch_sps QR-bill", of_transfer(remittance_information=None), "sps.qr-iban-needs-qrr", "remittance_information", "error"),
    (
        "ch_sps QR-bill",
        of_transfer(remittance_information=lines("x")),
        "sps.qr-iban-needs-qrr",
        "remittance_information",
        "error",
    ),
    ("ch_sps QR-bill", of_transfer(remittance_information=reference("SCOR", SCOR)), "sps.scor-with-qr-iban", REFERENCE, "error"),
    ("ch_sps QR-bill", of_transfer(remittance_information=reference(None, SCOR)), "sps.scor-with-qr-iban", REFERENCE, "error"),
    ("ch_sps plain", of_transfer(remittance_information=reference("QRR", QRR)), "sps.qrr-needs-qr-iban", REFERENCE, "error"),
    # 29999 and 32000 lie beside the institution ids of QR-IBANs, 30000 and 31999 are the first and the last of them.
    (
        "ch_sps QR-bill",
        of_transfer(creditor_account=Account(iban="CH4929999123000889012")),
        "sps.qrr-needs-qr-iban",
        REFERENCE,
        "error",
    ),
    (
        "ch_sps QR-bill",
        of_transfer(creditor_account=Account(iban="CH5232000123000889012")),
        "sps.qrr-needs-qr-iban",
        REFERENCE,
        "error",
    ),
    (
        "ch_sps plain",
        of_transfer(creditor_account=Account(iban="CH5730000123000889012")),
        "sps.qr-iban-needs-qrr",
        "remittance_information",
        "error",
    ),
    ("ch_sps QR-bill", of_terms(debtor_account=Account(iban=QR_IBAN)), "sps.debtor-qr-iban", "debtor_account.iban", "warning"),
    ("ch_sps plain", of_transfer(amount=Decimal("10000000000.00")), "sps.amount-max", "amount", "error"),
    ("ch_sps abroad", of_transfer(end_to_end_id="A//B"), "sps.slashes", "end_to_end_id", "error"),
    ("ch_sps plain", of_transfer(end_to_end_id="É1"), "sps.identifier-characters", "end_to_end_id", "error"),
    ("ch_sps plain", of_creditor(name="Ελλάς"), "sps.characters", "creditor.name", "error"),
    ("ch_sps SEPA", of_creditor(name="Ελλάς"), "sps.characters", "creditor.name", "error"),
    (
        "ch_sps plain",
        of_transfer(remittance_information=lines("a", "b")),
        "sps.remittance-one",
        "remittance_information",
        "error",
    ),
    ("ch_sps SEPA", of_creditor(name="x" * 71), "sepa.name-length", "creditor.name", "error"),
    (
        "ch_sps plain",
        of_creditor(postal_address=PostalAddress(address_line=("x",), country="CH")),
        "sps.address-unstructured",
        "creditor.postal_address.town_name",
        "error",
    ),
    (
        "de_dk SEPA",
        of_terms(payment_type=PaymentType(service_level="NURG"), charge_bearer=None),
        "dk.service-level",
        "payment_type.service_level",
        "error",
    ),
    ("de_dk SEPA", of_terms(charge_bearer="SHAR"), "sepa.charge-bearer", "charge_bearer", "error"),
    ("de_dk silent", of_terms(charge_bearer="DEBT"), "sepa.charge-bearer", "charge_bearer", "error"),
    ("de_dk urgent", of_terms(charge_bearer="SLEV"), "dk.urgent-charge-bearer", "charge_bearer", "warning"),
    (
        "de_dk urgent",
        of_terms(payment_type=PaymentType(service_level="URGP", category_purpose="SALA")),
        "dk.urgent-salary",
        "payment_type.category_purpose",
        "warning",
    ),
    (
        "de_dk urgent",
        of_terms(payment_type=PaymentType(service_level="URGP", local_instrument="INST")),
        "instant.sepa-only",
        "payment_type.local_instrument",
        "error",
    ),
    (
        "de_dk urgent",
        of_terms(payment_type=PaymentType(service_level="URGP", instruction_priority="NORM")),
        "instruction-priority.contradiction",
        "payment_type.instruction_priority",
        "warning",
    ),
    (
        "de_dk instant",
        of_terms(payment_type=PaymentType(service_level="SEPA", local_instrument="INST", instruction_priority="NORM")),
        "instant.priority",
        "payment_type.instruction_priority",
        "warning",
    ),
    ("de_dk urgent", of_transfer(creditor_account=Account(other_id="1")), "dk.iban-only", "creditor_account.iban", "error"),
    ("de_dk urgent", of_creditor(name="x" * 71), "dk.name-length", "creditor.name", "error"),
    ("de_dk urgent", of_transfer(remittance_information=lines("a", "b")), "dk.remittance-one", "remittance_information", "error"),
    ("de_dk urgent", of_transfer(end_to_end_id="/A"), "dk.slashes", "end_to_end_id", "error"),
    ("de_dk urgent", of_transfer(end_to_end_id="Ä1"), "dk.identifier-characters", "end_to_end_id", "error"),
    ("de_dk urgent", of_creditor(name="李"), "dk.characters", "creditor.name", "error"),
    ("de_dk urgent", of_transfer(currency="USD"), "currency.not-taken", "currency", "error"),
    ("ch_sps QR-bill", of_transfer(currency="USD"), "sps.qr-currency", "currency", "error"),
    ("ch_sps clearing", of_transfer(currency="USD"), "sps.charge-bearer", "charge_bearer", "error"),
    ("ch_sps plain", both({"charge_bearer": "SLEV"}, {"currency": "USD"}), "sps.charge-bearer", "charge_bearer", "error"),
    ("fr_cfonb treasury", of_terms(charge_bearer="SLEV"), "charge-bearer.slev-outside-sepa", "charge_bearer", "error"),
    ("fr_cfonb abroad", of_terms(charge_bearer=None), "cross-border.charge-bearer-missing", "charge_bearer", "warning"),
    ("fr_cfonb abroad", of_terms(charge_bearer="SLEV"), "cross-border.charge-bearer", "charge_bearer", "error"),
    ("fr_cfonb abroad", of_creditor(postal_address=None), "cross-border.creditor-address", "creditor.postal_address", "error"),
    ("fr_cfonb abroad", of_transfer(creditor_agent=None), "cross-border.creditor-agent", "creditor_agent", "error"),
    ("fr_cfonb abroad", of_transfer(creditor_agent=Agent(name="Bank")), "cross-border.creditor-agent", "creditor_agent", "error"),
    (
        "fr_cfonb abroad",
        of_transfer(remittance_information=lines("a", "b")),
        "cross-border.remittance-one",
        "remittance_information",
        "error",
    ),
    (
        "fr_cfonb abroad",
        of_transfer(creditor_agent=Agent(bic="BARCGB22")),
        "cross-border.iban",
        "creditor_account.other_id",
        "warning",
    ),
    ("cgi_cross_border China", of_transfer(purpose=None), "cross-border.purpose", "purpose", "warning"),
    ("cgi_cross_border clearing", of_terms(payment_type=None), "cgi.service-level", "payment_type.service_level", "warning"),
    ("cgi_cross_border clearing", of_creditor(postal_address=None), "cgi.creditor-address", "creditor.postal_address", "warning"),
    (
        "cgi_cross_border clearing",
        of_transfer(creditor_agent=Agent(lei="7LTWFZYICNSX8D621K86")),
        "cgi.agent",
        "creditor_agent",
        "warning",
    ),
    ("cgi_cross_border wire", of_transfer(end_to_end_id="A/"), "cgi.slashes", "end_to_end_id", "error"),
    ("cgi_cross_border wire", of_transfer(end_to_end_id="A_1"), "cgi.identifier-characters", "end_to_end_id", "error"),
    ("cgi_cross_border wire", of_creditor(name="Müller"), "cgi.characters", "creditor.name", "warning"),
    ("cgi_cross_border SEPA", of_terms(charge_bearer="CRED"), "sepa.charge-bearer", "charge_bearer", "error"),
    (
        "cgi_cross_border China",
        of_creditor(
            postal_address=PostalAddress(town_name="Shanghai", country="CN", address_line=("100 Century Ave", "SHANGHAI 200120"))
        ),
        "address.repeated-town",
        "creditor.postal_address.address_line[1]",
        "warning",
    ),
    ("sepa plain", of_transfer(creditor_agent=Agent(bic="COBADEFF")), "agent.iban-country", "creditor_agent.bic", "warning"),
    ("sepa plain", of_transfer(creditor_account=Account(other_id="1")), "sepa.iban-only", "creditor_account.iban", "error"),
]


def bank_of(good: str) -> IsoBank:
    bank = bank_named(good.partition(" ")[0])
    assert isinstance(bank, IsoBank)
    return bank


@pytest.mark.parametrize("good", GOOD)
def test_an_everyday_payment_of_a_bank_is_taken_without_a_word(good: str) -> None:
    assert bank_of(good).check(*GOOD[good], ON) == ()


@pytest.mark.parametrize(("good", "change", "rule", "field", "severity"), CASES)
def test_what_breaks_a_rule_of_a_bank_is_told_at_its_place_and_nothing_else_is(
    good: str, change: Change, rule: str, field: str, severity: str
) -> None:
    found = bank_of(good).check(*change(*GOOD[good]), ON)
    assert [(v.rule, v.field, v.severity) for v in found] == [(rule, field, severity)]
    assert bool(refusing(found)) == (severity == "error")


def message(payment: Payment, name: str) -> PaymentInitiation:
    terms_, transfer_ = payment
    block = PaymentBlock(
        payment_information_id="B-1", terms=terms_, count=1, control_sum=transfer_.amount, transfers=lambda: (transfer_,)
    )
    return PaymentInitiation(
        message_id="M-1",
        message_name=name,
        creation_date_time=datetime(2026, 11, 25, 8, 0, tzinfo=UTC),
        initiating_party=Party(name="Maier & Co"),
        blocks=(block,),
    )


# What of the good payments stands where in the message, by the element names of the banks' guides.
SAID = {
    "ch_sps QR-bill": {
        "CdtrAcct/Id/IBAN": QR_IBAN,
        "RmtInf/Strd/CdtrRefInf/Tp/CdOrPrtry/Prtry": "QRR",
        "RmtInf/Strd/CdtrRefInf/Ref": QRR,
        "Amt/InstdAmt": "1949.00",
        "Amt/InstdAmt/@Ccy": "CHF",
        "Cdtr/PstlAdr/TwnNm": "Zürich",
    },
    "ch_sps SCOR": {"RmtInf/Strd/CdtrRefInf/Tp/CdOrPrtry/Cd": "SCOR", "RmtInf/Strd/CdtrRefInf/Ref": SCOR},
    "ch_sps abroad": {"../ChrgBr": "SHAR", "CdtrAgt/FinInstnId/BICFI": "CHASUS33", "CdtrAcct/Id/Othr/Id": "009876543"},
    "de_dk SEPA": {"../PmtTpInf/SvcLvl/Cd": "SEPA", "../ChrgBr": "SLEV", "RmtInf/Ustrd": "RE 4711"},
    "de_dk instant": {"../PmtTpInf/SvcLvl/Cd": "SEPA", "../PmtTpInf/LclInstrm/Cd": "INST"},
    "de_dk urgent": {"../PmtTpInf/SvcLvl/Cd": "URGP", "../ChrgBr": "SHAR"},
    "fr_cfonb treasury": {"../PmtTpInf/SvcLvl/Cd": "URGP", "../Dbtr/Nm": "Maier & Co"},
    "cgi_cross_border wire": {
        "CdtrAgt/FinInstnId/ClrSysMmbId/ClrSysId/Cd": "USABA",
        "CdtrAgt/FinInstnId/ClrSysMmbId/MmbId": "021000021",
        "Purp/Cd": "SUPP",
        "Cdtr/PstlAdr/Ctry": "US",
    },
    "cgi_cross_border China": {"Cdtr/PstlAdr/AdrLine": "Century Avenue 100", "../ChrgBr": "DEBT"},
}


@pytest.mark.parametrize("good", GOOD)
def test_an_everyday_payment_of_a_bank_is_said_in_its_message(good: str, assert_valid: Callable[..., etree._Element]) -> None:
    bank = bank_of(good)
    name = bank.message_on(ON)
    assert name == "pain.001.001.09"
    out = io.BytesIO()
    bank.render(message(GOOD[good], name), out)
    root = assert_valid(out.getvalue(), name)
    (payment,) = root.iter("{*}CdtTrfTxInf")
    space = {"p": etree.QName(payment).namespace}
    for path, value in SAID.get(good, {}).items():
        steps = [step if step == ".." or step.startswith("@") else f"p:{step}" for step in path.split("/")]
        told = [str(one) if isinstance(one, str) else one.text for one in payment.xpath("/".join(steps), namespaces=space)]
        assert told == [value], path


# Every rule with a date: (rule, the good payment, what breaks it, the first day in force, the last).
WITHOUT_TOWN = of_creditor(postal_address=PostalAddress(address_line=("Main Street 1", "Lyon")))
DATED: list[tuple[str, str, Change, date | None, date | None]] = [
    ("address.unstructured", "sepa plain", WITHOUT_TOWN, date(2026, 11, 15), None),
    ("sps.address-unstructured", "ch_sps plain", WITHOUT_TOWN, date(2026, 11, 14), None),
    ("sps.name-length", "ch_sps plain", of_creditor(name="x" * 71), None, date(2025, 11, 20)),
    ("instant.amount-max-2017", "de_dk instant", of_transfer(amount=Decimal("15000.01")), None, date(2020, 6, 30)),
    ("instant.amount-max", "de_dk instant", of_transfer(amount=Decimal("100000.01")), date(2020, 7, 1), date(2025, 10, 4)),
    ("cross-border.creditor-address", "fr_cfonb abroad", of_creditor(postal_address=None), date(2026, 11, 15), None),
]

# Every version with a date: (bank, message, first day, last day).
VERSIONS: list[tuple[str, str, date | None, date | None]] = [
    ("sepa", "pain.001.001.03", None, date(2026, 11, 13)),
    ("de_dk", "pain.001.001.03", None, date(2026, 11, 13)),
    ("ch_sps", "pain.001.001.03", None, date(2026, 11, 13)),
    ("ch_sps", "pain.001.001.09", date(2022, 11, 18), None),
]


def rules_on(good: str, change: Change, on: date, name: str | None = None) -> set[str]:
    terms_, transfer_ = change(*GOOD[good])
    found = bank_of(good).check(replace(terms_, requested_execution_date=on), transfer_, on, name)
    return {violation.rule for violation in found}


@pytest.mark.parametrize(("rule", "good", "change", "first", "last"), DATED)
def test_a_dated_rule_holds_from_its_first_day_to_its_last_and_on_no_other(
    rule: str, good: str, change: Change, first: date | None, last: date | None
) -> None:
    assert rule in rules_on(good, change, first or last or ON)
    if first is not None:
        assert rule not in rules_on(good, change, first - DAY)
    if last is not None:
        assert rule in rules_on(good, change, last)
        assert rule not in rules_on(good, change, last + DAY)


def test_an_address_of_lines_alone_had_two_lines_at_most_in_sepa_while_it_was_taken() -> None:
    day = date(2026, 11, 14)
    assert rules_on("sepa plain", of_creditor(postal_address=PostalAddress(address_line=("a", "b"))), day) == set()
    three = of_creditor(postal_address=PostalAddress(address_line=("a", "b", "c")))
    assert rules_on("sepa plain", three, day) == {"sepa.address-lines"}


@pytest.mark.parametrize(("bank", "name", "first", "last"), VERSIONS)
def test_a_version_is_taken_from_its_first_day_to_its_last_and_on_no_other(
    bank: str, name: str, first: date | None, last: date | None
) -> None:
    good = next(key for key in GOOD if key.startswith(f"{bank} "))
    taken = {day: "message.unsupported" not in rules_on(good, of_terms(), day, name) for day in _around(first, last)}
    assert taken == {day: (first is None or first <= day) and (last is None or day <= last) for day in taken}
    assert len(taken) == 2


def test_a_version_that_is_over_says_until_when_it_was_taken_and_what_is() -> None:
    (found,) = bank_of("de_dk SEPA").check(*GOOD["de_dk SEPA"], ON, "pain.001.001.03")
    for words in (found.message_en, found.message_zh):
        assert "2026-11-13" in words
        assert "pain.001.001.09" in words


def _around(first: date | None, last: date | None) -> list[date]:
    return [*((first - DAY, first) if first else ()), *((last, last + DAY) if last else ())]


def test_every_rule_and_every_version_with_a_date_is_in_these_tables() -> None:
    dated = {rule.id: (rule.valid_from, rule.valid_until) for pack in PACKS for rule in pack.rules}
    assert {rule: days for rule, days in dated.items() if days != (None, None)} == {
        rule: (first, last) for rule, _, _, first, last in DATED
    }
    spans = {
        (bank.name, name, span.valid_from, span.valid_until)
        for bank in discover().values()
        for name, span in bank.capabilities.sends.items()
        if (span.valid_from, span.valid_until) != (None, None)
    }
    assert spans == set(VERSIONS)


def test_every_rule_of_a_bank_has_a_case_that_breaks_it() -> None:
    ours = {rule.id for pack in PACKS for rule in pack.rules if rule.id.startswith(("sps.", "dk.", "cross-border.", "cgi."))}
    assert ours <= {rule for _, _, rule, _, _ in CASES} | {rule for rule, *_ in DATED}


def test_a_rule_has_one_meaning_and_all_its_words() -> None:
    rules = {}
    for pack in PACKS:
        for rule in pack.rules:
            assert rules.setdefault(rule.id, rule) is rule, rule.id
            assert rule.parts
            assert rule.source
            assert rule.message_en.endswith("."), rule.id
            assert any("\u4e00" <= character <= "\u9fff" for character in rule.message_zh), rule.id
            assert rule.severity in {"error", "warning"}
    assert len({pack.name for pack in PACKS}) == len(PACKS)


def test_every_pack_a_bank_uses_is_among_the_packs() -> None:
    for bank in discover().values():
        if isinstance(bank, IsoBank):
            assert set(bank.packs) <= set(PACKS), bank.name
