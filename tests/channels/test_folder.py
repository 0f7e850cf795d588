"""The folder channel on a real file system."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Arrival, Channel, Fate, InDoubt, NotSent, Refused, Unreachable
from tests.channels.support.parcels import Shelf, channel_of, failing_parcel, parcel

CONTENT = b"<Document/>" * 1000
FILE = parcel(CONTENT, pieces=3)
PART = FILE.name + ".part"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("inbox", "archive", "outbox", "done"):
        (tmp_path / name).mkdir()
    return tmp_path


def folder(base: Path, *, final: bool = False, **changes: Any) -> Channel:
    table = {
        "kind": "folder",
        "upload": "inbox",
        "archive": ["archive"],
        "downloads": ["outbox"],
        "done_directory": "done",
        **changes,
    }
    return channel_of(table, final=final, base=base)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def test_a_file_is_delivered_whole_under_its_name_and_nothing_else_is_left(base: Path) -> None:
    receipt = await folder(base).send(FILE)
    assert receipt.evidence == "folder.link"
    assert files(base / "inbox") == {FILE.name: CONTENT}
    assert (base / "inbox" / FILE.name).stat().st_mode & 0o777 == 0o640


async def test_content_is_on_the_disk_before_the_name_and_the_name_before_the_receipt(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync content")
        real_fsync(descriptor)

    def link(*args: Any, **options: Any) -> None:
        steps.append("link")
        real_link(*args, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    await folder(base).send(FILE)
    assert steps == ["sync content", "link", "sync directory"]


async def test_the_same_file_there_already_is_a_receipt_wherever_it_is(base: Path) -> None:
    channel = folder(base)
    await channel.send(FILE)
    assert (await channel.send(FILE)).evidence == "folder.exists"
    (base / "inbox" / FILE.name).rename(base / "archive" / FILE.name)
    assert (await channel.send(FILE)).evidence == "folder.exists"
    assert files(base / "inbox") == {}


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT[:-1] + b"?"])
async def test_another_file_by_this_name_is_refused_and_left_alone(base: Path, other: bytes) -> None:
    (base / "inbox" / FILE.name).write_bytes(other)
    with pytest.raises(Refused, match=r"name\.taken"):
        await folder(base).send(FILE)
    assert files(base / "inbox") == {FILE.name: other}


async def test_a_link_by_this_name_is_not_followed(base: Path) -> None:
    (base / "elsewhere").write_bytes(CONTENT)
    (base / "inbox" / FILE.name).symlink_to(base / "elsewhere")
    with pytest.raises(Refused):
        await folder(base).send(FILE)
    (base / "inbox" / FILE.name).unlink()
    (base / "inbox" / PART).symlink_to(base / "elsewhere")
    await folder(base).send(parcel(b"new", FILE.name))
    assert (base / "elsewhere").read_bytes() == CONTENT


@pytest.mark.parametrize("failing", ["write", "open", "fsync"])
async def test_a_full_disk_is_not_sent_and_leaves_no_file_by_the_name(
    base: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    written = 0

    def full(*args: Any, **_: Any) -> int:
        nonlocal written
        written += 1
        if failing == "write" and written == 1:
            return real_write(args[0], args[1][:10])  # a short write, as a disk that is nearly full does
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "secret-account.xml")

    real_write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, failing, full)
        with pytest.raises(NotSent, match="ENOSPC") as caught:
            await folder(base).send(FILE)
    assert "secret-account" not in str(caught.value)
    assert FILE.name not in files(base / "inbox")
    assert (await folder(base).send(FILE)).evidence == "folder.link"
    assert files(base / "inbox") == {FILE.name: CONTENT}


@pytest.mark.parametrize(
    ("code", "happens", "outcome"),
    [
        (errno.ENOSPC, False, NotSent),
        (errno.EACCES, False, Refused),
        (errno.EIO, False, InDoubt),
        (errno.ETIMEDOUT, False, InDoubt),
        (errno.EIO, True, None),
        (errno.EEXIST, True, None),
    ],
)
async def test_a_name_that_cannot_be_given_is_judged_by_what_the_directory_shows(
    base: Path, monkeypatch: pytest.MonkeyPatch, code: int, happens: bool, outcome: type[Exception] | None
) -> None:
    real_link = os.link

    def link(*args: Any, **options: Any) -> None:
        if happens:
            real_link(*args, **options)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    if outcome is None:
        assert (await folder(base).send(FILE)).evidence == "folder.exists"
        assert files(base / "inbox") == {FILE.name: CONTENT}
    else:
        with pytest.raises(outcome):
            await folder(base).send(FILE)
        assert FILE.name not in files(base / "inbox")


async def test_a_file_taken_by_a_failing_link_and_gone_is_in_doubt(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Path, _target: Path, **_: Any) -> None:
        Path(source).unlink()
        raise OSError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(InDoubt):
        await folder(base).send(FILE)


async def test_a_file_system_without_links_gets_a_rename(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", link)
    assert (await folder(base).send(FILE)).evidence == "folder.link"
    assert files(base / "inbox") == {FILE.name: CONTENT}


async def test_a_directory_that_cannot_be_flushed_is_in_doubt(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InDoubt, match="not certain"):
        await folder(base).send(FILE)


@pytest.mark.parametrize("crash_after", ["half the content", "all the content", "the link"])
async def test_sending_again_after_a_crash_at_any_step_delivers_once_and_damages_nothing(base: Path, crash_after: str) -> None:
    part, final = base / "inbox" / PART, base / "inbox" / FILE.name
    part.write_bytes(CONTENT[:5000] if crash_after == "half the content" else CONTENT)
    if crash_after == "the link":
        final.hardlink_to(part)
    receipt = await folder(base).send(FILE)
    assert receipt.evidence == ("folder.exists" if crash_after == "the link" else "folder.link")
    assert files(base / "inbox") == {FILE.name: CONTENT}


async def test_a_leftover_that_shares_its_bytes_with_a_delivered_file_is_not_truncated(base: Path) -> None:
    taken = base / "archive" / "TAKEN.xml"
    taken.write_bytes(b"delivered before")
    (base / "inbox" / PART).hardlink_to(taken)
    await folder(base).send(FILE)
    assert taken.read_bytes() == b"delivered before"


@pytest.mark.parametrize(
    "damaged",
    [parcel(CONTENT, sha256="0" * 64), parcel(CONTENT, size=5), failing_parcel(CONTENT, OSError()), parcel(CONTENT, "../x")],
)
async def test_bytes_that_are_not_the_sealed_ones_never_get_the_name(base: Path, damaged: Any) -> None:
    with pytest.raises((NotSent, Refused)):
        await folder(base).send(damaged)
    assert set(files(base / "inbox")) <= {PART}


@pytest.mark.parametrize(
    ("where", "content", "final", "fate"),
    [
        ("inbox", CONTENT, False, Fate.ARRIVED),
        ("archive", CONTENT, False, Fate.ARRIVED),
        ("archive", b"another", True, Fate.UNKNOWN),
        (None, b"", False, Fate.UNKNOWN),
        (None, b"", True, Fate.DID_NOT_ARRIVE),
        ("missing directory", b"", True, Fate.UNKNOWN),
    ],
)
async def test_fate_follows_what_the_directories_show(
    base: Path, where: str | None, content: bytes, final: bool, fate: Fate
) -> None:
    if where == "missing directory":
        (base / "archive").rmdir()
    elif where:
        (base / where / FILE.name).write_bytes(content)
    assert (await folder(base, final=final).fate(FILE)).fate is fate


async def test_files_come_oldest_first_and_are_moved_aside_once_kept(base: Path) -> None:
    for age, name in enumerate(["c.xml", "b.xml", "a.xml", "x.part", ".h"]):
        (base / "outbox" / name).write_bytes(name.encode())
        os.utime(base / "outbox" / name, (1_700_000_000 - age,) * 2)
    (base / "outbox" / "link.xml").symlink_to(base / "outbox" / "a.xml")
    shelf = Shelf()
    assert await folder(base).receive(shelf.keep) == 3
    assert shelf.files == [("a.xml", b"a.xml"), ("b.xml", b"b.xml"), ("c.xml", b"c.xml")]
    assert set(files(base / "done")) == {"a.xml", "b.xml", "c.xml"}


async def test_deleting_and_a_name_used_again(base: Path) -> None:
    shelf = Shelf()
    for content in (b"monday", b"tuesday", b"tuesday"):
        (base / "outbox" / "today.xml").write_bytes(content)
        assert await folder(base).receive(shelf.keep) == 1
    assert sorted(files(base / "done").values()) == [b"monday", b"tuesday"]
    assert f"today.xml.{hashlib.sha256(b'tuesday').hexdigest()[:16]}" in files(base / "done")
    (base / "outbox" / "b.xml").write_bytes(b"x")
    assert await folder(base, download_done="delete").receive(shelf.keep) == 1
    assert files(base / "outbox") == {}


async def test_a_file_in_trouble_stays_and_the_others_go_on(base: Path) -> None:
    for name in ("a.xml", "b.xml", "c.xml"):
        (base / "outbox" / name).write_bytes(b"x" * (200 if name == "b.xml" else 10))
    shelf = Shelf(refuse=frozenset({"a.xml"}))
    assert await folder(base, file_bytes_max=100).receive(shelf.keep) == 1
    assert set(files(base / "outbox")) == {"a.xml", "b.xml"}


async def test_a_file_still_being_written_stays(base: Path) -> None:
    path = base / "outbox" / "a.xml"
    path.write_bytes(b"half")

    async def keep(arrival: Arrival) -> None:
        async for _ in arrival.chunks():
            pass
        path.write_bytes(b"half and half")

    assert await folder(base).receive(keep) == 0
    assert path.exists()


async def test_a_missing_directory_is_unreachable_and_check_names_it(base: Path) -> None:
    (base / "outbox").rmdir()
    with pytest.raises(Unreachable):
        await folder(base).receive(Shelf().keep)
    assert [problem.split(":")[0] for problem in await folder(base).check()] == ["downloads"]
    (base / "outbox").mkdir()
    assert await folder(base).check() == ()
