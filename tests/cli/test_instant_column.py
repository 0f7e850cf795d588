"""The choice of instant or normal in files of payments."""

import json
from pathlib import Path

import pytest

from bankgate.v1 import types_pb2 as pb
from gateway.cli.mapping import BadLine, Line, lines_of, template

COLUMNS = "payment_reference,amount,instant"


@pytest.mark.parametrize(
    ("cell", "number"),
    [("", 0), ("NORMAL", 1), ("INSTANT", 2), ("instant_else_normal", 3), ("INSTANT_CHOICE_INSTANT_ELSE_NORMAL", 3)],
)
def test_csv_and_json_take_the_short_and_the_full_name(tmp_path: Path, cell: str, number: int) -> None:
    table, lines = tmp_path / "p.csv", tmp_path / "p.jsonl"
    table.write_text(f"{COLUMNS}\nA,1.00,{cell}\n", encoding="utf-8")
    lines.write_text(
        json.dumps({"payment_reference": "A", "amount": "1.00", **({"instant": cell} if cell else {})}), encoding="utf-8"
    )
    for file in (table, lines):
        (line,) = lines_of(file)
        assert isinstance(line, Line)
        assert line.payment == pb.PaymentRequest(payment_reference="A", amount="1.00", instant=number)  # type: ignore[arg-type]


def test_a_choice_that_there_is_not_is_named_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text(f"{COLUMNS}\nA,1.00,FAST\n", encoding="utf-8")
    (line,) = lines_of(table)
    assert isinstance(line, BadLine)
    assert (line.number, "instant" in line.problem) == (2, True)


def test_the_template_has_the_column() -> None:
    assert "instant" in template().strip().split(",")
