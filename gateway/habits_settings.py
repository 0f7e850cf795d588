"""The settings of the rules that compare a payment with those before it (`gateway.policy.habits`): the table [habits]."""

from decimal import Decimal
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Score = Annotated[int, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=0, le=3660)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HabitWeights(_Settings):
    """What each rule adds to a payment's score. 0 turns a rule off."""

    duplicate: Score = 60  # same account, amount, currency and reference
    duplicate_amount: Score = 40  # same account, amount and currency under another reference; half where it is a price
    invoice_again: Score = 40  # an invoice number that was paid before, with another amount; half where it says it is a part
    near_account: Score = 65  # the same payment to an account that differs in a few characters
    changed_account: Score = 50  # a known creditor with an account not seen before
    other_name: Score = 30  # a known account under quite another name
    amount_creditor: Score = 45  # far above what this creditor is paid
    amount_account: Score = 40  # to a creditor hardly known, far above what this account ever pays
    hour: Score = 20
    weekday: Score = 20
    burst: Score = 25  # far more payments within an hour or a day than ever
    quiet_burst: Score = 45  # several creditors hardly known, within an hour of a time of day at which nothing is ever paid
    new_country: Score = 40
    new_currency: Score = 20
    below_limit: Score = 45


class BelowLimitSettings(_Settings):
    """A limit above which more people look, for the rule about payments just below it."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    amount: Decimal = Field(gt=0)


class HabitsSettings(_Settings):
    """How payments are compared with the past. The defaults are those that docs/habits.md has figures for."""

    enabled: bool = True
    hold_score: Score = 40  # from which a person has to look
    block_score: int = Field(default=101, ge=1, le=101)  # from which it is refused; 101: never
    time_zone: str = "UTC"  # of hours and days
    history_payments: int = Field(default=2000, ge=50, le=100_000)  # so many of each account and name, newest first
    history_days: int = Field(default=400, ge=30, le=3660)
    duplicate_days: Days = 24  # between the execution dates; shorter than a month, so that monthly payments stand apart
    duplicate_amount_days: Days = 5
    invoice_days: Days = 180
    creditor_payments_min: int = Field(default=6, ge=3, le=1000)  # below, nothing is said of a creditor's amounts
    account_payments_min: int = Field(default=50, ge=10, le=100_000)  # likewise of the paying account's
    active_days_min: int = Field(default=20, ge=5, le=400)  # days with payments, below which nothing is said of times and bursts
    amount_ratio: Decimal = Field(default=Decimal(3), gt=1, le=1000)  # so many times the median at least
    few_payments_min: int = Field(default=3, ge=2, le=1000)  # from which on a creditor's amounts are compared with the largest
    few_payments_ratio: Decimal = Field(default=Decimal(5), gt=1, le=1000)  # so many times the largest, until there are enough
    amount_deviations: float = Field(default=4.5, ge=2, le=100)  # and so many robust deviations away
    burst_ratio: Decimal = Field(default=Decimal(3), gt=1, le=1000)  # of the largest hour or day before
    burst_payments_min: int = Field(default=10, ge=2, le=100_000)
    quiet_burst_payments: int = Field(default=4, ge=2, le=1000)
    below_limit_percent: int = Field(default=10, ge=1, le=50)  # how far below a limit is "just below"
    below_limit_days: Days = 7
    below_limit_payments: int = Field(default=3, ge=2, le=100)
    limits: tuple[BelowLimitSettings, ...] = ()
    weights: HabitWeights = HabitWeights()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError('must be a time zone such as "Europe/Berlin"') from error
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.block_score < self.hold_score:
            raise ValueError("block_score is below hold_score: a payment would be refused before anybody is asked to look")
        if self.duplicate_amount_days > self.duplicate_days:
            raise ValueError("duplicate_amount_days is longer than duplicate_days: the weaker sign would reach further back")
        return self
