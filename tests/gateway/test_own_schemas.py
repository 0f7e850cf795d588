"""A connection's own schemas stand at its gate and judge its inbound files; the official ones do everywhere else."""

import io
import zipfile
from pathlib import Path

import pytest

from formats.report import Document, ReportRecord
from formats.schemas import schema_text
from formats.schemas_own import BrokenSchemas
from gateway import own_schemas
from gateway.apply import NewsApplier
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.own_schemas import read_schemas


def brought(tmp_path: Path, message: str) -> dict[str, str]:
    """The settings of a connection that brings a schema of a message, by which no id has more than three characters."""
    directory = tmp_path / "schemas"
    directory.mkdir()
    text = (schema_text(message) or b"").replace(b'<xs:maxLength value="35"/>', b'<xs:maxLength value="3"/>')
    (directory / f"{message}.xsd").write_bytes(text)
    return {"schemas": "schemas"}


async def test_what_breaks_the_schema_of_the_bank_is_not_sent(make_desk, tmp_path: Path) -> None:
    desk = await make_desk(**brought(tmp_path, "pain.001.001.09"))
    await desk.submit()
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.ABANDONED
    assert await desk.states() == {PaymentState.HELD: 1}
    assert desk.channel.sends == []


async def test_a_schema_of_another_message_changes_nothing(make_desk, tmp_path: Path) -> None:
    desk = await make_desk(**brought(tmp_path, "pain.002.001.10"))
    await desk.submit()
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


@pytest.mark.parametrize("bring", [False, True])
async def test_what_a_bank_sends_is_judged_by_the_schema_it_gave_and_read_all_the_same(
    make_desk, files, tmp_path: Path, bring: bool
) -> None:
    text = files.pain002("MSG-1", group="ACCP")
    message = text[text.index("pain.002.001.") :][:15]
    desk = await make_desk(**(brought(tmp_path, message) if bring else {}))
    data = text.encode() if isinstance(text, str) else text
    source = tmp_path / "answer.xml"
    source.write_bytes(data)
    records = list(desk.intake._parsed(lambda: source.open("rb")))
    first = records[0]
    assert isinstance(first, Document)
    assert any("maxLength" in problem.replace("MAXLENGTH", "maxLength") for problem in first.schema_problems) is bring
    assert len(records) > 1


async def test_each_file_of_an_archive_is_judged_by_the_schema_of_the_bank(
    make_desk, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = files.pain002("MSG-1", group="ACCP")
    desk = await make_desk(**brought(tmp_path, text[text.index("pain.002.001.") :][:15]))
    good = text.replace("MSG-1", "M-1").replace("pain.001.001.09", "P-1")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.xml", good)
        archive.writestr("bad.xml", text)
    judged: list[bool | None] = []
    apply = NewsApplier.apply

    async def heard(self: NewsApplier, record: ReportRecord) -> None:
        if isinstance(record, Document):
            judged.append(record.schema_valid)
        await apply(self, record)

    monkeypatch.setattr(NewsApplier, "apply", heard)
    await desk.receive(packed.getvalue(), "answers.zip")
    assert judged == [True, False]


def test_a_directory_is_read_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought(tmp_path, "pain.002.001.10")
    directory = tmp_path / "schemas"
    assert [schema.file for schema in read_schemas(directory)] == ["pain.002.001.10.xsd"]
    monkeypatch.setattr(own_schemas, "FILE_BYTES_MAX", 100)
    with pytest.raises(BrokenSchemas, match="is larger than"):
        read_schemas(directory)
    monkeypatch.setattr(own_schemas, "FILES_MAX", 0)
    with pytest.raises(BrokenSchemas, match=r"more than 0 \.xsd files"):
        read_schemas(directory)
    with pytest.raises(BrokenSchemas, match="cannot be read"):
        read_schemas(tmp_path / "none")
