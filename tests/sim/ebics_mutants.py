"""EBICS channels that break one rule each, as `tests.sim.mutants` has gateways that do."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from channels.channel import Fate
from channels.ebics import channel, upload
from channels.ebics.codes_table import Remedy
from channels.ebics.notes import UploadNote
from channels.ebics.protocol import Verdict
from channels.ebics.upload import Outcome, UploadState
from channels.ebics.uploading import Uploading
from gateway.channel_notes import StoreNotes
from tests.sim.mutants import DOUBLE, Mutant

_lost = upload.lost
_verdict = channel.verdict
_put = Uploading._put
_write = StoreNotes.write


def _timeout_as_not_held(state: UploadState) -> UploadState:
    if state.completed:
        return replace(state, in_flight=None, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER, words="it timed out")
    return _lost(state)


def _doubt_as_not_held(state: UploadState, words: str, code: str | None = None) -> UploadState:
    return replace(state, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER, code=code, words=words)


async def _note_after_the_message(self: Uploading, stands: UploadNote) -> None:
    if stands.state.in_flight is None:
        await _put(self, stands)
    else:
        self.stands = stands


async def _write_over_anything(self: StoreNotes, name: str, text: str, *, was: str | None) -> bool:
    return await _write(self, name, text, was=await self.read(name))


def _silence_as_failed(*arguments: Any, **named: Any) -> Verdict:
    found = _verdict(*arguments, **named)
    return replace(found, fate=Fate.DID_NOT_ARRIVE) if found.fate is Fate.UNKNOWN else found


def _patched(target: object, name: str, value: object) -> Any:
    def broken() -> AbstractContextManager[Any]:
        return patch.object(target, name, value)

    return broken


EBICS: dict[str, Mutant] = {
    "begins a new transaction after a time-out of the last segment": Mutant(
        world="ebics", broken=_patched(upload, "lost", _timeout_as_not_held), first=43, seeds=100, says=DOUBLE
    ),
    "takes every doubt for 'the bank holds nothing'": Mutant(
        world="ebics", broken=_patched(upload, "_in_doubt", _doubt_as_not_held), first=106, seeds=200, says=DOUBLE
    ),
    "takes a customer protocol that does not show the order for one that says it failed": Mutant(
        world="ebics-deaf", broken=_patched(channel, "verdict", _silence_as_failed), first=23, seeds=100, says=DOUBLE
    ),
    "notes a message after it left": Mutant(
        world="ebics", broken=_patched(Uploading, "_put", _note_after_the_message), first=5, seeds=100, says=DOUBLE
    ),
    "writes its note over another's": Mutant(
        world="ebics", broken=_patched(StoreNotes, "write", _write_over_anything), first=3, seeds=300, says=DOUBLE
    ),
}
