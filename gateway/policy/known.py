"""What rules must know of the payments before this one, and how it grows while payments are judged one after the other.

A total is asked for by a `UsageKey`. It counts every payment that was judged, is not the one judged now, and is neither rejected
nor cancelled: also those that are held, wait for approval, were sent or came back. "" in a field of a key stands for all values.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from gateway.policy.subject import Subject

Dimension = Literal["connection", "caller", "debtor_account", "creditor_account"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("connection", "caller", "debtor_account", "creditor_account")


class NotAsked(Exception):
    """A fault of ours: a rule needs a figure that nobody looked up. Taking it for nothing would let payments pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """One running total. Accounts as `gateway.policy.subject.account_key` writes them; `submitted_at` decides what falls in."""

    connection_id: str = ""
    caller: str = ""
    debtor_account: str = ""
    creditor_account: str = ""
    currency: str = ""  # "": any; only the count means something then
    since: datetime  # aware, UTC; inclusive
    until: datetime  # aware, UTC; exclusive


@dataclass(frozen=True, slots=True)
class Used:
    """What a key has come to: the plain sum of amounts, and how many payments."""

    amount: Decimal = Decimal(0)
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditorKey:
    """Asks since when an account has been paid: the earliest `submitted_at` of a payment to it that is sent, accepted or settled.

    "" in any field but `creditor_account`, which always names one: paid by whichever.
    """

    creditor_account: str
    connection_id: str = ""
    caller: str = ""
    debtor_account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What has to be looked up before payments can be judged."""

    usage: frozenset[UsageKey] = frozenset()
    creditors: frozenset[CreditorKey] = frozenset()

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(usage=self.usage | other.usage, creditors=self.creditors | other.creditors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was looked up. Every key that was asked for stands in it: nothing used is `Used()`, never paid is None."""

    usage: Mapping[UsageKey, Used] = field(default_factory=lambda: MappingProxyType({}))
    creditors: Mapping[CreditorKey, datetime | None] = field(default_factory=lambda: MappingProxyType({}))

    def used(self, key: UsageKey) -> Used:
        """Raises `NotAsked`."""
        try:
            return self.usage[key]
        except KeyError:
            raise NotAsked("a total that a rule needs was not looked up") from None  # the key itself holds account numbers

    def first_paid(self, key: CreditorKey) -> datetime | None:
        """Raises `NotAsked`."""
        try:
            return self.creditors[key]
        except KeyError:
            raise NotAsked("whether a creditor is known was not looked up") from None


_Values = tuple[str, ...]  # of a key's fields, in the order they stand there; "" for those it leaves open


class Running:
    """What is known, while payments are judged in order: each one that is not blocked counts for those after it.

    `known` is a view that grows with `count`; what was looked up itself stays as it was.
    """

    def __init__(self, known: Known) -> None:
        self._usage = dict(known.usage)
        self._keys: dict[tuple[bool, ...], dict[_Values, list[UsageKey]]] = defaultdict(lambda: defaultdict(list))
        for key in self._usage:
            values = _values_of_key(key)
            self._keys[tuple(bool(value) for value in values)][values].append(key)
        self.known = Known(usage=MappingProxyType(self._usage), creditors=known.creditors)

    def count(self, subject: Subject) -> None:
        """From here on the payment counts."""
        for key in self._hit(subject):
            used = self._usage[key]
            self._usage[key] = Used(used.amount + subject.transfer.amount, used.count + 1)

    def _hit(self, subject: Subject) -> Iterator[UsageKey]:
        values = _values_of_subject(subject)
        for mask, by_values in self._keys.items():
            wanted = tuple(value if given else "" for value, given in zip(values, mask, strict=True))
            for key in by_values.get(wanted, ()):
                if key.since <= subject.submitted_at < key.until:
                    yield key


def usage_of(subjects: Iterable[Subject], keys: Iterable[UsageKey]) -> dict[UsageKey, Used]:
    """The totals that some payments alone come to: what a store answers, in plain words. For tests and the dry run."""
    running = Running(Known(usage={key: Used() for key in keys}))
    for subject in subjects:
        running.count(subject)
    return dict(running.known.usage)


def _values_of_key(key: UsageKey) -> _Values:
    return (key.connection_id, key.caller, key.debtor_account, key.creditor_account, key.currency)


def _values_of_subject(subject: Subject) -> _Values:
    account = subject.creditor_account
    return (subject.connection_id, subject.caller, subject.debtor_account, account, subject.transfer.currency)
