"""What Ping An answers: a header of 222 bytes and a body in XML.

The header's code says whether the request was processed, and of a question nothing about the payment. What stands behind the body
(a signature, attachments) is not looked at, and neither is the header's end (bytes 193 to 221), whose meaning is not certain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from formats.dialects.booking import CURRENCY, balance, unsigned
from formats.dialects.pingan_tables import ACCEPTED, RETURNED
from formats.dialects.tables import PENDING, REJECTED, SETTLED, StatusTable
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked, Asking
from formats.errors import Unparsable
from formats.report import (
    AccountIdentification,
    Document,
    PaymentReturn,
    ReportRecord,
    Statement,
    TransactionStatus,
)

HEADER_BYTES: Final = 222
VERSION: Final = b"A00101"
CHARSETS: Final = {"gbk": "01", "utf-8": "02"}
_KINDS: Final = {"4004": Asking.PAYMENT, "4005": Asking.STATUS, "4001": Asking.BALANCE}
FUNCTIONS: Final = {kind: function for function, kind in _KINDS.items()}
_LENGTH, _FUNCTION, _DIRECTION, _SERIAL = slice(30, 40), slice(40, 46), slice(51, 53), slice(67, 87)
_CODE, _TEXT, _CHARSET = slice(87, 93), slice(93, 193), slice(6, 8)
_REPLY: Final = b"02"
_OTHERS: Final = ("LastBalance", "HoldBalance", "AccountType", "AccountStatus", "BankName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply as read. `root` is None where it has no body."""

    function: str
    code: str
    text: str
    number: str  # of the request
    root: etree._Element | None

    @property
    def accepted(self) -> bool:
        return self.code == ACCEPTED


def read(raw: bytes, asked: Asked | None) -> Reply:
    """A reply, if it is one to what was asked. Raises `Unparsable`."""
    if not raw.startswith(VERSION) or len(raw) < HEADER_BYTES:
        raise Unparsable(f"no reply of Ping An: it does not begin with a header of {HEADER_BYTES} bytes")
    if raw[_DIRECTION] != _REPLY:
        raise Unparsable("the header is of a request, and not of a reply")
    if not raw[_LENGTH].isdigit():
        raise Unparsable("the header does not say how long the body is")
    length = int(raw[_LENGTH])
    body = raw[HEADER_BYTES : HEADER_BYTES + length]
    if len(body) < length:
        raise Unparsable(f"the body was cut: {len(body)} of {length} bytes")
    charset = "utf-8" if raw[_CHARSET] == CHARSETS["utf-8"].encode() else "gb18030"
    reply = Reply(
        function=raw[_FUNCTION].decode("ascii", "replace").strip(),
        code=raw[_CODE].decode("ascii", "replace").strip(),
        text=raw[_TEXT].decode("gb18030", "replace").strip(" \0"),
        number=raw[_SERIAL].decode("ascii", "replace").strip(),
        root=read_xml(body, charset) if body.strip() else None,
    )
    _must_answer(reply, asked)
    return reply


def _must_answer(reply: Reply, asked: Asked | None) -> None:
    kind = _KINDS.get(reply.function)
    if kind is None:
        raise Unparsable(f"transaction {reply.function!r} is none that is asked for")
    if reply.root is not None and reply.root.tag != "Result":
        raise Unparsable(f"no reply of Ping An: its root is <{str(reply.root.tag)[:40]}>")
    if asked is None:
        return
    echo, wanted = {
        Asking.PAYMENT: (child(reply.root, "ThirdVoucher"), asked.serials),
        Asking.STATUS: (child(reply.root, "OrigThirdVoucher"), asked.serials),
        Asking.BALANCE: (child(reply.root, "Account"), (asked.account,)),
    }[kind]
    if kind is not asked.kind or (echo and any(wanted) and echo not in wanted):
        raise Unparsable(f"{reply.function} answers another question than the one that was asked")


def document(reply: Reply) -> Document:
    """What the reply is."""
    said = (("code", reply.code), ("text", reply.text))
    return Document(
        message=f"pingan.{reply.function}",
        message_id=reply.number or None,
        supplementary=tuple((name, value) for name, value in said if value),
    )


def serial_in(reply: Reply, asked: Asked | None, tag: str) -> str | None:
    """The payment's number: as the reply repeats it, or as it was asked about."""
    return child(reply.root, tag) or (asked.serials[0] if asked is not None and len(asked.serials) == 1 else None)


def taken(reply: Reply, asked: Asked | None, table: StatusTable) -> Iterator[TransactionStatus]:
    """4004: that the bank has the payment. Inside the bank it is booked then; which of the two it is, 4005 tells."""
    serial = serial_in(reply, asked, "ThirdVoucher")
    if serial is not None:
        yield _status(reply, serial, PENDING, table, ACCEPTED, "")


def outcome(reply: Reply, asked: Asked | None, table: StatusTable) -> Iterator[TransactionStatus | PaymentReturn]:
    """4005: what became of the payment. IsBack 1 is a return, with Stt 20 and with Stt 30. Yhcljg is text and decides nothing."""
    serial, code = serial_in(reply, asked, "OrigThirdVoucher"), child(reply.root, "Stt")
    if serial is None or not code:
        return
    status = table.status(code)
    back = child(reply.root, "IsBack") == "1" and status in {SETTLED, REJECTED}
    if not (back and status == REJECTED):
        yield _status(reply, serial, status, table, code, child(reply.root, "Yhcljg"))
    if back:
        amount = child(reply.root, "TranAmount")
        yield PaymentReturn(
            original_message_id=None,
            original_instruction_id=None,
            original_end_to_end_id=None,
            original_uetr=None,
            amount=unsigned(amount)[0] if amount else None,
            currency=CURRENCY if amount else None,
            settlement_date=None,
            reasons=(table.reason(RETURNED, child(reply.root, "BackRem")),),
            serial_number=serial,
        )


def _status(  # noqa: PLR0917 - the parts of one record
    reply: Reply, serial: str, status: str, table: StatusTable, code: str, text: str
) -> TransactionStatus:
    amount = child(reply.root, "TranAmount")
    return TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=status,
        reasons=(table.reason(code, text),),
        account_servicer_reference=child(reply.root, "FrontLogNo") or None,
        amount=unsigned(amount)[0] if amount else None,
        currency=CURRENCY if amount else None,
        serial_number=serial,
    )


def balances(reply: Reply, asked: Asked | None) -> Iterator[ReportRecord]:
    """4001: the balance booked (TotalAmount) and the one usable (Balance)."""
    day = asked.at.date().isoformat() if asked is not None and asked.at is not None else None
    root = reply.root
    account = child(root, "Account") or (asked.account if asked is not None else None)
    yield Statement(
        statement_id=None,
        account=AccountIdentification(other_id=account, currency=CURRENCY),
        balances=(*balance("ITBD", child(root, "TotalAmount"), day), *balance("ITAV", child(root, "Balance"), day)),
        supplementary=tuple((name, value) for name in _OTHERS if (value := child(root, name))),
    )
