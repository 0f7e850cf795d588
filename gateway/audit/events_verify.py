"""Whether the events of a stream are as they were sealed: the first that is not, and what happened to it.

Seals are checked among themselves first (`SealChain`), and with the lines of the log that tell of them. Then the events are
compared with the leaves, one by one in their order (`Comparer`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.events import NO_SEAL_BEFORE, EventSeal, LoggedEvent, leaf_at, seal_hash, seal_name
from gateway.audit.merkle import HASH_BYTES, root_of
from gateway.audit.verify import Kind

AHEAD: Final = 300  # events and leaves that are looked at beyond one that does not fit


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFault:
    """The first event that does not fit. `number`: its own in its stream; `object_id`: the payment or delivery, "" if that is not
    known."""

    stream: str
    number: int
    object_id: str
    kind: Kind
    text: str


class SealChain:
    """Takes the seals of one stream in their order. `told`: name and hash of the seals that lines of the log tell of, with the
    number of the line. `told_to`: up to this event lines have to tell; of a seal that was made since the line may not have been
    read."""

    def __init__(self, stream: str, told: Mapping[str, tuple[str, int]], told_to: int) -> None:
        self._stream = stream
        self._told = {name: hash_ for name, hash_ in told.items() if name.startswith(f"{stream}:")}
        self._told_to = told_to
        self._bound = 0  # up to this event by the lines: each binds the seals before it
        self._hash = NO_SEAL_BEFORE
        self.sealed = 0  # events
        self.problem: str | None = None

    def take(self, seal: EventSeal) -> None:
        """Goes on with this seal. After a problem it takes no more."""
        if self.problem is None:
            self.problem = self._problem_of(seal)

    def finish(self) -> str | None:
        """What is wrong, after the last seal."""
        if self.problem is None and self._told:
            name, (_, line) = next(iter(self._told.items()))
            self.problem = f"line {line} tells of the seal {name}, and there is no such seal"
        if self.problem is None and self._bound < self._told_to:
            self.problem = f"{self._stream} {self._bound + 1} to {self._told_to}: no line of the log tells of a seal over these"
        return self.problem

    def _problem_of(self, seal: EventSeal) -> str | None:
        where = _span(seal)
        if seal.first_number != self.sealed + 1:
            return f"{where}: the seal before it ends at event {self.sealed}: a seal is missing"
        if seal.event_count < 1 or len(seal.leaves) != seal.event_count * HASH_BYTES:
            return f"{where}: the seal is altered: it has not one leaf for each event"
        if root_of(seal.leaf_data()) != seal.root:
            return f"{where}: the seal is altered: its leaves are not those of its root"
        if seal.previous_hash != self._hash or seal_hash(seal) != seal.hash:
            return f"{where}: the seal is altered: its hash is not what it was made of"
        said = self._told.pop(seal_name(self._stream, seal.first_number), None)
        if said is not None and said[0] != seal.hash.hex():
            return f"{where}: the seal is not the one that line {said[1]} tells of"
        self._bound = self._bound if said is None else seal.last_number
        self._hash, self.sealed = seal.hash, seal.last_number
        return None


def _span(seal: EventSeal) -> str:
    return f"{seal.stream} {seal.first_number} to {seal.last_number}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    number: int
    leaf: bytes
    seal: EventSeal


class Comparer:
    """Takes seals and events of one stream, both in their order and some at a time, and compares them."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._wanted: deque[_Wanted] = deque()
        self._events: deque[LoggedEvent] = deque()
        self.checked = 0
        self.fault: EventFault | None = None

    @property
    def wants_seals(self) -> bool:
        """Whether it cannot go on without the next seal."""
        return len(self._wanted) <= AHEAD

    @property
    def wants_events(self) -> bool:
        """Whether it cannot go on without the next events."""
        return len(self._events) <= AHEAD

    @property
    def done(self) -> bool:
        """Whether every leaf given was compared."""
        return not self._wanted

    @property
    def left(self) -> Sequence[LoggedEvent]:
        """Events that no seal given tells of."""
        return tuple(self._events)

    def take_seal(self, seal: EventSeal) -> None:
        """Goes on with this seal."""
        numbered = enumerate(seal.leaf_data(), seal.first_number)
        self._wanted.extend(_Wanted(number, leaf, seal) for number, leaf in numbered)

    def take_events(self, events: Sequence[LoggedEvent]) -> None:
        """Goes on with these events."""
        self._events.extend(events)

    def compare(self, *, last_seal: bool, last_event: bool) -> None:
        """As far as can be. Whether there are no more seals, or events, to be given."""
        while self._wanted and self.fault is None:
            if (self.wants_seals and not last_seal) or (self.wants_events and not last_event):
                return
            if not self._events:
                self.fault = self._missing(self._wanted[0].number, self._wanted[-1].number)
            elif self._fits(self._events[0], self._wanted[0]):
                self._events.popleft()
                self._wanted.popleft()
                self.checked += 1
            else:
                self.fault = self._fault()

    def _fits(self, event: LoggedEvent, wanted: _Wanted) -> bool:
        return leaf_at(self._stream, event, wanted.seal.salt, wanted.number) == wanted.leaf

    def _fault(self) -> EventFault:
        event, wanted = self._events[0], self._wanted[0]
        written_as = next((other.number for other in self._wanted if self._fits(event, other)), None)
        near = list(self._events)[1 : AHEAD + 1]
        before = next((count for count, other in enumerate(near, 1) if self._fits(other, wanted)), None)
        number, named = wanted.number, f"event {wanted.number}, of {event.object_id or 'nothing that is known'}"
        if written_as is not None and before is not None:
            return self._made(number, event, Kind.REORDERED, f"{named}: reordered: it was sealed as event {written_as}")
        if written_as is not None:
            return self._missing(number, written_as - 1)
        place = _place(event.cursor)
        if place > _place(wanted.seal.last_cursor):  # behind all that this seal is over
            return self._missing(number, max(one.number for one in self._wanted if place > _place(one.seal.last_cursor)))
        if before is not None:
            more = f", and {before - 1} more" if before > 1 else ""
            text = f"inserted: an event of {event.object_id or 'nothing that is known'}{more} stands before event {number}"
            return self._made(number, event, Kind.INSERTED, f"{text}, and was not there when that was sealed")
        return self._made(number, event, Kind.ALTERED, f"{named}: altered: it is not what was sealed")

    def _missing(self, first: int, last: int) -> EventFault:
        which = f"event {first}" if last <= first else f"events {first} to {last}"
        text = f"{which}: missing: sealed, and not there any more"
        return EventFault(stream=self._stream, number=first, object_id="", kind=Kind.MISSING, text=text)

    def _made(self, number: int, event: LoggedEvent, kind: Kind, text: str) -> EventFault:
        return EventFault(stream=self._stream, number=number, object_id=event.object_id, kind=kind, text=text)


def _place(cursor: str) -> tuple[int, ...]:
    """The order of cursors. Those of the store are numbers, or two of them."""
    return tuple(int(part) if part.isdigit() else 0 for part in cursor.split("."))
