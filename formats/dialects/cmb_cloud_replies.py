"""CMB 招商银行 云直联: what a reply proves, and its records.

The top member and most blocks of replies have no name in the sources: rows are found by the fields that they have. A reply counts
as the bank's only when the seal has opened and verified it; what is in clear is a refusal of the bank's door, or nothing.

Source: the notes of this project on CMB 云直联, sections 2 and 3.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from formats.dialects.booking import CURRENCY, balance, iso_day, unsigned
from formats.dialects.cmb_cloud_tables import ACCEPTED, CLEAR_REFUSAL, TABLE, CmbCloudSettings
from formats.dialects.tables import StatusTable
from formats.dialogue import Asked, Asking, Heard, Outcome
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.report import (
    AccountIdentification,
    Document,
    Entry,
    EntryTransaction,
    PaymentReturn,
    Reason,
    ReportRecord,
    Statement,
    TransactionStatus,
)

PAY, BATCH, STATUS, BATCH_STATUS, RETURNS, BALANCE, STATEMENT = FUNCTIONS = (
    *("BB1PAYOP", "BB1PAYBH", "BB1PAYQR", "BB1QRYBD", "BB1PAYQB", "NTQADINF", "DCTRSINF"),
)
READS: Final = tuple(f"cmb_cloud.{function}" for function in (*FUNCTIONS, CLEAR_REFUSAL))
_ANSWERS: Final[Mapping[Asking, frozenset[str]]] = {
    Asking.PAYMENT: frozenset({PAY, BATCH}),
    Asking.STATUS: frozenset({STATUS, BATCH_STATUS}),
    Asking.RETURNS: frozenset({RETURNS}),
    Asking.BALANCE: frozenset({BALANCE}),
    Asking.STATEMENT: frozenset({STATEMENT}),
}
_FINISHED: Final = "FIN"
_RETURNED: Final = frozenset(TABLE.returned)
_TEXT_MAX: Final = 500
_DEPTH_MAX: Final = 32
_CLEAR: Final = re.compile(rb"CDCServer:")
_MESSAGE: Final = re.compile(r"ErrMsg:\s*(.*)", re.DOTALL)
_SIDES: Final = {"C": "CRDT", "D": "DBIT"}
_BALANCES: Final = (("onlblv", "ITBD"), ("avlblv", "ITAV"), ("accblv", "PRCD"))
_NOTED: Final = ("trscod", "trsblv", "etytim", "rpybbn", "rpybnk", "rsvflg", "reqnbr")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Reply:
    function: str
    code: str
    text: str
    rows: tuple[Row, ...]  # every object of the reply, the head apart

    def having(self, *names: str) -> list[Row]:
        """The rows that have one of these fields."""
        return [row for row in self.rows if any(name in row for name in names)]


def is_clear_refusal(reply: bytes) -> bool:
    """Whether the door refused without encryption. No Base64 looks like it: that has no colons."""
    return _CLEAR.search(reply) is not None and b"ErrMsg:" in reply


def _read(exchange: Exchange) -> _Reply:
    """Raises `Unparsable`, also for a reply that nobody has verified. (A bare reply is one that a person opened.)"""
    if exchange.asked is not None and exchange.opened is None:
        raise Unparsable("a reply whose signature nobody has verified")
    try:
        value = json.loads(exchange.text.decode("utf-8"), parse_int=str, parse_float=str, object_pairs_hook=_once)
        objects = tuple(_objects(value, 0))
    except (ValueError, RecursionError) as problem:
        raise Unparsable("no JSON of this bank: broken, too deep, or a name stands twice in an object") from problem
    heads = [row for row in objects if "resultcode" in row]
    if len(heads) != 1:
        raise Unparsable("no reply of CMB 云直联: it has no head, or more than one")
    (head,) = heads
    return _Reply(
        _text(head, "funcode").upper(),
        _text(head, "resultcode"),
        _text(head, "resultmsg"),
        tuple(row for row in objects if row is not head),
    )


def _objects(value: object, depth: int) -> Iterator[Row]:
    if depth > _DEPTH_MAX:
        raise ValueError("too deep")
    inside: list[object] = []
    if isinstance(value, dict):
        yield value
        inside = list(value.values())
    elif isinstance(value, list):
        inside = value
    for one in inside:
        yield from _objects(one, depth + 1)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _text(row: Row, name: str) -> str:
    """A field as text, without blanks at its ends: numbers and texts are both in use."""
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


# -- what a reply proves -----------------------------------------------------------------------------------------------


def hear(exchange: Exchange, settings: CmbCloudSettings) -> Heard:
    """See `DialogueBank.hear`."""
    if exchange.opened is None and is_clear_refusal(exchange.reply):
        outcome = Outcome.NOT_TAKEN if settings.clear_refusal_takes_nothing else Outcome.UNKNOWN
        return Heard(outcome=outcome, code=CLEAR_REFUSAL, text=_refusal_text(exchange.reply))
    try:
        reply = _read(exchange)
        return _heard(reply, exchange.asked, settings)
    except Unparsable as problem:
        return Heard(outcome=Outcome.UNKNOWN, text=str(problem))


def _heard(reply: _Reply, asked: Asked | None, settings: CmbCloudSettings) -> Heard:
    """Raises `Unparsable`."""
    if asked is None or reply.function not in _ANSWERS.get(asked.kind, ()):
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply answers another question")
    if reply.code != ACCEPTED:
        refused = asked.kind is Asking.PAYMENT and reply.code in settings.rejected_codes
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=reply.code, text=reply.text)
    match asked.kind:
        case Asking.PAYMENT:
            return _heard_payment(reply, asked, settings)
        case Asking.STATUS:
            return _heard_status(reply, asked)
        case Asking.RETURNS:
            returned = tuple(_text(row, "yurRef") for row in reply.having("yurRef") if _code(row) in _RETURNED)
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, found=tuple(filter(None, returned)))
        case Asking.BALANCE:
            known = bool(_balances(reply, asked.account))
            return Heard(outcome=Outcome.TAKEN if known else Outcome.UNKNOWN, code=reply.code, text=reply.text)
        case _:
            return _heard_statement(reply, asked)


def _refusal_text(reply: bytes) -> str:
    text = reply.decode("utf-8", "replace")
    found = _MESSAGE.search(text)
    return (found[1] if found else text).strip()[:_TEXT_MAX]


def _code(row: Row) -> str:
    """What the status table knows: reqSts, and with it rtnFlg where it is final. "" where the row has no status."""
    status, flag = _text(row, "reqSts").upper(), _text(row, "rtnFlg").upper()
    return f"{status}.{flag}" if status == _FINISHED and flag else status


def _serial_of(row: Row, rows: list[Row], asked: Asked | None) -> str | None:
    """Whose row it is: by its yurRef; a lone row without one belongs to the one payment that was asked about."""
    said = _text(row, "yurRef")
    if said or asked is None:
        return said or None
    return asked.serials[0] if len(rows) == 1 and len(asked.serials) == 1 else None


def _heard_payment(reply: _Reply, asked: Asked, settings: CmbCloudSettings) -> Heard:
    rows = reply.having("reqSts", "reqNbr", "errCod")
    ours = [row for row in rows if _serial_of(row, rows, asked) in asked.serials]
    taken = [row for row in ours if _text(row, "reqNbr") or _code(row)]
    if taken:
        row = taken[0]
        serials = tuple(dict.fromkeys(serial for row in taken if (serial := _serial_of(row, rows, asked)) in asked.serials))
        whole = len(serials) == len(asked.serials)
        text = _text(row, "errTxt") or _text(row, "msgTxt")
        return Heard(
            outcome=Outcome.TAKEN if whole or asked.package is not None else Outcome.UNKNOWN,
            code=_code(row) or reply.code,
            text=text,
            found=tuple(filter(None, serials)),
        )
    if asked.package is not None and any(_text(row, "bthNbr") == asked.package for row in reply.having("bthNbr")):
        return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)
    errors = [(code, _text(row, "errTxt")) for row in ours if (code := _text(row, "errCod"))]
    if len(errors) == len(asked.serials) and all(code in settings.rejected_codes for code, _ in errors):
        return Heard(outcome=Outcome.REFUSED, code=errors[0][0], text=errors[0][1])
    code, text = errors[0] if errors else (reply.code, reply.text)
    return Heard(
        outcome=Outcome.UNKNOWN, code=code, text=text or "the call was accepted, and the reply does not show the payment"
    )


def _heard_status(reply: _Reply, asked: Asked) -> Heard:
    """Nothing found is never a failure; what a later page may show is not missing either."""
    rows = reply.having("reqSts")
    shown = [(serial, row) for row in rows if (serial := _serial_of(row, rows, asked)) in asked.serials]
    found = tuple(dict.fromkeys(serial for serial, _ in shown if serial))
    more = any(_text(row, "ctnKey") for row in reply.having("ctnKey"))
    foreign = bool(rows) and not shown and reply.function == STATUS
    missing = () if more or foreign else tuple(serial for serial in asked.serials if serial not in found)
    code = _code(shown[0][1]) if len(shown) == 1 else ""
    text = _text(shown[0][1], "rtnNar") if len(shown) == 1 else reply.text
    outcome = Outcome.UNKNOWN if foreign else Outcome.TAKEN
    return Heard(outcome=outcome, code=code or reply.code, text=text, found=found, missing=missing)


def _heard_statement(reply: _Reply, asked: Asked) -> Heard:
    controls = reply.having("cotflg")
    if len(controls) > 1:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="more than one row says whether more follows")
    following = _text(controls[0], "trsseq") if controls and _text(controls[0], "cotflg").upper() == "Y" else None
    if following is not None and following in {"", asked.page}:
        return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="more follows, and the reply does not say from where")
    return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, next_page=following)


# -- records -----------------------------------------------------------------------------------------------------------


def records(exchange: Exchange, statuses: StatusTable) -> Iterator[ReportRecord]:
    """See `Dialect.records`."""
    asked = exchange.asked
    if exchange.opened is None and is_clear_refusal(exchange.reply):
        said = (("refusal", _refusal_text(exchange.reply)),)
        yield Document(message=f"cmb_cloud.{CLEAR_REFUSAL}", supplementary=said)
        return
    reply = _read(exchange)
    if reply.function not in FUNCTIONS:
        raise Unparsable("a function of CMB 云直联 that is not read")
    result = (("resultcode", reply.code), ("resultmsg", reply.text))
    yield Document(message=f"cmb_cloud.{reply.function}", supplementary=tuple((name, text) for name, text in result if text))
    if reply.code != ACCEPTED or (asked is not None and reply.function not in _ANSWERS.get(asked.kind, ())):
        return
    if reply.function in {PAY, BATCH, STATUS, BATCH_STATUS}:
        yield from _statuses(reply, asked, statuses)
    elif reply.function == RETURNS:
        rows = reply.having("yurRef")
        yield from (_returned(row, _text(row, "yurRef"), statuses) for row in rows if _code(row) in _RETURNED)
    elif reply.function == BALANCE:
        yield from _balances(reply, asked.account if asked else None)
    else:
        yield from _statement(reply, asked)


def _statuses(reply: _Reply, asked: Asked | None, statuses: StatusTable) -> Iterator[ReportRecord]:
    rows = reply.having("reqSts")
    for row in rows:
        code, serial = _code(row), _serial_of(row, rows, asked)
        if not code or serial is None or (asked is not None and serial not in asked.serials):
            continue
        said = [statuses.reason(code, _text(row, "rtnNar") or _text(row, "msgTxt"))]
        if error := _text(row, "errCod"):
            said.append(statuses.reason(error, _text(row, "errTxt")))
        yield TransactionStatus(
            original_payment_information_id=None,
            original_instruction_id=None,
            original_end_to_end_id=None,
            status=statuses.status(code),
            reasons=tuple(said),
            account_servicer_reference=_text(row, "reqNbr") or None,
            amount=_text(row, "trsAmt") or None,
            currency=CURRENCY if _text(row, "trsAmt") else None,
            serial_number=serial,
        )
        if statuses.is_returned(code):
            yield _returned(row, serial, statuses)


def _returned(row: Row, serial: str, statuses: StatusTable) -> PaymentReturn:
    amount = _text(row, "trsAmt") or None
    reasons: tuple[Reason, ...] = (statuses.reason(_code(row), _text(row, "rtnNar")),)
    return PaymentReturn(
        original_message_id=None,
        original_instruction_id=None,
        original_end_to_end_id=None,
        original_uetr=None,
        amount=amount,
        currency=CURRENCY if amount else None,
        settlement_date=iso_day(_text(row, "oprDat")),
        reasons=reasons,
        serial_number=serial or None,
    )


def _balances(reply: _Reply, account: str | None) -> list[Statement]:
    """A statement without entries for each account of the reply, of one account where that was asked for."""
    rows = reply.having(*(name for name, _ in _BALANCES))
    found = []
    for row in rows:
        number = _text(row, "accnbr") or (account if len(rows) == 1 else None)
        if number is None or account not in {None, number}:
            continue
        balances = [one for name, kind in _BALANCES for one in balance(kind, _text(row, name), None)]
        found.append(
            Statement(
                statement_id=None,
                account=AccountIdentification(other_id=number, currency=CURRENCY),
                balances=tuple(balances),
                supplementary=(("hldblv", held),) if (held := _text(row, "hldblv")) else (),
            )
        )
    return found


def _statement(reply: _Reply, asked: Asked | None) -> Iterator[ReportRecord]:
    rows = [row for row in reply.having("trsamt") if "amtcdr" in row]
    controls = reply.having("cotflg")
    account = (asked.account if asked else None) or ""
    since, until, page = (asked.since, asked.until, asked.page) if asked else (None, None, None)
    name = f"{account}/{since}/{until}/{page or 1}" if since else None
    yield Statement(
        statement_id=name,
        account=AccountIdentification(other_id=account or None, currency=CURRENCY),
        entry_count=len(rows),
        period_from=since.isoformat() if since else None,
        period_until=until.isoformat() if until else None,
        page_number=page,
        last_page=None if not controls else "false" if _text(controls[0], "cotflg").upper() == "Y" else "true",
    )
    for row in rows:
        yield _entry(row, name)


def _entry(row: Row, statement: str | None) -> Entry:
    """A line. A negative amount takes a booking back: the money moves the other way, and `reversal` says why."""
    amount, negative = unsigned(_text(row, "trsamt"))
    side = _SIDES.get(_text(row, "amtcdr").upper())
    if negative and side is not None:
        side = "DBIT" if side == "CRDT" else "CRDT"
    reference = _text(row, "refnbr") or None
    texts = (_text(row, name) for name in ("naryur", "nusage", "busnar"))
    return Entry(
        statement_id=statement,
        amount=amount,
        currency=CURRENCY,
        credit_debit=side,
        reversal=negative,
        status="BOOK",
        booking_date=iso_day(_text(row, "etydat")),
        value_date=iso_day(_text(row, "vltdat")),
        account_servicer_reference=reference,
        proprietary_transaction_code=_text(row, "trscod") or None,
        transactions=(
            EntryTransaction(
                amount=amount,
                currency=CURRENCY,
                credit_debit=side,
                counterparty_name=_text(row, "rpynam") or None,
                counterparty_account=_text(row, "rpyacc") or None,
                remittance_information=tuple(dict.fromkeys(text for text in texts if text)),
                account_servicer_reference=reference,
                serial_number=_text(row, "yurref") or None,
            ),
        ),
        supplementary=tuple((name, text) for name in _NOTED if name != "trscod" and (text := _text(row, name))),
    )
