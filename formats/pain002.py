"""Payment status reports: pain.002, versions .001.02 to .001.15, the German (.002.03, .003.03) and Swiss (.ch.02, .ch.03) kinds.

Source: ISO 20022 message definition report "Payments Initiation", CustomerPaymentStatusReport. A report speaks at three levels:
the file (OrgnlGrpInfAndSts), the block (OrgnlPmtInfAndSts) and the transaction (TxInfAndSts); each is a record of its own, in
reading order, and what a status of one level means for the others is for the matching to say. Version .02 puts transactions
beside the group and names a reason StsRsn; both are read in all versions.
"""

from collections.abc import Sequence
from typing import Any

from lxml import etree

from formats.errors import Unparsable
from formats.report import PaymentInformationStatus, Reason, ReportRecord, StatusReport, TransactionStatus
from formats.shapes import OWN, Each, Many, Reading, Shape, Supplement
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = ("OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts", "TxInfAndSts")

REASON = Shape(
    {
        "Rsn/Cd": "code",
        "Rsn/Prtry": "code",
        "StsRsn/Cd": "code",
        "StsRsn/Prtry": "code",
        "RtrRsn/Cd": "code",
        "RtrRsn/Prtry": "code",
        "AddtlInf": Many("text"),
        "AddtlStsRsnInf": Many("text"),
        "AddtlRtrRsnInf": Many("text"),
    }
)
_GROUP = Shape(
    {
        "OrgnlMsgId": "message_id",
        "OrgnlMsgNmId": "message_name",
        "GrpSts": "status",
        "StsRsnInf": Each("reasons", REASON),
    }
)
_BLOCK = Shape({"OrgnlPmtInfId": "id", "PmtInfSts": "status", "StsRsnInf": Each("reasons", REASON), "TxInfAndSts": OWN})
_BLOCK_TAIL = Shape({"TxInfAndSts": OWN})
_TRANSACTION = Shape(
    {
        "OrgnlPmtInfId": "payment_information_id",
        "OrgnlInstrId": "instruction_id",
        "OrgnlEndToEndId": "end_to_end_id",
        "OrgnlUETR": "uetr",
        "TxSts": "status",
        "StsRsnInf": Each("reasons", REASON),
        "AcctSvcrRef": "account_servicer_reference",
        "OrgnlTxRef/Amt/InstdAmt": "amount",
        "OrgnlTxRef/Amt/InstdAmt@Ccy": "currency",
        "OrgnlTxRef/Amt/EqvtAmt/Amt": "amount",
        "OrgnlTxRef/Amt/EqvtAmt/Amt@Ccy": "currency",
    }
)


def reasons_of(found: dict[str, Any]) -> tuple[Reason, ...]:
    """The reasons of a status or a return. A code and its words may be absent; a reason with neither says nothing."""
    items = found.get("reasons")
    if items is None:
        return ()
    return tuple(Reason(code=item.get("code"), text=" ".join(item["text"]) if "text" in item else None) for item in items if item)


class StatusReportDocument(MessageReader):
    """Reads one CstmrPmtStsRpt as its elements open and close."""

    names = apart = frozenset(NAMES)

    def __init__(self, stream: ElementStream) -> None:
        super().__init__(stream)
        self._block: etree._Element | None = None
        self._block_id: str | None = None
        self._block_told = False
        self._reading = Reading(_BLOCK)  # of the block until it is told, then of what comes after

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens. The first transaction of a block shows that the block's own status is complete."""
        if name == "OrgnlPmtInfAndSts":
            if self._block is not None:
                raise Unparsable("a payment information inside another", self.stream.line_of(element))
            self._block, self._block_told, self._reading = element, False, Reading(_BLOCK)
        elif name == "TxInfAndSts" and self._block is not None:
            self._reading.take(self._block, until=element)
            if not self._block_told:
                return (self._block_record(),)
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        records: Sequence[ReportRecord] = NOTHING
        if name == "TxInfAndSts":
            records = (self._transaction_record(*_TRANSACTION.whole(element)),)
        elif name == "OrgnlGrpInfAndSts":
            found, supplement = _GROUP.whole(element)
            records = (
                StatusReport(
                    original_message_id=found.get("message_id"),
                    original_message_name=found.get("message_name"),
                    group_status=found.get("status"),
                    group_reasons=reasons_of(found),
                    supplementary=supplement.pairs(),
                ),
            )
        elif element is self._block:
            self._reading.take(element)
            if self._block_told:
                records = self.remainder("payment_information_status", self._block_id, self._reading)
            else:
                records = (self._block_record(),)
            self._block = self._block_id = None
        self.stream.forget(element)
        return records

    def _block_record(self) -> PaymentInformationStatus:
        found, supplement = self._reading.found, self._reading.supplement
        self._block_told, self._reading = True, Reading(_BLOCK_TAIL)
        self._block_id = found.get("id")
        return PaymentInformationStatus(
            original_payment_information_id=self._block_id,
            status=found.get("status"),
            reasons=reasons_of(found),
            supplementary=supplement.pairs(),
        )

    def _transaction_record(self, found: dict[str, Any], supplement: Supplement) -> TransactionStatus:
        get = found.get
        return TransactionStatus(
            original_payment_information_id=get("payment_information_id") or self._block_id,
            original_instruction_id=get("instruction_id"),
            original_end_to_end_id=get("end_to_end_id"),
            status=get("status"),
            reasons=reasons_of(found),
            original_uetr=get("uetr"),
            account_servicer_reference=get("account_servicer_reference"),
            amount=get("amount"),
            currency=get("currency"),
            supplementary=supplement.pairs(),
        )
