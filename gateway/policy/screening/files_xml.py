"""Lists of others in XML: the United Nations' consolidated list, the European Union's and OFAC's SDN.XML.

UN: "Consolidated United Nations Security Council Sanctions List", schema consolidated.xsd (CONSOLIDATED_LIST). EU:
"Financial Sanctions Database, XML 1.1", xmlFullSanctionsList_1_1 (namespace http://eu.europa.ec/fpi/fsd/export).
OFAC: sdn.xsd of "SDN.XML" (sdnList). Elements and codes were compared with public programs that read the published files and with
rows of these in their tests. Elements that are not among the known ones are told, as are sections of the whole list.

Read like every XML from outside (`formats.xml`): no document type, nothing external, in little memory. Any namespace is taken.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from formats.errors import Unparsable
from formats.shapes import local_name
from formats.xml import ElementStream
from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import Broken, Reading, Unreadable, day
from gateway.policy.screening.files_ofac import PLACES_MAX, bics_in, weak_names
from gateway.policy.screening.files_tables import LOW_QUALITY

_UN_NAMES: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_UN_WEAK: Final = frozenset({"LOW"})
_UN_KNOWN: Final = frozenset(
    (
        *(*_UN_NAMES, "DATAID", "VERSIONNUM", "UN_LIST_TYPE", "REFERENCE_NUMBER", "LISTED_ON", "SUBMITTED_ON", "SUBMITTED_BY"),
        *("NAME_ORIGINAL_SCRIPT", "COMMENTS1", "TITLE", "DESIGNATION", "NATIONALITY", "NATIONALITY2", "LIST_TYPE", "GENDER"),
        *("LAST_DAY_UPDATED", "DELISTED_ON", "NOTE", "SORT_KEY", "SORT_KEY_LAST_MOD", "INDIVIDUAL_DOCUMENT"),
        *("INDIVIDUAL_ALIAS", "INDIVIDUAL_ADDRESS", "INDIVIDUAL_DATE_OF_BIRTH", "INDIVIDUAL_PLACE_OF_BIRTH"),
        *("ENTITY_ALIAS", "ENTITY_ADDRESS"),
    )
)
_EU_KNOWN: Final = frozenset(
    (
        *("remark", "regulation", "subjectType", "nameAlias", "citizenship", "birthdate", "identification", "address"),
        *("regulationSummary", "contactInfo"),
    )
)
_SDN_KNOWN: Final = frozenset(
    (
        *("uid", "firstName", "lastName", "title", "sdnType", "remarks", "programList", "idList", "akaList", "addressList"),
        *("nationalityList", "citizenshipList", "dateOfBirthList", "placeOfBirthList", "vesselInfo"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a list is written: its outermost element, the elements that are entries, which elements those and the whole may have,
    the root's attribute with the list's date, and what else is looked at."""

    root: str
    makers: Mapping[str, Callable[[Any], ListEntry]]
    known: frozenset[str]
    sections: frozenset[str] = frozenset()
    dated: str | None = None
    also: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)


def read_un(source: BinaryIO) -> Reading:
    """The UN's list. Raises `Broken`."""
    reading = Reading()
    form = _Form(
        root="CONSOLIDATED_LIST",
        makers={"INDIVIDUAL": _un_individual, "ENTITY": _un_entity},
        known=_UN_KNOWN,
        sections=frozenset({"INDIVIDUALS", "ENTITIES"}),
        dated="dateGenerated",
    )
    _walk(source, reading, form)
    return reading


def read_eu(source: BinaryIO) -> Reading:
    """The EU's list. Raises `Broken`."""
    reading = Reading()
    form = _Form(root="export", makers={"sanctionEntity": _eu_entity}, known=_EU_KNOWN, dated="generationDate")
    _walk(source, reading, form)
    return reading


def read_ofac_xml(source: BinaryIO) -> Reading:
    """OFAC's list; as many entries must be there as it says. Raises `Broken`."""
    reading = Reading()
    said: list[int] = []

    def published(element: Any) -> None:
        reading.dated = day(text_of(element, "Publish_Date"))
        said.append(int(text_of(element, "Record_Count") or -1))

    form = _Form(root="sdnList", makers={"sdnEntry": _sdn_entry}, known=_SDN_KNOWN, also={"publshInformation": published})
    _walk(source, reading, form)
    if said and said[0] != len(reading.entries) + reading.failed:
        raise Broken(f"says that it has {said[0]} entries, and has {len(reading.entries) + reading.failed}: not the whole file")
    return reading


def _walk(source: BinaryIO, reading: Reading, form: _Form) -> None:
    """Every element that is an entry."""
    met_root = False
    try:
        stream = ElementStream(source, [form.root, *form.makers, *form.also])
        for event, name, element in stream:
            if name == form.root and event == "start":
                met_root = element.getparent() is None
                said = element.get(form.dated) if met_root and form.dated else None
                if said:
                    reading.dated = day(said)
            elif event == "end" and met_root and name in form.makers:
                reading.add(stream.line_of(element), lambda element=element, name=name: form.makers[name](element))  # type: ignore[misc]
                tell_unknown(reading, element, form.known)
                stream.forget(element)
            elif event == "end" and name in form.also:
                form.also[name](element)
            elif event == "end" and name == form.root:
                tell_unknown(reading, element, form.sections | form.makers.keys() | form.also.keys())
    except Unparsable as problem:
        raise Broken(problem.problem, problem.line) from None
    except (Unreadable, ValueError) as problem:
        raise Broken(f"its date or its count of entries cannot be read: {problem}") from None
    if not met_root:
        raise Broken(f"is not such a list: its outermost element is not {form.root}")


def tell_unknown(reading: Reading, element: Any, known: Iterable[str]) -> None:
    """Notes the elements inside of one that no reader knows."""
    for child in element:
        name = local_name(child.tag) if isinstance(child.tag, str) else ""
        if name and name not in known:
            reading.notice(f"the element {name[:60]!r} in {local_name(element.tag)}")


def children(element: Any, *names: str) -> list[Any]:
    """The elements right inside of it of these names."""
    return [child for child in element if isinstance(child.tag, str) and local_name(child.tag) in names]


def text_of(element: Any, *path: str) -> str:
    """The text of the first element along a path; "" if there is none."""
    for name in path:
        found = children(element, name)
        if not found:
            return ""
        element = found[0]
    return " ".join("".join(element.itertext()).split())


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order, without empty ones."""
    return tuple(dict.fromkeys(name for name in names if name))


def _places(addresses: Iterable[Any], *parts: str) -> tuple[str, ...]:
    """Places as people are shown them, from the elements of addresses."""
    return distinct(", ".join(distinct(text_of(one, part) for part in parts)) for one in addresses)[:PLACES_MAX]


def _un_individual(element: Any) -> ListEntry:
    return _un(element, Kind.PERSON, "INDIVIDUAL_ALIAS")


def _un_entity(element: Any) -> ListEntry:
    return _un(element, Kind.ORGANISATION, "ENTITY_ALIAS")


def _un(element: Any, kind: Kind, alias: str) -> ListEntry:
    name = " ".join(filter(None, (text_of(element, part) for part in _UN_NAMES)))
    entry_id = text_of(element, "REFERENCE_NUMBER") or text_of(element, "DATAID")
    if not name or not entry_id:
        raise Unreadable("has no name or no reference number")
    others = [(text_of(one, "ALIAS_NAME"), text_of(one, "QUALITY").upper() in _UN_WEAK) for one in children(element, alias)]
    strong = distinct((name, text_of(element, "NAME_ORIGINAL_SCRIPT"), *(text for text, weak in others if not weak)))
    return ListEntry(
        entry_id=entry_id,
        kind=kind,
        names=strong,
        weak=tuple(text for text in distinct(text for text, weak in others if weak) if text not in strong),
        places=_places(children(element, "INDIVIDUAL_ADDRESS", "ENTITY_ADDRESS"), "CITY", "COUNTRY"),
        about=text_of(element, "UN_LIST_TYPE"),
    )


def _eu_entity(element: Any) -> ListEntry:
    entry_id = element.get("euReferenceNumber") or element.get("logicalId")
    names = [(_eu_name(one), _eu_strong(one)) for one in children(element, "nameAlias")]
    strong = distinct(text for text, is_strong in names if is_strong)
    weak = tuple(text for text in distinct(text for text, is_strong in names if not is_strong) if text not in strong)
    if not entry_id or not (strong or weak):
        raise Unreadable("has no name or no reference number")
    subject = children(element, "subjectType")
    code = subject[0].get("code", "") if subject else ""
    regulation = children(element, "regulation")
    documents = [one for one in children(element, "identification") if one.get("identificationTypeCode") == "swiftbic"]
    addresses = ((one.get("city") or "", one.get("countryDescription") or "") for one in children(element, "address"))
    return ListEntry(
        entry_id=entry_id,
        kind={"person": Kind.PERSON, "enterprise": Kind.ORGANISATION}.get(code, Kind.OTHER),
        names=strong,
        weak=weak,
        bics=bics_in([one.get(name) or "" for one in documents for name in ("number", "latinNumber")]),
        places=distinct(", ".join(filter(None, parts)) for parts in addresses)[:PLACES_MAX],
        about=regulation[0].get("programme", "") if regulation else "",
    )


def _eu_strong(element: Any) -> bool:
    """A name without the mark counts in full."""
    remark = text_of(element, "remark").lower()
    return element.get("strong", "true").lower() != "false" and not any(word in remark for word in LOW_QUALITY)


def _eu_name(element: Any) -> str:
    whole = " ".join((element.get("wholeName") or "").split())
    return whole or " ".join(filter(None, (element.get(part, "").strip() for part in ("firstName", "middleName", "lastName"))))


def _sdn_entry(element: Any) -> ListEntry:
    entry_id = text_of(element, "uid")
    name = _sdn_name(element)
    if not entry_id or not name:
        raise Unreadable("has no uid or no lastName")
    others = [(_sdn_name(one), text_of(one, "category").lower() == "weak") for one in _list_of(element, "akaList", "aka")]
    banks = [one for one in _list_of(element, "idList", "id") if text_of(one, "idType") == "SWIFT/BIC"]
    strong = distinct((name, *(text for text, weak in others if not weak)))
    weak = (*(text for text, is_weak in others if is_weak), *weak_names(text_of(element, "remarks"), strong))
    kind = text_of(element, "sdnType").lower()
    return ListEntry(
        entry_id=entry_id,
        kind={"individual": Kind.PERSON, "entity": Kind.ORGANISATION}.get(kind, Kind.OTHER),
        names=strong,
        weak=tuple(text for text in distinct(weak) if text not in strong),
        bics=bics_in([text_of(one, "idNumber") for one in banks]),
        places=_places(_list_of(element, "addressList", "address"), "city", "country"),
        about=", ".join(_texts(_list_of(element, "programList", "program"))),
    )


def _sdn_name(element: Any) -> str:
    return " ".join(filter(None, (text_of(element, "firstName"), text_of(element, "lastName"))))


def _list_of(element: Any, outer: str, inner: str) -> list[Any]:
    return [one for group in children(element, outer) for one in children(group, inner)]


def _texts(elements: Iterable[Any]) -> list[str]:
    return ["".join(element.itertext()).strip() for element in elements]
