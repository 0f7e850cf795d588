"""Our own reasons in plain words, in English and Chinese. The banks' codes are explained by `formats.codes`."""

from formats.codes import explain
from gateway.store.records import Reason

_OURS: dict[str, tuple[str, str]] = {
    "bankgate.approved": ("Passed every check; no approval is asked for here.", "已通过全部检查，本处无需审批。"),
    "bankgate.in-review": (
        "Stored; the rules of this house are applied to it now, before it can go to the bank.",
        "已保存，正在按内部规则审核，审核通过后才会发往银行。",
    ),
    "bankgate.reviewed": (
        "Passed every check; every approval that was asked for is given.",
        "已通过全部检查，所需审批均已完成。",
    ),
    "bankgate.judged-again": (
        "Judged again after rules or lists changed.",
        "规则或名单变更后已重新审核。",
    ),
    "bankgate.awaiting-approval": ("Waits for approval.", "等待审批。"),
    "bankgate.approved-in-part": (
        "One more approval was given; others are still to come.",
        "已获得一项审批，尚待其他审批。",
    ),
    "bankgate.refused-by-person": ("A person refused it, with a reason.", "已由人工拒绝并注明理由。"),
    "bankgate.released-in-part": (
        "A person looked at what held it; something else still does.",
        "已有人工核查部分暂挂原因，仍有其他原因。",
    ),
    "bankgate.not-reviewed": (
        "Held: it was to leave unjudged by the rules of this house, or an approver has lost the right since. It is judged now.",
        "已暂挂：该付款未经内部规则审核即将发出，或审批人此后已失去权限，现正进行审核。",
    ),
    "bankgate.approval-void": (
        "Held: what was to leave is not what was approved, or approvals are missing. A person has to look.",
        "已暂挂：即将发出的内容与审批内容不一致，或缺少审批，需人工处理。",
    ),
    "bankgate.approver-gone": (
        "Held: somebody who approved it no longer has the right to, and the rules look at that again. It is judged again now.",
        "已暂挂：审批人已失去审批权限，且规则要求复核审批权限，现正重新审核。",
    ),
    "bankgate.hit-in-message": (
        "Found on a list that changed after it was put into a message. It is taken out of the message before that leaves.",
        "编入报文后名单变更，本笔命中名单；报文发出前将移出本笔。",
    ),
    "bankgate.formed-again": (
        "Taken out of a message that was stopped before it left, because of another payment in it; it goes into the next one.",
        "所在报文因另一笔付款在发出前停止，本笔将编入下一报文。",
    ),
    "bankgate.cancelled": ("Cancelled by the caller.", "调用方已撤销。"),
    "bankgate.batched": ("Put into a message to the bank.", "已编入发往银行的报文。"),
    "bankgate.sent": ("The bank has the message; its verdict is awaited.", "银行已收到报文，等待银行处理结果。"),
    "bankgate.confirmed": ("The bank's side confirmed that it has the message.", "银行端已确认收到报文。"),
    "bankgate.waits-for-release": (
        "The bank has the message. It verifies the payees and executes nothing until a person has released the order there.",
        "银行已收到报文，正在核验收款人；须由人工在银行端放行后才会执行。",
    ),
    "bankgate.not-sent": ("Nothing left us; it will be tried again.", "尚未发出，将自动重试。"),
    "bankgate.in-doubt": (
        "The bank may or may not have the message. It is not sent again until that is known.",
        "银行是否收到报文尚不确定；在查明之前不会重发。",
    ),
    "bankgate.window-closed": (
        "The bank takes no messages of this kind now. Nothing left us; it is sent in the next window.",
        "银行目前不接收此类报文；尚未发出，将在下一发送窗口发送。",
    ),
    "bankgate.waits-for-window": (
        "Passed every check; it goes into a message when the bank's next send window opens.",
        "已通过全部检查，将在银行下一发送窗口开放时编入报文。",
    ),
    "bankgate.waits-for-group": (
        "Passed every check; it leaves together with the payments of its release group, once all of them are approved.",
        "已通过全部检查，待同一放行组的付款全部审批通过后一并发出。",
    ),
    "bankgate.released-with-group": (
        "Released with its group: every payment of it is approved, and they go into messages together.",
        "已随放行组放行：组内付款均已审批通过，将一并编入报文。",
    ),
    "bankgate.group-not-released": (
        "Held: it was in a message although its release group was not released. Find out who changed the database.",
        "已暂挂：所属放行组尚未放行，该付款却已编入报文，需查明何人改动了数据库。",
    ),
    "bankgate.lost-track": (
        "The process that was sending stopped before it knew the outcome.",
        "发送进程在得知结果之前中止。",
    ),
    "bankgate.found": ("Evidence shows that the bank has the message.", "已有证据证明银行收到报文。"),
    "bankgate.found-missing": (
        "The bank's final answer is that it never got the message; it will be sent again.",
        "银行最终确认未收到报文，将重新发送。",
    ),
    "bankgate.send-again": (
        "Sent again: the bank confirmed that a repeated name is not executed twice.",
        "重新发送：银行已确认同名文件不会重复执行。",
    ),
    "bankgate.refused": (
        "The bank's door refused the message; nothing of it will be executed. A person has to look.",
        "银行接入端拒收该报文，其中款项不会执行，需人工处理。",
    ),
    "bankgate.gave-up": (
        "It could not be sent after many attempts, and nothing left us. A person has to look.",
        "多次尝试后仍未能发出（未离开本系统），需人工处理。",
    ),
    "bankgate.unrenderable": (
        "The message could not be written by the bank's rules and was stopped before it was sealed. A person has to look.",
        "报文不符合银行格式要求，签名前已停止，需人工处理。",
    ),
    "bankgate.instant-refused": (
        "The bank refused it as an instant payment; it goes out again as a normal payment.",
        "银行拒绝即时付款，将作为普通付款重新发出。",
    ),
    "bankgate.instant-not-offered": (
        "Passed every check. Instant payments are not offered here, so it goes as a normal payment at once.",
        "已通过全部检查。此处不提供即时付款，直接作为普通付款处理。",
    ),
    "bankgate.perhaps-executed": (
        "Held: the bank may have executed the instant payment that it said it refused. A person has to ask the bank.",
        "已暂挂：银行称已拒绝的即时付款可能已被执行，需人工向银行核实。",
    ),
    "bankgate.stopped": (
        "The message was stopped before it left, because of another payment in it that may have been executed already.",
        "因报文中另一笔付款可能已被执行，该报文在发出前已停止。",
    ),
    "bankgate.restored": (
        "Held or stopped after a backup was restored: what has happened since is unknown here. A person has to ask the bank.",
        "恢复备份后暂挂或停止：其后发生的情况在此未知，需人工向银行核实。",
    ),
    "bankgate.recall-requested": (
        "The bank is being asked to cancel this payment and send the money back. The payment stands until the bank's news of it.",
        "正在请求银行撤销该付款并退回款项；在银行通知之前付款状态不变。",
    ),
    "bankgate.recall-sent": ("The bank has the request to cancel this payment.", "银行已收到该付款的撤销请求。"),
    "bankgate.recall-in-doubt": (
        "Whether the bank has the request to cancel this payment is not known yet.",
        "银行是否收到该付款的撤销请求尚不确定。",
    ),
    "bankgate.recall-failed": (
        "The request to cancel this payment did not reach the bank. Ask the bank by telephone, or ask again here.",
        "该付款的撤销请求未能送达银行，请致电银行或重新提交请求。",
    ),
    "bankgate.recall-pending": ("The bank has not decided about the cancellation yet.", "银行尚未就撤销请求作出决定。"),
    "bankgate.recall-unclear": (
        "The bank answered the request to cancel this payment and neither cancels nor refuses. A person has to read its answer.",
        "银行已答复撤销请求，但既未同意也未拒绝，须由人工阅读答复内容。",
    ),
    "bankgate.recall-accepted": (
        "The bank accepts the cancellation: the money is to come back. It is back when the payment is returned or rejected.",
        "银行已接受撤销请求，款项将退回；以付款的退回或拒绝状态为准。",
    ),
    "bankgate.recall-refused": ("The bank refuses the cancellation; the payment stands.", "银行拒绝撤销，付款仍然有效。"),
    "bankgate.settled": ("Booked on the account.", "已入账（已从账户扣款）。"),
    "bankgate.returned": ("The payment came back after it was booked.", "款项扣款后被退回。"),
    "bankgate.decided": ("A person decided, with a reason.", "已由人工裁定并注明理由。"),
}


def ours(word: str, bank_text: str = "") -> Reason:
    """Our reason for a word without its prefix; the texts stay in the table above until somebody reads them."""
    return Reason(code=f"bankgate.{word}", bank_text=bank_text)


def texts(reason: Reason) -> tuple[str, str]:
    """Plain words (en, zh) of a reason: its own, else what its code means; both empty if there is no code."""
    if reason.text_en or reason.text_zh:
        return reason.text_en, reason.text_zh
    if not reason.code:
        return "", ""
    return _OURS.get(reason.code) or explain(reason.code)
