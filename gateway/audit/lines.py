"""Lines of the audit log, made of what use cases know."""

import json
from typing import Any

from gateway.audit.record import AuditRecord

ITSELF = "bankgate"  # the actor where nobody asked


def by_caller(caller: str, address: str, action: str, kind: str, object_id: str, **detail: Any) -> AuditRecord:
    """What a caller did. `detail`: JSON values, without account numbers."""
    return AuditRecord(
        action=action,
        actor=f"caller: {caller}",
        object_kind=kind,
        object_id=object_id,
        caller=caller,
        address=address,
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
