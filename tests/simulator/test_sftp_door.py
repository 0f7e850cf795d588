"""The SFTP door through a client of another hand: names, renames, keys, and what the bank takes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from simulator.fixture import iban, run_bank
from tests.simulator.helpers import Identities, Pay, Ways, content_of, pain001, texts

DEBTOR = iban("NL", "FAST0000000001")


@pytest.fixture
async def ways(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    async with open_bank(tmp_path, acme, identities) as ways:
        yield ways


@asynccontextmanager
async def open_bank(tmp_path: Path, acme: dict[str, Any], identities: Identities, **sftp: Any) -> AsyncIterator[Ways]:
    """A fast bank whose SFTP account has these settings besides."""
    customer = {"id": "acme", "accounts": [DEBTOR], "sftp": {**acme["sftp"], **sftp}}
    async with run_bank(tmp_path, customers=[customer], ledger="fast") as bank:
        yield Ways(bank, identities, "acme", DEBTOR)


async def test_a_file_still_being_written_is_left_alone_and_a_final_one_is_taken(ways: Ways) -> None:
    async with ways.sftp() as sftp:
        async with sftp.open("/inbox/one.xml.part", "wb") as file:
            await file.write(pain001("S-1", DEBTOR, Pay("1")))
        assert await sftp.listdir("/inbox") == [".", "..", "one.xml.part"]

        await sftp.rename("/inbox/one.xml.part", "/inbox/one.xml")

        assert await sftp.listdir("/inbox") == [".", ".."]  # taken: absence proves nothing
    await ways.bank.idle()
    assert (await ways.bank.books())["totals"]["executed"] == 1


async def test_a_file_written_straight_under_its_final_name_is_taken_when_it_is_closed(ways: Ways) -> None:
    async with ways.sftp() as sftp, sftp.open("/inbox/straight.xml", "wb") as file:
        await file.write(pain001("S-9", DEBTOR, Pay("9")))
        assert await sftp.exists("/inbox/straight.xml")
    await ways.bank.idle()
    assert (await ways.bank.books())["messages"].keys() == {"S-9"}


async def test_a_posix_rename_replaces_and_lands_as_any_other(
    tmp_path: Path, acme: dict[str, Any], identities: Identities
) -> None:
    async with open_bank(tmp_path, acme, identities, take_after_seconds=3600) as ways, ways.sftp() as sftp:
        for content in (b"first", b"second"):
            async with sftp.open("/inbox/x.part", "wb") as file:
                await file.write(content)
            await sftp.posix_rename("/inbox/x.part", "/inbox/x.xml")
        assert (ways.bank.tree("acme").inbox / "x.xml").read_bytes() == b"second"


async def test_renaming_onto_an_existing_name_fails_and_leaves_both_files(
    tmp_path: Path, acme: dict[str, Any], identities: Identities
) -> None:
    async with open_bank(tmp_path, acme, identities, take_after_seconds=3600) as ways, ways.sftp() as sftp:
        for part, content in (("a.part", b"first"), ("b.part", b"second")):
            async with sftp.open(f"/inbox/{part}", "wb") as file:
                await file.write(content)
        await sftp.rename("/inbox/a.part", "/inbox/same.xml")

        with pytest.raises(asyncssh.SFTPFailure):
            await sftp.rename("/inbox/b.part", "/inbox/same.xml")

        assert (ways.bank.tree("acme").inbox / "same.xml").read_bytes() == b"first"
        assert (ways.bank.tree("acme").inbox / "b.part").read_bytes() == b"second"


async def test_the_bank_takes_a_file_later_if_it_is_slow(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> None:
    async with open_bank(tmp_path, acme, identities, take_after_seconds=0.1) as ways:
        async with ways.sftp() as sftp:
            async with sftp.open("/inbox/slow.part", "wb") as file:
                await file.write(pain001("S-2", DEBTOR, Pay("2")))
            await sftp.rename("/inbox/slow.part", "/inbox/slow.xml")
            assert await sftp.exists("/inbox/slow.xml")
            while await sftp.exists("/inbox/slow.xml"):
                pass
        await ways.bank.idle()
        assert (await ways.bank.books())["totals"]["executed"] == 1


async def test_a_bank_that_remembers_names_refuses_one_it_has_taken_before(
    tmp_path: Path, acme: dict[str, Any], identities: Identities
) -> None:
    async with open_bank(tmp_path, acme, identities, remember_names=True) as ways:
        await ways.upload(pain001("S-3", DEBTOR, Pay("3")), "known.xml")
        with pytest.raises(asyncssh.SFTPFailure):
            await ways.upload(pain001("S-4", DEBTOR, Pay("4")), "known.xml")
        assert (await ways.bank.books())["messages"].keys() == {"S-3"}


async def test_taken_files_stay_visible_where_the_bank_shows_them(
    tmp_path: Path, acme: dict[str, Any], identities: Identities
) -> None:
    async with open_bank(tmp_path, acme, identities, show_taken=True) as ways:
        content = pain001("S-5", DEBTOR, Pay("5"))
        await ways.upload(content, "shown.xml")
        async with ways.sftp() as sftp:
            assert await content_of(sftp, "/taken/shown.xml") == content
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await sftp.remove("/taken/shown.xml")


async def test_only_the_key_of_the_customer_opens_the_door(ways: Ways) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        async with ways.sftp(client_key=asyncssh.generate_private_key("ssh-ed25519")):
            pass
    with pytest.raises(asyncssh.PermissionDenied):
        async with ways.sftp(username="somebody"):
            pass


async def test_the_customer_sees_its_own_tree_and_cannot_leave_it(ways: Ways) -> None:
    (ways.bank.settings.data_directory / "secret").write_text("the bank's own")
    async with ways.sftp() as sftp:
        assert sorted(map(str, await sftp.listdir("/"))) == [".", "..", "archive", "inbox", "outbox"]
        assert not await sftp.exists("/../../secret")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.symlink("../../../secret", "/inbox/link.part")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            async with sftp.open("/outbox/forged.xml", "wb"):
                pass


async def test_an_answer_can_be_moved_aside_or_deleted(ways: Ways) -> None:
    await ways.upload(pain001("S-6", DEBTOR, Pay("6")), "six.xml")
    async with ways.sftp() as sftp:
        first, second = sorted(name for name in map(str, await sftp.listdir("/outbox")) if not name.startswith("."))
        await sftp.mkdir("/outbox/done")
        await sftp.rename(f"/outbox/{first}", f"/outbox/done/{first}")
        await sftp.remove(f"/outbox/{second}")
    assert await ways.fetch_names() == []


async def test_files_left_by_a_killed_bank_are_worked_on_after_the_restart(
    tmp_path: Path, acme: dict[str, Any], identities: Identities
) -> None:
    async with open_bank(tmp_path, acme, identities) as ways:
        tree = ways.bank.tree("acme")
    (tree.inbox / "in-inbox.xml").write_bytes(pain001("S-7", DEBTOR, Pay("7")))
    (tree.inbox / "unfinished.xml.part").write_bytes(b"half")
    (tree.incoming / "00000009-in-vault.xml").write_bytes(pain001("S-8", DEBTOR, Pay("8")))

    async with open_bank(tmp_path, acme, identities) as ways:
        await ways.bank.idle()
        assert (await ways.bank.books())["messages"].keys() == {"S-7", "S-8"}
        reports = [body for name, body in (await ways.fetch()).items() if name.startswith("pain.002")]
        assert sorted(texts(report, "OrgnlMsgId")[0] for report in reports) == ["S-7", "S-8"]
    assert [path.name for path in tree.inbox.iterdir()] == ["unfinished.xml.part"]


async def test_the_host_key_stays_the_same_over_a_restart(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> None:
    keys = []
    for _ in range(2):
        async with open_bank(tmp_path, acme, identities) as ways:
            assert ways.bank.sftp is not None
            keys.append(ways.bank.sftp.public_key)
    assert keys[0] == keys[1]
