"""What each role may do: one table, and what follows from it. Pure.

The words are those of a caller's actions (`gateway.config.Action`) where there is one for it. A person may do what any of their
roles may, on their connections; the caller that carries the person has to be allowed it as well, and that is asked at the door.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from gateway.people.person import Person, Role

EVERY_CONNECTION: Final = "*"


class Permission(StrEnum):
    """What a person can do here, all of it."""

    READ = "read"  # payments and their events
    STATEMENTS = "statements"
    SUBMIT = "submit"
    CANCEL = "cancel"
    APPROVE = "approve"  # decide about payments that wait for people
    OPERATE = "operate"  # deliveries, discrepancies, connections
    REPLAY = "replay"
    AUDIT = "audit"  # read the audit log
    SEE_PEOPLE = "see_people"  # who has an account, which roles and factors
    PEOPLE = "people"  # change that
    CONTROL = "control"  # lists, policies, keys


_P = Permission
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: frozenset({_P.READ, _P.STATEMENTS}),
    Role.SUBMITTER: frozenset({_P.READ, _P.STATEMENTS, _P.SUBMIT, _P.CANCEL}),
    Role.APPROVER: frozenset({_P.READ, _P.STATEMENTS, _P.APPROVE}),
    Role.OPERATOR: frozenset({_P.READ, _P.STATEMENTS, _P.OPERATE, _P.REPLAY}),
    Role.SECURITY_OFFICER: frozenset({_P.AUDIT, _P.SEE_PEOPLE, _P.PEOPLE, _P.CONTROL}),
    Role.AUDITOR: frozenset({_P.READ, _P.STATEMENTS, _P.AUDIT, _P.SEE_PEOPLE}),
}
"""What is not in a row is refused."""

_MOVES_MONEY: Final = frozenset({Role.SUBMITTER, Role.APPROVER, Role.OPERATOR})
CHANGES_NOTHING: Final = frozenset({_P.READ, _P.STATEMENTS, _P.AUDIT, _P.SEE_PEOPLE})


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """What somebody with these roles may do."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def may(person: Person, permission: Permission | str, connection_id: str | None = None) -> bool:
    """Whether a person may do this, and, if a connection is named, on that connection. An unknown word is never allowed."""
    if permission not in permissions_of(person.roles):
        return False
    return connection_id is None or EVERY_CONNECTION in person.connections or connection_id in person.connections


def clash(roles: frozenset[Role]) -> str:
    """Why one person must not have all of these roles (separation of duties); "" if they may.

    Who gives out roles could otherwise give themselves the payment, and who checks the books would check their own work.
    """
    moving = sorted(role.value for role in roles & _MOVES_MONEY)
    if Role.SECURITY_OFFICER in roles and moving:
        return f"a security officer gives out roles and so must not be {' or '.join(moving)} as well"
    if Role.AUDITOR in roles and (moving or Role.SECURITY_OFFICER in roles):
        others = sorted(role.value for role in roles - {Role.AUDITOR, Role.VIEWER})
        return f"an auditor changes nothing and so must not be {' or '.join(others)} as well"
    return ""
