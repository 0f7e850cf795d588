"""The checks of single values, against examples published by the standards themselves."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import checks
from formats.countries import COUNTRIES, IBAN_LENGTHS, SEPA_COUNTRIES
from formats.currencies import MINOR_UNITS

# Examples printed in the IBAN registry and in ISO 13616.
IBANS = [
    "AD1200012030200359100100",
    "AT611904300234573201",
    "BE68539007547034",
    "BR1800360305000010009795493C1",
    "CH9300762011623852957",
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "MT84MALT011000012345MTLCAST001S",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "SA0380000000608010167519",
    "LC55HEMM000100010012001200023015",
    "XK051212012345678906",
]


@pytest.mark.parametrize("iban", IBANS)
def test_registry_examples_are_right(iban: str) -> None:
    assert checks.iban_fault(iban) is None


@pytest.mark.parametrize("iban", IBANS)
def test_any_single_digit_mistyped_is_caught(iban: str) -> None:
    for index in range(4, len(iban)):
        if iban[index].isdigit():
            wrong = iban[:index] + str((int(iban[index]) + 1) % 10) + iban[index + 1 :]
            assert checks.iban_fault(wrong) == "check-digits", wrong


@pytest.mark.parametrize("iban", IBANS)
def test_neighbours_swapped_are_caught(iban: str) -> None:
    for index in range(4, len(iban) - 1):
        if iban[index] != iban[index + 1]:
            wrong = iban[:index] + iban[index + 1] + iban[index] + iban[index + 2 :]
            assert checks.iban_fault(wrong) == "check-digits", wrong


@pytest.mark.parametrize(
    ("iban", "fault"),
    [
        ("", "form"),
        ("DE89 3704 0044 0532 0130 00", "form"),
        ("de89370400440532013000", "form"),
        ("DE8937040044053201300０", "form"),  # a full-width digit
        ("DE8937040044053201300", "length"),
        ("DE893704004405320130000", "length"),
        ("ZZ89370400440532013000", "country"),
        ("DE00370400440532013097", "check-digits"),
        ("X" * 1_000_000, "form"),
    ],
)
def test_what_is_wrong_with_an_iban_is_named(iban: str, fault: str) -> None:
    assert checks.iban_fault(iban) == fault


def test_an_unregistered_country_is_taken_at_any_length() -> None:
    assert "MA" not in IBAN_LENGTHS
    digits = 98 - int("230780000000000000000000" + "2210" + "00") % 97
    assert checks.iban_fault(f"MA{digits:02}230780000000000000000000") is None


@pytest.mark.parametrize(
    ("bic", "fault"),
    [
        ("COBADEFF", None),
        ("COBADEFFXXX", None),
        ("1234DE00", None),
        ("COBADEF", "form"),
        ("COBADEFFXX", "form"),
        ("cobadeff", "form"),
        ("COBAZZFF", "country"),
        ("", "form"),
    ],
)
def test_bic(bic: str, fault: str | None) -> None:
    assert checks.bic_fault(bic) == fault


@pytest.mark.parametrize(
    ("lei", "fault"),
    [
        ("529900T8BM49AURSDO55", None),
        ("7LTWFZYICNSX8D621K86", None),
        ("529900T8BM49AURSDO56", "check-digits"),
        ("529900T8BM49AURSDO5", "form"),
    ],
)
def test_lei(lei: str, fault: str | None) -> None:
    assert checks.lei_fault(lei) == fault


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("RF18539007547034", None),
        ("RF19539007547034", "check-digits"),
        ("RF1", "form"),
        ("RF18 5390 0754 7034", "form"),
        ("rf18539007547034", "form"),
        ("RF18" + "1" * 22, "form"),
    ],
)
def test_creditor_reference(reference: str, fault: str | None) -> None:
    assert checks.creditor_reference_fault(reference) == fault


def test_qr_reference_of_the_swiss_standard() -> None:
    assert checks.qr_reference_fault("210000000003139471430009017") is None
    assert checks.qr_reference_fault("210000000003139471430009018") == "check-digits"
    assert checks.qr_reference_fault("21000000000313947143000901") == "form"


@pytest.mark.parametrize(
    ("amount", "currency", "beyond"),
    [
        ("1.00", "EUR", False),
        ("1", "EUR", False),
        ("1.000", "EUR", True),  # a thousand, or one? refused
        ("0.001", "EUR", True),
        ("100", "JPY", False),
        ("100.0", "JPY", True),
        ("1.234", "KWD", False),
        ("1.2345", "KWD", True),
        ("1.2345", "UYW", False),
        ("1E+3", "JPY", False),
        ("0.12345", "XDR", False),
        ("0.123456", "XDR", True),
    ],
)
def test_scale_follows_the_currency(amount: str, currency: str, beyond: bool) -> None:
    assert checks.has_scale_beyond(Decimal(amount), currency) is beyond


@pytest.mark.parametrize(
    ("amount", "units", "too_many"),
    [
        ("9999999999999999.99", 2, False),
        ("10000000000000000", 2, True),
        ("999999999999999999", 0, False),
        ("1E+18", 0, True),
    ],
)
def test_eighteen_digits_are_the_limit(amount: str, units: int, too_many: bool) -> None:
    assert checks.has_too_many_digits(Decimal(amount), units) is too_many


def test_control_sum_limit_does_not_count_trailing_zeros() -> None:
    assert not checks.has_long_sum(Decimal("123456789012345678.00"))
    assert checks.has_long_sum(Decimal("12345678901234567.89"))


@pytest.mark.parametrize(
    ("identifier", "bad"),
    [("A/B", False), ("/A", True), ("A/", True), ("A//B", True), ("/", True), ("A", False), ("", False)],
)
def test_slashes_of_identifiers(identifier: str, bad: bool) -> None:
    assert checks.has_bad_slash(identifier) is bad


@pytest.mark.parametrize(
    ("uetr", "right"),
    [
        ("7a562c67-ca16-48ba-b074-65581be6f001", True),
        ("7A562C67-CA16-48BA-B074-65581BE6F001", False),
        ("7a562c67-ca16-18ba-b074-65581be6f001", False),
        ("7a562c67-ca16-48ba-7074-65581be6f001", False),
        ("7a562c67ca1648bab07465581be6f001", False),
    ],
)
def test_uetr_is_a_lower_case_uuid_of_version_4(uetr: str, right: bool) -> None:
    assert checks.is_uetr(uetr) is right


def test_past_and_horizon_count_from_the_day_of_sending() -> None:
    on = date(2026, 11, 24)
    assert checks.is_past(date(2026, 11, 23), on)
    assert not checks.is_past(on, on)
    assert not checks.is_beyond(date(2027, 11, 24), on, 365)
    assert checks.is_beyond(date(2027, 11, 25), on, 365)


def test_tables_have_the_size_of_their_lists() -> None:
    assert len(COUNTRIES) == 250  # 249 of ISO 3166-1, and XK
    assert len(IBAN_LENGTHS) == 89
    assert COUNTRIES >= IBAN_LENGTHS.keys() >= SEPA_COUNTRIES
    assert {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "CLP": 0, "CNY": 2}.items() <= MINOR_UNITS.items()
    assert not {"BGN", "HRK", "XXX", "XTS", "EUX", "DEM"} & MINOR_UNITS.keys()


@given(st.text(max_size=40))
def test_no_text_makes_a_check_raise(text: str) -> None:
    for check in (
        *(checks.iban_fault, checks.bic_fault, checks.lei_fault, checks.creditor_reference_fault, checks.qr_reference_fault),
        *(checks.is_country, checks.is_currency, checks.is_uetr, checks.is_code, checks.has_bad_slash),
    ):
        check(text)
