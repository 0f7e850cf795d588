"""The parts of a pain.001 as text: parties, addresses, accounts, agents, remittance.

Plain string building, because a tree costs ten times as much (an element tree of 100,000 payments also costs 300 MB). Every
value goes through a function that refuses what the schema would refuse: a text that is empty, too long or not XML, an IBAN, BIC,
LEI, code or amount that is none. Rules are put to payments long before they are written; this is the last gate, and explains
nothing: whoever catches `IllegalText` puts the rules once more, and these say what is wrong.

Lengths are those of the official schemas of pain.001.001.03 to .11 (Max16Text to Max140Text), as in `formats.rules.walk`.
"""

import re
from decimal import Decimal
from functools import lru_cache

from formats.checks import (
    AMOUNT_DIGITS_MAX,
    AMOUNT_FRACTION_MAX,
    iban_fault,
    is_code,
    is_country,
    is_currency,
    is_uetr,
    lei_fault,
    minor_units,
)
from formats.model import (
    Account,
    Agent,
    OtherIdentification,
    Party,
    PaymentType,
    PostalAddress,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.pain001_versions import CREDITOR_REFERENCE_CODES, Pain001Version

NEEDS_CARE = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]").search
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").search

# The order is the schema's (PostalAddress6 and PostalAddress24 agree where they overlap).
ADDRESS_TAGS = (
    ("department", "Dept"),
    ("sub_department", "SubDept"),
    ("street_name", "StrtNm"),
    ("building_number", "BldgNb"),
    ("building_name", "BldgNm"),
    ("floor", "Flr"),
    ("post_box", "PstBx"),
    ("room", "Room"),
    ("post_code", "PstCd"),
    ("town_name", "TwnNm"),
    ("town_location_name", "TwnLctnNm"),
    ("district_name", "DstrctNm"),
    ("country_sub_division", "CtrySubDvsn"),
    ("country", "Ctry"),
)


_LONG = {"department", "sub_department", "street_name", "floor", "room"}  # Max70Text
_SHORT = {"building_number", "post_box", "post_code"}  # Max16Text; all others Max35Text
ADDRESS_TEXTS = tuple(
    (name, tag, 70 if name in _LONG else 16 if name in _SHORT else 35) for name, tag in ADDRESS_TAGS if name != "country"
)


class IllegalText(ValueError):
    """A value that the message cannot hold: a character XML 1.0 cannot carry (production [2], Char), a wrong length or form."""


def escape(text: str) -> str:
    """The text as XML character data. Raises `IllegalText`."""
    if NEEDS_CARE(text) is None:
        return text
    if _NOT_XML(text):
        raise IllegalText("a character that XML cannot carry")
    # A bare carriage return would be read back as a line feed (XML 1.0, section 2.11).
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def fit(text: str, most: int) -> str:
    """A text of 1 to `most` characters as XML character data. Raises `IllegalText`."""
    if not 0 < len(text) <= most:
        raise IllegalText("an empty text or one too long")
    return text if NEEDS_CARE(text) is None else escape(text)


def _formed(text: str, good: bool) -> str:
    """A text of an alphabet that needs no escaping, if it has its form."""
    if not good:
        raise IllegalText("a value without its form")
    return text


def code(text: str, most: int = 4) -> str:
    """A code of an ISO external code set."""
    return _formed(text, len(text) <= most and is_code(text))


def iban(text: str) -> str:
    """An IBAN whose check digits are right."""
    return _formed(text, iban_fault(text) is None)


@lru_cache(maxsize=8_192)
def _bic(text: str, version: Pain001Version) -> str:
    return _formed(text, version.is_bic(text) is not None)


def tracked(uetr: str, version: Pain001Version) -> str:
    """A UETR, where the version has it."""
    return _formed(uetr, version.extended and is_uetr(uetr))


def country(text: str) -> str:
    return _formed(text, is_country(text))


def _lei(text: str, version: Pain001Version) -> str:
    return _formed(text, version.extended and lei_fault(text) is None)


@lru_cache(maxsize=1_024)
def amount_start(tag: str, currency: str) -> str:
    """The start tag of an amount in that currency."""
    return f'<{tag} Ccy="{_currency(currency)}">'


def _currency(text: str) -> str:
    return _formed(text, is_currency(text))


@lru_cache(maxsize=1_024)
def _quantum(currency: str) -> Decimal:
    return Decimal(1).scaleb(-minor_units(currency))


def money(amount: Decimal, currency: str) -> str:
    """An amount with exactly the currency's digits after the point; further digits only where they are not zero.

    Equal amounts give equal text, however they were written. Raises `IllegalText` for what is negative, no number, or beyond
    totalDigits 18 and fractionDigits 5 (ActiveOrHistoricCurrencyAndAmount).
    """
    units = minor_units(currency)
    if units == 2:
        text = str(amount)
        # As it should be already: an exponent ("1.2E+7") cannot begin within two characters of the point.
        if text[-3:-2] == "." and len(text) <= AMOUNT_DIGITS_MAX + 1 and text[:-3].isdigit():
            return text
    text = _spelt(amount, currency, units)
    whole, _, fraction = text.partition(".")
    if not whole.isdigit() or len(fraction) > AMOUNT_FRACTION_MAX or len(whole) + len(fraction) > AMOUNT_DIGITS_MAX:
        raise IllegalText("an amount beyond the message's bounds")
    return text


def _spelt(amount: Decimal, currency: str, units: int) -> str:
    text = format(amount, "f")
    _, point, fraction = text.partition(".")
    if len(fraction) == units and (point or not units):
        return text
    if units == 5:  # unknown currency: as it is
        return text
    if len(fraction) < units:
        return format(amount.quantize(_quantum(currency)), "f")
    return _without_zeros(text, units)


def plain_sum(total: Decimal) -> str:
    """A control sum: at least two digits after the point, more only where they are not zero. Equal sums give equal text."""
    text = format(total, "f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2}" if len(fraction) <= 2 else _without_zeros(text, 2)


def _without_zeros(text: str, least: int) -> str:
    whole, _, fraction = text.partition(".")
    kept = fraction[:least] + fraction[least:].rstrip("0")
    return f"{whole}.{kept}" if kept else whole


def code_or_proprietary(tag: str, coded: str | None, proprietary: str | None, most: int = 4) -> str:
    """``<tag><Cd>…</Cd></tag>``, the same with Prtry, or nothing."""
    if coded is not None:
        return f"<{tag}><Cd>{code(coded, most)}</Cd></{tag}>"
    if proprietary is not None:
        return f"<{tag}><Prtry>{fit(proprietary, 35)}</Prtry></{tag}>"
    return ""


def payment_type(kind: PaymentType | None) -> str:
    """[PmtTpInf] or nothing."""
    if kind is None:
        return ""
    priority = "" if kind.instruction_priority is None else f"<InstrPrty>{code(kind.instruction_priority)}</InstrPrty>"
    inner = (
        priority
        + code_or_proprietary("SvcLvl", kind.service_level, kind.service_level_proprietary)
        + code_or_proprietary("LclInstrm", kind.local_instrument, kind.local_instrument_proprietary, 35)
        + code_or_proprietary("CtgyPurp", kind.category_purpose, kind.category_purpose_proprietary)
    )
    return f"<PmtTpInf>{inner}</PmtTpInf>" if inner else ""


def address(place: PostalAddress) -> str:
    """[PstlAdr], or nothing where it is empty."""
    inner = "".join(
        [f"<{tag}>{fit(value, most)}</{tag}>" for name, tag, most in ADDRESS_TEXTS if (value := getattr(place, name)) is not None]
    )
    if place.country is not None:
        inner += f"<Ctry>{country(place.country)}</Ctry>"
    if place.address_line:
        inner += "".join([f"<AdrLine>{fit(line, 70)}</AdrLine>" for line in place.address_line])
    return f"<PstlAdr>{inner}</PstlAdr>" if inner else ""


def party(tag: str, who: Party | None, version: Pain001Version) -> str:
    """A party under `tag`, or nothing. A party without content gives an empty element, which the schema allows."""
    if who is None:
        return ""
    name = who.name
    inner = "" if name is None else f"<Nm>{fit(name, 140)}</Nm>"
    if who.postal_address is not None:
        inner += address(who.postal_address)
    if who.organisation is not None or who.person is not None:
        inner += _identification(who, version)
    if who.country_of_residence is not None:
        inner += f"<CtryOfRes>{country(who.country_of_residence)}</CtryOfRes>"
    return f"<{tag}>{inner}</{tag}>"


def _identification(who: Party, version: Pain001Version) -> str:
    """[Id] with OrgId or PrvtId."""
    if who.organisation is not None:
        organisation = who.organisation
        inner = ""
        if organisation.bic is not None:
            tag = version.organisation_bic_tag
            inner = f"<{tag}>{_bic(organisation.bic, version)}</{tag}>"
        if organisation.lei is not None:
            inner += f"<LEI>{_lei(organisation.lei, version)}</LEI>"
        return f"<Id><OrgId>{inner}{_others(organisation.other)}</OrgId></Id>"
    person = who.person
    if person is None:
        return ""
    inner = ""
    if person.birth_date is not None and person.city_of_birth is not None and person.country_of_birth is not None:
        inner = (
            f"<DtAndPlcOfBirth><BirthDt>{person.birth_date.isoformat()}</BirthDt><CityOfBirth>{fit(person.city_of_birth, 35)}"
            f"</CityOfBirth><CtryOfBirth>{country(person.country_of_birth)}</CtryOfBirth></DtAndPlcOfBirth>"
        )
    return f"<Id><PrvtId>{inner}{_others(person.other)}</PrvtId></Id>"


def _others(others: tuple[OtherIdentification, ...]) -> str:
    return "".join(
        [
            f"<Othr><Id>{fit(other.id, 35)}</Id>{code_or_proprietary('SchmeNm', other.scheme_code, other.scheme_proprietary)}"
            f"{'' if other.issuer is None else f'<Issr>{fit(other.issuer, 35)}</Issr>'}</Othr>"
            for other in others
        ]
    )


def account(tag: str, held: Account) -> str:
    """An account under `tag`."""
    number = held.iban
    currency = "" if held.currency is None else f"<Ccy>{_currency(held.currency)}</Ccy>"
    if number is not None:
        return f"<{tag}><Id><IBAN>{iban(number)}</IBAN></Id>{currency}</{tag}>"
    scheme = code_or_proprietary("SchmeNm", held.other_scheme, None)
    return f"<{tag}><Id><Othr><Id>{fit(held.other_id or '', 34)}</Id>{scheme}</Othr></Id>{currency}</{tag}>"


def agent(tag: str, bank: Agent, version: Pain001Version) -> str:
    """A bank under `tag`. One that nothing is said about is written as NOTPROVIDED (EPC132-08,
    FinancialInstitutionIdentification)."""
    inner = "" if bank.bic is None else f"<{version.bic_tag}>{_bic(bank.bic, version)}</{version.bic_tag}>"
    if bank.clearing_system_member_id is not None:
        system = code_or_proprietary("ClrSysId", bank.clearing_system_id, None, 5)
        inner += f"<ClrSysMmbId>{system}<MmbId>{fit(bank.clearing_system_member_id, 35)}</MmbId></ClrSysMmbId>"
    if bank.lei is not None:
        inner += f"<LEI>{_lei(bank.lei, version)}</LEI>"
    if bank.name is not None:
        inner += f"<Nm>{fit(bank.name, 140)}</Nm>"
    if bank.postal_address is not None:
        inner += address(bank.postal_address)
    return f"<{tag}><FinInstnId>{inner or '<Othr><Id>NOTPROVIDED</Id></Othr>'}</FinInstnId></{tag}>"


def remittance(information: RemittanceInformation, currency: str) -> str:
    """[RmtInf] or nothing."""
    lines = information.unstructured
    if len(lines) == 1 and not information.structured:
        return f"<RmtInf><Ustrd>{fit(lines[0], 140)}</Ustrd></RmtInf>"
    inner = "".join([f"<Ustrd>{fit(line, 140)}</Ustrd>" for line in lines])
    inner += "".join([f"<Strd>{structured(document, currency)}</Strd>" for document in information.structured])
    return f"<RmtInf>{inner}</RmtInf>" if inner else ""


def structured(document: StructuredRemittance, currency: str) -> str:
    """The content of one [Strd]."""
    inner = ""
    if document.document_type is not None:
        inner += f"<Tp><CdOrPrtry><Cd>{code(document.document_type)}</Cd></CdOrPrtry></Tp>"
    if document.document_number is not None:
        inner += f"<Nb>{fit(document.document_number, 35)}</Nb>"
    if document.document_date is not None:
        inner += f"<RltdDt>{document.document_date.isoformat()}</RltdDt>"
    written = f"<RfrdDocInf>{inner}</RfrdDocInf>" if inner else ""
    if document.remitted_amount is not None:
        amount = money(document.remitted_amount, currency)
        written += f"<RfrdDocAmt>{amount_start('RmtdAmt', currency)}{amount}</RmtdAmt></RfrdDocAmt>"
    if document.creditor_reference is not None or document.creditor_reference_type is not None:
        written += f"<CdtrRefInf>{_creditor_reference(document)}</CdtrRefInf>"
    if document.additional_information is not None:
        written += f"<AddtlRmtInf>{fit(document.additional_information, 140)}</AddtlRmtInf>"
    return written


def _creditor_reference(document: StructuredRemittance) -> str:
    kind = document.creditor_reference_type
    written = ""
    if kind is not None:
        tag = "Cd" if kind in CREDITOR_REFERENCE_CODES else "Prtry"
        # The issuer of an ISO 11649 reference is ISO (EPC132-08, CreditorReferenceInformation/Type/Issuer).
        issuer = "<Issr>ISO</Issr>" if kind == "SCOR" and (document.creditor_reference or "").startswith("RF") else ""
        written = f"<Tp><CdOrPrtry><{tag}>{fit(kind, 35)}</{tag}></CdOrPrtry>{issuer}</Tp>"
    if document.creditor_reference is not None:
        written += f"<Ref>{fit(document.creditor_reference, 35)}</Ref>"
    return written
