"""The transfer that nearly every transfer is: to a name and an IBAN, with one line of text.

The same text as the writer of any transfer gives (`formats.pain001.any_transaction`), in half the time: the shape is tested once,
and all texts are looked at together for characters that need care. Whatever is not of this shape, or wrong in any way, is none of
this file's business.
"""

from operator import attrgetter

from formats.checks import AMOUNT_DIGITS_MAX, iban_fault, is_country
from formats.currencies import MINOR_UNITS
from formats.model import CreditTransfer, Party
from formats.pain001_parts import ADDRESS_TEXTS, NEEDS_CARE, agent, tracked
from formats.pain001_versions import Pain001Version

_CENTS = frozenset(currency for currency, units in MINOR_UNITS.items() if units == 2)
_BEYOND_NAME = attrgetter("organisation", "person", "country_of_residence")
_NOTHING_BEYOND_NAME = (None, None, None)
_IN_STREET = {"street_name", "building_number", "post_code", "town_name"}
_REST = [name for name, _, _ in ADDRESS_TEXTS if name not in _IN_STREET]
_BEYOND_STREET = attrgetter(*_REST, "address_line")
_NOTHING_BEYOND_STREET = (*[None] * len(_REST), ())


def usual_transaction(transfer: CreditTransfer, version: Pain001Version) -> str | None:
    """The [CdtTrfTxInf] of a transfer of the usual shape, line feed included; None for any other. Raises as the other writer."""
    held, information = transfer.creditor_account, transfer.remittance_information
    instruction, end_to_end = transfer.instruction_id, transfer.end_to_end_id
    if (
        held is None
        or information is None
        or held.iban is None
        or held.currency is not None
        or transfer.purpose is not None
        or transfer.purpose_proprietary is not None
        or transfer.ultimate_creditor is not None
        or information.structured
        or len(information.unstructured) != 1
        or not 0 < len(instruction) <= 35
        or not 0 < len(end_to_end) <= 35
        or transfer.currency not in _CENTS
        or iban_fault(held.iban) is not None
    ):
        return None
    line = information.unstructured[0]
    amount = str(transfer.amount)
    payee = _payee(transfer.creditor)
    if (
        payee is None
        or not 0 < len(line) <= 140
        or NEEDS_CARE("".join((instruction, end_to_end, line))) is not None  # joined, so that nothing but text passes
        or amount[-3:-2] != "."
        or len(amount) > AMOUNT_DIGITS_MAX + 1
        or not amount[:-3].isdigit()
    ):
        return None
    uetr, bank = transfer.uetr, transfer.creditor_agent
    return (
        f"<CdtTrfTxInf><PmtId><InstrId>{instruction}</InstrId><EndToEndId>{end_to_end}</EndToEndId>"
        f"{'' if uetr is None else f'<UETR>{tracked(uetr, version)}</UETR>'}</PmtId>"
        f'<Amt><InstdAmt Ccy="{transfer.currency}">{amount}</InstdAmt></Amt>'
        f"{'' if bank is None else agent('CdtrAgt', bank, version)}<Cdtr>{payee}</Cdtr>"
        f"<CdtrAcct><Id><IBAN>{held.iban}</IBAN></Id></CdtrAcct><RmtInf><Ustrd>{line}</Ustrd></RmtInf></CdtTrfTxInf>\n"
    )


def _payee(who: Party) -> str | None:
    """The content of a party that is a name and perhaps an address of street, number, post code, town and country; or None."""
    name, place = who.name, who.postal_address
    if name is None or not 0 < len(name) <= 140 or _BEYOND_NAME(who) != _NOTHING_BEYOND_NAME:
        return None
    if place is None:
        return f"<Nm>{name}</Nm>" if NEEDS_CARE(name) is None else None
    street, number, code, town = place.street_name, place.building_number, place.post_code, place.town_name
    if (
        not is_country(place.country)  # type: ignore[arg-type]  # None is no country
        or _BEYOND_STREET(place) != _NOTHING_BEYOND_STREET
        or (street is not None and not 0 < len(street) <= 70)
        or (number is not None and not 0 < len(number) <= 16)
        or (code is not None and not 0 < len(code) <= 16)
        or (town is not None and not 0 < len(town) <= 35)
        or NEEDS_CARE("".join((name, street or "", number or "", code or "", town or ""))) is not None
    ):
        return None
    return (
        f"<Nm>{name}</Nm><PstlAdr>{'' if street is None else f'<StrtNm>{street}</StrtNm>'}"
        f"{'' if number is None else f'<BldgNb>{number}</BldgNb>'}{'' if code is None else f'<PstCd>{code}</PstCd>'}"
        f"{'' if town is None else f'<TwnNm>{town}</TwnNm>'}<Ctry>{place.country}</Ctry></PstlAdr>"
    )
