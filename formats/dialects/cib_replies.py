"""CIB 兴业银行: what its replies prove, and the records they give.

Source: CIB, interface document of 银企直联 (FOX), V4.0.4. A status counts only where STATUS/CODE is 0 and XFERPRCCODE says
it; else it failed *or* is unknown. The document names no wrappers inside the replies to questions: what is read is looked for by
its own name below the transaction, and a transaction is known by its TRNUID.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from formats.dialects.booking import CURRENCY, balance, iso_day, unsigned
from formats.dialects.cib_tables import CibSettings
from formats.dialects.tables import StatusTable
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked, Asking, Heard, Outcome
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.report import (
    AccountIdentification,
    Balance,
    Document,
    Entry,
    EntryTransaction,
    Party,
    ReportRecord,
    Statement,
    TransactionStatus,
)

READS: Final = (
    *("cib.XFERTRNRS", "cib.ASYNBATCHTRSFRTRNRS", "cib.XFERINQTRNRS", "cib.SCUSTSTMTTRNRS"),
    "cib.SIGNONMSGSRSV1",  # a refusal before the transactions
)
_PAYMENTS: Final = frozenset({"XFERTRNRS", "ASYNBATCHTRSFRTRNRS"})
_QUESTION: Final = "XFERINQTRNRS"
_STATEMENT: Final = "SCUSTSTMTTRNRS"
_FINE: Final = "0"
_SIDES: Final = {"DEBIT": ("DBIT", "CRDT"), "CREDIT": ("CRDT", "DBIT")}


@dataclass(frozen=True, slots=True)
class _Reply:
    """One FOX reply. `code` and `text` are of the sign-on."""

    code: str
    text: str
    server_time: str
    transactions: tuple[etree._Element, ...]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one transaction of a reply shows: its own STATUS, and the payment's XFERPRCCODE ("" where it shows none, or several).
    `empty`: there is no trace of a payment in it."""

    trnuid: str
    code: str
    text: str
    payment_code: str
    payment_text: str
    bank_reference: str
    empty: bool
    listed: int = 0  # payments of a batch that it names one by one

    @property
    def says(self) -> bool:
        return self.code == _FINE and bool(self.payment_code)

    def says_of_all(self, count: int) -> bool:
        """Whether its state is one of so many payments: a batch whose list lacks some says nothing of those."""
        return self.says and (not self.listed or self.listed >= count)


def _read(exchange: Exchange) -> _Reply:
    root = read_xml(exchange.text, "gbk")
    if root.tag != "FOX":
        raise Unparsable("no FOX message: no reply of CIB's")
    sign_on = root.find("SIGNONMSGSRSV1/SONRS")
    messages = root.find("SECURITIES_MSGSRSV1")
    transactions = () if messages is None else tuple(one for one in messages if isinstance(one.tag, str))
    if sign_on is None and not transactions:
        raise Unparsable("neither a sign-on nor a transaction in it: no reply of CIB's")
    return _Reply(child(sign_on, "STATUS/CODE"), child(sign_on, "STATUS/MESSAGE"), child(sign_on, "DTSERVER"), transactions)


def _shown(transaction: etree._Element) -> _Shown:
    states = [(child(one, "XFERPRCCODE"), child(one, "MESSAGE")) for one in transaction.iter("XFERPRCSTS")]
    codes = {code for code, _ in states}
    code, text = (states[0] if len(codes) == 1 else ("", "")) if states else ("", "")
    ids = [child(one, ".") for tag in ("SRVRID", "SRVRTID") for one in transaction.iter(tag)]
    return _Shown(
        trnuid=child(transaction, "TRNUID"),
        code=child(transaction, "STATUS/CODE"),
        text=child(transaction, "STATUS/MESSAGE"),
        payment_code=code,
        payment_text=text,
        bank_reference=ids[0] if len(set(ids)) == 1 else "",
        listed=sum(1 for _ in transaction.iter("XFER")),
        empty=not any(True for _ in transaction.iter("XFER", "XFERINFO", "XFERPRCSTS", "XFERPRCCODE")),
    )


# -- what a reply proves -----------------------------------------------------------------------------------------------


def hear(exchange: Exchange, settings: CibSettings) -> Heard:
    """See `DialogueBank.hear`."""
    asked = exchange.asked
    try:
        reply = _read(exchange)
    except Unparsable as problem:
        return Heard(outcome=Outcome.UNKNOWN, text=str(problem))
    if asked is None:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
    if reply.code not in {"", _FINE}:
        return _refusal(asked, reply.code, reply.text, settings)
    if asked.kind is Asking.PAYMENT:
        return _heard_payment(asked, reply, settings)
    if asked.kind is Asking.STATUS:
        return _heard_status(asked, reply, settings)
    return _heard_statement(asked, reply)


def _refusal(asked: Asked, code: str, text: str, settings: CibSettings) -> Heard:
    """A code that is not 0 means failed or unknown; only the operator's list, which the bank confirmed, says which."""
    refused = asked.kind is Asking.PAYMENT and code in settings.rejected_codes
    return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=code, text=text)


def _heard_payment(asked: Asked, reply: _Reply, settings: CibSettings) -> Heard:
    shown = _of(asked, reply, _PAYMENTS)
    if shown is None:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply does not name the payment")
    if shown.code != _FINE:
        return _refusal(asked, shown.code, shown.text, settings)
    unsure = not shown.payment_code or shown.payment_code == "PENDING"  # the bank does not know yet whether it has it
    return Heard(
        outcome=Outcome.UNKNOWN if unsure else Outcome.TAKEN,
        code=shown.payment_code or shown.code,
        text=shown.payment_text or shown.text,
        found=() if unsure else asked.serials,
    )


def _heard_status(asked: Asked, reply: _Reply, settings: CibSettings) -> Heard:
    shown = _of(asked, reply, frozenset({_QUESTION}))
    if shown is None:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply does not name what was asked about")
    if shown.code != _FINE:
        missing = shown.code in settings.not_found_codes
        outcome = Outcome.TAKEN if missing else Outcome.UNKNOWN
        return Heard(outcome=outcome, code=shown.code, text=shown.text, missing=asked.serials if missing else ())
    if shown.payment_code:
        return Heard(outcome=Outcome.TAKEN, code=shown.payment_code, text=shown.payment_text, found=asked.serials)
    if shown.empty:
        return Heard(outcome=Outcome.TAKEN, code=shown.code, text=shown.text, missing=asked.serials)
    return Heard(outcome=Outcome.UNKNOWN, code=shown.code, text="the reply shows a payment and no one state of it")


def _of(asked: Asked, reply: _Reply, tags: frozenset[str]) -> _Shown | None:
    """The one transaction that answers it: its TRNUID is the payment's, or begins with it where it is a question."""
    reference = _reference(asked)
    found = [
        shown
        for one in reply.transactions
        if one.tag in tags and (shown := _shown(one)).trnuid[: len(reference)] == reference
        if one.tag == _QUESTION or shown.trnuid == reference
    ]
    return found[0] if len(found) == 1 and reference else None


def _reference(asked: Asked) -> str:
    """The TRNUID of the request in which the payments went out."""
    return asked.package or (asked.serials[0] if len(asked.serials) == 1 else "")


def _heard_statement(asked: Asked, reply: _Reply) -> Heard:
    found = [one for one in reply.transactions if one.tag == _STATEMENT]
    if len(found) != 1:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply holds no statement")
    (transaction,) = found
    code, text = child(transaction, "STATUS/CODE"), child(transaction, "STATUS/MESSAGE")
    accounts = {child(one, "ACCTID") for one in transaction.iter("ACCTFROM")} - {""}
    if code != _FINE or (asked.account and accounts - {asked.account}):
        return Heard(outcome=Outcome.UNKNOWN, code=code, text=text)
    more = asked.kind is Asking.STATEMENT and any(one.get("MORE") == "Y" for one in transaction.iter("TRANLIST"))
    return Heard(outcome=Outcome.TAKEN, code=code, text=text, next_page=str(_page(asked) + 1) if more else None)


def _page(asked: Asked) -> int:
    return int(asked.page) if asked.page and asked.page.isascii() and asked.page.isdigit() else 1


# -- records -----------------------------------------------------------------------------------------------------------


def records(exchange: Exchange, statuses: StatusTable) -> Iterator[ReportRecord]:
    """The records of a reply. Raises `Unparsable`."""
    reply = _read(exchange)
    asked = exchange.asked
    first = next((str(one.tag) for one in reply.transactions), "SIGNONMSGSRSV1")
    yield Document(message=f"cib.{first}", creation_date_time=reply.server_time.replace(" ", "T") or None)
    if reply.code in {"", _FINE}:
        for serial, shown in _answers(reply, asked):
            if shown.says_of_all(len(asked.serials) if asked else 1):
                yield _status(serial, shown, statuses)
    for transaction in reply.transactions:
        if transaction.tag == _STATEMENT and child(transaction, "STATUS/CODE") == _FINE:
            yield from _statement(transaction, asked)


def _answers(reply: _Reply, asked: Asked | None) -> Iterator[tuple[str | None, _Shown]]:
    """Each payment with what answers for it. Of a bare reply to a question nobody knows which payment it was about."""
    if asked is not None:
        answer = _of(asked, reply, _PAYMENTS | {_QUESTION})
        yield from ((serial, answer) for serial in asked.serials if answer is not None)
        return
    for transaction in reply.transactions:
        if transaction.tag in _PAYMENTS:
            shown = _shown(transaction)
            yield shown.trnuid or None, shown
        elif transaction.tag == _QUESTION:
            yield None, _shown(transaction)


def _status(serial: str | None, shown: _Shown, statuses: StatusTable) -> TransactionStatus:
    return TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=statuses.status(shown.payment_code),
        reasons=(statuses.reason(shown.payment_code, shown.payment_text),),
        account_servicer_reference=shown.bank_reference or None,
        serial_number=serial,
    )


def _statement(transaction: etree._Element, asked: Asked | None) -> Iterator[ReportRecord]:
    account = next((child(one, "ACCTID") for one in transaction.iter("ACCTFROM")), "") or (asked.account if asked else None) or ""
    since, until = (asked.since, asked.until) if asked else (None, None)
    page = asked.page if asked else None
    name = f"{account}/{since}/{until}/{page or 1}" if since else None
    lines = list(transaction.iter("STMTTRN"))
    more = next((one.get("MORE") for one in transaction.iter("TRANLIST")), None)
    yield Statement(
        statement_id=name,
        account=AccountIdentification(other_id=account or None, currency=CURRENCY),
        balances=_balance(transaction, "LEDGERBAL", "ITBD") + _balance(transaction, "AVAILBAL", "ITAV"),
        entry_count=len(lines),
        period_from=since.isoformat() if since else None,
        period_until=until.isoformat() if until else None,
        page_number=str(_page(asked)) if asked and since else None,
        last_page=None if more is None else "false" if more == "Y" else "true",
    )
    for line in lines:
        yield _entry(line, name)


def _balance(transaction: etree._Element, tag: str, kind: str) -> tuple[Balance, ...]:
    found = next(transaction.iter(tag), None)
    return balance(kind, child(found, "BALAMT"), iso_day(child(found, "DTASOF")))


def _entry(line: etree._Element, statement: str | None) -> Entry:
    """A line. A negative amount takes a booking back: the money moves the other way, and `reversal` says why."""
    amount, negative = unsigned(child(line, "TRNAMT"))
    side, other = _SIDES.get(child(line, "TRNTYPE"), (None, None))
    direction = other if negative else side
    name, account = child(line, "CORRELATE_NAME") or None, child(line, "CORRELATE_ACCTID") or None
    counterparty = Party(name=name, account=account)
    pays_us = direction == "CRDT"
    memo = child(line, "MEMO")
    reference = child(line, "SRVRTID") or child(line, "SRVRID") or None
    kept = (
        "TRNCODE",
        "BALAMT",
        "CHEQUENUM",
        "BILLTYPE",
        "BILLNUMBER",
        "BUSINESSTYPE",
        "CORRELATE_BANKNAME",
        "CORRELATE_BANKCODE",
    )
    return Entry(
        statement_id=statement,
        amount=amount,
        currency=CURRENCY,
        credit_debit=direction,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(child(line, "DTACCT")),
        account_servicer_reference=reference,
        entry_reference=child(line, "ATTACHINFO") or None,
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=CURRENCY,
                credit_debit=direction,
                counterparty_name=name,
                counterparty_account=account,
                remittance_information=(memo,) if memo else (),
                account_servicer_reference=reference,
                debtor=counterparty if pays_us != negative else None,
                creditor=None if pays_us != negative else counterparty,
            ),
        ),
        supplementary=tuple((tag, text) for tag in kept if (text := child(line, tag))),
    )
