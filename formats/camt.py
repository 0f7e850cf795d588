"""Account reports, statements and notifications: camt.052, camt.053, camt.054, versions .01 to .14.

Source of meanings: ISO 20022 message definition reports "Bank-to-Customer Cash Management" (camt.052/053/054); the paths are in
`camt_shapes`. Transactions stand under NtryDtls, in .01 right under Ntry; both are read in all versions.

Choices this module makes, where the standard leaves room:

- A transaction's amount is TxDtls/Amt, else AmtDtls/TxAmt/Amt. It is not taken from the entry; null says the bank gave none.
- The counterparty is the debtor of a credit and the creditor of a debit; the party's own name and account, else the ultimate
  party's. Returns and reversals carry the parties of the original payment (the Swiss and German guidelines say so, and files
  of other banks show it), so with both sides given the roles are swapped, and with one given that one is meant. A side whose
  account is the statement's own is never the counterparty.
- Remittance information is each Ustrd, then each structured creditor reference.
- An entry without an amount (files that break the schema so exist) has that of its transactions together, when these have one
  currency and one direction; otherwise the file is refused, as is an amount that is no unsigned number.
- Dates are as written: a date, or a date and time where the bank gives one.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lxml import etree

from formats.camt_shapes import (
    BATCH,
    DETAILS,
    DETAILS_OF_MORE,
    ENTRY,
    STATEMENT,
    STATEMENT_TAIL,
    STATEMENTS,
    TRANSACTION,
    account_of,
    amounts_of,
    availability_of,
    balance_of,
    charges_of,
    code_of,
    party_of,
    structured_of,
)
from formats.camt_survey import Survey
from formats.errors import Unparsable
from formats.pain002 import reasons_of
from formats.report import AccountIdentification, Entry, EntryTransaction, Party, ReportRecord, Statement
from formats.shapes import Reading, Supplement
from formats.xml import NOTHING, ElementStream, MessageReader

NAMES = (*sorted(STATEMENTS), "Ntry", "NtryDtls", "TxDtls")
TRANSACTIONS_MAX = 1_000_000  # of one entry: it is one record, and held whole

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_RELEASE_EVERY = 16  # transactions of an entry; each release costs a few microseconds


class CamtDocument(MessageReader):
    """Reads one BkToCstmrStmt, BkToCstmrAcctRpt or BkToCstmrDbtCdtNtfctn as its elements open and close."""

    names = frozenset(NAMES)
    apart = STATEMENTS

    def __init__(self, stream: ElementStream, survey: Survey) -> None:
        super().__init__(stream)
        self._survey = survey
        self._statement: etree._Element | None = None
        self._header: Statement | None = None
        self._after_header = Reading(STATEMENT_TAIL)
        self._own_accounts: frozenset[str | None] = frozenset()
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
            if self._header is None:
                return (self._opened(self._statement, until=element),)
            self._after_header.take(self._statement, until=element)
        elif name == "NtryDtls":
            if self._entry is not None and element.getparent() is self._entry:
                self._detail_blocks += 1
                path = "NtryDtls/" if self._detail_blocks == 1 else f"NtryDtls[{self._detail_blocks}]/"
                self._details = Reading(DETAILS if not self._batch else DETAILS_OF_MORE, path, self._reading.supplement)
        elif name in STATEMENTS:
            self._survey.advance()
            if self._statement is not None:
                raise Unparsable("a statement inside a statement", self.stream.line_of(element))
            self._statement, self._header, self._entries = element, None, 0
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        if name == "TxDtls":
            self._transaction(element)
        elif name == "NtryDtls":
            if self._details is not None and element.getparent() is self._entry:
                self._batch = self._details.take(element) or self._batch
                self._details = None
        elif name == "Ntry":
            record = self._entry_record(element)
            self.stream.forget(element)
            self._entry = None
            self._entries += 1
            return (record,)
        elif element is self._statement:
            return self._closed(element)
        return NOTHING

    def _opened(self, element: etree._Element, until: etree._Element | None = None) -> Statement:
        reading = Reading(STATEMENT)
        found = reading.take(element, until)
        get, counted = found.get, self._survey.current
        balances = get("balances", []) if counted.balances is None else counted.balances
        information = get("information", []) if counted.information is None else counted.information
        self._own_accounts = frozenset((get("iban"), get("other"))) - {None}
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
        get = found.get
        amount = get("amount")
        if amount is None:
            found.update(_together(self._transactions))
            amount = get("amount")
        if amount is None or _NUMBER.fullmatch(amount) is None:
            raise Unparsable("an entry whose amount (Amt) is absent or no unsigned number", self.stream.line_of(element))
        code, proprietary = code_of(found)
        supplement = self._reading.supplement
        batch = self._batch
        for path, slot in BATCH.items():  # right under the entry, in the first generation
            if batch and slot in found:
                supplement.add(f"Btch/{path}", found[slot])
        batch = batch or found
        reversal = get("reversal")
        if reversal not in (None, "true", "1", "false", "0"):
            supplement.add("RvslInd", reversal)
        return Entry(
            statement_id=self._header.statement_id if self._header is not None else None,
            amount=amount,
            currency=get("currency"),
            credit_debit=get("credit_debit"),
            reversal=reversal in ("true", "1"),
            status=get("status"),
            booking_date=get("booking_date"),
            value_date=get("value_date"),
            account_servicer_reference=get("account_servicer_reference"),
            bank_transaction_code=code,
            transactions=tuple(self._transactions),
            additional_information=get("additional_information"),
            batch_message_id=batch.get("batch_message_id"),
            batch_payment_information_id=batch.get("batch_payment_information_id"),
            batch_count=batch.get("batch_count"),
            entry_reference=get("entry_reference"),
            proprietary_transaction_code=proprietary,
            charges=charges_of(found),
            amounts=amounts_of(found),
            availability=availability_of(found),
            supplementary=supplement.pairs(),
        )

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
        self._transactions.append(self._transaction_record(*TRANSACTION.whole(element)))
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

    def _transaction_record(self, found: dict[str, Any], supplement: Supplement) -> EntryTransaction:
        get = found.get
        direction, reversal = self._direction
        credit_debit = get("credit_debit")
        reasons = reasons_of(found)
        parties = {side: party_of(found, side) for side in ("debtor", "creditor")}
        side = self._counterparty(found, credit_debit or direction, undone=reversal or "reasons" in found)
        counterparty = parties.get(side) or Party()
        amounts = amounts_of(found)
        amount, currency = get("amount"), get("currency")
        if amount is None and amounts:
            amount, currency = next(
                ((item.amount, item.currency) for item in amounts if item.kind == "transaction"), (None, None)
            )
        structured = structured_of(found)
        lines = tuple(get("lines", ()))
        if structured:
            lines += tuple(item.creditor_reference for item in structured if item.creditor_reference is not None)
        code, proprietary = code_of(found)
        return EntryTransaction(
            end_to_end_id=get("end_to_end_id"),
            instruction_id=get("instruction_id"),
            message_id=get("message_id"),
            amount=amount,
            currency=currency,
            credit_debit=credit_debit,
            counterparty_name=counterparty.name or get(f"ultimate_{side}_name"),
            counterparty_account=counterparty.account,
            remittance_information=lines,
            return_reason=reasons[0].code if reasons else None,
            payment_information_id=get("payment_information_id"),
            uetr=get("uetr"),
            account_servicer_reference=get("account_servicer_reference"),
            return_reason_text=reasons[0].text if reasons else None,
            return_reasons=reasons,
            charges=charges_of(found),
            amounts=amounts,
            counterparty_agent_bic=counterparty.agent_bic,
            debtor=parties["debtor"],
            creditor=parties["creditor"],
            ultimate_debtor=party_of(found, "ultimate_debtor"),
            ultimate_creditor=party_of(found, "ultimate_creditor"),
            purpose=get("purpose"),
            structured_remittance=structured,
            additional_information=get("additional_information"),
            bank_transaction_code=code,
            proprietary_transaction_code=proprietary,
            mandate_id=get("mandate_id"),
            transaction_id=get("transaction_id"),
            clearing_reference=get("clearing_reference"),
            availability=availability_of(found),
            supplementary=supplement.pairs(),
        )

    def _counterparty(self, found: dict[str, Any], credit_debit: str | None, *, undone: bool) -> str:
        """The role of the counterparty, by the rule at the head of this file; without a direction there is none to tell."""
        if credit_debit == "CRDT":
            side, other = "debtor", "creditor"
        elif credit_debit == "DBIT":
            side, other = "creditor", "debtor"
        else:
            return "unknown"
        if undone and _named(found, other) and found.get(f"{other}_account") not in self._own_accounts:
            return other  # the original payment's roles, or the only side given
        if found.get(f"{side}_account") in self._own_accounts and _named(found, other):
            return other
        return side


def _together(transactions: list[EntryTransaction]) -> dict[str, str | None]:
    """Amount, currency and direction of transactions that agree about the latter two; nothing where they do not."""
    kinds = {(item.currency, item.credit_debit) for item in transactions}
    if len(kinds) != 1 or any(item.amount is None or not _NUMBER.fullmatch(item.amount) for item in transactions):
        return {}
    ((currency, credit_debit),) = kinds
    total = sum((Decimal(item.amount or "0") for item in transactions), Decimal(0))
    return {"amount": f"{total:f}", "currency": currency, "credit_debit": credit_debit}


def _named(found: dict[str, Any], side: str) -> bool:
    return f"{side}_name" in found or f"ultimate_{side}_name" in found or f"{side}_account" in found
