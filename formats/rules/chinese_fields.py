"""What single Chinese banks ask of a payment beside widths: where it goes, which lines they carry, how many digits.

One pack a bank (`destinations`), made of what is known of its interface. A 联行号 (CNAPS number) has 12 digits: 3 of the bank,
4 of the city, 4 of the branch, 1 check digit.
"""

import re
from decimal import Decimal
from typing import Final

from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule
from formats.errors import Severity
from formats.model import CreditTransfer
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting

_BANK_CODE: Final = re.compile(r"[0-9]{12}").fullmatch


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
    rules = [*_branch(prefix, source, bank_class, bank_name), _rail(prefix, source, bank_class, rails)]
    if not remark:
        rules.append(_no_remark(prefix, source, bank_class))
    if not urgency:
        rules.append(_no_urgency(prefix, source, bank_class))
    if integer_digits is not None:
        rules.append(_digits(prefix, source, integer_digits))
    return Pack(name=f"{prefix}-destinations", rules=tuple(rules))


def _branch(prefix: str, source: str, bank_class: str, bank_name: Severity) -> tuple[Rule, Rule]:
    """The payee's branch, by its number and by its name."""
    return (
        payment_rule(
            bank_class,
            source,
            _bank_code,
            id=f"{prefix}.bank-code",
            field="creditor_agent.clearing_system_member_id",
            message_en="The payee's bank is named by the 12 digits of its 联行号 (clearing system CNAPS). Another bank needs it.",
            message_zh="收款行须以 12 位联行号（CNAPS）标识；跨行付款必填。",
        ),
        payment_rule(
            bank_class,
            source,
            lambda facts, _amount: not facts.own_bank and not facts.bank_name,
            id=f"{prefix}.bank-name",
            field="creditor_agent.name",
            message_en="Without the name of the payee's branch the bank handles the payment by hand (落地) or refuses it.",
            message_zh="未填写收款行名称，银行可能转人工处理（落地）或拒绝付款。",
            severity=bank_name,
        ),
    )


def _bank_code(facts: Facts, _amount: Decimal) -> bool:
    needed = not facts.own_bank or bool(facts.bank_code)
    return needed and _BANK_CODE(facts.bank_code) is None


def _no_remark(prefix: str, source: str, bank_class: str) -> Rule:
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


def _digits(prefix: str, source: str, most: int) -> Rule:
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
