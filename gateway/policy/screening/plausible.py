"""Whether a list can be what it says it is: not nearly empty, not much smaller than the one before it, not older. Pure.

A file that was cut at a line's end, or is one of another list, reads well. What follows is for the settings to say
(`when_implausible`): "refuse" keeps the list in use, and where none is (after a start) holds all payments; "hold" takes the list
and holds all payments; "tell" takes it and tells. A list that grew old is in use already: it is told, and with "hold" it holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from gateway.policy.screening.entries import ScreeningList
from gateway.policy.texts import Words
from gateway.policy.verdict import Finding, Outcome

RULE: Final = "screening.implausible"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A list as it was when it was taken into use last."""

    list_id: str
    date: date
    entries: int
    sha256: str

    @staticmethod
    def of(found: ScreeningList) -> "Taken":
        return Taken(list_id=found.id, date=found.date, entries=len(found.entries), sha256=found.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Within which a list is plausible; see `gateway.screening_settings.ListSettings`."""

    entries_min: int
    shrinks_percent_max: int
    may_be_older: bool
    old_after_days: int | None
    when: Literal["refuse", "hold", "tell"]


def implausible(found: ScreeningList, before: Taken | None, bounds: Bounds) -> Words | None:
    """Why the list cannot be what it says; None: it can. The same file again is as plausible as it was."""
    count = len(found.entries)
    if before is not None and before.sha256 == found.sha256:
        return None
    if count < bounds.entries_min:
        least = bounds.entries_min
        return f"it has {count} entries, and is to have {least} at least", f"仅有 {count} 条，至少应有 {least} 条"
    if before is None:
        return None
    if (before.entries - count) * 100 > before.entries * bounds.shrinks_percent_max:
        return (
            f"it has {count} entries, and the one before it had {before.entries}",
            f"现有 {count} 条，此前有 {before.entries} 条",
        )
    if found.date < before.date and not bounds.may_be_older:
        return (
            f"it is of {found.date.isoformat()}, and the one before it of {before.date.isoformat()}",
            f"日期为 {found.date.isoformat()}，早于此前的 {before.date.isoformat()}",
        )
    return None


def doubts(
    lists: Sequence[ScreeningList], before: Mapping[str, Taken], bounds: Mapping[str, Bounds], today: date
) -> tuple[Finding, ...]:
    """What holds every payment, as the lists that it would be judged by are in doubt."""
    found = []
    doubted = in_doubt(lists, before, bounds)
    for one in lists:
        words = doubted.get(one.id)
        if words is None and bounds[one.id].when == "hold" and is_old(one, bounds[one.id], today):
            age = (today - one.date).days
            words = f"it is {age} days old", f"已有 {age} 天未更新"
        if words is not None:
            found.append(_doubt(one, words))
    return tuple(found)


def in_doubt(lists: Iterable[ScreeningList], before: Mapping[str, Taken], bounds: Mapping[str, Bounds]) -> dict[str, Words]:
    """Why lists are not plausible beside what was in use before them, by their ids; without those that are only told about."""
    judged = ((one, bounds[one.id]) for one in lists)
    found = ((one.id, implausible(one, before.get(one.id), own)) for one, own in judged if own.when != "tell")
    return {list_id: words for list_id, words in found if words is not None}


def is_old(found: ScreeningList, bounds: Bounds, today: date) -> bool:
    """Whether the list is older than it may be."""
    return bounds.old_after_days is not None and today > found.date + timedelta(days=bounds.old_after_days)


def _doubt(found: ScreeningList, words: Words) -> Finding:
    return Finding(
        rule=RULE,
        version=VERSION,
        outcome=Outcome.HOLD,
        text_en=f"The list {found.id} of {found.date.isoformat()} is not plausible: {words[0]}.",
        text_zh=f"名单 {found.id}（{found.date.isoformat()}）存疑：{words[1]}。",
        facts=(("list", found.id), ("list_date", found.date.isoformat()), ("list_sha256", found.sha256)),
    )
