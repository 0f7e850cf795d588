"""The words by which a beneficiary is found while somebody types. Pure.

Kept for each: the words of its name, note and id in lower case; of Chinese characters their pinyin, in full and as initials; and
the account number backwards, so that its last digits are a beginning too. A search asks for beginnings of these.

Pinyin: the readings of the library pypinyin. A character with several (单: dan, shan) is found by each, as far as the number of
combinations stays small; which one a name is spoken with is not known.
"""

import re
import unicodedata
from itertools import islice, product
from typing import Final

WORDS_MAX: Final = 60  # of one beneficiary
QUERY_WORDS_MAX: Final = 6
_READINGS_MAX: Final = 16
_WORD_LENGTH_MAX: Final = 64
_ACCOUNT_MARK: Final = "#"
_TAIL_MIN: Final = 3  # fewer digits are no hint of an account
_HAN: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]+")
_SPLIT: Final = re.compile(r"[^\w]+")


def search_words(texts: tuple[str, ...], accounts: tuple[str, ...]) -> tuple[str, ...]:
    """Of what is stored: every word under which it is found, sorted."""
    found: dict[str, None] = {}
    for account in accounts:
        number = plain(account).replace(" ", "")
        if len(number) >= _TAIL_MIN:
            found[_ACCOUNT_MARK + number[::-1][: _WORD_LENGTH_MAX - 1]] = None
    for text in texts:
        for word in _words(text):
            found[word] = None
            for run in _HAN.findall(word):
                # A person types the short name inside the long one: "工商银行" of "中国工商银行".
                found.update(dict.fromkeys(run[start:] for start in range(len(run))))
                found.update(dict.fromkeys(_pinyin(run)))
    return tuple(sorted(word[:_WORD_LENGTH_MAX] for word in islice(found, WORDS_MAX)))


def query_words(query: str) -> tuple[tuple[str, ...], ...]:
    """Of what is typed: for each word the beginnings that are looked for, any of which will do."""
    return tuple(_beginnings(word) for word in islice(_words(query), QUERY_WORDS_MAX))


def plain(text: str) -> str:
    """Lower case, full-width letters made plain, accents off."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _beginnings(word: str) -> tuple[str, ...]:
    cut = word[:_WORD_LENGTH_MAX]
    tail = word.isascii() and len(word) >= _TAIL_MIN and any(letter.isdigit() for letter in word)
    return (cut, _ACCOUNT_MARK + word[::-1][: _WORD_LENGTH_MAX - 1]) if tail else (cut,)


def _words(text: str) -> list[str]:
    return [word for word in _SPLIT.split(plain(text)) if word]


def _pinyin(run: str) -> list[str]:
    """The readings of a run of characters: in full from each place on where it may begin, and its initials."""
    from pypinyin import Style, lazy_pinyin, pinyin

    likely = [plain(syllable) for syllable in lazy_pinyin(run)]
    words = [reading for start in range(len(likely)) for reading in ("".join(likely[start:]),)]
    words.append("".join(syllable[:1] for syllable in likely))
    choices = [[plain(one) for one in each] for each in pinyin(run, style=Style.NORMAL, heteronym=True)]
    if len(choices) <= 4:  # a person's name, rather than a company's, whose words have one reading together
        for reading in islice(product(*choices), _READINGS_MAX):
            words += ["".join(reading), "".join(syllable[:1] for syllable in reading)]
    words += ["".join(syllable[:1] for syllable in likely[start:]) for start in range(1, len(likely))]
    return words
