"""Accounts, bank codes and payment systems of domestic payments in China: part of the pack `cn`, and the caps of a connection."""

import re
from typing import Final

from formats.dialects.cnaps import check_digit, has_shape, is_consistent, passes_luhn
from formats.dialects.facts import facts_of, number_of
from formats.dialects.rails import Limits, over_cap
from formats.model import Account, Agent, CreditTransfer, PaymentTerms
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting

_ACCOUNT: Final = re.compile(r"[0-9A-Za-z-]{1,35}").fullmatch
_CARD_LENGTHS: Final = range(13, 20)
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


def facts_said(transfer: CreditTransfer) -> str | None:
    """What the caller says of the payee; None: nothing that can be used."""
    said = transfer.supplementary
    pairs = said if isinstance(said, tuple) else ()
    return next((pair[1] for pair in pairs if isinstance(pair, tuple) and len(pair) == 2 and pair[0] == "cn.payee_type"), None)


def _card(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    number = number_of(transfer.creditor_account)
    said = facts_said(transfer)
    person = said == "person" or (said is None and transfer.creditor.person is not None)
    looks_like_card = isinstance(number, str) and 13 <= len(number) <= 19 and number.isascii() and number.isdigit()
    return HERE if person and looks_like_card and not passes_luhn(number) else NOTHING


def _account_there(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if number_of(transfer.creditor_account) else HERE


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="cn.payee-account",
        source=f"{_SHEETS}: payee account is mandatory in each",
        parts=("transfer",),
        field="creditor_account.other_id",
        message_en="The payee's account number is missing.",
        message_zh="缺少收款人账号。",
        check=_account_there,
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
    Rule(
        id="cn.card-number",
        source="ISO/IEC 7812-1, annex B (Luhn); bank cards have 13 to 19 digits",
        severity="warning",
        parts=("transfer",),
        field="creditor_account.other_id",
        message_en="This looks like a bank card whose check digit is wrong. Compare it with what the payee gave.",
        message_zh="该卡号未通过校验（Luhn），请与收款人核对。",
        check=_card,
    ),
)


def caps(limits: Limits, bank_class: str) -> Pack:
    """The caps of payment systems that callers may choose by name."""

    def check(pair: tuple[PaymentTerms, CreditTransfer], _limit: int, _setting: Setting) -> Findings:
        terms, transfer = pair
        cap = over_cap(facts_of(terms, transfer, bank_class), transfer.amount, limits)
        return NOTHING if cap is None else (Finding(details={"cap": f"{cap:,.2f}"}),)

    return Pack(
        name="cn-caps",
        rules=(
            Rule(
                id="cn.rail-cap",
                source="caps of BEPS and IBPS as the connection's settings say (defaults: formats/dialects/rails.py)",
                parts=("payment",),
                field="amount",
                message_en="The payment system asked for takes at most {cap} yuan. Leave cn.rail out, or ask for HVPS.",
                message_zh="所选支付系统单笔上限为 {cap} 元；请不指定 cn.rail，或改用 HVPS。",
                check=check,
            ),
        ),
    )
