"""What every channel promises.

A channel carries named bytes and tells the truth about whether they arrived. It has three ways to say that sending did not
simply work, and the caller may rely on each:

* `NotSent`: not one byte of content left us; trying again is safe under every guarantee.
* `InDoubt`: the bank may or may not have it.
* `Refused`: the bank's door said no; it will execute nothing of it.

An error nobody foresaw is `NotSent` before the first byte and `InDoubt` after it. Success is never the default.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Guarantee(StrEnum):
    """What may be done about a message whose arrival is unknown (design, section 5, rule 4)."""

    IDEMPOTENT = "idempotent"  # sending the same parcel again cannot make the bank execute it twice
    QUERYABLE = "queryable"  # the bank can be asked
    BLIND = "blind"  # only evidence or a person can tell


class Fate(StrEnum):
    """What the other side says about a parcel when asked."""

    ARRIVED = "arrived"
    DID_NOT_ARRIVE = "did_not_arrive"  # only where the profile says that the answer is final
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Sealed bytes under the fixed name they travel by. `chunks` gives a fresh iterator at each call."""

    name: str  # a bare file name: no directory, at most 100 characters of letters, digits and ._-
    size: int
    sha256: str  # hex, of the bytes
    chunks: Callable[[], AsyncIterator[bytes]]
    key: str  # idempotency key, e.g. the message id
    message: str = ""  # what it says, e.g. "camt.055.001.09", for channels that name it beside the bytes; "": payments


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The other side's word that it has the parcel whole: which operation said so, and what it said."""

    evidence: str  # "sftp.rename", "http 201", …
    detail: str
    at: datetime
    waits: bool = False  # the bank executes nothing of it until a person has released it there


@dataclass(frozen=True, slots=True, kw_only=True)
class FateReport:
    """The answer to `fate`, with what it rests on."""

    fate: Fate
    evidence: str  # "sftp.listing", "http.head", …
    detail: str
    proved: bool = False  # DID_NOT_ARRIVE is no mere absence: it cannot arrive any more either, whatever the bank promises


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file the bank offers. `chunks` can be read once."""

    name: str
    size: int | None
    chunks: Callable[[], AsyncIterator[bytes]]


Keep = Callable[[Arrival], Awaitable[None]]
"""Stores the raw bytes durably and returns; raises if it could not, and then the bank is not told "got it"."""


class ChannelError(Exception):
    """Base of this room's errors. Texts carry no secrets and no account numbers."""


class NotSent(ChannelError):
    """Nobody's: nothing left us. Retry, bounded, with backoff."""


class InDoubt(ChannelError):
    """Proof's or a person's: the bank may have it. Never retried blindly."""


class Refused(ChannelError):
    """The operator's or the caller's: the bank's door said no. `code` and `text` are the door's own."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{text} [{code}]")


class Unreachable(ChannelError):
    """Fetching failed before or while talking to the bank; nothing was lost, the next fetch sees the same files."""


class Channel(Protocol):
    """One route to one bank, built once per connection from the `[channel]` table. Safe to use from one task at a time."""

    @property
    def kind(self) -> str:
        """The word in the profile: "sftp", "https", "folder", "ebics"."""

    @property
    def guarantee(self) -> Guarantee: ...

    async def send(self, parcel: Parcel) -> Receipt:
        """Carries the parcel. Raises `NotSent`, `InDoubt` or `Refused`; returns only on the other side's proof."""

    async def fate(self, parcel: Parcel) -> FateReport:
        """Asks the other side about a parcel sent before. An error while asking is `Fate.UNKNOWN`, never an answer."""

    async def receive(self, keep: Keep) -> int:
        """Fetches every file on offer, oldest first. For each: `keep` it, and only then tell the bank "got it".

        A file that cannot be fetched or kept does not stop the others; it is fetched again next time. Returns how many were
        kept. Raises `Unreachable`.
        """

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong with single files in the last `receive`, in words without their names; empty if all went well."""

    async def check(self) -> tuple[str, ...]:
        """Tries the connection without sending anything; each problem in words, empty if all is well."""

    async def close(self) -> None:
        """Ends kept connections. Harmless to call twice."""
