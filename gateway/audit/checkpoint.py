"""A checkpoint: how far the log had come at a moment, in one small signed text that can be kept elsewhere."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`content`: the JSON that is signed, byte for byte (docs/audit.md). `frontier`: the roots of the full subtrees that the
    first `size` lines consist of, largest first (`gateway.audit.merkle`), from which the next root is computed.
    `public_key`: PEM, and `signature`; both None of one that is not signed."""

    size: int
    made_at: datetime
    content: str
    frontier: bytes
    public_key: str | None = None
    signature: bytes | None = None
