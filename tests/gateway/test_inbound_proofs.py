"""Answers of banks are neither lost nor applied twice: whatever stops us, wherever, and whatever our parser missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Arrival, Channel
from formats.report import TransactionStatus
from gateway.intake import Intake
from gateway.lifecycle import PaymentState
from gateway.store.store import StoreUnavailable
from tests.channels.support.http_bank import HttpBank
from tests.channels.support.parcels import channel_of
from tests.channels.support.sftp_bank import SECRETS, SftpBank

SENT = ["approved", "batched", "sent"]


class Killed(BaseException):
    """The process is gone."""


async def sent(desk: Any, files: Any, name: str, count: int = 1) -> tuple[list[str], str, bytes]:
    """Payments in a message the bank has: their ids, the message's, and a report that accepts each."""
    ids = await desk.submit(count, prefix=name)
    await desk.pump()
    message_id = (await desk.deliveries())[-1].message_id
    verdicts = [files.transaction(one, f"{name}-{number}", "ACSP") for number, one in enumerate(ids, 1)]
    return ids, message_id, files.pain002(message_id, body=files.block(f"{message_id}-1", *verdicts)).encode()


async def history(desk: Any, payment_id: str) -> list[str]:
    return [event.state.value for event in await desk.store.payment_events(payment_id)]


# -- the bank is told "got it" only after the raw bytes are stored ---------------------------------------------------------


@dataclass
class Door:
    """A bank that offers files: how to offer one, and what it still offers."""

    channel: Callable[[], Channel]
    offer: Callable[[str, bytes], object]
    offered: Callable[[], set[str]]


@pytest.fixture(params=["sftp", "https", "folder"])
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Door]:
    place = tmp_path / "bank"
    place.mkdir()
    opened: list[Channel] = []

    def kept(make: Callable[[], Channel]) -> Callable[[], Channel]:
        def channel() -> Channel:
            opened.append(make())
            return opened[-1]

        return channel

    def names(folder: Path) -> set[str]:
        return {path.name for path in folder.iterdir() if path.is_file()}

    if request.param == "sftp":
        sftp = SftpBank(place)
        await sftp.start()
        outbox = sftp.root / "outbox"
        yield Door(
            kept(lambda: channel_of(sftp.table(), secrets=SECRETS)),
            lambda name, data: (outbox / name).write_bytes(data),
            lambda: names(outbox),
        )
    elif request.param == "https":
        web = HttpBank()
        await web.__aenter__()
        url = f"http://127.0.0.1:{web.port}"
        table = {"kind": "https", "base_url": url, "allow_plaintext_loopback": True, "upload_path": "/in", "list_path": "/out"}
        yield Door(kept(lambda: channel_of(table)), web.outbox.__setitem__, lambda: set(web.outbox))
    else:
        for name in ("inbox", "outbox", "done"):
            (place / name).mkdir()
        table = {"kind": "folder", "upload": "inbox", "downloads": ["outbox"], "done_directory": "done"}
        yield Door(
            kept(lambda: channel_of(table, base=place)),
            lambda name, data: (place / "outbox" / name).write_bytes(data),
            lambda: names(place / "outbox"),
        )
    for channel in opened:
        await channel.close()
    if request.param == "sftp":
        await sftp.stop()
    elif request.param == "https":
        await web.__aexit__()


async def test_the_bank_is_told_only_after_the_raw_bytes_are_durable(make_desk, files, door: Door, monkeypatch) -> None:
    desk = await make_desk()
    _, _, report = await sent(desk, files, "A")
    door.offer("answer.xml", report)
    seen: list[tuple[bool, set[str]]] = []
    keep = Intake.keep

    async def watched(intake: Intake, arrival: Arrival) -> None:
        await keep(intake, arrival)
        (file,) = (await desk.store.list_inbound(limit=10))[0]
        with desk.store.open_document(file.document_id) as kept:
            seen.append((kept.read() == report, door.offered()))

    monkeypatch.setattr(Intake, "keep", watched)
    await replace(desk.intake, channel=door.channel()).fetch()
    assert seen == [(True, {"answer.xml"})], "the bank was told before the bytes were stored"
    assert door.offered() == set()


async def test_killed_between_storing_and_telling_the_bank_the_file_comes_again_and_is_applied_once(
    make_desk, files, door: Door, monkeypatch
) -> None:
    desk = await make_desk()
    (payment_id,), _, report = await sent(desk, files, "A")
    door.offer("answer.xml", report)
    keep = Intake.keep

    async def dies(intake: Intake, arrival: Arrival) -> None:
        await keep(intake, arrival)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "keep", dies)
        with pytest.raises(Killed):
            await replace(desk.intake, channel=door.channel()).fetch()
    assert door.offered() == {"answer.xml"}
    intake = replace(desk.intake, channel=door.channel())
    await intake.fetch()
    await intake.read_waiting()
    assert door.offered() == set()
    assert len((await desk.store.list_inbound(limit=10))[0]) == 1
    assert await history(desk, payment_id) == [*SENT, "accepted"]


async def test_an_acknowledgement_that_is_lost_brings_the_file_again_and_nothing_twice(make_desk, files, door: Door) -> None:
    desk = await make_desk()
    (payment_id,), _, report = await sent(desk, files, "A")
    intake = replace(desk.intake, channel=door.channel())
    for _ in range(3):  # the bank did not hear us: it offers the same again, also after it was read
        door.offer("answer.xml", report)
        await intake.fetch()
        await intake.read_waiting()
    assert len((await desk.store.list_inbound(limit=10))[0]) == 1
    assert await history(desk, payment_id) == [*SENT, "accepted"]


async def test_a_disk_that_is_full_while_keeping_leaves_the_file_at_the_bank(make_desk, files, door: Door, monkeypatch) -> None:
    desk = await make_desk()
    (payment_id,), _, report = await sent(desk, files, "A")
    door.offer("answer.xml", report)
    intake = replace(desk.intake, channel=door.channel())
    writer = type(desk.store).document_writer

    def full(store: Any, kind: str) -> Any:
        made = writer(store, kind)

        def finish() -> Any:
            made.discard()
            raise StoreUnavailable("database or disk is full")

        return _Stub(write=made.write, finish=finish, discard=made.discard)

    with monkeypatch.context() as patch:
        patch.setattr(type(desk.store), "document_writer", full)
        await intake.fetch()
    assert door.offered() == {"answer.xml"}
    assert (await desk.store.list_inbound(limit=10))[0] == []
    await intake.fetch()
    await intake.read_waiting()
    assert door.offered() == set()
    assert await history(desk, payment_id) == [*SENT, "accepted"]


@dataclass
class _Stub:
    write: Any
    finish: Any
    discard: Any


# -- stopped anywhere ------------------------------------------------------------------------------------------------------


class Mortal:
    """The store as a process sees it that dies at its n-th call: before it took effect, or once it is durable and unheard."""

    def __init__(self, store: Any, dies_at: int, *, after: bool) -> None:
        self._store, self._dies_at, self._after = store, dies_at, after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if iscoroutinefunction(method):

            async def call(*values: object, **named: object) -> object:
                last = self._count()
                if last and not self._after:
                    raise Killed
                result = await method(*values, **named)
                if last:
                    raise Killed
                return result

            return call
        if name not in {"document_writer", "open_document"}:
            return method

        def plain(*values: object, **named: object) -> object:
            if self._count():
                raise Killed
            return method(*values, **named)

        return plain

    def _count(self) -> bool:
        self.calls += 1
        return self.calls == self._dies_at


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
async def test_a_process_that_dies_at_any_call_of_the_store_loses_nothing_and_applies_nothing_twice(
    make_desk, files, after: bool
) -> None:
    """Every n there is, until the files are through: a status report, and a notification that books the same payments."""
    desk = await make_desk()
    for dies_at in range(1, 500):
        name = f"K{dies_at}"
        ids, _, report = await sent(desk, files, name, 2)
        entries = [files.entry("10.00", f"<EndToEndId>{name}-{number}</EndToEndId>") for number in (1, 2)]
        desk.channel.offers += [("status.xml", report), ("booked.xml", files.camt054(*entries).encode())]
        mortal = Mortal(desk.store, dies_at, after=after)
        died = await _one_life(replace(desk.intake, store=mortal))
        for _ in range(2):  # two more, that live
            assert not await _one_life(desk.intake)
        for payment_id in ids:
            assert await history(desk, payment_id) == [*SENT, "accepted", "settled"], f"died at call {dies_at}"
        assert desk.channel.offers == []
        if not died:
            break
    else:
        raise AssertionError("the files are never through")
    assert mortal.calls > 15, "the process made too few calls for this to prove anything"
    assert await desk.states() == {PaymentState.SETTLED: 2 * dies_at}
    assert await desk.discrepancies() == []
    assert {file.state for file in (await desk.store.list_inbound(limit=1000))[0]} == {"read"}


async def _one_life(intake: Intake) -> bool:
    """Fetches and reads, as the lane does. True: it died."""
    try:
        await intake.fetch()
        await intake.read_waiting()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("steps", range(1, 40, 3))
async def test_a_task_that_is_cancelled_while_it_fetches_and_reads_loses_nothing(make_desk, files, steps: int) -> None:
    desk = await make_desk()
    ids, _, report = await sent(desk, files, "A", 3)
    desk.channel.offers.append(("status.xml", report))
    life = asyncio.create_task(_one_life(desk.intake))
    for _ in range(steps):
        await asyncio.sleep(0)
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    await _one_life(desk.intake)
    assert [await history(desk, one) for one in ids] == [[*SENT, "accepted"]] * 3


# -- read again after a parser fix -----------------------------------------------------------------------------------------


@dataclass
class Forgetful:
    """A bank plugin whose parser misses every transaction status of these payments."""

    bank: Any
    misses: set[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bank, name)

    def parse(self, source: Any) -> Any:
        for record in self.bank.parse(source):
            if not (isinstance(record, TransactionStatus) and record.original_instruction_id in self.misses):
                yield record


async def test_a_file_read_again_after_a_parser_fix_gives_exactly_the_changes_that_were_missing(make_desk, files) -> None:
    desk = await make_desk()
    ids, _, report = await sent(desk, files, "A", 6)
    missed = set(ids[1::2])
    broken = replace(desk.intake, connection=replace(desk.connection, bank=Forgetful(desk.connection.bank, missed)))
    desk.channel.offers.append(("status.xml", report))
    await broken.fetch()
    await broken.read_waiting()
    assert await desk.states() == {PaymentState.ACCEPTED: 3, PaymentState.SENT: 3}
    cursor = (await desk.store.events_after("", limit=1000))[-1].cursor
    (file,) = (await desk.store.list_inbound(limit=10))[0]
    await desk.store.finish_inbound(file.inbound_file_id, state="stored")  # `bankgate inbound reread`
    await desk.intake.read_waiting()
    gained = await desk.store.events_after(cursor, limit=1000)
    assert [(event.payment_id, event.state) for event in gained] == [(one, PaymentState.ACCEPTED) for one in ids[1::2]]
    assert await desk.states() == {PaymentState.ACCEPTED: 6}
    cursor = gained[-1].cursor
    await desk.store.finish_inbound(file.inbound_file_id, state="stored")
    await desk.intake.read_waiting()
    assert await desk.store.events_after(cursor, limit=1000) == [], "a third reading found something to change"


async def test_a_file_our_parser_could_not_read_is_applied_whole_after_the_fix(make_desk, files) -> None:
    desk = await make_desk()
    ids, _, report = await sent(desk, files, "A", 2)
    await desk.receive(b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + report.partition(b"?>")[2])  # one that is refused
    desk.channel.offers.append(("status.xml", report))
    broken = replace(desk.intake, connection=replace(desk.connection, bank=_Unable(desk.connection.bank)))
    await broken.fetch()
    await broken.read_waiting()
    assert await desk.states() == {PaymentState.SENT: 2}
    newest, _ = await desk.store.list_inbound(state="quarantined", limit=10)
    assert len(newest) == 2
    await desk.store.finish_inbound(newest[0].inbound_file_id, state="stored")
    await desk.intake.read_waiting()
    assert [await history(desk, one) for one in ids] == [[*SENT, "accepted"]] * 2


@dataclass
class _Unable:
    bank: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bank, name)

    def parse(self, _source: Any) -> Any:
        raise RuntimeError("a fault of our reader")
        yield
