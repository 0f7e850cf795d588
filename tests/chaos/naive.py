"""The control that must fail: the gateway's worker with a courier that sends again whatever it lost track of.

Loaded in place of `gateway.main` by the chaos run that shows that its checks can fail. Nothing of the product knows it.
"""

from typing import TYPE_CHECKING, Any

from gateway.delivery import Courier
from gateway.lifecycle import DeliveryEvent
from gateway.main import main

if TYPE_CHECKING:
    from gateway.store.records import Delivery


async def _send_again(self: Any, delivery: "Delivery") -> None:
    """No answer? Then once more: what every first version of such a program does."""
    await self._send(delivery, DeliveryEvent.SEND_AGAIN)


if __name__ == "__main__":
    assert hasattr(Courier, "_doubt"), "the courier has no such method any more: this control would control nothing"
    Courier._doubt = _send_again  # type: ignore[method-assign]
    main()
