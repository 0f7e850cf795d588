"""Codes: only what refuses rejects, what is not known waits, and every code is put in plain words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.code_tables import REASONS, STATUSES
from formats.codes import explain, verdict
from formats.report import Verdict

DECIDED = {
    Verdict.REJECTED: ["RJCT", "CANC"],
    Verdict.ACCEPTED: ["ACCP", "ACSP", "ACWC", "ACFC", "ACWP", "ACIS", "ACPD"],
    Verdict.SETTLED: ["ACSC", "ACCC"],
    Verdict.PENDING: ["RCVD", "PDNG", "ACTC", "PART", "PATC", "BLCK", "ACFW", "RCVC", "RVCM", "RVNC", "", "rjct", "ACXX", None],
}


@pytest.mark.parametrize(("status", "expected"), [(status, kind) for kind, words in DECIDED.items() for status in words])
def test_verdicts(status, expected):
    assert verdict(status) is expected


@given(st.text(max_size=10).filter(lambda text: text.strip() not in STATUSES))
def test_a_status_no_table_knows_is_pending(status):
    assert verdict(status) is Verdict.PENDING


def test_every_code_has_a_sentence_in_both_languages():
    for code, (english, chinese) in {**STATUSES, **REASONS}.items():
        assert english.endswith(".")
        assert english[0].isupper()
        assert chinese.endswith("。")
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese), code
        assert explain(code) == (english, chinese)
    assert not set(STATUSES) & set(REASONS)


@pytest.mark.parametrize(
    "code", ["AC01", "AC04", "AG01", "AM04", "AM05", "BE01", "CUST", "FOCR", "MS03", "NARR", "RC01", "RR04", "TM01"]
)
def test_the_codes_that_banks_use_most_are_explained(code):
    assert code not in explain(code)[0]


def test_an_unknown_code_is_named_and_neither_praised_nor_blamed():
    english, chinese = explain("ZZ99")
    assert "ZZ99" in english
    assert "ZZ99" in chinese
