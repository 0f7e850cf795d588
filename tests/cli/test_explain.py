"""`bankgate explain`, and the same words in `bankgate parse`."""

import json
from pathlib import Path
from typing import Any


def test_codes_are_said_in_both_languages_one_line_a_meaning(bankgate: Any) -> None:
    done = bankgate("explain", "AC01", "PMNT-RCDT-ESCT")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "AC01 (reason for a status or return): The account number is wrong.",
            "PMNT-RCDT-ESCT (bank transaction code): Payments: credit transfer received, SEPA credit transfer.",
        ],
    )
    assert bankgate("explain", "NTRF", "--language", "zh").out == "NTRF (银行交易代码): 转账。\n"
    found = json.loads(bankgate("explain", "CUST", "--json").out)
    assert len(found) == 4
    assert {one["code"] for one in found} == {"CUST"}


def test_a_code_that_no_table_has_is_a_problem_and_the_others_are_told(bankgate: Any) -> None:
    done = bankgate("explain", "ZZZZ", "AC01")
    assert done.code == 1
    assert "ZZZZ: no table has this code" in done.err
    assert "The account number is wrong." in done.out
    assert bankgate("explain").code == 2


def test_parse_says_what_was_booked(bankgate: Any, tmp_path: Path) -> None:
    file = tmp_path / "statement.sta"
    lines = [":20:S1", ":25:DE89370400440532013000", ":28C:1/1", ":60F:C261124EUR10,00", ":61:2611241124C1,50NTRFNONREF"]
    file.write_text("\r\n".join([*lines, ":62F:C261124EUR11,50", "-"]), encoding="ascii")
    done = bankgate("parse", file)
    assert done.code == 0
    assert "CRDT 1.50 EUR BOOK NTRF – Transfer\n" in done.out
