"""What callers took of their day, in both stores: never more than the quota, whoever takes at the same moment."""

import asyncio
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.quotas import SHARE, Granted, granted
from gateway.store.store import Store
from tests.store.conftest import OpenAnother

DAY = date(2026, 11, 25)


async def take(store: Store, needed: int, *, wanted: int = 0, most: int = 100, caller: str = "erp", day: date = DAY) -> Granted:
    return await store.take_quota(caller, day, needed=needed, wanted=max(needed, wanted), most=most)


@given(needed=st.integers(1, 1000), more=st.integers(0, 1000), left=st.integers(-50, 3000))
def test_no_more_is_granted_than_is_left_nor_less_than_is_needed(needed: int, more: int, left: int) -> None:
    count = granted(needed=needed, wanted=needed + more, left=left)
    assert count == 0 if left < needed else needed <= count <= min(left, needed + more)
    assert count <= max(needed, left // SHARE)


async def test_what_is_taken_is_counted_by_caller_and_day_and_survives_a_new_start(store: Store, another: OpenAnother) -> None:
    assert await take(store, 30) == Granted(count=30, used=30)
    assert await take(await another(), 70) == Granted(count=70, used=100)
    assert await take(store, 1) == Granted(count=0, used=100)
    assert (await take(store, 100, caller="payroll")).count == 100
    assert (await take(store, 100, day=DAY + timedelta(days=1))).count == 100


async def test_together_two_processes_take_the_quota_and_not_one_more(store: Store, another: OpenAnother) -> None:
    other = await another()
    taken = await asyncio.gather(*(take(one, 7, wanted=11) for one in (store, other) * 12))
    assert 94 <= sum(one.count for one in taken) <= 100
    assert max(one.used for one in taken) == sum(one.count for one in taken)


async def test_what_was_not_used_can_be_taken_again_and_no_more_than_was_taken(store: Store) -> None:
    await take(store, 40)
    await store.give_back_quota("erp", DAY, 15)
    assert await take(store, 75) == Granted(count=75, used=100)
    await store.give_back_quota("erp", DAY, 1000)
    await store.give_back_quota("nobody", DAY, 5)
    assert await take(store, 101, most=100) == Granted(count=0, used=0)
    assert (await take(store, 100)).count == 100


async def test_a_lowered_quota_grants_nothing_until_there_is_room(store: Store) -> None:
    await take(store, 40)
    assert await take(store, 1, most=40) == Granted(count=0, used=40)
    assert await take(store, 1, most=30) == Granted(count=0, used=40)


async def test_days_are_forgotten_once_they_are_over_for_everybody(store: Store) -> None:
    """The day before stays: clocks of two processes may stand on two sides of midnight."""
    for days, left in ((0, 0), (1, 0), (2, 1)):
        await take(store, 100, caller=f"erp-{days}")
        await take(store, 1, caller=f"erp-{days}", day=DAY + timedelta(days=days))
        assert (await take(store, 1, caller=f"erp-{days}")).count == left
