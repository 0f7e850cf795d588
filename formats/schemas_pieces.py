"""A document of any size against its schema, in constant memory, cut into pieces.

Nearly all of a large message is one element again and again: a transaction, an entry. The file is cut at that element's end tag.
What stands between is validated piece by piece, wrapped; what stands around, the envelope, as a document of its own, with a
placeholder for each run of repeated elements. The schema that judges both is the official one, plus a global element that holds
runs, and with the placeholder as an alternative wherever the repeated element may stand. Together that is the whole document.

Why so: a tree of the file takes 8.5 times its size; lxml's `iterparse(schema=)` reports at the end only and without a place, and
parser targets with a schema do not report at all. Pieces report within `PIECE_BYTES` of the fault, with line and path. Pieces
of 64 KiB cost a third less than pieces of 1 MiB: their trees stay in the processor's cache.

Cutting bytes is sound because markup that could hide or fake an end tag is refused first (`Uncuttable`): comments, CDATA,
processing instructions, DTDs. A repeated element within itself, in another namespace, leaves pieces that are not well-formed,
and is refused for that.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

import formats.schemas_start  # noqa: F401 - before the first schema is compiled
from formats.schemas_flood import (
    ATTRIBUTES_MAX,
    beginning_with_all_we_tell,
    may_have_too_many_attributes,
    with_too_many_attributes,
)
from formats.schemas_problems import (
    BLOCKS,
    PROBLEMS_MAX,
    RUN_TAG,
    Explain,
    GivenUp,
    Naming,
    SchemaProblem,
    keeps_to,
    local,
    not_well_formed,
    problem,
    problems_of,
    source_line,
)

_XML_SCHEMA = "{http://www.w3.org/2001/XMLSchema}"
_PIECE_TAG = "Piece_"

PIECE_BYTES = 64 << 10
"""How much is read and validated at a time."""

PENDING_BYTES_MAX = 8 << 20
"""How much may stand without an end of the repeated element, or around such elements."""

_LARGE_BYTES = 2 * PIECE_BYTES  # more than this at once may hold more faults than anybody has time for

_DECLARATION = re.compile(
    rb"""\A<\?xml version=["']1\.0["'](?: encoding=["'](?:UTF|utf)-8["'])?(?: standalone=["'](?:yes|no)["'])?\s*\?>"""
)
_FOREIGN_MARKUP = re.compile(rb"<[!?]")
_ROOT = re.compile(rb"\A\s*<Document(?:\s[^<>]*)?>")
_PREFIXES = re.compile(rb"""\sxmlns:[A-Za-z_][\w.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*')""")
_DECLARED = re.compile(rb"<[^<>]*\sxmlns[:=\s]")
_PLACEHOLDER = f"<{RUN_TAG}/>".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where a kind of message can be cut: Document / `message` / … `block` / `element`, which repeats.

    `complete`: a block stands right below the message, so that several make a document by themselves.
    """

    message: str
    block: str
    element: str
    complete: bool = True


def _statement(message: str, block: str) -> tuple[Cut, Cut]:
    """At the entries; or, where a single entry books a whole batch, at the transactions it stands for."""
    return (
        Cut(message=message, block=block, element="Ntry"),
        Cut(message=message, block="NtryDtls", element="TxDtls", complete=False),
    )


CUTS: Mapping[str, tuple[Cut, ...]] = {
    "pain.001": (Cut(message="CstmrCdtTrfInitn", block="PmtInf", element="CdtTrfTxInf"),),
    "pain.002": (Cut(message="CstmrPmtStsRpt", block="OrgnlPmtInfAndSts", element="TxInfAndSts"),),
    "camt.052": _statement("BkToCstmrAcctRpt", "Rpt"),
    "camt.053": _statement("BkToCstmrStmt", "Stmt"),
    "camt.054": _statement("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
}
"""By the message's family, in the order in which they are tried."""


class Uncuttable(Exception):
    """The text cannot be judged in pieces; says why, as a problem. Nothing is said about whether the document is valid."""

    def __init__(self, why: SchemaProblem) -> None:
        self.problem = why
        super().__init__(str(why))


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

    def joined(self, pieces: int | None = None) -> bytes:
        return b"\n".join([text for text, _ in self.pieces[:pieces]])

    def line_of(self, line: int) -> int | None:
        """The line of the file that a line of this text comes from."""
        index = bisect_right(self._starts, line) - 1
        return self.pieces[index][1] + line - self._starts[index] if index >= 0 else None


@dataclass(slots=True)
class _Run:
    """Repeated elements one after the other, within one block."""

    opens_block: bool  # the first of its block
    envelope_pieces: int  # the envelope up to and including the run's placeholder
    elder: int = 0  # how many repeated elements stand in the block before it


class PieceValidator:
    """Validates files of one message, given its official schema. Holds the state of the last validation: one for each thread."""

    def __init__(self, schema: bytes, cut: Cut) -> None:
        """`schema` is the text of an XSD from the catalogue."""
        tree = schema_tree(schema)
        self._namespace = str(tree.get("targetNamespace"))
        self._schema = etree.XMLSchema(_with_runs(tree, cut.element))
        self._parser = hardened_parser()
        self._cut = cut
        self.overwhelmed = False  # whether the last file held a piece of so many faults that only its beginning was judged
        self._open = re.compile(rb"<%s[\s>]" % cut.element.encode())
        self._close = f"</{cut.element}>".encode()
        self._block_close = f"</{cut.block}>".encode()

    def faults(
        self, source: BinaryIO, *, most: int = PROBLEMS_MAX, explain: Explain | None = None
    ) -> Iterator[tuple[SchemaProblem, ...]]:
        """The faults of each bad piece, at most `most` of a piece, from where `source` stands to its end.

        Raises `Uncuttable`, also midway: then what came before is no verdict.
        """
        self.overwhelmed = False
        envelope = _Envelope(self._cut)
        told: set[SchemaProblem] = set()  # the document's beginning is judged again with every lot of blocks
        elder = 0
        start = b""
        for text, line in self._pieces(source):
            start = start or self._start(text)
            # Before the next piece, not after this one: what is left then holds an open block, as a document's end needs one.
            yield from self._envelope_faults(envelope.lots(ended=False), told, most, explain)
            piece, runs = self._split(text, line, envelope, start)
            if runs:
                tree = self._tree(piece)
                for run, element in zip(runs, tree, strict=True):
                    run.elder = elder = 0 if run.opens_block else elder
                    elder += len(element)
                found = self._judged(tree, piece, _RunNaming(piece, runs, envelope, self._cut), most, explain)
                if found:
                    yield found
        yield from self._envelope_faults(envelope.lots(ended=True), told, most, explain)

    def _pieces(self, source: BinaryIO) -> Iterator[tuple[bytes, int]]:
        """The file in pieces that end at the end of a repeated element (the last: at the end), with the line each begins at."""
        pending, line, declared = b"", 1, False
        while True:
            read = source.read(PIECE_BYTES)
            text = pending + read
            skipped = len(pending)  # what was looked at already; a "<" at its end may still become markup
            if not declared:
                declaration = _DECLARATION.match(text)
                skipped, declared = declaration.end() if declaration else 0, True
            new = max(skipped - 1, 0)
            # Two bytes that are rare in messages are found ten times faster than the pair of which they are the second.
            suspect = text.find(b"!", new) >= 0 or text.find(b"?", new) >= 0
            foreign = _FOREIGN_MARKUP.search(text, new) if suspect else None
            if foreign is not None:
                at = line + text.count(b"\n", 0, foreign.start())
                words = "comments, CDATA, DTDs and processing instructions are refused"
                raise Uncuttable(problem("FOREIGN_MARKUP", words, at))
            if not read:
                yield text, line
                return
            end = text.rfind(self._close, max(len(pending) - len(self._close), 0))
            if end < 0:
                if len(text) > PENDING_BYTES_MAX:
                    words = f"{PENDING_BYTES_MAX >> 20} MiB without the end of a {self._cut.element}"
                    raise Uncuttable(problem("TOO_LARGE", words, line))
                pending = text
                continue
            end += len(self._close)
            yield text[:end], line
            line += text.count(b"\n", 0, end)
            pending = text[end:]

    def _start(self, text: bytes) -> bytes:
        """The start tag of what pieces are wrapped in, with the prefixes that the document's own start tag declares."""
        declaration = _DECLARATION.match(text)
        root = _ROOT.match(text[declaration.end() :] if declaration else text)
        prefixes = b"".join(_PREFIXES.findall(root[0])) if root else b""
        return b'<%s xmlns="%s"%s>' % (_PIECE_TAG.encode(), self._namespace.encode(), prefixes)

    def _split(self, text: bytes, line: int, envelope: "_Envelope", start: bytes) -> tuple[_Patchwork, list[_Run]]:
        """Parts a piece of the file into runs and what stands around them (for `envelope`)."""
        piece, runs = _Patchwork(), list[_Run]()
        at = 0
        while True:
            opening = self._open.search(text, at)
            if opening is None:
                envelope.add(text[at:], line)
                break
            envelope.add(text[at : opening.start()], line)
            line += text.count(b"\n", at, opening.start())
            block_end = text.find(self._block_close, opening.start())
            end = text.rfind(self._close, opening.start(), block_end if block_end >= 0 else len(text))
            # Without an end tag it is no run of repeated elements; the parser will say so.
            end = len(text) if end < 0 else end + len(self._close)
            if not runs:
                piece.add(start, line)
            runs.append(envelope.run(line))
            piece.add(b"<%s>%s</%s>" % (RUN_TAG.encode(), text[opening.start() : end], RUN_TAG.encode()), line)
            line += text.count(b"\n", opening.start(), end)
            at = end
        if runs:
            piece.add(f"</{_PIECE_TAG}>".encode(), line)
        return piece, runs

    def _envelope_faults(
        self, lots: "Iterator[_Lot]", told: set[SchemaProblem], most: int, explain: Explain | None
    ) -> Iterator[tuple[SchemaProblem, ...]]:
        for lot in lots:
            found = self._judged(self._tree(lot.text), lot.text, _EnvelopeNaming(lot, self._cut), most, explain)
            new = tuple([one for one in found if one not in told])
            if new:
                told.update(new)
                yield new

    def _tree(self, text: _Patchwork) -> etree._Element:
        try:
            return etree.fromstring(text.joined(), self._parser)
        except etree.XMLSyntaxError as error:
            raise Uncuttable(not_well_formed(error, text.line_of(error.lineno or 1))) from None

    def _judged(
        self, tree: etree._Element, text: _Patchwork, naming: Naming, most: int, explain: Explain | None
    ) -> tuple[SchemaProblem, ...]:
        if any(may_have_too_many_attributes(part) for part, _ in text.pieces):
            crowded = with_too_many_attributes(tree)
            if crowded is not None:
                line = naming.line(crowded, source_line(crowded))
                return (problem("ATTRIBUTES", f"an element has more than {ATTRIBUTES_MAX} attributes", line),)
        beginning = beginning_with_all_we_tell(tree, self._schema) if text.size > _LARGE_BYTES else None
        self.overwhelmed = self.overwhelmed or beginning is not None
        judged = tree if beginning is None else beginning
        try:
            if keeps_to(self._schema, judged):
                return ()
        except GivenUp as refused:
            raise Uncuttable(refused.problem) from None
        return problems_of(self._schema, judged, naming, most=most, explain=explain)


class _Envelope:
    """What stands around the repeated elements: the document's start, the blocks' own elements, the document's end."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self.text = _Patchwork()
        self._runs: list[_Run] = []  # the first run of each placeholder in the text
        self._head: tuple[bytes, int] | None = None  # the document before its first block
        self._placed = False  # whether the run at the end already has its placeholder
        self._blocks_gone = 0
        self._block_opened = True
        self._block_open = re.compile(rb"<%s[\s>]" % cut.block.encode())
        self._block_close = f"</{cut.block}>".encode()
        self._tail = f"</{cut.message}></Document>".encode()

    def add(self, text: bytes, line: int) -> None:
        """Takes what stands before, between or after runs."""
        if self._placed and not text.strip():
            return  # blanks between two repeated elements
        self._placed = False
        block = self._block_open.search(text)
        self._block_opened = self._block_opened or block is not None
        declared = _DECLARED.search(text) if self.text.pieces else None
        if declared is not None:
            at = line + text.count(b"\n", 0, declared.start())
            raise Uncuttable(problem("NAMESPACES", "a namespace is declared within the message", at))
        if not self.text.pieces:
            self._head = None if block is None else (text[: block.start()], line)
        self.text.add(text, line)

    def run(self, line: int) -> _Run:
        """Takes note of a run, which begins on that line."""
        run = _Run(self._block_opened, 0)
        if not self._placed:
            self.text.add(_PLACEHOLDER, line)
            self._runs.append(run)
            self._placed, self._block_opened = True, False
        run.envelope_pieces = len(self.text.pieces)
        return run

    def until(self, run: _Run) -> "_Lot":
        """The envelope up to the run's placeholder, which ends it."""
        text = _Patchwork()
        text.extend(self.text.pieces[: run.envelope_pieces])
        return _Lot(text, self._runs, self._blocks_gone)

    def lots(self, *, ended: bool) -> "Iterator[_Lot]":
        """What can be judged now: the whole at the end; before, complete blocks once there are many, so that none pile up."""
        if ended:
            yield _Lot(self.text, self._runs, self._blocks_gone)
        elif self.text.size > PIECE_BYTES:
            lot = self._complete_blocks() if self._cut.complete else None
            if lot is not None:
                yield lot
            elif self.text.size > PENDING_BYTES_MAX:
                words = f"more than {PENDING_BYTES_MAX >> 20} MiB around the repeated elements"
                raise Uncuttable(problem("TOO_LARGE", words, self.text.pieces[0][1]))

    def _complete_blocks(self) -> "_Lot | None":
        pieces = self.text.pieces
        last = next((index for index in reversed(range(len(pieces))) if self._block_close in pieces[index][0]), None)
        if self._head is None or last is None:
            return None
        text, line = pieces[last]
        cut = text.rfind(self._block_close) + len(self._block_close)
        complete, rest = _Patchwork(), _Patchwork()
        complete.extend([*pieces[:last], (text[:cut], line), (self._tail, line)])
        rest.extend([self._head, (text[cut:], line + text.count(b"\n", 0, cut)), *pieces[last + 1 :]])
        placed = sum(piece == _PLACEHOLDER for piece, _ in complete.pieces)
        lot = _Lot(complete, self._runs[:placed], self._blocks_gone)
        self.text, self._runs = rest, self._runs[placed:]
        self._blocks_gone += sum(len(self._block_open.findall(piece)) for piece, _ in complete.pieces)
        return lot


@dataclass(frozen=True, slots=True)
class _Lot:
    """A part of the envelope, a document by itself: the runs its placeholders stand for, and how many blocks went before it."""

    text: _Patchwork
    runs: list[_Run]
    blocks_gone: int


class _EnvelopeNaming(Naming):
    """Places in the envelope."""

    def __init__(self, lot: _Lot, cut: Cut) -> None:
        super().__init__(lot.text.line_of)
        self._lot = lot
        self._cut = cut

    def step(self, element: etree._Element) -> str:
        """A placeholder is told as the first element of its run; a block's index counts those that went before."""
        name = local(element)
        if name == RUN_TAG:
            placeholders = list(element.getroottree().iter("{*}" + RUN_TAG))
            return f"{self._cut.element}[{self._lot.runs[placeholders.index(element)].elder + 1}]"
        if name == self._cut.block and self._lot.blocks_gone:
            elder = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
            return f"{name}[{self._lot.blocks_gone + elder + 1}]"
        return super().step(element)


class _RunNaming(Naming):
    """Places in a piece of runs: the way to each run is found in the envelope before it, once there is a fault to tell."""

    def __init__(self, piece: _Patchwork, runs: list[_Run], envelope: _Envelope, cut: Cut) -> None:
        super().__init__(piece.line_of)
        self._runs = runs
        self._envelope = envelope
        self._cut = cut
        self._blocks: dict[int, tuple[str, str | None, int | None]] = {}  # path, id and line of the block of a run, by its index

    def line(self, element: etree._Element | None, line: int) -> int | None:
        """What is wrong with a run itself is wrong with its block."""
        if element is not None and local(element) == RUN_TAG:
            return self._block(element)[2]
        return super().line(element, line)

    def path(self, element: etree._Element) -> str:
        """The element's path in the file."""
        name, parent = local(element), element.getparent()
        if name == RUN_TAG or parent is None:
            return self._block(element)[0]
        if local(parent) == RUN_TAG and name == self._cut.element:
            run = self._runs[_index(parent)]
            return f"{self._block(parent)[0]}/{name}[{run.elder + _index(element) + 1}]"
        return super().path(element)

    def block_id(self, element: etree._Element) -> str | None:
        """The id of the block of payments the run stands in."""
        run = next((around for around in (element, *element.iterancestors()) if local(around) == RUN_TAG), None)
        return None if run is None else self._block(run)[1]

    def _block(self, run: etree._Element) -> tuple[str, str | None, int | None]:
        index = _index(run)
        if index not in self._blocks:
            self._blocks[index] = self._found(self._runs[index])
        return self._blocks[index]

    def _found(self, run: _Run) -> tuple[str, str | None, int | None]:
        lot = self._envelope.until(run)
        naming = _EnvelopeNaming(lot, self._cut)
        recovering = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, load_dtd=False)
        tree = etree.fromstring(lot.text.joined(), recovering)  # ends midway: whatever is open is closed
        placeholders = [] if tree is None else list(tree.iter("{*}" + RUN_TAG))
        block = placeholders[-1].getparent() if placeholders else None
        if block is None:
            return "", None, None
        wanted = BLOCKS.get(local(block))
        found = None if wanted is None else block.findtext(f"{{*}}{wanted}")
        return naming.path(block), found, naming.line(block, source_line(block))


def _index(element: etree._Element) -> int:
    """How many elder siblings of its name the element has."""
    return sum(1 for _ in element.itersiblings(element.tag, preceding=True))


def hardened_parser() -> etree.XMLParser:
    """A parser that resolves no entity, loads no DTD, reaches for no network, and keeps libxml2's limits on depth and size."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def schema_tree(schema: bytes) -> etree._Element:
    """The text of a schema as a tree."""
    return etree.fromstring(schema, hardened_parser())


def _with_runs(schema: etree._Element, name: str) -> etree._Element:
    """The official schema plus a global element that holds runs, and a run as an alternative wherever the element may stand."""
    declared = [element for element in schema.iter(f"{_XML_SCHEMA}element") if element.get("name") == name]
    types = {str(element.get("type")) for element in declared}
    if len(types) != 1:
        raise ValueError(f"the schema declares {name} {len(types)} times")
    for element in declared:
        parent = element.getparent()
        if parent is None:
            raise ValueError("the schema is an element of its own")
        choice = etree.Element(f"{_XML_SCHEMA}choice")
        for bound in ("minOccurs", "maxOccurs"):
            if bound in element.attrib:
                choice.set(bound, element.attrib.pop(bound))
        parent.replace(element, choice)
        choice.append(element)
        etree.SubElement(choice, f"{_XML_SCHEMA}element", name=RUN_TAG)
    piece = _sequence(etree.SubElement(schema, f"{_XML_SCHEMA}element", name=_PIECE_TAG))
    run = _sequence(etree.SubElement(piece, f"{_XML_SCHEMA}element", name=RUN_TAG, maxOccurs="unbounded"))
    etree.SubElement(run, f"{_XML_SCHEMA}element", name=name, type=types.pop(), maxOccurs="unbounded")
    return schema


def _sequence(element: etree._Element) -> etree._Element:
    return etree.SubElement(etree.SubElement(element, f"{_XML_SCHEMA}complexType"), f"{_XML_SCHEMA}sequence")
