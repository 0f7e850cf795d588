"""Which texts of an XML element become which fields of a record, and what becomes of the others: nothing is lost on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lxml import etree

from formats.errors import Unparsable

SUPPLEMENTARY_MAX = 10_000  # pairs of one record
SUPPLEMENTARY_CHARACTERS_MAX = 4 * 1024 * 1024  # of one record's pairs, paths included
NOT_KEPT = "(not kept)"
TAGS_KEPT_MAX = 4096
ATTRIBUTES_MAX = 256  # of one element; ISO 20022 has one, Ccy
_TAG_CHARACTERS_MAX = 256
_NAMES_COUNTED_MAX = 20_000  # of siblings with different names; no schema has more than some dozens
PATH_CHARACTERS_MAX = 1024  # some 100 steps of ISO's names; deeper down nothing is kept


def local_name(tag: str) -> str:
    """The name without its namespace: "Nm" of "{urn:…}Nm"."""
    return tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class Many:
    """In a shape: every text found there, in a list."""

    slot: str


@dataclass(frozen=True, slots=True)
class Each:
    """In a shape: every element found there, read by a shape of its own, in a list."""

    slot: str
    shape: "Shape"


class Supplement:
    """(path, value) of every text and attribute of a record's element that no field of the record holds.

    A path is made of local names from the record's element down, with an index on every repeat among siblings, and ends in
    @Name for an attribute: "NtryDtls[2]/Btch/NbOfTxs", "Amt@Ccy". Text between elements has the step "text()". So no two pairs
    of a record have the same path. Within bounds no file of a bank comes near; what is beyond them is counted, and the last pair
    tells the number: ("(not kept)", "12").
    """

    __slots__ = ("_characters", "_counts", "_left_out", "_pairs")

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._counts: dict[str, int] = {}
        self._characters = 0
        self._left_out = 0

    def add(self, path: str, value: str) -> None:
        """One more text or attribute."""
        self._characters += len(path) + len(value)
        if len(self._pairs) >= SUPPLEMENTARY_MAX or self._characters > SUPPLEMENTARY_CHARACTERS_MAX:
            self.leave_out()
        else:
            self._pairs.append((path, value))

    def add_next(self, path: str, value: str | None) -> None:
        """One more value under a path that may come again and is counted here; nothing where the value is blank."""
        if value is not None and (value := value.strip()):
            self.add(step(self._counts, path) if len(self._pairs) < SUPPLEMENTARY_MAX else path, value)

    def leave_out(self) -> None:
        """One more that is not kept."""
        self._left_out += 1

    def close(self) -> None:
        """Nothing more is kept."""
        self._characters = SUPPLEMENTARY_CHARACTERS_MAX

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All of them, in document order."""
        if self._left_out:
            return (*self._pairs, (NOT_KEPT, str(self._left_out)))
        return tuple(self._pairs)


class _Own:
    """In a shape: an element that is a record of its own, and is left to whoever reads that record."""


OWN = _Own()
Target = str | Many | Each | _Own


class Node:
    """What a shape wants of one element."""

    __slots__ = ("attributes", "below", "each", "many", "name", "own", "shape", "slot", "wanted")

    def __init__(self, name: str) -> None:
        self.name = name
        self.wanted = False
        self.own = False
        self.slot: str | None = None
        self.many: str | None = None
        self.each: str | None = None
        self.attributes: dict[str, str] = {}
        self.below: _Names = _NOTHING_WANTED
        self.shape: Shape | None = None


class _Names(dict[str, Node]):
    """Nodes by tag as lxml spells it. A tag met for the first time is looked up by its local name, whatever its namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.by_local: dict[str, Node] = {}

    def __missing__(self, tag: str) -> Node:
        name = local_name(tag)
        node = self.by_local.get(name)
        if node is None:
            node = Node(name)
        if len(self) < TAGS_KEPT_MAX and len(tag) <= _TAG_CHARACTERS_MAX:
            self[tag] = node
        return node


_NOTHING_WANTED = _Names()


class Shape:
    """Which texts of an element are wanted, by path, and the slot each goes to.

    `Shape({"Refs/EndToEndId": "end_to_end_id", "Amt": "amount", "Amt@Ccy": "currency", "RmtInf/Ustrd": Many("lines")})`

    Several paths may share a slot (what a thing is called in several versions): the first non-empty text in document order
    wins.
    """

    def __init__(self, paths: Mapping[str, Target]) -> None:
        self.names = _Names()
        tree: dict[str, Any] = {}
        for path, target in paths.items():
            *way, last = path.partition("@")[0].split("/")
            level = tree
            for step in way:
                level = level.setdefault(step, {}).setdefault("/", {})
            leaf = level.setdefault(last, {})
            leaf.setdefault("targets", []).append((path.partition("@")[2], target))
        self._compile(tree, self.names)

    def _compile(self, tree: dict[str, Any], names: _Names) -> None:
        for name, branch in tree.items():
            node = names.by_local[name] = Node(name)
            node.wanted = True
            for attribute, target in branch.get("targets", []):
                if attribute:
                    node.attributes[attribute] = target
                elif isinstance(target, Each):
                    node.each, node.shape = target.slot, target.shape
                    node.below = target.shape.names
                elif isinstance(target, Many):
                    node.many = target.slot
                elif isinstance(target, _Own):
                    node.own = True
                else:
                    node.slot = target
            if "/" in branch:
                node.below = _Names()
                self._compile(branch["/"], node.below)

    def read(self, element: etree._Element) -> dict[str, Any]:
        """The wanted texts by slot, stripped; an empty or absent one has no slot. The rest of the subtree is not touched."""
        found: dict[str, Any] = {}
        _gather(element, self.names, found)
        return found

    def whole(self, element: etree._Element) -> tuple[dict[str, Any], Supplement]:
        """As `read`, and every other text and attribute of the element with it. Costs a visit to each element below."""
        reading = Reading(self)
        return reading.take(element), reading.supplement


class Reading:
    """The reading of one element by a shape, at once or piece by piece, so that what was read can be freed on the way."""

    __slots__ = ("_begun", "_counts", "_names", "_path", "_stopped_at", "found", "supplement")

    def __init__(self, shape: Shape, path: str = "", supplement: Supplement | None = None) -> None:
        self.found: dict[str, Any] = {}
        self.supplement = Supplement() if supplement is None else supplement
        self._names = shape.names
        self._path = path
        self._begun = False
        self._counts: dict[str, int] = {}
        self._stopped_at: etree._Element | None = None

    def take(self, element: etree._Element, until: etree._Element | None = None) -> dict[str, Any]:
        """Reads the element's children up to `until`, one of them that is still open; all that was found so far.

        The next piece begins with that one, so it must not be freed before. What stands before it may be.
        """
        first = self._stopped_at
        if not self._begun:
            self._begun = True
            first = element[0] if len(element) else None
            if element.keys():
                for path, value in attributes_of(element, self._path):
                    self.supplement.add(path, value)
            text = element.text
            if text is not None and (text := text.strip()):
                self.supplement.add(self._path + step(self._counts, "text()"), text)
        if len(self._counts) > _NAMES_COUNTED_MAX:  # what is read in pieces may be without end, and is remembered by its names
            self._counts.clear()
            self.supplement.close()
        self._stopped_at = until
        _gather_whole(first, self._names, self.found, self.supplement, self._path, counts=self._counts, until=until)
        return self.found


def step(counts: dict[str, int], name: str) -> str:
    """The name as a step of a path, with its number where it was counted before."""
    count = counts[name] = counts.get(name, 0) + 1
    return name if count == 1 else f"{name}[{count}]"


def _gather(element: etree._Element, names: _Names, found: dict[str, Any]) -> None:
    for child in element:
        node = names[child.tag]
        if not node.wanted:
            continue
        if node.shape is not None and node.each is not None:
            found.setdefault(node.each, []).append(node.shape.read(child))
            continue
        if node.below is not _NOTHING_WANTED:
            _gather(child, node.below, found)
        text = child.text
        if text is not None and (text := text.strip()):
            _keep(child, node, text, found)


def _keep(child: etree._Element, node: Node, text: str, found: dict[str, Any]) -> bool:
    """Puts the text where the shape wants it, its attributes with it. False: nobody wants it, or an earlier one has the place."""
    slot = node.slot
    if slot is None:
        if node.many is None:
            return False
        found.setdefault(node.many, []).append(text)
        return True
    if slot in found:
        return False
    found[slot] = text
    for attribute, target in node.attributes.items():
        value = child.get(attribute)
        if value is not None:
            found[target] = value.strip()
    return True


def _gather_whole(
    child: etree._Element | None,
    names: _Names,
    found: dict[str, Any],
    supplement: Supplement,
    path: str,
    *,
    counts: dict[str, int],
    until: etree._Element | None = None,
) -> None:
    """As `_gather`, from `child` on; what nobody wants goes to the supplement. `path` ends in a slash, but for the record's own.

    Siblings are followed one by one because asking lxml for an iterator costs as much as reading a few elements.
    """
    while child is not None and child is not until:
        node = names[child.tag]
        name = node.name
        count = counts[name] = counts.get(name, 0) + 1
        if not node.own:
            taken = False
            text = child.text
            if text is not None and (text := text.strip()):
                taken = _keep(child, node, text, found)
                if not taken:
                    supplement.add(path + (name if count == 1 else f"{name}[{count}]"), text)
            if child.keys():
                _attributes(child, node, taken, supplement, path + (name if count == 1 else f"{name}[{count}]"))
            each = node.each
            if each is not None or len(child):
                here = path + (f"{name}/" if count == 1 else f"{name}[{count}]/")
                inner = found
                if each is not None:
                    inner = {}
                    found.setdefault(each, []).append(inner)
                if len(here) > PATH_CHARACTERS_MAX:
                    supplement.leave_out()
                elif len(child):
                    _gather_whole(child[0], node.below, inner, supplement, here, counts={})
        tail = child.tail
        if tail is not None and (tail := tail.strip()):
            supplement.add(path + step(counts, "text()"), tail)
        child = child.getnext()


def attributes_of(element: etree._Element, path: str) -> list[tuple[str, str]]:
    """The attributes that are not blank, with the paths that a supplement gives them."""
    seen: dict[str, int] = {}
    return [(step(seen, f"{path}@{local_name(name)}"), value) for name, value in _items(element) if value]


def _items(element: etree._Element) -> list[tuple[str, str]]:
    """Names and values. Asking for the values takes the square of their number, so a flood of them is refused before."""
    if len(element.keys()) > ATTRIBUTES_MAX:
        raise Unparsable(f"an element with more than {ATTRIBUTES_MAX} attributes", cast("Any", element).sourceline)
    return [(name, value.strip()) for name, value in cast("list[tuple[str, str]]", element.items())]


def _attributes(child: etree._Element, node: Node, taken: bool, supplement: Supplement, here: str) -> None:
    seen: dict[str, int] = {}
    for attribute, value in _items(child):
        if value and not (taken and attribute in node.attributes):
            supplement.add(step(seen, f"{here}@{local_name(attribute)}"), value)
