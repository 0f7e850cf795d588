"""Walking over BER (ITU-T X.690) as a stream: memory does not grow with the message.

Takes definite and indefinite lengths and octet strings cut into pieces, as `openssl cms -stream` and Bouncy Castle write them.
Reads not one byte beyond the element it is asked for, so that the caller decides what may stand after it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keys.der import CONSTRUCTED, OCTET_STRING, Node, broken, header, parse

CHUNK = 128 * 1024  # bytes taken at once from large strings
SMALL_MAX = 256 * 1024  # of what is read whole: recipients, signers, algorithms
_DEPTH_MAX = 24


@dataclass(frozen=True, slots=True)
class Header:
    """An element about to be read. `length` is None where it is indefinite."""

    tag: int
    length: int | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """An element that was entered. `end` is the position after its last byte; None: ends with end-of-contents octets."""

    end: int | None
    bound: int | None  # the nearest end above, which nothing inside may cross


class Walker:
    """Steps through elements read by `read(n)`, which gives 1 to n bytes, or none at the end.

    Every method raises `BadSeal` ("structure") where the bytes are not what is asked for.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._position = 0
        self._frames = [_Frame(None, None)]
        self._pending: Header | None = None
        self._closed = False  # the end-of-contents octets of the innermost frame have been read

    def peek(self) -> Header | None:
        """The next element inside the current one; None at its end."""
        if self._closed:
            return None
        if self._pending is None:
            frame = self._frames[-1]
            if frame.end is not None and self._position >= frame.end:
                return None
            self._pending = self._next_header()
        return self._pending

    def next(self, tag: int, what: str) -> Header:
        """The next element, which must carry this tag."""
        found = self.peek()
        if found is None or found.tag != tag:
            raise broken(f"{what} was expected")
        self._pending = None
        return found

    def enter(self, tag: int, what: str) -> None:
        """Steps into the next element."""
        found = self.next(tag, what)
        if len(self._frames) > _DEPTH_MAX:
            raise broken("structures are nested too deeply")
        outer = self._frames[-1]
        end = None if found.length is None else self._position + found.length
        self._frames.append(_Frame(end, outer.bound if end is None else end))

    def leave(self, what: str) -> None:
        """Steps out of the current element, which must be at its end."""
        if self.peek() is not None:
            raise broken(f"something stands after the end of {what}")
        self._frames.pop()
        self._closed = False

    def small(self, tag: int, what: str) -> Node:
        """The next element whole. Its size is bounded."""
        found = self.next(tag, what)
        if found.length is None:
            raw = bytearray((found.tag, 0x80))
            for piece in self._indefinite():
                raw += piece
                if len(raw) > SMALL_MAX:
                    raise broken(f"{what} is larger than any real one")
            return parse(bytes(raw))
        if found.length > SMALL_MAX:
            raise broken(f"{what} is larger than any real one")
        return parse(header(found.tag, found.length) + self._take(found.length))

    def skip(self, tag: int, what: str) -> None:
        """Passes over the next element without keeping it."""
        found = self.next(tag, what)
        for _ in self._indefinite() if found.length is None else self._pieces(found.length):
            pass

    def octets(self, tag: int, what: str) -> Iterator[bytes]:
        """The octets of the next element, an OCTET STRING under `tag`, piece by piece; exhaust it before going on."""
        found = self.peek()
        if found is None or found.tag & ~CONSTRUCTED != tag:
            raise broken(f"{what} was expected")
        if not found.tag & CONSTRUCTED:
            self._pending = None
            if found.length is None:
                raise broken("a value has no length")
            yield from self._pieces(found.length)
            return
        self.enter(found.tag, what)
        while self.peek() is not None:
            yield from self.octets(OCTET_STRING, what)
        self.leave(what)

    def _pieces(self, remaining: int) -> Iterator[bytes]:
        while remaining:
            piece = self._read(min(remaining, CHUNK))
            if not piece:
                raise broken("it ends too early")
            self._position += len(piece)
            remaining -= len(piece)
            yield piece

    def _take(self, count: int) -> bytes:
        return b"".join(self._pieces(count))

    def _next_header(self, *, within_indefinite: bool = False) -> Header | None:
        """Reads a header; None where end-of-contents octets stand, and may stand."""
        frame = self._frames[-1]
        tag, first = self._take(2)
        end_mark = tag == 0 and first == 0
        length: int | None = None
        if end_mark:
            if not within_indefinite and (frame.end is not None or len(self._frames) == 1):
                raise broken("an end mark stands where none belongs")
        elif tag & 0x1F == 0x1F or tag == 0:
            raise broken("an element carries a tag that CMS does not use")
        elif first == 0x80:
            if not tag & CONSTRUCTED:
                raise broken("a value has no length")
        else:
            length = self._length(first)
        if frame.bound is not None and self._position + (length or 0) > frame.bound:
            raise broken("an element is longer than what holds it")
        if end_mark:
            self._closed = not within_indefinite
            return None
        return Header(tag, length)

    def _length(self, first: int) -> int:
        if first < 0x80:
            return first
        if first > 0x88:
            raise broken("a length is malformed")
        return int.from_bytes(self._take(first & 0x7F), "big")

    def _indefinite(self) -> Iterator[bytes]:
        """The encoding of the inside of an element of indefinite length, its end mark included."""
        depth = 1
        while depth:
            found = self._next_header(within_indefinite=True)
            if found is None:
                depth -= 1
                yield b"\x00\x00"
            elif found.length is None:
                depth += 1
                if depth > _DEPTH_MAX:
                    raise broken("structures are nested too deeply")
                yield bytes((found.tag, 0x80))
            else:
                yield header(found.tag, found.length)
                yield from self._pieces(found.length)
