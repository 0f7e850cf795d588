"""The control that must fail: the gateway's worker with a courier that sends again whatever it lost track of.

Loaded in place of `gateway.main` by the chaos run that shows that its checks can fail. Nothing of the product knows it.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

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


if __name__ == "__main__":
    for name, instead in (("_doubt", _send_again), ("_first_question", _at_once)):
        assert hasattr(Courier, name), f"the courier has no {name} any more: this control would control nothing"
        setattr(Courier, name, instead)
    main()
