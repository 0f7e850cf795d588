"""A first pass over a camt file: how many entries each statement has, since the statement's record stands before them.

Two ways, one answer. The quick one looks at tags only, without parsing: in well-formed XML every `<` opens a tag, unless it is a
comment, a CDATA section or a processing instruction, so where none of these occurs, counting start tags is exact. Where one
occurs, or where a statement has balances after its first entry (out of the schema's order, but seen), the document is parsed.
"""

import re
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from formats.errors import Unparsable
from formats.xml import PART_BYTES_MAX, ElementStream, Shape, Utf8Reader

STATEMENTS = frozenset(("Stmt", "Rpt", "Ntfctn"))

BALANCE = Shape(
    {
        "Tp/CdOrPrtry/Cd": "type",
        "Tp/CdOrPrtry/Prtry": "type",
        "Tp/Cd": "type",
        "Tp/Prtry": "type",
        "Amt": "amount",
        "Amt@Ccy": "currency",
        "CdtDbtInd": "credit_debit",
        "Dt/Dt": "date",
        "Dt/DtTm": "date",
    }
)

_BALANCES_MAX = 10_000
_READ_BYTES = 1024 * 1024
_TAGS = re.compile(rb"(?:Ntry|Stmt|Rpt|Ntfctn|Bal)[\s/>]")
_PREFIX = re.compile(rb"[^\s<>/:]+")


@dataclass(slots=True)
class Counted:
    """What the first pass knows of one statement. `balances` is None where the statement's head has them all."""

    entries: int = 0
    balances: list[dict[str, Any]] | None = None


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
    """Adds the start tags of `data`, which begins and ends between tags. False: a balance stands after an entry."""
    for match in _TAGS.finditer(data):
        start = match.start()
        before = data[start - 1 : start]
        if before == b":":  # after a prefix: is it the prefix of a start tag?
            start = data.rfind(b"<", 0, start) + 1
            if not _PREFIX.fullmatch(data, start, match.start() - 1):
                continue
        elif before != b"<":
            continue
        name = match[0][:-1]
        if name == b"Ntry":
            if counted:
                counted[-1].entries += 1
        elif name != b"Bal":
            counted.append(Counted())
        elif counted and counted[-1].entries:
            return False
    return True


def _by_parsing(source: BinaryIO) -> list[Counted]:
    stream = ElementStream(source, (*STATEMENTS, "Ntry", "Bal"))
    counted: list[Counted] = []
    for event, name, element in stream:
        if event == "start":
            if name in STATEMENTS:
                counted.append(Counted(balances=[]))
            elif name == "Ntry" and counted:
                counted[-1].entries += 1
        elif name == "Bal":
            balances = counted[-1].balances if counted else None
            if balances is not None:
                balances.append(BALANCE.read(element))
                if len(balances) > _BALANCES_MAX:
                    raise Unparsable(f"a statement with more than {_BALANCES_MAX} balances", stream.line_of(element))
            stream.forget(element)
        else:
            stream.forget(element)
    return counted
