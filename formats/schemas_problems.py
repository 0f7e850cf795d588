"""What libxml2 says about an invalid document, as data: line, named path, ids, type, words without values.

libxml2 gives a positional path ("/*/*[2]/*[5]"), run here as XPath to learn the elements' names. The values it quotes are
taken out, so that a problem can be logged: they may be account numbers or names.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from lxml import etree

PROBLEMS_MAX = 20
"""How many problems are named where the caller does not ask for more; the rest would repeat them."""

RUN_TAG = "Run_"
"""Stands where a run of repeated elements stood, when a file is validated in pieces (`formats.schemas_pieces`)."""

BLOCKS: Final = {"PmtInf": "PmtInfId", "OrgnlPmtInfAndSts": "OrgnlPmtInfId", "OrgnlPmtInfAndCxl": "OrgnlPmtInfId"}
"""Elements that stand for a block of payments, and their id."""

_TRANSACTIONS: Final = frozenset({"CdtTrfTxInf", "TxInfAndSts", "TxDtls", "Ntry", "TxInf"})
_END_TO_END: Final = ("{*}EndToEndId", "{*}OrgnlEndToEndId")
_ALWAYS_NUMBERED: Final = frozenset({*BLOCKS, "CdtTrfTxInf", "TxInfAndSts", "Ntry", "Stmt", "Rpt", "Ntfctn"})

_NAMESPACE = re.compile(r"\{[^{}]*:[^{}]*\}")  # with a colon, so that "{2,2}" of a pattern stays
_QUOTED_VALUE = re.compile(
    r"(?s)(?<=[Vv]alue )'.*?'(?= (?:is |has |of |must |does ))|(?<=: )'.*?'(?= is not a valid value)|(?<=value ')[^']*(?='\.)"
)
_RUN_EXPECTED = re.compile(rf", {RUN_TAG}\b|\b{RUN_TAG}, ")


class Expected(NamedTuple):
    """What would have been right at a place, in words."""

    en: str
    zh: str


Explain = Callable[[str, etree._Element, str], Expected | None]
"""(path with indexes, the element in its fragment, libxml2's type name) → what was expected there, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaProblem:
    """One fault. `line` counts from 1; `path` names the elements from the outermost known, with indexes; `type_name` is libxml2's
    own word, and `message` its own sentence without values. The ids are of the payment concerned."""

    line: int | None
    path: str
    end_to_end_id: str | None
    type_name: str
    message: str
    payment_information_id: str | None = None
    expected: Expected | None = None

    def __str__(self) -> str:
        """One line for people and logs; no values."""
        where = ", ".join(filter(None, ("" if self.line is None else f"line {self.line}", self.path)))
        who = "" if self.end_to_end_id is None else f" (end-to-end id {self.end_to_end_id})"
        return f"{where}{who}: {self.message} [{self.type_name}]" if where else f"{self.message} [{self.type_name}]"


def problem(type_name: str, message: str, line: int | None = None) -> SchemaProblem:
    """A problem without a place in the tree."""
    return SchemaProblem(line=line, path="", end_to_end_id=None, type_name=type_name, message=message)


class Naming:
    """How places in a tree are told: here for a tree of the whole document. Pieces of a file know better (`schemas_pieces`)."""

    def __init__(self, line_of: Callable[[int], int | None] = lambda line: line) -> None:
        self._line_of = line_of

    def line(self, _element: etree._Element | None, line: int) -> int | None:
        """The line of the file for a line of the tree."""
        return self._line_of(line)

    def path(self, element: etree._Element) -> str:
        """The element's path from the root, with indexes."""
        parent = element.getparent()
        return f"{'' if parent is None else self.path(parent)}/{self.step(element)}"

    def step(self, element: etree._Element) -> str:
        """The element's own name, with an index where several of its name may stand side by side."""
        name = local(element)
        elder = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
        alone = not elder and name not in _ALWAYS_NUMBERED and next(element.itersiblings(element.tag), None) is None
        return name if alone else f"{name}[{elder + 1}]"

    def block_id(self, element: etree._Element) -> str | None:
        """The id of the block of payments that the element belongs to."""
        for around in (element, *element.iterancestors()):
            wanted = BLOCKS.get(local(around))
            if wanted is not None:
                return around.findtext(f"{{*}}{wanted}")
        return None


class GivenUp(Exception):
    """libxml2 gave the validation up, as it does with a pattern that takes too many steps for a value. Nothing is said about
    whether the document is valid."""

    problem = problem("GIVEN_UP", "a pattern of the schema takes too many steps for a value; ask the bank for a simpler one")


def keeps_to(schema: etree.XMLSchema, tree: etree._Element) -> bool:
    """Whether the tree is valid by the schema. Raises `GivenUp`."""
    try:
        return schema.validate(tree)
    except etree.XMLSchemaValidateError:  # "internal error": the schema is one that was brought from a bank
        raise GivenUp from None


def problems_of(
    schema: etree.XMLSchema,
    tree: etree._Element,
    naming: Naming | None = None,
    *,
    most: int = PROBLEMS_MAX,
    explain: Explain | None = None,
) -> tuple[SchemaProblem, ...]:
    """The first `most` faults that `schema` just found in `tree`, by lines of the file."""
    log = cast("Iterable[Any]", schema.error_log)
    named = naming or Naming()
    found = [_problem(entry, tree, named, explain) for entry in islice(log, most)]
    return tuple(sorted(found, key=lambda one: one.line or 0))


def _problem(entry: Any, tree: etree._Element, naming: Naming, explain: Explain | None) -> SchemaProblem:
    element = _element_at(tree, entry.path)
    kind = entry.type_name.removeprefix("SCHEMAV_")
    if element is None:
        return problem(kind, words(entry.message, None), naming.line(None, entry.line))
    path = naming.path(element)
    return SchemaProblem(
        line=naming.line(element, entry.line),
        path=path,
        end_to_end_id=_end_to_end_id(element),
        payment_information_id=naming.block_id(element),
        type_name=kind,
        message=_named(words(entry.message, element), path),
        expected=None if explain is None else explain(path, element, kind),
    )


def not_well_formed(error: etree.XMLSyntaxError, line: int | None) -> SchemaProblem:
    """The problem of a text that is no XML."""
    code = cast("Any", error).code
    kind = etree.ErrorTypes._getName(code) if code else None
    return problem(kind or "NOT_WELL_FORMED", _syntax_words(error), line)


def words(message: str, element: etree._Element | None) -> str:
    """libxml2's sentence without namespaces and without the value it quotes."""
    if element is not None:
        for value in sorted({element.text or "", *element.attrib.values()}, key=len, reverse=True):
            if value.strip():
                message = message.replace(f"'{value}'", "''").replace(f"'{value.strip()}'", "''")
    shorter = _QUOTED_VALUE.sub("''", _RUN_EXPECTED.sub("", _NAMESPACE.sub("", message)))
    return shorter.replace("The value ''", "The value").replace(": '' is not a valid value", ": not a valid value").strip()


def _named(message: str, path: str) -> str:
    """What stands for a run of elements is no word of the file's: the message names the element instead, as the path does."""
    return message.replace(f"'{RUN_TAG}'", f"'{path.rpartition('/')[2].partition('[')[0]}'")


def _syntax_words(error: etree.XMLSyntaxError) -> str:
    # A syntax error quotes names and code points, never values. Its own lines count within a piece of the file.
    return re.sub(r",? line \d+(?:, column \d+.*)?", "", str(error.msg))


def _element_at(tree: etree._Element, path: str | None) -> etree._Element | None:
    if not path:
        return None
    try:
        # What was validated is the root of its paths, in an envelope too. Prefixes in a path are the file's own.
        found = etree.ElementTree(tree).xpath(path, namespaces={key: value for key, value in tree.nsmap.items() if key})
    except etree.XPathError:
        return None
    first = found[0] if isinstance(found, list) and found else None
    if isinstance(first, etree._Element):
        return first
    owner = getattr(first, "getparent", lambda: None)()  # of an attribute: the element that has it
    return owner if isinstance(owner, etree._Element) else None


def _end_to_end_id(element: etree._Element) -> str | None:
    """The id of the payment the element belongs to; None where several payments share the element."""
    for around in (element, *element.iterancestors()):
        if local(around) in _TRANSACTIONS:
            ids = list(islice(around.iter(*_END_TO_END), 2))
            return ids[0].text if len(ids) == 1 else None
    return None


def local(element: etree._Element) -> str:
    """The element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else "?"


def source_line(element: etree._Element) -> int:
    """The line of its text on which an element stands."""
    return int(cast("Any", element).sourceline or 1)
