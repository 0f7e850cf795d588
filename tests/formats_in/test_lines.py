"""Where in a file an identification stands: told only when it is certain."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import lines
from formats.lines import lines_of

SAMPLES = Path(__file__).parent / "samples"
TEXT = b"""<D xmlns:p="x">
<OrgnlMsgId>M-1</OrgnlMsgId>
 <p:OrgnlInstrId>P-1</p:OrgnlInstrId> <OrgnlEndToEndId>P-1</OrgnlEndToEndId>

 <EndToEndId
  a="1">
   INV 2
 </EndToEndId><InstrId>P-3</InstrId>
 <InstrId>P-4</InstrId><InstrId>P-4</InstrId>
 <Other>P-5</Other>
</D>
"""


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        ("message_id", "M-1", 2),
        ("instruction_id", "P-1", 3),
        ("end_to_end_id", "P-1", 3),
        ("end_to_end_id", "INV 2", 7),
        ("instruction_id", "P-3", 8),
        ("instruction_id", "P-4", None),  # which of the two is meant is not known
        ("instruction_id", "P-5", None),
        ("instruction_id", "M-1", None),
    ],
)
def test_an_identification_has_the_line_of_its_own_element(kind: str, value: str, line: int | None) -> None:
    others = {("message_id", "M-1"), ("instruction_id", "P-3"), (kind, value)}
    assert lines_of(BytesIO(TEXT), others).get((kind, value)) == line


def test_a_real_report_s_lines_are_those_an_editor_shows() -> None:
    content = (SAMPLES / "pain002_levels.xml").read_bytes()
    name = content.partition(b"<OrgnlMsgId>")[2].partition(b"<")[0].decode()
    line = next(number for number, text in enumerate(content.split(b"\n"), start=1) if b"<OrgnlMsgId>" in text)
    assert lines_of(BytesIO(content), {("message_id", name)}) == {("message_id", name): line}


def test_a_file_that_is_too_large_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BYTES_MAX", len(TEXT) - 1)
    assert lines_of(BytesIO(TEXT), {("message_id", "M-1")}) == {}


def test_an_archive_tells_nothing_because_its_lines_are_those_of_no_file() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as stored:  # not packed: the text stands in it as it is
        stored.writestr("a.xml", b"\n\n" + TEXT)
    assert lines_of(archive, {("message_id", "M-1")}) == {}


@given(st.lists(st.sampled_from([b"<InstrId>", b"</InstrId>", b"P-1", b"\n", b"<", b">", b"\xff", b"InstrId"]), max_size=30))
def test_whatever_the_bytes_a_line_that_is_told_holds_the_identification(parts: list[bytes]) -> None:
    content = b"".join(parts)
    for (_, value), line in lines_of(BytesIO(content), {("instruction_id", "P-1")}).items():
        assert value.encode() in content.split(b"\n")[line - 1]
