"""Where the parts of a payment are: the one place that knows the shape of the model for the rules.

The walk survives anything in a field: what is not of its type is reported (`field.type`) and not looked at further.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

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
from formats.rules.rule import NOTHING, Inspection, Rule

_Part = TypeVar("_Part")

# (attribute, kind of text, length limit of the schema); limits as in the versions up to .11, which are the narrower ones.
_Texts = tuple[tuple[str, str, int], ...]
_TRANSFER: _Texts = (
    ("instruction_id", "identifier", 35),
    ("end_to_end_id", "identifier", 35),
    ("currency", "currency", 3),
    ("purpose", "code", 4),
    ("purpose_proprietary", "text", 35),
)
_PARTY: _Texts = (("name", "text", 140), ("country_of_residence", "country", 2))
_ADDRESS: _Texts = (
    ("department", "text", 70),
    ("sub_department", "text", 70),
    ("street_name", "text", 70),
    ("building_number", "text", 16),
    ("building_name", "text", 35),
    ("floor", "text", 70),
    ("post_box", "text", 16),
    ("room", "text", 70),
    ("post_code", "text", 16),
    ("town_name", "text", 35),
    ("town_location_name", "text", 35),
    ("district_name", "text", 35),
    ("country_sub_division", "text", 35),
    ("country", "country", 2),
)
_ORGANISATION: _Texts = (("bic", "bic", 11), ("lei", "lei", 20))
_PERSON: _Texts = (("city_of_birth", "text", 35), ("country_of_birth", "country", 2))
_OTHER: _Texts = (
    ("id", "identifier", 35),
    ("scheme_code", "code", 4),
    ("scheme_proprietary", "text", 35),
    ("issuer", "text", 35),
)
_ACCOUNT: _Texts = (
    ("iban", "iban", 34),
    ("other_id", "identifier", 34),
    ("other_scheme", "code", 4),
    ("currency", "currency", 3),
)
_AGENT: _Texts = (
    ("bic", "bic", 11),
    ("clearing_system_id", "code", 5),
    ("clearing_system_member_id", "identifier", 35),
    ("lei", "lei", 20),
    ("name", "text", 140),
)
_PAYMENT_TYPE: _Texts = (
    ("service_level", "code", 4),
    ("service_level_proprietary", "text", 35),
    ("local_instrument", "code", 35),
    ("local_instrument_proprietary", "text", 35),
    ("category_purpose", "code", 4),
    ("category_purpose_proprietary", "text", 35),
)
_STRUCTURED: _Texts = (
    ("document_type", "code", 4),
    ("document_number", "identifier", 35),
    ("creditor_reference_type", "identifier", 35),
    ("creditor_reference", "identifier", 35),
    ("additional_information", "text", 140),
)
# What is neither a text nor a part of its own: only its type is looked at here, its value by the rule of the whole.
_TERMS_PLAIN = (("charge_bearer", str),)
_PAYMENT_TYPE_PLAIN = (("instruction_priority", str),)
_TRANSFER_PLAIN: tuple[tuple[str, type], ...] = (("amount", Decimal), ("uetr", str))
_PERSON_PLAIN = (("birth_date", date),)
_STRUCTURED_PLAIN: tuple[tuple[str, type], ...] = (("document_date", date), ("remitted_amount", Decimal))

FIELD_TYPE = Rule(
    id="field.type",
    source="formats/model.py; ISO 20022 data types",
    parts=(),
    message_en="The value is not of the kind this field holds. Send text, a date or a decimal number, as described.",
    message_zh="字段值的类型不对，请按字段说明填写文本、日期或十进制数。",
    check=lambda _part, _limit, _setting: NOTHING,
)
"""Reported by the walk itself; in no pack, because it holds always and everywhere."""


def is_day(value: object) -> bool:
    """Whether the value is a calendar date (a datetime is not)."""
    return isinstance(value, date) and not isinstance(value, datetime)


def walk_terms(terms: PaymentTerms, inspection: Inspection) -> None:
    """Puts every part of the terms to the inspection."""
    inspection.look("terms", "", terms)
    if terms.requested_execution_date is not None and not is_day(terms.requested_execution_date):
        inspection.report(FIELD_TYPE, "requested_execution_date")
    _plain(terms, "", _TERMS_PLAIN, inspection)
    _party(terms.debtor, "debtor", inspection)
    _account(terms.debtor_account, "debtor_account", inspection)
    _agent(terms.debtor_agent, "debtor_agent", inspection)
    _party(terms.ultimate_debtor, "ultimate_debtor", inspection)
    kind = _part(terms.payment_type, PaymentType, "payment_type", inspection)
    if kind is not None:
        inspection.look("payment_type", "payment_type", kind)
        _texts(kind, "payment_type", _PAYMENT_TYPE, inspection)
        _plain(kind, "payment_type", _PAYMENT_TYPE_PLAIN, inspection)


def walk_transfer(transfer: CreditTransfer, inspection: Inspection) -> None:
    """Puts every part of the transfer to the inspection."""
    inspection.look("transfer", "", transfer)
    _texts(transfer, "", _TRANSFER, inspection)
    _plain(transfer, "", _TRANSFER_PLAIN, inspection)
    _once(transfer.creditor, "creditor", inspection, _party)
    _once(transfer.creditor_account, "creditor_account", inspection, _account)
    _once(transfer.creditor_agent, "creditor_agent", inspection, _agent)
    _once(transfer.ultimate_creditor, "ultimate_creditor", inspection, _party)
    remittance = _part(transfer.remittance_information, RemittanceInformation, "remittance_information", inspection)
    if remittance is not None:
        _remittance(remittance, transfer.currency, inspection)


def walk_party(party: object, path: str, inspection: Inspection) -> None:
    """Puts one party to the inspection (the initiating party of a message)."""
    _party(party, path, inspection)


def walk_account(account: object, path: str, inspection: Inspection) -> None:
    """Puts one account to the inspection (of a request for statements)."""
    _account(account, path, inspection)


def walk_agent(agent: object, path: str, inspection: Inspection) -> None:
    """Puts one bank to the inspection (of a request to it)."""
    _agent(agent, path, inspection)


def _remittance(remittance: RemittanceInformation, currency: object, inspection: Inspection) -> None:
    inspection.look("remittance", "remittance_information", remittance)
    for index, line in enumerate(_several(remittance.unstructured, "remittance_information.unstructured", inspection)):
        if not inspection.spares("text", line, 140):
            walk_text(line, "text", 140, f"remittance_information.unstructured[{index}]", inspection)
    documents = _several(remittance.structured, "remittance_information.structured", inspection)
    for index, value in enumerate(documents):
        path = f"remittance_information.structured[{index}]"
        document = _part(value, StructuredRemittance, path, inspection)
        if document is not None:
            inspection.look("structured", path, (document, currency))
            _texts(document, path, _STRUCTURED, inspection)
            _plain(document, path, _STRUCTURED_PLAIN, inspection)


_Walk = Callable[[object, str, Inspection], None]


def _once(value: object, path: str, inspection: Inspection, walk: _Walk) -> None:
    """Walks a part, unless the very same object is known to break no rule."""
    clean = inspection.clean
    if value is None or (clean is not None and clean.has(value)):
        return
    before = len(inspection.found)
    walk(value, path, inspection)
    if clean is not None and len(inspection.found) == before:
        clean.add(value)


def _party(value: object, path: str, inspection: Inspection) -> None:
    party = _part(value, Party, path, inspection)
    if party is None:
        return
    inspection.look("party", path, party)
    _texts(party, path, _PARTY, inspection)
    _address(party.postal_address, path, inspection)
    if party.organisation is not None:
        inside = f"{path}.organisation"
        organisation = _part(party.organisation, OrganisationIdentification, inside, inspection)
        if organisation is not None:
            inspection.look("organisation", inside, organisation)
            _texts(organisation, inside, _ORGANISATION, inspection)
            _others(organisation.other, f"{inside}.other", inspection)
    if party.person is not None:
        inside = f"{path}.person"
        person = _part(party.person, PrivateIdentification, inside, inspection)
        if person is not None:
            inspection.look("person", inside, person)
            _texts(person, inside, _PERSON, inspection)
            _plain(person, inside, _PERSON_PLAIN, inspection)
            _others(person.other, f"{inside}.other", inspection)


def _others(values: object, path: str, inspection: Inspection) -> None:
    for index, value in enumerate(_several(values, path, inspection)):
        inside = f"{path}[{index}]"
        other = _part(value, OtherIdentification, inside, inspection)
        if other is not None:
            inspection.look("other", inside, other)
            _texts(other, inside, _OTHER, inspection)


def _address(value: object, path: str, inspection: Inspection) -> None:
    if value is None:
        return
    inside = f"{path}.postal_address"
    address = _part(value, PostalAddress, inside, inspection)
    if address is None:
        return
    inspection.look("address", inside, address)
    _texts(address, inside, _ADDRESS, inspection)
    for index, line in enumerate(_several(address.address_line, f"{inside}.address_line", inspection)):
        if not inspection.spares("text", line, 70):
            walk_text(line, "text", 70, f"{inside}.address_line[{index}]", inspection)


def _account(value: object, path: str, inspection: Inspection) -> None:
    account = _part(value, Account, path, inspection)
    if account is not None:
        inspection.look("account", path, account)
        _texts(account, path, _ACCOUNT, inspection)


def _agent(value: object, path: str, inspection: Inspection) -> None:
    agent = _part(value, Agent, path, inspection)
    if agent is not None:
        inspection.look("agent", path, agent)
        _texts(agent, path, _AGENT, inspection)
        _address(agent.postal_address, path, inspection)


def _part(value: object, kind: type[_Part], path: str, inspection: Inspection) -> _Part | None:
    """The value if it is of its kind; absent or of another kind: None, and the latter reported."""
    if value is None:
        return None
    if not isinstance(value, kind):
        inspection.report(FIELD_TYPE, path)
        return None
    return value


def _several(values: object, path: str, inspection: Inspection) -> Sequence[object]:
    """The items of a repeated field. Only a tuple is hashable and therefore right."""
    if not isinstance(values, tuple):
        inspection.report(FIELD_TYPE, path)
        return ()
    return values


def _texts(part: object, path: str, texts: _Texts, inspection: Inspection) -> None:
    for attribute, kind, limit in texts:
        value = getattr(part, attribute)
        if value is not None and not inspection.spares(kind, value, limit):
            walk_text(value, kind, limit, f"{path}.{attribute}" if path else attribute, inspection)


def walk_text(value: object, kind: str, limit: int, path: str, inspection: Inspection) -> None:
    """Puts one text to the inspection."""
    if isinstance(value, str):
        inspection.look(kind, path, value, limit)
    else:
        inspection.report(FIELD_TYPE, path)


def _plain(part: object, path: str, fields: tuple[tuple[str, type], ...], inspection: Inspection) -> None:
    for attribute, kind in fields:
        value = getattr(part, attribute)
        if value is not None and not (is_day(value) if kind is date else isinstance(value, kind)):
            inspection.report(FIELD_TYPE, f"{path}.{attribute}" if path else attribute)
