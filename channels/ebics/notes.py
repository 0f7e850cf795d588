"""What this channel remembers between two messages, so that whoever goes on after a crash goes on there.

A note is a name and a text. It is written before the message that it speaks of leaves, and only over the text that the writer
knows: of two processes that both believe an upload to be theirs, the second one to write learns it and stops.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from channels.channel import ChannelError
from channels.ebics import stored
from channels.ebics.subscriber import Subscription
from channels.ebics.upload import UploadState

SUBSCRIPTION: Final = "subscription"
"""The last part of the name of a subscriber's note, the only one that is of interest to people."""


class Notes(Protocol):
    """Durable, shared by all processes, and atomic. Errors of its own count as not written."""

    async def read(self, name: str) -> str | None: ...

    async def write(self, name: str, text: str, *, was: str | None) -> bool:
        """Stores the text where `was` stands (None: nothing). False: something else stands there, and nothing was written."""


class Overtaken(ChannelError):
    """Another process went on with this very thing."""

    def __init__(self) -> None:
        super().__init__("another process goes on with this upload, download or onboarding: nothing more was sent from here")


@dataclass(slots=True)
class Note:
    """One note, and what stands in it as far as we know."""

    notes: Notes
    name: str
    text: str | None

    async def put(self, text: str) -> None:
        """Raises `Overtaken`, or what the notes raise; then the old text stands."""
        if text == self.text:
            return
        if not await self.notes.write(self.name, text, was=self.text):
            raise Overtaken
        self.text = text


async def open_note(notes: Notes, name: str) -> Note:
    return Note(notes=notes, name=name, text=await notes.read(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadNote:
    """An upload under way. `transaction_key`: hex; `text_sha256`: of the base64 text of all segments, so that whoever goes on
    sees whether it makes the same; `opened`: when the first message of the transaction went out."""

    state: UploadState
    transaction_key: str
    text_sha256: str
    opened: datetime

    def at(self, state: UploadState) -> "UploadNote":
        return replace(self, state=state)

    def to_text(self) -> str:
        found = {
            "opened": self.opened.isoformat(),
            "state": stored.to_text(self.state),
            "text_sha256": self.text_sha256,
            "transaction_key": self.transaction_key,
        }
        return json.dumps(found, sort_keys=True, separators=(",", ":"))


def read_upload(text: str) -> UploadNote:
    """Raises `ValueError` for what is no such note."""
    found = _fields(text, {"opened", "state", "text_sha256", "transaction_key"})
    return UploadNote(
        state=stored.from_text(found["state"], UploadState),
        transaction_key=found["transaction_key"],
        text_sha256=found["text_sha256"],
        opened=datetime.fromisoformat(found["opened"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberNote:
    """A subscriber. `own`: the hashes of our three keys as they went to the bank, in one text; empty before that."""

    subscription: Subscription
    own: str = ""

    def to_text(self) -> str:
        found = {"own": self.own, "subscription": stored.to_text(self.subscription)}
        return json.dumps(found, sort_keys=True, separators=(",", ":"))


def read_subscriber(text: str) -> SubscriberNote:
    """Raises `ValueError` for what is no such note."""
    found = _fields(text, {"own", "subscription"})
    return SubscriberNote(subscription=stored.from_text(found["subscription"], Subscription), own=found["own"])


def _fields(text: str, names: set[str]) -> dict[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict) or set(found) != names or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("the stored note lacks a field or has one more; it was written by another version")
    return found
