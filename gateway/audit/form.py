"""A line as JSON, as it is exported, proved and listed; and back.

Keys are those of the canonical form; salts, digests and hashes are hexadecimal. A part that is erased, or masked for this reader,
has null for its texts and its salt; its digest stands there all the same, so that masked lines verify like whole ones.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from gateway.audit.chain import AuditRow, Part, moment_text
from gateway.audit.checkpoint import Checkpoint, claim_of

_BYTES: Final = (
    *("who_salt", "who_digest", "object_salt", "object_digest", "detail_salt", "detail_digest", "previous_hash", "hash"),
)
_TEXTS: Final = ("action", "object_kind", "caller", "outcome", "actor", "address", "factor", "object_id", "detail")
_PEOPLE: Final = ("person: ", "operator: ")
_OUR_OWN: Final = frozenset(
    {"process", "configuration", "rules", "policy", "screening_list", "review_setting", "keys", "key_journal"}
    | {"event_seal", "audit_lines"}
)
FIELDS: Final = (
    *("number", "moment", "action", "object_kind", "caller", "outcome", "actor", "address", "factor", "who_salt", "who_digest"),
    *("object_id", "object_salt", "object_digest", "detail", "detail_salt", "detail_digest", "previous_hash", "hash"),
)


def without(row: AuditRow, *parts: Part) -> AuditRow:
    """The line with these parts gone."""
    gone: dict[str, None] = {}
    if Part.WHO in parts:
        gone |= dict.fromkeys(("actor", "address", "factor", "who_salt"))
    if Part.OBJECT in parts:
        gone |= dict.fromkeys(("object_id", "object_salt"))
    if Part.DETAIL in parts:
        gone |= dict.fromkeys(("detail", "detail_salt"))
    return replace(row, **gone)  # type: ignore[arg-type]  # exactly the fields that may be None


def names_a_person(who: str) -> bool:
    """Of an actor of a line, or the source of an event."""
    return who.startswith(_PEOPLE)


def masked(row: AuditRow) -> AuditRow:
    """The line without what names or describes people: the actor where it is one, a person as the object, and the details (but
    for those about our own processes and files)."""
    parts = [] if row.object_kind in _OUR_OWN else [Part.DETAIL]
    if row.actor is not None and names_a_person(row.actor):
        parts.append(Part.WHO)
    if row.object_kind == "person":
        parts.append(Part.OBJECT)
    return without(row, *parts)


def as_json(row: AuditRow) -> dict[str, Any]:
    """The line as JSON values, in the order of `FIELDS`."""
    found: dict[str, Any] = {"number": row.number, "moment": moment_text(row.occurred_at)}
    for name in FIELDS[2:]:
        value = getattr(row, name)
        found[name] = value.hex() if isinstance(value, bytes) else value
    return found


def checkpoint_as_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as it stands in an export, before the lines."""
    signature = None if checkpoint.signature is None else checkpoint.signature.hex()
    told = {"checkpoint": checkpoint.content, "frontier": checkpoint.frontier.hex()}
    return told | {"public_key": checkpoint.public_key, "signature": signature}


def checkpoint_of_json(text: str) -> Checkpoint | None:
    """The checkpoint of a JSON text; None for a text that is none, and may be a line. Raises ValueError for a broken one."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or "checkpoint" not in found:
            return None
        claim = claim_of(found["checkpoint"])
        signature, key = found["signature"], found["public_key"]
        return Checkpoint(
            size=claim.size,
            made_at=datetime.fromisoformat(json.loads(found["checkpoint"])["made_at"]),
            content=found["checkpoint"],
            frontier=bytes.fromhex(found["frontier"]),
            public_key=None if key is None else str(key),
            signature=None if signature is None else bytes.fromhex(signature),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"is not a checkpoint of an export: {error}") from None


def of_json(text: str) -> AuditRow:
    """The line of a JSON text. Raises ValueError, which says what is wrong, for anything else."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or set(found) != set(FIELDS):
            raise ValueError(f"its keys must be {', '.join(FIELDS)}")
        if type(found["number"]) is not int or not 0 < found["number"] < 2**63:
            raise ValueError("number must be a number from 1 on")
        for name in _TEXTS + _BYTES:
            if found[name] is not None and not isinstance(found[name], str):
                raise ValueError(f"{name} must be a text")
        hexes = {name: None if found[name] is None else bytes.fromhex(found[name]) for name in _BYTES}
        at = datetime.fromisoformat(found.pop("moment"))
        row = AuditRow(**(found | hexes), occurred_at=at)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"is not a line of an export: {error}") from None
    needed = (*FIELDS[2:6], "who_digest", "object_digest", "detail_digest", "previous_hash", "hash")
    if at.tzinfo is None or any(getattr(row, name) is None for name in needed):
        raise ValueError("is not a line of an export: something is missing in it")
    return row
