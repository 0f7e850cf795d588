"""Whether a payment is one that a rule is about. There are three answers: an amount without a rate cannot be compared."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from formats.rules.places import creditor_country
from gateway.policy.document import Document, Policies, Rates, Scope, When
from gateway.policy.known import CreditorKey, Known
from gateway.policy.period import bounds
from gateway.policy.subject import Subject

_EXACT: Final = Context(prec=60)  # sums and products of amounts as they may stand in payments, without any rounding


class Match(Enum):
    """Whether a rule is about a payment."""

    YES = "yes"
    NO = "no"
    NO_RATE = "no rate"  # everything else fits, and the document has no rate for the payment's currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One payment before one document. `known` None: while it is found out what has to be looked up."""

    policies: Policies
    document: Document
    subject: Subject
    now: datetime
    known: Known | None = None

    @property
    def zone(self) -> ZoneInfo:
        """By which its days are counted."""
        return self.policies.zone(self.subject.connection_id)

    def in_scope(self) -> bool:
        """Whether the document is about the payment at all."""
        return _in(self.document.scope, self.subject)

    def matches(self, when: When) -> Match:
        """Whether a rule is. Without `known`: whether it may be."""
        amount = self._amount(when)
        fits = amount is not Match.NO and _in(when, self.subject) and self._kind(when) and self._creditor(when)
        return amount if fits and self._beneficiary(when) else Match.NO

    def creditor_key(self) -> CreditorKey | None:
        """What to ask about the creditor's account; None where the payment names none."""
        per, subject = self.document.known_creditors.per, self.subject
        if not subject.creditor_account:
            return None
        return CreditorKey(
            creditor_account=subject.creditor_account,
            connection_id=subject.connection_id if "connection" in per else "",
            caller=subject.caller if "caller" in per else "",
            debtor_account=subject.debtor_account if "debtor_account" in per else "",
        )

    def creditor_is_known(self, known: Known) -> bool:
        """Whether the creditor's account was paid long enough ago. Our own always are, one that is not named never is."""
        if self.subject.creditor_account in self.policies.own_accounts:
            return True
        key = self.creditor_key()
        first = None if key is None else known.first_paid(key)
        if first is None:
            return False
        days = self.document.known_creditors.after_days
        today = bounds("day", self.subject.submitted_at, self.zone)[0].astimezone(self.zone).date()
        return days == 0 or first.astimezone(self.zone).date() <= today - timedelta(days=days)

    def _kind(self, when: When) -> bool:
        kind = self.subject.terms.payment_type
        level = {kind.service_level, kind.service_level_proprietary} if kind else set()
        instrument = {kind.local_instrument, kind.local_instrument_proprietary} if kind else set()
        purpose = {kind.category_purpose, kind.category_purpose_proprietary} if kind else set()
        wanted = ((when.service_levels, level), (when.local_instruments, instrument), (when.category_purposes, purpose))
        return all(allowed is None or not found.isdisjoint(allowed) for allowed, found in wanted)

    def _creditor(self, when: When) -> bool:
        lists, account = self.document.lists, self.subject.creditor_account
        if when.creditor_lists is not None and not any(account in lists[name].members for name in when.creditor_lists):
            return False
        if when.creditor_not_in is not None and any(account in lists[name].members for name in when.creditor_not_in):
            return False
        return when.creditor_countries is None or creditor_country(self.subject.transfer) in when.creditor_countries

    def _beneficiary(self, when: When) -> bool:
        if when.beneficiary is None:
            return True
        own = self.subject.creditor_account in self.policies.own_accounts
        if "own" in when.beneficiary and own:
            return True
        asked = {"new", "known"} & set(when.beneficiary)
        if not asked:
            return False
        if self.known is None:
            return True
        return ("known" if self.creditor_is_known(self.known) else "new") in asked

    def _amount(self, when: When) -> Match:
        transfer = self.subject.transfer
        if when.currencies is not None and transfer.currency not in when.currencies:
            return Match.NO
        if when.currency is None:
            return Match.YES
        amount = converted(transfer.amount, transfer.currency, when.currency, self.document.rates if when.convert else None)
        if amount is None:
            return Match.NO_RATE if when.convert else Match.NO
        above = when.amount_above is None or amount > when.amount_above
        return Match.YES if above and (when.amount_up_to is None or amount <= when.amount_up_to) else Match.NO


def converted(amount: Decimal, currency: str, into: str, rates: Rates | None) -> Decimal | None:
    """The amount in another currency, exactly; None without a rate. `into` is the base of the rates."""
    if currency == into:
        return amount
    rate = None if rates is None or rates.base != into else rates.per_unit.get(currency)
    return None if rate is None else _EXACT.multiply(amount, rate)


def added(*amounts: Decimal) -> Decimal:
    """A sum without any rounding."""
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def _in(scope: Scope, subject: Subject) -> bool:
    wanted = (
        (scope.connections, subject.connection_id),
        (scope.callers, subject.caller),
        (scope.debtor_accounts, subject.debtor_account),
    )
    return all(allowed is None or value in allowed for allowed, value in wanted)
