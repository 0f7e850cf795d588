"""The process that talks to banks: judges payments, forms, seals and sends messages; fetches, opens and applies answers.

It holds the private keys of the connections; `serve` does not. Two lanes a connection, each with a channel of its own: one
sends, one fetches, so that neither waits for the other. One lane for all of them judges payments (`gateway.review`), one makes
those of standing orders.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from channels.channel import Channel
from gateway import clock
from gateway.alarms import Alarms, Queue
from gateway.approvers import warn_at_start
from gateway.checkpoints import Checkpointer, signer_of
from gateway.config import Configuration, ConnectionSettings
from gateway.connection import Connection, certificate_ends, open_connection, stored_keys
from gateway.delivery import Courier
from gateway.dialogue.channel import DialogueChannel
from gateway.engine.factory import engine_of
from gateway.in_force import InForce, process_name
from gateway.intake import Intake
from gateway.key_watch import KeyWatch
from gateway.lanes import PLANS_LANE, REVIEW_LANE, fetch_lane
from gateway.memory import calm_collector
from gateway.plan_lane import PlanLane
from gateway.prepare import Preparer
from gateway.recall_lane import Recaller
from gateway.rescreening import Rescreener
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.review_gate import Gate
from gateway.rpc.forms import order_of_form
from gateway.sealing import Sealer
from gateway.started import tell_start
from gateway.store.factory import open_store
from gateway.store.store import Clock, Store
from gateway.telemetry import Metrics, metrics
from gateway.use_cases.payments import Payments
from gateway.window_settings import send_window
from keys.profiles import check_key_stores, parse_profile
from keys.seal import KeyUnavailable

log = structlog.get_logger("worker")

READ_AGAIN = timedelta(minutes=1)  # where the bank is only asked on request, and a file of it could not be read yet
GAUGES_EVERY = timedelta(seconds=15)
QUEUES_EVERY = timedelta(minutes=1)
NOTES_EVERY = timedelta(hours=1)
NOTES_AT_ONCE = 1000  # of one transaction
COUNT_PAUSE = timedelta(seconds=1)  # at most this long a full message goes unnoticed while others still join it


@dataclass(slots=True)
class SendLane:
    """Everything outbound of one connection."""

    courier: Courier
    preparer: Preparer
    recaller: Recaller | None = None
    not_before: datetime | None = None

    async def pump(self) -> datetime | None:
        """Doubts what others left sending, forms what is due, advances what is due; when to come back."""
        await self.courier.recover()
        if self.recaller is not None:
            await self.recaller.form()
        look_again = await self._form()
        next_due = await self.courier.advance_due()
        if self.recaller is not None:
            await self.recaller.tell()
        return min((moment for moment in (look_again, next_due) if moment is not None), default=None)

    async def _form(self) -> datetime | None:
        """Forms messages, but while payments wait for company it does not count them anew at every submit that wakes the lane."""
        now = self.courier.clock()
        if self.not_before is not None and now < self.not_before:
            return self.not_before
        look_again = await self.preparer.form_messages()
        wait = timedelta(seconds=self.courier.connection.settings.batching.wait_seconds)
        if look_again is None or look_again <= now + wait:
            self.not_before = None if look_again is None else min(look_again, now + min(COUNT_PAUSE, wait / 4))
            return self.not_before
        self.not_before = min(look_again, now + COUNT_PAUSE)  # nothing fills up: a window is closed, or too much is under way
        return look_again


@dataclass(slots=True)
class FetchLane:
    """Everything inbound of one connection."""

    intake: Intake
    clock: Clock
    every: timedelta
    next_question: Callable[[], Awaitable[datetime | None]] | None = None  # of a bank that answers at once

    async def pump(self) -> datetime | None:
        """Fetches and reads; when to fetch next, None if only on request."""
        await self.intake.fetch()
        waiting = await self.intake.read_waiting()
        every = self.every or (READ_AGAIN if waiting else timedelta(0))
        following = self.clock() + every if every else None
        question = None if self.next_question is None else await self.next_question()
        return min((moment for moment in (following, question) if moment is not None), default=None)


class Worker:
    """The lanes of every connection of a configuration, over one store."""

    def __init__(
        self, configuration: Configuration, store: Store, *, now: Clock = clock.now, measures: Metrics | None = None
    ) -> None:
        self._store = store
        self._clock = now
        self._metrics = measures or metrics()
        self._channels: list[Channel] = []
        self._sending: dict[str, SendLane] = {}
        self._fetching: dict[str, FetchLane] = {}
        self._connections: list[Connection] = []
        self.in_force = InForce(store, process_name("worker"), now)
        self._checks = checks_of(configuration, store, self.in_force)
        windows = {one.id: window for one in configuration.connections.values() if (window := send_window(one)) is not None}
        rescreener = Rescreener(store, now, configuration.screening.rescreen_days)
        self._reviewer = Reviewer(store, self._checks, now, self._metrics, windows, rescreener)
        self._alarms: list[Alarms] = []
        signer = signer_of(configuration.audit, configuration.directory)
        self._checkpoints = Checkpointer(store, configuration.audit, now, signer)
        waited = self._metrics.audit_unsealed_seconds
        self._sealer = Sealer(store, configuration.audit, now, lambda stream, seconds: waited.labels(stream).set(seconds))
        self._notes_kept = timedelta(days=configuration.retention.upload_notes_days)
        for settings in configuration.connections.values():
            self._add(open_connection(settings, configuration.directory, now))
        payments = Payments(configuration, store, clock=now, metrics=self._metrics)
        self._plans = PlanLane(configuration, store, payments, order_of_form, now)

    def _add(self, connection: Connection) -> None:
        self._connections.append(connection)
        self._alarms.append(Alarms(self._store, connection.settings, connection.window, self._clock, self._metrics))
        outward, inward = connection.channel(self._store), connection.channel(self._store)
        self._channels += [outward, inward]
        gate = Gate(self._store, connection.id, lambda: self._checks.configured)
        preparer = Preparer(self._store, connection, self._clock, self._metrics, gate=gate)
        courier = Courier(self._store, connection, outward, preparer, self._clock, self._metrics)
        recaller = Recaller(self._store, connection, self._clock)
        self._sending[connection.id] = SendLane(courier, preparer, recaller)
        intake = Intake(self._store, connection, inward, self._clock, self._metrics)
        every = timedelta(seconds=connection.settings.schedule.fetch_seconds)
        questions = inward.next_due if isinstance(inward, DialogueChannel) else None
        self._fetching[fetch_lane(connection.id)] = FetchLane(intake, self._clock, every, questions)

    @property
    def lanes(self) -> tuple[str, ...]:
        return (*self._sending, *self._fetching, REVIEW_LANE, PLANS_LANE)

    async def pump(self, lane: str) -> datetime | None:
        """One turn of one lane; at most one at a time per lane, which the engine sees to."""
        if lane == PLANS_LANE:
            return await self._plans.pump()
        if lane in self._sending:
            return await self._sending[lane].pump()
        if lane == REVIEW_LANE:
            return await self._reviewer.pump()
        return await self._fetching[lane].pump()

    async def wake_all(self) -> None:
        """Looks at every lane once, as after a start."""
        for lane in self.lanes:
            await self._store.wake_lane(lane)

    def wind_down(self) -> None:
        """Begins no more sends: what is due stays due for the next start. What is under way is finished."""
        self._reviewer.winding_down = True
        for lane in self._sending.values():
            lane.courier.winding_down = True

    def check_key_stores(self) -> None:
        """Raises `KeyUnavailable` if a key store that the connections use does not open whole: nothing starts over one."""
        by_base: dict[Path, list[ConnectionSettings]] = {}
        for connection in self._connections:
            by_base.setdefault(connection.base, []).append(connection.settings)
        problems: list[str] = []
        for base, group in by_base.items():
            routes = [reference for settings in group for reference in stored_keys(settings)]
            problems += check_key_stores((parse_profile(settings.seal) for settings in group), base, routes)
        if problems:
            raise KeyUnavailable("the key store does not open whole: " + "; ".join(problems))

    async def set_gauges(self) -> None:
        """Brings the metrics of every connection up to date."""
        now = self._clock()
        self._metrics.feed_held_up_seconds.set((await self._store.horizon_age()).total_seconds())
        for connection in self._connections:
            self._metrics.health(connection.id, await self._store.health(connection.id), now)
            for name, not_after in certificate_ends(connection.settings, connection.base):
                self._metrics.certificate(connection.id, name, not_after, now)

    async def check_queues(self) -> None:
        """Tells of what waits too long, and of how much is under way; and wakes the lanes of what waits although it may move.

        Whatever gives a lane something to do wakes it in the same transaction. Should such a wake be lost all the same (jobs
        deleted by hand, a table restored without the others), payments wait this long, and not for ever. Files that are not read
        wait for the next fetch: banks are not to be asked more often than agreed.
        """
        for connection, alarms in zip(self._connections, self._alarms, strict=True):
            waiting = await alarms.check()
            if waiting & {Queue.RELEASE_GROUP, Queue.APPROVED, Queue.READY, Queue.IN_DOUBT}:
                await self._store.wake_lane(connection.id)
            if Queue.IN_REVIEW in waiting:
                await self._store.wake_lane(REVIEW_LANE)

    async def make_checkpoint(self) -> None:
        """Of the audit log, where one is due; before it, seals over the events."""
        await self._sealer.seal_due()
        await self._checkpoints.make_if_due()

    async def forget_notes(self) -> None:
        """Removes what channels remember of uploads that ended long ago."""
        before = self._clock() - self._notes_kept
        while await self._store.forget_upload_notes(before, limit=NOTES_AT_ONCE) == NOTES_AT_ONCE:
            pass

    async def close(self) -> None:
        """Ends the channels' connections."""
        for channel in self._channels:
            await channel.close()
        await self._checks.close()


async def run_worker(configuration: Configuration, stop: asyncio.Event) -> None:
    """Runs until `stop` is set, then finishes what is under way."""
    store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
    await store.open()
    worker = Worker(configuration, store)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    engine = engine_of(configuration, store, worker.lanes, owner=owner, report=_report)
    calm_collector()
    try:
        worker.check_key_stores()
        await tell_start(store, configuration, "worker", worker.in_force)
        keys = KeyWatch(configuration, store, worker.in_force)
        await keys.look()
        await warn_at_start(configuration, store, clock.now())
        await worker.wake_all()
        async with keys.running(), asyncio.TaskGroup() as group:
            running = group.create_task(engine.run(worker.pump))
            gauges = group.create_task(_every(GAUGES_EVERY, worker.set_gauges))
            queues = group.create_task(_every(QUEUES_EVERY, worker.check_queues))
            notes = group.create_task(_every(NOTES_EVERY, worker.forget_notes))
            checkpoints = group.create_task(_every(QUEUES_EVERY, worker.make_checkpoint))
            await stop.wait()
            worker.wind_down()
            await engine.stop()
            await running
            gauges.cancel()
            queues.cancel()
            notes.cancel()
            checkpoints.cancel()
    finally:
        await worker.close()
        await store.close()


async def _every(pause: timedelta, task: Callable[[], Awaitable[None]]) -> None:
    """A measure that cannot be taken (a locked database, a certificate file being renewed) ends nothing, least of all a send."""
    while True:
        try:
            await task()
        except Exception as fault:  # reported, and measured again after the pause
            _report("gauges", fault)
        await asyncio.sleep(pause.total_seconds())


def _report(lane: str, fault: Exception) -> None:
    """A turn of a lane failed; the engine turns it again, later each time."""
    log.error("lane_failed", lane=lane, exc_info=fault)
