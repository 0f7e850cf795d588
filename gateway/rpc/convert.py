"""bankgate.v1 payment requests into the gateway's orders.

This is the hot path of ingest, so it is written for speed where that costs no clarity: fields are read by attribute, and
parties, accounts, agents and payment types, which repeat from payment to payment, are looked up by their serialised bytes
before they are built again. What cannot be read at all (an amount that is no number) becomes a violation of the order and
never an exception: the caller gets every problem of every payment at once.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar

from bankgate.v1 import types_pb2 as pb
from formats.errors import Violation
from formats.model import (
    Account,
    Agent,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)
from gateway.instant import InstantChoice
from gateway.payment import PaymentOrder

TEXT_MAX = 2_000
"""Longest text of any field, in characters. Nothing a bank message carries is longer; the bank's own limits come later."""

REQUEST_BYTES_MAX = 64 * 1024
"""Largest single payment, serialised. Guards the store against a payment with ten thousand remittance lines."""

ITEMS_MAX = 1_000
"""Items in all lists of a payment together. Each may break rules, and every break is an object of its own."""

CACHED_BYTES_MAX = 512  # larger parts are built anew each time, which bounds the caches to a few MiB
_TOO_MUCH = frozenset({"request.size-max", "request.items-max"})
CONVENTIONS = "bankgate.v1 types.proto, conventions"

_INSTANT: dict[int, InstantChoice] = {pb.InstantChoice.Value(f"INSTANT_CHOICE_{choice.name}"): choice for choice in InstantChoice}
_AMOUNT = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,17})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Problems = tuple[Violation, ...]
T = TypeVar("T")
M = TypeVar("M")


def order_of(request: pb.PaymentRequest) -> PaymentOrder:
    """The order that a request asks for; what could not be read of it stands in `problems`."""
    content = request.SerializeToString(deterministic=True)
    problems: list[Violation] = []
    if len(content) > TEXT_MAX:
        problems.extend(_oversize(request, len(content)))
        if any(problem.rule in _TOO_MUCH for problem in problems):
            request = _without_lists(request)
    has = request.HasField
    amount_text, date_text = request.amount, request.requested_execution_date
    purpose, purpose_proprietary = request.purpose, request.purpose_proprietary
    if purpose and purpose_proprietary:
        problems.append(_both("purpose", "purpose_proprietary"))
    return PaymentOrder(
        payment_reference=request.payment_reference,
        connection_id=request.connection_id,
        amount=amount_of(amount_text, "amount", problems) if amount_text else None,
        currency=request.currency or None,
        content_sha256=sha256(content).digest(),
        requested_execution_date=_date(date_text, "requested_execution_date", problems) if date_text else None,
        charge_bearer=request.charge_bearer or None,
        end_to_end_id=request.end_to_end_id or None,
        uetr=request.uetr or None,
        debtor=_part(_party, request.debtor, "debtor", problems) if has("debtor") else None,
        debtor_account=_part(_account, request.debtor_account, "debtor_account", problems) if has("debtor_account") else None,
        debtor_agent=_part(_agent, request.debtor_agent, "debtor_agent", problems) if has("debtor_agent") else None,
        ultimate_debtor=_part(_party, request.ultimate_debtor, "ultimate_debtor", problems) if has("ultimate_debtor") else None,
        payment_type=_part(_payment_type, request.payment_type, "payment_type", problems) if has("payment_type") else None,
        creditor=_part(_party, request.creditor, "creditor", problems) if has("creditor") else None,
        creditor_account=(
            _part(_account, request.creditor_account, "creditor_account", problems) if has("creditor_account") else None
        ),
        creditor_agent=_part(_agent, request.creditor_agent, "creditor_agent", problems) if has("creditor_agent") else None,
        ultimate_creditor=(
            _part(_party, request.ultimate_creditor, "ultimate_creditor", problems) if has("ultimate_creditor") else None
        ),
        purpose=purpose or None,
        purpose_proprietary=purpose_proprietary or None,
        remittance_information=(_remittance(request.remittance_information, problems) if has("remittance_information") else None),
        supplementary=tuple((field.name, field.value) for field in request.supplementary),
        instant=_instant(request.instant, problems) if request.instant else None,
        release_group=request.release_group or None,
        problems=tuple(problems),
    )


def _instant(number: int, problems: list[Violation]) -> InstantChoice | None:
    choice = _INSTANT.get(number)
    if choice is None:
        problems.append(
            _violation(
                "instant",
                "instant.unknown",
                "bankgate.v1 types.proto, InstantChoice",
                "There is no such choice. Say NORMAL, INSTANT or INSTANT_ELSE_NORMAL, or nothing.",
                "没有该选项：可填 NORMAL、INSTANT 或 INSTANT_ELSE_NORMAL，或留空。",
            )
        )
    return choice


def orders_of(requests: Iterable[pb.PaymentRequest]) -> list[PaymentOrder]:
    """One order per request, in order."""
    return [order_of(request) for request in requests]


def date_of(text: str) -> date | None:
    """A calendar date as the API writes dates (YYYY-MM-DD), or None if it is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


_known_date = lru_cache(maxsize=4096)(date_of)


# -- parts that repeat: built once, then found by their bytes --------------------------------------------------------------


def _part(read: Callable[[bytes], tuple[T | None, Problems]], message: Any, field: str, problems: list[Violation]) -> T | None:
    """One part of the request. An empty message is the same as an absent one."""
    content: bytes = message.SerializeToString()
    value, found = read(content)
    if found:
        problems.extend(_under(field, found))
    return value


def _remembering(build: Callable[[bytes], tuple[T | None, Problems]]) -> Callable[[bytes], tuple[T | None, Problems]]:
    """Remembers what small parts were turned into. A pure function of the bytes, so the answer cannot go stale."""
    remembered = lru_cache(maxsize=8192)(build)

    def read(content: bytes) -> tuple[T | None, Problems]:
        return remembered(content) if len(content) <= CACHED_BYTES_MAX else build(content)

    return read


@_remembering
def _party(content: bytes) -> tuple[Party | None, Problems]:
    if not content:
        return None, ()
    party = pb.Party.FromString(content)
    problems: list[Violation] = []
    # An empty message is an absent one here too: ERPs fill templates and leave what they do not know blank.
    organisation = _organisation(party.organisation) if party.organisation.ByteSize() else None
    person = _person(party.person, problems) if party.person.ByteSize() else None
    if organisation is not None and person is not None:
        problems.append(
            _violation(
                "person",
                "party.organisation-or-person",
                "bankgate.v1 types.proto, Party; ISO 20022 Party38Choice",
                "A party is an organisation or a person; both are given. Leave one out.",
                "当事人是机构或个人二者之一，现在两者都填了，请删去其中一个。",
            )
        )
    return (
        Party(
            name=party.name or None,
            postal_address=_address(party.postal_address) if party.postal_address.ByteSize() else None,
            organisation=organisation,
            person=person,
            country_of_residence=party.country_of_residence or None,
        ),
        tuple(problems),
    )


@_remembering
def _account(content: bytes) -> tuple[Account | None, Problems]:
    if not content:
        return None, ()
    account = pb.Account.FromString(content)
    problems: Problems = ()
    if bool(account.iban) == bool(account.other_id):
        given = "both are given" if account.iban else "neither is given"
        given_zh = "现在两者都填了" if account.iban else "现在两者都没有填"
        problems = (
            _violation(
                "iban",
                "account.iban-or-other",
                "bankgate.v1 types.proto, Account; ISO 20022 AccountIdentification4Choice",
                f"An account has either an iban or an other_id; {given}.",
                f"账户须填 iban 或 other_id 之一；{given_zh}。",
            ),
        )
    return (
        Account(
            iban=account.iban or None,
            other_id=account.other_id or None,
            other_scheme=account.other_scheme or None,
            currency=account.currency or None,
        ),
        problems,
    )


@_remembering
def _agent(content: bytes) -> tuple[Agent | None, Problems]:
    if not content:
        return None, ()
    agent = pb.Agent.FromString(content)
    return (
        Agent(
            bic=agent.bic or None,
            clearing_system_id=agent.clearing_system_id or None,
            clearing_system_member_id=agent.clearing_system_member_id or None,
            lei=agent.lei or None,
            name=agent.name or None,
            postal_address=_address(agent.postal_address) if agent.postal_address.ByteSize() else None,
        ),
        (),
    )


@_remembering
def _payment_type(content: bytes) -> tuple[PaymentType | None, Problems]:
    if not content:
        return None, ()
    kind = pb.PaymentType.FromString(content)
    pairs = (
        ("service_level", "service_level_proprietary", kind.service_level, kind.service_level_proprietary),
        ("local_instrument", "local_instrument_proprietary", kind.local_instrument, kind.local_instrument_proprietary),
        ("category_purpose", "category_purpose_proprietary", kind.category_purpose, kind.category_purpose_proprietary),
    )
    return (
        PaymentType(
            instruction_priority=kind.instruction_priority or None,
            service_level=kind.service_level or None,
            service_level_proprietary=kind.service_level_proprietary or None,
            local_instrument=kind.local_instrument or None,
            local_instrument_proprietary=kind.local_instrument_proprietary or None,
            category_purpose=kind.category_purpose or None,
            category_purpose_proprietary=kind.category_purpose_proprietary or None,
        ),
        tuple(_both(code, word) for code, word, code_value, word_value in pairs if code_value and word_value),
    )


# -- the small parts -------------------------------------------------------------------------------------------------------


def _address(address: pb.PostalAddress) -> PostalAddress:
    return PostalAddress(
        department=address.department or None,
        sub_department=address.sub_department or None,
        street_name=address.street_name or None,
        building_number=address.building_number or None,
        building_name=address.building_name or None,
        floor=address.floor or None,
        post_box=address.post_box or None,
        room=address.room or None,
        post_code=address.post_code or None,
        town_name=address.town_name or None,
        town_location_name=address.town_location_name or None,
        district_name=address.district_name or None,
        country_sub_division=address.country_sub_division or None,
        country=address.country or None,
        address_line=tuple(filter(None, address.address_line)),
    )


def _others(others: Iterable[pb.OtherIdentification]) -> tuple[OtherIdentification, ...]:
    return tuple(
        OtherIdentification(
            id=other.id,
            scheme_code=other.scheme_code or None,
            scheme_proprietary=other.scheme_proprietary or None,
            issuer=other.issuer or None,
        )
        for other in others
    )


def _organisation(organisation: pb.OrganisationIdentification) -> OrganisationIdentification:
    return OrganisationIdentification(
        bic=organisation.bic or None, lei=organisation.lei or None, other=_others(organisation.other)
    )


def _person(person: pb.PrivateIdentification, problems: list[Violation]) -> PrivateIdentification:
    return PrivateIdentification(
        birth_date=_date(person.birth_date, "person.birth_date", problems) if person.birth_date else None,
        city_of_birth=person.city_of_birth or None,
        country_of_birth=person.country_of_birth or None,
        other=_others(person.other),
    )


def _remittance(remittance: pb.RemittanceInformation, problems: list[Violation]) -> RemittanceInformation | None:
    unstructured = tuple(filter(None, remittance.unstructured))
    structured = tuple(
        _structured(item, f"remittance_information.structured[{place}]", problems)
        for place, item in enumerate(remittance.structured)
        if item.ByteSize()  # an empty one is an absent one, as everywhere
    )
    return RemittanceInformation(unstructured=unstructured, structured=structured) if unstructured or structured else None


def _structured(item: pb.StructuredRemittance, field: str, problems: list[Violation]) -> StructuredRemittance:
    return StructuredRemittance(
        document_type=item.document_type or None,
        document_number=item.document_number or None,
        document_date=_date(item.document_date, f"{field}.document_date", problems) if item.document_date else None,
        remitted_amount=amount_of(item.remitted_amount, f"{field}.remitted_amount", problems) if item.remitted_amount else None,
        creditor_reference_type=item.creditor_reference_type or None,
        creditor_reference=item.creditor_reference or None,
        additional_information=item.additional_information or None,
    )


def amount_of(text: str, field: str, problems: list[Violation]) -> Decimal | None:
    if _AMOUNT.fullmatch(text):
        return Decimal(text)
    problems.append(
        _violation(
            field,
            "amount.format",
            f"{CONVENTIONS}; ISO 20022 ActiveOrHistoricCurrencyAndAmount",
            "This is not an amount. Write at most 18 digits, with at most one dot and no sign or grouping, for example 1250.00.",
            "金额格式不对：只写数字（最多 18 位），至多一个小数点，不带正负号和千分位，例如 1250.00。",
        )
    )
    return None


def _date(text: str, field: str, problems: list[Violation]) -> date | None:
    value = _known_date(text) if len(text) == 10 else None
    if value is None:
        problems.append(
            _violation(
                field,
                "date.format",
                f"{CONVENTIONS}; ISO 8601-1:2019, 5.2.2.1",
                "This is not a calendar date. Write YYYY-MM-DD, for example 2026-11-25.",
                "日期格式不对：请写成 YYYY-MM-DD，例如 2026-11-25。",
            )
        )
    return value


# -- violations ------------------------------------------------------------------------------------------------------------


def _violation(field: str, rule: str, source: str, message_en: str, message_zh: str) -> Violation:
    return Violation(field=field, rule=rule, source=source, message_en=message_en, message_zh=message_zh)


def _both(code: str, proprietary: str) -> Violation:
    return _violation(
        proprietary,
        "choice.code-or-proprietary",
        "bankgate.v1 types.proto; ISO 20022, Code/Proprietary choices",
        f"Give {code} (an ISO code) or {proprietary} (the bank's own word), not both.",
        f"{code}（ISO 代码）与 {proprietary}（银行自定义）只能填一个。",
    )


def _under(field: str, found: Problems) -> list[Violation]:
    """The same violations, seen from the request: their fields get the part's name in front."""
    return [_violation(f"{field}.{v.field}", v.rule, v.source, v.message_en, v.message_zh) for v in found]


def _oversize(request: pb.PaymentRequest, size: int) -> list[Violation]:
    """Every text that is longer than any bank message could carry. Only looked for when the whole is large enough."""
    problems = [
        _violation(
            field,
            "text.length-max",
            "bankgate limits, text of one field",
            f"This text is longer than {TEXT_MAX} characters.",
            f"文本超过 {TEXT_MAX} 个字符。",
        )
        for field in _long_texts(request, "")
    ]
    items = _items(request)
    if items > ITEMS_MAX:
        problems.append(
            _violation(
                "payment",
                "request.items-max",
                "bankgate limits, one payment",
                f"The lists of this payment have {items} items together; at most {ITEMS_MAX} are taken.",
                f"该笔付款各列表共 {items} 项，上限为 {ITEMS_MAX} 项。",
            )
        )
    if size > REQUEST_BYTES_MAX:
        problems.append(
            _violation(
                "payment",
                "request.size-max",
                "bankgate limits, one payment",
                f"This payment takes {size} bytes; at most {REQUEST_BYTES_MAX} are taken.",
                f"该笔付款共 {size} 字节，上限为 {REQUEST_BYTES_MAX} 字节。",
            )
        )
    return problems


def _without_lists(message: Any) -> Any:
    """The same without any list in it: what is refused for its size is not looked at item by item."""
    short = type(message)()
    short.CopyFrom(message)
    for descriptor, value in short.ListFields():
        if descriptor.is_repeated:
            short.ClearField(descriptor.name)
        elif descriptor.message_type is not None:
            value.CopyFrom(_without_lists(value))
    return short


def _items(message: Any) -> int:
    """How many items all its lists have together."""
    count = 0
    for descriptor, value in message.ListFields():
        if descriptor.is_repeated:
            count += len(value)
        if descriptor.message_type is not None:
            count += sum(_items(item) for item in (value if descriptor.is_repeated else (value,)))
    return count


def _long_texts(message: Any, path: str) -> Iterable[str]:
    for descriptor, value in message.ListFields():
        repeated = descriptor.is_repeated
        for place, item in enumerate(value if repeated else (value,)):
            field = f"{path}{descriptor.name}[{place}]" if repeated else f"{path}{descriptor.name}"
            if descriptor.message_type is not None:
                yield from _long_texts(item, f"{field}.")
            elif isinstance(item, str) and len(item) > TEXT_MAX:
                yield field
