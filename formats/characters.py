"""Which characters a bank takes, and what could be written instead of the others.

Nothing is changed silently: a text outside the set is a violation, and `transliterate` gives the text that would be safe to send.
Where letters of a script stand that no scheme converts (Chinese, Arabic …), `reading` says how they are read, for a person to
judge.

The sets:

* `BASIC`: the Latin set that every SEPA bank must support (EPC132-08, section 1.4): letters, digits, ``/ - ? : ( ) . , ' +``
  and space.
* `EXTENDED`: what customers may write in names, addresses and remittance text of SEPA payments. The schemes exchange `BASIC`
  "unless otherwise agreed"; for the languages of Europe EPC217-08 (SEPA requirements for an extended character set, best
  practices) gives the banks one conversion table, and customers' banks take these letters and convert them by it. Hence:
  printable ASCII, and the letters of the Latin, Greek and Cyrillic scripts. Other scripts and symbols have no conversion
  there.
* `UNRESTRICTED`: what ISO 20022 text types can carry: everything legal in XML 1.0, except control characters (line breaks and
  tabs too: no name or address holds one) and invisible characters that make equal-looking names differ.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from re import Pattern

from anyascii import anyascii


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """A set of characters: its name for people, where it comes from, and a pattern that finds a character outside it."""

    name: str
    source: str
    outside: Pattern[str] = field(repr=False)


BASIC = CharacterSet(
    "EPC basic Latin", "EPC132-08 SCT C2PSP implementation guidelines 2025, section 1.4", re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
)
EXTENDED = CharacterSet(
    "EPC extended (Latin, Greek, Cyrillic)",
    "EPC217-08 SEPA requirements for an extended character set (UNICODE subset), best practices",
    re.compile(r"[^ -~¡-¬®-ɏͰ-ϿЀ-ѿҐґḀ-ỿἀ-῿€]"),
)
UNRESTRICTED = CharacterSet(
    "ISO 20022 text",
    "XML 1.0 fifth edition, production [2]; ISO 20022 text types",
    re.compile("[\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"),
)

_FAMILIAR = ("LATIN ", "GREEK ", "CYRILLIC ")
_READABLE = frozenset({"Ll", "Lu", "Lt", "Lo", "Lm", "Mn", "Mc", "Nd"})

# EPC217-08 converts Greek and Bulgarian letter by letter; here as ELOT 743 and the Bulgarian Transliteration Act (2009) do. The
# Cyrillic letters of other languages come from the library.
_GREEK = "Α A Β V Γ G Δ D Ε E Ζ Z Η I Θ Th Ι I Κ K Λ L Μ M Ν N Ξ X Ο O Π P Ρ R Σ S Τ T Υ Y Φ F Χ Ch Ψ Ps Ω O"
_CYRILLIC = (
    "А A Б B В V Г G Д D Е E Ж Zh З Z И I Й Y К K Л L М M Н N О O П P Р R С S Т T У U Ф F Х H Ц Ts Ч Ch Ш Sh Щ Sht Ъ A Ь Y "
    "Ю Yu Я Ya"
)


def _both_cases(pairs: str) -> dict[str, str]:
    """Capital letters and what they are written as, and the same for the small ones."""
    words = pairs.split()
    capitals = dict(zip(words[::2], words[1::2], strict=True))
    return capitals | {letter.lower(): written.lower() for letter, written in capitals.items()}


# What Unicode's own decomposition does not give. Letters follow common practice of the languages (and of EPC217-08, which allows
# "ae" beside "a" for "ä"); signs are written as the nearest sign of the basic set. What is not here and is a letter of the three
# scripts is written as the library anyascii reads it.
_REPLACEMENTS = str.maketrans(
    {
        **_both_cases(_GREEK),
        **_both_cases(_CYRILLIC),
        "ς": "s",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ß": "ss",
        "ẞ": "SS",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "å": "a",
        "Å": "A",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "Ð": "D",
        "þ": "th",
        "Þ": "Th",
        "ħ": "h",
        "Ħ": "H",
        "ı": "i",
        "ŋ": "n",
        "Ŋ": "N",
        **dict.fromkeys("‘’‚‛′´`ʼ", "'"),
        **dict.fromkeys('“”„‟″«»"', "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "\xad": "",
        "\u200b": "",
        "\ufeff": "",
        "\u2060": "",
        "\u200e": "",
        "\u200f": "",
        **dict.fromkeys("\t\n\r\x0b\x0c\x85\u2028\u2029", " "),
        "…": "...",
        "&": "+",
        "@": "(at)",
        "_": "-",
        "€": "EUR",
        "№": "No",
        "·": ".",
        "•": "-",
        ";": ",",
        "⁄": "/",
        "[": "(",
        "]": ")",
        "{": "(",
        "}": ")",
        "\\": "/",
        "|": "/",
    }
)


def illegal(text: str, charset: CharacterSet) -> str:
    """The distinct characters of `text` outside the set, in order of first appearance; empty when there are none."""
    if charset.outside.search(text) is None:
        return ""
    return "".join(dict.fromkeys(charset.outside.findall(text)))


def transliterate(text: str, charset: CharacterSet) -> str | None:
    """The same text inside the set, changing only characters outside it; None where a character has no faithful replacement.

    Accents and ligatures are resolved, Greek and Cyrillic letters written in Latin ones where the set has none of theirs, quotes
    and dashes become plain ones, a few signs the nearest plain sign. Letters of other scripts and symbols without counterpart are
    never dropped or guessed: the answer is None.
    """
    return _rewritten(text, charset, _plain)


def reading(text: str, charset: CharacterSet) -> str | None:
    """How letters of any script are read, inside the set: "LiMing" for 李明. Not the same name any more: for a person to judge,
    never to be written unasked. None where there are no such letters, or signs that nobody reads."""
    return _rewritten(text, charset, _read) if unfamiliar(text) else None


def unfamiliar(text: str) -> str:
    """The letters of `text` of other scripts than Latin, Greek and Cyrillic, for which EPC217-08 has no conversion."""
    return "" if text.isascii() else "".join([character for character in text if _is_unfamiliar(character)])


def _is_unfamiliar(character: str) -> bool:
    return character > "\x7f" and character.isalpha() and not unicodedata.name(character, "").startswith(_FAMILIAR)


def _rewritten(text: str, charset: CharacterSet, replacement: Callable[[str], str | None]) -> str | None:
    composed = unicodedata.normalize("NFC", text)
    written: list[str] = []
    for place, character in enumerate(composed):
        if charset.outside.match(character) is None:
            written.append(character)
            continue
        plain = replacement(character)
        if plain is None or charset.outside.search(plain):
            return None
        if len(plain) > 1 and character.isupper() and _among_capitals(composed, place):
            plain = plain.upper()
        written.append(plain)
    result = "".join(written)
    return result if result.strip() else None


def _among_capitals(text: str, place: int) -> bool:
    """Whether the letter beside it is a capital too: "MÜLLER" is MUELLER, and "Ümit" Uemit."""
    after, before = text[place + 1 : place + 2], text[max(place - 1, 0) : place]
    return after.isupper() if after.isalpha() else before.isupper()


def _plain(character: str) -> str | None:
    """The replacement of one character (possibly empty), or None."""
    replaced = character.translate(_REPLACEMENTS)
    if replaced != character:
        return replaced
    decomposed = unicodedata.normalize("NFKD", character)
    marks = [part for part in decomposed if unicodedata.combining(part)]
    if marks and not decomposed[0].isalpha():
        return None  # an accent can go from a letter; "≠" without its stroke says the contrary
    base = "".join(part for part in decomposed if part not in marks).translate(_REPLACEMENTS)
    if base and base != character:
        return base if base.isascii() else _all_plain(base)
    if character.isalpha() and unicodedata.name(character, "").startswith(_FAMILIAR):
        return anyascii(character) or None
    return None


def _all_plain(parts: str) -> str | None:
    plain = [part if part.isascii() else _plain(part) for part in parts]
    return None if None in plain else "".join(filter(None, plain))


def _read(character: str) -> str | None:
    """How one character is read, whatever its script."""
    plain = _plain(character)
    return anyascii(character) if plain is None and unicodedata.category(character) in _READABLE else plain


def code_points(characters: str) -> str:
    """Characters as a person can look them up without seeing them: "U+2013, U+4E2D" (at most five, then an ellipsis)."""
    shown = ", ".join(f"U+{ord(character):04X}" for character in characters[:5])
    return shown if len(characters) <= 5 else f"{shown}, …"
