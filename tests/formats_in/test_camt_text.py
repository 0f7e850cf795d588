"""Entries read from their text are read as from a tree, or left to it."""

import io
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import camt_repetitive, shapes_text
from formats.camt_repetitive import Tally
from formats.camt_text import Texts
from formats.reader import parse
from tests.formats_in.repetitive_documents import OTHER, document, entry, outcome, plainly, same
from tests.formats_in.test_complete import NAMES, TREES

AMOUNT = '<Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'


def by_text(content: str, *, tag: str = "Ntry") -> int:
    """How many of two entries with this content are read from their text; the records are the same either way."""
    data = document(entry(1), *(f"<{tag}>{content}</Ntry>" for _ in range(2)))
    told, tally = outcome(data, plans=False)
    assert told == plainly(data)
    assert told == outcome(data, plans=False, cut=False)[0]
    return max(tally.by_text - 1, 0) if not tally.given_up else 0


@pytest.mark.parametrize(
    "content",
    [
        AMOUNT,
        AMOUNT + "<Sts/><Sts></Sts><Sts> </Sts><Sts><Cd>BOOK</Cd></Sts>",
        "<Amt Ccy='USD' Kind=\"x\">2</Amt>" + AMOUNT,
        '<Amt Ccy=" ">1</Amt><Amt  Ccy = "EUR" />',
        AMOUNT + "<NtryRef>a &lt; b &amp; c</NtryRef>",
        AMOUNT + "<Unheard Of='1'><Of Bal='x'/><Of>1</Of><Of>2</Of><Of Bal='y'></Of></Unheard>",
        AMOUNT + "<AddtlNtryInf>two\nlines \t </AddtlNtryInf><AddtlNtryInf>a > b</AddtlNtryInf>",
        AMOUNT + "<Chrgs/><Chrgs><Amt>1</Amt></Chrgs><Chrgs><Rcrd><Amt Ccy='EUR'>2</Amt></Rcrd><Rcrd Id='3'/></Chrgs>",
        AMOUNT + "<TxDtls/><TxDtls><Refs><EndToEndId>E</EndToEndId></Refs></TxDtls>",
        AMOUNT + "<Btch><MsgId>A</MsgId></Btch><NtryDtls><Btch><MsgId>B</MsgId><TtlAmt>3</TtlAmt></Btch></NtryDtls>",
        AMOUNT + "<NtryDtls><TxDtls/></NtryDtls>" * 3 + "<NtryDtls/>",
        AMOUNT + "<NtryDtls><TxDtls><RmtInf><Ustrd>1</Ustrd><Ustrd>1</Ustrd></RmtInf></TxDtls><TxDtls/></NtryDtls>",
        "<NtryDtls><TxDtls><Amt Ccy='EUR'>2.50</Amt><CdtDbtInd>DBIT</CdtDbtInd></TxDtls></NtryDtls>",
        "<NtryDtls><TxDtls/></NtryDtls>" + AMOUNT + "<RvslInd>true</RvslInd>",
        AMOUNT + "<RvslInd>perhaps</RvslInd><Bal><Amt>1</Amt></Bal>",
    ],
)
def test_what_is_read_from_its_text_is_what_the_tree_says(content: str):
    assert by_text(content) == 2


@pytest.mark.parametrize(
    "content",
    [
        AMOUNT + "<Sts>mixed<Cd>BOOK</Cd></Sts>",
        AMOUNT + "<Sts><Cd>BOOK</Cd>mixed</Sts>",
        AMOUNT + "<Sts>1</Sts><NtryRef>2</NtryRef><Sts>3</Sts>",  # a repeat with others between: the path has an index
        AMOUNT + "<X/><Y/><X/>",
        AMOUNT + "<NtryDtls/><NtryRef>1</NtryRef><NtryDtls><Btch><MsgId>B</MsgId></Btch></NtryDtls>",
        AMOUNT + "<NtryDtls/><NtryDtls><Btch><MsgId>B</MsgId></Btch></NtryDtls>",
        AMOUNT + "<Sts xmlns='urn:x'>1</Sts>",
        AMOUNT + "<X" + "".join(f" a{number}='1'" for number in range(300)) + "/>",  # refused by name
        AMOUNT + "<NtryDtls Id='1'/>",
        AMOUNT + "<TxDtls Id='1'/>",
        AMOUNT + "<NtryDtls>text</NtryDtls>",
        AMOUNT + "<Chrgs>text</Chrgs>",
        AMOUNT + "<X Id='a &amp; b'>1</X>",
        AMOUNT + "<X Id='a\nb'>1</X>",
        AMOUNT + "<X Id='a > b'>1</X>",
        AMOUNT + "<NtryRef>&#65;</NtryRef>",
        AMOUNT + "<NtryRef>\u00a0</NtryRef>",
        AMOUNT + "<Größe>1</Größe>",
        AMOUNT + "".join(f"<X{n}>" for n in range(90)) + "1" + "".join(f"</X{n}>" for n in reversed(range(90))),
        AMOUNT + f"<{'X' * 1100}><Y>1</Y></{'X' * 1100}>",
    ],
)
def test_what_is_not_known_for_certain_is_left_to_the_tree(content: str):
    assert by_text(content) == 0


@pytest.mark.parametrize(
    "content",
    [
        AMOUNT + "<X><TxDtls/></X>",
        AMOUNT + "<X><NtryDtls><Btch><MsgId>B</MsgId></Btch></NtryDtls></X>",
        AMOUNT + "<Stmt/>",
        AMOUNT + "<X><Rpt><Id>1</Id></Rpt></X>",
        AMOUNT + "<Document/>",
        AMOUNT + "<X><GrpHdr><MsgId>1</MsgId></GrpHdr></X>",
        AMOUNT + "<BkToCstmrStmt/>",
        AMOUNT + "<X><Y></X></Y>",
        AMOUNT + "<X></Y>",
        AMOUNT + "<X Id='1' Id='2'/>",
        AMOUNT + "<X Id=1/>",
        AMOUNT + "<x:X/>",
        AMOUNT + "<X x:Id='1'/>",
        AMOUNT + "<X></X >",
        AMOUNT + "<X>]]></X>",
        AMOUNT + "<X>\x01</X>",
        AMOUNT + "<X>&nbsp;</X>",
        AMOUNT + "</X>",
        "<Amt>-1</Amt>",
        "<CdtDbtInd>CRDT</CdtDbtInd>",
    ],
)
def test_elements_out_of_place_and_broken_entries_are_judged_by_the_plain_reader(content: str):
    by_text(content)


LEAVES = st.recursive(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["", " Ccy='EUR'", " Id='1' Ccy=''"]), st.sampled_from(["", " ", "x", "2"])
    ),
    lambda below: st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "", " Id='1'"]), st.lists(below, max_size=5)),
    max_leaves=20,
)


def _xml(tree: tuple[str, str, object]) -> str:
    name, attributes, content = tree
    inside = content if isinstance(content, str) else "\n ".join(map(_xml, content))  # type: ignore[arg-type]
    return f"<{name}{attributes}>{inside}</{name}>"


@settings(max_examples=150)
@given(st.lists(st.lists(LEAVES, max_size=4), min_size=1, max_size=4))
def test_entries_of_any_elements_in_any_order(entries):
    details = "<NtryDtls><TxDtls>{}</TxDtls></NtryDtls>"
    texts = ["".join(map(_xml, trees)) for trees in entries]
    same(document(*(f"<Ntry>{AMOUNT}{text}{details.format(text)}</Ntry>" for text in texts)))


@settings(max_examples=60)
@given(st.lists(TREES, min_size=1, max_size=4))
def test_entries_with_text_beside_elements(trees):
    def xml(tree) -> str:
        name, attribute, below = tree
        return (
            f"<{name}{' Ccy=' + repr('EUR') if attribute else ''}>" + "".join("v" + xml(item) for item in below) + f"v</{name}>"
        )

    same(document(entry(1), *(f"<Ntry>{AMOUNT}{xml(tree)}</Ntry>" for tree in trees)))


def test_steps_are_bounded_and_what_is_beyond_them_is_read_from_trees():
    entries = [f"<Ntry>{AMOUNT}<X{n}>1</X{n}></Ntry>" for n in range(50)]
    with patch.object(shapes_text, "STEPS_MAX", 30):
        told, tally = outcome(document(*entries), plans=False)
    assert told == plainly(document(*entries))
    assert 10 < tally.by_text < 20
    assert tally.by_text + tally.plainly == 50


def test_a_walk_that_missed_repeats_would_be_found():
    data = document(*(f"<Ntry>{AMOUNT}<Sts>1</Sts><X>2</X><Sts>3</Sts></Ntry>" for _ in range(2)))
    same(data)
    with patch.object(shapes_text, "_no_repeats", lambda opened: None), pytest.raises(AssertionError):
        same(data)


def test_a_step_that_lost_a_text_would_be_found():
    data = document(entry(1), entry(2, creditor_account=OTHER))
    same(data)
    take = shapes_text._Leaf.take
    losing = lambda leaf, *given: None if leaf.many else take(leaf, *given)  # noqa: E731
    with patch.object(shapes_text._Leaf, "take", losing), pytest.raises(AssertionError):
        same(data)


def of_a_tree(data: bytes) -> tuple[int, int]:
    """How many entries, or their transactions, the plain reader reads from the text of their tree; how many it cannot."""
    from_text: list[bool] = []
    read = Texts.read

    def counted(texts: Texts, *given: Any) -> Any:
        told = read(texts, *given)
        from_text.append(told is not None)
        return told

    with patch.object(Texts, "read", counted):
        told = outcome(data, plans=False, cut=False)[0]
    assert told == plainly(data)
    return from_text.count(True), from_text.count(False)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: re.sub(r"<(/?)(\w)", r"<\1n:\2", text).replace("xmlns=", "xmlns:n="),
        lambda text: text.replace(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', ""),
        lambda text: text.replace("<Sts>", "<!-- <Sts> --><Sts>").replace("Supplier", "<![CDATA[Supplier]]>"),
        lambda text: text.replace("<Refs>", "<?p <Ntry> ?><Refs>").replace("Invoice", "&#73;nv&lt;oice"),
        lambda text: text.replace("<Refs>", '<Refs><X xmlns="urn:x" xmlns:y="urn:y" y:Id="1" Id="2"><y:Z>1</y:Z></X>'),
    ],
)
def test_whatever_is_legal_is_read_from_the_text_of_its_tree(change: Callable[[str], str]):
    data = change(document(*(entry(n) for n in range(5))).decode()).encode()
    assert of_a_tree(data) == (5, 0)


def test_an_entry_of_many_transactions_is_read_piece_by_piece():
    one = "<TxDtls><Refs><EndToEndId>E</EndToEndId></Refs><RmtInf><Ustrd>1</Ustrd><Ustrd>2</Ustrd></RmtInf></TxDtls>"
    odd = "<TxDtls Id='1'/><TxDtls><Sts>mixed<Cd/></Sts></TxDtls>"
    entries = [
        f"<Ntry>{AMOUNT}<NtryRef>1</NtryRef><NtryDtls>{block}</NtryDtls><NtryDtls>{one}</NtryDtls><NtryRef>2</NtryRef></Ntry>"
        for block in (one * 58 + odd, one * 20)
    ]
    data = document(*(text.replace("<NtryRef>2</NtryRef>", "") for text in entries))
    assert of_a_tree(data) == (59 + 1, 2)
    same(data)
    same(document(*entries))


def test_few_entries_of_many_transactions_are_worth_cutting():
    one = "<TxDtls><Refs><EndToEndId>E</EndToEndId></Refs></TxDtls>"
    data = document(*(f"<Ntry>{AMOUNT}<NtryDtls>{one * 1500}</NtryDtls></Ntry>" for _ in range(4)))
    tally = Tally()
    with patch.object(camt_repetitive, "records", partial(camt_repetitive.records, tally=tally)):
        told = list(parse(io.BytesIO(data)))
    assert tally.by_text == 4
    assert told == plainly(data)


def test_a_file_that_texts_cannot_tell_is_soon_read_from_trees_alone():
    entries = [f"<Ntry>{AMOUNT}<Sts>{n}<Cd>x</Cd></Sts></Ntry>" for n in range(400)]
    assert of_a_tree(document(*entries)) == (0, 65)


def test_prefixed_entries_are_cut_and_another_prefix_must_be_declared():
    def prefixed(text: str) -> str:
        return re.sub(r"<(/?)(\w)", r"<\1n:\2", text).replace("xmlns=", "xmlns:n=")

    text = prefixed(document(*(entry(n) for n in range(8)), f"<Ntry>{AMOUNT}<Sts/></Ntry>").decode())
    tally = same(text.encode())
    assert (tally.by_plan, tally.by_text, tally.given_up) == (7, 2, False)
    assert same(text.replace("<n:Sts/>", "<Sts/>").encode()).by_text == 2
    assert same(text.replace("<n:Sts/>", "<m:Sts/>").encode()).given_up
    assert same(text.replace("<n:Sts/>", "<m:Sts xmlns:m='urn:m'/>").encode()).plainly == 1
    assert same(text.replace("<n:Sts/>", "<n:Sts xmlns:n='urn:m'/>").encode()).plainly == 1
    assert same(text.replace("<n:Sts/>", "<n:Sts></m:Sts>").encode()).given_up
