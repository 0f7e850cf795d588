"""The configuration's mistakes in plain words."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

_SET_ELSEWHERE: Final = frozenset({"directory", "connections", "id"})  # fields of the models that no table holds

_TABLE: Final = "must be a table: keys of its own under [its name]"
_LIST: Final = "must be a list: [ … ], or [[its name]] for tables"
_NUMBER: Final = "must be a number"
_SHAPES: Final[Mapping[str, str]] = {
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": "must be text, in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": "must be a whole number",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "greater_than": "must be more than {gt:g}",
    "too_short": "must not be empty",
}
"""What pydantic says of a value's shape, in the words of a TOML file."""


def explained(
    error: ValidationError, model: type[BaseModel] | None = None, prefix: str = "", tags: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str]]:
    """(key, problem, hint) for each error. `model`: where to look for the word that was meant by an unknown one.

    `tags`: the kinds that pydantic puts in front of a location in a union told apart by `kind`.
    """
    for one in error.errors(include_url=False, include_input=False):
        location = one["loc"][1:] if one["loc"] and one["loc"][0] in tags else one["loc"]
        key = prefix + (dotted(location) or "kind")
        context = one.get("ctx", {})
        match one["type"]:
            case "extra_forbidden":
                known = _keys_at(model, location[:-1]) if model is not None else ()
                yield key, "there is no such setting", did_you_mean(str(location[-1]), known)
            case "missing":
                yield key, "is required", ""
            case "literal_error":
                yield key, f"must be {context.get('expected', 'one of the known words')}", ""
            case "string_pattern_mismatch":
                yield key, f"does not have the form {context.get('pattern', '')}", ""
            case "union_tag_invalid":
                yield key, f"must be one of {context.get('expected_tags', 'the known words')}", ""
            case "union_tag_not_found":
                yield key, "is required", ""
            case kind if kind in _SHAPES:
                yield key, _SHAPES[kind].format(**context), ""
            case "value_error" if not location:  # of the table as a whole: what it is about may stand before a colon
                named, text = _about(one["msg"].removeprefix("Value error, "), model)
                yield (prefix + named if named else prefix.removesuffix(".") or "(file)"), text, ""
            case _:
                text = one["msg"].removeprefix("Value error, ")
                yield key, text[:1].lower() + text[1:] if text[1:2].islower() else text, ""


def _about(text: str, model: type[BaseModel] | None) -> tuple[str, str]:
    """The setting that a sentence such as "url: names no host" is about, and what it says; "" where it begins with none."""
    named, colon, rest = text.partition(": ")
    known = () if model is None else model.model_fields
    return (named, rest) if colon and named.split(".", 1)[0] in known else ("", text)


def dotted(location: Iterable[str | int]) -> str:
    """A location as a person writes it: callers[0].name."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the known word that is closest, or with all of them if there are few."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(words)}" if 0 < len(words) <= 20 else ""


def _keys_at(model: type[BaseModel], location: Iterable[str | int]) -> tuple[str, ...]:
    """The settings a table may hold, found by walking the models from the outermost one."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = None if field is None else _model_in(field.annotation)
    if current is None:
        return ()
    return tuple(name for name in current.model_fields if name not in _SET_ELSEWHERE)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation: X, X | None, tuple[X, ...], dict[str, X]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
