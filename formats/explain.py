"""A schema's complaint in plain words, as the same kind of object that rules give.

libxml2 says which kind of fault it found (its type name); what it means for the person who made the file stands in one table
here, by kind, in English and Chinese. What would have been right there comes from the schema (`formats.explain_expected`).
libxml2's own sentence stays available as the violation's detail.
"""

from typing import Final, NamedTuple

from formats.errors import Place, Violation
from formats.schemas_problems import SchemaProblem


class _Kind(NamedTuple):
    rule: str
    en: str
    zh: str


_NOT_ALLOWED: Final = _Kind(
    "schema.attribute",
    "An attribute stands here that this element may not have. Remove it.",
    "此元素不允许该属性，请删除。",
)
_OUT_OF_RANGE: Final = _Kind("schema.range", "The value is outside the range this element allows.", "数值超出该元素允许的范围。")
_NOT_XML: Final = _Kind(
    "schema.not-well-formed",
    "From here on the file is not well-formed XML: a tag is not closed or closed twice, a character is not escaped, or the file"
    " is cut short. Nothing after this place was looked at. Write the file again with a program that writes XML.",
    "自此处起文件不是格式良好的 XML：标签未关闭或多次关闭、字符未转义或文件被截断；其后内容未检查。请用 XML 工具重新生成文件。",
)
_ENCODING: Final = _Kind(
    "schema.encoding",
    "The bytes are not in the encoding that the file's first line declares (UTF-8 where it declares none). Write the file in"
    " UTF-8 and say so.",
    "文件内容与首行声明的编码不一致（未声明时为 UTF-8），请以 UTF-8 保存并声明。",
)
_AMPERSAND: Final = _Kind(
    "schema.ampersand",
    "An ampersand stands here that begins nothing XML knows. Write it as &amp; (and < as &lt;); of names like &nbsp; only &amp;,"
    " &lt;, &gt;, &quot; and &apos; exist.",
    "此处有未转义的“&”。请写作 &amp;（“<”写作 &lt;）；类似 &nbsp; 的名称中仅可用 &amp;、&lt;、&gt;、&quot; 与 &apos;。",
)
_OTHER: Final = _Kind(
    "schema.other",
    "The file breaks the message's XML schema here.",
    "此处不符合报文的 XML 架构（XSD）。",
)

# By libxml2's names of the clauses of XML Schema 1.0 (part 1, structures; part 2, datatypes) without "SCHEMAV_".
_KINDS: Final = {
    "ELEMENT_CONTENT": _Kind(
        "schema.element",
        "The elements are not the right ones here: one is missing, misspelt, in the wrong order, or one too many.",
        "此处元素不正确：缺少、拼写错误、顺序不对或多余。",
    ),
    "CVC_MAXLENGTH_VALID": _Kind(
        "schema.too-long", "The text is longer than this element allows. Shorten it.", "文本超过该元素允许的长度，请缩短。"
    ),
    "CVC_MINLENGTH_VALID": _Kind(
        "schema.too-short",
        "The text is shorter than this element allows, or empty. Fill it, or leave the element out if it is optional.",
        "文本短于该元素要求或为空，请填写；若为可选元素可整个省略。",
    ),
    "CVC_LENGTH_VALID": _Kind(
        "schema.length", "The text has not the length this element asks for.", "文本长度不符合该元素的要求。"
    ),
    "CVC_PATTERN_VALID": _Kind(
        "schema.form",
        "The value has not the form this element asks for: look for blanks, small letters, or characters too many or too few.",
        "取值不符合该元素要求的格式：请检查空格、小写字母、字符过多或过少。",
    ),
    "CVC_ENUMERATION_VALID": _Kind(
        "schema.code", "This code is none of those the element allows.", "该代码不在此元素允许的代码之列。"
    ),
    "CVC_DATATYPE_VALID_1_2_1": _Kind(
        "schema.type",
        "The value is not of the kind this element holds (a date, a moment, a number with a point, true or false).",
        "取值类型不对（应为日期、时间、以小数点分隔的数字或 true/false）。",
    ),
    "CVC_TOTALDIGITS_VALID": _Kind(
        "schema.digits", "The number has more digits than this element allows.", "数字位数超过允许值。"
    ),
    "CVC_FRACTIONDIGITS_VALID": _Kind(
        "schema.digits-after-point", "The number has more digits after the point than allowed.", "小数位数超过允许值。"
    ),
    "CVC_MININCLUSIVE_VALID": _OUT_OF_RANGE,
    "CVC_MAXINCLUSIVE_VALID": _OUT_OF_RANGE,
    "CVC_MINEXCLUSIVE_VALID": _OUT_OF_RANGE,
    "CVC_MAXEXCLUSIVE_VALID": _OUT_OF_RANGE,
    "CVC_COMPLEX_TYPE_2_1": _Kind("schema.not-empty", "This element must be empty.", "该元素必须为空。"),
    "CVC_COMPLEX_TYPE_2_2": _Kind(
        "schema.text-only", "This element holds a value, and not other elements.", "该元素只能含取值，不能含其他元素。"
    ),
    "CVC_COMPLEX_TYPE_2_3": _Kind(
        "schema.stray-text", "Text stands between elements, where only elements may stand.", "元素之间出现了不允许的文本。"
    ),
    "CVC_TYPE_3_1_2": _Kind(
        "schema.text-only", "This element holds a value, and not other elements.", "该元素只能含取值，不能含其他元素。"
    ),
    "CVC_TYPE_3_1_1": _NOT_ALLOWED,
    "CVC_COMPLEX_TYPE_3_1": _NOT_ALLOWED,
    "CVC_COMPLEX_TYPE_3_2_1": _NOT_ALLOWED,
    "CVC_COMPLEX_TYPE_3_2_2": _NOT_ALLOWED,
    "CVC_COMPLEX_TYPE_4": _Kind("schema.attribute-missing", "An attribute is missing here.", "此处缺少属性。"),
    "CVC_ELT_1": _Kind(
        "schema.root",
        "The file does not begin as this message begins: its outermost element or its namespace is another.",
        "文件开头不是该报文应有的根元素或命名空间。",
    ),
    "CVC_ELT_3_1": _Kind("schema.nil", "This element may not be declared nil.", "该元素不可声明为 nil。"),
    "CVC_ELT_3_2_1": _Kind("schema.nil", "An element declared nil must be empty.", "声明为 nil 的元素必须为空。"),
    "ATTRIBUTES": _Kind(
        "schema.attributes", "An element has more attributes than any message has.", "某元素的属性数量超出任何报文的合理范围。"
    ),
    "DTD": _Kind(
        "schema.dtd",
        "The file declares a document type (DTD), which messages never do; banks refuse it. Remove the line with DOCTYPE.",
        "文件声明了 DTD，银行报文不允许，请删除 DOCTYPE 声明。",
    ),
    "ENCODING": _ENCODING,
    "ERR_INVALID_ENCODING": _ENCODING,
    "ERR_INVALID_CHAR": _Kind(
        "schema.character",
        "A character stands here that XML cannot carry: a control character, or bytes that are not in the file's encoding.",
        "此处有 XML 不允许的字符：控制字符，或与文件编码不符的字节。",
    ),
    "ERR_NAME_REQUIRED": _AMPERSAND,
    "ERR_ENTITYREF_SEMICOL_MISSING": _AMPERSAND,
    "ERR_UNDECLARED_ENTITY": _AMPERSAND,
    "WAR_UNDECLARED_ENTITY": _AMPERSAND,
}


NOT_READ_FURTHER: Final = frozenset({_NOT_XML.rule, _ENCODING.rule, _AMPERSAND.rule, "schema.character", "schema.dtd"})
"""Rules after which no reader goes on: the reader's own complaint about the same place adds nothing."""


def violation_of(problem: SchemaProblem, message_name: str) -> Violation:
    """The problem as a violation, with its place in the file; `detail` holds libxml2's own words, which quote no values."""
    kind = _KINDS.get(problem.type_name) or (_NOT_XML if _is_syntax(problem.type_name) else _OTHER)
    expected = problem.expected
    return Violation(
        field=problem.path.rpartition("/")[2],
        rule=kind.rule,
        source=f"{message_name}, XML schema",
        message_en=kind.en if expected is None else f"{kind.en} {expected.en}",
        message_zh=kind.zh if expected is None else f"{kind.zh}{expected.zh}",
        place=Place(
            path=problem.path,
            line=problem.line,
            payment_information_id=problem.payment_information_id,
            end_to_end_id=problem.end_to_end_id,
        ),
        detail=f"{problem.message} [{problem.type_name}]",
    )


def _is_syntax(type_name: str) -> bool:
    """libxml2 names faults of XML itself ERR_… and those of namespaces NS_ERR_…."""
    return type_name.startswith(("ERR_", "NS_ERR_", "NOT_WELL_FORMED"))
