"""A person as the rest of the gateway sees one, and what a person's decision is signed off with."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"  # sees
    SUBMITTER = "submitter"  # enters payments
    APPROVER = "approver"  # approves what others entered
    OPERATOR = "operator"  # deliveries, discrepancies, connections
    SECURITY_OFFICER = "security_officer"  # people, lists, policies, keys
    AUDITOR = "auditor"  # reads everything, also the audit log; changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account. `groups` are those that approval chains name; `connections` as for a caller."""

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    connections: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorProof:
    """That a second factor was given, fresh, for one purpose. Kept beside the decision it was given for."""

    kind: str  # "totp", "passkey", "recovery_code"
    factor_id: str  # which of the person's factors
    at: datetime
    bound_to: str  # hex: SHA-256 of what it was given for; a passkey signed it, a code was used up for it
    evidence: str = ""  # JSON of the assertion for a passkey, so that others can check it; "" for codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who does something: the caller that carries it, the signed-in person (None: the caller itself), and from where."""

    caller: str
    person: Person | None = None
    address: str = ""
    factor: FactorProof | None = None

    @property
    def name(self) -> str:
        """As histories show it."""
        return f"person: {self.person.name}" if self.person else f"caller: {self.caller}"
