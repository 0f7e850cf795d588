"""What is left of a payment whose month was archived: enough to say what late news of the bank is about."""

from dataclasses import dataclass

from gateway.lifecycle import PaymentState


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedPayment:
    """One such payment. `state`: its last."""

    payment_id: str
    payment_reference: str
    state: PaymentState
    end_to_end_id: str | None
