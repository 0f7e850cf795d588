"""Lines of the audit log, made of what use cases know."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.audit.chain import AuditRow
from gateway.audit.record import AuditRecord
from gateway.callers import Caller

ITSELF = "bankgate"  # the actor where nobody asked
ERASED = "audit.erased"


def erasure(by: str, what: str, part: str, numbers: Iterable[int], reason: str) -> AuditRecord:
    """That a part of these lines was erased. `what`: of whom or what, without a name of a person."""
    return by_operator(by, ERASED, "audit", what, part=part, lines=ranges(numbers), reason=reason)


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as first and last of each run: [[3, 5], [9, 9]]."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def erased_by(row: AuditRow) -> Iterator[tuple[int, str]]:
    """The parts that a line of `erasure` tells of: number and part. Lines come before it. None, if it is not such a line."""
    try:
        told = json.loads(row.detail or "{}")
        runs = [(int(first), int(last)) for first, last in told.get("lines", ())]
        part = str(told.get("part"))
    except (ValueError, TypeError, AttributeError):
        return
    for first, last in runs:
        yield from ((number, part) for number in range(first, min(last, row.number - 1) + 1))


def by_caller(caller: Caller, action: str, kind: str, object_id: str, **detail: Any) -> AuditRecord:
    """What a caller did, or the person whom it carries. `detail`: JSON values, without account numbers."""
    return AuditRecord(
        action=action,
        actor=caller.actor,
        object_kind=kind,
        object_id=object_id,
        caller=caller.name,
        address=caller.address,
        factor=caller.factor,
        detail=detail_text(detail),
    )


def by_itself(action: str, kind: str, object_id: str, *, address: str = "", **detail: Any) -> AuditRecord:
    """What the gateway did of its own accord, or was told at its own machine."""
    return AuditRecord(
        action=action, actor=ITSELF, object_kind=kind, object_id=object_id, address=address, detail=detail_text(detail)
    )


def by_operator(name: str, action: str, kind: str, object_id: str, **detail: Any) -> AuditRecord:
    """What somebody did with a command at a machine of the gateway; `name` is what the machine knows him by."""
    return AuditRecord(
        action=action, actor=f"operator: {name}", object_kind=kind, object_id=object_id, detail=detail_text(detail)
    )


def detail_text(detail: dict[str, Any]) -> str:
    """As JSON, short and in one order."""
    return json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
