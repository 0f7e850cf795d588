"""Parcels to send, and a place to keep what arrives."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.channel import Arrival, Channel, Guarantee, Parcel
from channels.profiles import build_channel, parse_profile
from keys.secrets import certificate_pem, resolve

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def parcel(
    content: bytes, name: str = "BG0001.xml", *, pieces: int = 1, sha256: str | None = None, size: int | None = None
) -> Parcel:
    """A parcel whose chunks come in about so many pieces; a wrong hash or size makes it one that a damaged store gives."""
    step = max(1, -(-len(content) // pieces))

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), step):
            yield content[start : start + step]

    return Parcel(
        name=name,
        size=len(content) if size is None else size,
        sha256=sha256 or hashlib.sha256(content).hexdigest(),
        chunks=chunks,
        key=name.partition(".")[0],
    )


def failing_parcel(content: bytes, error: Exception) -> Parcel:
    """A parcel whose second chunk cannot be read."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content[: len(content) // 2]
        raise error

    return Parcel(name="BG0001.xml", size=len(content), sha256=hashlib.sha256(content).hexdigest(), chunks=chunks, key="BG0001")


def from_dictionary(secrets: dict[str, bytes]) -> Callable[[str], bytes]:
    """A resolver of references."""

    def resolve(reference: str) -> bytes:
        if reference.startswith("file:"):
            return Path(reference.removeprefix("file:")).read_bytes()
        return secrets[reference]

    return resolve


def channel_of(
    table: dict[str, Any],
    *,
    secrets: dict[str, bytes] | None = None,
    guarantee: Guarantee = Guarantee.QUERYABLE,
    final: bool = False,
    base: Path = Path("/nowhere"),
    resolved: bool = False,
) -> Channel:
    """A channel from its table, as the gateway builds one. `resolved`: references are looked up as the gateway does."""
    known = from_dictionary(secrets or {})
    return build_channel(
        parse_profile(table),
        guarantee=guarantee,
        absence_is_final=final,
        secret=(lambda reference: resolve(reference, base)) if resolved else known,
        certificate=(lambda reference: certificate_pem(reference, base)) if resolved else known,
        clock=lambda: NOON,
        base=base,
    )


class Shelf:
    """A `keep` that remembers; refuses what it is told to refuse."""

    def __init__(self, *, refuse: frozenset[str] = frozenset()) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.refuse = refuse

    async def keep(self, arrival: Arrival) -> None:
        content = b"".join([chunk async for chunk in arrival.chunks()])
        if arrival.name in self.refuse:
            raise RuntimeError("the store is out of order")
        self.files.append((arrival.name, content))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.files]


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until it is so; the test's own time-out is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in other people's code
        await asyncio.sleep(0.002)
