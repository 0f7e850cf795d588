"""What security officers do about people: accounts, roles, lost factors, emergencies. Four eyes wherever there are two.

A change that gives somebody something (an account, a role, a new beginning) by one officer waits for another one, unless there
is no other who could confirm it. One that takes something away (disabling, ending sessions) acts at once. Nobody changes their
own account, nor confirms what they asked for or what is about themselves.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.people.desk import PeopleDesk, SignedIn, allowed, confirmed, key_for, log
from gateway.people.factors import Factors
from gateway.people.names import BadName, checked_connections, checked_groups, checked_name
from gateway.people.permissions import Permission, clash
from gateway.people.person import Role
from gateway.people.records import Account, Factor, Opening, Proposal, Session, Tries
from gateway.people.vault import digest_of, new_token
from gateway.store.people import AccountChange, emergency_key
from gateway.store.records import NewDiscrepancy
from gateway.store.store import Stale

PROPOSAL_DAYS: Final = 7
REASON_MIN: Final = 10
_PUT, _RESET = "put", "reset"
_NOBODY_CONFIRMS: Final = (
    "no other security officer can confirm this: it is about the only other one, or the others were disabled within the last"
    " seven days. Do it at the machine: `bankgate people` / 没有其他安全管理员可以确认此操作，请在服务器上使用 bankgate people"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An account as somebody wants it: everything about it that an officer decides."""

    name: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    connections: tuple[str, ...] = ("*",)

    def as_json(self) -> str:
        """As proposals keep it."""
        roles = sorted(role.value for role in self.roles)
        return json.dumps({"roles": roles, "groups": sorted(self.groups), "connections": list(self.connections)})

    @staticmethod
    def of_json(name: str, content: str) -> "Wanted":
        found = json.loads(content)
        roles = frozenset(Role(word) for word in found["roles"])
        return Wanted(name=name, roles=roles, groups=frozenset(found["groups"]), connections=tuple(found["connections"]))


def wanted(name: str, roles: Sequence[str], groups: Sequence[str], connections: Sequence[str]) -> Wanted:
    """What was typed, checked. Raises `BadRequest` naming the field."""
    known = {role.value: role for role in Role}
    unknown = sorted(set(roles) - known.keys())
    if unknown or not roles:
        raise BadRequest("roles", f"at least one of {', '.join(known)}" + (f"; not {unknown[0]!r}" if unknown else ""))
    given = frozenset(known[word] for word in roles)
    if problem := clash(given):
        raise BadRequest("roles", problem)
    field = "name"
    try:
        checked_name(name)
        field = "groups"
        told = checked_groups(groups)
        field = "connections"
        return Wanted(name=name, roles=given, groups=told, connections=checked_connections(connections))
    except BadName as error:
        raise BadRequest(field, str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a change: it waits for another officer (`proposal_id`), or is done; and the code for beginning, told
    once."""

    proposal_id: str = ""
    enrolment_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """What officers and auditors see of a person."""

    account: Account
    factors: tuple[Factor, ...]
    sessions: tuple[Session, ...]
    tries: Tries | None
    openings: tuple[Opening, ...]


class Officers(Factors, PeopleDesk):
    """See the module. `by` is a signed-in officer, or the text of one at the machine (`bankgate people`)."""

    async def list_people(self, by: SignedIn | str) -> tuple[list[PersonView], list[Proposal]]:
        """Everybody, and what waits for an officer. For officers and auditors."""
        self._authorise(by, Permission.SEE_PEOPLE)
        views = []
        for account in await self._store.accounts():
            key = key_for("account", account.name)
            views.append(
                PersonView(
                    account=account,
                    factors=tuple(confirmed(await self._store.factors_of(account.name))),
                    sessions=tuple(await self._live_sessions(account.name)),
                    tries=(await self._store.tries([key])).get(key),
                    openings=tuple(await self._store.openings(account.name)) if account.sealed else (),
                )
            )
        now = self._clock()
        return views, [one for one in await self._store.proposals() if one.expires_at > now]

    async def put_person(self, by: SignedIn | str, change: Wanted) -> Outcome:
        """A new account, or other roles, groups and connections for one that is there; a disabled one is enabled by it."""
        account = await self._target(by, change.name, missing_is_fine=True)
        if account is not None and (account.sealed or account.subject):
            raise BadRequest(
                "name", "this account is sealed for emergencies, or follows an identity provider: it is not changed here"
            )
        if await self._needs_another(by, change.name):
            return await self._propose(by, _PUT, change.name, change.as_json())
        return await self._put(by, change, account, None)

    async def reset_factors(self, by: SignedIn | str, name: str) -> Outcome:
        """For somebody who lost everything: factors, password and sessions go, and a code to begin anew is given."""
        account = await self._target(by, name)
        if account is None or account.subject or account.sealed:
            raise NotFound("there is no such person who signs in here")
        if await self._needs_another(by, name):
            return await self._propose(by, _RESET, name, "{}")
        return await self._reset(by, account, None)

    async def disable_person(self, by: SignedIn | str, name: str) -> None:
        """At once: sessions end, nothing more can be done with the account. `put_person` enables it again."""
        account = await self._target(by, name)
        if account is None:
            raise NotFound("there is no such person")
        changed = replace(account, disabled=True, updated_at=self._clock(), version=account.version + 1)
        change = AccountChange(account=changed, was=account.version, end_sessions=True)
        await self._store.change_account(change, [self._record("person.disabled", name, by)])

    async def confirm(self, by: SignedIn, proposal_id: str) -> Outcome:
        """Carries out what another officer asked for."""
        self._officer(by)
        proposal = await self._proposal(proposal_id)
        if by.account.name in {proposal.asked_by, proposal.name}:
            raise Forbidden("another security officer has to confirm this: not the one who asked, nor the one it is about")
        account = await self._store.account(proposal.name)
        if proposal.kind == _PUT:
            return await self._put(by, Wanted.of_json(proposal.name, proposal.content), account, proposal)
        if account is None:
            raise NotFound("there is no such person")
        return await self._reset(by, account, proposal)

    async def refuse(self, by: SignedIn, proposal_id: str) -> None:
        """Takes a proposal off the list: any officer may, also the one who asked."""
        self._officer(by)
        proposal = await self._proposal(proposal_id)
        line = self._record("proposal.refused", proposal.name, by, kind=proposal.kind, asked_by=proposal.asked_by)
        await self._store.drop_proposal(proposal_id, [line])

    async def end_sessions(self, by: SignedIn | str, name: str) -> int:
        """Signs somebody out everywhere."""
        await self._target(by, name, oneself_is_fine=True)
        return await self._store.end_sessions(name, None, [self._record("sessions.ended", name, by)])

    # -- emergencies ---------------------------------------------------------------------------------------------------

    async def first_officer(self, name: str, at_machine: str) -> str:
        """The first account, by somebody at the machine: its enrolment code. Raises `TooLate` once there is any."""
        self.must_be_set_up()
        if await self._store.accounts():
            raise TooLate("there are people already: a security officer adds others", "exists")
        change = wanted(name, [Role.SECURITY_OFFICER.value], (), ("*",))
        return (await self._put(at_machine, change, None, None)).enrolment_code

    async def seal_account(self, change: Wanted, password: str, at_machine: str) -> list[str]:
        """An account for emergencies, for somebody at the machine: its recovery codes, for the envelope beside the password.
        Each of them signs in once while the account is open. Sealing anew an account that is sealed gives it new ones."""
        account = await self._store.account(change.name)
        if account is not None and not account.sealed:
            raise BadRequest("name", "is somebody's account: an account for emergencies has a name of its own")
        now = self._clock()
        sealed = Account(
            name=change.name,
            roles=change.roles,
            groups=change.groups,
            connections=change.connections,
            password=await self._hashed(password),
            sealed=True,
            created_at=account.created_at if account else now,
            updated_at=now,
            version=account.version + 1 if account else 1,
        )
        told = AccountChange(
            account=sealed, was=account.version if account else None, end_sessions=True, drop_factors=account is not None
        )
        roles = sorted(role.value for role in change.roles)
        await self._store.change_account(told, [self._record("emergency.sealed", change.name, at_machine, roles=roles)])
        return await self._new_codes(change.name, at_machine)

    async def open_sealed(self, name: str, reason: str, minutes: int | None, at_machine: str) -> Opening:
        """Opens a sealed account for a while, for somebody at the machine. Loud: an error in the log, a line in the audit log,
        and it stays on the list until an officer has looked at it."""
        account = await self._store.account(name)
        if account is None or not account.sealed or account.disabled:
            raise NotFound("there is no such account that is sealed for emergencies")
        if len(reason.strip()) < REASON_MIN:
            raise BadRequest("reason", f"say what happened, in at least {REASON_MIN} characters")
        now, minutes = self._clock(), self._settings.emergency_minutes if minutes is None else minutes
        if not 1 <= minutes <= 1440:
            raise BadRequest("minutes", "between 1 and 1440")
        opening = Opening(
            opening_id=secrets.token_hex(8),
            name=name,
            opened_by=at_machine,
            reason=reason.strip(),
            opened_at=now,
            open_until=now + timedelta(minutes=minutes),
        )
        line = self._record("emergency.opened", name, at_machine, opening=opening.opening_id, reason=reason, minutes=minutes)
        await self._store.open_sealed(opening, [line], [_told(opening)])
        log.error("people.emergency-opened", opening=opening.opening_id, until=str(opening.open_until))
        return opening

    async def review_opening(self, by: SignedIn, opening_id: str, review: str) -> None:
        """An officer says what they found when they looked at what was done in an emergency."""
        self._officer(by)
        found = next((one for one in await self._store.openings() if one.opening_id == opening_id), None)
        if found is None:
            raise NotFound("there is no such opening")
        if found.name == by.account.name:
            raise Forbidden("somebody else has to look at it")
        if len(review.strip()) < REASON_MIN:
            raise BadRequest("review", f"say what was done with it, in at least {REASON_MIN} characters")
        line = self._record("emergency.reviewed", found.name, by, opening=opening_id, review=review.strip())
        try:
            await self._store.review_opening(opening_id, by.account.name, review.strip(), [line])
        except Stale:
            raise TooLate("it was reviewed already", "reviewed") from None

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _authorise(self, by: SignedIn | str, permission: Permission) -> None:
        if isinstance(by, SignedIn) and not allowed(by.account.person, permission):
            raise Forbidden(f"this needs a role that may {permission.value.replace('_', ' ')}")

    def _officer(self, by: SignedIn | str) -> None:
        """A security officer who has just given a second factor; or somebody at the machine."""
        self._authorise(by, Permission.PEOPLE)
        if isinstance(by, SignedIn):
            self.require_fresh_factor(by)

    async def _target(
        self, by: SignedIn | str, name: str, *, missing_is_fine: bool = False, oneself_is_fine: bool = False
    ) -> Account | None:
        self._officer(by)
        if isinstance(by, SignedIn) and by.account.name == name and not oneself_is_fine:
            raise Forbidden("nobody changes their own account: another security officer does")
        account = await self._store.account(name)
        if account is None and not missing_is_fine:
            raise NotFound("there is no such person")
        return account

    async def _needs_another(self, by: SignedIn | str, about: str) -> bool:
        """Whether another officer has to confirm it: wherever there is one. One who was disabled counts for a week on: nobody
        becomes the only one by disabling the others. Raises `Forbidden` where none can: who takes over the second pair of eyes
        has both. At the machine one may do without: that is how one begins, and gets back in; it is written down."""
        if not isinstance(by, SignedIn):
            return False
        since = self._clock() - timedelta(days=PROPOSAL_DAYS)
        others = [
            one
            for one in await self._store.accounts()
            if allowed(one.person, Permission.PEOPLE)
            and not (one.sealed or one.name == by.account.name)
            and (not one.disabled or one.updated_at > since)
        ]
        if others and not any(not one.disabled and one.name != about for one in others):
            raise Forbidden(_NOBODY_CONFIRMS)
        return bool(others)

    async def _propose(self, by: SignedIn | str, kind: str, name: str, content: str) -> Outcome:
        now = self._clock()
        proposal = Proposal(
            proposal_id=secrets.token_hex(8),
            kind=kind,
            name=name,
            content=content,
            asked_by=by.account.name if isinstance(by, SignedIn) else str(by),
            asked_at=now,
            expires_at=now + timedelta(days=PROPOSAL_DAYS),
        )
        line = self._record("proposal.made", name, by, proposal=proposal.proposal_id, kind=kind, content=json.loads(content))
        await self._store.propose(proposal, [line])
        return Outcome(proposal_id=proposal.proposal_id)

    async def _proposal(self, proposal_id: str) -> Proposal:
        now = self._clock()
        found = [one for one in await self._store.proposals() if one.proposal_id == proposal_id and one.expires_at > now]
        if not found:
            raise NotFound("there is no such proposal; it may have been carried out, refused or too old")
        return found[0]

    async def _put(self, by: SignedIn | str, change: Wanted, account: Account | None, proposal: Proposal | None) -> Outcome:
        now, code = self._clock(), new_token() if account is None else ""
        told = Account(
            name=change.name,
            roles=change.roles,
            groups=change.groups,
            connections=change.connections,
            enrolment=digest_of(code) if code else None,
            enrolment_until=self._enrolment_until() if code else None,
            created_at=now,
            updated_at=now,
        )
        if account is not None:
            told = replace(
                account,
                roles=change.roles,
                groups=change.groups,
                connections=change.connections,
                disabled=False,
                updated_at=now,
                version=account.version + 1,
            )
        before = sorted(role.value for role in account.roles) if account else []
        facts = {**json.loads(change.as_json()), "roles_before": before, "enabled": account is not None and account.disabled}
        await self._apply(
            by, "person.changed" if account else "person.added", told, account=account, proposal=proposal, facts=facts
        )
        return Outcome(enrolment_code=code)

    async def _reset(self, by: SignedIn | str, account: Account, proposal: Proposal | None) -> Outcome:
        code = new_token()
        told = replace(
            account,
            password=None,
            enrolment=digest_of(code),
            enrolment_until=self._enrolment_until(),
            updated_at=self._clock(),
            version=account.version + 1,
        )
        await self._apply(by, "factors.reset", told, account=account, proposal=proposal, facts={})
        return Outcome(enrolment_code=code)

    async def _apply(
        self,
        by: SignedIn | str,
        action: str,
        told: Account,
        *,
        account: Account | None,
        proposal: Proposal | None,
        facts: dict[str, Any],
    ) -> None:
        reset = action == "factors.reset"
        change = AccountChange(
            account=told,
            was=account.version if account else None,
            end_sessions=reset,
            drop_factors=reset,
            proposal_id=proposal.proposal_id if proposal else None,
        )
        asked_by = proposal.asked_by if proposal else ""
        await self._store.change_account(change, [self._record(action, told.name, by, asked_by=asked_by, **facts)])

    def _enrolment_until(self) -> Any:
        return self._clock() + timedelta(hours=self._settings.enrolment_hours)


def _told(opening: Opening) -> NewDiscrepancy:
    """Where operators look: it stays open until a security officer wrote down what was done."""
    until = f"{opening.open_until:%Y-%m-%d %H:%M} UTC"
    evidence = {"account": opening.name, "opening": opening.opening_id, "open_until": opening.open_until.isoformat()}
    return NewDiscrepancy(
        key=emergency_key(opening.opening_id),
        connection_id="",
        kind="emergency_access",
        summary_en=f"An account that is sealed for emergencies was opened until {until}. A security officer looks at what was"
        " done with it and writes that down; then this resolves by itself.",
        summary_zh=f"封存的应急账户已开启至 {until}。须由安全管理员核查其操作并记录，之后本条自动关闭。",
        evidence=json.dumps(evidence, ensure_ascii=False, sort_keys=True),
    )
