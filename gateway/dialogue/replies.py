"""Keeping replies: each becomes an inbound file before anybody acts on it, and is read like any other file of a bank."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping

import structlog

from channels.channel import Arrival, Keep
from formats.dialogue import DialogueBank
from formats.errors import FormatError
from formats.exchange import Exchange, write_exchange
from formats.report import TransactionStatus
from gateway.lanes import fetch_lane
from gateway.store.store import Store
from gateway.telemetry import place_of

log = structlog.get_logger("dialogue")


def arrival_of(exchange: Exchange, connection_id: str, number: str) -> Arrival:
    """A reply as a file on offer. Its name says what was asked and when."""
    asked = exchange.asked
    assert asked is not None and asked.at is not None  # noqa: S101, PT018 - of an exchange of ours
    content = write_exchange(exchange)

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    name = f"{connection_id}-{asked.kind.value}-{asked.at:%Y%m%dT%H%M%S}-{number[-8:]}.exchange"
    return Arrival(name=name, size=len(content), chunks=chunks)


def references_of(bank: DialogueBank, exchange: Exchange) -> Mapping[str, str]:
    """What a reply calls the payments that it shows, by their serial numbers: some banks want to be asked by it from then on."""
    try:
        records = list(bank.parse(io.BytesIO(write_exchange(exchange))))
    except FormatError:  # it says nothing; those who read the kept reply tell what is wrong with it
        return {}
    except Exception as fault:  # a plugin that breaks its promise, as they will tell too
        log.warning("reply_not_read", bank=bank.name, fault=place_of(fault))
        return {}
    return {
        one.serial_number: one.account_servicer_reference
        for one in records
        if isinstance(one, TransactionStatus) and one.serial_number and one.account_servicer_reference
    }


def keeper(store: Store, connection_id: str) -> Keep:
    """Stores a reply as an inbound file, which wakes whoever reads them. For replies that come while something is sent."""

    async def keep(arrival: Arrival) -> None:
        content = b"".join([chunk async for chunk in arrival.chunks()])
        document_id, sha256, size = await asyncio.to_thread(_written, store, content)
        await store.keep_inbound(connection_id, arrival.name, document_id, sha256, size)
        await store.wake_lane(fetch_lane(connection_id))

    return keep


def _written(store: Store, content: bytes) -> tuple[int, str, int]:
    writer = store.document_writer("inbound")
    try:
        writer.write(content)
        return writer.finish()
    except BaseException:
        writer.discard()
        raise
