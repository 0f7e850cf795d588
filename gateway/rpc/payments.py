"""PaymentService: payments in, and what became of them out."""

# ruff: noqa: N802 - the methods are named by the contract

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Final

from bankgate.v1 import payments_pb2 as pb
from bankgate.v1 import payments_pb2_grpc as services
from bankgate.v1 import types_pb2
from gateway.callers import Caller
from gateway.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, TooMany
from gateway.lifecycle import PaymentState
from gateway.payment import PaymentOrder
from gateway.quotas import Taken
from gateway.rpc.convert import date_of, orders_of
from gateway.rpc.door import Servicer, aware, page_of, streaming, unary
from gateway.rpc.errors import Draining
from gateway.rpc.present import (
    PAYMENT_STATES,
    conflict_message,
    event_message,
    payment_message,
    send_window_message,
    violation_message,
)
from gateway.rpc.present_groups import standing_message
from gateway.rpc.present_recalls import recall_message
from gateway.rpc.present_review import review_message
from gateway.rpc.present_serials import add_serial
from gateway.rpc.sessions import acting_in, in_session
from gateway.store.records import PaymentFilter
from gateway.store.store import OutcomeUnknown

BATCHES_AT_ONCE: Final = 4
"""Batches of one stream that are worked on at the same time: one is being read, one checked, two wait for their commit."""

BATCH_MAX: Final = 1000
REASON_MAX: Final = 500
WARNINGS_MAX: Final = 1000
"""Warnings in one answer to a submission: what was stored must not become an answer that is too large for its client."""

PACE_SECONDS_MAX: Final = 20.0
"""How long a batch of a stream waits for its caller's payments_per_second; beyond that the stream is ended."""

_STATE_OF: Final = {value: state for state, value in PAYMENT_STATES.items()}


class PaymentServicer(Servicer, services.PaymentServiceServicer):
    """The service an ERP talks to; every promise stands in payments.proto."""

    @in_session
    @unary("submit")
    async def SubmitPayments(self, caller: Caller, request: pb.SubmitPaymentsRequest) -> pb.SubmitPaymentsResponse:
        return pb.SubmitPaymentsResponse(payments=await self._submit(caller, request, "unary"))

    @in_session
    @streaming("submit")
    async def SubmitPaymentStream(
        self, caller: Caller, requests: AsyncIterator[pb.SubmitPaymentsRequest]
    ) -> AsyncIterator[pb.SubmitPaymentsAcknowledgement]:
        window: asyncio.Queue[asyncio.Task[pb.SubmitPaymentsAcknowledgement] | None] = asyncio.Queue(BATCHES_AT_ONCE)
        reader = asyncio.create_task(self._read_batches(caller, requests, window))
        try:
            while (batch := await window.get()) is not None:
                yield await batch
            await reader  # raises what ended the reading
            if self.door.drain.started:
                raise Draining
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await _abandon(window)

    @unary("submit")
    async def CheckPayments(self, caller: Caller, request: pb.CheckPaymentsRequest) -> pb.CheckPaymentsResponse:
        on = date_of(request.on) if request.on else None
        if request.on and on is None:
            raise BadRequest("on", "must be a calendar date such as 2026-11-25")
        orders = _orders(request.payments)
        self.door.limits.of(caller.name).check(len(orders), perf_counter())
        violations, conflicts, warnings, windows = await self.gateway.check(caller, orders, on)
        return pb.CheckPaymentsResponse(
            violations=[violation_message(violation) for violation in violations],
            conflicts=[conflict_message(conflict) for conflict in conflicts],
            warnings=[violation_message(warning) for warning in warnings],
            send_windows=[
                pb.CheckedSendWindow(
                    index=index, payment_reference=order.payment_reference, send_window=send_window_message(window)
                )
                for index, (order, window) in enumerate(zip(orders, windows, strict=True))
                if window is not None
            ],
        )

    @unary("read")
    async def GetPayment(self, caller: Caller, request: pb.GetPaymentRequest) -> pb.GetPaymentResponse:
        payment_id, reference = _which(request)
        payment = await self.gateway.payment(caller, payment_id=payment_id, payment_reference=reference)
        shown = payment_message(payment)
        add_serial(shown, await self.gateway.serial_of(payment))
        case = await self.gateway.case_of(payment)
        if case is not None:
            shown.review.CopyFrom(review_message(case))
        shown.recalls.extend(recall_message(recall) for recall in await self.gateway.recalls_of(payment))
        if payment.group is not None and (group := await self.gateway.group_of(payment)) is not None:
            shown.release_group.CopyFrom(standing_message(group, waits=shown.release_group.waits))
        return pb.GetPaymentResponse(payment=shown)

    @unary("read")
    async def ListPayments(self, caller: Caller, request: pb.ListPaymentsRequest) -> pb.ListPaymentsResponse:
        limit, token = page_of(request.page)
        where = PaymentFilter(
            connection_id=request.connection_id or None,
            states=_states(request.states),
            end_to_end_id=request.end_to_end_id or None,
            message_id=request.message_id or None,
            created_from=aware(request.created_from) if request.HasField("created_from") else None,
            created_until=aware(request.created_until) if request.HasField("created_until") else None,
        )
        found, following = await self.gateway.list_payments(caller, where, limit, token)
        return pb.ListPaymentsResponse(payments=[payment_message(p) for p in found], next_page_token=following or "")

    @unary("cancel")
    async def CancelPayment(self, caller: Caller, request: pb.CancelPaymentRequest) -> pb.CancelPaymentResponse:
        payment_id, reference = _which(request)
        if len(request.reason) > REASON_MAX:
            raise BadRequest("reason", f"at most {REASON_MAX} characters")
        payment = await self.gateway.cancel(caller, payment_id=payment_id, payment_reference=reference, reason=request.reason)
        return pb.CancelPaymentResponse(payment=payment_message(payment))

    @unary("cancel")
    async def RecallPayment(self, caller: Caller, request: pb.RecallPaymentRequest) -> pb.RecallPaymentResponse:
        payment_id, reference = _which(request)
        payment, recall = await self.gateway.recall(
            caller, payment_id=payment_id, payment_reference=reference, reason=request.reason, note=request.note
        )
        shown = payment_message(payment)
        shown.recalls.extend(recall_message(one) for one in await self.gateway.recalls_of(payment))
        return pb.RecallPaymentResponse(payment=shown, recall=recall_message(recall))

    @streaming("read")
    async def WatchPaymentEvents(
        self, caller: Caller, request: pb.WatchPaymentEventsRequest
    ) -> AsyncIterator[pb.WatchPaymentEventsResponse]:
        for connection_id in request.connection_ids:
            missing = caller.lacks("read", connection_id)
            if missing is not None:
                raise Forbidden(f"caller {caller.name!r} may not use connection {connection_id!r}", missing)
        events = self.gateway.watch(caller, request.resume_token, tuple(request.connection_ids), request.stop_at_end)
        async for some in self.door.drain.until(events):
            yield pb.WatchPaymentEventsResponse(events=[event_message(event) for event in some])

    # -- submitting --------------------------------------------------------------------------------------------------------

    async def _submit(self, caller: Caller, request: pb.SubmitPaymentsRequest, kind: str) -> list[pb.SubmittedPayment]:
        """Stores the payments of one call or batch. The gateway counts what it stored, this what it refused."""
        started = perf_counter()
        count = len(request.payments)
        taken = await self._admitted(caller, count, PACE_SECONDS_MAX if kind == "stream" else 0.0)
        try:
            person = (await acting_in(self, caller)).person
            submitted = await self.gateway.submit(
                caller, _orders(request.payments), submitted_by=None if person is None else person.name
            )
        except Exception as error:
            if not isinstance(error, OutcomeUnknown):  # then they may be stored, and count
                taken.give_back(count)
            self.door.metrics.submitted(caller.name, "", _refusal(error), len(request.payments))
            raise
        finally:
            self.door.metrics.submit_seconds.labels(kind).observe(perf_counter() - started)
        taken.give_back(sum(payment.already_known for payment in submitted))
        room = WARNINGS_MAX
        answers = []
        for payment in submitted:
            told = payment.warnings[:room]
            room -= len(told)
            answers.append(
                pb.SubmittedPayment(
                    payment_reference=payment.payment_reference,
                    payment_id=payment.payment_id,
                    state=PAYMENT_STATES[payment.state],
                    already_known=payment.already_known,
                    warnings=[violation_message(warning) for warning in told],
                    send_window=send_window_message(payment.window),
                )
            )
        return answers

    async def _admitted(self, caller: Caller, count: int, patience: float) -> Taken:
        """Takes so many payments of the caller's day and of its second. Raises `LimitReached`, `StoreUnavailable`."""
        allowance = self.door.limits.of(caller.name)
        taken = await self.door.quotas.take(caller.name, allowance.settings.payments_per_day, count, self.door.clock())
        try:
            wait = allowance.check(count, perf_counter(), patience=patience)
            if wait > 0:  # a stream is slowed down where a call is refused: its window is full, and no more of it is read
                await asyncio.sleep(wait)
        except BaseException:
            taken.give_back(count)
            raise
        return taken

    async def _read_batches(
        self,
        caller: Caller,
        requests: AsyncIterator[pb.SubmitPaymentsRequest],
        window: "asyncio.Queue[asyncio.Task[pb.SubmitPaymentsAcknowledgement] | None]",
    ) -> None:
        """Starts work on batches as they come, never more than the window holds. None ends the window.

        Once stopping begins no further batch is started; those that were are finished and acknowledged.
        """
        stopping = asyncio.create_task(self.door.drain.wait())
        number = 0
        following: asyncio.Future[pb.SubmitPaymentsRequest | None] | None = None
        try:
            while True:
                following = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    break
                request = following.result()
                if request is None:
                    break
                batch = asyncio.create_task(self._batch(caller, number, request))
                try:
                    await window.put(batch)
                except asyncio.CancelledError:
                    batch.cancel()
                    raise
                number += 1
        finally:
            stopping.cancel()
            if following is not None:  # nobody reads on, whatever ended the reading; its own end is of no interest then
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            await window.put(None)

    async def _batch(self, caller: Caller, number: int, request: pb.SubmitPaymentsRequest) -> pb.SubmitPaymentsAcknowledgement:
        """One batch's acknowledgement. Errors that are about this batch alone are part of it; others end the stream."""
        answer = pb.SubmitPaymentsAcknowledgement(batch=number)
        try:
            answer.payments.extend(await self._submit(caller, request, "stream"))
        except Invalid as error:
            answer.violations.extend(violation_message(violation) for violation in error.violations)
        except Conflict as error:
            answer.conflicts.extend(conflict_message(conflict) for conflict in error.conflicts)
        except (TooMany, Forbidden, NotFound, BadRequest) as error:
            answer.error = str(error)
        return answer


def _refusal(error: Exception) -> str:
    """The outcome under which payments are counted that were not stored."""
    match error:
        case Invalid() | TooMany() | BadRequest():
            return "invalid"
        case Conflict():
            return "conflict"
        case Forbidden() | NotFound():
            return "forbidden"
    return "failed"


async def _abandon(window: "asyncio.Queue[asyncio.Task[pb.SubmitPaymentsAcknowledgement] | None]") -> None:
    """Stops work whose acknowledgement nobody will read. What is committed stays; the caller repeats the rest."""
    left = []
    while not window.empty():
        batch = window.get_nowait()
        if batch is not None:
            batch.cancel()
            left.append(batch)
    await asyncio.gather(*left, return_exceptions=True)


def _orders(requests: Sequence[types_pb2.PaymentRequest]) -> list[PaymentOrder]:
    """The orders of one call. Raises `TooMany` before anything is looked at, and `BadRequest` for a call without payments."""
    if len(requests) > BATCH_MAX:
        raise TooMany(f"{len(requests)} payments in one call; at most {BATCH_MAX} are taken")
    if not requests:
        raise BadRequest("payments", "at least one payment is needed")
    return orders_of(requests)


def _which(request: pb.GetPaymentRequest | pb.CancelPaymentRequest | pb.RecallPaymentRequest) -> tuple[str | None, str | None]:
    by = request.WhichOneof("by")
    if by is None or not getattr(request, by):
        raise BadRequest("payment_id", "give payment_id or payment_reference")
    return (request.payment_id, None) if by == "payment_id" else (None, request.payment_reference)


def _states(values: Sequence[int]) -> tuple[PaymentState, ...]:
    for place, value in enumerate(values):
        if value not in _STATE_OF:
            raise BadRequest(f"states[{place}]", "is not a state this service knows")
    return tuple(_STATE_OF[value] for value in values)  # type: ignore[index]
