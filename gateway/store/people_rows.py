"""Rows about people and what they mean, the same for both stores but for moments and flags (`gateway.store.codec`)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from gateway.people.person import Role
from gateway.people.records import Account, Challenge, Factor, FactorKind, Opening, Proposal, Session, Tries

Moment = Callable[[Any], datetime | None]
Row = Sequence[Any]


def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


ACCOUNT: Final = _names(Account)
FACTOR: Final = _names(Factor)
SESSION: Final = _names(Session)
CHALLENGE: Final = _names(Challenge)
OPENING: Final = _names(Opening)
PROPOSAL: Final = _names(Proposal)

FLAGS: Final = frozenset({"disabled", "sealed", "confirmed", "enrolling"})
_SETS: Final = frozenset({"roles", "groups", "connections"})


def values(record: Any, columns: Sequence[str], moment: Callable[[datetime], Any]) -> list[Any]:
    """A record's columns as they are stored."""
    return [_value(column, getattr(record, column), moment) for column in columns]


def _value(column: str, value: Any, moment: Callable[[datetime], Any]) -> Any:
    if column in _SETS:
        return json.dumps(sorted(str(item) for item in value), ensure_ascii=False)
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, FactorKind) else value


def account_of(row: Row, moment: Moment) -> Account:
    """The account of a row in the order of `ACCOUNT`."""
    found = _read(row, ACCOUNT, moment)
    found["roles"] = frozenset(Role(word) for word in json.loads(found["roles"]))
    found["groups"] = frozenset(json.loads(found["groups"]))
    found["connections"] = tuple(json.loads(found["connections"]))
    return Account(**found)


def factor_of(row: Row, moment: Moment) -> Factor:
    """Likewise."""
    found = _read(row, FACTOR, moment)
    return Factor(**(found | {"kind": FactorKind(found["kind"])}))


def session_of(row: Row, moment: Moment) -> Session:
    """Likewise."""
    return Session(**_read(row, SESSION, moment))


def challenge_of(row: Row, moment: Moment) -> Challenge:
    """Likewise."""
    return Challenge(**_read(row, CHALLENGE, moment))


def opening_of(row: Row, moment: Moment) -> Opening:
    """Likewise."""
    return Opening(**_read(row, OPENING, moment))


def proposal_of(row: Row, moment: Moment) -> Proposal:
    """Likewise."""
    return Proposal(**_read(row, PROPOSAL, moment))


def tries_of(row: Row, moment: Moment) -> Tries:
    """Of (count, last_at, paused_until)."""
    last_at = moment(row[1])
    if last_at is None:
        raise ValueError("a try without its moment")
    return Tries(count=row[0], last_at=last_at, paused_until=moment(row[2]))


def _read(row: Row, columns: Sequence[str], moment: Moment) -> dict[str, Any]:
    found = dict(zip(columns, row, strict=True))
    for column, value in found.items():
        if column.endswith(("_at", "_until")):
            found[column] = moment(value)
        elif column in FLAGS:
            found[column] = bool(value)
    return found
