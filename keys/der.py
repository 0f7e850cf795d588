"""DER (ITU-T X.690) for the small parts of a message: writing, and reading what fits in memory.

The large octet strings are never built or parsed here: `wrap` writes the headers that stand before them, and `ber` walks over
them as a stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from keys.seal import BadSeal

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = b"\x05\x00"
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONSTRUCTED = 0x20

_DEPTH_MAX = 24  # no structure of CMS or X.509 nests deeper; a hostile one would


def broken(what: str) -> BadSeal:
    """The error for bytes that are not what CMS says they should be."""
    return BadSeal("structure", f"the message is damaged or cut short: {what}")


def header(tag: int, length: int) -> bytes:
    """Identifier and definite length (X.690, 8.1.2 and 8.1.3), in the shortest form."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def tlv(tag: int, *contents: bytes) -> bytes:
    """One whole element around the given contents."""
    content = b"".join(contents)
    return header(tag, len(content)) + content


def wrap(tag: int, prefix: bytes, following: int) -> bytes:
    """The start of an element that holds `prefix` and then `following` more bytes, which the caller writes itself."""
    return header(tag, len(prefix) + following) + prefix


def sequence(*contents: bytes) -> bytes:
    return tlv(SEQUENCE, *contents)


def set_of(elements: Iterable[bytes]) -> bytes:
    """SET OF, in the order DER demands (X.690, 11.6)."""
    return tlv(SET, *sorted(elements))


def integer(value: int) -> bytes:
    """A non-negative INTEGER (X.690, 8.3)."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER (X.690, 8.19)."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        out += bytes(reversed(septets))
    return tlv(OBJECT_IDENTIFIER, bytes(out))


def algorithm(dotted: str, parameters: bytes = NULL) -> bytes:
    """AlgorithmIdentifier (RFC 5280, 4.1.1.2)."""
    return sequence(oid(dotted), parameters)


@dataclass(frozen=True, slots=True)
class Node:
    """One element, whole in memory. `raw` is its encoding as it was found, `content` what stands after the header."""

    tag: int
    content: bytes
    raw: bytes

    def children(self) -> tuple["Node", ...]:
        """The elements inside. Raises `BadSeal` where this is not a sequence of elements."""
        if not self.tag & CONSTRUCTED:
            raise broken("a structure was expected where a value stands")
        nodes = []
        at = 0
        while at < len(self.content):
            node, at = _element(self.content, at, 0)
            nodes.append(node)
        return tuple(nodes)

    def expect(self, tag: int, what: str) -> "Node":
        """Itself, if it carries this tag."""
        if self.tag != tag:
            raise broken(f"{what} was expected")
        return self

    def as_integer(self) -> int:
        self.expect(INTEGER, "an INTEGER")
        if not self.content:
            raise broken("an INTEGER is empty")
        return int.from_bytes(self.content, "big", signed=True)

    def as_version(self, *known: int) -> int:
        """A version number, which must be one of those that this structure can have."""
        if (version := self.as_integer()) not in known:
            raise broken(f"there is no version {version} of this structure")
        return version

    def as_oid(self) -> str:
        """Dotted form."""
        self.expect(OBJECT_IDENTIFIER, "an OBJECT IDENTIFIER")
        if not self.content or self.content[-1] & 0x80 or len(self.content) > 64:
            raise broken("an OBJECT IDENTIFIER is incomplete")
        arcs, value = [], 0
        for octet in self.content:
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(value)
                value = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))

    def as_octets(self, tag: int = OCTET_STRING) -> bytes:
        """The octets of an OCTET STRING, also where BER cut it into pieces (X.690, 8.7)."""
        if self.tag == tag | CONSTRUCTED:
            return b"".join(piece.as_octets() for piece in self.children())
        return self.expect(tag, "an OCTET STRING").content


def parse(data: bytes) -> Node:
    """The one element that `data` holds. Raises `BadSeal`."""
    node, end = _element(data, 0, 0)
    if end != len(data):
        raise broken("bytes stand after the end of a structure")
    return node


def _element(data: bytes, start: int, depth: int) -> tuple[Node, int]:
    if depth > _DEPTH_MAX:
        raise broken("structures are nested too deeply")
    tag, length, at = _header(data, start)
    if length is not None:
        end = at + length
        if end > len(data):
            raise broken("an element is longer than what holds it")
        return Node(tag, data[at:end], data[start:end]), end
    body = at
    while data[at : at + 2] != b"\x00\x00":
        _, at = _element(data, at, depth + 1)
    return Node(tag, data[body:at], data[start : at + 2]), at + 2


def _header(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Tag, length (None: indefinite) and where the content starts."""
    if at + 2 > len(data):
        raise broken("an element ends within its header")
    tag, first = data[at], data[at + 1]
    at += 2
    if tag & 0x1F == 0x1F or tag == 0:
        raise broken("an element carries a tag that CMS does not use")
    if first == 0x80:
        if not tag & CONSTRUCTED:
            raise broken("a value has no length")
        return tag, None, at
    if first < 0x80:
        return tag, first, at
    count = first & 0x7F
    if count > 8 or at + count > len(data):
        raise broken("a length is malformed")
    return tag, int.from_bytes(data[at : at + count], "big"), at + count
