"""Nothing that a bank wrote is dropped: every text and attribute of a message is in some record, in a field or with its path."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from formats.errors import Unparsable
from formats.reader import parse
from formats.report import Document, Entry, Remainder, ReportRecord, Statement, as_json
from formats.shapes import NOT_KEPT, SUPPLEMENTARY_CHARACTERS_MAX, SUPPLEMENTARY_MAX

XML = ("camt.0", "pain.001", "pain.002", "pacs.004")
CAMT = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>{}</BkToCstmrStmt></Document>'


def written(data: bytes) -> set[str]:
    """Every text and attribute inside the messages, stripped, that is not blank; by a plain walk of the tree."""
    found: set[str] = set()
    documents = list(etree.fromstring(data).iter("{*}Document")) or [etree.fromstring(data)]
    for document in documents:
        for element in document.iter(etree.Element):
            found |= {text.strip() for text in (element.text or "", *(child.tail or "" for child in element))}
            found |= {value.strip() for value in element.attrib.values()}
    return found - {""}


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str):
        yield value


def told(records: list[ReportRecord]) -> set[str]:
    """Every text of the records, and those that are several texts of the message put together in their parts, too."""
    found = {text for record in records for text in leaves(as_json(record, ""))}
    return found | {"true", "false", "1", "0"} if any(isinstance(record, Entry) for record in records) else found


def missing(data: bytes, records: list[ReportRecord]) -> set[str]:
    said = told(records)
    joined = [text for text in said if "-" in text or " " in text]
    return {text for text in written(data) - said if not any(text in longer for longer in joined)}


def test_every_text_and_attribute_of_the_corpus_is_in_a_record(corpus):
    read = 0
    with (corpus / "INDEX.tsv").open(encoding="utf-8") as index:
        files = [row["file"] for row in csv.DictReader(index, delimiter="\t") if row["kind_version"].startswith(XML)]
    for name in files:
        data = (corpus / name).read_bytes()
        try:
            records = list(parse(io.BytesIO(data)))
        except Unparsable:
            continue
        assert missing(data, records) == set(), name
        read += 1
    assert read > 100


def test_every_text_and_attribute_of_our_samples_is_in_a_record(records, sample):
    for name in (
        "camt029.xml",
        "camt053.xml",
        "camt054_first_generation.xml",
        "pacs004.xml",
        "pain001.xml",
        "pain002_first_generation.xml",
        "pain002_levels.xml",
    ):
        data = sample(name)
        assert missing(data, records(data)) == set(), name


CODE_WORDS = frozenset(
    re.findall(
        r"\w+",
        "NONREF NOTPROVIDED KREF EREF PREF MREF SVWZ CRED OAMT CNTP REMI USTD STRD NAME TRTP PURP MARF RTRN IBAN CSID BENM ISDT",
    )
)


def words_of(tag: str, text: str) -> set[str]:
    """The words of a field, where its structure is not what they say."""
    if tag == "61":
        text = re.sub(r"^\d{6}(\d{4}| {4})?(R?[CD]|E[CD])[A-Z]?[\d,]+ ?[A-Z].{3}", "", text)
    if tag == "86":
        structured = re.match(r"\s*\d{3}([?>~<&^@])\d\d", text.replace("\n", ""))
        if structured:
            text = re.sub(rf"{re.escape(structured[1])}\d\d", " ", text.replace("\n", ""))
        elif re.match(r"/[A-Z]{4,8}/", text):
            text = text.replace("\n", "")
    return set(re.findall(r"[^\W_]{4,}", text))


def unsaid(data: str, records: list[ReportRecord]) -> set[str]:
    """The words of an MT's references and free texts that no record holds, blanks and the breaking of lines aside."""
    said = "\n".join(re.sub(r"\s", "", text) for record in records for text in leaves(as_json(record, "")))
    currencies = "|".join({record.account.currency or "-" for record in records if isinstance(record, Statement)})
    words: set[str] = set()
    for tag, text in re.findall(r"(?ms)^:(\d\d[A-Z]?):(.*?)(?=^:\d\d[A-Z]?:|^-|^\{|\Z)", data.replace("\r", "")):
        if tag in ("20", "21", "28", "28C", "61", "86", "90C", "90D", "34F"):
            words |= words_of(tag, text)
        elif tag == "25":
            words |= words_of(tag, re.sub(rf"(?:{currencies})\s*$", "", text))
    return {word for word in words - CODE_WORDS if word not in said}


def test_every_word_of_every_mt_field_of_the_corpus_is_in_a_record(corpus):
    read = 0
    with (corpus / "INDEX.tsv").open(encoding="utf-8") as index:
        files = [
            row["file"] for row in csv.DictReader(index, delimiter="\t") if row["kind_version"].startswith(("MT940", "MT942"))
        ]
    for name in files:
        data = (corpus / name).read_bytes()
        try:
            records = list(parse(io.BytesIO(data), strict=False))
        except Unparsable:
            continue
        lost = [unsaid(data.decode(encoding, "replace"), records) for encoding in ("utf-8", "iso8859-1")]
        assert set() in lost, (name, lost)
        read += 1
    assert read > 40


# Documents of any shape, in which no two texts are the same. The names are those that readers know and some that nobody does.
NAMES = re.findall(
    r"\w+",
    """
    Amt CdtDbtInd Sts Cd Prtry BookgDt ValDt Dt DtTm AcctSvcrRef BkTxCd Domn Fmly SubFmlyCd Btch MsgId
    PmtInfId NtryDtls Refs EndToEndId AmtDtls InstdAmt TxAmt CcyXchg RltdPties Dbtr Cdtr UltmtDbtr Nm Pty
    DbtrAcct Id IBAN Othr RltdAgts CdtrAgt FinInstnId BICFI RmtInf Ustrd Strd CdtrRefInf Ref RtrInf Rsn
    AddtlInf Chrgs Rcrd Tp Purp Avlbty RvslInd NtryRef AddtlNtryInf AddtlTxInf StsRsnInf CxlStsRsnInf
    RslvdCase OrgnlInstdAmt Orgtr OrgnlTxRef TxSts OrgnlEndToEndId Unheard Of Bal Acct Ccy RltdAcct FrToDt
    StmtPgntn PgNb CdOrPrtry RfrdDocInf Nb RfrdDocAmt RmtdAmt SplmtryData Envlp
    """,
)
TREES = st.recursive(
    st.tuples(st.sampled_from(NAMES), st.booleans(), st.just(())),
    lambda below: st.tuples(st.sampled_from(NAMES), st.booleans(), st.lists(below, max_size=5).map(tuple)),
    max_leaves=25,
)


class Numbered:
    """Writes trees as XML, each text and attribute another one."""

    def __init__(self) -> None:
        self.count = 0

    def value(self) -> str:
        self.count += 1
        return f"v{self.count}v"

    def xml(self, tree: Any) -> str:
        name, attribute, below = tree
        begin = f"<{name} Ccy='{self.value()}'>" if attribute else f"<{name}>"
        # Text stands before, between and after the elements: no schema allows the latter two, and no text is lost for it.
        inside = "".join(self.value() + self.xml(item) for item in below) + self.value()
        return f"{begin}{inside}</{name}>"


PLACES = {
    "entry": CAMT.format("<GrpHdr/><Stmt><Id>1</Id><Ntry><Amt>1</Amt>{}</Ntry></Stmt>"),
    "transaction": CAMT.format("<Stmt><Ntry><Amt>1</Amt><NtryDtls><TxDtls>{}</TxDtls></NtryDtls></Ntry></Stmt>"),
    "many transactions": CAMT.format(
        "<Stmt><Ntry><Amt>1</Amt>" + ("<NtryDtls>" + "<TxDtls/>" * 20 + "{}</NtryDtls>") * 2 + "</Ntry></Stmt>"
    ),
    "detail blocks": CAMT.format(
        "<Stmt><Ntry><Amt>1</Amt><Btch><MsgId>A</MsgId></Btch>{}<NtryDtls><Btch><MsgId>B</MsgId>{}</Btch></NtryDtls>"
        "<NtryDtls><Btch><PmtInfId>C</PmtInfId>{}</Btch>{}</NtryDtls></Ntry></Stmt>"
    ),
    "statement": CAMT.format("<Stmt>{}<Ntry><Amt>1</Amt></Ntry>{}<Ntry><Amt>1</Amt></Ntry>{}</Stmt><Stmt>{}</Stmt>"),
    "message": CAMT.format("{}<GrpHdr>{}</GrpHdr>{}<Stmt/>{}<Stmt/>{}"),
    "no header": CAMT.format("{}<Stmt/>"),
    "status": "<Document><CstmrPmtStsRpt><GrpHdr/><OrgnlGrpInfAndSts>{}</OrgnlGrpInfAndSts>{}<OrgnlPmtInfAndSts>{}"
    "<TxInfAndSts>{}</TxInfAndSts>{}<TxInfAndSts/>{}</OrgnlPmtInfAndSts>{}</CstmrPmtStsRpt></Document>",
    "order": "<Document><CstmrCdtTrfInitn>{}<PmtInf>{}<CdtTrfTxInf>{}</CdtTrfTxInf>{}</PmtInf>{}<PmtInf>{}</PmtInf>"
    "</CstmrCdtTrfInitn></Document>",
    "cancellation": "<Document><RsltnOfInvstgtn>{}<CxlDtls>{}<OrgnlGrpInfAndSts>{}</OrgnlGrpInfAndSts>{}<OrgnlPmtInfAndSts>{}"
    "<TxInfAndSts>{}</TxInfAndSts>{}<TxInfAndSts/>{}</OrgnlPmtInfAndSts>{}</CxlDtls>{}</RsltnOfInvstgtn></Document>",
    "return": "<Document><PmtRtr><GrpHdr>{}</GrpHdr><OrgnlGrpInf>{}</OrgnlGrpInf><TxInf>{}</TxInf>{}</PmtRtr></Document>",
}


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_stands_wherever_is_told_and_under_a_path_of_its_own(place, data):
    numbered = Numbered()
    text = re.sub(
        r"\{\}", lambda _: "".join(numbered.xml(tree) for tree in data.draw(st.lists(TREES, max_size=3))), PLACES[place]
    )
    records = list(parse(io.BytesIO(text.encode())))
    assert missing(text.encode(), records) == set()
    for record in records:
        for holder in (record, *getattr(record, "transactions", ())):
            paths = [path for path, _ in holder.supplementary]
            assert len(paths) == len(set(paths))


def test_a_path_leads_to_its_text_with_an_index_on_each_repeat(records):
    entry = (
        "<Ntry Kind='k'><NtryRef>R</NtryRef><Amt Ccy='EUR' x='y'>1</Amt><NtryDtls><Btch><MsgId>B</MsgId></Btch></NtryDtls>"
        "<NtryDtls><Btch><MsgId>C</MsgId><TtlAmt Ccy='EUR'>5</TtlAmt></Btch><TxDtls><Refs><Prtry><Tp>T</Tp></Prtry><Prtry>"
        "<Tp>U</Tp></Prtry></Refs><RltdPties><Cdtr><Nm>First</Nm><Nm>Second</Nm></Cdtr></RltdPties></TxDtls></NtryDtls></Ntry>"
    )
    (*_, told) = records(CAMT.format(f"<Stmt>{entry}</Stmt>").encode())
    assert told.supplementary == (
        ("@Kind", "k"),
        ("Amt@x", "y"),
        ("NtryDtls[2]/Btch/MsgId", "C"),
        ("NtryDtls[2]/Btch/TtlAmt", "5"),
        ("NtryDtls[2]/Btch/TtlAmt@Ccy", "EUR"),
    )
    assert told.transactions[0].supplementary == (
        ("Refs/Prtry/Tp", "T"),
        ("Refs/Prtry[2]/Tp", "U"),
        ("RltdPties/Cdtr/Nm[2]", "Second"),
    )
    assert as_json(told, "f")["transactions"][0]["supplementary"]["RltdPties/Cdtr/Nm[2]"] == "Second"


def test_what_follows_a_statements_entries_is_told_with_it_or_after_it(records):
    told = records(
        CAMT.format(
            "<Stmt><Id>1</Id><Ntry><Amt>1</Amt></Ntry><AddtlStmtInf>Call us</AddtlStmtInf><Late>x</Late></Stmt>"
            "<SplmtryData>s</SplmtryData>"
        ).encode()
    )
    assert next(record for record in told if isinstance(record, Statement)).additional_information == "Call us"
    assert told[-2:] == [
        Remainder(of="statement", of_id="1", supplementary=(("Late", "x"),)),
        Remainder(of="document", of_id=None, supplementary=(("SplmtryData", "s"),)),
    ]


def test_a_record_says_how_much_is_beyond_its_bound(records):
    many = "".join(f"<X>{number}</X>" for number in range(SUPPLEMENTARY_MAX + 7))
    (*_, entry) = records(CAMT.format(f"<Stmt><Ntry><Amt>1</Amt>{many}</Ntry></Stmt>").encode())
    assert len(entry.supplementary) == SUPPLEMENTARY_MAX + 1
    assert entry.supplementary[-1] == (NOT_KEPT, "7")
    deep = "".join(f"<{'n' * 300}{number}>" for number in range(9))
    closing = "".join(f"</{'n' * 300}{number}>" for number in reversed(range(9)))
    (*_, entry) = records(CAMT.format(f"<Stmt><Ntry><Amt>1</Amt>{deep}x{closing}</Ntry></Stmt>").encode())
    assert entry.supplementary == ((NOT_KEPT, "1"),)


def test_an_entry_read_in_pieces_keeps_no_more_than_its_bound(records):
    block = f"<NtryDtls><Btch><Note>{'x' * 20_000}</Note></Btch>{'<TxDtls/>' * 16}</NtryDtls>"
    (*_, entry) = records(CAMT.format(f"<Stmt><Ntry><Amt>1</Amt>{block * 300}</Ntry></Stmt>").encode())
    assert len(entry.transactions) == 4_800
    assert sum(len(path) + len(value) for path, value in entry.supplementary) <= SUPPLEMENTARY_CHARACTERS_MAX + 100
    assert entry.supplementary[-1][0] == NOT_KEPT


def test_the_attributes_of_the_document_and_the_business_header_belong_to_the_document(records):
    told = records(
        b"<Envelope><AppHdr><Fr><FIId><FinInstnId><BICFI>BANKDEFF</BICFI></FinInstnId></FIId></Fr><BizMsgIdr>1</BizMsgIdr></AppHdr>"
        b"<Document lang='de'><BkToCstmrStmt v='1'><GrpHdr><MsgId>M</MsgId><MsgRcpt><Nm>We</Nm></MsgRcpt></GrpHdr><Stmt/>"
        b"</BkToCstmrStmt></Document></Envelope>"
    )
    assert told[0] == Document(
        message="camt.053",
        message_id="M",
        supplementary=(
            ("AppHdr/Fr/FIId/FinInstnId/BICFI", "BANKDEFF"),
            ("AppHdr/BizMsgIdr", "1"),
            ("Document@lang", "de"),
            ("@v", "1"),
            ("GrpHdr/MsgRcpt/Nm", "We"),
        ),
    )
