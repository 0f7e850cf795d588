"""Hours, days and months as limits count them: by the clock and the calendar of the connection's time zone."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["hour", "day", "month"]

_HOUR = timedelta(hours=1)


def bounds(period: Period, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Where the hour, day or month of a moment (aware) begins and where the next one does, in UTC.

    An hour is one of the clock (14:00 to 15:00), so that each payment belongs to exactly one.
    """
    local = at.astimezone(zone)
    if period == "hour":
        begin = at.astimezone(UTC) - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return begin, begin + _HOUR
    if period == "day":
        return _midnight(local.date(), zone), _midnight(local.date() + timedelta(days=1), zone)
    first = local.date().replace(day=1)
    return _midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The begin of a day; where the clock jumps over midnight, the jump."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)
