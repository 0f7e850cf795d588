"""The feed: in order, never skipping, for all and for some; and waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from gateway.store.store import Store, StoreUnavailable
from tests.store.support.make import feed, payment, payments, waiting

SOON, LONG = timedelta(milliseconds=30), timedelta(seconds=20)


async def test_the_feed_starts_at_the_beginning_and_goes_on_after_a_cursor(store: Store) -> None:
    new = await waiting(store, 5)
    first = await store.events_after("", limit=3)
    rest = await store.events_after(first[-1].cursor, limit=3)
    assert [event.payment_id for event in (*first, *rest)] == [item.payment_id for item in new]
    assert await store.events_after(rest[-1].cursor, limit=3) == []


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "٣", "99999999999999999999", "17"])
async def test_a_cursor_that_is_not_of_this_feed_is_refused(store: Store, cursor: str) -> None:
    """Beyond the end too: after a restore from a backup, a caller would silently miss what comes next."""
    await waiting(store, 3)
    with pytest.raises(ValueError, match="cursor"):
        await store.events_after(cursor, limit=3)


async def test_a_feed_shows_only_what_was_asked_for(store: Store) -> None:
    await store.submit(
        [payment(caller=caller, connection_id=connection) for caller in ("one", "two") for connection in ("a", "b", "c")]
    )

    async def seen(**where: object) -> list[tuple[str, str]]:
        return [(event.caller, event.connection_id) for event in await store.events_after("", limit=99, **where)]  # type: ignore[arg-type]

    assert await seen(caller="one") == [("one", "a"), ("one", "b"), ("one", "c")]
    assert await seen(connection_ids=["b"]) == [("one", "b"), ("two", "b")]
    assert await seen(caller="two", connection_ids=["c", "a"]) == [("two", "a"), ("two", "c")]
    assert await seen(connection_ids=[]) == []


async def test_rare_events_are_found_after_long_silence(store: Store) -> None:
    """Stretches searched in vain are not searched again; what comes after them must still be seen, and by every reader."""
    for _ in range(3):
        await waiting(store, 20)
        assert await store.events_after("", limit=5, caller="rare") == []
    await store.submit([payment("r1", caller="rare")])
    (first,) = await store.events_after("", limit=5, caller="rare")
    assert await store.events_after(first.cursor, limit=5, caller="rare") == []
    await waiting(store, 5)
    assert await store.events_after(first.cursor, limit=5, caller="rare") == []
    await store.submit([payment("r2", caller="rare")])
    (second,) = await store.events_after(first.cursor, limit=5, caller="rare")
    assert [first.payment_reference, second.payment_reference] == ["r1", "r2"]
    assert len(await store.events_after("", limit=5, caller="rare")) == 2


async def test_a_feed_read_while_two_stores_write_skips_and_repeats_nothing(
    another: Callable[[], Awaitable[Store]],
) -> None:
    reader, *writers = [await another() for _ in range(3)]
    total = 2 * 60 * 5
    seen: list[str] = []

    async def read() -> None:
        cursor = ""
        while len(seen) < total:
            assert await reader.events_changed(cursor, LONG)
            page = await reader.events_after(cursor, limit=37)
            seen.extend(event.payment_id for event in page)
            cursor = page[-1].cursor if page else cursor

    async def write(store: Store) -> list[str]:
        new = [payments(5) for _ in range(60)]
        for start in range(0, 60, 6):
            await asyncio.gather(*(store.submit(call) for call in new[start : start + 6]))
        return [item.payment_id for call in new for item in call]

    reading = asyncio.create_task(read())
    first, second = await asyncio.gather(*(write(store) for store in writers))
    await reading
    assert sorted(seen) == sorted(first + second)
    assert len(set(seen)) == total


async def test_waiting_ends_when_something_is_written_here(store: Store) -> None:
    wait = asyncio.create_task(store.events_changed("", LONG))
    await asyncio.sleep(0.01)
    assert not wait.done()
    await waiting(store, 1)
    assert await wait


async def test_waiting_ends_when_another_process_writes(another: Callable[[], Awaitable[Store]]) -> None:
    here, there = await another(), await another()
    wait = asyncio.create_task(here.events_changed("", LONG))
    await asyncio.sleep(0.01)
    await waiting(there, 1)
    assert await wait


async def test_waiting_is_over_at_once_if_there_is_something_already(store: Store) -> None:
    await waiting(store, 2)
    assert await store.events_changed("", LONG)
    assert await store.events_changed((await feed(store))[0].cursor, LONG)


async def test_waiting_in_vain_ends_with_the_time_out(store: Store) -> None:
    await waiting(store, 1)
    (last,) = await feed(store)
    assert not await store.events_changed(last.cursor, SOON)
    assert not await store.events_changed(last.cursor, timedelta(0))


async def test_many_wait_at_once_and_each_for_its_own_cursor(store: Store) -> None:
    await waiting(store, 3)
    third = (await feed(store))[-1].cursor
    waits = [asyncio.create_task(store.events_changed(third, LONG)) for _ in range(2)]
    await asyncio.sleep(0.01)
    await waiting(store, 1)
    assert await asyncio.gather(*waits) == [True, True]
    fourth = (await feed(store))[-1].cursor
    waits = [asyncio.create_task(store.events_changed(cursor, LONG)) for cursor in (third, fourth)]
    assert await waits[0]
    assert not waits[1].done()
    await waiting(store, 1)
    assert await waits[1]


async def test_whoever_waits_when_the_store_closes_is_told(another: Callable[[], Awaitable[Store]]) -> None:
    store = await another()
    wait = asyncio.create_task(store.events_changed("", LONG))
    await asyncio.sleep(0.01)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await wait


async def test_the_story_of_one_payment_is_told_in_order(store: Store) -> None:
    new = await waiting(store, 2)
    (event,) = await store.payment_events(new[1].payment_id)
    assert event.payment_id == new[1].payment_id
    assert await store.payment_events("nobody") == []
    assert [item.payment_id for item in await feed(store)] == [item.payment_id for item in new]
