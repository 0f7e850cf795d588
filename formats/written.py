"""What is written in place of what was asked: texts that a scheme does not carry, said in characters that it does.

Rules whose id ends in `.characters` find such texts, and their `fix` is what could be written. It is written where it is
faithful (`formats.characters.transliterate`) and the field is a text for people: a name, a line of an address, remittance
text. Never where it is an identifier, a reference, an account or an amount, and never where letters are only read.

The stored payment stays as asked; the same payment and day give the same replacement, whenever it is made.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from formats.characters import BASIC, unfamiliar
from formats.errors import Violation
from formats.model import Agent, CreditTransfer, Party, PaymentTerms, PostalAddress

Check = Callable[[PaymentTerms, CreditTransfer], tuple[Violation, ...]]
"""Every rule that a payment breaks (`BankFormat.check` with day and message settled)."""

_RULE: Final = ".characters"
_ROUNDS: Final = 3  # one rule's replacement may be another's business (control characters, then the scheme's set)
_FOR_PEOPLE: Final = re.compile(
    r"(?:\w+\.)*(?:name|additional_information|unstructured\[\d+\]|address_line\[\d+\]|postal_address\.(?!country$)\w+)"
)
_STEP: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")
_TERMS: Final = frozenset(PaymentTerms.__dataclass_fields__)
_ADDRESS: Final = tuple(name for name in PostalAddress.__dataclass_fields__ if name not in {"country", "address_line"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A payment as it will be written. `broken`: the rules it breaks even so; `changed`: a warning for each text that was
    replaced, whose `fix` is the text as it will be written."""

    terms: PaymentTerms
    transfer: CreditTransfer
    broken: tuple[Violation, ...]
    changed: tuple[Violation, ...] = ()


def as_written(terms: PaymentTerms, transfer: CreditTransfer, broken: tuple[Violation, ...], check: Check) -> Written:
    """The payment with every replacement that may be written unasked. `broken` is what `check` says of it as it stands.

    All rules are put to the result again: what is too long after a replacement is told as too long. A text of which a part cannot
    be replaced stays whole as it was asked.
    """
    written = _written(terms, transfer, broken, check, frozenset())
    told = {one.field for one in written.changed}
    halfway = frozenset(one.field for one in written.broken if one.field in told and one.rule.endswith(_RULE))
    return _written(terms, transfer, broken, check, halfway) if halfway else written


def _written(
    terms: PaymentTerms, transfer: CreditTransfer, broken: tuple[Violation, ...], check: Check, kept: frozenset[str]
) -> Written:
    """The payment with replacements everywhere but in the fields `kept`."""
    changed: dict[str, Violation] = {}
    for _ in range(_ROUNDS):
        found = {
            one.field: one
            for one in broken
            if one.rule.endswith(_RULE) and one.field not in kept and _may_be_written(terms, transfer, one)
        }
        if not found:
            break
        for field, one in found.items():
            terms, transfer = _put(terms, transfer, field, one.fix or "")
            changed.setdefault(field, one)
        broken = check(terms, transfer)
    told = tuple([_told(one, _text_at(terms, transfer, field)) for field, one in changed.items()])
    return Written(terms=terms, transfer=transfer, broken=broken, changed=told)


def is_plain(transfer: CreditTransfer) -> bool:
    """Whether the transfer's texts for people hold only what every scheme carries, so that nothing is to be replaced.

    Every set holds the basic one (EPC132-08, section 1.4, is the smallest in use).
    """
    texts = list(_party_texts(transfer.creditor))
    if transfer.ultimate_creditor is not None:
        texts += _party_texts(transfer.ultimate_creditor)
    if transfer.creditor_agent is not None:
        texts += _agent_texts(transfer.creditor_agent)
    information = transfer.remittance_information
    if information is not None:
        texts += information.unstructured
        texts += [one.additional_information for one in information.structured if one.additional_information is not None]
    return BASIC.outside.search("".join(texts)) is None


def _may_be_written(terms: PaymentTerms, transfer: CreditTransfer, violation: Violation) -> bool:
    if violation.fix is None or _FOR_PEOPLE.fullmatch(violation.field) is None:
        return False
    asked = _text_at(terms, transfer, violation.field)
    return isinstance(asked, str) and asked != violation.fix and unfamiliar(asked) == unfamiliar(violation.fix)


def _told(violation: Violation, written: str) -> Violation:
    return replace(
        violation,
        severity="warning",
        fix=written,
        message_en=f"{violation.message_en} The text given as fix is written instead.",
        message_zh=f"{violation.message_zh}将以 fix 中的文本发送给银行。",
    )


def _steps(field: str) -> list[tuple[str, int | None]]:
    return [(name, int(index) if index else None) for name, index in _STEP.findall(field)]


def _text_at(terms: PaymentTerms, transfer: CreditTransfer, field: str) -> Any:
    value: Any = terms if _steps(field)[0][0] in _TERMS else transfer
    for name, index in _steps(field):
        value = getattr(value, name)
        if index is not None:
            value = value[index]
    return value


def _put(terms: PaymentTerms, transfer: CreditTransfer, field: str, text: str) -> tuple[PaymentTerms, CreditTransfer]:
    steps = _steps(field)
    if steps[0][0] in _TERMS:
        return _replaced(terms, steps, text), transfer
    return terms, _replaced(transfer, steps, text)


def _replaced(whole: Any, steps: list[tuple[str, int | None]], text: str) -> Any:
    """The dataclass with the text at the end of the way put in place."""
    (name, index), *rest = steps
    value = getattr(whole, name)
    if index is None:
        return replace(whole, **{name: _replaced(value, rest, text) if rest else text})
    inside = _replaced(value[index], rest, text) if rest else text
    return replace(whole, **{name: (*value[:index], inside, *value[index + 1 :])})


def _party_texts(party: Party) -> Iterator[str]:
    if party.name is not None:
        yield party.name
    if party.postal_address is not None:
        yield from _address_texts(party.postal_address)


def _agent_texts(agent: Agent) -> Iterator[str]:
    if agent.name is not None:
        yield agent.name
    if agent.postal_address is not None:
        yield from _address_texts(agent.postal_address)


def _address_texts(address: PostalAddress) -> Iterator[str]:
    yield from address.address_line
    for name in _ADDRESS:
        text = getattr(address, name)
        if text is not None:
            yield text
