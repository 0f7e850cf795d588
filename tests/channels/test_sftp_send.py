"""Sending over SFTP: which outcome is told, against a real SSH server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncssh
import pytest

from channels.channel import Fate, InDoubt, NotSent, Refused
from tests.channels.support.parcels import NOON, channel_of, eventually, failing_parcel, parcel
from tests.channels.support.proxy import Proxy
from tests.channels.support.sftp_bank import OTHER_KEY, SECRETS, SftpBank

CONTENT = bytes(range(256)) * 40
FILE = parcel(CONTENT, pieces=3)


async def test_a_file_is_delivered_whole_under_its_name_and_nothing_else_is_left(bank: SftpBank) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    receipt = await channel.send(FILE)
    assert (receipt.evidence, receipt.at) == ("sftp.rename", NOON)
    assert bank.inbox() == {FILE.name: CONTENT}
    assert bank.moods.knows_fsync, "the content was not put on the bank's disk before it got its name"
    await channel.close()
    await channel.close()


async def test_one_connection_serves_several_calls(bank: SftpBank) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    for number in range(4):
        await channel.send(parcel(CONTENT, f"BG{number}.xml"))
    assert await channel.check() == ()
    assert bank.connections == 1
    await channel.close()


async def test_a_kept_connection_that_died_is_replaced_without_anybody_noticing(bank: SftpBank) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    await channel.send(parcel(CONTENT, "BG1.xml"))
    bank.last.abort()
    receipt = await channel.send(parcel(CONTENT, "BG2.xml"))
    assert receipt.evidence == "sftp.rename"
    assert bank.connections == 2
    await channel.close()


async def test_an_empty_and_a_large_file_arrive(bank: SftpBank) -> None:
    channel = channel_of(bank.table(sync=False), secrets=SECRETS)
    large = CONTENT * 900  # 9 MB: more than two lots
    await channel.send(parcel(b"", "EMPTY.xml"))
    await channel.send(parcel(large, "LARGE.xml", pieces=7))
    assert bank.inbox() == {"EMPTY.xml": b"", "LARGE.xml": large}
    assert not bank.moods.knows_fsync
    await channel.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host_keys": [OTHER_KEY.export_public_key().decode()]}, "host key is not among host_keys"),
        ({"client_key": "env:STRANGER"}, "does not accept this user"),
        ({"client_key_passphrase": "env:WRONG"}, "client_key: env:CLIENT_KEY cannot be opened"),
        ({"client_key": "env:NOWHERE"}, "client_key: env:NOWHERE cannot be read"),
        ({"client_key": "env:PASSWORD"}, "client_key: env:PASSWORD cannot be opened"),
        ({"host_keys": ["env:PASSWORD"]}, "not a public key"),
        ({"host": "does-not-exist.invalid"}, "connect:"),
        ({"port": 1}, "connect: ConnectionRefusedError"),
        ({"upload": "nowhere"}, "has not got its name"),
    ],
)
async def test_what_fails_before_the_rename_is_not_sent_and_says_why(
    bank: SftpBank, changes: dict[str, object], said: str
) -> None:
    channel = channel_of(bank.table(**changes), secrets=SECRETS)
    with pytest.raises(NotSent, match=said) as caught:
        await channel.send(FILE)
    assert "correct horse" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    assert bank.has(FILE.name) is None


async def test_a_server_with_an_unpinned_key_never_learns_who_we_are(bank: SftpBank) -> None:
    channel = channel_of(bank.table(host_keys=[OTHER_KEY.export_public_key().decode()]), secrets=SECRETS)
    assert "host key" in (await channel.check())[0]
    await eventually(lambda: bank.open_connections == 0)
    assert bank.last.get_extra_info("username") is None


async def test_password_and_pinned_key_by_reference(bank: SftpBank) -> None:
    table = bank.table(client_key=None, client_key_passphrase=None, password="env:PASSWORD", host_keys=["env:HOST_KEY"])
    channel = channel_of(table, secrets=SECRETS)
    assert (await channel.send(FILE)).evidence == "sftp.rename"
    await channel.close()


async def test_the_same_file_there_already_is_a_receipt_and_not_a_second_delivery(bank: SftpBank) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    await channel.send(FILE)
    before = (bank.root / "inbox" / FILE.name).stat()
    assert (await channel.send(FILE)).evidence == "sftp.exists"
    (bank.root / "inbox" / FILE.name).rename(bank.root / "archive" / FILE.name)
    assert (await channel.send(FILE)).evidence == "sftp.exists"
    after = (bank.root / "archive" / FILE.name).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert bank.inbox() == {}
    await channel.close()


async def test_a_file_that_may_not_be_read_back_is_compared_by_its_size(bank: SftpBank) -> None:
    bank.moods.forbids_reading = True
    (bank.root / "inbox" / FILE.name).write_bytes(CONTENT)
    channel = channel_of(bank.table(), secrets=SECRETS)
    receipt = await channel.send(FILE)
    assert receipt.evidence == "sftp.exists"
    assert receipt.detail.endswith("equal in size")
    await channel.close()


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT[:-1] + b"?"])
async def test_another_file_by_this_name_is_refused_and_left_alone(bank: SftpBank, other: bytes) -> None:
    (bank.root / "inbox" / FILE.name).write_bytes(other)
    channel = channel_of(bank.table(), secrets=SECRETS)
    with pytest.raises(Refused) as caught:
        await channel.send(FILE)
    assert caught.value.code == "name.taken"
    assert bank.has(FILE.name) == other
    await channel.close()


async def test_a_server_that_overwrites_on_rename_is_not_asked_to(bank: SftpBank) -> None:
    bank.moods.overwrites = True
    (bank.root / "inbox" / FILE.name).write_bytes(b"older")
    channel = channel_of(bank.table(), secrets=SECRETS)
    with pytest.raises(Refused):
        await channel.send(FILE)
    assert bank.has(FILE.name) == b"older"
    await channel.close()


async def test_a_name_that_is_taken_while_we_upload_is_seen_before_the_rename(bank: SftpBank) -> None:
    """The look before the upload is too early for this one; a server that overwrites would replace the other file."""
    bank.moods.overwrites = True
    taken = bank.root / "inbox" / FILE.name

    async def chunks() -> AsyncIterator[bytes]:
        taken.write_bytes(b"somebody else's")
        yield CONTENT

    channel = channel_of(bank.table(), secrets=SECRETS)
    with pytest.raises(Refused, match=r"name\.taken"):
        await channel.send(replace(FILE, chunks=chunks))
    assert taken.read_bytes() == b"somebody else's"
    await channel.close()


async def test_a_leftover_part_file_is_replaced_and_never_truncated(bank: SftpBank) -> None:
    """A crash of the bank's server between link and unlink leaves one file with two names, one of them delivered."""
    part, taken = bank.root / "inbox" / (FILE.name + ".part"), bank.root / "archive" / "TAKEN.xml"
    part.write_bytes(b"delivered before")
    taken.hardlink_to(part)
    channel = channel_of(bank.table(), secrets=SECRETS)
    await channel.send(FILE)
    assert taken.read_bytes() == b"delivered before"
    assert bank.inbox() == {FILE.name: CONTENT}
    await channel.close()


@pytest.mark.parametrize(
    ("moods", "outcome", "said"),
    [
        ({"rename_error": asyncssh.SFTPFailure("no")}, NotSent, "refused the rename"),
        ({"rename_error": asyncssh.SFTPOpUnsupported("no")}, NotSent, "refused the rename"),
        ({"rename_error": asyncssh.SFTPPermissionDenied("no")}, Refused, "sftp.permission_denied"),
        ({"rename_error": asyncssh.SFTPConnectionLost("no")}, InDoubt, "not answered"),
        ({"rename_error": asyncssh.SFTPBadMessage("no")}, InDoubt, "not answered"),
        ({"rename_error": asyncssh.SFTPFailure("no"), "rename_happens_anyway": True}, None, "sftp.exists"),
        (
            {"rename_error": asyncssh.SFTPFailure("no"), "rename_happens_anyway": True, "takes_at_once": True},
            InDoubt,
            "not there",
        ),
        ({"takes_at_once": True}, None, "sftp.rename"),
        ({"write_error": asyncssh.SFTPFailure("No space left on device")}, NotSent, "No space left"),
        ({"lies_about_part_size": True}, NotSent, "shows 1 bytes"),
    ],
)
async def test_what_the_server_says_about_the_rename_decides(
    bank: SftpBank, moods: dict[str, object], outcome: type[Exception] | None, said: str
) -> None:
    for name, value in moods.items():
        setattr(bank.moods, name, value)
    channel = channel_of(bank.table(), secrets=SECRETS)
    if outcome is None:
        assert (await channel.send(FILE)).evidence == said
        assert bank.has(FILE.name) == CONTENT
    else:
        with pytest.raises(outcome, match=said):
            await channel.send(FILE)
    await channel.close()


@pytest.mark.parametrize(
    "damaged",
    [
        parcel(CONTENT, sha256="0" * 64, pieces=3),
        parcel(CONTENT, size=len(CONTENT) + 1),
        parcel(CONTENT, size=len(CONTENT) - 1),
        failing_parcel(CONTENT, OSError("disk")),
    ],
)
async def test_bytes_that_are_not_the_sealed_ones_never_get_the_name(bank: SftpBank, damaged: object) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    with pytest.raises(NotSent, match=r"the store|stored bytes"):
        await channel.send(damaged)  # type: ignore[arg-type]
    assert bank.has(FILE.name) is None
    assert (await channel.send(FILE)).evidence == "sftp.rename", "the connection is still good"
    assert bank.connections == 1
    await channel.close()


@pytest.mark.parametrize("name", ["../up.xml", "a/b.xml", "", ".hidden", "x" * 101, "ü.xml", "new\nline"])
async def test_a_name_that_is_a_path_is_refused_before_anything_is_done(bank: SftpBank, name: str) -> None:
    with pytest.raises(Refused, match=r"name\.invalid"):
        await channel_of(bank.table(), secrets=SECRETS).send(parcel(CONTENT, name))
    assert bank.connections == 0


async def test_a_file_beyond_the_limit_is_refused_before_anything_is_done(bank: SftpBank) -> None:
    with pytest.raises(Refused, match=r"file\.too_large"):
        await channel_of(bank.table(file_bytes_max=100), secrets=SECRETS).send(FILE)
    assert bank.connections == 0


async def test_cancelling_is_passed_on_and_the_connection_is_not_used_again(bank: SftpBank) -> None:
    channel = channel_of(bank.table(), secrets=SECRETS)
    await channel.send(parcel(CONTENT, "BG0.xml"))
    going = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT
        going.set()
        await asyncio.sleep(60)

    slow = parcel(CONTENT, "BG1.xml", size=2 * len(CONTENT))
    object.__setattr__(slow, "chunks", chunks)
    task = asyncio.create_task(channel.send(slow))
    await going.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await channel.send(parcel(CONTENT, "BG2.xml"))
    assert bank.connections == 2
    await channel.close()


@pytest.mark.parametrize("phase", ["connect", "login", "rename"])
async def test_silence_ends_each_phase_with_its_own_outcome(bank: SftpBank, phase: str) -> None:
    async with Proxy(bank.port) as proxy:
        proxy.fault = "swallow"
        table = bank.table(port=proxy.port, timeouts={"connect": 0.3, "login": 0.3, "operation": 0.3, "total": 5})
        channel = channel_of(table, secrets=SECRETS)
        if phase == "rename":
            await channel.send(parcel(CONTENT, "BG0.xml"))
            proxy.faultless()
            await channel.send(parcel(CONTENT, "BG1.xml"))
            whole, proxy.down = proxy.down, 0
            proxy.down_limit = whole - 1  # the answer to the rename is the last thing the bank says
            with pytest.raises(InDoubt, match="not answered: TimeoutError"):
                await channel.send(FILE)
            assert bank.has(FILE.name) == CONTENT
            proxy.faultless()
            assert (await channel.fate(FILE)).fate is Fate.ARRIVED
        else:
            proxy.down_limit = 0 if phase == "connect" else 30
            with pytest.raises(NotSent, match="login"):
                await channel.send(FILE)
        await channel.close()


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_cut_at_any_byte_never_gives_a_false_receipt_or_a_false_not_sent(bank: SftpBank, direction: str) -> None:
    """Measures one faultless session, then cuts at places all over it, densely where the rename is."""
    small = CONTENT[:300]
    outcomes: dict[str, int] = {}
    async with Proxy(bank.port) as proxy:
        channel = channel_of(bank.table(port=proxy.port), secrets=SECRETS)
        await channel.send(parcel(small, "MEASURE.xml"))
        await channel.close()
        await eventually(lambda: bank.open_connections == 0)
        whole = proxy.up if direction == "up" else proxy.down
        offsets = [*range(0, whole, max(1, whole // 25)), *range(whole - 420, whole + 60, 12)]
        for offset in offsets:
            proxy.faultless()
            setattr(proxy, f"{direction}_limit", offset)
            name = f"BG{offset}{direction}.xml"
            channel = channel_of(bank.table(port=proxy.port), secrets=SECRETS)
            try:
                await channel.send(parcel(small, name))
                outcome = "receipt"
            except (NotSent, InDoubt) as error:
                outcome = type(error).__name__
            await channel.close()
            await eventually(lambda: bank.open_connections == 0 and proxy.idle)
            delivered = bank.has(name)
            assert delivered in (None, small), "a part of a file was delivered"
            assert outcome != "receipt" or delivered == small, f"false receipt at byte {offset}"
            assert outcome != "NotSent" or delivered is None, f"false NotSent at byte {offset}"
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert set(outcomes) == {"receipt", "NotSent", "InDoubt"}, "the places did not cover all outcomes"
