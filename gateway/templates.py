"""Payments made from templates: blanks by name in a payment's texts, and a beneficiary's details put in. Pure.

A form is the JSON form of `bankgate.v1.PaymentRequest`: objects, lists and texts by the contract's names. A blank is a name in
braces, {invoice}, in any text of it. A value takes the place of its blank and is not read for blanks again, so that whoever
gives a value fills one place and opens no other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

BLANK: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,39})\}")
Form = Mapping[str, Any]

# Of a beneficiary: always the creditor, whose details belong together; the rest where the payment says nothing.
_CREDITOR: Final = ("creditor", "creditor_account", "creditor_agent")
_DEFAULTS: Final = ("purpose", "purpose_proprietary", "remittance_information")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form without blanks. `open`: the blanks that had no value and are empty now."""

    form: dict[str, Any]
    open: tuple[str, ...]


def blanks(form: Any) -> tuple[str, ...]:
    """The names of the blanks, each once, in the order of the fields."""
    return tuple(dict.fromkeys(name for text in _texts(form) for name in BLANK.findall(text)))


def fill(form: Form, values: Mapping[str, str]) -> Filled:
    """The form with its blanks filled. A value without a blank is passed over: see `blanks`."""
    return Filled(form=_filled(form, values), open=tuple(name for name in blanks(form) if not values.get(name)))


def paying(form: Form, beneficiary: Form) -> dict[str, Any]:
    """The form with a beneficiary as its creditor: all of the creditor's details are the beneficiary's and none of others'."""
    made = {key: value for key, value in form.items() if key not in _CREDITOR}
    made.update({key: beneficiary[key] for key in _CREDITOR if beneficiary.get(key)})
    if not (made.get("purpose") or made.get("purpose_proprietary")):
        made.update({key: beneficiary[key] for key in _DEFAULTS[:2] if beneficiary.get(key)})
    if not made.get(_DEFAULTS[2]) and beneficiary.get(_DEFAULTS[2]):
        made[_DEFAULTS[2]] = beneficiary[_DEFAULTS[2]]
    return made


def differing(before: Form, after: Form) -> tuple[str, ...]:
    """The fields whose values differ, in the order of their names."""
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return BLANK.sub(lambda found: values.get(found[1], ""), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, values) for key, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list) else value
