"""What a file is: dispatch, envelopes, encodings, and what is refused by name."""

import io
from dataclasses import replace

import pytest

from formats.errors import Unparsable
from formats.reader import parse, sniff
from formats.report import Document
from formats.schemas import validate_inbound


def _message(namespace: str = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10", name: str = "X") -> str:
    declared = f' xmlns="{namespace}"' if namespace else ""
    return (
        f"<Document{declared}><CstmrPmtStsRpt><GrpHdr><MsgId>{name}</MsgId></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{name}</OrgnlMsgId></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>"
    )


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("urn:iso:std:iso:20022:tech:xsd:pain.002.001.03", "pain.002.001.03"),
        ("urn:iso:std:iso:20022:tech:xsd:pain.002.001.15", "pain.002.001.15"),
        ("urn:iso:std:iso:20022:tech:xsd:pain.002.003.03", "pain.002.003.03"),
        ("http://www.six-interbank-clearing.com/de/pain.002.001.03.ch.02.xsd", "pain.002.001.03.ch.02"),
        ("urn:swift:xsd:$pain.002.001.03", "pain.002.001.03"),
        ("urn:iso:std:iso:20022:tech:xsd:pain", "pain.002"),
        ("urn:somewhere", "pain.002"),
        ("urn:iso:std:iso:20022:tech:xsd:camt.053.001.08", "pain.002"),
        ("", "pain.002"),
    ],
)
def test_message_name_from_namespace_or_element(records, namespace, expected):
    data = _message(namespace).encode()
    assert sniff(io.BytesIO(data)) == expected
    told = records(data)
    assert told[0] == Document(message=expected, message_id="X")
    assert told[1].original_message_id == "X"


def test_version_from_the_schema_location_where_the_namespace_is_cut(records):
    data = _message("urn:x").replace(
        "<Document", '<Document xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="urn:x pain.002.001.03.xsd"'
    )
    assert records(data.encode())[0].message == "pain.002.001.03"


@pytest.mark.parametrize(
    "envelope",
    [
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>',
        '<BizMsg><AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><BizMsgIdr>1</BizMsgIdr></AppHdr>{}</BizMsg>',
        "<a><b><c><d>{}</d></c></b></a>",
    ],
)
def test_envelopes_are_seen_through(records, envelope):
    told = records(envelope.format(_message()).encode())
    assert replace(told[0], supplementary=()) == Document(message="pain.002.001.10", message_id="X")
    assert told[0].supplementary == ((("AppHdr/BizMsgIdr", "1"),) if "AppHdr" in envelope else ())


def test_several_documents_in_one_file(records, sample):
    both = f"<all>{_message(name='A')}{sample('camt053.xml').decode().partition('?>')[2]}{_message(name='B')}</all>"
    told = records(both.encode())
    documents = [(record.message, record.message_id) for record in told if isinstance(record, Document)]
    assert documents == [("pain.002.001.10", "A"), ("camt.053.001.08", "STMT-MSG-1"), ("pain.002.001.10", "B")]
    assert sum(record.kind == "entry" for record in told) == 3


def test_a_message_without_a_group_header_is_read(records):
    told = records(
        b"<Document><BkToCstmrStmt><Stmt><Id>1</Id><Ntry><Amt Ccy='EUR'>1</Amt></Ntry></Stmt></BkToCstmrStmt></Document>"
    )
    assert [record.kind for record in told] == ["document", "statement", "entry"]
    assert told[0] == Document(message="camt.053")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ('<?xml version="1.0" encoding="UTF-8"?>' + _message(name="é")).encode(),
        b"\n \r\n" + ('<?xml version="1.0" encoding="UTF-8"?>' + _message(name="é")).encode(),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>' + _message(name="é")).encode("iso8859-1"),
        ('<?xml version="1.0" encoding="windows-1252"?>' + _message(name="é")).encode("cp1252"),
        ('<?xml version="1.0" encoding="GB18030"?>' + _message(name="é")).encode("gb18030"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + _message(name="é")).encode("utf-16"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + _message(name="é")).encode("utf-16-be"),
        _message(name="&#233;").encode(),
        _message(name="<!-- which? --><![CDATA[é]]>").encode(),
    ],
)
def test_encodings_and_spellings_that_xml_allows(records, data):
    assert records(data)[0].message_id == "é"


def test_the_validator_is_asked_first_and_its_answer_told(sample):
    asked = []

    def validate(source, message):
        asked.append((source.read(5), message))
        return False, ("line 3: broken",)

    data = sample("camt053.xml")
    document = next(iter(parse(io.BytesIO(data), validate=lambda source, name: validate(_rewound(source), name))))
    assert asked == [(b"<?xml", "camt.053.001.08")]
    assert (document.schema_valid, document.schema_problems) == (False, ("line 3: broken",))


@pytest.mark.parametrize("namespace", ["", "urn:sepade:xsd:pain.002.001.10", "urn:swift:xsd:$pain.002.001.10"])
def test_a_document_of_another_namespace_is_not_judged_by_a_schema_that_is_not_its_own(namespace):
    valid, problems = validate_inbound(io.BytesIO(_message(namespace).encode()), "pain.002.001.10")
    assert valid is None
    assert problems == (
        "not checked against the schema: the document is not in its namespace, urn:iso:std:iso:20022:tech:xsd:pain.002.001.10",
    )
    assert validate_inbound(io.BytesIO(_message().encode()), "pain.002.001.10")[0] is False, "its own schema judges it"


def _rewound(source):
    source.seek(0)
    return source


def test_without_a_validator_nothing_is_said_of_the_schema(records, sample):
    assert records(sample("camt053.xml"))[0].schema_valid is None


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b" \r\n", "blanks"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"><FIToFICstmrCdtTrf/></Document>', "pacs.008.001.08"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.008.001.02"><CstmrDrctDbtInitn/></Document>', "pain.008.001.02"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.055.001.09"><CstmrPmtCxlReq/></Document>', "camt.055.001.09"),
        (b"<Document><Riddle/></Document>", "Riddle"),
        (b"<Document/>", "without an ISO 20022 message"),
        (b"<html><body/></html>", "<html>"),
        (b'{"a": 1}', "JSON"),
        (b"[]", "JSON"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"-----BEGIN PGP MESSAGE-----\n", "sealed"),
        (b"0\x82\x04\x00\x06\x09", "ASN.1"),
        (b"date;amount\n2026-11-20;1,00\n", "neither"),
    ],
)
def test_what_is_not_read_is_refused_by_name(records, data, named):
    with pytest.raises(Unparsable) as caught:
        records(data)
    assert named in caught.value.problem


def test_a_second_document_of_a_kind_not_read_is_refused_by_name(records):
    other = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"><FIToFICstmrCdtTrf/></Document>'
    with pytest.raises(Unparsable, match=r"pacs\.008\.001\.08"):
        records(f"<all>{_message()}{other}</all>".encode())
