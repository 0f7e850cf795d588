"""The bytes on their way: proved against their hash going out, bounded coming in.

Two rules. A parcel's last bytes are handed over only after all of them were seen to match its size and SHA-256, so a damaged
store can never complete an upload. And a file counts as kept only if `keep` read it to its end.
"""

import fnmatch
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from channels.channel import Arrival, ChannelError, Keep, Parcel, Refused, Unreachable
from channels.settings import FileRules

LOT = 4 << 20  # bytes handed to a connection at once: large enough to fill it, small enough to forget about
_PARCEL_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
_HOPELESS = 3  # so many files in a row that broke the connection, and the fetch is given up

log = logging.getLogger("bankgate.channels")

T = TypeVar("T")


class Unsendable(ChannelError):
    """Ours: the parcel's chunks cannot be read, or are not the bytes that its size and hash promise."""


class BadArrival(ChannelError):
    """The bank's: a file on offer is larger than allowed, not as long as announced, or changed while it was read."""


def fit_to_send(parcel: Parcel, file_bytes_max: int) -> None:
    """Refuses a parcel that must not be sent, before anything is done: a name that is a path, or too many bytes."""
    if not _PARCEL_NAME.fullmatch(parcel.name):
        raise Refused("name.invalid", "a file name is 1 to 100 letters, digits and ._- and does not begin with a dot")
    if parcel.size > file_bytes_max:
        raise Refused("file.too_large", f"{parcel.size} bytes are more than file_bytes_max = {file_bytes_max}")


async def verified(parcel: Parcel) -> AsyncGenerator[bytes, None]:
    """The parcel's bytes; the last chunk only after the whole matched. Raises `Unsendable`."""
    digest, size, held = hashlib.sha256(), 0, b""
    chunks = parcel.chunks()
    while True:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            break
        except Exception as error:  # the store's errors are another room's; here they mean one thing
            raise Unsendable(f"the stored bytes cannot be read: {type(error).__name__}") from error
        size += len(chunk)
        digest.update(chunk)
        if size > parcel.size:
            raise Unsendable(f"the store gives more than the {parcel.size} bytes that were sealed")
        if chunk and held:
            yield held
        held = chunk or held
    if size != parcel.size or digest.hexdigest() != parcel.sha256.lower():
        raise Unsendable(f"the store gives {size} bytes that are not the {parcel.size} bytes that were sealed")
    if held:
        yield held


async def in_lots(chunks: AsyncIterator[bytes], size: int = LOT) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of about `size`: fewer round trips where each piece is acknowledged."""
    lot = bytearray()
    async for chunk in chunks:
        lot += chunk
        if len(lot) >= size:
            yield bytes(lot)
            lot.clear()
    if lot:
        yield bytes(lot)


def on_offer(name: str, rules: FileRules) -> bool:
    """Whether a listed name is a finished file that the profile asks for."""
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        return False
    if name.lower().endswith(rules.unfinished_suffixes):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in rules.patterns)


def shown(name: str) -> str:
    """A bank's file name as text that any store and terminal takes: what is not printable is written as an escape."""
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in readable)[:255]


class Incoming:
    """One file on offer, made into an `Arrival` that counts, bounds and hashes what passes."""

    def __init__(self, *, name: str, size: int | None, limit: int, stream: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        if size is not None and size > limit:
            raise BadArrival(f"{size} bytes are more than file_bytes_max = {limit}")
        self._size, self._limit, self._stream = size, limit, stream
        self._open: AsyncGenerator[bytes, None] | None = None
        self._finished = False
        self._digest = hashlib.sha256()
        self._arrival = Arrival(name=shown(name), size=size, chunks=self._once)

    def _once(self) -> AsyncIterator[bytes]:
        if self._open is not None:
            raise BadArrival("the chunks of an arrival can be read once")
        self._open = self._chunks()
        return self._open

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async with aclosing(self._stream()) as stream:
            async for chunk in stream:
                size += len(chunk)
                if size > self._limit:
                    raise BadArrival(f"more than file_bytes_max = {self._limit} bytes")
                self._digest.update(chunk)
                yield chunk
        if self._size is not None and size != self._size:
            raise BadArrival(f"{size} bytes came of {self._size} announced")
        self._finished = True

    async def hand_to(self, keep: Keep) -> str:
        """Returns the SHA-256 of the content once it is kept whole; raises whatever went wrong otherwise."""
        try:
            await keep(self._arrival)
        finally:
            if self._open is not None:
                await self._open.aclose()  # `keep` may have left in the middle: what the stream holds is given back now
        if not self._finished:
            raise BadArrival("the file was not read to its end, so it cannot have been kept")
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(Generic[T]):
    """One round of fetching, the same for every channel: `take` gets one file and keeps it, `release` tells the bank."""

    offers: Iterable[T]
    take: Callable[[T], Awaitable[str]]  # returns the SHA-256 of what was kept
    release: Callable[[T, str], Awaitable[None]]
    broken: Callable[[Exception], bool]  # whether this error ended the connection
    trouble: Callable[[str], None]  # told of each file that was left, in words without its name

    async def run(self, files_max: int) -> int:
        """How many files were kept. A file in trouble is left for the next fetch and the others go on, unless the
        connection breaks at several files in a row: then `Unreachable`."""
        kept = breaks = 0
        for position, offer in enumerate(self.offers, start=1):
            if kept >= files_max:
                break
            try:
                digest = await self.take(offer)
            except Unreachable:
                raise
            except Exception as error:  # whatever this file's trouble is: named in the log, fetched again next time
                log.warning("file %d on offer was not kept and stays there: %s", position, _nameless(error))
                self.trouble(f"a file on offer was not kept and stays there: {_nameless(error)}")
                breaks = breaks + 1 if self.broken(error) else 0
                if breaks >= _HOPELESS:
                    raise Unreachable(f"the connection broke at {breaks} files in a row; {kept} were kept before") from error
                continue
            kept, breaks = kept + 1, 0
            await self._release(position, offer, digest)
        return kept

    async def _release(self, position: int, offer: T, digest: str) -> None:
        try:
            await self.release(offer, digest)
        except Exception as error:  # the file is kept; the bank offers it again, and content that is known is not news
            log.warning("file %d was kept, but the bank could not be told: %s", position, _nameless(error))
            self.trouble(f"a file was kept, but the bank could not be told: {_nameless(error)}")


def _nameless(error: Exception) -> str:
    """For the log: a bank's file names may contain account numbers, and errors of libraries repeat file names."""
    return f"{type(error).__name__}: {error}" if isinstance(error, ChannelError) else type(error).__name__


def words(error: BaseException) -> str:
    """An error of a library in one printable line: its class, and what it says unless that is long."""
    said = "".join(c if c.isprintable() else " " for c in str(error)).strip()[:200]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
