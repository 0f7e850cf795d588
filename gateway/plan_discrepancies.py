"""What a person is told of standing orders, each once for a due date. Pure."""

import json
from collections.abc import Mapping

from gateway.errors import GatewayError, Invalid
from gateway.masking import mask_text
from gateway.standing_order import Due
from gateway.store.plans import Plan
from gateway.store.records import NewDiscrepancy

_SHOWN = 20  # broken rules of one payment


def refused(plan: Plan, due: Due, connection_id: str, refusal: GatewayError) -> NewDiscrepancy:
    facts: dict[str, object] = {"problem": words(refusal), "due_date": due.due_date.isoformat()}
    if isinstance(refusal, Invalid):
        facts["rules"] = [f"{one.violation.field}: {one.violation.rule}" for one in refusal.violations][:_SHOWN]
    en = (
        f"The payment of a standing order for {due.due_date} was not made: it breaks a rule. The order goes on with its next "
        "day; this payment is the caller's to make."
    )
    zh = f"定期付款 {due.due_date} 的一笔未能提交：不符合规则。后续日期照常处理，该笔请由调用方自行提交。"
    key = f"{due.due_date.isoformat()}:refused"
    return _told(plan, key, (en, zh), facts, kind="standing_order_refused", connection_id=connection_id)


def missed(plan: Plan, due: Due, connection_id: str, *, made: bool) -> NewDiscrepancy:
    en, zh = (
        ("was submitted after its day, because the gateway came to it late.", "因网关处理延迟，已在到期日之后提交。")
        if made
        else ("was not made: its day had passed when the gateway came to it.", "未提交：网关处理时到期日已过。")
    )
    texts = (f"The payment of a standing order for {due.due_date} {en}", f"定期付款 {due.due_date} 的一笔{zh}")
    facts = {"due_date": due.due_date.isoformat(), "execution_date": due.execution.day.isoformat()}
    key = f"{due.due_date.isoformat()}:missed"
    return _told(plan, key, texts, facts, kind="standing_order_missed", connection_id=connection_id)


def stuck(plan: Plan, problem: str) -> NewDiscrepancy:
    texts = (
        "A standing order could not be looked at; it is tried again, and nothing of it is lost.",
        "定期付款处理出错，将自动重试，不会遗漏。",
    )
    facts = {"problem": mask_text(problem)[:500], "after": str(plan.handled_until)}
    return _told(plan, f"{plan.handled_until}:stuck", texts, facts, kind="standing_order_stuck", connection_id="")


def words(refusal: GatewayError) -> str:
    """Why, without account numbers."""
    if isinstance(refusal, Invalid):
        return mask_text("; ".join(one.violation.message_en for one in refusal.violations[:5]))
    return mask_text(str(refusal))


def _told(
    plan: Plan, key: str, texts: tuple[str, str], facts: Mapping[str, object], *, kind: str, connection_id: str
) -> NewDiscrepancy:
    evidence = {"caller": plan.key.caller, "standing_order": plan.key.plan_id, "version": plan.version, **facts}
    return NewDiscrepancy(
        key=f"standing-order:{plan.key.caller}:{plan.key.plan_id}:{key}",
        connection_id=connection_id,
        kind=kind,
        summary_en=texts[0],
        summary_zh=texts[1],
        evidence=json.dumps(evidence, ensure_ascii=False, sort_keys=True),
    )
