"""From new keys to a working access: resumable, never by new keys, and no bank key counts before a person compared."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.channel import ChannelError, Fate, NotSent, Unreachable
from channels.ebics.letters import LetterFacts
from channels.ebics.subscriber import Sent, Standing
from tests.channels.support.parcels import parcel
from tests.ebics.support.bank import NOW, EbicsBank
from tests.ebics.support.desk import Crash, Desk

PARCEL = parcel(b"<Document>order</Document>")
FACTS = LetterFacts(bank_name="Test Bank", customer_name="Us", subscriber_name="Machine", on=NOW)


@pytest.fixture(params=["H004", "H005"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with EbicsBank(version=request.param) as bank:
        desk = Desk(tmp_path, bank)
        yield desk
        await desk.close()


async def test_every_step_of_onboarding_leads_to_the_next_and_says_so(desk: Desk) -> None:
    access = desk.channel().onboarding
    assert (await access.standing()).standing is Standing.NEW
    assert "connections init" in (await access.problems())[0]
    assert (await access.initialise()).standing is Standing.WAITING
    assert set(desk.bank.keys) == {"A006", "X002", "E002"}
    assert "letter" in " ".join(await access.problems())
    desk.bank.activate()
    told = await access.problems()
    assert "confirm-bank-keys" in told[0]
    x002, e002 = desk.bank.fingerprints()
    assert f"X002 public-key: {x002.replace(':', '')}" in told
    await access.confirm(authentication=x002, encryption=e002)
    assert await access.problems() == ()
    assert (await desk.channel().onboarding.standing()).standing is Standing.READY, "stored, for every process"
    assert desk.bank.faults == []


async def test_nothing_is_sent_before_the_banks_keys_were_compared(desk: Desk) -> None:
    channel = desk.channel()
    await channel.onboarding.initialise()
    desk.bank.activate()
    await channel.onboarding.fetch_bank_keys()
    asked = list(desk.bank.asked)
    with pytest.raises(NotSent, match="nobody has compared"):
        await channel.send(PARCEL)
    with pytest.raises(Unreachable, match="nobody has compared"):
        await channel.receive(desk.keep)
    assert desk.bank.asked == asked
    x002, _ = desk.bank.fingerprints()
    with pytest.raises(ChannelError, match="fingerprint for E002"):
        await channel.onboarding.confirm(authentication=x002, encryption=x002)
    with pytest.raises(NotSent):
        await channel.send(PARCEL)


@pytest.mark.parametrize("how", ["lose", "drop"])
@pytest.mark.parametrize("order", ["INI", "HIA"])
async def test_a_key_that_was_not_answered_goes_again_and_never_another_one(desk: Desk, how: str, order: str) -> None:
    getattr(desk.bank, how)[order] = 1
    with pytest.raises(ChannelError):
        await desk.channel().onboarding.initialise()
    standing = await desk.channel().onboarding.standing()
    assert (standing.ini if order == "INI" else standing.hia) is Sent.MAYBE
    assert (await desk.channel().onboarding.initialise()).standing is Standing.WAITING
    assert set(desk.bank.keys) == {"A006", "X002", "E002"}


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_step_of_sending_keys_is_gone_on_from(desk: Desk, step: int, after: bool) -> None:
    desk.notes.crash_at, desk.notes.after = step, after
    with pytest.raises(Crash):
        await desk.channel().onboarding.initialise()
    desk.notes.crash_at = 0
    assert (await desk.channel().onboarding.initialise()).standing is Standing.WAITING
    assert set(desk.bank.keys) == {"A006", "X002", "E002"}


async def test_keys_that_were_put_in_place_of_those_that_were_sent_are_noticed(desk: Desk) -> None:
    await desk.ready()
    table = desk.table()
    desk.settings |= {"signature": table["authentication"], "authentication": table["signature"]}
    changed = desk.channel()
    with pytest.raises(NotSent, match="not those that were sent to the bank"):
        await changed.send(PARCEL)
    assert "not those that were sent" in " ".join(await changed.onboarding.problems())
    assert desk.bank.asked.count("HPB") == 0


async def test_a_bank_that_shows_other_keys_stops_the_connection_until_a_person_compared(desk: Desk) -> None:
    channel = await desk.ready()
    desk.bank.by = "O"
    with pytest.raises(NotSent, match="The bank shows other keys"):
        await channel.send(PARCEL)
    asked = len(desk.bank.asked)
    with pytest.raises(NotSent, match="connection has stopped"):
        await desk.channel().send(PARCEL)
    with pytest.raises(Unreachable, match="connection has stopped"):
        await desk.channel().receive(desk.keep)
    assert len(desk.bank.asked) == asked, "nothing goes out to whoever that is"
    x002, e002 = desk.bank.fingerprints()
    await desk.channel().onboarding.confirm(authentication=x002, encryption=e002)
    await desk.channel().send(PARCEL)
    assert desk.bank.executed == [b"<Document>order</Document>"]


async def test_a_doubt_stays_one_while_the_banks_keys_are_not_confirmed(desk: Desk) -> None:
    channel = await desk.ready()
    kind = "BTU" if desk.bank.version == "H005" else "CCT"
    desk.bank.lose[f"{kind} last"] = 3
    with pytest.raises(ChannelError):
        await channel.send(PARCEL)
    desk.bank.by = "O"
    await channel.onboarding.fetch_bank_keys()
    assert (await channel.fate(PARCEL)).fate is Fate.UNKNOWN
    assert len(desk.bank.executed) == 1


async def test_the_letter_carries_the_hashes_of_the_keys_that_were_sent(desk: Desk) -> None:
    access = desk.channel().onboarding
    await access.initialise()
    text, pdf = await access.letter(FACTS, "de")
    for sent in desk.bank.keys.values():
        digest = sent.certificate_hash if desk.bank.version == "H005" else sent.public_key_hash
        assert digest is not None
        assert digest.hex(" ").upper()[:47] in text
    assert pdf.startswith(b"%PDF-")


async def test_certificates_of_an_authority_go_in_one_order_without_a_letter(tmp_path: Path) -> None:
    async with EbicsBank() as bank:
        desk = Desk(tmp_path, bank, settings={"by_authority": True})
        assert (await desk.channel().onboarding.initialise()).standing is Standing.WAITING
        assert bank.asked == ["H3K"]
        await desk.close()


async def test_a_bank_of_another_version_or_host_is_named(desk: Desk) -> None:
    bank = desk.bank
    served = bank._served
    bank._served = lambda request, name: (  # type: ignore[method-assign]
        served(request, name).replace(b'"H00', b'"H99') if name == "HEV" else served(request, name)
    )
    assert "the bank speaks" in (await desk.channel().onboarding.problems())[0]
    bank._served = lambda request, name: (  # type: ignore[method-assign]
        served(request, name).replace(b">000000<", b">091011<") if name == "HEV" else served(request, name)
    )
    assert "091011" in (await desk.channel().onboarding.problems())[0]
