"""Payments that leave together: what submitting them refuses, when a group goes, and what is said of one.

A group goes by itself once it is closed and exactly what it was closed with is approved. The lane of its bank looks at that in
each turn, before it forms messages, and frees all of it in one transaction; so a process that dies before or after leaves a group
whole, and the next turn finds it. Payments that were lost after it was closed (rejected, cancelled) keep it back until somebody
says, with number and sum, that the rest is to go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from formats.errors import Violation
from gateway.audit.lines import by_itself
from gateway.errors import Invalid, OrderViolation
from gateway.lifecycle import PaymentState
from gateway.policy.texts import Words
from gateway.reasons import ours
from gateway.store.groups import LOST, Figures, GroupAct, GroupKey, GroupNotOpen, GroupState, ReleaseGroup
from gateway.store.records import NewPayment, Reason, SubmitResult
from gateway.store.store import Stale, Store

SOURCE: Final = "bankgate.v1 types.proto, PaymentRequest.release_group"
KIND: Final = "release_group"  # the kind of object in the audit log
_SHUT: Final[dict[GroupState, Words]] = {
    GroupState.CLOSED: ("is closed", "已封闭"),
    GroupState.RELEASED: ("was released", "已放行"),
    GroupState.CANCELLED: ("was cancelled", "已撤销"),
}


def waits_for(name: str) -> Reason:
    """Why an approved payment does not leave: its group does not yet."""
    return ours("waits-for-group", name)


# -- submitting --------------------------------------------------------------------------------------------------------


async def store_payments(store: Store, payments: Sequence[NewPayment]) -> SubmitResult:
    """Stores payments of one call. Raises `Invalid` where new ones name groups that take no more: then none was stored."""
    try:
        return await store.submit(payments)
    except GroupNotOpen as shut:
        found = shut.groups
    told = []
    for index, one in enumerate(payments):
        state = found.get(GroupKey(one.caller, one.connection_id, one.release_group or ""))
        if state is not None:
            violation = not_open(one.release_group or "", state)
            told.append(OrderViolation(index=index, payment_reference=one.payment_reference, violation=violation))
    raise Invalid(tuple(told))


async def shut_groups(store: Store, keys: Iterable[GroupKey]) -> dict[GroupKey, Violation]:
    """Which of these groups take no more, and what is said of a payment that names one."""
    by_id = {key.group_id: key for key in keys}
    shut = await store.shut_groups(list(by_id)) if by_id else {}
    return {by_id[group_id]: not_open(by_id[group_id].name, state) for group_id, state in shut.items()}


def not_open(name: str, state: GroupState) -> Violation:
    """What refuses a payment that comes too late for its group."""
    en, zh = _SHUT[state]
    return Violation(
        field="release_group",
        rule="release-group.not-open",
        source=SOURCE,
        message_en=f"The release group {name} {en}: nothing is added to it. Name another group, or none.",
        message_zh=f"放行组 {name} {zh}，不能再加入付款。请使用其他放行组，或不填写。",
    )


# -- going -------------------------------------------------------------------------------------------------------------


async def release_complete(store: Store, connection_id: str, now: datetime, zone: ZoneInfo) -> None:
    """Frees every group of the connection of which exactly what is to go is approved."""
    for group in await store.groups_to_release(connection_id):
        passed = passed_words(await earliest_date(store, group), now.astimezone(zone).date())
        detail = group.key.name if passed is None else f"{group.key.name}: {passed[0]} {passed[1]}"
        told = ours("released-with-group", detail)
        expected = group.expected
        assert expected is not None  # noqa: S101 - closed groups have figures
        line = by_itself("release_group.released", KIND, group.group_id, address="", **figures_detail(group.key, expected))
        try:
            await store.free_group(group.group_id, group.version, GroupAct(by="gateway", audit=(line,)), told)
        except Stale:  # it, or one of its payments, moved since it was looked at: whoever moved it woke the lane
            continue


async def earliest_date(store: Store, group: ReleaseGroup) -> date | None:
    """The earliest day that a payment of the group asks for."""
    terms = await store.group_terms(group.group_id)
    return terms[0].requested_execution_date if terms else None


def passed_words(earliest: date | None, today: date) -> Words | None:
    """What is said where a group waits, or waited, for longer than a payment of it has time."""
    if earliest is None or earliest >= today:
        return None
    return (
        f"The requested execution date {earliest} passed while the group waited; the bank executes it on a later day.",
        f"等待放行期间已过要求的执行日期 {earliest}，银行将顺延执行。",
    )


# -- telling -----------------------------------------------------------------------------------------------------------


def figures_words(figures: Figures | None) -> str:
    """ "120 (CHF 10.00, EUR 1200.50)"."""
    if figures is None:
        return "0"
    sums = ", ".join(f"{currency} {amount:f}" for currency, amount in figures.control_sums)
    return f"{figures.number_of_transactions} ({sums})" if sums else f"{figures.number_of_transactions}"


def figures_detail(key: GroupKey, figures: Figures) -> dict[str, Any]:
    """Likewise for the audit log."""
    return {
        "caller": key.caller,
        "connection_id": key.connection_id,
        "release_group": key.name,
        "number_of_transactions": figures.number_of_transactions,
        "control_sums": {currency: f"{amount:f}" for currency, amount in figures.control_sums},
    }


def without_zeros(figures: Figures) -> Figures:
    """Currencies that nothing is expected in are left out, as the store leaves them out."""
    return replace(figures, control_sums=tuple((currency, amount) for currency, amount in figures.control_sums if amount))


def standing_words(group: ReleaseGroup) -> Words:
    """Where a group stands and what it waits for; of one that the store gave with its members."""
    live = _live(group)
    match group.state:
        case GroupState.OPEN:
            return (
                f"Open: {live} payments so far. None of them leaves before the group is closed and all are approved.",
                f"开放中：已有 {live} 笔付款。放行组封闭且全部审批通过之前，均不会发出。",
            )
        case GroupState.RELEASED:
            return "Released: its payments leave together.", "已放行：组内付款一并发出。"
        case GroupState.CANCELLED:
            return "Cancelled, with every payment of it.", "已撤销，组内付款一并撤销。"
    asked = 0 if group.expected is None else group.expected.number_of_transactions
    if live != asked or (group.rest is not None and group.rest != group.expected):
        asks = figures_words(group.expected)
        left = str(live) if group.rest is None else figures_words(group.rest)
        return (
            f"Waits for a decision: {asks} are to go, and {left} are left. Release the rest, or cancel the group.",
            f"待决定：应发出 {asks}，因部分付款被拒绝或撤销，现余 {left}。请放行其余付款，或撤销该组。",
        )
    missing = live - group.members.get(PaymentState.APPROVED, 0)
    if missing:
        return (
            f"Waits for its group: {missing} of {asked} not approved yet.",
            f"等待同组付款：{asked} 笔中尚有 {missing} 笔未审批通过。",
        )
    return (
        f"All {asked} are approved: the group goes with the next turn of its connection.",
        f"{asked} 笔均已审批通过，将在该连接的下一轮处理中放行。",
    )


def _live(group: ReleaseGroup) -> int:
    return sum(number for state, number in group.members.items() if state not in LOST)
