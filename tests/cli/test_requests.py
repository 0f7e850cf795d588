"""`bankgate render` of requests to a bank: the JSON form, its mistakes by name, and the schema's last word."""

import json
from pathlib import Path
from typing import Any

import pytest

ON = ("--on", "2026-11-25")
CANCEL = ("--message", "camt.055.001.09")


def test_a_cancellation_is_rendered_from_its_json_form_and_the_same_again(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.xml", tmp_path / "b.xml"]
    for file in files:
        assert bankgate("render", examples / "cancellation.json", *CANCEL, *ON, "--out", file).code == 0
    content = files[0].read_bytes()
    assert content == files[1].read_bytes()
    assert b'<OrgnlInstdAmt Ccy="EUR">1250.00</OrgnlInstdAmt>' in content
    assert b"<CreDtTm>2026-11-25T00:00:00Z</CreDtTm>" in content
    named = tmp_path / "named.xml"
    bankgate("render", examples / "cancellation.json", *CANCEL, *ON, "--message-id", "MINE-1", "--out", named)
    assert b"<Assgnmt><Id>MINE-1</Id>" in named.read_bytes()


@pytest.mark.parametrize("number", range(3, 8))
def test_a_wish_for_statements_is_rendered_in_every_version(bankgate: Any, examples: Path, tmp_path: Path, number: int) -> None:
    file = tmp_path / "a.xml"
    done = bankgate("render", examples / "reporting.json", "--message", f"camt.060.001.{number:02}", *ON, "--out", file)
    assert done.code == 0
    assert b"<FrDt>2026-11-01</FrDt><ToDt>2026-11-24</ToDt>" in file.read_bytes()


def changed(examples: Path, tmp_path: Path, **changes: object) -> Path:
    """The example cancellation with other things in its first message."""
    content = json.loads((examples / "cancellation.json").read_text(encoding="utf-8"))
    content["cancellations"][0] |= changes
    file = tmp_path / "request.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"whole": True}, "cancellations[0].whole: This asks for the whole and names parts of it"),
        ({"hole": True}, "cancellations[0].hole: there is no such field (did you mean whole?)"),
        ({"whole": "yes"}, "cancellations[0].whole: must be true or false"),
        ({"original_message_id": None}, "cancellations[0].original_message_id: is required"),
        ({"original_message_id": 7}, "cancellations[0].original_message_id: must be a text"),
        ({"original_count": True}, "cancellations[0].original_count: must be a whole number"),
        ({"original_control_sum": "1,5"}, "cancellations[0].original_control_sum: must be an unsigned decimal number as a text"),
        ({"original_control_sum": 1.5}, "cancellations[0].original_control_sum: must be an unsigned decimal number as a text"),
        ({"payment_informations": {}}, "cancellations[0].payment_informations: must be a list"),
        ({"payment_informations": ["x"]}, "cancellations[0].payment_informations[0]: must be an object"),
        ({"original_creation_date_time": "yesterday"}, "OrgnlCreDtTm"),
    ],
)
def test_a_mistake_in_a_request_is_named_with_its_place(
    bankgate: Any, examples: Path, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    out = tmp_path / "never.xml"
    done = bankgate("render", changed(examples, tmp_path, **changes), *CANCEL, *ON, "--out", out)
    assert (done.code, out.exists()) == (1, False)
    assert says in done.err.replace("\n", " ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("text", "says"), [("", "is not JSON"), ("[]", "must be an object"), ("{}", "assigner: is required")])
def test_a_file_that_is_no_request_is_named(bankgate: Any, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(text, encoding="utf-8")
    for options in (CANCEL, (*CANCEL, "--message-id", "M")):
        done = bankgate("render", file, *options, *ON)
        assert (done.code, says in done.err) == (1, True)
    assert bankgate("render", tmp_path / "missing.json", *CANCEL).code == 1


def test_a_version_that_is_not_written_is_a_mistake_of_usage(bankgate: Any, examples: Path) -> None:
    done = bankgate("render", examples / "cancellation.json", "--message", "camt.055.001.05")
    assert (done.code, "camt.055.001.08" in done.err) == (2, True)


@pytest.mark.parametrize("period", ["2026-11-1", "20261101", "2026-W48-3"])
def test_a_date_in_another_form_is_refused(bankgate: Any, examples: Path, tmp_path: Path, period: str) -> None:
    content = json.loads((examples / "reporting.json").read_text(encoding="utf-8"))
    content["requests"][0] |= {"period_from": period, "time_from": "8 o'clock", "scope": "SOME"}
    file = tmp_path / "request.json"
    file.write_text(json.dumps({**content, "creation_date_time": "2026-11-25T13:00:00"}), encoding="utf-8")
    done = bankgate("render", file, "--message", "camt.060.001.05")
    assert done.code == 1
    for says in ("period_from: must be a date", "time_from: must be a time", "scope: must be one of ALLL", "with its zone"):
        assert says in done.err
