"""The walker: canonical form in pieces, whatever the sizes in which a document arrives."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from keys import xml_walk
from keys.seal import BadSeal
from keys.xml_walk import C14n, GrowingDocument, LastChildOf, apart, canonical

ROOT = Path(__file__).resolve().parents[2]
NAMES = st.sampled_from(["x", "y", "a:x", "b:y"])
DECLARATIONS = st.sampled_from(["", "", ' xmlns="urn:1"', ' xmlns=""', ' xmlns:a="urn:a2"', ' xmlns:c="urn:c"'])
ATTRIBUTES = st.sampled_from(["", ' k="1"', ' b:k="&lt;&#10;" a="2"', ' xml:lang="en"'])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["C"], exclude_characters="\ufffe\uffff"), max_size=9).map(escape),
    st.sampled_from(["<!-- seen by nobody -->", "<?pi data?>", "<![CDATA[<&]]>", "\r\n", "&#13;"]),
)


def _element(name: str, declared: str, attributes: str, inside: list[str]) -> str:
    content = "".join(inside)
    return f"<{name}{declared}{attributes}>{content}</{name}>" if content else f"<{name}{declared}{attributes}/>"


ELEMENTS = st.recursive(
    st.builds(_element, NAMES, DECLARATIONS, ATTRIBUTES, st.lists(TEXTS, max_size=2)),
    lambda below: st.builds(_element, NAMES, DECLARATIONS, ATTRIBUTES, st.lists(st.one_of(below, TEXTS), max_size=4)),
    max_leaves=12,
)
DOCUMENTS = st.builds(
    lambda before, inside, after: (
        f'{before}<r xmlns="urn:0" xmlns:a="urn:a" xmlns:b="urn:b">{"".join(inside)}</r>{after}'.encode()
    ),
    st.sampled_from(["", "<?first?>\n", "<!-- x -->"]),
    st.lists(st.one_of(ELEMENTS, TEXTS), min_size=1, max_size=5),
    st.sampled_from(["", "\n<?last?>", "<!-- y -->\n"]),
)


def pieces(document: bytes, method: C14n, path: tuple[str, ...] = ()) -> list[bytes | None]:
    return list(canonical(GrowingDocument(io.BytesIO(document), bytes_max=1 << 40), method, LastChildOf(path)))


def whole(document: bytes, method: C14n) -> bytes:
    tree = etree.fromstring(document).getroottree()
    return bytes(etree.tostring(tree, method="c14n", exclusive=method.exclusive, with_comments=False))


@settings(max_examples=300)
@given(document=DOCUMENTS, size=st.sampled_from([1, 2, 3, 17, 4096]), exclusive=st.booleans())
def test_in_pieces_of_any_size_a_document_is_what_it_is_in_one(document: bytes, size: int, exclusive: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml_walk, "_PIECE_BYTES", size)
        found = pieces(document, C14n(exclusive))
    assert b"".join(piece for piece in found if piece is not None) == whole(document, C14n(exclusive))
    assert found.count(None) == 1


@pytest.mark.parametrize("size", [1, 5, 4096])
def test_the_spot_is_at_the_end_of_the_named_element(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(xml_walk, "_PIECE_BYTES", size)
    document = b'<D xmlns="urn:d"><A><B>1</B><C/></A><A><C>no</C></A><E>2</E></D>'
    found = pieces(document, C14n(exclusive=True), ("A", "C"))
    spot = found.index(None)
    assert b"".join(piece for piece in found[:spot] if piece) == b'<D xmlns="urn:d"><A><B>1</B><C>'
    assert b"".join(piece for piece in found[spot:] if piece) == b"</C></A><A><C>no</C></A><E>2</E></D>"


WALK = """
import sys
from pathlib import Path
from keys.xml_walk import C14n, GrowingDocument, LastChildOf, canonical

class Large:
    def __init__(self, count):
        lines = b"<T><A k='1'>text of a transaction</A><B/></T>\\n" * 1000
        self.pieces = iter([b'<D xmlns="urn:d">', *([lines] * count), b"</D>"])

    def read(self, size=-1):
        return next(self.pieces, b"")

def peak_kib():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))

peaks = []
for count in (50, 600):
    document = GrowingDocument(Large(count), bytes_max=1 << 40)
    total = sum(len(piece or b"") for piece in canonical(document, C14n(exclusive=True), LastChildOf(())))
    peaks.append(peak_kib())
print(total, peaks[1] - peaks[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux: /proc/self/status says the peak of memory")
def test_a_large_document_is_walked_in_constant_memory() -> None:
    """Twelve times the document, no more memory. Its tree alone would take some 200 MB."""
    done = subprocess.run([sys.executable, "-c", WALK], cwd=ROOT, capture_output=True, text=True, check=True)
    total, more_kib = map(int, done.stdout.split())
    assert total > 25_000_000
    assert more_kib < 16_000


def test_a_part_inherits_what_the_two_canonicalisations_let_it_inherit() -> None:
    root = etree.fromstring(b'<D xmlns="urn:d" xmlns:n="urn:n" xml:lang="en" k="0"><E xmlns:m="urn:m"><n:F><G/></n:F></E></D>')
    part = root[0][0]
    assert C14n(exclusive=False).of_part(part) == (
        b'<n:F xmlns="urn:d" xmlns:m="urn:m" xmlns:n="urn:n" xml:lang="en"><G></G></n:F>'
    )
    assert C14n(exclusive=True).of_part(part) == b'<n:F xmlns:n="urn:n"><G xmlns="urn:d"></G></n:F>'
    with_m = C14n(exclusive=True, prefixes=("m",)).of_part(part)
    assert with_m == b'<n:F xmlns:m="urn:m" xmlns:n="urn:n"><G xmlns="urn:d"></G></n:F>'


def test_an_undeclared_default_namespace_is_not_inherited() -> None:
    root = etree.fromstring(b'<D xmlns="urn:d"><E xmlns=""><F/></E></D>')
    assert C14n(exclusive=False).of_part(root[0][0]) == b"<F></F>"
    assert apart(root[0][0]).nsmap == {}


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "structure"),
    "no XML": (b"%PDF-1.7", "structure"),
    "cut short": (b'<D xmlns="urn:d"><E>1</E>', "structure"),
    "something behind": (b"<D><E/></D><D/>", "structure"),
    "not UTF-8": (b"<D>\xff\xfe</D>", "structure"),
    "unknown entity": (b"<D>&x;</D>", "structure"),
    "relative namespace": (b'<D xmlns="d"><E/></D>', "structure"),
    "a DTD": (b"<!DOCTYPE D><D/>", "document-type.refused"),
    "an entity": (b'<!DOCTYPE D [<!ENTITY x "y">]><D>&x;</D>', "document-type.refused"),
    "an external entity": (b'<!DOCTYPE D [<!ENTITY x SYSTEM "file:///etc/hostname">]><D>&x;</D>', "document-type.refused"),
    "a bomb": (
        b'<!DOCTYPE D [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><D>&c;</D>',
        "document-type.refused",
    ),
    "one of our marks": (b"<D><E/><?bankgate-cut here?><F/></D>", "structure"),
    "the other mark": (b"<D><E/><?bankgate-spot here?><F/></D>", "structure"),
    "too deep": (b"<D>" * 300 + b"</D>" * 300, "structure"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_what_is_no_plain_document_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, size: int) -> None:
    monkeypatch.setattr(xml_walk, "_PIECE_BYTES", size)
    document, code = REFUSED[name]
    with pytest.raises(BadSeal) as refused:
        pieces(document, C14n(exclusive=True))
    assert refused.value.code == code


def test_other_encodings_come_out_as_utf8() -> None:
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><D>Café</D>'.encode("iso-8859-1")
    utf16 = '<?xml version="1.0" encoding="UTF-16"?><D>Café</D>'.encode("utf-16")
    for document in (latin, utf16):
        assert b"".join(piece or b"" for piece in pieces(document, C14n(exclusive=True))) == "<D>Café</D>".encode()


def test_the_bound_on_the_size_holds_from_the_first_byte_too_many() -> None:
    document = b"<D>" + b"<E>1</E>" * 1000 + b"</D>"

    def walk(bytes_max: int) -> Any:
        return list(canonical(GrowingDocument(io.BytesIO(document), bytes_max=bytes_max), C14n(exclusive=True), LastChildOf(())))

    assert walk(len(document))
    with pytest.raises(BadSeal, match=r"content\.too-large"):
        walk(len(document) - 1)
