"""What is in a file from a bank, and its records: the one way in for everything that is read, a ZIP archive of files included.

Records come while the file is being read. A file that turns out to be cut short or broken raises `Unparsable` after some of its
records, so a caller applies nothing before the iterator has ended.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from lxml import etree

from formats import camt, camt029, camt_repetitive, container, mt940, pacs004, pain001_read, pain002
from formats.camt_shapes import STATEMENTS
from formats.camt_survey import Survey
from formats.errors import Unparsable
from formats.report import Document, ReportRecord
from formats.shapes import OWN, Reading, Shape, attributes_of, local_name
from formats.xml import ElementStream, MessageReader, Opening, openings

Validator = Callable[[BinaryIO, str], tuple[bool | None, tuple[str, ...]]]
"""(source, message name) → (valid or not, or None without a schema at hand; the problems in words)."""

_HEAD_BYTES = 64 * 1024
_MESSAGE_NAME = re.compile(r"(?<![a-z])[a-z]{4}\.\d{3}\.\d{3}\.\d{2}(?:\.[a-z]{2}\.\d{2})?(?!\d)")

# The element of each message of ISO 20022 that a bank may hand to a customer, and the message it belongs to. Names of the first
# generation end in a version ("BkToCstmrStmtV01") or are the message's name itself ("pain.001.001.02").
_MESSAGES = {
    "CstmrCdtTrfInitn": "pain.001",
    "CstmrPmtStsRpt": "pain.002",
    "CstmrPmtRvsl": "pain.007",
    "CstmrDrctDbtInitn": "pain.008",
    "MndtInitnReq": "pain.009",
    "MndtAmdmntReq": "pain.010",
    "MndtCxlReq": "pain.011",
    "MndtAccptncRpt": "pain.012",
    "CdtrPmtActvtnReq": "pain.013",
    "CdtrPmtActvtnReqStsRpt": "pain.014",
    "FIToFIPmtStsRpt": "pacs.002",
    "FIToFICstmrDrctDbt": "pacs.003",
    "PmtRtr": "pacs.004",
    "FIToFIPmtRvsl": "pacs.007",
    "FIToFICstmrCdtTrf": "pacs.008",
    "FICdtTrf": "pacs.009",
    "FinInstnCdtTrf": "pacs.009",
    "FIDrctDbt": "pacs.010",
    "FIToFIPmtStsReq": "pacs.028",
    "Rct": "camt.025",
    "RsltnOfInvstgtn": "camt.029",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "CstmrPmtCxlReq": "camt.055",
    "FIToFIPmtCxlReq": "camt.056",
    "AcctRptgReq": "camt.060",
    "BkSvcsBllgStmt": "camt.086",
    "SysEvtNtfctn": "admi.004",
    "RctAck": "admi.007",
}
_READ = {"pain.001", "pain.002", "pacs.004", "camt.029", "camt.052", "camt.053", "camt.054"}
_REQUESTS = {"camt.055", "camt.060"}  # go to banks, and come from none
_ROOTS = frozenset(name for name, kind in _MESSAGES.items() if kind in _READ)
_HEARD = frozenset(
    (
        *(name for reader in (camt, camt029, pain002, pacs004, pain001_read) for name in reader.NAMES),
        *_ROOTS,
        *("Document", "GrpHdr", "AppHdr"),
    )
)
"""The names of the elements that a reader is called for, wherever they stand."""
_HEADER = {
    "GrpHdr/MsgId": "message_id",
    "GrpHdr/CreDtTm": "created",
    "Assgnmt/Id": "message_id",  # of an exception or investigation, which has no group header
    "Assgnmt/CreDtTm": "created",
    "GrpHdr/MsgPgntn/PgNb": "page",
    "GrpHdr/MsgPgntn/LastPgInd": "last_page",
}

_OTHER_KINDS = (
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), container.NESTED),
    (re.compile(rb"\x1f\x8b"), "gzip data; unpack it first"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----"), "sealed (PEM); open its seal first"),
    (re.compile(rb"\x30[\x80-\x84]"), "binary ASN.1, perhaps a sealed file (CMS); open its seal first"),
    (re.compile(rb"[\x84-\x8c\xa0-\xbf\xc0-\xff].{0,8}?\x03", re.DOTALL), "binary data, perhaps a sealed file (OpenPGP)"),
    (re.compile(rb"[\[{]\s*[\"{\[\]}]"), "JSON"),
)


def sniff(source: BinaryIO) -> str:
    """The name of the message the file begins with ("camt.053.001.08", "pain.002" where no version is said, "MT940").

    Reads no more than it must; of a ZIP archive the first member. Raises `Unparsable` for a kind that is not read, saying what it
    is.
    """
    for _name, content in files_in(source):
        return _identify(content)[0]
    raise Unparsable("an archive without a file in it")


def files_in(source: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """The files of a ZIP archive with their names, each good until the next is asked for; any other file is itself, named ""."""
    if container.is_container(source):
        yield from container.members(source)
    else:
        yield "", source


def parse(source: BinaryIO, *, validate: Validator | None = None, strict: bool = True) -> Iterator[ReportRecord]:
    """The records of a bank's file, in reading order: for each message its `Document`, then what it tells.

    `source` must be seekable; it is read twice for camt and MT, in constant memory. `validate` judges the first message against
    its schema before anything is read; what it finds is told in the `Document`, and the file is read all the same.
    `strict` false, for showing only: an MT940 statement without its closing balance is told as breaking its rules, not refused.
    A ZIP archive gives the records of its files one after another; a problem in one of them says which.
    Raises `Unparsable` and nothing else, also midway: apply no record before the iterator has ended.
    """
    return each_file(source, lambda content: _parse_file(content, validate, strict=strict))


def each_file(source: BinaryIO, read: Callable[[BinaryIO], Iterator[ReportRecord]]) -> Iterator[ReportRecord]:
    """What `read` makes of each of `files_in`; a problem in a file of an archive says in which."""
    for name, content in files_in(source):
        try:
            yield from read(content)
        except Unparsable as problem:
            raise (Unparsable(f"{name}: {problem.problem}", problem.line) if name else problem) from None


def _parse_file(source: BinaryIO, validate: Validator | None, *, strict: bool) -> Iterator[ReportRecord]:
    message, root = _identify(source)
    if not root:
        yield from mt940.parse(source, message, strict=strict)
        return
    valid, problems = (None, ()) if validate is None else validate(source, message)

    def plainly(part: BinaryIO) -> Iterator[ReportRecord]:
        return _XmlFile(part, message, root, valid, problems).records()

    if _family(message) in camt_repetitive.READS:
        yield from camt_repetitive.records(source, plainly, _HEARD | {root})
    else:
        yield from plainly(source)


def _identify(source: BinaryIO) -> tuple[str, str]:
    """The name of the message, and the element that is its root (empty: MT)."""
    source.seek(0)
    head = source.read(_HEAD_BYTES)
    if not head.strip(b"\x00\xef\xbb\xbf \t\r\n"):
        raise Unparsable("the file is empty" if not head else "the file holds nothing but blanks")
    if _looks_like_xml(head):
        return _sniff_xml(source)
    kind = mt940.sniff(head)
    if kind is not None:
        return kind, ""
    for pattern, what in _OTHER_KINDS:
        if pattern.match(head.lstrip(b"\xef\xbb\xbf \t\r\n")):
            raise Unparsable(f"the file is {what}; bankgate reads ISO 20022 XML, MT940 and MT942", 1)
    raise Unparsable("the file is neither ISO 20022 XML nor MT940 nor MT942", 1)


def _looks_like_xml(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"<", b"\xff\xfe", b"\xfe\xff", b"\x00<", b"\x00\x00\xfe\xff"))


def _sniff_xml(source: BinaryIO) -> tuple[str, str]:
    document: Opening | None = None
    root = None
    for opening in openings(source):
        root = root or opening.name
        if document is not None and opening.depth <= document.depth:
            document = None  # an empty Document, and on to the next element
        if document is not None or opening.name in _ROOTS:
            hints = [opening.namespace or "", *opening.attributes]
            if document is not None:
                hints += [document.namespace or "", *document.attributes]
            return _readable(hints, opening.name), opening.name
        if opening.name == "Document":
            document = opening
    raise Unparsable(f"an XML file without an ISO 20022 message in it; its root is <{str(root)[:60]}>", 1)


def _family(name: str) -> str:
    """ "pain.002" of "urn:…:pain.002.001.10"."""
    match = _MESSAGE_NAME.search(name)
    return "" if match is None else ".".join(match[0].split(".")[:2])


def _message_name(hints: Sequence[str], element: str) -> tuple[str, str]:
    """The family that the element says, which decides how it is read, and the name with its version, where one is said.

    The namespace says it; where it is missing or cut, an attribute such as xsi:schemaLocation may. A hint of another family than
    the element's is not believed: the content follows the element.
    """
    family = _MESSAGES.get(re.sub(r"V\d\d$", "", element)) or _family(element)
    for hint in (*hints, element):
        match = _MESSAGE_NAME.search(hint)
        if match is not None and (not family or _family(hint) == family):
            return family or _family(hint), match[0]
    return family, family


def _readable(hints: Sequence[str], element: str) -> str:
    family, name = _message_name(hints, element)
    if not family:
        raise Unparsable(f"a Document that holds <{element[:60]}>, which is no message known here", 1)
    if family in _REQUESTS:
        raise Unparsable(f"this is a {name} message, a request of a customer to its bank; bankgate writes that kind only", 1)
    if family not in _READ:
        raise Unparsable(f"this is a {name} message; bankgate does not read that kind", 1)
    return name


class _XmlFile:
    """Reads all messages of one XML file."""

    def __init__(self, source: BinaryIO, message: str, root: str, valid: bool | None, problems: tuple[str, ...]) -> None:
        self._message = message
        self._judged: tuple[bool | None, tuple[str, ...]] = (valid, problems)
        self._survey = Survey(source)
        self._roots = _ROOTS | {root}
        self._heard = _HEARD | {root}
        self._stream = ElementStream(source, sorted(self._heard))
        self._document: Document | None = None  # until it has been told
        self._document_id: str | None = None
        self._root: etree._Element | None = None  # of the message being read
        self._around: tuple[tuple[str, str], ...] = ()  # the envelope's header and the Document's attributes, until told
        self._outside = Reading(Shape({}))  # what stands in the message beside the reader's elements
        self._reader: MessageReader | None = None
        self._messages = 0
        self._messages_before = 0  # the current Document

    def records(self) -> Iterator[ReportRecord]:
        """All records of the file."""
        for event, name, element in self._stream:
            reader = self._reader
            if reader is not None and name in reader.names:
                if event == "start":
                    root = element.getparent()
                    if root is not None and root is self._root and name in reader.apart:
                        self._outside.take(root, until=element)
                    records = reader.start(name, element)
                else:
                    records = reader.end(name, element)
                if records:
                    yield from self._with_document(records)
            else:
                yield from self._frame(event, name, element)

    def _with_document(self, records: Sequence[ReportRecord]) -> Sequence[ReportRecord]:
        """The records, with the message's own before them unless it has been told already."""
        if self._document is None or self._reader is None:
            return records
        found = self._outside.found
        told = replace(
            self._document,
            message_id=found.get("message_id"),
            creation_date_time=found.get("created"),
            page_number=found.get("page"),
            last_page=found.get("last_page"),
            supplementary=(*self._around, *self._outside.supplement.pairs()),
        )
        self._document, self._document_id, self._around = None, told.message_id, ()
        self._outside = Reading(Shape(dict.fromkeys(self._reader.apart, OWN)))
        return (told, *records)

    def _frame(self, event: str, name: str, element: etree._Element) -> Sequence[ReportRecord]:
        """What stands around the messages' own content."""
        starts, reader = event == "start", self._reader
        if name in self._roots and starts:
            if reader is not None:
                raise Unparsable("a message inside a message", self._stream.line_of(element))
            self._reader = self._message_starts(element, name)
        elif name in self._roots and reader is not None:
            return self._message_ends(element, reader)
        elif name == "GrpHdr" and reader is not None and not starts and self._root is not None:
            if element.getparent() is self._root:
                reader.header(element)
        elif name == "Document" and starts:
            self._messages_before = self._messages
            self._around = (*self._around, *attributes_of(element, "Document"))
        elif name == "Document":
            if self._messages == self._messages_before:
                _readable([element.tag], local_name(element[0].tag) if len(element) else "nothing")
                raise Unparsable("a Document without a message in it", self._stream.line_of(element))
            self._stream.forget(element)
        elif name == "AppHdr" and reader is None and not starts:
            header = Reading(Shape({}), path="AppHdr/")
            header.take(element)
            self._around = header.supplement.pairs()
            self._stream.forget(element)
        elif name in STATEMENTS and starts:
            self._survey.advance()
        return ()

    def _message_starts(self, element: etree._Element, name: str) -> MessageReader:
        family, message = _message_name([element.tag.rpartition("}")[0]], name)
        valid, problems = self._judged
        if self._messages == 0:
            message = self._message
        self._judged = (None, ())  # the validator judges the first message of a file
        self._messages += 1
        self._document = Document(message=message, schema_valid=valid, schema_problems=problems)
        self._root = element
        reader = self._reader_of(family, element)
        self._outside = Reading(Shape({**_HEADER, **dict.fromkeys(reader.apart, OWN)}))
        return reader

    def _reader_of(self, family: str, root: etree._Element) -> MessageReader:
        if family == "pain.001":
            return pain001_read.InitiationDocument(self._stream)
        if family == "pain.002":
            return pain002.StatusReportDocument(self._stream)
        if family == "pacs.004":
            return pacs004.ReturnDocument(self._stream)
        if family == "camt.029":
            return camt029.ResolutionDocument(self._stream, root)
        return camt.CamtDocument(self._stream, self._survey, self._heard)

    def _message_ends(self, element: etree._Element, reader: MessageReader) -> Sequence[ReportRecord]:
        last = reader.close()
        self._outside.take(element)
        records = self._with_document(last)
        remainder = reader.remainder("document", self._document_id, self._outside)
        self._reader = self._root = None
        self._stream.forget(element)
        return (*records, *remainder)
