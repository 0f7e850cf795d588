"""A checkpoint: how far the log had come at a moment, in one small signed text that can be kept elsewhere."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.audit.chain import moment_text

FORM: Final = "bankgate-checkpoint-1"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a checkpoint's content says: the log's name, how many lines, the root over them, and the hash of the last."""

    log: str
    size: int
    root: str
    head: str


def content_of(*, log: bytes, size: int, root: bytes, head: bytes, made_at: datetime) -> str:
    """The text that is signed: one line of JSON, keys in this order, no blanks, no line break at its end."""
    told = {
        "form": FORM,
        "log": log.hex(),
        "size": size,
        "root": root.hex(),
        "head": head.hex(),
        "made_at": moment_text(made_at),
    }
    return json.dumps(told, separators=(",", ":"))


def claim_of(content: str) -> Claim:
    """Raises ValueError for a text that is no checkpoint's."""
    try:
        found = json.loads(content)
        if found["form"] != FORM:
            raise ValueError(f"its form is not {FORM}")
        claim = Claim(log=found["log"], size=found["size"], root=found["root"], head=found["head"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"is not a checkpoint: {error}") from None
    if (
        type(claim.size) is not int
        or claim.size < 1
        or not all(isinstance(one, str) for one in (claim.log, claim.root, claim.head))
    ):
        raise ValueError("is not a checkpoint: log, size, root and head are needed")
    return claim
