"""What must be true where payments are judged and people decide, beside what `tests.sim.checkers` looks at.

An oracle of its own: it knows the rules as plain data, who was asked for what, and reads rows as they are committed. Nothing of
the gateway's policies, chains or gate is used.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from gateway.audit.verify import Verifier
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.sqlite.audit import rows as audit_rows
from tests.sim.bank import Taken
from tests.sim.checkers import Checkers
from tests.sim.control_rules import Rulebook, Steps

if TYPE_CHECKING:
    from tests.sim.control_people import Attempt

WATCHED: Final = {"approvals", "reviews", "review_book", "audit_log", "people", "people_factors"}
HOLD: Final = 2
_SENT = re.compile(
    r"<InstrId>([0-9a-f]{32})(?:-2)?</InstrId>.*?<InstdAmt Ccy=\"EUR\">([\d.]+)</InstdAmt>.*?<Cdtr><Nm>([^<]*)</Nm>.*?"
    r"<CdtrAcct><Id><IBAN>(\w+)</IBAN>",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What somebody may do, as the account says."""

    roles: frozenset[str]
    groups: frozenset[str]
    disabled: bool


@dataclass(frozen=True, kw_only=True)
class Given:
    """A decision as it was committed. `person`: as the row says it was."""

    name: str
    choice: str
    groups: frozenset[str]
    roles: frozenset[str]
    holds: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judgement. `age`: of the rules that it names; `holds`: "rule, version"."""

    age: int
    findings: str
    judged_at: int
    day: str

    @property
    def holds(self) -> frozenset[str]:
        return frozenset(f"{one['rule']}, {one['version']}" for one in json.loads(self.findings) if one["outcome"] == HOLD)

    @property
    def chains(self) -> dict[str, Steps]:
        """Those of the policy, by rule."""
        return {one["rule"]: tuple(map(tuple, one["steps"])) for one in json.loads(self.findings) if one["outcome"] == 1}


@dataclass
class House:
    """What the checkers know beside the books. `attempts`: by person, payment and choice; `forged`: approvals written by hand;
    `asked`: payee, account and amount by payment reference; `by_hand`: payments whose state was."""

    rulebook: Rulebook
    attempts: dict[tuple[str, str, str], list["Attempt"]] = field(default_factory=dict)
    forged: set[int] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)
    asked: dict[str, tuple[str, str, Decimal]] = field(default_factory=dict)


@dataclass
class ControlCheckers(Checkers):
    """`house` is set once it is there."""

    house: House = field(init=False)
    people: dict[str, Rights] = field(default_factory=dict)
    before: dict[str, Rights] = field(default_factory=dict)  # as of the commit before
    counters: dict[str, int] = field(default_factory=dict)
    proofs: dict[str, Counter[str]] = field(default_factory=dict)  # by person: what codes were used for, and not consumed yet
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    given: dict[str, list[Given]] = field(default_factory=dict)
    complete_with: dict[str, dict[str, Rights]] = field(default_factory=dict)  # everybody's rights when a payment was approved
    at_bank: dict[str, Decimal] = field(default_factory=dict)
    adopted: int = 0
    last_line: int = 0
    last_decision: int = 0
    settled_states: dict[int, PaymentState] = field(default_factory=dict)

    # -- after every commit --------------------------------------------------------------------------------------------

    def committed(self, by: str) -> None:
        seen = len(self.feed)
        self._rights()
        super().committed(by)
        for _, payment_id, state in self.feed[seen:]:
            if state == PaymentState.APPROVED:
                self.complete_with[payment_id] = dict(self.people)
        self._verdicts(by)
        self._decisions(by, self._lines())

    def _may_repeat(self, source: str) -> bool:
        return source == "review"  # each time when rules change

    def _rights(self) -> None:
        self.before = self.people
        self.people = {
            name: Rights(roles=frozenset(json.loads(roles)), groups=frozenset(json.loads(groups)), disabled=bool(disabled))
            for name, roles, groups, disabled in self.db.execute("SELECT name, roles, groups, disabled FROM people")
        }

    def _lines(self) -> Counter[tuple[str, str, str, str]]:
        """Decisions that the audit log tells of: payment, person, choice, purpose. Also checks that each code counts once."""
        decided: Counter[tuple[str, str, str, str]] = Counter()
        used: Counter[str] = Counter()
        for number, action, actor, object_id, factor, detail in self.db.execute(
            "SELECT number, action, actor, object_id, factor, detail FROM audit_log WHERE number > ? ORDER BY number",
            (self.last_line,),
        ):
            if number != self.last_line + 1:
                self.fail(f"the audit log jumps from line {self.last_line} to {number}")
            self.last_line = number
            told = json.loads(detail)
            if action == "approval.decided":
                decided[object_id, actor.removeprefix("person: "), told["choice"], told["bound_to"]] += 1
            elif action in {"factor.proved", "session.opened", "session.stepped_up"} and factor.startswith("totp"):
                used[object_id] += 1
                if action == "factor.proved":
                    self.proofs.setdefault(object_id, Counter())[told["bound_to"]] += 1
        for name, counter in self.db.execute("SELECT name, counter FROM people_factors"):
            moved = counter - self.counters.get(name, 0)
            if used[name] > (moved > 0) or moved < 0:
                self.fail(f"a code of {name}'s counted {used[name]} times")
            self.counters[name] = counter
        return decided

    def _decisions(self, by: str, lines: Counter[tuple[str, str, str, str]]) -> None:
        rows = self.db.execute(
            "SELECT a.approval_key, p.payment_id, p.submitted_by, a.decision, a.person, a.person_then, a.digest, a.holds,"
            " a.factor_bound_to FROM approvals AS a JOIN payments AS p USING (payment_key) WHERE a.approval_key > ?"
            " ORDER BY a.approval_key",
            (self.last_decision,),
        ).fetchall()
        for key, payment_id, submitter, choice, name, then, digest, holds, bound_to in rows:
            self.last_decision = key
            if key in self.house.forged:
                continue
            person = json.loads(then)
            given = Given(
                name=name,
                choice=choice,
                groups=frozenset(person["groups"]),
                roles=frozenset(person["roles"]),
                holds=frozenset(json.loads(holds)),
            )
            self.tell(by, f"{name} {choice}s {payment_id[-4:]}")
            self._genuine(payment_id, given, submitter)
            purpose = hashlib.sha256(b"bankgate decision\x01" + choice.encode() + b"\x00" + digest).hexdigest()
            proofs = self.proofs.setdefault(name, Counter())
            if bound_to != purpose or proofs[bound_to] < 1:
                self.fail(f"{name} decided about {payment_id}, and no code was given for that")
            proofs[bound_to] -= 1
            if lines.pop((payment_id, name, choice, bound_to), 0) != 1:
                self.fail(f"the decision of {name} about {payment_id} is not in the audit log exactly once")
            self.given.setdefault(payment_id, []).append(given)
        for payment_id, name, choice, _ in lines:
            self.fail(f"the audit log tells that {name} decided to {choice} {payment_id}, and nothing was decided")

    def _genuine(self, payment_id: str, given: Given, submitter: str | None) -> None:
        attempts = self.house.attempts.get((given.name, payment_id, given.choice), [])
        if not attempts:
            self.fail(f"{given.name} never asked to {given.choice} payment {payment_id}")
            return
        if given.choice == "approve":
            payee, _, amount = self.asked(payment_id)
            if not any((one.payee, one.amount) == (payee, amount) for one in attempts):
                self.fail(f"{given.name} approved payment {payment_id}, and was shown another one")
        if given.name == submitter:
            self.fail(f"{given.name} decided about payment {payment_id}, which they entered")
        then = (given.roles, given.groups)
        valid = [one for one in (self.people.get(given.name), self.before.get(given.name)) if one and not one.disabled]
        if not any((one.roles, one.groups) == then for one in valid):
            self.fail(f"{given.name} decided about payment {payment_id} with rights that had been taken away")

    def asked(self, payment_id: str) -> tuple[str, str, Decimal]:
        ((reference,),) = self.rows("SELECT payment_reference FROM payments WHERE payment_id = ?", payment_id)
        return self.house.asked["rent" if reference.startswith("rent/") else reference]

    # -- judgements ----------------------------------------------------------------------------------------------------

    def _verdicts(self, by: str) -> None:
        labels, newest = self.house.rulebook.labels, self.adopted
        for payment_id, rules, findings, judged_at, submitted_at, reason in self.db.execute(
            "SELECT p.payment_id, r.rules, r.findings, r.judged_at, r.submitted_at, p.reason FROM reviews AS r"
            " JOIN payments AS p USING (payment_key)"
        ).fetchall():
            known = self.verdicts.get(payment_id)
            if known is not None and (known.findings, known.judged_at) == (findings, judged_at):
                continue
            age = labels.get(rules)
            if age is None:
                self.fail(f"payment {payment_id} was judged by rules that never were")
                return
            day = codec.moment(submitted_at).date().isoformat()
            verdict = Verdict(age=age, findings=findings, judged_at=judged_at, day=day)
            if known is not None and known.findings == findings and "approval-void" in (reason or ""):
                verdict = Verdict(age=known.age, findings=findings, judged_at=judged_at, day=day)  # it keeps its judgement
            else:
                self._judged(payment_id, verdict, by)
                newest = max(newest, age)
            self.verdicts[payment_id] = verdict
        for (rules,) in self.db.execute("SELECT rules FROM review_book"):
            newest = max(newest, labels.get(rules, 0))
        self.adopted = newest

    def _judged(self, payment_id: str, verdict: Verdict, by: str) -> None:
        if verdict.age < self.adopted:
            self.fail(
                f"{by} judged payment {payment_id} by rules of age {verdict.age}; those of age {self.adopted} had been in use"
            )
        rules = self.house.rulebook.history[verdict.age]
        payee, account, amount = self.asked(payment_id)
        if verdict.chains != rules.chains(amount, account):
            self.fail(f"payment {payment_id} was judged to need {verdict.chains}; the rules say {rules.chains(amount, account)}")
        screened = any(one.startswith("screening.own") for one in verdict.holds)
        if screened != (payee in rules.listed):
            self.fail(f"payment {payment_id} to {payee} was {'' if screened else 'not '}held by a list of {sorted(rules.listed)}")
        self.tell(
            by, f"judges {payment_id[-4:]} by rules of age {verdict.age}: {sorted(verdict.chains)}, {sorted(verdict.holds)}"
        )

    # -- what the bank got ---------------------------------------------------------------------------------------------

    def taken(self, taken: Taken) -> None:
        super().taken(taken)
        for payment_id, amount, payee, account in _SENT.findall(taken.data.decode()):
            self._may_leave(payment_id, payee, account, Decimal(amount))

    def _may_leave(self, payment_id: str, payee: str, account: str, amount: Decimal) -> None:
        if (payee, account, amount) != self.asked(payment_id):
            self.fail(f"the bank got payment {payment_id} to {payee} of {amount}; that was never asked for")
        verdict = self.verdicts.get(payment_id)
        if verdict is None:
            self.fail(f"the bank got payment {payment_id}, which was never judged")
            return
        given = self.given.get(payment_id, [])
        if any(one.choice == "refuse" for one in given):
            self.fail(f"the bank got payment {payment_id}, which was refused")
        open_holds = verdict.holds.difference(*(one.holds for one in given if one.choice == "release"))
        if open_holds:
            self.fail(f"the bank got payment {payment_id}, which {sorted(open_holds)} held and nobody released")
        rules = self.house.rulebook.history[verdict.age]
        ((submitter,),) = self.rows("SELECT submitted_by FROM payments WHERE payment_id = ?", payment_id)
        for rule, steps in rules.chains(amount, account).items():
            approvals = [one for one in given if one.choice == "approve" and one.name != submitter]
            if rules.recheck and rule == "big":
                then = self.complete_with.get(payment_id, {})
                if not complete(steps, approvals, then):
                    self.fail(f"the bank got payment {payment_id} without its approvals by {rule}, of people who still may")
            if not complete(steps, approvals, None):
                self.fail(f"the bank got payment {payment_id} without its approvals by {rule}: {steps}")
        self._within_limits(payment_id, verdict, amount)

    def _within_limits(self, payment_id: str, verdict: Verdict, amount: Decimal) -> None:
        releases = (one for one in self.given.get(payment_id, []) if one.choice == "release")
        released = any(hold.startswith("day,") for one in releases for hold in one.holds)
        if released or not self.bank.paid[payment_id]:
            return
        self.at_bank[payment_id] = amount
        total = sum((paid for one, paid in self.at_bank.items() if self.verdicts[one].day == verdict.day), start=Decimal(0))
        most = max(rules.day_limit for rules in self.house.rulebook.history)
        if total > most:
            self.fail(f"the bank paid {total} on {verdict.day}, and the limit never was more than {most}")

    # -- at the end ----------------------------------------------------------------------------------------------------

    def audit_chain(self) -> None:
        """The whole log, as `bankgate audit verify` looks at it."""
        verifier = Verifier()
        verifier.take(audit_rows(self.db, 0, 1_000_000))
        fault = verifier.finish()
        if fault is not None:
            self.fail(f"the audit log does not verify: line {fault.number}: {fault.text}")
        decided = self.rows("SELECT count(*) FROM audit_log WHERE action = 'approval.decided'")[0][0]
        if decided != sum(map(len, self.given.values())):
            self.fail("decisions and lines of the audit log are not the same number")


def complete(steps: Steps, approvals: Sequence[Given], then: dict[str, Rights] | None) -> bool:
    """Whether these approvals, in their order, are enough: each step by so many different people of its group, one after the
    other, nobody twice. `then`: only of those who at that moment still might."""
    left = [group for group, count in steps for _ in range(count)]
    counted: set[str] = set()
    for one in approvals:
        if not left or one.name in counted or "approver" not in one.roles or left[0] not in one.groups:
            continue
        if then is not None:
            still = then.get(one.name)
            if still is None or still.disabled or "approver" not in still.roles or left[0] not in still.groups:
                continue
        counted.add(one.name)
        left.pop(0)
    return not left
