"""What a schema expected at a place where libxml2 found a fault: the missing element, the codes, the limits.

xmlschema explains and never decides. It is asked about the failing fragment only: the type of one element, and for misplaced
elements the names of its children without their content. It is loaded at the first question, asked at most `ASKED_MAX` questions
a file, and where it has no answer libxml2's words stand alone.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from formats.schemas_pieces import CUTS
from formats.schemas_problems import RUN_TAG, Expected, local

if TYPE_CHECKING:
    from xmlschema import XMLSchema10

ASKED_MAX: Final = 100
"""Questions answered for one file; further faults are told without what was expected."""

_CHILDREN_MAX: Final = 500
_CHOICES_MAX: Final = 20
_INDEX = re.compile(r"\[\d+\]")
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"

_KINDS_OF_VALUE: Final = {
    "date": ("a date such as 2026-11-25", "日期，如 2026-11-25"),
    "dateTime": ("a moment such as 2026-11-25T13:00:00Z", "日期时间，如 2026-11-25T13:00:00Z"),
    "time": ("a time such as 13:00:00", "时间，如 13:00:00"),
    "gYear": ("a year such as 2026", "年份，如 2026"),
    "gYearMonth": ("a month such as 2026-11", "年月，如 2026-11"),
    "decimal": ("a number such as 1250.00, with a point and no blanks", "数字，如 1250.00（用小数点、无空格）"),
    "boolean": ("true or false", "true 或 false"),
    "base64Binary": ("base64 text", "base64 文本"),
}


class Expectations:
    """Answers, for files of one message, what was expected at a fault. An `Explain` of `formats.schemas_problems`."""

    def __init__(self, message_name: str, schema: bytes) -> None:
        """`schema` is the text of the message's XSD."""
        cuts = CUTS.get(".".join(message_name.split(".")[:2]), ())
        self._repeated = {cut.block: cut.element for cut in cuts}  # what a run below a block stands for
        self._text = schema
        self._schema: XMLSchema10 | None = None
        self._asked = 0
        self._known: dict[tuple[str, str], Expected | None] = {}

    def __call__(self, path: str, element: etree._Element, kind: str) -> Expected | None:
        """What was expected at that path, or None."""
        self._asked += 1
        if self._asked > ASKED_MAX:
            return None
        try:
            return self._answer(path, element, kind)
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, StopIteration):
            return None  # xmlschema's own errors are ValueErrors and TypeErrors; libxml2's words stand

    def _answer(self, path: str, element: etree._Element, kind: str) -> Expected | None:
        names = _INDEX.sub("", path).partition("/Document")[2].split("/")[1:]
        if kind == "ELEMENT_CONTENT":
            return self._missing(names, element)
        if kind.startswith("CVC_COMPLEX_TYPE_3") or kind == "CVC_COMPLEX_TYPE_4":
            return _attributes(self._declared(names))
        wrong = self._wrong_attribute(names, element)
        key = "/".join(names), wrong
        if key not in self._known:
            declared = self._declared(names)
            self._known[key] = _value(declared.attributes[wrong].type, wrong) if wrong else _value(_simple(declared.type), "")
        return self._known[key]

    def _declared(self, names: list[str]) -> Any:
        """What the schema declares for the element at a path below Document."""
        if self._schema is None:
            from xmlschema import XMLSchema10

            self._schema = XMLSchema10(self._text.decode("utf-8-sig"), allow="none")
        found: Any = self._schema.elements["Document"]
        for name in names:
            found = next(child for child in found.type.content.iter_elements() if child.local_name == name)
        return found

    def _missing(self, names: list[str], element: etree._Element) -> Expected | None:
        parent = element.getparent()
        if parent is not None and local(parent) == RUN_TAG:
            repeated = self._repeated.get(names[-2])
            return _listed([repeated]) if repeated and local(element) != repeated else None
        if parent is not None and names:
            misplaced = self._wanted(names[:-1], parent, element)
            if misplaced:
                return misplaced
        return self._wanted(names, element, None)

    def _wanted(self, names: list[str], parent: etree._Element, until: etree._Element | None) -> Expected | None:
        """What the content of `parent` wants instead of its child `until`, or (None) at its end."""
        outline = etree.Element(parent.tag)
        repeated = self._repeated.get(local(parent), "")
        for number, child in enumerate(parent.iterchildren("*")):
            if number >= _CHILDREN_MAX:
                return None
            outline.append(etree.Element(child.tag.replace(RUN_TAG, repeated)))
            if child is until:
                break
        for error in self._declared(names).iter_errors(outline):
            wrong = getattr(error, "invalid_child", None)
            if error.elem is outline and (wrong is not None) is (until is not None) and (until is None or wrong is outline[-1]):
                named = _listed([name for one in error.expected or () if (name := getattr(one, "local_name", None))])
                return named or (None if until is None else _optional(self._declared(names).type.content, outline))
        return None

    def _wrong_attribute(self, names: list[str], element: etree._Element) -> str:
        """The name of an attribute whose value is the fault, or ""."""
        if not element.attrib:
            return ""
        declared = self._declared(names).attributes
        for name, value in element.attrib.items():
            if name in declared and not declared[name].type.is_valid(value):
                return str(name)
        return ""


def _simple(kind: Any) -> Any:
    """The type of a value: itself, or what a type with attributes holds."""
    return kind if kind.is_simple() else kind.content


def _listed(names: list[str]) -> Expected | None:
    if not names:
        return None
    several = list(dict.fromkeys(names))
    shown = several[:_CHOICES_MAX]
    more = "" if len(several) == len(shown) else ", …"
    return Expected(f"Expected here: {' or '.join(shown)}{more}.", f"此处应为：{' 或 '.join(shown)}{more}。")


def _optional(content: Any, outline: etree._Element) -> Expected | None:
    """What might have stood instead of the last child, where nothing had to: the rest of a plain sequence from its elder on."""
    members = [getattr(member, "local_name", None) for member in content]
    if content.model != "sequence" or None in members:
        return None
    elder = local(outline[-2]) if len(outline) > 1 else None
    start = 0 if elder is None else members.index(elder) + (content[members.index(elder)].max_occurs == 1)
    names = [str(name) for name in members[start:]]
    if not names:
        return Expected("Nothing may follow here: remove this element.", "此处不得再有元素，请删除。")
    several = ", ".join(names[:_CHOICES_MAX]) + (", …" if len(names) > _CHOICES_MAX else "")
    alike = get_close_matches(local(outline[-1]), names, n=1, cutoff=0.7)
    meant_en, meant_zh = (f"Did you mean {alike[0]}? ", f"是否应为 {alike[0]}？") if alike else ("", "")
    return Expected(f"{meant_en}May stand here, in this order: {several}.", f"{meant_zh}此处可依次出现：{several}。")


def _attributes(declared: Any) -> Expected:
    names = [f"{name}{'' if one.use == 'required' else ' (optional)'}" for name, one in declared.attributes.items() if name]
    if not names:
        return Expected("It has no attributes.", "该元素没有属性。")
    return Expected(f"Its attributes: {', '.join(names)}.", f"其属性：{'、'.join(names)}。")


def _value(kind: Any, attribute: str) -> Expected | None:
    parts = list(_limits(kind))
    if not parts:
        return None
    en, zh = "; ".join(part[0] for part in parts), "；".join(part[1] for part in parts)
    whose_en, whose_zh = (f" for the attribute {attribute}", f"属性 {attribute} ") if attribute else ("", "")
    return Expected(f"Expected{whose_en}: {en}.", f"{whose_zh}应为：{zh}。")


def _limits(kind: Any) -> Iterator[tuple[str, str]]:
    """The limits of a simple type, each in words."""
    codes = kind.enumeration
    if codes:
        shown = ", ".join(map(str, codes[:_CHOICES_MAX])) + (", …" if len(codes) > _CHOICES_MAX else "")
        yield f"one of {shown}", f"下列之一：{shown}"
        return
    primitive = getattr(kind.primitive_type, "local_name", "")
    if primitive in _KINDS_OF_VALUE:
        yield _KINDS_OF_VALUE[primitive]
    limit = {name.removeprefix(_XS): facet for name, facet in kind.facets.items() if isinstance(name, str)}
    if "pattern" in limit:
        forms = " or ".join(limit["pattern"].regexps)
        yield f"the form {forms}", f"格式 {forms}"
    least, most = (limit[name].value if name in limit else None for name in ("minLength", "maxLength"))
    if most is not None:
        yield f"{least or 0} to {most} characters", f"{least or 0} 至 {most} 个字符"
    elif least is not None:
        yield f"at least {least} characters", f"至少 {least} 个字符"
    if "length" in limit:
        yield f"{limit['length'].value} characters", f"{limit['length'].value} 个字符"
    if "totalDigits" in limit:
        yield f"at most {limit['totalDigits'].value} digits", f"最多 {limit['totalDigits'].value} 位数字"
    if "fractionDigits" in limit:
        value = limit["fractionDigits"].value
        yield f"at most {value} digits after the point", f"小数最多 {value} 位"
    if "minInclusive" in limit:
        yield f"{limit['minInclusive'].value} or more", f"不小于 {limit['minInclusive'].value}"
    if "maxInclusive" in limit:
        yield f"{limit['maxInclusive'].value} or less", f"不大于 {limit['maxInclusive'].value}"
