"""Detached CMS signatures: S/MIME multipart/signed (RFC 8551, 3.5.3; RFC 1847), content and signature in one file.

A channel carries one file at a time, so a signature in a file of its own is not offered. What is signed is the first MIME part
with its headers. We write its content as base64, because mail systems and banks' gateways rewrite line ends; we read base64 and
content as it is. RFC 8551, 3.1.1 signs text with the line ends CR LF whatever the file has, so a digest over these is tried too.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from keys.algorithms import HASHES
from keys.ber import SMALL_MAX, Walker
from keys.cms_signed import Policy, read_signed, too_large
from keys.cms_write import CHUNK, Measured, Signing, Sink, signed_data
from keys.der import broken
from keys.pieces import PieceReader, Read
from keys.seal import BadSeal

_HEADERS_MAX: Final = 16 * 1024
_LINE: Final = 57 * 1024  # of content at once: whole lines of base64
_SPACE: Final = b" \t\r\n"
_BOUNDARY: Final = re.compile(r""";\s*boundary=(?:"(?P<quoted>[^"\\]{1,70})"|(?P<bare>[^\s";]{1,70}))\s*(?:;|$)""", re.IGNORECASE)


# ---- writing ------------------------------------------------------------------------------------------------------------


def write_detached(source: BinaryIO, out: Sink, signing: Signing, random_bytes: Callable[[int], bytes]) -> None:
    """Writes the content and its signature behind it; one pass. Raises `KeyUnavailable`."""
    digest = signing.scheme.digest
    boundary = f"----{random_bytes(24).hex()}"
    protocol = f'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-{digest[3:]}; boundary="{boundary}"'
    out.write(f"MIME-Version: 1.0\r\nContent-Type: {protocol}\r\n\r\n--{boundary}\r\n".encode())
    hashing, size = hashlib.new(digest), 0
    for piece in _entity(source):
        hashing.update(piece)
        size += len(piece)
        out.write(piece)
    frame = signed_data(Measured(size, hashing.digest()), signing, detached=True)
    out.write(
        f"\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n".encode()
    )
    out.write(_base64_lines(frame.before + frame.after) + f"\r\n--{boundary}--\r\n".encode())


def _entity(source: BinaryIO) -> Iterator[bytes]:
    yield b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    kept = b""
    while chunk := source.read(CHUNK):
        kept += chunk
        whole = len(kept) // _LINE * _LINE
        if whole:
            yield _base64_lines(kept[:whole])
            kept = kept[whole:]
    if kept:
        yield _base64_lines(kept)


def _base64_lines(data: bytes) -> bytes:
    """Lines of 76 characters (RFC 2045, 6.8). `data` that is not the end is a multiple of 57 bytes."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


# ---- reading ------------------------------------------------------------------------------------------------------------


def open_detached(read: Read, out: Sink, policy: Policy) -> None:
    """Writes the content of the first part and verifies the signature in the second. Raises `BadSeal` and `KeyUnavailable` as
    `keys.cms_read.open_message` does."""
    parts = _Parts(read)
    content = _Content(out, policy.content_bytes_max)
    for piece in parts.first():
        content.add(piece)
    content.close()
    signature = parts.second()
    try:
        _verify(signature, out, policy, content.digests)
    except BadSeal as problem:
        if problem.code != "signature.invalid" or content.canonical_digests is None:
            raise
        _verify(signature, out, policy, content.canonical_digests)


def _verify(signature: bytes, out: Sink, policy: Policy, digests: dict[str, bytes]) -> None:
    reader = PieceReader(iter((signature,)))
    read_signed(Walker(reader.read), out, policy, digests)
    if reader.read(1):
        raise broken("bytes stand after the end of the signature")


class _Parts:
    """The two parts of a multipart/signed message, one after the other."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._ahead = b""
        headers = self._headers("the message")
        if headers.content_type != "multipart/signed":
            raise BadSeal("signature.missing", "the message is no multipart/signed message, which this profile takes alone")
        boundary = headers.boundary
        if not boundary:
            raise broken("the multipart message names no boundary")
        self._delimiter = b"\n--" + boundary.encode()
        self._ahead = b"\n" + self._ahead  # the first boundary may stand at once
        for _ in self._until_delimiter():  # the preamble says nothing
            pass
        self._end_of_line()

    def first(self) -> Iterator[bytes]:
        """The first part, headers and all, without the line end that belongs to the boundary."""
        yield from self._until_delimiter()
        self._end_of_line()

    def second(self) -> bytes:
        """The signature."""
        headers = self._headers("the signature")
        known = headers.content_type in ("application/pkcs7-signature", "application/x-pkcs7-signature")
        if not known or headers.encoding != "base64":
            raise BadSeal("signature.missing", "the second part of the message is no CMS signature in base64")
        text = bytearray()
        for piece in self._until_delimiter():
            text += piece
            if len(text) > SMALL_MAX:
                raise broken("the signature is larger than any real one")
        if not self._more(2):
            raise broken("the boundary that ends the message is cut short")
        if self._ahead[:2] != b"--":
            raise BadSeal("signature.several", "the message has more parts than a content and its signature")
        self._ahead = self._ahead[2:]
        if self._more(_HEADERS_MAX) or self._ahead.strip(_SPACE):
            raise broken("bytes stand after its end")
        return _decoded(bytes(text).translate(None, _SPACE))

    def _headers(self, what: str) -> "_Headers":
        while (found := _split(self._ahead)) is None:
            if len(self._ahead) > _HEADERS_MAX or not self._more(len(self._ahead) + 1):
                raise broken(f"the headers of {what} have no end")
        self._ahead = found[1]
        return _parsed(found[0])

    def _until_delimiter(self) -> Iterator[bytes]:
        keep = len(self._delimiter)  # and one more: a CR before it belongs to it
        while (at := self._ahead.find(self._delimiter)) < 0:
            if len(self._ahead) > keep + 1:
                yield self._ahead[: -keep - 1]
                self._ahead = self._ahead[-keep - 1 :]
            if not self._more(len(self._ahead) + 1):
                raise broken("the boundary that ends a part is missing")
        yield self._ahead[: at - 1 if at and self._ahead[at - 1 : at] == b"\r" else at]
        self._ahead = self._ahead[at + keep :]

    def _end_of_line(self) -> None:
        while self._more(2) and self._ahead[:1] in (b" ", b"\t"):
            self._ahead = self._ahead[1:]
        for mark in (b"\r\n", b"\n"):
            if self._ahead.startswith(mark):
                self._ahead = self._ahead[len(mark) :]
                return
        raise broken("a boundary is not alone in its line")

    def _more(self, count: int) -> bool:
        """Reads until `count` bytes are ahead; False where the end comes first."""
        while len(self._ahead) < count:
            piece = self._read(CHUNK)
            if not piece:
                return False
            self._ahead += piece
        return True


class _Content:
    """The signed part as it comes in: hashed with its headers, and its content written."""

    def __init__(self, out: Sink, bytes_max: int) -> None:
        self._out = out
        self._bytes_max = bytes_max
        self._exact = {name: hashlib.new(name) for name in HASHES}
        self._canonical: dict[str, hashlib._Hash] | None = None
        self._after_cr = False
        self._head: bytes | None = b""
        self._base64 = False
        self._text = b""
        self._size = 0

    @property
    def digests(self) -> dict[str, bytes]:
        """Over the part as it stands in the file."""
        return {name: hashing.digest() for name, hashing in self._exact.items()}

    @property
    def canonical_digests(self) -> dict[str, bytes] | None:
        """Over the part with CR LF for every line end; None where it has no others."""
        return None if self._canonical is None else {name: hashing.digest() for name, hashing in self._canonical.items()}

    def add(self, piece: bytes) -> None:
        """The next bytes of the part."""
        if not piece:
            return
        ended = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if self._after_cr and piece.startswith(b"\n"):
            ended = ended[1:]  # its CR came with the piece before
        if self._canonical is None and ended != piece:
            self._canonical = {name: hashing.copy() for name, hashing in self._exact.items()}
        for hashing in (self._canonical or {}).values():
            hashing.update(ended)
        for hashing in self._exact.values():
            hashing.update(piece)
        self._after_cr = piece.endswith(b"\r")
        self._body(piece)

    def close(self) -> None:
        """The part is at its end."""
        if self._head is not None:
            raise broken("the signed part has no headers")
        if self._base64:
            self._write(_decoded(self._text))

    def _body(self, piece: bytes) -> None:
        if self._head is not None:
            self._head += piece
            found = _split(self._head)
            if found is None:
                if len(self._head) > _HEADERS_MAX:
                    raise broken("the headers of the signed part have no end")
                return
            headers, piece = _parsed(found[0]), found[1]
            self._head = None
            if headers.encoding not in ("7bit", "8bit", "binary", "base64"):
                raise BadSeal("content-type.unexpected", "the signed part is encoded as something that is not read")
            self._base64 = headers.encoding == "base64"
        if not self._base64:
            self._write(piece)
            return
        self._text += piece.translate(None, _SPACE)
        filling = self._text.find(b"=")
        if filling >= 0 and len(self._text) - filling > 2:
            raise broken("base64 text goes on after its end")  # and would pile up here without a bound
        whole = (len(self._text) if filling < 0 else filling) // 4 * 4
        self._write(_decoded(self._text[:whole]))
        self._text = self._text[whole:]

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._bytes_max:
            raise too_large(self._bytes_max)
        if data:
            self._out.write(data)


def _split(data: bytes) -> tuple[bytes, bytes] | None:
    """Headers, and what stands behind the empty line that ends them; None where it has not come yet."""
    if data.startswith((b"\r\n", b"\n")):
        return b"", data.partition(b"\n")[2]
    places = [(data.find(mark), mark) for mark in (b"\r\n\r\n", b"\n\n") if mark in data]
    if not places:
        return None
    at, mark = min(places)
    return data[:at], data[at + len(mark) :]


@dataclass(frozen=True, slots=True)
class _Headers:
    """What is needed of the headers of a part (RFC 2045, 5 and 6)."""

    content_type: str
    boundary: str | None
    encoding: str


def _parsed(head: bytes) -> _Headers:
    """Headers may be folded (RFC 5322, 2.2.3); each of those that count may stand once, or readers would differ."""
    if not head.isascii():
        raise broken("a header is not ASCII")  # RFC 5322, 2.2
    unfolded = re.sub(r"\r?\n[ \t]+", " ", head.decode("ascii"))
    found: dict[str, str] = {}
    for line in unfolded.splitlines():
        name, _, value = line.partition(":")
        word = name.strip().lower()
        if word in ("content-type", "content-transfer-encoding"):
            if word in found:
                raise broken("a header stands twice")
            found[word] = value.strip()
    content_type, _, parameters = found.get("content-type", "text/plain").partition(";")
    boundary = _BOUNDARY.search(";" + parameters)
    return _Headers(
        content_type.strip().lower(),
        (boundary["quoted"] or boundary["bare"]) if boundary else None,
        found.get("content-transfer-encoding", "7bit").lower(),
    )


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise broken("the base64 text is malformed") from None
