"""The lane that judges payments before any of them reaches a bank's lane.

A submitted payment waits as RECEIVED where rules are configured. This lane takes what waits in the order in which it was stored,
puts each payment to every check, and moves it, by compare-and-set, to where the findings together want it. When rules or lists
change, everything that waits is judged again. One lane for the whole gateway, so that what limits count is exact; should two
runners be at it all the same (a lease that was lost), the book's fence refuses the slower one, whose payments are judged anew.

Nobody goes back to rules that were replaced. The book is read before the files of rules are: who adopts other rules turns a
page first, so that a runner which was stopped meanwhile, with the old ones in its hand, is refused and reads the files anew.
Where they cannot be read, and are not those by which the book was kept last, nothing is judged until they can.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from formats.instant import asks_instant
from gateway import review_discrepancies as say
from gateway.discrepancies import Origin
from gateway.instant import InstantChoice
from gateway.lifecycle import PaymentState
from gateway.policy.chain import Standing
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome, Verdict
from gateway.reasons import ours
from gateway.release_groups import waits_for
from gateway.review_people import people_now
from gateway.review_standing import (
    APPROVER_GONE,
    Approvers,
    asks_the_same,
    facts_of,
    may_be_judged_anew,
    place_of,
    standing,
    subject_of,
    way,
    why,
)
from gateway.send_window import SendWindow
from gateway.store.records import Payment, Reason
from gateway.store.reviews import Book, Judged, Review, Waiting
from gateway.store.store import Clock, Stale, Store, StoreUnavailable
from gateway.telemetry import Metrics
from gateway.telemetry import place_of as fault_at
from gateway.window_answer import waits_reason, window_answer

log = structlog.get_logger("review")

BATCH: Final = 200
LOOK_AGAIN: Final = timedelta(seconds=30)  # until files of rules are looked at again, and what began or ended to be in force
CHANGING: Final = "changing"  # in the book, from taking other rules up until all that waits was judged by them
TRIES: Final = 20  # against other runners, before the engine tries again later
_WAITING: Final = (PaymentState.HELD, PaymentState.AWAITING_APPROVAL, PaymentState.APPROVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Payments to be judged at one moment, in order. `blocked`: ids of those that checks before this one refuse.

    `numbers`: the places that payments which were judged before have among all judged ones. Each is then judged for itself, as
    if those after it had not come. None: they are new, and each counts for those after it.
    """

    subjects: tuple[Subject, ...]
    now: datetime
    blocked: frozenset[str] = frozenset()
    numbers: tuple[int, ...] | None = None


class Check(Protocol):
    """One kind of rules. Findings must follow from the payments, from the store's past and from what `digest` covers."""

    @property
    def name(self) -> str: ...

    def digest(self, now: datetime) -> str:
        """Another one whenever a payment might be judged otherwise: with its rules, lists, settings."""

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        """What it says of each payment, in their order. May raise: then the payments are tried one by one."""


class Checks(Protocol):
    """All checks as they are configured now (`gateway.review_checks`)."""

    async def refresh(self) -> None:
        """Reads rules and lists again where they changed. Those that cannot be read stay as they were."""

    @property
    def unread(self) -> bool:
        """Whether some could not be read the last time, and are older than they may be."""

    @property
    def configured(self) -> bool:
        """Whether there are any."""

    @property
    def all(self) -> Sequence[Check]:
        """In order: one that counts payments comes last, and leaves out what the others refuse."""

    def digest(self, now: datetime) -> str:
        """Of all of them together."""


class Rescreening(Protocol):
    """What looks at payments that are in a message already (`gateway.rescreening`)."""

    async def look(self, checks: Sequence[Check], between: Callable[[], Awaitable[None]], stopping: Callable[[], bool]) -> None:
        """`between` is called again and again, so that what is new does not wait."""


NO_RULES: Final = Finding(
    rule="no-rules",
    version=0,
    outcome=Outcome.HOLD,
    text_en="rules were configured when the payment was submitted, and the process that judges finds none",
    text_zh="提交时已配置规则，但审核进程未找到任何规则",
)
"""Who may pay what is never decided by a directory that is missing."""


def check_failed(name: str) -> Finding:
    """What holds a payment that a check could not be made of: a fault of ours, told in the log."""
    return Finding(
        rule="check-failed",
        version=0,
        outcome=Outcome.HOLD,
        text_en=f"the check {name} could not be made of it because of a fault of this program",
        text_zh=f"因本程序缺陷，无法完成检查 {name}",
        facts=(("check", name),),
    )


class _Failed(Exception):
    """A check raised. Which one."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@dataclass(slots=True)
class Reviewer:
    """The lane. `windows`: of the connections that have one, for what is told of a payment that is approved."""

    store: Store
    checks: Checks
    clock: Clock
    metrics: Metrics
    windows: Mapping[str, SendWindow] = field(default_factory=dict)
    rescreener: Rescreening | None = None  # looks at what is in messages already, when lists change
    winding_down: bool = False  # begins no more judgements: what waits stays for the next start
    _fence: int = -1  # of the book when rules were read last
    _one_by_one: int = 0  # so many more payments are judged alone: a check failed, and it is to be found for which

    async def pump(self) -> datetime | None:
        """Judges what is new, then, if rules have changed, all that waits; when to look again (None: nothing is configured)."""
        self._fence = -1  # whatever was read before is read again
        await self._judge_new()
        if not self.checks.configured:
            return None
        await self._judge_anew()
        if self.rescreener is not None and not self.winding_down:
            await self.rescreener.look(self.checks.all, self._judge_new, lambda: self.winding_down)
        return self.clock() + LOOK_AGAIN

    async def _judge_new(self) -> None:
        tries = 0
        while not self.winding_down:
            book = await self._book()
            found = [] if book is None else await self.store.unjudged(1 if self._one_by_one else BATCH)
            if book is None or not found:
                return
            written = await self._judge(book.fence, found)
            tries = 0 if written else tries + 1
            if tries == TRIES:
                raise Stale("other runners keep judging the same payments")

    async def _judge_anew(self) -> None:
        """Everything that waits, page by page; what was submitted meanwhile is judged between two pages."""
        rules = ""  # by which these pages are judged: where they change, it begins anew
        token: str | None = None
        tries = 0
        while not self.winding_down and (book := await self._book()) is not None:
            following_rules = self.checks.digest(self.clock())
            if book.rules == following_rules:
                return
            if following_rules != rules:
                rules, token = following_rules, None
            page, following = await self.store.waiting(_WAITING, None, limit=BATCH, after=token)
            stale = [one for one in page if _is_stale(one, rules)]
            some = stale[:1] if self._one_by_one else stale
            if some:
                # Those without a review count for each other, like new ones; the others stand each at its own place.
                same = [one for one in some if (one.review is None) is (some[0].review is None)]
                written = await self._judge(book.fence, same)
            elif following is None:
                written = await self._finish(rules)
            else:
                await self._judge_new()
                token, written = following, True
            tries = 0 if written else tries + 1
            if tries == TRIES:
                raise Stale("other runners keep judging the same payments")

    async def _finish(self, rules: str) -> bool:
        """Notes that all that waits was judged by these rules, if nobody has written since."""
        await self._judge_new()
        book = await self._book()
        if book is None or self.checks.digest(self.clock()) != rules:
            return True  # it begins anew, or not at all
        return await self._turn_page(book.fence, rules)

    async def _turn_page(self, fence: int, rules: str) -> bool:
        try:
            await self.store.finish_rules(fence, rules)
        except Stale:
            return False
        self._fence = fence + 1
        return True

    async def _book(self) -> Book | None:
        """Where judging stands, with rules in use that are no older than its last page; None: there are none such to judge by."""
        for _ in range(TRIES):
            book = await self.store.review_book()
            if book.fence != self._fence:
                await self.checks.refresh()
                self._fence = book.fence
            if book.rules == self.checks.digest(self.clock()):
                return book
            if self.checks.unread and book.rules:
                log.error("not_judged", problem="rules cannot be read, and are not those by which payments were judged last")
                return None
            if book.rules in {"", CHANGING} or not self.checks.configured:
                return book
            await self._turn_page(book.fence, CHANGING)
        raise Stale("other runners keep judging payments")

    async def _judge(self, fence: int, found: Sequence[Waiting]) -> bool:
        """Judges payments and writes it, all of it at once; whether any of it was written."""
        now = self.clock()
        rules = self.checks.digest(now)
        alone = len(found) == 1
        try:
            verdicts = await self._verdicts(found, now)
        except _Failed as failed:
            if not alone:
                self._one_by_one = len(found)
                return True  # nothing was written, and it goes on
            verdicts = [Verdict(findings=(check_failed(failed.name),))]
        self._one_by_one = max(0, self._one_by_one - len(found))
        pairs = list(zip(found, verdicts, strict=True))
        people = await people_now(self.store, [(one.signed, verdict) for one, verdict in pairs])
        judged = [self._judged(one, verdict, now, people) for one, verdict in pairs]
        try:
            written = await self.store.write_judged(fence, rules, judged)
        except Stale:
            return False
        self._fence = fence + 1
        for one in judged:
            if one.payment_id in written:
                self.metrics.judged(one.verdict.outcome.name.lower())
        return bool(written)

    async def _verdicts(self, found: Sequence[Waiting], now: datetime) -> list[Verdict]:
        subjects = tuple(subject_of(one.payment) for one in found)
        numbers = tuple(one.review.number for one in found if one.review is not None)
        findings: list[list[Finding]] = [[] for _ in subjects]
        blocked: frozenset[str] = frozenset()
        for check in self.checks.all:
            judging = Judging(subjects=subjects, now=now, blocked=blocked, numbers=numbers or None)
            try:
                said = await check.judge(judging)
            except StoreUnavailable:
                raise
            except Exception as fault:
                _tell(check.name, len(subjects), fault)
                raise _Failed(check.name) from fault
            for own, more in zip(findings, said, strict=True):
                own.extend(more)
            blocked |= {
                one.payment_id
                for one, own in zip(subjects, findings, strict=True)
                if any(finding.outcome is Outcome.BLOCK for finding in own)
            }
        if not self.checks.configured:
            return [Verdict(findings=(NO_RULES,)) for _ in subjects]
        return [Verdict(findings=tuple(own)) for own in findings]

    def _judged(self, waiting: Waiting, verdict: Verdict, now: datetime, people: Approvers | None) -> Judged:
        payment, review = waiting.payment, waiting.review
        subject = subject_of(payment)
        found = standing(subject, verdict, waiting.signed)
        if review is not None and found.digest != review.digest:
            return _void(waiting, review)
        there = place_of(found, people)
        reason = why(found, verdict, self._approved(payment, found, review is not None, now), people)
        changed = review is not None and (_was_taken_out(payment) or not asks_the_same(review.verdict, verdict))
        return Judged(
            payment_id=payment.payment_id,
            version=payment.version,
            review=None if review is None else review.version,
            facts=facts_of(payment),
            digest=found.digest,
            verdict=verdict,
            steps=way(payment.state, there, reason),
            told=ours("judged-again", reason.text_en) if changed else None,
            stands=reason if changed and there in {PaymentState.HELD, PaymentState.AWAITING_APPROVAL} else None,
        )

    def _approved(self, payment: Payment, found: Standing, again: bool, now: datetime) -> Reason:
        """What is said of a payment that may go: as where nothing is judged, unless people or new rules had a hand in it."""
        if payment.group is not None and payment.group.waits:
            return waits_for(payment.group.name)
        if again or found.decisions:
            return ours("judged-again" if again else "reviewed")
        either = payment.instant is InstantChoice.INSTANT_ELSE_NORMAL
        if either and not payment.may_fall_back and payment.refused is None and not asks_instant(payment.terms.payment_type):
            return ours("instant-not-offered")
        window = self.windows.get(payment.connection_id)
        reviewed = ours("approved")
        return reviewed if window is None else waits_reason(window_answer(window, payment.terms, now), reviewed)


def _tell(check: str, payments: int, fault: Exception) -> None:
    """A fault is told by its place: its text may quote what was judged."""
    log.error("check_failed", check=check, payments=payments, fault=fault_at(fault))


def _void(waiting: Waiting, review: Review) -> Judged:
    """Somebody changed in the database what was judged before. It keeps its judgement, so that it never fits again: it is held,
    and can only be refused."""
    payment, reason = waiting.payment, ours("approval-void")
    origin = Origin(connection_id=payment.connection_id, inbound_file_id=0, source="gateway")
    return Judged(
        payment_id=payment.payment_id,
        version=payment.version,
        review=review.version,
        facts=facts_of(payment),
        digest=review.digest,
        verdict=review.verdict,
        steps=way(payment.state, PaymentState.HELD, reason),
        told=reason,
        stands=reason,
        discrepancies=(say.approval_void(origin, None, payment.payment_id, "approval-void"),),
    )


def _is_stale(waiting: Waiting, rules: str) -> bool:
    """Whether a payment has to be judged by these rules."""
    if not may_be_judged_anew(waiting.payment):
        return False
    return waiting.review is None or waiting.review.rules != rules or _was_taken_out(waiting.payment)


def _was_taken_out(payment: Payment) -> bool:
    """Whether it was to leave and did not, as an approver had lost the right: it waits for another one."""
    return payment.state is PaymentState.HELD and payment.reason.code == APPROVER_GONE
