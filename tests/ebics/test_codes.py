"""Return codes: the one question, by table, and nothing unknown ever raises or counts as success."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics.codes import CODES, deciding, held, meaning
from channels.ebics.codes_table import DUPLICATE_ORDER, Held, Remedy

# By hand from the facts about each code: what the answer to the completing message says about the order.
COMPLETING = {
    Held.YES: "000000 011301 031001 091115 091122",
    Held.MAYBE: "061099 061101 091101 091102 091103 091104 091105 091116 091306 011101",
    Held.NO: (
        "061001 061002 090003 090004 091002 091003 091004 091005 091006 091007 091008 091009 091010 091011 091111 091112 091113"
        " 091117 091118 091119 091120 091121 091201 091207 091218 091301 091302 091303 091304 091305"
    ),
}
ROWS = [(code, verdict) for verdict, listed in COMPLETING.items() for code in listed.split()]


@pytest.mark.parametrize(("code", "verdict"), ROWS)
def test_what_an_answer_to_the_last_segment_says_about_the_order(code, verdict) -> None:
    assert meaning(code).completed is verdict
    for pair in ((code, "000000"), ("000000", code)):
        assert held(*pair, completing=True) is verdict


@pytest.mark.parametrize("code", [code for code, _ in ROWS if code not in DUPLICATE_ORDER])
def test_before_the_last_segment_the_bank_holds_nothing(code) -> None:
    assert held(code, "000000", completing=False) is Held.NO
    assert held("000000", code, completing=False) is Held.NO


@pytest.mark.parametrize("code", DUPLICATE_ORDER)
@pytest.mark.parametrize("completing", [True, False])
def test_a_known_order_is_held_at_every_step_and_whatever_the_other_code_says(code, completing) -> None:
    for pair in ((code, "000000"), ("000000", code), ("061099", code), (code, "090004")):
        assert held(*pair, completing=completing) is Held.YES
        assert deciding(*pair).code == code


@given(st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_a_code_that_nobody_knows_never_raises_and_is_never_success(code: str) -> None:
    found = meaning(code)
    assert found.code == code
    assert found.english
    assert found.chinese
    if code not in CODES:
        assert not found.known
        assert found.completed is not Held.YES
        assert found.remedy is not Remedy.NOTHING
        assert held(code, code, completing=True) is not Held.YES


def test_an_unknown_error_after_the_last_segment_leaves_a_doubt() -> None:
    for code in ("069998", "099998", "019998", "039998", "777777"):
        assert held(code, "000000", completing=True) is Held.MAYBE
        assert held("000000", code, completing=True) is Held.MAYBE
    assert held("091299", "000000", completing=True) is Held.NO, "a fault of a key is one whichever it is"


def test_the_technical_code_decides_before_the_business_code() -> None:
    assert held("061001", "000000", completing=True) is Held.NO
    assert held("061099", "090004", completing=True) is Held.MAYBE
    assert held("000000", "091301", completing=True) is Held.NO
    assert deciding("061001", "090004").code == "061001"
    assert deciding("000000", "090004").code == "090004"
    assert deciding("011000", "000000").code == "011000"


def test_every_code_has_a_name_words_in_both_languages_and_a_way_out() -> None:
    assert len(CODES) == len({code.name for code in CODES.values()})
    for code in CODES.values():
        assert re.fullmatch(r"EBICS_[A-Z0-9_]+", code.name)
        assert re.search(r"[\u4e00-\u9fff]", code.chinese)
        assert code.english.isascii()
        assert (code.remedy is Remedy.NOTHING) == (
            (code.code[:2] in {"00", "01", "03"} and code.code != "011101") or code.code == "090005"
        )
