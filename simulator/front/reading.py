"""A bank's message as a tree: its XML declaration, its encoding, its markup, each as strict as the bank."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from simulator.front import markup
from simulator.front.markup import BadXml, Node

GBK: Final = {"GBK": "gbk"}
GB2312: Final = {"GB2312": "gb2312"}
UTF8: Final = {"UTF-8": "utf-8"}


def document(body: bytes, encodings: Mapping[str, str]) -> Node:
    """With a declaration that names one of `encodings` (its word there: Python's name). Raises `BadXml`."""
    head, _, _ = body[:200].partition(b"?>")
    named, _ = markup.declaration(head.decode("ascii", "replace") + "?>")
    if named.get("version") != "1.0":
        raise BadXml('the declaration <?xml version="1.0" … ?> is missing')
    word = named.get("encoding", "").upper()
    if word not in encodings:
        raise BadXml(f"the declaration names the encoding {word!r}; wanted is {' or '.join(encodings)}")
    _, rest = markup.declaration(decoded(body, encodings[word]))
    return markup.read(rest)


def bare(body: bytes, codec: str) -> Node:
    """Without a declaration. Raises `BadXml`."""
    text = decoded(body, codec)
    if text.lstrip().startswith("<?"):
        raise BadXml("an XML declaration, which has no place here")
    return markup.read(text)


def decoded(body: bytes, codec: str) -> str:
    """Raises `BadXml`."""
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise BadXml(f"byte {error.start} is not in {codec}") from None
    if text.startswith("\ufeff"):
        raise BadXml("a byte order mark")
    return text


def day(text: str) -> date | None:
    """ "20260105"; None for what is no day."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
