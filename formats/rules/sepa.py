"""Rules of the SEPA credit transfer schemes, for payments of service level SEPA, and those of instant payments.

Sources: EPC125-05 (SCT rulebook 2025 v1.1) with EPC132-08 (customer-to-PSP implementation guidelines); EPC004-16 (SCT Inst
rulebook 2025 v1.1) with EPC121-16 (its customer-to-PSP guidelines), all in force since 5 October 2025.
"""

from datetime import date
from decimal import Decimal
from typing import TypeGuard

from formats import checks
from formats.characters import BASIC, EXTENDED
from formats.countries import SEPA_COUNTRIES
from formats.model import (
    Account,
    CreditTransfer,
    OrganisationIdentification,
    Party,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.pain001_parts import IllegalText, structured
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting, how_many
from formats.rules.values import outside

_GUIDE = "EPC132-08 SCT C2PSP implementation guidelines 2025"
_NAME_MAX = 70
_REMITTANCE_MAX = 140
_INSTANT_LIMIT = Decimal("100000.00")
_INSTANT_LIMIT_ENDS = date(2025, 10, 4)


def is_sepa(terms: PaymentTerms) -> bool:
    """Whether the payment asks for service level SEPA."""
    return isinstance(terms.payment_type, PaymentType) and terms.payment_type.service_level == "SEPA"


def is_instant(terms: PaymentTerms) -> bool:
    """Whether the payment asks for local instrument INST."""
    return isinstance(terms.payment_type, PaymentType) and terms.payment_type.local_instrument == "INST"


def _is_amount(value: object) -> TypeGuard[Decimal]:
    return isinstance(value, Decimal) and value.is_finite()


def _iban_only(account: Account, _limit: int, _setting: Setting) -> Findings:
    return HERE if account.iban is None and account.other_id is not None else NOTHING


def _country(iban: str, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if iban[:2] in SEPA_COUNTRIES or checks.iban_fault(iban) is not None else HERE


def _euro(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if transfer.currency == "EUR" or not _is_known(transfer.currency) else HERE


def _is_known(currency: object) -> bool:
    """Whether the currency is known at all (an unknown one is reported elsewhere)."""
    return isinstance(currency, str) and checks.is_currency(currency)


def _amount_max(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if _is_amount(transfer.amount) and transfer.amount > checks.SEPA_AMOUNT_MAX else NOTHING


def _charge_bearer(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if terms.charge_bearer in (None, "SLEV") else (Finding(fix="SLEV"),)


def _name(party: Party, _limit: int, _setting: Setting) -> Findings:
    return HERE if isinstance(party.name, str) and len(party.name) > _NAME_MAX else NOTHING


def _address_lines(address: PostalAddress, _limit: int, _setting: Setting) -> Findings:
    return HERE if how_many(address.address_line) > 2 and address.town_name is None else NOTHING


def _one_organisation_id(organisation: OrganisationIdentification, _limit: int, _setting: Setting) -> Findings:
    given = (organisation.bic is not None) + (organisation.lei is not None) + how_many(organisation.other)
    return HERE if given > 1 else NOTHING


def _one_person_id(person: PrivateIdentification, _limit: int, _setting: Setting) -> Findings:
    return HERE if (person.birth_date is not None) + how_many(person.other) > 1 else NOTHING


def _one_id(part: OrganisationIdentification | PrivateIdentification, limit: int, setting: Setting) -> Findings:
    if isinstance(part, OrganisationIdentification):
        return _one_organisation_id(part, limit, setting)
    return _one_person_id(part, limit, setting)


def _remittance_one(remittance: RemittanceInformation, _limit: int, _setting: Setting) -> Findings:
    return HERE if how_many(remittance.unstructured) + how_many(remittance.structured) > 1 else NOTHING


def _structured_length(part: tuple[StructuredRemittance, object], _limit: int, _setting: Setting) -> Findings:
    document, currency = part
    try:
        length = len(structured(document, currency if isinstance(currency, str) else "EUR"))
    except (IllegalText, TypeError, AttributeError, ArithmeticError):
        return NOTHING  # what cannot be written is reported by the rules on its fields
    return (Finding(details={"length": length}),) if length > _REMITTANCE_MAX else NOTHING


def _slashes(identifier: str, _limit: int, _setting: Setting) -> Findings:
    return HERE if checks.has_bad_slash(identifier) else NOTHING


def _text_characters(text: str, limit: int, _setting: Setting) -> Findings:
    # A replacement may be longer than what it replaces ("…"). It is not to break the limit of names in its turn.
    return outside(text, EXTENDED, min(limit, max(len(text), _NAME_MAX)))


def _identifier_characters(text: str, limit: int, _setting: Setting) -> Findings:
    return tuple(
        finding._replace(fix=None) if finding.fix is not None and checks.has_bad_slash(finding.fix) else finding
        for finding in outside(text, BASIC, limit)
    )


def _service_level(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    given = kind.service_level is not None or kind.service_level_proprietary is not None
    if not given or kind.service_level == "SEPA":
        return NOTHING
    return (Finding(fix="SEPA" if kind.service_level_proprietary is None else None),)


def _instant_sepa(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if kind.service_level == "SEPA" else HERE


def _instant_limit(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if _is_amount(transfer.amount) and transfer.amount > _INSTANT_LIMIT else NOTHING


SEPA = Pack(
    name="sepa",
    applies=is_sepa,
    rules=(
        Rule(
            id="sepa.iban-only",
            source=f"{_GUIDE}, DebtorAccount and CreditorAccount: only IBAN is allowed; Regulation (EU) 260/2012, article 5",
            parts=("account",),
            field="iban",
            message_en="SEPA payments name accounts by IBAN only.",
            message_zh="SEPA 付款只能使用 IBAN 账号。",
            check=_iban_only,
        ),
        Rule(
            id="sepa.country",
            source="EPC409-09, countries in the geographical scope of the SEPA schemes",
            parts=("iban",),
            message_en="The account's country is not in SEPA. Send the payment without service level SEPA.",
            message_zh="该账户所在国家不在 SEPA 范围内，请不要使用 SEPA 服务级别。",
            check=_country,
        ),
        Rule(
            id="sepa.currency",
            source=f"{_GUIDE}, InstructedAmount: only EUR is allowed",
            parts=("transfer",),
            field="currency",
            message_en="SEPA payments are in EUR only.",
            message_zh="SEPA 付款只能使用欧元（EUR）。",
            check=_euro,
        ),
        Rule(
            id="sepa.amount-max",
            source=f"{_GUIDE}, InstructedAmount: 999999999.99 or less",
            parts=("transfer",),
            field="amount",
            message_en="SEPA payments are of 999999999.99 EUR at most. Split the payment.",
            message_zh="SEPA 单笔付款最高为 999999999.99 欧元，请拆分付款。",
            check=_amount_max,
        ),
        Rule(
            id="sepa.charge-bearer",
            source=f"{_GUIDE}, ChargeBearer: only SLEV is allowed",
            parts=("terms",),
            field="charge_bearer",
            message_en="In SEPA each side bears its own charges: SLEV, or nothing.",
            message_zh="SEPA 付款双方各自承担费用：填写 SLEV 或留空。",
            check=_charge_bearer,
        ),
        Rule(
            id="sepa.name-length",
            source=f"{_GUIDE}, Name: limited to 70 characters",
            parts=("party",),
            field="name",
            message_en="Names in SEPA payments have at most 70 characters.",
            message_zh="SEPA 付款中的名称最多 70 个字符。",
            check=_name,
        ),
        Rule(
            id="sepa.address-lines",
            source=f"{_GUIDE}, AddressLine: at most two occurrences",
            parts=("address",),
            field="address_line",
            message_en="Addresses in SEPA payments have at most two lines.",
            message_zh="SEPA 付款中的地址最多两行。",
            check=_address_lines,
        ),
        Rule(
            id="sepa.one-identification",
            source=f"{_GUIDE}, OrganisationIdentification, PrivateIdentification: one of BIC, LEI, birth, Other",
            parts=("organisation", "person"),
            message_en="SEPA payments carry one identification of a party, not several.",
            message_zh="SEPA 付款中每个当事方只能有一个标识。",
            check=_one_id,
        ),
        Rule(
            id="sepa.remittance-one",
            source=f"{_GUIDE}, RemittanceInformation: either one Unstructured or one Structured",
            parts=("remittance",),
            message_en="SEPA payments carry one unstructured line or one structured document, not both and not several.",
            message_zh="SEPA 付款只能携带一行非结构化附言或一份结构化单据。",
            check=_remittance_one,
        ),
        Rule(
            id="sepa.structured-length",
            source=f"{_GUIDE}, Structured: tags and data must not exceed 140 characters",
            parts=("structured",),
            message_en="The structured remittance takes {length} characters with its tags; SEPA carries 140. Send less.",
            message_zh="结构化附言含标签共 {length} 个字符，SEPA 最多 140 个，请只保留参考号。",
            check=_structured_length,
        ),
        Rule(
            id="sepa.slashes",
            source=f"{_GUIDE}, section 1.4: identifiers must not start or end with '/' nor contain '//'",
            parts=("identifier",),
            spares_plain=True,
            message_en="Identifiers in SEPA payments must not begin or end with a slash nor hold two in a row.",
            message_zh="SEPA 付款中的标识不得以斜杠开头或结尾，也不得包含连续两个斜杠。",
            check=_slashes,
        ),
        Rule(
            id="sepa.characters",
            source=EXTENDED.source,
            parts=("text",),
            spares_plain=True,
            message_en="SEPA carries European letters only; these characters would be lost: {characters}.",
            message_zh="SEPA 只支持欧洲文字，以下字符会丢失：{characters}。",
            check=_text_characters,
        ),
        Rule(
            id="sepa.identifier-characters",
            source=BASIC.source,
            parts=("identifier",),  # codes have a narrower form of their own
            spares_plain=True,
            message_en="Identifiers in SEPA payments take letters, digits and / - ? : ( ) . , ' + only, not {characters}.",
            message_zh="SEPA 付款中的标识只能使用字母、数字和 / - ? : ( ) . , ' +，不能使用 {characters}。",
            check=_identifier_characters,
        ),
    ),
)
"""For payments of service level SEPA."""

SEPA_ALWAYS = Pack(
    name="sepa-always",
    rules=(
        *SEPA.rules,
        Rule(
            id="sepa.service-level",
            source=f"{_GUIDE}, ServiceLevel: only SEPA is allowed",
            parts=("payment_type",),
            field="service_level",
            message_en="This bank carries SEPA payments only: the service level is SEPA or nothing.",
            message_zh="该银行仅处理 SEPA 付款：服务级别只能为 SEPA 或留空。",
            check=_service_level,
        ),
    ),
)
"""For banks that carry nothing else: the rules hold whether the service level is said or not."""

INSTANT = Pack(
    name="instant",
    applies=is_instant,
    rules=(
        Rule(
            id="instant.sepa-only",
            source="EPC121-16 SCT Inst C2PSP implementation guidelines 2025, LocalInstrument INST with ServiceLevel SEPA",
            parts=("payment_type",),
            field="local_instrument",
            message_en="An instant payment (INST) needs service level SEPA.",
            message_zh="即时付款（INST）必须使用服务级别 SEPA。",
            check=_instant_sepa,
        ),
        Rule(
            id="instant.amount-max",
            source="EPC004-16 SCT Inst rulebook 2023, maximum amount (lifted by the 2025 rulebook on 5 October 2025)",
            valid_until=_INSTANT_LIMIT_ENDS,
            parts=("transfer",),
            field="amount",
            message_en="Instant payments are of 100000.00 EUR at most.",
            message_zh="即时付款单笔最高 100000.00 欧元。",
            check=_instant_limit,
        ),
    ),
)
"""For payments that ask for local instrument INST."""
