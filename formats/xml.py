"""XML from outside: read in constant memory, with every known way of abusing a parser refused by name.

What is refused, always as `Unparsable` with the line: a document type declaration (the XML of ISO 20022 messages has none;
without one there are no entities, no external references and no expansion), an encoding that is unknown or is not the one
declared, nesting deeper than `DEPTH_MAX`, more than `PART_BYTES_MAX` bytes between two records, text or attributes beyond
libxml2's own bounds (10 MB), and anything not well-formed, a file cut short among them. What is tolerated: a byte order mark
and blank lines before the declaration, any prefix, any namespace or none, comments and processing instructions.

The size of a file is not bounded: a statement of some gigabytes is legal.
"""

import codecs
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast
from xml.parsers import expat

from lxml import etree

from formats.errors import Unparsable
from formats.report import Remainder, ReportRecord
from formats.shapes import TAGS_KEPT_MAX, Reading, local_name

DEPTH_MAX = 256  # libxml2's bound without its "huge" switch; real messages in their envelopes stay under 30
PART_BYTES_MAX = 2 * 1024 * 1024  # of markup alone this makes a tree of some 60 MB; a real record is some kilobytes
_CHUNK_BYTES = 64 * 1024
_BLANK_BYTES_MAX = 64 * 1024
_BLANKS = b" \t\r\n"
NOTHING: tuple[ReportRecord, ...] = ()

_DECLARED_ENCODING = re.compile(rb"""^<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

# Encodings whose first 128 characters are those of ASCII, so that the declaration itself can be read, by Python's own names.
_SINGLE_OR_MULTI_BYTE = frozenset(
    ["ascii", "gb18030", "gbk", "gb2312", "big5", "shift_jis", "euc_jp", "euc_kr", "koi8-r"]
    + [f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))]
    + [f"cp{page}" for page in (437, 850, 852, 874, 932, 936, 949, 950, *range(1250, 1259))]
)


class Utf8Reader:
    """The document as UTF-8 from its first `<` on, whatever it was written in.

    Both parsers here are told that they read UTF-8, so that one check of the encoding serves all: neither can be talked into
    another reading of the bytes than the one judged here (XML 1.0, 4.3.3 and appendix F).
    """

    def __init__(self, source: BinaryIO) -> None:
        source.seek(0)
        self._source = source
        head = source.read(_CHUNK_BYTES)
        self.lines_skipped = 0  # blank lines before the document
        self.lines_read = 0
        self.bytes_read = 0
        codec, head = _encoding(head)
        self._decoder = None if codec is None else codecs.getincrementaldecoder(codec)("strict")
        self._head = self._decoded(head)
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        skipped = 0
        while True:
            start = self._head.lstrip(_BLANKS)
            blank = len(self._head) - len(start)
            self.lines_skipped += self._head.count(b"\n", 0, blank)
            skipped += blank
            self._head = start
            if start or skipped > _BLANK_BYTES_MAX:
                return
            raw = self._source.read(_CHUNK_BYTES)
            if not raw:
                return
            self._head = self._decoded(raw)

    def _decoded(self, raw: bytes) -> bytes:
        if self._decoder is None:
            return raw
        try:
            return self._decoder.decode(raw, final=not raw).encode()
        except UnicodeError:
            raise Unparsable("the bytes are not in the encoding that the XML declaration names", self.line) from None

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """The next bytes, about `size` of them; empty at the end."""
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
        else:
            piece = b""
            while not piece:  # a decoder may swallow half a character and give nothing yet
                raw = self._source.read(size)
                piece = self._decoded(raw)
                if not raw:
                    break
        self.bytes_read += len(piece)
        self.lines_read += piece.count(b"\n")
        return piece

    @property
    def line(self) -> int:
        """The line of the file on which what has been read so far ends."""
        return self.lines_skipped + self.lines_read + 1


def _encoding(head: bytes) -> tuple[str | None, bytes]:
    """The Python codec (None: UTF-8 already) and the bytes after the byte order mark."""
    if head.startswith((b"\x00\x00\xfe\xff", b"\xff\xfe\x00\x00", b"\x00\x00\x00<", b"<\x00\x00\x00")):
        raise Unparsable("the file is in UTF-32; send UTF-8", 1)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"), head[2:]
    if head.startswith((b"<\x00", b"\x00<")):
        return ("utf-16-le" if head.startswith(b"<") else "utf-16-be"), head
    marked = head.startswith(codecs.BOM_UTF8)
    if marked:
        head = head[3:]
    declared = _DECLARED_ENCODING.match(head.lstrip(_BLANKS))
    if declared is None:
        return None, head
    try:
        codec = codecs.lookup(declared[1].decode()).name
    except LookupError:
        raise Unparsable(f"the XML declaration names an unknown encoding, {declared[1].decode()!r}", 1) from None
    if codec == "utf-8":
        return None, head
    if marked or codec.startswith("utf-16"):
        raise Unparsable(f"the XML declaration says {declared[1].decode()}, and the bytes say otherwise", 1)
    if codec not in _SINGLE_OR_MULTI_BYTE:
        raise Unparsable(f"the encoding {declared[1].decode()} is not read; send UTF-8", 1)
    return codec, head


@dataclass(frozen=True, slots=True)
class Opening:
    """A start tag met on the way to the message: how deep it stands (the root is 1), its namespace, its local name."""

    depth: int
    namespace: str | None
    name: str
    attributes: tuple[str, ...]  # their values, for hints such as xsi:schemaLocation


def openings(source: BinaryIO) -> Iterator[Opening]:
    """The start tags from the top, refusing a document type on the way. Meant to be left as soon as enough is known."""
    reader = Utf8Reader(source)
    found: list[Opening] = []
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH_MAX:
            raise Unparsable(f"elements are nested more than {DEPTH_MAX} deep", line())
        namespace, _, name = tag.rpartition(" ")
        found.append(Opening(depth, namespace or None, name, tuple(attributes.values())))

    def end(_tag: str) -> None:
        nonlocal depth
        depth -= 1

    def document_type(*_declaration: object) -> None:
        raise Unparsable("the document has a DTD (DOCTYPE); bank messages have none, and it is not read", line())

    def line() -> int:
        return int(parser.CurrentLineNumber) + reader.lines_skipped

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = document_type
    while True:
        if reader.bytes_read > PART_BYTES_MAX:
            raise Unparsable(f"no message within the first {PART_BYTES_MAX // 2**20} MiB", line())
        piece = reader.read(4096)
        failure: Unparsable | None = None
        try:
            parser.Parse(piece, not piece)
        except Unparsable as refused:
            failure = refused
        except expat.ExpatError as error:
            failure = Unparsable(f"not well-formed XML: {expat.ErrorString(error.code)}", error.lineno + reader.lines_skipped)
        yield from found
        found.clear()
        if failure is not None:
            raise failure
        if not piece:
            return


class ElementStream:
    """The chosen elements of a document, by local name, as they open and close.

    Iterating gives (event, name, element) with the events "start" and "end". At "start" an element has its attributes and,
    before it, its complete elder siblings; its own content is complete at "end" only. The tree runs ahead of the
    events: at either event, what follows the element may be there already. The consumer calls `forget` with each element it has
    done with, which is what keeps memory constant.
    """

    def __init__(self, source: BinaryIO, names: Iterable[str]) -> None:
        for _root in openings(source):  # refuses a document type before libxml2 sees one
            break
        self._reader = Utf8Reader(source)
        self._forgotten_at = 0
        self._events = etree.iterparse(
            self,
            events=("start", "end"),
            tag=[f"{{*}}{name}" for name in names],
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """For the parser: the next bytes, unless one part of the document has grown beyond all reason."""
        if self._reader.bytes_read - self._forgotten_at > PART_BYTES_MAX:
            raise Unparsable(f"a single part of the document is larger than {PART_BYTES_MAX // 2**20} MiB", self._reader.line)
        return self._reader.read(size)

    def __iter__(self) -> Iterator[tuple[str, str, etree._Element]]:
        names: dict[str, str] = {}
        try:
            for event, element in self._events:
                tag = element.tag
                name = names.get(tag)
                if name is None:
                    name = names[tag] = local_name(tag)
                    if len(names) > TAGS_KEPT_MAX:
                        names.clear()
                yield event, name, element
        except etree.XMLSyntaxError as error:
            raise self._unparsable(error) from None

    def _unparsable(self, error: etree.XMLSyntaxError) -> Unparsable:
        problem, line = str(error.msg or "cut short"), error.lineno or 0
        for entry in self._events.error_log:  # the first complaint is the cause; libxml2 reports the last
            problem, line = entry.message, entry.line
            break
        if problem.startswith("Excessive depth"):  # below the top, which `openings` watches
            return Unparsable(f"elements are nested more than {DEPTH_MAX} deep", line + self._reader.lines_skipped or None)
        problem = re.sub(r",? ?(try|use) XML_PARSE_HUGE.*$|, line \d+, column \d+.*$", "", problem.strip())
        return Unparsable(f"not well-formed XML: {problem[:200]}", line + self._reader.lines_skipped or None)

    def line_of(self, element: etree._Element) -> int:
        """The line of the file on which the element opens."""
        line: int = cast("Any", element).sourceline or 0
        return line + self._reader.lines_skipped

    def forget(self, element: etree._Element, within: etree._Element | None = None) -> None:
        """Frees the element's content and all its elder siblings; of `within`, an ancestor, all that stands before the element.

        The element itself goes when the next one is forgotten.
        """
        cast("Any", element).clear(keep_tail=True)
        node: etree._Element | None = element
        while node is not None and node is not within:
            parent = node.getparent()
            if parent is None:
                break
            elder = node.getprevious()
            while elder is not None:
                parent.remove(elder)
                elder = node.getprevious()
            node = parent if within is not None else None
        self._forgotten_at = self._reader.bytes_read


class MessageReader(ABC):
    """What reads one message of a document, as its elements open and close.

    `names` are the elements it is called for. Those of them in `apart` stand right under the message and are told in records;
    what else stands there is kept as the message's own.
    """

    names: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()

    def __init__(self, stream: ElementStream) -> None:
        self.stream = stream

    def header(self, element: etree._Element) -> None:  # noqa: B027 - most messages need nothing of their header
        """The group header is complete."""

    def remainder(self, of: str, of_id: str | None, reading: Reading) -> Sequence[ReportRecord]:
        """What was read of an element since its record was told, if there is anything."""
        pairs = reading.supplement.pairs()
        return (Remainder(of=of, of_id=of_id, supplementary=pairs),) if pairs else NOTHING

    @abstractmethod
    def start(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element opens: the records that this completes."""

    @abstractmethod
    def end(self, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """An element is complete: the records it gives."""

    def close(self) -> Sequence[ReportRecord]:
        """The message is complete: what is left to tell."""
        return NOTHING
