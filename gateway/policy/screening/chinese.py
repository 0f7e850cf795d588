"""Chinese names: one way of writing, the words of a company's name, and how a name is read aloud.

Traditional characters become simplified ones by OpenCC's table t2s; readings are pypinyin's, which knows words (银行 yín
háng), with the readings of surnames put before them: 单 is shàn as a surname and dān elsewhere, and lists are written by
people who know and by people who do not, so that both are tried."""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from gateway.policy.screening.words import CHINESE_COMMON, CHINESE_LEGAL_FORMS, CHINESE_PLACES

HAN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f〇]+")
READINGS_MAX: Final = 4

_SURNAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "单": ("shan", "dan"),
    "曾": ("zeng", "ceng"),
    "解": ("xie", "jie"),
    "仇": ("qiu", "chou"),
    "查": ("zha", "cha"),
    "区": ("ou", "qu"),
    "朴": ("piao", "pu", "park"),
    "盖": ("ge", "gai"),
    "翟": ("zhai", "di"),
    "乐": ("yue", "le"),
    "缪": ("miao", "mou"),
    "宓": ("mi", "fu"),
    "冼": ("xian",),
    "尉": ("wei", "yu"),
    "洗": ("xian", "xi"),
    "种": ("chong", "zhong"),
    "覃": ("qin", "tan"),
    "员": ("yun", "yuan"),
    "折": ("she", "zhe"),
    "黑": ("he", "hei"),
    "秘": ("bi", "mi"),
    "召": ("shao", "zhao"),
    "隗": ("wei", "kui"),
    "繁": ("po", "fan"),
    "能": ("nai", "neng"),
    "贾": ("jia", "gu"),
    "牟": ("mu", "mou"),
    "郇": ("xun", "huan"),
    "长孙": ("zhangsun", "changsun"),
    "尉迟": ("yuchi", "weichi"),
    "万俟": ("moqi", "wansi"),
    "澹台": ("tantai", "dantai"),
    "单于": ("chanyu", "danyu"),
    "吕": ("lu", "lyu"),
    "女": ("nu", "nyu"),
    "佘": ("she",),
    "重": ("chong", "zhong"),
    "行": ("xing", "hang"),
}
"""Surnames that are read otherwise than the character alone, the right reading first, then the one that is often written."""
_DOUBLE_SURNAMES: Final = frozenset(
    (
        *("欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙"),
        *("慕容", "长孙", "宇文", "司徒", "夏侯", "令狐", "端木", "澹台"),
        *("万俟", "单于", "轩辕", "南宫", "西门", "独孤"),
    )
)
_COMMON_WORDS: Final = re.compile("|".join(sorted({*CHINESE_COMMON, *CHINESE_PLACES}, key=len, reverse=True)))
_LEGAL: Final = re.compile("|".join(CHINESE_LEGAL_FORMS))


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


@lru_cache(maxsize=4096)
def simplified(text: str) -> str:
    """The text in simplified characters."""
    return str(_converter().convert(text))


def han_of(text: str) -> str:
    """The Chinese characters of a text, simplified, run together, without legal forms; all of them if only such are there."""
    found = simplified("".join(HAN.findall(text)))
    return _LEGAL.sub("", found) or found


def common_spans(han: str) -> Iterator[tuple[int, int]]:
    """Where places and words such as 贸易 stand."""
    for match in _COMMON_WORDS.finditer(han):
        yield match.span()


def is_person_like(han: str) -> bool:
    """Whether it is as long as a person's name and has no word of a company in it."""
    return 2 <= len(han) <= 4 and _COMMON_WORDS.search(han) is None


def _read(han: str) -> list[str]:
    from pypinyin import lazy_pinyin

    return [syllable.replace("ü", "u").replace("v", "u") for syllable in lazy_pinyin(han)]


@lru_cache(maxsize=8192)
def readings(han: str) -> tuple[tuple[str, ...], ...]:
    """How a name is written in Latin letters, as words: surname and given name of a person, the parts of a company's name.

    ("wang", "xiaoming") for 王小明; both ("shan", "xiong") and ("dan", "xiong") for 单雄; ("beijing", "huayuan", "keji") and
    ("beijing", "huayuan", "technology") for 北京华远科技.
    """
    if not han:
        return ()
    syllables = _read(han)
    if len(syllables) != len(han):  # a character without a reading may be left out; then the name is read as one word
        return (("".join(syllables),),) if syllables else ()
    if is_person_like(han):
        length = 2 if han[:2] in _DOUBLE_SURNAMES and len(han) > 2 else 1
        given = "".join(syllables[length:])
        usual = "".join(syllables[:length])
        surnames = dict.fromkeys((*_SURNAMES.get(han[:length], ()), usual))
        return tuple((surname, given) for surname in list(surnames)[:READINGS_MAX])
    words: list[str] = []
    english: list[str] = []
    at = 0
    for start, end in (*common_spans(han), (len(han), len(han))):
        if start > at:
            words.append("".join(syllables[at:start]))
            english.append(words[-1])
        if end > start:
            words.append("".join(syllables[start:end]))
            english += CHINESE_COMMON.get(han[start:end], words[-1]).split()
        at = end
    return tuple(dict.fromkeys((tuple(words), tuple(english))))
