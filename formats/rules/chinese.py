"""Domestic payments in China: what holds at every bank (`DOMESTIC`), and a bank's own widths, encoding and characters (`widths`).

Lengths count GBK bytes (汉字 2, ASCII 1), also at banks that take UTF-8: the narrower reading of sheets that do not say which.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from formats.dialects.cnaps import check_digit, has_shape, is_consistent, passes_luhn
from formats.dialects.facts import facts_of, number_of
from formats.dialects.rails import Limits, over_cap
from formats.dialects.text import gbk_length, unencodable
from formats.model import Account, Agent, CreditTransfer, PaymentTerms
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting

_ACCOUNT: Final = re.compile(r"[0-9A-Za-z-]{1,35}").fullmatch
_SHOWN: Final = 20  # characters of a kind shown at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """The most GBK bytes of each field; None: the bank has no such field, or its sheet gives no width."""

    payee_account: int | None = None
    payee_name: int | None = None
    bank_name: int | None = None
    purpose: int | None = None
    remark: int | None = None
    city: int | None = None
    payer_account: int | None = None
    payer_name: int | None = None


_OF_TRANSFER: Final[Mapping[str, tuple[str, Callable[[CreditTransfer], str]]]] = {
    "payee_account": ("creditor_account.other_id", lambda t: number_of(t.creditor_account)),
    "payee_name": ("creditor.name", lambda t: t.creditor.name or ""),
    "bank_name": ("creditor_agent.name", lambda t: (t.creditor_agent.name if t.creditor_agent else None) or ""),
    "purpose": ("remittance_information.unstructured[0]", lambda t: _line(t, 0)),
    "remark": ("remittance_information.unstructured[1]", lambda t: dict(t.supplementary).get("cn.remark") or _line(t, 1)),
    "city": ("supplementary.cn.city", lambda t: dict(t.supplementary).get("cn.city") or ""),
}
_OF_TERMS: Final[Mapping[str, tuple[str, Callable[[PaymentTerms], str]]]] = {
    "payer_account": ("debtor_account.other_id", lambda t: number_of(t.debtor_account)),
    "payer_name": ("debtor.name", lambda t: t.debtor.name or ""),
}


def _line(transfer: CreditTransfer, number: int) -> str:
    information = transfer.remittance_information
    lines = information.unstructured if information else ()
    return lines[number] if len(lines) > number else ""


def _currency(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if transfer.currency == "CNY" else HERE


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


def _card(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    number = number_of(transfer.creditor_account)
    said = dict(transfer.supplementary).get("cn.payee_type")
    person = said == "person" or (said is None and transfer.creditor.person is not None)
    looks_like_card = isinstance(number, str) and 13 <= len(number) <= 19 and number.isascii() and number.isdigit()
    return HERE if person and looks_like_card and not passes_luhn(number) else NOTHING


def _rail_name(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    said = dict(transfer.supplementary).get("cn.rail")
    return NOTHING if said is None or said.upper() in {"HVPS", "BEPS", "IBPS"} else HERE


def _payee_type(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    said = dict(transfer.supplementary).get("cn.payee_type")
    return NOTHING if said in {None, "company", "person"} else HERE


def _account_there(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if number_of(transfer.creditor_account) else HERE


def _name_there(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if transfer.creditor.name else HERE


_SHEETS = "payment forms of the banks' direct-connect interfaces (银企直联)"

DOMESTIC = Pack(
    name="cn",
    rules=(
        Rule(
            id="cn.currency",
            source="ISO 4217, CNY: domestic clearing (HVPS, BEPS, IBPS) carries renminbi only; CNH is no ISO code",
            parts=("transfer",),
            field="currency",
            message_en="Domestic payments in China are in CNY. Send other currencies by a connection for cross-border payments.",
            message_zh="境内付款币种只能为 CNY；其他币种请使用跨境付款连接。",
            check=_currency,
        ),
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
            id="cn.payee-name",
            source=f"{_SHEETS}: payee name is mandatory in each",
            parts=("transfer",),
            field="creditor.name",
            message_en="The payee's name is missing; banks compare it with the account.",
            message_zh="缺少收款人户名，银行将核对户名与账号。",
            check=_name_there,
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
        Rule(
            id="cn.rail",
            source="bankgate, supplementary field cn.rail",
            parts=("transfer",),
            field="supplementary.cn.rail",
            message_en="The payment system is HVPS, BEPS or IBPS; leave it out to have it chosen by amount and urgency.",
            message_zh="支付系统只能填 HVPS、BEPS 或 IBPS；留空则按金额与紧急程度自动选择。",
            check=_rail_name,
        ),
        Rule(
            id="cn.payee-type",
            source="bankgate, supplementary field cn.payee_type",
            parts=("transfer",),
            field="supplementary.cn.payee_type",
            message_en="The payee is a company or a person.",
            message_zh="收款人类型只能填 company（对公）或 person（对私）。",
            check=_payee_type,
        ),
    ),
)
"""For every payment of these banks."""


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


def widths(prefix: str, source: str, limits: Widths, *, charset: str = "gbk", forbidden: str = "") -> Pack:
    """A bank's widths, the encoding its texts must have, and the characters that no value may hold. Ids begin with `prefix`:
    "cib.purpose-width", "cib.encoding", "cib.forbidden-characters"."""
    rules: list[Rule] = []
    for name, (field, of) in _OF_TRANSFER.items():
        rules += _width(prefix, source, name, field, "transfer", getattr(limits, name), of)
    for name, (field, of_terms) in _OF_TERMS.items():
        rules += _width(prefix, source, name, field, "terms", getattr(limits, name), of_terms)
    rules.append(_encoding(prefix, source, charset))
    if forbidden:
        rules.append(_forbidden(prefix, source, forbidden))
    return Pack(name=prefix, rules=tuple(rules))


def _width(  # noqa: PLR0917 - one row of a table
    prefix: str, source: str, name: str, field: str, part: str, limit: int | None, of: Callable[..., str]
) -> list[Rule]:
    if limit is None:
        return []

    def check(whole: object, _limit: int, _setting: Setting) -> Findings:
        text = of(whole)
        length = gbk_length(text) if isinstance(text, str) else 0
        return (Finding(field=field, details={"most": limit, "length": length}),) if length > limit else NOTHING

    return [
        Rule(
            id=f"{prefix}.{name.replace('_', '-')}-width",
            source=source,
            parts=(part,),
            message_en="At most {most} bytes in GBK go into this field (a Chinese character is 2); these are {length}.",
            message_zh="该字段最长 {most} 字节（GBK，汉字计 2 字节），现为 {length} 字节。",
            check=check,
        )
    ]


def _encoding(prefix: str, source: str, charset: str) -> Rule:
    def check(text: str, _limit: int, _setting: Setting) -> Findings:
        found = unencodable(text[:10_000], charset) if isinstance(text, str) else ()
        return (Finding(details={"characters": _shown(found)}),) if found else NOTHING

    return Rule(
        id=f"{prefix}.encoding",
        source=f"{source}; encoding {charset.upper()}",
        parts=("text",),
        spares_plain=True,
        message_en=f"The bank takes {charset.upper()} only, which has not: {{characters}}. Write the text as the bank knows it.",
        message_zh=f"银行只接受 {charset.upper()} 编码，以下字符无法编码：{{characters}}；请按银行登记的写法填写。",
        check=check,
    )


def _forbidden(prefix: str, source: str, forbidden: str) -> Rule:
    def check(text: str, _limit: int, _setting: Setting) -> Findings:
        found = tuple(dict.fromkeys(c for c in text[:10_000] if c in forbidden)) if isinstance(text, str) else ()
        return (Finding(details={"characters": _shown(found)}),) if found else NOTHING

    return Rule(
        id=f"{prefix}.forbidden-characters",
        source=source,
        parts=("text", "identifier"),
        message_en="The bank takes no such characters in its values, however they are written: {characters}.",
        message_zh="银行不接受该字段包含以下字符（任何写法均不可）：{characters}。",
        check=check,
    )


def _shown(characters: tuple[str, ...]) -> str:
    """The characters with their code points: a reader may lack the font."""
    more = " …" if len(characters) > _SHOWN else ""
    return " ".join(f"{c if c.isprintable() else ''}(U+{ord(c):04X})" for c in characters[:_SHOWN]) + more
