"""Answers to requests for cancellation: camt.029, versions .01 to .14.

Source: ISO 20022 message definition report "Exceptions and Investigations", ResolutionOfInvestigation. An answer speaks of the
message (OrgnlGrpInfAndSts), the block (OrgnlPmtInfAndSts) and the transaction (TxInfAndSts), each a record in reading order; one
that speaks of none of them (a mere confirmation, or the first versions) is one record for the investigation as a whole. What it
says of modifications, claims and corrections has no fields and is the document's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from formats.errors import Unparsable
from formats.pain002 import REASON, reasons_of
from formats.report import CancellationStatus, ReportRecord
from formats.shapes import OWN, Each, Reading, Shape, Supplement, Target
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = ("CxlDtls", "OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts", "TxInfAndSts")

_ANSWER = Shape({"Assgnmt/Id": "resolution_id", "RslvdCase/Id": "case_id", "Sts/Conf": "investigation_status"})
_COMMON: dict[str, Target] = {
    "RslvdCase/Id": "case_id",
    "OrgnlGrpInf/OrgnlMsgId": "message_id",
    "OrgnlGrpInf/OrgnlMsgNmId": "message_name",
    "CxlStsRsnInf": Each("reasons", REASON),
}
_GROUP = Shape(
    {
        **_COMMON,
        "OrgnlGrpCxlId": "cancellation_id",
        "OrgnlMsgId": "message_id",
        "OrgnlMsgNmId": "message_name",
        "GrpCxlSts": "status",
    }
)
_BLOCK = Shape(
    {
        **_COMMON,
        "OrgnlPmtInfCxlId": "cancellation_id",
        "OrgnlPmtInfId": "payment_information_id",
        "PmtInfCxlSts": "status",
        "TxInfAndSts": OWN,
    }
)
_TRANSACTION = Shape(
    {
        **_COMMON,
        "CxlStsId": "cancellation_id",
        "OrgnlPmtInfId": "payment_information_id",
        "OrgnlInstrId": "instruction_id",
        "OrgnlEndToEndId": "end_to_end_id",
        "OrgnlTxId": "transaction_id",
        "OrgnlUETR": "uetr",
        "UETR": "uetr",
        "TxCxlSts": "status",
        "OrgnlInstdAmt": "amount",
        "OrgnlInstdAmt@Ccy": "currency",
        "OrgnlIntrBkSttlmAmt": "amount",
        "OrgnlIntrBkSttlmAmt@Ccy": "currency",
    }
)
_TAIL = Shape(dict.fromkeys(NAMES, OWN))


@dataclass(slots=True)
class _Level:
    """An element that holds records: CxlDtls or OrgnlPmtInfAndSts."""

    element: etree._Element
    reading: Reading
    told: bool
    said: dict[str, Any] = field(default_factory=dict)  # what the records below inherit


class ResolutionDocument(MessageReader):
    """Reads one RsltnOfInvstgtn as its elements open and close."""

    names = frozenset(NAMES)
    apart = frozenset({"CxlDtls"})

    def __init__(self, stream: ElementStream, root: etree._Element) -> None:
        super().__init__(stream)
        self._root = root
        self._answer: dict[str, Any] = {}
        self._details: _Level | None = None
        self._block: _Level | None = None
        self._transaction: etree._Element | None = None
        self._told = 0

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens. The first transaction of a block shows that the block's own status is complete."""
        parent = element.getparent()
        if name == "CxlDtls":
            if self._details is not None or parent is not self._root:
                raise Unparsable("details of a cancellation elsewhere than under the message", self.stream.line_of(element))
            self._answer = self._answer or _ANSWER.read(self._root)
            self._details = _Level(element, Reading(_TAIL), told=True)
            return NOTHING
        if self._details is None or self._transaction is not None:
            raise Unparsable(f"an answer ({name}) outside the details of a cancellation", self.stream.line_of(element))
        level = self._block or self._details
        if parent is not level.element or (self._block is not None and name != "TxInfAndSts"):
            raise Unparsable(f"an answer ({name}) inside another", self.stream.line_of(element))
        level.reading.take(level.element, until=element)
        records: Sequence[ReportRecord] = () if level.told else (self._block_record(level),)
        if name == "OrgnlPmtInfAndSts":
            self._block = _Level(element, Reading(_BLOCK), told=False)
        else:
            self._transaction = element
        return records

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        details, block = self._details, self._block
        records: Sequence[ReportRecord] = NOTHING
        if element is self._transaction and details is not None:
            self._transaction = None
            records = (self._single(name, element, details),)
        elif block is not None and element is block.element:
            block.reading.take(element)
            told, of_id = block.told, block.said.get("payment_information_id")
            records = self.remainder("cancellation_status", of_id, block.reading) if told else (self._block_record(block),)
            self._block = None
        elif details is not None and element is details.element:
            details.reading.take(element)
            records = self.remainder("cancellation_status", details.said.get("message_id"), details.reading)
            self._details = None
        self.stream.forget(element)
        return records

    def close(self) -> Sequence[ReportRecord]:
        """The message is complete. An answer without details is one record."""
        if self._told:
            return NOTHING
        self._answer = _ANSWER.read(self._root)
        return (self._record("investigation", {}, Supplement()),)

    def _single(self, name: str, element: etree._Element, details: _Level) -> CancellationStatus:
        if name == "OrgnlGrpInfAndSts":
            found, supplement = _GROUP.whole(element)
            details.said = found
            return self._record("message", found, supplement)
        found, supplement = _TRANSACTION.whole(element)
        return self._record("transaction", found, supplement, *((self._block.said,) if self._block else ()), details.said)

    def _block_record(self, block: _Level) -> CancellationStatus:
        block.said, supplement = block.reading.found, block.reading.supplement
        block.told, block.reading = True, Reading(_TAIL)
        return self._record("payment_information", block.said, supplement, self._details.said if self._details else {})

    def _record(self, level: str, found: dict[str, Any], supplement: Supplement, *above: dict[str, Any]) -> CancellationStatus:
        """`above`: what the block and the message say, from which identifications are inherited, and never a status."""
        self._told += 1

        def inherited(slot: str) -> str | None:
            return next((said[slot] for said in (found, *above, self._answer) if slot in said), None)

        get = found.get
        return CancellationStatus(
            level=level,
            original_message_id=inherited("message_id"),
            original_message_name=inherited("message_name"),
            original_payment_information_id=inherited("payment_information_id"),
            original_instruction_id=get("instruction_id"),
            original_end_to_end_id=get("end_to_end_id"),
            status=get("status"),
            reasons=reasons_of(found),
            resolution_id=self._answer.get("resolution_id"),
            case_id=inherited("case_id"),
            investigation_status=self._answer.get("investigation_status"),
            cancellation_id=get("cancellation_id"),
            original_transaction_id=get("transaction_id"),
            original_uetr=get("uetr"),
            amount=get("amount"),
            currency=get("currency"),
            supplementary=supplement.pairs(),
        )
