"""Account reports, statements and notifications: camt.052, camt.053, camt.054, versions .01 to .14.

Source of paths and meanings: ISO 20022 message definition reports "Bank-to-Customer Cash Management" (camt.052/053/054). Where
versions name a thing differently (.01: RtrRsn, PrtryAcct, TxDtls right under Ntry; .08 on: Pty between role and name, Sts/Cd),
all names are read in all versions, because banks mix them.

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

from formats.camt_survey import BALANCE, STATEMENTS, Survey
from formats.errors import Unparsable
from formats.report import AccountIdentification, Balance, Entry, EntryTransaction, ReportRecord, Statement
from formats.xml import NOTHING, Each, ElementStream, Many, MessageReader, Shape, local_name

NAMES = (*sorted(STATEMENTS), "Ntry", "TxDtls")
TRANSACTIONS_MAX = 1_000_000  # of one entry: it is one record, and held whole

_ACCOUNT_IDS = {"Id/IBAN": "iban", "Id/Othr/Id": "other", "Id/BBAN": "other", "Id/UPIC": "other", "Id/PrtryAcct/Id": "other"}
_CODE_OR_WORD = {"Cd": "code", "Prtry": "code"}

_BATCH_PATHS = {
    "Btch/MsgId": "batch_message_id",
    "Btch/PmtInfId": "batch_payment_information_id",
    "Btch/NbOfTxs": "batch_count",
}


def _under(prefix: str, paths: dict[str, str], slot: str = "") -> dict[str, str]:
    return {f"{prefix}/{path}": slot + name for path, name in paths.items()}


_STATEMENT = Shape(
    {
        "Id": "id",
        "ElctrncSeqNb": "electronic_sequence",
        "LglSeqNb": "legal_sequence",
        "CreDtTm": "created",
        "FrToDt/FrDtTm": "from",
        "FrToDt/FrDt": "from",
        "FrToDt/ToDtTm": "until",
        "FrToDt/ToDt": "until",
        **_under("Acct", _ACCOUNT_IDS),
        "Acct/Ccy": "currency",
        "Bal": Each("balances", BALANCE),
    }
)
_ENTRY = Shape(
    {
        "Amt": "amount",
        "Amt@Ccy": "currency",
        "CdtDbtInd": "credit_debit",
        "RvslInd": "reversal",
        "Sts": "status",
        "Sts/Cd": "status",
        "Sts/Prtry": "status",
        "BookgDt/Dt": "booking_date",
        "BookgDt/DtTm": "booking_date",
        "ValDt/Dt": "value_date",
        "ValDt/DtTm": "value_date",
        "AcctSvcrRef": "account_servicer_reference",
        "BkTxCd/Domn/Cd": "domain",
        "BkTxCd/Domn/Fmly/Cd": "family",
        "BkTxCd/Domn/Fmly/SubFmlyCd": "sub_family",
        "BkTxCd/Prtry/Cd": "proprietary",
        "AddtlNtryInf": "additional_information",
        **_BATCH_PATHS,
        **{f"NtryDtls/{path}": slot for path, slot in _BATCH_PATHS.items()},
    }
)
_BATCH = Shape(_BATCH_PATHS)


def _side(role: str, slot: str) -> dict[str, str]:
    """The debtor or the creditor: name, account and ultimate party. A party may be an agent since .08."""
    names = {"Nm": "name", "Pty/Nm": "name", "Agt/FinInstnId/Nm": "name"}
    return {
        **_under(role, names, slot),
        **_under(f"Ultmt{role}", {"Nm": "ultimate", "Pty/Nm": "ultimate", "Agt/FinInstnId/Nm": "ultimate"}, slot),
        **_under(f"{role}Acct", _ACCOUNT_IDS, slot),
    }


_TRANSACTION = Shape(
    {
        "Refs/MsgId": "message_id",
        "Refs/AcctSvcrRef": "account_servicer_reference",
        "Refs/PmtInfId": "payment_information_id",
        "Refs/InstrId": "instruction_id",
        "Refs/EndToEndId": "end_to_end_id",
        "Refs/UETR": "uetr",
        "Amt": "amount",
        "Amt@Ccy": "currency",
        "CdtDbtInd": "credit_debit",
        "AmtDtls/TxAmt/Amt": "detail_amount",
        "AmtDtls/TxAmt/Amt@Ccy": "detail_currency",
        **{f"RltdPties/{path}": slot for path, slot in _side("Dbtr", "debtor_").items()},
        **{f"RltdPties/{path}": slot for path, slot in _side("Cdtr", "creditor_").items()},
        "RmtInf/Ustrd": Many("lines"),
        "RmtInf/Strd/CdtrRefInf/Ref": Many("references"),
        "RmtInf/Strd/CdtrRefInf/CdtrRef": Many("references"),
        "RtrInf": Each(
            "returns",
            Shape(
                {
                    **_under("Rsn", _CODE_OR_WORD),
                    **_under("RtrRsn", _CODE_OR_WORD),
                    "AddtlInf": Many("text"),
                    "AddtlRtrRsnInf": Many("text"),
                }
            ),
        ),
    }
)

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_RELEASE_EVERY = 16  # transactions of an entry; each release costs a few microseconds


class CamtDocument(MessageReader):
    """Reads one BkToCstmrStmt, BkToCstmrAcctRpt or BkToCstmrDbtCdtNtfctn as its elements open and close."""

    names = frozenset(NAMES)

    def __init__(self, stream: ElementStream, survey: Survey) -> None:
        super().__init__(stream)
        self._survey = survey
        self._statement: etree._Element | None = None
        self._header: Statement | None = None
        self._own_accounts: frozenset[str | None] = frozenset()
        self._entries = 0
        self._entry: etree._Element | None = None
        self._direction: tuple[str | None, bool] = (None, False)
        self._batch: dict[str, Any] = {}
        self._early: dict[str, Any] = {}  # the fields of an entry with many transactions, read before they were freed
        self._transactions: list[EntryTransaction] = []

    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens. The first entry of a statement shows that the statement's head is complete."""
        if name == "Ntry":
            if self._statement is None or element.getparent() is not self._statement:
                raise Unparsable("an entry outside a statement", self.stream.line_of(element))
            self._entry, self._transactions, self._batch, self._early = element, [], {}, {}
            return NOTHING if self._header is not None else (self._opened(self._statement),)
        if name in STATEMENTS:
            self._survey.advance()
            if self._statement is not None:
                raise Unparsable("a statement inside a statement", self.stream.line_of(element))
            self._statement, self._header, self._entries = element, None, 0
        return NOTHING

    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""
        if name == "TxDtls":
            self._transaction(element)
        elif name == "Ntry":
            record = self._entry_record(element)
            self.stream.forget(element)
            self._entry = None
            self._entries += 1
            return (record,)
        elif element is self._statement:
            return self._closed(element)
        return NOTHING

    def _opened(self, element: etree._Element) -> Statement:
        found = _STATEMENT.read(element)
        counted = self._survey.current
        balances = found.get("balances", []) if counted.balances is None else counted.balances
        self._own_accounts = frozenset((found.get("iban"), found.get("other"))) - {None}
        self._header = Statement(
            statement_id=found.get("id"),
            account=AccountIdentification(iban=found.get("iban"), other_id=found.get("other"), currency=found.get("currency")),
            balances=tuple(_balance(item) for item in balances),
            entry_count=counted.entries,
            sequence_number=found.get("electronic_sequence") or found.get("legal_sequence"),
            creation_date_time=found.get("created"),
            period_from=found.get("from"),
            period_until=found.get("until"),
        )
        return self._header

    def _closed(self, element: etree._Element) -> Sequence[ReportRecord]:
        records = (self._opened(element),) if self._header is None else NOTHING
        if self._header is not None and self._header.entry_count != self._entries:
            raise Unparsable("entries stand outside their statement, or were miscounted", self.stream.line_of(element))
        self.stream.forget(element)
        self._statement = None
        return records

    def _entry_record(self, element: etree._Element) -> Entry:
        found = {**_ENTRY.read(element), **self._early}
        get = found.get
        amount = get("amount")
        if amount is None:
            found.update(_together(self._transactions))
            amount = get("amount")
        if amount is None or _NUMBER.fullmatch(amount) is None:
            raise Unparsable("an entry whose amount (Amt) is absent or no unsigned number", self.stream.line_of(element))
        parts = [found[part] for part in ("domain", "family", "sub_family") if part in found]
        batch = self._batch or found
        return Entry(
            statement_id=self._header.statement_id if self._header is not None else None,
            amount=amount,
            currency=get("currency"),
            credit_debit=get("credit_debit"),
            reversal=get("reversal") in ("true", "1"),
            status=get("status"),
            booking_date=get("booking_date"),
            value_date=get("value_date"),
            account_servicer_reference=get("account_servicer_reference"),
            bank_transaction_code="-".join(parts) if parts else get("proprietary"),
            transactions=tuple(self._transactions),
            additional_information=get("additional_information"),
            batch_message_id=batch.get("batch_message_id"),
            batch_payment_information_id=batch.get("batch_payment_information_id"),
            batch_count=batch.get("batch_count"),
        )

    def _transaction(self, element: etree._Element) -> None:
        parent, entry = element.getparent(), self._entry
        if entry is None or parent is None or (parent is not entry and parent.getparent() is not entry):
            raise Unparsable("transaction details outside an entry", self.stream.line_of(element))
        read = len(self._transactions)
        if read >= TRANSACTIONS_MAX:
            raise Unparsable(f"an entry with more than {TRANSACTIONS_MAX} transactions", self.stream.line_of(element))
        if read == 0:
            self._direction = (_text(entry, "CdtDbtInd"), _text(entry, "RvslInd") in ("true", "1"))
        if parent is not entry and not self._batch:
            self._batch = _BATCH.read(parent)
        self._transactions.append(self._transaction_record(_TRANSACTION.read(element)))
        if read % _RELEASE_EVERY == _RELEASE_EVERY - 1:
            self._early = self._early or _ENTRY.read(entry)
            self.stream.forget(element, within=entry)

    def _transaction_record(self, found: dict[str, Any]) -> EntryTransaction:
        get = found.get
        direction, reversal = self._direction
        credit_debit = get("credit_debit")
        returned = get("returns")
        side = self._counterparty(found, credit_debit or direction, undone=reversal or returned is not None)
        amount, currency = get("amount"), get("currency")
        if amount is None:
            amount, currency = get("detail_amount"), get("detail_currency")
        reason = returned[0] if returned else {}
        return EntryTransaction(
            end_to_end_id=get("end_to_end_id"),
            instruction_id=get("instruction_id"),
            message_id=get("message_id"),
            amount=amount,
            currency=currency,
            credit_debit=credit_debit,
            counterparty_name=get(f"{side}name") or get(f"{side}ultimate"),
            counterparty_account=get(f"{side}iban") or get(f"{side}other"),
            remittance_information=(*get("lines", ()), *get("references", ())),
            return_reason=reason.get("code"),
            payment_information_id=get("payment_information_id"),
            uetr=get("uetr"),
            account_servicer_reference=get("account_servicer_reference"),
            return_reason_text=" ".join(reason["text"]) if "text" in reason else None,
        )

    def _counterparty(self, found: dict[str, Any], credit_debit: str | None, *, undone: bool) -> str:
        """The slots of the counterparty, by the rule at the head of this file; without a direction there is none to tell."""
        if credit_debit == "CRDT":
            side, other = "debtor_", "creditor_"
        elif credit_debit == "DBIT":
            side, other = "creditor_", "debtor_"
        else:
            return "unknown_"
        if undone and _named(found, other) and _account(found, other) not in self._own_accounts:
            return other  # the original payment's roles, or the only side given
        if _account(found, side) in self._own_accounts and _named(found, other):
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


def _account(found: dict[str, Any], side: str) -> str | None:
    account: str | None = found.get(f"{side}iban") or found.get(f"{side}other")
    return account


def _named(found: dict[str, Any], side: str) -> bool:
    return f"{side}name" in found or f"{side}ultimate" in found or _account(found, side) is not None


def _text(element: etree._Element, name: str) -> str | None:
    """The text of the child of that local name."""
    for child in element:
        if local_name(child.tag) == name:
            return (child.text or "").strip() or None
    return None


def _balance(found: dict[str, Any]) -> Balance:
    get = found.get
    return Balance(
        type=get("type"),
        amount=get("amount"),
        currency=get("currency"),
        credit_debit=get("credit_debit"),
        date=get("date"),
    )
