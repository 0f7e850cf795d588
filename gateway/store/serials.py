"""Serial numbers by which a bank knows payments, as the rest of the gateway sees them (`formats.dialogue`).

A number is given to one attempt of a payment, once, before its message is rendered, and stays with it for ever: also when the
message is given up before it left and the payment goes into another one, and after the payment's month was archived. So whatever
a bank says of a number, however late, is about one payment; and no number goes out for two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

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
    asks all the same). `next_ask_at` None: no questions; `asked_at`: the last one, None before it. `end_to_end_id` is "" of an
    archived payment.
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
    asked_at: datetime | None = None
    end_to_end_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAsk:
    """What follows from a question about a number: when to ask next (None: no more), what the bank calls the payment (None: as
    before), and how many questions it was."""

    serial: str
    next_ask_at: datetime | None
    bank_reference: str | None = None
    questions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialNote:
    """What a bank's file says of the payment with this number: what the bank calls it (the last word counts), and which line of a
    statement told that it came back (`gateway.came_back`; the first one stays). None: nothing new."""

    serial: str
    bank_reference: str | None = None
    returned_line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPayment:
    """A payment that went out under a serial number, with what a line of a statement shows of it. Accounts are numbers.

    `executed_on`: the day asked for, or that of the first send where that is later; in the bank's time zone, as `sent_on`.
    """

    payment_id: str
    instruction_id: str
    serial: str
    state: PaymentState
    account: str
    amount: Decimal
    currency: str
    creditor_account: str
    creditor_name: str
    sent_on: date
    executed_on: date
    returned_line: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFilter:
    """Payments first sent on these days, both inclusive, of this currency, with this amount or this creditor's account (None: by
    the amount only)."""

    since: date
    until: date
    currency: str
    amount: Decimal
    creditor_account: str | None

    @property
    def amounts(self) -> tuple[str, ...]:
        """Every way in which a store may have the amount written."""
        whole = self.amount.normalize()
        places = max(0, -int(whole.as_tuple().exponent))
        return tuple(f"{whole:.{more}f}" for more in range(places, places + 5))

    @property
    def account_part(self) -> bytes | None:
        """What stands in the stored transfer if the account does."""
        return self.creditor_account.encode() if self.creditor_account else None


def account_of(terms: PaymentTerms) -> HeldAccount:
    """The debtor's account as banks ask for it."""
    return HeldAccount(
        number=number_of(terms.debtor_account),
        currency=terms.debtor_account.currency or "CNY",
        holder=terms.debtor.name or "",
        bank_code=terms.debtor_agent.clearing_system_member_id,
    )
