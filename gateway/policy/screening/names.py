"""A name as names are compared: the same for Müller and MUELLER LTD., Сидоров and Sidorov, 王偉 and 王伟.

Steps: Unicode NFKC, invisible characters off, Chinese characters apart (`chinese`), the rest to Latin letters (anyascii,
which also undoes letters of other scripts that look Latin), lower case, dots and apostrophes closed up (S.A. is sa,
O'Neill is oneill), everything else that is no letter or digit a blank, titles and legal forms off. The order of the words
is kept; comparing ignores it."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from anyascii import anyascii

from gateway.policy.screening.chinese import HAN, han_of, readings
from gateway.policy.screening.words import LEGAL_FORM_WORDS_MAX, LEGAL_FORMS, TITLES

TEXT_MAX: Final = (
    1000  # characters; a name of ISO 20022 has at most 140. What is longer is not screened but told (`Name.is_whole`)
)
_CLOSED_UP: Final = re.compile(r"(?<=[a-z0-9])[.'`’ʼ´]+(?=[a-z0-9])|(?<=[a-z0-9])\.")
_SPACED_OUT: Final = re.compile(r"(?<![a-z0-9])(?:[a-z] ){2,}[a-z](?![a-z0-9])")
_PARTS: Final = re.compile(r"[/;、；|]|\b[cC]/[oO]\b")
_NO_LETTER: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Name:
    """`words`: in Latin letters; `han`: in simplified characters; `readings`: the latter in Latin letters, each as words."""

    text: str
    words: tuple[str, ...]
    han: str
    readings: tuple[tuple[str, ...], ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare."""
        return not (self.words or self.han)

    @property
    def is_whole(self) -> bool:
        """Whether all of the text was looked at."""
        return len(self.text) <= TEXT_MAX

    @property
    def key(self) -> tuple[tuple[str, ...], str]:
        """Equal for texts that are the same name, however they are written."""
        return self.words, self.han


def latin_words(text: str) -> tuple[str, ...]:
    """The words in lower-case ASCII letters and digits, whatever script they were in; Chinese characters left out."""
    kept = "".join(" " if category == "Cc" else character for character, category in _visible(text))
    ascii_text = _CLOSED_UP.sub("", anyascii(HAN.sub(" ", kept)).lower())
    ascii_text = _SPACED_OUT.sub(lambda run: run[0].replace(" ", ""), ascii_text)
    return tuple(_NO_LETTER.sub(" ", ascii_text).split())


def parts_of(text: str) -> tuple[str, ...]:
    """A text that names several ("A / B", "王伟、李娜"): the whole and each; otherwise the text alone."""
    pieces = [piece.strip() for piece in _PARTS.split(text[:TEXT_MAX])]
    return (text, *(piece for piece in pieces if piece)) if len(pieces) > 1 else (text,)


def _visible(text: str) -> list[tuple[str, str]]:
    """The characters and their categories, without those that show nothing (zero-width blanks, marks of direction)."""
    normal = unicodedata.normalize("NFKC", text[:TEXT_MAX])
    pairs = ((character, unicodedata.category(character)) for character in normal)
    return [(character, category) for character, category in pairs if category not in {"Cf", "Mn", "Me", "Cs"}]


@lru_cache(maxsize=8192)
def name_of(text: str) -> Name:
    """The name in a text."""
    words = _without_titles(_without_legal_forms(latin_words(text)))
    han = han_of(unicodedata.normalize("NFKC", text[:TEXT_MAX])) if HAN.search(text) else ""
    return Name(text, words, han, readings(han))


def _without_legal_forms(words: tuple[str, ...]) -> tuple[str, ...]:
    """Off from the end and the beginning as long as there are any; but never the whole name."""
    changed = True
    while changed and len(words) > 1:
        changed = False
        for length in range(min(LEGAL_FORM_WORDS_MAX, len(words) - 1), 0, -1):
            if words[-length:] in LEGAL_FORMS:
                words, changed = words[:-length], True
                break
            if words[:length] in LEGAL_FORMS:
                words, changed = words[length:], True
                break
    return words


def _without_titles(words: tuple[str, ...]) -> tuple[str, ...]:
    while len(words) > 1 and words[0] in TITLES:
        words = words[1:]
    return words
