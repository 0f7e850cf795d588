"""The checks of a configuration: which there are, in which order, and reading their rules again when files change.

Another check is one line in `sources_of`.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import structlog

from gateway import clock as gateway_clock
from gateway.config import Configuration
from gateway.config_load import ConfigurationProblems
from gateway.in_force import InForce, View
from gateway.lifecycle import PaymentState
from gateway.payee.check import PayeeCheck, finding_of
from gateway.payee.https import service_of
from gateway.payee.provider import PayeeProvider
from gateway.payee.verify import verify
from gateway.payee_settings import PayeeSettings
from gateway.policies import POLICIES, load_policies
from gateway.policy.document import Policies
from gateway.policy.document_rules import fingerprint
from gateway.policy.habits.history import History, HistoryNeeds
from gateway.policy.habits.judge import Habits, Profiles
from gateway.policy.judge import judge, judge_in_order, questions
from gateway.policy.known import Known, Needs
from gateway.policy.subject import Past, Subject
from gateway.policy.verdict import Finding
from gateway.review import Check, Judging
from gateway.review_screening import ScreenCheck, ScreenLoader
from gateway.review_standing import past_of
from gateway.screening_lists import ScreeningProblems
from gateway.store.reviews import PastBy
from gateway.store.store import Store

log = structlog.get_logger("review")

_NO_FILE: Final = (0, 0)
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # of digests that are the same at all times


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """The policies. It counts payments, so it comes last."""

    policies: Policies
    store: Store

    @property
    def name(self) -> str:
        return "policies"

    def digest(self, now: datetime) -> str:
        """It also changes when a document begins or ends to be in force."""
        return self.policies.digest_at(now).hex()

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        """New payments count for each other; those judged before are each judged at their own place."""
        if judging.numbers is None:
            known = await self._known(judging.subjects, judging.now, None)
            return judge_in_order(self.policies, judging.subjects, known, judging.now, blocked=judging.blocked)
        found = []
        for subject, number in zip(judging.subjects, judging.numbers, strict=True):
            known = await self._known((subject,), judging.now, number)
            found.append(judge(self.policies, subject, known, judging.now))
        return found

    async def _known(self, subjects: Sequence[Subject], now: datetime, below: int | None) -> Known:
        needs = Needs()
        for subject in subjects:
            needs |= questions(self.policies, subject, now)
        return Known(
            usage=await self.store.used(tuple(needs.usage), below=below) if needs.usage else {},
            creditors=await self.store.first_paid(tuple(needs.creditors)) if needs.creditors else {},
        )


@dataclass(frozen=True, slots=True)
class HabitsCheck:
    """What is unlike the payments before it. Profiles are kept between two batches; what another process judges is seen in them
    within minutes."""

    habits: Habits
    profiles: Profiles
    store: Store

    @property
    def name(self) -> str:
        return "habits"

    def digest(self, now: datetime) -> str:  # noqa: ARG002 - the same at all times
        return sha256(self.habits.settings.model_dump_json().encode()).hexdigest()

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        """Each payment counts for those after it."""
        wanted = self.profiles.needs(judging.subjects, judging.now)
        if wanted:
            self.profiles.learn(wanted, await self._history(wanted), judging.now)
        found = []
        for subject in judging.subjects:
            found.append(self.profiles.judge(subject, judging.now))
            if judging.numbers is None:
                self.profiles.note(past_of(subject, PaymentState.RECEIVED))
        self.profiles.trim()
        return found

    async def _history(self, wanted: HistoryNeeds) -> History:
        given: dict[str, Any] = {"since": wanted.since, "limit": wanted.limit}
        accounts = await self.store.past(PastBy.CREDITOR_ACCOUNT, sorted(wanted.accounts), **given)
        names = await self.store.past(PastBy.CREDITOR_KEY, sorted(wanted.names), **given)
        debtors: dict[tuple[str, str], tuple[Past, ...]] = {}
        for caller in sorted({caller for caller, _ in wanted.debtors}):
            own = [account for of, account in wanted.debtors if of == caller]
            rows = await self.store.past(PastBy.DEBTOR_ACCOUNT, own, caller=caller, **given)
            debtors |= {(caller, account): tuple(past) for account, past in rows.items()}
        return History(
            accounts={key: tuple(past) for key, past in accounts.items()},
            names={key: tuple(past) for key, past in names.items()},
            debtors=debtors,
        )


@dataclass(frozen=True, slots=True)
class PayeesCheck:
    """Whether names and accounts of payees belong together. Each payment is asked about once; what was answered is kept, and used
    when the payment is judged anew."""

    provider: PayeeProvider
    settings: PayeeSettings
    store: Store
    clock: Callable[[], datetime] = gateway_clock.now

    @property
    def name(self) -> str:
        return "payees"

    def digest(self, now: datetime) -> str:  # noqa: ARG002 - the same at all times
        return sha256(self.settings.model_dump_json().encode()).hexdigest()

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        """Asks where nothing is known yet about the name and account that a payment has; silence is an answer as well."""
        known = await self._known(judging.subjects)
        unasked = [subject for subject in judging.subjects if subject.payment_id not in known]
        if unasked:
            reference = self._reference
            asked = await verify(unasked, self.provider, self.settings, clock=self.clock, new_reference=reference)
            await self.store.keep_payee_checks(asked)
            known |= {check.payment_id: check for check in asked}
        return [[finding_of(known[subject.payment_id], subject, self.settings)] for subject in judging.subjects]

    async def _known(self, subjects: Sequence[Subject]) -> dict[str, PayeeCheck]:
        """The latest answer of this service about each payment as it is."""
        kept = await self.store.payee_checks([subject.payment_id for subject in subjects])
        found: dict[str, PayeeCheck] = {}
        for subject in subjects:
            own = (one for one in kept.get(subject.payment_id, ()) if one.provider == self.provider.name)
            latest = next((one for one in own if one.is_about(subject.transfer)), None)
            if latest is not None:
                found[subject.payment_id] = latest
        return found

    @staticmethod
    def _reference() -> str:
        return uuid4().hex


@dataclass(slots=True)
class Source:
    """Where a check comes from: `load` gives it as its files are now (None: there is none), and is called again when one of the
    files under `watched` changes. It may raise `ConfigurationProblems`, `ScreeningProblems`."""

    name: str
    watched: tuple[Path, ...]
    there: Callable[[], bool]  # whether it is configured; may raise likewise
    load: Callable[[Store], Check | None]
    check: Check | None = None
    seen: tuple[tuple[str, int, int], ...] = ()

    def read(self, store: Store) -> None:
        """Reads it if it is new or changed. Raises what `load` does: then it stays as it was."""
        now = tuple(_signature(self.watched))
        if self.check is None or now != self.seen:
            self.check = self.load(store)
            self.seen = now


def _signature(watched: Sequence[Path]) -> Iterator[tuple[str, int, int]]:
    """What tells that files have changed: their names, sizes and moments of change."""
    for path in watched:
        for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
            try:
                stat = file.stat()
            except OSError:
                yield str(file), *_NO_FILE
            else:
                yield str(file), stat.st_size, stat.st_mtime_ns


@dataclass(slots=True)
class ConfiguredChecks:
    """`gateway.review.Checks` of a configuration."""

    sources: Sequence[Source]
    store: Store
    in_force: InForce | None = None  # tells changes of rules in the audit log; None: somebody only asks what they say
    unread: bool = False
    _seen: Sequence[Check] = ()  # the checks that `_view` is of
    _view: View | None = None

    @property
    def all(self) -> Sequence[Check]:
        return tuple(source.check for source in self.sources if source.check is not None)

    @property
    def configured(self) -> bool:
        return bool(self.all)

    async def close(self) -> None:
        """Ends the connections to services that checks ask."""
        for check in self.all:
            if isinstance(check, PayeesCheck):
                await check.provider.close()

    def digest(self, now: datetime) -> str:
        """SHA-256 in hex over the names and digests of all checks."""
        return sha256("\n".join(f"{check.name} {check.digest(now)}" for check in self.all).encode()).hexdigest()

    async def refresh(self) -> None:
        """Files with mistakes are told in the log each time, and those read before stay in use. No payment is judged by rules
        that are not in the audit log yet: where that cannot be written this raises `StoreUnavailable`."""
        unread = False
        for source in self.sources:
            try:
                await asyncio.to_thread(source.read, self.store)
            except (ConfigurationProblems, ScreeningProblems) as problems:
                unread = True
                _tell(source.name, problems)
        self.unread = unread
        for check in self.all:
            if isinstance(check, ScreenCheck):
                await check.refresh()
        if self.in_force is not None:
            checks = self.all
            if self._view is None or [*map(id, checks)] != [*map(id, self._seen)]:
                self._seen, self._view = checks, await asyncio.to_thread(rules_view, checks)
            await self.in_force.tell(self._view)


def _tell(check: str, problems: Exception) -> None:
    log.error("rules_not_read", check=check, problems=str(problems))


def sources_of(configuration: Configuration) -> tuple[Source, ...]:
    """What there may be, in the order in which payments are put to it."""
    return (_screening(configuration), _payees(configuration), _habits(configuration), _policies(configuration))


def rules_view(checks: Sequence[Check]) -> View:
    """The rules that these checks judge by: each policy in each version with the digest of what it says, each screening list with
    digest, day and size of its file, and the settings of the others."""
    parts: dict[str, str] = {}
    for check in checks:
        match check:
            case PolicyCheck(policies=policies):
                parts |= {f"policy {one.id} version {one.version}": fingerprint(one).hex() for one in policies.documents}
            case ScreenCheck(screen=screen):
                told = {one.id: f"{one.sha256} of {one.date}, {len(one.entries)} entries, {one.action}" for one in screen.lists}
                parts |= {f"screening list {name}": text for name, text in told.items()}
                parts["screening"] = f"hold_score {screen.rules.hold_score}, block_score {screen.rules.block_score}"
            case PayeesCheck(provider=provider):
                parts["payees"] = f"{provider.name} {check.digest(_ANY_TIME)}"
            case _:
                parts[check.name] = check.digest(_ANY_TIME)
    return View(kind="rules", parts=parts)


def checks_of(configuration: Configuration, store: Store, in_force: InForce | None = None) -> ConfiguredChecks:
    """The checks, read for the first time. Raises `ConfigurationProblems`."""
    sources = sources_of(configuration)
    for source in sources:
        source.read(store)
    return ConfiguredChecks(sources, store, in_force)


def is_reviewed(configuration: Configuration) -> bool:
    """Whether payments are judged here at all. Raises `ConfigurationProblems` where rules have mistakes."""
    return any(source.there() for source in sources_of(configuration))


def _screening(configuration: Configuration) -> Source:
    settings, directory = configuration.screening, configuration.directory
    files = (name for one in settings.lists for name in one.files.values())
    return Source(
        name="screening",
        watched=tuple(directory / name for name in files),
        there=lambda: bool(settings.lists),
        load=ScreenLoader(configuration),
    )


def _payees(configuration: Configuration) -> Source:
    settings, directory = configuration.payee, configuration.directory

    def load(store: Store) -> Check | None:
        provider = service_of(settings, directory)
        return None if provider is None else PayeesCheck(provider, settings, store)

    return Source(name="payees", watched=(), there=lambda: settings.service is not None, load=load)


def _habits(configuration: Configuration) -> Source:
    """Where the table [habits] is written down, empty or not, unless it says enabled = false."""
    settings = configuration.habits
    asked = settings.enabled and "habits" in configuration.model_fields_set

    def load(store: Store) -> Check | None:
        habits = Habits(settings)
        return HabitsCheck(habits, Profiles(habits), store) if asked else None

    return Source(name="habits", watched=(), there=lambda: asked, load=load)


def policy_check(configuration: Configuration, store: Store) -> Check | None:
    """The policies alone, as they are now: for saying beforehand what they would say. Raises `ConfigurationProblems`."""
    return _policies(configuration).load(store)


def _policies(configuration: Configuration) -> Source:
    """Once a version of a document was in use, it may not say anything else."""
    earlier: dict[tuple[str, int], bytes] = {}

    def load(store: Store) -> Check | None:
        policies = load_policies(configuration.directory, configuration, earlier)
        earlier.update({(one.id, one.version): fingerprint(one) for one in policies.documents})
        return PolicyCheck(policies, store) if policies.documents else None

    def there() -> bool:
        return bool(load_policies(configuration.directory, configuration).documents)

    return Source(name="policies", watched=(configuration.directory / POLICIES,), there=there, load=load)
