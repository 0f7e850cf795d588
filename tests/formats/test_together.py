"""The same end-to-end id for two payments: told once a repetition, whatever the ids are, in bounded memory."""

import pytest

from formats.rules import together
from formats.rules.together import EndToEndIds


def test_each_repetition_names_the_first_payment_with_the_id() -> None:
    ids = EndToEndIds("warning")
    found = [ids.add(text, place) for place, text in enumerate(["A", "B", "A", "A", "a"])]
    assert [violation and (violation.rule, violation.field, violation.severity) for violation in found] == [
        None,
        None,
        ("end-to-end-id.repeated", "end_to_end_id", "warning"),
        ("end-to-end-id.repeated", "end_to_end_id", "warning"),
        None,
    ]
    for violation in filter(None, found):
        assert "Payment 1 " in violation.message_en
        assert "第 1 笔" in violation.message_zh


def test_the_bank_says_how_strictly() -> None:
    ids = EndToEndIds("error")
    assert ids.add("A", 0) is None
    repeated = ids.add("A", 1)
    assert repeated is not None
    assert repeated.severity == "error"


@pytest.mark.parametrize("value", ["NOTPROVIDED", "", None, 5, ["A"]])
def test_what_is_no_id_may_repeat(value: object) -> None:
    ids = EndToEndIds("error")
    assert [ids.add(value, place) for place in range(3)] == [None, None, None]


def test_a_payment_said_twice_under_its_reference_is_one_payment() -> None:
    ids = EndToEndIds("error")
    assert [ids.add("A", place, "R-1") for place in range(2)] == [None, None]
    assert ids.add("A", 2, "R-2") is not None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "REMEMBERED_MAX", 2)
    ids = EndToEndIds("error")
    assert [ids.add(text, place) is None for place, text in enumerate(["A", "B", "C", "C", "A"])] == [
        True,
        True,
        True,
        True,
        False,
    ]
