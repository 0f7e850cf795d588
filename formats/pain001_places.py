"""Where in a pain.001 a field of the request stands: from "creditor_account.iban" to CdtrAcct/Id/IBAN, with indexes and line.

The paths are those by which payments are read back (`formats.pain001_orders`), turned round, so that the two cannot disagree.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping

from lxml import etree

from formats.shapes import local_name

Standing = dict[str, int]
"""The elements below one, by relative path with an index where several of a name stand side by side, and their lines."""

_INDEX = re.compile(r"\[(\d+)\]")


def standing_below(element: etree._Element, line_of: Callable[[etree._Element], int]) -> Standing:
    """What stands below the element."""
    found: Standing = {}
    _stand(element, "", found, line_of)
    return found


def _stand(element: etree._Element, before: str, found: Standing, line_of: Callable[[etree._Element], int]) -> None:
    children = list(element.iterchildren("*"))
    several = Counter(child.tag for child in children)
    met: Counter[str] = Counter()
    for child in children:
        met[child.tag] += 1
        path = f"{before}{local_name(child.tag)}" + (f"[{met[child.tag]}]" if several[child.tag] > 1 else "")
        found[path] = line_of(child)
        _stand(child, f"{path}/", found, line_of)


def path_to(element: etree._Element) -> str:
    """The names from the root to the element, without indexes: what stands before it may be forgotten already."""
    return "".join(f"/{local_name(around.tag)}" for around in (*reversed(list(element.iterancestors())), element))


class Places:
    """The places of fields, by the paths they are read from."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """`paths`: XML path, with "*" after a step that repeats, → field of the request, without indexes."""
        self._paths: dict[str, list[list[str]]] = {}
        for path, field in paths.items():
            self._paths.setdefault(field, []).append(path.split("/"))
        for field, several in list(self._paths.items()):
            for end in (index for index, letter in enumerate(field) if letter == "."):
                self._widen(field[:end], several)

    def _widen(self, whole: str, several: list[list[str]]) -> None:
        """The place of a whole part ("creditor.postal_address") is what the places of its fields have in common."""
        known = self._paths.get(whole)
        for steps in several:
            parent = steps[:-1]
            if known is None:
                known = self._paths[whole] = [parent]
            elif len(known) == 1:
                known[0] = _common(known[0], parent)

    def knows(self, field: str) -> bool:
        """Whether the field is read from here."""
        return _INDEX.sub("", field) in self._paths

    def of(self, field: str, standing: Standing) -> str:
        """The relative path of the field, or of the nearest element around it that stands there ("" for none)."""
        indexes = [int(number) for number in _INDEX.findall(field)]
        best = ""
        for steps in self._paths.get(_INDEX.sub("", field), []):
            found = _deepest(steps, indexes, standing)
            if found.count("/") > best.count("/") or not best:
                best = found
        return best


def _common(one: list[str], other: list[str]) -> list[str]:
    shared = []
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared.append(left)
    return shared


def _deepest(steps: list[str], indexes: list[int], standing: Standing) -> str:
    left = list(indexes)
    path = ""
    for step in steps:
        name = step.rstrip("*")
        number = left.pop(0) + 1 if step.endswith("*") and left else 1
        before = f"{path}/" if path else ""
        found = next((one for one in (f"{before}{name}[{number}]", f"{before}{name}") if one in standing), None)
        if found is None or (number > 1 and not found.endswith("]")):
            return path
        path = found
    return path
