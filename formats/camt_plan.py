"""How one shape of entry is read without building its tree: learned from the reader that builds it, and held to it.

An entry of a camt file is markup with texts in it. Entries of the same markup are read to records alike, but for the texts: so
the reader of `formats.camt` is asked once, with marks in the place of the texts, and where each mark turns up in its record is
where that text goes: a plan. It serves entries of exactly that markup, letter by letter: such an entry is, by XML 1.0 (fifth
edition, 2.4 and 3.1), the same tree with other texts in it, for a text may hold neither `<` nor `>` nor a control character nor,
unless it is one of the five predefined ones (4.6), a reference.

What a text may steer, beyond where it goes itself, is no place for a mark:

- `STEERING` texts (directions, codes, currencies) are part of the pattern, as all attributes are;
- an account that is the statement's own is part of the pattern, and another account's place refuses the own ones;
- the text of an amount must be a plain number, or the pattern does not match.

That nothing else steers is not taken on trust: a plan must foretell what the reader makes of the entry itself, of marks with
blanks around them, and of one long mark in every place (a comparison of two texts would show there, or a text cut short). A plan
that does not is not used.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

from formats.report import Entry
from formats.twins import twin

TEXTS_MAX = 512  # an entry of more is left to the plain reader
_LONG = 500
_TAG_CHARACTERS_MAX = 120  # the text of a longer one is held fixed
STEERING = frozenset(("CdtDbtInd", "RvslInd", "Sts", "Cd", "SubFmlyCd", "Prtry"))
ACCOUNTS = frozenset(("IBAN", "BBAN", "UPIC", "Id"))

_SPLIT = re.compile(r">([^<>\x00-\x20][^<>\x00-\x1f]*+)<").split
_NAME = re.compile(r"<([^<>\s/]+)(?:\s[^<>]*)?\Z")
_TEXT = r"([^<>\x00-\x20\s][^<>\x00-\x1f]*+)(?<!\s)"
_PADDED = r"([^<>\x00-\x20][^<>\x00-\x1f]*+)"
_NUMBER = r"([0-9]++(?:\.[0-9]*+)?)"
_is_number = re.compile(_NUMBER).fullmatch
_BLANKS = r"[ \t\n]*+"
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos);)?")
_PREDEFINED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

_TEXT_SLOT, _NUMBER_SLOT, _ACCOUNT_SLOT, _FIXED = range(4)
_Step = tuple[type | None, Callable[..., Any], Callable[[Sequence[Any]], Any]]  # what to make, how, and of which values


class Unlearnable(Exception):
    """The reader makes more of these texts than to put each in its place."""


def without_references(text: str) -> str | None:
    """The text with the five predefined entities replaced; None where another reference or a bare `&` stands in it."""
    known = True

    def character(match: re.Match[str]) -> str:
        nonlocal known
        if match[1] is None:
            known = False
            return ""
        return _PREDEFINED[match[1]]

    replaced = _REFERENCE.sub(character, text)
    return replaced if known else None


class Shape:
    """The markup of entries alike: which of their texts vary freely. `parts` are the pieces of markup between the texts."""

    def __init__(self, parts: Sequence[str]) -> None:
        self.parts = tuple(parts)
        self.kinds = tuple(_kind(part[-_TAG_CHARACTERS_MAX:]) for part in self.parts[:-1])
        self._fixed = tuple(at for at, kind in enumerate(self.kinds) if kind == _FIXED)
        self._accounts = tuple(at for at, kind in enumerate(self.kinds) if kind == _ACCOUNT_SLOT)
        self.learnable = len(self.kinds) <= TEXTS_MAX and not any("<!" in part or "<?" in part for part in self.parts)
        self.variants: dict[tuple[str | None, ...], Plan | int | None] = {}  # a plan; None: cannot be learned; or times met

    def variant(self, texts: Sequence[str], own_accounts: frozenset[str]) -> tuple[str | None, ...]:
        """What of these texts belongs to the pattern, so that there is a plan for each."""
        fixed = [texts[at] for at in self._fixed]
        accounts = [texts[at] if texts[at].strip() in own_accounts else None for at in self._accounts]
        return ("padded" if _padded(texts) else None, *fixed, *accounts)

    def forget(self) -> bool:
        """Drops what has no plan yet; whether a plan is left."""
        self.variants = {variant: plan for variant, plan in self.variants.items() if isinstance(plan, Plan)}
        return bool(self.variants)


@lru_cache(4096)
def _kind(part: str) -> int:
    """What may stand in the element that this piece of markup ends by opening."""
    match = _NAME.search(part)
    name = "" if match is None else match[1].rpartition(":")[2]
    if not name or name in STEERING or name.endswith("Ccy"):
        return _FIXED
    if name in ACCOUNTS:
        return _ACCOUNT_SLOT
    return _NUMBER_SLOT if name.endswith("Amt") else _TEXT_SLOT


def parts_and_texts(entry: str) -> tuple[list[str], list[str]]:
    """The pieces of an entry's markup, and the texts between them (one fewer)."""
    split = _SPLIT(entry)
    return split[::2], split[1::2]


def accounts_in(text: str) -> frozenset[str]:
    """The texts of this markup that may be accounts."""
    parts, texts = parts_and_texts(text)
    shape = Shape(parts)
    return frozenset(text.strip() for text, kind in zip(texts, shape.kinds, strict=True) if kind == _ACCOUNT_SLOT)


@dataclass(slots=True, eq=False)
class Plan:
    """Reads the entries of one variant of a shape.

    `free` are the places of the texts that vary among all texts of the entry, `numbers` those of them that are amounts.
    """

    pattern: str
    padded: bool  # some texts have blanks around them, which are not told
    free: tuple[int, ...]
    numbers: tuple[int, ...]
    constants: tuple[Any, ...]
    steps: tuple[_Step, ...]
    uses: int = 0

    def varying(self, texts: Sequence[str]) -> list[str] | None:
        """Of all texts of an entry of this variant those that vary; None where one is not what the pattern would match."""
        if not all(_is_number(texts[at]) for at in self.numbers):
            return None
        return [texts[at] for at in self.free]

    def cleared(self, texts: Sequence[str]) -> list[str] | None:
        """The varying texts without references and the blanks around them; None where one is not told so simply."""
        known = [without_references(text) if "&" in text else text for text in texts]
        cleared = [text.strip() for text in known if text]
        return cleared if len(cleared) == len(texts) and "" not in cleared else None

    def record(self, texts: Sequence[str]) -> Entry:
        """The record of an entry with these varying texts, which are cleared."""
        values: list[Any] = [*self.constants, *texts]
        add = values.append
        for kind, make, pick in self.steps:
            if kind is None:
                add(pick(values))
            else:
                made = make(*pick(values))
                made.__class__ = kind
                add(made)
        return cast("Entry", values[-1])


def learn(shape: Shape, entry: str, own_accounts: frozenset[str], read: Callable[[str], Sequence[Entry]]) -> Plan:
    """The plan for this entry and its like. `read` is the plain reader: entries as text in, their records out.

    Raises `Unlearnable` or `NoTwin` where no plan foretells what the reader makes of the entry; what `read` raises goes through.
    """
    texts = parts_and_texts(entry)[1]
    if not shape.learnable:
        raise Unlearnable
    held = {at for at, kind in enumerate(shape.kinds) if kind == _ACCOUNT_SLOT and texts[at].strip() in own_accounts}
    free = [at for at, kind in enumerate(shape.kinds) if kind != _FIXED and at not in held]
    trials = [
        _filled(texts, free, lambda at: _mark(shape.kinds[at], at)),
        _filled(texts, free, lambda at: _blanked(shape.kinds[at], _mark(shape.kinds[at], at + TEXTS_MAX))),
        _filled(texts, free, lambda at: _mark(shape.kinds[at], 3 * TEXTS_MAX, long=True)),
        texts,
    ]
    records = read("".join(_joined(shape.parts, trial) for trial in trials))
    if len(records) != len(trials):
        raise Unlearnable
    constants, steps = _steps(records[0], [trials[0][at] for at in free])
    numbers = tuple(at for at in free if shape.kinds[at] == _NUMBER_SLOT)
    pattern = _pattern(shape, texts, frozenset(free), own_accounts)
    plan = Plan(pattern, _padded(texts), tuple(free), numbers, constants, steps)
    for trial, record in zip(trials, records, strict=True):
        given = [without_references(trial[at].strip()) for at in free]
        if None in given or plan.record(cast("list[str]", given)) != record:
            raise Unlearnable
    return plan


def _padded(texts: Sequence[str]) -> bool:
    return [*map(str.strip, texts)] != [*texts]


def _mark(kind: int, number: int, *, long: bool = False) -> str:
    if kind == _NUMBER_SLOT:
        return f"90{number:06d}7"
    return f"Qz{number:06d}Y" + ("y" * _LONG if long else "")  # a reader that cut texts off would show it


def _blanked(kind: int, mark: str) -> str:
    return mark if kind == _NUMBER_SLOT else f"\u00a0 {mark} \u2003"


def _filled(texts: Sequence[str], free: Sequence[int], mark: Callable[[int], str]) -> list[str]:
    filled = list(texts)
    for at in free:
        filled[at] = mark(at)
    return filled


def _joined(parts: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(part + ">" + text + "<" for part, text in zip(parts, texts, strict=False)) + parts[-1]


def _pattern(shape: Shape, texts: Sequence[str], free: frozenset[int], own_accounts: frozenset[str]) -> str:
    text = _PADDED if _padded(texts) else _TEXT
    own = "|".join(re.escape(account) for account in sorted(own_accounts))
    pieces = [_BLANKS]
    for at, kind in enumerate(shape.kinds):
        pieces.append(re.escape(shape.parts[at] + ">"))
        if at not in free:
            pieces.append(re.escape(texts[at]))
        elif kind == _NUMBER_SLOT:
            pieces.append(_NUMBER)
        elif kind == _ACCOUNT_SLOT and own:
            pieces.append(rf"(?!\s*(?:{own})\s*<)" + text)
        else:
            pieces.append(text)
        pieces.append("<")
    return "".join((*pieces, re.escape(shape.parts[-1])))


def _steps(record: Entry, marks: Sequence[str]) -> tuple[tuple[Any, ...], tuple[_Step, ...]]:
    """How to build a record like this one: constants, and steps over the list of constants, texts and what was built so far.

    The constants come first in that list, so their number must be known: places are counted from its end until it is.
    """
    places = {mark: at for at, mark in enumerate(marks)}
    constants: list[Any] = [None]
    steps: list[tuple[type | None, Callable[..., Any], tuple[tuple[str, int], ...]]] = []

    def constant(value: Any) -> tuple[str, int]:
        if value is None:
            return "constant", 0
        constants.append(value)
        return "constant", len(constants) - 1

    def place(value: Any) -> tuple[str, int]:
        if isinstance(value, str):
            return ("text", places[value]) if value in places else constant(value)
        if isinstance(value, tuple):
            below = tuple(place(item) for item in value)
            if all(where == "constant" for where, _ in below):
                return constant(value)
            steps.append((None, tuple, below))
            return "built", len(steps) - 1
        if is_dataclass(value) and not isinstance(value, type):
            kind = type(value)
            below = tuple(place(getattr(value, field.name)) for field in fields(value))
            steps.append((kind, twin(kind), below))
            return "built", len(steps) - 1
        return constant(value)

    place(record)
    base = {"constant": 0, "text": len(constants), "built": len(constants) + len(marks)}
    return tuple(constants), tuple(
        (kind, twin, _pick([base[where] + number for where, number in below])) for kind, twin, below in steps
    )


def _pick(places: Sequence[int]) -> Callable[[Sequence[Any]], Any]:
    """The values at these places, always as a tuple."""
    if len(places) == 1:
        (only,) = places
        return lambda values: (values[only],)
    return itemgetter(*places)
