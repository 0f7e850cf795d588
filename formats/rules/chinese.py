"""Domestic payments in China: what holds at every bank (`DOMESTIC`), and a bank's own widths, encoding and characters (`widths`).

Lengths count GBK bytes (汉字 2, ASCII 1), also at banks that take UTF-8: the narrower reading of sheets that do not say which.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from formats.characters import UNRESTRICTED, illegal
from formats.dialects.facts import number_of
from formats.dialects.text import gbk_length, unencodable
from formats.model import Account, CreditTransfer, PaymentTerms, RemittanceInformation
from formats.rules.chinese_codes import RULES as CODE_RULES
from formats.rules.common import COMMON
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting

_SHOWN: Final = 20  # characters of a kind shown at most
_LOOKED_AT: Final = 10_000  # characters of a text that are looked at; a longer one is refused anyway


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
    "remark": ("remittance_information.unstructured[1]", lambda t: dict(supplementary_of(t)).get("cn.remark") or _line(t, 1)),
    "city": ("supplementary.cn.city", lambda t: dict(supplementary_of(t)).get("cn.city") or ""),
}
_OF_TERMS: Final[Mapping[str, tuple[str, Callable[[PaymentTerms], str]]]] = {
    "payer_account": ("debtor_account.other_id", lambda t: number_of(t.debtor_account)),
    "payer_name": ("debtor.name", lambda t: t.debtor.name or ""),
}


def _line(transfer: CreditTransfer, number: int) -> str:
    lines = getattr(transfer.remittance_information, "unstructured", ())
    return lines[number] if isinstance(lines, tuple) and len(lines) > number else ""


def _currency(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if transfer.currency == "CNY" else HERE


_SAID: Final[Mapping[str, frozenset[str] | None]] = {
    "cn.payee_type": frozenset({"company", "person"}),
    "cn.same_city": frozenset({"yes", "no"}),
    "cn.own_bank": frozenset({"yes", "no"}),
    "cn.rail": frozenset({"HVPS", "BEPS", "IBPS"}),
    "cn.city": None,
    "cn.province": None,
    "cn.remark": None,
}
"""What `formats.dialects.facts` takes from `supplementary`, and the values it may have; None: any text."""


def supplementary_of(transfer: CreditTransfer) -> tuple[tuple[str, str], ...]:
    """The pairs of texts among `supplementary`; whatever else a caller put there is none of ours."""
    said = transfer.supplementary
    pairs = said if isinstance(said, tuple) else ()
    return tuple(pair for pair in pairs if isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(t, str) for t in pair))


def _supplementary(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    found = []
    for name, value in supplementary_of(transfer):
        allowed = _SAID.get(name)
        if name.startswith("cn.") and (name not in _SAID or (allowed is not None and value not in allowed)):
            words = ", ".join(sorted(allowed)) if allowed else ", ".join(sorted(_SAID))
            found.append(Finding(field=f"supplementary.{name}" if name in _SAID else "supplementary", details={"words": words}))
    return tuple(found)


def _of_texts(  # noqa: PLR0917 - one row of a table
    name: str,
    source: str,
    wrong: Callable[[str], tuple[str, ...]],
    message_en: str,
    message_zh: str,
    parts: tuple[str, ...] = ("text", "identifier", "transfer"),
) -> Rule:
    """A rule on characters, of every text that reaches the bank: texts, identifiers, and what `supplementary` says. What is plain
    (`formats.rules.rule.Rule.spares_plain`) breaks none."""

    def check(part: str | CreditTransfer, _limit: int, _setting: Setting) -> Findings:
        texts = (("", part),) if isinstance(part, str) else supplementary_of(part)
        found = [(f"supplementary.{key}" if key else "", wrong(text)) for key, text in texts]
        return tuple(Finding(field=field, details={"characters": _shown(some)}) for field, some in found if some)

    return Rule(
        id=name,
        source=source,
        parts=parts,
        spares_plain=True,
        message_en=message_en,
        message_zh=message_zh,
        check=check,
    )


def _shown(characters: tuple[str, ...]) -> str:
    """The characters with their code points: a reader may lack the font."""
    more = " …" if len(characters) > _SHOWN else ""
    return " ".join(f"{c if c.isprintable() else ''}(U+{ord(c):04X})" for c in characters[:_SHOWN]) + more


def _no_iban(account: Account, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if account.iban is None else HERE


def _lines(remittance: RemittanceInformation, _limit: int, _setting: Setting) -> Findings:
    lines = remittance.unstructured
    return HERE if isinstance(lines, tuple) and len(lines) > _LINES_MAX else NOTHING


def _remark_twice(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if _line(transfer, 1) and dict(supplementary_of(transfer)).get("cn.remark") else NOTHING


def _structured(remittance: RemittanceInformation, _limit: int, _setting: Setting) -> Findings:
    return HERE if remittance.structured else NOTHING


_LINES_MAX: Final = 2
_NOT_HERE: Final = frozenset({"supplementary.unknown", "currency.not-taken", "uetr.version"})
_MODEL: Final = "formats/dialects/facts.py: what of a payment these banks are told"

DOMESTIC = Pack(
    name="cn",
    rules=(
        *(rule for rule in COMMON.rules if rule.id not in _NOT_HERE),
        Rule(
            id="cn.supplementary",
            source=_MODEL,
            parts=("transfer",),
            message_en="There is no such word for a domestic payment, or it is one of: {words}.",
            message_zh="境内付款没有该附加项，或取值不在以下范围：{words}。",
            check=_supplementary,
        ),
        _of_texts(
            "cn.supplementary-characters",
            UNRESTRICTED.source,
            lambda text: tuple(illegal(text[:_LOOKED_AT], UNRESTRICTED)),
            "The text holds control or invisible characters ({characters}). Remove them.",
            "文本含有控制字符或不可见字符（{characters}），请删除。",
            parts=("transfer",),
        ),
        Rule(
            id="cn.account-number",
            source="China is not in the IBAN registry (ISO 13616); its banks number accounts by themselves",
            parts=("account",),
            field="iban",
            message_en="Domestic accounts in China have no IBAN. Give the account number as other_id.",
            message_zh="境内账户没有 IBAN，请在 other_id 中填写账号。",
            check=_no_iban,
        ),
        Rule(
            id="cn.remittance-lines",
            source=_MODEL,
            parts=("remittance",),
            field="unstructured",
            message_en="The first line is the purpose (用途), the second the remark (附言); there is no place for more.",
            message_zh="第一行为用途，第二行为附言，更多行没有对应字段，请合并。",
            check=_lines,
        ),
        Rule(
            id="cn.remark-twice",
            source=_MODEL,
            parts=("transfer",),
            field="supplementary.cn.remark",
            message_en="The remark is said twice: as cn.remark, and as the second line of the remittance information.",
            message_zh="附言重复：cn.remark 与附言第二行同时填写，请保留其一。",
            check=_remark_twice,
        ),
        Rule(
            id="cn.remittance-structured",
            source=_MODEL,
            parts=("remittance",),
            field="structured",
            message_en="These banks carry no structured remittance information. Say it in the purpose or the remark.",
            message_zh="此类银行不支持结构化附言，请写入用途或附言。",
            check=_structured,
        ),
        *CODE_RULES,
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
"""For every payment of these banks: what holds everywhere (`COMMON`), in their words."""


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
    return _of_texts(
        f"{prefix}.encoding",
        f"{source}; encoding {charset.upper()}",
        lambda text: unencodable(text[:_LOOKED_AT], charset),
        f"The bank takes {charset.upper()} only, which has not: {{characters}}. Write the text as the bank knows it.",
        f"银行只接受 {charset.upper()} 编码，以下字符无法编码：{{characters}}；请按银行登记的写法填写。",
    )


def _forbidden(prefix: str, source: str, forbidden: str) -> Rule:
    return _of_texts(
        f"{prefix}.forbidden-characters",
        source,
        lambda text: tuple(dict.fromkeys(c for c in text[:_LOOKED_AT] if c in forbidden)),
        "The bank takes no such characters in its values, however they are written: {characters}.",
        "银行不接受该字段包含以下字符（任何写法均不可）：{characters}。",
    )
