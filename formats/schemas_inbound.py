"""A second opinion on what a bank sends, or another program wrote: every fault of a file, of any size.

Files that can be cut are judged in pieces (`formats.schemas_pieces`), in constant memory: UTF-8, without prefixes, comments and
the like. Any other is judged as a tree up to `TREE_BYTES_MAX`, and beyond that said to be not checked. Both ways give the same
verdict. Reading stops once more faults are known than were asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import BinaryIO, Final

from lxml import etree

import formats.schemas_start  # noqa: F401 - before the first schema is compiled
from formats.schemas_flood import ATTRIBUTES_MAX, beginning_with_all_we_tell, with_too_many_attributes
from formats.schemas_pieces import Cut, PieceValidator, Uncuttable, hardened_parser
from formats.schemas_problems import (
    PROBLEMS_MAX,
    Explain,
    GivenUp,
    Naming,
    SchemaProblem,
    keeps_to,
    not_well_formed,
    problem,
    problems_of,
    source_line,
)

TREE_BYTES_MAX: Final = 8 << 20
"""Larger files are not made a tree of: that would take 8.5 times their size."""

_HEAD_BYTES: Final = 64 << 10
_MARK: Final = b"\xef\xbb\xbf"
_ROOT = re.compile(rb"""\A(?:<\?xml [^<>]*\?>)?\s*<Document(?:\s[^<>]*)?\sxmlns=["']([^"'<>]*)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a schema says about a file.

    `valid` None: not checked, and `reason` says why (empty where there is no schema at hand). `problems` are sorted by line;
    `complete` False: there may be more of them, since looking ended with these.
    """

    valid: bool | None
    problems: tuple[SchemaProblem, ...] = ()
    complete: bool = True
    reason: str = ""


class InboundValidator:
    """Examines files of one message, given its schema. Holds the state of the last one: one for each thread."""

    def __init__(self, tree: etree._Element, text: bytes, cuts: Sequence[Cut]) -> None:
        """`tree` is the schema, `text` the same as text; no `cuts`: files are judged as a tree only."""
        self._schema = etree.XMLSchema(tree)
        self._namespace = str(tree.get("targetNamespace"))
        self._pieces = [lru_cache(maxsize=1)(partial(PieceValidator, text, cut)) for cut in cuts]  # made when first needed

    def examine(self, source: BinaryIO, *, most: int = PROBLEMS_MAX, explain: Explain | None = None) -> Examination:
        """Reads `source` from its start and leaves it where it stood. At most `most` problems. Never raises on bad input."""
        stood = source.tell()
        source.seek(0)
        try:
            return self._examined(source, most, explain)
        finally:
            source.seek(stood)

    def _examined(self, source: BinaryIO, most: int, explain: Explain | None) -> Examination:
        head = source.read(_HEAD_BYTES)
        start = len(_MARK) if head.startswith(_MARK) else 0
        root = _ROOT.match(head[start:])
        why: SchemaProblem | None = None
        if root is not None and root[1].decode("utf-8", "replace") == self._namespace:
            for pieces in self._pieces:
                source.seek(start)
                try:
                    return self._in_pieces(pieces(), source, most, explain)
                except Uncuttable as refused:
                    why = refused.problem
                    if why.type_name != "TOO_LARGE":
                        break  # no other cut would help
        source.seek(0)
        text = _at_most(source, TREE_BYTES_MAX + 1)
        if len(text) > TREE_BYTES_MAX:
            reason = f"not checked against the schema: the file is larger than {TREE_BYTES_MAX >> 20} MiB"
            return Examination(valid=None, reason=reason if why is None else f"{reason}, and not to be judged in pieces: {why}")
        return self._as_tree(text, most, explain)

    def _in_pieces(self, pieces: PieceValidator, source: BinaryIO, most: int, explain: Explain | None) -> Examination:
        found: list[SchemaProblem] = []
        for faults in pieces.faults(source, most=most + 1, explain=explain):
            found += faults
            if len(found) > most:
                break
        told = tuple(sorted(found, key=lambda one: one.line or 0)[:most])
        return Examination(valid=not found, problems=told, complete=len(found) <= most and not pieces.overwhelmed)

    def _as_tree(self, text: bytes, most: int, explain: Explain | None) -> Examination:
        try:
            root = etree.fromstring(text, hardened_parser())
        except etree.XMLSyntaxError as error:
            return Examination(valid=False, problems=(not_well_formed(error, error.lineno),))
        except (ValueError, LookupError, UnicodeError):  # an encoding that does not exist, or that the text does not keep to
            return _refused("ENCODING", "not readable as XML in the encoding it declares")
        if root.getroottree().docinfo.internalDTD is not None:
            return _refused("DTD", "the file declares a DTD, which ISO 20022 messages never do")
        document = self._document(root)
        if document.tag != f"{{{self._namespace}}}Document":
            reason = f"not checked against the schema: the document is not in its namespace, {self._namespace}"
            return Examination(valid=None, reason=reason)
        return self._judged(document, most, explain)

    def _document(self, root: etree._Element) -> etree._Element:
        """The message itself where it travels inside something else (a business header and the like), else the root."""
        wanted = f"{{{self._namespace}}}Document"
        return root if root.tag == wanted else next(root.iter(wanted), root)

    def _judged(self, document: etree._Element, most: int, explain: Explain | None) -> Examination:
        """The verdict, at a cost that does not grow faster than the document (`formats.schemas_flood`)."""
        crowded = with_too_many_attributes(document)
        if crowded is not None:
            words = f"an element has more than {ATTRIBUTES_MAX} attributes"
            return Examination(valid=False, problems=(problem("ATTRIBUTES", words, source_line(crowded)),))
        beginning = beginning_with_all_we_tell(document, self._schema)
        try:
            if keeps_to(self._schema, document if beginning is None else beginning):
                return Examination(valid=True)
        except GivenUp as refused:
            return Examination(valid=None, reason=f"not checked against the schema: {refused.problem.message}")
        before = source_line(document) - 1
        naming = Naming() if beginning is None else Naming(lambda line: line + before)
        judged = document if beginning is None else beginning
        found = problems_of(self._schema, judged, naming, most=most + 1, explain=explain)
        return Examination(valid=False, problems=found[:most], complete=beginning is None and len(found) <= most)


def _refused(kind: str, words: str) -> Examination:
    return Examination(valid=False, problems=(problem(kind, words),))


def _at_most(source: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes from where `source` stands."""
    pieces: list[bytes] = []
    left = size
    while left > 0 and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
