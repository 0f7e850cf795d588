"""Queues in which something waits too long: measured, told once to a person, and resolved by itself when it moves again.

Time in which nothing may move does not count: payments wait for their send window without being late.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from gateway import discrepancies as say
from gateway.banks import bank_of
from gateway.config import ConnectionSettings
from gateway.discrepancies import Origin
from gateway.lifecycle import UNRESOLVED, DeliveryState, PaymentState
from gateway.release_groups import earliest_date
from gateway.send_window import SendWindow
from gateway.store.groups import GroupState
from gateway.store.records import BY_ITSELF, Delivery, DeliveryFilter, Discrepancy
from gateway.store.store import Clock, Stale, Store
from gateway.telemetry import Metrics

READ_MAX = 1_000  # deliveries of a state that are looked at; more are never under way (retry.in_flight_max bounds them)
UNANSWERED_LOOKED_BACK = timedelta(days=30)  # what the bank left unanswered for longer is history, told of long ago
RESOLUTION = "nothing waits there any more for longer than [alarms] allows"


class Queue(StrEnum):
    """Where something can wait."""

    IN_REVIEW = "in_review"  # payments that the rules of this house have not been applied to
    AWAITING_APPROVAL = "awaiting_approval"  # payments that wait for people
    RELEASE_GROUP = "release_group"  # payments that wait for the others of their group
    APPROVED = "approved"  # payments in no message, although their window is open
    READY = "ready"  # messages that have not left, although they may
    IN_DOUBT = "in_doubt"  # messages the bank may or may not have
    UNANSWERED = "unanswered"  # messages the bank has, and of whose payments it has said nothing
    UNREAD = "unread"  # files of the bank, kept and not read


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAge:
    """Since when the oldest of a queue waits, and whether that is longer than `[alarms]` allows. `overdue`: it is too late for
    what was asked for, whatever that allows."""

    queue: Queue
    since: datetime
    late: bool
    delivery_id: str | None = None
    inbound_file_id: int | None = None
    overdue: bool = False


async def queue_ages(store: Store, settings: ConnectionSettings, window: SendWindow | None, now: datetime) -> list[QueueAge]:
    """The queues of a connection in which something waits."""
    found = [
        *await _before_the_bank(store, settings, now),
        await _groups(store, settings, now),
        await _approved(store, settings, window, now),
        await _ready(store, settings.id, now),
        await _in_doubt(store, settings.id),
        await _unanswered(store, settings.id, now),
        await _unread(store, settings.id),
    ]
    return [_judged(one, settings, now) for one in found if one is not None]


def _judged(age: QueueAge, settings: ConnectionSettings, now: datetime) -> QueueAge:
    allowed = float(getattr(settings.alarms, f"{age.queue.value}_seconds"))
    late = allowed > 0 and (age.overdue or now - age.since > timedelta(seconds=allowed))
    return replace(age, late=late)


async def _before_the_bank(store: Store, settings: ConnectionSettings, now: datetime) -> list[QueueAge]:
    """What waits to be judged, and for people: overdue once the day on which it was to be executed is over."""
    found = []
    for state, (since, on) in (await store.waiting_since(settings.id)).items():
        if state is PaymentState.RECEIVED:
            found.append(QueueAge(queue=Queue.IN_REVIEW, since=since, late=False))
            continue
        overdue = on is not None and on < _today(settings, now)
        found.append(QueueAge(queue=Queue.AWAITING_APPROVAL, since=since, late=False, overdue=overdue))
    return found


async def _groups(store: Store, settings: ConnectionSettings, now: datetime) -> QueueAge | None:
    """Release groups that were not released: overdue once a day on which one of their payments was to be executed is over."""
    states = (GroupState.OPEN, GroupState.CLOSED)
    found, _ = await store.release_groups(connection_ids=[settings.id], states=states, limit=READ_MAX)
    if not found:
        return None
    dates = [await earliest_date(store, group) for group in found]
    overdue = any(on is not None and on < _today(settings, now) for on in dates)
    return QueueAge(queue=Queue.RELEASE_GROUP, since=min(one.created_at for one in found), late=False, overdue=overdue)


def _today(settings: ConnectionSettings, now: datetime) -> date:
    return now.astimezone(ZoneInfo(settings.time_zone or bank_of(settings).capabilities.time_zone)).date()


async def _approved(store: Store, settings: ConnectionSettings, window: SendWindow | None, now: datetime) -> QueueAge | None:
    since: list[datetime] = []
    for group in await store.waiting_groups(settings.id):
        may = group.oldest_at + timedelta(seconds=settings.batching.wait_seconds)
        if window is not None:
            standing = window.standing(group.terms.payment_type, now)
            if not standing.open:
                continue
            may = may if standing.opening is None else max(may, standing.opening.opens_at)
        if may <= now:
            since.append(may)
    return QueueAge(queue=Queue.APPROVED, since=min(since), late=False) if since else None


async def _ready(store: Store, connection_id: str, now: datetime) -> QueueAge | None:
    waiting: list[tuple[datetime, Delivery]] = []
    for delivery in await _deliveries(store, connection_id, DeliveryState.READY):
        since = delivery.created_at
        if delivery.reason.code == "bankgate.window-closed" and delivery.due_at is not None:
            since = delivery.due_at
        if since <= now:
            waiting.append((since, delivery))
    return _oldest(Queue.READY, waiting)


async def _in_doubt(store: Store, connection_id: str) -> QueueAge | None:
    found = await _deliveries(store, connection_id, DeliveryState.IN_DOUBT)
    return _oldest(Queue.IN_DOUBT, [(one.doubt_since or one.updated_at, one) for one in found])


async def _unanswered(store: Store, connection_id: str, now: datetime) -> QueueAge | None:
    oldest = await store.oldest_unanswered(connection_id, now - UNANSWERED_LOOKED_BACK)
    if oldest is None:
        return None
    return QueueAge(queue=Queue.UNANSWERED, since=oldest.updated_at, late=False, delivery_id=oldest.delivery_id)


async def _unread(store: Store, connection_id: str) -> QueueAge | None:
    files = await store.unread_inbound(connection_id)
    if not files:
        return None
    first = files[0]
    return QueueAge(queue=Queue.UNREAD, since=first.received_at, late=False, inbound_file_id=first.inbound_file_id)


async def _deliveries(store: Store, connection_id: str, state: DeliveryState) -> list[Delivery]:
    found, _ = await store.list_deliveries(DeliveryFilter(connection_id=connection_id, states=(state,)), limit=READ_MAX)
    return found


def _oldest(queue: Queue, waiting: list[tuple[datetime, Delivery]]) -> QueueAge | None:
    if not waiting:
        return None
    since, delivery = min(waiting, key=lambda one: one[0])
    return QueueAge(queue=queue, since=since, late=False, delivery_id=delivery.delivery_id)


@dataclass(slots=True)
class Alarms:
    """Tells of the late queues of one connection: a metric, and an open discrepancy for as long as it lasts."""

    store: Store
    settings: ConnectionSettings
    window: SendWindow | None
    clock: Clock
    metrics: Metrics
    _open: dict[str, int] | None = field(default=None)  # queue: its open discrepancy, as this process last saw it

    async def check(self) -> frozenset[Queue]:
        """Looks once: the queues in which something waits. Several processes may look at the same connection: each alarm is told
        once all the same."""
        now = self.clock()
        ages = {age.queue: age for age in await queue_ages(self.store, self.settings, self.window, now)}
        for queue in Queue:
            age = ages.get(queue)
            waited = 0.0 if age is None else (now - age.since).total_seconds()
            self.metrics.queue(self.settings.id, queue.value, waited, late=age is not None and age.late)
        under_way = await self.store.list_deliveries(
            DeliveryFilter(connection_id=self.settings.id, states=tuple(UNRESOLVED)), limit=READ_MAX
        )
        self.metrics.in_flight(self.settings.id, len(under_way[0]), self.settings.retry.in_flight_max)
        await self._tell({queue: age for queue, age in ages.items() if age.late}, now)
        return frozenset(ages)

    async def _tell(self, late: Mapping[Queue, QueueAge], now: datetime) -> None:
        if self._open is None:
            self._open = await self._read_open()
        new = [age for queue, age in late.items() if queue.value not in self._open]
        if new:
            origin = Origin(connection_id=self.settings.id, inbound_file_id=0, source="alarms")
            told = [
                say.queue_age(
                    origin,
                    age.queue.value,
                    since=age.since,
                    now=now,
                    delivery_id=age.delivery_id,
                    inbound_file_id=age.inbound_file_id,
                )
                for age in new
            ]
            await self.store.add_discrepancies(told)
            # One that a person resolved while it lasted is not told again: it counts as told until it is over.
            self._open = {**{age.queue.value: 0 for age in new}, **self._open, **await self._read_open()}
        for queue in [queue for queue in self._open if queue not in late]:
            discrepancy_id = self._open.pop(queue)
            if discrepancy_id:
                with suppress(Stale):  # a person, or another process, was faster
                    await self.store.resolve_discrepancy(discrepancy_id, BY_ITSELF, RESOLUTION)

    async def _read_open(self) -> dict[str, int]:
        found: dict[str, int] = {}
        token: str | None = None
        while True:
            page, token = await self.store.list_discrepancies(connection_ids=[self.settings.id], limit=500, before=token)
            found |= {_queue_of(one): one.discrepancy_id for one in page if one.kind == "queue_age"}
            if token is None:
                return found


def _queue_of(alarm: Discrepancy) -> str:
    return str(json.loads(alarm.evidence)["queue"])
