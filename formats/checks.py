"""The checks of single values that the rule packs are built from: pure, total, fast.

Every function takes any string (or Decimal) and answers; none raises. Sources stand in the docstrings; the rules that use a check
name theirs to the caller.
"""

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from formats.countries import COUNTRIES, IBAN_LENGTHS
from formats.currencies import MINOR_UNITS

CHARGE_BEARERS = frozenset({"SLEV", "SHAR", "DEBT", "CRED"})
"""ISO 20022, ChargeBearerType1Code."""

INSTRUCTION_PRIORITIES = frozenset({"HIGH", "NORM"})
"""ISO 20022, Priority2Code."""

SEPA_AMOUNT_MAX = Decimal("999999999.99")
"""EPC132-08 SCT C2PSP implementation guidelines 2025, InstdAmt: 0.01 or more and 999999999.99 or less."""

IBAN_LENGTH_MAX = 34
"""ISO 13616-1. Checked before the caches of IBANs, so that no huge text is ever kept."""

BIC_LENGTHS = (8, 11)
"""ISO 9362."""

AMOUNT_DIGITS_MAX = 18
AMOUNT_FRACTION_MAX = 5
"""ISO 20022, ActiveOrHistoricCurrencyAndAmount: totalDigits 18, fractionDigits 5."""

_DIGITS = str.maketrans({chr(ord("A") + number): str(10 + number) for number in range(26)})
_IBAN_FORM = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}").fullmatch
_BIC_FORM = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?").fullmatch
_LEI_FORM = re.compile(r"[A-Z0-9]{18}[0-9]{2}").fullmatch
_UETR_FORM = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}").fullmatch
_CREDITOR_REFERENCE_FORM = re.compile(r"RF[0-9]{2}[A-Z0-9]{1,21}").fullmatch
_QR_REFERENCE_FORM = re.compile(r"[0-9]{27}").fullmatch
_CODE_FORM = re.compile(r"[A-Z0-9]+").fullmatch
# The carry table of the recursive modulo 10 (Swiss Payment Standards, annex "Calculation of the check digit modulo 10,
# recursive").
_MODULO_10 = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)
_CARRIES = tuple({ord(str(digit)): _MODULO_10[(carry + digit) % 10] for digit in range(10)} for carry in range(10))


def iban_fault(iban: str) -> str | None:
    """What is wrong with an IBAN: "form", "country", "length", "check-digits", or None.

    Source: ISO 13616-1 (form, modulo 97 as in ISO 7064), SWIFT IBAN registry (length by country). A country that is in ISO
    3166-1 but not in the registry is taken at any length: several use IBANs without having registered them.
    """
    return _iban_fault(iban) if len(iban) <= IBAN_LENGTH_MAX else "form"


@lru_cache(maxsize=65_536)
def _iban_fault(iban: str) -> str | None:
    if not _IBAN_FORM(iban):
        return "form"
    country = iban[:2]
    length = IBAN_LENGTHS.get(country)
    if length is None and country not in COUNTRIES:
        return "country"
    if length is not None and len(iban) != length:
        return "length"
    # The check digits 00, 01 and 99 satisfy the congruence of 97, 98 and 02 but are never issued (ISO 13616-1, 6.1).
    if not "02" <= iban[2:4] <= "98" or not _is_modulo_97(iban[4:] + iban[:4]):
        return "check-digits"
    return None


def bic_fault(bic: str) -> str | None:
    """What is wrong with a BIC: "form", "country", or None. Source: ISO 9362:2022 (4 alphanumeric, country, 2, optional
    branch of 3)."""
    return _bic_fault(bic) if len(bic) in BIC_LENGTHS else "form"


@lru_cache(maxsize=8_192)
def _bic_fault(bic: str) -> str | None:
    if not _BIC_FORM(bic):
        return "form"
    return None if bic[4:6] in COUNTRIES else "country"


def lei_fault(lei: str) -> str | None:
    """What is wrong with an LEI: "form", "check-digits", or None. Source: ISO 17442-1, check digits by ISO 7064 MOD 97-10."""
    if not _LEI_FORM(lei):
        return "form"
    return None if _is_modulo_97(lei) else "check-digits"


def creditor_reference_fault(reference: str) -> str | None:
    """What is wrong with an ISO 11649 reference ("RF18…", no spaces): "form", "check-digits", or None."""
    if not _CREDITOR_REFERENCE_FORM(reference):
        return "form"
    return None if _is_modulo_97(reference[4:] + reference[:4]) else "check-digits"


def qr_reference_fault(reference: str) -> str | None:
    """What is wrong with a Swiss QR reference: "form" (27 digits), "check-digits", or None. Source: Swiss Payment Standards,
    QRR."""
    if not _QR_REFERENCE_FORM(reference):
        return "form"
    carry = 0
    for digit in reference[:-1].encode():
        carry = _CARRIES[carry][digit]
    return None if (10 - carry) % 10 == int(reference[-1]) else "check-digits"


def is_country(code: str) -> bool:
    """Whether the code is an ISO 3166-1 alpha-2 country (or XK)."""
    return code in COUNTRIES


def is_currency(code: str) -> bool:
    """Whether the code is an active ISO 4217 currency or fund."""
    return code in MINOR_UNITS


def is_uetr(text: str) -> bool:
    """Whether the text is a UETR: a lower-case UUID of version 4 (ISO 20022, UUIDv4Identifier; RFC 9562, section 5.4)."""
    return _UETR_FORM(text) is not None


def is_code(text: str) -> bool:
    """Whether the text has the form of a code of an ISO external code set: capitals and digits."""
    return _CODE_FORM(text) is not None


def has_scale_beyond(amount: Decimal, currency: str) -> bool:
    """Whether a finite amount is written with more digits after the point than its currency has (ISO 4217).

    The scale is counted as written: 1.000 EUR is refused although it equals 1.00, because in half of Europe it means a thousand.
    """
    return -int(amount.as_tuple().exponent) > minor_units(currency)


def has_too_many_digits(amount: Decimal, units: int) -> bool:
    """Whether a finite amount, written with `units` digits after the point, needs more than 18 digits.

    Source: ISO 20022 ActiveOrHistoricCurrencyAndAmount, totalDigits 18.
    """
    return amount.adjusted() + 1 > AMOUNT_DIGITS_MAX - units


def has_long_sum(total: Decimal) -> bool:
    """Whether a control sum needs more than 18 digits, zeros at its end aside (ISO 20022 DecimalNumber, totalDigits 18)."""
    whole, _, fraction = format(total, "f").partition(".")
    return len(whole.lstrip("0")) + len(fraction.rstrip("0")) > AMOUNT_DIGITS_MAX


def minor_units(currency: str) -> int:
    """Digits after the point that an amount in that currency may have (unknown or without minor unit: the message's five)."""
    units = MINOR_UNITS.get(currency)
    return AMOUNT_FRACTION_MAX if units is None else units


def has_bad_slash(identifier: str) -> bool:
    """Whether an identifier starts or ends with "/" or holds "//". Source: EPC132-08, section 1.4 (character set and
    references)."""
    return "/" in identifier and (identifier[0] == "/" or identifier[-1] == "/" or "//" in identifier)


def is_past(day: date, on: date) -> bool:
    """Whether an execution date lies before the day of sending."""
    return day < on


def is_beyond(day: date, on: date, horizon_days: int) -> bool:
    """Whether an execution date lies further ahead than the bank's horizon."""
    return day - on > timedelta(days=horizon_days)


def _is_modulo_97(text: str) -> bool:
    """ISO 7064 MOD 97-10 over digits and capitals (A is 10 … Z is 35)."""
    return int(text.translate(_DIGITS)) % 97 == 1
