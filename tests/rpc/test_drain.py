"""The pump between a source and its reader: order, bound, errors, and both ways of ending early."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.rpc.drain import AHEAD_MAX, Drain
from gateway.rpc.errors import Draining


class Source:
    """Counts up; remembers how far it was asked and whether it was closed."""

    def __init__(self, end: int | None, error: Exception | None = None) -> None:
        self.given = 0
        self.closed = False
        self.end = end
        self.error = error

    async def items(self) -> AsyncIterator[int]:
        try:
            while self.end is None or self.given < self.end:
                self.given += 1
                yield self.given
                await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def everything(reader: AsyncIterator[int]) -> tuple[list[int], Exception | None]:
    """What came, and how it ended."""
    seen: list[int] = []
    try:
        async for item in reader:
            seen.append(item)  # noqa: PERF401 - what came before an error counts
    except (KeyError, Draining) as error:
        return seen, error
    return seen, None


async def test_everything_comes_in_order_and_then_it_ends() -> None:
    source = Source(1000)
    assert [item async for item in Drain().until(source.items())] == list(range(1, 1001))
    assert source.closed


async def test_a_reader_that_does_not_read_holds_the_source_back() -> None:
    source = Source(None)
    reader = Drain().until(source.items())
    await anext(reader)
    for _ in range(3 * AHEAD_MAX):
        await asyncio.sleep(0)
    assert source.given <= AHEAD_MAX + 2
    await reader.aclose()  # type: ignore[attr-defined]
    assert source.closed


async def test_an_error_of_the_source_comes_after_its_items() -> None:
    seen, error = await everything(Drain().until(Source(3, KeyError("broken")).items()))
    assert seen == [1, 2, 3]
    assert isinstance(error, KeyError)


async def test_stopping_gives_what_was_fetched_and_then_says_so() -> None:
    drain, source = Drain(), Source(None)
    reader = drain.until(source.items())
    first = await anext(reader)
    for _ in range(10):
        await asyncio.sleep(0)
    drain.start()
    seen, error = await everything(reader)
    assert isinstance(error, Draining)
    assert [first, *seen] == list(range(1, source.given + 1))
    assert source.closed


async def test_nothing_is_begun_once_stopping_has() -> None:
    drain, source = Drain(), Source(3)
    drain.start()
    with pytest.raises(Draining):
        await anext(drain.until(source.items()))
    assert source.given == 0
