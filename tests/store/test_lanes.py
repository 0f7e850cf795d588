"""Lanes: one runner each, no wake lost, the lanes of the dead taken over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from gateway.store.store import Store
from tests.store.support.make import HandClock, waiting


@pytest.fixture
def kind() -> str:
    return "sqlite"


LEASE = timedelta(minutes=1)
SOON, LONG = timedelta(milliseconds=30), timedelta(seconds=20)


async def test_a_lane_without_a_wake_has_nothing_to_do(store: Store, clock: HandClock) -> None:
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is None
    assert await store.claim_lane("me", clock(), LEASE, []) is None


async def test_a_woken_lane_is_claimed_once_however_often_it_was_woken(store: Store, clock: HandClock) -> None:
    for _ in range(5):
        await store.wake_lane("a")
        clock.advance(seconds=1)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) == ("a", 1)
    await store.release_lane("a", "me", 1, None)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is None


async def test_only_the_lanes_asked_for_are_claimed(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    assert await store.claim_lane("me", clock(), LEASE, ["b", "c"]) is None
    assert await store.claim_lane("me", clock(), LEASE, ["b", "a"]) == ("a", 1)


async def test_the_lane_due_longest_comes_first(store: Store, clock: HandClock) -> None:
    await store.wake_lane("late", clock() + timedelta(seconds=2))
    await store.wake_lane("early", clock() + timedelta(seconds=1))
    clock.advance(seconds=3)
    assert await store.claim_lane("me", clock(), LEASE, ["late", "early"]) == ("early", 1)


async def test_a_wake_for_later_waits_and_an_earlier_one_wins(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a", clock() + timedelta(seconds=10))
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is None
    await store.wake_lane("a", clock() + timedelta(seconds=5))
    clock.advance(seconds=5)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is not None


async def test_a_claim_does_not_swallow_a_wake_for_later(store: Store, clock: HandClock) -> None:
    """Two messages wait for two moments: serving the first must not forget the second."""
    await store.wake_lane("a", clock() + timedelta(minutes=10))
    await store.wake_lane("a")
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) == ("a", 1)
    await store.release_lane("a", "me", 1, None)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is None
    clock.advance(minutes=10)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) == ("a", 2)


async def test_of_many_that_claim_one_gets_the_lane(another: Callable[[], Awaitable[Store]], clock: HandClock) -> None:
    stores = [await another(), await another()]
    await stores[0].wake_lane("a")
    calls = [store.claim_lane(f"owner-{index}", clock(), LEASE, ["a"]) for index in range(5) for store in stores]
    results = await asyncio.gather(*calls)
    assert [result for result in results if result is not None] == [("a", 1)]


async def test_a_wake_during_a_run_is_kept(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("me", clock(), LEASE, ["a"])
    await store.wake_lane("a")
    assert await store.claim_lane("you", clock(), LEASE, ["a"]) is None, "one runner per lane"
    await store.release_lane("a", "me", 1, None)
    assert await store.claim_lane("you", clock(), LEASE, ["a"]) == ("a", 2)


async def test_a_release_may_ask_for_a_later_wake(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("me", clock(), LEASE, ["a"])
    await store.release_lane("a", "me", 1, clock() + timedelta(seconds=9))
    clock.advance(seconds=8)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) is None
    clock.advance(seconds=1)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) == ("a", 2)


async def test_an_expired_lease_is_taken_over(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    assert await store.claim_lane("dead", clock(), LEASE, ["a"]) == ("a", 1)
    clock.advance(seconds=59)
    assert await store.claim_lane("heir", clock(), LEASE, ["a"]) is None
    clock.advance(seconds=1)
    assert await store.claim_lane("heir", clock(), LEASE, ["a"]) == ("a", 2)


async def test_one_who_lost_the_lane_takes_nothing_from_the_new_runner(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("slow", clock(), LEASE, ["a"])
    clock.advance(minutes=2)
    await store.claim_lane("heir", clock(), LEASE, ["a"])
    await store.release_lane("a", "slow", 1, None)
    await store.wake_lane("a")
    assert await store.claim_lane("third", clock(), LEASE, ["a"]) is None
    assert not await store.extend_lane("a", "slow", 1, clock() + LEASE)


async def test_the_same_owner_with_an_old_ticket_has_lost_it_too(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("me", clock(), LEASE, ["a"])
    clock.advance(minutes=2)
    assert await store.claim_lane("me", clock(), LEASE, ["a"]) == ("a", 2)
    assert not await store.extend_lane("a", "me", 1, clock() + LEASE)
    assert await store.extend_lane("a", "me", 2, clock() + LEASE)


async def test_a_renewed_lease_is_not_taken_over(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("me", clock(), LEASE, ["a"])
    clock.advance(seconds=50)
    assert await store.extend_lane("a", "me", 1, clock() + LEASE)
    clock.advance(seconds=50)
    assert await store.claim_lane("you", clock(), LEASE, ["a"]) is None


async def test_a_lease_from_a_clock_that_was_hours_ahead_does_not_outlive_its_dead_owner(store: Store, clock: HandClock) -> None:
    """The clock was set right and the owner died: nothing of this connection would leave, nor be fetched, for three hours."""
    await store.wake_lane("a")
    assert await store.claim_lane("dead", clock() + timedelta(hours=3), LEASE, ["a"]) == ("a", 1)
    assert await store.claim_lane("heir", clock(), LEASE, ["a"]) is None, (
        "its owner may live: it has one lease from now to say so"
    )
    clock.advance(seconds=59)
    assert await store.claim_lane("heir", clock(), LEASE, ["a"]) is None
    clock.advance(seconds=1)
    assert await store.claim_lane("heir", clock(), LEASE, ["a"]) == ("a", 2)


async def test_a_lane_is_not_taken_from_a_living_owner_whose_clock_was_ahead(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("me", clock() + timedelta(hours=3), LEASE, ["a"])
    assert await store.claim_lane("you", clock(), LEASE, ["a"]) is None
    clock.advance(seconds=20)
    assert await store.extend_lane("a", "me", 1, clock() + LEASE)
    clock.advance(seconds=50)
    assert await store.claim_lane("you", clock(), LEASE, ["a"]) is None


# -- waiting -----------------------------------------------------------------------------------------------------------


async def ends(wait: Awaitable[None]) -> bool:
    """Whether the wait is over long before its time-out."""
    try:
        async with asyncio.timeout(LONG.total_seconds() / 2):
            await wait
    except TimeoutError:
        return False
    return True


async def test_waiting_ends_when_a_lane_is_woken_here(store: Store) -> None:
    wait = asyncio.create_task(store.lanes_changed(LONG, ["a"]))
    await asyncio.sleep(0.01)
    assert not wait.done()
    await store.wake_lane("a")
    assert await ends(wait)


async def test_waiting_ends_when_another_process_gives_the_lane_something_to_do(
    another: Callable[[], Awaitable[Store]],
) -> None:
    here, there = await another(), await another()
    wait = asyncio.create_task(here.lanes_changed(LONG))
    await asyncio.sleep(0.01)
    assert not wait.done()
    await waiting(there, 1)
    assert await ends(wait)


async def test_waiting_is_over_at_once_if_a_lane_can_be_claimed_already(store: Store) -> None:
    await store.wake_lane("a")
    assert await ends(store.lanes_changed(LONG, ["a"]))


async def test_waiting_ends_when_the_moment_of_a_wake_comes(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a", clock() + timedelta(minutes=1))
    wait = asyncio.create_task(store.lanes_changed(LONG, ["a"]))
    await asyncio.sleep(0.02)
    assert not wait.done()
    clock.advance(minutes=1)
    assert await ends(wait)


async def test_waiting_ends_when_a_lease_runs_out(store: Store, clock: HandClock) -> None:
    await store.wake_lane("a")
    await store.claim_lane("dead", clock(), LEASE, ["a"])
    wait = asyncio.create_task(store.lanes_changed(LONG, ["a"]))
    await asyncio.sleep(0.02)
    assert not wait.done()
    clock.advance(minutes=1)
    assert await ends(wait)


async def test_other_lanes_and_lanes_being_run_do_not_end_the_wait(store: Store, clock: HandClock) -> None:
    await store.wake_lane("other")
    await store.wake_lane("a")
    await store.claim_lane("me", clock(), LEASE, ["a"])
    await store.wake_lane("a")
    wait = asyncio.create_task(store.lanes_changed(SOON, ["a"]))
    await asyncio.sleep(SOON.total_seconds() / 3)
    assert not wait.done()
    await wait
