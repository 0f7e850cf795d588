"""OFAC's SDN_ADVANCED.XML (and CONS_ADVANCED.XML): names are in their scripts there, and everything else is a reference.

ADVANCED_XML.xsd, "Advanced Sanctions Data Model" (namespace …/ADVANCED_XML); compared with public programs that read it and with
pieces of it in their tests. Sanctions has, in this order, DateOfIssue, ReferenceValueSets (what the numbers mean), Locations,
IDRegDocuments, DistinctParties (who), ProfileRelationships, SanctionsEntries (why). Of a party are read: all DocumentedNames of
all its aliases, each in the order of its parts (family name first), those of LowQuality as weak; BICs among its features. Read in
little memory: everything else is let go as it passes.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, BinaryIO, Final

from formats.errors import Unparsable
from formats.xml import ElementStream
from gateway.policy.screening.entries import Kind, ListEntry
from gateway.policy.screening.files import Broken, Reading, Unreadable
from gateway.policy.screening.files_ofac import bics_in
from gateway.policy.screening.files_xml import children, distinct, tell_unknown, text_of

MEANINGS_MAX: Final = 100_000
_ROOT: Final = "Sanctions"
_SECTIONS: Final = frozenset(
    (
        *("DateOfIssue", "ReferenceValueSets", "Locations", "IDRegDocuments", "DistinctParties", "ProfileRelationships"),
        *("SanctionsEntries", "SanctionsEntryLinks"),
    )
)
_NEEDED: Final = ("PartyType", "PartySubType", "FeatureType", "SanctionsType")
_PASSING: Final = ("Location", "IDRegDocument", "ProfileRelationship", "SanctionsEntryLink", "Country", "DetailReference")
_KINDS: Final = {"Individual": Kind.PERSON, "Entity": Kind.ORGANISATION}
_BIC: Final = "SWIFT/BIC"
_PROGRAM: Final = "Program"
_PARTY_KNOWN: Final = frozenset({"Comment", "Profile"})
_PROFILE_KNOWN: Final = frozenset({"Comment", "Identity", "Feature", "ExternalReference", "SanctionsEntryReference"})
_IDENTITY_KNOWN: Final = frozenset({"Alias", "NamePartGroups", "IDRegDocumentReference"})


@dataclass(slots=True)
class _Met:
    """What the file has said so far. `meant`: by kind of value and number, its words and the number of the wider value."""

    reading: Reading
    meant: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)  # profile id -> entry id
    programmes: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def words(self, kind: str, number: str | None) -> str:
        return self.meant.get((kind, number or ""), ("", ""))[0]


def read_ofac_advanced(source: BinaryIO) -> Reading:
    """The list. Raises `Broken`."""
    met = _Met(Reading())
    met_root = False
    try:
        stream = ElementStream(source, (_ROOT, "DateOfIssue", *_NEEDED, *_PASSING, "DistinctParty", "SanctionsEntry"))
        for event, name, element in stream:
            if event == "start":
                met_root = met_root or (name == _ROOT and element.getparent() is None)
                continue
            if name == _ROOT:
                tell_unknown(met.reading, element, _SECTIONS)
                continue
            if met_root:
                _take(met, name, element, stream.line_of(element))
            if name != "DateOfIssue":
                stream.forget(element)
    except Unparsable as problem:
        raise Broken(problem.problem, problem.line) from None
    if not met_root:
        raise Broken(f"is not such a list: its outermost element is not {_ROOT}")
    _tell_why(met)
    return met.reading


def _take(met: _Met, name: str, element: Any, line: int) -> None:
    if name == "DateOfIssue":
        met.reading.dated = _day(element, line)
    elif name in _NEEDED:
        if len(met.meant) >= MEANINGS_MAX:
            raise Broken(f"its ReferenceValueSets explain more than {MEANINGS_MAX:,} numbers", line)
        met.meant[name, element.get("ID") or ""] = text_of(element), element.get("PartyTypeID") or ""
    elif name == "DistinctParty":
        met.reading.add(line, lambda: _party(met, element))
    elif name == "SanctionsEntry":
        _why(met, element, line)


def _day(element: Any, line: int) -> date:
    try:
        return date(*(int(text_of(element, part)) for part in ("Year", "Month", "Day")))
    except ValueError:
        raise Broken("its DateOfIssue is no day", line) from None


def _party(met: _Met, party: Any) -> ListEntry:
    profiles = children(party, "Profile")
    entry_id = party.get("FixedRef") or (profiles[0].get("ID") if profiles else "") or ""
    identities = [one for profile in profiles for one in children(profile, "Identity")]
    for element, known in ((party, _PARTY_KNOWN), *((one, _PROFILE_KNOWN) for one in profiles)):
        tell_unknown(met.reading, element, known)
    strong: list[str] = []
    weak: list[str] = []
    for identity in identities:
        tell_unknown(met.reading, identity, _IDENTITY_KNOWN)
        for alias in children(identity, "Alias"):
            (weak if (alias.get("LowQuality") or "").lower() == "true" else strong).extend(_names(alias))
    if not entry_id or not (strong or weak):
        raise Unreadable("has no FixedRef or no name")
    for profile in profiles:
        met.profiles[profile.get("ID") or entry_id] = entry_id
    return ListEntry(
        entry_id=entry_id,
        kind=_kind(met, profiles[0].get("PartySubTypeID")),
        names=distinct(strong),
        weak=tuple(name for name in distinct(weak) if name not in strong),
        bics=bics_in(_banks(met, profiles)),
    )


def _names(alias: Any) -> list[str]:
    """One for each script it is documented in."""
    parts = [
        [text_of(value) for part in children(name, "DocumentedNamePart") for value in children(part, "NamePartValue")]
        for name in children(alias, "DocumentedName")
    ]
    return [name for values in parts if (name := " ".join(filter(None, values)))]


def _kind(met: _Met, number: str | None) -> Kind:
    """By the sub-type; where that says "Unknown", by the type it belongs to."""
    words, wider = met.meant.get(("PartySubType", number or ""), ("", ""))
    if not words:
        met.reading.notice(f"the PartySubTypeID {(number or '')[:20]!r}, which ReferenceValueSets does not explain")
    return _KINDS.get(words) or _KINDS.get(met.words("PartyType", wider), Kind.OTHER)


def _banks(met: _Met, profiles: list[Any]) -> list[str]:
    features = (one for profile in profiles for one in children(profile, "Feature"))
    banks = (one for one in features if met.words("FeatureType", one.get("FeatureTypeID")) == _BIC)
    return [
        text_of(detail)
        for one in banks
        for version in children(one, "FeatureVersion")
        for detail in children(version, "VersionDetail")
    ]


def _why(met: _Met, element: Any, line: int) -> None:
    """The programmes of a party. One of a party that is not there says that the file is not whole."""
    entry_id = met.profiles.get(element.get("ProfileID") or "")
    if entry_id is None:
        met.reading.fail(line, "is a SanctionsEntry of a party that the file does not have, or that could not be read")
        return
    for measure in children(element, "SanctionsMeasure"):
        words = text_of(measure, "Comment")
        if words and met.words("SanctionsType", measure.get("SanctionsTypeID")) == _PROGRAM:
            met.programmes[entry_id][words] = None
    met.programmes.setdefault(entry_id, {})


def _tell_why(met: _Met) -> None:
    reading = met.reading
    without = [entry for entry in reading.entries if entry.entry_id not in met.programmes]
    if without:
        reading.notice(f"{len(without)} parties without a SanctionsEntry, which are taken all the same")
    reading.entries[:] = [
        replace(entry, about=", ".join(met.programmes.get(entry.entry_id, ()))[:500]) for entry in reading.entries
    ]
