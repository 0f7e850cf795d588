"""How a message to a front machine is told from the next one: the length headers of the banks' own programs, as data.

Pure. Lengths count bytes. Sources: the banks' interface documents as collected for this project; named at each header.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Framing = Literal["none", "length6_inclusive", "abc7", "length8", "pingan222", "close"]
"""`none`: HTTP says where a message ends. `close`: the end of the connection does, in each direction."""

_NUMBER: Final = re.compile(rb"([0-9]+) *")


class BadFrame(ValueError):
    """A header that says no length, or a length that is not that of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A header of `size` bytes in which the length of what follows stands in `digits` bytes from `at`."""

    size: int
    at: int
    digits: int
    inclusive: bool = False  # the length counts the header too
    zeros: bool = False  # ours is filled up with zeros on the left, else with blanks on the right
    flag: bytes = b""  # what stands before the length
    of_content: bool = False  # the content brings its header, and a reply keeps its own
    lines_rewritten: bool = False  # a reply over HTTP whose line ends were made CRLF on the way is taken
    more: bool = False  # something that is none of ours may follow (attachments, a signature)

    def written(self, content: bytes) -> bytes:
        """The content under its header. Raises `BadFrame`."""
        if self.of_content:
            if self.following(content[: self.size]) != len(content) - self.size:
                raise BadFrame("the header of the message says another length than the message has")
            return content
        number = str(len(content) + (self.size if self.inclusive else 0))
        if len(number) > self.digits:
            raise BadFrame(f"the length of the message does not fit into {self.digits} digits")
        text = number.rjust(self.digits, "0") if self.zeros else number.ljust(self.digits)
        return self.flag + text.encode("ascii") + content

    def following(self, header: bytes) -> int:
        """How many bytes follow this header. Raises `BadFrame`."""
        said = _NUMBER.fullmatch(header[self.at : self.at + self.digits])
        if len(header) != self.size or said is None:
            raise BadFrame("the header of the reply says no length")
        if not self.of_content and header[: self.at] != self.flag:
            raise BadFrame("the reply begins with another mark than that of a message in clear")
        count = int(said[1]) - (self.size if self.inclusive else 0)
        if count < 0:
            raise BadFrame("the header of the reply says a length that is shorter than itself")
        return count

    def read(self, reply: bytes) -> bytes:
        """The content of a whole reply, for routes that say themselves where a reply ends. Raises `BadFrame`."""
        header, rest = reply[: self.size], reply[self.size :]
        count = self.following(header)
        whole = len(rest) == count or (self.lines_rewritten and len(rest.replace(b"\r\n", b"\n")) == count)
        if not whole:
            if len(rest) < count or not (self.more or not rest[count:].strip(b" \r\n\0")):
                raise BadFrame(f"the reply has {len(rest)} bytes, and {count} by its header")
            rest = rest[:count]
        return header + rest if self.of_content else rest


FRAMES: Final[dict[str, Frame]] = {
    # SPDB: 6 digits that count themselves; requests filled with zeros, replies left-aligned and filled with blanks
    "length6_inclusive": Frame(size=6, at=0, digits=6, inclusive=True, zeros=True, lines_rewritten=True),
    # ABC: a mark, 0 for "not encrypted", then 6 left-aligned
    "abc7": Frame(size=7, at=1, digits=6, flag=b"0"),
    # CMB FBSDK, socket: 8 left-aligned (development guide 4.3.1)
    "length8": Frame(size=8, at=0, digits=8),
    # Ping An B2Bi: 222 bytes, the length in 10 digits from offset 30; written by the bank's plugin, which needs its other fields
    "pingan222": Frame(size=222, at=30, digits=10, of_content=True, more=True),
}
"""By the words of `Framing` that are headers."""


def framed(framing: Framing, content: bytes) -> bytes:
    """What leaves. Raises `BadFrame`."""
    frame = FRAMES.get(framing)
    return content if frame is None else frame.written(content)


def unframed(framing: Framing, reply: bytes) -> bytes:
    """The content of a whole reply. Raises `BadFrame`."""
    frame = FRAMES.get(framing)
    return reply if frame is None else frame.read(reply)
