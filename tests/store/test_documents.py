"""Documents: what goes in comes out, in any pieces, from any place; what was never finished is never seen."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.store import Store

MIB = 1024 * 1024


def write(store: Store, *pieces: bytes) -> tuple[int, str, int]:
    writer = store.document_writer("inbound")
    for piece in pieces:
        assert writer.write(piece) == len(piece)
    return writer.finish()


def read(store: Store, document_id: int) -> bytes:
    with store.open_document(document_id) as source:
        return source.read()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
async def test_a_document_of_any_size_comes_back_whole(store: Store, size: int) -> None:
    content = os.urandom(size)
    document_id, sha256, told = await asyncio.to_thread(write, store, content)
    assert (sha256, told) == (hashlib.sha256(content).hexdigest(), size)
    assert await asyncio.to_thread(read, store, document_id) == content
    assert b"".join([chunk async for chunk in store.document_chunks(document_id)]) == content


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 700_000), max_size=6),
    places=st.lists(st.tuples(st.integers(0, 4_000_000), st.integers(0, 1_500_000)), max_size=5),
)
async def test_pieces_and_places_do_not_matter(
    another: Callable[[], Awaitable[Store]], sizes: list[int], places: list[tuple[int, int]]
) -> None:
    store = await another()
    content = bytes(range(251)) * (sum(sizes) // 251 + 1)
    content = content[: sum(sizes)]
    pieces, start = [], 0
    for size in sizes:
        pieces.append(content[start : start + size])
        start += size
    document_id, _, size = await asyncio.to_thread(write, store, *pieces)
    assert size == len(content)

    def look() -> None:
        with store.open_document(document_id) as source:
            for place, count in places:
                assert source.seek(place) == place
                assert source.read(count) == content[place : place + count]
            assert source.seek(0, os.SEEK_END) == len(content)
            assert source.read() == b""
            assert source.seek(0) == 0
            assert source.read() == content

    await asyncio.to_thread(look)
    await store.close()


async def test_two_may_write_at_once(store: Store) -> None:
    contents = [bytes([number]) * (2 * MIB + number) for number in range(4)]
    found = await asyncio.gather(*(asyncio.to_thread(write, store, content) for content in contents))
    for (document_id, _, _), content in zip(found, contents, strict=True):
        assert await asyncio.to_thread(read, store, document_id) == content


async def test_a_document_is_visible_only_once_it_is_finished(store: Store) -> None:
    before, _, _ = await asyncio.to_thread(write, store, b"x")
    writer = store.document_writer("sealed")
    await asyncio.to_thread(writer.write, b"y" * (2 * MIB))
    for document_id in (before + 1, before + 2):
        with pytest.raises(LookupError):
            await asyncio.to_thread(store.open_document, document_id)
        with pytest.raises(LookupError):
            _ = [chunk async for chunk in store.document_chunks(document_id)]
    document_id, _, _ = await asyncio.to_thread(writer.finish)
    assert await asyncio.to_thread(read, store, document_id) == b"y" * (2 * MIB)


async def test_a_discarded_document_is_gone_and_takes_no_more(store: Store) -> None:
    writer = store.document_writer("sealed")
    await asyncio.to_thread(writer.write, b"y" * MIB)
    await asyncio.to_thread(writer.discard)
    await asyncio.to_thread(writer.discard)
    for call in (lambda: writer.write(b"z"), writer.finish):
        with pytest.raises(ValueError, match="finished or discarded"):
            call()


async def test_discarding_after_finishing_keeps_the_document(store: Store) -> None:
    writer = store.document_writer("sealed")
    await asyncio.to_thread(writer.write, b"kept")
    document_id, _, _ = await asyncio.to_thread(writer.finish)
    await asyncio.to_thread(writer.discard)
    assert await asyncio.to_thread(read, store, document_id) == b"kept"


async def test_a_reader_outlives_what_is_written_meanwhile(store: Store) -> None:
    content = os.urandom(2 * MIB)
    document_id, _, _ = await asyncio.to_thread(write, store, content)

    def both() -> bytes:
        with store.open_document(document_id) as source:
            first = source.read(100)
            write(store, b"other" * MIB)
            return first + source.read()

    assert await asyncio.to_thread(both) == content


async def test_another_start_leaves_alone_what_a_live_store_is_writing(another: Callable[[], Awaitable[Store]]) -> None:
    first = await another()
    writer = first.document_writer("inbound")
    await asyncio.to_thread(writer.write, b"a" * (MIB + 5))
    second = await another()
    document_id, _, size = await asyncio.to_thread(writer.finish)
    assert await asyncio.to_thread(read, second, document_id) == b"a" * (MIB + 5)
    assert size == MIB + 5


async def test_writing_from_many_threads_does_not_hold_up_the_loop(store: Store) -> None:
    """The loop goes on answering while threads wait for their chunks."""
    done = threading.Event()

    def fill() -> None:
        write(store, *[b"x" * MIB] * 8)
        done.set()

    filling = asyncio.create_task(asyncio.to_thread(fill))
    turns = 0
    while not done.is_set():
        await store.note_fetch("bank-a", None)
        turns += 1
    await filling
    assert turns > 1
