"""Payments in a day, counted over all processes: never more than the quota, and nothing lost but by a kill."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LimitReached
from gateway.quotas import AHEAD, Quotas
from gateway.store.store import StoreUnavailable
from tests.rpc.fakes import FakeQuotas

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DAY = ("erp", NOW.date())


async def left_to(quotas: Quotas, most: int, now: datetime = NOW) -> int:
    """How many more it takes, one by one."""
    for count in range(most + 1):
        try:
            await quotas.take("erp", most, 1, now)
        except LimitReached:
            return count
    raise AssertionError("there is no end")


async def test_the_day_is_counted_in_utc_and_what_was_known_or_refused_is_given_back() -> None:
    quotas = Quotas(FakeQuotas())
    taken = await quotas.take("erp", 10, 8, NOW)
    with pytest.raises(LimitReached, match=r"10 payments in a day .*, of which 2 are left") as refused:
        await quotas.take("erp", 10, 3, NOW)
    assert (refused.value.limit, refused.value.caller) == ("payments_per_day", "erp")
    assert refused.value.seconds == timedelta(hours=15).total_seconds()
    taken.give_back(1)
    await quotas.take("erp", 10, 3, NOW)
    with pytest.raises(LimitReached) as never:
        await quotas.take("erp", 10, 11, NOW + timedelta(hours=15))
    assert never.value.seconds is None
    await quotas.take("erp", 10, 10, NOW + timedelta(hours=15))


async def test_what_is_given_back_after_midnight_makes_no_room_in_the_new_day() -> None:
    quotas = Quotas(FakeQuotas())
    yesterday = await quotas.take("erp", 10, 10, NOW)
    await quotas.take("erp", 10, 10, NOW + timedelta(hours=15))
    yesterday.give_back(10)
    assert await left_to(quotas, 10, NOW + timedelta(hours=15)) == 0


@given(
    most=st.integers(1, 3000),
    calls=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 400), st.integers(0, 400), st.booleans()), max_size=60),
)
async def test_processes_together_never_store_more_than_the_quota_and_lose_nothing_that_ends_politely(
    most: int, calls: list[tuple[int, int, int, bool]]
) -> None:
    """Whatever they take and give back, and whenever one of three ends and begins anew."""
    store = FakeQuotas()
    processes = [Quotas(store) for _ in range(3)]
    stored = 0
    for number, count, back, ends in calls:
        try:
            taken = await processes[number].take("erp", most, count, NOW)
        except LimitReached:
            pass
        else:
            taken.give_back(min(back, count))
            stored += count - min(back, count)
        if ends:
            await processes[number].finish()
            processes[number] = Quotas(store)
        assert stored <= most
    for process in processes:
        await process.finish()
    assert store.used.get(DAY, 0) == stored


async def test_two_processes_that_race_share_the_quota_to_the_last_payment_but_a_few() -> None:
    store = FakeQuotas()
    one, other = Quotas(store), Quotas(store)
    shares = await asyncio.gather(left_to(one, 5000), left_to(other, 5000))
    assert sum(shares) == 5000


async def test_most_calls_cost_the_store_nothing_and_small_quotas_are_counted_one_by_one() -> None:
    store = FakeQuotas()
    quotas = Quotas(store)
    for _ in range(1000):
        await quotas.take("erp", 1_000_000, 10, NOW)
    assert store.writes <= 2
    small = FakeQuotas()
    await Quotas(small).take("erp", AHEAD - 1, 1, NOW)
    assert small.used[DAY] == 1


async def test_a_process_that_is_killed_costs_the_day_a_hundredth_at_most() -> None:
    store = FakeQuotas()
    await Quotas(store).take("erp", 1000, 1, NOW)
    assert await left_to(Quotas(store), 1000) >= 1000 - 1 - 1000 // AHEAD


async def test_a_store_that_is_down_lets_nothing_through_and_takes_nothing() -> None:
    store = FakeQuotas()
    quotas, store.down = Quotas(store), True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await quotas.take("erp", 1000, 1, NOW)
    store.down = False
    await quotas.take("erp", 1000, 1, NOW)
    store.down = True
    await quotas.finish()  # says so in the log, and stops all the same


async def test_calls_that_are_cut_off_while_the_store_answers_do_not_eat_up_the_day() -> None:
    store = FakeQuotas()
    quotas = Quotas(store)
    for _ in range(50):
        call = asyncio.create_task(quotas.take("erp", 1000, 1, NOW))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await quotas.finish()
    assert store.used[DAY] <= 50


async def test_another_quota_counts_at_once_also_against_what_is_held() -> None:
    quotas = Quotas(FakeQuotas())
    await quotas.take("erp", 1000, 100, NOW)
    with pytest.raises(LimitReached):
        await quotas.take("erp", 100, 1, NOW)
    await quotas.take("erp", None, 10_000, NOW)
    assert await left_to(quotas, 1000) == 900
