"""Rules on single values: texts, codes, IBAN, BIC, LEI, country, currency. Part of the pack `common`."""

from collections.abc import Callable

from formats import checks
from formats.characters import UNRESTRICTED, CharacterSet, code_points, illegal, reading, transliterate
from formats.rules.rule import ALL_TEXTS, HERE, NOTHING, READING, SCHEMA, Finding, Findings, Rule, Setting

_TEXT_SHOWN = 10_000  # characters looked at for what is illegal and how to write it instead: a longer text is refused anyway


def outside(text: str, charset: CharacterSet, longest: int) -> Findings:
    """A finding with the illegal characters and the text of at most `longest` that could be sent instead, where one exists.

    Where letters have no conversion in the scheme, that text is how they are read, and the finding says so: it may no longer
    be the name that the payee's bank knows.
    """
    if charset.outside.search(text) is None:
        return NOTHING
    if len(text) > _TEXT_SHOWN:
        return (Finding(details={"characters": code_points(illegal(text[:_TEXT_SHOWN], charset)) or "…"}),)
    details = {"characters": code_points(illegal(text, charset))}
    fix = transliterate(text, charset)
    if fix is None and (fix := reading(text, charset)) is not None and len(fix) <= longest:
        return (Finding(fix=fix, details={**details, READING: True}),)
    return (Finding(fix=fix if fix is not None and len(fix) <= longest else None, details=details),)


def _currency_known(currency: str, _limit: int, _setting: Setting) -> Findings:
    if checks.is_currency(currency):
        return NOTHING
    upper = currency.strip().upper() if len(currency) < 10 else ""
    return (Finding(fix=upper if checks.is_currency(upper) else None),)


def _text_empty(text: str, _limit: int, _setting: Setting) -> Findings:
    return NOTHING if text and not text.isspace() else HERE


def _text_long(text: str, limit: int, _setting: Setting) -> Findings:
    return (Finding(details={"length": len(text)}),) if len(text) > limit else NOTHING


def _text_characters(text: str, limit: int, _setting: Setting) -> Findings:
    return outside(text, UNRESTRICTED, limit)


def _code_form(code: str, limit: int, _setting: Setting) -> Findings:
    if checks.is_code(code) or not code or code.isspace():
        return NOTHING
    upper = code.strip().upper() if len(code) < 50 else ""
    return (Finding(fix=upper if checks.is_code(upper) and len(upper) <= limit else None),)


def _country(code: str, _limit: int, _setting: Setting) -> Findings:
    if checks.is_country(code):
        return NOTHING
    upper = code.strip().upper() if len(code) < 10 else ""
    return (Finding(fix=upper if checks.is_country(upper) else None),)


def _fault(
    function: Callable[[str], str | None], fault: str, *, compact: bool = False
) -> Callable[[str, int, Setting], Findings]:
    """A check that reports one fault of a value checker; `compact`: without blanks and in capitals it may be right."""

    def check(value: str, _limit: int, _setting: Setting) -> Findings:
        if function(value) != fault:
            return NOTHING
        fixed = "".join(value.split()).upper() if compact and len(value) < 100 else ""
        return (Finding(fix=fixed if fixed and function(fixed) is None else None),)

    return check


def _bic_form(bic: str, _limit: int, setting: Setting) -> Findings:
    if checks.bic_fault(bic) != "form" and setting.version.is_bic(bic):
        return NOTHING
    fixed = "".join(bic.split()).upper() if len(bic) < 50 else ""
    return (Finding(fix=fixed if fixed and checks.bic_fault(fixed) is None and setting.version.is_bic(fixed) else None),)


def _lei_version(_lei: str, _limit: int, setting: Setting) -> Findings:
    return NOTHING if setting.version.extended else (Finding(details={"version": setting.version.name}),)


RULES: tuple[Rule, ...] = (
    Rule(
        id="currency.unknown",
        source="ISO 4217, list of active currencies",
        parts=("currency",),
        message_en="This is not an active ISO 4217 currency (three capitals, such as EUR).",
        message_zh="不是有效的 ISO 4217 币种代码（三个大写字母，如 EUR）。",
        check=_currency_known,
    ),
    Rule(
        id="text.empty",
        source="ISO 20022 text types: at least one character",
        parts=ALL_TEXTS,
        spares_plain=True,
        message_en="The field is empty. Leave it out or fill it.",
        message_zh="字段为空，请删除该字段或填写内容。",
        check=_text_empty,
    ),
    Rule(
        id="text.too-long",
        source=SCHEMA,
        parts=ALL_TEXTS,
        spares_plain=True,
        message_en="The text has {length} characters; at most {limit} fit.",
        message_zh="文本有 {length} 个字符，最多允许 {limit} 个。",
        check=_text_long,
    ),
    Rule(
        id="text.characters",
        source=UNRESTRICTED.source,
        parts=ALL_TEXTS,
        spares_plain=True,
        message_en="The text holds control or invisible characters ({characters}). Remove them.",
        message_zh="文本含有控制字符或不可见字符（{characters}），请删除。",
        check=_text_characters,
    ),
    Rule(
        id="code.form",
        source="ISO 20022 external code sets",
        parts=("code",),
        message_en="A code is made of capitals and digits only.",
        message_zh="代码只能由大写字母和数字组成。",
        check=_code_form,
    ),
    Rule(
        id="country.unknown",
        source="ISO 3166-1 alpha-2",
        parts=("country",),
        message_en="This is not an ISO 3166-1 country code (two capitals, such as DE).",
        message_zh="不是 ISO 3166-1 国家代码（两个大写字母，如 DE）。",
        check=_country,
    ),
    Rule(
        id="iban.form",
        source="ISO 13616-1",
        parts=("iban",),
        message_en="An IBAN is two capitals, two digits, then capitals and digits, without blanks.",
        message_zh="IBAN 由两个大写字母、两位数字及后续大写字母和数字组成，不含空格。",
        check=_fault(checks.iban_fault, "form", compact=True),
    ),
    Rule(
        id="iban.country",
        source="ISO 13616-1; ISO 3166-1",
        parts=("iban",),
        message_en="The IBAN begins with letters that are no country.",
        message_zh="IBAN 开头的字母不是国家代码。",
        check=_fault(checks.iban_fault, "country"),
    ),
    Rule(
        id="iban.length",
        source="SWIFT IBAN registry",
        parts=("iban",),
        message_en="The IBAN has not the length its country uses. A digit is missing or too many.",
        message_zh="IBAN 长度与该国规定不符，可能缺少或多出数字。",
        check=_fault(checks.iban_fault, "length"),
    ),
    Rule(
        id="iban.check-digits",
        source="ISO 13616-1; ISO 7064 MOD 97-10",
        parts=("iban",),
        message_en="The IBAN's check digits are wrong: it was mistyped. Ask the payee for it again.",
        message_zh="IBAN 校验位错误，可能输入有误，请向收款人确认。",
        check=_fault(checks.iban_fault, "check-digits"),
    ),
    Rule(
        id="bic.form",
        source="ISO 9362",
        parts=("bic",),
        message_en="A BIC has 8 or 11 capitals and digits: four of the bank, two of the country, two or five more.",
        message_zh="BIC 为 8 或 11 位大写字母和数字：银行 4 位、国家 2 位，其后 2 或 5 位。",
        check=_bic_form,
    ),
    Rule(
        id="bic.country",
        source="ISO 9362; ISO 3166-1",
        parts=("bic",),
        message_en="The fifth and sixth characters of the BIC are no country.",
        message_zh="BIC 第 5、6 位不是国家代码。",
        check=_fault(checks.bic_fault, "country"),
    ),
    Rule(
        id="lei.form",
        source="ISO 17442-1",
        parts=("lei",),
        message_en="An LEI has 18 capitals and digits, then two check digits.",
        message_zh="LEI 由 18 位大写字母和数字及 2 位校验数字组成。",
        check=_fault(checks.lei_fault, "form", compact=True),
    ),
    Rule(
        id="lei.check-digits",
        source="ISO 17442-1; ISO 7064 MOD 97-10",
        parts=("lei",),
        message_en="The LEI's check digits are wrong: it was mistyped.",
        message_zh="LEI 校验位错误，可能输入有误。",
        check=_fault(checks.lei_fault, "check-digits"),
    ),
    Rule(
        id="lei.version",
        source=SCHEMA,
        parts=("lei",),
        message_en="{version} cannot carry an LEI. Leave it out, or send pain.001.001.09 or later.",
        message_zh="{version} 无法携带 LEI，请留空或改用 pain.001.001.09 及以上版本。",
        check=_lei_version,
    ),
)
