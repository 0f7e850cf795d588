"""Which payments travel together, and when a message is closed."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.model import Account, Agent, Party, PaymentTerms, PaymentType
from gateway.batching import STARVING, plan_message
from gateway.calendars import CALENDARS
from gateway.send_window import Hours, KindHours, SendWindow
from gateway.store.records import WaitingGroup

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TERMS = PaymentTerms(
    debtor=Party(name="Muster AG"),
    debtor_account=Account(iban="DE89370400440532013000"),
    debtor_agent=Agent(bic="COBADEFFXXX"),
    requested_execution_date=date(2026, 11, 26),
)
INSTANT = replace(TERMS, payment_type=PaymentType(service_level="SEPA", local_instrument="INST"))


def group(terms_id: int, count: int, age: int, terms: PaymentTerms = TERMS) -> WaitingGroup:
    return WaitingGroup(terms_id=terms_id, terms=terms, count=count, oldest_at=NOW - timedelta(seconds=age))


def plan(*groups: WaitingGroup, transfers_max: int = 100, wait: int = 10):  # type: ignore[no-untyped-def]
    return plan_message(groups, message_id="M", transfers_max=transfers_max, wait=timedelta(seconds=wait), now=NOW)


def taken(result) -> list[tuple[int, int]]:  # type: ignore[no-untyped-def]
    return [(block.terms_id, block.count) for block in result.blocks]


def test_nothing_waiting_forms_nothing_and_sets_no_alarm() -> None:
    result = plan()
    assert (result.blocks, result.look_again_at) == ((), None)


def test_a_payment_waits_for_company_until_its_time_is_up() -> None:
    young = plan(group(1, 1, age=9))
    assert young.blocks == ()
    assert young.look_again_at == NOW + timedelta(seconds=1)
    assert taken(plan(group(1, 1, age=10))) == [(1, 1)]


def test_a_full_message_does_not_wait() -> None:
    assert taken(plan(group(1, 60, age=1), group(2, 40, age=0))) == [(1, 60), (2, 40)]


def test_a_message_never_holds_more_than_the_bank_takes() -> None:
    assert taken(plan(group(1, 80, age=30), group(2, 80, age=20))) == [(1, 80), (2, 20)]


def test_at_a_bank_that_answers_at_once_a_message_has_one_block() -> None:
    def apart(*groups: WaitingGroup):  # type: ignore[no-untyped-def]
        ten = timedelta(seconds=10)
        return plan_message(groups, message_id="M", transfers_max=100, wait=ten, now=NOW, groups_apart=True)

    assert taken(apart(group(1, 3, age=30), group(2, 4, age=20))) == [(1, 3)]
    assert taken(apart(group(1, 60, age=5), group(2, 60, age=3))) == []  # neither is full by itself
    assert apart(group(1, 60, age=5), group(2, 60, age=3)).look_again_at == NOW + timedelta(seconds=5)
    assert taken(apart(group(1, 3, age=5), group(2, 100, age=3))) == [(2, 100)]


def test_instant_payments_never_share_a_message_with_others() -> None:
    assert taken(plan(group(1, 3, age=30), group(2, 4, age=20, terms=INSTANT))) == [(1, 3)]
    assert taken(plan(group(2, 4, age=20, terms=INSTANT), group(1, 3, age=5))) == [(2, 4)]


def test_a_due_kind_is_not_held_up_by_a_younger_one_before_it() -> None:
    assert taken(plan(group(1, 3, age=5), group(2, 4, age=20, terms=INSTANT))) == [(2, 4)]


def test_blocks_are_named_after_their_message_and_counted_from_one() -> None:
    names = [block.payment_information_id for block in plan(group(1, 1, age=30), group(2, 1, age=20)).blocks]
    assert names == ["M-1", "M-2"]


def test_a_payment_stored_by_a_clock_that_was_an_hour_ahead_does_not_wait_for_that_hour() -> None:
    assert taken(plan(group(1, 1, age=-3600))) == [(1, 1)]
    slightly = plan(group(1, 1, age=-3))
    assert (taken(slightly), slightly.look_again_at) == ([], NOW + timedelta(seconds=13))


# -- what goes first ---------------------------------------------------------------------------------------------------

HIGH = replace(TERMS, payment_type=PaymentType(instruction_priority="HIGH"))
URGENT = replace(TERMS, payment_type=PaymentType(service_level="URGP"))
LONG = int((STARVING + timedelta(seconds=10)).total_seconds())


def test_what_is_urgent_goes_first_though_others_wait_longer() -> None:
    assert taken(plan(group(1, 5, age=60, terms=INSTANT), group(2, 5, age=20, terms=URGENT))) == [(2, 5)]
    normal, high = (
        replace(TERMS, payment_type=PaymentType()),
        replace(TERMS, payment_type=PaymentType(instruction_priority="HIGH")),
    )
    assert taken(plan(group(1, 80, age=60, terms=normal), group(2, 80, age=20, terms=high))) == [(2, 80), (1, 20)]


def test_what_has_the_earlier_cut_off_goes_first() -> None:
    kinds = (KindHours(service_level="SEPA", hours=Hours(cut_off=time(13))),)
    window = SendWindow(calendar=CALENDARS["EVERY_DAY"], zone=ZoneInfo("UTC"), hours=Hours(cut_off=time(18)), kinds=kinds)
    groups = (group(1, 5, age=60), group(2, 5, age=20, terms=INSTANT))
    found = plan_message(groups, message_id="M", transfers_max=100, wait=timedelta(seconds=10), now=NOW, window=window)
    assert taken(found) == [(2, 5)]


def test_what_has_waited_too_long_gives_way_to_nothing() -> None:
    assert taken(plan(group(1, 5, age=LONG, terms=INSTANT), group(2, 5, age=LONG - 1, terms=URGENT))) == [(1, 5)]


OFFICE = SendWindow(calendar=CALENDARS["EVERY_DAY"], zone=ZoneInfo("UTC"), hours=Hours(opens=time(7), cut_off=time(16)), kinds=())


@pytest.mark.parametrize(
    ("at", "normal_waits", "urgent_waits", "first"),
    [
        (time(7), 9 * 3600, 3600, 2),  # a night before the closed window: both could leave only now
        (time(7, 4), 9 * 3600, 240, 2),
        (time(7, 6), 9 * 3600, 240, 1),  # but not for ever: the night's payments give way for five minutes
        (time(15, 50), LONG, 20, 1),
        (time(15, 56), LONG, 20, 2),  # the last call: with the cut-off at hand nothing goes before it
        (time(15, 56), 3 * 3600, 0, 2),
    ],
)
def test_what_is_urgent_goes_first_in_the_morning_and_before_its_cut_off(
    at: time, normal_waits: int, urgent_waits: int, first: int
) -> None:
    now = datetime.combine(NOW.date(), at, NOW.tzinfo)
    for urgent in (URGENT, HIGH):
        groups = (
            WaitingGroup(terms_id=1, terms=INSTANT, count=10_000, oldest_at=now - timedelta(seconds=normal_waits)),
            WaitingGroup(terms_id=2, terms=urgent, count=1, oldest_at=now - timedelta(seconds=urgent_waits)),
        )
        wait = timedelta(seconds=10 if urgent_waits else 0)
        found = plan_message(groups, message_id="M", transfers_max=100, wait=wait, now=now, window=OFFICE)
        assert found.blocks[0].terms_id == first


@given(st.lists(st.sampled_from([TERMS, INSTANT, URGENT, HIGH]), min_size=1, max_size=40), st.integers(1, 3))
def test_nothing_starves_however_much_of_what_is_urgent_comes_after_it(arriving: list[PaymentTerms], room: int) -> None:
    """One payment arrives a minute and one message of so many leaves a minute, with the first payment there before them all: it
    has left at the latest when those that were due before it became too old to give way have."""
    numbers = {terms: number for number, terms in enumerate((TERMS, INSTANT, URGENT, HIGH), 10)}
    waiting = [(TERMS, 1, NOW)]
    left_at = None
    for minute, terms in enumerate([*arriving, *([URGENT] * 40)]):
        now = NOW + timedelta(minutes=minute)
        waiting.append((terms, numbers[terms], now))
        oldest: dict[int, WaitingGroup] = {}
        for of, number, at in waiting:
            known = oldest.get(number)
            count, first = (known.count + 1, known.oldest_at) if known else (1, at)
            oldest[number] = WaitingGroup(terms_id=number, terms=of, count=count, oldest_at=first)
        found = plan_message(list(oldest.values()), message_id="M", transfers_max=room, wait=timedelta(seconds=10), now=now)
        for block in found.blocks:
            for _ in range(block.count):
                waiting.remove(next(one for one in waiting if one[1] == block.terms_id))
        if left_at is None and not any(number == 1 for _, number, _ in waiting):
            left_at = minute
    assert left_at is not None
    assert left_at <= STARVING // timedelta(minutes=1) + 1
