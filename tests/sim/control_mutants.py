"""Gateways that break one rule of control each, as `tests.sim.mutants` has some that break one of sending."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from gateway import review_gate
from gateway.people import totp
from gateway.policy import chain
from gateway.policy.known import UsageKey, Used
from gateway.review import Reviewer
from gateway.review_gate import Gate, Watch
from gateway.review_standing import standing, subject_of
from gateway.store.reviews import Book, Decided, Waiting
from gateway.store.sqlite import reviews
from gateway.use_cases import approvals
from tests.sim.disk import SimStore
from tests.sim.mutants import Mutant, _patched


async def _nothing(*_: Any) -> None:
    return None


def _as_judged(waiting: Waiting) -> chain.Standing:
    """Where the payment stands if nobody asks whether it still is what was judged."""
    assert waiting.review is not None
    found = standing(subject_of(waiting.payment), waiting.review.verdict, waiting.signed)
    return replace(found, digest=waiting.review.digest)


@contextmanager
def _content_not_compared() -> Iterator[None]:
    with patch.object(Watch, "look", lambda *_: None), patch.object(review_gate, "standing_now", _as_judged):
        yield


@contextmanager
def _nobody_is_known_again() -> Iterator[None]:
    """Whoever approved may approve again, and counts again; who submitted is told apart all the same."""
    with (
        patch.object(chain, "_key", lambda _: object()),
        patch.object(chain, "_submitted", lambda standing, person: standing.submitted_by == person.name),
    ):
        yield


_accepted_step = totp.accepted_step


def _again(secret: bytes, code: str, seconds: float, used: int) -> int | None:
    """A code counts for as long as it is shown."""
    del used
    return _accepted_step(secret, code, seconds, 0)


async def _book_as_it_is(self: Reviewer) -> Book:
    """The rules that it has in its hand, whoever has judged since."""
    if self._fence == -1:
        await self.checks.refresh()
        self._fence = 0
    return await self.store.review_book()


_used = SimStore.used


async def _used_before(self: Any, keys: Sequence[UsageKey], *, below: int | None = None) -> dict[UsageKey, Used]:
    """What totals had come to when this process asked first."""
    known = self.__dict__.setdefault("_known_usage", {})
    fresh = [key for key in keys if key not in known]
    known.update(await _used(self, fresh, below=below) if fresh else {})
    return {key: known[key] for key in keys}


async def _line_afterwards(self: Any, decided: Decided) -> None:
    """The decision, and then, if nothing comes between, its line."""
    await self._write(lambda tx: reviews.decide(tx, replace(decided, audit=())))
    await self.audit(decided.audit)


_may = approvals.may_decide


def _whatever_was_seen(case: Any, now: Any, person: Any, choice: Any, digest: bytes) -> None:
    del digest
    _may(case, now, person, choice, case.digest)


async def _nobody_is_asked(*_: Any) -> None:
    return None


@contextmanager
def _never_looked_at_again() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("gateway.review.people_now", "gateway.review_gate.approvers_of", "gateway.use_cases.approvals.approvers_of"):
            stack.enter_context(patch(name, _nobody_is_asked))
        yield


def _any_step(found: Any, standing: Any, people: Any) -> Any:
    """Approvals fill whatever step they fit, in any order."""
    approved: list[list[str]] = [[] for _ in found.steps]
    counted: set[str] = set()
    for decision in standing.valid:
        person = decision.person
        if decision.choice is not chain.Choice.APPROVE or person.name in counted or not chain._may_at_all(standing, person):
            continue
        free = (at for at, step in enumerate(found.steps) if len(approved[at]) < step.count and step.group in person.groups)
        place = next(free, None)
        if place is not None:
            approved[place].append(person.name)
            counted.add(person.name)
    del people
    return chain.Progress(chain=found, approved=tuple(tuple(names) for names in approved))


CONTROL: dict[str, Mutant] = {
    "has no gate": Mutant(
        world="control", broken=_patched(Gate, "watch", _nothing), first=6, seeds=60, says="the bank got payment"
    ),
    "does not compare the content": Mutant(
        world="control", broken=_content_not_compared, first=11, seeds=60, says="that was never asked for"
    ),
    "takes a code twice": Mutant(
        world="control", broken=_patched(totp, "accepted_step", _again), first=4, seeds=60, says="counted"
    ),
    "counts one person twice": Mutant(world="control", broken=_nobody_is_known_again, seeds=60, says="without its approvals by"),
    "lets people approve what they entered": Mutant(
        world="control", broken=_patched(chain, "_submitted", lambda *_: False), seeds=60, says="which they entered"
    ),
    "keeps no order of steps": Mutant(
        world="control", broken=_patched(chain, "_progress", _any_step), first=23, seeds=200, says="without its approvals by"
    ),
    "counts usage from what it read before": Mutant(
        world="control",
        broken=_patched(SimStore, "used", _used_before),
        first=222,
        seeds=100,
        says="and the limit never was more than",
    ),
    "judges by rules that were replaced": Mutant(
        world="control", broken=_patched(Reviewer, "_book", _book_as_it_is), first=47, seeds=100, says="by rules of age"
    ),
    "writes the line of a decision after the decision": Mutant(
        world="control",
        broken=_patched(SimStore, "decide", _line_afterwards),
        seeds=20,
        says="is not in the audit log exactly once",
    ),
    "lets rights that were taken away count": Mutant(
        world="control",
        broken=_patched(reviews, "still_may", lambda *_: True),
        first=176,
        seeds=300,
        says="rights that had been taken away",
    ),
    "never looks at approvers again": Mutant(
        world="control", broken=_never_looked_at_again, first=216, seeds=200, says="of people who still may"
    ),
    "takes a decision about something else": Mutant(
        world="control",
        broken=_patched(approvals, "may_decide", _whatever_was_seen),
        first=15,
        seeds=60,
        says="and no code was given for that",
    ),
}
