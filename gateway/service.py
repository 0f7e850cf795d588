"""The gateway as whoever asks sees it: the gRPC services and the commands. Knows no wire format, opens no private key."""

from gateway.use_cases.approvals import Approvals
from gateway.use_cases.auditing import Auditing
from gateway.use_cases.operations import Operations
from gateway.use_cases.payments import Payments, Submitted
from gateway.use_cases.statements import Statements

__all__ = ["Gateway", "Submitted"]


class Gateway(Payments, Statements, Operations, Approvals, Auditing):
    """Every use case over one store and one configuration.

    Every method takes the caller first and refuses what the caller may not do (`Forbidden`) before it looks at anything.
    """
