"""A reply of a bank that answers at once, kept with what was asked: the file in which it is stored and read again.

    BANKGATE-EXCHANGE 1
    {"asked": {…}, "reply": <bytes>, "opened": <bytes or null>}
    <the reply, byte for byte><what the seal made of its sealed part>

Many replies do not say what they answer (a statement without its account, a status without its serial number), so the question
belongs to the answer. A file without this head is a bare reply, as a tester or a bank's support may have one.
"""

from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from formats.dialogue import Asked
from formats.errors import Unparsable

HEAD: Final = b"BANKGATE-EXCHANGE 1\n"
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
_HEAD_LINE_MAX: Final = 1024 * 1024


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    asked: Asked
    reply: int
    opened: int | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Head).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A reply as it came. `asked` None: nobody noted what it answers. `opened`: what the seal made of its sealed part."""

    reply: bytes
    asked: Asked | None = None
    opened: bytes | None = None

    @property
    def text(self) -> bytes:
        """What is read: the opened part where there is one."""
        return self.reply if self.opened is None else self.opened


def write_exchange(exchange: Exchange) -> bytes:
    """The file. `asked` must be there."""
    if exchange.asked is None:
        raise ValueError("a bare reply is its own file")
    opened = exchange.opened
    head = _Head(asked=exchange.asked, reply=len(exchange.reply), opened=None if opened is None else len(opened))
    return b"".join((HEAD, _encode(head), b"\n", exchange.reply, opened or b""))


def read_exchange(source: BinaryIO) -> Exchange:
    """A kept exchange, or a bare reply. Raises `Unparsable`."""
    source.seek(0)
    content = source.read(REPLY_BYTES_MAX * 2 + _HEAD_LINE_MAX + 1)
    if len(content) > REPLY_BYTES_MAX * 2 + _HEAD_LINE_MAX:
        raise Unparsable(f"a reply of more than {REPLY_BYTES_MAX} bytes; no bank answers with so much at once")
    if not content.startswith(HEAD):
        return Exchange(reply=content)
    line, _, rest = content[len(HEAD) :].partition(b"\n")
    try:
        head = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Unparsable("the line that says what was asked is broken", 2) from problem
    if len(rest) != head.reply + (head.opened or 0) or head.reply < 0 or (head.opened or 0) < 0:
        raise Unparsable("the reply is not as long as its head says: the file was cut or changed", 3)
    opened = None if head.opened is None else rest[head.reply :]
    return Exchange(reply=rest[: head.reply], asked=head.asked, opened=opened)
