"""What rules judge: a payment as it was asked for, and the payments that came before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from formats.model import Account, CreditTransfer, PaymentTerms
from gateway.lifecycle import PaymentState


def account_key(account: Account | None) -> str:
    """An account as rules compare it: its IBAN or its other id, upper case, without blanks; "" for none."""
    if account is None:
        return ""
    return account_key_of(account.iban or account.other_id or "")


def account_key_of(number: str) -> str:
    """An account's number, likewise."""
    return "".join(number.split()).upper()


def entered_by(names: Iterable[str]) -> str | None:
    """People as a payment's `submitted_by` names them: apart by blanks, which no name has; None for nobody."""
    return " ".join(sorted(set(names))) or None


def people_of(submitted_by: str | None) -> tuple[str, ...]:
    """The people whom a payment's `submitted_by` names: more than one where several made the standing order that made it."""
    return tuple((submitted_by or "").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A payment before the judgement. `terms` and `transfer` are what the bank would be told."""

    payment_id: str
    caller: str
    connection_id: str
    submitted_at: datetime
    submitted_by: str | None  # who entered it, where that is known (`people_of`); None: the caller's own system
    terms: PaymentTerms
    transfer: CreditTransfer

    @property
    def debtor_account(self) -> str:
        """The account that pays, as rules compare it."""
        return account_key(self.terms.debtor_account)

    @property
    def creditor_account(self) -> str:
        """The account that is paid, likewise; "" if the payment names none."""
        return account_key(self.transfer.creditor_account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A payment that was judged before, as far as rules look back at it. `state` is where it stands now."""

    payment_id: str
    caller: str
    connection_id: str
    submitted_at: datetime
    debtor_account: str
    creditor_account: str
    creditor_name: str
    creditor_country: str  # of the account's IBAN, else of the agent's BIC, else of the address; "" if none of them tells
    amount: Decimal
    currency: str
    requested_execution_date: date
    end_to_end_id: str
    remittance: str  # the remittance information as one line, blanks folded
    state: PaymentState
