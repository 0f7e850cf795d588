"""Payments of a pain.001 read back into the model, so that a bank's rules can be put to a file as they are put to a request.

Source: ISO 20022 message definition report "Payments Initiation", CustomerCreditTransferInitiation; what a version calls an
element is looked for under every version's name. Only what `formats.model` can say is read; what a file says beyond it is left to
the bank.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, Final

from lxml import etree

from formats.errors import Violation
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
from formats.pain001_parts import ADDRESS_TAGS
from formats.shapes import Each, Many, Shape
from formats.xml import ElementStream

_SOURCE: Final = "ISO 20022 pain.001, XML schema"
_OTHER: Final = Shape({"Id": "id", "SchmeNm/Cd": "code", "SchmeNm/Prtry": "proprietary", "Issr": "issuer"})
_DOCUMENT: Final = Shape(
    {
        "RfrdDocInf/Tp/CdOrPrtry/Cd": "document_type",
        "RfrdDocInf/Tp/CdOrPrtry/Prtry": "document_type",
        "RfrdDocInf/Nb": "document_number",
        "RfrdDocInf/RltdDt": "document_date",
        "RfrdDocInf/RltdDt/Dt": "document_date",
        "RfrdDocAmt/RmtdAmt": "remitted_amount",
        "RfrdDocAmt/RmtdAmtAndTp/Amt": "remitted_amount",
        "CdtrRefInf/Tp/CdOrPrtry/Cd": "creditor_reference_type",
        "CdtrRefInf/Tp/CdOrPrtry/Prtry": "creditor_reference_type",
        "CdtrRefInf/Ref": "creditor_reference",
        "AddtlRmtInf": "additional_information",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRead:
    """A payment of a file: the line its transaction opens on, what it asks for, and what of it could not be read.

    An amount or date that could not be read has a stand-in in the model; `problems` says so.
    """

    line: int
    terms: PaymentTerms
    transfer: CreditTransfer
    problems: tuple[Violation, ...] = ()


def read_orders(source: BinaryIO) -> Iterator[OrderRead]:
    """The payments of a pain.001 in order. Streams: `source`, which must be seekable, is read from its start in constant memory.

    Raises `Unparsable`, also midway.
    """
    source.seek(0)
    stream = ElementStream(source, ["PmtInf", "CdtTrfTxInf"])
    block: etree._Element | None = None
    terms: dict[str, Any] = {}
    for event, name, element in stream:
        if name == "PmtInf" and event == "start":
            block, terms = element, {}
        elif name == "PmtInf":
            block = None
            stream.forget(element)
        elif event == "end":
            yield _order(stream.line_of(element), terms, _TRANSACTION.read(element))
            stream.forget(element)
        elif block is not None and not terms:
            terms = _BLOCK.read(block)  # complete before its first transaction, and forgotten with it


# -- shapes: the slots are the paths of the request ------------------------------------------------------------------------


def _address_paths(path: str, slot: str) -> dict[str, Any]:
    paths: dict[str, Any] = {f"{path}/PstlAdr/{tag}": f"{slot}.postal_address.{name}" for name, tag in ADDRESS_TAGS}
    return {**paths, f"{path}/PstlAdr/AdrLine": Many(f"{slot}.postal_address.address_line")}


def _party_paths(path: str, slot: str) -> dict[str, Any]:
    born = f"{path}/Id/PrvtId/DtAndPlcOfBirth"
    return {
        f"{path}/Nm": f"{slot}.name",
        **_address_paths(path, slot),
        f"{path}/Id/OrgId/AnyBIC": f"{slot}.organisation.bic",
        f"{path}/Id/OrgId/BICOrBEI": f"{slot}.organisation.bic",
        f"{path}/Id/OrgId/LEI": f"{slot}.organisation.lei",
        f"{path}/Id/OrgId/Othr": Each(f"{slot}.organisation.other", _OTHER),
        f"{born}/BirthDt": f"{slot}.person.birth_date",
        f"{born}/CityOfBirth": f"{slot}.person.city_of_birth",
        f"{born}/CtryOfBirth": f"{slot}.person.country_of_birth",
        f"{path}/Id/PrvtId/Othr": Each(f"{slot}.person.other", _OTHER),
        f"{path}/CtryOfRes": f"{slot}.country_of_residence",
    }


def _account_paths(path: str, slot: str) -> dict[str, Any]:
    return {
        f"{path}/Id/IBAN": f"{slot}.iban",
        f"{path}/Id/Othr/Id": f"{slot}.other_id",
        f"{path}/Id/Othr/SchmeNm/Cd": f"{slot}.other_scheme",
        f"{path}/Ccy": f"{slot}.currency",
    }


def _agent_paths(path: str, slot: str) -> dict[str, Any]:
    inside = f"{path}/FinInstnId"
    return {
        f"{inside}/BICFI": f"{slot}.bic",
        f"{inside}/BIC": f"{slot}.bic",
        f"{inside}/ClrSysMmbId/ClrSysId/Cd": f"{slot}.clearing_system_id",
        f"{inside}/ClrSysMmbId/MmbId": f"{slot}.clearing_system_member_id",
        f"{inside}/LEI": f"{slot}.lei",
        f"{inside}/Nm": f"{slot}.name",
        **_address_paths(inside, slot),
    }


_SHARED: Final = {
    "PmtTpInf/InstrPrty": "payment_type.instruction_priority",
    "PmtTpInf/SvcLvl/Cd": "payment_type.service_level",
    "PmtTpInf/SvcLvl/Prtry": "payment_type.service_level_proprietary",
    "PmtTpInf/LclInstrm/Cd": "payment_type.local_instrument",
    "PmtTpInf/LclInstrm/Prtry": "payment_type.local_instrument_proprietary",
    "PmtTpInf/CtgyPurp/Cd": "payment_type.category_purpose",
    "PmtTpInf/CtgyPurp/Prtry": "payment_type.category_purpose_proprietary",
    "ChrgBr": "charge_bearer",
    **_party_paths("UltmtDbtr", "ultimate_debtor"),
}
"""What may stand in the block or in each transaction."""

_BLOCK: Final = Shape(
    {
        "ReqdExctnDt": "requested_execution_date",
        "ReqdExctnDt/Dt": "requested_execution_date",
        "ReqdExctnDt/DtTm": "requested_execution_date",
        **_SHARED,
        **_party_paths("Dbtr", "debtor"),
        **_account_paths("DbtrAcct", "debtor_account"),
        **_agent_paths("DbtrAgt", "debtor_agent"),
    }
)
_TRANSACTION: Final = Shape(
    {
        "PmtId/InstrId": "instruction_id",
        "PmtId/EndToEndId": "end_to_end_id",
        "PmtId/UETR": "uetr",
        "Amt/InstdAmt": "amount",
        "Amt/InstdAmt@Ccy": "currency",
        "Amt/EqvtAmt/Amt": "amount",
        "Amt/EqvtAmt/Amt@Ccy": "currency",
        **_SHARED,
        **_party_paths("Cdtr", "creditor"),
        **_account_paths("CdtrAcct", "creditor_account"),
        **_agent_paths("CdtrAgt", "creditor_agent"),
        **_party_paths("UltmtCdtr", "ultimate_creditor"),
        "Purp/Cd": "purpose",
        "Purp/Prtry": "purpose_proprietary",
        "RmtInf/Ustrd": Many("unstructured"),
        "RmtInf/Strd": Each("structured", _DOCUMENT),
    }
)


# -- from slots to the model -----------------------------------------------------------------------------------------------

Found = Mapping[str, Any]


def _order(line: int, block: Found, found: Found) -> OrderRead:
    problems: list[Violation] = []
    shared = {**block, **found} if _under("payment_type", found) is None else {**_without("payment_type", block), **found}
    terms = PaymentTerms(
        debtor=_party("debtor", block, problems) or Party(),
        debtor_account=_account("debtor_account", block) or Account(),
        debtor_agent=_agent("debtor_agent", block) or Agent(),
        requested_execution_date=_date("requested_execution_date", block, problems, needed=True) or date.max,
        payment_type=PaymentType(**kind) if (kind := _under("payment_type", shared)) is not None else None,
        charge_bearer=shared.get("charge_bearer"),
        ultimate_debtor=_party("ultimate_debtor", found, problems) or _party("ultimate_debtor", block, problems),
    )
    transfer = CreditTransfer(
        instruction_id=found.get("instruction_id") or found.get("end_to_end_id") or "",
        end_to_end_id=found.get("end_to_end_id") or "",
        amount=_amount("amount", found, problems, needed=True) or Decimal(1),
        currency=found.get("currency") or "",
        creditor=_party("creditor", found, problems) or Party(),
        creditor_account=_account("creditor_account", found),
        creditor_agent=_agent("creditor_agent", found),
        uetr=found.get("uetr"),
        purpose=found.get("purpose"),
        purpose_proprietary=found.get("purpose_proprietary"),
        ultimate_creditor=_party("ultimate_creditor", found, problems),
        remittance_information=_remittance(found, problems),
    )
    return OrderRead(line=line, terms=terms, transfer=transfer, problems=tuple(problems))


def _under(slot: str, found: Found) -> dict[str, Any] | None:
    """The values under a slot, by the name of the part, or None if there are none."""
    start = f"{slot}."
    parts = {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}
    return parts or None


def _without(slot: str, found: Found) -> dict[str, Any]:
    return {name: value for name, value in found.items() if not name.startswith(f"{slot}.")}


def _party(slot: str, found: Found, problems: list[Violation]) -> Party | None:
    parts = _under(slot, found)
    if parts is None:
        return None
    organisation, person = _under("organisation", parts), _under("person", parts)
    return Party(
        name=parts.get("name"),
        postal_address=_address(parts),
        organisation=None
        if organisation is None
        else OrganisationIdentification(**{**organisation, "other": _others(organisation.get("other", ()))}),
        person=None
        if person is None
        else PrivateIdentification(
            birth_date=_date(f"{slot}.person.birth_date", found, problems),
            city_of_birth=person.get("city_of_birth"),
            country_of_birth=person.get("country_of_birth"),
            other=_others(person.get("other", ())),
        ),
        country_of_residence=parts.get("country_of_residence"),
    )


def _others(others: list[dict[str, Any]] | tuple[()]) -> tuple[OtherIdentification, ...]:
    return tuple(
        OtherIdentification(
            id=one.get("id", ""),
            scheme_code=one.get("code"),
            scheme_proprietary=one.get("proprietary"),
            issuer=one.get("issuer"),
        )
        for one in others
    )


def _address(parts: Found) -> PostalAddress | None:
    place = _under("postal_address", parts)
    return None if place is None else PostalAddress(**{**place, "address_line": tuple(place.get("address_line", ()))})


def _account(slot: str, found: Found) -> Account | None:
    parts = _under(slot, found)
    return None if parts is None else Account(**parts)


def _agent(slot: str, found: Found) -> Agent | None:
    parts = _under(slot, found)
    return None if parts is None else replace(Agent(**_without("postal_address", parts)), postal_address=_address(parts))


def _remittance(found: Found, problems: list[Violation]) -> RemittanceInformation | None:
    documents = []
    for place, one in enumerate(found.get("structured", ())):
        under = f"remittance_information.structured[{place}]"
        slots = {f"{under}.{name}": value for name, value in one.items()}
        documents.append(
            StructuredRemittance(
                **{
                    **one,
                    "document_date": _date(f"{under}.document_date", slots, problems),
                    "remitted_amount": _amount(f"{under}.remitted_amount", slots, problems),
                }
            )
        )
    lines = tuple(found.get("unstructured", ()))
    return RemittanceInformation(unstructured=lines, structured=tuple(documents)) if lines or documents else None


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _amount(slot: str, found: Found, problems: list[Violation], *, needed: bool = False) -> Decimal | None:
    text = found.get(slot)
    value = None if text is None else _decimal(text)
    if value is None and (needed or text is not None):
        problems.append(_unreadable(slot, "amount.format", "This is not an amount.", "此处不是有效金额。"))
    return value


def _date(slot: str, found: Found, problems: list[Violation], *, needed: bool = False) -> date | None:
    text = found.get(slot)
    value = None
    if text is not None:
        try:
            value = date.fromisoformat(text[:10])
        except ValueError:
            value = None
    if value is None and (needed or text is not None):
        problems.append(_unreadable(slot, "date.format", "This is not a calendar date.", "此处不是有效日期。"))
    return value


def _unreadable(field: str, rule: str, message_en: str, message_zh: str) -> Violation:
    return Violation(field=field, rule=rule, source=_SOURCE, message_en=message_en, message_zh=message_zh)
