"""Accounts, bank codes and payment systems of domestic payments in China: part of the pack `cn`, and the caps of a connection."""

import re
from decimal import Decimal
from typing import Final

from formats.dialects.cnaps import check_digit, has_shape, is_consistent, passes_luhn
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule, with_words
from formats.dialects.rails import Limits, over_cap
from formats.model import Account, Agent
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting

_ACCOUNT: Final = re.compile(r"[0-9A-Za-z-]{1,35}").fullmatch
_CARD_LENGTHS: Final = range(13, 20)
ANY_BANK: Final = ""  # for rules that look at nothing which depends on whose bank it is
_SHEETS: Final = "payment forms of the banks' direct-connect interfaces (银企直联)"


def _code(agent: Agent) -> str | None:
    """The 联行号 of an agent; None where it has none, or something that is no text."""
    code = agent.clearing_system_member_id
    return code if isinstance(code, str) and code else None


def _code_shape(agent: Agent, _limit: int, _setting: Setting) -> Findings:
    code = _code(agent)
    return NOTHING if code is None or has_shape(code) else HERE


def _code_check_digit(agent: Agent, _limit: int, _setting: Setting) -> Findings:
    code = _code(agent)
    if code is None or not has_shape(code) or is_consistent(code):
        return NOTHING
    return (Finding(details={"expected": check_digit(code[:11]), "found": code[11]}),)


def _account_shape(account: Account, _limit: int, _setting: Setting) -> Findings:
    number = account.other_id
    return HERE if isinstance(number, str) and number and _ACCOUNT(number) is None else NOTHING


def _card(facts: Facts, _amount: Decimal) -> bool:
    number = facts.payee_account
    looks_like_card = len(number) in _CARD_LENGTHS and number.isascii() and number.isdigit()
    return facts.person and looks_like_card and not passes_luhn(number)


RULES: Final[tuple[Rule, ...]] = (
    payment_rule(
        ANY_BANK,
        f"{_SHEETS}: payee account is mandatory in each",
        lambda facts, _amount: not facts.payee_account,
        id="cn.payee-account",
        field="creditor_account.other_id",
        message_en="The payee's account number is missing.",
        message_zh="缺少收款人账号。",
    ),
    Rule(
        id="cn.account-shape",
        source="CIB 银企直联 V4.0.4, ACCTTO/ACCTID: digits, letters and '-'; the widest shape of the sheets at hand",
        parts=("account",),
        field="other_id",
        message_en="An account number in China has digits, letters and '-' only, at most 35.",
        message_zh="账号只能包含数字、字母和“-”，最长 35 位。",
        check=_account_shape,
    ),
    Rule(
        id="cn.bank-code-shape",
        source="CNAPS bank code (支付系统行号): 12 digits",
        parts=("agent",),
        field="clearing_system_member_id",
        message_en="A bank code (联行号) is 12 digits.",
        message_zh="联行号（支付系统行号）为 12 位数字。",
        check=_code_shape,
    ),
    Rule(
        id="cn.bank-code-check-digit",
        source="observed, not published: ISO 7064 MOD 11,10 over the first 11 digits holds for 43 of 43 known codes",
        severity="warning",
        parts=("agent",),
        field="clearing_system_member_id",
        message_en="The last digit of the bank code should be {expected}, not {found}: a wrong code goes to manual handling.",
        message_zh="联行号末位校验位应为 {expected}，现为 {found}；行号有误将转人工处理（落地）。",
        check=_code_check_digit,
    ),
    payment_rule(
        ANY_BANK,
        "ISO/IEC 7812-1, annex B (Luhn); bank cards have 13 to 19 digits",
        _card,
        id="cn.card-number",
        severity="warning",
        field="creditor_account.other_id",
        message_en="This looks like a bank card whose check digit is wrong. Compare it with what the payee gave.",
        message_zh="该卡号未通过校验（Luhn），请与收款人核对。",
    ),
)


def caps(limits: Limits, bank_class: str) -> Pack:
    """The caps of payment systems that callers may choose by name."""

    def over(facts: Facts, amount: Decimal) -> bool | Findings:
        cap = over_cap(facts, amount, limits)
        return False if cap is None else with_words(cap=f"{cap:,.2f}")

    return Pack(
        name="cn-caps",
        rules=(
            payment_rule(
                bank_class,
                "caps of BEPS and IBPS as the connection's settings say (defaults: formats/dialects/rails.py)",
                over,
                id="cn.rail-cap",
                field="amount",
                message_en="The payment system asked for takes at most {cap} yuan. Leave cn.rail out, or ask for HVPS.",
                message_zh="所选支付系统单笔上限为 {cap} 元；请不指定 cn.rail，或改用 HVPS。",
            ),
        ),
    )


def purposes(agreed: frozenset[str]) -> Pack:
    """The words that a bank takes as purpose (用途), where it has a list of them: no rule where it has none."""
    words = ", ".join(sorted(agreed))

    def other(facts: Facts, _amount: Decimal) -> bool | Findings:
        return with_words(words=words) if facts.purpose not in agreed else False

    rule = payment_rule(
        ANY_BANK,
        "the list of purposes that the bank agreed with the customer (bank_settings.purposes)",
        other,
        id="cn.purpose-agreed",
        field="remittance_information.unstructured[0]",
        message_en="The bank takes one of these words as purpose, and no other: {words}.",
        message_zh="银行限定用途只能填写以下文字之一：{words}。",
    )
    return Pack(name="cn-purposes", rules=(rule,) if agreed else ())
