"""The score of two names, 0 to 100, and which words stood for it.

Each word weighs as much as it tells: rare words of the list 1, common ones down to 0.15 (`Weights`). What is matched is compared
with all there is on either side; the side that is covered better counts 60 %, the other 40 %, so that a missing middle name or
an added "Trading" costs little and a missing family name costs much.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from rapidfuzz.distance import OSA, LCSseq

from gateway.policy.screening.chinese import common_spans, is_person_like
from gateway.policy.screening.sounds import EDIT_COST, Likeness, likeness
from gateway.policy.screening.words import COMMON, PARTICLES

COVERED_SHARE: Final = 0.6
WEIGHT_MIN: Final = 0.15
WEIGHT_COMMON: Final = 0.3
WEIGHT_INITIAL: Final = 0.3
WEIGHT_PARTICLE: Final = 0.05
ACROSS_SCRIPTS_MAX: Final = 95  # by reading alone: many Chinese names are read alike
OTHER_CHARACTERS_MAX: Final = 80  # read alike, and both sides say in characters that they differ
TOGETHER_ALIKE: Final = 0.99
TOGETHER_EXACT: Final = 5  # letters: words so short are written together without a mistake, or they are others
_SMOOTHING: Final = 1000  # so that in a small list nothing is common

_Link = tuple[float, int, int, int, int, Likeness]
"""What it is worth; where our words begin and how many there are; the same of theirs; how alike they are."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A word of the payment, the word of the list that it stands for, and how alike they are."""

    ours: str
    theirs: str
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Comparison:
    """`score` 0 to 100; what of each side stands alone."""

    score: float
    pairs: tuple[Pair, ...]
    ours_alone: tuple[str, ...] = ()
    theirs_alone: tuple[str, ...] = ()


class Weights:
    """What a word tells, by how many of the names on the lists have it."""

    def __init__(self, counts: Mapping[str, int], names: int) -> None:
        self._total = names + _SMOOTHING
        self._scale = log(self._total)
        self._counts = counts
        self._known: dict[str, float] = {word: self._weighed(word, count) for word, count in counts.items()}

    def _weighed(self, word: str, count: int) -> float:
        if word in PARTICLES:
            return WEIGHT_PARTICLE
        if len(word) == 1:
            return WEIGHT_INITIAL
        found = max(WEIGHT_MIN, log(self._total / max(count, 1)) / self._scale)
        return min(found, WEIGHT_COMMON) if word in COMMON else found

    def of(self, word: str) -> float:
        found = self._known.get(word)
        return self._weighed(word, 0) if found is None else found


def compare_words(ours: Sequence[str], theirs: Sequence[str], weights: Weights) -> Comparison:
    """Two names in Latin letters. Words are paired off the best first, whatever their order."""
    links: list[_Link] = []
    for at, one in enumerate(ours):
        for place, other in enumerate(theirs):
            alike = likeness(one, other)
            if alike.value:
                links.append((alike.value * weights.of(other), at, 1, place, 1, alike))
    found = _paired(ours, theirs, weights, links)
    if found.ours_alone or found.theirs_alone:
        together = _together(ours, theirs, weights)
        if together:
            found = max(found, _paired(ours, theirs, weights, [*links, *together]), key=lambda one: one.score)
    return found


def _paired(ours: Sequence[str], theirs: Sequence[str], weights: Weights, links: Iterable[_Link]) -> Comparison:
    """The names with their words paired off along the links, the heaviest first, each word once."""
    left, right = set(range(len(ours))), set(range(len(theirs)))
    pairs: list[Pair] = []
    matched = our_weight = their_weight = 0.0
    for _, at, span, place, width, alike in sorted(links, key=lambda link: (-link[0], link[1], link[3])):
        here, there = range(at, at + span), range(place, place + width)
        if not (left.issuperset(here) and right.issuperset(there)):
            continue
        left.difference_update(here)
        right.difference_update(there)
        weight = sum(weights.of(theirs[number]) for number in there)
        matched += alike.value * weight
        our_weight += weight
        their_weight += weight
        pairs.append(Pair(" ".join(ours[at : at + span]), " ".join(theirs[place : place + width]), alike))
    our_weight += sum(weights.of(ours[number]) for number in left)
    their_weight += sum(weights.of(theirs[number]) for number in right)
    return Comparison(
        _score(matched, our_weight, their_weight),
        tuple(pairs),
        tuple(ours[number] for number in sorted(left)),
        tuple(theirs[number] for number in sorted(right)),
    )


def _together(ours: Sequence[str], theirs: Sequence[str], weights: Weights) -> list[_Link]:
    """Words that are written together on one side: "Abdul Rahman" and "Abdulrahman", "Wang Xiao Ming" and "Wang Xiaoming"; in
    long ones one letter may differ."""
    found = []
    theirs_glued = _glued(theirs)
    for at, span, text in _glued(ours):
        for place, width, other in theirs_glued:
            if span == width or abs(len(text) - len(other)) > 1:
                continue
            distance = OSA.distance(text, other, score_cutoff=1)
            if distance > (len(text) > TOGETHER_EXACT):
                continue
            value = TOGETHER_ALIKE - EDIT_COST * distance / len(text)
            weight = sum(weights.of(theirs[number]) for number in range(place, place + width))
            found.append((value * weight + 0.001, at, span, place, width, Likeness(value, "together")))
    return found


def _glued(words: Sequence[str]) -> list[tuple[int, int, str]]:
    """Runs of up to three words, and the whole."""
    count = len(words)
    runs = [(at, span, "".join(words[at : at + span])) for span in (1, 2, 3) for at in range(count - span + 1)]
    return [*runs, (0, count, "".join(words))] if 3 < count <= 6 else runs


def _score(matched: float, our_weight: float, their_weight: float) -> float:
    if not matched:
        return 0.0
    covered = sorted((matched / our_weight, matched / their_weight))
    return 100 * (COVERED_SHARE * covered[1] + (1 - COVERED_SHARE) * covered[0])


def compare_han(ours: str, theirs: str) -> Comparison:
    """Two names in simplified characters: the longest common sequence, places and words such as 贸易 weighing little.

    Of two names as short as a person's every character counts: 胡博 is not 胡博浩.
    """
    if ours == theirs:
        return Comparison(100.0, (Pair(ours, theirs, likeness(ours, theirs)),))
    our_weights, their_weights = _han_weights(ours), _han_weights(theirs)
    matched = 0.0
    ours_alone: list[str] = []
    theirs_alone: list[str] = []
    common: list[str] = []
    for step in LCSseq.opcodes(ours, theirs):
        if step.tag == "equal":
            matched += sum(their_weights[step.dest_start : step.dest_end])
            common.append(theirs[step.dest_start : step.dest_end])
        else:
            ours_alone += [ours[step.src_start : step.src_end]] if step.src_end > step.src_start else []
            theirs_alone += [theirs[step.dest_start : step.dest_end]] if step.dest_end > step.dest_start else []
    pairs = tuple(Pair(piece, piece, likeness(piece, piece)) for piece in common)
    score = _score(matched, sum(our_weights), sum(their_weights))
    if is_person_like(ours) and is_person_like(theirs):
        score = 100 * matched / max(len(ours), len(theirs))
    return Comparison(score, pairs, tuple(ours_alone), tuple(theirs_alone))


def _han_weights(han: str) -> list[float]:
    weights = [1.0] * len(han)
    for start, end in common_spans(han):
        for number in range(start, end):
            weights[number] = 0.7 / (end - start)
    return weights if any(weight == 1.0 for weight in weights) else [1.0] * len(han)


def core_of(han: str) -> str:
    """The characters that tell a company from others: without places and common words; all of them if nothing else is there."""
    common = {number for span in common_spans(han) for number in range(*span)}
    return "".join(character for number, character in enumerate(han) if number not in common) or han
