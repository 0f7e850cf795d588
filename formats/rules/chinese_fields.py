"""What single Chinese banks ask of a payment beside widths: where it goes, which lines they carry, how many digits.

One rule a function, for the packs of banks, and one pack for a usual bank (`destinations`). A 联行号 (CNAPS number) has 12
digits: 3 of the bank, 4 of the city, 4 of the branch, 1 check digit.
"""

from decimal import Decimal

from formats.dialects.looks import payment_rule
from formats.errors import Severity
from formats.model import CreditTransfer
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting


def destinations(
    prefix: str,
    source: str,
    bank_class: str,
    *,
    remark: bool,
    urgency: bool,
    bank_name: Severity = "error",
    rails: frozenset[str] = frozenset(),
    integer_digits: int | None = None,
) -> Pack:
    """The pack of a bank that wants the 联行号 of another bank's branch. `remark`: whether it carries a second line (附言);
    `urgency`: whether it has a field for that; `bank_name`: what the absence of a branch's name is; `rails`: those that can be
    chosen; `integer_digits`: of the amount, before the point."""
    rules = [
        needs_bank_code(prefix, source, bank_class),
        needs_bank_name(prefix, source, bank_class, bank_name),
        _rail(prefix, source, bank_class, rails),
    ]
    if not remark:
        rules.append(no_remark(prefix, source, bank_class))
    if not urgency:
        rules.append(_no_urgency(prefix, source, bank_class))
    if integer_digits is not None:
        rules.append(amount_digits(prefix, source, integer_digits))
    return Pack(name=f"{prefix}-destinations", rules=tuple(rules))


def needs_bank_code(prefix: str, source: str, bank_class: str) -> Rule:
    """For banks that find another bank's branch by its 联行号. That it has 12 digits is the rule `cn.bank-code-shape`."""
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: not facts.own_bank and not facts.bank_code,
        id=f"{prefix}.bank-code",
        field="creditor_agent.clearing_system_member_id",
        message_en="For a payee at another bank the 12 digits of its 联行号 (clearing system CNAPS) are required.",
        message_zh="跨行付款必须填写收款行 12 位联行号（CNAPS）。",
    )


def needs_bank_name(prefix: str, source: str, bank_class: str, severity: Severity = "error") -> Rule:
    """For banks that want the name of another bank's branch; a warning where they only handle the payment by hand without."""
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: not facts.own_bank and not facts.bank_name,
        id=f"{prefix}.bank-name",
        field="creditor_agent.name",
        message_en="Without the name of the payee's branch the bank handles the payment by hand (落地) or refuses it.",
        message_zh="未填写收款行名称，银行可能转人工处理（落地）或拒绝付款。",
        severity=severity,
    )


def needs_name_or_code(prefix: str, source: str, bank_class: str) -> Rule:
    """For banks that take either, the name of another bank's branch or its 联行号."""
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: not facts.own_bank and not facts.bank_name and not facts.bank_code,
        id=f"{prefix}.other-bank",
        field="creditor_agent.name",
        message_en="A payment to another bank names that bank, by its branch or by its code (联行号).",
        message_zh="跨行付款须填写收款行名称或联行号。",
    )


def needs_purpose(prefix: str, source: str, bank_class: str) -> Rule:
    """For banks that take no payment without 用途."""
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: not facts.purpose,
        id=f"{prefix}.purpose",
        field="remittance_information.unstructured",
        message_en="The purpose (用途, the first line of the remittance information) is required.",
        message_zh="用途（附言第一行）必填。",
    )


def no_remark(prefix: str, source: str, bank_class: str) -> Rule:
    """For banks with one line of text."""
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: bool(facts.remark),
        id=f"{prefix}.no-remark",
        field="remittance_information.unstructured[1]",
        message_en="The bank carries one line, the purpose (用途). The remark (附言) would be lost: say it there.",
        message_zh="该银行只支持一行用途，附言会丢失，请并入第一行。",
    )


def _no_urgency(prefix: str, source: str, bank_class: str) -> Rule:
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: facts.urgent,
        id=f"{prefix}.no-urgency",
        field="payment_type",
        message_en="The bank has no field for urgency: it chooses the way of the payment by itself.",
        message_zh="该银行无加急字段，汇路由银行自行选择。",
        severity="warning",
    )


def _rail(prefix: str, source: str, bank_class: str, rails: frozenset[str]) -> Rule:
    return payment_rule(
        bank_class,
        source,
        lambda facts, _amount: bool(facts.rail) and facts.rail not in rails,
        id=f"{prefix}.no-rail",
        field="supplementary.cn.rail",
        message_en="This way cannot be chosen here: the bank chooses by itself.",
        message_zh="此处无法指定该汇路，由银行自行选择。",
        severity="warning",
    )


def amount_digits(prefix: str, source: str, most: int) -> Rule:
    """For banks whose field of the amount holds so many digits before the point."""

    def check(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
        amount = transfer.amount
        known = isinstance(amount, Decimal) and amount.is_finite()
        return HERE if known and amount >= Decimal(10) ** most else NOTHING

    return Rule(
        id=f"{prefix}.amount-digits",
        source=source,
        parts=("transfer",),
        field="amount",
        message_en=f"The bank's field holds at most {most} digits before the point. Split the payment.",
        message_zh=f"银行金额字段整数部分最多 {most} 位，请拆分付款。",
        check=check,
    )
