"""An order whose payees the bank verifies: nothing is executed before a person has released it at the bank."""

import io
from pathlib import Path
from typing import Any

import pytest

from channels.channel import ChannelError
from channels.ebics.channel import WAITS_FOR_RELEASE, EbicsChannel
from channels.ebics.orders import Service, verifies_payees
from channels.ebics.parked import Done
from formats.container import members
from formats.reader import parse
from formats.report import StatusReport, TransactionStatus
from gateway.parked_payees import asks_for_payees
from keys.ebics_signature import order_digest
from simulator.fixture import RunningBank
from tests.channels.support.parcels import parcel
from tests.ebics.support.desk import Desk
from tests.ebics.test_channel_at_the_simulator import BOTH, branch, onboarded
from tests.simulator.ebics_support.bank import DEBTOR
from tests.simulator.helpers import Pay, pain001

ORDERS: dict[str, dict[str, Any]] = {
    "H004": {"upload": {"order_type": "CTV"}, "downloads": [{"order_type": "VPZ"}]},
    "H005": {
        "upload": {"service": {"name": "SCT", "scope": "AT", "option": "VOI", "message": "pain.001"}},
        "downloads": [{"service": {"name": "REP", "scope": "AT", "option": "VOP", "container": "ZIP", "message": "pain.002"}}],
    },
}
NAMES = ("Fine", "Nearly Close", "Quite Wrong", "At Nobody")


def order(message_id: str, *names: str) -> bytes:
    """A payment to each."""
    data = pain001(message_id, DEBTOR, *(Pay(f"{message_id}-{number}", "1.00") for number in range(len(names))))
    for name in names:
        data = data.replace(b"Sand &amp; Gravel", name.encode(), 1)
    return data


async def told(desk: Desk, channel: EbicsChannel) -> list[str | None]:
    """The statuses of the report that the bank offers: of the whole, then of each payment."""
    desk.kept.clear()
    assert await channel.receive(desk.keep) == 1, channel.troubles
    (content,) = desk.kept.values()
    found = [record for _, member in members(io.BytesIO(content)) for record in parse(member)]
    return [
        one.group_status if isinstance(one, StatusReport) else one.status
        for one in found
        if isinstance(one, StatusReport | TransactionStatus)
    ]


async def executed(bank: RunningBank) -> int:
    await bank.idle()
    return int((await bank.books())["totals"]["executed"])


@BOTH
async def test_it_is_executed_once_and_only_after_its_release(tmp_path: Path, version: str) -> None:
    async with branch(tmp_path, version) as (bank, desk):
        desk.settings |= ORDERS[version]
        channel = await onboarded(bank, desk)
        assert await channel.check() == ()
        data = order("T-1", *NAMES)
        receipt = await channel.send(parcel(data))
        assert receipt.waits, "our signature was in the upload, and moves nothing"
        assert WAITS_FOR_RELEASE in receipt.detail
        again = await channel.send(parcel(data))
        assert again.waits, "and it is not uploaded twice"
        assert await executed(bank) == 0
        assert await told(desk, channel) == ["RVCM", "RCVC", "RVMC", "RVNM", "RVNA"]
        (waiting,) = await channel.parked.waiting()
        content = await channel.parked.content(waiting.order_id)
        assert asks_for_payees(content)
        assert content.proved
        with pytest.raises(ChannelError, match="another digest"):
            await channel.parked.sign(waiting.order_id, order_digest((b"another",)))
        assert await executed(bank) == 0
        assert await channel.parked.sign(waiting.order_id, content.digest) is Done.DONE
        assert await executed(bank) == 4
        with pytest.raises(ChannelError, match="no order"):
            await channel.parked.sign(waiting.order_id, content.digest)
        assert await executed(bank) == 4


async def test_what_matches_is_told_of_the_whole_and_what_is_cancelled_is_never_executed(tmp_path: Path) -> None:
    async with branch(tmp_path, "H004") as (bank, desk):
        desk.settings |= ORDERS["H004"]
        channel = await onboarded(bank, desk)
        await channel.send(parcel(order("T-2", "Fine", "Good")))
        assert await told(desk, channel) == ["RCVC"]
        (waiting,) = await channel.parked.waiting()
        content = await channel.parked.content(waiting.order_id)
        assert await channel.parked.cancel(waiting.order_id, content.digest) is Done.DONE
        assert await channel.parked.waiting() == ()
        assert await executed(bank) == 0


@pytest.mark.parametrize(
    ("order_type", "option", "waits"),
    [("CTV", None, True), ("CIV", None, True), ("CCT", None, False), ("CIP", None, False), ("BTU", "VOI", True)]
    + [("BTU", option, False) for option in ("VOO", "URG", None)],
)
def test_which_orders_wait_is_told_by_their_names(order_type: str, option: str | None, waits: bool) -> None:
    service = Service(name="SCT", message="pain.001", option=option) if order_type == "BTU" else None
    assert verifies_payees(order_type, service) is waits
