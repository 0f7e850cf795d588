"""The chain: what a line of the audit log is hashed over, so that a stranger can recompute it.

Everything is built of netstrings (Bernstein 1997): the length in bytes as decimal digits, ":", the bytes, ",". Texts are UTF-8.

A line has three parts that can be erased, each a group of texts with 16 random bytes beside it, its salt:

- `who`: actor, address, factor
- `object`: object_id
- `detail`: detail

The digest of a part is HMAC-SHA256 with the salt as the key, over the netstrings of the part's texts in this order. The line
itself is hashed over digests of parts only, so the texts and the salt of a part can go and the line still fits; and without the
salt nobody can try names until one fits. The hash of a line is SHA-256 over the netstrings of

    "bankgate-audit-1", number, moment, action, object_kind, caller, outcome,
    digest of who, digest of object, digest of detail, hash of the line before

where the number is decimal, counted from 1; the moment is UTC as 2026-11-25T10:00:00.000000Z; and digests and hashes are 64
lower-case hexadecimal digits. Before line 1 stand 64 zeros. The hash of line 1, which salts make unlike that of any other log,
is the name of the log.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.audit.record import AuditRecord

FORM: Final = "bankgate-audit-1"
NOTHING_BEFORE: Final = bytes(32)
SALT_BYTES: Final = 16


class Part(StrEnum):
    """A group of texts that is erased together."""

    WHO = "who"
    OBJECT = "object"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line at its place. Texts and salt of an erased part are None; its digest stays."""

    number: int
    occurred_at: datetime
    action: str
    object_kind: str
    caller: str
    outcome: str
    actor: str | None
    address: str | None
    factor: str | None
    who_salt: bytes | None
    who_digest: bytes
    object_id: str | None
    object_salt: bytes | None
    object_digest: bytes
    detail: str | None
    detail_salt: bytes | None
    detail_digest: bytes
    previous_hash: bytes
    hash: bytes

    @property
    def erased(self) -> tuple[Part, ...]:
        """The parts that are gone."""
        salts = {Part.WHO: self.who_salt, Part.OBJECT: self.object_salt, Part.DETAIL: self.detail_salt}
        return tuple(part for part, salt in salts.items() if salt is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The last line of a log: its number and hash; 0 and zeros of an empty one."""

    number: int = 0
    hash: bytes = NOTHING_BEFORE


def netstrings(*texts: str) -> bytes:
    """See the module."""
    joined = "".join([f"{len(text)}:{text}," for text in texts])
    if joined.isascii():  # then characters are bytes
        return joined.encode()
    return b"".join([b"%d:%b," % (len(data), data) for data in [text.encode() for text in texts]])


def moment_text(moment: datetime) -> str:
    """An aware moment as it is hashed."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def part_digest(salt: bytes, *texts: str) -> bytes:
    """The digest of a part."""
    return hmac.digest(salt, netstrings(*texts), "sha256")


def line_hash(row: AuditRow) -> bytes:
    """The hash that a line ought to have, by its other fields."""
    digests = (row.who_digest, row.object_digest, row.detail_digest, row.previous_hash)
    clear = (FORM, str(row.number), moment_text(row.occurred_at), row.action, row.object_kind, row.caller, row.outcome)
    return hashlib.sha256(netstrings(*clear, *(digest.hex() for digest in digests))).digest()


def chained(
    head: AuditHead, records: Sequence[tuple[datetime, AuditRecord]], salts: Sequence[bytes]
) -> tuple[list[AuditRow], AuditHead]:
    """The lines that follow `head`, and the head after them. `salts`: three for each record, of `SALT_BYTES`, random."""
    rows = []
    for place, (moment, record) in enumerate(records):
        who, thing, detail = salts[3 * place : 3 * place + 3]
        bare = AuditRow(
            number=head.number + 1,
            occurred_at=moment,
            action=record.action,
            object_kind=record.object_kind,
            caller=record.caller,
            outcome=record.outcome,
            actor=record.actor,
            address=record.address,
            factor=record.factor,
            who_salt=who,
            who_digest=part_digest(who, record.actor, record.address, record.factor),
            object_id=record.object_id,
            object_salt=thing,
            object_digest=part_digest(thing, record.object_id),
            detail=record.detail,
            detail_salt=detail,
            detail_digest=part_digest(detail, record.detail),
            previous_hash=head.hash,
            hash=b"",
        )
        rows.append(replace(bare, hash=line_hash(bare)))
        head = AuditHead(number=bare.number, hash=rows[-1].hash)
    return rows, head


def parts_of(row: AuditRow) -> dict[Part, tuple[tuple[str | None, ...], bytes | None, bytes]]:
    """Of each part: its texts, its salt, its digest."""
    return {
        Part.WHO: ((row.actor, row.address, row.factor), row.who_salt, row.who_digest),
        Part.OBJECT: ((row.object_id,), row.object_salt, row.object_digest),
        Part.DETAIL: ((row.detail,), row.detail_salt, row.detail_digest),
    }


def fault_of(row: AuditRow) -> str | None:
    """What does not fit within one line, its place left aside; None where all does."""
    for part, (texts, salt, digest) in parts_of(row).items():
        given = [text for text in texts if text is not None]
        if salt is None:
            if given:
                return f"altered: {part} is half erased"
        elif len(given) < len(texts) or not hmac.compare_digest(part_digest(salt, *given), digest):
            return f"altered: {part} is not what was written"
    return None if hmac.compare_digest(line_hash(row), row.hash) else "altered: it is not what its hash was made of"
