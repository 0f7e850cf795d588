"""Where a log begins whose first lines were taken out: a checkpoint over exactly those lines stands in their place.

A checkpoint tells the name of the log, how many lines it covers, the root over them and the hash of the last; its frontier is all
that the roots of later checkpoints are computed from. So the lines after it are verified as if those before were there, and an
export of those, which was made before they went, joins on to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.audit.chain import AuditHead, AuditRow
from gateway.audit.checkpoint import Checkpoint, claim_of
from gateway.audit.lines import by_operator
from gateway.audit.merkle import Frontier
from gateway.audit.record import AuditRecord

PRUNED: Final = "audit.pruned"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnchor:
    """Lines 1 to `size` were taken out. `head`: the hash of line `size`; `export_sha256`: of the file that they were written to,
    64 hexadecimal digits."""

    size: int
    head: bytes
    export_sha256: str
    pruned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What is known of the lines before the first one that is there."""

    head: AuditHead
    log: str
    frontier: bytes


def beginning_of(checkpoint: Checkpoint) -> Beginning:
    """What follows after the lines of a checkpoint. Raises ValueError where it does not fit in itself."""
    claim = claim_of(checkpoint.content)
    try:
        root, head = Frontier(claim.size, checkpoint.frontier).root.hex(), bytes.fromhex(claim.head)
    except ValueError as error:
        raise ValueError(f"the checkpoint over {claim.size} lines: {error}") from None
    if root != claim.root or claim.size != checkpoint.size or len(head) != len(Frontier().root):
        raise ValueError(f"the checkpoint over {claim.size} lines has a frontier that is not of its root")
    return Beginning(head=AuditHead(number=claim.size, hash=head), log=claim.log, frontier=checkpoint.frontier)


def pruning_line(by: str, anchor: AuditAnchor, checkpoint: Checkpoint, seals: Mapping[str, str]) -> AuditRecord:
    """That lines were taken out. `seals`: of each stream of events the name and the hash of the last seal that they told of."""
    return by_operator(
        by,
        PRUNED,
        "audit_lines",
        f"1-{anchor.size}",
        through=anchor.size,
        head=anchor.head.hex(),
        export_sha256=anchor.export_sha256,
        root=claim_of(checkpoint.content).root,
        seals=dict(seals),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What a line tells of lines that were taken out."""

    number: int
    through: int
    head: str
    export_sha256: str
    seals: Mapping[str, str]


def prunings(rows: Sequence[AuditRow]) -> list[Pruning]:
    """What these lines tell. One that cannot be read tells of nothing that fits."""
    return [_pruning(row) for row in rows]


def _pruning(row: AuditRow) -> Pruning:
    try:
        found = json.loads(row.detail or "")
        seals = {str(name): str(hash_) for name, hash_ in found["seals"].items()}
        return Pruning(
            number=row.number,
            through=int(found["through"]),
            head=str(found["head"]),
            export_sha256=str(found["export_sha256"]),
            seals=seals,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Pruning(number=row.number, through=0, head="", export_sha256="", seals={})


def seals_of_prunings(rows: Sequence[AuditRow]) -> dict[str, tuple[str, int]]:
    """The seals that these lines hand on: name, hash, and the number of the line."""
    return {name: (hash_, one.number) for one in prunings(rows) for name, hash_ in one.seals.items()}
