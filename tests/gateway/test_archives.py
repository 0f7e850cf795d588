"""ZIP archives from a bank's door: member by member, as one file of which all is applied or nothing."""

import io
import zipfile
from typing import Any

import pytest

from gateway.lifecycle import PaymentState


def archive(*members: tuple[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members:
            written.writestr(name, content)
    return made.getvalue()


async def sent(make_desk: Any, count: int) -> tuple[Any, list[str], str]:
    desk = await make_desk()
    ids = await desk.submit(count)
    await desk.pump()
    return desk, ids, (await desk.delivery()).message_id


async def test_an_archive_is_kept_raw_read_member_by_member_and_applied_once(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 2)
    debits = [files.camt054(files.entry("10.00", f"<InstrId>{payment_id}</InstrId>")) for payment_id in ids]
    data = archive(("r/1.xml", files.pain002(message, group="ACCP")), ("s/1.xml", debits[0]), ("s/2.xml", debits[1]))
    await desk.receive(data, "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 2}
    (file,), _ = await desk.store.list_inbound(limit=9)
    assert (file.state, file.message, file.size) == ("read", "pain.002.001.10", len(data))
    assert b"".join([chunk async for chunk in desk.store.document_chunks(file.document_id)]) == data
    events = [await desk.store.payment_events(payment_id) for payment_id in ids]
    await desk.receive(data, "day-again.zip")
    await desk.store.finish_inbound(file.inbound_file_id, state="stored")  # as `reread` does
    await desk.intake.read_waiting()
    assert [await desk.store.payment_events(payment_id) for payment_id in ids] == events
    assert len((await desk.store.list_statements(limit=9))[0]) == 2
    assert await desk.discrepancies() == []


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ((("2.xml", "<Document>"),), "2.xml: not well-formed"),
        ((("2.xml", "a notice"),), "2.xml: the file is neither"),
        ((("2.zip", archive(("3.xml", "x"))),), "inside another"),
        ((("2.xml", b"<" + b" " * 8_000_000),), "bomb"),
        ((("../2.xml", "<Document/>"),), "harmful name"),
    ],
)
async def test_one_bad_member_puts_the_whole_archive_aside_with_its_reason_and_nothing_of_it_is_applied(
    make_desk, files, bad: tuple[tuple[str, str | bytes], ...], word: str
) -> None:
    desk, _, message = await sent(make_desk, 1)
    good = ("1.xml", files.pain002(message, group="ACCP"))
    await desk.receive(archive(good, *bad), "day.zip")
    assert await desk.states() == {PaymentState.SENT: 1}
    (file,), _ = await desk.store.list_inbound(limit=9)
    assert file.state == "quarantined"
    assert word in (file.problem or "")
    assert await desk.discrepancies() == ["unreadable"]
    await desk.receive(archive(good), "mended.zip")  # the next one is read
    assert await desk.states() == {PaymentState.ACCEPTED: 1}


async def test_account_numbers_in_the_names_of_files_are_not_told(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(archive(("c53_DE89370400440532013000.xml", "<Document>")), "NL41MOCK0000000001.zip")
    (told,), _ = await desk.store.list_discrepancies(limit=9)
    assert "not well-formed" in told.evidence
    assert "DE89370400440532013000" not in told.evidence
    assert "NL41MOCK0000000001" not in told.evidence
