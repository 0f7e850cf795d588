"""CMB 招商银行 through its front machine: what its replies prove, and the records they give.

Source: CMB, 银企直连开发指南 4.3.1, and API document 5.37.0 in an implementation. RETCOD is the front machine's word on the
call, no payment's result; a payment's is REQSTS, and RTNFLG with REQSTS FIN only. Not every block of the replies is named in our
sources, so blocks are known by what stands in them: a payment by YURREF and REQSTS, a balance by ONLBLV or AVLBLV, a booked line
by ETYDAT and AMTCDR. The lines' elements are those of the same list in the bank's cloud interface (ntqactrsz2), in capitals.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from formats.dialects.booking import CURRENCY, balance, iso_day, unsigned
from formats.dialects.cmb_tables import CmbSettings
from formats.dialects.tables import StatusTable
from formats.dialects.text import child, read_xml
from formats.dialogue import Asked, Asking, Heard, Outcome
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.report import (
    AccountIdentification,
    Document,
    Entry,
    EntryTransaction,
    Party,
    PaymentReturn,
    ReportRecord,
    Statement,
    TransactionStatus,
)

FUNCTIONS: Final = {
    Asking.PAYMENT: "DCPAYMNT",
    Asking.STATUS: "NTQRYSTY",
    Asking.RETURNS: "NTPAYQYB",
    Asking.BALANCE: "GetAccInfo",
    Asking.STATEMENT: "GetTransInfo",
}
READS: Final = tuple(f"cmb.{function}" for function in FUNCTIONS.values())
_FINE: Final = "0"
_NOTHING_SENT: Final = frozenset({"-3", "-4", "-5", "-6", "-7"})
_FINISHED: Final = "FIN"
_SIDES: Final = {"D": "DBIT", "C": "CRDT"}
_OTHER: Final = {"DBIT": "CRDT", "CRDT": "DBIT"}
_KEPT: Final = ("ETYTIM", "TRSCOD", "TRSBLV", "REQNBR", "BUSNAR", "RPYBBN", "RPYBNK", "RSVFLG")


@dataclass(frozen=True, slots=True)
class _Reply:
    """One CMBSDKPGK reply: what INFO says, and the blocks after it."""

    function: str
    code: str
    text: str
    blocks: tuple[etree._Element, ...]

    def with_elements(self, *tags: str) -> list[etree._Element]:
        """The blocks that hold all of them."""
        return [block for block in self.blocks if all(block.find(tag) is not None for tag in tags)]


def _read(exchange: Exchange) -> _Reply:
    root = read_xml(exchange.text, "gbk")
    info = root.find("INFO")
    if root.tag != "CMBSDKPGK" or info is None:
        raise Unparsable("no CMBSDKPGK message with its INFO: no reply of CMB's front machine")
    blocks = tuple(one for one in root if isinstance(one.tag, str) and one.tag != "INFO")
    return _Reply(child(info, "FUNNAM"), child(info, "RETCOD"), child(info, "ERRMSG"), blocks)


def _code(block: etree._Element) -> str:
    """A payment's state as one word: "BNK", "FIN+S"."""
    state, flag = child(block, "REQSTS"), child(block, "RTNFLG")
    return f"{state}+{flag}" if state == _FINISHED else state


def _text(block: etree._Element) -> str:
    """What the bank says beside it: its own error code and words."""
    words = (child(block, tag) for tag in ("ERRCOD", "ERRTXT", "RTNNAR"))
    return " ".join(word for word in words if word)


# -- what a reply proves -----------------------------------------------------------------------------------------------


def hear(exchange: Exchange, settings: CmbSettings) -> Heard:
    """See `DialogueBank.hear`."""
    asked = exchange.asked
    try:
        reply = _read(exchange)
    except Unparsable as problem:
        return Heard(outcome=Outcome.UNKNOWN, text=str(problem))
    if asked is None or asked.kind not in FUNCTIONS or reply.function != FUNCTIONS[asked.kind]:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text or "an answer to something else")
    if reply.code in _NOTHING_SENT:
        return Heard(outcome=Outcome.NOT_TAKEN, code=reply.code, text=reply.text)
    if reply.code != _FINE:
        refused = asked.kind is Asking.PAYMENT and reply.code in settings.rejected_codes
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=reply.code, text=reply.text)
    if asked.kind is Asking.PAYMENT:
        return _heard_payment(asked, reply, settings)
    if asked.kind is Asking.STATUS:
        return _heard_status(asked, reply)
    accounts = {child(block, "ACCNBR") for block in reply.blocks} - {""}
    other = asked.kind is not Asking.RETURNS and asked.account and accounts - {asked.account}
    silent = asked.kind is Asking.BALANCE and not _balances(reply)
    return Heard(outcome=Outcome.UNKNOWN if other or silent else Outcome.TAKEN, code=reply.code, text=reply.text)


def _heard_payment(asked: Asked, reply: _Reply, settings: CmbSettings) -> Heard:
    """RETCOD 0 alone proves nothing: taken is what has a state beside its YURREF."""
    shown = _shown(asked, reply)
    known = {serial: block for serial, block in shown.items() if _code(block)}
    if known:
        first = next(iter(known.values()))
        return Heard(outcome=Outcome.TAKEN, code=_code(first), text=_text(first), found=tuple(known))
    if len(shown) == len(asked.serials) == 1:
        block = shown[asked.serials[0]]
        code = child(block, "ERRCOD")
        refused = code in settings.rejected_codes
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=code, text=child(block, "ERRTXT"))
    return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text or "the reply names no payment of the request")


def _heard_status(asked: Asked, reply: _Reply) -> Heard:
    rows = reply.with_elements("YURREF", "REQSTS")
    shown = {serial: block for serial, block in _shown(asked, reply).items() if _code(block)}
    if shown:
        first = next(iter(shown.values()))
        return Heard(outcome=Outcome.TAKEN, code=_code(first), text=_text(first), found=tuple(shown))
    if rows or reply.blocks:  # it shows something, and not what was asked about
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply shows nothing of the payment")
    return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, missing=asked.serials)


def _shown(asked: Asked, reply: _Reply) -> dict[str, etree._Element]:
    """The blocks of our payments by serial number; one that stands there with two states is left out."""
    found: dict[str, etree._Element] = {}
    twice = set()
    for block in reply.with_elements("YURREF", "REQSTS"):
        serial = child(block, "YURREF")
        if serial in found and _code(found[serial]) != _code(block):
            twice.add(serial)
        found[serial] = block
    return {serial: found[serial] for serial in asked.serials if serial in found and serial not in twice}


# -- records -----------------------------------------------------------------------------------------------------------


def records(exchange: Exchange, statuses: StatusTable) -> Iterator[ReportRecord]:
    """The records of a reply. Raises `Unparsable`."""
    reply = _read(exchange)
    asked = exchange.asked
    yield Document(message=f"cmb.{reply.function}" if reply.function else "cmb.INFO")
    if reply.code != _FINE:
        return
    match reply.function:
        case "DCPAYMNT" | "NTQRYSTY":
            for serial, block in _payments(asked, reply):
                yield from _status(serial, block, statuses)
        case "NTPAYQYB":
            for block in reply.with_elements("YURREF"):
                code = _code(block) or "FIN+B"
                if statuses.is_returned(code):
                    yield _return(child(block, "YURREF") or None, block, statuses, code)
        case "GetAccInfo":
            for block in _balances(reply):
                yield _account(block, asked)
        case "GetTransInfo":
            yield from _statement(reply, asked)


def _payments(asked: Asked | None, reply: _Reply) -> list[tuple[str | None, etree._Element]]:
    if asked is not None:
        return list(_shown(asked, reply).items())
    return [(child(block, "YURREF") or None, block) for block in reply.with_elements("YURREF", "REQSTS")]


def _status(serial: str | None, block: etree._Element, statuses: StatusTable) -> Iterator[ReportRecord]:
    """A payment's state. A returned one was paid before, and both are told."""
    code = _code(block)
    if not code:
        return
    yield TransactionStatus(
        original_payment_information_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        status=statuses.status(code),
        reasons=(statuses.reason(code, _text(block)),),
        account_servicer_reference=child(block, "REQNBR") or None,
        serial_number=serial,
    )
    if statuses.is_returned(code):
        yield _return(serial, block, statuses, code)


def _return(serial: str | None, block: etree._Element, statuses: StatusTable, code: str) -> PaymentReturn:
    amount = child(block, "TRSAMT")
    return PaymentReturn(
        original_message_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        original_uetr=None,
        amount=unsigned(amount)[0] if amount else None,
        currency=CURRENCY if amount else None,
        settlement_date=None,
        reasons=(statuses.reason(code, _text(block)),),
        original_transaction_id=child(block, "REQNBR") or None,
        serial_number=serial,
    )


def _balances(reply: _Reply) -> list[etree._Element]:
    return [block for block in reply.blocks if child(block, "ONLBLV") or child(block, "AVLBLV")]


def _account(block: etree._Element, asked: Asked | None) -> Statement:
    number = child(block, "ACCNBR") or (asked.account if asked else None)
    on = asked.at.date().isoformat() if asked and asked.at else None
    told = (("PRCD", "ACCBLV", None), ("ITBD", "ONLBLV", on), ("ITAV", "AVLBLV", on))
    return Statement(
        statement_id=None,
        account=AccountIdentification(other_id=number or None, currency=CURRENCY),
        balances=tuple(one for kind, tag, day in told for one in balance(kind, child(block, tag), day)),
        supplementary=tuple((tag, text) for tag in ("HLDBLV", "STSCOD") if (text := child(block, tag))),
    )


def _statement(reply: _Reply, asked: Asked | None) -> Iterator[ReportRecord]:
    lines = reply.with_elements("ETYDAT", "AMTCDR")
    since, until = (asked.since, asked.until) if asked else (None, None)
    name = f"{asked.account}/{since}/{until}" if asked and since else None
    yield Statement(
        statement_id=name,
        account=AccountIdentification(other_id=asked.account if asked else None, currency=CURRENCY),
        entry_count=len(lines),
        period_from=since.isoformat() if since else None,
        period_until=until.isoformat() if until else None,
    )
    for line in lines:
        yield _entry(line, name)


def _entry(line: etree._Element, statement: str | None) -> Entry:
    """A line. What RSVFLG says our sources do not tell: it is kept, and nothing is concluded from it."""
    amount, negative = unsigned(child(line, "TRSAMT"))
    side = _SIDES.get(child(line, "AMTCDR"))
    direction = _OTHER.get(side or "") if negative else side
    name, account = child(line, "RPYNAM") or None, child(line, "RPYACC") or None
    counterparty = Party(name=name, account=account)
    texts = tuple(text for tag in ("NUSAGE", "NARYUR") if (text := child(line, tag)))
    reference = child(line, "REFNBR") or None
    return Entry(
        statement_id=statement,
        amount=amount,
        currency=CURRENCY,
        credit_debit=direction,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(child(line, "ETYDAT")),
        value_date=iso_day(child(line, "VLTDAT")),
        account_servicer_reference=reference,
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=CURRENCY,
                credit_debit=direction,
                counterparty_name=name,
                counterparty_account=account,
                remittance_information=texts,
                account_servicer_reference=reference,
                debtor=counterparty if side == "CRDT" else None,
                creditor=counterparty if side == "DBIT" else None,
                serial_number=child(line, "YURREF") or None,
            ),
        ),
        supplementary=tuple((tag, text) for tag in _KEPT if (text := child(line, tag))),
    )
