"""How a message is told from the next on a bare TCP connection: one shape a bank, own code.

`whole`: the header belongs to the bank's message and goes through (SPDB, Ping An, ABC); otherwise it is the line's alone (CMB).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024


class BadFrame(ValueError):
    """What came is no header of this shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """`read` gives a message as the bank's program sees it; `write` makes a reply ready for the line."""

    read: Callable[[asyncio.StreamReader], Awaitable[bytes]]
    write: Callable[[bytes], bytes]
    half_close: bool = False  # the end of the request is the end of the stream


def _length(text: bytes, pattern: str) -> int:
    if not re.fullmatch(pattern.encode(), text):
        raise BadFrame("a length that is none")
    length = int(text)
    if length > MESSAGE_BYTES_MAX:
        raise BadFrame("a length beyond all measure")
    return length


async def _spdb(reader: asyncio.StreamReader) -> bytes:
    """6 digits, zero-padded, which count themselves."""
    head = await reader.readexactly(6)
    length = _length(head, r"\d{6}")
    if length < len(head):
        raise BadFrame("a length shorter than itself")
    return head + await reader.readexactly(length - len(head))


async def _cmb(reader: asyncio.StreamReader) -> bytes:
    """8 characters: a decimal length, left-aligned, blank-padded; then as many bytes."""
    head = await reader.readexactly(8)
    return await reader.readexactly(_length(head, r"[1-9]\d{0,7} *"))


async def _abc(reader: asyncio.StreamReader) -> bytes:
    """1 character (0 plain, 1 encrypted) and 6 of length, left-aligned, blank-padded."""
    head = await reader.readexactly(7)
    if head[:1] not in (b"0", b"1"):
        raise BadFrame("an encryption flag that is none")
    return head + await reader.readexactly(_length(head[1:], r"[1-9]\d{0,5} *"))


async def _pingan(reader: asyncio.StreamReader) -> bytes:
    """222 bytes, with the length of the body at 30, 10 digits, zero-padded."""
    head = await reader.readexactly(222)
    if head[:6] != b"A00101":
        raise BadFrame("a header that does not begin with A00101")
    return head + await reader.readexactly(_length(head[30:40], r"\d{10}"))


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side has closed its half."""
    message = await reader.read(MESSAGE_BYTES_MAX + 1)
    while piece := await reader.read(MESSAGE_BYTES_MAX + 1):
        message += piece
        if len(message) > MESSAGE_BYTES_MAX:
            raise BadFrame("a message beyond all measure")
    return message


def _as_it_is(reply: bytes) -> bytes:
    return reply


FRAMINGS: Final = {
    "spdb": Framing(read=_spdb, write=_as_it_is),
    "cmb": Framing(read=_cmb, write=lambda reply: f"{len(reply):<8}".encode() + reply),
    "abc": Framing(read=_abc, write=_as_it_is),
    "pingan": Framing(read=_pingan, write=_as_it_is),
    "close": Framing(read=_to_the_end, write=_as_it_is, half_close=True),
}
