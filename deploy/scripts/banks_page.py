"""Writes docs/banks/ from the plugins of banks that answer at once, and from what was written by hand in docs/banks/notes/.

python deploy/scripts/banks_page.py            write the pages
python deploy/scripts/banks_page.py --check    exit 1 if a page differs, or one is there that should not be
"""

import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from formats import banks
from formats.bank import discover
from formats.dialects.dialect import Dialect
from formats.dialogue import Asking, SerialShape
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, RemittanceInformation
from formats.pain001_versions import VERSIONS
from formats.rules.chinese import DOMESTIC
from formats.rules.rule import Rule, Setting

Bank = Dialect[Any]
Row = tuple[str, ...]

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "banks"
NOTES: Final = FOLDER / "notes"
MADE: Final = "<!-- Written by `make banks` from formats/banks/{name}.py and docs/banks/notes/{name}.md; edit those. -->"

INDEX: Final = """\
# Chinese banks · 国内银行

<!-- Written by `make banks`; a test fails when this page differs. -->

One page for each bank that is spoken to by its front machine (前置机) or its own interface. How all of them work:
[chinese-banks.md](../chinese-banks.md). Nothing here was tried against a bank: read "Ask the bank" first.

每家银行一页。共同的工作方式见 [chinese-banks.zh.md](../chinese-banks.zh.md)。以上均未在真实银行环境验证，上线前请先看各页
“上线前请向银行确认”。
"""

ASKED: Final = {
    Asking.STATUS: ("status", "状态"),
    Asking.RETURNS: ("returns", "退票"),
    Asking.BALANCE: ("balance", "余额"),
    Asking.STATEMENT: ("statement", "明细"),
}
KINDS: Final = (
    ("settled", "paid: `settled`", "成功：`settled`"),
    ("rejected", "failed: `rejected`", "失败：`rejected`"),
    ("returned", "came back: `returned`", "退票：`returned`"),
    ("pending", "asked again", "继续查询"),
    ("others", "proves nothing about a payment by itself", "本身不能认定付款结果"),
)
_PROBE: Final = "汉" * 2000  # wider than every field
_ODD: Final = "".join(map(chr, range(128)))  # what one bank or another does not take


def plugins() -> dict[str, Bank]:
    """The plugins of this kind in formats/banks/, whatever others are installed."""
    own = {info.name for info in pkgutil.iter_modules(banks.__path__)}
    return {name: bank for name, bank in sorted(discover().items()) if name in own and isinstance(bank, Dialect)}


def pages() -> dict[str, str]:
    """File name → content. Raises `SystemExit` for a bank without notes."""
    found = {f"{name}.md": page(name, bank) for name, bank in plugins().items()}
    return {**found, "README.md": _index()}


def page(name: str, bank: Bank) -> str:
    """The page of one bank: the notes, then what the plugin says of itself."""
    notes = NOTES / f"{name}.md"
    if not notes.exists():
        raise SystemExit(f"docs/banks/notes/{name}.md: write what works, from which sources, and what to ask the bank")
    title, _, rest = notes.read_text(encoding="utf-8").partition("\n")
    parts = [
        f"{title}\n\n{MADE.format(name=name)}\n{rest.rstrip()}\n",
        "## How it is talked to · 对话方式\n\n" + _table(("", "", "", "set in · 配置"), _dialogue(bank)),
        "## `[bank_settings]`\n\n"
        + _table(
            ("key", "default", "values", "what", "说明"), (_setting(*one) for one in type(bank.settings).model_fields.items())
        ),
        "## Statuses · 状态码\n\nA code that is not here is kept as it came, and the payment is asked about again. "
        "未列出的代码原样保留，继续查询。\n\n" + _table(("code", "what follows", "处理", "meaning", "含义"), _statuses(bank)),
        "## Rules of this bank · 本行校验规则\n\nBeside those of every domestic payment (`cn` in [rules.md](../rules.md)); "
        "with the settings of the example. 另有境内付款通用规则，见同页 `cn`；按示例配置列出。\n\n"
        + _table(("rule", "severity", "field", "says", "说明"), _rules(bank)),
    ]
    return "\n".join(parts)


def _table(head: Row, rows: Iterator[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """Text of a cell; what stands between backticks is shown as it is."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))


# -- the dialogue ----------------------------------------------------------------------------------------------------------


def _dialogue(bank: Bank) -> Iterator[Row]:
    talk, base = bank.dialogue, bank.base
    yield "serial number of a payment", "付款流水号", _shape(talk.serial), "–"
    if talk.package is not None:
        yield "number of a request", "请求包流水号", _shape(talk.package), "–"
    safe = ("the bank says so: after a doubt it may go out again", "银行承诺不重复执行") if talk.same_serial_is_safe else None
    safe = safe or ("nothing is promised: after a doubt the bank is only asked", "银行未承诺，存疑时只查询不重发")
    yield "the same serial number again", "同一流水号重发", f"{safe[0]} · {safe[1]}", "`[guarantee] kind`"
    if talk.same_serial_is_safe:
        yield (
            "not before, after the doubt",
            "存疑后最早重发",
            _seconds(talk.repeat_after_seconds),
            "`[dialogue] repeat_after_seconds`",
        )
    yield "first question after the send", "发送后首次查询", _seconds(talk.ask_after_seconds), "`[dialogue] ask_after_seconds`"
    wait = _seconds(talk.not_found_wait_seconds)
    yield '"no such record" proves nothing for', "“无此记录”不作结论的时间", wait, "`[dialogue] not_found_wait_seconds`"
    yield "payments in one status question", "一次状态查询笔数", str(talk.serials_per_question), "–"
    most = replace(bank, settings=bank.settings.model_copy(update={"batch": True})).capabilities.transfers_max
    batch = "1" if most == 1 else f"1; up to {most} with `batch` · 1；启用 `batch` 后最多 {most}"
    yield "payments in one request", "一次付款请求笔数", batch, "`[bank_settings] batch`"
    yield "days ahead that a payment may be dated", "最多提前天数", str(bank.capabilities.horizon_days or 0), "–"
    asked = [f"{ASKED[one][0]} · {ASKED[one][1]}" for one in ASKED if one in talk.asks]
    yield "asked by itself", "自动查询", ", ".join(asked), "`[dialogue] statement_seconds`, `balance_seconds`"
    if Asking.STATEMENT in talk.asks:
        yield "days in one statement question", "一次明细查询天数", str(talk.statement_days_max), "–"
    yield "after success, returns are looked for", "成功后退票跟踪", _returns(bank), "`[dialogue] returns_days`"
    quiet = ", ".join(f"{since:%H:%M}–{until:%H:%M}" for since, until in talk.quiet) or "none · 无"
    yield "quiet hours", "静默时段", f"{quiet} ({base.time_zone})", "`[dialogue] quiet`"
    pauses = f"{talk.pauses.payment:g} s after a payment, {talk.pauses.question:g} s after a question · 付款后、查询后间隔秒数"
    yield "pauses of a login", "同一登录的间隔", pauses, "`[channel] payment_pause`, `question_pause`"
    yield "sign-in first", "需签到", "yes · 是" if talk.signs_in else "no · 否", "–"
    yield (
        "secrets, by reference",
        "密钥口令（引用）",
        ", ".join(f"`{one}`" for one in talk.secrets) or "none · 无",
        "`[channel.secrets]`",
    )


def _returns(bank: Bank) -> str:
    """Where it shows that a payment came back."""
    if bank.dialogue.returns_days:
        return f"{bank.dialogue.returns_days} days · 天"
    if Asking.STATEMENT in bank.dialogue.asks:
        return "in statements only · 仅见于明细"
    return "told by no answer: look at the bank's own statement · 接口不返回，请核对银行对账单"


def _shape(shape: SerialShape) -> str:
    kind = ("digits", "位数字") if shape.alphabet == "digits" else ("digits and capital letters", "位数字和大写字母")
    dated = (", beginning with the day yyyyMMdd", "，以 yyyyMMdd 开头") if shape.dated else ("", "")
    return f"{shape.length} {kind[0]}{dated[0]} · {shape.length} {kind[1]}{dated[1]}"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds:g} s ({seconds / 60:g} min)"


# -- settings --------------------------------------------------------------------------------------------------------------


def _setting(key: str, field: FieldInfo) -> Row:
    english, _, chinese = (field.description or "").rpartition(" | ")
    default = "required · 必填" if field.is_required() else _value(field.get_default(call_default_factory=True))
    return f"`{key}`", default, _values(field), english, chinese


def _value(value: object) -> str:
    if value is PydanticUndefined or value in ((), "", None) or value == {}:
        return "empty · 空"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Mapping):
        return ", ".join(f"`{name}` = `{one}`" for name, one in value.items())
    return ", ".join(f"`{one}`" for one in value) if isinstance(value, tuple) else f"`{value}`"


def _values(field: FieldInfo) -> str:
    """The values that a setting may have, shortly."""
    annotation: Any = field.annotation
    if annotation is bool:
        return "`true`, `false`"
    choices = [one for one in get_args(annotation) if isinstance(one, str | int) and not isinstance(one, bool)]
    if choices:
        return ", ".join(f"`{one}`" if one != "" else "empty · 空" for one in choices)
    said = {}
    for rule in field.metadata:
        said.update(
            {
                name: getattr(rule, name)
                for name in ("ge", "gt", "le", "max_length", "pattern")
                if getattr(rule, name, None) is not None
            }
        )
    words = [f"{sign} {said[name]}" for name, sign in (("gt", ">"), ("ge", "≥"), ("le", "≤")) if name in said]
    words += [f"at most {said['max_length']} characters · 最长 {said['max_length']} 字符"] if "max_length" in said else []
    words += [f"`{said['pattern']}`"] if "pattern" in said else []
    kind = {Decimal: "yuan · 元", int: "number · 整数", str: "text · 文本"}.get(annotation)
    kind = kind or (
        "table · 表"
        if "dict" in str(annotation).lower() or "Mapping" in str(annotation)
        else "list · 列表"
        if "tuple" in str(annotation)
        else ""
    )
    return ", ".join([*([kind] if kind else []), *words])


# -- statuses and rules ----------------------------------------------------------------------------------------------------


def _statuses(bank: Bank) -> Iterator[Row]:
    for name, english, chinese in KINDS:
        for code, (meaning, said) in getattr(bank.table, name).items():
            yield f"`{code}`", english, chinese, meaning, said


def _rules(bank: Bank) -> Iterator[Row]:
    for pack in bank.packs:
        if pack is DOMESTIC:
            continue
        for rule in pack.rules:
            field, words = _probed(rule)
            yield f"`{rule.id}`", rule.severity, field, _filled(rule.message_en, words), _filled(rule.message_zh, words)


def _probed(rule: Rule) -> tuple[str, Mapping[str, object]]:
    """The field of a rule, and the width or the characters that it names: it tells them where it is broken."""
    terms, transfer = _wide()
    wholes: dict[str, object] = {"terms": terms, "transfer": transfer, "payment": (terms, transfer)}
    known = (
        ("most", "limit") if rule.id.endswith("-width") else ("characters",) if rule.id.endswith("forbidden-characters") else ()
    )
    setting = Setting(date(2026, 1, 5), VERSIONS["pain.001.001.09"], 0, frozenset({"CNY"}))
    for part in rule.parts if known else ():
        for finding in rule.check(wholes.get(part, _ODD), 0, setting):
            return finding.field or _field(rule, wholes), {
                name: finding.details[name] for name in known if name in finding.details
            }
    return _field(rule, wholes), {}


def _field(rule: Rule, wholes: Mapping[str, object]) -> str:
    return rule.field or ", ".join(part for part in rule.parts if part not in wholes) or "payment"


def _wide() -> tuple[PaymentTerms, CreditTransfer]:
    """A payment whose every text is wider than any field."""
    party, account = Party(name=_PROBE), Account(other_id=_PROBE)
    terms = PaymentTerms(requested_execution_date=date(2026, 1, 5), debtor=party, debtor_account=account, debtor_agent=Agent())
    transfer = CreditTransfer(
        instruction_id="I1",
        end_to_end_id="E1",
        amount=Decimal("1.00"),
        currency="CNY",
        creditor=party,
        creditor_account=account,
        creditor_agent=Agent(name=_PROBE),
        remittance_information=RemittanceInformation(unstructured=(_PROBE, _PROBE)),
        supplementary=(("cn.city", _PROBE), ("cn.province", _PROBE)),
    )
    return terms, transfer


def _filled(text: str, words: Mapping[str, object]) -> str:
    """The words of a rule with what is known; what depends on the payment stays "…"."""
    return "".join(
        before + (str(words.get(name, "…")) if name is not None else "") for before, name, _, _ in Formatter().parse(text)
    )


# -- the index -------------------------------------------------------------------------------------------------------------


def _index() -> str:
    head = ("bank · 银行", "serial · 流水号", "resend · 重发", "asked · 查询", "returns · 退票", "batch · 批量")
    return f"{INDEX}\n{_table(head, _index_rows())}"


def _index_rows() -> Iterator[Row]:
    for name, bank in plugins().items():
        title = (NOTES / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        talk = bank.dialogue
        yield (
            f"[{title}]({name}.md)",
            str(talk.serial.length),
            "same number · 同号" if talk.same_serial_is_safe else "never · 不重发",
            ", ".join(ASKED[one][1] for one in ASKED if one in talk.asks),
            _returns(bank),
            "yes · 有" if bank.base.transfers_max != 1 else "no · 无",
        )


def main() -> None:
    wanted = pages()
    if "--check" in sys.argv[1:]:
        there = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
        different = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
        if different:
            raise SystemExit(f"docs/banks/ differs from the plugins and notes (run `make banks`): {', '.join(different)}")
        return
    for name, content in wanted.items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    print(f"written: docs/banks/, {len(wanted)} pages")


if __name__ == "__main__":
    main()
