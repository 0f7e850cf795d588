"""Rules on postal addresses: the end of the unstructured address.

EPC153-22 v2.1 (guidance on the provision of addresses under the EPC schemes) and SWIFT CBPR+ agree on 15 November 2026, the
day of the SWIFT standards release: from then on an address is structured, or hybrid (town and country, plus at most two lines
of 70).
"""

import re
from datetime import date

from formats.model import PostalAddress
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting, how_many

UNSTRUCTURED_ENDS = date(2026, 11, 15)
"""The first day on which addresses need town and country."""

HYBRID_LINES_MAX = 2

_NOT_A_WORD = re.compile(r"[\W_]+")
_LOOKED_AT = 200  # characters of a line; longer ones are refused anyway


def _town_and_country(address: PostalAddress, _limit: int, _setting: Setting) -> Findings:
    if address.town_name is not None and address.country is not None:
        return NOTHING
    return tuple([Finding(name) for name in ("town_name", "country") if getattr(address, name) is None])


def _hybrid_lines(address: PostalAddress, _limit: int, _setting: Setting) -> Findings:
    return HERE if how_many(address.address_line) > HYBRID_LINES_MAX and address.town_name is not None else NOTHING


def _repeated_town(address: PostalAddress, _limit: int, _setting: Setting) -> Findings:
    town = address.town_name
    if not address.address_line or not isinstance(town, str) or not how_many(address.address_line):
        return NOTHING
    sought = f" {_words(town)} "
    return tuple(
        Finding(f"address_line[{index}]")
        for index, line in enumerate(address.address_line)
        if isinstance(line, str) and sought.strip() and sought in f" {_words(line)} "
    )


def _words(text: str) -> str:
    """The words of a text, in one case and with one blank between them."""
    return " ".join(_NOT_A_WORD.sub(" ", text[:_LOOKED_AT].casefold()).split())


_FORM = (
    Rule(
        id="address.hybrid-lines",
        source="EPC153-22 v2.1, hybrid address; SWIFT CBPR+ usage guidelines: at most two lines of 70",
        parts=("address",),
        field="address_line",
        message_en="Beside a town, at most two address lines are taken. Move street and building into their own fields.",
        message_zh="填写城市后最多允许两行地址行，请将街道、楼号和邮编移至相应字段。",
        check=_hybrid_lines,
    ),
    Rule(
        id="address.repeated-town",
        source="EPC153-22 v2.1, hybrid address; SWIFT CBPR+ usage guidelines: what has a field is not repeated in the lines",
        severity="warning",
        parts=("address",),
        message_en="The town stands in its own field and in this line too. Leave it out of the line; banks may ask back.",
        message_zh="城市已在独立字段中填写，此地址行又重复出现，请从地址行中删除，否则银行可能查询。",
        check=_repeated_town,
    ),
)


def address_pack(name: str, rule: str, first_day: date, source: str) -> Pack:
    """The rules on addresses, with the day on which town and country become required where `source` says so."""
    return Pack(
        name=name,
        rules=(
            Rule(
                id=rule,
                source=source,
                valid_from=first_day,
                parts=("address",),
                message_en="An address needs town_name and country in their own fields; lines alone are refused since "
                f"{first_day.isoformat()}. Move town and country out of the lines, or leave the address out where the scheme "
                "does not require it.",
                message_zh="地址必须在独立字段中填写 town_name 和 country；"
                f"自 {first_day.isoformat()} 起不再接受纯地址行。请将城市和国家移至相应字段。",
                check=_town_and_country,
            ),
            *_FORM,
        ),
    )


ADDRESS = address_pack(
    "address",
    "address.unstructured",
    UNSTRUCTURED_ENDS,
    "EPC153-22 v2.1, section 7.4; SWIFT CBPR+ usage guidelines, standards release 2026",
)
"""In every bank whose community has no day of its own, for every payment."""
