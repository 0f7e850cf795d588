"""Drives a download (`channels.ebics.download`): segments fetched, decrypted, kept, and only then receipted.

Noted from the moment a transaction is open, so that whoever comes after a crash ends it: with a positive receipt where what came
was kept, else with a negative one, and the bank offers it again. Before that there is nothing to end.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from channels.channel import ChannelError, Keep, Unreachable
from channels.content import Incoming
from channels.ebics import download, envelope, stored
from channels.ebics.answers import Answer, Encryption
from channels.ebics.codes import meaning
from channels.ebics.correspondent import Session
from channels.ebics.download import DownloadState, Due, End
from channels.ebics.line import NoAnswer, NotLeft
from channels.ebics.notes import Note, open_note
from channels.ebics.orders import Order
from channels.ebics.spool import Spool, unpacked
from keys.ebics_encryption import unwrapped_key
from keys.seal import BadSeal

Take = Callable[[Incoming], Awaitable[None]]
FAILED: Final = frozenset({End.FAILED, End.OFFERED_AGAIN, End.UNSURE})


def slug(order: Order) -> str:
    """The order in a short name: for notes, and for the names of files that arrive."""
    parameters = order.parameters
    words = getattr(parameters, "service", None)
    if words is not None:
        parts = (words.name, words.scope, words.option, words.message, words.version)
        return "-".join((order.type, *(part for part in parts if part)))
    return f"{order.type}-{parameters.format}" if hasattr(parameters, "format") else order.type


@dataclass(slots=True)
class Downloading:
    """One download, once."""

    session: Session
    order: Order
    bytes_max: int
    note: Note
    spool: Spool = field(default_factory=Spool)
    encryption: Encryption | None = None

    async def run(self, keep: Keep) -> DownloadState:
        """Raises `Unreachable` where the bank cannot be reached at all, and what the notes raise."""
        state = download.new_download(self.order.type)
        with self.spool:
            while (step := download.next_step(state)) is not None:
                if step.action is Due.STORE:
                    state = await self._store(step.state, keep)
                else:
                    state = await self._send(step)
                await self._put(state)
        return state

    async def finish(self, state: DownloadState) -> DownloadState:
        """Ends a transaction that was left open."""
        if state.in_flight:
            state = download.lost(state)
        if state.end is End.OPEN and state.stored is None:  # what was fetched of it is gone with the process that fetched it
            state = replace(state, stored=False, tries=0, words="the process that fetched it ended before it was kept")
        with self.spool:
            while (step := download.next_step(state)) is not None:
                state = await self._send(step)
                await self._put(state)
        return state

    async def _send(self, step: download.DownloadStep) -> DownloadState:
        await self._put(step.state)
        try:
            answer = await self.session.exchange(self._message(step))
        except NotLeft as problem:
            if step.action is Due.START:
                raise Unreachable(str(problem)) from problem
            return download.lost(step.state)
        except NoAnswer as problem:
            found = download.lost(step.state)
            return found if found.end is End.OPEN else replace(found, words=f"{found.words}: {problem}")
        fetched = download.answered(step.state, answer)
        self._take(fetched, answer)
        return fetched.state

    def _take(self, fetched: download.Fetched, answer: Answer) -> None:
        if fetched.keep:
            self.encryption = self.encryption or answer.encryption
            self.spool.append(answer.order_data or b"")
        elif fetched.state.end is End.OPEN and self.spool.count > fetched.state.fetched:
            self.spool.keep_first(fetched.state.fetched)  # the bank goes back to an earlier segment

    async def _store(self, state: DownloadState, keep: Keep) -> DownloadState:
        encryption = self.encryption
        if encryption is None:
            return download.not_stored(state, "the bank sent no key for it")
        own = self.session.keys
        if not own.public.encryption.is_named_by(encryption.key_digest):
            return download.not_stored(state, "it is encrypted for another key than our E002")
        name = f"{slug(self.order)}-{(state.transaction_id or '')[:8]}"
        try:
            secret = unwrapped_key(own.encryption, encryption.wrapped_key)
            incoming = Incoming(
                name=name, size=None, limit=self.bytes_max, stream=lambda: unpacked(self.spool, secret, self.bytes_max)
            )
            await incoming.hand_to(keep)
        except Exception as problem:  # whatever it is: the bank must keep it, and be told so
            known = isinstance(problem, ChannelError | BadSeal)
            return download.not_stored(state, str(problem) if known else f"it could not be kept: {type(problem).__name__}")
        return download.stored(state)

    async def _put(self, state: DownloadState) -> None:
        if state.transaction_id is not None:
            await self.note.put(stored.to_text(state))

    def _message(self, step: download.DownloadStep) -> bytes:
        session, state = self.session, step.state
        here, key = session.correspondent, session.keys.authentication
        if step.action is Due.START:
            return envelope.start_request(
                here.version, here.subscriber, self.order, moment=here.moment(), bank=session.bank, key=key
            )
        host, transaction = here.profile.host_id, state.transaction_id or ""
        if step.action is Due.SEGMENT:
            return envelope.transfer_request(here.version, host, transaction, number=step.number, last=step.last, key=key)
        return envelope.receipt_request(here.version, host, transaction, stored=state.stored is True, key=key)


async def fetch(session: Session, order: Order, keep: Keep, *, called: str = "") -> DownloadState:
    """One download; one that was left open under the same name (`called`, else the order's) is ended first. Raises `Unreachable`,
    `Overtaken`, and what the notes raise."""
    here = session.correspondent
    note = await open_note(here.notes, f"{here.profile.scope}/download/{called or slug(order)}")
    bytes_max = here.profile.file_bytes_max
    if note.text is not None:
        try:
            left = stored.from_text(note.text, DownloadState)
        except (ValueError, KeyError, TypeError):
            left = None  # a receipt that cannot be sent: the bank ends the transaction by itself
        if left is not None and left.end is End.OPEN:
            await Downloading(session, order, bytes_max, note).finish(left)
    return await Downloading(session, order, bytes_max, note).run(keep)


def trouble(order: Order, state: DownloadState) -> str | None:
    """What went wrong with a download, in words; None if nothing did."""
    if state.end not in FAILED:
        return None
    said = state.words or "it failed"
    return f"{slug(order)}: {said}" + (f" [{state.code} {meaning(state.code).name}]" if state.code else "")
