"""Text and XML as Chinese banks want them: strict encodings, lengths in bytes, node order, and a hardened way back.

A bank that says GBK means it: a character outside is refused before anything is sent, with the character shown. Lengths count GBK
bytes everywhere (汉字 2, ASCII 1), also at the banks that take UTF-8. Replies are read as GB18030, of which GBK and GB2312 are
parts.
"""

import re
from collections.abc import Iterable
from typing import Final

from lxml import etree

from formats.errors import Unparsable

REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
DEPTH_MAX: Final = 64
_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_DECLARED: Final = re.compile(rb"""^\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def gbk_length(text: str) -> int:
    """How many bytes a text has in GBK; a character outside of it counts as the 4 bytes it has in GB18030."""
    return len(text.encode("gb18030", "replace"))


def unencodable(text: str, charset: str) -> tuple[str, ...]:
    """The characters that an encoding does not have, each once, in order."""
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return tuple(dict.fromkeys(character for character in text if not _has(character, charset)))
    return ()


def _has(character: str, charset: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def element(tag: str, value: str | None) -> str:
    """``<tag>value</tag>`` with `&`, `<` and `>` escaped; None and "" as ``<tag></tag>``."""
    return f"<{tag}>{(value or '').translate(_MARKUP)}</{tag}>"


def optional(tag: str, value: str | None) -> str:
    """As `element`; nothing for None and ""."""
    return element(tag, value) if value else ""


def elements(pairs: Iterable[tuple[str, str | None]]) -> str:
    """`element` of each, in order."""
    return "".join(element(tag, value) for tag, value in pairs)


def element_of(tag: str, inside: str) -> str:
    """``<tag>…</tag>`` around what is markup already."""
    return f"<{tag}>{inside}</{tag}>"


def decoded(reply: bytes, charset: str | None = None) -> str:
    """A reply as text: in the encoding its XML declaration names, else in `charset`, else GB18030, of which GBK and GB2312 are
    parts. Raises `Unparsable`."""
    declared = _DECLARED.match(reply)
    name = declared[1].decode().lower() if declared else (charset or "gb18030")
    if name.replace("-", "").replace("_", "") in {"gbk", "gb2312", "gb18030", "cp936", "euccn"}:
        name = "gb18030"
    elif name.replace("-", "") == "utf8":
        name = "utf-8-sig"
    else:
        raise Unparsable(f"the encoding {name!r} is none that these banks use", 1)
    try:
        return reply.decode(name)
    except UnicodeDecodeError as problem:
        raise Unparsable(f"byte {problem.start} is not in the encoding {name}") from None


def read_xml(reply: bytes, charset: str | None = None) -> etree._Element:
    """The root of a reply's XML. No document type, no entities but XML's own five, bounded size, depth. Raises `Unparsable`."""
    if len(reply) > REPLY_BYTES_MAX:
        raise Unparsable(f"a reply of more than {REPLY_BYTES_MAX} bytes")
    text = _DECLARATION.sub("", decoded(reply, charset), count=1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unparsable("a document type declaration, which no bank's reply has")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(text.strip().encode(), parser)
    except etree.XMLSyntaxError as problem:
        raise Unparsable("not well-formed XML", problem.lineno) from None
    if _depth(root) > DEPTH_MAX:
        raise Unparsable(f"elements nested deeper than {DEPTH_MAX}")
    return root


def _depth(root: etree._Element) -> int:
    deepest = depth = 0
    for event, _element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def child(parent: etree._Element | None, path: str) -> str:
    """The text of the first element at that path below, without blanks at its ends; "" where there is none."""
    found = None if parent is None else parent.find(path)
    return "" if found is None else "".join(str(part) for part in found.itertext()).strip()
