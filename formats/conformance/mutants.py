"""Broken variants of a file, made from a seed: bytes changed anywhere, and XML elements moved, doubled, emptied, renamed.

The same file and number give the same variants on every machine, so that a finding can be looked at again.
"""

from collections.abc import Iterator

from lxml import etree

from formats.conformance.dice import Dice
from formats.schemas_pieces import hardened_parser

_FRAGMENTS = (
    *(b"<", b">", b"&", b"]]>", b"<!--", b"<?x ", b"<![CDATA[", b"</Document>", b"<!DOCTYPE x>", b"<!ENTITY a 'b'>"),
    *(b"\x00", b"\xff", b"\xfe", b"\n:61:", b"\n:86:", b"\n-}", b"{4:\n", b",", b'encoding="UTF-16"', b"\xef\xbb\xbf"),
)
_TEXTS = ("", " ", "-1", "1e9", "NaN", "9" * 40, "0.000", "2026-13-45", "QQQQ", "\u202e", "x" * 2_000, "2026-11-25T99:00:00")


def mutants(content: bytes, seed: str, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` variants of a file, each with what was done to it."""
    for number in range(count):
        dice = Dice(f"{seed}/{number}")
        made = _of_elements(content, dice) if number % 2 else None
        yield made or _of_bytes(content, dice)


def _of_bytes(content: bytes, dice: Dice) -> tuple[str, bytes]:
    text = bytearray(content)
    done = []
    for _ in range(1 + dice.below(3)):
        at = dice.below(len(text) + 1)
        match dice.below(6):
            case 0:
                text[at:at] = bytes(dice.below(256) for _ in range(1 + dice.below(4)))
                done.append(f"bytes inserted at {at}")
            case 1:
                del text[at : at + 1 + dice.below(200)]
                done.append(f"bytes removed at {at}")
            case 2:
                text[at : at + 1] = bytes([dice.below(256)])
                done.append(f"byte {at} changed")
            case 3:
                text[at:at] = text[at : at + 1 + dice.below(300)]
                done.append(f"bytes repeated at {at}")
            case 4:
                fragment = dice.pick(_FRAGMENTS)
                text[at:at] = fragment
                done.append(f"{fragment!r} inserted at {at}")
            case _:
                del text[at:]
                done.append(f"cut off at {at}")
    return ", ".join(done), bytes(text)


def _of_elements(content: bytes, dice: Dice) -> tuple[str, bytes] | None:
    """One element changed; None for what is no XML."""
    try:
        root = etree.fromstring(content, hardened_parser())
    except (etree.XMLSyntaxError, ValueError):
        return None
    element = dice.pick([node for node in root.iter() if isinstance(node.tag, str)])
    name = str(element.tag).rpartition("}")[2]
    done = dice.pick((_removed, _doubled, _emptied, _reworded, _renamed, _moved))(element, root, dice)
    return f"{name} {done}", etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _removed(element: etree._Element, _root: etree._Element, _dice: Dice) -> str:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
    return "removed"


def _doubled(element: etree._Element, _root: etree._Element, _dice: Dice) -> str:
    parent = element.getparent()
    if parent is not None:
        parent.insert(parent.index(element), etree.fromstring(etree.tostring(element, with_tail=False), hardened_parser()))
    return "doubled"


def _emptied(element: etree._Element, _root: etree._Element, _dice: Dice) -> str:
    for child in list(element):
        element.remove(child)
    element.text = None
    return "emptied"


def _reworded(element: etree._Element, _root: etree._Element, dice: Dice) -> str:
    element.text = dice.pick(_TEXTS)
    return f"given the text {element.text[:20]!r}"


def _renamed(element: etree._Element, root: etree._Element, dice: Dice) -> str:
    other = dice.pick([node for node in root.iter() if isinstance(node.tag, str)])
    element.tag = other.tag
    return "renamed to another element's name"


def _moved(element: etree._Element, root: etree._Element, dice: Dice) -> str:
    inside = set(element.iter())
    places = [node for node in root.iter() if isinstance(node.tag, str) and node not in inside]
    if places:
        dice.pick(places).append(element)
    return "moved into another element"
