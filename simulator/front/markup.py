"""A small XML reader and writer of the simulator's own, by hand and strict: what banks' programs take, and no more.

No document types, comments, or processing instructions but the declaration; the five named entities and character references only
where a bank allows them. `breach` compares a tree with what a bank wants: tags, their order, widths in GBK bytes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_DECLARATION: Final = re.compile(r"<\?xml((?:\s+[a-z]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*\?>")
_PSEUDO: Final = re.compile(r"([a-z]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TAG: Final = re.compile(r"<(/?)([A-Za-z_][A-Za-z0-9_.-]*)((?:\s+[A-Za-z_][\w.-]*\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(/?)>")
_ATTRIBUTE: Final = re.compile(r"([A-Za-z_][\w.-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_REFERENCE: Final = re.compile(r"&([^;&<\s]{0,10};?)")
_NUMBER: Final = re.compile(r"#(?:(\d{1,7})|x([0-9A-Fa-f]{1,6}));", re.ASCII)
_NAMED: Final = {"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"', "apos;": "'"}
_CDATA: Final = "<![CDATA["
_DEPTH_MAX: Final = 32
_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class BadXml(ValueError):
    """The text is no XML that a bank's program takes. Says what and where."""


@dataclass(slots=True)
class Node:
    """An element. `text`: all of its own text, without blanks at the ends where it has children."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    text: str = ""
    raw: str = ""  # what stands between its tags, as it came

    def first(self, path: str) -> "Node | None":
        """The first element at "A/B/C" below."""
        found: Node | None = self
        for tag in path.split("/"):
            found = next((child for child in found.children if child.tag == tag), None) if found is not None else None
        return found

    def value(self, path: str) -> str:
        """The text there; "" where there is nothing."""
        found = self.first(path)
        return "" if found is None else found.text

    def all(self, tag: str) -> list["Node"]:
        return [child for child in self.children if child.tag == tag]

    @property
    def tags(self) -> list[str]:
        return [child.tag for child in self.children]


def declaration(text: str) -> tuple[dict[str, str], str]:
    """What the XML declaration at the beginning says ({} without one), and the rest."""
    found = _DECLARATION.match(text)
    if found is None:
        return {}, text
    return {name: one or other for name, one, other in _PSEUDO.findall(found[1])}, text[found.end() :]


def read(text: str, *, references: bool = True) -> Node:
    """The tree of a text without declaration. `references`: `&amp;` and the like are read, otherwise refused. Raises `BadXml`."""
    if strange := _NO_CHARACTER.search(text):
        raise BadXml(f"a character that XML does not have, at character {strange.start()}")
    place = len(text) - len(text.lstrip())
    open_: list[tuple[Node, int]] = []
    top: Node | None = None
    while place < len(text):
        if not text.startswith("<", place):
            end = text.find("<", place)
            end = len(text) if end < 0 else end
            _put(open_, _unescaped(text[place:end], references, place), place)
            place = end
        elif text.startswith(_CDATA, place):
            end = text.find("]]>", place)
            if end < 0:
                raise BadXml(f"a CDATA section without its end at character {place}")
            _put(open_, text[place + len(_CDATA) : end], place)
            place = end + 3
        else:
            top, place = _tag(text, place, open_, top, references)
    if open_ or top is None:
        raise BadXml("the end of the last element is missing" if open_ else "no element at all")
    return top


def _tag(text: str, place: int, open_: list[tuple[Node, int]], top: Node | None, references: bool) -> tuple[Node | None, int]:
    found = _TAG.match(text, place)
    if found is None:
        raise BadXml(f"no tag that could be read at character {place}")
    closing, tag, attributes, empty = found.groups()
    if closing:
        if not open_ or open_[-1][0].tag != tag or attributes or empty:
            raise BadXml(f"</{tag}> at character {place} ends nothing")
        node, begun = open_.pop()
        node.raw = text[begun:place]
        if node.children:
            node.text = node.text.strip()
        return top, found.end()
    if not open_ and top is not None:
        raise BadXml(f"a second element at the top, at character {place}")
    node = Node(tag)
    for name, one, other in _ATTRIBUTE.findall(attributes):
        if name in node.attributes:
            raise BadXml(f"the attribute {name} twice at character {place}")
        node.attributes[name] = _unescaped(one or other, references, place)
    if open_:
        open_[-1][0].children.append(node)
    if not empty:
        open_.append((node, found.end()))
    if len(open_) > _DEPTH_MAX:
        raise BadXml("elements nested too deeply")
    return top or node, found.end()


def _put(open_: list[tuple[Node, int]], text: str, place: int) -> None:
    if open_:
        open_[-1][0].text += text
    elif text.strip():
        raise BadXml(f"text outside of any element at character {place}")


def _unescaped(text: str, references: bool, place: int) -> str:
    if "&" in text and not references:
        raise BadXml(f"the character & at character {place + text.index('&')}")
    if ">" in text and not references:
        raise BadXml(f"the character > at character {place + text.index('>')}")
    return _REFERENCE.sub(_meant, text)


def _meant(found: re.Match[str]) -> str:
    name = found[1]
    if name in _NAMED:
        return _NAMED[name]
    if found_number := _NUMBER.fullmatch(name):
        number = int(found_number[1]) if found_number[1] else int(found_number[2], 16)
        if number <= 0x10FFFF and not _NO_CHARACTER.match(chr(number)):
            return chr(number)
    raise BadXml(f"the reference &{name} is none")


# -- writing ---------------------------------------------------------------------------------------------------------------


def tag(name: str, *inside: str, attributes: str = "") -> str:
    """``<name attributes>inside</name>``; what is inside is markup already."""
    return f"<{name}{' ' if attributes else ''}{attributes}>{''.join(inside)}</{name}>"


def leaf(name: str, value: str | int) -> str:
    """``<name>value</name>`` with `&`, `<` and `>` escaped."""
    return f"<{name}>{str(value).translate(_MARKUP)}</{name}>"


def leaves(*pairs: tuple[str, str | int]) -> str:
    return "".join(leaf(name, value) for name, value in pairs)


# -- what a bank wants -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """An element as a bank's document describes it. `width`: of its text, in GBK bytes. `below`: its children."""

    tag: str
    width: int | None = None
    needed: bool = True
    filled: bool = True  # of a needed one: its text must not be empty
    pattern: str | None = None  # of a text that is not empty
    times: int = 1
    attributes: tuple[str, ...] = ()
    anywhere: bool = False  # its place in the order is not known
    below: Sequence["Want"] = ()


def want(tag: str, width: int | None = None, pattern: str | None = None, *, needed: bool = True, filled: bool = True) -> Want:
    """A leaf."""
    return Want(tag=tag, width=width, pattern=pattern, needed=needed, filled=filled)


def maybe(tag: str, width: int | None = None, pattern: str | None = None) -> Want:
    """A leaf that may be left out or empty."""
    return Want(tag=tag, width=width, pattern=pattern, needed=False, filled=False)


def width(text: str) -> int:
    """In GBK bytes."""
    return len(text.encode("gb18030"))


def breach(node: Node, wants: Sequence[Want], *, ordered: bool) -> str | None:
    """The first thing in which an element's children are not as wanted, in words; None if they are."""
    known = {one.tag: one for one in wants}
    for child in node.children:
        if child.tag not in known:
            return f"{node.tag}/{child.tag} is not known here"
    if ordered:
        order = [one.tag for one in wants if not one.anywhere]
        places = [order.index(tag) for tag in node.tags if tag in order]
        if places != sorted(places):
            return f"{node.tag}: the elements are not in their order"
    for one in wants:
        found = node.all(one.tag)
        if one.needed and not found:
            return f"{node.tag}/{one.tag} is missing"
        if len(found) > one.times:
            return f"{node.tag}/{one.tag} stands {len(found)} times, at most {one.times}"
        problem = next(filter(None, (_misfit(child, one, ordered) for child in found)), None)
        if problem is not None:
            return f"{node.tag}/{problem}"
    return None


def _misfit(node: Node, one: Want, ordered: bool) -> str | None:
    if set(node.attributes) != set(one.attributes):
        return f"{one.tag} has not the attributes it should have"
    if one.below:
        return breach(node, one.below, ordered=ordered)
    if node.children:
        return f"{one.tag} has elements inside"
    if one.needed and one.filled and not node.text:
        return f"{one.tag} is empty"
    if one.width is not None and width(node.text) > one.width:
        return f"{one.tag}: {width(node.text)} bytes, at most {one.width}"
    if node.text and one.pattern is not None and not re.fullmatch(one.pattern, node.text, re.ASCII):
        return f"{one.tag}: {one.pattern} is wanted"
    return None
