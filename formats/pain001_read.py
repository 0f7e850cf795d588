"""Payment orders read back: pain.001, all ISO versions, the German (.002.03, .003.03) and Swiss (.ch.02, .ch.03) kinds.

Source: ISO 20022 message definition report "Payments Initiation", CustomerCreditTransferInitiation. Used to see what a file
would pay (`bankgate parse`) and to check what we rendered by a second way. What a block says
once is told with each of its payments where there is a field for it, and all else with the first.
"""

from collections.abc import Sequence
from typing import Any

from lxml import etree

from formats.errors import Unparsable
from formats.report import Pairs, PaymentRead, Remainder, ReportRecord
from formats.shapes import OWN, Reading, Shape, Supplement
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = ("PmtInf", "CdtTrfTxInf")

_BLOCK = Shape(
    {
        "PmtInfId": "id",
        "Dbtr/Nm": "debtor_name",
        "ReqdExctnDt": "date",
        "ReqdExctnDt/Dt": "date",
        "ReqdExctnDt/DtTm": "date",
        "DbtrAcct/Id/IBAN": "account",
        "DbtrAcct/Id/Othr/Id": "account",
        "DbtrAcct/Id/BBAN": "account",
        "DbtrAcct/Id/UPIC": "account",
        "DbtrAcct/Id/PrtryAcct/Id": "account",
        "CdtTrfTxInf": OWN,
    }
)
_BLOCK_TAIL = Shape({"CdtTrfTxInf": OWN})
_TRANSACTION = Shape(
    {
        "PmtId/InstrId": "instruction_id",
        "PmtId/EndToEndId": "end_to_end_id",
        "Amt/InstdAmt": "amount",
        "Amt/InstdAmt@Ccy": "currency",
        "Amt/EqvtAmt/Amt": "amount",
        "Amt/EqvtAmt/Amt@Ccy": "currency",
        "Cdtr/Nm": "creditor_name",
        "CdtrAcct/Id/IBAN": "creditor_account",
        "CdtrAcct/Id/Othr/Id": "creditor_account",
        "CdtrAcct/Id/BBAN": "creditor_account",
        "CdtrAcct/Id/UPIC": "creditor_account",
        "CdtrAcct/Id/PrtryAcct/Id": "creditor_account",
    }
)


class InitiationDocument(MessageReader):
    """Reads one CstmrCdtTrfInitn as its elements open and close."""

    names = apart = frozenset(NAMES)

    def __init__(self, stream: ElementStream) -> None:
        super().__init__(stream)
        self._block: etree._Element | None = None
        self._terms: dict[str, Any] | None = None  # once its first payment has begun
        self._beside: Pairs = ()  # the block's supplement until the first payment has told it
        self._reading = Reading(_BLOCK)  # of the block until its first payment, then of what comes after

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens. The first transaction of a block shows that the block's terms are complete."""
        if name == "PmtInf":
            if self._block is not None:
                raise Unparsable("a payment information inside another", self.stream.line_of(element))
            self._block, self._terms, self._reading = element, None, Reading(_BLOCK)
            return NOTHING
        if self._block is None:
            raise Unparsable("a credit transfer outside a payment information", self.stream.line_of(element))
        self._reading.take(self._block, until=element)
        if self._terms is None:
            self._terms, self._beside = self._reading.found, self._reading.supplement.pairs()
            self._reading = Reading(_BLOCK_TAIL)
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        records: Sequence[ReportRecord] = NOTHING
        if name == "CdtTrfTxInf":
            records = (self._record(*_TRANSACTION.whole(element)),)
        elif element is self._block:
            records = self._remainder(element)
            self._block = None
        self.stream.forget(element)
        return records

    def _remainder(self, element: etree._Element) -> Sequence[ReportRecord]:
        """What stands behind the payments of a block; of a block without any, that it was there."""
        if self._terms is not None:
            self._reading.take(element)
            return self.remainder("payment_information", self._terms.get("id"), self._reading)
        reading = Reading(Shape({"PmtInfId": "id"}))
        found = reading.take(element)
        return (Remainder(of="payment_information", of_id=found.get("id"), supplementary=reading.supplement.pairs()),)

    def _record(self, found: dict[str, Any], supplement: Supplement) -> PaymentRead:
        get, terms = found.get, self._terms or {}
        beside, self._beside = self._beside, ()
        return PaymentRead(
            payment_information_id=terms.get("id"),
            instruction_id=get("instruction_id"),
            end_to_end_id=get("end_to_end_id"),
            amount=get("amount"),
            currency=get("currency"),
            debtor_account=terms.get("account"),
            creditor_name=get("creditor_name"),
            creditor_account=get("creditor_account"),
            requested_execution_date=terms.get("date"),
            debtor_name=terms.get("debtor_name"),
            supplementary=supplement.pairs(),
            payment_information_supplementary=beside,
        )
