"""Which of our payments the bank is talking about. Pure.

In this order: message id + block id + instruction id; then end-to-end id; then UETR; then account servicer reference. A key that
leaves several candidates is narrowed by the other facts of the news (message, block, amount); what is still ambiguous, or
contradicts the bank's own other keys, is a discrepancy with its evidence, never a guess.

A payment whose instant attempt was refused stands here twice, once with the ids of each attempt. What only says which payment is
meant (the end-to-end id) is about its present attempt, if that has a message.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from gateway.instant import payment_id_of
from gateway.lifecycle import PaymentEvent
from gateway.store.records import Candidate, Keys, Reason

NOT_PROVIDED = frozenset({"NOTPROVIDED", "NONREF", ""})


class MatchKind(StrEnum):
    INSTRUCTION = "message_id+payment_information_id+instruction_id"
    END_TO_END = "end_to_end_id"
    UETR = "uetr"
    SERVICER_REFERENCE = "account_servicer_reference"
    BOOKING = "account+counterparty_account+amount"  # of a credit that names no payment (`gateway.came_back`)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one record says about one payment. Absent facts are None. `amount` is in `currency`, as the bank wrote it."""

    event: PaymentEvent
    reason: Reason
    bank_status: str
    message_id: str | None = None
    payment_information_id: str | None = None
    instruction_id: str | None = None
    end_to_end_id: str | None = None
    uetr: str | None = None
    account_servicer_reference: str | None = None
    amount: str | None = None
    currency: str | None = None
    must_match: bool = True  # False: a statement line may well be about something else than our payments
    reason_codes: tuple[str, ...] = ()  # every one the bank gave
    serial_number: str | None = None  # stands for an instruction id, which is looked up first (`gateway.serial_news`)
    bank_reference: str | None = None  # what a bank that knows the serial number calls the payment
    by_booking: bool = False  # the instruction id is ours to say, not the bank's

    def identifies(self) -> bool:
        """Whether there is anything to match by."""
        return bool(
            self.instruction_id
            or self.serial_number
            or self.uetr
            or self.account_servicer_reference
            or (self.end_to_end_id and self.end_to_end_id not in NOT_PROVIDED)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    candidate: Candidate
    by: MatchKind
    amount_differs: bool  # identity is certain, but the bank names another amount


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMatch:
    """`kind` is a discrepancy's: "unmatched", "ambiguous" or "mismatch"."""

    kind: str
    why: str
    candidates: tuple[Candidate, ...] = ()


def keys_of(news: Iterable[News]) -> Keys:
    """Everything the store has to be asked for these news, at once."""
    payment_ids: set[str] = set()
    end_to_end_ids: set[str] = set()
    uetrs: set[str] = set()
    references: set[str] = set()
    for item in news:
        if item.instruction_id:
            payment_ids.add(payment_id_of(item.instruction_id))
        if item.end_to_end_id and item.end_to_end_id not in NOT_PROVIDED:
            end_to_end_ids.add(item.end_to_end_id)
        if item.uetr:
            uetrs.add(item.uetr)
        if item.account_servicer_reference:
            references.add(item.account_servicer_reference)
    return Keys(
        payment_ids=tuple(sorted(payment_ids)),
        end_to_end_ids=tuple(sorted(end_to_end_ids)),
        uetrs=tuple(sorted(uetrs)),
        account_servicer_references=tuple(sorted(references)),
    )


class CandidateIndex:
    """The candidates of a batch of news, by each key."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._by_id: dict[str, Candidate] = {}  # by instruction id, as the lists below
        self._ids: dict[tuple[MatchKind, str], list[str]] = {}
        for candidate in candidates:
            self._by_id[candidate.instruction_id] = candidate
            self._add(MatchKind.END_TO_END, candidate.end_to_end_id, candidate)
            self._add(MatchKind.UETR, candidate.uetr, candidate)
            self._add(MatchKind.SERVICER_REFERENCE, candidate.account_servicer_reference, candidate)

    def _add(self, kind: MatchKind, value: str | None, candidate: Candidate) -> None:
        if value:
            self._ids.setdefault((kind, value), []).append(candidate.instruction_id)

    def replace(self, candidate: Candidate) -> None:
        """A candidate has moved on while the batch is worked through; its keys are the same."""
        self._by_id[candidate.instruction_id] = candidate

    def supersede(self, candidate: Candidate, report_created: str | None) -> None:
        """An attempt was refused while the batch is worked through; the next one is in no message, and cannot be meant."""
        self.replace(replace(candidate, attempts=candidate.attempt + 1, report_created=report_created))

    def find(self, kind: MatchKind, value: str | None) -> list[Candidate]:
        """Payments with that key; a payment that was never in a message cannot be what a bank talks about."""
        if not value:
            return []
        ids = [value] if kind is MatchKind.INSTRUCTION else self._ids.get((kind, value), [])
        found = (self._by_id.get(instruction_id) for instruction_id in ids)
        return [candidate for candidate in found if candidate is not None and candidate.delivery_id is not None]


def match(news: News, index: CandidateIndex) -> Match | NoMatch:
    """The payment the news is about, or why none was taken."""
    exact = index.find(MatchKind.INSTRUCTION, news.instruction_id)
    if exact:
        return _exact(news, exact[0])
    for kind, value in (
        (MatchKind.END_TO_END, None if news.end_to_end_id in NOT_PROVIDED else news.end_to_end_id),
        (MatchKind.UETR, news.uetr),
        (MatchKind.SERVICER_REFERENCE, news.account_servicer_reference),
    ):
        found = index.find(kind, value)
        if found:
            return _narrowed(news, kind, found)
    return NoMatch(kind="unmatched", why="no payment of this connection has any of the identifiers the bank gave")


def names_message(news: News, found: Match) -> bool:
    """Whether the bank named what stands in our message only, an id of ours or the UETR: then it must have the message."""
    ours = (news.message_id, found.candidate.message_id), (news.payment_information_id, found.candidate.payment_information_id)
    return found.by in {MatchKind.INSTRUCTION, MatchKind.UETR} or any(theirs and theirs == mine for theirs, mine in ours)


def _exact(news: News, candidate: Candidate) -> Match | NoMatch:
    for name, theirs, mine in (
        ("message id", news.message_id, candidate.message_id),
        ("payment information id", news.payment_information_id, candidate.payment_information_id),
        ("end-to-end id", news.end_to_end_id, candidate.end_to_end_id),
        ("UETR", news.uetr, candidate.uetr),
    ):
        if not _fits(theirs, mine):
            return NoMatch(
                kind="mismatch",
                why=f"the instruction id is ours, but the {name} beside it belongs to something else",
                candidates=(candidate,),
            )
    differs = _amount_differs(news, candidate)
    if differs and news.serial_number and not news.must_match:
        # Banks put the number of a payment on the lines of its fees too, and nobody says on which: such a line settles nothing.
        return NoMatch(
            kind="mismatch", why="a fee or a part: the line has our number and another amount", candidates=(candidate,)
        )
    by = MatchKind.BOOKING if news.by_booking else MatchKind.INSTRUCTION
    return Match(candidate=candidate, by=by, amount_differs=differs)


def _narrowed(news: News, kind: MatchKind, found: list[Candidate]) -> Match | NoMatch:
    narrowings: tuple[tuple[str, Callable[[Candidate], bool]], ...] = (
        ("message id", lambda c: _fits(news.message_id, c.message_id)),
        ("payment information id", lambda c: _fits(news.payment_information_id, c.payment_information_id)),
        ("end-to-end id", lambda c: _fits(news.end_to_end_id, c.end_to_end_id)),
        ("UETR", lambda c: _fits(news.uetr, c.uetr)),
        ("amount", lambda c: not _amount_differs(news, c)),
    )
    left = found
    for name, keeps in narrowings:
        still = [candidate for candidate in left if keeps(candidate)]
        if not still:
            return NoMatch(
                kind="mismatch",
                why=f"the {kind.value} is ours, but the {name} beside it does not fit",
                candidates=tuple(left[:10]),
            )
        left = still
    if len({candidate.payment_id for candidate in left}) == 1:
        left = [min(left, key=lambda candidate: candidate.superseded)]
    if len(left) > 1:
        return NoMatch(
            kind="ambiguous",
            why=f"{len(left)} payments share this {kind.value} and nothing in the news tells them apart",
            candidates=tuple(left[:10]),
        )
    return Match(candidate=left[0], by=kind, amount_differs=False)


def _fits(theirs: str | None, mine: str | None) -> bool:
    """Whether the bank's fact agrees with ours; a fact that one side does not have contradicts nothing."""
    return theirs is None or theirs in NOT_PROVIDED or mine is None or theirs == mine


def _amount_differs(news: News, candidate: Candidate) -> bool:
    if news.amount is None or news.currency is None or news.currency != candidate.currency:
        return False
    try:
        return Decimal(news.amount) != candidate.amount
    except InvalidOperation:
        return True
