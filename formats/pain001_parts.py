"""The parts of a pain.001 as text: parties, addresses, accounts, agents, remittance.

Plain string building, because a tree costs ten times as much (an element tree of 100,000 payments also costs 300 MB). Every
text goes through `escape`, which is also the place where characters that XML cannot carry are refused.
"""

import re
from decimal import Decimal
from functools import lru_cache

from formats.checks import minor_units
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

_NEEDS_CARE = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]").search
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


class IllegalText(ValueError):
    """A text holds a character that XML 1.0 cannot carry (production [2], Char)."""


def escape(text: str) -> str:
    """The text as XML character data. Raises `IllegalText`."""
    if _NEEDS_CARE(text) is None:
        return text
    if _NOT_XML(text):
        raise IllegalText("a character that XML cannot carry")
    # A bare carriage return would be read back as a line feed (XML 1.0, section 2.11).
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


@lru_cache(maxsize=1_024)
def amount_start(tag: str, currency: str) -> str:
    """The start tag of an amount in that currency."""
    quoted = escape(currency).replace('"', "&quot;")
    return f'<{tag} Ccy="{quoted}">'


@lru_cache(maxsize=1_024)
def _quantum(currency: str) -> Decimal:
    return Decimal(1).scaleb(-minor_units(currency))


def money(amount: Decimal, currency: str) -> str:
    """An amount with exactly the currency's digits after the point; further digits only where they are not zero.

    Equal amounts give equal text, however they were written.
    """
    units = minor_units(currency)
    if units == 2:
        text = str(amount)
        if text[-3:-2] == ".":  # as it should be already: an exponent ("1.2E+7") cannot begin within two characters of the point
            return text
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


def code_or_proprietary(tag: str, code: str | None, proprietary: str | None) -> str:
    """``<tag><Cd>…</Cd></tag>``, the same with Prtry, or nothing."""
    if code is not None:
        return f"<{tag}><Cd>{escape(code)}</Cd></{tag}>"
    if proprietary is not None:
        return f"<{tag}><Prtry>{escape(proprietary)}</Prtry></{tag}>"
    return ""


def payment_type(kind: PaymentType | None) -> str:
    """[PmtTpInf] or nothing."""
    if kind is None:
        return ""
    priority = "" if kind.instruction_priority is None else f"<InstrPrty>{escape(kind.instruction_priority)}</InstrPrty>"
    inner = (
        priority
        + code_or_proprietary("SvcLvl", kind.service_level, kind.service_level_proprietary)
        + code_or_proprietary("LclInstrm", kind.local_instrument, kind.local_instrument_proprietary)
        + code_or_proprietary("CtgyPurp", kind.category_purpose, kind.category_purpose_proprietary)
    )
    return f"<PmtTpInf>{inner}</PmtTpInf>" if inner else ""


def address(place: PostalAddress) -> str:
    """[PstlAdr], or nothing where it is empty."""
    inner = "".join(
        [f"<{tag}>{escape(value)}</{tag}>" for name, tag in ADDRESS_TAGS if (value := getattr(place, name)) is not None]
    )
    if place.address_line:
        inner += "".join([f"<AdrLine>{escape(line)}</AdrLine>" for line in place.address_line])
    return f"<PstlAdr>{inner}</PstlAdr>" if inner else ""


def party(tag: str, who: Party | None, version: Pain001Version) -> str:
    """A party under `tag`, or nothing. A party without content gives an empty element, which the schema allows."""
    if who is None:
        return ""
    name = who.name
    inner = "" if name is None else f"<Nm>{escape(name)}</Nm>"
    if who.postal_address is not None:
        inner += address(who.postal_address)
    if who.organisation is not None or who.person is not None:
        inner += _identification(who, version)
    if who.country_of_residence is not None:
        inner += f"<CtryOfRes>{escape(who.country_of_residence)}</CtryOfRes>"
    return f"<{tag}>{inner}</{tag}>"


def _identification(who: Party, version: Pain001Version) -> str:
    """[Id] with OrgId or PrvtId."""
    if who.organisation is not None:
        organisation = who.organisation
        inner = ""
        if organisation.bic is not None:
            tag = version.organisation_bic_tag
            inner = f"<{tag}>{escape(organisation.bic)}</{tag}>"
        if organisation.lei is not None:
            inner += f"<LEI>{escape(organisation.lei)}</LEI>"
        return f"<Id><OrgId>{inner}{_others(organisation.other)}</OrgId></Id>"
    person = who.person
    if person is None:
        return ""
    inner = ""
    if person.birth_date is not None and person.city_of_birth is not None and person.country_of_birth is not None:
        inner = (
            f"<DtAndPlcOfBirth><BirthDt>{person.birth_date.isoformat()}</BirthDt><CityOfBirth>{escape(person.city_of_birth)}"
            f"</CityOfBirth><CtryOfBirth>{escape(person.country_of_birth)}</CtryOfBirth></DtAndPlcOfBirth>"
        )
    return f"<Id><PrvtId>{inner}{_others(person.other)}</PrvtId></Id>"


def _others(others: tuple[OtherIdentification, ...]) -> str:
    return "".join(
        [
            f"<Othr><Id>{escape(other.id)}</Id>{code_or_proprietary('SchmeNm', other.scheme_code, other.scheme_proprietary)}"
            f"{'' if other.issuer is None else f'<Issr>{escape(other.issuer)}</Issr>'}</Othr>"
            for other in others
        ]
    )


def account(tag: str, held: Account) -> str:
    """An account under `tag`."""
    iban = held.iban
    currency = "" if held.currency is None else f"<Ccy>{escape(held.currency)}</Ccy>"
    if iban is not None:
        return f"<{tag}><Id><IBAN>{escape(iban)}</IBAN></Id>{currency}</{tag}>"
    scheme = code_or_proprietary("SchmeNm", held.other_scheme, None)
    return f"<{tag}><Id><Othr><Id>{escape(held.other_id or '')}</Id>{scheme}</Othr></Id>{currency}</{tag}>"


def agent(tag: str, bank: Agent, version: Pain001Version) -> str:
    """A bank under `tag`. One that nothing is said about is written as NOTPROVIDED (EPC132-08,
    FinancialInstitutionIdentification)."""
    inner = "" if bank.bic is None else f"<{version.bic_tag}>{escape(bank.bic)}</{version.bic_tag}>"
    if bank.clearing_system_member_id is not None:
        system = code_or_proprietary("ClrSysId", bank.clearing_system_id, None)
        inner += f"<ClrSysMmbId>{system}<MmbId>{escape(bank.clearing_system_member_id)}</MmbId></ClrSysMmbId>"
    if bank.lei is not None:
        inner += f"<LEI>{escape(bank.lei)}</LEI>"
    if bank.name is not None:
        inner += f"<Nm>{escape(bank.name)}</Nm>"
    if bank.postal_address is not None:
        inner += address(bank.postal_address)
    return f"<{tag}><FinInstnId>{inner or '<Othr><Id>NOTPROVIDED</Id></Othr>'}</FinInstnId></{tag}>"


def remittance(information: RemittanceInformation, currency: str) -> str:
    """[RmtInf] or nothing."""
    lines = information.unstructured
    if len(lines) == 1 and not information.structured:
        return f"<RmtInf><Ustrd>{escape(lines[0])}</Ustrd></RmtInf>"
    inner = "".join([f"<Ustrd>{escape(line)}</Ustrd>" for line in lines])
    inner += "".join([f"<Strd>{structured(document, currency)}</Strd>" for document in information.structured])
    return f"<RmtInf>{inner}</RmtInf>" if inner else ""


def structured(document: StructuredRemittance, currency: str) -> str:
    """The content of one [Strd]."""
    inner = ""
    if document.document_type is not None:
        inner += f"<Tp><CdOrPrtry><Cd>{escape(document.document_type)}</Cd></CdOrPrtry></Tp>"
    if document.document_number is not None:
        inner += f"<Nb>{escape(document.document_number)}</Nb>"
    if document.document_date is not None:
        inner += f"<RltdDt>{document.document_date.isoformat()}</RltdDt>"
    written = f"<RfrdDocInf>{inner}</RfrdDocInf>" if inner else ""
    if document.remitted_amount is not None:
        amount = money(document.remitted_amount, currency)
        written += f"<RfrdDocAmt>{amount_start('RmtdAmt', currency)}{amount}</RmtdAmt></RfrdDocAmt>"
    if document.creditor_reference is not None or document.creditor_reference_type is not None:
        written += f"<CdtrRefInf>{_creditor_reference(document)}</CdtrRefInf>"
    if document.additional_information is not None:
        written += f"<AddtlRmtInf>{escape(document.additional_information)}</AddtlRmtInf>"
    return written


def _creditor_reference(document: StructuredRemittance) -> str:
    kind = document.creditor_reference_type
    written = ""
    if kind is not None:
        tag = "Cd" if kind in CREDITOR_REFERENCE_CODES else "Prtry"
        # The issuer of an ISO 11649 reference is ISO (EPC132-08, CreditorReferenceInformation/Type/Issuer).
        issuer = "<Issr>ISO</Issr>" if kind == "SCOR" and (document.creditor_reference or "").startswith("RF") else ""
        written = f"<Tp><CdOrPrtry><{tag}>{escape(kind)}</{tag}></CdOrPrtry>{issuer}</Tp>"
    if document.creditor_reference is not None:
        written += f"<Ref>{escape(document.creditor_reference)}</Ref>"
    return written
