"""Second factors: proving one for a purpose, and having some."""

import json
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from webauthn.helpers import bytes_to_base64url

from gateway.audit.record import AuditRecord
from gateway.errors import BadRequest, FactorNeeded, FactorRefused, Forbidden, NotFound
from gateway.people import oidc, passkeys, pauses, totp
from gateway.people.desk import PeopleDesk, SignedIn, Source, confirmed, key_for, log
from gateway.people.passkeys import BadPasskey, Passkey
from gateway.people.person import FactorProof, Person
from gateway.people.records import Account, Challenge, Factor, FactorKind
from gateway.people.vault import new_recovery_codes, new_token
from gateway.store.people import FactorUse, IdTokenUse
from gateway.store.store import Stale

LABEL_MAX: Final = 64
FACTORS_MAX: Final = 20  # of one person, recovery codes apart
_REFUSED: Final = (
    "the second factor was not accepted: wrong, used before, for something else, or too many tries / 第二因素未被接受"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What a person gives: exactly one of the four. A passkey's assertion and an ID token answer a challenge (`begin_factor`)."""

    totp_code: str = ""
    recovery_code: str = ""
    assertion: str = ""  # JSON, as navigator.credentials.get() gives it
    id_token: str = ""
    challenge_id: str = ""

    def __post_init__(self) -> None:
        given = [one for one in (self.totp_code, self.recovery_code, self.assertion, self.id_token) if one]
        if len(given) != 1:
            raise BadRequest("second_factor", "give one: a code, a recovery code, a passkey's assertion or an ID token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a factor has to answer. `options`: for navigator.credentials.get(), "" if the person has no passkey; `nonce`: for an
    ID token."""

    challenge_id: str
    options: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A challenge that is under way: what it was made of; its id, where using the factor uses it up, and when it was asked."""

    nonce: bytes
    bound_to: bytes
    challenge_id: str | None = None
    asked_at: datetime | None = None

    @property
    def challenge(self) -> bytes:
        return passkeys.challenge_of(self.nonce, self.bound_to)


class Factors(PeopleDesk):
    """See the module."""

    # -- proving -------------------------------------------------------------------------------------------------------

    async def begin_factor(self, person: Person, bound_to: bytes) -> Question:
        """A question for one purpose: `bound_to` is the SHA-256 of what the factor is to be given for. Single use, expiring."""
        challenge_id, nonce = new_token(), secrets.token_bytes(passkeys.NONCE_BYTES)
        asked = Asked(nonce=nonce, bound_to=bound_to)
        content = json.dumps({"nonce": nonce.hex(), "bound_to": bound_to.hex()})
        options = await self._options(person.name, asked)
        await self._ask(challenge_id, person.name, "factor", content)
        return Question(challenge_id=challenge_id, options=options, nonce=bytes_to_base64url(asked.challenge))

    async def prove(self, person: Person, factor: SecondFactor, bound_to: bytes, *, source: Source) -> FactorProof:
        """Takes a second factor from a person for one purpose, and uses it up. The proof is to be kept beside the decision.

        `bound_to`: the 32 bytes of a SHA-256 over what is decided (an approval's digest). A passkey's signature has to cover
        it: the assertion answers the challenge of `begin_factor(person, bound_to)`, and `FactorProof.evidence` lets a third
        party check it; likewise an ID token, by its nonce. A code of an app, a recovery code, a challenge and an ID token count
        once, whatever comes of the decision. The account is read anew: one that was disabled proves nothing. Counts tries and
        pauses. Raises `FactorRefused`.
        """
        account = await self._store.account(person.name)
        usable, _ = await self._usable(account)
        if account is None or not usable:
            raise FactorRefused(_REFUSED)
        use, proof = await self._judged(account, factor, await self._asked(account, factor, bound_to), source)
        line = self._record("factor.proved", account.name, source, factor=_named(proof), bound_to=proof.bound_to)
        await self._use_up(use, line)
        return proof

    async def step_up(self, signed_in: SignedIn, factor: SecondFactor) -> None:
        """A second factor for the session itself: it is fresh for a while. An assertion and an ID token answer the challenge of
        `begin_factor(person, purpose_of_session(...))`. Raises `FactorRefused`."""
        account, session = signed_in.account, signed_in.session
        asked = await self._asked(account, factor, purpose_of_session(session.session_id))
        use, proof = await self._judged(account, factor, asked, signed_in.source)
        line = self._record("session.stepped_up", account.name, signed_in, factor=_named(proof), session=session.session_id)
        await self._use_up(replace(use, signs_off=session.session_id, proof=_named(proof)), line)

    def require_fresh_factor(self, signed_in: SignedIn) -> None:
        """Raises `FactorNeeded` unless a second factor was given in this session just now."""
        if not self.is_fresh(signed_in):
            raise FactorNeeded("this needs a second factor given just now: StepUp, then again / 此操作需要重新验证第二因素")

    def must_not_be_sealed(self, signed_in: SignedIn) -> None:
        """Whoever uses an emergency account leaves no way back into it: what opens it stands in the envelope alone."""
        if signed_in.account.sealed:
            raise Forbidden(
                "the password and the codes of an emergency account are made at the machine: `bankgate people add --sealed`"
            )

    async def _asked(self, account: Account, factor: SecondFactor, bound_to: bytes) -> Asked:
        """The challenge that an answer names, if it is this person's and for this purpose."""
        if not (factor.assertion or factor.id_token):
            return Asked(nonce=bytes(passkeys.NONCE_BYTES), bound_to=bound_to)
        found = await self._store.challenge(factor.challenge_id)
        if found is None or (found.name, found.kind) != (account.name, "factor") or found.expires_at <= self._clock():
            raise FactorRefused(_REFUSED)
        content = json.loads(found.content)
        if content["bound_to"] != bound_to.hex():
            log.warning("people.factor-for-another-purpose", challenge=found.challenge_id[:8])
            raise FactorRefused(_REFUSED)
        return Asked(
            nonce=bytes.fromhex(content["nonce"]),
            bound_to=bound_to,
            challenge_id=found.challenge_id,
            asked_at=found.expires_at - timedelta(seconds=self._settings.challenge_seconds),
        )

    async def _use_up(self, use: FactorUse | IdTokenUse, line: AuditRecord) -> None:
        try:
            if isinstance(use, IdTokenUse):
                await self._store.use_id_token(use, [line])
            else:
                await self._store.use_factor(use, [line])
        except Stale:
            raise FactorRefused(_REFUSED) from None

    async def _judged(
        self, account: Account, factor: SecondFactor, asked: Asked, source: Source
    ) -> tuple[FactorUse | IdTokenUse, FactorProof]:
        """How the factor is used up, and the proof. Counts the try."""
        key = key_for("factor", account.name)
        if not await self._count_try({key: pauses.FACTOR}):
            raise FactorRefused(_REFUSED)
        try:
            found = await self._right(account, factor, asked)
        except Exception:  # nobody could tell, since keys or the store cannot be read: that was no try
            await self._store.take_back_try([], [key])
            raise
        if found is None:
            log.info("people.factor-refused", caller=source.caller)
            raise FactorRefused(_REFUSED)
        await self._store.take_back_try([key], [])
        return found

    async def _right(
        self, account: Account, factor: SecondFactor, asked: Asked
    ) -> tuple[FactorUse | IdTokenUse, FactorProof] | None:
        if factor.id_token:
            return await self._by_id_token(account, factor, asked)
        for one in confirmed(await self._store.factors_of(account.name)):
            counter, told = self._counter_after(account, one, factor, asked)
            if counter is not None:
                proof = self._proof(str(one.kind), one.factor_id, asked.bound_to, told)
                return self._use(one, counter, asked, proof), proof
        return None

    def _counter_after(self, account: Account, one: Factor, factor: SecondFactor, asked: Asked) -> tuple[int | None, str]:
        """The factor's counter if this is it and right, else None; and the evidence."""
        match one.kind:
            case FactorKind.TOTP if factor.totp_code:
                secret = self._vault.opened(one.content, name=account.name, factor_id=one.factor_id)
                return totp.accepted_step(secret, factor.totp_code, self._clock().timestamp(), one.counter), ""
            case FactorKind.RECOVERY_CODE if factor.recovery_code:
                digest = self._vault.recovery_digest(factor.recovery_code, name=account.name)
                return (1 if secrets.compare_digest(digest, one.content) else None), ""
            case FactorKind.PASSKEY if factor.assertion:
                return self._asserted(one, factor, asked)
            case _:
                return None, ""

    def _asserted(self, one: Factor, factor: SecondFactor, asked: Asked) -> tuple[int | None, str]:
        passkey = Passkey(
            credential_id=one.credential_id or "", public_key=json.loads(one.content)["public_key"], counter=one.counter
        )
        try:
            if passkeys.credential_id_of(factor.assertion) != passkey.credential_id:
                return None, ""
            counter = passkeys.asserted(self._party, factor.assertion, asked.challenge, passkey)
            return counter, passkeys.evidence(self._party, factor.assertion, asked.nonce, asked.bound_to, passkey)
        except BadPasskey as problem:
            log.warning("people.passkey-refused", factor=one.factor_id, problem=str(problem))
            return None, ""

    async def _by_id_token(self, account: Account, factor: SecondFactor, asked: Asked) -> tuple[IdTokenUse, FactorProof] | None:
        """The provider was asked with the challenge as nonce, so that its signature covers the purpose; and the person gave the
        factor there after the question."""
        settings = self._settings.oidc
        if settings is None or self._id_tokens is None or asked.challenge_id is None or asked.asked_at is None:
            return None
        try:
            claims = await self._id_tokens.verify(factor.id_token)
            found = oidc.identity_of(settings, claims, bytes_to_base64url(asked.challenge), self._clock())
            if found.subject != account.subject:
                raise oidc.BadToken("it is of another subject than the account")
            if not (account.roles <= found.roles and account.groups <= found.groups):
                raise oidc.BadToken("it gives less than the account has: sign in again")
            if found.second_factor_at is None:
                raise oidc.BadToken("it does not say that a second factor was given, and when")
            if found.second_factor_at < asked.asked_at - oidc.SKEW:
                raise oidc.BadToken("its factor was given before it was asked for")
        except (oidc.BadToken, ValueError) as problem:
            log.warning("people.id-token-refused", problem=str(problem))
            return None
        told = {"version": 2, **oidc.facts_of(settings, claims), "nonce": asked.nonce.hex(), "bound_to": asked.bound_to.hex()}
        evidence = json.dumps({**told, "id_token": factor.id_token}, sort_keys=True, ensure_ascii=False)
        proof = self._proof("oidc", found.factor.partition(" ")[2], asked.bound_to, evidence)
        use = IdTokenUse(
            name=account.name,
            token_sha256=found.token_sha256,
            expires_at=found.expires_at,
            challenge_id=asked.challenge_id,
            proof=_named(proof),
        )
        return use, proof

    def _proof(self, kind: str, factor_id: str, bound_to: bytes, evidence: str) -> FactorProof:
        return FactorProof(kind=kind, factor_id=factor_id, at=self._clock(), bound_to=bound_to.hex(), evidence=evidence)

    def _use(self, one: Factor, counter: int, asked: Asked, proof: FactorProof) -> FactorUse:
        challenge_id = asked.challenge_id if one.kind is FactorKind.PASSKEY else None
        return FactorUse(
            name=one.name,
            factor_id=one.factor_id,
            counter_was=one.counter,
            counter=counter,
            challenge_id=challenge_id,
            proof=_named(proof),
        )

    # -- having --------------------------------------------------------------------------------------------------------

    async def enrol_totp(self, signed_in: SignedIn, label: str) -> tuple[str, str]:
        """Begins a factor of an authenticator app: its id, and the URI for a QR code. Counts only once a code was given."""
        await self._may_enrol(signed_in)
        name, factor_id, secret = signed_in.account.name, secrets.token_hex(8), secrets.token_bytes(totp.SECRET_BYTES)
        factor = self._new_factor(signed_in, FactorKind.TOTP, label, factor_id)
        content = self._vault.locked(secret, name=name, factor_id=factor_id)
        await self._store.add_factor(replace(factor, content=content, confirmed=False))
        return factor_id, totp.uri(secret, issuer=self._settings.title, name=name)

    async def confirm_totp(self, signed_in: SignedIn, factor_id: str, code: str) -> None:
        """The first code of the app. Raises `FactorRefused`, `NotFound`."""
        await self._may_enrol(signed_in)
        account = signed_in.account
        factors = await self._store.factors_of(account.name)
        one = next((one for one in factors if one.factor_id == factor_id and not one.confirmed), None)
        if one is None:
            raise NotFound("there is no factor of this id that waits for its first code")
        key = key_for("factor", account.name)
        if not await self._count_try({key: pauses.FACTOR}):
            raise FactorRefused(_REFUSED)
        secret = self._vault.opened(one.content, name=account.name, factor_id=factor_id)
        step = totp.accepted_step(secret, code, self._clock().timestamp(), one.counter)
        if step is None:
            raise FactorRefused(_REFUSED)
        use = FactorUse(
            name=account.name,
            factor_id=factor_id,
            counter_was=one.counter,
            counter=step,
            signs_off=signed_in.session.session_id,
            proof=f"totp {factor_id}",
        )
        await self._finish(self._store.use_factor(use, [self._record("factor.added", account.name, signed_in, added=use.proof)]))
        await self._store.take_back_try([key], [])

    async def begin_passkey(self, signed_in: SignedIn) -> tuple[str, str]:
        """A question for a new passkey: the challenge's id, and what navigator.credentials.create() takes."""
        await self._may_enrol(signed_in)
        name, challenge_id, challenge = signed_in.account.name, new_token(), secrets.token_bytes(32)
        known = [one.credential_id for one in await self._store.factors_of(name) if one.credential_id]
        options = passkeys.registration_options(self._party, name, known, challenge, self._settings.challenge_seconds)
        content = json.dumps({"challenge": challenge.hex(), "session": signed_in.session.session_id})
        await self._ask(challenge_id, name, "registration", content)
        return challenge_id, options

    async def finish_passkey(self, signed_in: SignedIn, challenge_id: str, credential: str, label: str) -> str:
        """The new passkey's factor id. Raises `FactorRefused`."""
        await self._may_enrol(signed_in)
        name, session_id = signed_in.account.name, signed_in.session.session_id
        asked = await self._store.challenge(challenge_id)
        if asked is None or (asked.name, asked.kind) != (name, "registration") or asked.expires_at <= self._clock():
            raise FactorRefused(_REFUSED)
        content = json.loads(asked.content)
        if content["session"] != session_id:
            raise FactorRefused(_REFUSED)
        try:
            passkey = passkeys.registered(self._party, credential, bytes.fromhex(content["challenge"]))
        except BadPasskey as problem:
            log.warning("people.passkey-refused", problem=str(problem))
            raise FactorRefused(_REFUSED) from None
        factor = replace(
            self._new_factor(signed_in, FactorKind.PASSKEY, label, secrets.token_hex(8)),
            content=json.dumps({"public_key": passkey.public_key}),
            credential_id=passkey.credential_id,
            counter=passkey.counter,
        )
        line = self._record("factor.added", name, signed_in, added=f"passkey {factor.factor_id}")
        await self._finish(self._store.add_factor(factor, challenge_id=challenge_id, signs_off=session_id, audit=[line]))
        return factor.factor_id

    async def new_recovery_codes(self, signed_in: SignedIn) -> list[str]:
        """Ten new codes, told once, instead of those there were. Needs a fresh factor."""
        self.must_not_be_sealed(signed_in)
        self.require_fresh_factor(signed_in)
        return await self._new_codes(signed_in.account.name, signed_in)

    async def remove_factor(self, signed_in: SignedIn, factor_id: str) -> None:
        """Takes one of the person's own factors away; never the last one that is no recovery code. Needs a fresh factor."""
        self.must_not_be_sealed(signed_in)
        self.require_fresh_factor(signed_in)
        name = signed_in.account.name
        lasting = [one for one in await self._store.factors_of(name) if one.kind is not FactorKind.RECOVERY_CODE]
        if not any(one.factor_id == factor_id for one in lasting):
            raise NotFound("there is no factor of this id")
        if not [one for one in lasting if one.factor_id != factor_id and one.confirmed]:
            raise BadRequest("factor_id", "the last one stays: add another one first")
        await self._store.drop_factor(name, factor_id, [self._record("factor.removed", name, signed_in, removed=factor_id)])

    async def _new_codes(self, name: str, by: SignedIn | str) -> list[str]:
        codes = new_recovery_codes()
        now = self._clock()
        rows = [
            Factor(
                factor_id=secrets.token_hex(8),
                name=name,
                kind=FactorKind.RECOVERY_CODE,
                label="",
                content=self._vault.recovery_digest(code, name=name),
                created_at=now,
            )
            for code in codes
        ]
        await self._store.replace_codes(name, rows, [self._record("recovery_codes.made", name, by, count=len(rows))])
        return codes

    async def _may_enrol(self, signed_in: SignedIn) -> None:
        """In a session that only begins, or with a fresh factor; and there is an end to how many."""
        self.must_not_be_sealed(signed_in)
        if not signed_in.session.enrolling:
            self.require_fresh_factor(signed_in)
        factors = await self._store.factors_of(signed_in.account.name)
        if sum(one.kind is not FactorKind.RECOVERY_CODE for one in factors) >= FACTORS_MAX:
            raise BadRequest("label", f"a person has at most {FACTORS_MAX} factors: remove one first")
        if signed_in.session.enrolling and confirmed(factors):
            raise FactorNeeded("there is a second factor by now: sign in with it")

    def _new_factor(self, signed_in: SignedIn, kind: FactorKind, label: str, factor_id: str) -> Factor:
        if not label.isprintable() or len(label) > LABEL_MAX:
            raise BadRequest("label", f"at most {LABEL_MAX} characters that can be seen")
        return Factor(
            factor_id=factor_id, name=signed_in.account.name, kind=kind, label=label, content="", created_at=self._clock()
        )

    async def _options(self, name: str, asked: Asked) -> str:
        known = [one.credential_id for one in await self._store.factors_of(name) if one.credential_id]
        if not known:
            return ""
        return passkeys.assertion_options(self._party, known, asked.challenge, self._settings.challenge_seconds)

    async def _ask(self, challenge_id: str, name: str, kind: str, content: str) -> None:
        expires_at = self._clock() + timedelta(seconds=self._settings.challenge_seconds)
        await self._store.put_challenge(
            Challenge(challenge_id=challenge_id, name=name, kind=kind, content=content, expires_at=expires_at)
        )

    async def _finish(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except Stale:
            raise FactorRefused(_REFUSED) from None


def purpose_of_session(session_id: str) -> bytes:
    """What a factor is bound to that is given for a session."""
    return sha256(b"bankgate session\x00" + session_id.encode()).digest()


def _named(proof: FactorProof) -> str:
    return f"{proof.kind} {proof.factor_id}"
