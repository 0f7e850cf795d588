"""Account reports, statements and notifications: camt.052, camt.053, camt.054, versions .01 to .14.

Source of meanings: ISO 20022 message definition reports "Bank-to-Customer Cash Management" (camt.052/053/054); the paths are in
`camt_shapes`. Transactions stand under NtryDtls, in .01 right under Ntry; both are read in all versions.

Which of two texts is meant where the standard leaves room is chosen in `camt_records`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from lxml import etree

from formats.camt_records import NoAmount, entry_record, transaction_record
from formats.camt_shapes import (
    DETAILS,
    DETAILS_OF_MORE,
    ENTRY,
    STATEMENT,
    STATEMENT_TAIL,
    STATEMENTS,
    TRANSACTION,
    account_of,
    balance_of,
)
from formats.camt_survey import Survey
from formats.camt_text import EntryTexts, Texts, entry_walk, transaction_walk
from formats.errors import Unparsable
from formats.report import AccountIdentification, Entry, EntryTransaction, ReportRecord, Statement
from formats.shapes import Reading
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = (*sorted(STATEMENTS), "Ntry", "NtryDtls", "TxDtls")
TRANSACTIONS_MAX = 1_000_000  # of one entry: it is one record, and held whole

TREES_FIRST = 32  # entries of a statement, transactions of an entry: learning to read from texts is worth it for more
_RELEASE_EVERY = 16  # transactions of an entry; each release costs a few microseconds
_PENDING_MAX = 48  # parts of an entry
_Pending = tuple[Callable[[etree._Element], None], etree._Element]


class CamtDocument(MessageReader):
    """Reads one BkToCstmrStmt, BkToCstmrAcctRpt or BkToCstmrDbtCdtNtfctn as its elements open and close."""

    names = frozenset(NAMES)
    apart = STATEMENTS

    def __init__(self, stream: ElementStream, survey: Survey, heard: frozenset[str]) -> None:
        """`heard` are the names of all elements of the document that some reader is called for."""
        super().__init__(stream)
        self._walk = entry_walk(heard, prefix=None)
        self._transaction_texts = Texts(transaction_walk(heard))
        self._texts: EntryTexts | None = None  # of the statement
        self._pending: list[_Pending] | None = None  # what waits for the entry's end: it may be read from its text
        self._survey = survey
        self._statement: etree._Element | None = None
        self._header: Statement | None = None
        self._after_header = Reading(STATEMENT_TAIL)
        self._own_accounts: frozenset[str] = frozenset()
        self._entries = 0
        self._entry: etree._Element | None = None
        self._direction: tuple[str | None, bool] = (None, False)
        self._reading = Reading(ENTRY)  # of the entry
        self._details: Reading | None = None  # of the NtryDtls
        self._detail_blocks = 0
        self._batch: dict[str, Any] = {}
        self._transactions: list[EntryTransaction] = []

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens. The first entry of a statement shows that the statement's head is complete."""
        if name == "Ntry":
            if self._statement is None or element.getparent() is not self._statement:
                raise Unparsable("an entry outside a statement", self.stream.line_of(element))
            self._entry, self._transactions, self._batch = element, [], {}
            self._reading, self._details, self._detail_blocks = Reading(ENTRY), None, 0
            self._pending = [] if self._entries >= TREES_FIRST else None
            if self._header is None:
                return (self._opened(self._statement, until=element),)
            self._after_header.take(self._statement, until=element)
        elif name == "NtryDtls":
            self._now_or_later(self._details_open, element)
        elif name in STATEMENTS:
            self._survey.advance()
            if self._statement is not None:
                raise Unparsable("a statement inside a statement", self.stream.line_of(element))
            self._statement, self._header, self._entries = element, None, 0
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        if name == "TxDtls":
            self._now_or_later(self._transaction, element)
        elif name == "NtryDtls":
            self._now_or_later(self._details_close, element)
        elif name == "Ntry":
            record = self._entry_from_text(element) if self._pending is not None else None
            if record is None:
                self._catch_up()
                record = self._entry_record(element)
            self.stream.forget(element)
            self._entry = self._pending = None
            self._entries += 1
            return (record,)
        elif element is self._statement:
            return self._closed(element)
        return NOTHING

    def _now_or_later(self, act: Callable[[etree._Element], None], element: etree._Element) -> None:
        """Parts of an entry of few transactions wait for its end, and for nothing if it is read from its text."""
        if self._pending is None:
            act(element)
            return
        self._pending.append((act, element))
        if len(self._pending) > _PENDING_MAX:
            self._catch_up()

    def _catch_up(self) -> None:
        pending, self._pending = self._pending or [], None
        for act, element in pending:
            act(element)

    def _entry_from_text(self, element: etree._Element) -> Entry | None:
        if self._texts is None or not self._texts.worthwhile:
            return None
        return self._texts.record(_text_of(element))

    def _details_open(self, element: etree._Element) -> None:
        if self._entry is not None and element.getparent() is self._entry:
            self._reading.take(self._entry, until=element)  # what it leaves over stands before what the details do
            self._detail_blocks += 1
            path = "NtryDtls/" if self._detail_blocks == 1 else f"NtryDtls[{self._detail_blocks}]/"
            self._details = Reading(DETAILS if not self._batch else DETAILS_OF_MORE, path, self._reading.supplement)

    def _details_close(self, element: etree._Element) -> None:
        if self._details is not None and element.getparent() is self._entry:
            self._batch = self._details.take(element) or self._batch
            self._details = None

    def _opened(self, element: etree._Element, until: etree._Element | None = None) -> Statement:
        reading = Reading(STATEMENT)
        found = reading.take(element, until)
        get, counted = found.get, self._survey.current
        balances = get("balances", []) if counted.balances is None else counted.balances
        information = get("information", []) if counted.information is None else counted.information
        self._own_accounts = frozenset(filter(None, (get("iban"), get("other"))))
        self._texts = EntryTexts(self._walk, get("id"), self._own_accounts)
        related = account_of(found, "related_")
        electronic, legal = get("electronic_sequence"), get("legal_sequence")
        self._after_header = Reading(STATEMENT_TAIL)
        self._header = Statement(
            statement_id=get("id"),
            account=account_of(found),
            balances=tuple(balance_of(item) for item in balances),
            entry_count=counted.entries,
            sequence_number=electronic or legal,
            creation_date_time=get("created"),
            period_from=get("from"),
            period_until=get("until"),
            additional_information=" ".join(information) or None,
            electronic_sequence_number=electronic,
            legal_sequence_number=legal,
            related_account=None if related == AccountIdentification() else related,
            page_number=get("page"),
            last_page=get("last_page"),
            supplementary=reading.supplement.pairs(),
        )
        return self._header

    def _closed(self, element: etree._Element) -> Sequence[ReportRecord]:
        if self._header is None:
            records: Sequence[ReportRecord] = (self._opened(element),)
        else:
            if self._header.entry_count != self._entries:
                raise Unparsable("entries stand outside their statement, or were miscounted", self.stream.line_of(element))
            self._after_header.take(element)
            records = self.remainder("statement", self._header.statement_id, self._after_header)
        self.stream.forget(element)
        self._statement = None
        return records

    def _entry_record(self, element: etree._Element) -> Entry:
        found = self._reading.take(element)
        try:
            return entry_record(
                found,
                self._reading.supplement,
                statement_id=self._header.statement_id if self._header is not None else None,
                batch=self._batch,
                transactions=self._transactions,
            )
        except NoAmount:
            line = self.stream.line_of(element)
            raise Unparsable("an entry whose amount (Amt) is absent or no unsigned number", line) from None

    def _transaction(self, element: etree._Element) -> None:
        parent, entry = element.getparent(), self._entry
        if entry is None or parent is None or (parent is not entry and parent.getparent() is not entry):
            raise Unparsable("transaction details outside an entry", self.stream.line_of(element))
        read = len(self._transactions)
        if read >= TRANSACTIONS_MAX:
            raise Unparsable(f"an entry with more than {TRANSACTIONS_MAX} transactions", self.stream.line_of(element))
        if read == 0:
            head = self._reading.take(entry, until=element if parent is entry else parent)
            self._direction = (head.get("credit_debit"), head.get("reversal") in ("true", "1"))
        texts = self._transaction_texts if read >= TREES_FIRST and self._transaction_texts.worthwhile else None
        told = None if texts is None else texts.read(_text_of(element))
        found, supplement = told or TRANSACTION.whole(element)
        direction, reversal = self._direction
        record = transaction_record(found, supplement, direction=direction, reversal=reversal, own_accounts=self._own_accounts)
        self._transactions.append(record)
        if read % _RELEASE_EVERY == _RELEASE_EVERY - 1:
            self._release(element, parent, entry)

    def _release(self, element: etree._Element, parent: etree._Element, entry: etree._Element) -> None:
        """Frees all of the entry that stands before the transaction just read, once it has been read too."""
        if parent is entry:
            self._reading.take(entry, until=element)
        else:
            self._reading.take(entry, until=parent)
            if self._details is not None:
                self._details.take(parent, until=element)
        self.stream.forget(element, within=entry)


def _text_of(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)
