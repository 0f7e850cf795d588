"""Rules on remittance information. Part of the pack `common`."""

from decimal import Decimal

from formats import checks
from formats.model import RemittanceInformation, StructuredRemittance
from formats.rules.rule import HERE, NOTHING, SCHEMA, Finding, Findings, Rule, Setting

Document = tuple[StructuredRemittance, object]
"""The part that rules on structured remittance see: the document, and the payment's currency."""

_NOTHING_SAID = StructuredRemittance()


def _empty(remittance: RemittanceInformation, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if remittance.unstructured or remittance.structured else HERE


def _document_empty(part: Document, _limit: int, _setting: Setting) -> Findings:
    document = part[0]
    return HERE if document == _NOTHING_SAID else NOTHING


def _document_type(part: Document, _limit: int, setting: Setting) -> Findings:
    kind, known = part[0].document_type, setting.version.document_types
    if kind is None or known is None or not isinstance(kind, str) or kind in known:
        return NOTHING
    return (Finding(details={"known": ", ".join(sorted(known))}),)


def _typed(part: Document, _limit: int, setting: Setting) -> Findings:
    if not setting.version.typed_documents:
        return NOTHING
    details = {"version": setting.version.name}
    names = ("document_date", "remitted_amount")
    return tuple([Finding(name, details=details) for name in names if getattr(part[0], name) is not None])


def _remitted(part: Document, _limit: int, _setting: Setting) -> Findings:
    amount, currency = part[0].remitted_amount, part[1]
    if not isinstance(amount, Decimal) or not isinstance(currency, str):
        return NOTHING
    units = checks.minor_units(currency)
    # Zero is legal here: a document may be mentioned without being paid.
    wrong = (
        not amount.is_finite()
        or amount < 0
        or checks.has_scale_beyond(amount, currency)
        or checks.has_too_many_digits(amount, units)
    )
    return (Finding(details={"units": units}),) if wrong else NOTHING


def _reference_type_alone(part: Document, _limit: int, _setting: Setting) -> Findings:
    document = part[0]
    return HERE if document.creditor_reference_type is not None and document.creditor_reference is None else NOTHING


def _reference_11649(part: Document, _limit: int, _setting: Setting) -> Findings:
    kind, reference = part[0].creditor_reference_type, part[0].creditor_reference
    # SCOR is also used for references of national standards, which do not begin with RF.
    if kind not in (None, "SCOR") or not isinstance(reference, str) or reference[:2].upper() != "RF" or len(reference) > 100:
        return NOTHING
    if checks.creditor_reference_fault(reference) is None:
        return NOTHING
    compact = "".join(reference.split()).upper()
    return (Finding(fix=compact if checks.creditor_reference_fault(compact) is None else None),)


def _reference_qr(part: Document, _limit: int, _setting: Setting) -> Findings:
    kind, reference = part[0].creditor_reference_type, part[0].creditor_reference
    if kind != "QRR" or not isinstance(reference, str) or len(reference) > 100 or checks.qr_reference_fault(reference) is None:
        return NOTHING
    compact = "".join(reference.split())
    return (Finding(fix=compact if checks.qr_reference_fault(compact) is None else None),)


RULES: tuple[Rule, ...] = (
    Rule(
        id="remittance.empty",
        source=SCHEMA,
        parts=("remittance",),
        message_en="The remittance information is empty. Fill it or leave it out.",
        message_zh="汇款附言为空，请填写或删除。",
        check=_empty,
    ),
    Rule(
        id="remittance.document-empty",
        source=SCHEMA,
        parts=("structured",),
        message_en="This document says nothing. Fill it or leave it out.",
        message_zh="该单据内容为空，请填写或删除。",
        check=_document_empty,
    ),
    Rule(
        id="remittance.document-type",
        source="ISO 20022, DocumentType5Code and DocumentType6Code",
        parts=("structured",),
        field="document_type",
        message_en="The document type must be one of {known}.",
        message_zh="单据类型必须为以下之一：{known}。",
        check=_document_type,
    ),
    Rule(
        id="remittance.document-typed",
        source="ISO 20022, ReferredDocumentInformation8 and RemittanceAmount4",
        parts=("structured",),
        message_en="{version} wants a type beside this value, which the request cannot say. Leave it out or send .09.",
        message_zh="{version} 要求同时给出该值的类型，而请求无法表达；请留空或改用 .09 版本。",
        check=_typed,
    ),
    Rule(
        id="remittance.remitted-amount",
        source="ISO 20022, ActiveOrHistoricCurrencyAndAmount; ISO 4217, minor units",
        parts=("structured",),
        field="remitted_amount",
        message_en="The remitted amount must not be negative, with at most {units} digits after the point and 18 in all.",
        message_zh="结算金额不得为负，小数最多 {units} 位，总位数最多 18 位。",
        check=_remitted,
    ),
    Rule(
        id="remittance.reference-type",
        source="ISO 20022, CreditorReferenceInformation2",
        parts=("structured",),
        field="creditor_reference",
        message_en="A type of creditor reference is given but no reference.",
        message_zh="给出了收款人参考号类型，但没有参考号。",
        check=_reference_type_alone,
    ),
    Rule(
        id="remittance.creditor-reference",
        source="ISO 11649; ISO 7064 MOD 97-10",
        parts=("structured",),
        field="creditor_reference",
        message_en="The RF creditor reference is mistyped: its form or its check digits are wrong.",
        message_zh="RF 收款人参考号有误：格式或校验位不正确。",
        check=_reference_11649,
    ),
    Rule(
        id="remittance.qr-reference",
        source="Swiss Payment Standards, QR reference (27 digits, modulo 10 recursive)",
        parts=("structured",),
        field="creditor_reference",
        message_en="The QR reference is mistyped: it needs 27 digits, the last a check digit.",
        message_zh="QR 参考号有误：应为 27 位数字，末位为校验位。",
        check=_reference_qr,
    ),
)
