"""What libxml2 says about an invalid document, as data: line, named path, end-to-end id, type, words without values.

libxml2 gives a positional path ("/*/*[2]/*[5]"), run here as XPath to learn the elements' names. The values it quotes are
taken out, so that a problem can be logged: they may be account numbers or names.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from lxml import etree

PROBLEMS_MAX = 20
"""How many problems are named; the rest would repeat them."""

PIECE_TAG = "Piece_"
PIECE_PLACE = "Document/CstmrCdtTrfInitn/PmtInf"
"""The element transactions are wrapped in when they are validated apart from their file, and where they stand in it."""

_NAMESPACE = re.compile(r"\{[^{}]*:[^{}]*\}")  # with a colon, so that "{2,2}" of a pattern stays
_QUOTED_VALUE = re.compile(
    r"(?s)(?<=[Vv]alue )'.*?'(?= (?:is |has |of |must |does ))|(?<=: )'.*?'(?= is not a valid value)|(?<=value ')[^']*(?='\.)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaProblem:
    """One fault. `line` counts from 1; `path` names the elements from the outermost known; `type_name` is libxml2's own word."""

    line: int | None
    path: str
    end_to_end_id: str | None
    type_name: str
    message: str

    def __str__(self) -> str:
        """One line for people and logs; no values."""
        where = ", ".join(filter(None, ("" if self.line is None else f"line {self.line}", self.path)))
        who = "" if self.end_to_end_id is None else f" (end-to-end id {self.end_to_end_id})"
        return f"{where}{who}: {self.message} [{self.type_name}]" if where else f"{self.message} [{self.type_name}]"


def problems_of(
    schema: etree.XMLSchema, tree: etree._Element, line_of: Callable[[int], int | None] = lambda line: line
) -> tuple[SchemaProblem, ...]:
    """The first `PROBLEMS_MAX` faults that `schema` just found in `tree`; `line_of` turns the tree's lines into the file's."""
    log = cast("Iterable[Any]", schema.error_log)
    return tuple([_problem(entry, tree, line_of) for entry in islice(log, PROBLEMS_MAX)])


def _problem(entry: Any, tree: etree._Element, line_of: Callable[[int], int | None]) -> SchemaProblem:
    element = _element_at(tree, entry.path)
    return SchemaProblem(
        line=line_of(entry.line),
        path="" if element is None else _named_path(element),
        end_to_end_id=None if element is None else _end_to_end_id(element),
        type_name=entry.type_name.removeprefix("SCHEMAV_"),
        message=words(entry.message, element),
    )


def not_well_formed(error: etree.XMLSyntaxError, line: int | None) -> SchemaProblem:
    """The problem of a text that is no XML."""
    code = cast("Any", error).code
    kind = etree.ErrorTypes._getName(code) if code else None
    return SchemaProblem(
        line=line, path="", end_to_end_id=None, type_name=kind or "NOT_WELL_FORMED", message=_syntax_words(error)
    )


def words(message: str, element: etree._Element | None) -> str:
    """libxml2's sentence without namespaces and without the value it quotes."""
    if element is not None:
        for value in sorted({element.text or "", *element.attrib.values()}, key=len, reverse=True):
            if value.strip():
                message = message.replace(f"'{value}'", "''").replace(f"'{value.strip()}'", "''")
    shorter = _QUOTED_VALUE.sub("''", _NAMESPACE.sub("", message.replace(PIECE_TAG, PIECE_PLACE.rpartition("/")[2])))
    return shorter.replace("The value ''", "The value").replace(": '' is not a valid value", ": not a valid value").strip()


def _syntax_words(error: etree.XMLSyntaxError) -> str:
    # A syntax error quotes names and code points, never values. Its own lines count within a piece of the file.
    return re.sub(r",? line \d+(?:, column \d+.*)?", "", str(error.msg))


def _element_at(tree: etree._Element, path: str | None) -> etree._Element | None:
    if not path:
        return None
    try:
        found = etree.ElementTree(tree).xpath(path)  # what was validated is the root of its paths, in an envelope too
    except etree.XPathError:
        return None
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, etree._Element) else None


def _named_path(element: etree._Element) -> str:
    names = [_local(ancestor) for ancestor in element.iterancestors()]
    path = "/".join([*reversed(names), _local(element)])
    return path.replace(PIECE_TAG, PIECE_PLACE, 1) if path.startswith(PIECE_TAG) else path


def _end_to_end_id(element: etree._Element) -> str | None:
    """The id of the transaction the element belongs to."""
    for around in (element, *element.iterancestors()):
        if _local(around) == "CdtTrfTxInf":
            return next((found.text for found in around.iter("{*}EndToEndId")), None)
    return None


def _local(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else "?"
