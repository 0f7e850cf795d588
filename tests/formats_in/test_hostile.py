"""Files made to hurt: each is refused as Unparsable, quickly, in little memory, with the line where it can be told."""

import io
import tracemalloc

import pytest

from formats.errors import Unparsable
from formats.reader import parse
from formats.shapes import NOT_KEPT, SUPPLEMENTARY_CHARACTERS_MAX, SUPPLEMENTARY_MAX
from formats.xml import PART_BYTES_MAX

HEAD = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>'
TAIL = b"</CstmrPmtStsRpt></Document>"
BOMB = b"<!DOCTYPE d [<!ENTITY a0 'ha'>%s]>\n" % b"".join(
    b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 12)
)


def refused(data: bytes) -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        list(parse(io.BytesIO(data)))
    return caught.value


def test_a_dtd_is_refused_by_name_though_it_declares_nothing():
    error = refused(b'<?xml version="1.0"?>\n\n<!DOCTYPE Document>\n' + HEAD + TAIL)
    assert "DTD" in error.problem
    assert error.line == 3


@pytest.mark.parametrize(
    "doctype",
    [
        BOMB,
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p.dtd"> %p;]>',
        b'<!DOCTYPE d PUBLIC "-//X" "http://127.0.0.1:9/x.dtd">',
    ],
)
def test_entity_bombs_and_external_references_never_get_past_the_doctype(doctype):
    assert "DTD" in refused(doctype + HEAD + b"<GrpHdr><MsgId>&x;&a11;</MsgId></GrpHdr>" + TAIL).problem


def test_a_doctype_in_another_encoding_is_a_doctype_all_the_same():
    text = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE d>' + (HEAD + TAIL).decode()
    assert "DTD" in refused(text.encode("utf-16")).problem


def test_an_entity_nobody_declared():
    assert "not well-formed" in refused(HEAD + b"\n<GrpHdr><MsgId>&x;</MsgId></GrpHdr>" + TAIL).problem


@pytest.mark.parametrize("before", [b"", HEAD])
def test_ten_thousand_levels(before):
    error = refused(before + b"<a>" * 10_000)
    assert (error.line, error.problem) == (1, "elements are nested more than 256 deep")


@pytest.mark.parametrize(
    "part",
    [
        b"<a>" + b"x" * (PART_BYTES_MAX + 2**20) + b"</a>",
        b"<a b='" + b"x" * (PART_BYTES_MAX + 2**20) + b"'/>",
        b"<a/>" * (PART_BYTES_MAX // 4 + 2**18),
        b"<!--" + b"x" * (PART_BYTES_MAX + 2**20) + b"-->",
        b"<" + b"x" * (PART_BYTES_MAX + 2**20),
        b"<a " + b" ".join(b"b%d='1'" % i for i in range(400_000)) + b"/>",
    ],
    ids=["text", "attribute", "elements", "comment", "name", "attributes"],
)
@pytest.mark.parametrize("where", ["before the message", "inside the message"])
def test_one_part_without_end(part, where):
    refused(b"<all>" + part if where == "before the message" else HEAD + part + TAIL)


def test_a_file_of_blanks_and_a_file_of_one_endless_line_are_given_up_soon(repeated):
    for unit in (b" ", b"<", b"x", b":20:"):
        endless = repeated(b"", unit, 10**9, b"")
        with pytest.raises(Unparsable):
            list(parse(endless))


@pytest.mark.parametrize(
    ("declaration", "encoding", "word"),
    [
        ("UTF-16", "utf-8", "otherwise"),
        ("UTF-7", "utf-8", "not read"),
        ("EBCDIC-CP-US", "utf-8", "EBCDIC"),
        ("rot13", "utf-8", "rot13"),
        ("base64", "utf-8", "base64"),
        ("no-such-thing", "utf-8", "unknown"),
        ("UTF-32", "utf-32", "UTF-32"),
    ],
)
def test_encodings_that_lie_or_hide(declaration, encoding, word):
    text = f'<?xml version="1.0" encoding="{declaration}"?>' + (HEAD + TAIL).decode()
    assert word in refused(text.encode(encoding)).problem


def test_bytes_that_are_not_in_the_declared_encoding():
    assert refused(HEAD + b"<GrpHdr><MsgId>\xff\xfe</MsgId></GrpHdr>" + TAIL).line == 1
    declared = b'<?xml version="1.0" encoding="us-ascii"?>\n'
    assert "encoding" in refused(declared + HEAD + b"<GrpHdr><MsgId>\xe9</MsgId></GrpHdr>" + TAIL).problem


@pytest.mark.parametrize(
    "name", ["camt053.xml", "pain002_levels.xml", "pacs004.xml", "pain001.xml", "camt029.xml", "camt054_first_generation.xml"]
)
def test_a_file_cut_anywhere_is_refused(sample, name):
    data = sample(name).rstrip()
    for length in [*range(0, len(data), 47), len(data) - 1]:
        error = refused(data[:length])
        assert error.line is None or 1 <= error.line <= data[:length].count(b"\n") + 1


def test_a_statement_cut_before_its_closing_balance_is_refused(sample):
    data = sample("mt940_german.sta")
    for length in range(0, data.index(b":62F:C261230EUR"), 13):
        refused(data[:length])


def test_a_swift_block_cut_anywhere_is_refused(sample):
    data = sample("mt940_coded.sta")
    data = data[: data.index(b"-}")]
    for length in range(0, len(data), 13):
        refused(data[:length])


def test_what_hostile_markup_costs_is_bounded():
    tracemalloc.start()
    refused(HEAD + b"<a b='c'/>" * 2_000_000 + TAIL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_names_without_end_between_the_entries_are_not_remembered_without_end():
    names = b"".join(
        b"<n%d/>%s" % (number, b"<Ntry><Amt>1</Amt></Ntry>" if number % 50 == 0 else b"") for number in range(120_000)
    )
    document = (
        b"<Document><BkToCstmrStmt><Stmt><Id>1</Id><Ntry><Amt>1</Amt></Ntry>%s<n1>x</n1></Stmt></BkToCstmrStmt></Document>"
        % names
    )
    source = io.BytesIO(document)
    tracemalloc.start()
    *_, last = parse(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.supplementary == ((NOT_KEPT, "1"),)
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    "part",
    [
        b"<a/>" * 400_000,
        b"<a>x</a>" * 200_000,
        b"<a b='c' d='e' f='g'/>" * 80_000,
        (b"<%s>" % (b"n" * 500)) * 200 + b"x" + (b"</%s>" % (b"n" * 500)) * 200,
        b"<a>" * 200 + b"<b>x</b>" * 100_000 + b"</a>" * 200,
        b"x<a/>" * 300_000,
    ],
    ids=["elements", "texts", "attributes", "long names", "deep", "mixed"],
)
@pytest.mark.parametrize("where", ["<Ntry><Amt>1</Amt>{}</Ntry>", "{}<Ntry><Amt>1</Amt></Ntry>", "<Ntry><Amt>1</Amt></Ntry>{}"])
def test_what_nobody_has_a_field_for_is_kept_within_its_bound(part, where):
    before, after = where.encode().split(b"{}")
    document = b"<Document><BkToCstmrStmt><Stmt>%s%s%s</Stmt></BkToCstmrStmt></Document>" % (before, part, after)
    for record in parse(io.BytesIO(document)):
        kept = record.supplementary
        assert len(kept) <= SUPPLEMENTARY_MAX + 1
        assert sum(len(path) + len(value) for path, value in kept) <= SUPPLEMENTARY_CHARACTERS_MAX + 100
        assert len({path for path, _ in kept}) == len(kept)


@pytest.mark.parametrize("place", ["<Ntry><Amt>1</Amt>{}</Ntry>", "{}<Ntry><Amt>1</Amt></Ntry>", "<Ntry><Amt>1</Amt></Ntry>{}"])
def test_an_attribute_flood_is_refused_by_name_before_it_costs_time(place):
    flood = "<a {}/>".format(" ".join(f"b{number}='1'" for number in range(100_000)))
    document = f"<Document><BkToCstmrStmt><Stmt>{place.format(flood)}</Stmt></BkToCstmrStmt></Document>"
    assert "more than 256 attributes" in refused(document.encode()).problem
