"""Reading an element by its shape from its text, not from a tree: the same texts to the same fields, several times faster.

An element's text is markup with texts in it. Whatever elements a bank uses or leaves out, the same few pieces of markup come
again and again between two texts: `</Cd></Sts><BookgDt><Dt` leads from the status to the booking date wherever it stands. So
each piece is looked into once for each place it was met at, and what it does is remembered there: a step. Reading on is then one
look-up for each text.

`Walk.read` gives what `shapes.Reading` would give of the tree, or raises `Odd` where it does not know for certain: markup that
is not plain tags with simple attributes, text beside elements, a reference other than the five predefined ones, a repeated
sibling with others between, more steps than are kept. Nothing is lost by that but time, for the tree can always be built.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from formats.shapes import ATTRIBUTES_MAX, PATH_CHARACTERS_MAX, Node, Shape, Supplement, step

STEPS_MAX = 8192
STEPS_CHARACTERS_MAX = 2 * 1024 * 1024  # of the pieces of markup of all steps
_DEPTH_MAX = 64

split = re.compile(r">\s*+([^<\s][^<]*+)<").split
"""An element's text into pieces of markup and, between them, the texts that are not blank. A `>` inside an attribute makes a
piece that is no sequence of tags, so nothing is misread."""

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*+(?::[A-Za-z_][A-Za-z0-9_.-]*+)?"
_VALUE = r"""(?:"([^"<&\t\n]*+)"|'([^'<&\t\n]*+)')"""
_ANY_VALUE = r"""(?:"[^"<&\t\n]*+"|'[^'<&\t\n]*+')"""
_tag = re.compile(rf"[ \t\n]*+<(/?)({_NAME})((?:[ \t\n]++{_NAME}[ \t\n]*+=[ \t\n]*+{_ANY_VALUE})*+)[ \t\n]*+(?P<empty>/?)>").match
_pairs = re.compile(rf"({_NAME})[ \t\n]*+=[ \t\n]*+{_VALUE}").findall

Records = Callable[[str, dict[str, Any], Supplement, dict[str, Any]], None]
"""(name, found, supplement) of an element within that is read for itself, and what was found in the outermost by then."""
_NO_TEXT = ("",)  # after the last piece of markup


class Odd(Exception):
    """Something that is not known for certain here: a tree must be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """An element that a shape leaves to others (`OWN`), and how they read it.

    A whole record has a supplement of its own, with paths from it on; otherwise the first of its siblings adds to that of the
    record around it, and further ones may hold nothing but records.
    """

    shape: Shape
    whole: bool
    within: Mapping[str, "Within"]


_PAIR, _EACH, _END_EACH, _RECORD, _END_RECORD = range(5)


class _Step(NamedTuple):
    """What a piece of markup does, up to and with the text after it."""

    acts: tuple[tuple[int, Any], ...]
    opened: tuple[int, ...]  # the elements opened since the last record began or ended
    slot: str | None  # where the text goes, if that is all there is to it
    leaf: "_Leaf | None"  # all there is to the text; None at the end
    place: "_Place | None"  # where the text stands


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What becomes of a text and the attributes beside it."""

    slot: str | None
    many: str | None
    path: str
    with_text: tuple[tuple[str, str], ...]  # (slot, value) of the attributes that the shape wants with the text
    beside: tuple[tuple[str, str], ...]  # (path, value) of the others
    all_beside: tuple[tuple[str, str], ...]  # the same of all, where nobody wants the text

    def take(self, text: str, found: dict[str, Any], supplement: Supplement) -> None:
        """As `shapes` does with the text of an element."""
        beside = self.beside
        if self.slot is not None and self.slot not in found:
            found[self.slot] = text
            found.update(self.with_text)
        elif self.many is not None:
            found.setdefault(self.many, []).append(text)
        else:
            supplement.add(self.path, text)
            beside = self.all_beside
        for path, value in beside:
            supplement.add(path, value)


class _Place(dict[str, _Step]):
    """An element that is open, and the steps that are known to begin in it."""

    __slots__ = ("below", "count", "depth", "ident", "inside", "node", "parent", "path", "tag", "walk", "within")

    def __init__(self, walk: "Walk", parent: "_Place | None", tag: str, count: int, node: Node) -> None:
        super().__init__()
        self.walk = walk
        self.parent = parent
        self.tag = tag
        self.count = count  # among siblings of the same name; where no path tells it, not counted further
        self.node = node
        self.within: Within | None = None
        self.below: dict[tuple[str, int], _Place] = {}
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.ident = walk.next_ident()
        name = local(tag)
        self.path: str = ("" if parent is None else parent.inside) + (name if count == 1 else f"{name}[{count}]")
        self.inside: str = self.path + "/"

    def __missing__(self, markup: str) -> _Step:
        step = self[markup] = self.walk.learn(self, markup)
        return step


def local(tag: str) -> str:
    """The name without its prefix."""
    return tag.rpartition(":")[2]


class Walk:
    """Reads elements named `name` by a shape from their texts; what is learned of one helps with all.

    `elsewhere` are names of elements that mean something to others wherever they stand, so that an element that has one in
    another place than `root` says is not read here. `prefix`: the one that is known
    to be declared; None where the text comes from a tree, so that all are.
    """

    def __init__(self, name: str, root: Within, elsewhere: frozenset[str], *, prefix: str | None = "") -> None:
        self._elsewhere = elsewhere
        self._prefix = prefix
        self._idents = self._steps = self._characters = 0
        self._start = _Place(self, None, "", 1, Node(""))
        self._start.within = Within(shape=Shape({}), whole=True, within={name: root})

    def next_ident(self) -> int:
        """A number for an element's place."""
        self._idents += 1
        return self._idents

    def read(self, parts: Sequence[str], texts: Iterable[str], record: Records) -> tuple[dict[str, Any], Supplement]:
        """The wanted texts by slot, and the others, of an element in pieces of markup and, between them, texts without blanks
        around them. `record` is told of each record of its own within, in document order.
        """
        place: _Place | None = self._start
        found: dict[str, Any] = {}
        top = found
        supplement = Supplement()
        opened: list[int] = []
        around: list[Any] = []
        for part, text in zip(parts, chain(texts, _NO_TEXT), strict=True):
            if place is None:
                raise Odd
            acts, new, slot, leaf, place = place[part]
            for act, value in acts:
                if act == _PAIR:
                    supplement.add(*value)
                elif act == _EACH:
                    around.append(found)
                    inner: dict[str, Any] = {}
                    found.setdefault(value, []).append(inner)
                    found = inner
                elif act == _END_EACH:
                    found = around.pop()
                elif act == _RECORD:
                    whole, before = value
                    opened += before
                    around.append((found, supplement, opened))
                    found, opened, supplement = {}, [], Supplement() if whole else supplement
                else:
                    name, before = value
                    opened += before
                    _no_repeats(opened)
                    record(name, found, supplement, top)
                    found, supplement, opened = around.pop()
            opened += new
            if slot is not None and slot not in found:
                found[slot] = text
            elif leaf is not None:
                leaf.take(text, found, supplement)
        if place is not None:
            raise Odd
        _no_repeats(opened)
        return found, supplement

    def learn(self, place: _Place, markup: str) -> _Step:
        """What this piece of markup does after a text at this place."""
        self._steps += 1
        self._characters += len(markup)
        if self._steps > STEPS_MAX or self._characters > STEPS_CHARACTERS_MAX:
            raise Odd
        return _Lesson(self._start, self._elsewhere, prefix=self._prefix).step(place, markup)


def _no_repeats(opened: list[int]) -> None:
    """An element that seems to open twice repeats a sibling with others between: its path would be another."""
    if len(set(opened)) != len(opened):
        raise Odd


class _Lesson:
    """Looks into one piece of markup."""

    def __init__(self, start: _Place, elsewhere: frozenset[str], *, prefix: str | None) -> None:
        self._start = start
        self._elsewhere = elsewhere
        self._prefix = prefix
        self._acts: list[tuple[int, Any]] = []
        self._opened: list[int] = []
        self._last: _Place | None = None  # the elder sibling of what opens next

    def step(self, place: _Place, markup: str) -> _Step:
        """The step that begins at this place."""
        start = self._start
        text = ("" if place is start else "<") + markup + ("" if markup.endswith(">") else ">")
        at, leaf, here = 0, None, place
        while at < len(text):
            tag = _tag(text, at)
            if tag is None or leaf is not None or (here is start and self._last is not None):
                raise Odd
            closing, name, attributes, empty = tag[1], tag[2], self._attributes(tag[3]), tag["empty"]
            at = tag.end()
            if closing:
                if here is start or name != here.tag or attributes or empty:
                    raise Odd
                here = self._close(here)
            elif here is place and place is not start and tag.start() == 0:
                raise Odd  # text with elements beside it
            else:
                child = self._child(here, name)
                leaf = _leaf(child, attributes) if at == len(text) and not empty else None
                self._open(child, attributes if leaf is None else [])
                here = self._close(child) if empty else child
        opened = tuple(self._opened)
        if here is start:
            return _Step(tuple(self._acts), opened, None, None, None)
        if leaf is None:
            raise Odd
        simple = leaf.slot is not None and not (leaf.with_text or leaf.beside)
        return _Step(tuple(self._acts), opened, leaf.slot if simple else None, leaf, here)

    def _attributes(self, text: str) -> list[tuple[str, str]]:
        found = [(name, (double or single).strip()) for name, double, single in _pairs(text)]
        if found:
            if len(found) > ATTRIBUTES_MAX or len({name for name, _ in found}) != len(found):
                raise Odd
            if self._prefix is not None and any(":" in name or name == "xmlns" for name, _ in found):
                raise Odd
        return [(name, value) for name, value in found if name != "xmlns" and not name.startswith("xmlns:")]

    def _child(self, parent: _Place, tag: str) -> _Place:
        """The element that opens with this tag."""
        name, last, around = local(tag), self._last, parent.within
        if ":" in tag and self._prefix is not None and tag != f"{self._prefix}:{name}":
            raise Odd
        count = last.count + 1 if last is not None and local(last.tag) == name else 1
        part = None if around is None else around.within.get(name)
        if part is not None:
            count = 1 if part.whole else min(count, 2)
        elif name in self._elsewhere or (around is not None and not around.whole and parent.count > 1):
            raise Odd
        child = parent.below.get((tag, count))
        if child is None:
            names = parent.node.below if around is None else around.shape.names
            child = _Place(parent.walk, parent, tag, count, names.by_local.get(name) or Node(name))
            child.within = part
            if part is not None and part.whole:
                child.inside = ""
            if (child.node.own and part is None) or len(child.inside) > PATH_CHARACTERS_MAX or child.depth > _DEPTH_MAX:
                raise Odd
            parent.below[tag, count] = child
        return child

    def _open(self, child: _Place, attributes: list[tuple[str, str]]) -> None:
        self._last = None
        part = child.within
        if part is None or (not part.whole and child.count == 1):
            self._opened.append(child.ident)
        if part is None:
            self._acts += [(_PAIR, pair) for pair in _beside(child, attributes)]
            if child.node.each is not None:
                self._acts.append((_EACH, child.node.each))
        elif attributes:
            raise Odd
        elif child.parent is not self._start:
            self._acts.append((_RECORD, (part.whole, self._opened)))
            self._opened = []

    def _close(self, child: _Place) -> _Place:
        self._last = child
        if child.within is None:
            if child.node.each is not None:
                self._acts.append((_END_EACH, None))
        elif child.parent is not self._start:
            self._acts.append((_END_RECORD, (local(child.tag), self._opened)))
            self._opened = []
        if child.parent is None:
            raise Odd
        return child.parent


def _beside(place: _Place, attributes: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The attributes that are not blank, with the paths that a supplement gives them."""
    seen: dict[str, int] = {}
    return tuple((step(seen, f"{place.path}@{local(name)}"), value) for name, value in attributes if value)


def _leaf(place: _Place, attributes: list[tuple[str, str]]) -> _Leaf:
    node = place.node
    if place.within is not None or node.each is not None:
        raise Odd  # text with elements beside it, as a rule
    return _Leaf(
        slot=node.slot,
        many=node.many if node.slot is None else None,
        path=place.path,
        with_text=tuple((node.attributes[name], value) for name, value in attributes if name in node.attributes),
        beside=_beside(place, [pair for pair in attributes if pair[0] not in node.attributes]),
        all_beside=_beside(place, attributes),
    )
