"""A replay shows what files would change and changes nothing, unless it is told to."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import BinaryIO

import pytest

from gateway import shadow
from gateway.lifecycle import PaymentState
from gateway.replay import Replay, ReplayedChange, ReplayedFile, ReplayedProblem
from keys.seal import BadSeal


class Sealed:
    """A seal that is one word before the content, so that a test sees whether it was opened."""

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        if source.read(7) != b"sealed ":
            raise BadSeal("there is no seal")
        out.write(source.read())


async def chunks(*files: tuple[str, str]) -> AsyncIterator[tuple[str, bytes]]:
    for name, text in files:
        data = text.encode()
        yield name, data[:40]
        yield "", data[40:]


async def run(desk, *files: tuple[str, str], commit: bool = False):  # type: ignore[no-untyped-def]
    replay = Replay(desk.store, desk.intake, commit)
    return [result async for result in replay.run(chunks(*files), sealed=False)]


async def sent(make_desk, count: int = 1):  # type: ignore[no-untyped-def]
    desk = await make_desk()
    ids = await desk.submit(count)
    await desk.pump()
    return desk, ids, (await desk.delivery()).message_id


async def test_a_dry_run_shows_each_change_in_order_and_leaves_everything_as_it_was(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk)
    before = await desk.store.payment_events(ids[0])
    settled = files.camt054(files.entry("10.00", f"<InstrId>{ids[0]}</InstrId>"))
    results = await run(desk, ("1.xml", files.pain002(message, group="ACCP")), ("2.xml", settled))
    changes = [(r.file, r.before, r.after) for r in results if isinstance(r, ReplayedChange)]
    assert changes == [
        ("1.xml", PaymentState.SENT, PaymentState.ACCEPTED),
        ("2.xml", PaymentState.ACCEPTED, PaymentState.SETTLED),
    ]
    assert await desk.store.payment_events(ids[0]) == before
    assert (await desk.store.list_inbound(limit=10))[0] == []
    assert (await desk.store.list_statements(limit=10))[0] == []


async def test_problems_and_unreadable_files_are_told_and_the_next_file_is_read(make_desk, files) -> None:
    desk, _, message = await sent(make_desk)
    results = await run(
        desk,
        ("bad.xml", "<Document>"),
        ("foreign.xml", files.pain002("OTHER", group="ACCP")),
        ("good.xml", files.pain002(message, group="ACCP")),
    )
    assert [(r.file, r.kind) for r in results if isinstance(r, ReplayedProblem)] == [
        ("bad.xml", "unreadable"),
        ("foreign.xml", "unmatched"),
    ]
    assert [(r.file, r.changes) for r in results if isinstance(r, ReplayedFile)] == [
        ("bad.xml", 0),
        ("foreign.xml", 0),
        ("good.xml", 1),
    ]
    assert await desk.discrepancies() == []


async def test_with_commit_the_changes_are_made_once(make_desk, files) -> None:
    desk, _, message = await sent(make_desk, 2)
    file = ("1.xml", files.pain002(message, group="ACCP"))
    first = await run(desk, file, commit=True)
    assert await desk.states() == {PaymentState.ACCEPTED: 2}
    assert sum(isinstance(r, ReplayedChange) for r in first) == 2
    again = await run(desk, file, commit=True)
    assert [r for r in again if isinstance(r, ReplayedChange)] == []
    (inbound,), _ = await desk.store.list_inbound(limit=10)
    assert inbound.state == "read"


async def test_the_shadow_decides_like_the_store(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 3)
    bad = files.block(f"{message}-1", files.transaction(ids[1], "INV-2", "RJCT", "AC04"))
    file = ("1.xml", files.pain002(message, group="ACSC", body=bad))
    dry = {(r.payment_id, r.after) for r in await run(desk, file) if isinstance(r, ReplayedChange)}
    await run(desk, file, commit=True)
    real = {(i, (await desk.payment(i)).state) for i in ids}
    assert dry == real


def booked_batch(files, message: str, amount: str) -> str:  # type: ignore[no-untyped-def]
    """One line of a statement for a whole block of ours."""
    batch = f"<Btch><MsgId>{message}</MsgId><PmtInfId>{message}-1</PmtInfId></Btch>"
    line = f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls>{batch}</NtryDtls>'
    return files.camt054(f"<Ntry>{line}</Ntry>")  # type: ignore[no-any-return]


async def test_a_dry_run_knows_in_a_booked_batch_what_its_earlier_file_rejected(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 3)
    bad = files.block(f"{message}-1", files.transaction(ids[1], "INV-2", "RJCT", "AC04"))
    both = ("1.xml", files.pain002(message, body=bad)), ("2.xml", booked_batch(files, message, "20.00"))
    results = await run(desk, *both)
    dry = {r.payment_id: r.after for r in results if isinstance(r, ReplayedChange)}
    assert not [r for r in results if isinstance(r, ReplayedProblem)]
    await run(desk, *both, commit=True)
    assert dry == {i: (await desk.payment(i)).state for i in ids}


@pytest.mark.parametrize("replayed", [False, True])
async def test_a_booking_that_came_first_settles_when_a_committed_replay_tells_of_the_rejection(
    make_desk, files, replayed: bool
) -> None:
    """And where a replay kept the booking as it is inside its seal, there is no seal to open when it is read again."""
    desk, ids, message = await sent(make_desk, 3)
    desk.intake = replace(desk.intake, connection=replace(desk.connection, seal=Sealed()))
    booking = booked_batch(files, message, "20.00")
    if replayed:
        await run(desk, ("0.xml", booking), commit=True)
    else:
        await desk.receive(f"sealed {booking}")
    assert await desk.states() == {PaymentState.SENT: 3}
    bad = files.block(f"{message}-1", files.transaction(ids[1], "INV-2", "RJCT", "AC04"))
    await run(desk, ("1.xml", files.pain002(message, body=bad)), commit=True)
    await desk.intake.read_waiting()
    assert await desk.states() == {PaymentState.REJECTED: 1, PaymentState.SETTLED: 2}
    assert {one.state for one in (await desk.store.list_inbound(limit=10))[0]} == {"read"}


async def test_with_commit_several_files_about_one_payment_follow_each_other(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk)
    own = files.block(f"{message}-1", files.transaction(ids[0], "INV-1", "ACCP"))
    settled = files.camt054(files.entry("10.00", f"<InstrId>{ids[0]}</InstrId>"))
    results = await run(desk, ("1.xml", files.pain002(message, body=own)), ("2.xml", settled), commit=True)
    assert [r.after for r in results if isinstance(r, ReplayedChange)] == [PaymentState.ACCEPTED, PaymentState.SETTLED]
    assert (await desk.payment(ids[0])).state is PaymentState.SETTLED


async def test_a_replay_that_breaks_off_leaves_no_file_that_passes_for_read(make_desk, files, monkeypatch) -> None:
    """Else the bank's own copy of the same bytes would be known as read, and its news never applied."""
    desk, _, message = await sent(make_desk)
    text = files.pain002(message, group="ACCP")

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(desk.intake), "apply_opened", killed)
        with pytest.raises(KeyboardInterrupt):
            await run(desk, ("1.xml", text), commit=True)
    (inbound,), _ = await desk.store.list_inbound(limit=10)
    assert inbound.state != "read"
    await desk.receive(text)
    assert await desk.states() == {PaymentState.ACCEPTED: 1}


async def test_a_committed_file_that_cannot_be_read_is_quarantined(make_desk) -> None:
    desk, _, _ = await sent(make_desk)
    await run(desk, ("1.xml", "<Document>"), commit=True)
    (inbound,), _ = await desk.store.list_inbound(limit=10)
    assert inbound.state == "quarantined"


async def test_each_change_says_where_in_the_file_its_reason_stands_and_by_what_key_the_payment_was_found(
    make_desk, files
) -> None:
    desk, ids, message = await sent(make_desk, 3)
    own = files.block(
        f"{message}-1", files.transaction(ids[0], "INV-1", "RJCT", "AC04"), files.transaction("", "INV-2", "ACCP")
    ).replace("<OrgnlInstrId></OrgnlInstrId>", "")
    foreign = files.entry("10.00", "<EndToEndId>INV-9</EndToEndId>")
    settled = files.camt054(foreign, files.entry("10.00", f"<InstrId>{ids[2]}</InstrId>"))
    results = await run(desk, ("1.xml", files.pain002(message, group="ACCP", body=own)), ("2.xml", settled))
    places = {(r.payment_reference, r.place, r.matched_by) for r in results if isinstance(r, ReplayedChange)}
    by_instruction = "message_id+payment_information_id+instruction_id"
    assert places == {
        ("INV-1", "record 4, report 1, transaction 1", by_instruction),
        ("INV-2", "record 5, report 1, transaction 2", "end_to_end_id"),
        ("INV-3", "record 2, report 1", "message_id"),
        ("INV-3", "record 4, statement 1, entry 2", by_instruction),
    }


async def test_a_flood_of_problems_is_told_up_to_a_bound_and_counted_beyond(make_desk, files, monkeypatch) -> None:
    monkeypatch.setattr(shadow, "PROBLEMS_MAX", 3)
    desk, _, message = await sent(make_desk)
    foreign = files.block(f"{message}-1", *(files.transaction(f"F{n}", f"F-{n}", "ACCP") for n in range(7)))
    results = await run(desk, ("1.xml", files.pain002(message, body=foreign)), ("2.xml", files.pain002("OTHER", group="ACCP")))
    told = [r.kind for r in results if isinstance(r, ReplayedProblem)]
    assert told == ["unmatched"] * 3 + ["not_shown", "unmatched"]
    assert [r.problems for r in results if isinstance(r, ReplayedFile)] == [7, 1]


async def test_a_file_that_cannot_be_read_names_the_line(make_desk) -> None:
    desk, _, _ = await sent(make_desk)
    (problem, _) = await run(desk, ("bad.xml", "<Document>\n\n<"))
    assert isinstance(problem, ReplayedProblem)
    assert problem.line
    assert f"line {problem.line}: " in problem.summary_en


async def test_a_file_given_up_by_its_sender_is_told_and_never_applied_in_part(make_desk, files) -> None:
    desk, _, message = await sent(make_desk)
    text = files.pain002(message, group="ACCP").encode()

    async def uploaded() -> AsyncIterator[tuple[str, bytes | None]]:
        yield "1.xml", text  # whole by chance: its sender still says that it is not
        yield "1.xml", None
        yield "2.xml", b"<Document>"

    replay = Replay(desk.store, desk.intake, commit=True)
    results = [result async for result in replay.run(uploaded(), sealed=False)]
    assert [r.file for r in results if isinstance(r, ReplayedProblem) and r.kind == "unreadable"] == ["1.xml", "2.xml"]
    assert await desk.states() == {PaymentState.SENT: 1}
