"""The writer lets no value through that the schema refuses, nor a wrong check digit, even where nobody put the rules before."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from formats.errors import Unrenderable
from formats.model import PrivateIdentification

LONG = {35: "x" * 36, 34: "x" * 35, 140: "x" * 141, 70: "x" * 71, 16: "x" * 17}
TEXTS = {
    "instruction_id": 35,
    "end_to_end_id": 35,
    "purpose_proprietary": 35,
    "creditor.name": 140,
    "creditor.postal_address.department": 70,
    "creditor.postal_address.sub_department": 70,
    "creditor.postal_address.street_name": 70,
    "creditor.postal_address.building_number": 16,
    "creditor.postal_address.building_name": 35,
    "creditor.postal_address.floor": 70,
    "creditor.postal_address.post_box": 16,
    "creditor.postal_address.room": 70,
    "creditor.postal_address.post_code": 16,
    "creditor.postal_address.town_name": 35,
    "creditor.postal_address.town_location_name": 35,
    "creditor.postal_address.district_name": 35,
    "creditor.postal_address.country_sub_division": 35,
    "creditor.person.city_of_birth": 35,
    "ultimate_creditor.name": 140,
    "creditor_agent.name": 140,
    "creditor_agent.clearing_system_member_id": 35,
}
FORMS: dict[str, tuple[Any, ...]] = {
    "currency": ("EUX", "eur", "", 'EUR" x="'),
    "purpose": ("ABCDE", "ab", "", "A<"),
    "uetr": ("7a562c67", "", "7A562C67-CA16-48BA-B074-65581BE6F001"),
    "creditor_account.iban": ("FR1420041010050500013M02607", "FR14 2004", "", "DE8937040044053201300"),
    "creditor_agent.bic": ("DEUT", "deutdeff", "DEUTDE1", ""),
    "creditor_agent.lei": ("5493001KJTIIGC8Y1R13", ""),
    "creditor.postal_address.country": ("ZZ", "de", ""),
    "creditor.country_of_residence": ("ZZ", ""),
    "amount": (Decimal("-1"), Decimal("NaN"), Decimal("1E+17"), Decimal("1.123456"), Decimal("Infinity")),
}


def changed(whole: Any, path: str, value: object) -> Any:
    """The same with one value changed, parts made where they are not there."""
    name, _, rest = path.partition(".")
    if not rest:
        return replace(whole, **{name: value})
    return replace(whole, **{name: changed(getattr(whole, name), rest, value)})


def with_person(transfer: Any, path: str) -> Any:
    """The payee as a person, where the path leads to one."""
    if not path.startswith("creditor.person"):
        return transfer
    person = PrivateIdentification(birth_date=date(1980, 1, 2), city_of_birth="Ulm", country_of_birth="DE")
    return replace(transfer, creditor=replace(transfer.creditor, organisation=None, person=person))


CASES = [(path, value) for path, most in TEXTS.items() for value in (LONG[most], "", "a\x00b")] + [
    (path, value) for path, values in FORMS.items() for value in values
]


@pytest.mark.parametrize(("path", "value"), CASES)
def test_a_value_the_schema_refuses_is_not_written_and_its_rule_is_named(
    payments: SimpleNamespace, path: str, value: object
) -> None:
    transfer = payments.full_transfer()
    transfer = with_person(transfer, path)
    if path.startswith("creditor_account"):
        transfer = replace(transfer, creditor_account=payments.sepa_transfer().creditor_account)
    broken = changed(transfer, path, value)
    with pytest.raises(Unrenderable) as raised:
        payments.rendered(payments.message((payments.full_terms(), (transfer, broken))))
    assert path.rpartition(".")[0] in "".join(one.field for one in raised.value.violations)
    assert "message.unrenderable" not in {one.rule for one in raised.value.violations}


@pytest.mark.parametrize(("path", "most"), TEXTS.items())
def test_a_text_as_long_as_the_schema_allows_is_written(payments: SimpleNamespace, path: str, most: int) -> None:
    transfer = payments.full_transfer()
    transfer = with_person(transfer, path)
    document = payments.rendered(payments.message((payments.full_terms(), (changed(transfer, path, "y" * most),))))
    assert b">" + b"y" * most + b"<" in document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("charge_bearer", "slev"),
        ("debtor_account.iban", "DE89370400440532013001"),
        ("debtor_agent.bic", "nobank"),
        ("debtor.name", "x" * 141),
        ("payment_type.service_level", "SEPAX"),
        ("payment_type.category_purpose_proprietary", "x" * 36),
    ],
)
def test_a_block_with_a_value_the_schema_refuses_is_not_written(payments: SimpleNamespace, path: str, value: str) -> None:
    terms = changed(payments.sepa_terms(), path, value)
    with pytest.raises(Unrenderable):
        payments.rendered(payments.message((terms, (payments.sepa_transfer(),))))
