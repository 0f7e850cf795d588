"""ZIP archives from a bank's door: each file in one is kept, read and applied by itself, and a bad one holds up no other."""

import io
import json
import struct
import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, BinaryIO

import pytest

from gateway.intake import Intake
from gateway.lifecycle import PaymentState
from gateway.replay import Replay, ReplayedChange, ReplayedFile, ReplayedProblem
from gateway.store.records import InboundFile
from gateway.store.store import StoreUnavailable
from keys.seal import BadSeal


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


async def kept_files(desk: Any) -> dict[str, InboundFile]:
    """By name, oldest first."""
    found, _ = await desk.store.list_inbound(limit=99)
    return {file.name: file for file in found[::-1]}


async def in_states(desk: Any) -> dict[str, str]:
    return {name: file.state for name, file in (await kept_files(desk)).items()}


async def reread(desk: Any, name: str) -> None:
    """As `bankgate inbound reread` does, and the worker then."""
    await desk.store.finish_inbound((await kept_files(desk))[name].inbound_file_id, state="stored")
    assert await desk.intake.read_waiting() == 0


async def told(desk: Any) -> list[tuple[str, str]]:
    """File and problem of each open discrepancy, oldest first."""
    found, _ = await desk.store.list_discrepancies(limit=99)
    evidence = [json.loads(one.evidence) for one in found[::-1]]
    return [(one["file"], one["problem"]) for one in evidence]


def day(files: Any, ids: list[str], message: str, *bad: tuple[str, str | bytes]) -> bytes:
    """A status report, then the bad members, then a debit for each payment."""
    debits = [files.camt054(files.entry("10.00", f"<InstrId>{payment_id}</InstrId>")) for payment_id in ids]
    numbered = [(f"s/{number}.xml", debit) for number, debit in enumerate(debits, 1)]
    return archive(("r/1.xml", files.pain002(message, group="ACCP")), *bad, *numbered)


def damaged(data: bytes, name: bytes) -> bytes:
    """With another checksum for that member, in its header and in the directory."""
    spoilt = bytearray(data)
    for signature, offset, length in ((b"PK\x03\x04", 14, 30), (b"PK\x01\x02", 16, 46)):
        at = -1
        while (at := spoilt.index(signature, at + 1)) >= 0:
            if spoilt[at + length : at + length + len(name)] == name:
                spoilt[at + offset] ^= 1
                break
    return bytes(spoilt)


def encrypted(data: bytes, name: bytes) -> bytes:
    """With the flag of an encrypted member in the directory."""
    marked = bytearray(data)
    at = marked.rindex(name) - 46
    marked[at + 8 : at + 10] = struct.pack("<H", 1)
    return bytes(marked)


async def test_an_archive_is_kept_raw_and_each_of_its_files_is_applied_once(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 2)
    data = day(files, ids, message)
    await desk.receive(data, "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 2}
    kept = await kept_files(desk)
    assert {name: (file.state, file.message) for name, file in kept.items()} == {
        "day.zip": ("read", "ZIP"),
        "day.zip/r/1.xml": ("read", "pain.002.001.10"),
        "day.zip/s/1.xml": ("read", "camt.054.001.08"),
        "day.zip/s/2.xml": ("read", "camt.054.001.08"),
    }
    assert b"".join([chunk async for chunk in desk.store.document_chunks(kept["day.zip"].document_id)]) == data
    events = [await desk.store.payment_events(payment_id) for payment_id in ids]
    await desk.receive(data, "day-again.zip")
    await desk.receive(archive(("r/1.xml", files.pain002(message, group="ACCP"))), "another.zip")
    await reread(desk, "day.zip")
    assert [await desk.store.payment_events(payment_id) for payment_id in ids] == events
    assert len((await desk.store.list_statements(limit=9))[0]) == 2
    assert await desk.discrepancies() == []
    assert set(await in_states(desk)) == {*kept, "another.zip"}


@pytest.mark.parametrize(
    ("content", "word"),
    [("<Document>", "not well-formed"), ("a notice", "the file is neither"), ("", "is empty"), (b"%PDF-1.7", "PDF")],
)
async def test_a_bad_file_of_an_archive_is_put_aside_by_itself_and_the_others_before_and_after_it_are_applied(
    make_desk, files, content: str | bytes, word: str
) -> None:
    desk, ids, message = await sent(make_desk, 1)
    await desk.receive(day(files, ids, message, ("bad.xml", content)), "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 1}
    kept = await kept_files(desk)
    assert {name: file.state for name, file in kept.items()} == {
        "day.zip": "read",
        "day.zip/r/1.xml": "read",
        "day.zip/bad.xml": "quarantined",
        "day.zip/s/1.xml": "read",
    }
    bad = kept["day.zip/bad.xml"]
    raw = content.encode() if isinstance(content, str) else content
    assert b"".join([chunk async for chunk in desk.store.document_chunks(bad.document_id)]) == raw
    assert word in (bad.problem or "")
    ((name, problem),) = await told(desk)
    assert name == "day.zip/bad.xml"
    assert word in problem


async def test_a_bad_file_of_an_archive_is_read_again_by_itself_after_a_fix(make_desk, files, monkeypatch) -> None:
    desk, ids, message = await sent(make_desk, 1)
    parsed = Intake._parsed
    with monkeypatch.context() as patch:

        def broken(self: Intake, source: Any) -> Any:
            with source() as stream:
                if b"BkToCstmrDbtCdtNtfctn" in stream.read():
                    raise ZeroDivisionError
            return parsed(self, source)

        patch.setattr(Intake, "_parsed", broken)
        await desk.receive(day(files, ids, message), "day.zip")
    assert await desk.states() == {PaymentState.ACCEPTED: 1}
    assert (await in_states(desk))["day.zip/s/1.xml"] == "quarantined"
    await reread(desk, "day.zip/s/1.xml")
    assert await desk.states() == {PaymentState.SETTLED: 1}
    assert set((await in_states(desk)).values()) == {"read"}
    assert len((await desk.store.list_statements(limit=9))[0]) == 1


async def test_rereading_the_archive_reads_its_bad_files_again_too(make_desk, files, monkeypatch) -> None:
    desk, ids, message = await sent(make_desk, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "_parsed", lambda *_: 1 / 0)
        await desk.receive(day(files, ids, message), "day.zip")
    assert await desk.states() == {PaymentState.SENT: 1}
    await reread(desk, "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 1}
    assert set((await in_states(desk)).values()) == {"read"}


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda data: damaged(data, b"bad.xml"), "damaged"),
        (lambda data: encrypted(data, b"bad.xml"), "encrypted"),
    ],
)
async def test_a_file_that_cannot_be_unpacked_stays_in_its_archive_and_nothing_of_it_is_applied(
    make_desk, files, spoil: Any, word: str
) -> None:
    desk, ids, message = await sent(make_desk, 2)
    bad = files.camt054(files.entry("10.00", f"<InstrId>{ids[1]}</InstrId>"))
    await desk.receive(spoil(day(files, ids[:1], message, ("bad.xml", bad))), "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 1, PaymentState.ACCEPTED: 1}
    kept = await kept_files(desk)
    assert {name: file.state for name, file in kept.items()} == {
        "day.zip": "quarantined",
        "day.zip/r/1.xml": "read",
        "day.zip/s/1.xml": "read",
    }
    assert (kept["day.zip"].problem or "").startswith(f"bad.xml: {word}")
    ((name, problem),) = await told(desk)
    assert name == "day.zip/bad.xml"
    assert word in problem
    (one,), _ = await desk.store.list_discrepancies(limit=9)
    assert "other files" in one.summary_en
    assert "其余文件" in one.summary_zh
    await reread(desk, "day.zip")
    assert len(await told(desk)) == 1
    assert await desk.states() == {PaymentState.SETTLED: 1, PaymentState.ACCEPTED: 1}


async def test_an_archive_in_an_archive_is_never_unpacked_however_often_it_is_read(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 1)
    debit = files.camt054(files.entry("10.00", f"<InstrId>{ids[0]}</InstrId>"))
    data = archive(("inner.zip", archive(("1.xml", debit))), ("r.xml", files.pain002(message, group="ACCP")))
    await desk.receive(data, "day.zip")
    await reread(desk, "day.zip")
    assert await desk.states() == {PaymentState.ACCEPTED: 1}
    assert await in_states(desk) == {"day.zip": "quarantined", "day.zip/r.xml": "read"}
    assert [name for name, _ in await told(desk)] == ["day.zip/inner.zip"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda good: archive(("1.xml", good), ("2.xml", b"<" + b" " * 8_000_000)), "bomb"),
        (lambda good: archive(("1.xml", good), ("../2.xml", "<Document/>")), "harmful name"),
        (lambda good: archive(("1.xml", good), ("2.xml", good))[:-30], "directory"),
        (lambda good: archive(("1.xml", good), ("2.xml", "x")).replace(b"2.xml", b"1.xml"), "two members"),
    ],
)
async def test_an_archive_that_is_broken_or_made_to_hurt_stays_whole_and_nothing_of_it_is_applied(
    make_desk, files, spoil: Any, word: str
) -> None:
    desk, _, message = await sent(make_desk, 1)
    good = files.pain002(message, group="ACCP")
    await desk.receive(spoil(good), "day.zip")
    assert await desk.states() == {PaymentState.SENT: 1}
    ((name, file),) = (await kept_files(desk)).items()
    assert (name, file.state) == ("day.zip", "quarantined")
    assert word in (file.problem or "")
    assert [one[0] for one in await told(desk)] == ["day.zip"]
    await desk.receive(archive(("1.xml", good)), "mended.zip")  # the next one is read
    assert await desk.states() == {PaymentState.ACCEPTED: 1}


@pytest.mark.parametrize("method", ["keep_inbound", "finish_inbound"])
@pytest.mark.parametrize("after", range(1, 6))
async def test_a_crash_between_any_two_files_applies_nothing_twice_and_loses_nothing(
    make_desk, files, monkeypatch, method: str, after: int
) -> None:
    desk, ids, message = await sent(make_desk, 2)
    real, calls = getattr(desk.store, method), 0

    async def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise StoreUnavailable("the machine is gone")
        return await real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, method, dying)
        with suppress(StoreUnavailable):
            await desk.receive(day(files, ids, message, ("bad.xml", "x")), "day.zip")
    after_restart = await make_desk()
    assert await after_restart.intake.read_waiting() == 0
    assert await after_restart.states() == {PaymentState.SETTLED: 2}
    assert sorted((await in_states(after_restart)).values()) == ["quarantined", "read", "read", "read", "read"]
    assert len((await after_restart.store.list_statements(limit=9))[0]) == 2
    for payment_id in ids:
        states = [event.state for event in await after_restart.store.payment_events(payment_id)]
        assert len(states) == len(set(states))
    assert len(await told(after_restart)) == 1


class Sealed:
    """A seal that is one word before the content."""

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        if source.read(7) != b"sealed ":
            raise BadSeal("there is no seal")
        out.write(source.read())


async def test_files_of_a_sealed_archive_have_no_seal_of_their_own_to_open_also_where_one_came_before_without_any(
    make_desk, files
) -> None:
    desk, ids, message = await sent(make_desk, 1)
    object.__setattr__(desk.intake.connection, "seal", Sealed())
    report = files.pain002(message, group="ACCP")
    await desk.receive(report, "r.xml")
    assert await in_states(desk) == {"r.xml": "quarantined"}
    await desk.receive(b"sealed " + day(files, ids, message), "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 1}
    assert await in_states(desk) == {"r.xml": "read", "day.zip": "read", "day.zip/s/1.xml": "read"}


# -- replay ----------------------------------------------------------------------------------------------------------------


async def replayed(desk: Any, data: bytes, *, commit: bool) -> list[Any]:
    async def chunks() -> AsyncIterator[tuple[str, bytes | None]]:
        yield "day.zip", data

    return [result async for result in Replay(desk.store, desk.intake, commit).run(chunks(), sealed=False)]


@pytest.mark.parametrize("commit", [False, True])
async def test_a_replay_tells_each_file_of_an_archive_by_its_name_and_the_bad_ones_hold_up_no_other(
    make_desk, files, commit: bool
) -> None:
    desk, ids, message = await sent(make_desk, 1)
    data = day(files, ids, message, ("bad.xml", "x"), ("torn.xml", "<Document/>"))
    results = await replayed(desk, damaged(data, b"torn.xml"), commit=commit)
    assert [(one.file, one.after) for one in results if isinstance(one, ReplayedChange)] == [
        ("day.zip/r/1.xml", PaymentState.ACCEPTED),
        ("day.zip/s/1.xml", PaymentState.SETTLED),
    ]
    assert [(one.file, one.kind) for one in results if isinstance(one, ReplayedProblem)] == [
        ("day.zip/bad.xml", "unreadable"),
        ("day.zip/torn.xml", "unreadable"),
    ]
    assert [(one.file, one.changes, one.problems, one.committed) for one in results if isinstance(one, ReplayedFile)] == [
        ("day.zip/r/1.xml", 1, 0, commit),
        ("day.zip/bad.xml", 0, 1, False),
        ("day.zip/s/1.xml", 1, 0, commit),
        ("day.zip", 0, 1, False),
    ]
    assert await desk.states() == ({PaymentState.SETTLED: 1} if commit else {PaymentState.SENT: 1})
    kept = {
        "day.zip": "quarantined",
        "day.zip/r/1.xml": "read",
        "day.zip/bad.xml": "quarantined",
        "day.zip/s/1.xml": "read",
    }
    assert await in_states(desk) == (kept if commit else {})


async def test_a_replay_that_breaks_off_within_an_archive_loses_nothing_when_the_archive_is_read_again(make_desk, files) -> None:
    desk, ids, message = await sent(make_desk, 2)
    data = day(files, ids, message)

    async def chunks() -> AsyncIterator[tuple[str, bytes | None]]:
        yield "day.zip", data

    async with aclosing(Replay(desk.store, desk.intake, True).run(chunks(), sealed=False)) as results:  # type: ignore[type-var]
        async for _ in results:
            break
    assert await desk.states() == {PaymentState.ACCEPTED: 2}
    assert (await in_states(desk))["day.zip"] == "quarantined"
    await desk.receive(data, "day.zip")
    assert await desk.states() == {PaymentState.SETTLED: 2}
    assert set((await in_states(desk)).values()) == {"read"}
    assert len((await desk.store.list_statements(limit=9))[0]) == 2


async def test_account_numbers_in_the_names_of_files_are_not_told(make_desk) -> None:
    desk = await make_desk()
    torn = damaged(archive(("c53_DE89370400440532013000.xml", "<a/>")), b"c53_DE")
    for data in (archive(("c53_DE89370400440532013000.xml", "<Document>")), torn):
        await desk.receive(data, "NL41MOCK0000000001.zip")
    found, _ = await desk.store.list_discrepancies(limit=9)
    assert len(found) == 2
    for one in found:
        assert "DE89370400440532013000" not in one.evidence
        assert "NL41MOCK0000000001" not in one.evidence
