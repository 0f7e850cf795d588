"""What would these bank files change? The production code of intake and matching over a shadow that changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, cast

from formats.container import is_container
from formats.errors import Unparsable
from formats.lines import lines_of
from gateway.apply import NewsApplier
from gateway.intake import REPLAY_UNFINISHED, Intake
from gateway.lifecycle import PaymentState
from gateway.matching import MatchKind
from gateway.members import ARCHIVE, Member, kept, left_inside, members_of
from gateway.replay_space import ReplaySpace, Spool
from gateway.shadow import Move, Shadow
from gateway.store.records import NewDiscrepancy, Reason
from gateway.store.store import Store
from keys.seal import BadSeal

NOT_SHOWN = "not_shown"  # in place of the problems of a file beyond `gateway.shadow.PROBLEMS_MAX`

Chunk = tuple[str, bytes | None]
"""The name of a file (empty: the same as before) and a piece of it; None: its sender cannot read it to its end, forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedChange:
    """`place`: where in the file the reason stands (`gateway.place`); `matched_by`: the key by which the payment was found, and
    `line` where that key stands, if it does so once."""

    file: str
    payment_id: str
    payment_reference: str
    before: PaymentState
    after: PaymentState
    reason: Reason
    matched_by: str
    place: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedProblem:
    """`line` is known where the file could not be read; else the place stands in the evidence."""

    file: str
    kind: str
    summary_en: str
    summary_zh: str
    evidence: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedFile:
    file: str
    message: str | None
    records: int
    changes: int
    problems: int
    committed: bool


Replayed = ReplayedChange | ReplayedProblem | ReplayedFile


@dataclass(slots=True)
class Replay:
    """One replay over one connection: files in order, each shown against what the earlier ones would have done."""

    store: Store
    intake: Intake
    commit: bool
    space: ReplaySpace = field(default_factory=ReplaySpace)
    shadow: Shadow = field(init=False)

    def __post_init__(self) -> None:
        self.shadow = Shadow(self.store, self.intake.connection.id, commit=self.commit)

    async def run(self, files: AsyncIterator[Chunk], *, sealed: bool) -> AsyncIterator[Replayed]:
        """Files that are uploaded in pieces; a new name starts a new file. Raises `TooMany`, `KeyUnavailable`."""
        async for name, upload in _uploads(files, self.space):
            if upload is None:
                for told in unreadable(name, "its sender could not read it to its end"):
                    yield told
                continue
            with closing(upload):
                async for result in self.file(name, cast("BinaryIO", upload), sealed=sealed):
                    yield result

    async def file(self, name: str, source: BinaryIO, *, sealed: bool) -> AsyncIterator[Replayed]:
        """One whole file, seekable; it stays open. The files of an archive come each under its own name, then the archive's end.
        Raises `TooMany`, `KeyUnavailable`."""
        opened: BinaryIO | None = None
        try:
            opened = await asyncio.to_thread(self._opened, name, source) if sealed else source
            archive = await asyncio.to_thread(is_container, opened)
            async for result in self._archive(name, source, opened) if archive else self._one(name, source, opened):
                yield result
        except BadSeal as fault:
            for result in unreadable(name, str(fault)):
                yield result
        finally:
            if opened is not None and opened is not source:
                opened.close()

    async def _one(self, name: str, source: BinaryIO, opened: BinaryIO) -> AsyncIterator[Replayed]:
        try:
            applier, message = await self._apply(name, source, opened)
            moves, problems, more = self.shadow.take()
            lines = await asyncio.to_thread(lines_of, opened, {_key_of(move) for move in moves})
        except Unparsable as fault:
            for result in unreadable(name, fault.problem, fault.line):
                yield result
            return
        for move in moves:
            yield ReplayedChange(
                file=name,
                payment_id=move.before.payment_id,
                payment_reference=move.before.payment_reference,
                before=move.before.state,
                after=move.after,
                reason=move.reason,
                matched_by=move.matched_by,
                place=move.place,
                line=lines.get(_key_of(move)),
            )
        for problem in problems:
            yield _shown(name, problem)
        if more:
            yield _not_shown(name, more)
        yield ReplayedFile(
            file=name,
            message=message,
            records=applier.records,
            changes=len(moves),
            problems=len(problems) + more,
            committed=self.commit,
        )

    async def _archive(self, name: str, source: BinaryIO, opened: BinaryIO) -> AsyncIterator[Replayed]:
        """Each file of an archive like any other. Until its end the archive is one whose replay broke off: read again, it gives
        whatever of it is missing."""
        inbound_file_id = await self._keep(name, source, opened=opened is source) if self.commit else 0
        stuck: list[Member] = []
        try:
            async with aclosing(members_of(name, opened)) as members:
                async for member in members:
                    if member.content is None:
                        stuck.append(member)
                        yield _cannot_be_read(member.name, member.problem)
                        continue
                    async for result in self._one(member.name, member.content, member.content):
                        yield result
        except Unparsable as fault:
            await self._finish(inbound_file_id, state="quarantined", problem=fault.problem)
            for result in unreadable(name, fault.problem, fault.line):
                yield result
            return
        if stuck:
            await self._finish(inbound_file_id, state="quarantined", problem=left_inside(stuck))
        else:
            await self._finish(inbound_file_id, state="read", message=ARCHIVE)
        yield ReplayedFile(
            file=name, message=ARCHIVE, records=0, changes=0, problems=len(stuck), committed=self.commit and not stuck
        )

    async def _finish(self, inbound_file_id: int, **how: Any) -> None:
        if self.commit:
            await self.store.finish_inbound(inbound_file_id, **how)

    async def _apply(self, name: str, upload: BinaryIO, opened: BinaryIO) -> tuple[NewsApplier, str | None]:
        inbound_file_id = 0
        if self.commit:
            inbound_file_id = await self._keep(name, upload, opened=opened is upload)
        applier = NewsApplier(
            self.shadow,
            connection_id=self.intake.connection.id,
            inbound_file_id=inbound_file_id,
            clock=self.intake.clock,
            fall_back_codes=self.intake.connection.fall_back_codes,
            returns=self.intake.connection.returns,
        )
        try:
            message = await self.intake.apply_opened(lambda: _rewound(opened), applier)
        except Unparsable as fault:
            await self._finish(inbound_file_id, state="quarantined", problem=fault.problem)
            raise
        await self._finish(inbound_file_id, state="read", message=message, records_applied=applier.records)
        if self.commit:
            await self.intake.read_bookings_again(inbound_file_id, applier.rejected_in)
        return applier, message

    def _opened(self, name: str, upload: BinaryIO) -> BinaryIO:
        upload.seek(0)
        opened = cast("BinaryIO", self.space.spool(name))
        try:
            self.intake.connection.seal.open(upload, opened)
        except BaseException:
            opened.close()
            raise
        opened.seek(0)
        return opened

    async def _keep(self, name: str, upload: BinaryIO, *, opened: bool) -> int:
        document_id, sha256, size = await asyncio.to_thread(kept, self.store, upload)
        # Not "read": what breaks off here would be lost. Not "stored": the worker would read it at the same time.
        keep = partial(self.store.keep_inbound, self.intake.connection.id, name, document_id, sha256, size)
        file, new = await keep(state="quarantined", opened=opened)
        if new:
            await self.store.finish_inbound(file.inbound_file_id, state="quarantined", problem=REPLAY_UNFINISHED)
        return file.inbound_file_id


def unreadable(name: str, problem: str, line: int | None = None) -> tuple[ReplayedProblem, ReplayedFile]:
    """What is told of a file that cannot be read: one problem, and its end."""
    end = ReplayedFile(file=name, message=None, records=0, changes=0, problems=1, committed=False)
    return _cannot_be_read(name, problem, line), end


def _cannot_be_read(name: str, problem: str, line: int | None = None) -> ReplayedProblem:
    at = "" if line is None else f"line {line}: "
    return ReplayedProblem(file=name, kind="unreadable", **unreadable_words(f"{at}{problem}"), evidence="{}", line=line)


def unreadable_words(problem: str) -> dict[str, str]:
    """The summaries of a file that cannot be read."""
    return {"summary_en": f"The file cannot be read: {problem}", "summary_zh": f"文件无法读取：{problem}"}


def _key_of(move: Move) -> tuple[str, str]:
    """The key by which the payment was found, in the words of `formats.lines`."""
    payment = move.before
    keys = {
        MatchKind.INSTRUCTION.value: ("instruction_id", payment.payment_id),
        MatchKind.END_TO_END.value: ("end_to_end_id", payment.end_to_end_id),
        MatchKind.UETR.value: ("uetr", payment.uetr),
        MatchKind.SERVICER_REFERENCE.value: ("account_servicer_reference", payment.account_servicer_reference),
    }
    kind, value = keys.get(move.matched_by, ("message_id", payment.message_id))
    return kind, value or ""


def _shown(name: str, problem: NewDiscrepancy) -> ReplayedProblem:
    return ReplayedProblem(
        file=name,
        kind=problem.kind,
        summary_en=problem.summary_en,
        summary_zh=problem.summary_zh,
        evidence=problem.evidence,
    )


def _not_shown(name: str, more: int) -> ReplayedProblem:
    return ReplayedProblem(
        file=name,
        kind=NOT_SHOWN,
        summary_en=f"{more} more problems of this file are not told one by one.",
        summary_zh=f"该文件另有 {more} 个问题未逐一列出。",
        evidence="{}",
    )


def _rewound(stream: BinaryIO) -> BinaryIO:
    """The stream from its start; its reader may close it, and it stays open for the next."""
    stream.seek(0)
    return cast("BinaryIO", _Unclosed(stream))


class _Unclosed:
    """A stream whose `close` is left to whoever opened it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Does nothing, on purpose."""


async def _uploads(files: AsyncIterator[Chunk], space: ReplaySpace) -> AsyncIterator[tuple[str, Spool | None]]:
    """Each file with its bytes, or with None if its sender gave it up. Whoever gets one closes it."""
    name = ""
    upload: Spool | None = None
    try:
        async for said, chunk in files:
            if said and said != name:
                if upload is not None:
                    done, upload = upload, None
                    yield name, done
                name, upload = said, space.spool(said)
            if chunk is None:
                if upload is not None:
                    upload.close()
                    upload = None
                yield name, None
                name = ""
            elif upload is not None:
                await asyncio.to_thread(upload.write, chunk)
        if upload is not None:
            done, upload = upload, None
            yield name, done
    finally:
        if upload is not None:
            upload.close()
