"""The outer clothes of a sealed file: plain DER/BER, PEM (RFC 7468), bare base64, or base64 under S/MIME headers (RFC 8551).

`unwrap` finds out which one it is; `PemWriter` writes PEM. Both stream.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import BinaryIO

from keys.der import broken
from keys.pieces import PieceReader, Read

_CHUNK = 96 * 1024
_LABELS = (b"CMS", b"PKCS7", b"PKCS #7 SIGNED DATA")
_LINE_MAX = 1024
_HEADER_LINES_MAX = 64
_SPACE = b" \t\r\n"


class _Peekable:
    """Reads ahead on `read`, and gives back what was only looked at."""

    def __init__(self, read: Read) -> None:
        self._source = read
        self._ahead = b""

    def read(self, count: int) -> bytes:
        if self._ahead:
            piece, self._ahead = self._ahead[:count], self._ahead[count:]
            return piece
        return self._source(count)

    def line(self) -> bytes:
        """The next line without its end; empty at the end of the file too."""
        while b"\n" not in self._ahead and len(self._ahead) <= _LINE_MAX:
            piece = self._source(_LINE_MAX)
            if not piece:
                break
            self._ahead += piece
        line, _, self._ahead = self._ahead.partition(b"\n")
        if len(line) > _LINE_MAX:
            raise broken("a line before the base64 text is too long")
        return line.rstrip(b"\r")

    def look(self, count: int) -> bytes:
        """What `read` will give next, up to `count` bytes, less at the end of the file."""
        while len(self._ahead) < count and (piece := self._source(count)):
            self._ahead += piece
        return self._ahead[:count]

    def push_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead


def _decoded(source: _Peekable, end: bytes | None) -> Iterator[bytes]:
    """Decodes until `end`, the line that closes the text; None: until the end of the file."""
    text = b""
    finished = False
    while not finished:
        raw = source.read(_CHUNK)
        body, dash, rest = raw.partition(b"-")
        if dash:
            _close(source, dash + rest, end)
        elif not raw and end is not None:
            raise broken("the line that ends the PEM text is missing")
        finished = bool(dash) or not raw
        text += body.translate(None, _SPACE)
        filling = text.find(b"=")
        if filling >= 0 and len(text) - filling > 2:
            raise broken("base64 text goes on after its end")  # and would pile up here without a bound
        usable = len(text) if finished else (len(text) if filling < 0 else filling) // 4 * 4
        try:
            piece = base64.b64decode(text[:usable], validate=True)
        except (binascii.Error, ValueError):
            raise broken("the base64 text is malformed") from None
        text = text[usable:]
        if piece:
            yield piece


def _close(source: _Peekable, tail: bytes, end: bytes | None) -> None:
    while len(tail) <= _LINE_MAX and (piece := source.read(_LINE_MAX)):
        tail += piece
    if end is None or tail.strip(_SPACE) != end:
        raise broken("something else stands where the base64 text should end")


def unwrap(read: Read) -> Read:
    """A reader of the DER or BER inside, whatever stands around it. Raises `BadSeal` ("structure")."""
    source = _Peekable(read)
    start = source.read(1)
    if start == b"\x30":
        source.push_back(start)
        return source.read
    while start and start in _SPACE:
        start = source.read(1)
    if not start:
        raise broken("it is empty")
    source.push_back(start)
    ahead = source.look(_LINE_MAX).partition(b"\n")[0]
    if ahead.startswith(b"-----BEGIN "):
        first = source.line().rstrip(_SPACE)
        label = first[11:-5]
        if label not in _LABELS or not first.endswith(b"-----"):
            raise broken("it is PEM, but not of a CMS message")
        return PieceReader(_decoded(source, b"-----END " + label + b"-----")).read
    if b":" in ahead:
        _pass_headers(source)
    return PieceReader(_decoded(source, None)).read


def _pass_headers(source: _Peekable) -> None:
    """Passes over S/MIME headers. Only the form with the whole message in one base64 part is taken."""
    lines: list[bytes] = []
    while (line := source.line()) and len(lines) < _HEADER_LINES_MAX:
        lines.append(line)
    headers = b" ".join(lines).lower()
    if b"pkcs7-mime" not in headers or b"base64" not in headers:
        raise broken("it is a mail message without a base64 CMS part")


class PemWriter:
    """Writes PEM under the label of RFC 7468, section 9. Call `close` to end the text."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._kept = b""
        out.write(b"-----BEGIN CMS-----\n")

    def write(self, data: bytes) -> None:
        self._kept += data
        whole = len(self._kept) // 48 * 48
        if whole:
            self._lines(self._kept[:whole])
            self._kept = self._kept[whole:]

    def close(self) -> None:
        if self._kept:
            self._lines(self._kept)
            self._kept = b""
        self._out.write(b"-----END CMS-----\n")

    def _lines(self, data: bytes) -> None:
        text = base64.b64encode(data)
        self._out.write(b"\n".join(text[at : at + 64] for at in range(0, len(text), 64)) + b"\n")
