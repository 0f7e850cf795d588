"""Records made faster than a frozen dataclass makes itself: records are most of the cost of reading a statement.

The `__init__` of a frozen dataclass sets each field through `object.__setattr__`, and takes four times as long as that of an
ordinary one. A twin is an ordinary dataclass with the same slots, whose objects are given the record's class when they are
complete: from then on they are records like any other, frozen and equal to them.
"""

from collections.abc import Callable
from dataclasses import MISSING, field, fields, make_dataclass
from functools import cache
from typing import Any, TypeVar, cast

_Record = TypeVar("_Record")


class NoTwin(TypeError):
    """The class has no slots, or does more than to set its fields."""


@cache
def twin(kind: type) -> Callable[..., Any]:
    """Makes what becomes an object of the frozen dataclass `kind` when it is given that class, from the values in order."""
    return make_dataclass(kind.__name__, _names(kind), slots=True)


def quick(kind: type[_Record]) -> type[_Record]:
    """Makes objects of the frozen dataclass `kind`, called as `kind` itself is."""

    def becomes(made: Any) -> None:
        made.__class__ = kind

    _names(kind)
    values = [(each, field() if each.default is MISSING else field(default=each.default)) for each in fields(cast("Any", kind))]
    given = [(each.name, Any, value) for each, value in values]
    made = make_dataclass(kind.__name__, given, namespace={"__post_init__": becomes}, slots=True, kw_only=True)
    return cast("type[_Record]", made)


def _names(kind: Any) -> list[str]:
    names = [each.name for each in fields(kind)]
    if not set(names) <= set(getattr(kind, "__slots__", ())) or hasattr(kind, "__post_init__"):
        raise NoTwin
    return names
