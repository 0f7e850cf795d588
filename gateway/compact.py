"""Records without their absent values: what is stored or spooled by the thousand carries no names of fields that say nothing."""

import dataclasses
import types
import typing
from functools import cache
from typing import Any

import msgspec


@cache
def compact(model: Any) -> Any:
    """A msgspec struct with the fields of a dataclass that leaves out what has its default when it is encoded.

    msgspec decodes straight into dataclasses, but always writes all their fields; most of a transfer's are absent, and leaving
    them out halves what is written for a payment.
    """
    hints = typing.get_type_hints(model)
    fields: list[Any] = []
    for item in dataclasses.fields(model):
        field_type = _compact_type(hints[item.name])
        required = item.default is dataclasses.MISSING
        fields.append((item.name, field_type) if required else (item.name, field_type, item.default))
    return msgspec.defstruct(model.__name__, fields, omit_defaults=True, kw_only=True)


def _compact_type(hint: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return compact(hint)
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return typing.Union[tuple(_compact_type(item) for item in arguments)]  # noqa: UP007 - made at run time
    if typing.get_origin(hint) is tuple:
        return tuple[tuple(item if item is ... else _compact_type(item) for item in arguments)]  # type: ignore[misc]
    return hint
