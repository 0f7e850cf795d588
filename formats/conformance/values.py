"""An independent reading of messages in a bank's own form: whether each payment's values stand in it, whole and as often as they
must. It knows nothing of the bank: XML's texts and attributes, JSON's values, and what stands between `|` in either.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Final

from formats.conformance.requests import SamplePayment
from formats.dialects.facts import number_of

_MARKUP: Final = re.compile(r"<!\[CDATA\[(.*?)\]\]>|=\"([^\"]*)\"|(?<=>)([^<>]+)(?=<)", re.DOTALL)
_BETWEEN: Final = re.compile(r"[|\n\r]")


def value_faults(document: bytes, payments: Sequence[SamplePayment]) -> Iterator[str]:
    """Where a rendered message does not say the payments' amounts (in yuan with two decimals, or in fen), accounts and names."""
    found = Counter(_values(_text(document)))
    wanted: dict[str, Counter[tuple[str, ...]]] = {"amount": Counter(), "payee account": Counter(), "payee name": Counter()}
    for payment in payments:
        amount = payment.transfer.amount
        wanted["amount"][f"{amount:.2f}", f"{amount.scaleb(2):.0f}"] += 1
        wanted["payee account"][number_of(payment.transfer.creditor_account),] += 1
        wanted["payee name"][payment.transfer.creditor.name or "",] += 1
    for what, values in wanted.items():
        for forms, count in values.items():
            said = max(found[form] for form in forms)
            if said < count:
                yield f"the {what} of a payment stands in the message {said} times as a whole value, and should {count} times."
    payers = {number_of(payment.terms.debtor_account) for payment in payments}
    for account in payers:
        if not found[account]:
            yield "the paying account stands in the message nowhere as a whole value."


def _text(document: bytes) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError:
        return document.decode("gb18030", "replace")


def _values(text: str) -> Iterator[str]:
    if text.lstrip()[:1] in {"{", "["}:
        values = list(_leaves(json.loads(text)))
    else:
        values = [
            unescape(said or attribute) if raw is None else raw for raw, attribute, said in map(_groups, _MARKUP.finditer(text))
        ]
    for value in values:
        yield from dict.fromkeys((value, *_BETWEEN.split(value))) if "|" not in value else _BETWEEN.split(value)


def _groups(match: re.Match[str]) -> tuple[str | None, str, str]:
    """CDATA (None: it is none), which has no character references; an attribute's value; an element's text."""
    return match[1], match[2] or "", match[3] or ""


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inside in value.values():
            yield from _leaves(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _leaves(inside)
    else:
        yield str(value)
