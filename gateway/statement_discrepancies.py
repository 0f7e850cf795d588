"""Statements that do not follow each other (`gateway.continuity`), in plain words and with their evidence. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from gateway import continuity
from gateway.continuity import Finding
from gateway.discrepancies import Origin
from gateway.masking import mask_text
from gateway.store.reconciled import chain_key
from gateway.store.records import NewDiscrepancy

MENDED_BY_A_STATEMENT = (
    "A later statement mended it: nothing is missing or contradictory there any more. / 后到的对账单已补齐，不再存在缺失或矛盾。"
)


def out_of_line(origin: Origin, chain: str, finding: Finding) -> NewDiscrepancy:
    """One of the three kinds below. Its key is the fact's, whichever file made it visible."""
    words = {continuity.GAP: _gap, continuity.DUPLICATE: _said_twice, continuity.BREAK: _break}[finding.kind]
    shown = {name: mask_text(value, numbers=False) if isinstance(value, str) else value for name, value in finding.facts.items()}
    told = words(origin, shown)  # banks put account numbers into the identification of a statement
    return replace(told, key=f"{chain_key(origin.connection_id, chain)}{finding.key}")


def _gap(origin: Origin, facts: Mapping[str, object]) -> NewDiscrepancy:
    account = f"{facts['account']} ({facts['currency']})"
    if "before" in facts:
        en = f"between {facts['before']} of {facts['before_day']} and {facts['after']} of {facts['after_day']}"
        zh = f"已有 {facts['before']}（{facts['before_day']}）与 {facts['after']}（{facts['after_day']}）"
    else:
        en, zh = f"beside what came for {facts['after_day']}", f"已有 {facts['after_day']} 的对账单"
    return origin.discrepancy(
        "gap",
        "statement_gap",
        f"Statements are missing of account {account}: {facts['missing']}, {en}.",
        f"账户 {account} 缺少对账单 {facts['missing']}：{zh}。",
        facts,
    )


def _said_twice(origin: Origin, facts: Mapping[str, object]) -> NewDiscrepancy:
    account = f"{facts['account']} ({facts['currency']})"
    return origin.discrepancy(
        "duplicate",
        "statement_duplicate",
        f"Statement {facts['number']} of account {account} came more than once with other content; all are kept.",
        f"账户 {account} 的对账单 {facts['number']} 收到多次且余额或明细不一致，均已保存。",
        facts,
    )


def _break(origin: Origin, facts: Mapping[str, object]) -> NewDiscrepancy:
    account = f"{facts['account']} ({facts['currency']})"
    if "booked" in facts:
        en = (
            f"opens with {facts['opening']}, books {facts['booked']} and closes with {facts['closing']}: "
            "an entry is missing, or one too many."
        )
        zh = f"期初余额 {facts['opening']}、入账合计 {facts['booked']} 与期末余额 {facts['closing']} 不符：明细有缺失或多出。"
    else:
        en = f"opens with {facts['opening']}, and the one of {facts['before_day']} before it closed with {facts['closing']}."
        zh = f"期初余额 {facts['opening']} 与前一份（{facts['before_day']}）期末余额 {facts['closing']} 不衔接。"
    return origin.discrepancy(
        "break",
        "balance_break",
        f"The statement of {facts['day']} of account {account} {en}",
        f"账户 {account} {facts['day']} 的对账单{zh}",
        facts,
    )
