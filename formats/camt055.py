"""Writing camt.055 (CustomerPaymentCancellationRequest), versions .08 to .12: the request to cancel what was sent.

The same request gives the same bytes: UTF-8, one transaction a line, no attribute or namespace beyond the schema's. What a
request must not leave open is whether everything or a part is to be cancelled: `GrpCxl` and `PmtInfCxl` are always written,
and a request that says both or neither is refused.

Source: ISO 20022 message definition report "Exceptions and Investigations", CustomerPaymentCancellationRequest; and the schemas.
"""

from decimal import Decimal
from itertools import chain, islice
from typing import BinaryIO, Final

from formats.errors import Unrenderable, Violation
from formats.model_requests import (
    CancellationReason,
    CancellationRequest,
    MessageCancellation,
    PaymentInformationCancellation,
    TransactionCancellation,
)
from formats.pain001_parts import amount_start, code_or_proprietary, escape, money, plain_sum
from formats.request_parts import RequestCheck, agent_choice, explained, head, moment, optional, party_choice, version_of
from formats.request_versions import CAMT055, RequestVersion

_SOURCE: Final = "ISO 20022 camt.055, message definition and XML schema"
_TRANSACTIONS_A_WRITE: Final = 256


def write_camt055(request: CancellationRequest, out: BinaryIO) -> None:
    """Writes the request to `out`, streaming. Raises `Unrenderable` with everything that is wrong with it."""
    version = version_of(request.message_name, CAMT055)
    violations = check_camt055(request)
    if violations:
        raise Unrenderable(violations)
    with explained(version):
        out.write(_head(request, version).encode())
        for cancellation in request.cancellations:
            out.write(_group(cancellation).encode())
            for block in cancellation.payment_informations:
                _write_block(block, out)
            out.write(b"</Undrlyg>\n")
        out.write(b"</CstmrPmtCxlReq></Document>\n")


def _write_block(block: PaymentInformationCancellation, out: BinaryIO) -> None:
    out.write(_block_head(block).encode())
    transactions = map(_transaction, block.transactions)
    while several := list(islice(transactions, _TRANSACTIONS_A_WRITE)):
        out.write("".join(several).encode())
    out.write(b"</OrgnlPmtInfAndCxl>\n")


# -- what is wrong with a request ------------------------------------------------------------------------------------------


def check_camt055(request: CancellationRequest) -> tuple[Violation, ...]:
    """Everything that is wrong with a request; its version must be known."""
    check = RequestCheck(CAMT055[request.message_name], _SOURCE)
    check.text(request.message_id, "message_id")
    check.text(request.case_id, "case_id")
    check.party(request.assigner, "assigner")
    check.agent(request.assignee, "assignee")
    if not request.cancellations:
        check.say("cancellations", "cancellation.empty", "There is nothing to cancel in it.", "请求中没有要撤销的内容。")
    for index, cancellation in enumerate(request.cancellations):
        _check_message(cancellation, f"cancellations[{index}]", check)
    return check.found


def _check_message(asked: MessageCancellation, path: str, check: RequestCheck) -> None:
    check.text(asked.original_message_id, f"{path}.original_message_id")
    check.text(asked.original_message_name, f"{path}.original_message_name")
    check.text(asked.original_creation_date_time, f"{path}.original_creation_date_time", 35, "text")
    check.text(asked.cancellation_id, f"{path}.cancellation_id")
    _check_reason(asked.reason, f"{path}.reason", check)
    _check_extent(asked.whole, asked.payment_informations, path, "payment_informations", check)
    for index, block in enumerate(asked.payment_informations):
        under = f"{path}.payment_informations[{index}]"
        check.text(block.original_payment_information_id, f"{under}.original_payment_information_id")
        check.text(block.cancellation_id, f"{under}.cancellation_id")
        _check_reason(block.reason, f"{under}.reason", check)
        _check_extent(block.whole, block.transactions, under, "transactions", check)
        for number, transaction in enumerate(block.transactions):
            _check_transaction(transaction, f"{under}.transactions[{number}]", check)


def _check_extent(whole: bool, parts: tuple[object, ...], path: str, name: str, check: RequestCheck) -> None:
    """All of it or the parts that are named: one of the two."""
    if whole and parts:
        check.say(
            f"{path}.whole",
            "cancellation.whole-and-parts",
            f"This asks for the whole and names parts of it. Set whole to false, or leave out {name}.",
            f"既要求整体撤销又列出了其中部分。请将 whole 设为 false，或删除 {name}。",
        )
    elif not whole and not parts:
        check.say(
            f"{path}.{name}",
            "cancellation.nothing-named",
            f"Say what to cancel: set whole to true for all of it, or name its parts in {name}.",
            f"请说明撤销范围：整体撤销请将 whole 设为 true，否则请在 {name} 中列出。",
        )


def _check_transaction(asked: TransactionCancellation, path: str, check: RequestCheck) -> None:
    ids = (asked.original_instruction_id, asked.original_end_to_end_id, asked.original_uetr)
    if not any(ids):
        check.say(
            path,
            "cancellation.unidentified",
            "Name the payment: its instruction id, end-to-end id or UETR as the original message has it.",
            "请标明付款：填写原报文中的指令标识、端到端标识或 UETR。",
        )
    check.text(asked.cancellation_id, f"{path}.cancellation_id")
    check.text(asked.original_instruction_id, f"{path}.original_instruction_id")
    check.text(asked.original_end_to_end_id, f"{path}.original_end_to_end_id")
    check.text(asked.original_uetr, f"{path}.original_uetr", 36)
    check.text(asked.original_currency, f"{path}.original_currency", 3, "currency")
    if (asked.original_amount is None) != (asked.original_currency is None):
        check.say(
            f"{path}.original_amount",
            "cancellation.amount-and-currency",
            "Amount and currency of the original belong together.",
            "原付款的金额与币种必须同时填写。",
        )
    elif asked.original_amount is not None and not (asked.original_amount.is_finite() and asked.original_amount > 0):
        check.say(f"{path}.original_amount", "amount.not-positive", "An amount is above zero.", "金额必须大于零。")
    _check_reason(asked.reason, f"{path}.reason", check)


def _check_reason(reason: CancellationReason | None, path: str, check: RequestCheck) -> None:
    if reason is None:
        return
    if (reason.code is None) == (reason.proprietary is None):
        check.say(
            path,
            "cancellation.reason",
            "A reason is a code of ISO 20022 (such as DUPL) or the bank's own word in proprietary: one of the two.",
            "原因须为 ISO 20022 代码（如 DUPL）或银行自定义词（proprietary），二选一。",
        )
    check.text(reason.code, f"{path}.code", 4, "code")
    check.text(reason.proprietary, f"{path}.proprietary", 35, "text")
    for index, line in enumerate(reason.additional_information):
        check.text(line, f"{path}.additional_information[{index}]", 105, "text")


# -- the message -----------------------------------------------------------------------------------------------------------


def _head(request: CancellationRequest, version: RequestVersion) -> str:
    assigner = party_choice("Assgnr", request.assigner, version)
    creator = party_choice("Cretr", request.assigner, version)
    case = "" if request.case_id is None else f"<Case><Id>{escape(request.case_id)}</Id>{creator}</Case>"
    return (
        f"{head(version, 'CstmrPmtCxlReq')}<Assgnmt><Id>{escape(request.message_id)}</Id>{assigner}"
        f"{agent_choice('Assgne', request.assignee, version)}<CreDtTm>{moment(request.creation_date_time)}</CreDtTm></Assgnmt>"
        f"{case}{_control_data(request)}\n"
    )


def _control_data(request: CancellationRequest) -> str:
    """[CtrlData] Number and sum of the single payments to cancel; only where they are all there is, so that it says one thing."""
    blocks = list(chain.from_iterable(cancellation.payment_informations for cancellation in request.cancellations))
    if any(one.whole for one in request.cancellations) or any(block.whole for block in blocks):
        return ""
    transactions = list(chain.from_iterable(block.transactions for block in blocks))
    amounts = [one.original_amount for one in transactions if one.original_amount is not None]
    total = optional("CtrlSum", plain_sum(sum(amounts, Decimal(0)))) if len(amounts) == len(transactions) else ""
    return f"<CtrlData><NbOfTxs>{len(transactions)}</NbOfTxs>{total}</CtrlData>"


def _group(asked: MessageCancellation) -> str:
    """The start of [Undrlyg] with its [OrgnlGrpInfAndCxl]."""
    return (
        f"<Undrlyg><OrgnlGrpInfAndCxl>{optional('GrpCxlId', asked.cancellation_id)}"
        f"<OrgnlMsgId>{escape(asked.original_message_id)}</OrgnlMsgId>"
        f"<OrgnlMsgNmId>{escape(asked.original_message_name)}</OrgnlMsgNmId>"
        f"{optional('OrgnlCreDtTm', asked.original_creation_date_time)}"
        f"{_totals(asked.original_count, asked.original_control_sum)}<GrpCxl>{_yes_or_no(asked.whole)}</GrpCxl>"
        f"{_reason(asked.reason)}</OrgnlGrpInfAndCxl>\n"
    )


def _block_head(asked: PaymentInformationCancellation) -> str:
    return (
        f"<OrgnlPmtInfAndCxl>{optional('PmtCxlId', asked.cancellation_id)}"
        f"<OrgnlPmtInfId>{escape(asked.original_payment_information_id)}</OrgnlPmtInfId>"
        f"{_totals(asked.original_count, asked.original_control_sum)}<PmtInfCxl>{_yes_or_no(asked.whole)}</PmtInfCxl>"
        f"{_reason(asked.reason)}\n"
    )


def _transaction(asked: TransactionCancellation) -> str:
    amount, currency, day = asked.original_amount, asked.original_currency, asked.original_requested_execution_date
    instructed = ""
    if amount is not None and currency is not None:
        instructed = f"{amount_start('OrgnlInstdAmt', currency)}{money(amount, currency)}</OrgnlInstdAmt>"
    return (
        f"<TxInf>{optional('CxlId', asked.cancellation_id)}{optional('OrgnlInstrId', asked.original_instruction_id)}"
        f"{optional('OrgnlEndToEndId', asked.original_end_to_end_id)}{optional('OrgnlUETR', asked.original_uetr)}{instructed}"
        f"{'' if day is None else f'<OrgnlReqdExctnDt><Dt>{day.isoformat()}</Dt></OrgnlReqdExctnDt>'}"
        f"{_reason(asked.reason)}</TxInf>\n"
    )


def _totals(count: int | None, control_sum: Decimal | None) -> str:
    return optional("NbOfTxs", count) + optional("CtrlSum", None if control_sum is None else plain_sum(control_sum))


def _reason(reason: CancellationReason | None) -> str:
    if reason is None:
        return ""
    lines = "".join([f"<AddtlInf>{escape(line)}</AddtlInf>" for line in reason.additional_information])
    return f"<CxlRsnInf>{code_or_proprietary('Rsn', reason.code, reason.proprietary)}{lines}</CxlRsnInf>"


def _yes_or_no(value: bool) -> str:
    return "true" if value else "false"
