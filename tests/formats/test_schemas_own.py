"""Schemas that a user brings from a bank: found by message, able to reach each other and nothing else, and broken ones named."""

import io
import re
from pathlib import Path

import pytest
from lxml import etree

from formats.schemas import SchemaViolation, schema_text, validate_inbound, validate_outbound
from formats.schemas_outbound import WHOLE_BYTES_MAX
from formats.schemas_own import BrokenSchemas, OwnSchema, OwnSchemas

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
NINE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
SWISS = "http://www.six-interbank-clearing.com/de/pain.001.001.03.ch.02.xsd"


def schema(content: str, namespace: str | None = NINE, kind: str = "Text") -> bytes:
    """A schema whose Document holds `kind`, before `content`."""
    target = f' targetNamespace="{namespace}" xmlns="{namespace}"' if namespace else ""
    root = f'<xs:element name="Document" type="{kind}"/>' if kind else ""
    return f'<xs:schema {XS}{target} elementFormDefault="qualified">{content}{root}</xs:schema>'.encode()


TEXT = '<xs:simpleType name="Text"><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType>'
GOOD = schema(TEXT)


def broken(files: dict[str, bytes]) -> dict[str, str]:
    """File → what is said to be wrong with it."""
    with pytest.raises(BrokenSchemas) as refused:
        OwnSchemas.of(files)
    return dict(refused.value.problems)


def verdict(found: OwnSchema, text: str) -> bool:
    document = f'<Document xmlns="{found.namespace}">{text}</Document>'
    return etree.XMLSchema(found.tree()).validate(etree.fromstring(document))


@pytest.mark.parametrize(
    ("file", "text", "message_name"),
    [
        ("pain.001.001.09.xsd", GOOD, "pain.001.001.09"),
        ("pain.001.001.09_GBIC_4.xsd", GOOD, "pain.001.001.09"),
        ("from-the-bank.xsd", GOOD, "pain.001.001.09"),
        ("pain.001.001.03.ch.02.xsd", schema(TEXT, SWISS), "pain.001.001.03.ch.02"),
        ("swiss.xsd", schema(TEXT, SWISS), "pain.001.001.03.ch.02"),
        ("pain.001.001.09.ch.03.xsd", GOOD, "pain.001.001.09.ch.03"),
    ],
)
def test_a_schema_is_found_by_the_message_of_its_namespace_or_name(file: str, text: bytes, message_name: str) -> None:
    own = OwnSchemas.of({file: text})
    found = own.get(message_name)
    assert found is not None
    assert [one.file for one in own] == [file]
    assert (verdict(found, "abc"), verdict(found, "abcd")) == (True, False)
    assert own.get("camt.053.001.08") is None


def test_files_include_and_import_each_other_by_their_plain_names() -> None:
    include = '<xs:include schemaLocation="{}"/>'
    other = '<xs:import namespace="urn:other" schemaLocation="other.xsd"/>'
    files = {
        "main.xsd": schema(other + include.format("./middle.xsd")),
        "middle.xsd": schema(include.format("text.xsd"), None, ""),  # without a namespace: takes that of who includes it
        "text.xsd": schema(TEXT, None, ""),
        "other.xsd": schema("", "urn:other", ""),
    }
    found = OwnSchemas.of(files).get("pain.001.001.09")
    assert found is not None
    assert (verdict(found, "abc"), verdict(found, "abcd")) == (True, False)


@pytest.mark.parametrize(
    "place", ["/etc/hostname", "../secret.xsd", "sub/part.xsd", "http://127.0.0.1:9/x.xsd", "file:///etc/hostname"]
)
@pytest.mark.parametrize("kind", ["include", "import", "redefine"])
def test_a_schema_that_reaches_out_of_its_directory_is_refused_by_name(place: str, kind: str) -> None:
    namespace = ' namespace="urn:other"' if kind == "import" else ""
    found = broken({"main.xsd": schema(f'<xs:{kind}{namespace} schemaLocation="{place}"/>{TEXT}')})
    assert place in found["main.xsd"]
    assert "beside this one" in found["main.xsd"]


def test_what_slips_through_is_refused_when_libxml2_asks_for_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xsd"
    secret.write_bytes(schema(TEXT, None, ""))
    text = schema(f'<xs:include schemaLocation="{secret}"/>')
    slipped = OwnSchema(message_name="m", file="a.xsd", namespace=NINE, sha256="", files={"a.xsd": text})
    with pytest.raises((LookupError, etree.XMLSchemaParseError)):
        etree.XMLSchema(slipped.tree())


def test_every_file_that_is_not_right_is_named_with_what_is_wrong() -> None:
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + GOOD
    found = broken(
        {
            "camt.053.001.08.xsd": GOOD,
            "cut.xsd": GOOD[:-10],
            "entity.xsd": entity,
            "html.xsd": b"<html/>",
            "stray.xsd": schema(TEXT, "urn:other", ""),
        }
    )
    assert "pain.001.001.09" in found["camt.053.001.08.xsd"]
    assert "not well-formed" in found["cut.xsd"]
    assert "DTD" in found["entity.xsd"]
    assert "<html>" in found["html.xsd"]
    assert "no known message" in found["stray.xsd"]


def test_a_schema_that_cannot_judge_is_named() -> None:
    assert broken({})[""] == "there is no .xsd file"
    assert "a second schema of pain.001.001.09" in broken({"a.xsd": GOOD, "b.xsd": GOOD})["b.xsd"]
    assert "no element Document" in broken({"a.xsd": schema(TEXT, kind="")})["a.xsd"]
    assert "not a valid XML schema" in broken({"a.xsd": schema("")})["a.xsd"]
    assert "no known message" in broken({"pain.001.001.09.xsd": schema(TEXT, None)})["pain.001.001.09.xsd"]


# --- they win -----------------------------------------------------------------------------------------------------------------


def official(change: tuple[str, str]) -> OwnSchemas:
    """The official schema of pain.001.001.09 with one change, as a bank's."""
    text = (schema_text("pain.001.001.09") or b"").decode()
    assert change[0] in text
    return OwnSchemas.of({"bank.xsd": text.replace(*change).encode()})


SHORT_IDS = official(('<xs:maxLength value="35"/>', '<xs:maxLength value="10"/>'))
LONG_NAMES = official(('<xs:maxLength value="140"/>', '<xs:maxLength value="150"/>'))
FEW = official(('maxOccurs="unbounded" minOccurs="1" name="CdtTrfTxInf"', 'maxOccurs="2" minOccurs="1" name="CdtTrfTxInf"'))
UNIQUE = official(
    (
        '<xs:element name="Document" type="Document"/>',
        (
            f'<xs:element name="Document" type="Document"><xs:unique name="u"><xs:selector xpath=".//d:PmtId" xmlns:d="{NINE}"/>'
            f'<xs:field xpath="d:EndToEndId" xmlns:d="{NINE}"/></xs:unique></xs:element>'
        ),
    )
)


@pytest.fixture
def sepa(golden: Path) -> bytes:
    return (golden / "sepa.pain.001.001.09.xml").read_bytes()


def twice(document: bytes) -> bytes:
    """The document with its transactions a second time."""
    start, end = document.index(b"<CdtTrfTxInf>"), document.index(b"</PmtInf>")
    return document[:end] + document[start:end] + document[end:]


def gate(document: bytes, own: OwnSchemas) -> str:
    """What the outbound gate says ("": nothing)."""
    try:
        validate_outbound(io.BytesIO(document), "pain.001.001.09", own)
    except SchemaViolation as violation:
        return str(violation)
    return ""


def both(document: bytes, own: OwnSchemas) -> bool:
    """The verdict of both directions, which must be the same."""
    valid, problems = validate_inbound(io.BytesIO(document), "pain.001.001.09", own)
    assert valid is not None, problems
    assert (gate(document, own) == "") is valid
    return valid


def test_the_schema_of_the_bank_wins_where_it_is_stricter_and_where_it_is_laxer(sepa: bytes) -> None:
    plain = OwnSchemas({})
    assert both(sepa, plain)
    assert not both(sepa, SHORT_IDS)
    assert "maxLength" in gate(sepa, SHORT_IDS) or "length" in gate(sepa, SHORT_IDS)
    name = sepa[sepa.index(b"<Nm>") + 4 : sepa.index(b"</Nm>")]
    long = sepa.replace(b"<Nm>%s</Nm>" % name, b"<Nm>%s</Nm>" % (b"x" * 145))
    assert (both(long, plain), both(long, LONG_NAMES)) == (False, True)


def test_bounds_and_comparisons_across_transactions_hold_although_files_are_judged_in_pieces(sepa: bytes) -> None:
    several = twice(twice(sepa))
    assert both(several, OwnSchemas({}))
    assert not both(several, FEW)
    end = b"</EndToEndId>"
    distinct = sepa.replace(end, b"-A" + end, 1)
    assert both(distinct, UNIQUE)
    assert not both(twice(distinct), UNIQUE)


def test_what_must_be_judged_as_a_whole_is_not_sent_above_the_bound(sepa: bytes) -> None:
    assert "send less at once" in gate(sepa + b" " * WHOLE_BYTES_MAX, UNIQUE)


@pytest.mark.parametrize("whole", [False, True])
def test_a_pattern_that_takes_too_many_steps_lets_nothing_out_and_says_nothing_about_what_comes_in(
    sepa: bytes, whole: bool
) -> None:
    """Not as an error that nobody foresaw: what is rendered is held with a reason, and what the bank sent is read."""
    text = (schema_text("pain.001.001.09") or b"").decode()
    plain = '<xs:maxLength value="140"/>'
    text = text.replace(plain, f'{plain}<xs:pattern value="(.*)(.*)(.*)(.*)(.*)\u2603"/>', 1)
    if whole:
        text = text.replace("<xs:element", '<xs:import namespace="http://www.w3.org/XML/1998/namespace"/><xs:element', 1)
    own = OwnSchemas.of({"pain.001.001.09.xsd": text.encode()})
    long = re.sub(rb"<Nm>[^<]*</Nm>", b"<Nm>%s</Nm>" % (b"x" * 140), sepa)
    assert "too many steps" in gate(long, own)
    valid, problems = validate_inbound(io.BytesIO(long), "pain.001.001.09", own)
    assert valid is None
    assert "too many steps" in problems[0]


def test_a_message_that_only_the_bank_has_a_schema_for_is_judged_by_it() -> None:
    own = OwnSchemas.of({"x.xsd": schema(TEXT, "urn:iso:std:iso:20022:tech:xsd:camt.053.001.02")})
    document = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">{}</Document>'
    name = "camt.053.001.02"
    assert validate_inbound(io.BytesIO(document.format("abcd").encode()), name) == (None, ())
    assert validate_inbound(io.BytesIO(document.format("abc").encode()), name, own) == (True, ())
    assert validate_inbound(io.BytesIO(document.format("abcd").encode()), name, own)[0] is False
    assert validate_inbound(io.BytesIO(b"<Document/>"), name, own)[0] is None, "in no namespace it is not judged"
