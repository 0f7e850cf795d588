"""Advancing one bank message by one step, without ever paying twice (design, section 5).

* The intent to send is committed before the first byte leaves; every later write is a compare-and-set on (id, fence, state).
* A message found SENDING by a process that did not start that attempt is in doubt: a state, not a retry.
* Out of doubt leads only: evidence that the bank has it; proof that it never will (a final answer of a QUERYABLE bank, after a
  quiet time longer than the longest send); a repeat under IDEMPOTENT; or a person.
"""

import asyncio
import random
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from channels.channel import Channel, Fate, FateReport, Guarantee, InDoubt, NotSent, Parcel, Refused
from gateway import discrepancies as say
from gateway.connection import Connection
from gateway.discrepancies import Origin
from gateway.lifecycle import (
    DELIVERY_TABLE,
    PAYMENT_TABLE,
    DeliveryEvent,
    DeliveryState,
    PaymentEvent,
    PaymentState,
    advance,
)
from gateway.prepare import Preparer
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryChange, DeliveryFilter, Evidence, NewDiscrepancy, Reason
from gateway.store.store import Clock, Stale, Store
from gateway.telemetry import Metrics
from keys.seal import SealError

log = structlog.get_logger("delivery")

KEY_RETRY = timedelta(minutes=1)


@dataclass(slots=True)
class Courier:
    """Advances the deliveries of one connection. One per lane; `started` names the attempts this very process has under way."""

    store: Store
    connection: Connection
    channel: Channel
    preparer: Preparer
    clock: Clock
    metrics: Metrics
    jitter: random.Random = field(default_factory=random.Random)
    started: set[tuple[str, int]] = field(default_factory=set)

    async def recover(self) -> None:
        """Called when the lane was taken: whatever is SENDING was started by somebody who is gone or paused. In doubt."""
        token: str | None = None
        where = _sending(self.connection.id)
        while True:
            found, token = await self.store.list_deliveries(where, limit=100, before=token)
            for delivery in found:
                if (delivery.delivery_id, delivery.attempt) not in self.started:
                    await self._lost_track(delivery, "found sending when the lane was taken over")
            if token is None:
                return

    async def advance_due(self) -> datetime | None:
        """Advances everything due by one step; when to come back, None if nothing is pending by time."""
        for delivery in await self.store.due_deliveries(self.connection.id, self.clock()):
            try:
                await self.advance(delivery)
            except Stale:
                continue  # somebody else moved it; drop what we know and look again
        return await self._next_due()

    async def advance(self, delivery: Delivery) -> None:
        """One step for one message."""
        if delivery.state is DeliveryState.READY:
            if delivery.document_id is None:
                await self._prepare_and_send(delivery)
            else:
                await self._send(delivery, DeliveryEvent.STARTED)
        elif delivery.state is DeliveryState.SENDING:
            if (delivery.delivery_id, delivery.attempt) not in self.started:
                await self._lost_track(delivery, "its lease expired")
        elif delivery.state is DeliveryState.IN_DOUBT:
            await self._doubt(delivery)

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _prepare_and_send(self, delivery: Delivery) -> None:
        try:
            prepared = await self.preparer.seal_document(delivery)
        except SealError as problem:
            # Nothing has left; the message waits for the operator, who sees why.
            await self.store.add_discrepancies([say.key_unavailable(self._origin(), f"{delivery.delivery_id}", str(problem))])
            await self.store.add_evidence(delivery.delivery_id, (), self.clock() + KEY_RETRY)
            log.warning("key_unavailable", connection=self.connection.id, delivery=delivery.delivery_id)
            return
        if prepared is not None:
            await self._send(prepared, DeliveryEvent.STARTED)

    async def _send(self, delivery: Delivery, event: DeliveryEvent) -> None:
        lease = timedelta(seconds=self.connection.settings.retry.lease_seconds)
        sending = await self.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=event,
                next_state=advance(DELIVERY_TABLE, delivery.state, event),
                reason=ours("send-again") if event is DeliveryEvent.SEND_AGAIN else Reason(),
                lease_until=self.clock() + lease,
            )
        )
        # From here on the bank may have it, whatever happens to this process.
        mark = (sending.delivery_id, sending.attempt)
        self.started.add(mark)
        try:
            await self._carry(sending, lease)
        finally:
            self.started.discard(mark)

    async def _carry(self, sending: Delivery, lease: timedelta) -> None:
        try:
            with self.metrics.stage(self.connection.id, "send"):
                async with asyncio.timeout(lease.total_seconds() * 0.8):
                    receipt = await self.channel.send(self._parcel(sending))
        except NotSent as outcome:
            await self._not_sent(sending, str(outcome))
        except Refused as outcome:
            await self._refused(sending, outcome)
        except InDoubt as outcome:
            await self._lost_track(sending, str(outcome))
        except TimeoutError:
            await self._lost_track(sending, "the send took longer than its lease allows")
        except Exception as fault:  # a channel that breaks its promise: the bank may have the message
            self._broken_promise("send", sending, fault)
            await self._lost_track(sending, f"unforeseen {type(fault).__name__}")
        else:
            evidence = Evidence(found_at=receipt.at, source=receipt.evidence, verdict="arrived", detail=receipt.detail)
            await self._arrived(sending, DeliveryEvent.CONFIRMED, evidence, ours("confirmed"))

    def _parcel(self, delivery: Delivery) -> Parcel:
        document_id, sha256, size = delivery.document_id, delivery.document_sha256, delivery.document_size
        assert document_id is not None and sha256 is not None and size is not None  # noqa: S101, PT018 - READY with a document

        def chunks() -> AsyncIterator[bytes]:
            return self.store.document_chunks(document_id)

        return Parcel(name=delivery.file_name, size=size, sha256=sha256, chunks=chunks, key=delivery.message_id)

    async def _arrived(self, delivery: Delivery, event: DeliveryEvent, evidence: Evidence, reason: Reason) -> None:
        await self._change(
            delivery,
            event,
            reason,
            outcome="sent",
            evidence=(evidence,),
            detail=evidence.detail,
            payment_event=PaymentEvent.MESSAGE_SENT,
            payment_reason=ours("sent"),
        )

    async def _not_sent(self, delivery: Delivery, why: str) -> None:
        retry = self.connection.settings.retry
        if delivery.attempt < retry.attempts_max:
            due = self.clock() + self._backoff(delivery.attempt)
            await self._change(
                delivery, DeliveryEvent.NOT_SENT, ours("not-sent", why), outcome="not_sent", due_at=due, detail=why
            )
            return
        ready = await self._change(delivery, DeliveryEvent.NOT_SENT, ours("not-sent", why), outcome="not_sent", detail=why)
        await self._change(
            ready,
            DeliveryEvent.ABANDON,
            ours("gave-up", why),
            outcome="abandoned",
            payment_event=PaymentEvent.HOLD,
            payment_reason=ours("gave-up", why),
            discrepancies=(say.gave_up(self._origin(), delivery, why),),
        )

    async def _refused(self, delivery: Delivery, outcome: Refused) -> None:
        why = f"{outcome.code}: {outcome.text}"
        await self._change(
            delivery,
            DeliveryEvent.REFUSED,
            ours("refused", why),
            outcome="refused",
            detail=why,
            payment_event=PaymentEvent.MESSAGE_REFUSED,
            payment_reason=ours("refused", why),
            discrepancies=(say.refused(self._origin(), delivery, why),),
        )

    async def _lost_track(self, delivery: Delivery, why: str) -> None:
        await self._change(
            delivery,
            DeliveryEvent.LOST_TRACK,
            ours("in-doubt", why),
            outcome="in_doubt",
            due_at=self.clock() + self._first_question(),
            detail=why,
        )

    # -- doubt ---------------------------------------------------------------------------------------------------------

    async def _doubt(self, delivery: Delivery) -> None:
        if self.connection.guarantee is Guarantee.IDEMPOTENT:
            if delivery.attempt < self.connection.settings.retry.attempts_max:
                await self._send(delivery, DeliveryEvent.SEND_AGAIN)
            else:
                await self.store.add_evidence(delivery.delivery_id, (), None)  # bounded: now it waits for news or a person
            return
        try:
            report = await self.channel.fate(self._parcel(delivery))
        except Exception as fault:  # asking failed: that says nothing about the message
            self._broken_promise("fate", delivery, fault)
            report = FateReport(fate=Fate.UNKNOWN, evidence="gateway", detail=f"unforeseen {type(fault).__name__}")
        evidence = Evidence(found_at=self.clock(), source=report.evidence, verdict=report.fate.value, detail=report.detail)
        if report.fate is Fate.ARRIVED:
            await self._arrived(delivery, DeliveryEvent.FOUND, evidence, ours("found", report.detail))
        elif report.fate is Fate.DID_NOT_ARRIVE and self._absence_counts(delivery):
            await self._change(
                delivery,
                DeliveryEvent.FOUND_MISSING,
                ours("found-missing", report.detail),
                outcome="found_missing",
                evidence=(evidence,),
                due_at=self.clock(),
            )
        else:
            await self._ask_again(delivery, evidence)

    def _absence_counts(self, delivery: Delivery) -> bool:
        """ "Not there" is proof only where the bank promised that it is final, and after the quiet time."""
        settings = self.connection.settings.guarantee
        if self.connection.guarantee is not Guarantee.QUERYABLE or not settings.absence_is_final:
            return False
        since = delivery.doubt_since or delivery.updated_at
        return self.clock() - since >= timedelta(seconds=settings.quiet_seconds)

    async def _ask_again(self, delivery: Delivery, evidence: Evidence) -> None:
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
        await self.store.add_evidence(delivery.delivery_id, (evidence,) if new else (), due)

    def _first_question(self) -> timedelta:
        if self.connection.guarantee is Guarantee.IDEMPOTENT:
            return self._backoff(1)
        return timedelta(seconds=min(1.0, self.connection.settings.schedule.ask_seconds))

    # -- shared --------------------------------------------------------------------------------------------------------

    async def _change(
        self,
        delivery: Delivery,
        event: DeliveryEvent,
        reason: Reason,
        *,
        outcome: str,
        due_at: datetime | None = None,
        evidence: tuple[Evidence, ...] = (),
        detail: str = "",
        payment_event: PaymentEvent | None = None,
        payment_reason: Reason | None = None,
        discrepancies: tuple[NewDiscrepancy, ...] = (),
    ) -> Delivery:
        change = DeliveryChange(
            delivery_id=delivery.delivery_id,
            fence=delivery.fence,
            state=delivery.state,
            event=event,
            next_state=advance(DELIVERY_TABLE, delivery.state, event),
            reason=reason,
            due_at=due_at,
            evidence=evidence,
            attempt_detail=detail,
            payment_event=payment_event,
            payment_reason=payment_reason or Reason(),
            discrepancies=discrepancies,
        )
        changed = await self.store.change_delivery(change)
        self.metrics.delivery(self.connection.id, outcome)
        if payment_event is not None:
            following = PAYMENT_TABLE[PaymentState.BATCHED, payment_event]
            self.metrics.state_changes(self.connection.id, following, delivery.payment_count)
        log.info(
            "delivery",
            connection=self.connection.id,
            delivery=delivery.delivery_id,
            message_id=delivery.message_id,
            attempt=delivery.attempt,
            outcome=outcome,
            reason=reason.code,
        )
        return changed

    def _broken_promise(self, operation: str, delivery: Delivery, fault: Exception) -> None:
        """Where in our code, and what kind; never the text of the fault, which may quote the bank."""
        trace = traceback.extract_tb(fault.__traceback__)
        place = f"{trace[-1].filename.rpartition('/')[2]}:{trace[-1].lineno}" if trace else ""
        log.warning(
            "channel_fault",
            connection=self.connection.id,
            delivery=delivery.delivery_id,
            operation=operation,
            fault=type(fault).__name__,
            place=place,
        )

    def _backoff(self, attempt: int) -> timedelta:
        """Doubles from the first pause up to the longest, with full jitter on the upper half."""
        retry = self.connection.settings.retry
        pause = min(retry.longest_seconds, retry.first_seconds * 2 ** min(attempt - 1, 20))
        return timedelta(seconds=pause * (0.5 + self.jitter.random() / 2))

    def _origin(self) -> Origin:
        return Origin(connection_id=self.connection.id, inbound_file_id=0, source="gateway")

    async def _next_due(self) -> datetime | None:
        where = replace(_sending(self.connection.id), states=(DeliveryState.READY, DeliveryState.IN_DOUBT))
        found, _ = await self.store.list_deliveries(where, limit=1000)
        return min((d.due_at for d in found if d.due_at is not None), default=None)


def _sending(connection_id: str) -> DeliveryFilter:
    return DeliveryFilter(connection_id=connection_id, states=(DeliveryState.SENDING,))
