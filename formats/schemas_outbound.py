"""The hard gate before sealing: a rendered pain.001 of any size against its official schema, in constant memory.

The file is cut at ``</CdtTrfTxInf>`` into pieces of about 1 MiB. Transactions are validated piece by piece, wrapped, against the
official schema plus one global element that holds any number of them. Everything around the transactions, the envelope, is
validated as a document of its own, with one placeholder transaction where the real ones stood. Together that is the whole
document.

Why so: a tree of the file takes 8.5 times its size; lxml's `iterparse(schema=)` and parser targets with a schema report late,
without a place, or (targets) not at all. Pieces report within 1 MiB of the fault, with its line and path.

Cutting bytes is sound because markup that could hide or fake an end tag is refused first: comments, CDATA, processing
instructions, DTDs. Our writers never make them, so nothing is lost.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO

from lxml import etree

from formats.errors import FormatError
from formats.schemas_problems import PIECE_TAG, SchemaProblem, not_well_formed, problems_of

_XML_SCHEMA = "{http://www.w3.org/2001/XMLSchema}"

PIECE_BYTES = 1 << 20
"""How much is read and validated at a time."""

PENDING_BYTES_MAX = 8 * PIECE_BYTES
"""How much may stand without an end tag of a transaction; more cannot come from a writer of ours."""

_OPEN = re.compile(rb"<CdtTrfTxInf[\s>]")
_CLOSE = b"</CdtTrfTxInf>"
_BLOCK_OPEN = re.compile(rb"<PmtInf[\s>]")
_BLOCK_CLOSE = b"</PmtInf>"
_TAIL = b"</CstmrCdtTrfInitn></Document>"
_PLACEHOLDER = b'<CdtTrfTxInf><PmtId><EndToEndId>X</EndToEndId></PmtId><Amt><InstdAmt Ccy="EUR">1</InstdAmt></Amt></CdtTrfTxInf>'
_DECLARATION = re.compile(rb"""\A<\?xml version=["']1\.0["'](?: encoding=["'](?:UTF|utf)-8["'])?\s*\?>""")
_FOREIGN_MARKUP = re.compile(rb"<[!?]")


class SchemaViolation(FormatError):
    """Ours: what was rendered breaks the official schema. It is not sealed and not sent. Holds the problems of the first bad
    piece."""

    def __init__(self, problems: tuple[SchemaProblem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems[:5])))


class _Patchwork:
    """A text put together from pieces of a file, that remembers which line of the file each of its lines comes from.

    Every piece begins a line of its own: pieces are whole elements, and between those a line feed means nothing.
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[bytes, int]] = []  # text, and the line of the file it begins at
        self.size = 0
        self._starts: list[int] = []  # the line of this text at which each piece begins
        self._line = 1

    def add(self, text: bytes, line: int) -> None:
        self.pieces.append((text, line))
        self.size += len(text)
        self._starts.append(self._line)
        self._line += text.count(b"\n") + 1

    def extend(self, pieces: list[tuple[bytes, int]]) -> None:
        for text, line in pieces:
            self.add(text, line)

    def joined(self) -> bytes:
        return b"\n".join([text for text, _ in self.pieces])

    def line_of(self, line: int) -> int | None:
        """The line of the file that a line of this text comes from."""
        index = bisect_right(self._starts, line) - 1
        return self.pieces[index][1] + line - self._starts[index] if index >= 0 else None


class OutboundValidator:
    """Validates files of one message, given its official schema. Holds the state of the last validation: one for each thread."""

    def __init__(self, schema: bytes) -> None:
        """`schema` is the text of a pain.001 XSD from the catalogue."""
        whole, pieces = _tree(schema), _tree(schema)
        self._start = f'<{PIECE_TAG} xmlns="{whole.get("targetNamespace")}">'.encode()
        self._document = etree.XMLSchema(whole)
        self._transactions = etree.XMLSchema(_with_piece(pieces))
        self._parser = hardened_parser()

    def validate(self, source: BinaryIO) -> None:
        """Reads `source` to its end, or to within 1 MiB of the first fault, and raises `SchemaViolation` there."""
        envelope = _Envelope()
        for piece, line in _pieces(source):
            run = _Patchwork()
            self._split(piece, line, envelope, run)
            if run.pieces:
                run.add(f"</{PIECE_TAG}>".encode(), line)
                self._check(run, self._transactions)
            if envelope.text.size > PIECE_BYTES:
                complete = envelope.complete_blocks()
                if complete is not None:
                    self._check(complete, self._document)
        self._check(envelope.text, self._document)

    def _split(self, piece: bytes, line: int, envelope: "_Envelope", run: _Patchwork) -> None:
        """Parts a piece into transactions (for `run`) and what stands around them (for `envelope`)."""
        at = 0
        while True:
            start = _OPEN.search(piece, at)
            if start is None:
                envelope.add(piece[at:], line)
                return
            envelope.add(piece[at : start.start()], line)
            line += piece.count(b"\n", at, start.start())
            block_end = piece.find(_BLOCK_CLOSE, start.start())
            end = piece.rfind(_CLOSE, start.start(), block_end if block_end >= 0 else len(piece))
            # Without an end tag the rest is no transaction of ours; the parser will say so.
            end = len(piece) if end < 0 else end + len(_CLOSE)
            if not run.pieces:
                run.add(self._start, line)
            run.add(piece[start.start() : end], line)
            envelope.add_placeholder(line)
            line += piece.count(b"\n", start.start(), end)
            at = end

    def _check(self, text: _Patchwork, schema: etree.XMLSchema) -> None:
        try:
            tree = etree.fromstring(text.joined(), self._parser)
        except etree.XMLSyntaxError as error:
            raise SchemaViolation((not_well_formed(error, text.line_of(error.lineno or 1)),)) from None
        if not schema.validate(tree):
            raise SchemaViolation(problems_of(schema, tree, text.line_of))


class _Envelope:
    """What stands around the transactions: the document's start, the blocks' own elements, the document's end."""

    def __init__(self) -> None:
        self.text = _Patchwork()
        self._head: tuple[bytes, int] | None = None  # the document before its first block
        self._placed = False  # whether the run of transactions at the end already has its placeholder

    def add(self, text: bytes, line: int) -> None:
        """Takes what stands before, between or after transactions."""
        if self._placed and not text.strip():
            return  # blanks between two transactions
        self._placed = False
        if not self.text.pieces:
            block = _BLOCK_OPEN.search(text)
            self._head = None if block is None else (text[: block.start()], line)
        self.text.add(text, line)

    def add_placeholder(self, line: int) -> None:
        """Takes note of a run of transactions."""
        if not self._placed:
            self.text.add(_PLACEHOLDER, line)
            self._placed = True

    def complete_blocks(self) -> _Patchwork | None:
        """Takes the complete blocks out, as a document of their own, so that they do not pile up; None if there is none."""
        pieces = self.text.pieces
        last = next((index for index in reversed(range(len(pieces))) if _BLOCK_CLOSE in pieces[index][0]), None)
        if self._head is None or last is None:
            return None
        text, line = pieces[last]
        cut = text.rfind(_BLOCK_CLOSE) + len(_BLOCK_CLOSE)
        complete, rest = _Patchwork(), _Patchwork()
        complete.extend([*pieces[:last], (text[:cut], line), (_TAIL, line)])
        rest.extend([self._head, (text[cut:], line + text.count(b"\n", 0, cut)), *pieces[last + 1 :]])
        self.text = rest
        return complete


def _pieces(source: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The file in pieces that end at the end of a transaction (the last: at the end), with the line each begins at."""
    pending, line, declared = b"", 1, False
    while True:
        read = source.read(PIECE_BYTES)
        text = pending + read
        checked = text
        if not declared:
            declaration = _DECLARATION.match(text)
            checked = text[declaration.end() :] if declaration else text
            declared = True
        foreign = _FOREIGN_MARKUP.search(checked)
        if foreign is not None:
            at = line + text.count(b"\n", 0, foreign.start() + len(text) - len(checked))
            raise SchemaViolation(
                (problem("FOREIGN_MARKUP", "comments, CDATA, DTDs and processing instructions are refused", at),)
            )
        if not read:
            yield text, line
            return
        end = text.rfind(_CLOSE)
        if end < 0:
            if len(text) > PENDING_BYTES_MAX:
                raise SchemaViolation((problem("TOO_LARGE", "8 MiB without the end of a transaction", line),))
            pending = text
            continue
        end += len(_CLOSE)
        yield text[:end], line
        line += text.count(b"\n", 0, end)
        pending = text[end:]


def hardened_parser() -> etree.XMLParser:
    """A parser that resolves no entity, loads no DTD, reaches for no network, and keeps libxml2's limits on depth and size."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def _tree(schema: bytes) -> etree._Element:
    return etree.fromstring(schema, hardened_parser())


def _with_piece(schema: etree._Element) -> etree._Element:
    """The official schema plus an element that holds any number of transactions."""
    declared = next(element for element in schema.iter(f"{_XML_SCHEMA}element") if element.get("name") == "CdtTrfTxInf")
    piece = etree.SubElement(schema, f"{_XML_SCHEMA}element", name=PIECE_TAG)
    content = etree.SubElement(etree.SubElement(piece, f"{_XML_SCHEMA}complexType"), f"{_XML_SCHEMA}sequence")
    etree.SubElement(content, f"{_XML_SCHEMA}element", name="CdtTrfTxInf", type=str(declared.get("type")), maxOccurs="unbounded")
    return schema


def problem(type_name: str, message: str, line: int | None = None) -> SchemaProblem:
    """A problem without a place in the tree."""
    return SchemaProblem(line=line, path="", end_to_end_id=None, type_name=type_name, message=message)
