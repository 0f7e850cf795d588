"""Which past payments the rules look back at, so that a store can fetch them for many payments at once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.habits_settings import HabitsSettings
from gateway.policy.habits.words import name_key
from gateway.policy.subject import Past, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryNeeds:
    """Past payments to be read: of each key the newest `limit` since `since` (aware; by `submitted_at`, then `payment_id`), in
    every state, the payment that is judged left out or not."""

    accounts: frozenset[str] = frozenset()  # creditor accounts, as `Subject.creditor_account`
    names: frozenset[str] = frozenset()  # `words.name_key` of creditors' names
    debtors: frozenset[tuple[str, str]] = frozenset()  # (caller, debtor account)
    limit: int
    since: datetime

    def __bool__(self) -> bool:
        return bool(self.accounts or self.names or self.debtors)

    def __or__(self, other: "HistoryNeeds") -> "HistoryNeeds":
        """The needs of several payments as one."""
        return HistoryNeeds(
            accounts=self.accounts | other.accounts,
            names=self.names | other.names,
            debtors=self.debtors | other.debtors,
            limit=max(self.limit, other.limit),
            since=min(self.since, other.since),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was read: the rows of each key that `HistoryNeeds` named, in any order. A key without rows may be left out."""

    accounts: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)
    names: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)
    debtors: Mapping[tuple[str, str], tuple[Past, ...]] = field(default_factory=dict)


def needs(subject: Subject, settings: HabitsSettings, now: datetime) -> HistoryNeeds:
    """What has to be read before a payment is judged at `now` (aware)."""
    account, name = subject.creditor_account, name_key(subject.transfer.creditor.name)
    return HistoryNeeds(
        accounts=frozenset({account} - {""}),
        names=frozenset({name} - {""}),
        debtors=frozenset({(subject.caller, subject.debtor_account)}),
        limit=settings.history_payments,
        since=now - timedelta(days=settings.history_days),
    )
