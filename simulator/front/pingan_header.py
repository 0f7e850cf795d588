"""The 222 bytes before every message of Ping An's B2Bi client, read and written by position.

Source: pingan.md section 1 (offsets from 0). Bytes 193 to 221 are partly inferred there: written as blank or zero, not read.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

LENGTH: Final = 222
CHARSETS: Final = {"01": "gbk", "02": "utf-8"}
PROTOCOLS: Final = ("01", "02")  # tcp, http
_MAGIC: Final = "A00101"


class BadHeader(ValueError):
    """The customer's: the header is not the bank's. Says which bytes and what belongs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A request's header, without the blanks that fill its fields."""

    charset: str  # Python's name
    protocol: str
    customer: str
    length: int  # of the body, in bytes
    function: str
    operator: str
    at: str  # yyyyMMddHHmmss
    serial: str

    @property
    def charset_code(self) -> str:
        return next(code for code, name in CHARSETS.items() if name == self.charset)


def read(message: bytes) -> Header:
    """The header of a request. Raises `BadHeader`."""
    if len(message) < LENGTH:
        raise BadHeader(f"a message begins with {LENGTH} bytes of header, here are {len(message)} bytes in all")
    head = message[:LENGTH]
    part = {name: head[start : start + length] for name, (start, length) in _PLACES.items()}
    try:
        text = {name: value.decode("ascii") for name, value in part.items()}
    except UnicodeDecodeError:
        raise BadHeader("bytes 0 to 86 are ASCII") from None
    for name, pattern in _PATTERNS.items():
        if not re.fullmatch(pattern, text[name]):
            start, length = _PLACES[name]
            raise BadHeader(f"bytes {start} to {start + length - 1} ({name}) are {text[name]!r}, not of the form {pattern}")
    try:
        datetime.fromisoformat(f"{text['date']}T{text['time']}")
    except ValueError:
        raise BadHeader("bytes 53 to 66 are no date and time") from None
    return Header(
        charset=CHARSETS[text["charset"]],
        protocol=text["protocol"],
        customer=text["customer"].rstrip(),
        length=int(text["length"]),
        function=text["function"].rstrip(),
        operator=text["operator"].rstrip(),
        at=text["date"] + text["time"],
        serial=text["serial"].rstrip(),
    )


def write(asked: Header, body: bytes, at: datetime, code: str, text: str) -> bytes:
    """A reply: header and body. `text` fills 100 bytes of GBK and is cut before the first character that has no room."""
    told = b""
    for character in text:
        encoded = character.encode("gb18030")
        if len(told) + len(encoded) > _TEXT_BYTES:
            break
        told += encoded
    front = (
        f"{_MAGIC}{asked.charset_code}{asked.protocol}{asked.customer:<20}{len(body):010d}{asked.function:<6}{asked.operator:<5}"
        f"02{at:%Y%m%d%H%M%S}{asked.serial:<20}{code:<6}"
    )
    tail = "0000" + "0" + "0" + " " * 12 + "0" * 10 + "0"  # not continued, request 000, unsigned, raw, no algorithm, no files
    return front.encode("ascii") + told.ljust(_TEXT_BYTES) + tail.encode("ascii") + body


_TEXT_BYTES: Final = 100
_PLACES: Final = {
    "magic": (0, 6),
    "charset": (6, 2),
    "protocol": (8, 2),
    "customer": (10, 20),
    "length": (30, 10),
    "function": (40, 6),
    "operator": (46, 5),
    "direction": (51, 2),
    "date": (53, 8),
    "time": (61, 6),
    "serial": (67, 20),
}
_PATTERNS: Final = {
    "magic": _MAGIC,
    "charset": "|".join(CHARSETS),
    "protocol": "|".join(PROTOCOLS),
    "customer": r"[0-9A-Za-z]{1,20} *",
    "length": r"[0-9]{10}",
    "function": r"[0-9A-Z]{4,6} *",
    "operator": r"[0-9A-Za-z]{0,5} *",
    "direction": "01",
    "date": r"[0-9]{8}",
    "time": r"[0-9]{6}",
    "serial": r"[0-9A-Za-z]{1,20} *",
}
