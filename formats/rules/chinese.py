"""Domestic payments in China: what holds at every bank (`DOMESTIC`), and a bank's own widths, encoding and characters (`widths`).

Lengths count GBK bytes (汉字 2, ASCII 1), also at banks that take UTF-8: the narrower reading of sheets that do not say which.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from formats.dialects.facts import number_of
from formats.dialects.text import gbk_length, unencodable
from formats.model import CreditTransfer, PaymentTerms
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting

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
    ),
)
"""For every payment of these banks."""


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
        try:
            text = of(whole)
        except (AttributeError, TypeError, ValueError):  # not of its type, which other rules tell
            return NOTHING
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
