"""The gateway as whoever asks sees it: the gRPC services and the commands. Knows no wire format, opens no private key."""

from gateway.use_cases.operations import Operations
from gateway.use_cases.payments import Submitted
from gateway.use_cases.plans import Plans
from gateway.use_cases.recalls import Recalls
from gateway.use_cases.statements import Statements

__all__ = ["Gateway", "Submitted"]


class Gateway(Recalls, Plans, Statements, Operations):
    """Every use case over one store and one configuration.

    Every method takes the caller first and refuses what the caller may not do (`Forbidden`) before it looks at anything.
    """
