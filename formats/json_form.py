"""Strict JSON, and frozen dataclasses from it: the fields' names are the keys, and every mistake is named with its place.

Takes what the requests to a bank are made of: texts, whole numbers, true and false, decimals and dates as texts, lists, other
dataclasses, and None for what is absent. A key that is no field is a mistake, never ignored.
"""

import json
import re
import types
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

_NOTHING: Final = object()
_DIGITS_MAX: Final = 1_000  # of a JSON number; Python refuses to read more than 4,300 (sys.set_int_max_str_digits)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_DECIMAL: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,17})?")


class BadForm(ValueError):
    """The JSON is not of the form: every problem, one a line, each with its place."""


def read_json(text: str) -> Any:
    """JSON in which a key stands at most once in an object (of two amounts nobody knows which is meant) and texts are whole
    characters. Raises `BadForm`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
            raise BadForm(f"the key {twice!r} stands twice in one object")
        return found

    def number(digits: str) -> int | float:
        return int(digits) if len(digits) <= _DIGITS_MAX else float("inf")  # no field takes either

    try:
        found = json.loads(text, object_pairs_hook=unique, parse_int=number)
        if _SURROGATE.search(text) is not None:
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadForm(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except UnicodeEncodeError:
        raise BadForm(r"holds half a character: a \ud800 to \udfff without its other half") from None
    except RecursionError:
        raise BadForm("is nested too deep") from None
    return found


def from_json(kind: type[Any], content: Any, given: Mapping[str, Any], at: str = "") -> Any:
    """A `kind` from its JSON form. `given`: fields that are known already, which the JSON may not say; `at`: where it stands
    in the file. Raises `BadForm`."""
    problems: list[str] = []
    made = _dataclass(kind, content, at, problems, given)
    if problems:
        raise BadForm("\n".join(problems))
    return made


def _dataclass(kind: type[Any], content: Any, path: str, problems: list[str], given: Mapping[str, Any] | None = None) -> Any:
    given = given or {}
    if not isinstance(content, dict):
        problems.append(f"{path or 'the file'}: must be an object {{ … }}")
        return _NOTHING
    hints = typing.get_type_hints(kind)
    known: dict[str, Field[Any]] = {field.name: field for field in fields(kind) if field.name not in given}
    values = dict(given)
    for key in content:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            problems.append(f"{_at(path, key)}: there is no such field" + (f" (did you mean {close[0]}?)" if close else ""))
    for name, field in known.items():
        if content.get(name) is None:
            if field.default is MISSING and field.default_factory is MISSING:
                problems.append(f"{_at(path, name)}: is required")
        else:
            values[name] = _value(hints[name], content[name], _at(path, name), problems)
    # With problems the object is thrown away; half of one may not even be made.
    return _NOTHING if problems else kind(**values)


def _value(hint: Any, content: Any, path: str, problems: list[str]) -> Any:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        (hint,) = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return _value(hint, content, path, problems)
    if origin is tuple:
        return _several(typing.get_args(hint)[0], content, path, problems)
    if origin is typing.Literal:
        words = typing.get_args(hint)
        if content not in words:
            problems.append(f"{path}: must be one of {', '.join(words)}")
        return content
    if is_dataclass(hint):
        return _dataclass(typing.cast("type[Any]", hint), content, path, problems)
    form, wanted, read = _PLAIN[hint]
    if type(content) is not form:
        problems.append(f"{path}: must be {wanted}")
        return _NOTHING
    try:
        return read(content)
    except ValueError:
        problems.append(f"{path}: must be {wanted}")
        return _NOTHING


def _several(hint: Any, content: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(content, list):
        problems.append(f"{path}: must be a list [ … ]")
        return _NOTHING
    return tuple([_value(hint, one, f"{path}[{place}]", problems) for place, one in enumerate(content)])


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.replace(microsecond=0)


def _decimal(text: str) -> Decimal:
    if _DECIMAL.fullmatch(text) is None:  # Python takes signs, exponents, NaN and the digits of every script
        raise ValueError(text)
    return Decimal(text)


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # Python takes weeks ("2026-W48-3") and compact forms too
        raise ValueError(text)
    return day


# The type of a field → the type of the JSON value, what to tell who wrote another, and how it is read.
_PLAIN: Final[Mapping[Any, tuple[type[Any], str, Callable[[Any], Any]]]] = {
    str: (str, "a text", str),
    bool: (bool, "true or false", bool),
    int: (int, "a whole number", int),
    Decimal: (str, 'an unsigned decimal number as a text ("1250.00")', _decimal),
    date: (str, "a date as a text (YYYY-MM-DD)", _day),
    time: (str, "a time of day as a text (HH:MM:SS)", time.fromisoformat),
    datetime: (str, "a moment with its zone as a text (2026-11-25T13:00:00Z)", _aware),
}


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
