"""The check of screening: the lists as they are on disk, what people decided about hits, and whether the lists are plausible."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Final

import structlog

from gateway import clock as gateway_clock
from gateway.config import Configuration
from gateway.policy.screening.cleared import NOBODY, Cleared, Excuse, Payee
from gateway.policy.screening.plausible import Bounds, Taken, doubts, in_doubt, is_old
from gateway.policy.screening.screen import Screen
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding
from gateway.review import Judging
from gateway.screening_lists import bounds_of, load_screen
from gateway.store.screening import Clearance
from gateway.store.store import Clock, Store

log = structlog.get_logger("review")

NAME: Final = "screening"


@dataclass(slots=True)
class ScreenCheck:
    """The screening lists. The days on which their entries begin and end to count are those of UTC. `refresh` before judging."""

    screen: Screen
    bounds: Mapping[str, Bounds]
    store: Store
    before: dict[str, Taken] = field(default_factory=dict)
    cleared: Cleared = field(default_factory=lambda: NOBODY)  # also what is over: it is told why it no longer counts
    clock: Clock = gateway_clock.now
    _refreshed: bool = False
    _told_old: date | None = None  # the day on which lists that are old were last told
    _stamp: str = ""

    @property
    def name(self) -> str:
        return NAME

    async def refresh(self) -> None:
        """Looks up what people cleared. And, once for these lists, how they were when they were last taken into use; and notes
        them, unless they are in doubt beside those."""
        stamp = await self.store.clearances_stamp()
        if stamp != self._stamp:
            self.cleared = _by_payee(await self.store.standing_clearances(date.min))
            self._stamp = stamp
        self._tell_old(_day(self.clock()))
        if self._refreshed:
            return
        self.before = {one.list_id: one for one in await self.store.screening_lists()}
        doubted = in_doubt(self.screen.lists, self.before, self.bounds)
        taken = [Taken.of(one) for one in self.screen.lists if one.id not in doubted]
        new = [one for one in taken if self.before.get(one.list_id) != one]
        if new:
            await self.store.note_screening_lists(new)
        for one in self.screen.lists:
            if one.notices:
                log.warning("screening_list_has_unknown_parts", screening_list=one.id, parts=list(one.notices))
        for list_id in sorted(doubted):
            log.error("screening_list_in_doubt", screening_list=list_id)
        self._refreshed = True

    def _tell_old(self, today: date) -> None:
        """Once a day."""
        if self._told_old == today:
            return
        self._told_old = today
        for one in self.screen.lists:
            if is_old(one, self.bounds[one.id], today):
                log.warning("screening_list_is_old", screening_list=one.id, age_days=(today - one.date).days)

    def digest(self, now: datetime) -> str:
        """It changes with lists, with the clearances that count, and with what is in doubt about lists."""
        today = _day(now)
        counting = sorted(one.decision_id for one in self._excuses() if one.valid_on(today))
        return _with(self.screen.digest_on(today), [*counting, *(one.text_en for one in self._doubts(now))])

    def digest_of_hits(self, now: datetime) -> str:
        """It changes when there may be hits where there were none: with lists, and with each clearance that ends."""
        today = _day(now)
        ended = sorted(one.decision_id for one in self._excuses() if not one.valid_on(today))
        revoked = self._stamp.partition(".")[2]
        return _with(self.screen.digest_on(today), [*ended, *([revoked] if int(revoked or 0) else [])])

    def _excuses(self) -> Iterator[Excuse]:
        return (one for excuses in self.cleared.values() for one in excuses)

    async def hits(self, subjects: Sequence[Subject], now: datetime) -> list[tuple[Finding, ...]]:
        """As `look`, without what is in doubt: that is no hit."""
        today, cleared = _day(now), self.cleared
        return await asyncio.to_thread(lambda: [self.screen.judge(one, today, cleared) for one in subjects])

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        """In a thread: names are compared for long."""
        return await self.look(judging.subjects, judging.now)

    async def look(self, subjects: Sequence[Subject], now: datetime) -> list[tuple[Finding, ...]]:
        """What is found in each of the payments."""
        doubted = self._doubts(now)
        return [(*doubted, *found) for found in await self.hits(subjects, now)]

    def _doubts(self, now: datetime) -> tuple[Finding, ...]:
        return doubts(self.screen.lists, self.before, self.bounds, _day(now))


def _by_payee(found: Iterable[Clearance]) -> Cleared:
    by_payee: dict[Payee, list[Excuse]] = {}
    for one in found:
        excuse = Excuse(
            decision_id=one.clearance_id,
            list_id=one.list_id,
            entry_id=one.entry_id,
            digest=one.entry_digest,
            about=one.signed.reason,
            person=one.signed.person,
            valid_until=one.valid_until,
        )
        by_payee.setdefault((one.creditor_key, one.creditor_account), []).append(excuse)
    return by_payee


def _with(digest: str, more: Sequence[str]) -> str:
    return sha256("\n".join((digest, *more)).encode()).hexdigest() if more else digest


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()


@dataclass(slots=True)
class ScreenLoader:
    """Reads the lists of a configuration; those in use stay where new ones are not plausible beside them."""

    configuration: Configuration
    taken: dict[str, Taken] = field(default_factory=dict)

    def __call__(self, store: Store) -> ScreenCheck | None:
        """Raises `ScreeningProblems`."""
        settings = self.configuration.screening
        if not settings.lists:
            return None
        screen = load_screen(self.configuration.directory, settings, self.taken)
        self.taken = {one.id: Taken.of(one) for one in screen.lists}
        return ScreenCheck(screen, bounds_of(settings), store)
