"""Where in a bank's file something stands, in words that lead a person there. Pure.

"record 4, report 1, transaction 2": the fourth line of `bankgate parse --json FILE`, which is the second transaction of the first
status report. Counted from 1, in reading order.
"""

from dataclasses import dataclass

from formats.report import (
    Entry,
    PaymentInformationStatus,
    PaymentReturn,
    ReportRecord,
    Statement,
    StatusReport,
    TransactionStatus,
)


@dataclass(slots=True)
class Place:
    """Follows the records of one file. `words` is where the record taken last stands."""

    records: int = 0
    reports: int = 0
    statements: int = 0
    within: int = 0  # transactions of the report, entries of the statement
    blocks: int = 0  # of the report
    returns: int = 0
    words: str = ""

    def take(self, record: ReportRecord) -> None:
        """The next record."""
        self.records += 1
        inner = ""
        if isinstance(record, StatusReport):
            self.reports, self.within, self.blocks = self.reports + 1, 0, 0
            inner = f", report {self.reports}"
        elif isinstance(record, PaymentInformationStatus):
            self.blocks += 1
            inner = f", report {self.reports}, block {self.blocks}"
        elif isinstance(record, TransactionStatus):
            self.within += 1
            inner = f", report {self.reports}, transaction {self.within}"
        elif isinstance(record, Statement):
            self.statements, self.within = self.statements + 1, 0
            inner = f", statement {self.statements}"
        elif isinstance(record, Entry):
            self.within += 1
            inner = f", statement {self.statements}, entry {self.within}"
        elif isinstance(record, PaymentReturn):
            self.returns += 1
            inner = f", return {self.returns}"
        self.words = f"record {self.records}{inner}"

    def of_transaction(self, number: int, among: int) -> str:
        """A transaction of the entry taken last, which holds so many."""
        return f"{self.words}, transaction {number}" if among > 1 else self.words
