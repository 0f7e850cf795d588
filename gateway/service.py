"""The gateway as whoever asks sees it: the gRPC services and the commands. Knows no wire format, opens no private key."""

from collections.abc import Callable

from gateway.config import Configuration
from gateway.payment import new_payment_id
from gateway.people.oidc import IdTokens
from gateway.people.people import People
from gateway.store.store import Clock, Store
from gateway.telemetry import Metrics
from gateway.use_cases.approvals import PeopleProver
from gateway.use_cases.auditing import Auditing
from gateway.use_cases.group_approvals import GroupApprovals
from gateway.use_cases.groups import Groups
from gateway.use_cases.operations import Operations
from gateway.use_cases.payments import Submitted
from gateway.use_cases.plans import Plans
from gateway.use_cases.recalls import Recalls
from gateway.use_cases.screening import ScreeningDecisions
from gateway.use_cases.statements import Statements

__all__ = ["Gateway", "Submitted"]


class Gateway(Recalls, Plans, Statements, Operations, Groups, GroupApprovals, ScreeningDecisions, Auditing):
    """Every use case over one store and one configuration.

    Every method takes the caller first and refuses what the caller may not do (`Forbidden`) before it looks at anything.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        clock: Clock,
        metrics: Metrics,
        new_id: Callable[[], str] = new_payment_id,
        id_tokens: IdTokens | None = None,
    ) -> None:
        """`id_tokens`: checks what the identity provider of [people.oidc] signed."""
        super().__init__(configuration, store, clock=clock, metrics=metrics, new_id=new_id)
        self.people = People(
            configuration.people,
            store,
            directory=configuration.directory,
            clock=clock,
            metrics=metrics,
            id_tokens=id_tokens,
        )
        self.prover = PeopleProver(self.people)
