"""What channels remember: durable, shared, and written only over what the writer knows."""

import asyncio

from gateway.store.store import Store
from tests.store.conftest import OpenAnother


async def test_a_note_is_read_as_it_was_written_by_whoever_opens_the_store(store: Store, another: OpenAnother) -> None:
    assert await store.channel_note("a/subscription") is None
    assert await store.put_channel_note("a/subscription", "one 好", was=None)
    assert await store.channel_note("a/subscription") == "one 好"
    assert await (await another()).channel_note("a/subscription") == "one 好"
    assert await store.channel_note("a/upload/1") is None


async def test_a_note_is_written_only_over_what_its_writer_knows(store: Store) -> None:
    assert await store.put_channel_note("n", "one", was=None)
    assert not await store.put_channel_note("n", "two", was=None)
    assert not await store.put_channel_note("n", "two", was="other")
    assert not await store.put_channel_note("absent", "two", was="one")
    assert await store.channel_note("n") == "one"
    assert await store.put_channel_note("n", "two", was="one")
    assert await store.channel_note("n") == "two"


async def test_of_many_who_write_over_the_same_text_one_does(store: Store, another: OpenAnother) -> None:
    other = await another()
    await store.put_channel_note("n", "zero", was=None)
    writers = [(store, other)[number % 2].put_channel_note("n", f"by {number}", was="zero") for number in range(10)]
    assert sum(await asyncio.gather(*writers)) == 1
