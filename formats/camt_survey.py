"""A first pass over a camt file: what a statement's record tells though it stands behind its entries, or is their number.

Two ways, one answer. The quick one looks at tags only, without parsing: in well-formed XML every `<` opens a tag, unless it is a
comment, a CDATA section or a processing instruction, so where none of these occurs, counting start tags is exact. Where one
occurs, or where a statement has additional information or balances after its first entry (the latter is out of the schema's
order, but seen), the document is parsed.
"""

import re
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from lxml import etree

from formats.camt_shapes import ADDITIONAL, BALANCE, STATEMENTS
from formats.errors import Unparsable
from formats.xml import PART_BYTES_MAX, ElementStream, Utf8Reader

_BALANCES_MAX = 10_000
_INFORMATION_MAX = 1_000  # texts of a statement
_READ_BYTES = 1024 * 1024
_NAMES = rb"(Ntry|Stmt|Rpt|Ntfctn|Bal|AddtlStmtInf|AddtlRptInf|AddtlNtfctnInf)[\s/>]"
_TAGS = re.compile(rb"<" + _NAMES)
_TAGS_OR_AFTER_COLON = re.compile(rb"[<:]" + _NAMES)
_after_colon = re.compile(rb":" + _NAMES).search
_PREFIX = re.compile(rb"[^\s<>/:]+")


@dataclass(slots=True)
class Counted:
    """What the first pass knows of one statement. The latter two are None where the statement's head has it all."""

    entries: int = 0
    balances: list[dict[str, Any]] | None = None
    information: list[str] | None = None


@dataclass(slots=True)
class Survey:
    """The statements of a file in document order, counted when first asked for."""

    source: BinaryIO
    _counted: list[Counted] | None = None
    _position: int = field(default=-1)

    def advance(self) -> None:
        """The main reading has met the next statement."""
        self._position += 1

    @property
    def current(self) -> Counted:
        """What is known of the statement last met."""
        if self._counted is None:
            resume_at = self.source.tell()
            self._counted = _quickly(self.source)
            if self._counted is None:
                self._counted = _by_parsing(self.source)
            self.source.seek(resume_at)
        if self._position >= len(self._counted):
            raise Unparsable("the statements counted and the statements read differ")
        return self._counted[self._position]


def _quickly(source: BinaryIO) -> list[Counted] | None:
    """By tags alone, or None where that would not be exact."""
    reader = Utf8Reader(source)
    counted: list[Counted] = []
    rest = b""
    first = True
    while True:
        piece = reader.read(_READ_BYTES)
        data = rest + piece
        if first and data.startswith(b"<?xml"):
            data = data[data.find(b"?>") + 1 :]
        first = False
        cut = data.rfind(b"<") if piece else len(data)
        rest = data[cut:] if cut >= 0 else data
        data = data[: max(cut, 0)]
        if b"<!" in data or b"<?" in data or not _count(data, counted):
            return None
        if len(rest) > PART_BYTES_MAX:
            raise Unparsable(f"a single part of the document is larger than {PART_BYTES_MAX // 2**20} MiB", reader.line)
        if not piece:
            return counted


def _count(data: bytes, counted: list[Counted]) -> bool:
    """Adds the start tags of `data`, which begins and ends between tags. False: what a statement tells stands after an entry."""
    tags = _TAGS if _after_colon(data) is None else _TAGS_OR_AFTER_COLON  # the former is found several times faster
    for match in tags.finditer(data):
        if match[0].startswith(b":"):  # after a prefix: is it the prefix of a start tag?
            start = data.rfind(b"<", 0, match.start()) + 1
            if not _PREFIX.fullmatch(data, start, match.start()):
                continue
        name = match[1]
        if name == b"Ntry":
            if counted:
                counted[-1].entries += 1
        elif name != b"Bal" and not name.startswith(b"Addtl"):
            counted.append(Counted())
        elif counted and counted[-1].entries:
            return False
    return True


def _by_parsing(source: BinaryIO) -> list[Counted]:
    """What stands right under a statement; its entries have elements of their own."""
    stream = ElementStream(source, (*STATEMENTS, *ADDITIONAL, "Ntry", "Bal"))
    counted: list[Counted] = []
    statement: etree._Element | None = None
    for event, name, element in stream:
        if event == "start":
            if name in STATEMENTS:
                counted.append(Counted(balances=[], information=[]))
                statement = element
            elif name == "Ntry" and counted:
                counted[-1].entries += 1
            continue
        if statement is not None and element.getparent() is statement:
            _add(counted[-1], name, element, stream)
        stream.forget(element)
    return counted


def _add(counted: Counted, name: str, element: etree._Element, stream: ElementStream) -> None:
    """A balance or additional information of a statement."""
    balances, information = counted.balances, counted.information
    if name == "Bal" and balances is not None:
        balances.append(BALANCE.read(element))
        if len(balances) > _BALANCES_MAX:
            raise Unparsable(f"a statement with more than {_BALANCES_MAX} balances", stream.line_of(element))
    elif name in ADDITIONAL and information is not None and (text := (element.text or "").strip()):
        information.append(text)
        if len(information) > _INFORMATION_MAX:
            raise Unparsable(f"a statement with more than {_INFORMATION_MAX} additional texts", stream.line_of(element))
