"""The names of all lists, arranged so that those like a given one are found without comparing all of them.

A word of the given name has counterparts among the words of the lists: itself, words one letter away (found by leaving
out a letter on both sides), long words two letters away, words that sound alike, words that are written apart or
together. What a name of the lists could score at best follows from the counterparts that it has; only names that may
reach the floor are compared (`score`)."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from gateway.policy.screening.names import Name
from gateway.policy.screening.score import (
    ACROSS_SCRIPTS_MAX,
    COVERED_SHARE,
    OTHER_CHARACTERS_MAX,
    WEIGHT_PARTICLE,
    Comparison,
    Weights,
    compare_han,
    compare_words,
    core_of,
)
from gateway.policy.screening.sounds import SHORT, likeness, sounds_of
from gateway.policy.screening.words import PARTICLES

TWO_APART_FROM: Final = 8  # letters: in words so long two letters may differ
_SLACK: Final = 2.0  # points, for particles and for adding up in single precision
_MET_WORDS_MAX: Final = 50_000  # kept, as names share words: payments of a day have few that those before did not have
_MET_PLACES_MAX: Final = 3_000_000  # in all of them: 20 bytes each

_Words = tuple[str, ...]
_Sums = NDArray[np.float32]
_Places = NDArray[np.int32]
_Met = tuple[
    _Places, _Sums
]  # the forms, and of each what a counterpart there is worth, its weight, ours, and whether it is written together
_COLUMNS: Final = 4
_NOWHERE: Final = np.array([], dtype=np.int32)


@dataclass(frozen=True, slots=True)
class NameHit:
    """`number` of the name in the index; `by_reading`: Chinese characters on one side met Latin letters on the other."""

    number: int
    comparison: Comparison
    score: float
    by_reading: bool = False


class NameIndex:
    """Built once from names; their numbers are their places. Nothing that can be seen changes afterwards."""

    def __init__(self, names: Sequence[Name]) -> None:
        self.names = tuple(names)
        self._forms: list[_Words] = []
        self._form_of: list[tuple[int, bool]] = []  # the name's number, and whether the form is a reading
        for number, name in enumerate(self.names):
            for words, reading in _forms_of(name):
                self._forms.append(words)
                self._form_of.append((number, reading))
        counts = Counter(word for words in self._forms for word in set(words))
        self.weights = Weights(counts, len(self._forms))
        self._weight = np.array([self._counting(words) for words in self._forms], dtype=np.float32)
        self._postings = _postings((form, set(words)) for form, words in enumerate(self._forms))
        self._joined_weight: dict[str, float] = {}
        for words in self._forms:
            for text, weight in self._joined_words(words):
                self._joined_weight[text] = max(weight, self._joined_weight.get(text, 0.0))
        self._joined = _postings(
            (form, {text for text, _ in self._joined_words(words)}) for form, words in enumerate(self._forms)
        )
        self._with_particle = frozenset(
            one + other for words in self._forms for one, other in pairwise(words) if one in PARTICLES and other not in PARTICLES
        )
        self._words = _NearWords({*counts, *self._with_particle})
        self._han = _HanIndex(self.names)
        self._met_known: dict[tuple[str, float, bool], _Met | None] = {}
        self._met_places = 0
        self._spare: list[_Sums] = []

    def _counting(self, words: _Words) -> float:
        """What all words but particles weigh; of a name of nothing else, these."""
        weights = [self.weights.of(word) for word in words]
        return sum(weight for weight in weights if weight > WEIGHT_PARTICLE) or sum(weights)

    def search(self, name: Name, floor: float) -> list[NameHit]:
        """The names that score `floor` or more, each once with its best score, the best first."""
        best: dict[int, NameHit] = {}
        for hit in self._found(name, floor):
            known = best.get(hit.number)
            if hit.score >= floor and (known is None or hit.score > known.score):
                best[hit.number] = hit
        return sorted(best.values(), key=lambda hit: (-hit.score, hit.number))

    def _found(self, name: Name, floor: float) -> Iterator[NameHit]:
        if name.han:
            for number, comparison in self._han.search(name.han):
                yield NameHit(number, comparison, comparison.score)
        for words, reading in _forms_of(name):
            for form in self._candidates(words, floor):
                number, their_reading = self._form_of[form]
                if reading and their_reading:
                    continue  # both have characters, which were compared
                comparison = compare_words(words, self._forms[form], self.weights)
                if reading or their_reading:
                    capped = min(comparison.score, _reading_limit(name, self.names[number]))
                    yield NameHit(number, comparison, capped, by_reading=True)
                else:
                    yield NameHit(number, comparison, comparison.score)

    def _candidates(self, words: _Words, floor: float) -> list[int]:
        """The forms whose score may reach the floor: what of each can be matched at best, in sums over all of them at a time.

        `likely` sums the weights of their words that have a counterpart, times how alike the two are, and `theirs` the weights
        alone; `ours` those of our words that have one. What is written apart or together counts for all of its words, beside what
        they count alone.
        """
        mets: list[_Met | None] = []
        total = 0.0
        telling = any(self.weights.of(word) > WEIGHT_PARTICLE for word in words)
        for word in words:
            weight = self.weights.of(word)
            if weight <= WEIGHT_PARTICLE and telling:
                continue  # taken for matched, as it hardly counts
            total += weight
            mets += self._counterparts(word, weight, alone=True), self._written_apart(word, weight)
        mets += (self._counterparts(text, weight, alone=False) for text, weight in self._joined_words(words))
        touched = np.concatenate([_NOWHERE, *(met[0] for met in mets if met is not None)])
        likely, matched, ours, joined = self._summed(mets, touched).T
        matched = np.where(joined > 0, np.minimum(likely, matched), matched)  # words written together are counted twice
        first, second = likely / (matched + np.maximum(total - ours, 0)), likely / self._weight[touched]
        first, second = np.minimum(first, 1), np.minimum(second, 1)
        score = COVERED_SHARE * np.maximum(first, second) + (1 - COVERED_SHARE) * np.minimum(first, second)
        return sorted(set(touched[score >= (floor - _SLACK) / 100].tolist()))

    def _summed(self, mets: Iterable[_Met | None], touched: _Places) -> _Sums:
        """The sums of the forms that are touched. A table of zeros is lent out and given back clean: making one costs more.

        Where several counterparts of a word stand in one form the last one counts, which is the best: they are in that order.
        """
        try:
            sums = self._spare.pop()
        except IndexError:
            sums = np.zeros((len(self._forms), _COLUMNS), dtype=np.float32)
        for met in mets:
            if met is not None:
                sums[met[0]] += met[1]
        found: _Sums = sums[touched]
        sums[touched] = 0
        self._spare.append(sums)
        return found

    def _counterparts(self, word: str, our_weight: float, *, alone: bool) -> _Met | None:
        """Where the words stand that are near to a word of ours, or (not `alone`) to words of ours written together."""
        key = word, our_weight, alone
        if key in self._met_known:
            return self._met_known[key]
        found = []
        for near, alike in self._words.near(word, two_apart=alone):
            if (forms := self._postings.get(near)) is not None:
                weight = self.weights.of(near)
                found.append(((alike * weight, weight, our_weight, float(not alone)), forms))
            if alone and near in self._with_particle:
                weight = self._joined_weight[near]
                found.append(((alike * weight, weight, our_weight, 1.0), self._joined[near]))
        found.sort(key=lambda one: one[0])
        met: _Met | None = None
        if found:
            lengths = [len(forms) for _, forms in found]
            worth = np.repeat(np.array([worth for worth, _ in found], np.float32), lengths, axis=0)
            met = np.concatenate([forms for _, forms in found]), worth
            self._met_places += sum(lengths)
        if self._met_places > _MET_PLACES_MAX or len(self._met_known) > _MET_WORDS_MAX:
            self._met_known, self._met_places = {}, 0
        self._met_known[key] = met
        return met

    def _written_apart(self, word: str, our_weight: float) -> _Met | None:
        """Where a word of ours stands as two or more words."""
        forms = self._joined.get(word)
        if forms is None or word in self._with_particle:
            return None
        weight = self._joined_weight[word]
        return forms, np.full((len(forms), _COLUMNS), (weight, weight, our_weight, 1.0), np.float32)

    def _joined_words(self, words: _Words) -> Iterator[tuple[str, float]]:
        """Neighbours written together and the whole, with the weight of what is in them."""
        weights = [self.weights.of(word) for word in words]
        for at in range(len(words) - 1):
            yield words[at] + words[at + 1], weights[at] + weights[at + 1]
        if 2 < len(words) <= 6:
            yield "".join(words), sum(weights)


class _HanIndex:
    """Names in Chinese characters, by pairs of neighbouring characters of what tells them apart."""

    def __init__(self, names: Sequence[Name]) -> None:
        self._han: dict[int, str] = {number: name.han for number, name in enumerate(names) if name.han}
        self._pairs: dict[str, list[int]] = defaultdict(list)
        self._size: dict[int, int] = {}
        for number, han in self._han.items():
            pairs = _pairs(core_of(han))
            self._size[number] = len(pairs)
            for pair in pairs:
                self._pairs[pair].append(number)

    def search(self, han: str) -> Iterator[tuple[int, Comparison]]:
        pairs = _pairs(core_of(han))
        counts: Counter[int] = Counter()
        for pair in pairs:
            counts.update(self._pairs.get(pair, ()))
        for number, count in counts.items():
            if count * 2 >= min(len(pairs), self._size[number]):
                yield number, compare_han(han, self._han[number])


class _NearWords:
    """The words of the lists by what is near to them."""

    def __init__(self, words: Iterable[str]) -> None:
        self.all = frozenset(words)
        self._shortened: dict[str, list[str]] = defaultdict(list)
        self._sounding: dict[str, list[str]] = defaultdict(list)
        self._long: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in sorted(self.all):
            for text in _shortened(word):
                self._shortened[text].append(word)
            for sound in sounds_of(word) if len(word) > 1 else ():
                self._sounding[sound].append(word)
            if len(word) >= TWO_APART_FROM - 2:
                self._long[word[0], len(word)].append(word)

    def near(self, word: str, *, two_apart: bool) -> list[tuple[str, float]]:
        """The words of the lists that are the same or alike, and how much; long ones two letters away too, if wanted."""
        met = set(self._shortened.get(word, ()))
        for text in _shortened(word):
            met.update(self._shortened.get(text, ()))
            if text in self.all:
                met.add(text)
        for sound in sounds_of(word) if len(word) > 1 else ():
            met.update(self._sounding.get(sound, ()))
        if two_apart:
            met.update(self._two_apart(word))
        found = [(other, value) for other in met if (value := likeness(word, other).value)]
        if word in self.all:
            found = [(word, 1.0), *((other, value) for other, value in found if other != word)]
        return sorted(found)

    def _two_apart(self, word: str) -> Iterator[str]:
        """Long words that begin alike and are two letters apart."""
        if not word.isalpha():
            return
        shortest = len(word) - 2 if len(word) >= TWO_APART_FROM else TWO_APART_FROM
        for length in range(shortest, len(word) + 3):
            words = self._long.get((word[0], length))
            if words:
                distances = cdist([word], words, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)[0]
                yield from (words[place] for place in np.flatnonzero(distances <= 2).tolist())


def _reading_limit(ours: Name, theirs: Name) -> float:
    differ = ours.han and theirs.han and ours.han != theirs.han
    return OTHER_CHARACTERS_MAX if differ else ACROSS_SCRIPTS_MAX


def _forms_of(name: Name) -> Iterator[tuple[_Words, bool]]:
    """The name in Latin letters, as it is and as it is read."""
    if name.words:
        yield name.words, False
    for words in name.readings:
        yield words, True


def _postings(forms: Iterable[tuple[int, Iterable[str]]]) -> dict[str, _Places]:
    """Where each word stands."""
    found: dict[str, array[int]] = defaultdict(lambda: array("i"))
    for form, words in forms:
        for word in words:
            found[word].append(form)
    return {word: np.frombuffer(places, dtype=np.int32) for word, places in found.items()}


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)} or {text}


def _shortened(word: str) -> Iterator[str]:
    """The word without one of its letters; nothing for short words and numbers."""
    if len(word) > SHORT and not word.isdigit():
        for at in range(len(word)):
            yield word[:at] + word[at + 1 :]
