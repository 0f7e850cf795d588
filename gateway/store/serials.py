"""Serial numbers by which a bank knows payments, as the rest of the gateway sees them (`formats.dialogue`).

A number is given to one attempt of a payment, once, before its message is rendered, and stays with it for ever: also when the
message is given up before it left and the payment goes into another one, and after the payment's month was archived. So whatever
a bank says of a number, however late, is about one payment; and no number goes out for two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from formats.dialects.facts import number_of
from formats.dialogue import HeldAccount
from formats.model import PaymentTerms
from gateway.lifecycle import PaymentState


class SerialTaken(Exception):
    """A serial number is in use at this connection, for a payment or for a message; nothing was given. Draw others."""

    def __init__(self, serial: str) -> None:
        self.serial = serial
        super().__init__(f"the serial number {serial} is in use at this connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySerials:
    """What rendering a message needs: the number of the whole (None: this bank wants none), and of each payment by the
    instruction id."""

    package: str | None
    by_instruction_id: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSerial:
    """A serial number, the attempt of a payment that has it, and what to know for asking the bank about it.

    `state` is the payment's, its last one where it was archived. `account`: the debtor's, from the payment's terms.
    `first_sent_on`: the day of the first send in the bank's time zone; None before it (a restored backup may not know of it, and
    asks all the same). `next_ask_at` None: no questions.
    """

    instruction_id: str
    payment_id: str
    serial: str
    package: str | None
    delivery_id: str
    message_id: str
    state: PaymentState
    account: HeldAccount
    given_at: datetime
    first_sent_on: date | None
    bank_reference: str | None
    next_ask_at: datetime | None
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAsk:
    """What follows from a question about a number: when to ask next (None: no more), what the bank calls the payment (None: as
    before), and how many questions it was."""

    serial: str
    next_ask_at: datetime | None
    bank_reference: str | None = None
    questions: int = 1


def account_of(terms: PaymentTerms) -> HeldAccount:
    """The debtor's account as banks ask for it."""
    return HeldAccount(
        number=number_of(terms.debtor_account),
        currency=terms.debtor_account.currency or "CNY",
        holder=terms.debtor.name or "",
        bank_code=terms.debtor_agent.clearing_system_member_id,
    )
