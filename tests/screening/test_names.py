"""Names as they are compared: what must be the same is the same, and who is somebody else stays somebody else."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.screening_made import innocents, made_list, noisy
from gateway.policy.screening.chinese import readings
from gateway.policy.screening.index import NameIndex
from gateway.policy.screening.names import TEXT_MAX, latin_words, name_of, parts_of
from gateway.policy.screening.score import compare_words
from gateway.policy.screening.sounds import likeness


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MÜLLER GMBH & CO. KG", "Muller"),
        ("Сидоров Иван", "Sidorov Ivan"),
        ("ООО «Ромашка»", "Romashka"),
        ("Dr. O'Neill", "ONEILL"),
        ("Vélos Ñandú S.A.", "velos nandu"),
        ("王偉", "王伟"),
        ("北京華遠科技股份有限公司", "北京华远科技有限公司"),
        ("Ｗａｎｇ Ｗｅｉ", "wang wei"),
        ("王 伟", "王伟"),
    ],
)
def test_ways_of_writing_a_name_are_one_name(one: str, other: str) -> None:
    assert name_of(one).key == name_of(other).key


@pytest.mark.parametrize(
    "hidden",
    ["Si\u200bdo\u200drov", "S\u0456dorov", "\u202eSidorov", "S.i.d.o.r.o.v", "Sidorov\u0301", "S i d o r o v", "ＳＩＤＯＲＯＶ"],
)
def test_attack_a_name_disguised_by_characters_nobody_sees_is_found(hidden: str) -> None:
    assert name_of(hidden).words == ("sidorov",)


def test_a_name_of_nothing_but_a_legal_form_stays() -> None:
    assert name_of("Limited").words == ("limited",)
    assert name_of("有限公司").han == "有限公司"


def test_titles_and_legal_forms_go_from_both_ends_only() -> None:
    assert name_of("Prof. Dr. Ada Stein").words == ("ada", "stein")
    assert latin_words("Stein AG Transport") == ("stein", "ag", "transport")
    assert name_of("Stein AG Transport").words == ("stein", "ag", "transport")


@pytest.mark.parametrize(
    ("han", "expected"),
    [
        ("王小明", {("wang", "xiaoming")}),
        ("单雄", {("shan", "xiong"), ("dan", "xiong")}),
        ("解晓东", {("xie", "xiaodong"), ("jie", "xiaodong")}),
        ("欧阳小明", {("ouyang", "xiaoming")}),
        ("吕布", {("lu", "bu"), ("lyu", "bu")}),
        ("北京华远科技", {("beijing", "huayuan", "keji"), ("beijing", "huayuan", "technology")}),
        ("", set()),
    ],
)
def test_a_chinese_name_is_read_as_it_is_and_as_it_is_misread(han: str, expected: set[tuple[str, ...]]) -> None:
    assert set(readings(han)) == expected


def test_several_names_in_one_text_are_looked_at_one_by_one() -> None:
    assert parts_of("Anna Berg / Ivan Sidorov") == ("Anna Berg / Ivan Sidorov", "Anna Berg", "Ivan Sidorov")
    assert parts_of("Berg & Stein") == ("Berg & Stein",)


def test_a_text_that_is_too_long_says_so() -> None:
    assert name_of("a" * TEXT_MAX).is_whole
    assert not name_of("a" * (TEXT_MAX + 1)).is_whole


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("sidorov", "sidorov", "same"),
        ("sidorov", "sidorow", "sound"),
        ("mohammed", "muhamad", "sound"),
        ("eva", "ewa", "sound"),
        ("hoffmann", "hofmann", "sound"),
        ("schmidt", "schimdt", "sound"),
        ("fischer", "fisxher", "spelling"),
        ("j", "john", "initial"),
        ("sidorov", "fedorov", ""),
        ("ali", "ala", ""),
        ("1234567", "1234568", ""),
    ],
)
def test_words_are_alike_for_a_reason(one: str, other: str, how: str) -> None:
    assert likeness(one, other).how == likeness(other, one).how == how


_TEXTS = st.text(
    st.one_of(st.sampled_from("abcdeIVAN '.-,&/王偉单北京有限公司贸易éüßжАمحمد\u200b"), st.characters(codec="utf-8")), max_size=40
)


@given(_TEXTS)
def test_whoever_stands_on_a_list_under_exactly_that_name_is_found(text: str) -> None:
    """Whatever the text is."""
    name = name_of(text)
    hits = NameIndex([name, name_of("Anna Berg")]).search(name, 99)
    assert name.is_empty or 0 in {hit.number for hit in hits}


@given(st.permutations(("Ivan", "Petrovich", "Sidorov", "Al-Rashid")))
def test_the_order_of_words_says_nothing(words: list[str]) -> None:
    index = NameIndex([name_of("Ivan Petrovich Sidorov Al-Rashid")])
    assert index.search(name_of(", ".join(words)), 99.9)


SCORES = [
    ("Ivan Petrovich Sidorov", "SIDOROV, Ivan Petrovich", 100, 100),
    ("Ivan Sidorov", "Ivan Petrovich Sidorov", 80, 92),
    ("Ivan Sidorof", "Ivan Sidorov", 90, 98),
    ("Sidorov Trading LLC", "Sidorov", 85, 97),
    ("Ivan Petrov", "Ivan Sidorov", 0, 65),
    ("Wang Wei", "王伟", 95, 95),
    ("Xiao Ming WANG", "王小明", 94, 95),
    ("Wangxiaoming", "王小明", 94, 95),
    ("王玮", "王伟", 0, 60),
    ("胡博", "胡博浩", 0, 70),
    ("上海华远贸易有限公司", "華遠貿易", 85, 97),
    ("北京宏泰贸易有限公司", "北京华远贸易有限公司", 0, 60),
    ("Abdul Rahman Saleh", "Abdulrahman Saleh", 95, 100),
    ("EL AL LTD", "El Al", 100, 100),
    ("Beijing Huayuan Technology Co., Ltd.", "北京华远科技有限公司", 95, 95),
]


@pytest.mark.parametrize(("ours", "theirs", "least", "most"), SCORES)
def test_scores_are_where_people_would_put_them(ours: str, theirs: str, least: int, most: int) -> None:
    hits = NameIndex([name_of(theirs)]).search(name_of(ours), 1)
    score = hits[0].score if hits else 0
    assert least <= score <= most


def test_no_name_that_scores_is_passed_over_by_the_index() -> None:
    """Against comparing everything with everything, on names made to be alike."""
    listed = made_list(5, 240)
    names = [name_of(one.entry.names[0]) for one in listed]
    index = NameIndex(names)
    queries = [text for _, text, _ in noisy(listed, 6, 6)] + [text for _, text in innocents(listed, 7, 8)]
    missed = []
    for text in queries:
        name = name_of(text)
        found = {hit.number for hit in index.search(name, 80)}
        for number, other in enumerate(names):
            forms = itertools.product(
                ((name.words, False), *((words, True) for words in name.readings)),
                ((other.words, False), *((words, True) for words in other.readings)),
            )
            scores = [compare_words(a, b, index.weights).score for (a, x), (b, y) in forms if a and b and not (x and y)]
            if number not in found and max(scores, default=0) >= 80 and not (name.han and other.han):
                missed.append((text, other.text, max(scores)))
    assert not missed


def test_recall_and_precision_do_not_fall_below_the_floor() -> None:
    """On a small generated set; docs/screening.md has the whole table of a large one."""
    listed = made_list(11, 3000)
    names = [name_of(one.entry.names[0]) for one in listed]
    index = NameIndex(names)
    kinds: dict[str, list[bool]] = {}
    for kind, text, who in noisy(listed, 12, 40):
        found = {names[hit.number].key for hit in index.search(name_of(text), 80)}
        kinds.setdefault(kind, []).append(name_of(who.entry.names[0]).key in found)
    recall = {kind: sum(found) / len(found) for kind, found in kinds.items()}
    exact = ("as listed", "cyrillic", "swapped order", "traditional", "pinyin", "pinyin together", "with a title")
    assert all(recall[kind] == 1 for kind in exact), recall
    assert recall["one typo"] >= 0.95, recall
    assert recall["two typos"] >= 0.7, recall
    assert recall["other spelling"] >= 0.93, recall
    assert recall["middle name missing"] >= 0.95, recall
    strangers = [text for _, text in innocents(listed, 13, 60)]
    assert sum(bool(index.search(name_of(text), 80)) for text in strangers) / len(strangers) <= 0.15


def test_the_same_names_in_another_order_give_the_same_scores() -> None:
    listed = [name_of(one.entry.names[0]) for one in made_list(21, 300)]
    shuffled = random.Random(1).sample(listed, len(listed))
    one, other = NameIndex(listed), NameIndex(shuffled)
    for text in ("Mohammed Rashidi", "Ivan Sidorov", "王伟", "Anna Schmidt"):
        found = [
            sorted((index.names[hit.number].text, hit.score) for hit in index.search(name_of(text), 60)) for index in (one, other)
        ]
        assert found[0] == found[1]
