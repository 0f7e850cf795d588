"""Is this payment there already? By content, beyond the caller's own reference. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from gateway.policy.habits.case import Case, days_en, days_zh, facts_of, found
from gateway.policy.habits.profile import Seen
from gateway.policy.habits.words import document_numbers, same_document, same_reference, says_part
from gateway.policy.verdict import Finding

_AMOUNTS = 200  # the newest payments of one amount that are compared
_NAMED = 50  # likewise of those that name one number
_PAIRS = 2  # so many earlier repetitions at no longer a distance make a rhythm
_CONSTANT = 3  # a number beside so many other amounts is that of a contract, no invoice
_PRICE = 3  # payments of one amount, and at least half of all: a price
_LONG_PAIRS = 1  # likewise beyond the window of duplicates


def duplicates(case: Case) -> Iterator[Finding]:
    """What was paid before, and what looks like a part or a new version of it."""
    repeated = _repeated(case)
    if repeated is not None:
        yield repeated
    else:
        yield from _invoice_again(case)


def _repeated(case: Case) -> Finding | None:
    """The nearest payment of the same amount to the same account that no rhythm explains; the same reference before others."""
    weights, settings = case.settings.weights, case.settings
    past = case.past
    others = case.creditor.of_amount(past.currency, past.amount)[-_AMOUNTS:] if past.creditor_account else []
    weak: Seen | None = None
    for other in sorted(others, key=lambda one: (case.days_from(one), one.key)):
        days = case.days_from(other)
        if days > max(settings.invoice_days, settings.duplicate_days):
            break
        same, shared = _same(case.seen, other), same_document(case.seen.numbers, other.numbers)
        if same and (days <= settings.duplicate_days or (shared and days <= settings.invoice_days)):
            if weights.duplicate and not _is_rhythm(case, others, days, same_words=True):
                return _duplicate(case, other, days)
        elif days <= settings.duplicate_amount_days and weak is None:
            weak = other
    if weak is None or not weights.duplicate_amount:
        return None
    days = case.days_from(weak)
    return None if _is_rhythm(case, others, days, same_words=False) else _same_amount(case, weak, days)


def _same(one: Seen, other: Seen) -> bool:
    return same_reference(one.past.remittance, one.numbers, other.past.remittance, other.numbers)


def _is_rhythm(case: Case, others: list[Seen], days: int, *, same_words: bool) -> bool:
    """Whether this account was paid this amount before at such a distance, again and again: rent, salaries, fees.

    `same_words`: only repetitions whose references said the same count.
    """
    tolerance = max(1, days // 5) if days else 0
    wanted = _PAIRS if days <= case.settings.duplicate_days else _LONG_PAIRS
    learned = sorted((one for one in others if one.learned), key=lambda one: (one.past.requested_execution_date, one.key))
    pairs = 0
    for earlier, later in pairwise(learned):
        gap = (later.past.requested_execution_date - earlier.past.requested_execution_date).days
        if gap <= days + tolerance and (not same_words or _same(earlier, later)):
            pairs += 1
    return pairs >= wanted


def _duplicate(case: Case, other: Seen, days: int) -> Finding:
    said_en, said_zh, facts = facts_of(case, other)
    return found(
        "duplicate",
        case.settings.weights.duplicate,
        f"the same amount to the same account under the same reference as {said_en}, {days_en(days)}",
        f"与{said_zh}的收款账户、金额和附言相同，{days_zh(days)}",
        **facts,
        days_apart=str(days),
    )


def _same_amount(case: Case, other: Seen, days: int) -> Finding:
    said_en, said_zh, facts = facts_of(case, other)
    price = _is_price(case)
    weight = case.settings.weights.duplicate_amount
    return found(
        "duplicate-amount",
        weight // 2 if price else weight,
        f"the same amount to the same account as {said_en}, {days_en(days)}, under another reference",
        f"与{said_zh}的收款账户和金额相同，附言不同，{days_zh(days)}",
        **facts,
        days_apart=str(days),
        usual_amount="yes" if price else "no",
    )


def _is_price(case: Case) -> bool:
    """Whether this amount is what the creditor is paid most of the time."""
    live = sum(one.live for one in case.creditor.rows)
    same = len(case.creditor.of_amount(case.past.currency, case.past.amount))
    return same >= _PRICE and same * 2 >= live


def _invoice_again(case: Case) -> Iterator[Finding]:
    """A document that was paid before, with another amount: split, edited, or paid by instalments, which it may say itself."""
    weight, past = case.settings.weights.invoice_again, case.past
    if not weight:
        return
    numbers = document_numbers(case.seen.numbers)
    named = [
        one for number in sorted(numbers) for profile in (case.creditor, case.name) for one in profile.of_number(number)[-_NAMED:]
    ]
    others = [
        one
        for one in case.own_or_all(named)
        if one.past.amount != past.amount
        and case.days_from(one) <= case.settings.invoice_days
        and same_document(case.seen.numbers, one.numbers)
    ]
    if len({one.past.amount for one in others}) not in range(1, _CONSTANT):
        return
    other = max(others, key=lambda one: one.key)
    part = says_part(past.remittance)
    said_en, said_zh, facts = facts_of(case, other)
    yield found(
        "invoice-again",
        weight // 2 if part else weight,
        f"the document that it names was paid before with another amount: {said_en}",
        f"所列单据此前已按其他金额支付：{said_zh}",
        **facts,
        days_apart=str(case.days_from(other)),
        says_part="yes" if part else "no",
    )
