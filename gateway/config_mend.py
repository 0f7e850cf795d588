"""A configuration with mistakes in its shape, mended as far as its other rules need it.

Rules look at settings together ("TLS is required off loopback"), so they need a whole model; a mistyped word must not hide what
else is wrong. What is mended here is looked at and never run with.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config_words import dotted

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]

_ROUNDS_MAX: Final = 4  # a wrong value is taken out; if it was needed it is then missing; and so may be what stands in it
_STAND_INS: Final[Mapping[str, Any]] = {"accounts": [{"holder": "standin", "other_id": "standin"}], "channel": {}}
_STAND_IN: Final = "standin"


class Mended:
    """What was taken out of a table or put into it. `covers` tells which problems only follow from that."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._touched: set[str] = set()
        self._unknown_in: set[str] = set()

    def model(self, model: type[M], error: ValidationError) -> M | None:
        """The model of the table without its mistakes, or None if it cannot be had."""
        table = copy.deepcopy(dict(self._content))
        for _ in range(_ROUNDS_MAX):
            # The deepest first: of two mistakes one may stand inside the other.
            for one in sorted(error.errors(include_url=False, include_input=False), key=lambda one: -len(one["loc"])):
                self._mend(table, one["loc"], one["type"])
            try:
                return model.model_validate(table)
            except ValidationError as following:
                error = following
        return None

    def covers(self, key: str) -> bool:
        """Whether a rule's problem at that key says no more than the mistakes in the shape have said."""
        if any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in self._touched):
            return True
        parent, _, name = key.rpartition(".")
        if parent in self._unknown_in and not self._has(parent, name):
            return True  # the unknown setting beside it may be the one that was meant
        listener_unclear = any(one.split(".")[0] == "listen" for one in self._touched) or "" in self._unknown_in
        return listener_unclear and (key == "callers" or key.endswith(".plaintext"))

    def _mend(self, table: dict[str, Any], location: Location, kind: str) -> None:
        if kind == "extra_forbidden":
            self._unknown_in.add(dotted(location[:-1]))
        while location and isinstance(location[-1], int):
            location = location[:-1]  # the list as a whole: without one of its places the others would move
        if not location:
            return
        self._touched.add(dotted(location))
        inner = _inner(table, location[:-1])
        if not isinstance(inner, dict):
            return
        name = str(location[-1])
        if kind == "missing":
            inner[name] = copy.deepcopy(_STAND_INS.get(name, _STAND_IN))
        else:
            inner.pop(name, None)

    def _has(self, parent: str, name: str) -> bool:
        inner: Any = self._content
        for part in parent.split(".") if parent else ():
            inner = inner.get(part) if isinstance(inner, Mapping) else None
        return isinstance(inner, Mapping) and name in inner


def _inner(table: Any, location: Iterable[str | int]) -> Any:
    for part in location:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return None
    return table
