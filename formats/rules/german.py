"""Die Deutsche Kreditwirtschaft (DK): euros at German banks, ordinary (SEPA), instant and urgent (Euro-Eilüberweisung).

Source: DFÜ-Abkommen, Anlage 3 (specification of data formats), SEPA technical version GBIC_4 with pain.001.001.09; DK's format
life cycle (ebics.de): versions up to GBIC_3, and with them pain.001.001.03, ended on 14 November 2026, urgent payments included.
What Anlage 3 takes over from the EPC's guidelines is in the packs of SEPA.
"""

from formats.characters import EXTENDED
from formats.model import PaymentTerms, PaymentType
from formats.rules.places import service_level
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting
from formats.rules.sepa import SEPA
from formats.rules.templates import Scheme, iban_only, identifiers, name_length, remittance_one, texts

_GUIDE = "DFÜ-Abkommen, Anlage 3, SEPA technical version GBIC_4"
_SCHEME = Scheme(prefix="dk", source=_GUIDE, payments_en="urgent euro payments", payments_zh="欧元加急付款")
_LEVELS = ("SEPA", "URGP")


def is_urgent(terms: PaymentTerms) -> bool:
    """Whether the payment asks for service level URGP."""
    return service_level(terms) == "URGP"


def _not_urgent(terms: PaymentTerms) -> bool:
    return not is_urgent(terms)


def _service_level(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    given = kind.service_level is not None or kind.service_level_proprietary is not None
    return HERE if given and kind.service_level not in _LEVELS else NOTHING


def _slev(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    return HERE if terms.charge_bearer == "SLEV" else NOTHING


def _salary(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    return HERE if kind.category_purpose == "SALA" else NOTHING


DK = Pack(
    name="dk",
    rules=(
        Rule(
            id="dk.service-level",
            source=f"{_GUIDE}, ServiceLevel: SEPA, or URGP for urgent payments",
            parts=("payment_type",),
            field="service_level",
            message_en="Euro payments at German banks are of service level SEPA or URGP (urgent), or say none.",
            message_zh="德国银行的欧元付款服务级别只能为 SEPA 或 URGP（加急），或留空。",
            check=_service_level,
        ),
    ),
)
"""For every payment at a German bank."""

DK_ORDINARY = Pack(name="dk-ordinary", applies=_not_urgent, rules=SEPA.rules)
"""For euro payments at a German bank that are not urgent: the rules of SEPA, whether the service level is said or not."""

DK_URGENT = Pack(
    name="dk-urgent",
    applies=is_urgent,
    rules=(
        Rule(
            id="dk.urgent-charge-bearer",
            source="ISO 20022, ChargeBearerType1Code SLEV: the rules agreed in service level or scheme; banks differ for URGP",
            severity="warning",
            parts=("terms",),
            field="charge_bearer",
            message_en="Not every German bank takes SLEV for an urgent payment. SHAR means the same here; or leave it out.",
            message_zh="并非所有德国银行都接受加急付款使用 SLEV；可改用含义相同的 SHAR 或留空。",
            check=_slev,
        ),
        Rule(
            id="dk.urgent-salary",
            source=f"{_GUIDE}, CategoryPurpose; German banks' special service for salaries",
            severity="warning",
            parts=("payment_type",),
            field="category_purpose",
            message_en="Salaries (SALA) are kept confidential in SEPA payments; an urgent payment is shown one by one.",
            message_zh="工资类（SALA）仅在 SEPA 付款中保密；加急付款会逐笔显示。",
            check=_salary,
        ),
        iban_only(_SCHEME, f"{_GUIDE}, DebtorAccount and CreditorAccount: IBAN"),
        name_length(_SCHEME, 70, f"{_GUIDE}, Name: at most 70 characters"),
        remittance_one(_SCHEME),
        *identifiers(_SCHEME, "character set"),
        texts(_SCHEME, EXTENDED, carries_en="German banks carry European letters only", carries_zh="德国银行只支持欧洲文字"),
    ),
)
"""For urgent euro payments (EBICS order CCU) at a German bank."""
