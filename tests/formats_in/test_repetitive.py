"""Large camt files are read by plans, and what comes out is what the plain reader gives: the same records or the same refusal."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from formats import camt_plan, camt_repetitive
from formats.camt_plan import Plan
from formats.camt_repetitive import Tally
from formats.errors import Unparsable
from formats.reader import parse
from formats.report import Entry, Statement
from tests.formats_in.repetitive_documents import OTHER, OWN, STATEMENT, document, entry, outcome, reading, same


def entries_of(data: bytes) -> list[Entry]:
    return [record for record in parse(io.BytesIO(data)) if isinstance(record, Entry)]


# -- it is taken, and it is right ------------------------------------------------------------------------------------------


def test_a_large_file_of_like_entries_is_read_by_one_plan():
    data = document(*(entry(number) for number in range(1, 1001)))
    tally = Tally()
    with patch.object(camt_repetitive, "records", partial(camt_repetitive.records, tally=tally)):
        told = list(parse(io.BytesIO(data)))
    assert tally == Tally(by_plan=999, by_text=1, plainly=0, plans=1, given_up=False)
    assert [record.kind for record in told[:3]] == ["document", "statement", "entry"]
    assert told[1].entry_count == 1000
    last = told[-1]
    assert (last.amount, last.account_servicer_reference) == ("1000.50", "R1000")
    assert last.transactions[0].counterparty_name == "Supplier 1000"
    assert last.transactions[0].remittance_information == ("Invoice 1000",)
    assert last.bank_transaction_code == "PMNT-ICDT-ESCT"


def test_a_small_file_is_left_to_the_plain_reader():
    data = document(*(entry(number) for number in range(1, 20)))
    tally = Tally()
    with patch.object(camt_repetitive, "records", partial(camt_repetitive.records, tally=tally)):
        assert len(list(parse(io.BytesIO(data)))) == 21
    assert tally == Tally(given_up=True)


def test_records_made_by_a_plan_are_ordinary_frozen_records():
    data = document(*(entry(number) for number in range(1, 6)))
    with reading(plans=True) as tally:
        record = entries_of(data)[-1]
    assert tally.by_plan == 4
    assert type(record) is Entry
    assert hash(record) == hash(replace(record))
    assert repr(record) == repr(replace(record))
    with pytest.raises(AttributeError):
        record.amount = "0"  # type: ignore[misc]


def test_directions_and_own_accounts_have_plans_of_their_own():
    credit = [
        entry(n, direction="CRDT", debtor=f"Payer {n}", debtor_account=f"{OTHER}{n}", creditor_account=OWN) for n in range(5)
    ]
    debit = [entry(n) for n in range(5)]
    both_own = [entry(n, creditor_account=OWN) for n in range(5)]
    tally = same(document(*(one for each in zip(credit, debit, both_own, strict=True) for one in each)))
    assert (tally.by_plan, tally.plans) == (12, 3)


def test_an_own_account_with_blanks_around_it_is_still_the_own_one():
    """A no-break space before it is not told; a pattern once took such an account for another's."""
    padded = [entry(n, creditor_account=f"\u00a0{OTHER} ", debtor="", direction="CRDT") for n in range(5)]
    tally = same(document(*padded, entry(6, creditor_account=f"\u00a0{OWN} ", debtor="", direction="CRDT")))
    assert tally.by_plan == 4


def test_each_statement_has_its_own_account_and_its_own_plans():
    second = STATEMENT.replace(OWN, OTHER).replace("<Id>S<", "<Id>T<")
    like = [entry(n, creditor_account=OTHER, debtor="D") for n in range(9)]
    data = document(*like, "<TxsSummry/></Stmt>", second, *like[:5])
    tally = same(data)
    assert tally.by_plan == 8 + 4
    with reading(plans=True):
        told = list(parse(io.BytesIO(data)))
    assert [record.entry_count for record in told if isinstance(record, Statement)] == [9, 5]
    assert {record.statement_id for record in told[11:] if isinstance(record, Entry)} == {"T"}


def test_an_element_between_entries_does_not_part_their_statement():
    balance = '<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1</Amt></Bal>'
    tally = same(document(*(entry(n) for n in range(4)), balance, *(entry(n) for n in range(4)), balance))
    assert (tally.by_plan, tally.given_up) == (7, False)


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16"])
def test_any_encoding_that_is_read_is_read_alike(encoding):
    text = document(*(entry(n, text="Überweisung") for n in range(9))).decode().replace("UTF-8", encoding)
    tally = same(text.encode(encoding))
    assert tally.by_plan == 8


@pytest.mark.parametrize(
    ("change", "by_plan"),
    [
        (lambda text: text.replace("\n", "\r\n"), 8),
        (lambda text: text.replace("\n", "\r"), 8),
        (lambda text: re.sub(r">\s+<", "><", text), 8),
        (lambda text: text.replace("Invoice 5", "A &amp; B &lt;5&gt; &quot;&apos;"), 8),
        (lambda text: text.replace("Invoice ", "Invoice > "), 0),
        (lambda text: text.replace("Invoice ", "Rechnung Nr\u00a0"), 8),
        (lambda text: re.sub(r"(Invoice \d)", "\\1  ", text), 8),
        (lambda text: re.sub(r"(Invoice \d)", "\\1\u00a0", text), 8),
        (lambda text: re.sub(r"(Invoice \d)", "\\1 ", text).replace("Invoice 5 ", "\u00a0").replace(">We<", ">We <"), 7),
        (lambda text: re.sub(r"(Invoice \d)", "\\1 ", text).replace("Invoice 5 ", "&amp;"), 8),
        (lambda text: re.sub(r"(Invoice \d)", " \\1", text), 0),
        (lambda text: text.replace("Invoice 5", "&#73;nvoice 5"), 7),
        (lambda text: text.replace("Invoice 5", "two\nlines"), 7),
        (lambda text: text.replace("Invoice 5", ""), 7),
        (lambda text: text.replace("Invoice 5", "\u00a0"), 7),
        (lambda text: text.replace("Invoice 5", OWN), 8),
        (lambda text: text.replace("<AcctSvcrRef>R5</AcctSvcrRef>", "<AcctSvcrRef/>"), 7),
        (lambda text: text.replace("<Amt Ccy", "<Amt  Ccy"), 8),
        (lambda text: text.replace("<Ntry>", "<!-- head --><Ntry>", 1), 8),
        (lambda text: text.replace(' encoding="UTF-8"', ""), 8),
    ],
)
def test_what_banks_do_to_texts_and_layout(change: Callable[[str], str], by_plan: int):
    tally = same(change(document(*(entry(n) for n in range(1, 10))).decode()).encode())
    assert (tally.by_plan, tally.given_up) == (by_plan, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<Sts>", "<!-- </Ntry> --><Sts>", 1),
        lambda text: text.replace("Invoice 5", "<!-- no -->Invoice 5"),
        lambda text: text.replace("Invoice 5", "<![CDATA[<Ntry>]]>Invoice 5"),
        lambda text: text.replace("Invoice 5", "<?a b?>5"),
        lambda text: text.replace("Invoice 5", "&nbsp;"),
        lambda text: text.replace("Invoice 5", "]]>"),
        lambda text: text.replace("Invoice 5", "\x01"),
        lambda text: text.replace("Invoice 5", "\x00"),
        lambda text: text.replace("Invoice 5", "\ufffe"),
        lambda text: text.replace("Invoice 5</Ustrd>", "Invoice 5</Ustrt>"),
        lambda text: text.replace("Invoice 5", "<Ntry>Invoice</Ntry>"),
        lambda text: text.replace("Invoice 5", "<Ntry >Invoice</Ntry >"),
        lambda text: text.replace("Invoice 5", "<b:Ntry xmlns:b='u'/>"),
        lambda text: text.replace("Invoice 5", "<b:c/>"),
        lambda text: text.replace(">5.50<", ">5,50<"),
        lambda text: text.replace(">5.50<", ">-5.50<"),
        lambda text: text.replace('<Amt Ccy="EUR">5.50</Amt><CdtDbtInd>', "<CdtDbtInd>"),
        lambda text: text.replace("<NtryRef>5", "</Ntry><NtryRef>5"),
        lambda text: text.replace("</IBAN>", "</IBAM>", 1),
        lambda text: text.replace("<Stmt>", "<!DOCTYPE a><Stmt>", 1),
        lambda text: text.replace("<Document", "<!DOCTYPE a><Document", 1),
        lambda text: text.replace("<Document", '<!DOCTYPE a [<!ENTITY nbsp "x">]><Document', 1),
        lambda text: text.replace("?>", "?><!-- <Ntry></Ntry> -->", 1),
        lambda text: text[: text.index("Invoice 7")],
        lambda text: text[: text.index("</Stmt>")],
        lambda text: text[: text.index("</Document>")],
        lambda text: text + "<more/>",
        lambda text: text + text,
        lambda text: text.replace("1.0", "1.1"),
        lambda text: text.replace("<Stmt>", "<Stmt></Stmt>"),
        lambda text: text.replace("<Stmt>", "<a>").replace("</Stmt>", "</a>"),
        lambda text: text.replace("<Ntry>", "<Ntry a='b'>", 1),
        lambda text: text.replace("<Ntry>", "<Ntry a='b'>"),
        lambda text: re.sub(r"<(/?)([A-Z])", r"<\1b:\2", text).replace("xmlns=", "xmlns:b="),
        lambda text: text.replace("<Ntry>", "x<Ntry>"),
        lambda text: text.replace("Invoice 5", "x" * 1_100_000),
        lambda text: text.replace("Invoice 5", "x" * 3_000_000),
        lambda text: text.replace("<Id>S</Id>", f"<Id>{'x' * 600_000}</Id>"),
    ],
)
def test_awkward_documents(change: Callable[[str], str]):
    same(change(document(*(entry(n) for n in range(1, 10))).decode()).encode())


def test_bytes_that_are_no_utf8():
    data = document(*(entry(n) for n in range(1, 10)))
    for wrong in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"):
        assert isinstance(outcome(data.replace(b"Invoice 5", wrong), plans=True)[0], tuple)
        same(data.replace(b"Invoice 5", wrong))


def test_a_fault_far_down_is_told_after_the_records_before_it_and_with_its_line():
    good = [entry(n) for n in range(1, 2001)]
    data = document(*good, entry(7, amount="seven"), *good)
    records, refused = [], None
    with reading(plans=True) as tally:
        try:
            records.extend(iter(parse(io.BytesIO(data))))
        except Unparsable as error:
            refused = error
    assert refused is not None
    assert refused.line == data[: data.index(b">seven<")].count(b"\n") + 1
    assert tally.given_up
    assert len(records) == 2002


# -- many shapes -----------------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_come_again_are_read_without_a_plan():
    entries = [entry(n, text="</Ustrd><Ustrd>".join(["x"] * (n % 90 + 1))) for n in range(90)]
    tally = same(document(*entries))
    assert tally == Tally(by_plan=0, by_text=90, plans=0)


def test_after_a_stretch_of_ever_new_shapes_plans_are_used_again():
    strange = [entry(n, text="</Ustrd><Ustrd>".join(["x"] * (n + 2))) for n in range(40)]
    with patch.object(camt_repetitive, "_READ_BYTES", 8_000):
        tally = same(document(*strange, *(entry(n) for n in range(300))))
    assert not tally.given_up
    assert 100 < tally.by_plan < 300


def test_plans_are_bounded_in_number():
    entries = [entry(n, text="</Ustrd><Ustrd>".join(["x"] * (n % 9 + 1))) for n in range(90)]
    with patch.object(camt_repetitive, "_PLANS_MAX", 4):
        tally = same(document(*entries))
    assert tally.plans == 4
    assert tally.by_plan == 4 * 9


def test_shapes_are_bounded_in_number_and_plans_outlive_the_bound():
    entries = [entry(n, text="</Ustrd><Ustrd>".join(["x"] * (n if n % 2 else 1))) for n in range(60)]
    with patch.object(camt_repetitive, "_SHAPES_CHARACTERS_MAX", 3000):
        tally = same(document(*entries))
    assert (tally.by_plan, tally.plans) == (30, 1)  # thirty even numbers and the one; the first of them was read plainly


def test_files_of_the_corpus_and_the_same_with_every_entry_thrice(corpus: Path):
    by_plan = files = 0
    for path in sorted(corpus.glob("camt.05[234]/*")):
        data = path.read_bytes()
        for one in (data, re.sub(rb"(?s)<Ntry>.*?</Ntry>", lambda match: match[0] * 3, data)):
            tally = same(one)
            by_plan += tally.by_plan
        files += 1
    assert files > 20
    assert by_plan > 200


# -- control: a wrong plan is found -----------------------------------------------------------------------------------------


def _reversed(plan: Plan) -> Plan:
    kind, twin, pick = plan.steps[-1]
    return replace(plan, steps=(*plan.steps[:-1], (kind, twin, lambda values: pick([*reversed(values[:-1]), values[-1]]))))


def test_a_plan_that_puts_texts_in_wrong_places_is_found():
    data = document(*(entry(n) for n in range(1, 6)))
    right = camt_repetitive.learn
    with patch.object(camt_repetitive, "learn", lambda *given: _reversed(right(*given))), pytest.raises(AssertionError):
        same(data)


@pytest.mark.parametrize(
    ("what", "wrong", "last"),
    [
        ("ACCOUNTS", frozenset(), entry(9, creditor_account=OWN)),
        ("_NUMBER", camt_plan._TEXT, entry(9, amount="nine")),
        ("_TEXT", "([^<]*)", entry(9, text=" a ")),
    ],
)
def test_a_plan_that_takes_what_it_must_not_is_found(what, wrong, last):
    data = document(*(entry(n) for n in range(1, 6)), last)
    same(data)
    camt_plan._kind.cache_clear()
    with patch.object(camt_plan, what, wrong), pytest.raises(AssertionError):
        same(data)
    camt_plan._kind.cache_clear()


def test_a_reader_that_looks_at_a_text_leaves_no_plan():
    """Were the reader to make a difference by a text or by two that are equal, its entries would be read plainly, not wrongly."""

    def looking(change: Callable[[Entry], Entry]) -> Tally:
        plainly = camt_repetitive._EntryReader._read

        def read(self: camt_repetitive._EntryReader, entries: str) -> list[Entry]:
            return [change(record) for record in plainly(self, entries)]

        with patch.object(camt_repetitive._EntryReader, "_read", read), reading(plans=True) as tally:
            list(parse(io.BytesIO(document(*(entry(n) for n in range(1, 6))))))
        return tally

    def same_amount(record: Entry) -> Entry:
        twice = record.transactions[0].amount == record.amount
        return replace(record, status="same") if twice else record

    assert looking(lambda record: record).plans == 1
    assert looking(same_amount).plans == 0
    assert looking(lambda record: replace(record, booking_date=(record.booking_date or "")[:10])).plans == 0
    assert looking(lambda record: replace(record, account_servicer_reference=record.amount + "x")).plans == 0
