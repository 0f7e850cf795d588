"""Whether the events in a store, and in its archives, are as they were sealed: for `bankgate audit verify`."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gateway.audit.chain import moment_text
from gateway.audit.events import EventSeal, LoggedEvent, Stream, reason_code
from gateway.audit.events_verify import Comparer, EventFault, SealChain
from gateway.store import codec
from gateway.store.archive_files import MANIFEST, BadArchive, digest, rows_of, verify
from gateway.store.seals import ArchivedMonth, SealStore

EVENTS: Final = 5_000  # in one go
SEALS: Final = 20


@dataclass(slots=True)
class StreamReport:
    """What was found of one stream, in numbers of events. `archived`: sealed ones whose archive was not given; `never_sealed`:
    ones that were archived before seals were made; `unsealed_since`: of the oldest that is not sealed yet."""

    sealed: int = 0
    checked: int = 0
    archived: int = 0
    never_sealed: int = 0
    unsealed: int = 0
    unsealed_since: datetime | None = None
    fault: EventFault | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether all that was looked at is as it was sealed."""
        return self.fault is None and not self.problems


async def newest_seals(store: SealStore) -> dict[Stream, int]:
    """Up to which event each stream is sealed. Asked for before the log is read, whose lines then tell of all of these seals; the
    seals are read after it, so that there is one for each line."""
    found = {stream: await store.last_seal(stream) for stream in Stream}
    return {stream: seal.last_number if seal else 0 for stream, seal in found.items()}


async def check_events(
    store: SealStore, told_to: Mapping[Stream, int], told: Mapping[str, tuple[str, int]], archives: Path | None
) -> dict[Stream, StreamReport]:
    """`told`: the seals that the log tells of. `archives`: the directory of `bankgate store archive`; None: archived events are
    left out, and counted."""
    gone = {one.month: one for one in await store.archived_months()}
    return {stream: await _Check(store, stream, told_to[stream], gone, archives).check(told) for stream in Stream}


@dataclass(slots=True)
class _Check:
    store: SealStore
    stream: Stream
    told_to: int
    gone: Mapping[str, ArchivedMonth]
    archives: Path | None
    report: StreamReport = field(default_factory=StreamReport)

    async def check(self, told: Mapping[str, tuple[str, int]]) -> StreamReport:
        chain, by_month = SealChain(self.stream, told, self.told_to), Counter[str]()
        async for seal in self._seals(lambda _: True, codec.CURSOR_MAX):
            chain.take(seal)
            by_month[seal.month] += seal.event_count
        self.report.sealed = chain.sealed
        if (problem := chain.finish()) is not None:
            self.report.problems.append(problem)
            return self.report
        if self.stream is Stream.PAYMENTS:
            for month in self.gone.values():
                await self._archived(month, by_month[month.month])
        left = await self._compare(self._seals(lambda seal: seal.month not in self.gone, self.report.sealed), self._events())
        if left:
            self.report.unsealed_since = left[0].occurred_at
        self.report.unsealed += len(left)
        return self.report

    async def _archived(self, month: ArchivedMonth, sealed: int) -> None:
        if sealed == 0:
            self.report.never_sealed += month.event_count
        elif sealed != month.event_count:
            text = f"{month.month}: {sealed} events were sealed, and {month.event_count} archived"
            self.report.problems.append(text)
        elif self.archives is None:
            self.report.archived += sealed
        elif self.report.fault is None:
            try:
                directory = archive_of(self.archives, month)
                seals = self._seals(lambda seal: seal.month == month.month, self.report.sealed)
                await self._compare(seals, _in_pieces(_archived_events(directory)))
            except BadArchive as error:
                self.report.problems.append(str(error))

    async def _compare(
        self, seals: AsyncIterator[EventSeal], events: AsyncIterator[Sequence[LoggedEvent]]
    ) -> Sequence[LoggedEvent]:
        """The first events that no seal tells of; the rest of them is counted."""
        comparer, last_seal, last_event = Comparer(self.stream), False, False
        while True:
            comparer.compare(last_seal=last_seal, last_event=last_event)
            if comparer.fault is not None or (comparer.done and last_seal):
                break
            if comparer.wants_seals and not last_seal:
                seal = await anext(seals, None)
                last_seal = seal is None
                if seal is not None:
                    comparer.take_seal(seal)
            else:
                some = await anext(events, None)
                last_event = some is None
                comparer.take_events(some or ())
        self.report.checked += comparer.checked
        self.report.fault = self.report.fault or comparer.fault
        if comparer.fault is not None:
            return ()
        left = comparer.left
        async for some in events:
            if left:
                self.report.unsealed += len(some)
            else:
                left = some
        return left

    async def _seals(self, wanted: Callable[[EventSeal], bool], upto: int) -> AsyncIterator[EventSeal]:
        after = 0
        while found := await self.store.seals(self.stream, after, SEALS):
            for seal in found:
                if seal.first_number > upto:
                    return
                if wanted(seal):
                    yield seal
            after = found[-1].first_number

    async def _events(self) -> AsyncIterator[Sequence[LoggedEvent]]:
        cursor = ""
        while found := await self.store.logged_events(self.stream, cursor, EVENTS):
            yield found
            cursor = found[-1].cursor


def archive_of(archives: Path, month: ArchivedMonth) -> Path:
    """The directory of a month's archive, which was read whole and is the one that the database knows. Raises `BadArchive`."""
    directory = archives / f"bankgate-{month.month}"
    if not (directory / MANIFEST).is_file():
        raise BadArchive(f"{directory}: the archive is missing")
    verify(directory)
    if digest(directory / MANIFEST) != month.manifest_sha256:
        raise BadArchive(f"{directory}: is not the archive by which {month.month} left this database")
    return directory


def archived_event(row: Mapping[str, Any], month: str) -> LoggedEvent:
    """An event of an archive, as the database had it."""
    at, reason = datetime.fromisoformat(row["occurred_at"]), row["reason"] or ""
    states = (row["state"], row["previous_state"] or "", row["message_id"] or "")
    return LoggedEvent(
        cursor=row["cursor"],
        month=month,
        occurred_at=at,
        texts=(row["payment_id"], moment_text(at), *states, reason_code(reason)),
        source=row["source"],
        reason=reason,
    )


def _archived_events(directory: Path) -> Iterator[LoggedEvent]:
    manifest = verify(directory)
    return (archived_event(row, manifest.month) for row in rows_of(directory / manifest.events.file))


async def _in_pieces(events: Iterator[LoggedEvent]) -> AsyncIterator[Sequence[LoggedEvent]]:
    while piece := list(islice(events, EVENTS)):
        yield piece
