"""The bank's time: Beijing time, by the event loop's clock or by one that a test turns."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

BEIJING: Final = timezone(timedelta(hours=8), "CST")
"""All of China; no daylight saving time since 1991."""


class Clock:
    """`now` is aware, in Beijing time. `source` says what time it would be if nobody had turned the clock."""

    def __init__(self, source: Callable[[], datetime]) -> None:
        self._source = source
        self._ahead = timedelta()

    def now(self) -> datetime:
        return (self._source() + self._ahead).astimezone(BEIJING)

    def advance(self, seconds: float) -> None:
        """Turns the clock forward."""
        if seconds < 0:
            raise ValueError("a bank's clock does not go back")
        self._ahead += timedelta(seconds=seconds)


def loop_clock(start: datetime | None = None) -> Clock:
    """Starts at `start` (aware; None: now) and runs as the running event loop's clock does."""
    began = start or datetime.now(UTC)
    loop = asyncio.get_running_loop()
    zero = loop.time()
    return Clock(lambda: began + timedelta(seconds=loop.time() - zero))
