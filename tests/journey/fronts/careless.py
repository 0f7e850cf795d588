"""A worker with the one fault that must not be: it takes every doubt for "did not arrive", and sends again. For controls only.

python -m tests.journey.fronts.careless worker --config DIRECTORY
"""

from typing import Any

from channels.channel import Fate, FateReport
from gateway.delivery import Courier
from gateway.dialogue.channel import DialogueChannel
from gateway.main import main


async def careless_fate(_self: DialogueChannel, _parcel: Any) -> FateReport:
    return FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="careless", detail="not asked")


async def nothing_known(_self: DialogueChannel, *_of: Any, doubted: bool) -> None:
    return None


if __name__ == "__main__":
    DialogueChannel.fate = careless_fate  # type: ignore[method-assign,assignment]
    DialogueChannel._known_before = nothing_known  # type: ignore[method-assign,assignment]
    Courier._absence_counts = lambda _self, _delivery: True  # type: ignore[method-assign,assignment]
    main()
