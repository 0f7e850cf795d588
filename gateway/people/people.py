"""People: who they are, how they sign in, what proves a decision of theirs. All use cases over one store."""

from gateway.errors import NotFound
from gateway.people.desk import SignedIn
from gateway.people.officers import Officers
from gateway.people.records import Account, Factor, Session
from gateway.people.sign_in import SigningIn


class People(SigningIn, Officers):
    """Every use case about people. What concerns a signed-in person takes their session as `session_of` gave it for this very
    call."""

    async def account(self, name: str) -> Account | None:
        """The account of that name."""
        return await self._store.account(name)

    async def own_factors(self, signed_in: SignedIn) -> list[Factor]:
        """The person's factors, used recovery codes too."""
        return await self._store.factors_of(signed_in.account.name)

    async def own_sessions(self, signed_in: SignedIn) -> list[Session]:
        """The person's sessions, the newest first; those that time has ended are left out."""
        return await self._live_sessions(signed_in.account.name)

    async def revoke_session(self, signed_in: SignedIn, session_id: str) -> None:
        """Ends one of the person's own sessions. Raises `NotFound`."""
        name = signed_in.account.name
        line = self._record("session.ended", name, signed_in, session=session_id)
        if not await self._store.end_sessions(name, session_id, [line]):
            raise NotFound("there is no such session of yours")
