"""What is wrong with the JSON form of a message, told by place, in the contract's own names."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_DEEPEST: Final = 20  # no message of the contract is nested so deep


def misfits(content: Any, kind: Descriptor, at: str = "", deep: int = 0) -> Iterator[str]:
    """Keys that are no field, and values that are no text, list or object where the field is one; each with its place.

    Names may stand as in the contract or in lowerCamelCase, and null is an absent value (protobuf's JSON mapping). What this does
    not look at (words of an enum) is left to protobuf's own reader.
    """
    if not isinstance(content, dict) or deep > _DEEPEST:
        yield f"{at or 'it'}: must be an object {{ … }}"
        return
    known = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    for key, value in content.items():
        place = f"{at}.{key}" if at else key
        field = known.get(key)
        if field is None:
            close = get_close_matches(key, [field.name for field in kind.fields], n=1)
            yield f"{place}: there is no such field" + (f" (did you mean {close[0]}?)" if close else "")
        elif value is not None:
            yield from _value(value, field, place, deep)


def _value(value: Any, field: FieldDescriptor, place: str, deep: int) -> Iterator[str]:
    of = field.message_type
    if of is not None and of.GetOptions().map_entry:
        if not isinstance(value, dict):
            yield f"{place}: must be an object {{ … }}"
    elif not field.is_repeated:
        yield from _single(value, field, place, deep)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _single(one, field, f"{place}[{number}]", deep)
    else:
        yield f"{place}: must be a list [ … ]"


def _single(value: Any, field: FieldDescriptor, place: str, deep: int) -> Iterator[str]:
    if field.message_type is not None:
        yield from misfits(value, field.message_type, place, deep + 1)
    elif field.type == FieldDescriptor.TYPE_STRING and not isinstance(value, str):
        yield f'{place}: must be a text in quotes, such as "…"'
