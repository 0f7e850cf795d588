"""Every mood does what it says, as often as it says, and no more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncssh
import pytest
from lxml import etree

from simulator import garbage
from simulator.fixture import iban, run_bank
from simulator.moods import BadMood, Mood, Moods
from tests.simulator.helpers import Identities, Pay, Ways, pain001, texts

DEBTOR = iban("NL", "FAST0000000003")
ONCE = {"If-None-Match": "*"}


@pytest.fixture
async def ways(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    """A fast bank that answers each file with one pain.002 and nothing else."""
    async with run_bank(
        tmp_path,
        customers=[{**acme, "accounts": [DEBTOR]}],
        ledger={"kind": "fast", "statements": False},
        client_certificates=[identities.certificate],
    ) as bank:
        yield Ways(bank, identities, "acme", DEBTOR)


async def pay(ways: Ways, *messages: str) -> None:
    for message in messages:
        await ways.upload(pain001(message, DEBTOR, Pay(f"E-{message}")), f"{message}.xml")


async def answered(ways: Ways) -> list[str]:
    """The messages whose status reports are in the outbox, in the order served."""
    return [texts(body, "OrgnlMsgId")[0] for body in (await ways.fetch()).values()]


# the doors --------------------------------------------------------------------------------------------------------------------


async def test_sftp_loses_the_answer_to_one_rename_but_has_the_file(ways: Ways) -> None:
    ways.bank.moods.set("lose_answer")
    with pytest.raises((asyncssh.Error, OSError)):
        await pay(ways, "L-1")
    await ways.bank.idle()
    assert (await ways.bank.books())["messages"].keys() == {"L-1"}
    await pay(ways, "L-2")
    assert await answered(ways) == ["L-1", "L-2"]


async def test_https_loses_the_answer_to_one_put_but_has_the_file(ways: Ways) -> None:
    ways.bank.moods.set("lose_answer")
    async with ways.https() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.put("/files/l-3.xml", data=pain001("L-3", DEBTOR, Pay("3")), headers=ONCE)
        await ways.bank.idle()
        async with http.put("/files/l-3.xml", data=b"again", headers=ONCE) as again:
            assert again.status == 412
    assert (await ways.bank.books())["messages"].keys() == {"L-3"}


async def test_https_loses_the_answer_to_one_post_and_replays_it(ways: Ways) -> None:
    ways.bank.moods.set("lose_answer")
    content = pain001("L-4", DEBTOR, Pay("4"))
    async with ways.https() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.post("/payments", data=content, headers={"Idempotency-Key": "L-4"})
        async with http.post("/payments", data=content, headers={"Idempotency-Key": "L-4"}) as again:
            assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    await ways.bank.idle()
    assert (await ways.bank.books())["totals"]["executed"] == 1


@pytest.mark.parametrize("cut", [0, 1, 700])
async def test_sftp_cuts_an_upload_at_the_byte_and_takes_nothing(ways: Ways, cut: int) -> None:
    ways.bank.moods.set("cut_at_byte", value=cut)
    with pytest.raises((asyncssh.Error, OSError)):
        await pay(ways, "C-1")
    await ways.bank.idle()
    left = ways.bank.tree("acme").inbox / "C-1.xml.part"
    assert left.stat().st_size == cut
    assert (await ways.bank.books())["totals"]["executed"] == 0
    await pay(ways, "C-1")
    assert (await ways.bank.books())["totals"]["executed"] == 1


@pytest.mark.parametrize("cut", [0, 700])
async def test_https_cuts_an_upload_and_its_name_stays_free(ways: Ways, cut: int) -> None:
    ways.bank.moods.set("cut_at_byte", value=cut)
    content = pain001("C-2", DEBTOR, Pay("2"))
    async with ways.https() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.put("/files/c-2.xml", data=content, headers=ONCE)
        async with http.get("/files/c-2.xml/status") as status:
            assert status.status == 404
        async with http.put("/files/c-2.xml", data=content, headers=ONCE) as fine:
            assert fine.status == 201
    assert list(ways.bank.tree("acme").work.glob("upload-*")) == []


async def test_a_cut_beyond_the_end_of_a_file_waits_for_a_longer_one(ways: Ways) -> None:
    ways.bank.moods.set("cut_at_byte", value=1_000_000)
    await pay(ways, "C-3")
    assert (await ways.bank.books())["totals"]["executed"] == 1
    assert ways.bank.moods.peek(Mood.CUT_AT_BYTE, "acme") is not None


# the answers ------------------------------------------------------------------------------------------------------------------


async def test_a_silent_bank_executes_and_withholds_the_next_answers(ways: Ways) -> None:
    ways.bank.moods.set("silent", 2)
    await pay(ways, "S-1", "S-2", "S-3")
    assert await answered(ways) == ["S-3"]
    assert (await ways.bank.books())["totals"]["executed"] == 3


async def test_a_late_answer_comes_after_a_later_one(ways: Ways) -> None:
    ways.bank.moods.set("delay_answers_seconds", value=0.2)
    await pay(ways, "D-1", "D-2")
    assert await answered(ways) == ["D-2"]
    async with asyncio.timeout(10):
        while not await ways.fetch_names():
            pass
    assert await answered(ways) == ["D-1"]


async def test_a_late_answer_survives_a_restart(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> None:
    customers = [{"id": "acme", "accounts": [DEBTOR], "sftp": acme["sftp"]}]
    for first in (True, False):
        async with run_bank(tmp_path, customers=customers, ledger={"kind": "fast", "statements": False}) as bank:
            ways = Ways(bank, identities, "acme", DEBTOR)
            if first:
                bank.moods.set("delay_answers_seconds", value=3600)
                await pay(ways, "D-3")
                assert await answered(ways) == []
            else:
                assert await answered(ways) == ["D-3"]


async def test_answers_change_places(ways: Ways) -> None:
    ways.bank.moods.set("reorder", 3)
    await pay(ways, "R-1", "R-2")
    assert await ways.fetch_names() == []
    await pay(ways, "R-3", "R-4")
    assert await answered(ways) == ["R-3", "R-2", "R-1", "R-4"]


async def test_answers_that_wait_for_companions_are_served_when_the_mood_is_switched_off(ways: Ways) -> None:
    ways.bank.moods.set("reorder", 3)
    await pay(ways, "R-5")
    async with aiohttp.ClientSession(ways.bank.control.url) as control, control.delete("/moods"):
        pass
    assert await answered(ways) == ["R-5"]


@pytest.mark.parametrize("how", ["other_name", "resealed"])
async def test_an_answer_is_served_twice_under_two_names(ways: Ways, how: str) -> None:
    ways.bank.moods.set("duplicate_answers", value=how)
    await pay(ways, "T-1", "T-2")
    assert await answered(ways) == ["T-1", "T-1", "T-2"]


async def test_an_answer_is_served_again_under_its_name_once_it_was_taken(ways: Ways) -> None:
    ways.bank.moods.set("duplicate_answers", value="same_name")
    await pay(ways, "T-3")
    first, second, third = [await ways.fetch(delete=True) for _ in range(3)]
    assert first == second
    assert len(first) == 1
    assert third == {}


@pytest.mark.parametrize("kind", garbage.KINDS)
async def test_garbage_comes_before_the_answer_which_comes_all_the_same(ways: Ways, kind: str) -> None:
    ways.bank.moods.set("garbage", value=kind)
    await pay(ways, "G-1", "G-2")
    broken, *good = (await ways.fetch()).values()
    assert [texts(body, "OrgnlMsgId") for body in good] == [["G-1"], ["G-2"]]
    if kind == "other_kind":
        assert etree.fromstring(broken).tag.startswith("{urn:iso:std:iso:20022:tech:xsd:admi.")
    elif kind == "dtd":
        assert b"SYSTEM" in broken
    else:
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(broken)


async def test_a_file_taken_twice_reaches_the_ledger_twice(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> None:
    """With a ledger that lets duplicates pass, so that a test of "nothing is paid twice" is able to fail."""
    customers = [{"id": "acme", "accounts": [DEBTOR], "sftp": acme["sftp"]}]
    async with run_bank(tmp_path, customers=customers, ledger={"kind": "fast", "allow_duplicates": True}) as bank:
        bank.moods.set("take_twice")
        await pay(Ways(bank, identities, "acme", DEBTOR), "T-4")
        books = await bank.books()
    assert books["totals"]["executed"] == 2
    assert books["paid_twice"] == [{"instruction_id": "I-E-T-4", "end_to_end_id": "E-T-4", "times": 2}]


# counting ---------------------------------------------------------------------------------------------------------------------


def test_a_mood_wears_off_after_its_count_and_stays_on_without_one() -> None:
    moods = Moods(garbage.KINDS)
    moods.set("silent", 2)
    assert [moods.take(Mood.SILENT, "a") is not None for _ in range(3)] == [True, True, False]
    moods.set("silent", None)
    assert all(moods.take(Mood.SILENT, "a") for _ in range(10))
    moods.set("silent", 0)
    assert moods.take(Mood.SILENT, "a") is None


def test_a_mood_for_one_customer_leaves_the_others_alone_and_comes_before_the_one_for_everyone() -> None:
    moods = Moods(garbage.KINDS)
    moods.set("cut_at_byte", 1, 10, customer="a")
    assert moods.take(Mood.CUT_AT_BYTE, "b") is None
    moods.set("cut_at_byte", 1, 20)
    values = [setting.value if (setting := moods.take(Mood.CUT_AT_BYTE, "a")) else None for _ in range(3)]
    assert values == [10, 20, None]


@pytest.mark.parametrize(
    ("mood", "count", "value", "says"),
    [
        ("grumpy", 1, None, "there are: lose_answer"),
        ("silent", -1, None, "how many times"),
        ("silent", True, None, "how many times"),
        ("reorder", 1, None, "at least 2"),
        ("reorder", None, None, "at least 2"),
        ("cut_at_byte", 1, None, "bytes"),
        ("cut_at_byte", 1, 1.5, "bytes"),
        ("delay_answers_seconds", 1, "soon", "seconds"),
        ("duplicate_answers", 1, "thrice", "other_name"),
        ("garbage", 1, None, "entity_bomb"),
    ],
)
def test_a_mood_that_makes_no_sense_is_refused_with_what_would(mood: str, count: Any, value: Any, says: str) -> None:
    with pytest.raises(BadMood, match=says):
        Moods(garbage.KINDS).set(mood, count, value)
