"""What ICBC answers: ``reqData=<Base64 of CMS XML in GBK>``, or ``errorCode=<code>`` where its front did not carry the request.

A decoded CMS XML alone is read too, as a bank's support or a log may have one. Amounts are whole fen.
"""

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from lxml import etree

from formats.dialects.booking import CURRENCY, iso_day, moved, says_returned
from formats.dialects.readings import agreed
from formats.dialects.tables import StatusTable
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked, Asking
from formats.errors import Unparsable
from formats.report import (
    AccountIdentification,
    Balance,
    Document,
    Entry,
    EntryTransaction,
    ReportRecord,
    Statement,
    TransactionStatus,
)

ACCEPTED: Final = "0"
_FORM: Final = re.compile(rb"\s*(reqData|errorCode)=([^&]*)").match
_FEN: Final = re.compile(r"([+-]?)([0-9]{1,20})").fullmatch
_KINDS: Final = {
    "PAYENT": Asking.PAYMENT,
    "QPAYENT": Asking.STATUS,
    "QACCBAL": Asking.BALANCE,
    "QHISD": Asking.STATEMENT,
    "QPD": Asking.STATEMENT,
}
_OTHERS: Final = ("Drcrf", "VouhNo", "Time", "Balance", "BusCode", "RecipBkNo", "RecipBkName", "Ref", "Oref", "CvouhType")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply as read. `error`: the front's errorCode, and then nothing else. `function`: its TransCode."""

    error: str = ""
    function: str = ""
    code: str = ""  # RetCode
    text: str = ""  # RetMsg
    package: str = ""  # fSeqno of what it answers
    sought: str = ""  # QryfSeqno
    bank_number: str = ""  # SerialNo
    out: etree._Element | None = None
    rows: tuple[etree._Element, ...] = field(default=())

    @property
    def accepted(self) -> bool:
        return not self.error and self.code == ACCEPTED


def read(raw: bytes, asked: Asked | None) -> Reply:
    """A reply, if it is one to what was asked. Raises `Unparsable`."""
    form = _FORM(raw)
    if form is not None and form[1] == b"errorCode":
        return Reply(error=unquote_to_bytes(form[2].strip()).decode("ascii", "replace")[:40] or "?")
    root = read_xml(raw if form is None else _content(form[2]))
    if root.tag != "CMS":
        raise Unparsable(f"no reply of ICBC: its root is <{str(root.tag)[:40]}>")
    out = root.find("eb/out")
    reply = Reply(
        function=child(root, "eb/pub/TransCode"),
        code=child(root, "eb/pub/RetCode"),
        text=child(root, "eb/pub/RetMsg"),
        package=child(root, "eb/pub/fSeqno"),
        sought=child(out, "QryfSeqno"),
        bank_number=child(root, "eb/pub/SerialNo"),
        out=out,
        rows=() if out is None else tuple(out.findall("rd")),
    )
    _must_answer(reply, asked)
    return reply


def _content(value: bytes) -> bytes:
    """Base64, with or without line breaks, and escaped for a form or not (the sources differ)."""
    try:
        return base64.b64decode(re.sub(rb"[\r\n\t ]", b"", unquote_to_bytes(value)), validate=True)
    except binascii.Error:
        raise Unparsable("reqData is not in Base64; the reply was cut or changed") from None


def _must_answer(reply: Reply, asked: Asked | None) -> None:
    kind = _KINDS.get(reply.function)
    if kind is None:
        raise Unparsable(f"TransCode {reply.function[:20]!r} is none that is asked for")
    if asked is None:
        return
    package = reply.package if kind is Asking.PAYMENT else reply.sought
    if kind is not asked.kind or (asked.package and package and package != asked.package):
        raise Unparsable(f"{reply.function} answers another question than the one that was asked")


def yuan_of(fen: str) -> tuple[str, bool]:
    """Whole fen as yuan, unsigned, and whether they were negative. Raises `Unparsable`."""
    found = _FEN(fen)
    if found is None:
        raise Unparsable("an amount that is no whole number of fen")
    units = int(found[2])
    return f"{units // 100}.{units % 100:02d}", found[1] == "-" and units != 0


def document(reply: Reply) -> Document:
    """What the reply is."""
    if reply.error:
        return Document(message="icbc.errorCode", supplementary=(("errorCode", reply.error),))
    said = (("RetCode", reply.code), ("RetMsg", reply.text), ("SerialNo", reply.bank_number))
    return Document(
        message=f"icbc.{reply.function}",
        message_id=reply.package or None,
        supplementary=tuple((name, value) for name, value in said if value),
    )


def statuses(reply: Reply, asked: Asked | None, table: StatusTable) -> tuple[TransactionStatus, ...]:
    """What a reply says of payments: of those that were asked about, where that is known."""
    own, code, text = ("iSeqno", "iRetCode", "iRetMsg")
    if reply.function == "QPAYENT":
        own, code, text = ("QryiSeqno", "instrRetCode", "instrRetMsg")
    wanted = set(asked.serials) if asked is not None else set()
    number = reply.bank_number if reply.function == "PAYENT" else child(reply.out, "QrySerialNo")
    rows = [row for row in reply.rows if reply.function == "PAYENT" or child(row, "Result")]
    named = ((child(row, own), row) for row in rows)
    return agreed(
        _status(row, table, (own, code, text), number) for name, row in named if name and (name in wanted or not wanted)
    )


def is_plain(reply: Reply) -> bool:
    """Whether each row of a QPAYENT names its payment and its Result: else a payment that is not found may be in one that does
    not, or an echo of the question stands there."""
    return all(child(row, "QryiSeqno") and child(row, "Result") for row in reply.rows)


def _status(row: etree._Element, table: StatusTable, names: tuple[str, str, str], number: str) -> TransactionStatus:
    """`number`: the bank's of the whole request; a payment's own is its place in it."""
    own, code, text = (child(row, name) for name in names)
    result = child(row, "Result")
    reasons = [table.reason(result, text)] if result or text else []
    if code not in {"", ACCEPTED}:
        reasons.append(table.reason(code))
    amount = child(row, "PayAmt")
    order = child(row, "QryOrderNo") or child(row, "OrderNo")
    return TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=table.status(result),
        reasons=tuple(reasons),
        account_servicer_reference=f"{number}/{order}" if number and order else None,
        amount=yuan_of(amount)[0] if amount else None,
        currency=CURRENCY if amount else None,
        serial_number=own,
    )


def balances(reply: Reply, asked: Asked | None) -> Iterator[ReportRecord]:
    """QACCBAL: of each account the balance booked (Balance), usable (UsableBalance), and of the day before (AccBalance)."""
    for row in reply.rows:
        if child(row, "iRetCode") not in {"", ACCEPTED}:
            continue
        account = child(row, "AccNo") or (asked.account if asked else None) or ""
        day = iso_day(child(row, "QueryTime")[:8]) or (asked.at.date().isoformat() if asked and asked.at else None)
        pairs = (("PRCD", child(row, "AccBalance"), None), ("ITBD", child(row, "Balance"), day))
        found = [_balance(*one) for one in (*pairs, ("ITAV", child(row, "UsableBalance"), day)) if one[1]]
        others = tuple((name, value) for name in ("FrzAmt", "LastTranDate", "AcctProperty") if (value := child(row, name)))
        yield Statement(
            statement_id=None,
            account=AccountIdentification(other_id=account, currency=CURRENCY),
            balances=tuple(found),
            supplementary=others,
        )


def _balance(kind: str, fen: str, day: str | None) -> Balance:
    amount, negative = yuan_of(fen)
    return Balance(type=kind, amount=amount, currency=CURRENCY, credit_debit="DBIT" if negative else "CRDT", date=day)


def statement(reply: Reply, asked: Asked | None, return_words: Collection[str]) -> Iterator[ReportRecord]:
    """QHISD and QPD: one page of entries."""
    account = child(reply.out, "AccNo") or (asked.account if asked else None) or ""
    since, until = (asked.since, asked.until) if asked is not None else (None, None)
    day = since.isoformat() if since is not None and since == until else None
    entries = [_entry(row, day, return_words) for row in reply.rows]
    yield Statement(
        statement_id=None,
        account=AccountIdentification(other_id=account, currency=CURRENCY),
        entry_count=len(entries),
        period_from=since.isoformat() if since is not None else None,
        period_until=until.isoformat() if until is not None else None,
        last_page="false" if child(reply.out, "NextTag") else "true",
    )
    yield from entries


def _entry(row: etree._Element, day: str | None, return_words: Collection[str]) -> Entry:
    amount, side, reversal = _movement(child(row, "DebitAmount"), child(row, "CreditAmount"))
    texts = (child(row, "UseCN"), child(row, "PostScript"))
    booked = iso_day(child(row, "Date")) or day
    transaction = EntryTransaction(
        amount=amount,
        currency=CURRENCY,
        credit_debit=side,
        counterparty_name=child(row, "RecipName") or None,
        counterparty_account=child(row, "RecipAccNo") or None,
        remittance_information=tuple(text for text in texts if text),
        return_reason_text=says_returned(side, (child(row, "Summary"), *texts), return_words),
        additional_information=child(row, "Summary") or None,
    )
    return Entry(
        statement_id=None,
        amount=amount,
        currency=CURRENCY,
        credit_debit=side,
        reversal=reversal,
        status="BOOK",
        booking_date=booked,
        transactions=(transaction,),
        supplementary=tuple((name, value) for name in _OTHERS if (value := child(row, name))),
    )


def _movement(debit: str, credit: str) -> tuple[str, str | None, bool]:
    """The amount of a row, its side, and whether it takes another one back: a negative debit is a credit that reverses."""
    sides = [(yuan_of(text), side) for text, side in ((debit, "DBIT"), (credit, "CRDT")) if text.strip()]
    there = [one for one in sides if one[0][0] != "0.00"] or sides[:1]
    if len(there) != 1:
        raise Unparsable("a row of a statement that is both debit and credit, or neither")
    (amount, negative), side = there[0]
    return amount, moved(side, negative=negative), negative
