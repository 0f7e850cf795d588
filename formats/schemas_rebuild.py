"""Official XSDs written again from the dataclasses of pyiso20022.

xsdata made those dataclasses from the official schemas and left every facet in the fields' metadata. One thing is not in the
metadata: whether a type was a choice or a sequence. It stands in the type's name: ISO 20022 calls every choice `…Choice` (a
version number may follow), and nothing else (ISO 20022 XML design rules; checked against the official files of
pain.001.001.05 to .12).

The text written is the same on every machine, so that the catalogue can pin it by its digest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any
from xml.sax.saxutils import quoteattr

# Python types in the annotations of the dataclasses → XSD types. `XmlPeriod` hides which of the ISO types ISOYear (tax
# periods) and ISOYearMonth (card dates) was meant: both are taken.
_BUILT_IN = {
    "str": "xs:string",
    "bool": "xs:boolean",
    "int": "xs:integer",
    "Decimal": "xs:decimal",
    "XmlDate": "xs:date",
    "XmlDateTime": "xs:dateTime",
    "XmlTime": "xs:time",
    "XmlPeriod": "YearOrYearMonth",
    "bytes": "xs:base64Binary",
}
_PERIOD = '<xs:simpleType name="YearOrYearMonth"><xs:union memberTypes="xs:gYear xs:gYearMonth"/></xs:simpleType>'
_FACETS = {
    "length": "length",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "min_inclusive": "minInclusive",
    "max_inclusive": "maxInclusive",
    "total_digits": "totalDigits",
    "fraction_digits": "fractionDigits",
}


def rebuild(message_name: str) -> bytes:
    """The XSD of `message_name` ("camt.053.001.08") as UTF-8 text with `\\n` between top-level components.

    Raises `ModuleNotFoundError` where pyiso20022 has no dataclasses of that message.
    """
    underscored = message_name.replace(".", "_")
    module = import_module(f"pyiso20022.{message_name.partition('.')[0]}.{underscored}.{underscored}")
    namespace = quoteattr(module.__NAMESPACE__)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        (
            f"<xs:schema xmlns={namespace} xmlns:xs='http://www.w3.org/2001/XMLSchema' elementFormDefault='qualified'"
            f" targetNamespace={namespace}>"
        ),
        _root(module),
        _PERIOD,
        *_types(module),
        "</xs:schema>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _root(module: ModuleType) -> str:
    """The one global element: the class that has a namespace of its own ("Document"; "AppHdr" of the business headers)."""
    name = next(name for name, value in vars(module).items() if hasattr(getattr(value, "Meta", None), "namespace"))
    return f'<xs:element name="{name}" type="{name}"/>'


def _types(module: ModuleType) -> Iterator[str]:
    """One top-level type for each class the module itself defines, in its (alphabetical) order."""
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            if issubclass(value, Enum):
                yield _enumeration(name, value)
            elif is_dataclass(value):
                yield _complex_type(name, fields(value))


def _enumeration(name: str, enum: type[Enum]) -> str:
    values = "".join(f"<xs:enumeration value={quoteattr(str(member.value))}/>" for member in enum)
    return f'<xs:simpleType name="{name}"><xs:restriction base="xs:string">{values}</xs:restriction></xs:simpleType>'


def _complex_type(name: str, members: tuple[Field[Any], ...]) -> str:
    attributes = [member for member in members if member.metadata.get("type") == "Attribute"]
    elements = [member for member in members if member.metadata.get("type") in {"Element", "Wildcard"}]
    texts = [member for member in members if "type" not in member.metadata]
    written = "".join(map(_attribute, attributes))
    if texts:
        # Simple content can only extend a named type, so the value's facets get a type of their own.
        value = f"{name}_Value"
        return (
            f'<xs:complexType name="{name}"><xs:simpleContent><xs:extension base="{value}">{written}</xs:extension>'
            f'</xs:simpleContent></xs:complexType>\n<xs:simpleType name="{value}">{_restriction(texts[0])}</xs:simpleType>'
        )
    choice = name.rstrip("0123456789").endswith("Choice")
    group = "choice" if choice else "sequence"
    content = "".join(_element(member, in_choice=choice) for member in elements)
    return f'<xs:complexType name="{name}"><xs:{group}>{content}</xs:{group}>{written}</xs:complexType>'


def _element(member: Field[Any], *, in_choice: bool) -> str:
    metadata = member.metadata
    if metadata["type"] == "Wildcard":
        # Neither processContents nor the number is in the metadata; the official files say lax and exactly one.
        return f'<xs:any namespace="{metadata["namespace"]}" processContents="lax"/>'
    occurs = "" if in_choice else _occurs(member)
    start = f'<xs:element name="{metadata["name"]}"{occurs}'
    if _has_facets(metadata):
        return f"{start}><xs:simpleType>{_restriction(member)}</xs:simpleType></xs:element>"
    return f'{start} type="{_xsd_type(member)}"/>'


def _occurs(member: Field[Any]) -> str:
    metadata = member.metadata
    if "list[" in str(member.type):
        least, most = metadata.get("min_occurs", 0), metadata.get("max_occurs", "unbounded")
    else:
        least, most = int(metadata.get("required", False)), 1
    return f' minOccurs="{least}" maxOccurs="{most}"'


def _attribute(member: Field[Any]) -> str:
    use = "required" if member.metadata.get("required") else "optional"
    start = f'<xs:attribute name="{member.metadata["name"]}" use="{use}"'
    if _has_facets(member.metadata):
        return f"{start}><xs:simpleType>{_restriction(member)}</xs:simpleType></xs:attribute>"
    return f'{start} type="{_xsd_type(member)}"/>'


def _has_facets(metadata: Mapping[Any, Any]) -> bool:
    return any(key in metadata for key in _FACETS)


def _restriction(member: Field[Any]) -> str:
    facets = "".join(
        f"<xs:{facet} value={quoteattr(str(member.metadata[key]))}/>" for key, facet in _FACETS.items() if key in member.metadata
    )
    return f'<xs:restriction base="{_xsd_type(member)}">{facets}</xs:restriction>'


def _xsd_type(member: Field[Any]) -> str:
    """The annotation ("None | str", "list[Party]") without its wrapping, as an XSD type."""
    name = str(member.type).replace("None | ", "").removeprefix("list[").removesuffix("]")
    return _BUILT_IN.get(name, name)
