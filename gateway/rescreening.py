"""Payments that are in a message already, looked at again when the screening lists change.

What waits is judged anew by the lane itself (`gateway.review`). This is for what left the lane: a payment in a message that has
not left yet gets the hit into its review, and the gate takes it out of the message (`gateway.review_gate`); of one that the bank
has, people are told, with what can still be done. Nothing that the bank has is moved, and no hit is told that held the payment
when it was judged. Payments of the last days that are not at their end are looked at, once for each change of lists and each
clearance that ends, page by page with new payments judged in between.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from gateway import review_discrepancies as say
from gateway.discrepancies import Origin
from gateway.lifecycle import PaymentState
from gateway.policy.screening.told import same_hit
from gateway.policy.verdict import Finding, Outcome, Verdict
from gateway.reasons import ours
from gateway.review import Check
from gateway.review_screening import ScreenCheck
from gateway.review_standing import IN_MESSAGE, facts_of, is_in_message, standing, subject_of
from gateway.store.reviews import Judged, Waiting
from gateway.store.store import Clock, Stale, Store

log = structlog.get_logger("review")

BATCH: Final = 50
TRIES: Final = 20
RULES: Final = "rescreened"  # stands for the rules of such a review, so that it is judged in full once its payment waits again


@dataclass(slots=True)
class Rescreener:
    """`days`: how far back payments are looked at; 0: not at all."""

    store: Store
    clock: Clock
    days: int
    _marked: set[str] = field(default_factory=set)  # payments with a hit in a message that had not left
    _known: bool = False  # whether those of earlier processes are among them

    async def look(self, checks: Sequence[Check], between: Callable[[], Awaitable[None]], stopping: Callable[[], bool]) -> None:
        """`between` is called after each page. A look that is cut short is begun again at the next start."""
        check = next((one for one in checks if isinstance(one, ScreenCheck)), None)
        if check is None or not self.days:
            return
        digest = check.digest_of_hits(self.clock())
        if await self.store.rescreened() != digest:
            if not await self._pages(check, between, stopping):
                return
            await self.store.finish_rescreening(digest)
        elif not self._known and not await self._pages(None, between, stopping):
            return
        self._known = True
        await self._follow()

    async def _pages(
        self, check: ScreenCheck | None, between: Callable[[], Awaitable[None]], stopping: Callable[[], bool]
    ) -> bool:
        """All of them; without a check only those that carry a hit. Whether it came to the end."""
        since = self.clock() - timedelta(days=self.days)
        token: str | None = None
        while not stopping():
            page, token = await self.store.in_messages(since, limit=BATCH, after=token)
            self._marked |= {one.payment.payment_id for one in page if one.review is not None and _carried(one.review.verdict)}
            if check is not None:
                await self._page(check, page)
            await between()
            if token is None:
                return True
        return False

    async def _page(self, check: ScreenCheck, page: Sequence[Waiting]) -> None:
        now = self.clock()
        found = await check.hits([subject_of(one.payment) for one in page], now)
        for waiting, findings in zip(page, found, strict=True):
            new = [one for one in findings if one.outcome > Outcome.PASS and not _told_before(one, waiting)]
            if new:
                await self._tell(waiting, new)

    async def _tell(self, waiting: Waiting, new: Sequence[Finding]) -> None:
        """Into the review, as long as the message has not left; else to people."""
        payment_id = waiting.payment.payment_id
        for _ in range(TRIES):
            payment = waiting.payment
            if payment.state is not PaymentState.BATCHED:
                await self._tell_people(waiting, new)
                return
            try:
                fence = (await self.store.review_book()).fence
                written = await self.store.write_judged(fence, RULES, [_judged(waiting, new)])
            except Stale:
                written = frozenset()
            if written:
                log.warning("payment_in_message_found_on_list", payment=payment_id, rules=[one.rule for one in new])
                self._marked.add(payment_id)
                return
            again = await self.store.review(payment_id)
            if again is None:
                return
            waiting = again
        raise Stale("other runners keep judging the same payments")

    async def _follow(self) -> None:
        """Those whose message left all the same: it was on its way while the list changed."""
        for payment_id in sorted(self._marked):
            found = await self.store.review(payment_id)
            if found is not None and found.payment.state is PaymentState.BATCHED:
                continue
            if found is not None and found.review is not None:
                carried = _carried(found.review.verdict)
                if carried:
                    await self._tell_people(found, carried)
            self._marked.discard(payment_id)

    async def _tell_people(self, waiting: Waiting, new: Sequence[Finding]) -> None:
        """Of what the bank has or may have. What is at its end, or waits, needs no word: the first is too late for a recall, the
        other is judged anew."""
        payment = waiting.payment
        if payment.state not in {PaymentState.SENT, PaymentState.ACCEPTED, PaymentState.SETTLED}:
            return
        origin = Origin(connection_id=payment.connection_id, inbound_file_id=0, source="gateway")
        await self.store.add_discrepancies([say.hit_after_sending(origin, payment, one) for one in new])
        log.warning("payment_at_bank_found_on_list", payment=payment.payment_id, rules=[one.rule for one in new])


def _judged(waiting: Waiting, new: Sequence[Finding]) -> Judged:
    payment, review = waiting.payment, waiting.review
    before = review.verdict.findings if review is not None else ()
    verdict = Verdict(findings=(*(replace(one, facts=(*one.facts, IN_MESSAGE)) for one in new), *before))
    return Judged(
        payment_id=payment.payment_id,
        version=payment.version,
        review=None if review is None else review.version,
        facts=facts_of(payment),
        digest=standing(subject_of(payment), verdict, waiting.signed).digest if review is None else review.digest,
        verdict=verdict,
        told=ours("hit-in-message"),
    )


def _carried(verdict: Verdict) -> list[Finding]:
    return [one for one in verdict.findings if is_in_message(one)]


def _told_before(finding: Finding, waiting: Waiting) -> bool:
    """What was cleared then, and no longer is, is news."""
    before = () if waiting.review is None else waiting.review.verdict.findings
    return any(one.outcome > Outcome.PASS and same_hit(finding, one) for one in before)
