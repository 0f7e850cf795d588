"""Whether a pain.001 keeps its own word: numbers and sums of transactions, announced before them, against what follows.

Source: ISO 20022 message definition report "Payments Initiation", CustomerCreditTransferInitiation, NumberOfTransactions and
ControlSum of GroupHeader and PaymentInformation. No schema can tell, and a bank refuses the whole file for it (AM10, AM18 of
the external status reason codes).
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

from lxml import etree

from formats.shapes import Shape
from formats.xml import ElementStream

PROBLEMS_MAX = 20

_TOTALS = Shape({"NbOfTxs": "count", "CtrlSum": "sum"})
_AMOUNT = Shape({"Amt/InstdAmt": "amount", "Amt/EqvtAmt/Amt": "amount"})


@dataclass(slots=True)
class _Part:
    """The file or one block: where it begins, what it announces, and what was met of it so far."""

    line: int
    announced: dict[str, Any]
    count: int = 0
    total: Decimal = Decimal(0)

    def add(self, amount: Decimal) -> None:
        self.count += 1
        self.total += amount

    def problems(self) -> list[str]:
        found = []
        count, total = _number(self.announced.get("count")), _number(self.announced.get("sum"))
        if count is not None and count != self.count:
            found.append(f"line {self.line}: NbOfTxs announces {count:f} transactions, and {self.count} follow [AM18]")
        if total is not None and total != self.total:
            found.append(f"line {self.line}: CtrlSum announces {total:f}, and the amounts add up to {self.total:f} [AM10]")
        return found


def broken_totals(source: BinaryIO) -> tuple[str, ...]:
    """The totals that do not agree with the transactions, in words with their lines, at most 20. What is no number is the
    schema's business. Reads `source` from its start, in constant memory. Raises `Unparsable`.
    """
    source.seek(0)
    stream = ElementStream(source, ("CstmrCdtTrfInitn", "GrpHdr", "PmtInf", "CdtTrfTxInf"))
    file = _Part(1, {})
    block = _Part(1, {})
    found: list[str] = []
    inside: etree._Element | None = None
    for event, name, element in stream:
        if name == "PmtInf" and event == "start":
            inside, block = element, _Part(stream.line_of(element), {})
        elif name == "CdtTrfTxInf" and event == "start" and inside is not None and not block.count:
            block.announced = _TOTALS.read(inside)  # before the first transaction is forgotten, and its elder siblings with it
        elif event == "end":
            if name == "GrpHdr":
                file = _Part(stream.line_of(element), _TOTALS.read(element))
            elif name == "CdtTrfTxInf":
                amount = _number(_AMOUNT.read(element).get("amount")) or Decimal(0)
                file.add(amount)
                block.add(amount)
            elif name == "PmtInf":
                found += block.problems()
                inside = None
            else:
                found = file.problems() + found
            stream.forget(element)
    return tuple(found[:PROBLEMS_MAX])


def _number(text: str | None) -> Decimal | None:
    try:
        number = None if text is None else Decimal(text)
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
