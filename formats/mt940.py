"""MT940 customer statements and MT942 interim reports, bare or in SWIFT blocks.

Source: SWIFT Standards MT, category 9, MT940 and MT942 (fields 20, 25, 28C, 60a, 61, 86, 62a, 64, 65, 34F, 90a). Shapes as the
contract of `bankgate parse` fixes them: one statement for each :20:; 60F and 62F are the balances OPBD and CLBD, 64 is CLAV,
65 is FWAV, and the balances between pages keep their own names, 60M and 62M; RC is a DBIT and RD a CRDT with `reversal` true.

Choices where the standard leaves room or banks take it:

- Amounts are as written with a point for the comma; a comma with nothing after it goes ("12," is "12"), and one with nothing
  before it gets a zero (",50" is "0.50"). Grouped digits ("1.234,56") are refused: the standard has none, and one guess is
  another amount.
- A year of two digits is 19xx from 80 on, else 20xx. The entry date has no year: of the years around the value date the one
  that brings the two dates nearest. A date that no calendar has (30 February is seen) is null.
- An entry is one transaction. What stands after // in :61: is `account_servicer_reference`; what stands before it is
  `customer_reference`, because nothing says which of a payment's identifications the bank put there; EREF is `end_to_end_id`.
- The bank transaction code is the type of :61:, with the German business transaction code after it: "NTRF", "NTRF+166".
- The status is BOOK in MT940, which lists booked entries by definition; in MT942 PDNG for EC and ED, else null.
- The text is UTF-8 where a statement is valid UTF-8, else ISO 8859-1.
- A statement must have its account, and an MT940 its closing balance; without them the file is taken for cut short. In MT942
  nothing mandatory stands at the end, so there a cut is seen only within SWIFT blocks or a broken field. A reader that only
  shows (`strict` false) gets a statement without closing balance all the same, with a document of its own that says so:
  fragments of that kind are passed around as examples, and nothing is booked from what is shown.
- An IBAN that stands alone in the supplementary details of :61: (Rabobank) is the counterparty's account, unless :86: has one.
- A blank between amount and type, which some German banks put there, is passed over.
- What has no field is `supplementary`, by tag, subfield and, on a repeat, index: of the statement (":90D:", ":34F:[2]", the SWIFT
  header "{1:", a heading of the bank "heading"), of an entry (":61:/3", the funds code) or of its transaction (":86:/?34",
  ":86:/CSID/", ":86:/CRED+"). The words that say there is no reference ("NONREF", "NOTPROVIDED") are not kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

from formats import mt_information
from formats.errors import Unparsable
from formats.mt_fields import HEADER, HEADING, Blocks, Field, fields
from formats.report import AccountIdentification, Balance, Document, Entry, EntryTransaction, ReportRecord, Statement
from formats.shapes import Supplement

_BALANCES = {"60F": "OPBD", "60M": "60M", "62F": "CLBD", "62M": "62M", "64": "CLAV", "65": "FWAV"}
_BALANCE = re.compile(r"([CD])(\d{6})([A-Z]{3})?(\d+(?:[.,]\d*)?|,\d+)\s*")
_LINE = re.compile(
    r"(?P<value>\d{6})(?P<booked>\d{4}|[ ]{4})?(?P<mark>RC|RD|EC|ED|C|D)(?P<funds>[A-Z])?(?P<amount>\d+(?:[.,]\d*)?|,\d+)"
    r"(?![\d.,])[ ]?(?P<type>[A-Z][A-Z0-9 ]{3})?(?P<owner>.*?)(?://(?P<bank>.*))?"
)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_BALANCES_MAX = 1000
_MARKS_MAX = 1000
_KIND_FIELD = re.compile(rb"^:(60[FM]|34F):", re.MULTILINE)
_BLOCK_KIND = re.compile(rb"\{2:[IO](\d{3})")
_FIRST_FIELD = re.compile(rb"^:20:", re.MULTILINE)


def sniff(head: bytes) -> str | None:
    """ "MT940" or "MT942"; None when it is no SWIFT MT message at all; `Unparsable` when it is one of another kind."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    block = _BLOCK_KIND.search(head) if head.lstrip().startswith(b"{1:") else None
    if block is not None:
        return Blocks.kind_read(block[1].decode(), 1)
    first = _FIRST_FIELD.search(head)
    if first is None:
        return None
    kind = _KIND_FIELD.search(head, first.start())
    if kind is None:
        line = head.count(b"\n", 0, first.start()) + 1
        raise Unparsable("a SWIFT MT message that is neither an MT940 nor an MT942, or one cut short", line)
    return "MT942" if kind[1] == b"34F" else "MT940"


@dataclass(slots=True)
class _Head:
    """What the first pass over a statement finds, and where the next begins."""

    reference: str | None = None
    account: str | None = None
    sequence: str | None = None
    created: str | None = None
    currency: str | None = None
    balances: list[Balance] = field(default_factory=list)
    entries: int = 0
    interim: bool = False
    closed: bool = False
    information: list[str] = field(default_factory=list)
    encoding: str = "utf-8"
    line: int = 1
    next_offset: int | None = None
    next_line: int = 1
    supplement: Supplement = field(default_factory=Supplement)
    between: list[Field] = field(default_factory=list)  # what stands between this statement and the next, whose heading it is


def parse(source: BinaryIO, message: str, *, strict: bool = True) -> Iterator[ReportRecord]:
    """The records of the file, statement by statement. Each is read twice: its balances stand after its entries.

    `strict` false: an MT940 statement without its closing balance is told with `schema_valid` false, not refused.
    """
    offset, line = 0, 1
    told: tuple[str, tuple[str, ...]] | None = None
    blocks = Blocks()
    between: list[Field] = []
    while True:
        head = _head(source, offset, line, blocks, between)
        between = head.between
        kind = "MT942" if head.interim else "MT940"
        problems = _incomplete(head, kind, strict=strict)
        if told is None:
            kind = message if message != kind and not head.balances else kind
        if told != (kind, problems):
            yield Document(
                message=kind,
                message_id=head.reference,
                creation_date_time=head.created,
                schema_valid=False if problems else None,
                schema_problems=problems,
            )
            told = kind, problems
        yield _statement(head)
        yield from _entries(source, offset, line, head, kind)
        if head.next_offset is None:
            return
        offset, line = head.next_offset, head.next_line


def _incomplete(head: _Head, kind: str, *, strict: bool) -> tuple[str, ...]:
    """What the statement lacks, in words; `Unparsable` where nothing can be read without it, or where `strict` asks for it."""
    if head.reference is None:
        raise Unparsable("no statement begins here (:20:)", head.line)
    if head.account is None:
        raise Unparsable("a statement without its account (:25:); the file seems cut short", head.line)
    if kind != "MT940" or head.closed:
        return ()
    problem = "a statement without a closing balance (:62F: or :62M:); the file seems cut short"
    if strict:
        raise Unparsable(problem, head.line)
    return (f"line {head.line}: {problem}",)


def _head(source: BinaryIO, offset: int, line: int, blocks: Blocks, before: list[Field]) -> _Head:
    head = _Head(line=line)
    _keep(head, before)
    in_entries = False
    for item in fields(source, offset, line):
        if item.tag == "20":
            if head.reference is not None:
                head.next_offset, head.next_line = item.offset, item.line
                return head
            head.reference, head.line = item.first_line().strip(), item.line
        elif not item.tag.isalnum():
            blocks.met(item)
            _between(head, item)
            continue
        elif head.reference is None:
            if item.tag in ("61", "86"):
                raise Unparsable(f"field :{item.tag}: before any statement begins (:20:)", item.line)
            continue
        if not item.is_utf8():
            head.encoding = "iso8859-1"
        if item.tag == "61":
            head.entries += 1
            in_entries = True
        elif item.tag in ("86", "NS"):
            if not in_entries or head.closed:
                _of_statement(head, item)
        else:
            _head_field(head, item)
    blocks.end()
    _keep(head, head.between)
    return head


def _of_statement(head: _Head, item: Field) -> None:
    """Field 86 or NS of the statement as a whole."""
    if item.tag == "86":
        head.information.append(item.text(head.encoding))
    else:
        head.supplement.add_next(":NS:", item.text(head.encoding))


def _between(head: _Head, item: Field) -> None:
    """What stands outside the text of messages belongs to the statement after it, but for the trailer."""
    if head.reference is None or item.raw.startswith(b"{5:") or len(head.between) >= _MARKS_MAX:
        _keep(head, [item])
    else:
        head.between.append(item)


def _keep(head: _Head, marks: list[Field]) -> None:
    """Keeps the other SWIFT blocks, and the bank's own headings."""
    for item in marks:
        text = item.text("iso8859-1")
        if item.tag == HEADING:
            head.supplement.add_next("heading", text)
        elif item.tag == HEADER:
            head.supplement.add_next(text[: text.find(":") + 1], text)


def _head_field(head: _Head, item: Field) -> None:
    text = item.first_line().strip()
    path = f":{item.tag}:"
    head.supplement.add_next(f"{path}/more", item.text("iso8859-1").partition("\n")[2])
    if item.tag in ("25", "25P") and head.account is None:
        head.account = text or None
    elif item.tag in ("28", "28C") and head.sequence is None:
        head.sequence = text or None
    elif item.tag in _BALANCES:
        if len(head.balances) >= _BALANCES_MAX:
            raise Unparsable(f"a statement with more than {_BALANCES_MAX} balances", item.line)
        balance = _balance(item.tag, text, item.line)
        head.balances.append(balance)
        if balance.date is None:
            head.supplement.add_next(path, text)
        head.currency = head.currency or balance.currency
        head.closed = head.closed or item.tag.startswith("62")
    elif item.tag == "34F":
        head.interim = True
        head.currency = head.currency or (text[:3] if text[:3].isalpha() else None)
        head.supplement.add_next(path, text)
    elif item.tag in ("90C", "90D"):
        head.interim = head.closed = True
        head.supplement.add_next(path, text)
    elif item.tag in ("13", "13D") and head.created is None and _creation(text) is not None:
        head.created = _creation(text)
    elif item.tag != "20":
        head.supplement.add_next(path, text)


def _balance(tag: str, text: str, line: int) -> Balance:
    match = _BALANCE.fullmatch(text)
    if match is None:
        raise Unparsable(f"field :{tag}: is not a balance (mark, date, currency, amount)", line)
    return Balance(
        type=_BALANCES[tag],
        amount=_amount(match[4]),
        currency=match[3],
        credit_debit="CRDT" if match[1] == "C" else "DBIT",
        date=_iso(_date(match[2])),
    )


def _statement(head: _Head) -> Statement:
    return Statement(
        statement_id=head.reference,
        account=_account(head.account or "", head.currency),
        balances=tuple(head.balances),
        entry_count=head.entries,
        sequence_number=head.sequence,
        creation_date_time=head.created,
        additional_information=" ".join(" ".join(head.information).split()) or None,
        supplementary=head.supplement.pairs(),
    )


def _account(text: str, currency: str | None) -> AccountIdentification:
    """Field 25. An IBAN may be followed by its currency (ING) or preceded by a slash."""
    bare = text.lstrip("/").replace(" ", "")
    if currency is not None and bare.endswith(currency) and _IBAN.fullmatch(bare.removesuffix(currency)):
        bare = bare.removesuffix(currency)
    if _IBAN.fullmatch(bare):
        return AccountIdentification(iban=bare, currency=currency)
    return AccountIdentification(other_id=text or None, currency=currency)


def _entries(source: BinaryIO, offset: int, line: int, head: _Head, kind: str) -> Iterator[Entry]:
    """The entries of one statement: each :61: with the :86: and other fields after it."""
    current: Field | None = None
    information: list[str] = []
    begun = closed = False
    for item in fields(source, offset, line):
        if item.tag == "20":
            if begun:
                break
            begun = True
        elif item.tag == "61":
            if current is not None:
                yield _entry(current, information, head, kind)
            current, information = item, []
        elif item.tag in ("86", "NS"):
            if current is not None and not closed:
                information.append(item.text(head.encoding))
        elif item.tag[:2] in ("62", "90"):
            closed = True
    if current is not None:
        yield _entry(current, information, head, kind)


def _entry(item: Field, information: list[str], head: _Head, kind: str) -> Entry:
    first, _, supplementary = item.text(head.encoding).partition("\n")
    match = _LINE.fullmatch(first.strip())
    if match is None:
        raise Unparsable("field :61: is not a statement line (date, mark, amount, type, reference)", item.line)
    mark = match["mark"]
    reversal = mark in ("RC", "RD")
    credit_debit = "CRDT" if mark in ("C", "EC", "RD") else "DBIT"
    said = mt_information.read("\n".join(information))
    value = _date(match["value"])
    amount = _amount(match["amount"])
    bank_reference = (match["bank"] or "").strip() or None
    kind_of_entry = (match["type"] or "").strip() or None
    code = "+".join(part for part in (kind_of_entry, said.transaction_code) if part is not None)
    supplement = Supplement()
    booked = _entry_date(match["booked"], value)
    for path, text, kept in (("1", match["value"], value), ("2", match["booked"], booked), ("3", match["funds"], None)):
        if kept is None:
            supplement.add_next(f":61:/{path}", text)
    owner = mt_information.reference(match["owner"])
    of_transaction = Supplement()
    if said.customer_reference is not None and owner != said.customer_reference:
        of_transaction.add_next(":61:/7", owner)
    for path, text in said.more:
        of_transaction.add_next(path, text)
    more = [said.booking_text or "", *(line.strip() for line in supplementary.split("\n"))]
    return Entry(
        statement_id=head.reference,
        amount=amount,
        currency=head.currency,
        credit_debit=credit_debit,
        reversal=reversal,
        status="BOOK" if kind == "MT940" else ("PDNG" if mark in ("EC", "ED") else None),
        booking_date=_iso(booked),
        value_date=_iso(value),
        account_servicer_reference=mt_information.reference(bank_reference),
        bank_transaction_code=code or None,
        transactions=(
            EntryTransaction(
                end_to_end_id=said.end_to_end_id,
                amount=amount,
                currency=head.currency,
                credit_debit=credit_debit,
                counterparty_name=said.counterparty_name,
                counterparty_account=said.counterparty_account or _lone_iban(supplementary),
                remittance_information=said.lines,
                return_reason=said.return_reason,
                account_servicer_reference=mt_information.reference(bank_reference),
                customer_reference=said.customer_reference or owner,
                counterparty_agent_bic=said.counterparty_agent_bic,
                purpose=said.purpose,
                mandate_id=said.mandate_id,
                supplementary=of_transaction.pairs(),
            ),
        ),
        supplementary=supplement.pairs(),
        additional_information=" ".join(part for part in more if part) or None,
    )


def _lone_iban(supplementary: str) -> str | None:
    text = supplementary.strip()
    return text if _IBAN.fullmatch(text) else None


def _amount(text: str) -> str:
    amount = text.replace(",", ".").removesuffix(".")
    return f"0{amount}" if amount.startswith(".") else amount


def _date(text: str) -> date | None:
    year = int(text[:2])
    return _day(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[4:6]))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _entry_date(text: str | None, value: date | None) -> date | None:
    """The entry date of :61:, MMDD, in the year that brings it nearest to the value date."""
    if text is None or not text.strip():
        return None
    if value is None:
        return None
    around = (_day(value.year + step, int(text[:2]), int(text[2:])) for step in (0, -1, 1))
    return min((day for day in around if day is not None), key=lambda day: abs((day - value).days), default=None)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _creation(text: str) -> str | None:
    """Field 13D, "2411231730+0100": when the report was made."""
    match = re.fullmatch(r"(\d{6})(\d{2})(\d{2})(?:([+-])(\d{2})(\d{2}))?", text)
    day = None if match is None else _date(match[1])
    if match is None or day is None:
        return None
    offset = f"{match[4]}{match[5]}:{match[6]}" if match[4] else ""
    return f"{day.isoformat()}T{match[2]}:{match[3]}:00{offset}"
