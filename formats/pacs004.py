"""Payment returns: pacs.004, versions .01 to .14, where a bank hands the message to its customer.

Source: ISO 20022 message definition report "Payments Clearing and Settlement", PaymentReturn. What is said once for the group
(the original message, the settlement date, the reason) holds for every transaction that does not say it itself. A return of a
whole group without transactions (GrpRtr) is one record with the original message's id alone.
"""

from collections.abc import Sequence
from typing import Any

from lxml import etree

from formats.pain002 import REASON, reasons_of
from formats.report import PaymentReturn, ReportRecord
from formats.shapes import Each, Shape, Supplement
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = ("OrgnlGrpInf", "TxInf")

_HEADER = Shape({"IntrBkSttlmDt": "settlement_date", "GrpRtr": "group_return"})
_GROUP = Shape({"OrgnlMsgId": "message_id", "RtrRsnInf": Each("reasons", REASON)})
_TRANSACTION = Shape(
    {
        "RtrId": "return_id",
        "OrgnlGrpInf/OrgnlMsgId": "message_id",
        "OrgnlPmtInfId": "payment_information_id",
        "OrgnlInstrId": "instruction_id",
        "OrgnlTxId": "transaction_id",
        "OrgnlEndToEndId": "end_to_end_id",
        "OrgnlUETR": "uetr",
        "RtrdIntrBkSttlmAmt": "amount",
        "RtrdIntrBkSttlmAmt@Ccy": "currency",
        "RtrdInstdAmt": "instructed_amount",
        "RtrdInstdAmt@Ccy": "instructed_currency",
        "IntrBkSttlmDt": "settlement_date",
        "RtrRsnInf": Each("reasons", REASON),
    }
)


class ReturnDocument(MessageReader):
    """Reads one PmtRtr as its elements open and close."""

    names = frozenset(NAMES)
    apart = frozenset({"TxInf"})  # what is said of the group is the message's own, besides holding for each return

    def __init__(self, stream: ElementStream) -> None:
        super().__init__(stream)
        self._header: dict[str, Any] = {}
        self._group: dict[str, Any] = {}
        self._within: etree._Element | None = None
        self._returns = 0

    def header(self, element: etree._Element) -> None:
        """The group header is complete."""
        self._header = _HEADER.read(element)

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens."""
        if name == "TxInf" and self._within is None:
            self._within = element
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        if name == "OrgnlGrpInf":
            if self._within is None:  # else it belongs to one transaction, and is read with it
                self._group = _GROUP.read(element)
            return NOTHING
        if element is not self._within:
            return NOTHING
        self._within = None
        self._returns += 1
        record = self._record(*_TRANSACTION.whole(element))
        self.stream.forget(element)
        return (record,)

    def close(self) -> Sequence[ReportRecord]:
        """The message is complete."""
        if self._returns == 0 and self._header.get("group_return") in ("true", "1"):
            return (self._record({}, Supplement()),)
        return NOTHING

    def _record(self, found: dict[str, Any], supplement: Supplement) -> PaymentReturn:
        get = found.get
        amount, currency = get("amount"), get("currency")
        instructed, instructed_currency = get("instructed_amount"), get("instructed_currency")
        if amount is None:
            amount, currency = instructed, instructed_currency
        return PaymentReturn(
            original_message_id=get("message_id") or self._group.get("message_id"),
            original_instruction_id=get("instruction_id"),
            original_end_to_end_id=get("end_to_end_id"),
            original_uetr=get("uetr"),
            amount=amount,
            currency=currency,
            settlement_date=get("settlement_date") or self._header.get("settlement_date"),
            reasons=reasons_of(found) or reasons_of(self._group),
            return_id=get("return_id"),
            original_payment_information_id=get("payment_information_id"),
            original_transaction_id=get("transaction_id"),
            instructed_amount=instructed,
            instructed_currency=instructed_currency,
            supplementary=supplement.pairs(),
        )
