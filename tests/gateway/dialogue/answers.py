"""What a bank that answers at once says in these tests, and what a person decides."""

from gateway.lifecycle import DeliveryEvent, DeliveryState
from gateway.reasons import ours
from gateway.store.records import DeliveryChange
from tests.gateway.dialogue.conftest import Desk
from tests.gateway.dialogue.talk import Answer

QUERYABLE_FINAL = {"kind": "queryable", "absence_is_final": True, "quiet_seconds": 100}
IDEMPOTENT = {"kind": "idempotent", "evidence": "letter of 2026-01-05"}


def shows(said: dict[str, object]) -> Answer:
    """The bank knows every payment it is asked about, and is at it."""
    serials = said.get("status", ())
    assert isinstance(serials, list | tuple)
    return {"states": dict.fromkeys(serials, "PDNG")}


def knows_none(said: dict[str, object]) -> Answer:
    """The bank knows none of the payments it is asked about."""
    return {"missing": said.get("status", [])}


def says_nothing(said: dict[str, object]) -> Answer:
    """The bank answers questions about payments with a code that nobody knows."""
    return {"outcome": "unknown", "code": "E7"} if "status" in said else {"outcome": "taken"}


async def decide(desk: Desk) -> None:
    """A person says that the message did not arrive."""
    delivery = await desk.delivery()
    await desk.store.change_delivery(
        DeliveryChange(
            delivery_id=delivery.delivery_id,
            fence=delivery.fence,
            state=delivery.state,
            event=DeliveryEvent.FOUND_MISSING,
            next_state=DeliveryState.READY,
            reason=ours("decided"),
            source="person: anna",
            due_at=desk.clock(),
        )
    )
