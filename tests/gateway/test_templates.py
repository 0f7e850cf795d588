"""Blanks and their values: one place each, and no other. And the words by which a beneficiary is found."""

import pytest

from gateway.hints import query_words, search_words
from gateway.templates import blanks, differing, fill, paying

FORM = {
    "amount": "{amount}",
    "currency": "EUR",
    "remittance_information": {"unstructured": ["Rent {month} of {flat}", "{month}"]},
    "creditor": {"name": "A {not a blank} {1no}"},
}


def test_blanks_are_names_in_braces_each_once_in_the_order_of_the_fields() -> None:
    assert blanks(FORM) == ("amount", "month", "flat")


def test_a_value_fills_its_blank_everywhere_and_what_is_open_is_empty_and_told() -> None:
    filled = fill(FORM, {"amount": "12.50", "month": "11"})
    assert filled.form["amount"] == "12.50"
    assert filled.form["remittance_information"] == {"unstructured": ["Rent 11 of ", "11"]}
    assert filled.form["creditor"] == {"name": "A {not a blank} {1no}"}
    assert filled.open == ("flat",)


def test_a_value_opens_no_blank_and_reaches_no_other_field() -> None:
    """Mass assignment: a value is text in one place, whatever it looks like."""
    filled = fill(FORM, {"month": '{amount}", "currency": "USD', "amount": "1"})
    assert filled.form["remittance_information"]["unstructured"][1] == '{amount}", "currency": "USD'
    assert filled.form["currency"] == "EUR"
    assert filled.form.keys() == FORM.keys()


def test_a_beneficiary_brings_all_of_the_creditor_and_nothing_of_another_one_stays() -> None:
    form = {"creditor": {"name": "Old"}, "creditor_agent": {"bic": "OLDBNL2A"}, "purpose": "RENT", "amount": "1"}
    beneficiary = {"creditor": {"name": "New"}, "creditor_account": {"iban": "X"}, "purpose": "SUPP", "note": "ours"}
    assert paying(form, beneficiary) == {
        "creditor": {"name": "New"},
        "creditor_account": {"iban": "X"},
        "purpose": "RENT",
        "amount": "1",
    }
    assert paying({}, beneficiary)["purpose"] == "SUPP"


def test_what_changed_is_told_by_field() -> None:
    assert differing({"a": 1, "b": 2}, {"b": 3, "c": 4}) == ("a", "b", "c")


@pytest.mark.parametrize(
    "query",
    [
        "中国工商",
        "工商银行",
        "zhongguogongshang",
        "gongshangyinhang",
        "zggsyh",
        "gsyh",
        "ZGGS",
        "icbc",
        "sup-7",
        "4321",
        "7654321",
    ],
)
def test_a_chinese_name_is_found_by_its_characters_pinyin_initials_id_note_and_account_tail(query: str) -> None:
    words = search_words(("中国工商银行", "ICBC main", "sup-7"), ("6222 0212 3765 4321",))
    assert all(any(word.startswith(beginning) for word in words for beginning in any_of) for any_of in query_words(query))


@pytest.mark.parametrize("query", ["muller", "Müller", "söh", "ＳＯＨＮＥ", "3000"])
def test_accents_width_and_case_do_not_matter(query: str) -> None:
    words = search_words(("Müller & Söhne",), ("DE89370400440532013000",))
    assert all(any(word.startswith(beginning) for word in words for beginning in any_of) for any_of in query_words(query))


def test_a_name_with_several_readings_is_found_by_each() -> None:
    words = search_words(("单雄信",), ())
    assert {"shanxiongxin", "danxiongxin", "sxx", "dxx"} <= set(words)


def test_what_is_no_beginning_is_not_found_and_two_digits_are_no_account() -> None:
    words = search_words(("Supplier GmbH",), ("DE89370400440532013000",))
    assert not any(word.startswith("upplier") for word in words)
    assert query_words("00") == (("00",),)
    assert len(search_words(("长" * 300,), ())) <= 60
