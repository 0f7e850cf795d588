"""Advancing one bank message by one step, without ever paying twice (design, section 5).

* The intent to send is committed before the first byte leaves; every later write is a compare-and-set on (id, fence, state).
* A message found SENDING by a process that did not start that attempt is in doubt: a state, not a retry.
* A message starts only while its bank's send window is open, judged by one reading of the clock, the one its attempt starts with.
  What is in doubt is asked about at any hour.
* Out of doubt leads only: evidence that the bank has it; proof that it never will (a final answer of a QUERYABLE bank, after a
  quiet time longer than the longest send; or the channel's own, where what would complete it never left and cannot any more);
  a repeat under IDEMPOTENT; or a person.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from channels.channel import Channel, Fate, FateReport, Guarantee, InDoubt, NotSent, Parcel, Refused
from gateway import discrepancies as say
from gateway.batching import NEVER_OPEN
from gateway.config import LEASE_USED
from gateway.connection import Connection
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, DeliveryState, advance
from gateway.outcome import Recorder
from gateway.prepare import IN_FLIGHT_PAUSE, Preparer
from gateway.reasons import ours
from gateway.send_window import AROUND_THE_CLOCK, Opening, Standing
from gateway.store.records import Delivery, DeliveryChange, DeliveryFilter, Evidence, Reason
from gateway.store.store import Clock, Stale, Store, StoreUnavailable
from gateway.telemetry import Metrics, place_of
from keys.seal import SealError

log = structlog.get_logger("delivery")

PREPARE_AGAIN = timedelta(minutes=1)
STARTS_A_TURN = 100  # messages in one turn of a lane; then it looks anew at what has become due meanwhile
QUESTIONS_A_TURN = 20  # likewise for those in doubt, which come after what may leave: each asks a bank that may not answer


@dataclass(slots=True)
class Courier:
    """Advances the deliveries of one connection. One per lane; `started` names the attempts this very process has under way."""

    store: Store
    connection: Connection
    channel: Channel
    preparer: Preparer
    clock: Clock
    metrics: Metrics
    recorder: Recorder = field(init=False)
    started: set[tuple[str, int]] = field(default_factory=set)
    uptime: Callable[[], float] = time.monotonic  # in seconds; nobody can set it
    doubted: dict[tuple[str, int], float] = field(default_factory=dict)  # since when this process knows of a doubt
    winding_down: bool = False  # finish what is under way and begin nothing

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.store, self.connection, self.clock, self.metrics)

    async def recover(self) -> None:
        """Called when the lane was taken: whatever is SENDING was started by somebody who is gone or paused. In doubt."""
        token: str | None = None
        where = _sending(self.connection.id)
        while True:
            found, token = await self.store.list_deliveries(where, limit=100, before=token)
            for delivery in found:
                if (delivery.delivery_id, delivery.attempt) not in self.started:
                    with suppress(Stale):  # its sender, or the bank's news, was faster
                        await self._lost_track(delivery, "found sending when the lane was taken over", taken_over=True)
            if token is None:
                return

    async def advance_due(self) -> datetime | None:
        """Advances what is due by one step, some of it at a time; when to come back, None if nothing is pending by time."""
        most = self.connection.settings.retry.in_flight_max + STARTS_A_TURN  # so that the one kind never hides the other
        due = await self.store.due_deliveries(self.connection.id, self.clock(), most)
        doubts = [delivery for delivery in due if delivery.state is DeliveryState.IN_DOUBT]
        others = [delivery for delivery in due if delivery.state is not DeliveryState.IN_DOUBT]
        if not doubts and await self._too_many_in_flight():  # what may not start must not hide what could end that
            doubts = await self._doubts_due()
        for delivery in (*others[:STARTS_A_TURN], *doubts[:QUESTIONS_A_TURN]):
            if self.winding_down:
                break
            if delivery.state is DeliveryState.READY and await self._too_many_in_flight():
                continue
            try:
                await self.advance(delivery)
            except Stale:
                continue  # somebody else moved it; drop what we know and look again
        return await self._next_due()

    async def advance(self, delivery: Delivery) -> None:
        """One step for one message."""
        if delivery.state is DeliveryState.READY:
            if delivery.stopped:
                await self.recorder.give_up_stopped(delivery)
            elif delivery.due_at is None and delivery.attempt >= self.connection.settings.retry.attempts_max:
                # Its last attempt was written down, and then the store failed before it was given up.
                await self.recorder.give_up(delivery, delivery.reason.bank_text)
            elif not (standing := await self._standing(delivery, now := self.clock())).open:
                await self.recorder.postponed(delivery, standing.opens_at or now + NEVER_OPEN)
            elif delivery.document_id is None:
                await self._prepare_and_send(delivery)
            elif await self.preparer.may_leave(delivery):
                await self._send(delivery, DeliveryEvent.STARTED)
        elif delivery.state is DeliveryState.SENDING:
            if (delivery.delivery_id, delivery.attempt) not in self.started:
                await self._lost_track(delivery, "its lease expired")
        elif delivery.state is DeliveryState.IN_DOUBT:
            await self._doubt(delivery)

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _prepare_and_send(self, delivery: Delivery) -> None:
        """Whatever goes wrong here, nothing has left: the message waits, somebody is told, and the next one is looked at."""
        try:
            prepared = await self.preparer.seal_document(delivery)
        except SealError as problem:
            told = say.key_unavailable(self.recorder.origin, f"{delivery.delivery_id}", str(problem))
            log.warning("key_unavailable", connection=self.connection.id, delivery=delivery.delivery_id)
        except (Stale, StoreUnavailable):
            raise
        except Exception as fault:  # a fault of ours: noted by its place, tried again, and no obstacle to the others
            told = say.unforeseen(self.recorder.origin, delivery, place_of(fault))
            self._broken_promise("prepare", delivery, fault)
        else:
            if prepared is not None:
                await self._send(prepared, DeliveryEvent.STARTED)
            return
        await self.store.add_discrepancies([told])
        await self.store.add_evidence(delivery.delivery_id, (), self.clock() + PREPARE_AGAIN)

    async def _send(self, delivery: Delivery, event: DeliveryEvent) -> None:
        now = self.clock()
        standing = await self._standing(delivery, now)
        if not standing.open:  # it closed while the message was rendered and sealed, or just now
            opens_at = standing.opens_at or now + NEVER_OPEN
            if event is DeliveryEvent.STARTED:
                await self.recorder.postponed(delivery, opens_at)
            else:
                await self._ask(delivery, not_after=opens_at)
            return
        lease = timedelta(seconds=self.connection.settings.retry.lease_seconds)
        # Counted from before the commit: however long this process is stopped in between, its time is over when others say so.
        ends = asyncio.get_running_loop().time() + lease.total_seconds() * LEASE_USED
        sending = await self.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=event,
                next_state=advance(DELIVERY_TABLE, delivery.state, event),
                reason=ours("send-again") if event is DeliveryEvent.SEND_AGAIN else Reason(),
                lease_until=now + lease,
                **self._first_questions(now),
            )
        )
        # From here on the bank may have it, whatever happens to this process.
        mark = (sending.delivery_id, sending.attempt)
        self.started.add(mark)
        try:
            doubted = event is DeliveryEvent.SEND_AGAIN
            record = await self._carry(sending, ends, standing.closes_at, doubted=doubted)
            await self.recorder.persistently(record, ends + lease.total_seconds() * (1 - LEASE_USED))
        finally:
            self.started.discard(mark)

    def _first_questions(self, now: datetime) -> dict[str, Any]:
        """When a bank that answers at once is first asked about the payments, and which day it is there."""
        manner = self.connection.manner
        if manner is None:
            return {}
        return {"sent_on": now.astimezone(manner.zone).date(), "ask_at": now + manner.ask_after}

    async def _carry(
        self, sending: Delivery, ends: float, closes_at: datetime | None, *, doubted: bool
    ) -> Callable[[], Awaitable[None]]:
        """Hands the parcel to the channel once; how to record what came of it. `closes_at`: the cut-off of its window."""
        recorder = self.recorder
        try:
            if asyncio.get_running_loop().time() >= ends or (sending.lease_until or self.clock()) <= self.clock():
                raise NotSent("this process was stopped for so long that its time was over before the first byte")
            if closes_at is not None and closes_at <= self.clock():
                raise NotSent("this process was stopped, and the bank's send window closed before the first byte")
            with self.metrics.stage(self.connection.id, "send"):
                async with asyncio.timeout_at(ends):
                    receipt = await self.channel.send(self._parcel(sending))
        except NotSent as outcome:
            return partial(recorder.not_sent, sending, str(outcome), doubted=doubted)
        except Refused as outcome:
            return partial(recorder.refused, sending, outcome, doubted=doubted)
        except InDoubt as outcome:
            return partial(self._lost_track, sending, str(outcome))
        except TimeoutError:
            return partial(self._lost_track, sending, "the send took longer than its lease allows")
        except Exception as fault:  # a channel that breaks its promise: the bank may have the message
            self._broken_promise("send", sending, fault)
            return partial(self._lost_track, sending, f"unforeseen {type(fault).__name__}")
        return partial(recorder.confirmed, sending, receipt)

    def _parcel(self, delivery: Delivery) -> Parcel:
        document_id, sha256, size = delivery.document_id, delivery.document_sha256, delivery.document_size
        assert document_id is not None and sha256 is not None and size is not None  # noqa: S101, PT018 - READY with a document

        def chunks() -> AsyncIterator[bytes]:
            return self.store.document_chunks(document_id)

        return Parcel(
            name=delivery.file_name,
            size=size,
            sha256=sha256,
            chunks=chunks,
            key=delivery.message_id,
            message=delivery.message_name,
        )

    async def _lost_track(self, delivery: Delivery, why: str, *, taken_over: bool = False) -> None:
        await self.recorder.lost_track(delivery, why, self.clock() + self._first_question(), taken_over=taken_over)
        self.doubted.setdefault((delivery.delivery_id, delivery.attempt), self.uptime())

    # -- doubt ---------------------------------------------------------------------------------------------------------

    async def _doubt(self, delivery: Delivery) -> None:
        if self.connection.guarantee is Guarantee.IDEMPOTENT and not self._too_early_to_repeat(delivery):
            if delivery.attempt < self.connection.settings.retry.attempts_max and not delivery.stopped:
                await self._send(delivery, DeliveryEvent.SEND_AGAIN)  # in the window; a question need not wait for it
            else:
                # Bounded, and never what was stopped: now it waits for news or a person, who is told.
                await self.store.add_discrepancies([say.still_in_doubt(self.recorder.origin, delivery)])
                await self.store.add_evidence(delivery.delivery_id, (), None)
            return
        await self._ask(delivery)

    def _too_early_to_repeat(self, delivery: Delivery) -> bool:
        """Whether the bank wants more time to pass before it gets the same again; meanwhile it is asked."""
        return self.clock() - (delivery.doubt_since or delivery.updated_at) < self.connection.repeat_after

    async def _ask(self, delivery: Delivery, not_after: datetime | None = None) -> None:
        """Asks the bank's side whether it has the message. `not_after`: when something else than asking is due."""
        try:
            report = await self.channel.fate(self._parcel(delivery))
        except Exception as fault:  # asking failed: that says nothing about the message
            self._broken_promise("fate", delivery, fault)
            report = FateReport(fate=Fate.UNKNOWN, evidence="gateway", detail=f"unforeseen {type(fault).__name__}")
        evidence = Evidence(found_at=self.clock(), source=report.evidence, verdict=report.fate.value, detail=report.detail)
        if report.fate is Fate.ARRIVED:
            await self.recorder.arrived(delivery, DeliveryEvent.FOUND, evidence, ours("found", report.detail))
        elif report.fate is Fate.DID_NOT_ARRIVE and (self._proved(delivery, report) or self._absence_counts(delivery)):
            await self.recorder.change(
                delivery,
                DeliveryEvent.FOUND_MISSING,
                ours("found-missing", report.detail),
                outcome="found_missing",
                evidence=(evidence,),
                due_at=self.clock(),
            )
        else:
            await self._ask_again(delivery, evidence, not_after)

    def _proved(self, delivery: Delivery, report: FateReport) -> bool:
        """The channel's own proof that it cannot arrive any more needs no promise of the bank. Not after a restore: then what the
        proof stands on may be older than what happened."""
        return report.proved and self.connection.guarantee is Guarantee.QUERYABLE and not delivery.stopped

    def _absence_counts(self, delivery: Delivery) -> bool:
        """ "Not there" is proof only where the bank promised that it is final, and after the quiet time.

        It has to have passed by the wall clock since the doubt began, and by this process's own uptime since it knows of that: a
        clock that was set, here or where the doubt was dated, must not cut it short. A process that has just started waits anew.
        Nor must it cut short the wait of a bank that answers at once, in which "no such record" proves nothing.
        """
        settings = self.connection.settings.guarantee
        if self.connection.guarantee is not Guarantee.QUERYABLE or not settings.absence_is_final:
            return False
        asked = self.doubted.setdefault((delivery.delivery_id, delivery.attempt), self.uptime())
        since = delivery.doubt_since or delivery.updated_at
        passed = min(self.clock() - since, timedelta(seconds=self.uptime() - asked))
        quiet = timedelta(seconds=settings.quiet_seconds)
        return passed >= (quiet if self.connection.manner is None else max(quiet, self.connection.manner.not_found_wait))

    async def _ask_again(self, delivery: Delivery, evidence: Evidence, not_after: datetime | None) -> None:
        """Keeps what was heard if it is new, and waits longer the longer the doubt lasts."""
        known = await self.store.evidence(delivery.delivery_id)
        new = not known or (known[-1].source, known[-1].verdict, known[-1].detail) != (
            evidence.source,
            evidence.verdict,
            evidence.detail,
        )
        pause = timedelta(seconds=self.connection.settings.schedule.ask_seconds)
        lasted = self.clock() - (delivery.doubt_since or delivery.updated_at)
        due = self.clock() + max(pause, min(lasted / 4, timedelta(hours=1)))
        due = due if not_after is None else min(due, not_after)
        await self.store.add_evidence(delivery.delivery_id, (evidence,) if new else (), due)

    def _first_question(self) -> timedelta:
        if self.connection.guarantee is Guarantee.IDEMPOTENT and not self.connection.repeat_after:
            return self.recorder.backoff(1)
        return timedelta(seconds=min(1.0, self.connection.settings.schedule.ask_seconds))

    # -- shared --------------------------------------------------------------------------------------------------------

    async def _standing(self, delivery: Delivery, now: datetime) -> Standing:
        """How the window of the message's kind of payment stands. In a bank's quiet hours it is shut."""
        manner, window = self.connection.manner, self.connection.window
        if manner is not None and (ends := manner.quiet_until(now.astimezone(manner.zone))) is not None:
            at = ends.astimezone(UTC)
            return Standing(open=False, opening=Opening(day=ends.date(), opens_at=at, closes_at=at + timedelta(days=1)))
        if window is None:
            return AROUND_THE_CLOCK
        blocks = await self.store.delivery_blocks(delivery.delivery_id)
        # One message carries one kind (gateway.batching); a recall carries no payments.
        return window.standing(blocks[0].terms.payment_type if blocks else None, now)

    async def _doubts_due(self) -> list[Delivery]:
        where = replace(_sending(self.connection.id), states=(DeliveryState.IN_DOUBT,))
        found, _ = await self.store.list_deliveries(where, limit=1000)
        return [one for one in found[::-1] if one.due_at is not None and one.due_at <= self.clock()]

    async def _too_many_in_flight(self) -> bool:
        """Whether so many messages may or may not be at the bank that no other one starts."""
        most = self.connection.settings.retry.in_flight_max
        where = replace(_sending(self.connection.id), states=(DeliveryState.SENDING, DeliveryState.IN_DOUBT))
        found, _ = await self.store.list_deliveries(where, limit=most)
        return len(found) >= most

    def _broken_promise(self, operation: str, delivery: Delivery, fault: Exception) -> None:
        """Where in our code, and what kind; never the text of the fault, which may quote the bank."""
        log.warning(
            "channel_fault",
            connection=self.connection.id,
            delivery=delivery.delivery_id,
            operation=operation,
            fault=place_of(fault),
        )

    async def _next_due(self) -> datetime | None:
        where = replace(_sending(self.connection.id), states=(DeliveryState.READY, DeliveryState.IN_DOUBT))
        found, _ = await self.store.list_deliveries(where, limit=1000)
        # While too many are under way a READY one is looked at after a pause: what is under way ends without waking this lane.
        pause = self.clock() + IN_FLIGHT_PAUSE if await self._too_many_in_flight() else None
        moments: list[datetime] = []
        for one in found:
            due_at = one.due_at
            if one.state is DeliveryState.READY:  # without a moment it is due at once
                due_at = max(filter(None, (due_at or self.clock(), pause)))
            if due_at is not None:
                moments.append(due_at)
        return min(moments, default=None)


def _sending(connection_id: str) -> DeliveryFilter:
    return DeliveryFilter(connection_id=connection_id, states=(DeliveryState.SENDING,))
