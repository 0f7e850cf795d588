"""What a person is told about a bank that answers at once. Pure."""

from formats.dialogue import Asking, Heard
from gateway.discrepancies import Origin
from gateway.masking import mask_text
from gateway.store.records import Delivery, NewDiscrepancy
from gateway.store.serials import GivenSerial

_TEXT_MAX = 200


def not_known(connection_id: str, given: GivenSerial, heard: Heard) -> NewDiscrepancy:
    """The bank took a payment and says that it does not know it, past the wait that it is given."""
    origin = Origin(connection_id=connection_id, inbound_file_id=0, source="status")
    return origin.discrepancy(
        f"not-known:{given.instruction_id}",
        "unmatched",
        "The bank took this payment and now says that it knows no such record. It was not marked as failed and is not sent "
        "again; ask the bank with the serial number in the evidence.",
        "银行已受理该笔付款，但查询返回无此记录。系统未将其置为失败，也不会重发；请凭流水号向银行核实。",
        {"serial_number": given.serial, "code": heard.code, "text": mask_text(heard.text)[:_TEXT_MAX]},
        payment_id=given.payment_id,
        delivery_id=given.delivery_id,
    )


def sent_on_a_word(connection_id: str, delivery: Delivery) -> NewDiscrepancy:
    """A message goes out again because a person said so, to a bank that promises nothing about repeats."""
    origin = Origin(connection_id=connection_id, inbound_file_id=0, source="gateway")
    return origin.discrepancy(
        f"sent-on-a-word:{delivery.delivery_id}:{delivery.attempt}",
        "sent_twice",
        "A person said that this message had not arrived, and it is sent again with the same serial numbers. This bank does not "
        "promise to execute a serial number once only: look for two debits in the statement of the day.",
        "经人工确认该报文未到达银行，现以相同流水号重发。该银行未承诺同一流水号只执行一次，请在当日对账单中核对是否有两笔扣款。",
        {"message_id": delivery.message_id, "attempt": delivery.attempt},
        delivery_id=delivery.delivery_id,
    )


def cannot_ask(kind: Asking, heard: Heard) -> str:
    """A question that the bank did not answer, for `troubles`."""
    text = mask_text(heard.text)[:_TEXT_MAX]
    return f"the question for {kind.value} was not answered: {heard.outcome.value} {heard.code} {text}".strip()
