"""Rules of the SEPA credit transfer schemes, for payments of service level SEPA, and those of instant payments.

Sources: EPC125-05 (SCT rulebook 2025 v1.1) with EPC132-08 (customer-to-PSP implementation guidelines); EPC004-16 (SCT Inst
rulebook 2025 v1.1) with EPC121-16 (its customer-to-PSP guidelines), all in force since 5 October 2025.
"""

from datetime import date
from decimal import Decimal
from typing import TypeGuard

from formats import checks
from formats.characters import EXTENDED
from formats.countries import SEPA_COUNTRIES
from formats.model import (
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    StructuredRemittance,
)
from formats.pain001_parts import IllegalText, structured
from formats.rules.rule import HERE, NOTHING, Check, Finding, Findings, Pack, Rule, Setting, how_many
from formats.rules.templates import Scheme, iban_only, identifiers, name_length, remittance_one, texts

_GUIDE = "EPC132-08 SCT C2PSP implementation guidelines 2025"
_SCHEME = Scheme(prefix="sepa", source=_GUIDE, payments_en="SEPA payments", payments_zh="SEPA 付款")
_REMITTANCE_MAX = 140


def is_sepa(terms: PaymentTerms) -> bool:
    """Whether the payment asks for service level SEPA."""
    return isinstance(terms.payment_type, PaymentType) and terms.payment_type.service_level == "SEPA"


def is_instant(terms: PaymentTerms) -> bool:
    """Whether the payment asks for local instrument INST."""
    return isinstance(terms.payment_type, PaymentType) and terms.payment_type.local_instrument == "INST"


def _is_amount(value: object) -> TypeGuard[Decimal]:
    return isinstance(value, Decimal) and value.is_finite()


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
    if terms.charge_bearer in (None, "SLEV"):
        return NOTHING
    # SHAR says the same in other words. DEBT and CRED say who pays, which a fix must not change.
    return (Finding(fix="SLEV" if terms.charge_bearer == "SHAR" else None),)


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


def _structured_length(part: tuple[StructuredRemittance, object], _limit: int, _setting: Setting) -> Findings:
    document, currency = part
    try:
        length = len(structured(document, currency if isinstance(currency, str) else "EUR"))
    except (IllegalText, TypeError, AttributeError, ArithmeticError):
        return NOTHING  # what cannot be written is reported by the rules on its fields
    return (Finding(details={"length": length}),) if length > _REMITTANCE_MAX else NOTHING


def _reference_type(part: tuple[StructuredRemittance, object], _limit: int, _setting: Setting) -> Findings:
    return HERE if part[0].creditor_reference_type not in (None, "SCOR") else NOTHING


def _purpose(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if transfer.purpose_proprietary is not None else NOTHING


def _member_id(agent: Agent, _limit: int, _setting: Setting) -> Findings:
    return HERE if agent.clearing_system_member_id is not None else NOTHING


def _service_level(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    given = kind.service_level is not None or kind.service_level_proprietary is not None
    if not given or kind.service_level == "SEPA":
        return NOTHING
    return (Finding(fix="SEPA" if kind.service_level_proprietary is None else None),)


def _instant_sepa(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if kind.service_level == "SEPA" else HERE


def _instant_above(most: Decimal) -> Check:
    def check(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
        return HERE if _is_amount(transfer.amount) and transfer.amount > most else NOTHING

    return check


def _instant_priority(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    return HERE if kind.instruction_priority is not None else NOTHING


def _instant_until(last: date, first: date | None, most: Decimal, rule: str) -> Rule:
    """One of the limits the scheme has had. EPC023-16 said them; the 2025 rulebook has none."""
    return Rule(
        id=rule,
        source="EPC023-16, maximum amount for instructions under the SCT Inst scheme rulebook",
        valid_from=first,
        valid_until=last,
        parts=("transfer",),
        field="amount",
        message_en=f"Instant payments are of {most} EUR at most.",
        message_zh=f"即时付款单笔最高 {most} 欧元。",
        check=_instant_above(most),
    )


SEPA = Pack(
    name="sepa",
    applies=is_sepa,
    rules=(
        iban_only(
            _SCHEME, f"{_GUIDE}, DebtorAccount and CreditorAccount: only IBAN is allowed; Regulation (EU) 260/2012, article 5"
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
        name_length(_SCHEME, 70, f"{_GUIDE}, Name: limited to 70 characters"),
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
        remittance_one(_SCHEME),
        Rule(
            id="sepa.structured-length",
            source=f"{_GUIDE}, Structured: tags and data must not exceed 140 characters",
            parts=("structured",),
            message_en="The structured remittance takes {length} characters with its tags; SEPA carries 140. Send less.",
            message_zh="结构化附言含标签共 {length} 个字符，SEPA 最多 140 个，请只保留参考号。",
            check=_structured_length,
        ),
        *identifiers(_SCHEME, "section 1.4"),
        texts(_SCHEME, EXTENDED, carries_en="SEPA carries European letters only", carries_zh="SEPA 只支持欧洲文字"),
        Rule(
            id="sepa.reference-type",
            source=f"{_GUIDE}, CreditorReferenceInformation/Type/Code: only SCOR is allowed",
            parts=("structured",),
            field="creditor_reference_type",
            message_en="In SEPA a creditor reference is of type SCOR (ISO 11649) and of no other.",
            message_zh="SEPA 付款中的收款人参考号类型只能为 SCOR（ISO 11649）。",
            check=_reference_type,
        ),
        Rule(
            id="sepa.purpose-code",
            source=f"{_GUIDE}, Purpose: only codes of the ISO 20022 external code set",
            parts=("transfer",),
            field="purpose_proprietary",
            message_en="SEPA carries a purpose by its ISO 20022 code only. Write it into purpose, or leave it out.",
            message_zh="SEPA 付款的用途只能使用 ISO 20022 代码，请填写 purpose 或删除。",
            check=_purpose,
        ),
        Rule(
            id="sepa.agent-bic",
            source=f"{_GUIDE}, DebtorAgent and CreditorAgent: BIC, or NOTPROVIDED",
            severity="warning",
            parts=("agent",),
            field="clearing_system_member_id",
            message_en="SEPA names banks by BIC or not at all: a national bank code is not carried on. Leave it out.",
            message_zh="SEPA 仅以 BIC 标识银行或不填，不传送国内行号，请删除。",
            check=_member_id,
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

INSTANT_LIMITS = (
    _instant_until(date(2020, 6, 30), None, Decimal("15000.00"), "instant.amount-max-2017"),
    _instant_until(date(2025, 10, 4), date(2020, 7, 1), Decimal("100000.00"), "instant.amount-max"),
)
"""The limits of the scheme until the 2025 rulebook lifted them on 5 October 2025 (EPC004-16, 2025; Regulation (EU) 2024/886)."""

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
            id="instant.priority",
            source="EPC121-16 SCT Inst C2PSP implementation guidelines 2025: the scheme has one speed",
            severity="warning",
            parts=("payment_type",),
            field="instruction_priority",
            message_en="An instruction priority says nothing beside INST; banks ignore it or ask back. Leave it out.",
            message_zh="INST 付款无需指令优先级，银行会忽略或查询，请删除。",
            check=_instant_priority,
        ),
        *INSTANT_LIMITS,
    ),
)
"""For payments that ask for local instrument INST."""


def _is_sepa_instant(terms: PaymentTerms) -> bool:
    return is_sepa(terms) and is_instant(terms)


INSTANT_SEPA = Pack(name="instant-sepa", applies=_is_sepa_instant, rules=INSTANT_LIMITS)
"""For banks that know instant payments of another scheme beside SEPA's (Switzerland): the limits of SEPA's alone."""
