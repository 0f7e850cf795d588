"""Amounts, times, bursts, places and limits, against the payments of the same creditor and of the same account. Pure.

Amounts are compared by their logarithms: the median, and how many robust deviations from it (1.4826 times the median absolute
deviation, which for normal data is the standard deviation). One huge payment of the past moves neither.
"""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.policy.habits.case import Case, found, times
from gateway.policy.habits.profile import Seen, median_and_spread
from gateway.policy.verdict import Finding

_NORMAL = 1.4826
_SPREAD_MIN = 0.1  # of logarithms, about 10 %: where every amount was the same, a few per cent more are no news
_FAR = 10  # times the median, from which an amount weighs more
_FAR_MORE = 15
_BEYOND = 1.5  # times the largest payment of the account
_RARE_PERCENT = 2  # of the days: at most so many saw a payment at this time
_KNOWN = 2  # payments of earlier days, after which a creditor is no stranger
_HABIT_PERCENT = 30  # of a creditor's payments just below a limit: its price, no structuring
_HABIT_PAYMENTS = 5
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def unusual(case: Case) -> Iterator[Finding]:
    """What is out of the ordinary."""
    yield from _amount(case)
    yield from _time(case)
    yield from _burst(case)
    yield from _place(case)
    yield from _below_limit(case)


# -- amounts ---------------------------------------------------------------------------------------------------------------


def _amount(case: Case) -> Iterator[Finding]:
    settings, caller, currency = case.settings, case.subject.caller, case.past.currency
    logs = max(case.creditor.logs(caller, currency), case.name.logs(caller, currency), key=len)
    if len(logs) >= settings.creditor_payments_min:
        yield from _for_creditor(case, logs)
        return
    if len(logs) >= settings.few_payments_min and settings.weights.amount_creditor:
        ratio = math.exp(min(case.seen.log - logs[-1], 50.0))
        if ratio >= settings.few_payments_ratio:
            yield found(
                "amount-creditor",
                settings.weights.amount_creditor,
                f"{times(ratio)} times the largest of {len(logs)} payments to this creditor",
                f"是向该收款人 {len(logs)} 笔付款中最大一笔的 {times(ratio)} 倍",
                times_largest=times(ratio),
                payments=str(len(logs)),
            )
            return
    logs = case.debtor.logs(caller, currency)
    if len(logs) >= settings.account_payments_min and settings.weights.amount_account:
        yield from _for_account(case, logs)


def _for_creditor(case: Case, logs: list[float]) -> Iterator[Finding]:
    settings = case.settings
    middle, spread = median_and_spread(logs)
    above = case.seen.log - middle
    far = above / max(_NORMAL * spread, _SPREAD_MIN)
    ratio = math.exp(min(above, 50.0))
    if case.seen.log <= logs[-1] or ratio < settings.amount_ratio or far < settings.amount_deviations:
        return
    if not settings.weights.amount_creditor:
        return
    score = min(100, settings.weights.amount_creditor + (_FAR_MORE if ratio >= _FAR else 0))
    yield found(
        "amount-creditor",
        score,
        f"{times(ratio)} times the median of {len(logs)} payments to this creditor",
        f"是向该收款人 {len(logs)} 笔付款中位数的 {times(ratio)} 倍",
        times_median=times(ratio),
        payments=str(len(logs)),
        robust_deviations=f"{far:.1f}",
    )


def _for_account(case: Case, logs: list[float]) -> Iterator[Finding]:
    ratio = math.exp(min(case.seen.log - logs[-1], 50.0))
    if ratio < _BEYOND:
        return
    yield found(
        "amount-account",
        case.settings.weights.amount_account,
        f"{times(ratio)} times the largest of {len(logs)} payments from this account, to a creditor hardly known",
        f"是该账户 {len(logs)} 笔付款中最大一笔的 {times(ratio)} 倍，且收款人较为陌生",
        times_largest=times(ratio),
        payments=str(len(logs)),
    )


# -- times -----------------------------------------------------------------------------------------------------------------


def _time(case: Case) -> Iterator[Finding]:
    settings, local, debtor = case.settings, case.local, case.debtor
    today, active = local.date(), debtor.active_days(local.date())
    if active < settings.active_days_min:
        return
    at_hour = debtor.days_around_hour(local.hour, today)
    at_weekday = debtor.days_at_weekday(local.weekday(), today)
    odd_hour, odd_day = at_hour * 100 <= active * _RARE_PERCENT, at_weekday * 100 <= active * _RARE_PERCENT
    if not odd_hour and not odd_day:
        return
    strangers = {one.past.creditor_account for one in _within(case, _HOUR)} | {case.past.creditor_account}
    count = sum(_is_stranger(case, one) for one in strangers)
    if count >= settings.quiet_burst_payments and settings.weights.quiet_burst and _is_stranger(case, case.past.creditor_account):
        yield found(
            "quiet-burst",
            settings.weights.quiet_burst,
            f"{count} creditors hardly known within an hour, at a time at which this account hardly ever paid in {active} days",
            f"一小时内向 {count} 个陌生收款账户付款，而该账户 {active} 个付款日中几乎从未在此时段付款",
            creditors=str(count),
            days=str(active),
        )
    if odd_hour and settings.weights.hour:
        yield found(
            "hour",
            settings.weights.hour,
            f"at {local:%H:%M} ({settings.time_zone}); on {active} days this account hardly ever paid around that time",
            f"提交时间 {local:%H:%M}（{settings.time_zone}），该账户 {active} 个付款日中几乎从未在此时段付款",
            hour=f"{local:%H}",
            days=str(active),
        )
    if odd_day and settings.weights.weekday:
        yield found(
            "weekday",
            settings.weights.weekday,
            f"on a {_DAYS_EN[local.weekday()]}; on {active} days with payments this account hardly ever paid on one",
            f"提交于{_DAYS_ZH[local.weekday()]}，该账户 {active} 个付款日中几乎从未在此日付款",
            weekday=_DAYS_EN[local.weekday()],
            days=str(active),
        )


_DAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


def _is_stranger(case: Case, account: str) -> bool:
    """Whether the account was hardly paid before that day."""
    rows = case.debtor.accounts().get(account, [])
    until = case.subject.submitted_at - _DAY
    return sum(one.past.submitted_at <= until for one in rows[:_KNOWN]) < _KNOWN


def _within(case: Case, span: timedelta) -> list[Seen]:
    """The account's payments of that time up to this one."""
    until: datetime = case.subject.submitted_at
    return case.debtor.between(until - span, until)


def _burst(case: Case) -> Iterator[Finding]:
    settings, debtor, today = case.settings, case.debtor, case.local.date()
    if not settings.weights.burst or debtor.active_days(today) < settings.active_days_min:
        return
    for span, most, name_en, name_zh in (
        (_HOUR, debtor.largest_hour, "hour", "小时"),
        (_DAY, debtor.largest_day, "day", "天"),
    ):
        count = 1 + len(_within(case, span))
        if count < settings.burst_payments_min:
            continue
        largest = most(today)
        if count > settings.burst_ratio * largest:
            yield found(
                "burst",
                settings.weights.burst,
                f"{count} payments from this account within one {name_en}; before, {largest} were the most",
                f"该账户一{name_zh}内已有 {count} 笔付款，此前最多为 {largest} 笔",
                payments=str(count),
                most_before=str(largest),
                span=name_en,
            )
            return


# -- places ----------------------------------------------------------------------------------------------------------------


def _place(case: Case) -> Iterator[Finding]:
    weights, past = case.settings.weights, case.past
    countries, currencies = case.debtor.countries(), case.debtor.currencies()
    payments = currencies.total()
    if payments < case.settings.account_payments_min:
        return
    if weights.new_country and past.creditor_country and past.creditor_country not in countries:
        yield found(
            "new-country",
            weights.new_country,
            f"the first payment from this account to {past.creditor_country}, after {payments} to {len(countries)} countries",
            f"该账户首次向 {past.creditor_country} 付款，此前 {payments} 笔付往 {len(countries)} 个国家或地区",
            country=past.creditor_country,
            payments=str(payments),
        )
    if weights.new_currency and past.currency not in currencies:
        yield found(
            "new-currency",
            weights.new_currency,
            f"the first payment from this account in {past.currency}, after {payments} in other currencies",
            f"该账户首次以 {past.currency} 付款，此前 {payments} 笔为其他币种",
            currency=past.currency,
            payments=str(payments),
        )


# -- limits ----------------------------------------------------------------------------------------------------------------


def _below_limit(case: Case) -> Iterator[Finding]:
    """Several payments just below one limit within days: to one creditor, or to creditors first paid in those days."""
    settings, past = case.settings, case.past
    for limit in settings.limits:
        low = limit.amount * (100 - settings.below_limit_percent) / 100
        if not settings.weights.below_limit or past.currency != limit.currency or not low <= past.amount < limit.amount:
            continue
        since = case.subject.submitted_at - timedelta(days=settings.below_limit_days)
        if _is_price(case, since, low, limit.amount):
            continue
        near = [
            one
            for one in case.debtor.between(since, case.subject.submitted_at)
            if _in_band(one, past.currency, low, limit.amount)
        ]
        count = 1 + sum(_of_same_creditor(case, one) or _is_new(case, one, since) for one in near)
        if count >= settings.below_limit_payments:
            yield found(
                "below-limit",
                settings.weights.below_limit,
                f"{count} payments within {settings.below_limit_days} days, each just below {limit.amount:f} {limit.currency}",
                f"{settings.below_limit_days} 天内 {count} 笔付款，每笔均略低于 {limit.amount:f} {limit.currency}",
                payments=str(count),
                limit=f"{limit.amount:f} {limit.currency}",
            )
            return


def _in_band(one: Seen, currency: str, low: Decimal, limit: Decimal) -> bool:
    return one.past.currency == currency and low <= one.past.amount < limit


def _of_same_creditor(case: Case, one: Seen) -> bool:
    return bool(case.seen.name and one.name == case.seen.name) or (
        bool(case.past.creditor_account) and one.past.creditor_account == case.past.creditor_account
    )


def _is_new(case: Case, one: Seen, since: datetime) -> bool:
    """Whether both this payment's creditor and that one's were first paid within the window."""
    rows = case.debtor.accounts().get(one.past.creditor_account)
    own = case.debtor.accounts().get(case.past.creditor_account)
    return (not rows or rows[0].past.submitted_at > since) and (not own or own[0].past.submitted_at > since)


def _is_price(case: Case, since: datetime, low: Decimal, limit: Decimal) -> bool:
    """Whether this creditor was paid such amounts all along."""
    before = [one for one in case.creditor.rows if one.learned and one.past.submitted_at <= since]
    inside = sum(_in_band(one, case.past.currency, low, limit) for one in before)
    return inside >= _HABIT_PAYMENTS and inside * 100 >= len(before) * _HABIT_PERCENT
