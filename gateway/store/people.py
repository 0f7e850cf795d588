"""People in the store: accounts, second factors, sessions, challenges, tries, emergencies (`gateway.people.records`).

Every method that writes is one transaction, with the audit records that belong to it. What counts once (a code, a challenge, a
code of recovery) is used up by compare-and-set in the transaction of what it is used for: of two that try, one meets `Stale`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gateway.audit.record import AuditRecord
from gateway.people.records import Account, Challenge, Factor, Opening, Pausing, Proposal, Session, Tries
from gateway.store.records import NewDiscrepancy

PauseAfter = Callable[[int, Pausing], timedelta]
"""How long after so many tries (`gateway.people.pauses`). Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """An account as it is to be, and what goes with it. `was`: the version it was decided on; None: there is none of this name.

    `end_sessions`: all of the person but `keep_session`. `drop_factors`: all of them. `proposal_id`: one that this carries out.
    """

    account: Account
    was: int | None
    end_sessions: bool = False
    keep_session: str | None = None
    drop_factors: bool = False
    proposal_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorUse:
    """A factor is used: its counter goes from `counter_was` to `counter`, and the challenge that it answers is used up.

    `signs_off`: the session that is fresh now, and no longer only for enrolling; `proof`: how it names the factor.
    """

    name: str
    factor_id: str
    counter_was: int
    counter: int
    challenge_id: str | None = None
    signs_off: str | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenUse:
    """An ID token of an identity provider is used, once, and with it the challenge that it answers (None: used up before).

    `token_sha256`: of what makes it one of a kind, kept until `expires_at`, after which its own end refuses it. `signs_off` and
    `proof`: as of `FactorUse`.
    """

    name: str
    token_sha256: str
    expires_at: datetime
    challenge_id: str | None = None
    signs_off: str | None = None
    proof: str = ""


def emergency_key(opening_id: str) -> str:
    """How the keys of discrepancies about an opening begin."""
    return f"emergency:{opening_id}"


class PeopleStore(Protocol):
    """The part of `Store` about people."""

    async def account(self, name: str) -> Account | None: ...

    async def accounts(self) -> list[Account]:
        """All of them, by name."""

    async def change_account(self, change: AccountChange, audit: Sequence[AuditRecord] = ()) -> None:
        """Raises `Stale` if the account is of another version, or the proposal is gone."""

    async def factors_of(self, name: str) -> list[Factor]:
        """The oldest first; used recovery codes too."""

    async def add_factor(
        self, factor: Factor, *, challenge_id: str | None = None, signs_off: str | None = None, audit: Sequence[AuditRecord] = ()
    ) -> None:
        """Uses the challenge up. An unconfirmed factor of the same kind gives way; a confirmed one ends the person's enrolment
        and, where `signs_off` names a session, makes that one a full one. Raises `Stale`: the challenge is gone, or the
        credential is somebody's."""

    async def use_factor(self, use: FactorUse, audit: Sequence[AuditRecord] = ()) -> None:
        """Also confirms it, which ends the person's enrolment. Raises `Stale`: used meanwhile, or the challenge is gone."""

    async def use_id_token(self, use: IdTokenUse, audit: Sequence[AuditRecord] = ()) -> None:
        """Raises `Stale`: it was used before, or the challenge or the session is gone. Those that have expired go."""

    async def drop_factor(self, name: str, factor_id: str, audit: Sequence[AuditRecord] = ()) -> bool: ...

    async def replace_codes(self, name: str, codes: Sequence[Factor], audit: Sequence[AuditRecord] = ()) -> None:
        """Recovery codes instead of all the person had."""

    async def open_session(
        self,
        session: Session,
        *,
        most: int,
        use: FactorUse | None = None,
        challenge_id: str | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> None:
        """Uses the factor and the challenge up (`Stale`). The person keeps the newest `most` sessions."""

    async def session(self, token_sha256: str) -> tuple[Session, Account] | None:
        """The session of that token, and whose it is as they are now."""

    async def seen(self, session_id: str, at: datetime) -> None:
        """The session was used."""

    async def sessions_of(self, name: str) -> list[Session]:
        """The newest first."""

    async def end_sessions(self, name: str, session_id: str | None = None, audit: Sequence[AuditRecord] = ()) -> int:
        """One of the person's sessions (None: all); how many there were. No audit record where there was none."""

    async def put_challenge(self, challenge: Challenge) -> None:
        """Keeps it; those that have expired go."""

    async def challenge(self, challenge_id: str) -> Challenge | None: ...

    async def take_challenge(self, challenge_id: str) -> Challenge | None:
        """Uses it up; None: it is gone."""

    async def count_try(self, keys: Mapping[str, Pausing], pause: PauseAfter, forget_before: datetime) -> datetime | None:
        """Counts a try under each key, unless one of them is paused: then nothing, and until when. Old ones are forgotten."""

    async def take_back_try(self, right: Sequence[str], other: Sequence[str]) -> int:
        """The try was right: the keys in `right` begin anew, those in `other` lose one. How many tries the first key had."""

    async def tries(self, keys: Sequence[str]) -> dict[str, Tries]: ...

    async def open_sealed(self, opening: Opening, audit: Sequence[AuditRecord] = (), told: Sequence[NewDiscrepancy] = ()) -> None:
        """A sealed account is open for a while."""

    async def openings(self, name: str | None = None) -> list[Opening]:
        """The newest first, of that person or of all."""

    async def review_opening(self, opening_id: str, by: str, review: str, audit: Sequence[AuditRecord] = ()) -> None:
        """Also resolves what was told of this opening (keys that begin with `emergency_key`). Raises `Stale`: there is none that
        waits for it."""

    async def propose(self, proposal: Proposal, audit: Sequence[AuditRecord] = ()) -> None:
        """Keeps it; those that have expired go."""

    async def proposals(self) -> list[Proposal]:
        """The oldest first."""

    async def drop_proposal(self, proposal_id: str, audit: Sequence[AuditRecord] = ()) -> bool: ...
