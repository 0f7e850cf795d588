"""Where payments and deliveries stand: two tables and one function.

Two rules. First, everything that decides which state follows which stands in this file. Second, a pair of state and event that
is not in a table is illegal: `advance` raises, nothing is changed, and somebody is told.

Theory of operation. Hundreds of payments travel in one delivery. Doubt is about the delivery, verdicts are about payments.
A bank's news about a payment comes late, twice and out of order, so the rows for news form a lattice: from BATCHED on,

    SENT < ACCEPTED < SETTLED < RETURNED        and        SENT < ACCEPTED < REJECTED

and news never moves a payment down. Consistent news therefore ends in the same state in every order. REJECTED together with
SETTLED or RETURNED is a contradiction: it is illegal in either order, the first stays, and a person looks at the discrepancy.

One way leads back from the bank: INSTANT_REFUSED. A payment that asked for instant-else-normal, and whose instant form the bank
provably refused, waits for a message again, once. It is no news of the lattice: whether a rejection is one is decided in
`gateway.fall_back`, and what the bank says of the refused message afterwards moves the payment no more.
`docs/lifecycle.md` is drawn from these tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class PaymentState(StrEnum):
    RECEIVED = "received"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    BATCHED = "batched"
    SENT = "sent"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    RETURNED = "returned"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class PaymentEvent(StrEnum):
    HOLD = "hold"  # policy or a check wants a person to look
    RELEASE = "release"  # a person looked: go on
    REQUIRE_APPROVAL = "require_approval"
    APPROVE = "approve"
    REFUSE = "refuse"  # policy or a person says no
    CANCEL = "cancel"  # the caller changed their mind in time
    BATCH = "batch"  # given a place in a bank message
    UNBATCH = "unbatch"  # the message was abandoned before it left
    MESSAGE_SENT = "message_sent"  # the bank has the message
    MESSAGE_REFUSED = "message_refused"  # the bank's door refused the whole message
    BANK_PENDING = "bank_pending"
    BANK_ACCEPTED = "bank_accepted"
    BANK_SETTLED = "bank_settled"
    BANK_REJECTED = "bank_rejected"
    BANK_RETURNED = "bank_returned"
    INSTANT_REFUSED = "instant_refused"  # the bank's proven refusal of the instant form: once again, as a normal payment


class DeliveryState(StrEnum):
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
    ABANDONED = "abandoned"


class DeliveryEvent(StrEnum):
    STARTED = "started"  # committed before the first byte leaves
    SEND_AGAIN = "send_again"  # the same, out of doubt: only under IDEMPOTENT, where a repeat cannot be executed twice
    CONFIRMED = "confirmed"  # the channel's receipt
    NOT_SENT = "not_sent"  # the channel proved that nothing left
    LOST_TRACK = "lost_track"  # time-out, crash, lease expired: the bank may have it
    FOUND = "found"  # evidence that the bank has it
    FOUND_MISSING = "found_missing"  # proof that it never will
    REFUSED = "refused"  # the bank's door said no
    ABANDON = "abandon"  # given up before it left
    POSTPONED = "postponed"  # the bank's send window is closed: it waits for the next one


class IllegalTransition(Exception):
    """This event is not possible in this state."""

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        self.state = state
        self.event = event
        super().__init__(f"{event.value!r} is not possible in state {state.value!r}")


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

_P, _E = PaymentState, PaymentEvent

PAYMENT_TABLE: Mapping[tuple[PaymentState, PaymentEvent], PaymentState] = {
    # before the bank: decisions
    (_P.RECEIVED, _E.HOLD): _P.HELD,
    (_P.RECEIVED, _E.REQUIRE_APPROVAL): _P.AWAITING_APPROVAL,
    (_P.RECEIVED, _E.APPROVE): _P.APPROVED,
    (_P.RECEIVED, _E.REFUSE): _P.REJECTED,
    (_P.RECEIVED, _E.CANCEL): _P.CANCELLED,
    (_P.HELD, _E.RELEASE): _P.APPROVED,
    (_P.HELD, _E.REQUIRE_APPROVAL): _P.AWAITING_APPROVAL,
    (_P.HELD, _E.REFUSE): _P.REJECTED,
    (_P.HELD, _E.CANCEL): _P.CANCELLED,
    (_P.AWAITING_APPROVAL, _E.APPROVE): _P.APPROVED,
    (_P.AWAITING_APPROVAL, _E.HOLD): _P.HELD,
    (_P.AWAITING_APPROVAL, _E.REFUSE): _P.REJECTED,
    (_P.AWAITING_APPROVAL, _E.CANCEL): _P.CANCELLED,
    (_P.APPROVED, _E.HOLD): _P.HELD,
    (_P.APPROVED, _E.REFUSE): _P.REJECTED,
    (_P.APPROVED, _E.CANCEL): _P.CANCELLED,
    # in a message
    (_P.APPROVED, _E.BATCH): _P.BATCHED,
    (_P.BATCHED, _E.UNBATCH): _P.APPROVED,
    (_P.BATCHED, _E.HOLD): _P.HELD,
    (_P.BATCHED, _E.MESSAGE_REFUSED): _P.HELD,
    (_P.BATCHED, _E.MESSAGE_SENT): _P.SENT,
    (_P.HELD, _E.MESSAGE_SENT): _P.SENT,  # held because its message did not leave, and the bank has it all the same
    (_P.SENT, _E.MESSAGE_SENT): _P.SENT,
    (_P.ACCEPTED, _E.MESSAGE_SENT): _P.ACCEPTED,
    (_P.SETTLED, _E.MESSAGE_SENT): _P.SETTLED,
    (_P.RETURNED, _E.MESSAGE_SENT): _P.RETURNED,
    (_P.REJECTED, _E.MESSAGE_SENT): _P.REJECTED,
    # the bank's news: a lattice
    (_P.SENT, _E.BANK_PENDING): _P.SENT,
    (_P.ACCEPTED, _E.BANK_PENDING): _P.ACCEPTED,
    (_P.SETTLED, _E.BANK_PENDING): _P.SETTLED,
    (_P.RETURNED, _E.BANK_PENDING): _P.RETURNED,
    (_P.REJECTED, _E.BANK_PENDING): _P.REJECTED,
    (_P.SENT, _E.BANK_ACCEPTED): _P.ACCEPTED,
    (_P.ACCEPTED, _E.BANK_ACCEPTED): _P.ACCEPTED,
    (_P.SETTLED, _E.BANK_ACCEPTED): _P.SETTLED,
    (_P.RETURNED, _E.BANK_ACCEPTED): _P.RETURNED,
    (_P.REJECTED, _E.BANK_ACCEPTED): _P.REJECTED,
    (_P.SENT, _E.BANK_SETTLED): _P.SETTLED,
    (_P.ACCEPTED, _E.BANK_SETTLED): _P.SETTLED,
    (_P.SETTLED, _E.BANK_SETTLED): _P.SETTLED,
    (_P.RETURNED, _E.BANK_SETTLED): _P.RETURNED,
    (_P.SENT, _E.BANK_REJECTED): _P.REJECTED,
    (_P.ACCEPTED, _E.BANK_REJECTED): _P.REJECTED,
    (_P.REJECTED, _E.BANK_REJECTED): _P.REJECTED,
    (_P.SENT, _E.BANK_RETURNED): _P.RETURNED,
    (_P.ACCEPTED, _E.BANK_RETURNED): _P.RETURNED,
    (_P.SETTLED, _E.BANK_RETURNED): _P.RETURNED,
    (_P.RETURNED, _E.BANK_RETURNED): _P.RETURNED,
    # back from the bank: not from SETTLED or RETURNED, where money has moved, nor from REJECTED, which callers may act upon
    (_P.SENT, _E.INSTANT_REFUSED): _P.APPROVED,
    (_P.ACCEPTED, _E.INSTANT_REFUSED): _P.APPROVED,
}

_D, _F = DeliveryState, DeliveryEvent

DELIVERY_TABLE: Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (_D.READY, _F.STARTED): _D.SENDING,
    (_D.READY, _F.ABANDON): _D.ABANDONED,
    (_D.READY, _F.POSTPONED): _D.READY,
    (_D.READY, _F.FOUND): _D.SENT,  # proof came although we believed it missing
    (_D.SENDING, _F.CONFIRMED): _D.SENT,
    (_D.SENDING, _F.FOUND): _D.SENT,
    (_D.SENDING, _F.NOT_SENT): _D.READY,
    (_D.SENDING, _F.LOST_TRACK): _D.IN_DOUBT,
    (_D.SENDING, _F.REFUSED): _D.REFUSED,
    (_D.IN_DOUBT, _F.SEND_AGAIN): _D.SENDING,
    (_D.IN_DOUBT, _F.FOUND): _D.SENT,
    (_D.IN_DOUBT, _F.FOUND_MISSING): _D.READY,
    (_D.IN_DOUBT, _F.REFUSED): _D.REFUSED,
    (_D.REFUSED, _F.FOUND): _D.SENT,  # its payments must not be cancelled and submitted anew: the bank executes them
    (_D.ABANDONED, _F.FOUND): _D.SENT,  # likewise
    (_D.SENT, _F.FOUND): _D.SENT,
    (_D.SENT, _F.CONFIRMED): _D.SENT,
}

NEWS = frozenset({_E.BANK_PENDING, _E.BANK_ACCEPTED, _E.BANK_SETTLED, _E.BANK_REJECTED, _E.BANK_RETURNED})
ATTEMPT_STARTS = frozenset({_F.STARTED, _F.SEND_AGAIN})
NOTHING_GOES_OUT = frozenset({_P.HELD, _P.CANCELLED, _P.REJECTED})  # nor has, by the payment's last message
FINAL_PAYMENT_STATES = frozenset({_P.RETURNED, _P.REJECTED, _P.CANCELLED})
FINAL_DELIVERY_STATES = frozenset({_D.SENT})
UNRESOLVED = frozenset({_D.READY, _D.SENDING, _D.IN_DOUBT})  # the bank is not known to have it, nor never to get it


def advance(table: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """The state that follows, or `IllegalTransition`."""
    following = table.get((state, event))
    if following is None:
        raise IllegalTransition(state, event)
    return following


def moves(table: Mapping[tuple[S, E], S], event: E) -> dict[S, S]:
    """Every state in which the event is possible, with the state that follows: what a set-based update needs."""
    return {state: following for (state, on), following in table.items() if on == event}
