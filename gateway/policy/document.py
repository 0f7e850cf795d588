"""Policies as data: the model of `policies/*.toml`, and all documents together.

A document is in force from `valid_from` to `valid_until`, both inclusive, by the calendar of a connection's time zone. Of several
versions of one document that are valid on a day the highest counts. Every document is judged by itself and the strictest finding
wins, so that a document more never lets more through. Every rule bears the version of its document.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, StringConstraints

from formats.checks import iban_fault, is_country
from formats.countries import IBAN_LENGTHS
from formats.currencies import MINOR_UNITS
from gateway.config import CalendarDate, Settings
from gateway.policy.digest import canonical
from gateway.policy.known import Dimension
from gateway.policy.period import Period
from gateway.policy.texts import Text

_AMOUNT: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_IBAN_LIKE: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}")


def _amount(value: object) -> Decimal:
    """An amount in quotes ("10000.00"), or a whole number. A number with a point is refused: it would be read as a float."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, Decimal):
        value = format(value, "f")
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise ValueError('must be an amount in quotes, such as "10000.00": digits, and a point with up to five more')
    return Decimal(value)


def _currency(value: object) -> str:
    if not isinstance(value, str) or value not in MINOR_UNITS:
        raise ValueError('must be a currency of ISO 4217, such as "EUR"')
    return value


def _country(value: object) -> str:
    if not isinstance(value, str) or not is_country(value):
        raise ValueError('must be a country of ISO 3166, such as "DE"')
    return value


def _account(value: object) -> str:
    """As `account_key` of the subject writes it. What looks like an IBAN must be one: a typing error would list nobody."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be an account in quotes: an IBAN, or the bank's number")
    account = "".join(value.split()).upper()
    if _IBAN_LIKE.fullmatch(account) and account[:2] in IBAN_LENGTHS and iban_fault(account) is not None:
        raise ValueError("looks like an IBAN and is none: its length or its check digits are wrong")
    return account


def _hours(value: object) -> str:
    if not isinstance(value, str) or not _HOURS.fullmatch(value):
        raise ValueError('must be hours of the day such as "08:00-18:30"')
    begins, ends = value.split("-")
    if begins >= ends:
        raise ValueError("must end later than it begins; hours over midnight are two entries")
    return value


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Currency = Annotated[str, BeforeValidator(_currency)]
Country = Annotated[str, BeforeValidator(_country)]
AccountNumber = Annotated[str, BeforeValidator(_account)]
HoursOfDay = Annotated[str, BeforeValidator(_hours)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,35}$")]
Kind = Literal["limits", "chains", "automatic", "velocity", "restrictions"]
Beneficiary = Literal["new", "known", "own"]
Stopping = Literal["approval", "hold", "block"]


class Step(Settings):
    """So many different people of a group."""

    group: Name
    count: int = Field(default=1, strict=True, ge=1, le=20)


Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=20)]


class Scope(Settings):
    """Which payments a document is about. Every condition that is given has to hold, by any of its values."""

    connections: tuple[Name, ...] | None = Field(default=None, min_length=1)
    callers: tuple[Name, ...] | None = Field(default=None, min_length=1)
    debtor_accounts: tuple[AccountNumber, ...] | None = Field(default=None, min_length=1)


class When(Scope):
    """Which payments a rule is about; likewise. Amounts: more than `amount_above`, and `amount_up_to` or less, in `currency`."""

    currencies: tuple[Currency, ...] | None = Field(default=None, min_length=1)
    currency: Currency | None = None
    amount_above: Amount | None = None
    amount_up_to: Amount | None = None
    convert: bool = False  # other currencies too, by the document's rates; else payments in another currency do not match
    service_levels: tuple[Code, ...] | None = Field(default=None, min_length=1)  # codes or proprietary words
    local_instruments: tuple[Code, ...] | None = Field(default=None, min_length=1)
    category_purposes: tuple[Code, ...] | None = Field(default=None, min_length=1)
    beneficiary: tuple[Beneficiary, ...] | None = Field(default=None, min_length=1)
    creditor_lists: tuple[Name, ...] | None = Field(default=None, min_length=1)  # on one of these lists of the document
    creditor_not_in: tuple[Name, ...] | None = Field(default=None, min_length=1)  # on none of these
    creditor_countries: tuple[Country, ...] | None = Field(default=None, min_length=1)


class Rule(Settings):
    """What all rules have. The texts take the place of the usual ones; `{names}` in them are filled in."""

    id: RuleId
    when: When = When()
    text_en: Text | None = None
    text_zh: Text | None = None


class Asking(Rule):
    """A rule that asks for something. `steps` only where that is approval."""

    outcome: Stopping
    steps: tuple[Step, ...] = Field(default=(), max_length=20)
    recheck: bool = False  # an approver who has lost the role or the group since no longer counts


class Limit(Asking):
    """No more than `amount`: of one payment, or of all payments of a day or month with this one."""

    period: Literal["payment", "day", "month"]
    amount: Amount
    currency: Currency
    convert: bool = False  # payments in other currencies count too, by the document's rates
    per: tuple[Dimension, ...] = ()  # a total of its own for each of these; none: one for all together


class Velocity(Asking):
    """From the `nth` payment on within a clock hour, day or month."""

    period: Period
    nth: int = Field(strict=True, ge=1, le=1_000_000)
    per: tuple[Dimension, ...] = ()


class Restriction(Asking):
    """What a payment may or may not have. One of `allowed` and `forbidden`.

    `what`: "currency", "country" (where the money goes), "creditor_account", "charge_bearer", "hours" (of submission). A list
    of the document stands in for accounts: "list:suppliers".
    """

    what: Literal["currency", "country", "creditor_account", "charge_bearer", "hours"]
    allowed: tuple[str, ...] | None = Field(default=None, min_length=1)
    forbidden: tuple[str, ...] | None = Field(default=None, min_length=1)


class ApprovalChain(Rule):
    """Who has to approve what matches, in order."""

    steps: Steps
    recheck: bool = False


class Automatic(Rule):
    """What matches needs no person: no chain and no default of this document asks for one. Its other rules count all the same."""


class Rates(Settings):
    """A fixed table: what one unit of a currency is in `base`, as of a date that is told with every figure."""

    base: Currency
    date: CalendarDate
    per_unit: Annotated[dict[Currency, Annotated[Amount, Field(gt=0)]], Field(min_length=1, max_length=200)]


class AccountList(Settings):
    accounts: tuple[AccountNumber, ...]
    about: str = ""

    @cached_property
    def members(self) -> frozenset[str]:
        """The accounts, for looking one up."""
        return frozenset(self.accounts)


class KnownCreditors(Settings):
    """From when a creditor's account is known: so many whole days after the first payment to it that the bank took."""

    after_days: int = Field(default=1, strict=True, ge=0, le=3650)  # 0: at once
    per: tuple[Literal["connection", "caller", "debtor_account"], ...] = ()  # known to each by itself; none: to all at once


class Document(Settings):
    """One file: `policies/<any name>.toml`."""

    id: RuleId
    version: int = Field(strict=True, ge=1, le=1_000_000_000)
    about: str = ""
    valid_from: CalendarDate
    valid_until: CalendarDate | None = None
    default: Literal["pass", "approval", "hold"]  # for what no `automatic` rule lets through and no chain asks approval of
    default_steps: tuple[Step, ...] = Field(default=(), max_length=20)  # default = "approval": by whom
    scope: Scope = Scope()
    rates: Rates | None = None
    lists: dict[Name, AccountList] = Field(default_factory=dict)
    known_creditors: KnownCreditors = KnownCreditors()
    limits: tuple[Limit, ...] = ()
    chains: tuple[ApprovalChain, ...] = ()
    automatic: tuple[Automatic, ...] = ()
    velocity: tuple[Velocity, ...] = ()
    restrictions: tuple[Restriction, ...] = ()

    def rules(self) -> Iterator[tuple[Kind, int, Rule]]:
        """Every rule with the name of its list and its place there."""
        kinds: tuple[Kind, ...] = ("limits", "chains", "automatic", "velocity", "restrictions")
        for kind in kinds:
            for place, rule in enumerate(getattr(self, kind)):
                yield kind, place, rule

    @property
    def default_rule(self) -> str:
        """What findings of the default are called. No rule of a file can be: theirs have no dot."""
        return f"{self.id}.default"

    def valid_on(self, day: date) -> bool:
        """Whether the document is valid that day."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All documents, with what they need to know of the gateway: the time zones of connections (UTC where none is known) and our
    own accounts, as `account_key` writes them."""

    documents: tuple[Document, ...] = ()
    zones: Mapping[str, ZoneInfo] = field(default_factory=lambda: MappingProxyType({}))
    own_accounts: frozenset[str] = frozenset()

    def zone(self, connection_id: str) -> ZoneInfo:
        """The time zone by which days and hours of a connection are counted."""
        return self.zones.get(connection_id, _UTC)

    def in_force(self, day: date) -> tuple[Document, ...]:
        """The documents that count on a day: of each the highest version that is valid, by id."""
        found: dict[str, Document] = {}
        for document in sorted(self.documents, key=lambda one: one.version):
            if document.valid_on(day):
                found[document.id] = document
        return tuple(found[name] for name in sorted(found))

    def lapsed(self, day: date) -> bool:
        """Whether there were rules once and none is in force any more: nobody decided that everything may go."""
        return not self.in_force(day) and any(document.valid_from <= day for document in self.documents)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole set: it changes with any word of any document, any time zone and any account of ours."""
        return self._digest_of(self.documents)

    def digest_at(self, now: datetime) -> bytes:
        """Likewise of what is in force anywhere at a moment: it also changes when a document begins or ends to be valid."""
        days = {now.astimezone(zone).date() for zone in (*self.zones.values(), UTC)}
        return sha256(b"".join(sorted({self._digest_of(self.in_force(day)) for day in days}))).digest()

    def _digest_of(self, documents: tuple[Document, ...]) -> bytes:
        ordered = sorted(documents, key=lambda one: (one.id, one.version))
        content: dict[str, Any] = {
            "documents": [document.model_dump(exclude_defaults=True) for document in ordered],
            "zones": {name: str(zone) for name, zone in self.zones.items()},
            "own_accounts": sorted(self.own_accounts),
        }
        return sha256(canonical(content)).digest()
