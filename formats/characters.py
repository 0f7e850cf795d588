"""Which characters a bank takes, and what could be written instead of the others.

Nothing is changed silently: a text outside the set is a violation, and `transliterate` gives the text that would be safe to send.

The sets:

* `BASIC`: the Latin set that every SEPA bank must support (EPC132-08, section 1.4): letters, digits, ``/ - ? : ( ) . , ' +``
  and space.
* `EXTENDED`: what customers may write in names, addresses and remittance text of SEPA payments. The schemes exchange `BASIC`
  "unless otherwise agreed"; for the languages of Europe EPC217-08 (SEPA requirements for an extended character set, best
  practices) gives the banks one conversion table, and customers' banks take these letters and convert them by it. Hence:
  printable ASCII, and the letters of the Latin, Greek and Cyrillic scripts. Other scripts and symbols have no conversion
  there and are refused.
* `UNRESTRICTED`: what ISO 20022 text types can carry: everything legal in XML 1.0, except control characters (line breaks and
  tabs too: no name or address holds one) and invisible characters that make equal-looking names differ.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from re import Pattern


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

# What Unicode's own decomposition does not give. Letters follow common practice of the languages (and of EPC217-08, which allows
# "ae" beside "a" for "ä"); signs are written as the nearest sign of the basic set.
_REPLACEMENTS = str.maketrans(
    {
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

    Accents and ligatures are resolved (NFKD), quotes and dashes become plain ones, a few signs the nearest plain sign. Letters of
    other scripts and symbols without counterpart are never dropped or guessed: the answer is None.
    """
    written: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        if charset.outside.match(character) is None:
            written.append(character)
            continue
        plain = _plain(character)
        if plain is None or charset.outside.search(plain):
            return None
        written.append(plain)
    result = "".join(written)
    return result if result.strip() else None


def _plain(character: str) -> str | None:
    """The replacement of one character (possibly empty), or None."""
    replaced = character.translate(_REPLACEMENTS)
    if replaced != character:
        return replaced
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(part for part in decomposed if not unicodedata.combining(part)).translate(_REPLACEMENTS)
    return base if base and base != character else None


def code_points(characters: str) -> str:
    """Characters as a person can look them up without seeing them: "U+2013, U+4E2D" (at most five, then an ellipsis)."""
    shown = ", ".join(f"U+{ord(character):04X}" for character in characters[:5])
    return shown if len(characters) <= 5 else f"{shown}, …"
