"""One XML document, walked in constant memory: what is complete is looked at or canonicalised, and then let go.

The document grows under libxml2's push parser. At any moment only the path of last children may still grow; all that stands
before it is complete. Canonicalising what is held each time, with the real ancestors around it, gives exactly the bytes that
Canonical XML 1.0 and Exclusive XML Canonicalization 1.0 give for the document: nothing above a node is ever missing.
(Canonicalising a node by itself would not: below an element that is not the root, lxml writes `xmlns=""` where a default
namespace is in force.)

Never touched: the last child of an open element. libxml2 keeps a pointer into its text while characters arrive.
"""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Final, Protocol, cast
from xml.parsers import expat

from lxml import etree

from keys.seal import BadSeal

Element = etree._Element

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
SIGNATURE: Final = f"{{{DS}}}Signature"
SIGNATURE_BYTES_MAX: Final = 1024 * 1024  # a signature with its certificates is some kilobytes

_PIECE_BYTES = 512 * 1024
_HEAD_BYTES = 4096
_CUT = b"<?bankgate-cut here?>"
_SPOT = b"<?bankgate-spot here?>"
_XML = "{http://www.w3.org/XML/1998/namespace}"


def broken(detail: str) -> BadSeal:
    """The error for what is no well-formed document, or no signature as RFC 3275 has it."""
    return BadSeal("structure", detail)


@dataclass(frozen=True, slots=True)
class C14n:
    """A canonicalisation without comments. `prefixes`: the InclusiveNamespaces of the exclusive one."""

    exclusive: bool
    prefixes: tuple[str, ...] = ()

    def of_document(self, root: Element) -> bytes:
        """The canonical form of the whole document that `root` is the root of, processing instructions around it included."""
        return self._bytes(root.getroottree())

    def of_part(self, element: Element) -> bytes:
        """The canonical form of an element and all below it, as a part of its document: inclusive canonicalisation gives the top
        what it inherits, namespaces and `xml:` attributes (Canonical XML 1.0, 2.4); exclusive only namespaces, where they are
        used (Exclusive XML Canonicalization 1.0, 3)."""
        return self._bytes(apart(element, xml_attributes=not self.exclusive))

    def _bytes(self, tree: Any) -> bytes:
        how: dict[str, Any] = {"exclusive": self.exclusive, "with_comments": False}
        if self.prefixes:
            how["inclusive_ns_prefixes"] = list(self.prefixes)
        try:
            return bytes(etree.tostring(tree, method="c14n", **how))
        except etree.C14NError:
            raise broken("the document cannot be canonicalised: the name of a namespace in it is relative") from None


def surroundings(element: Element, *, xml_attributes: bool = True) -> Element:
    """The element without content as the root of a document of its own: what its children inherit, and nothing else."""
    names: dict[Any, str] = {prefix: uri for prefix, uri in element.nsmap.items() if uri and prefix != "xml"}
    root = etree.Element(element.tag, nsmap=names)
    if xml_attributes:
        for ancestor in (*reversed(list(element.iterancestors())), element):
            for name, value in ancestor.attrib.items():
                if str(name).startswith(_XML):
                    root.set(name, value)
    return root


def apart(element: Element, *, xml_attributes: bool = True) -> Element:
    """A copy of the element as the root of a document of its own, with all that it inherits."""
    root = surroundings(element, xml_attributes=xml_attributes)
    for name, value in element.attrib.items():
        root.set(name, value)
    root.text = element.text
    root.extend(deepcopy(child) for child in element)
    return root


class GrowingDocument:
    """A document under its parser. `grow` until it says False; between two calls `open_path` is what must not be touched."""

    def __init__(self, source: BinaryIO, *, bytes_max: int, keep_comments: bool = False) -> None:
        self._source = source
        self._left = bytes_max
        self._bytes_max = bytes_max
        self._since_signature: int | None = None
        self.signatures: list[Element] = []  # every ds:Signature that has ended and not been taken yet
        self.signatures_begun = 0
        self.ended = False
        self._root: Element | None = None
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            tag=(self._root_tag(), SIGNATURE),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=not keep_comments,
        )
        self._feed_head()

    @property
    def root(self) -> Element:
        """The document element. There is one from the beginning."""
        return cast("Element", self._root)

    def _root_tag(self) -> str:
        """Names the root before the real parser is made, which then reports it and signatures only: events cost time."""
        head = etree.XMLPullParser(events=("start",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        watchman = document_type_watchman()
        self._head: list[bytes] = []
        while piece := self._read(_HEAD_BYTES):
            self._head.append(piece)
            with suppress(expat.ExpatError, LookupError, ValueError):  # libxml2 says better what is wrong
                watchman.Parse(piece, False)
            self._parse(head, piece)
            for _, element in _elements(head):
                if cast("Any", element.getroottree().docinfo).doctype:  # in an encoding that expat does not read
                    raise _document_type()
                return str(element.tag)
            if len(self._head) * _HEAD_BYTES > SIGNATURE_BYTES_MAX:
                raise broken("no element within the first bytes of the document")
        raise broken("this is no XML document, or it has been cut short")

    def _feed_head(self) -> None:
        for piece in self._head:
            self._parse(self._parser, piece)
        self._take_events()

    def _read(self, size: int) -> bytes:
        piece = self._source.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise BadSeal("content.too-large", f"the document is larger than the {self._bytes_max} bytes that this profile takes")
        return piece

    def _parse(self, parser: Any, piece: bytes) -> None:
        try:
            parser.feed(piece)
        except etree.XMLSyntaxError as problem:
            raise _not_well_formed(problem) from None

    def grow(self) -> bool:
        """Feeds one more piece. False once the document is complete. Raises `BadSeal`."""
        piece = self._read(_PIECE_BYTES)
        if piece:
            self._parse(self._parser, piece)
            self._take_events()
            self._watch_signature(len(piece))
            return True
        try:
            self._parser.close()
        except etree.XMLSyntaxError as problem:
            raise _not_well_formed(problem) from None
        self._take_events()
        self.ended = True
        return False

    def _take_events(self) -> None:
        for event, element in _elements(self._parser):
            if self._root is None:
                self._root = element
            if element.tag != SIGNATURE:
                continue
            if event == "start":
                self.signatures_begun += 1
                self._since_signature = 0
            else:
                self.signatures.append(element)
                self._since_signature = None

    def _watch_signature(self, count: int) -> None:
        if self._since_signature is not None:
            self._since_signature += count
            if self._since_signature > SIGNATURE_BYTES_MAX + _PIECE_BYTES:
                raise broken(f"the signature is larger than {SIGNATURE_BYTES_MAX} bytes")

    def open_path(self) -> list[Element]:
        """The root, its last child, that one's last child, and so on. Empty once the document is complete."""
        if self.ended:
            return []
        path = [self.root]
        while isinstance(path[-1].tag, str):
            try:
                path.append(path[-1][-1])
            except IndexError:
                break
        return path

    def forget(self, path: list[Element]) -> None:
        """Lets go of everything before `path`."""
        for parent, last in pairwise(path):
            parent.text = None
            if last.getprevious() is not None:
                del parent[:-1]


def _document_type() -> BadSeal:
    return BadSeal("document-type.refused", "the document has a DTD (DOCTYPE); signed bank messages have none")


def document_type_watchman() -> expat.XMLParserType:
    """A parser that refuses a document type before libxml2 sees what is declared in it."""

    def refuse(*_declaration: object) -> None:
        raise _document_type()

    watchman = expat.ParserCreate()
    watchman.StartDoctypeDeclHandler = refuse
    return watchman


def _elements(parser: Any) -> Iterator[tuple[str, Element]]:
    """The events so far; the stubs know of more kinds than are asked for here."""
    yield from parser.read_events()


def _not_well_formed(problem: etree.XMLSyntaxError) -> BadSeal:
    reason = str(problem.msg or "cut short").split(", line ")[0][:200]
    return broken(f"not well-formed XML in line {problem.lineno or 0}: {reason}")


def steps(document: GrowingDocument) -> Iterator[list[Element]]:
    """Grows the document step by step and gives the open path where something before it is complete; empty at the very end. A
    signature is kept whole: while one is open, and until it stands before the path, nothing is given."""
    growing = True
    while growing:
        growing = document.grow()
        path = document.open_path()
        if path and (len(path) == 1 or any(element.tag == SIGNATURE for element in path)):
            continue
        yield path


class Place(Protocol):
    """Finds the one spot of a document where its signature stands or is to stand."""

    def mark(self, document: GrowingDocument, path: list[Element], spot: Element) -> bool:
        """Puts `spot` there once the place is complete, that is: not on `path`. Whether it did."""


class Instead:
    """The spot is where the signature stands; the signature goes, and the text behind it stays."""

    def mark(self, document: GrowingDocument, path: list[Element], spot: Element) -> bool:  # noqa: ARG002 - see `steps`
        for signature in document.signatures:
            parent = signature.getparent()
            if parent is None:
                raise broken("the signature is the whole document")
            spot.tail = signature.tail
            parent.replace(signature, spot)
            document.signatures.clear()
            return True
        return False


class LastChildOf:
    """The spot is the end of the first element with this path of local names below the root; none: the root itself."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path
        self._found: Element | None = None
        self.surroundings: Element | None = None  # of the spot, once it is marked

    def mark(self, document: GrowingDocument, path: list[Element], spot: Element) -> bool:
        if self._found is None:
            self._found = document.root if not self._path else document.root.find("/".join(f"{{*}}{name}" for name in self._path))
        if self._found is None or any(element is self._found for element in path):
            return False
        self.surroundings = surroundings(self._found)
        self._found.append(spot)
        return True


def canonical(document: GrowingDocument, method: C14n, place: Place) -> Iterator[bytes | None]:
    """The canonical form of the document without its signature, piece by piece; None where the signature stands or is to stand.

    Raises `BadSeal`, also where the place was not found.
    """
    cut, spot = etree.PI("bankgate-cut", "here"), etree.PI("bankgate-spot", "here")
    said = 0  # bytes of the canonical form of what is still held that have been given already
    marked = False
    for path in steps(document):
        marks_now = not marked and place.mark(document, path, spot)
        marked = marked or marks_now
        if path:
            path[-1].addprevious(cut)
        form = method.of_document(document.root)
        if form.count(_CUT) != bool(path) or form.count(_SPOT) != marks_now:
            raise broken("the document holds a processing instruction that is used for reading it")
        end = form.index(_CUT) if path else len(form)
        before, spotted, after = form[said:end].partition(_SPOT)
        yield before
        if spotted:
            yield None
            yield after
        if path:
            document.forget(path)
            path[-1].addprevious(cut)
            said = method.of_document(document.root).index(_CUT)
            cast("Element", path[-1].getparent()).remove(cut)
    if not marked:
        raise broken("the document has no element at the path where its signature belongs")
