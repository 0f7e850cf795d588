"""Rules on the payment as a whole: what must be there, dates, money, types. Part of the pack `common`."""

from decimal import Decimal

from formats import checks
from formats.model import CreditTransfer, Party, PaymentTerms, PaymentType
from formats.rules.rule import HERE, NOTHING, SCHEMA, Finding, Findings, Rule, Setting
from formats.rules.walk import is_day

_FATF = "FATF Recommendation 16, interpretive note; Regulation (EU) 2023/1113, article 4"


def _missing(part: object, *fields: str) -> Findings:
    return tuple([Finding(name) for name in fields if getattr(part, name) is None])


def _required(part: PaymentTerms | CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    if isinstance(part, PaymentTerms):
        return _missing(part, "debtor", "debtor_account", "debtor_agent", "requested_execution_date")
    return _missing(part, "instruction_id", "end_to_end_id", "amount", "currency")


def _payee_required(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    creditor = transfer.creditor
    if transfer.creditor_account is not None and isinstance(creditor, Party) and creditor.name is not None:
        return NOTHING
    nameless = isinstance(creditor, Party) and creditor.name is None
    return _missing(transfer, "creditor", "creditor_account") + ((Finding("creditor.name"),) if nameless else NOTHING)


def _payer_required(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    return (Finding("debtor.name"),) if isinstance(terms.debtor, Party) and terms.debtor.name is None else NOTHING


def _date_past(terms: PaymentTerms, _limit: int, setting: Setting) -> Findings:
    day = terms.requested_execution_date
    if is_day(day) and checks.is_past(day, setting.on):
        return (Finding(details={"on": setting.on.isoformat()}),)
    return NOTHING


def _date_horizon(terms: PaymentTerms, _limit: int, setting: Setting) -> Findings:
    day = terms.requested_execution_date
    if is_day(day) and checks.is_beyond(day, setting.on, setting.horizon_days):
        return (Finding(details={"days": setting.horizon_days}),)
    return NOTHING


def _charge_bearer(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    bearer = terms.charge_bearer
    if bearer is None or not isinstance(bearer, str) or bearer in checks.CHARGE_BEARERS:
        return NOTHING
    upper = bearer.strip().upper() if len(bearer) < 10 else ""
    return (Finding(fix=upper if upper in checks.CHARGE_BEARERS else None),)


def _priority(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    priority = kind.instruction_priority
    if priority is None or not isinstance(priority, str) or priority in checks.INSTRUCTION_PRIORITIES:
        return NOTHING
    upper = priority.strip().upper() if len(priority) < 10 else ""
    return (Finding(fix=upper if upper in checks.INSTRUCTION_PRIORITIES else None),)


def _type_both(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    names = ("service_level", "local_instrument", "category_purpose")
    return tuple(Finding(name) for name in names if None not in (getattr(kind, name), getattr(kind, f"{name}_proprietary")))


def _purpose_both(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if transfer.purpose is not None and transfer.purpose_proprietary is not None else NOTHING


def _supplementary(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if transfer.supplementary else NOTHING


def _uetr_form(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    uetr = transfer.uetr
    if uetr is None or not isinstance(uetr, str) or checks.is_uetr(uetr):
        return NOTHING
    lower = uetr.strip().lower() if len(uetr) < 50 else ""
    return (Finding(fix=lower if checks.is_uetr(lower) else None),)


def _uetr_version(transfer: CreditTransfer, _limit: int, setting: Setting) -> Findings:
    if transfer.uetr is None or setting.version.extended:
        return NOTHING
    return (Finding(details={"version": setting.version.name}),)


def _amount(transfer: CreditTransfer) -> Decimal | None:
    """The amount where it is a finite number."""
    amount = transfer.amount
    return amount if isinstance(amount, Decimal) and amount.is_finite() else None


def _amount_number(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    amount = transfer.amount
    return HERE if isinstance(amount, Decimal) and not amount.is_finite() else NOTHING


def _amount_positive(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    amount = _amount(transfer)
    return HERE if amount is not None and amount <= 0 else NOTHING


def _amount_scale(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    amount, currency = _amount(transfer), transfer.currency
    if amount is None or not isinstance(currency, str) or not checks.has_scale_beyond(amount, currency):
        return NOTHING
    return (Finding(details={"units": checks.minor_units(currency)}),)


def _amount_digits(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    amount, currency = _amount(transfer), transfer.currency
    if amount is None or not isinstance(currency, str):
        return NOTHING
    return HERE if checks.has_too_many_digits(amount, checks.minor_units(currency)) else NOTHING


def _currency_taken(transfer: CreditTransfer, _limit: int, setting: Setting) -> Findings:
    currencies = setting.currencies
    if currencies is None or not isinstance(transfer.currency, str) or transfer.currency in currencies:
        return NOTHING
    return (Finding(details={"currencies": ", ".join(sorted(currencies))}),)


RULES: tuple[Rule, ...] = (
    Rule(
        id="field.required",
        source=SCHEMA,
        parts=("terms", "transfer"),
        message_en="This field is required.",
        message_zh="此字段必填。",
        check=_required,
    ),
    Rule(
        id="payer.required",
        source=_FATF,
        parts=("terms",),
        message_en="The name of the payer must travel with the payment.",
        message_zh="付款信息必须包含付款人名称。",
        check=_payer_required,
    ),
    Rule(
        id="payee.required",
        source=_FATF,
        parts=("transfer",),
        message_en="The name and the account of the payee must travel with the payment.",
        message_zh="付款信息必须包含收款人名称和账号。",
        check=_payee_required,
    ),
    Rule(
        id="date.past",
        source="ISO 20022 pain.001, RequestedExecutionDate",
        parts=("terms",),
        field="requested_execution_date",
        message_en="The execution date is before {on}, the day of sending. Ask for that day or a later one.",
        message_zh="执行日期早于发送日 {on}，请改为该日或之后的日期。",
        check=_date_past,
    ),
    Rule(
        id="date.horizon",
        source="the bank's agreement (Capabilities.horizon_days)",
        parts=("terms",),
        field="requested_execution_date",
        message_en="The bank takes execution dates at most {days} days ahead. Submit the payment nearer to its date.",
        message_zh="银行最多接受 {days} 天后的执行日期，请临近日期再提交。",
        check=_date_horizon,
    ),
    Rule(
        id="charge-bearer.unknown",
        source="ISO 20022, ChargeBearerType1Code",
        parts=("terms",),
        field="charge_bearer",
        message_en="The charge bearer must be SLEV, SHAR, DEBT or CRED.",
        message_zh="费用承担方必须为 SLEV、SHAR、DEBT 或 CRED。",
        check=_charge_bearer,
    ),
    Rule(
        id="instruction-priority.unknown",
        source="ISO 20022, Priority2Code",
        parts=("payment_type",),
        field="instruction_priority",
        message_en="The instruction priority must be HIGH or NORM.",
        message_zh="指令优先级必须为 HIGH 或 NORM。",
        check=_priority,
    ),
    Rule(
        id="payment-type.both",
        source="ISO 20022 pain.001, PaymentTypeInformation (choice of Cd and Prtry)",
        parts=("payment_type",),
        message_en="Give either the code or the proprietary word, not both.",
        message_zh="代码与专有值只能填写其一。",
        check=_type_both,
    ),
    Rule(
        id="purpose.both",
        source="ISO 20022 pain.001, Purpose2Choice",
        parts=("transfer",),
        field="purpose",
        message_en="Give either the purpose code or the proprietary purpose, not both.",
        message_zh="用途代码与专有用途只能填写其一。",
        check=_purpose_both,
    ),
    Rule(
        id="supplementary.unknown",
        source="bankgate.v1 PaymentRequest.supplementary",
        parts=("transfer",),
        field="supplementary",
        message_en="This bank knows no supplementary fields; they would be lost. Leave them out.",
        message_zh="该银行不支持补充字段（内容会丢失），请删除。",
        check=_supplementary,
    ),
    Rule(
        id="uetr.form",
        source="ISO 20022, UUIDv4Identifier; RFC 9562, section 5.4",
        parts=("transfer",),
        field="uetr",
        message_en="The UETR must be a UUID of version 4 in lower case. Leave it out and bankgate makes one.",
        message_zh="UETR 必须为小写的第 4 版 UUID；留空则由 bankgate 生成。",
        check=_uetr_form,
    ),
    Rule(
        id="uetr.version",
        source=SCHEMA,
        parts=("transfer",),
        field="uetr",
        message_en="{version} cannot carry a UETR. Leave it out, or send pain.001.001.09 or later.",
        message_zh="{version} 无法携带 UETR，请留空或改用 pain.001.001.09 及以上版本。",
        check=_uetr_version,
    ),
    Rule(
        id="amount.number",
        source="ISO 20022, ActiveOrHistoricCurrencyAndAmount",
        parts=("transfer",),
        field="amount",
        message_en="The amount is not a finite number.",
        message_zh="金额不是有限数字。",
        check=_amount_number,
    ),
    Rule(
        id="amount.positive",
        source="ISO 20022, ActiveOrHistoricCurrencyAndAmount; credit transfers move more than nothing",
        parts=("transfer",),
        field="amount",
        message_en="The amount must be greater than zero.",
        message_zh="金额必须大于零。",
        check=_amount_positive,
    ),
    Rule(
        id="amount.scale",
        source="ISO 4217, minor units",
        parts=("transfer",),
        field="amount",
        message_en="The amount has more digits after the point than the {units} its currency has.",
        message_zh="金额小数位数超过该币种允许的 {units} 位。",
        check=_amount_scale,
    ),
    Rule(
        id="amount.digits",
        source="ISO 20022, ActiveOrHistoricCurrencyAndAmount: at most 18 digits",
        parts=("transfer",),
        field="amount",
        message_en="The amount has more than 18 digits.",
        message_zh="金额超过 18 位数字。",
        check=_amount_digits,
    ),
    Rule(
        id="currency.not-taken",
        source="the bank's agreement (Capabilities.currencies)",
        parts=("transfer",),
        field="currency",
        message_en="This bank takes only {currencies} here.",
        message_zh="该银行在此仅接受 {currencies}。",
        check=_currency_taken,
    ),
)
