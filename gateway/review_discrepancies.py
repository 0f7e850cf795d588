"""Discrepancies about payments that must not leave, or should not have left."""

from gateway.discrepancies import Origin
from gateway.policy.verdict import Finding
from gateway.store.records import Delivery, NewDiscrepancy, Payment


def approval_void(origin: Origin, delivery: Delivery | None, payment_id: str, word: str) -> NewDiscrepancy:
    """`delivery`: the message it was to leave in; None: it was found before."""
    return origin.discrepancy(
        f"approval-void:{payment_id}:{delivery.delivery_id if delivery else word}",
        "approval_void",
        "A payment was to leave that had not been judged, or without the approvals that its review asks for, or with another "
        "content than was approved. It is held; nothing of it left. Find out who changed what in the database.",
        "一笔付款未经审核、缺少所需审批或内容与审批不一致而即将发出；现已暂挂，未发出任何内容。请查明何人在数据库中作了何种改动。",
        {"message_id": delivery.message_id if delivery else None, "why": word},
        payment_id=payment_id,
        delivery_id=delivery.delivery_id if delivery else None,
    )


def hit_after_sending(origin: Origin, payment: Payment, finding: Finding) -> NewDiscrepancy:
    """A finding of the screening lists about a payment that the bank has."""
    facts = dict(finding.facts)
    named = {name: facts.get(name) for name in ("list", "list_date", "entry", "entry_digest", "where", "kind", "value", "score")}
    return origin.discrepancy(
        f"screening-after:{payment.payment_id}:{facts.get('list')}:{facts.get('entry')}:{facts.get('entry_digest', '')[:16]}",
        "screening_hit_after_sending",
        f"A payment that the bank has is on a list that changed since: {finding.text_en} It was not stopped, and is as it was. "
        "Ask whoever answers for sanctions whether to have it recalled, and the bank to stop it.",
        f"银行已收到的付款在名单变更后命中：{finding.text_zh}付款未被拦截，状态不变。请询问合规负责人是否撤回。",
        {**named, "state": payment.state.value, "outcome": finding.outcome.name.lower()},
        payment_id=payment.payment_id,
    )


def group_not_released(origin: Origin, delivery: Delivery, payment_id: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"group-not-released:{payment_id}:{delivery.delivery_id}",
        "group_not_released",
        "A payment was to leave before the payments of its release group. It is held; nothing of it left. Find out who changed "
        "what in the database, and cancel the payment.",
        "一笔付款在其放行组放行之前即将发出；现已暂挂，未发出任何内容。请查明何人在数据库中作了何种改动，并撤销该付款。",
        {"message_id": delivery.message_id},
        payment_id=payment_id,
        delivery_id=delivery.delivery_id,
    )
