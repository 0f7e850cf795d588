"""Is this payment there already? By content, beyond the caller's own reference. Pure."""

from collections.abc import Iterator

from gateway.policy.habits.case import Case, days_en, days_zh, facts_of, found
from gateway.policy.habits.profile import Profile, Seen
from gateway.policy.habits.words import document_numbers, same_reference
from gateway.policy.verdict import Finding

_PAIRS = 2  # so many earlier repetitions at no longer a distance make a rhythm
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
    others = case.creditor.of_amount(past.currency, past.amount) if past.creditor_account else []
    weak: Seen | None = None
    for other in sorted(others, key=lambda one: (case.days_from(one), one.key)):
        days = case.days_from(other)
        if days > max(settings.invoice_days, settings.duplicate_days):
            break
        same, shared = _same(case.creditor, case.seen, other)
        if same and (days <= settings.duplicate_days or (shared and days <= settings.invoice_days)):
            if weights.duplicate and not _is_rhythm(case, others, days, same_words=True):
                return _duplicate(case, other, days)
        elif days <= settings.duplicate_amount_days and weak is None:
            weak = other
    if weak is None or not weights.duplicate_amount:
        return None
    days = case.days_from(weak)
    return None if _is_rhythm(case, others, days, same_words=False) else _same_amount(case, weak, days)


def _same(profile: Profile, one: Seen, other: Seen) -> tuple[bool, bool]:
    """Whether two references say the same, and whether they share the number of a document."""
    numbers, other_numbers = (
        frozenset(number for number in seen.numbers if not profile.is_constant(number)) for seen in (one, other)
    )
    shared = bool(document_numbers(numbers) & document_numbers(other_numbers))
    return same_reference(one.past.remittance, numbers, other.past.remittance, other_numbers), shared


def _is_rhythm(case: Case, others: list[Seen], days: int, *, same_words: bool) -> bool:
    """Whether this account was paid this amount before at such a distance, again and again: rent, salaries, fees.

    `same_words`: only repetitions whose references said the same count.
    """
    tolerance = max(1, days // 5) if days else 0
    wanted = _PAIRS if days <= case.settings.duplicate_days else _LONG_PAIRS
    learned = sorted((one for one in others if one.learned), key=lambda one: (one.past.requested_execution_date, one.key))
    pairs = 0
    for earlier, later in zip(learned, learned[1:], strict=False):
        gap = (later.past.requested_execution_date - earlier.past.requested_execution_date).days
        if gap <= days + tolerance and (not same_words or _same(case.creditor, earlier, later)[0]):
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
    return found(
        "duplicate-amount",
        case.settings.weights.duplicate_amount,
        f"the same amount to the same account as {said_en}, {days_en(days)}, under another reference",
        f"与{said_zh}的收款账户和金额相同，附言不同，{days_zh(days)}",
        **facts,
        days_apart=str(days),
    )


def _invoice_again(case: Case) -> Iterator[Finding]:
    """A document that was paid before, with another amount: split, edited, or paid by instalments."""
    weight, past = case.settings.weights.invoice_again, case.past
    if not weight:
        return
    for number in sorted(document_numbers(case.seen.numbers)):
        for profile in (case.creditor, case.name):
            if profile.is_constant(number):
                continue
            others = [
                one
                for one in case.own_or_all(profile.of_number(number))
                if one.past.amount != past.amount and case.days_from(one) <= case.settings.invoice_days
            ]
            if others:
                other = others[-1]
                said_en, said_zh, facts = facts_of(case, other)
                yield found(
                    "invoice-again",
                    weight,
                    f"the document that it names was paid before with another amount: {said_en}",
                    f"所列单据此前已按其他金额支付：{said_zh}",
                    **facts,
                    days_apart=str(case.days_from(other)),
                )
                return
