"""Names for measuring how screening finds them: a list, payees who stand on it under other spellings, and payees who do not.

All are put together from common given names, family names and invented words; the same seed gives the same names. Kinds of noise
stand in `NOISE`, kinds of innocents in `INNOCENT`: both are what they say and no more, and real lists and payees are harder.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from opencc import OpenCC

from gateway.policy.screening.chinese import readings
from gateway.policy.screening.entries import Kind, ListEntry


def _pool(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SLAVIC_GIVEN = _pool(
    "Ivan Sergei Dmitri Aleksandr Nikolai Andrei Mikhail Viktor Oleg Yuri Pavel Anatoli Vladislav Konstantin Grigori Boris "
    "Igor Maksim Roman Stepan Fyodor Anton Kirill Denis Timur Ruslan Gennadi Valeri Leonid Vadim"
)
_SLAVIC_STEM = _pool(
    "Sidor Petr Kuznets Popov Vasil Sokol Mikhail Novik Fedor Moroz Volk Alekse Lebed Semen Egor Pavl Kozl Stepan Nikola Orl "
    "Andre Makar Nikit Zakhar Zayts Solovy Boris Yakovl Grigor Romash Vorob Sergey Kuzm Frol Aleksandr Dmitr Korol Gus Kisel "
    "Ily Maksim Polyak Sorok Vinograd Koval Bel Medved Anton Taras Zhuk Baran Filipp Komar Davyd Bobr Ryab Kazak Gerasim "
    "Ponomar Grebn Tsvet Shch Chern Ostrovsk Lavr Kryl Prokhor"
)
_SLAVIC_END = ("ov", "ev", "enko", "in", "sky", "chuk", "ovich")
_ARABIC_GIVEN = _pool(
    "Mohammed Ahmed Ali Hassan Hussein Omar Khalid Yusuf Ibrahim Mahmoud Mustafa Abdullah Rashid Tariq Faisal Nasser Saleh "
    "Jamal Karim Walid Bilal Hamza Samir Ziad Anwar Sulaiman Haroun Idris Majid Nabil"
)
_ARABIC_FAMILY = _pool(
    "Rashidi Masri Baghdadi Haddad Khoury Najjar Shami Tikriti Qasim Zahrani Ghamdi Otaibi Harbi Dosari Qahtani Shehri "
    "Mutairi Subaie Hashimi Jabari Farouk Mansour Sabbagh Darwish Khatib Halabi Yamani Basri Obaidi Dulaimi Janabi Samarrai "
    "Ansari Bakri Sharif Nasrallah Awad Barakat Maliki Saadi"
)
_WEST_GIVEN = _pool(
    "Hans Peter Anna Maria Thomas Michael Julia Stefan Andreas Claudia Robert James William Elizabeth Charles Henry Laura "
    "Marco Giulia Paolo Francesca Carlos Miguel Lucia Javier Sofia Pierre Jean Camille Luc Jan Pieter Eva Lars Erik Ingrid "
    "Nils Olga Tomasz Katarzyna"
)
_WEST_FAMILY = _pool(
    "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf "
    "Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Walker Thompson "
    "Robinson Anderson Mitchell Campbell Stewart Morrison Patterson Henderson Rossi Ferrari Bianchi Romano Colombo Ricci "
    "Marino Greco Garcia Martinez Hernandez Gonzalez Rodriguez Fernandez Lopez Sanchez Ramirez Torres Dubois Moreau Laurent "
    "Lefebvre Fontaine Jansen Visser Bakker Andersen Johansson Nilsson Kowalski Nowak Lewandowski"
)
_ARABIC_ROOT = _pool("Kar Sal Has Mah Nas Faj Zub Tam Haw Jaz Ras Sul Bas Khat Dar Qur Haf Naj Shar Asw Mur Wah Yaz Fad Mut")
_ARABIC_END = ("imi", "awi", "ani", "iri", "udi", "ari", "isi", "adi", "aini", "ubi")
_WEST_STEM = _pool(
    "Stein Berg Hoff Linden Bren Alten Wald Rosen Eich Kirch Silber Win Hart Black Green Ash Thorn Elling Wood Hazel Mor Sand "
    "Lun Sved Nor Holm"
)
_WEST_END = ("mann", "hauser", "feld", "bach", "berger", "son", "ley", "ton", "worth", "field", "gren", "strom", "dahl", "inger")
_SLAVIC_ROOT = _pool("Rad Mir Bog Vel Svet Yar Dobr Bran Lyub Stan Zor Tikh Vs Kaz Drag Mil Zdrav Gor")
_SLAVIC_TAIL = ("islav", "omir", "imir", "oslav", "an", "ko", "ibor", "omil")
_ARABIC_TAIL = _pool("rahman karim rahim aziz malik latif hamid hakim razzaq salam jabbar qadir wahid ghani fattah basit")
_WEST_ROOT = _pool("Adal Bern Con Diet Eber Fried Ger Hein Kun Lam Mar Nor Os Rein Sieg Theo Ul Wal Ar Ro")
_WEST_TAIL = ("bert", "hard", "rad", "mar", "rich", "old", "linde", "gunde", "ina", "etta")
_HAN_FAMILY = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤单解仇"
)
_HAN_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国志文海玉兰春梅红峰鹏飞宇浩天晓东小龙辉云波斌琳雪佳怡思远嘉"
    "欣梓涵一凡子轩雨泽宏博瑞祥德福康宁安永庆立新启航卫民振兴"
)
_HAN_BRAND = "华远金鼎宏泰瑞丰恒通鑫源德胜兴隆万达永盛长青海纳天成东升顺利嘉禾百川启明星辰广源中润博雅锦绣前程"
_HAN_PLACE = ("北京", "上海", "深圳", "广州", "杭州", "天津", "青岛", "大连", "香港", "丹东")
_HAN_BUSINESS = ("贸易", "科技", "实业", "进出口", "国际贸易", "投资", "物流", "电子", "机械设备", "化工")
_ONSET = _pool("b d f g k l m n p r s t v z br dr fr gr kr pl st tr")
_BRAND = tuple(onset + vowel + coda for onset in _ONSET for vowel in "aeiou" for coda in ("", "l", "m", "n", "r", "s", "x"))
_BUSINESS = _pool(
    "Trading Shipping Industries Energy Petroleum Logistics Engineering Holding Electronics Chemicals Aviation Marine Steel "
    "Textiles Pharma"
)
_FORM = ("Ltd", "LLC", "GmbH", "S.A.", "B.V.", "OOO", "AG", "Inc.", "FZE", "Co., Ltd.")


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry and what its leading name was put together from; `culture` names the pool."""

    entry: ListEntry
    culture: str
    parts: tuple[str, ...]


class Maker:
    """Draws names; common ones come up more often, as in life."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def one_of(self, pool: str | tuple[str, ...] | list[str]) -> str:
        weights = list(accumulate(1 / (place + 4) for place in range(len(pool))))
        return self.chance.choices(pool, cum_weights=weights)[0]

    def person(self, culture: str) -> tuple[str, ...]:
        """Given name, perhaps middle name, family name; in Chinese characters family name and given name."""
        match culture:
            case "slavic":
                middle = self.given(_SLAVIC_GIVEN, _SLAVIC_ROOT, _SLAVIC_TAIL) + "ovich"
                return (
                    self.given(_SLAVIC_GIVEN, _SLAVIC_ROOT, _SLAVIC_TAIL),
                    middle,
                    self.one_of(_SLAVIC_STEM) + self.one_of(_SLAVIC_END),
                )
            case "arabic":
                given = [self.given(_ARABIC_GIVEN, ["Abdul", "Abdel "], _ARABIC_TAIL) for _ in range(2)]
                return *given, "al-" + self.family(_ARABIC_FAMILY, _ARABIC_ROOT, _ARABIC_END)
            case "chinese":
                length = self.chance.choice((1, 2, 2))
                return self.one_of(_HAN_FAMILY), "".join(self.chance.choice(_HAN_GIVEN) for _ in range(length))
            case _:
                given = [self.given(_WEST_GIVEN, _WEST_ROOT, _WEST_TAIL) for _ in range(self.chance.choice((1, 2)))]
                return *given, self.family(_WEST_FAMILY, _WEST_STEM, _WEST_END)

    def family(self, known: list[str], stems: list[str], ends: tuple[str, ...]) -> str:
        """One in three is a common one."""
        if self.chance.random() < 1 / 3:
            return self.one_of(known)
        return self.chance.choice(stems) + self.chance.choice(ends)

    def given(self, known: list[str], roots: list[str], tails: tuple[str, ...] | list[str]) -> str:
        """Half of them are common ones."""
        if self.chance.random() < 1 / 2:
            return self.one_of(known)
        return self.chance.choice(roots) + self.chance.choice(tails)

    def brand(self) -> str:
        return "".join(self.chance.choice(_BRAND) for _ in range(self.chance.choice((2, 3)))).capitalize()

    def company(self) -> tuple[str, ...]:
        return self.brand(), self.one_of(_BUSINESS), self.one_of(_FORM)

    def chinese_company(self) -> tuple[str, ...]:
        brand = "".join(self.chance.choice(_HAN_BRAND) for _ in range(self.chance.choice((2, 2, 3, 4))))
        return self.one_of(_HAN_PLACE), brand, self.one_of(_HAN_BUSINESS), "有限公司"

    def parts(self, culture: str) -> tuple[str, ...]:
        match culture:
            case "company":
                return self.company()
            case "chinese company":
                return self.chinese_company()
            case _:
                return self.person(culture)


CULTURES: Final = ("slavic", "arabic", "western", "chinese", "company", "chinese company")


def text_of(culture: str, parts: tuple[str, ...]) -> str:
    return ("" if culture.startswith("chinese") else " ").join(parts)


def made_list(seed: int, count: int) -> list[Listed]:
    """`count` entries of all cultures, no two with the same name; one in four has an alias besides."""
    maker, seen, found = Maker(seed), set(), []
    while len(found) < count:
        culture = CULTURES[len(found) % len(CULTURES)]
        parts = maker.parts(culture)
        text = text_of(culture, parts)
        if text in seen and maker.chance.random() < 0.95:  # pools are finite: a few namesakes, as on lists
            continue
        seen.add(text)
        company = "company" in culture
        kind = Kind.ORGANISATION if company else Kind.PERSON
        found.append(Listed(ListEntry(entry_id=f"e{len(found)}", kind=kind, names=(text,)), culture, parts))
    return found


# -- the same under other spellings ----------------------------------------------------------------------------------------

_Noise = Callable[[Listed, random.Random], str | None]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _edited(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word))
    return chance.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + chance.choice(_LETTERS) + word[at + 1 :],
            word[:at] + chance.choice(_LETTERS) + word[at:],
            word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        )
    )


def _latin(listed: Listed) -> bool:
    return not listed.culture.startswith("chinese")


def typo(listed: Listed, chance: random.Random) -> str | None:
    """One letter left out, changed, added or exchanged with its neighbour, in one word of five letters or more."""
    if not _latin(listed):
        return None
    parts = list(listed.parts)
    long = [place for place, part in enumerate(parts) if len(part) >= 5 and part not in _FORM]
    if not long:
        return None
    place = chance.choice(long)
    parts[place] = _edited(parts[place], chance)
    return " ".join(parts)


def two_typos(listed: Listed, chance: random.Random) -> str | None:
    once = typo(listed, chance)
    if once is None:
        return None
    return typo(Listed(listed.entry, listed.culture, tuple(once.split(" "))), chance)


_SPELT = (
    *(("sh", "sch"), ("kh", "h"), ("ei", "ey"), ("ai", "ay"), ("ks", "x"), ("yu", "iu"), ("v", "w"), ("ou", "u"), ("mm", "m")),
    *(("ss", "s"), ("ü", "ue"), ("ö", "oe"), ("ä", "ae"), ("q", "k"), ("ph", "f"), ("i", "y"), ("y", "i"), ("ah", "a")),
    *(("al-", "el "), ("al-", "al"), ("th", "t"), ("ee", "i"), ("ts", "tz"), ("oe", "o"), ("zh", "j"), ("ed", "ad")),
)


def transliterated(listed: Listed, chance: random.Random) -> str | None:
    """Written as another country would: Sergei and Sergey, Mohammed and Mohamad, Müller and Mueller."""
    if not _latin(listed) or listed.culture == "company":
        return None
    text = listed.entry.names[0].lower()
    fitting = [pair for pair in _SPELT if pair[0] in text]
    if not fitting:
        return None
    for old, new in chance.sample(fitting, min(len(fitting), 2)):
        text = text.replace(old, new, 1)
    return text.title()


_CYRILLIC = (
    *(("shch", "щ"), ("zh", "ж"), ("kh", "х"), ("ts", "ц"), ("ch", "ч"), ("sh", "ш"), ("yu", "ю"), ("ya", "я"), ("yo", "ё")),
    *zip("abvgdeziklmnoprstufyj", "абвгдезиклмнопрстуфйй", strict=True),
)


def cyrillic(listed: Listed, _: random.Random) -> str | None:
    if listed.culture != "slavic":
        return None
    text = listed.entry.names[0].lower()
    for latin, letter in _CYRILLIC:
        text = text.replace(latin, letter)
    return text.title()


def swapped(listed: Listed, _: random.Random) -> str | None:
    """Family name first, with a comma, in capitals."""
    if listed.culture not in {"slavic", "arabic", "western"}:
        return None
    return f"{listed.parts[-1]}, {' '.join(listed.parts[:-1])}".upper()


def without_middle(listed: Listed, _: random.Random) -> str | None:
    if listed.culture not in {"slavic", "arabic", "western"} or len(listed.parts) < 3:
        return None
    return f"{listed.parts[0]} {listed.parts[-1]}"


def other_form(listed: Listed, chance: random.Random) -> str | None:
    """Another legal form, or none."""
    if listed.culture == "company":
        return " ".join((*listed.parts[:-1], chance.choice((*_FORM, "")))).strip()
    if listed.culture == "chinese company":
        return "".join(listed.parts[:-1]) + chance.choice(("股份有限公司", "", "集团有限公司", "有限责任公司"))
    return None


def traditional(listed: Listed, _: random.Random) -> str | None:
    return None if _latin(listed) else str(_TRADITIONAL.convert(listed.entry.names[0]))


def pinyin_words(listed: Listed, _: random.Random) -> str | None:
    """王小明 as Wang Xiaoming, and a company by its words."""
    if _latin(listed):
        return None
    return " ".join(readings("".join(listed.parts[:3] if listed.culture != "chinese" else listed.parts))[0]).title()


def pinyin_syllables(listed: Listed, _: random.Random) -> str | None:
    """Xiao Ming WANG."""
    if listed.culture != "chinese":
        return None
    given = [readings(character)[0][0] for character in listed.parts[1]]
    return f"{' '.join(given).title()} {readings(''.join(listed.parts))[0][0].upper()}"


def pinyin_together(listed: Listed, _: random.Random) -> str | None:
    return None if listed.culture != "chinese" else "".join(readings("".join(listed.parts))[0]).title()


def with_title(listed: Listed, chance: random.Random) -> str | None:
    if listed.culture not in {"slavic", "arabic", "western"}:
        return None
    return f"{chance.choice(('Mr', 'Dr.', 'Sheikh', 'Prof. Dr.'))} {listed.entry.names[0]}"


def as_listed(listed: Listed, _: random.Random) -> str | None:
    return listed.entry.names[0]


_TRADITIONAL: Final = OpenCC("s2t")
NOISE: Final[Mapping[str, _Noise]] = {
    "as listed": as_listed,
    "one typo": typo,
    "two typos": two_typos,
    "other spelling": transliterated,
    "cyrillic": cyrillic,
    "swapped order": swapped,
    "middle name missing": without_middle,
    "other legal form": other_form,
    "traditional": traditional,
    "pinyin": pinyin_words,
    "pinyin by syllables": pinyin_syllables,
    "pinyin together": pinyin_together,
    "with a title": with_title,
}


# -- innocents -------------------------------------------------------------------------------------------------------------


def namesake(listed: Listed, maker: Maker) -> str | None:
    """The family name of somebody listed, and another given name."""
    if "company" in listed.culture:
        return None
    other = maker.person(listed.culture)
    if listed.culture == "chinese":
        return listed.parts[0] + other[1] if other[1] != listed.parts[1] else None
    return f"{other[0]} {listed.parts[-1]}" if other[0] not in listed.parts else None


def same_given(listed: Listed, maker: Maker) -> str | None:
    """The given name of somebody listed, and another family name."""
    if "company" in listed.culture:
        return None
    other = maker.person(listed.culture)
    if listed.culture == "chinese":
        return other[0] + listed.parts[1] if other[0] != listed.parts[0] else None
    return f"{listed.parts[0]} {other[-1]}" if other[-1] != listed.parts[-1] else None


def same_business(listed: Listed, maker: Maker) -> str | None:
    """Place, business and legal form of a company listed, under another brand."""
    if listed.culture == "company":
        return " ".join((maker.brand(), *listed.parts[1:]))
    if listed.culture == "chinese company":
        return "".join((listed.parts[0], maker.chinese_company()[1], *listed.parts[2:]))
    return None


def somebody(listed: Listed, maker: Maker) -> str | None:
    """Anybody, from the same pools."""
    return text_of(listed.culture, maker.parts(listed.culture))


_Innocent = Callable[[Listed, Maker], str | None]
INNOCENT: Final[Mapping[str, _Innocent]] = {
    "family name of one listed": namesake,
    "given name of one listed": same_given,
    "business of one listed": same_business,
    "anybody": somebody,
}


def noisy(listed: list[Listed], seed: int, each: int) -> list[tuple[str, str, Listed]]:
    """(kind of noise, text, who it is), up to `each` of every kind."""
    chance, found = random.Random(seed), []
    for kind, noise in NOISE.items():
        got = 0
        for one in chance.sample(listed, len(listed)):
            if got >= each:
                break
            text = noise(one, chance)
            if text is not None:
                found.append((kind, text, one))
                got += 1
    return found


def innocents(listed: list[Listed], seed: int, each: int) -> list[tuple[str, str]]:
    """(kind, text); nobody whose name is that of somebody listed, or is it but for middle name or legal form."""
    maker, found = Maker(seed), []
    known = {_gist(one.culture, part) for one in listed for part in _shorter(one)}
    for kind, made in INNOCENT.items():
        got = 0
        while got < each:
            one = maker.chance.choice(listed)
            text = made(one, maker)
            if text is not None and _gist(one.culture, tuple(text.split(" "))) not in known:
                found.append((kind, text))
                got += 1
    return found


def _shorter(listed: Listed) -> list[tuple[str, ...]]:
    """The name, and a person's with one given name left out."""
    if "company" in listed.culture or listed.culture == "chinese" or len(listed.parts) < 3:
        return [listed.parts]
    return [listed.parts, listed.parts[1:], (listed.parts[0], listed.parts[-1])]


def _gist(culture: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    """What makes two names the same: of a company the brand and the business, of a person all words in any order."""
    if culture == "company":
        return parts[:2]
    if culture == "chinese company":
        return ("".join(parts).removesuffix("有限公司"),)
    return tuple(sorted(" ".join(parts).split(" "))) if culture != "chinese" else ("".join(parts),)
