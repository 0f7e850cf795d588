"""The send windows of a connection as its settings say them, and what is wrong with those. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from formats.model import PaymentType
from gateway.banks import bank_of
from gateway.calendars import CALENDARS
from gateway.config import ConnectionSettings, KindWindowSettings, SendWindowSettings
from gateway.config_words import did_you_mean
from gateway.send_window import Hours, KindHours, SendWindow

LOOK_AHEAD = timedelta(days=60)  # so long before a year begins that its calendar does not know, `connections check` says so


def send_window(settings: ConnectionSettings) -> SendWindow | None:
    """The windows of a connection whose settings are good; None: it is always open."""
    window = settings.send_window
    if window is None:
        return None
    return SendWindow(
        calendar=CALENDARS[window.calendar],
        zone=ZoneInfo(settings.time_zone or bank_of(settings).capabilities.time_zone),
        hours=Hours(opens=window.opens, cut_off=window.cut_off),
        kinds=tuple(_kind_hours(window, kind) for kind in window.kinds),
        closed=frozenset(window.closed),
        open=frozenset(window.open),
    )


def _kind_hours(window: SendWindowSettings, kind: KindWindowSettings) -> KindHours:
    hours = Hours(
        opens=window.opens if kind.opens is None else kind.opens,
        cut_off=window.cut_off if kind.cut_off is None else kind.cut_off,
    )
    return KindHours(
        service_level=kind.service_level,
        local_instrument=kind.local_instrument,
        hours=None if kind.around_the_clock else hours,
    )


def window_problems(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    """(key, problem, hint) of everything that is wrong with the windows."""
    window = settings.send_window
    if window is None:
        return
    if window.calendar not in CALENDARS:
        hint = did_you_mean(window.calendar, CALENDARS)
        yield "send_window.calendar", f"there is no calendar {window.calendar!r}", hint
    yield from _days(window)
    yield from _hours("send_window", window.opens, window.cut_off)
    seen: set[tuple[str | None, str | None]] = set()
    for place, kind in enumerate(window.kinds):
        where = f"send_window.kinds[{place}]"
        name = (kind.service_level, kind.local_instrument)
        if name == (None, None):
            yield where, "needs service_level, local_instrument or both", "they say which payments these hours are for"
        elif name in seen:
            yield where, "this kind of payment stands here twice", ""
        seen.add(name)
        if kind.around_the_clock:
            for key in ("opens", "cut_off"):
                if getattr(kind, key) is not None:
                    yield f"{where}.{key}", "has no meaning with around_the_clock = true", "leave one of them out"
        elif kind.opens is None and kind.cut_off is None:
            yield where, "says nothing about its hours", "give opens, cut_off or around_the_clock = true"
        else:
            own = _kind_hours(window, kind).hours
            assert own is not None  # noqa: S101 - it is not around the clock
            yield from _hours(where, own.opens, own.cut_off)


def window_lines(settings: ConnectionSettings, now: datetime) -> list[str]:
    """What `connections check` says of the windows: the calendar, how far it reaches, and each kind's window at that moment."""
    window = send_window(settings)
    if window is None:
        return ["send window: always open"]
    calendar, today = window.calendar, now.astimezone(window.zone).date()
    lines = [f"calendar {calendar.name}, known until {calendar.last}: {calendar.source}"]
    if not calendar.knows((today + LOOK_AHEAD).year):
        year = (today + LOOK_AHEAD).year
        lines.append(f"calendar {calendar.name} does not know {year} yet: nothing is held back then, unless under closed")
    for kind in (None, *window.kinds):
        name, asked = "payments", None
        if kind is not None:
            name = " ".join(word for word in (kind.service_level, kind.local_instrument) if word)
            asked = PaymentType(service_level=kind.service_level, local_instrument=kind.local_instrument)
        standing = window.standing(asked, now)
        if standing.opening is None:
            lines.append(f"{name}: around the clock" if standing.open else f"{name}: closed on every day that is known")
            continue
        opens, closes = (
            f"{moment.astimezone(window.zone):%Y-%m-%d %H:%M}"
            for moment in (standing.opening.opens_at, standing.opening.closes_at)
        )
        lines.append(f"{name}: {'open' if standing.open else 'closed'}; window {opens} to {closes} ({window.zone.key})")
    return lines


def _days(window: SendWindowSettings) -> Iterator[tuple[str, str, str]]:
    for key, days in (("closed", window.closed), ("open", window.open)):
        seen: set[date] = set()
        for place, day in enumerate(days):
            where = f"send_window.{key}[{place}]"
            if day in seen:
                yield where, f"{day.isoformat()} stands here twice", ""
            elif key == "open" and day in window.closed:
                yield where, f"{day.isoformat()} stands under closed too", "a day is open or closed"
            seen.add(day)


def _hours(where: str, opens: time, cut_off: time | None) -> Iterator[tuple[str, str, str]]:
    if cut_off is not None and cut_off <= opens:
        yield f"{where}.cut_off", "must be later than opens, on the same day", "a window does not reach over midnight"
