"""Lists of others in XML: the United Nations' consolidated list, the European Union's and OFAC's SDN.XML.

UN: "Consolidated United Nations Security Council Sanctions List", schema consolidated.xsd (CONSOLIDATED_LIST). EU:
"Financial Sanctions Database, XML 1.1", xmlFullSanctionsList_1_1 (namespace http://eu.europa.ec/fpi/fsd/export).
OFAC: sdn.xsd of "SDN.XML" (sdnList). Of none of the three was a published file at hand: the forms are as descriptions have them.

Read like every XML from outside (`formats.xml`): no document type, nothing external, in little memory. Any namespace is taken.
"""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final

from formats.errors import Unparsable
from formats.shapes import local_name
from formats.xml import ElementStream
from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import Broken, Reading, Unreadable, day

_UN_NAMES: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_UN_WEAK: Final = frozenset({"LOW"})


def read_un(source: BinaryIO) -> Reading:
    """The UN's list. Raises `Broken`."""
    reading = Reading()
    _walk(source, reading, "CONSOLIDATED_LIST", {"INDIVIDUAL": _un_individual, "ENTITY": _un_entity}, "dateGenerated")
    return reading


def read_eu(source: BinaryIO) -> Reading:
    """The EU's list. Raises `Broken`."""
    reading = Reading()
    _walk(source, reading, "export", {"sanctionEntity": _eu_entity}, "generationDate")
    return reading


def read_ofac_xml(source: BinaryIO) -> Reading:
    """OFAC's list; as many entries must be there as it says. Raises `Broken`."""
    reading = Reading()
    said: list[int] = []

    def published(element: Any) -> None:
        reading.dated = day(_text(element, "Publish_Date"))
        said.append(int(_text(element, "Record_Count") or -1))

    _walk(source, reading, "sdnList", {"sdnEntry": _sdn_entry}, None, also={"publshInformation": published})
    if said and said[0] != len(reading.entries) + reading.failed:
        raise Broken(f"says that it has {said[0]} entries, and has {len(reading.entries) + reading.failed}: not the whole file")
    return reading


def _walk(  # noqa: PLR0917 - what differs between three lists
    source: BinaryIO,
    reading: Reading,
    root: str,
    makers: dict[str, Callable[[Any], ListEntry]],
    dated: str | None,
    also: dict[str, Callable[[Any], None]] | None = None,
) -> None:
    """Every element that is an entry; `dated` names the root's attribute with the list's date."""
    met_root = False
    try:
        stream = ElementStream(source, [root, *makers, *(also or {})])
        for event, name, element in stream:
            if name == root and event == "start":
                met_root = element.getparent() is None
                said = element.get(dated) if met_root and dated else None
                if said:
                    reading.dated = day(said)
            elif event == "end" and met_root and name in makers:
                reading.add(stream.line_of(element), lambda element=element, name=name: makers[name](element))  # type: ignore[misc]
                stream.forget(element)
            elif event == "end" and also and name in also:
                also[name](element)
    except Unparsable as problem:
        raise Broken(problem.problem, problem.line) from None
    except (Unreadable, ValueError) as problem:
        raise Broken(f"its date or its count of entries cannot be read: {problem}") from None
    if not met_root:
        raise Broken(f"is not such a list: its outermost element is not {root}")


def _children(element: Any, *names: str) -> list[Any]:
    return [child for child in element if isinstance(child.tag, str) and local_name(child.tag) in names]


def _text(element: Any, *path: str) -> str:
    """The text of the first element along a path; "" if there is none."""
    for name in path:
        found = _children(element, name)
        if not found:
            return ""
        element = found[0]
    return " ".join("".join(element.itertext()).split())


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _un_individual(element: Any) -> ListEntry:
    return _un(element, Kind.PERSON, "INDIVIDUAL_ALIAS")


def _un_entity(element: Any) -> ListEntry:
    return _un(element, Kind.ORGANISATION, "ENTITY_ALIAS")


def _un(element: Any, kind: Kind, alias: str) -> ListEntry:
    name = " ".join(filter(None, (_text(element, part) for part in _UN_NAMES)))
    entry_id = _text(element, "REFERENCE_NUMBER") or _text(element, "DATAID")
    if not name or not entry_id:
        raise Unreadable("has no name or no reference number")
    others = [(_text(one, "ALIAS_NAME"), _text(one, "QUALITY").upper() in _UN_WEAK) for one in _children(element, alias)]
    strong = _distinct((name, _text(element, "NAME_ORIGINAL_SCRIPT"), *(text for text, weak in others if not weak)))
    return ListEntry(
        entry_id=entry_id,
        kind=kind,
        names=strong,
        weak=tuple(text for text in _distinct(text for text, weak in others if weak) if text not in strong),
        about=_text(element, "UN_LIST_TYPE"),
    )


def _eu_entity(element: Any) -> ListEntry:
    entry_id = element.get("euReferenceNumber") or element.get("logicalId")
    names = [(_eu_name(one), one.get("strong", "true").lower() != "false") for one in _children(element, "nameAlias")]
    strong = _distinct(text for text, is_strong in names if is_strong)
    weak = tuple(text for text in _distinct(text for text, is_strong in names if not is_strong) if text not in strong)
    if not entry_id or not (strong or weak):
        raise Unreadable("has no name or no reference number")
    subject = _children(element, "subjectType")
    code = subject[0].get("code", "") if subject else ""
    regulation = _children(element, "regulation")
    return ListEntry(
        entry_id=entry_id,
        kind={"person": Kind.PERSON, "enterprise": Kind.ORGANISATION}.get(code, Kind.OTHER),
        names=strong,
        weak=weak,
        about=regulation[0].get("programme", "") if regulation else "",
    )


def _eu_name(element: Any) -> str:
    whole = " ".join((element.get("wholeName") or "").split())
    return whole or " ".join(filter(None, (element.get(part, "").strip() for part in ("firstName", "middleName", "lastName"))))


def _sdn_entry(element: Any) -> ListEntry:
    entry_id = _text(element, "uid")
    name = _sdn_name(element)
    if not entry_id or not name:
        raise Unreadable("has no uid or no lastName")
    others = [(_sdn_name(one), _text(one, "category").lower() == "weak") for one in _list_of(element, "akaList", "aka")]
    strong = _distinct((name, *(text for text, weak in others if not weak)))
    kind = _text(element, "sdnType").lower()
    return ListEntry(
        entry_id=entry_id,
        kind={"individual": Kind.PERSON, "entity": Kind.ORGANISATION}.get(kind, Kind.OTHER),
        names=strong,
        weak=tuple(text for text in _distinct(text for text, weak in others if weak) if text not in strong),
        about=", ".join(_texts(_list_of(element, "programList", "program"))),
    )


def _sdn_name(element: Any) -> str:
    return " ".join(filter(None, (_text(element, "firstName"), _text(element, "lastName"))))


def _list_of(element: Any, outer: str, inner: str) -> list[Any]:
    return [one for group in _children(element, outer) for one in _children(group, inner)]


def _texts(elements: Iterable[Any]) -> list[str]:
    return ["".join(element.itertext()).strip() for element in elements]
