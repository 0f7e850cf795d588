"""What does not fit together, in plain words and with its evidence. Pure.

Each function words one kind of discrepancy; a person reads it in `bankgate discrepancies list`. `key` makes it unique within its
file, so that a file read twice gives each once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from formats.code_tables_cancellation import CANCELLATION_STATUSES
from formats.report import CancellationStatus
from gateway.masking import mask_text
from gateway.matching import News, NoMatch
from gateway.store.archived import ArchivedPayment
from gateway.store.records import Candidate, Delivery, Discrepancy, MessageNewsResult, NewDiscrepancy


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a discrepancy comes from: the connection, the inbound file (0: a dry run) and the message in words."""

    connection_id: str
    inbound_file_id: int
    source: str
    place: str = ""  # where in the file

    def discrepancy(
        self,
        key: str,
        kind: str,
        en: str,
        zh: str,
        evidence: Mapping[str, object],
        *,
        payment_id: str | None = None,
        delivery_id: str | None = None,
    ) -> NewDiscrepancy:
        """The row, with the evidence as JSON."""
        return NewDiscrepancy(
            key=f"{self.inbound_file_id}:{key}",
            connection_id=self.connection_id,
            kind=kind,
            summary_en=en,
            summary_zh=zh,
            evidence=json.dumps({**self._where(), **evidence}, ensure_ascii=False, sort_keys=True),
            inbound_file_id=self.inbound_file_id,
            payment_id=payment_id,
            delivery_id=delivery_id,
        )

    def _where(self) -> dict[str, object]:
        source = mask_text(self.source, numbers=False)  # an MT940's :20: may be an account
        return {"source": source, **({"place": self.place} if self.place else {})}


def foreign_message(origin: Origin, key: str, message_id: str | None, status: str | None) -> NewDiscrepancy:
    return origin.discrepancy(
        f"group:{key}",
        "unmatched",
        "A status report names a message that this connection never sent.",
        "状态报告所指报文并非由本连接发出。",
        {"original_message_id": message_id, "group_status": status},
    )


def no_match(origin: Origin, key: str, news: News, found: NoMatch) -> NewDiscrepancy:
    facts: dict[str, object] = {
        "event": news.event.value,
        "bank_status": news.bank_status,
        "message_id": news.message_id,
        "payment_information_id": news.payment_information_id,
        "instruction_id": news.instruction_id,
        "end_to_end_id": news.end_to_end_id,
        "uetr": news.uetr,
        "amount": news.amount,
        "currency": news.currency,
        "why": found.why,
        "candidates": [candidate.payment_id for candidate in found.candidates],
        **({"serial_number": news.serial_number} if news.serial_number else {}),
    }
    return origin.discrepancy(
        f"{found.kind}:{key}",
        found.kind,
        f"Bank news that fits no payment for certain: {found.why}.",
        "银行通知无法确定对应哪一笔付款，需人工核对。",
        facts,
    )


def of_archived(origin: Origin, key: str, news: News, payment: ArchivedPayment) -> NewDiscrepancy:
    says = news.event.value.removeprefix("bank_")
    return origin.discrepancy(
        f"archived:{key}",
        "unmatched",
        f"The bank says {says} of a payment that was archived as {payment.state.value}; nothing moved, its archive holds it.",
        f"银行通知（{says}）所指付款已归档（状态 {payment.state.value}），状态未变；详情见当月归档文件。",
        {
            "payment_reference": payment.payment_reference,
            "state": payment.state.value,
            "event": news.event.value,
            "code": news.reason.code,
            "amount": news.amount,
            "currency": news.currency,
        },
        payment_id=payment.payment_id,
    )


def of_archived_message(origin: Origin, key: str, status: str, delivery: Delivery) -> NewDiscrepancy:
    return origin.discrepancy(
        f"archived:{key}",
        "unmatched",
        f"The bank says {status} of message {delivery.message_id}, whose payments were archived; nothing moved.",
        f"银行对报文 {delivery.message_id} 的状态为 {status}，但其付款均已归档，状态未变。",
        {"message_id": delivery.message_id, "status": status},
        delivery_id=delivery.delivery_id,
    )


def other_amount(origin: Origin, key: str, news: News, candidate: Candidate) -> NewDiscrepancy:
    return origin.discrepancy(
        f"amount:{key}",
        "mismatch",
        "The bank names another amount for this payment than we asked for.",
        "银行所报金额与本笔付款金额不一致。",
        {"ours": f"{candidate.amount} {candidate.currency}", "theirs": f"{news.amount} {news.currency}"},
        payment_id=candidate.payment_id,
    )


def contradiction(origin: Origin, key: str, news: News, candidate: Candidate) -> NewDiscrepancy:
    says = news.event.value.removeprefix("bank_")
    return origin.discrepancy(
        f"illegal:{key}",
        "contradiction",
        f"The bank says {says} of a payment that is {candidate.state.value}; it did not move.",
        f"银行通知（{says}）与付款当前状态（{candidate.state.value}）矛盾，状态未变。",
        {"state": candidate.state.value, "event": news.event.value, "code": news.reason.code},
        payment_id=candidate.payment_id,
    )


def whole_contradicts_parts(origin: Origin, key: str, status: str, delivery_id: str, result: MessageNewsResult) -> NewDiscrepancy:
    return origin.discrepancy(
        f"fall:{key}",
        "contradiction",
        f"The bank's status {status} for the whole contradicts what it said of {result.contradicted_count} payments; "
        "those did not move.",
        f"银行对整批的状态 {status} 与其中 {result.contradicted_count} 笔的既有结果矛盾，这些付款状态未变。",
        {"status": status, "payments": list(result.contradicted)},
        delivery_id=delivery_id,
    )


def batch_of_other_amount(origin: Origin, key: str, amount: str, expected: str, delivery: Delivery) -> NewDiscrepancy:
    return origin.discrepancy(
        f"batch:{key}",
        "mismatch",
        "The bank booked a batch of ours with another amount than its payments make; none was marked settled.",
        "银行对整批的入账金额与其中款项合计不一致，未将任何一笔标记为已入账。",
        {"message_id": delivery.message_id, "booked": amount, "expected": expected},
        delivery_id=delivery.delivery_id,
    )


def refused_and_executed(origin: Origin, key: str, says: str, payment_id: str, message_id: str | None) -> NewDiscrepancy:
    return origin.discrepancy(
        f"twice:{key}",
        "contradiction",
        f"The bank says {says} of an instant payment that it had refused. Nothing more of this payment goes out until a "
        "person has asked the bank which is true. Do not submit it anew before.",
        f"银行此前拒绝了该即时付款，现又通知 {says}。该付款已停止发出，请先向银行核实；核实之前请勿重新提交。",
        {"event": says, "message_id": message_id},
        payment_id=payment_id,
    )


def paid_twice(origin: Origin, key: str, says: str, payment_id: str, message_id: str | None) -> NewDiscrepancy:
    return origin.discrepancy(
        f"twice:{key}",
        "paid_twice",
        f"The bank says {says} of an instant payment that it had refused, or books the payment a second time, and the normal "
        "payment in its place has left or is leaving: it may be paid twice. Call the bank at once.",
        f"银行此前拒绝了该即时付款，现又通知 {says} 或再次扣款；替代的普通付款已经或正在发出，可能重复付款，请立即致电银行。",
        {"event": says, "message_id": message_id},
        payment_id=payment_id,
    )


def booked_again(origin: Origin, key: str, payment_id: str, delivery: Delivery, references: tuple[str, str]) -> NewDiscrepancy:
    return origin.discrepancy(
        f"twice:{key}",
        "paid_twice",
        f"The bank booked this payment again, under another reference than before, and its message was handed over "
        f"{delivery.attempt} times: it may be paid twice. Call the bank at once.",
        f"银行以另一参考号再次对该付款记账，而其报文曾发送 {delivery.attempt} 次：可能重复付款，请立即致电银行。",
        {"message_id": delivery.message_id, "attempts": delivery.attempt, "references": list(references)},
        payment_id=payment_id,
        delivery_id=delivery.delivery_id,
    )


def came_back(origin: Origin, kind: str, why: str, facts: Mapping[str, object]) -> NewDiscrepancy:
    return origin.discrepancy(
        "returned",
        kind,
        f"A statement tells of money that came back, perhaps that of a payment of ours: {why}. Nothing moved; ask the bank whose "
        "return it is. Once a payment named in the evidence is settled, the file may be read again.",
        "对账单中有一笔退回款项，可能属于本系统的付款，但无法确定是哪一笔；状态未变，请向银行核实。证据中所列付款入账后可重新读取该文件。",
        facts,
    )


def is_booking(discrepancy: Discrepancy) -> bool:
    """Whether it is one of `batch_of_other_amount`."""
    return discrepancy.key.partition(":")[2].startswith("batch:")


def unexpected_delivery(origin: Origin, delivery: Delivery) -> NewDiscrepancy:
    return origin.discrepancy(
        f"delivery:{delivery.delivery_id}:{delivery.state.value}",
        "contradiction",
        f"The bank speaks of a message whose delivery is {delivery.state.value} after {delivery.attempt} attempts; "
        "a person has to look.",
        f"银行提到的报文在本系统中的发送状态为 {delivery.state.value}（已尝试 {delivery.attempt} 次），需人工核查。",
        {"message_id": delivery.message_id, "state": delivery.state.value},
        delivery_id=delivery.delivery_id,
    )


def duplicate_reported(origin: Origin, key: str, delivery: Delivery | None) -> NewDiscrepancy:
    return origin.discrepancy(
        f"duplicate:{key}",
        "duplicate_reported",
        "The bank rejects as a duplicate. That proves that it has the payment and proves no rejection: nothing was marked "
        "rejected; the statement will tell.",
        "银行以重复为由拒绝。这证明银行已持有该付款，并不证明付款被拒：状态未改为拒绝，以对账单为准。",
        {"message_id": delivery.message_id if delivery else None},
        delivery_id=delivery.delivery_id if delivery else None,
    )


def cancellation_answered(
    origin: Origin, key: str, record: CancellationStatus, *, payment_id: str | None, delivery_id: str | None
) -> NewDiscrepancy:
    word = record.status or record.investigation_status or ""
    en, zh = CANCELLATION_STATUSES.get(word, ("This word is not known here.", "含义未知。"))
    return origin.discrepancy(
        f"cancellation:{key}",
        "cancellation_answered",
        f"The bank answered a request for cancellation: {word or 'no status'}. {en} No payment was moved; the bank's status or "
        "statement decides.",
        f"银行答复撤销请求：{word or '无状态'}。{zh}未改变任何付款状态，请以银行状态报告或对账单为准。",
        {
            "level": record.level,
            "status": record.status,
            "investigation_status": record.investigation_status,
            "resolution_id": record.resolution_id,
            "case_id": record.case_id,
            "message_id": record.original_message_id,
            "payment_information_id": record.original_payment_information_id,
            "instruction_id": record.original_instruction_id,
            "end_to_end_id": record.original_end_to_end_id,
            "reasons": [reason.code for reason in record.reasons],
        },
        payment_id=payment_id,
        delivery_id=delivery_id,
    )


def recall_contradicted(origin: Origin, key: str, payment_id: str, before: str, now: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"recall:{key}",
        "contradiction",
        f"The bank now says {now} of a recall that it had {before}; the first answer stays. Ask the bank which is true.",
        f"银行对撤销请求的答复（{now}）与先前答复（{before}）矛盾，以先前答复为准，请向银行核实。",
        {"before": before, "now": now},
        payment_id=payment_id,
    )


def _held(delivery: Delivery) -> str:
    """What follows for the payments of a message; one without payments carries a recall."""
    return ", and its payments are held" if delivery.payment_count else "; it asked to cancel a payment, which stands"


def _held_zh(delivery: Delivery) -> str:
    return "，其中付款已暂挂" if delivery.payment_count else "；该报文为撤销请求，原付款状态不变"


def unrenderable(origin: Origin, delivery: Delivery, problem: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"unrenderable:{delivery.delivery_id}",
        "unrenderable",
        f"A message could not be written by the bank's rules; it was stopped before it was sealed{_held(delivery)}.",
        f"报文不符合银行格式要求，签名前已停止{_held_zh(delivery)}。",
        {"message_id": delivery.message_id, "problem": problem[:2000]},
        delivery_id=delivery.delivery_id,
    )


def gave_up(origin: Origin, delivery: Delivery, problem: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"gave-up:{delivery.delivery_id}",
        "gave_up",
        f"A message could not be sent in {delivery.attempt} attempts; nothing left us{_held(delivery)}.",
        f"报文经 {delivery.attempt} 次尝试仍未能发出（未离开本系统）{_held_zh(delivery)}。",
        {"message_id": delivery.message_id, "problem": problem},
        delivery_id=delivery.delivery_id,
    )


def refused(origin: Origin, delivery: Delivery, problem: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"refused:{delivery.delivery_id}",
        "refused",
        f"The bank's door refused a message; nothing of it will be executed{_held(delivery)}.",
        f"银行接入端拒收报文，其内容不会执行{_held_zh(delivery)}。",
        {"message_id": delivery.message_id, "problem": problem},
        delivery_id=delivery.delivery_id,
    )


def refused_in_doubt(origin: Origin, delivery: Delivery, problem: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"refused-in-doubt:{delivery.delivery_id}",
        "in_doubt",
        "The bank's door refused a repeat of a message it may have from an earlier attempt. Nothing is sent or held until the "
        "bank's news or a person tells whether it has it; do not submit its payments anew.",
        "银行接入端拒绝了重发的报文，但此前一次发送可能已到达。在银行通知或人工确认之前既不重发也不暂挂；请勿重新提交其中付款。",
        {"message_id": delivery.message_id, "attempt": delivery.attempt, "problem": problem},
        delivery_id=delivery.delivery_id,
    )


def still_in_doubt(origin: Origin, delivery: Delivery) -> NewDiscrepancy:
    return origin.discrepancy(
        f"in-doubt:{delivery.delivery_id}:{delivery.attempt}",
        "in_doubt",
        f"Whether the bank has a message is still not known after {delivery.attempt} attempts; it waits for the bank's news or "
        "for a person's decision. Do not submit its payments anew.",
        f"经 {delivery.attempt} 次尝试仍无法确定银行是否收到报文，等待银行通知或人工裁定；请勿重新提交其中付款。",
        {"message_id": delivery.message_id, "attempt": delivery.attempt},
        delivery_id=delivery.delivery_id,
    )


def sent_twice(origin: Origin, delivery: Delivery, attempt: int) -> NewDiscrepancy:
    return origin.discrepancy(
        f"sent-twice:{delivery.delivery_id}:{attempt}",
        "sent_twice",
        f"The receipt of attempt {attempt} came after attempt {delivery.attempt} had begun: the bank may have the message twice. "
        "Ask the bank at once.",
        f"第 {attempt} 次发送的回执在第 {delivery.attempt} 次发送开始之后才到：银行可能收到两份报文，请立即联系银行。",
        {"message_id": delivery.message_id, "attempts": [attempt, delivery.attempt]},
        delivery_id=delivery.delivery_id,
    )


def decision_contradicted(origin: Origin, delivery: Delivery, why: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"decided:{delivery.delivery_id}:{delivery.attempt}",
        "decision_contradicted",
        f"Evidence contradicts what was decided or found out about this message, which is {delivery.state.value}. Compare its "
        "history with the bank before anything else is done about its payments.",
        f"新的证据与此前对该报文（状态 {delivery.state.value}）的裁定或查证不符，处理其付款之前请先向银行核实。",
        {"message_id": delivery.message_id, "state": delivery.state.value, "attempt": delivery.attempt, "why": why},
        delivery_id=delivery.delivery_id,
    )


def queue_age(
    origin: Origin, queue: str, *, since: datetime, now: datetime, delivery_id: str | None, inbound_file_id: int | None
) -> NewDiscrepancy:
    en, zh = _QUEUES[queue]
    facts: dict[str, object] = {"queue": queue, "since": since.isoformat(timespec="seconds"), "inbound_file": inbound_file_id}
    return origin.discrepancy(
        f"queue_age:{origin.connection_id}:{queue}:{since.isoformat()}",
        "queue_age",
        f"{en} since {since:%Y-%m-%d %H:%M} UTC, longer than [alarms] of the connection allows.",
        f"{zh}，自 {since:%Y-%m-%d %H:%M}（UTC）起，已超过连接 [alarms] 设定的时限。",
        {**facts, "told_at": now.isoformat(timespec="seconds")},
        delivery_id=delivery_id,
    )


_QUEUES = {
    "in_review": ("Payments were stored and have not been judged by the rules of this house", "付款已保存，但尚未按内部规则审核"),
    "awaiting_approval": ("Payments wait for people to approve them", "付款等待人工审批"),
    "release_group": ("Payments wait for their release group, which has not gone", "付款等待其放行组放行"),
    "approved": ("Approved payments are in no message although the window is open", "已批准的付款在发送窗口内仍未编入报文"),
    "ready": ("A message that may be sent has not left", "可发送的报文尚未发出"),
    "in_doubt": ("It is not known whether the bank has a message", "银行是否收到某报文仍不确定"),
    "unanswered": ("The bank has a message and has said nothing about its payments", "银行已收到报文但尚无任何处理结果"),
    "unread": ("A file of the bank was fetched and has not been read", "已取回的银行文件尚未读取"),
}


def unforeseen(origin: Origin, delivery: Delivery, fault: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"unforeseen:{delivery.delivery_id}",
        "unforeseen",
        "A fault of this program keeps a message from being written; nothing of it left us, and it is tried again each minute.",
        "本程序的缺陷使报文无法生成；报文尚未发出，每分钟重试一次。",
        {"message_id": delivery.message_id, "fault": fault},
        delivery_id=delivery.delivery_id,
    )


def key_unavailable(origin: Origin, key: str, problem: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"key:{key}",
        "key_unavailable",
        "A key of this connection cannot be used; its messages wait until an operator has mended that.",
        "本连接的密钥无法使用，报文将等待运维人员处理。",
        {"problem": problem},
    )


def unreadable(origin: Origin, name: str, problem: str, line: int | None) -> NewDiscrepancy:
    # Banks put account numbers into the names of files, and of those in an archive, which the problem names.
    name, problem = mask_text(name, numbers=False), mask_text(problem, numbers=False)
    return origin.discrepancy(
        "unreadable",
        "unreadable",
        "A file from the bank could not be read. Its bytes are kept; it can be read again after a fix.",
        "银行文件无法读取，原始内容已保存，修复后可重新读取。",
        {"file": name, "problem": problem, "line": line},
    )


def stuck_in_an_archive(origin: Origin, name: str, problem: str) -> NewDiscrepancy:
    shown, problem = mask_text(name, numbers=False), mask_text(problem, numbers=False)
    return origin.discrepancy(
        f"unreadable:{name}",
        "unreadable",
        "A file in an archive from the bank could not be unpacked; the archive's other files are read by themselves. The archive"
        " is kept; it can be read again after a fix.",
        "银行压缩包中的一个文件无法解压，其余文件单独读取；压缩包原始内容已保存，修复后可重新读取。",
        {"file": shown, "problem": problem, "line": None},
    )


def left_at_the_bank(origin: Origin, trouble: str) -> NewDiscrepancy:
    return origin.discrepancy(
        f"left:{origin.connection_id}:{trouble}",
        "left_at_the_bank",
        "A file the bank offers could not be fetched whole; it stays there and is tried again with every fetch.",
        "银行提供的文件未能完整取回，仍保留在银行端，每次取件时将重试。",
        {"problem": trouble},
    )
