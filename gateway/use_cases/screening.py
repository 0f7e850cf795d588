"""What people decide about hits of the screening lists: that a payee is not the one of an entry, and that this no longer counts.

A clearance outlives its payment, so it is bound to more than a release: the payee's name and account, the entry and what it said,
and a last day. Its second factor is given for exactly these. Clearance and line of the audit log are one transaction; the lane
that judges then looks at everything that waits.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from hashlib import sha256
from typing import Final
from uuid import uuid4

from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.errors import BadRequest, Forbidden, NotFound, TooLate
from gateway.lanes import REVIEW_LANE
from gateway.people.person import Acting, FactorProof, Person, Role
from gateway.policy.chain import may_clear
from gateway.policy.screening.cleared import payee_key
from gateway.policy.screening.screen import looked_at
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome
from gateway.review_standing import standing, subject_of
from gateway.store.reviews import Waiting
from gateway.store.screening import Clearance, Signature
from gateway.store.store import Stale
from gateway.use_cases.approvals import CHANGED, Approvals, GivenFactor
from gateway.use_cases.desk import need_reason, one_page, page_size

DAYS_DEFAULT: Final = 90
DAYS_MAX: Final = 366
RULE: Final = "screening."
_CLEAR, _REVOKE = b"bankgate screening clearance\x01", b"bankgate screening revocation\x01"
_KINDS: Final = frozenset({"name", "account"})  # a bank, a country or a word is what the list means, whoever is paid


Entry = tuple[str, str, str]  # the list's id, the entry's, and the digest of what the entry said


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningHit:
    """What one finding of the lists says, and what a clearance of it would be bound to. `why_not`: why it cannot be cleared."""

    finding: Finding
    entry: Entry
    where: str
    kind: str
    value: str
    creditor_name: str
    creditor_key: str
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """The hits of one payment. `bound_to`: by hit, the purpose of the second factor that clears it until `valid_until`."""

    digest: bytes
    valid_until: date
    hits: tuple[tuple[ScreeningHit, bytes], ...]


def clearing(payment_id: str, digest: bytes, entry: Entry, until: date) -> bytes:
    """What a second factor is given for: SHA-256 over the words, the payment and its content, the entry and what it said, and
    until when. The payee is part of the content."""
    told = json.dumps([payment_id, digest.hex(), *entry, until.isoformat()], ensure_ascii=False)
    return sha256(_CLEAR + told.encode()).digest()


def revoking(clearance_id: str) -> bytes:
    """Likewise, for the end of a clearance."""
    return sha256(_REVOKE + clearance_id.encode()).digest()


class ScreeningDecisions(Approvals):
    """The use cases of people who decide, those about hits included."""

    async def screening_hits(self, caller: Caller, payment_id: str, valid_until: str) -> Hits:
        """What the lists found in a payment. Raises NotFound, BadRequest."""
        self._authorise(caller, "approve")
        waiting = await self._judged(caller, payment_id)
        subject, until = subject_of(waiting.payment), self._until(valid_until)
        digest = self._case(waiting, None).digest
        found = self._hits(waiting, subject)
        return Hits(
            digest=digest,
            valid_until=until,
            hits=tuple((hit, clearing(payment_id, digest, hit.entry, until)) for hit in found),
        )

    async def clear_hit(
        self,
        caller: Caller,
        acting: Acting,
        payment_id: str,
        entry: Entry,
        *,
        digest: bytes,
        valid_until: str,
        reason: str,
        factor: GivenFactor,
    ) -> list[Clearance]:
        """Clears what an entry was found for in a payment. Raises Forbidden, TooLate, BadRequest,
        NotFound."""
        self._authorise(caller, "approve")
        person = self._person(acting)
        need_reason(reason)
        until = self._until(valid_until)
        waiting = await self._judged(caller, payment_id)
        subject = subject_of(waiting.payment)
        case = self._case(waiting, None)
        if digest != case.digest or not case.intact:
            raise TooLate("the payment is not what you looked at: look at it again", CHANGED)
        refused = may_clear(standing(subject, case.review.verdict, waiting.signed), person, subject)
        if refused is not None:
            raise Forbidden(f"{refused.text_en} / {refused.text_zh}")
        hits = [one for one in self._hits(waiting, subject) if one.entry == entry]
        if not hits:
            raise TooLate("this entry, as it was looked at, is not among what was found in the payment: look again", CHANGED)
        for one in hits:
            if one.why_not:
                raise BadRequest("entry_id", one.why_not)
        proof = await self._proven(acting, clearing(payment_id, digest, entry, until), factor)
        signed = self._signature(acting, person, proof, reason)
        payees = {hit.creditor_key: hit for hit in hits}
        cleared = [_clearance(waiting, hit, subject, until, signed) for hit in payees.values()]
        await self._store.clear_hits(cleared, [_line("screening.cleared", one, signed) for one in cleared])
        await self._store.wake_lane(REVIEW_LANE)
        return cleared

    async def list_clearances(
        self, caller: Caller, connection_id: str | None, limit: int, token: str | None, *, ended: bool
    ) -> tuple[list[Clearance], str | None]:
        """The newest first; `ended`: those that no longer count as well."""
        self._authorise(caller, "approve", connection_id)
        visible = self._visible(caller, "approve", connection_id)
        day = None if ended else self._today()
        return await one_page(self._store.list_clearances(visible, standing_on=day, limit=page_size(limit), after=token))

    async def revoke_clearance(
        self, caller: Caller, acting: Acting, clearance_id: str, *, reason: str, factor: GivenFactor
    ) -> Clearance:
        """Ends a clearance: by any approver for its connection. Raises Forbidden, TooLate, BadRequest, NotFound."""
        self._authorise(caller, "approve")
        person = self._person(acting)
        need_reason(reason)
        found = await self._store.clearance(clearance_id)
        if found is None or not caller.may("approve", found.connection_id):
            raise NotFound("there is no such clearance")
        if Role.APPROVER not in person.roles or not {"*", found.connection_id} & set(person.connections):
            raise Forbidden("clearances are revoked by an approver for their connection / 认定只能由该连接的审批人撤销")
        if found.revoked is not None:
            raise TooLate("the clearance is revoked already", "revoked")
        proof = await self._proven(acting, revoking(clearance_id), factor)
        signed = self._signature(acting, person, proof, reason)
        try:
            line = _line("screening.clearance_revoked", found, signed)
            await self._store.revoke_clearance(clearance_id, signed, (line,))
        except Stale:
            raise TooLate("the clearance is revoked already", "revoked") from None
        await self._store.wake_lane(REVIEW_LANE)
        ended = await self._store.clearance(clearance_id)
        assert ended is not None  # noqa: S101 - clearances are never taken away
        return ended

    def _person(self, acting: Acting) -> Person:
        if acting.person is None or self.prover is None:
            raise Forbidden("people decide about hits, not callers: sign in, and send the session along")
        return acting.person

    def _signature(self, acting: Acting, person: Person, proof: FactorProof, reason: str) -> Signature:
        return Signature(
            person=person.name,
            reason=reason,
            factor=proof,
            caller=acting.caller,
            address=acting.address,
            at=self._clock(),
        )

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()

    def _until(self, text: str) -> date:
        today = self._today()
        if not text:
            return today + timedelta(days=DAYS_DEFAULT)
        try:
            until = date.fromisoformat(text)
        except ValueError:
            raise BadRequest("valid_until", "is no day such as 2026-12-31") from None
        if not today <= until <= today + timedelta(days=DAYS_MAX):
            raise BadRequest("valid_until", f"from today up to {DAYS_MAX} days on: who is on a list is looked at anew then")
        return until

    def _hits(self, waiting: Waiting, subject: Subject) -> list[ScreeningHit]:
        """From the findings of the last judgement."""
        review = waiting.review
        assert review is not None  # noqa: S101 - only payments that were judged are shown
        lifting = {one.id for one in self._configuration.screening.lists if one.decisions_lift_blocks}
        names = dict(looked_at(subject).names)
        hits = []
        for finding in review.verdict.findings:
            facts = dict(finding.facts)
            if not finding.rule.startswith(RULE) or not {"list", "entry", "entry_digest", "where", "kind"} <= facts.keys():
                continue
            name = names.get("creditor" if facts["kind"] == "account" else facts["where"], "")
            hit = ScreeningHit(
                finding=finding,
                entry=(facts["list"], facts["entry"], facts["entry_digest"]),
                where=facts["where"],
                kind=facts["kind"],
                value=facts.get("value", ""),
                creditor_name=name,
                creditor_key=payee_key(name) if facts["kind"] in _KINDS else "",
                why_not=_why_not(finding, facts["kind"], name, subject.creditor_account, lifts=facts["list"] in lifting),
            )
            hits.append(hit)
        return hits


def _why_not(finding: Finding, kind: str, name: str, account: str, *, lifts: bool) -> str:
    if finding.outcome is Outcome.PASS:
        return "it is cleared already"
    if kind not in _KINDS:
        return "a bank, a country or a word is what the list means, whoever is paid: release this payment, or change the list"
    if not account or not payee_key(name):
        return "a clearance is bound to the payee's name and account, and the payment does not have both"
    if finding.outcome is Outcome.BLOCK and not lifts:
        return "the list blocks, and its settings do not let decisions lift that (decisions_lift_blocks)"
    return ""


def _clearance(waiting: Waiting, hit: ScreeningHit, subject: Subject, until: date, signed: Signature) -> Clearance:
    return Clearance(
        clearance_id=uuid4().hex,
        payment_id=waiting.payment.payment_id,
        connection_id=waiting.payment.connection_id,
        list_id=hit.entry[0],
        entry_id=hit.entry[1],
        entry_digest=hit.entry[2],
        value=hit.value,
        creditor_name=hit.creditor_name,
        creditor_key=hit.creditor_key,
        creditor_account=subject.creditor_account,
        valid_until=until,
        signed=signed,
    )


def _line(action: str, one: Clearance, signed: Signature) -> AuditRecord:
    detail = {
        "clearance": one.clearance_id,
        "list": one.list_id,
        "entry": one.entry_id,
        "entry_digest": one.entry_digest,
        "valid_until": one.valid_until.isoformat(),
        "reason": signed.reason,
        "bound_to": signed.factor.bound_to,
    }
    return AuditRecord(
        action=action,
        actor=f"person: {signed.person}",
        object_kind="payment",
        object_id=one.payment_id,
        caller=signed.caller,
        address=signed.address,
        factor=f"{signed.factor.kind} {signed.factor.factor_id}",
        detail=json.dumps(detail, ensure_ascii=False, sort_keys=True),
    )
