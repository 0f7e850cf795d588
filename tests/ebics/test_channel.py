"""EBICS at work against a bank on loopback: each order is in the bank's books exactly once, or it visibly waits."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Fate, InDoubt, NotSent, Parcel, Receipt, Refused, Unreachable
from channels.ebics.downloading import slug
from channels.ebics.profile import EbicsProfile
from channels.profiles import parse_profile
from tests.channels.support.parcels import parcel
from tests.ebics.support.bank import EbicsBank
from tests.ebics.support.desk import Crash, Desk, MemoryNotes
from tests.ebics.test_protocol import step

ORDER = b"<Document>" + bytes(range(0x30, 0x5B)) * 3 + b"</Document>"
PARCEL = parcel(ORDER, pieces=3)

Make = Callable[..., Desk]


@pytest.fixture(params=["H004", "H005"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with EbicsBank(version=request.param) as bank:
        desk = Desk(tmp_path, bank)
        yield desk
        await desk.close()


@pytest.fixture
async def desk5(tmp_path: Path) -> AsyncIterator[Desk]:
    """H005 alone, for what the version does not touch."""
    async with EbicsBank() as bank:
        desk = Desk(tmp_path, bank)
        yield desk
        await desk.close()


def upload_type(desk: Desk) -> str:
    return "BTU" if desk.bank.version == "H005" else "CCT"


# ---- all goes well ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", ["A005", "A006"])
async def test_an_order_reaches_the_banks_books_once_and_the_receipt_names_it(desk: Desk, process: str) -> None:
    desk.settings["signature_process"] = process
    channel = await desk.ready()
    receipt = await channel.send(PARCEL)
    assert desk.bank.executed == [ORDER]
    assert (receipt.evidence, "A000" in receipt.detail) == ("ebics 000000", True)
    assert len(desk.bank.asked) > 3, "in several segments"
    assert desk.bank.faults == []
    assert (await channel.send(PARCEL)).evidence == "ebics.notes"
    assert desk.bank.executed == [ORDER]


async def test_what_the_bank_offers_is_kept_and_only_then_receipted(desk: Desk) -> None:
    kind = "BTD" if desk.bank.version == "H005" else "C53"
    desk.bank.offers[kind] = [b"statement one " * 20]
    desk.bank.segment_chars = 8
    channel = await desk.ready()
    receipts_at_keep: list[list[str]] = []

    async def keep(arrival: Any) -> None:
        await desk.keep(arrival)
        receipts_at_keep.append(list(desk.bank.receipts))

    assert await channel.receive(keep) == 1
    assert (list(desk.kept.values()), receipts_at_keep, desk.bank.receipts) == ([b"statement one " * 20], [[]], [f"{kind} 0"])
    assert channel.troubles == ()
    assert await channel.receive(desk.keep) == 0, "no data is no trouble"
    assert channel.troubles == ()


async def test_a_file_that_cannot_be_kept_gets_a_negative_receipt_and_is_offered_again(desk5: Desk) -> None:
    desk5.bank.offers["BTD"] = [b"statement"]
    channel = await desk5.ready()

    async def full(_: Any) -> None:
        raise OSError("the disk is full")

    assert await channel.receive(full) == 0
    assert desk5.bank.receipts == ["BTD 1"]
    assert "could not be kept: OSError" in channel.troubles[0]
    assert await channel.receive(desk5.keep) == 1
    assert desk5.bank.receipts == ["BTD 1", "BTD 0"]


# ---- answers are lost -------------------------------------------------------------------------------------------------------


async def outcome(desk: Desk, lost: str) -> str:
    channel = desk.channel()
    try:
        await channel.send(PARCEL)
    except (NotSent, InDoubt, Refused) as error:
        lost = type(error).__name__
    else:
        lost = "receipt"
    return lost


@pytest.mark.parametrize("how", ["lose", "drop"])
@pytest.mark.parametrize("place", ["start", "1", "2", "last"])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_message_or_an_answer_that_is_lost_never_executes_an_order_twice(
    desk: Desk, how: str, place: str, times: int
) -> None:
    await desk.ready()
    losses: Counter[str] = getattr(desk.bank, how)
    losses[f"{upload_type(desk)} {place}"] = times
    first = await outcome(desk, place)
    if place == "start":
        assert (first, desk.bank.executed) == ("NotSent", []), "the order data had not been sent"
    elif place == "last" and times == 3:
        assert first == "InDoubt"
    elif times == 3:
        assert (first, desk.bank.executed) == ("NotSent", [])
    else:
        assert first == "receipt", "the bank said in the same transaction what it has"
    losses.clear()
    channel = desk.channel()
    report = await channel.fate(PARCEL)
    executed = len(desk.bank.executed)
    expected = {0: Fate.UNKNOWN if first == "InDoubt" else Fate.DID_NOT_ARRIVE, 1: Fate.ARRIVED}[executed]
    assert report.fate is expected
    assert report.proved is (expected is Fate.DID_NOT_ARRIVE)
    if first == "NotSent":
        await channel.send(PARCEL)
        assert desk.bank.executed == [ORDER]
    assert len(desk.bank.executed) <= 1


async def test_a_doubt_ends_by_the_customer_protocol_where_the_transaction_is_gone(desk: Desk) -> None:
    await desk.ready()
    desk.bank.lose[f"{upload_type(desk)} last"] = 1
    desk.bank.recovers = False
    assert await outcome(desk, "last") == "InDoubt"
    channel = desk.channel()
    report = await channel.fate(PARCEL)
    assert (report.fate, report.evidence) == (Fate.ARRIVED, "ebics.hac")
    assert "ORDER_HAC_FINAL_POS" in report.detail
    assert (await channel.send(PARCEL)).evidence == "ebics.notes", "known, and not sent again"
    assert desk.bank.executed == [ORDER]


async def test_one_protocol_answers_for_all_that_are_asked_about_in_a_turn(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.recovers = False
    others = [parcel(ORDER + b"<!--%d-->" % number, f"BG{number}.xml") for number in range(3)]
    channel = desk5.channel()
    for other in others:
        desk5.bank.lose["BTU last"] = 1
        with pytest.raises(InDoubt):
            await channel.send(other)
    assert {(await channel.fate(other)).fate for other in others} == {Fate.ARRIVED}
    assert desk5.bank.asked.count("HAC start") == 1
    assert len(desk5.bank.executed) == 3


async def test_an_order_is_not_looked_for_in_a_protocol_that_is_older_than_it(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.recovers = False
    channel = desk5.channel()
    for number in range(2):
        one = parcel(ORDER + b"<!--%d-->" % number, f"BG{number}.xml")
        desk5.bank.lose["BTU last"] = 1
        with pytest.raises(InDoubt):
            await channel.send(one)
        assert (await channel.fate(one)).fate is Fate.ARRIVED
        desk5.later(seconds=5)
    assert desk5.bank.asked.count("HAC start") == 2


async def test_silence_of_the_protocol_leaves_the_doubt_and_nothing_is_sent(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.lose["BTU last"] = 1
    desk5.bank.recovers, desk5.bank.keeps_no_protocol = False, True
    assert await outcome(desk5, "last") == "InDoubt"
    channel = desk5.channel()
    for _ in range(3):
        desk5.later(minutes=1)
        assert (await channel.fate(PARCEL)).fate is Fate.UNKNOWN
    assert desk5.bank.executed == [ORDER]


async def test_a_negative_end_in_the_protocol_is_no_proof_of_our_own_and_a_new_transaction_has_the_same_bytes(
    desk5: Desk,
) -> None:
    await desk5.ready()
    desk5.bank.drop["BTU last"] = 3
    assert await outcome(desk5, "last") == "InDoubt"
    desk5.bank.steps = [step("ORDER_HAC_FINAL_NEG", order="A000", kind="BTU", at="2026-11-25T12:00:05Z", reason="DS01")]
    channel = desk5.channel()
    report = await channel.fate(PARCEL)
    assert (report.fate, report.evidence, report.proved) == (Fate.DID_NOT_ARRIVE, "ebics.hac", False)
    assert isinstance(await channel.send(PARCEL), Receipt)
    assert desk5.bank.executed == [ORDER]
    assert desk5.bank.asked.count("BTU start") == 2


async def test_sent_again_by_a_persons_word_it_asks_once_more_before_a_new_transaction(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.lose["BTU last"] = 1
    desk5.bank.recovers, desk5.bank.keeps_no_protocol = False, True
    assert await outcome(desk5, "last") == "InDoubt"
    desk5.bank.keeps_no_protocol = False  # the bank's protocol shows it meanwhile; the person was wrong
    channel = desk5.channel()
    receipt = await channel.send(PARCEL)
    assert receipt.evidence == "ebics.hac"
    assert desk5.bank.executed == [ORDER]


async def test_an_order_that_the_bank_knows_is_there_and_a_code_that_nobody_knows_is_a_doubt(desk5: Desk) -> None:
    await desk5.ready()
    for code, expected in (("091122", "receipt"), ("091115", "receipt"), ("099999", "InDoubt"), ("091116", "InDoubt")):
        desk5.notes.texts = {name: text for name, text in desk5.notes.texts.items() if "/upload/" not in name}
        desk5.bank.say = {"BTU last": ("000000", code)}
        assert await outcome(desk5, "last") == expected, code


async def test_a_refused_order_is_refused_and_an_access_that_is_closed_waits(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.say = {"BTU start": ("091005", "000000")}
    channel = desk5.channel()
    with pytest.raises(Refused) as refused:
        await channel.send(PARCEL)
    assert refused.value.code == "ebics 091005"
    desk5.bank.say = {"BTU start": ("091002", "000000")}
    with pytest.raises(NotSent, match="091002"):
        await channel.send(PARCEL)
    desk5.bank.say = {}
    await channel.send(PARCEL)
    assert desk5.bank.executed == [ORDER]


async def test_without_a_connection_nothing_left(tmp_path: Path) -> None:
    async with EbicsBank() as bank:
        desk = Desk(tmp_path, bank)
        await desk.ready()
        table = desk.table()
    desk.settings["url"] = table["url"]
    channel = desk.channel()
    with pytest.raises(NotSent, match="no connection"):
        await channel.send(PARCEL)
    report = await channel.fate(PARCEL)
    assert (report.fate, report.proved) == (Fate.DID_NOT_ARRIVE, True)
    with pytest.raises(Unreachable):
        await channel.receive(desk.keep)


# ---- the process ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before it is stored", "after it is stored"])
async def test_a_crash_at_any_stored_step_of_an_upload_executes_once_or_waits(desk: Desk, after: bool) -> None:
    await desk.ready()
    base = dict(desk.notes.texts)
    steps = 0
    while True:
        steps += 1
        desk.bank.executed.clear()
        desk.notes = MemoryNotes(texts=dict(base), crash_at=steps, after=after)
        channel = desk.channel()
        try:
            await channel.send(PARCEL)
        except Crash:
            pass
        else:
            break
            desk.notes.crash_at = 0
        found = desk.channel()  # of another process, over the same notes
        report = await found.fate(PARCEL)
        if report.fate is Fate.DID_NOT_ARRIVE:
            assert report.proved
            await found.send(PARCEL)
        elif report.fate is Fate.UNKNOWN:
            assert "nothing is noted" in report.detail
            assert not desk.bank.executed, "the very first step: a person decides, and the next send is the first"
            await found.send(PARCEL)
        assert desk.bank.executed == [ORDER], f"crashed at step {steps}"
    assert steps > 8, "each message of several segments was a step"


async def test_the_next_send_goes_on_in_the_same_transaction(desk5: Desk) -> None:
    await desk5.ready()
    desk5.notes.crash_at, desk5.notes.after = 6, True
    with pytest.raises(Crash):
        await desk5.channel().send(PARCEL)
    sent = desk5.bank.asked.copy()
    desk5.notes.crash_at = 0
    channel = desk5.channel()
    await channel.send(PARCEL)
    assert sent[0] == "BTU start"
    assert desk5.bank.asked.count("BTU start") == 1
    assert desk5.bank.executed == [ORDER]


async def test_a_process_that_was_overtaken_sends_nothing_more(desk5: Desk) -> None:
    await desk5.ready()
    desk5.bank.drop["BTU 2"] = 1
    write = desk5.notes.write
    slow = desk5.channel()

    async def overtaken(name: str, text: str, *, was: str | None) -> bool:
        if '"in_flight\\":2' in text and '"tries\\":2' in text:  # it was stopped before this step; another was asked meanwhile
            desk5.notes.write = write  # type: ignore[method-assign]
            other = desk5.channel()
            assert (await other.fate(PARCEL)).proved
        return await write(name, text, was=was)

    desk5.notes.write = overtaken  # type: ignore[method-assign]
    with pytest.raises(InDoubt, match="another process"):
        await slow.send(PARCEL)
    assert desk5.bank.executed == []
    await slow.send(PARCEL)
    assert desk5.bank.executed == [ORDER]


async def test_notes_that_cannot_be_written_send_nothing(desk5: Desk) -> None:
    channel = await desk5.ready()
    desk5.notes.broken = True
    with pytest.raises(NotSent):
        await channel.send(PARCEL)
    assert desk5.bank.asked == []


@pytest.mark.parametrize(("kept", "receipt"), [(False, "BTD 1"), (True, "BTD 0")])
async def test_a_download_that_a_crash_left_open_is_ended_first(desk5: Desk, kept: bool, receipt: str) -> None:
    desk5.bank.offers["BTD"] = [b"statement"]
    channel = await desk5.ready()
    desk5.notes.crash_at, desk5.notes.after = (2 if kept else 1), True
    with pytest.raises(Crash):
        await channel.receive(desk5.keep)
    desk5.notes.crash_at = 0
    desk5.kept.clear()
    again = desk5.channel()
    await again.receive(desk5.keep)
    assert desk5.bank.receipts[0] == receipt
    assert list(desk5.kept.values()) == ([] if kept else [b"statement"])


async def test_a_receipt_that_is_not_answered_goes_out_again_and_the_file_was_kept(desk5: Desk) -> None:
    desk5.bank.offers["BTD"] = [b"statement"]
    channel = await desk5.ready()
    desk5.bank.drop["BTD receipt"] = 1
    assert await channel.receive(desk5.keep) == 1
    assert desk5.bank.receipts == ["BTD 0"]


# ---- settings ---------------------------------------------------------------------------------------------------------------


def profile(desk: Desk, **changes: Any) -> EbicsProfile:
    found = parse_profile({**desk.table(), **changes})
    assert isinstance(found, EbicsProfile)
    return found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host_id": "with blank"}, "host_id has 1 to 35 characters"),
        ({"url": "http://bank.example/ebics", "allow_plaintext_loopback": False}, "url: http is for this machine only"),
        ({"url": "https://bank.example/ebics"}, "trust: name the certificates"),
        ({"upload": {"order_type": "CCT"}}, "upload: H005 names an order by service"),
        ({"version": "H004", "downloads": []}, "upload: H004 names an order by order_type"),
        ({"upload": {}}, "exactly one of order_type"),
        ({"segment_chars": 7}, "multiple of 4"),
        ({"encryption": {"key": "file:A.pem", "passphrase": "file:phrase", "certificate": "file:A.crt"}}, "three different keys"),
        ({"encryption": {"key": "file:E.pem"}}, "needs the reference of its passphrase"),
        ({"encryption": {"key": "file:E.pem", "passphrase": "file:phrase"}}, "encryption.certificate: is required"),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    bank = EbicsBank()
    bank.http.port = 1
    with pytest.raises(ValueError, match=said):
        profile(Desk(tmp_path, bank), **changes)


def test_french_file_types_and_parked_orders_are_written_as_ordered(tmp_path: Path) -> None:
    bank = EbicsBank(version="H004")
    bank.http.port = 1
    french = profile(
        Desk(tmp_path, bank),
        upload={"file_format": "pain.001.001.03.sct", "parameters": {"TEST": "TRUE"}},
        downloads=[{"file_format": "camt.xxx.cfonb120.stm"}],
    )
    assert french.upload is not None
    order = french.upload.order()
    assert (order.type, order.parameters.parameters) == ("FUL", (("TEST", "TRUE"),))  # type: ignore[union-attr]
    assert slug(french.downloads[0].order()) == "FDL-camt.xxx.cfonb120.stm"
    bank.version = "H005"
    parked = profile(Desk(tmp_path, bank), upload={"service": {"name": "SCT", "message": "pain.001"}, "park": True})
    assert parked.upload is not None
    assert parked.upload.order().parameters.park  # type: ignore[union-attr]


def test_a_parcel_is_the_same_by_its_content_alone() -> None:
    assert PARCEL.sha256 == parcel(ORDER, "OTHER.xml").sha256
    assert isinstance(PARCEL, Parcel)
