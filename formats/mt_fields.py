"""SWIFT MT text as fields: where one begins and ends, in lines of any ending, bare or in blocks, in constant memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from formats.errors import Unparsable

_LINE_BYTES_MAX = 16 * 1024
_BLOCK_BYTES = 8 * 1024
_FIELD_BYTES_MAX = 256 * 1024

# Only the fields of MT940 and MT942 open a field: a line of free text may well begin with ":10:30".
_TAG = re.compile(rb":(20|21|25P?|28C?|60[FM]|61|62[FM]|64|65|86|NS|13D?|34F|90[CD]):(.*)", re.DOTALL)
_HEADER = re.compile(rb"\{[1-5]:")
_KIND = re.compile(rb"\{2:[IO](\d{3})")

HEADER = "{"
END = "-"
HEADING = "="


@dataclass(frozen=True, slots=True)
class Field:
    """A field, a mark between messages (`HEADER`, `END`) or a line there (`HEADING`). `offset` and `line`: where it begins."""

    tag: str
    raw: bytes  # its lines, divided by line feeds
    offset: int
    line: int

    def first_line(self) -> str:
        """The first line, whatever its encoding: for fields that are ASCII by definition."""
        return self.raw.partition(b"\n")[0].decode("iso8859-1")

    def text(self, encoding: str) -> str:
        """All lines."""
        return self.raw.decode(encoding, errors="replace")

    def is_utf8(self) -> bool:
        """Whether the bytes are UTF-8, as ASCII always is."""
        try:
            self.raw.decode()
        except UnicodeDecodeError:
            return False
        return True


class Blocks:
    """Follows the SWIFT blocks through a file: refuses other kinds of message, and a block that is never closed."""

    def __init__(self) -> None:
        self._open_line: int | None = None

    @staticmethod
    def kind_read(number: str, line: int) -> str:
        """ "MT940" of "940", or `Unparsable` for a kind that is not read."""
        if number not in ("940", "942"):
            raise Unparsable(f"this is an MT{number} message; bankgate does not read that kind", line)
        return f"MT{number}"

    def met(self, mark: Field) -> None:
        """A mark between messages."""
        if mark.tag == HEADER:
            kind = _KIND.search(mark.raw)
            if kind is not None:
                self.kind_read(kind[1].decode(), mark.line)
            if b"{4:" in mark.raw:
                self._open_line = mark.line
        elif mark.tag == END and b"}" in mark.raw:
            self._open_line = None

    def end(self) -> None:
        """The file ends."""
        if self._open_line is not None:
            raise Unparsable("a SWIFT text block ({4:) that is not closed by -}; the file is cut short", self._open_line)


@dataclass(slots=True)
class _Open:
    """The field being read."""

    tag: str
    lines: list[bytes]
    size: int
    offset: int
    line: int

    def add(self, text: bytes, line: int) -> None:
        self.size += len(text)
        if self.size > _FIELD_BYTES_MAX:
            raise Unparsable(f"a field of more than {_FIELD_BYTES_MAX // 1024} KiB", line)
        self.lines.append(text)

    def field(self) -> Field:
        return Field(self.tag, b"\n".join(self.lines), self.offset, self.line)


def fields(source: BinaryIO, offset: int, line: int) -> Iterator[Field]:
    """The fields from `offset` on, which is line `line` of the file.

    Lines before the first field and after a mark are the bank's own headings ("ABNANL2A", "940"). A line with a lone "-" ends a
    message, unless text goes on after it, which free text does when a bank breaks it there.
    """
    source.seek(offset)
    scanner = _Scanner()
    for raw in _lines(source, line):
        text = raw.rstrip(b"\r\n")
        if offset == 0:
            text = text.removeprefix(b"\xef\xbb\xbf")
        yield from scanner.take(text, offset, line)
        offset += len(raw)
        line += 1
    yield from scanner.flush()


def _lines(source: BinaryIO, line: int) -> Iterator[bytes]:
    """The lines with their ends. Read in blocks: `readline` of an unbuffered source asks for one byte at a time."""
    rest = b""
    while block := source.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        for text in lines:
            yield text + b"\n"
        line += len(lines)
        if len(rest) > _LINE_BYTES_MAX:
            raise Unparsable(f"a line of more than {_LINE_BYTES_MAX // 1024} KiB", line)
    if rest:
        yield rest


class _Scanner:
    """Puts lines together to fields."""

    def __init__(self) -> None:
        self._current: _Open | None = None
        self._after_dash = False

    def flush(self) -> list[Field]:
        """The field being read, which is complete."""
        if self._current is None:
            return []
        done, self._current = self._current, None
        return [done.field()]

    def take(self, text: bytes, offset: int, line: int) -> list[Field]:
        """One line, without its end: the fields and marks that it completes."""
        tag = _TAG.match(text)
        done: list[Field] = []
        if self._after_dash:
            self._after_dash = False
            done, text = self._dash(text, ends=tag is not None, line=line)
        if tag is not None:
            done += self.flush()
            self._current = _Open(tag[1].decode(), [], 0, offset, line)
            self._current.add(tag[2], line)
        elif text.startswith(b"-}") or _HEADER.match(text):
            done += self.flush()
            done += _marks(text, offset, line)
        elif text.strip() == b"-":
            self._after_dash = True
        elif self._current is not None:
            self._current.add(text, line)
        elif text.strip():
            done.append(Field(HEADING, text.strip(), offset, line))
        return done

    def _dash(self, text: bytes, *, ends: bool, line: int) -> tuple[list[Field], bytes]:
        """The line after a lone dash tells whether the dash ended a message."""
        if text.startswith(b"}"):
            return [], b"-" + text
        ends = ends or not text.strip() or text.startswith(b"-") or _HEADER.match(text) is not None
        if ends or self._current is None or self._current.tag != "86":
            return self.flush(), text
        self._current.add(b"-", line)
        return [], text


def _marks(text: bytes, offset: int, line: int) -> Iterator[Field]:
    """The marks of a line: the end of one message, the header of the next, or both ("-}{5:…}{1:…}{2:…}{4:")."""
    if text.startswith(b"-}"):
        yield Field(END, b"-}", offset, line)
        text = text[2:]
    if _HEADER.search(text):
        yield Field(HEADER, text, offset, line)
