"""News of banks that know payments by serial numbers (`formats.dialogue`): who has the number is looked up first, and then the
news is as one that carries our instruction id."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.apply_parts import Told
from gateway.news_store import NewsStore


async def by_instruction_id(store: NewsStore, connection_id: str, told: Sequence[Told]) -> list[Told]:
    """The same news, in order. A number that nobody has stays: the news then fits no payment by it."""
    serials = sorted({one.news.serial_number for one in told if one.news.serial_number and not one.news.instruction_id})
    if not serials:
        return list(told)
    named = await store.named_by_serial(connection_id, serials)
    return [
        one
        if one.news.instruction_id or one.news.serial_number not in named
        else replace(one, news=replace(one.news, instruction_id=named[one.news.serial_number]))
        for one in told
    ]
