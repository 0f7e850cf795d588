"""EBICS return codes, read with one question: may the bank hold my order after this answer?

The answer depends on what was answered. Before the message that completes an order (the last segment; the first message of a
signature alone) the bank lacks a part of it and holds nothing, whatever it says; unless it says that it knows the order from
before. After that message only a code that is known to refuse means that it holds nothing; one that nobody knows means that it
may.

Codes are six digits (EBICS, annex on return codes): 00 fine, 01 a note, 03 a warning, 06 and 09 errors. The table names those
that the fact sheets of banks and the implementations agree on; looking up another never fails.
"""

from dataclasses import dataclass
from typing import Final

from channels.ebics.codes_table import DUPLICATE_ORDER, OK, TABLE, Held, Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCode:
    """One code. `completed`: whether the bank holds an order whose completing message it answered so."""

    code: str
    name: str
    completed: Held
    remedy: Remedy
    english: str
    chinese: str

    @property
    def known(self) -> bool:
        return self.code in CODES


CODES: Final[dict[str, ReturnCode]] = {
    code: ReturnCode(code=code, name=f"EBICS_{name}", completed=held, remedy=remedy, english=english, chinese=chinese)
    for code, name, held, remedy, english, chinese in TABLE
}


def meaning(code: str) -> ReturnCode:
    """What a code means. One that is not in the table has the words of its class, and never counts as success."""
    if code in CODES:
        return CODES[code]
    if code.startswith("0912"):
        english, chinese = "the bank does not take a key or a certificate of ours", "银行不接受我方的密钥或证书"
        return _unknown(code, Held.NO, Remedy.CHANGE, english, chinese)
    if code[:2] in {"00", "01", "03"}:
        return _unknown(code, Held.MAYBE, Remedy.LOOK, "a note of the bank that we do not know", "银行返回未知的提示码")
    return _unknown(code, Held.MAYBE, Remedy.LOOK, "an error of the bank that we do not know", "银行返回未知的错误码")


def _unknown(code: str, completed: Held, remedy: Remedy, english: str, chinese: str) -> ReturnCode:
    return ReturnCode(code=code, name="", completed=completed, remedy=remedy, english=english, chinese=chinese)


def held(technical: str, business: str, *, completing: bool) -> Held:
    """Whether the bank holds the order that these two codes answer. `completing`: the message that was answered completed it."""
    if technical in DUPLICATE_ORDER or business in DUPLICATE_ORDER:
        return Held.YES
    if not completing:
        return Held.NO
    first, second = meaning(technical), meaning(business)
    if technical[:2] in {"06", "09"}:
        return first.completed
    if business[:2] in {"06", "09"}:
        return second.completed
    return Held.YES if first.completed is second.completed is Held.YES else Held.MAYBE


def deciding(technical: str, business: str) -> ReturnCode:
    """The one of the two codes that tells more: a duplicate, else the technical error, else the business code."""
    for code in (technical, business):
        if code in DUPLICATE_ORDER:
            return meaning(code)
    return meaning(technical if technical[:2] in {"06", "09"} else business if business != OK else technical)
