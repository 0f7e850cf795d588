"""Signing in: a password and then a second factor, a code to begin with, or an identity provider; and signing out.

Whoever is refused learns nothing: an unknown name, a wrong password, a disabled or sealed account and a pause give the same
answer, and a name that is not there costs the same work. Tries are counted before they are looked at.
"""

import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NoReturn

from gateway.errors import BadRequest, FactorRefused, SignInRefused
from gateway.people import oidc, passkeys, passwords, pauses
from gateway.people.desk import NOT_RIGHT, PeopleDesk, SignedIn, Source, confirmed, key_for, log
from gateway.people.factors import Asked, Factors, SecondFactor, purpose_of_session
from gateway.people.records import Account, Challenge, Opening, Pausing, Session
from gateway.people.vault import digest_of, new_token
from gateway.store.people import AccountChange, FactorUse, IdTokenUse
from gateway.store.store import Stale

_SIGN_IN: Final = "sign-in"
_NONCE: Final = "nonce"
_NOT_LONGER_THAN: Final = 1024  # characters of a name or a password that is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The password was right. `kinds`: the second factors that finish it; `options`: for navigator.credentials.get(), or ""."""

    sign_in_id: str
    kinds: tuple[str, ...]
    options: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A new session. The token is told once. `tries`: wrong ones under the name since the last right one, for the person to
    know."""

    token: str
    session: Session
    account: Account
    tries: int = 0


class SigningIn(Factors, PeopleDesk):
    """See the module."""

    async def sign_in(self, name: str, password: str, source: Source) -> Begun:
        """The first step. Raises `SignInRefused`."""
        name, password = name.strip().casefold()[:_NOT_LONGER_THAN], password[:_NOT_LONGER_THAN]
        self.must_be_set_up()
        account_key, address_key = key_for("account", name), key_for("address", source.address)
        await self._not_paused({account_key: pauses.ACCOUNT, address_key: pauses.ADDRESS})
        account = await self._store.account(name)
        usable, _ = await self._usable(account)
        stored = account.password if account is not None and usable else None
        right = await self._fits(stored, password)
        factors = confirmed(await self._store.factors_of(name)) if right else []
        if account is None or not right or not factors:
            await self._refused(account, source, "password")
        tries = await self._store.take_back_try([account_key], [address_key])
        if stored is not None and self._passwords.outdated(stored):
            account = await self._rehashed(account, password)
        sign_in_id = new_token()
        asked = Asked(nonce=secrets.token_bytes(passkeys.NONCE_BYTES), bound_to=purpose_of_session(sign_in_id))
        content = {"nonce": asked.nonce.hex(), "caller": source.caller, "tries": max(tries - 1, 0), "version": account.version}
        await self._keep(
            Challenge(
                challenge_id=digest_of(sign_in_id), name=name, kind=_SIGN_IN, content=json.dumps(content), expires_at=self._soon()
            )
        )
        self._metrics.people_sign_ins_total.labels("password").inc()
        kinds = tuple(sorted({str(one.kind) for one in factors}))
        return Begun(sign_in_id=sign_in_id, kinds=kinds, options=await self._options(name, asked))

    async def finish_sign_in(self, sign_in_id: str, factor: SecondFactor, source: Source) -> Opened:
        """The second step: a session. Wrong factors may be tried again, with pauses. Raises `SignInRefused`."""
        begun = await self._store.challenge(digest_of(sign_in_id))
        if begun is None or begun.kind != _SIGN_IN or begun.expires_at <= self._clock() or factor.id_token:
            raise self._no()
        content = json.loads(begun.content)
        account = await self._store.account(begun.name)
        usable, opening = await self._usable(account)
        if account is None or not usable or content["caller"] != source.caller or content["version"] != account.version:
            raise self._no()
        asked = Asked(nonce=bytes.fromhex(content["nonce"]), bound_to=purpose_of_session(sign_in_id))
        try:
            use, proof = await self._judged(account, factor, asked, source)
        except FactorRefused:
            await self._refused(account, source, "second factor")
        if isinstance(use, IdTokenUse):  # it has a sign-in of its own
            raise self._no()
        opened = self._new_session(account, source, opening, factor=f"{proof.kind} {proof.factor_id}", fresh_at=self._clock())
        opened = replace(opened, tries=content["tries"])
        await self._open(opened, source, use=use, challenge_id=begun.challenge_id)
        return opened

    async def enrol(self, name: str, code: str, password: str, source: Source) -> Opened:
        """Begins with the code that a security officer handed over: sets the password, and opens a session that can do nothing
        but add a second factor. Raises `SignInRefused`, and `BadRequest` for a password that is refused."""
        name = name.strip().casefold()[:_NOT_LONGER_THAN]
        account_key, address_key = key_for("account", name), key_for("address", source.address)
        await self._not_paused({account_key: pauses.ACCOUNT, address_key: pauses.ADDRESS})
        account = await self._store.account(name)
        usable, opening = await self._usable(account)
        until = account.enrolment_until if account is not None else None
        stored = account.enrolment if account is not None and usable and until is not None and self._clock() < until else None
        right = secrets.compare_digest(stored or digest_of(new_token()), digest_of(code.strip()))
        if account is None or not right:
            await self._refused(account, source, "enrolment code")
        await self._store.take_back_try([account_key], [address_key])
        self._must_be_good(password, name)
        changed = replace(account, password=await self._hashed(password), updated_at=self._clock(), version=account.version + 1)
        line = self._record("person.began", name, source)
        change = AccountChange(account=changed, was=account.version, end_sessions=True)
        try:
            await self._store.change_account(change, [line])
        except Stale:
            raise self._no() from None
        opened = self._new_session(changed, source, opening, factor="", fresh_at=None)
        await self._open(opened, source)
        return opened

    async def begin_id_token(self, source: Source) -> tuple[str, str]:
        """For a sign-in at the identity provider: the challenge's id, and the nonce to ask the provider with. Who began it
        finishes it: a token that was caught on its way is no good at another caller."""
        challenge_id, nonce = new_token(), new_token()
        await self._keep(
            Challenge(
                challenge_id=challenge_id,
                name="",
                kind=_NONCE,
                content=json.dumps({"nonce": nonce, "caller": source.caller}),
                expires_at=self._soon(),
            )
        )
        return challenge_id, nonce

    async def sign_in_with_token(self, id_token: str, challenge_id: str, source: Source) -> Opened:
        """A session from an ID token. The account follows its claims; a name that belongs to somebody else is refused. Raises
        `SignInRefused`."""
        settings = self._settings.oidc
        asked = await self._store.take_challenge(challenge_id)
        if settings is None or self._id_tokens is None or asked is None or asked.kind != _NONCE:
            raise self._no()
        content = json.loads(asked.content)
        if content.get("caller") != source.caller:
            log.warning("people.id-token-refused", problem="another caller began this sign-in", caller=source.caller)
            raise self._no()
        try:
            claims = await self._id_tokens.verify(id_token)
            found = oidc.identity_of(settings, claims, content["nonce"], self._clock())
            use = IdTokenUse(name=found.name, token_sha256=found.token_sha256, expires_at=found.expires_at)
            await self._store.use_id_token(use)
        except (oidc.BadToken, ValueError, Stale) as problem:
            log.warning("people.id-token-refused", problem=str(problem))
            raise self._no() from None
        account = await self._of_identity(found, source)
        at = found.second_factor_at
        opened = self._new_session(account, source, None, factor=found.factor if at else "", fresh_at=at)
        opened = replace(opened, session=replace(opened.session, enrolling=False))
        await self._open(opened, source)
        return opened

    async def sign_out(self, signed_in: SignedIn) -> None:
        """Ends the session."""
        name, session_id = signed_in.account.name, signed_in.session.session_id
        line = self._record("session.ended", name, signed_in, session=session_id)
        await self._store.end_sessions(name, session_id, [line])

    async def change_password(self, signed_in: SignedIn, old: str, new: str) -> None:
        """Needs a fresh factor and the old password; ends the person's other sessions. Raises `SignInRefused`, `BadRequest`."""
        self.must_not_be_sealed(signed_in)
        self.require_fresh_factor(signed_in)
        account = signed_in.account
        key = key_for("account", account.name)
        await self._not_paused({key: pauses.ACCOUNT})
        if not await self._fits(account.password, old[:_NOT_LONGER_THAN]):
            await self._refused(account, signed_in.source, "password")
        await self._store.take_back_try([key], [])
        self._must_be_good(new, account.name)
        changed = replace(account, password=await self._hashed(new), updated_at=self._clock(), version=account.version + 1)
        change = AccountChange(account=changed, was=account.version, end_sessions=True, keep_session=signed_in.session.session_id)
        await self._store.change_account(change, [self._record("password.changed", account.name, signed_in)])

    # -- parts ---------------------------------------------------------------------------------------------------------

    async def _of_identity(self, found: oidc.Identity, source: Source) -> Account:
        """The account of who the provider says it is, with what it says they may do."""
        settings, now = self._settings.oidc, self._clock()
        connections = settings.connections if settings is not None else ()
        account = await self._store.account(found.name)
        if account is None:
            told = Account(
                name=found.name,
                roles=found.roles,
                groups=found.groups,
                connections=connections,
                subject=found.subject,
                created_at=now,
                updated_at=now,
            )
            change = AccountChange(account=told, was=None)
        else:
            if account.subject != found.subject or account.disabled or account.sealed:
                log.warning("people.id-token-refused", problem="the name is another account's, or the account is disabled")
                raise self._no()
            told = replace(account, roles=found.roles, groups=found.groups, connections=connections)
            if told == account:
                return account
            told = replace(told, updated_at=now, version=account.version + 1)
            change = AccountChange(account=told, was=account.version)
        roles = sorted(role.value for role in told.roles)
        line = self._record(
            "person.changed", told.name, source, roles=roles, groups=sorted(told.groups), told_by="identity provider"
        )
        try:
            await self._store.change_account(change, [line])
        except Stale:
            raise self._no() from None
        return told

    def _new_session(
        self, account: Account, source: Source, opening: Opening | None, *, factor: str, fresh_at: datetime | None
    ) -> Opened:
        now, token = self._clock(), new_token()
        expires_at = now + timedelta(seconds=self._settings.session_seconds)
        session = Session(
            session_id=secrets.token_hex(16),
            token_sha256=digest_of(token),
            name=account.name,
            caller=source.caller,
            address=source.address,
            enrolling=not factor,
            factor=factor,
            created_at=now,
            seen_at=now,
            fresh_at=fresh_at,
            expires_at=expires_at if opening is None else min(expires_at, opening.open_until),
        )
        return Opened(token=token, session=session, account=account)

    async def _open(
        self, opened: Opened, source: Source, *, use: FactorUse | None = None, challenge_id: str | None = None
    ) -> None:
        session = opened.session
        line = self._record(
            "session.opened",
            session.name,
            source,
            factor=session.factor,
            session=session.session_id,
            enrolling=session.enrolling,
            sealed=opened.account.sealed,
        )
        most = self._settings.sessions_max
        try:
            await self._store.open_session(session, most=most, use=use, challenge_id=challenge_id, audit=[line])
        except Stale:
            raise self._no() from None
        self._metrics.people_sign_ins_total.labels("enrolled" if session.enrolling else "signed_in").inc()
        if opened.account.sealed:
            self._metrics.people_emergency_uses_total.inc()
            log.error("people.emergency-sign-in", session=session.session_id, caller=source.caller, until=str(session.expires_at))

    async def _rehashed(self, account: Account, password: str) -> Account:
        """Made anew with today's parameters; if somebody changed the account meanwhile, next time."""
        changed = replace(account, password=await self._hashed(password), version=account.version + 1)
        try:
            await self._store.change_account(AccountChange(account=changed, was=account.version))
        except Stale:
            return account
        return changed

    async def _not_paused(self, keys: dict[str, Pausing]) -> None:
        if not await self._count_try(keys):
            self._metrics.people_sign_ins_total.labels("paused").inc()
            raise SignInRefused(NOT_RIGHT)

    async def _refused(self, account: Account | None, source: Source, what: str) -> NoReturn:
        """Counts it, writes it down, which costs the same whether there is such a person or not, and raises."""
        self._metrics.people_sign_ins_total.labels("refused").inc()
        name = account.name if account is not None else ""  # what strangers type is not kept
        await self._store.audit([self._record("sign_in.refused", name, source, outcome="refused", what=what)])
        raise SignInRefused(NOT_RIGHT)

    def _no(self) -> SignInRefused:
        self._metrics.people_sign_ins_total.labels("refused").inc()
        return SignInRefused(NOT_RIGHT)

    def _must_be_good(self, password: str, name: str) -> None:
        if problem := passwords.problem(password, name):
            raise BadRequest("new_password", problem)

    def _soon(self) -> datetime:
        return self._clock() + timedelta(seconds=self._settings.challenge_seconds)

    async def _keep(self, challenge: Challenge) -> None:
        await self._store.put_challenge(challenge)
