"""The channel at the simulator's EBICS door, with a fault at each step: what the gateway would do about each end leaves every
order in the bank's books exactly once, or visibly waiting."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Fate, InDoubt, NotSent, Parcel, Refused
from channels.ebics.channel import EbicsChannel
from channels.ebics.subscriber import Standing
from simulator.fixture import RunningBank, run_bank
from tests.channels.support.parcels import parcel
from tests.ebics.support.desk import Desk
from tests.ebics.test_at_the_simulator import FAULTS
from tests.simulator.ebics_support.bank import DEBTOR
from tests.simulator.helpers import Pay, pain001

CUSTOMER: dict[str, Any] = {"id": "acme", "accounts": [DEBTOR], "ebics": {"partner": "PARTNER1", "users": [{"id": "USER1"}]}}
BOTH = pytest.mark.parametrize("version", ["H004", "H005"])


@dataclass
class Door:
    """What our side needs to know of the simulator."""

    version: str
    url: str


@asynccontextmanager
async def branch(tmp_path: Path, version: str, **table: Any) -> AsyncIterator[tuple[RunningBank, Desk]]:
    async with run_bank(tmp_path / "bank", customers=[CUSTOMER], ledger={"kind": "fast"}, ebics=table) as bank:
        assert bank.ebics is not None
        ours = tmp_path / "ours"
        ours.mkdir()
        desk = Desk(ours, Door(version, bank.ebics.url), now=datetime.now(UTC))  # type: ignore[arg-type]
        desk.settings = {"segment_chars": 400}
        yield bank, desk
        await desk.close()


async def onboarded(bank: RunningBank, desk: Desk) -> EbicsChannel:
    assert bank.desk is not None
    access = desk.channel().onboarding
    await access.initialise()
    bank.desk.subscribers.command("PARTNER1", "USER1", "activate")
    assert (await access.fetch_bank_keys()).standing is Standing.UNCONFIRMED
    hashes = bank.desk.keys.shown()
    x002, e002 = (
        hashes[name]["certificate_sha256" if desk.bank.version == "H005" else "public_key_sha256"] for name in ("X002", "E002")
    )
    await access.confirm(authentication=x002, encryption=e002)
    return desk.channel()


@BOTH
async def test_a_whole_life_at_the_simulator(tmp_path: Path, version: str) -> None:
    async with branch(tmp_path, version) as (bank, desk):
        desk.settings["downloads"] = [
            {"service": {"name": "EOP", "scope": "DE", "container": "ZIP", "message": "camt.053"}}
            if version == "H005"
            else {"order_type": "C53"}
        ]
        channel = await onboarded(bank, desk)
        receipt = await channel.send(parcel(pain001("T-1", DEBTOR, Pay("T-1", "4.20"))))
        assert receipt.evidence == "ebics 000000"
        await bank.idle()
        assert (await bank.books())["messages"]["T-1"]["executed"] == 1
        assert bank.desk is not None
        bank.desk.offer("acme", "camt.053.001.08", b"<statement/>")
        assert await channel.receive(desk.keep) >= 1, channel.troubles
        assert all(content.startswith(b"PK") for content in desk.kept.values()), "a container is handed on as it is"
        assert await channel.onboarding.problems() == ()


@BOTH
async def test_a_bank_that_changes_its_keys_stops_the_connection(tmp_path: Path, version: str) -> None:
    async with branch(tmp_path, version) as (bank, desk):
        channel = await onboarded(bank, desk)
        assert bank.desk is not None
        bank.desk.keys.change()
        with pytest.raises(NotSent, match="other keys"):
            await channel.send(parcel(pain001("T-1", DEBTOR, Pay("T-1"))))
        assert (await channel.onboarding.standing()).standing is Standing.BANK_KEY_CHANGED


async def settled(desk: Desk, channel: EbicsChannel, sent: Parcel) -> str:
    """As the gateway does: repeats what was not sent, asks about what is in doubt, and sends again on the channel's proof."""
    for _ in range(6):
        try:
            await channel.send(sent)
        except NotSent:
            continue
        except Refused:
            return "refused"
        except InDoubt:
            desk.later(seconds=30)
            report = await channel.fate(sent)
            if report.fate is Fate.ARRIVED:
                return "there"
            if not report.proved:
                return "waits"
        else:
            return "there"
    return "waits"


@pytest.mark.parametrize(
    ("version", "count", "finished"),
    [("H005", 1, "forgotten"), ("H004", 1, "remembered"), ("H004", 9, "forgotten"), ("H005", 9, "forgotten")],
)
async def test_every_order_is_executed_once_or_visibly_waits_whatever_goes_wrong(
    tmp_path: Path, version: str, count: int, finished: str
) -> None:
    """`count`: how often each fault strikes."""
    table = {"finished_uploads": finished, "transactions_max": 1000, "recoveries_max": 3}
    async with branch(tmp_path, version, **table) as (bank, desk):
        await onboarded(bank, desk)
        ends: dict[str, tuple[str, str]] = {}
        for number, (mood, value) in enumerate(FAULTS):
            name = f"U-{number}"
            bank.moods.clear()
            bank.moods.set(mood, count, value)
            order = parcel(pain001(name, DEBTOR, Pay(name)))
            channel = desk.channel()
            end = await settled(desk, channel, order)
            bank.moods.clear()
            if end == "waits":  # the bank is well again, and is asked once more
                desk.later(seconds=30)
                report = await channel.fate(order)
                if report.fate is Fate.ARRIVED or report.proved:
                    end = await settled(desk, channel, order)
            ends[name] = (end, f"{mood} {value}")
            desk.now = datetime.now(UTC) + timedelta(seconds=1)
        await bank.idle()
        books = await bank.books()
        assert books["paid_twice"] == []
        for name, (end, case) in ends.items():
            executed = books["messages"].get(name, {"executed": 0})["executed"]
            assert executed == 1 if end == "there" else executed <= (end != "refused"), f"{case}: {end}, executed {executed}"
        assert sum(end == "there" for end, _ in ends.values()) >= len(FAULTS) - 6, "few are left for a person"
