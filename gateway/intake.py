"""From the bank's door to changed payments: fetch, keep, open, parse, apply.

Raw bytes are stored before the bank is told "got it", and before anybody looks into them. A file that cannot be opened or read is
quarantined with its bytes and does not stop the next one. A file is applied only after it was read to its end. The files of a ZIP
archive are kept, read and, where need be, quarantined each by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TypeVar

import msgspec
import structlog

from channels.channel import Arrival, Channel, Unreachable
from formats.container import is_container
from formats.errors import Unparsable
from formats.report import Document, ReportRecord
from formats.schemas import validate_inbound
from formats.schemas_own import OwnSchemas
from gateway import discrepancies as say
from gateway.apply import NewsApplier
from gateway.compact import compact
from gateway.connection import Connection
from gateway.dialogue.verdicts import records_that_count
from gateway.discrepancies import Origin, is_booking
from gateway.members import ARCHIVE, Member, kept, left_inside, members_of
from gateway.news_store import NewsStore
from gateway.store.records import InboundFile, NewDiscrepancy
from gateway.store.store import Clock, Stale, Store, StoreUnavailable
from gateway.telemetry import Metrics, place_of
from keys.seal import BadSeal, KeyUnavailable

log = structlog.get_logger("intake")

SPOOL_BYTES_MAX = 48 * 1024 * 1024  # of encoded records held in memory; a file with more is parsed a second time
REPLAY_UNFINISHED = "a replay kept it and did not get to its end"  # the problem of a file whose replay broke off
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Intake:
    """The inbound side of one connection."""

    store: Store
    connection: Connection
    channel: Channel
    clock: Clock
    metrics: Metrics

    async def fetch(self) -> int:
        """Fetches what the bank offers; how many files were kept. A bank that cannot be reached is noted, not raised."""
        problem: str | None = None
        kept = 0
        try:
            with self.metrics.stage(self.connection.id, "fetch"):
                kept = await self.channel.receive(self.keep)
        except Unreachable as fault:
            problem = str(fault)
        except StoreUnavailable as fault:
            problem = f"cannot keep what the bank offers: {fault}"
        if problem:
            log.warning("fetch_failed", connection=self.connection.id, problem=problem)
        troubles = dict.fromkeys(self.channel.troubles)
        if troubles:
            self.metrics.inbound(self.connection.id, "left")
            origin = Origin(connection_id=self.connection.id, inbound_file_id=0, source="fetch")
            await self.store.add_discrepancies([say.left_at_the_bank(origin, trouble) for trouble in troubles])
        await self.store.note_fetch(self.connection.id, problem or next(iter(troubles), None))
        return kept

    async def keep(self, arrival: Arrival) -> None:
        """Stores the raw bytes of one file; only when this returns may the bank be told."""
        writer = self.store.document_writer("inbound")
        try:
            async for chunk in arrival.chunks():
                await asyncio.to_thread(writer.write, chunk)
            document_id, sha256, size = await asyncio.to_thread(writer.finish)
        except BaseException:
            await asyncio.to_thread(writer.discard)
            raise
        file, new = await self.store.keep_inbound(self.connection.id, arrival.name, document_id, sha256, size)
        if not new and file.state == "quarantined" and file.problem in {None, REPLAY_UNFINISHED}:
            await self.store.finish_inbound(file.inbound_file_id, state="stored")  # nobody is going to read it but we
        self.metrics.inbound(self.connection.id, "kept" if new else "known")
        log.info("inbound_kept", connection=self.connection.id, file=file.inbound_file_id, size=size, new=new)

    async def read_waiting(self) -> int:
        """Reads every stored file that was not read yet; how many wait all the same (for a key, or to be read again).

        One that breaks our reader is put aside with its bytes, like one that is not readable: the next ones must be read. What
        came in an archive is read in the same call.
        """
        looked_at: set[int] = set()
        while True:
            unread = await self.store.unread_inbound(self.connection.id)
            waiting = [file for file in unread if file.inbound_file_id not in looked_at]
            if not waiting:
                return len(unread)
            for file in waiting:
                looked_at.add(file.inbound_file_id)
                await self._read_safely(file)

    async def _read_safely(self, file: InboundFile) -> None:
        try:
            await self.read(file)
        except StoreUnavailable:
            raise
        except Stale:
            return  # payments kept moving under our hands; news never moves one down, so it is applied again whole
        except Exception as fault:  # a fault of ours: told by its place, never by its text, which may quote the bank
            await self._quarantine(file, f"a fault of this program: {place_of(fault)}", None)

    async def read(self, file: InboundFile, into: NewsStore | None = None) -> NewsApplier | None:
        """Opens, parses and applies one kept file; None if it was quarantined, or was an archive, whose files then wait to be
        read. Safe to repeat."""
        try:
            opened_id = await asyncio.to_thread(self._open_seal, file)
        except BadSeal as problem:
            await self._quarantine(file, str(problem), None)
            return None
        except KeyUnavailable as problem:
            # The file is good for all we know: it stays stored and is read once the key is there.
            origin = self._origin(file)
            await self.store.add_discrepancies([say.key_unavailable(origin, f"inbound:{file.inbound_file_id}", str(problem))])
            log.warning("key_unavailable", connection=self.connection.id, file=file.inbound_file_id)
            return None
        if await asyncio.to_thread(self._is_archive, opened_id):
            await self._unpack(file, opened_id)
            return None
        applier = NewsApplier(
            into or self.store,
            connection_id=self.connection.id,
            inbound_file_id=file.inbound_file_id,
            clock=self.clock,
            fall_back_codes=self.connection.fall_back_codes,
            returns=self.connection.returns,
        )
        try:
            message = await self.apply_opened(lambda: self.store.open_document(opened_id), applier)
        except Unparsable as problem:
            await self._quarantine(file, problem.problem, problem.line)
            return None
        await self.store.finish_inbound(file.inbound_file_id, state="read", message=message, records_applied=applier.records)
        self.metrics.inbound(self.connection.id, "read")
        for state, count in applier.changed.items():
            self.metrics.state_changes(self.connection.id, state, count)
        done = applier.reconciled
        if done.told or done.resolved:
            facts = {"told": done.told, "resolved": done.resolved}
            log.warning("statements_compared", connection=self.connection.id, file=file.inbound_file_id, **facts)
        await self.read_bookings_again(file.inbound_file_id, applier.rejected_in)
        return applier

    async def _unpack(self, file: InboundFile, opened_id: int) -> None:
        """Keeps each file of an archive as one that waits to be read; then the archive is done.

        It may break off anywhere: the archive waits until all its files are kept, bytes that are known are not kept again, and
        what is read again applies only what is missing.
        """
        stuck: list[Member] = []
        try:
            with closing(self.store.open_document(opened_id)) as source:
                async with aclosing(members_of(file.name, source)) as members:
                    async for member in members:
                        if member.content is None:
                            stuck.append(member)
                        else:
                            await self._keep_member(member.name, member.content)
        except Unparsable as problem:
            await self._quarantine(file, problem.problem, problem.line)
            return
        if stuck:
            told = [say.stuck_in_an_archive(self._origin(file), member.name, member.problem) for member in stuck]
            await self._put_aside(file, left_inside(stuck), told)
            return
        await self.store.finish_inbound(file.inbound_file_id, state="read", message=ARCHIVE)
        self.metrics.inbound(self.connection.id, "read")

    async def _keep_member(self, name: str, content: BinaryIO) -> None:
        document_id, sha256, size = await asyncio.to_thread(kept, self.store, content)
        known, new = await self.store.keep_inbound(self.connection.id, name, document_id, sha256, size, opened=True)
        if not new and known.state != "stored":  # also one that was read: the archive is perhaps read again after a fix
            await self.store.finish_inbound(known.inbound_file_id, state="stored")
        self.metrics.inbound(self.connection.id, "kept" if new else "known")

    async def read_bookings_again(self, after: int, delivery_ids: set[str]) -> None:
        """A batch booked without the payments that the bank rejected fits only once the rejections are known: whichever file
        comes first, the same payments settle. `after`: the file that told of them; these others are read with the next fetch."""
        token: str | None = None
        again: set[int] = set()
        while delivery_ids:
            found, token = await self.store.list_discrepancies(connection_ids=[self.connection.id], limit=500, before=token)
            again |= {d.inbound_file_id for d in found if d.inbound_file_id and d.delivery_id in delivery_ids and is_booking(d)}
            if token is None:
                break
        for inbound_file_id in sorted(again - {after}):
            await self.store.finish_inbound(inbound_file_id, state="stored")

    async def apply_opened(self, source: Callable[[], BinaryIO], applier: NewsApplier) -> str | None:
        """Parses an opened file whole, then applies its records; its first message name. Unparsable comes before any effect."""
        with self.metrics.stage(self.connection.id, "parse"):
            spool = await asyncio.to_thread(self._parse_whole, source)
        with self.metrics.stage(self.connection.id, "apply"):
            message: str | None = None
            async for record in _Threaded(spool.records if spool.complete else lambda: self._parsed(source)):
                if isinstance(record, Document) and message is None:
                    message = record.message
                await applier.apply(record)
            await applier.finish()
        return message

    # -- in threads ----------------------------------------------------------------------------------------------------

    def _open_seal(self, file: InboundFile) -> int:
        if file.opened:
            return file.document_id
        with self.metrics.stage(self.connection.id, "open"):
            opened = self.store.document_writer("opened")
            try:
                with closing(self.store.open_document(file.document_id)) as source:
                    self.connection.file_seal.open(source, opened)  # type: ignore[arg-type]  # a writer is all it needs
                document_id, _, _ = opened.finish()
            except BaseException:
                opened.discard()
                raise
            return document_id

    def _is_archive(self, document_id: int) -> bool:
        with closing(self.store.open_document(document_id)) as source:
            return is_container(source)

    def _parse_whole(self, source: Callable[[], BinaryIO]) -> "_Spool":
        spool = _Spool()
        for record in self._parsed(source):
            spool.add(record)
        return spool

    def _parsed(self, source: Callable[[], BinaryIO]) -> Iterator[ReportRecord]:
        with closing(source()) as stream:
            schemas, talks = self.connection.schemas, self.connection.dialogue
            if talks is not None:
                yield from records_that_count(talks, stream)
            elif schemas is None:
                yield from self.connection.bank.parse(stream)
            else:
                yield from self._judged_again(stream, schemas)

    def _judged_again(self, source: BinaryIO, schemas: OwnSchemas) -> Iterator[ReportRecord]:
        """The records of a file, whose first message is judged by the schema brought from the bank, where there is one for it."""
        records = self.connection.bank.parse(source)
        first = next(records, None)
        if isinstance(first, Document) and schemas.get(first.message) is not None:
            valid, problems = validate_inbound(source, first.message, schemas)
            first = replace(first, schema_valid=valid, schema_problems=problems)
        if first is not None:
            yield first
        yield from records

    # -- shared --------------------------------------------------------------------------------------------------------

    async def _quarantine(self, file: InboundFile, problem: str, line: int | None) -> None:
        told = say.unreadable(self._origin(file), file.name, problem, line)
        await self._put_aside(file, problem if line is None else f"line {line}: {problem}", [told])

    async def _put_aside(self, file: InboundFile, problem: str, told: Sequence[NewDiscrepancy]) -> None:
        await self.store.finish_inbound(file.inbound_file_id, state="quarantined", problem=problem, discrepancies=told)
        self.metrics.inbound(self.connection.id, "quarantined")
        log.warning("quarantined", connection=self.connection.id, file=file.inbound_file_id, problem=problem)

    def _origin(self, file: InboundFile) -> Origin:
        return Origin(
            connection_id=self.connection.id, inbound_file_id=file.inbound_file_id, source=f"file {file.inbound_file_id}"
        )


class _Spool:
    """Parsed records, encoded small, until there are too many of them."""

    def __init__(self) -> None:
        self.complete = True
        self._encoder = msgspec.msgpack.Encoder()
        self._items: list[tuple[type[ReportRecord], bytes]] = []
        self._bytes = 0

    def add(self, record: ReportRecord) -> None:
        if not self.complete:
            return
        kind: Any = type(record)
        encoded = self._encoder.encode(msgspec.convert(record, compact(kind), from_attributes=True))
        self._bytes += len(encoded) + 100
        if self._bytes > SPOOL_BYTES_MAX:
            self.complete = False
            self._items.clear()
            return
        self._items.append((kind, encoded))

    def records(self) -> Iterator[ReportRecord]:
        decoders: dict[type[ReportRecord], msgspec.msgpack.Decoder[ReportRecord]] = {}
        for kind, encoded in self._items:
            decoder = decoders.get(kind)
            if decoder is None:
                decoder = decoders[kind] = msgspec.msgpack.Decoder(kind)
            yield decoder.decode(encoded)


class _Threaded(AsyncIterator[_T]):
    """Runs a blocking iterator in threads, a few hundred items a hop."""

    HOP = 500

    def __init__(self, make: Callable[[], Iterator[_T]]) -> None:
        self._make = make
        self._iterator: Iterator[_T] | None = None
        self._waiting: list[_T] = []

    def _hop(self) -> list[_T]:
        if self._iterator is None:
            self._iterator = self._make()
        return [item for _, item in zip(range(self.HOP), self._iterator, strict=False)]

    async def __anext__(self) -> _T:
        if not self._waiting:
            self._waiting = (await asyncio.to_thread(self._hop))[::-1]
            if not self._waiting:
                raise StopAsyncIteration
        return self._waiting.pop()
