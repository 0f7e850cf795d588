"""What the demo tells a newcomer, without playing it: readable in 80 columns, and the lost answer explained."""

import io
from decimal import Decimal

from rich.console import Console

from gateway.cli.demo import _show
from gateway.demo.cast import cast
from gateway.demo.erp import Doubt, Ended
from gateway.demo.play import Outcome

DOUBT = Doubt(
    message_id="BG261125145944RFX6GMJULK",
    connection_id="acme-sftp",
    payments=100,
    control_sum="2732.50",
    sendings=1,
    trouble="the line broke",
    proof="pain.002.001.10 MB-P002-1",
    detail="the bank's own news names the message",
)


def outcome() -> Outcome:
    parts = cast()
    ended = {
        part.reference: Ended(
            reference=part.reference,
            state=part.expected.state,
            code=part.expected.code,
            text_en="In plain words, as long as they need to be to fold.",
            text_zh="中文说明。",
            source="",
        )
        for part in parts
    }
    balances = [("NL41MOCK0000000001", Decimal(10), Decimal(7), Decimal(7)), ("NL14MOCK0000000002", Decimal(1), Decimal(1), None)]
    return Outcome(parts=parts, ended=ended, doubted=[DOUBT], balances=balances, seconds={"all": 6.8})


def shown(of: Outcome, width: int = 80) -> str:
    file = io.StringIO()
    _show(of, Console(file=file, width=width))
    return file.getvalue()


def test_everything_fits_into_eighty_columns_with_no_word_of_the_reasons_lost() -> None:
    text = shown(outcome())
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text.replace("…0001", "").replace("…0002", "")
    assert "All 226 payments ended as expected." in text


def test_the_lost_answer_is_told_with_what_was_at_stake_and_what_proved_the_arrival() -> None:
    text = " ".join(shown(outcome()).split())
    assert "BG261125145944RFX6GMJULK: 100 payments, 2,732.50 EUR" in text
    assert "in doubt, sent nothing again" in text
    assert "The proof: pain.002.001.10 MB-P002-1" in text
    assert "its bytes were sent once" in text


def test_an_end_that_was_not_expected_is_marked_and_named() -> None:
    told = outcome()
    told.parts = [part for part in told.parts if part.reference == "DEMO-S-POOR"]
    del told.ended["DEMO-S-POOR"]
    told.failures = [f"number {n}" for n in range(25)]
    text = shown(told)
    assert "✗ unheard of" in text
    assert "number 19" in text
    assert "and 5 more" in text
    assert "ended as expected" not in text
    assert "✗ differs" in text
