"""The gateway's own errors: all of them the caller's to act on (design, section 8)."""

from dataclasses import dataclass

from formats.errors import Violation


class GatewayError(Exception):
    """Base of this room's errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderViolation:
    """A violation with the place of the payment in the call."""

    index: int
    payment_reference: str
    violation: Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConflict:
    """A reference used before with other content; `fields` are paths in the words of the request."""

    index: int
    payment_reference: str
    payment_id: str
    fields: tuple[str, ...]


class Invalid(GatewayError):
    """Rules are broken; nothing was stored. Carries every violation of every payment of the call."""

    def __init__(self, violations: tuple[OrderViolation, ...]) -> None:
        self.violations = violations
        super().__init__(f"{len(violations)} rule violations; nothing was stored")


class Conflict(GatewayError):
    """References were used before with other content; nothing was stored."""

    def __init__(self, conflicts: tuple[OrderConflict, ...]) -> None:
        self.conflicts = conflicts
        super().__init__(f"{len(conflicts)} payment references are known with other content; nothing was stored")


class Forbidden(GatewayError):
    """This caller may not do this, or not there. `missing`: action, connection, account, currency or amount."""

    def __init__(self, text: str, missing: str = "action") -> None:
        self.missing = missing
        super().__init__(text)


class NotFound(GatewayError):
    """There is no such thing, or it is not this caller's."""


class TooLate(GatewayError):
    """The state of the thing does not allow it any more. `state` is the state it is in."""

    def __init__(self, text: str, state: str) -> None:
        self.state = state
        super().__init__(text)


class TooMany(GatewayError):
    """The call is larger than its limit."""


class LimitReached(GatewayError):
    """More of a caller than is taken of it just now; nothing of the call was done. `limit` names the setting, `seconds` is when
    to come again (None: the same call is too large at any time), `caller` whose limit it is."""

    def __init__(self, text: str, limit: str, seconds: float | None, caller: str = "") -> None:
        self.limit = limit
        self.seconds = seconds
        self.caller = caller
        super().__init__(text)


class BadRequest(GatewayError):
    """One argument of a call that is not about a payment's fields is wrong. `field` names it."""

    def __init__(self, field: str, text: str) -> None:
        self.field = field
        super().__init__(text)


class NotSignedIn(GatewayError):
    """There is no such session for this caller: it ended, was revoked, or never was. The person signs in."""


class SignInRefused(GatewayError):
    """One text for all of it: no such name, wrong password, code or key, or too many tries. The person waits and tries again."""


class FactorNeeded(GatewayError):
    """The session is good, but this needs a second factor given just now."""


class FactorRefused(GatewayError):
    """The second factor was not right, was used before, or belongs to something else."""


class PeopleNotSetUp(GatewayError):
    """The operator's: people cannot sign in as this gateway is configured. Says which setting is missing."""
