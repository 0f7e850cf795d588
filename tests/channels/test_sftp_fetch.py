"""Asking and fetching over SFTP, against a real SSH server."""

import os
import sys
from pathlib import Path

import pytest

from channels.channel import Arrival, Fate, Unreachable
from tests.channels.support.parcels import Shelf, channel_of, eventually, parcel
from tests.channels.support.proxy import Proxy
from tests.channels.support.sftp_bank import SECRETS, SftpBank

FILE = parcel(b"<Document/>" * 100)


def offer(bank: SftpBank, name: str, content: bytes = b"news", age: int = 0) -> Path:
    path = bank.root / "outbox" / name
    path.write_bytes(content)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path


@pytest.mark.parametrize(
    ("where", "content", "final", "fate", "evidence"),
    [
        ("inbox", None, True, Fate.ARRIVED, "sftp.listing inbox"),
        ("archive", None, False, Fate.ARRIVED, "sftp.listing archive"),
        ("inbox", b"another", True, Fate.UNKNOWN, "sftp.listing inbox"),
        (None, None, False, Fate.UNKNOWN, "sftp.listing inbox archive"),
        (None, None, True, Fate.DID_NOT_ARRIVE, "sftp.listing inbox archive"),
    ],
)
async def test_fate_follows_what_the_bank_shows(
    bank: SftpBank, where: str | None, content: bytes | None, final: bool, fate: Fate, evidence: str
) -> None:
    if where:
        (bank.root / where / FILE.name).write_bytes(content or b"<Document/>" * 100)
    channel = channel_of(bank.table(), secrets=SECRETS, final=final)
    report = await channel.fate(FILE)
    assert (report.fate, report.evidence) == (fate, evidence)
    await channel.close()


async def test_a_missing_directory_does_not_make_a_file_absent(bank: SftpBank) -> None:
    (bank.root / "archive").rmdir()
    channel = channel_of(bank.table(), secrets=SECRETS, final=True)
    report = await channel.fate(FILE)
    assert (report.fate, report.evidence) == (Fate.UNKNOWN, "none")
    await channel.close()


async def test_a_bank_that_cannot_be_reached_tells_no_fate(bank: SftpBank) -> None:
    channel = channel_of(bank.table(port=1), secrets=SECRETS, final=True)
    report = await channel.fate(FILE)
    assert report.fate is Fate.UNKNOWN
    assert "connect" in report.detail


async def test_our_part_file_is_named_to_the_person_who_decides(bank: SftpBank) -> None:
    (bank.root / "inbox" / (FILE.name + ".part")).write_bytes(b"half")
    channel = channel_of(bank.table(), secrets=SECRETS)
    assert ".part file is still there" in (await channel.fate(FILE)).detail
    await channel.close()


async def test_files_come_oldest_first_and_are_moved_aside_once_kept(bank: SftpBank) -> None:
    offer(bank, "c.xml", b"3", age=10)
    offer(bank, "a.xml", b"2", age=20)
    offer(bank, "b.xml", b"1", age=20)
    offer(bank, "large.xml", b"x" * (9 << 20), age=30)
    channel, shelf = channel_of(bank.table(), secrets=SECRETS), Shelf()
    assert await channel.receive(shelf.keep) == 4
    assert shelf.names == ["large.xml", "a.xml", "b.xml", "c.xml"]
    assert shelf.files[0][1] == b"x" * (9 << 20)
    assert sorted(p.name for p in (bank.root / "done").iterdir()) == ["a.xml", "b.xml", "c.xml", "large.xml"]
    assert list((bank.root / "outbox").iterdir()) == []
    assert await channel.receive(shelf.keep) == 0
    await channel.close()


async def test_delete_instead_of_move(bank: SftpBank) -> None:
    offer(bank, "a.xml")
    channel, shelf = channel_of(bank.table(download_done="delete"), secrets=SECRETS), Shelf()
    assert await channel.receive(shelf.keep) == 1
    assert list((bank.root / "outbox").iterdir()) == list((bank.root / "done").iterdir()) == []
    await channel.close()


async def test_unfinished_hidden_and_foreign_entries_are_left_alone(bank: SftpBank) -> None:
    for name in ("a.xml.part", "b.TMP", "c.filepart", ".d.xml", "e.txt"):
        offer(bank, name)
    (bank.root / "outbox" / "dir.xml").mkdir()
    (bank.root / "outbox" / "link.xml").symlink_to("/etc/passwd")
    offer(bank, "f.xml")
    channel, shelf = channel_of(bank.table(patterns=["*.xml", "*.part", "*.TMP"]), secrets=SECRETS), Shelf()
    assert await channel.receive(shelf.keep) == 1
    assert shelf.names == ["f.xml"]
    await channel.close()


async def test_a_file_that_cannot_be_kept_stays_and_the_others_go_on(bank: SftpBank, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    offer(bank, "DE89370400440532013000_a.xml", age=3)
    offer(bank, "b.xml", b"x" * 101, age=2)
    offer(bank, "c.xml", age=1)
    channel = channel_of(bank.table(file_bytes_max=100), secrets=SECRETS)
    shelf = Shelf(refuse=frozenset({"DE89370400440532013000_a.xml"}))
    assert await channel.receive(shelf.keep) == 1
    assert shelf.names == ["c.xml"]
    assert "file 1 on offer was not kept" in caplog.text
    assert "file_bytes_max" in caplog.text
    assert "DE89" not in caplog.text, "a file name may contain an account number"
    shelf.refuse = frozenset()
    assert await channel.receive(shelf.keep) == 1
    await channel.close()


async def test_a_file_that_was_not_read_to_its_end_does_not_count_as_kept(bank: SftpBank) -> None:
    path = offer(bank, "a.xml")

    async def careless(arrival: Arrival) -> None:
        await anext(aiter(arrival.chunks()))

    channel = channel_of(bank.table(), secrets=SECRETS)
    assert await channel.receive(careless) == 0
    assert path.exists()
    await channel.close()


async def test_a_file_the_bank_was_still_writing_stays(bank: SftpBank) -> None:
    path = offer(bank, "a.xml")

    async def keep(arrival: Arrival) -> None:
        async for _ in arrival.chunks():
            pass
        path.write_bytes(b"news and more")

    channel = channel_of(bank.table(), secrets=SECRETS)
    assert await channel.receive(keep) == 0
    assert path.read_bytes() == b"news and more"
    await channel.close()


async def test_a_name_used_again_is_moved_aside_beside_the_first(bank: SftpBank) -> None:
    channel, shelf = channel_of(bank.table(), secrets=SECRETS), Shelf()
    for content in (b"monday", b"tuesday", b"tuesday"):
        offer(bank, "today.xml", content)
        assert await channel.receive(shelf.keep) == 1
    assert sorted(p.read_bytes() for p in (bank.root / "done").iterdir()) == [b"monday", b"tuesday"]
    assert list((bank.root / "outbox").iterdir()) == []
    await channel.close()


async def test_a_kept_file_that_cannot_be_moved_aside_comes_again(bank: SftpBank) -> None:
    offer(bank, "a.xml")
    bank.moods.forbids_removing = True
    channel, shelf = channel_of(bank.table(download_done="delete"), secrets=SECRETS), Shelf()
    assert [await channel.receive(shelf.keep), await channel.receive(shelf.keep)] == [1, 1]
    assert shelf.names == ["a.xml", "a.xml"]
    await channel.close()


async def test_not_more_than_so_many_files_in_one_call_and_a_bad_one_does_not_use_up_the_number(bank: SftpBank) -> None:
    for number in range(5):
        offer(bank, f"{number}.xml", age=10 - number)
    channel, shelf = channel_of(bank.table(files_per_fetch=2), secrets=SECRETS), Shelf(refuse=frozenset({"0.xml", "1.xml"}))
    assert await channel.receive(shelf.keep) == 2
    assert shelf.names == ["2.xml", "3.xml"]
    await channel.close()


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system here takes no such names")
async def test_a_name_that_is_not_text_is_fetched_under_a_readable_one(bank: SftpBank) -> None:
    (bank.root / "outbox" / os.fsdecode(b"\xfcber\x1b[31m.xml")).write_bytes(b"x")
    channel, shelf = channel_of(bank.table(), secrets=SECRETS), Shelf()
    assert await channel.receive(shelf.keep) == 1
    assert shelf.names == ["\\xfcber\\x1b[31m.xml"]
    assert len(list((bank.root / "done").iterdir())) == 1
    await channel.close()


async def test_a_connection_that_breaks_at_one_file_is_opened_again_for_the_others(bank: SftpBank) -> None:
    offer(bank, "a.xml", age=2)
    offer(bank, "b.xml", age=1)
    channel, shelf = channel_of(bank.table(), secrets=SECRETS), Shelf()

    async def keep(arrival: Arrival) -> None:
        if arrival.name == "a.xml":
            bank.last.abort()
            await eventually(lambda: bank.open_connections == 0)
        await shelf.keep(arrival)

    assert await channel.receive(keep) == 1
    assert shelf.names == ["b.xml"]
    await channel.close()


@pytest.mark.parametrize("fraction", [0.2, 0.8, 0.99])
async def test_fetching_over_a_broken_line_says_so_and_loses_nothing(bank: SftpBank, fraction: float) -> None:
    for number in range(3):
        offer(bank, f"{number}.xml", b"x" * 5000)
    async with Proxy(bank.port) as proxy:
        channel, shelf = channel_of(bank.table(port=proxy.port, download_done="delete"), secrets=SECRETS), Shelf()
        proxy.down_limit = int(12_000 * fraction)
        with pytest.raises(Unreachable):
            await channel.receive(shelf.keep)
        proxy.faultless()
        await channel.receive(shelf.keep)
        assert set(shelf.names) == {"0.xml", "1.xml", "2.xml"}
        assert {content for _, content in shelf.files} == {b"x" * 5000}
        await channel.close()


async def test_check_names_every_directory_that_is_not_there(bank: SftpBank) -> None:
    channel = channel_of(bank.table(upload="no1", archive=["archive", "no2"], done_directory="no3"), secrets=SECRETS)
    problems = await channel.check()
    assert [p.split(" cannot")[0] for p in problems] == ["upload: no1", "archive: no2", "done_directory: no3"]
    assert bank.inbox() == {}
    await channel.close()
