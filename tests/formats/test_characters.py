"""Character sets, and what is offered instead of what lies outside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.characters import (
    BASIC,
    EXTENDED,
    UNRESTRICTED,
    CharacterSet,
    code_points,
    illegal,
    reading,
    transliterate,
    unfamiliar,
)

BASIC_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ "


def test_basic_is_the_list_of_the_guidelines_and_nothing_else() -> None:
    taken = {chr(code) for code in range(0x3000) if not illegal(chr(code), BASIC)}
    assert taken == set(BASIC_CHARACTERS)


@pytest.mark.parametrize("text", ["Müller & Söhne", "Łódź", "Șerban Țepeș", "Αθήνα", "София", "50% @ #1", "€ 5"])
def test_extended_takes_the_languages_of_europe(text: str) -> None:
    assert illegal(text, EXTENDED) == ""


@pytest.mark.parametrize("text", ["李明", "محمد", "😀", "a\nb", "a\tb", "a\u200bb", "“x”", "–"])
def test_extended_refuses_other_scripts_and_signs(text: str) -> None:
    assert illegal(text, EXTENDED)


@pytest.mark.parametrize("text", ["李明", "محمد", "“x” – …", "Ω≠😀"])
def test_iso_text_takes_every_script(text: str) -> None:
    assert illegal(text, UNRESTRICTED) == ""


@pytest.mark.parametrize(
    "character", ["\x00", "\x0b", "\n", "\t", "\r", "\x7f", "\x85", "\u200b", "\u202e", "\ufeff", "\ud800", "\uffff"]
)
def test_iso_text_refuses_control_and_invisible_characters(character: str) -> None:
    assert illegal(f"a{character}b{character}", UNRESTRICTED) == character


@pytest.mark.parametrize(
    ("text", "charset", "expected"),
    [
        ("Müller", BASIC, "Mueller"),
        ("Straße", BASIC, "Strasse"),
        ("Łódź", BASIC, "Lodz"),
        ("Øre Æble", BASIC, "Ore AEble"),
        ("“Käse” – ’s", BASIC, "'Kaese' - 's"),
        ("A & B", BASIC, "A + B"),
        ("nai\u0308ve", BASIC, "naive"),
        ("ﬁx", BASIC, "fix"),
        ("Müller – x", EXTENDED, "Müller - x"),  # only what lies outside is changed
        ("A\u200bB\nC", UNRESTRICTED, "AB C"),
        ("plain", BASIC, "plain"),
    ],
)
def test_safe_replacements(text: str, charset: CharacterSet, expected: str) -> None:
    assert transliterate(text, charset) == expected


@pytest.mark.parametrize(
    ("text", "charset"), [("李", BASIC), ("a😀", EXTENDED), ("≠", EXTENDED), ("\u200b", UNRESTRICTED), ("\n", BASIC)]
)
def test_what_has_no_faithful_replacement_gets_none(text: str, charset: CharacterSet) -> None:
    assert transliterate(text, charset) is None


@given(st.text(max_size=60), st.sampled_from([BASIC, EXTENDED, UNRESTRICTED]))
def test_a_replacement_lies_inside_the_set_and_needs_no_further_one(text: str, charset: CharacterSet) -> None:
    fixed = transliterate(text, charset)
    if fixed is not None:
        assert illegal(fixed, charset) == ""
        assert transliterate(fixed, charset) == fixed


# Names of the languages of Europe as their passports and banks write them where only Latin letters fit.
IN_LATIN = [
    ("Müller Straße", "Mueller Strasse"),
    ("MÜLLER STRASSE", "MUELLER STRASSE"),
    ("ÄRZTE Über ÖBB", "AERZTE Ueber OEBB"),
    ("Société Générale à Orléans, œuvre", "Societe Generale a Orleans, oeuvre"),
    ("Łukasz Źdźbło", "Lukasz Zdzblo"),
    ("Þórður Ægisson", "Thordur AEgisson"),
    ("İlker Çağış", "Ilker Cagis"),
    ("Nguyễn Đức", "Nguyen Duc"),
    ("Αθήνα", "Athina"),
    ("ΘΕΣΣΑΛΟΝΊΚΗ", "THESSALONIKI"),
    ("Ψυχή Ξάνθης", "Psychi Xanthis"),
    ("София", "Sofiya"),
    ("Щастие Цъфтеж", "Shtastie Tsaftezh"),
    ("ЖЕЛЕЗНИЦА", "ZHELEZNITSA"),
    ("Київ", "Kiiv"),
    ("Ђорђе Њего", "Djordje Njego"),
    ("Hawaiʻi", None),
]


@pytest.mark.parametrize(("text", "expected"), IN_LATIN)
def test_the_scripts_of_europe_are_written_in_latin_letters(text: str, expected: str | None) -> None:
    assert transliterate(text, BASIC) == expected
    assert reading(text, BASIC) is None, "there is nothing that only a guess could read"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("李明", "LiMing"), ("محمد", "mhmd"), ("北京 Müller", "BeiJing Mueller"), ("田中", "TianZhong"), ("이순신", "ISunSin")],
)
def test_letters_without_conversion_are_read_for_a_person_and_never_written(text: str, expected: str) -> None:
    assert transliterate(text, BASIC) is None
    assert reading(text, BASIC) == expected


def test_letters_are_unfamiliar_by_their_script() -> None:
    assert unfamiliar("Müller Łódź Αθήνα София 1+1=2 😀") == ""
    assert unfamiliar("李 & محمد") == "李محمد"


def test_signs_are_not_read_as_words() -> None:
    assert (reading("李😀", BASIC), reading("李明", UNRESTRICTED)) == (None, "李明")


def test_code_points_name_characters_without_showing_them() -> None:
    assert code_points("–中") == "U+2013, U+4E2D"
    assert code_points("abcdef").endswith(", …")
