"""Which waiting payments go into the next bank message, and when. Pure.

Payments with equal terms share a block [PmtInf]; that is the store's grouping. Here is decided which groups travel together: one
message carries payments of one service level and local instrument, because banks route and cut off instant, urgent and normal
payments differently; and it is closed when it is full or when its oldest payment has waited long enough. Nothing is formed
while its window is closed, and nothing waits for company past the cut-off.

Where not everything can leave at once (so many messages may be under way, so many payments are in one), what is urgent goes
first: InstrPrty HIGH and the service levels URGP and SDVA, then what has the earliest cut-off, then what waits longest. What has
waited for `STARVING` after it could have left goes before all of these, the longest-waiting first: so nothing starves. A night
before a closed window is no such wait. Before all stands what is urgent and would miss its cut-off within `LAST_CALL`, which
holds up the others for no longer than that.

A request to a bank that answers at once has one head for all of its payments: there each group travels alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.send_window import SendWindow, Standing
from gateway.store.records import PlannedBlock, WaitingGroup

BLOCKS_MAX = 1_000  # in one message; keeps one transaction of the store small
NEVER_OPEN = timedelta(days=1)  # until settings that close every day are looked at again
STARVING = timedelta(minutes=5)  # after a payment was due it gives way to nothing any more
LAST_CALL = timedelta(minutes=5)  # before its cut-off what is urgent waits for nothing, and for nobody
_URGENT: Final = frozenset({"URGP", "SDVA"})
_NO_CUT_OFF: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`blocks` of one message to form now (payment_information_id still without its message's prefix), or when to look again."""

    blocks: tuple[PlannedBlock, ...] = ()
    look_again_at: datetime | None = None


def plan_message(
    groups: Sequence[WaitingGroup],
    *,
    message_id: str,
    transfers_max: int,
    wait: timedelta,
    now: datetime,
    window: SendWindow | None = None,
    lead: timedelta = timedelta(0),
    groups_apart: bool = False,
) -> Plan:
    """The next message of a connection: one at a time; call again until nothing is due.

    `groups` come longest-waiting first; their kinds are served in the order of `_place`. From `lead` before the cut-off of its
    `window` on, a kind is formed at once. `groups_apart`: each group is a kind of its own, so that a message has one block.
    """
    look_again: list[datetime] = []
    by_kind: dict[tuple[object, ...], list[WaitingGroup]] = {}
    for group in groups:
        by_kind.setdefault((*_kind(group), group.terms_id if groups_apart else None), []).append(group)
    standings: dict[tuple[object, ...], Standing] = {}
    for kind, alike in by_kind.items():
        if window is not None and kind[:-1] not in standings:
            standings[kind[:-1]] = window.standing(alike[0].terms.payment_type, now)
    ordered = sorted(by_kind.items(), key=lambda item: _place(item[1], now, wait, standings.get(item[0][:-1])))
    for kind, alike in ordered:
        oldest = min(group.oldest_at for group in alike)
        due = oldest + wait
        if window is not None:
            standing = standings[kind[:-1]]
            if not standing.open:
                look_again.append(standing.opens_at or now + NEVER_OPEN)
                continue
            if standing.closes_at is not None:
                due = min(due, standing.closes_at - lead)
        full = sum(group.count for group in alike) >= transfers_max
        # Stored further ahead than a payment ever waits: the server's clock was wrong by that much, and company is not worth it.
        if full or due <= now or oldest - now > wait:
            alike.sort(key=lambda group: _place([group], now, wait, standings.get(_kind(group))))
            return Plan(blocks=_fill(alike, message_id, transfers_max))
        look_again.append(due)
    return Plan(look_again_at=min(look_again, default=None))


def _place(
    alike: Sequence[WaitingGroup], now: datetime, wait: timedelta, standing: Standing | None
) -> tuple[int, datetime, datetime]:
    """Where groups of one kind stand in the order; see the module."""
    oldest = min(group.oldest_at for group in alike)
    urgent = any(_is_urgent(group) for group in alike)
    opening = None if standing is None else standing.opening
    cut_off = _NO_CUT_OFF if opening is None else opening.closes_at
    if urgent and cut_off - now <= LAST_CALL:
        return 0, cut_off, oldest
    could_leave = oldest + wait if opening is None else max(oldest + wait, opening.opens_at)
    if could_leave + STARVING <= now:
        return 1, oldest, oldest
    return 2 if urgent else 3, cut_off, oldest


def _is_urgent(group: WaitingGroup) -> bool:
    kind = group.terms.payment_type
    return kind is not None and (kind.instruction_priority == "HIGH" or kind.service_level in _URGENT)


def _kind(group: WaitingGroup) -> tuple[str | None, ...]:
    payment_type = group.terms.payment_type
    if payment_type is None:
        return (None,)
    return (
        payment_type.service_level,
        payment_type.service_level_proprietary,
        payment_type.local_instrument,
        payment_type.local_instrument_proprietary,
    )


def _fill(groups: Sequence[WaitingGroup], message_id: str, transfers_max: int) -> tuple[PlannedBlock, ...]:
    blocks: list[PlannedBlock] = []
    room = transfers_max
    for group in groups[:BLOCKS_MAX]:
        if room == 0:
            break
        take = min(room, group.count)
        room -= take
        name = f"{message_id}-{len(blocks) + 1}"
        blocks.append(PlannedBlock(payment_information_id=name, terms_id=group.terms_id, count=take))
    return tuple(blocks)
