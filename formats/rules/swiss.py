"""Swiss Payment Standards (SPS): what banks in Switzerland and Liechtenstein ask of pain.001.

Sources: SIX, Swiss Payment Standards 2026, Swiss implementation guidelines for credit transfer (pain.001), valid from 14 November
2026, and QR-bill 2.3, valid from 21 November 2025. Payment types: S is euros by SEPA, D is francs and euros within Switzerland
and Liechtenstein, X is everything else, C (cheques) is not written here. Rules of S are those of SEPA, rules of X those of
payments across borders.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from formats import checks
from formats.characters import CharacterSet
from formats.model import Account, CreditTransfer, PaymentTerms, RemittanceInformation, StructuredRemittance
from formats.rules.address import address_pack
from formats.rules.places import SWISS_AREA, Payment, creditor_country, is_cross_border, service_level
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting
from formats.rules.templates import Scheme, identifiers, name_length, remittance_one, texts

_GUIDE = "Swiss Payment Standards 2026, implementation guidelines for credit transfer (pain.001)"
_QR_BILL = "Swiss Payment Standards, implementation guidelines QR-bill 2.3"
_SCHEME = Scheme(prefix="sps", source=_GUIDE, payments_en="Swiss payments", payments_zh="瑞士付款")

UNSTRUCTURED_ENDS = date(2026, 11, 14)
"""The first day on which Swiss banks want town and country, and the last release's QR-bills with combined addresses are over."""

LATIN = CharacterSet(
    "SPS character set",
    f"{_GUIDE}, section 3.1: Basic Latin, Latin-1 Supplement, Latin Extended-A, Ș ș Ț ț and €",
    re.compile("[^ -~\xa0-\u017f\u0218-\u021b€]"),
)

_DOMESTIC_CURRENCIES = ("CHF", "EUR")
_AMOUNT_MAX = Decimal("9999999999.99")
_QR_IIDS = ("30", "31")  # how the institution ids 30000 to 31999 begin


def is_qr_iban(account: object) -> bool:
    """Whether the account is a QR-IBAN: institution id (IID, characters 5 to 9) 30000 to 31999."""
    iban = account.iban if isinstance(account, Account) else None
    if not isinstance(iban, str) or iban[4:6] not in _QR_IIDS or iban[:2] not in SWISS_AREA:
        return False
    return iban[6:9].isdigit() and checks.iban_fault(iban) is None


def payment_type(terms: PaymentTerms, transfer: CreditTransfer) -> str:
    """The SPS payment type: "S", "D" or "X"."""
    if service_level(terms) == "SEPA":
        return "S"
    domestic = creditor_country(transfer) in (*SWISS_AREA, None)
    return "D" if domestic and transfer.currency in _DOMESTIC_CURRENCIES else "X"


def _reference_types(transfer: CreditTransfer) -> Sequence[object]:
    """The type of every creditor reference of the payment; an RF reference without a type is SCOR."""
    remittance = transfer.remittance_information
    documents: object = remittance.structured if isinstance(remittance, RemittanceInformation) else ()
    if not documents or not isinstance(documents, tuple):
        return ()
    return [_type_of(document) for document in documents if isinstance(document, StructuredRemittance)]


def _type_of(document: StructuredRemittance) -> object:
    kind, reference = document.creditor_reference_type, document.creditor_reference
    if kind is None and isinstance(reference, str) and reference.startswith("RF"):
        return "SCOR"
    return kind


_REFERENCE = "remittance_information.structured[{}].creditor_reference_type"


def _qr_iban_without_qrr(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    if not is_qr_iban(transfer.creditor_account):
        return NOTHING
    types = _reference_types(transfer)
    return HERE if "QRR" not in types and "SCOR" not in types else NOTHING


def _scor_with_qr_iban(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    types = _reference_types(transfer)
    if "SCOR" not in types or not is_qr_iban(transfer.creditor_account):
        return NOTHING
    return tuple([Finding(_REFERENCE.format(index)) for index, kind in enumerate(types) if kind == "SCOR"])


def _qrr_without_qr_iban(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    types = _reference_types(transfer)
    if "QRR" not in types or is_qr_iban(transfer.creditor_account):
        return NOTHING
    return tuple([Finding(_REFERENCE.format(index)) for index, kind in enumerate(types) if kind == "QRR"])


def _qr_currency(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    currency = transfer.currency
    if not isinstance(currency, str) or currency in _DOMESTIC_CURRENCIES or not checks.is_currency(currency):
        return NOTHING
    return HERE if is_qr_iban(transfer.creditor_account) else NOTHING


def _debtor_qr_iban(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    return HERE if is_qr_iban(terms.debtor_account) else NOTHING


def _amount_max(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    amount = transfer.amount
    return HERE if isinstance(amount, Decimal) and amount.is_finite() and amount > _AMOUNT_MAX else NOTHING


def _slev_of_type_x(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    terms, transfer = payment
    if terms.charge_bearer != "SLEV" or is_cross_border(payment):  # across borders cross-border.charge-bearer says it
        return NOTHING
    return HERE if payment_type(terms, transfer) == "X" else NOTHING


SPS_ADDRESS = address_pack(
    "sps-address",
    "sps.address-unstructured",
    UNSTRUCTURED_ENDS,
    f"{_GUIDE}, PostalAddress: TownName and Country; SIX, end of the unstructured and of the QR-bill's combined address",
)
"""Addresses at Swiss banks, in place of `formats.rules.address.ADDRESS`: the end comes a day earlier."""

SPS = Pack(
    name="sps",
    rules=(
        Rule(
            id="sps.qr-iban-needs-qrr",
            source=f"{_GUIDE}, CreditorReferenceInformation; {_QR_BILL}, QR-IBAN and QR reference",
            parts=("transfer",),
            field="remittance_information",
            message_en="The account is a QR-IBAN, which is paid with a QR reference only: creditor_reference_type QRR and its 27 "
            "digits.",
            message_zh="该账户为 QR-IBAN，付款必须携带 QR 参考号：creditor_reference_type 为 QRR，参考号为 27 位数字。",
            check=_qr_iban_without_qrr,
        ),
        Rule(
            id="sps.scor-with-qr-iban",
            source=f"{_GUIDE}, CreditorReferenceInformation; {_QR_BILL}, ISO 11649 reference with an ordinary IBAN only",
            parts=("transfer",),
            message_en="An ISO 11649 reference (SCOR) goes with an ordinary IBAN, and this one is a QR-IBAN. Ask the payee which "
            "is right.",
            message_zh="ISO 11649 参考号（SCOR）只能与普通 IBAN 同用，而该账户为 QR-IBAN，请向收款人确认。",
            check=_scor_with_qr_iban,
        ),
        Rule(
            id="sps.qrr-needs-qr-iban",
            source=f"{_GUIDE}, CreditorReferenceInformation; {_QR_BILL}, QR reference with a QR-IBAN only (IID 30000 to 31999)",
            parts=("transfer",),
            message_en="A QR reference (QRR) goes with a QR-IBAN only, and this account is none. Take both from one QR-bill.",
            message_zh="QR 参考号（QRR）只能与 QR-IBAN 同用，而该账户不是 QR-IBAN，请使用同一张 QR 账单上的账号和参考号。",
            check=_qrr_without_qr_iban,
        ),
        Rule(
            id="sps.qr-currency",
            source=f"{_QR_BILL}, currency: CHF or EUR",
            parts=("transfer",),
            field="currency",
            message_en="QR-bills are in CHF or EUR, and so are payments to a QR-IBAN.",
            message_zh="QR 账单及付至 QR-IBAN 的款项只能使用 CHF 或 EUR。",
            check=_qr_currency,
        ),
        Rule(
            id="sps.debtor-qr-iban",
            source=f"{_QR_BILL}, QR-IBAN: for incoming payments with a QR reference",
            severity="warning",
            parts=("terms",),
            field="debtor_account.iban",
            message_en="The paying account is given by its QR-IBAN, which is for being paid. Give its ordinary IBAN.",
            message_zh="付款账户填写了 QR-IBAN（仅用于收款），请改填普通 IBAN。",
            check=_debtor_qr_iban,
        ),
        Rule(
            id="sps.amount-max",
            source=f"{_GUIDE}, InstructedAmount: 9999999999.99 or less",
            parts=("transfer",),
            field="amount",
            message_en="Swiss banks take amounts of 9999999999.99 at most. Split the payment.",
            message_zh="瑞士银行单笔金额最高为 9999999999.99，请拆分付款。",
            check=_amount_max,
        ),
        Rule(
            id="sps.charge-bearer",
            source=f"{_GUIDE}, ChargeBearer: SLEV for payment type S",
            parts=("payment",),
            field="charge_bearer",
            message_en="SLEV is for SEPA (type S). A payment of type X shares its charges by SHAR, DEBT or CRED.",
            message_zh="SLEV 仅用于 SEPA（S 类）；X 类付款请填写 SHAR、DEBT 或 CRED。",
            check=_slev_of_type_x,
        ),
        name_length(
            _SCHEME,
            70,
            "Swiss Payment Standards up to release 2024, Name: at most 70; from release 2025 on for payment type S only",
            valid_until=date(2025, 11, 20),
        ),
        texts(_SCHEME, LATIN, carries_en="Swiss banks carry Latin letters only", carries_zh="瑞士银行仅支持拉丁字母"),
    ),
)
"""For every payment at a Swiss bank."""


def _not_sepa(terms: PaymentTerms) -> bool:
    return service_level(terms) != "SEPA"


SPS_TEXTS = Pack(
    name="sps-texts",
    applies=_not_sepa,
    rules=(
        *identifiers(_SCHEME, "section 3.1"),
        remittance_one(_SCHEME),
    ),
)
"""For payments of types D and X; in those of type S, SEPA has the say of identifiers and of the remittance line."""
