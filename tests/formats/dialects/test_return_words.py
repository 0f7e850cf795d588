"""Money that came back, by the words of a line and by its sign."""

import pytest

from formats.dialects.booking import moved, says_returned
from formats.exchange import Exchange
from formats.report import Entry
from tests.formats.dialects.test_icbc import BANK, PAGE, reply


@pytest.mark.parametrize(
    ("side", "texts", "found"),
    [
        ("CRDT", ("货款", "退票"), "退票"),
        ("CRDT", (None, " 退汇 "), " 退汇 "),
        ("CRDT", ("不是退票",), None),
        ("DBIT", ("退票",), None),
        (None, ("退票",), None),
    ],
)
def test_only_a_credit_whose_text_begins_with_a_word_says_it(side: str | None, texts: tuple[str | None, ...], found: str) -> None:
    assert says_returned(side, texts, ("退票", "退汇")) == found
    assert says_returned(side, texts, ()) is None


def test_a_negative_amount_turns_the_side_round() -> None:
    assert [moved(side, negative=True) for side in ("DBIT", "CRDT", None)] == ["CRDT", "DBIT", None]
    assert [moved(side, negative=False) for side in ("DBIT", "CRDT", None)] == ["DBIT", "CRDT", None]


@pytest.mark.parametrize(
    ("credit", "summary", "purpose", "returned"),
    [("100", "退汇", "", "退汇"), ("100", "转账", "退票", "退票"), ("100", "转账", "货款", None), ("0", "退汇", "", None)],
)
def test_a_credit_whose_summary_or_purpose_says_so_came_back(credit: str, summary: str, purpose: str, returned: str) -> None:
    amounts = f"<DebitAmount>{100 - int(credit)}</DebitAmount><CreditAmount>{credit}</CreditAmount>"
    row = f"<rd>{amounts}<Summary>{summary}</Summary><UseCN>{purpose}</UseCN><Date>20260105</Date></rd>"
    (entry,) = [one for one in BANK.records(Exchange(reply=reply("QHISD", row), asked=PAGE)) if isinstance(one, Entry)]
    assert (entry.transactions[0].return_reason_text, entry.reversal) == (returned, False)
