"""What every use case about people starts from: settings, store, keys, and how things are counted and written down."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.audit.record import AuditRecord
from gateway.config import PeopleSettings
from gateway.errors import NotSignedIn, PeopleNotSetUp
from gateway.people import pauses
from gateway.people.oidc import IdTokens
from gateway.people.passkeys import RelyingParty
from gateway.people.passwords import Passwords
from gateway.people.permissions import Permission, may
from gateway.people.person import Acting, FactorProof, Person
from gateway.people.records import Account, Factor, FactorKind, Opening, Pausing, Session
from gateway.people.vault import Vault, key_of
from gateway.store.store import Clock, Store
from gateway.telemetry import Metrics

HASHES_AT_ONCE: Final = 2  # 64 MiB each
NOT_RIGHT: Final = (
    "not signed in: name, password or second factor is not right, or there were too many tries. Wait a while and try again"
    " / 登录失败：用户名、密码或第二因素不正确，或尝试次数过多，请稍后再试"
)
ENDED: Final = "this session has ended: sign in again / 会话已结束，请重新登录"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a call about people comes from: the caller that carries it, and the address of the person, as that caller says."""

    caller: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session, whose it is, and from where it is used just now."""

    session: Session
    account: Account
    source: Source
    opening: Opening | None = None  # of a sealed account

    @property
    def acting(self) -> Acting:
        """As other services take it. `factor`: what the session was last signed off with."""
        session, proof = self.session, None
        if session.fresh_at is not None:
            kind, _, factor_id = session.factor.partition(" ")
            proof = FactorProof(kind=kind, factor_id=factor_id, at=session.fresh_at, bound_to="")
        return Acting(caller=self.source.caller, person=self.account.person, address=self.source.address, factor=proof)


class PeopleDesk:
    """Base of the use cases."""

    def __init__(
        self,
        settings: PeopleSettings,
        store: Store,
        *,
        directory: Path,
        clock: Clock,
        metrics: Metrics,
        id_tokens: IdTokens | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        """`id_tokens`: needed where [people.oidc] is set. `passwords`: of other cost than the recommended one (tests)."""
        self._settings = settings
        self._store = store
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._id_tokens = id_tokens
        self._given_passwords = passwords
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    @cached_property
    def _vault(self) -> Vault:
        if self._settings.key is None:
            raise PeopleNotSetUp(
                "people cannot sign in here: [people] key is not set. Make one with `openssl rand -hex 32`, keep it outside the"
                ' database and its backups, and name it: key = "file:people.key"'
            )
        return Vault(key_of(self._settings.key, self._directory))

    def must_be_set_up(self) -> None:
        """Without the key of people nobody signs in, whatever they know. Raises `PeopleNotSetUp`, `KeyUnavailable`."""
        _ = self._vault

    @cached_property
    def _passwords(self) -> Passwords:
        return self._given_passwords or Passwords()

    @cached_property
    def _party(self) -> RelyingParty:
        domain, origins = self._settings.relying_party, self._settings.origins
        if domain is None or not origins:
            raise PeopleNotSetUp("passkeys cannot be used here: set [people] relying_party and origins")
        return RelyingParty(domain=domain, origins=origins, title=self._settings.title)

    # -- passwords and tries -------------------------------------------------------------------------------------------

    async def _fits(self, stored: str | None, password: str) -> bool:
        async with self._hashing:
            return await asyncio.to_thread(self._passwords.fits, stored, password)

    async def _hashed(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._passwords.hashed, password)

    async def _count_try(self, keys: dict[str, Pausing]) -> bool:
        """Counts a try before it is looked at. False: it is not to be looked at, there were too many."""
        paused = await self._store.count_try(keys, pauses.pause_after, self._clock() - pauses.FORGOTTEN_AFTER)
        return paused is None

    # -- what is written down ------------------------------------------------------------------------------------------

    def _record(
        self, action: str, name: str, by: SignedIn | Source | str, *, factor: str = "", outcome: str = "done", **detail: Any
    ) -> AuditRecord:
        """A line about a person's account. `by`: the one who did it; a text for one at the machine."""
        actor, source = str(by), Source(caller="")
        if isinstance(by, Source):  # who was refused is known by nothing but a name that anybody can type
            actor, source = f"person: {name}" if outcome == "done" else "nobody known", by
        if isinstance(by, SignedIn):
            actor, source, factor = f"person: {by.account.name}", by.source, factor or by.session.factor
        return AuditRecord(
            action=action,
            actor=actor,
            object_kind="person",
            object_id=name,
            caller=source.caller,
            address=source.address,
            factor=factor,
            outcome=outcome,
            detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
        )

    # -- what accounts may be used for ---------------------------------------------------------------------------------

    async def _usable(self, account: Account | None) -> tuple[bool, Opening | None]:
        """Whether it may be used now; and of a sealed one, the opening by which."""
        if account is None or account.disabled:
            return False, None
        if not account.sealed:
            return True, None
        now = self._clock()
        open_now = [one for one in await self._store.openings(account.name) if one.opened_at <= now < one.open_until]
        return bool(open_now), open_now[0] if open_now else None

    async def session_of(self, token: str, source: Source, *, used: bool = True) -> SignedIn:
        """The session of a token, as it stands now: every call reads it, so that what was taken away is gone at once. `used`: a
        call, which counts as a use of an emergency's account; not a look at a stream that is open.

        Raises `NotSignedIn`. A token that another caller brings was stolen: its session ends.
        """
        now = self._clock()
        found = await self._store.session(sha256(token.encode()).hexdigest())
        if found is None:
            raise NotSignedIn(ENDED)
        session, account = found
        if session.caller != source.caller:
            line = self._record(
                "session.stolen", account.name, source, outcome="refused", session=session.session_id, of=session.caller
            )
            await self._store.end_sessions(account.name, session.session_id, [line])
            log.error("people.session-of-another-caller", session=session.session_id, caller=source.caller)
            raise NotSignedIn(ENDED)
        usable, opening = await self._usable(account)
        if not usable or now >= self._ends(session):
            raise NotSignedIn(ENDED)
        if now - session.seen_at >= timedelta(seconds=self._settings.idle_seconds / 20):
            await self._store.seen(session.session_id, now)
        if opening is not None and used:
            self._metrics.people_emergency_uses_total.inc()
        return SignedIn(session=session, account=account, source=source, opening=opening)

    async def _live_sessions(self, name: str) -> list[Session]:
        """The person's sessions, the newest first; those that time has ended are left out."""
        now = self._clock()
        return [one for one in await self._store.sessions_of(name) if now < self._ends(one)]

    def _ends(self, session: Session) -> datetime:
        """When it ends unless it is used before."""
        return min(session.seen_at + timedelta(seconds=self._settings.idle_seconds), session.expires_at)

    def is_fresh(self, signed_in: SignedIn) -> bool:
        """Whether a second factor was given in this session just now."""
        at = signed_in.session.fresh_at
        return at is not None and self._clock() - at < timedelta(seconds=self._settings.fresh_seconds)


def confirmed(factors: list[Factor]) -> list[Factor]:
    """Those that a person can sign in with; used recovery codes are none."""
    return [one for one in factors if one.confirmed and not (one.kind is FactorKind.RECOVERY_CODE and one.counter)]


def allowed(person: Person, permission: Permission) -> bool:
    """Whether the person may do this, on whatever connection."""
    return may(person, permission)


def key_for(kind: str, value: str) -> str:
    """Under which tries are counted: a digest, since strangers choose the value."""
    return sha256(f"{kind}\x00{value}".encode()).hexdigest()


def when(moment: datetime | None) -> str | None:
    """A moment in an answer's JSON."""
    return None if moment is None else moment.isoformat()
