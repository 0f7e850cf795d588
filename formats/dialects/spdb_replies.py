"""What SPDB answers: a packet, its body signed where the packet was accepted (returnCode AAAAAAA), and clear where it was not.

What is in a signed body is known once the sign service has verified it; until then nothing in it is believed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from formats.dialects.booking import CURRENCY, balance, unsigned
from formats.dialects.readings import agreed
from formats.dialects.spdb_tables import ACCEPTED
from formats.dialects.tables import PENDING, StatusTable
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked, Asking
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.report import AccountIdentification, Document, ReportRecord, Statement, TransactionStatus

_PREFIX: Final = re.compile(rb"\s*[0-9]{1,6} *(?=<)").match  # the length, where a whole packet was kept
_KINDS: Final = {"8800": Asking.PAYMENT, "8804": Asking.STATUS, "4402": Asking.BALANCE}
FUNCTIONS: Final = {kind: function for function, kind in _KINDS.items()}
_AMOUNTS: Final = ("reserveBalance", "freezeBalance", "cortrolBalance", "overdraftBalance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply as read. `code` and `text` are the packet's; `body` is there only where it was signed and verified."""

    function: str
    code: str
    text: str
    packet: str
    body: etree._Element | None

    @property
    def items(self) -> tuple[etree._Element, ...]:
        return () if self.body is None else tuple(self.body.iterfind("lists/list"))


def _packet(raw: bytes) -> etree._Element:
    prefix = _PREFIX(raw)
    root = read_xml(raw[prefix.end() :] if prefix else raw)
    if root.tag != "packet":
        raise Unparsable(f"no reply of SPDB: its root is <{str(root.tag)[:40]}>")
    return root


def signed_part(raw: bytes) -> bytes | None:
    """What has to be verified; None: nothing is signed, or it is no packet."""
    try:
        signature = child(_packet(raw), "body/signature")
    except Unparsable:
        return None
    return signature.encode("gb18030") if signature else None


def read(exchange: Exchange) -> Reply:
    """A reply, if it is one to what was asked. Raises `Unparsable`."""
    root = _packet(exchange.reply)
    function = child(root, "head/transCode")
    kind = _KINDS.get(function)
    if kind is None or (exchange.asked is not None and kind is not exchange.asked.kind):
        raise Unparsable(f"transCode {function[:20]!r} answers another question than the one that was asked")
    code = child(root, "head/returnCode") or child(root, "body/returnCode")
    body: etree._Element | None = None
    if code == ACCEPTED:
        if not child(root, "body/signature"):
            raise Unparsable("an accepted packet whose body is not signed")
        if exchange.opened is None:
            raise Unparsable("the body is signed, and was not verified")
        body = read_xml(exchange.opened)
        if body.tag != "body":
            raise Unparsable(f"what was signed is no body but <{str(body.tag)[:40]}>")
    return Reply(
        function=function,
        code=code,
        text=child(root, "body/returnMsg") or child(root, "head/returnMsg"),
        packet=child(root, "head/packetID"),
        body=body,
    )


def document(reply: Reply) -> Document:
    """What the reply is."""
    said = [("returnCode", reply.code), ("returnMsg", reply.text)]
    if reply.function == "8800":
        said += [(name, child(reply.body, name)) for name in ("acceptNo", "successCount", "failCount")]
    return Document(
        message=f"spdb.{reply.function}",
        message_id=reply.packet or None,
        supplementary=tuple((name, value) for name, value in said if value),
    )


def all_taken(reply: Reply, asked: Asked | None) -> bool:
    """Whether an accepted 8800 says that no payment of it was left out. "successCount" counts those taken, not those paid."""
    counts = child(reply.body, "successCount"), child(reply.body, "failCount")
    wanted = str(len(asked.serials)) if asked is not None and asked.serials else counts[0]
    return counts[1] in {"", "0"} and counts[0] in {"", wanted}


def taken(reply: Reply, asked: Asked | None, table: StatusTable) -> Iterator[TransactionStatus]:
    """That the bank has the payments of an accepted 8800, and under which number."""
    if asked is not None and all_taken(reply, asked):
        for serial in asked.serials:
            yield TransactionStatus(
                original_payment_information_id=None,
                original_instruction_id=None,
                original_end_to_end_id=None,
                status=PENDING,
                reasons=(table.reason(reply.code),),
                account_servicer_reference=child(reply.body, "acceptNo") or None,
                serial_number=serial,
            )


def statuses(reply: Reply, asked: Asked | None, table: StatusTable) -> tuple[TransactionStatus, ...]:
    """8804: of the payments that were asked about, where that is known."""
    wanted = asked.serials if asked is not None else ()
    only = wanted[0] if len(wanted) == 1 and len(reply.items) == 1 else ""
    rows = ((child(item, "elecChequeNo") or only, item) for item in reply.items)
    return agreed(_status(serial, item, table) for serial, item in rows if serial and (serial in wanted or not wanted))


def _status(serial: str, item: etree._Element, table: StatusTable) -> TransactionStatus:
    code = child(item, "transStatus")
    amount = child(item, "amount")
    return TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=table.status(code),
        reasons=(table.reason(code, child(item, "note")),),
        account_servicer_reference=child(item, "acceptNo") or None,
        amount=unsigned(amount)[0] if amount else None,
        currency=CURRENCY if amount else None,
        supplementary=(("seqNo", number),) if (number := child(item, "seqNo")) else (),
        serial_number=serial,
    )


def balances(reply: Reply, asked: Asked | None) -> Iterator[ReportRecord]:
    """4402: of each account the balance booked (balance) and the one usable (canUseBalance)."""
    day = asked.at.date().isoformat() if asked is not None and asked.at is not None else None
    for item in reply.items:
        account = child(item, "acctNo") or (asked.account if asked else None)
        found = (*balance("ITBD", child(item, "balance"), day), *balance("ITAV", child(item, "canUseBalance"), day))
        yield Statement(
            statement_id=None,
            account=AccountIdentification(other_id=account, currency=CURRENCY),
            balances=found,
            supplementary=tuple((name, value) for name in _AMOUNTS if (value := child(item, name))),
        )
