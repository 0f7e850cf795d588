"""Seals over the state changes: what is hashed of an event of a payment or of a delivery, and how a range of them is sealed.

No line of the log is written for each event. From time to time the next events, in the order in which they are stored, are
sealed together: one leaf is computed for each, a Merkle root over the leaves (`gateway.audit.merkle`), and one line of the log,
`events.sealed`, tells of that root. Two streams are sealed apart: the events of payments, and those of deliveries. Events of a
stream are numbered from 1, in the order in which they were sealed.

A leaf is SHA-256 over the netstrings (`gateway.audit.chain`) of

    "bankgate-event-1", stream, the clear texts in the order of `FIELDS`, digest of the hidden texts

An absent text is "". The hidden texts are the source, which may name a person, and the reason as it is stored, which may hold the
words of a bank. Their digest is HMAC-SHA256 over their netstrings; its key, the event's salt, is SHA-256 of the seal's salt (32
random bytes) with the event's number in decimal digits behind it. So one event can be shown to a stranger with or without its
hidden texts, and without them nobody can try words until one fits.

Seals of a stream hang together. The hash of a seal is SHA-256 over the netstrings of

    "bankgate-seal-1", stream, number of its first event, count, month, root, hash of the seal before

with 64 zeros before the first; so a line that tells of one seal binds all before it. `month` is that of the archive that the
events will go to ("2026-11"; "" of deliveries, which are not archived): a seal never holds events of two.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from gateway.audit.chain import netstrings, part_digest
from gateway.audit.lines import by_itself
from gateway.audit.merkle import HASH_BYTES, root_of
from gateway.audit.record import AuditRecord

EVENT_FORM: Final = "bankgate-event-1"
SEAL_FORM: Final = "bankgate-seal-1"
SEALED: Final = "events.sealed"
SEAL: Final = "event_seal"
NO_SEAL_BEFORE: Final = bytes(HASH_BYTES)
SEAL_SALT_BYTES: Final = 32


class Stream(StrEnum):
    """What events are of."""

    PAYMENTS = "payment_events"
    DELIVERIES = "delivery_events"


FIELDS: Final = {
    Stream.PAYMENTS: ("payment_id", "moment", "state", "previous_state", "message_id", "reason_code"),
    Stream.DELIVERIES: (
        *("delivery_id", "moment", "state", "previous_state", "number_in_delivery", "event", "attempt", "reason_code"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event as it is hashed. `cursor`: its place in its stream, as the store has it; `texts`: those of `FIELDS`, of which the
    first is what it is of; `reason`: as it is stored."""

    cursor: str
    month: str
    occurred_at: datetime
    texts: tuple[str, ...]
    source: str
    reason: str

    @property
    def object_id(self) -> str:
        """The payment or the delivery."""
        return self.texts[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeal:
    """A sealed range of events. `leaves`: 32 bytes each; `last_cursor`: the place of the last one."""

    stream: str
    first_number: int
    event_count: int
    month: str
    root: bytes
    previous_hash: bytes
    hash: bytes
    salt: bytes
    last_cursor: str
    sealed_at: datetime
    leaves: bytes

    @property
    def last_number(self) -> int:
        """Of its last event."""
        return self.first_number + self.event_count - 1

    def leaf_data(self) -> list[bytes]:
        """Its leaves, one by one."""
        return [self.leaves[at : at + HASH_BYTES] for at in range(0, len(self.leaves), HASH_BYTES)]


@lru_cache(maxsize=4096)
def reason_code(reason: str) -> str:
    """The code of a stored reason: the whole of it, or the first of a JSON array; "" of what is neither."""
    if not reason.startswith("["):
        return reason
    try:
        return str(json.loads(reason)[0])
    except (ValueError, IndexError, RecursionError):
        return ""


def event_salt(seal_salt: bytes, number: int) -> bytes:
    """The salt of the event of that number."""
    return hashlib.sha256(seal_salt + b"%d" % number).digest()


def hidden_digest(event: LoggedEvent, salt: bytes) -> bytes:
    """The digest of the hidden texts."""
    return part_digest(salt, event.source, event.reason)


def leaf_of(stream: str, texts: Sequence[str], digest: bytes) -> bytes:
    """The leaf of an event, by its clear texts and the digest of its hidden ones."""
    return hashlib.sha256(netstrings(EVENT_FORM, stream, *texts, digest.hex())).digest()


def leaf_at(stream: str, event: LoggedEvent, seal_salt: bytes, number: int) -> bytes:
    """The leaf that an event has as that of this number."""
    return leaf_of(stream, event.texts, hidden_digest(event, event_salt(seal_salt, number)))


def seal_hash(seal: EventSeal) -> bytes:
    """The hash that a seal ought to have, by its other fields."""
    numbers = (str(seal.first_number), str(seal.event_count))
    return hashlib.sha256(
        netstrings(SEAL_FORM, seal.stream, *numbers, seal.month, seal.root.hex(), seal.previous_hash.hex())
    ).digest()


def sealed(stream: str, last: EventSeal | None, events: Sequence[LoggedEvent], *, salt: bytes, now: datetime) -> EventSeal:
    """The seal over these events, which follow `last` and are all of one month."""
    first = last.last_number + 1 if last else 1
    leaves = [leaf_at(stream, event, salt, first + place) for place, event in enumerate(events)]
    bare = EventSeal(
        stream=stream,
        first_number=first,
        event_count=len(events),
        month=events[0].month,
        root=root_of(leaves),
        previous_hash=last.hash if last else NO_SEAL_BEFORE,
        hash=b"",
        salt=salt,
        last_cursor=events[-1].cursor,
        sealed_at=now,
        leaves=b"".join(leaves),
    )
    return replace(bare, hash=seal_hash(bare))


def seal_name(stream: str, first_number: int) -> str:
    """By which the line of a seal names it."""
    return f"{stream}:{first_number}"


def seal_line(seal: EventSeal) -> AuditRecord:
    """The line that tells of a seal."""
    return by_itself(
        SEALED,
        SEAL,
        seal_name(seal.stream, seal.first_number),
        count=seal.event_count,
        month=seal.month,
        root=seal.root.hex(),
        hash=seal.hash.hex(),
    )


def seal_told(object_id: str | None, detail: str | None) -> tuple[str, str] | None:
    """Name and hash of the seal that a line tells of; None where it cannot be read."""
    try:
        found: Any = json.loads(detail or "")
        return (object_id, found["hash"]) if object_id and isinstance(found["hash"], str) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
