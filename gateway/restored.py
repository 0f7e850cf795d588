"""After a backup was restored: nothing leaves on the word of a database that does not know its own last hours.

What happened after the backup is forgotten here, and not at the bank. A message that was ready then may have been sent since; an
approved payment may have gone out in a message whose very name is unknown now. So before the first worker starts everything that
could still leave is stopped, and a person compares with the bank:

- a sealed message that is ready or being sent comes into doubt, and like one that was in doubt it is stopped: the bank is asked
  and its news is heard, but it is never sent again by itself, also where the guarantee would allow it, since its payments may
  have gone in another message since;
- a message that was not sealed yet is given up; if it was sealed and sent since, news of its message id still proves it, and
  where its payments have serial numbers, the bank is asked about these;
- payments that wait, and those of these messages, are held;
- standing orders are paused: a payment that one made after the backup would be made again. What fell due since then is skipped.

Readers of events have seen some that are forgotten here. Their cursors are refused, and never mean an event that comes later.

Serial numbers given after the backup are unknown as well: what the chance is that one of them is given again, and when it is
none, stands in `gateway.serial_numbers`.

What was submitted after the backup is unknown as a whole: callers must not submit it again before it was compared with the bank's
statements. That cannot be done from here; the discrepancies say it.

May be run again: what is stopped stays so.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.lifecycle import DELIVERY_TABLE, PAYMENT_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, PaymentState, advance
from gateway.store.plans import Plan, PlanState, PlanWrite
from gateway.store.records import (
    Delivery,
    DeliveryChange,
    DeliveryFilter,
    HoldBack,
    NewDiscrepancy,
    Payment,
    PaymentChange,
    PaymentFilter,
    Reason,
)
from gateway.store.serials import SerialAsk
from gateway.store.store import Store

PAGE: Final = 500
_LATER: Final = datetime(2200, 1, 1, tzinfo=UTC)
RESTORED: Final = Reason(code="bankgate.restored")
_D, _F, _P = DeliveryState, DeliveryEvent, PaymentState
_MAY_LEAVE: Final = (_P.RECEIVED, _P.AWAITING_APPROVAL, _P.APPROVED)


@dataclass(slots=True)
class Report:
    """What was stopped."""

    in_doubt: int = 0
    abandoned: int = 0
    held: int = 0
    paused: int = 0  # standing orders
    connections: tuple[str, ...] = ()


@dataclass(slots=True)
class _Restored:
    store: Store
    source: str
    backup_of: str
    clock: Callable[[], datetime]
    report: Report = field(default_factory=Report)
    touched: Counter[str] = field(default_factory=Counter)

    async def deliveries(self) -> None:
        token: str | None = None
        while True:
            where = DeliveryFilter(states=(_D.READY, _D.SENDING, _D.IN_DOUBT))
            page, token = await self.store.list_deliveries(where, limit=PAGE, before=token)
            for delivery in page:
                await self._delivery(delivery)
            if token is None:
                return

    async def _delivery(self, delivery: Delivery) -> None:
        self.touched[delivery.connection_id] += 1
        if delivery.state is _D.READY and delivery.document_id is None:
            await self._change(delivery, _F.ABANDON, payment_event=PaymentEvent.HOLD)
            await self._ask_about(delivery)
            self.report.abandoned += 1
            self.report.held += delivery.payment_count
            return
        if delivery.state is _D.READY and delivery.stopped:
            return  # it is given up by the worker, and cannot start
        if delivery.state is _D.READY:
            detail = f"not by us: it may have been sent after the backup ({self.backup_of})"
            given: dict[str, object] = {"lease_until": self.clock(), "sent_on": delivery.creation_date_time.date()}
            delivery = await self._change(delivery, _F.STARTED, attempt_detail=detail, **given)
        if delivery.state is _D.SENDING:
            delivery = await self._change(delivery, _F.LOST_TRACK, due_at=self.clock())
        self.report.in_doubt += 1
        await self._hold(PaymentFilter(delivery_id=delivery.delivery_id, states=(_P.BATCHED,)), delivery)

    async def _ask_about(self, delivery: Delivery) -> None:
        """Numbers that were given before the backup may have gone out after it."""
        given = await self.store.serials_of(delivery.delivery_id)
        asks = [SerialAsk(serial=one.serial, next_ask_at=self.clock(), questions=0) for one in given]
        await self.store.ask_serials(delivery.connection_id, asks)

    async def _change(self, delivery: Delivery, event: DeliveryEvent, **given: object) -> Delivery:
        return await self.store.change_delivery(
            DeliveryChange(
                delivery_id=delivery.delivery_id,
                fence=delivery.fence,
                state=delivery.state,
                event=event,
                next_state=advance(DELIVERY_TABLE, delivery.state, event),
                reason=RESTORED,
                payment_reason=RESTORED,
                source=self.source,
                **given,  # type: ignore[arg-type]
            )
        )

    async def payments(self) -> None:
        await self._hold(PaymentFilter(states=_MAY_LEAVE), None)

    async def _hold(self, where: PaymentFilter, delivery: Delivery | None) -> None:
        """Holds what the filter finds, page by page: what is held lies behind and is not searched again. The first one stops its
        message."""
        stop = delivery is not None and not delivery.stopped
        token: str | None = None
        while True:
            page, following = await self.store.list_payments(where, limit=PAGE, before=token)
            if not page:
                return
            if stop and delivery is not None:
                told = self._told(delivery)
                hold = HoldBack(payment_id=page[0].payment_id, reason=RESTORED, source=self.source, held=told, left=told)
                await self.store.change_payments((), holds=(hold,))
                stop = False
                continue  # it may have changed the payment
            await self.store.change_payments([self._held(payment) for payment in page])
            self.report.held += len(page)
            self.touched.update(payment.connection_id for payment in page)
            if following is None:
                return
            token = following

    async def standing_orders(self) -> None:
        """Active ones are looked at some day; paused ones too, which then are passed over."""
        seen = 0
        while len(found := await self.store.due_plans(_LATER, seen + PAGE)) > seen:
            for plan in found[seen:]:
                if plan.state is PlanState.ACTIVE:
                    await self._pause(plan)
            seen = len(found)

    async def _pause(self, plan: Plan) -> None:
        write = PlanWrite(
            key=plan.key,
            state=PlanState.PAUSED,
            content=plan.content,
            changed_by=self.source,
            reason=f"a backup of {self.backup_of} was restored",
            version=plan.version,
            look_at=plan.look_at,
        )
        await self.store.put_plan(write)
        self.report.paused += 1

    def _held(self, payment: Payment) -> PaymentChange:
        return PaymentChange(
            payment_id=payment.payment_id,
            version=payment.version,
            event=PaymentEvent.HOLD,
            state=advance(PAYMENT_TABLE, payment.state, PaymentEvent.HOLD),
            reason=RESTORED,
            source=self.source,
        )

    def _told(self, delivery: Delivery) -> NewDiscrepancy:
        return NewDiscrepancy(
            key=f"restored:{delivery.delivery_id}",
            connection_id=delivery.connection_id,
            kind="restored",
            summary_en=f"A backup was restored: message {delivery.message_id} may have been sent after it. It is stopped and in"
            " doubt: ask the bank whether it has it, and resolve the delivery.",
            summary_zh=f"已恢复备份：报文 {delivery.message_id} 可能在备份之后已发出，现已停止并标为存疑；请向银行核实后裁定。",
            evidence=json.dumps({"message_id": delivery.message_id, "backup_of": self.backup_of}, ensure_ascii=False),
            delivery_id=delivery.delivery_id,
        )

    async def tell(self) -> None:
        """Each connection concerned, once a backup."""
        self.report.connections = tuple(sorted(self.touched))
        await self.store.add_discrepancies(
            [
                NewDiscrepancy(
                    key=f"restored:{connection_id}:{self.backup_of}",
                    connection_id=connection_id,
                    kind="restored",
                    summary_en=f"A backup of {self.backup_of} was restored. What was submitted, sent and answered since is not"
                    " known here: compare the account's statements and the callers' books before anything is submitted again.",
                    summary_zh=f"已恢复 {self.backup_of} 的备份，其后提交、发送及应答的情况在此未知；"
                    "重新提交前，请自该时点起核对账户对账单与调用方账目。",
                    evidence=json.dumps({"backup_of": self.backup_of}, ensure_ascii=False),
                )
                for connection_id in self.report.connections
            ]
        )


async def after_restore(store: Store, *, by: str, backup_of: str, clock: Callable[[], datetime]) -> Report:
    """Stops what may have left since the backup. Raises `StoreUnavailable`, and `Stale` if anybody else is at work already."""
    await store.leave_out_numbers()  # before the first event of ours
    work = _Restored(store, f"person: {by}", backup_of, clock)
    await work.deliveries()
    await work.payments()
    await work.standing_orders()
    await work.tell()
    return work.report
