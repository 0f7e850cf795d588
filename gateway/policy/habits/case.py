"""A payment beside what is known of its creditor and of the account that pays it, and how a rule says what it found. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from gateway.habits_settings import HabitsSettings
from gateway.lifecycle import PaymentState
from gateway.masking import mask_text
from gateway.policy.habits.profile import Profile, Seen
from gateway.policy.habits.words import past_of
from gateway.policy.subject import Past, Subject
from gateway.policy.verdict import Finding, Outcome

VERSION = 1  # of every rule here: docs/habits.md says what each version looks at


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the rules see. `creditor` are the past payments to the account, `name` to the name, `debtor` from the caller's
    account; the payment itself is in none of them."""

    subject: Subject
    settings: HabitsSettings
    seen: Seen
    local: datetime  # of the submission, in the zone of the settings
    creditor: Profile
    name: Profile
    debtor: Profile

    @property
    def past(self) -> Past:
        """The payment in the words of the past."""
        return self.seen.past

    def own_or_all(self, rows: Iterable[Seen]) -> list[Seen]:
        """Those of the same caller, if it has any; else those of the whole house."""
        found = list(rows)
        return [one for one in found if one.past.caller == self.subject.caller] or found

    def days_from(self, other: Seen) -> int:
        """Between the execution dates."""
        return abs((self.past.requested_execution_date - other.past.requested_execution_date).days)


def case_of(
    subject: Subject, settings: HabitsSettings, *, zone: ZoneInfo, creditor: Profile, name: Profile, debtor: Profile
) -> Case:
    """The payment beside its profiles."""
    return Case(
        subject=subject,
        settings=settings,
        seen=Seen(past_of(subject, PaymentState.RECEIVED)),
        local=subject.submitted_at.astimezone(zone),
        creditor=creditor,
        name=name,
        debtor=debtor,
    )


def found(rule: str, score: int, text_en: str, text_zh: str, **facts: str) -> Finding:
    """What a rule adds. The outcome is for the sum to say."""
    return Finding(
        rule=f"habits.{rule}",
        version=VERSION,
        outcome=Outcome.PASS,
        text_en=text_en,
        text_zh=text_zh,
        score=score,
        facts=tuple(facts.items()),
    )


def facts_of(case: Case, other: Seen) -> tuple[str, str, dict[str, str]]:
    """The other payment in English, in Chinese and as facts; of another caller no more than that there is one."""
    past = other.past
    if past.caller != case.subject.caller:
        return "a payment of another caller", "其他调用方的一笔付款", {"other_payment": "of another caller"}
    reference = mask_text(past.end_to_end_id)
    return (
        f"payment {past.payment_id} ({reference})",
        f"付款 {past.payment_id}（{reference}）",
        {"other_payment": past.payment_id, "other_end_to_end_id": reference},
    )


def days_en(days: int) -> str:
    """ "on the same day", "1 day apart"."""
    return "on the same day" if not days else f"{days} day{'' if days == 1 else 's'} apart"


def days_zh(days: int) -> str:
    """Likewise."""
    return "同一天" if not days else f"相隔 {days} 天"


def times(ratio: float) -> str:
    """A ratio as people read it: "3.4", "12"."""
    exact = Decimal(repr(ratio))
    return str(exact.quantize(Decimal("0.1") if exact < 10 else Decimal(1), ROUND_HALF_UP))
