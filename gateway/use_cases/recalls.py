"""Recalling payments that the bank has: asking it to cancel them (camt.055), and what it answered."""

from gateway.callers import Caller
from gateway.errors import BadRequest, TooLate
from gateway.payment import new_payment_id
from gateway.recall import NOTE_MAX, REASONS
from gateway.recall_ways import no_way
from gateway.store.recalls import OVER, RECALLABLE, NewRecall, Recall
from gateway.store.records import Payment
from gateway.store.store import Stale
from gateway.use_cases.payments import Payments


class Recalls(Payments):
    """The use cases of a caller that wants money back."""

    async def recall(
        self,
        caller: Caller,
        *,
        payment_id: str | None = None,
        payment_reference: str | None = None,
        reason: str,
        note: str = "",
    ) -> tuple[Payment, Recall]:
        """Asks the bank to cancel a payment that it has. A second call is answered with the first recall, unless that one was
        refused or never reached the bank. The payment's state stays. Raises BadRequest, NotFound, Forbidden, TooLate."""
        self._authorise(caller, "cancel")
        payment = await self._payment_of(caller, "cancel", payment_id, payment_reference)
        if reason not in REASONS:
            raise BadRequest("reason", f"is no code of ExternalCancellationReason1Code: {', '.join(sorted(REASONS))}")
        if len(note) > NOTE_MAX:
            raise BadRequest("note", f"at most {NOTE_MAX} characters")
        known = await self._store.recalls_of(payment.payment_id)
        if known and known[0].state not in OVER:
            return payment, known[0]
        settings = self._configuration.connections.get(payment.connection_id)
        if (why := no_way(settings, payment.connection_id)) is not None:
            raise TooLate(why, payment.state.value)
        try:
            recall, _ = await self._store.request_recall(
                NewRecall(
                    recall_id=f"R{new_payment_id()}",
                    payment_id=payment.payment_id,
                    connection_id=payment.connection_id,
                    reason=reason,
                    note=note,
                    requested_by=caller.actor,
                    audit=(self._line(caller, "payment.recalled", "payment", payment.payment_id, reason=reason),),
                )
            )
        except Stale:
            states = ", ".join(sorted(state.value for state in RECALLABLE))
            early = "cancel it" if payment.delivery_id is None else "wait until the bank has it"
            raise TooLate(
                f"the payment is {payment.state.value}; only one that is {states} can be recalled (before that: {early})",
                payment.state.value,
            ) from None
        return payment, recall

    async def recalls_of(self, payment: Payment) -> list[Recall]:
        """Of a payment of the caller's, newest first."""
        return await self._store.recalls_of(payment.payment_id)
