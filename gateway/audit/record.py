"""One line of the audit log, before it gets its place in the chain."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """What happened. No secret and no account number in clear stands in any field."""

    action: str  # "approval.decided", "policy.changed", "access.refused", … (docs/audit.md lists them)
    actor: str  # "person: li.wei", "caller: erp", "bankgate"
    object_kind: str  # "payment", "policy", "person", "connection", …
    object_id: str
    caller: str = ""  # that carried it, where a person acted
    address: str = ""  # where from
    factor: str = ""  # "passkey 3f…", "totp 1", "" for none
    outcome: str = "done"  # "done", "refused"; of key commands also "failed", "unknown"
    detail: str = "{}"  # JSON: what else belongs to it; a digest where the thing itself is personal or large
