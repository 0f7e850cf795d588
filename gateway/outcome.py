"""Recording what an attempt to send came to.

Two rules. What the channel told us is never thrown away: if the row has moved on meanwhile (the lane was taken over while this
process was stopped), the word is applied to where the message stands now. And an answer about a repeat is no answer about the
attempt before it: while the bank may have an earlier one, "not sent" and "refused" leave the message in doubt, because payments
that are held or tried anew by a new message would be paid twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from channels.channel import Guarantee, Receipt, Refused
from gateway import discrepancies as say
from gateway.connection import Connection
from gateway.discrepancies import Origin
from gateway.lifecycle import DELIVERY_TABLE, PAYMENT_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, PaymentState, advance
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryChange, Evidence, NewDiscrepancy, Reason
from gateway.store.store import Clock, Stale, Store, StoreUnavailable
from gateway.telemetry import Metrics

log = structlog.get_logger("delivery")

RECORD_AGAIN = timedelta(seconds=1)  # between attempts to write down an outcome while the store cannot be written
STALE_RETRIES = 5


@dataclass(slots=True)
class Recorder:
    """Writes the outcomes of one connection's attempts. `sending` is the delivery as the attempt's start left it."""

    store: Store
    connection: Connection
    clock: Clock
    metrics: Metrics
    jitter: random.Random = field(default_factory=random.Random)

    @property
    def origin(self) -> Origin:
        return Origin(connection_id=self.connection.id, inbound_file_id=0, source="gateway")

    async def persistently(self, record: Callable[[], Awaitable[None]], until: float) -> None:
        """Runs `record` until the store takes it, at the longest until that moment of the loop's clock: a full disk must not
        cost us the bank's receipt. Raises `StoreUnavailable` then; the message is found sending, and doubted."""
        while True:
            try:
                await record()
            except StoreUnavailable:
                if asyncio.get_running_loop().time() >= until:
                    raise
                log.warning("outcome_not_recorded_yet", connection=self.connection.id)
                await asyncio.sleep(RECORD_AGAIN.total_seconds())
            else:
                return

    # -- what the channel said -----------------------------------------------------------------------------------------

    async def confirmed(self, sending: Delivery, receipt: Receipt) -> None:
        """The other side has it."""
        evidence = Evidence(found_at=receipt.at, source=receipt.evidence, verdict="arrived", detail=receipt.detail)
        try:
            why = ours("waits-for-release" if receipt.waits else "confirmed")
            await self.arrived(sending, DeliveryEvent.CONFIRMED, evidence, why)
        except Stale:
            await self._confirmed_late(sending, evidence)

    async def not_sent(self, sending: Delivery, why: str, *, doubted: bool) -> None:
        """Nothing of this attempt left us. `doubted`: an attempt before it may have arrived."""
        due = self.clock() + self.backoff(sending.attempt)
        if doubted:
            await self.lost_track(sending, why, due)
            return
        retry = self.connection.settings.retry
        try:
            ready = await self.change(
                sending,
                DeliveryEvent.NOT_SENT,
                ours("not-sent", why),
                outcome="not_sent",
                due_at=due if sending.attempt < retry.attempts_max else None,
                detail=why,
            )
        except Stale:
            await self._settle_late(sending, DeliveryEvent.FOUND_MISSING, ours("not-sent", why), "not_sent", why, due_at=due)
            return
        if sending.attempt >= retry.attempts_max:
            await self.give_up(ready, why)

    async def give_up(self, ready: Delivery, why: str) -> None:
        """Ends a message that was tried so often, and none of whose attempts left us."""
        await self.change(
            ready,
            DeliveryEvent.ABANDON,
            ours("gave-up", why),
            outcome="abandoned",
            payment_event=PaymentEvent.HOLD,
            payment_reason=ours("gave-up", why),
            discrepancies=(say.gave_up(self.origin, ready, why),),
        )

    async def refused(self, sending: Delivery, outcome: Refused, *, doubted: bool) -> None:
        """The bank's door said no to this attempt. `doubted`: an attempt before it may have arrived."""
        why = f"{outcome.code}: {outcome.text}"
        if doubted:
            await self.lost_track(sending, why, None, (say.refused_in_doubt(self.origin, sending, why),))
            return
        told = (say.refused(self.origin, sending, why),)
        try:
            await self.change(
                sending,
                DeliveryEvent.REFUSED,
                ours("refused", why),
                outcome="refused",
                detail=why,
                payment_event=PaymentEvent.MESSAGE_REFUSED,
                payment_reason=ours("refused", why),
                discrepancies=told,
            )
        except Stale:
            await self._settle_late(
                sending,
                DeliveryEvent.REFUSED,
                ours("refused", why),
                "refused",
                why,
                payment_event=PaymentEvent.MESSAGE_REFUSED,
                discrepancies=told,
            )

    async def lost_track(
        self,
        delivery: Delivery,
        why: str,
        due_at: datetime | None,
        discrepancies: tuple[NewDiscrepancy, ...] = (),
        *,
        taken_over: bool = False,
    ) -> None:
        """The bank may have it. `due_at`: when to do something about that (None: news or a person will tell). `taken_over`: it is
        not its sender that says so; that one may only be stopped, and go on until its lease ends, which therefore stays noted."""
        await self.change(
            delivery,
            DeliveryEvent.LOST_TRACK,
            ours("in-doubt", why),
            outcome="in_doubt",
            due_at=due_at,
            detail=why,
            discrepancies=discrepancies,
            lease_until=delivery.lease_until if taken_over else None,
        )

    async def arrived(
        self,
        delivery: Delivery,
        event: DeliveryEvent,
        evidence: Evidence,
        reason: Reason,
        discrepancies: tuple[NewDiscrepancy, ...] = (),
    ) -> None:
        """The bank has it: the delivery is sent, and so are its payments."""
        await self.change(
            delivery,
            event,
            reason,
            outcome="sent",
            evidence=(evidence,),
            detail=evidence.detail,
            payment_event=PaymentEvent.MESSAGE_SENT,
            payment_reason=ours("sent"),
            discrepancies=discrepancies,
        )

    async def postponed(self, ready: Delivery, opens_at: datetime) -> None:
        """Its window is closed: it waits for the next one, and says until when."""
        zone = self.connection.time_zone
        until = f"{opens_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"
        await self.change(
            ready, DeliveryEvent.POSTPONED, ours("window-closed", until), outcome="postponed", due_at=opens_at, detail=until
        )

    async def give_up_stopped(self, ready: Delivery) -> None:
        """Ends a message that must not leave, because one of its payments may have been executed by an earlier message.

        If it never was under way its other payments go into another message; else they are held, like all that may be there, and
        a person is told.
        """
        held = ready.attempt > 0
        await self.change(
            ready,
            DeliveryEvent.ABANDON,
            ours("stopped"),
            outcome="abandoned",
            payment_event=PaymentEvent.HOLD if held else PaymentEvent.UNBATCH,
            payment_reason=ours("stopped"),
            discrepancies=(say.gave_up(self.origin, ready, "stopped: see the payment that may be paid twice"),) if held else (),
        )

    # -- what it said too late -----------------------------------------------------------------------------------------

    async def _confirmed_late(self, sending: Delivery, evidence: Evidence) -> None:
        """A receipt is proof wherever the message stands now. If it was sent again meanwhile, a person has to know."""
        for _ in range(STALE_RETRIES):
            now = await self.store.delivery(sending.delivery_id)
            if now is None:
                return
            again = now.attempt > sending.attempt and self.connection.guarantee is not Guarantee.IDEMPOTENT
            told = (say.sent_twice(self.origin, now, sending.attempt),) if again else ()
            if now.state in {DeliveryState.REFUSED, DeliveryState.ABANDONED}:
                told = (*told, say.unexpected_delivery(self.origin, now))
            if now.state is DeliveryState.SENT:
                await self.store.add_evidence(now.delivery_id, (evidence,), None)
                await self.store.add_discrepancies(told)
                return
            try:
                await self.arrived(now, DeliveryEvent.FOUND, evidence, ours("found", evidence.detail), told)
            except Stale:
                continue
            return

    async def _settle_late(
        self,
        sending: Delivery,
        event: DeliveryEvent,
        reason: Reason,
        outcome: str,
        why: str,
        *,
        due_at: datetime | None = None,
        payment_event: PaymentEvent | None = None,
        discrepancies: tuple[NewDiscrepancy, ...] = (),
    ) -> None:
        """Ends a doubt that somebody else had about this very attempt; a later attempt, or an end, is not touched.

        An end that says the bank has this very attempt was a person's, or another's who is wrong as well: somebody has to know.
        """
        now = await self.store.delivery(sending.delivery_id)
        if now is None or now.attempt != sending.attempt:
            return
        evidence = Evidence(found_at=self.clock(), source="channel", verdict="did_not_arrive", detail=why)
        if now.state is DeliveryState.SENT:
            await self.store.add_evidence(now.delivery_id, (evidence,), None)
            await self.store.add_discrepancies([say.decision_contradicted(self.origin, now, why)])
        if now.state is not DeliveryState.IN_DOUBT:
            return
        await self.change(
            now,
            event,
            reason,
            outcome=outcome,
            due_at=due_at,
            evidence=(evidence,),
            detail=why,
            payment_event=payment_event,
            payment_reason=reason,
            discrepancies=discrepancies,
        )

    # -- shared --------------------------------------------------------------------------------------------------------

    async def change(
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
        lease_until: datetime | None = None,
    ) -> Delivery:
        """One compare-and-set, counted and logged. Raises `Stale`."""
        changed = await self.store.change_delivery(
            DeliveryChange(
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
                lease_until=lease_until,
            )
        )
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

    def backoff(self, attempt: int) -> timedelta:
        """Doubles from the first pause up to the longest, with full jitter on the upper half."""
        retry = self.connection.settings.retry
        pause = min(retry.longest_seconds, retry.first_seconds * 2 ** min(attempt - 1, 20))
        return timedelta(seconds=pause * (0.5 + self.jitter.random() / 2))
