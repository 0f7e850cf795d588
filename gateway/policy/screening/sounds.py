"""How alike two words of names are, and why: letters (optimal string alignment, rapidfuzz) or sound (their consonants)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import OSA

EDIT_COST: Final = 1.2  # of one letter, as a share of the longer word
FIRST_LETTER_COST: Final = 0.05  # more, where words begin differently
ALIKE_MIN: Final = 0.66  # below it two words have nothing to do with each other
SOUND_ALIKE: Final = 0.88  # the same consonants
HEARD_ALIKE: Final = 0.95  # the same vowels too, written otherwise
INITIAL_ALIKE: Final = 0.75
SHORT: Final = 3  # letters: in words up to this length no letter may differ
SKELETON_MIN: Final = 3  # consonants without which a sound says too little

_SOUNDS: Final = (
    (re.compile(r"sch|shch|tsch|tch"), "S"),
    (re.compile(r"sh|ch|cz|tj|zh|dzh|dj|j(?=[aou])"), "S"),
    (re.compile(r"kh|gh|ck|q|c(?![eiy])"), "k"),
    (re.compile(r"ph|w|v|ff"), "f"),
    (re.compile(r"th|dh"), "t"),
    (re.compile(r"ts|tz|ss|z|c"), "s"),
    (re.compile(r"x"), "ks"),
)
_VOWELS: Final = (
    (re.compile(r"[yj]"), "i"),
    (re.compile(r"ou|oo|ue"), "u"),
    (re.compile(r"oe"), "o"),
    (re.compile(r"ae"), "a"),
    (re.compile(r"ee|ie|ei"), "i"),
)
_SILENT: Final = re.compile(r"(?<=.)[aeiouyj]|(?<=.)h$")
_DOUBLE: Final = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """0 to 1, and how: "same", "spelling", "sound", "initial", "together" (written apart on one side); "" for 0."""

    value: float
    how: str


SAME: Final = Likeness(1.0, "same")
NONE: Final = Likeness(0.0, "")
INITIAL: Final = Likeness(INITIAL_ALIKE, "initial")


@lru_cache(maxsize=131_072)
def skeleton(word: str) -> str:
    """What is left of a word when vowels and spelling habits are taken off: Mohammed, Muhamad and محمد are mhmd."""
    for pattern, sound in _SOUNDS:
        word = pattern.sub(sound, word)
    return _DOUBLE.sub(r"\1", _SILENT.sub("", word))


@lru_cache(maxsize=131_072)
def heard(word: str) -> str:
    """Vowels kept, habits of spelling off: Eva and Ewa, Mueller and Müller, Yusuf and Iusuf."""
    for pattern, sound in (*_SOUNDS, *_VOWELS):
        word = pattern.sub(sound, word)
    return _DOUBLE.sub(r"\1", word)


def sounds_of(word: str) -> tuple[str, ...]:
    """The keys under which words that sound alike meet."""
    consonants = skeleton(word)
    return (consonants, "=" + heard(word)) if len(consonants) >= SKELETON_MIN else ("=" + heard(word),)


def likeness(one: str, other: str) -> Likeness:
    """How alike two words in latin letters are."""
    if one == other:
        return SAME
    shorter, longer = (len(one), len(other)) if len(one) < len(other) else (len(other), len(one))
    if shorter == 1:
        return INITIAL if one[0] == other[0] and one.isalpha() and other.isalpha() else NONE
    if shorter * 2 < longer or not (one.isalpha() and other.isalpha()):
        return NONE
    best = 0.0
    allowed = min(int((1 - ALIKE_MIN) * longer / EDIT_COST), 2 if one[0] == other[0] else 1) if longer > SHORT else 0
    if allowed and longer - shorter <= allowed:
        distance = OSA.distance(one, other, score_cutoff=allowed)
        if distance <= allowed:
            best = 1 - EDIT_COST * distance / longer - (FIRST_LETTER_COST if one[0] != other[0] else 0.0)
    if best < HEARD_ALIKE and heard(one) == heard(other):
        return Likeness(HEARD_ALIKE, "sound")
    if best < SOUND_ALIKE and skeleton(one) == skeleton(other) and len(skeleton(one)) >= SKELETON_MIN:
        return Likeness(SOUND_ALIKE, "sound")
    return Likeness(best, "spelling") if best >= ALIKE_MIN else NONE
