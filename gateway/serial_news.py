"""News of banks that know payments by serial numbers (`formats.dialogue`): who has the number is looked up first, and then the
news is as one that carries our instruction id."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.apply_parts import Told
from gateway.news_store import NewsStore
from gateway.store.serials import SerialNote


async def by_instruction_id(store: NewsStore, connection_id: str, told: Sequence[Told]) -> list[Told]:
    """The same news, in order. A number that nobody has stays: the news then fits no payment by it. What the bank calls a payment
    is kept with its number: it is said in the next question, and to whoever calls the bank."""
    serials = sorted({one.news.serial_number for one in told if one.news.serial_number and not one.news.instruction_id})
    if not serials:
        return list(told)
    named = await store.named_by_serial(connection_id, serials)
    notes = [
        SerialNote(serial=one.news.serial_number, bank_reference=one.news.bank_reference)
        for one in told
        if one.news.serial_number in named and one.news.bank_reference
    ]
    if notes:
        await store.note_serials(connection_id, notes)
    return [
        one
        if one.news.instruction_id or one.news.serial_number not in named
        else replace(one, news=replace(one.news, instruction_id=named[one.news.serial_number]))
        for one in told
    ]
