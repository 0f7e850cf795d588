"""The control that must fail: the gateway's worker with a courier that sends again whatever it lost track of, and an EBICS
channel that does not ask before it does.

Loaded in place of `gateway.main` by the chaos run that shows that its checks can fail. Nothing of the product knows it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from channels.channel import Fate, FateReport
from channels.ebics.channel import EbicsChannel
from channels.ebics.codes_table import Remedy
from channels.ebics.notes import UploadNote
from channels.ebics.upload import Outcome
from gateway.delivery import Courier
from gateway.lifecycle import DeliveryEvent
from gateway.main import main

if TYPE_CHECKING:
    from gateway.store.records import Delivery


async def _send_again(self: Any, delivery: "Delivery") -> None:
    """No answer? Then once more: what every first version of such a program does."""
    await self._send(delivery, DeliveryEvent.SEND_AGAIN)


def _at_once(self: Any) -> timedelta:
    """Why wait for the bank's news?"""
    return timedelta(0)


async def _surely_not_there(*arguments: Any) -> tuple[UploadNote, FateReport]:
    """Whoever was not answered was not heard: a new transaction."""
    stands: UploadNote = arguments[-1]
    state = replace(stands.state, in_flight=None, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER)
    return stands.at(state), FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="hope", detail="")


_INSTEAD = (
    (Courier, "_doubt", _send_again),
    (Courier, "_first_question", _at_once),
    (EbicsChannel, "_settled", _surely_not_there),
)

if __name__ == "__main__":
    for what, name, instead in _INSTEAD:
        assert hasattr(what, name), f"{what.__name__} has no {name} any more: this control would control nothing"
        setattr(what, name, instead)
    main()
