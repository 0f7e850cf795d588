"""All rules over one payment, and what follows from their sum. Pure.

Rules of one family say the same thing in different words: the strongest counts. What different families say adds up, to 100 at
most. From `hold_score` on a person has to look, from `block_score` on the payment is refused.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from gateway.habits_settings import HabitsSettings
from gateway.policy.habits.case import VERSION, Case, case_of, found
from gateway.policy.habits.details import details
from gateway.policy.habits.duplicates import duplicates
from gateway.policy.habits.history import History, HistoryNeeds, needs
from gateway.policy.habits.profile import Profile
from gateway.policy.habits.unusual import unusual
from gateway.policy.habits.words import name_key
from gateway.policy.subject import Past, Subject
from gateway.policy.verdict import Finding, Outcome

FAMILIES: Final = {
    "habits.duplicate": "duplicate",
    "habits.duplicate-amount": "duplicate",
    "habits.invoice-again": "duplicate",
    "habits.near-account": "details",
    "habits.changed-account": "details",
    "habits.other-name": "details",
    "habits.amount-creditor": "amount",
    "habits.amount-account": "amount",
    "habits.hour": "time",
    "habits.weekday": "time",
    "habits.quiet-burst": "time",
    "habits.burst": "pace",
    "habits.new-country": "place",
    "habits.new-currency": "place",
    "habits.below-limit": "limit",
}
"""Every rule that weighs, and what it is about."""


class Habits:
    """The rules with their settings."""

    def __init__(self, settings: HabitsSettings) -> None:
        self.settings = settings
        self.zone = ZoneInfo(settings.time_zone)

    def needs(self, subject: Subject, now: datetime) -> HistoryNeeds:
        """What has to be read before `judge` at `now` (aware)."""
        return needs(subject, self.settings, now)

    def judge(self, subject: Subject, history: History, now: datetime) -> tuple[Finding, ...]:
        """What is found, the sum first; () if nothing is. `history` holds the rows of `needs` at least."""
        wanted = self.needs(subject, now)
        account, name, debtor = subject.creditor_account, name_key(subject.transfer.creditor.name), _debtor(subject)
        return self.judge_profiles(
            subject,
            self.profile(history.accounts.get(account, ()) if account else (), wanted),
            self.profile(history.names.get(name, ()) if name else (), wanted),
            self.profile(history.debtors.get(debtor, ()), wanted),
        )

    def profile(self, rows: Iterable[Past], wanted: HistoryNeeds) -> Profile:
        """The rows of one key as the rules see them; what is older than wanted, or beyond the newest, is left out."""
        return Profile(wanted.limit, self.zone, (row for row in rows if row.submitted_at >= wanted.since))

    def judge_profiles(self, subject: Subject, creditor: Profile, name: Profile, debtor: Profile) -> tuple[Finding, ...]:
        """Likewise, from profiles. The payment itself may be in them; it is left out while it is judged."""
        if not self.settings.enabled:
            return ()
        profiles = (creditor, name, debtor)
        own = [(profile, row) for profile in profiles if (row := profile.take_out(subject.payment_id)) is not None]
        try:
            case = case_of(subject, self.settings, zone=self.zone, creditor=creditor, name=name, debtor=debtor)
            return self._summed([*duplicates(case), *details(case), *unusual(case)], case)
        finally:
            for profile, row in own:
                profile.add(row)

    def _summed(self, findings: Sequence[Finding], case: Case) -> tuple[Finding, ...]:
        ordered = sorted(findings, key=lambda one: -(one.score or 0))
        strongest: dict[str, Finding] = {}
        for one in ordered:
            strongest.setdefault(FAMILIES[one.rule], one)
        total = min(100, sum(one.score or 0 for one in strongest.values()))
        cold = tuple(self._cold(case))
        if not ordered:
            return cold
        outcome = Outcome.PASS
        if total >= self.settings.hold_score:
            outcome = Outcome.BLOCK if total >= self.settings.block_score else Outcome.HOLD
        told = list(strongest.values())
        summary = Finding(
            rule="habits",
            version=VERSION,
            outcome=outcome,
            text_en=f"unlike the payments before it (score {total} of 100): {'; '.join(one.text_en for one in told)}",
            text_zh=f"与以往付款不同（评分 {total}/100）：{'；'.join(one.text_zh for one in told)}",
            score=total,
            facts=tuple((one.rule, str(one.score)) for one in told),
        )
        return (summary, *ordered, *cold)

    def _cold(self, case: Case) -> Iterator[Finding]:
        """What the rules cannot say yet of the account that pays."""
        payments, days = case.debtor.currencies().total(), case.debtor.active_days(case.local.date())
        if payments >= self.settings.account_payments_min and days >= self.settings.active_days_min:
            return
        yield found(
            "cold-start",
            0,
            f"{payments} payments on {days} days are known of this account: too few to say what is usual for it",
            f"该账户仅有 {days} 天内 {payments} 笔已知付款，尚不足以判断其付款习惯",
            payments=str(payments),
            days=str(days),
        )


def _debtor(subject: Subject) -> tuple[str, str]:
    return subject.caller, subject.debtor_account


_Key = tuple[Literal["account", "name"], str] | tuple[Literal["debtor"], tuple[str, str]]


@dataclass(slots=True)
class _Held:
    profile: Profile
    read_at: datetime


class Profiles:
    """Profiles kept between judgements, so that a thousand payments of one account do not read its past a thousand times.

    Bounded: of `rows_max` past payments in all, those of the keys longest unused go first; a profile older than `keep` is read
    anew, so that a state changed elsewhere is seen in the end. What this process itself judges or learns is told by `note`.
    """

    def __init__(self, habits: Habits, *, rows_max: int = 200_000, keep: timedelta = timedelta(minutes=5)) -> None:
        self._habits, self._rows_max, self._keep = habits, rows_max, keep
        self._held: OrderedDict[_Key, _Held] = OrderedDict()
        self._rows = 0

    @property
    def rows(self) -> int:
        """Past payments held now; one that is in several profiles counts in each."""
        return self._rows

    def needs(self, subjects: Iterable[Subject], now: datetime) -> HistoryNeeds:
        """What has to be read, and given to `learn`, before these payments are judged: keys that are not held."""
        wanted = HistoryNeeds(limit=self._habits.settings.history_payments, since=now)
        for subject in subjects:
            wanted |= self._habits.needs(subject, now)
        return HistoryNeeds(
            accounts=frozenset(one for one in wanted.accounts if not self._fresh(("account", one), now)),
            names=frozenset(one for one in wanted.names if not self._fresh(("name", one), now)),
            debtors=frozenset(one for one in wanted.debtors if not self._fresh(("debtor", one), now)),
            limit=wanted.limit,
            since=wanted.since,
        )

    def learn(self, wanted: HistoryNeeds, history: History, now: datetime) -> None:
        """Takes in what was read for `wanted`."""
        for account in wanted.accounts:
            self._put(("account", account), history.accounts.get(account, ()), wanted, now)
        for name in wanted.names:
            self._put(("name", name), history.names.get(name, ()), wanted, now)
        for debtor in wanted.debtors:
            self._put(("debtor", debtor), history.debtors.get(debtor, ()), wanted, now)

    def note(self, past: Past) -> None:
        """A payment was judged, or stands elsewhere now: it goes into the profiles that are held."""
        keys: tuple[_Key, ...] = (
            ("account", past.creditor_account),
            ("name", name_key(past.creditor_name)),
            ("debtor", (past.caller, past.debtor_account)),
        )
        for key in keys:
            held = self._held.get(key)
            if held is not None:
                before = len(held.profile)
                held.profile.add(past)
                self._rows += len(held.profile) - before

    def judge(self, subject: Subject, now: datetime) -> tuple[Finding, ...]:
        """As `Habits.judge`. Raises `KeyError` if `needs` was not asked and answered for this payment before."""
        wanted = self._habits.needs(subject, now)
        empty = self._habits.profile((), wanted)
        creditor = self._get(("account", subject.creditor_account), wanted) if wanted.accounts else empty
        name = self._get(("name", next(iter(wanted.names))), wanted) if wanted.names else empty
        debtor = self._get(("debtor", _debtor(subject)), wanted)
        return self._habits.judge_profiles(subject, creditor, name, debtor)

    def trim(self) -> None:
        """Lets go of what is beyond the bound; to be called between batches, never between `learn` and `judge`."""
        while self._rows > self._rows_max and self._held:
            _, gone = self._held.popitem(last=False)
            self._rows -= len(gone.profile)

    def _fresh(self, key: _Key, now: datetime) -> bool:
        held = self._held.get(key)
        return held is not None and now - held.read_at < self._keep

    def _put(self, key: _Key, rows: Iterable[Past], wanted: HistoryNeeds, now: datetime) -> None:
        gone = self._held.pop(key, None)
        profile = self._habits.profile(rows, wanted)
        self._held[key] = _Held(profile, now)
        self._rows += len(profile) - (len(gone.profile) if gone is not None else 0)

    def _get(self, key: _Key, wanted: HistoryNeeds) -> Profile:
        held = self._held[key]
        self._held.move_to_end(key)
        before = len(held.profile)
        held.profile.forget_before(wanted.since)
        self._rows += len(held.profile) - before
        return held.profile
