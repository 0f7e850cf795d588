"""Passwords of people: argon2id, and which ones are refused.

Cost: RFC 9106, section 4, the second recommended option (64 MiB of memory, 3 passes, 4 lanes), above the minimum of the OWASP
Password Storage Cheat Sheet (19 MiB, 2 passes, 1 lane). A hash says its own parameters; one made with lower ones is made anew
when its owner signs in. What is refused follows NIST SP 800-63B, section 5.1.1.2: length counts, kinds of characters do not;
all of Unicode, compared in NFKC; no more than a few words that everybody would try first.
"""

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256  # characters: long sentences fit, and hashing stays bounded
_KINDS_MIN: Final = 5  # different characters
_REFUSED: Final = (
    "password",
    "passwort",
    "bankgate",
    "qwerty",
    "letmein",
    "welcome",
    "mima",
    "administrator",
    "changeme",
    "woaini",
)
_RUNS: Final = ("0123456789" * 3, "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def normal(password: str) -> str:
    """A password as it is hashed: NFKC, so that the same keys on another keyboard or system are the same password."""
    return unicodedata.normalize("NFKC", password)


def problem(password: str, name: str) -> str:
    """Why this password cannot be that person's, in words for them; "" if it can."""
    text = normal(password)
    if len(text) < LENGTH_MIN:
        return f"at least {LENGTH_MIN} characters; a sentence is good"
    if len(text) > LENGTH_MAX:
        return f"at most {LENGTH_MAX} characters"
    if any(unicodedata.category(character) in {"Cc", "Cn", "Cs"} for character in text):
        return "no control characters"
    folded = text.casefold()
    if len(set(folded)) < _KINDS_MIN:
        return "the same few characters again and again are guessed first"
    rest = folded
    for word in sorted({*_REFUSED, *_parts(name)}, key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(_unrun("".join(filter(str.isalnum, rest)))) < LENGTH_MIN // 2:
        return "your name, well-known words and rows of the keyboard are guessed first; what is left beside them is too short"
    return ""


def _parts(name: str) -> list[str]:
    for mark in "._-":
        name = name.replace(mark, " ")
    parts = name.casefold().split()
    return ["".join(parts), *(part for part in parts if len(part) >= 2)]


def _unrun(text: str) -> str:
    """The text with rows of the keyboard and of the alphabet, either way, as one character each."""
    kept: list[str] = []
    place = 0
    while place < len(text):
        length = next((n for n in range(len(text) - place, 2, -1) if _is_run(text[place : place + n])), 1)
        kept.append(text[place])
        place += length
    return "".join(kept)


def _is_run(piece: str) -> bool:
    return any(piece in run or piece[::-1] in run for run in _RUNS) or len(set(piece)) == 1


class Passwords:
    """Makes and checks hashes. Both take about a tenth of a second and 64 MiB: use from a thread."""

    def __init__(self, *, memory_kib: int = 65_536, passes: int = 3, lanes: int = 4) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes, hash_len=32, salt_len=16)
        self._nobody = self._hasher.hash("nobody's, to be as busy for a name that is not there")

    def hashed(self, password: str) -> str:
        """The hash to store. The rules are asked apart (`problem`)."""
        return self._hasher.hash(normal(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is none (`stored` None), and is then False."""
        try:
            right = self._hasher.verify(stored or self._nobody, normal(password)[: LENGTH_MAX + 1])
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)
