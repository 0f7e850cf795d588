"""No path from submitted to approved without the approvals that the policy asks, whatever the order of events.

The machine runs a payment through anything that can happen to it. Beside it stands what really happened, in the plainest form:
who said what about which content. After every step the two are compared by a rule written a second time, from the words of the
policy and not from the code: a payment is APPROVED only if different people, none of them the submitter, each an approver for
the connection and in the group of the step, approved this very content in the order of the steps, for every chain.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.lifecycle import PaymentState
from gateway.people.person import Person, Role
from gateway.policy.chain import (
    Choice,
    Decision,
    DecisionRefused,
    NotAllowed,
    after,
    cancelled,
    judged_again,
    may_approve,
    may_refuse,
    may_release,
    standing_of,
    state,
)
from gateway.policy.digest import digest_of
from gateway.policy.judge import judge
from gateway.policy.rules import RECHECK
from gateway.policy.verdict import Outcome, Verdict
from tests.policy.cases import NOW, THEIRS, document, known_to, person, policies, subject

PEOPLE = {
    one.name: one
    for one in (
        person("anna", "clerks"),
        person("bert", "clerks", "cfo"),
        person("carl", "cfo"),
        person("dora", "clerks", "cfo", "board"),
        person("emil", "board", connections=("house",)),
        person("far", "clerks", "cfo", connections=("second",)),
        person("sub", "clerks", "cfo", "board"),
        person("viewer", "clerks", "cfo", "board", roles=(Role.VIEWER,)),
        person("Bert", "clerks", "cfo"),
    )
}
BELOW = {"amount_up_to": "1000", "currency": "EUR"}
ABOVE = {"amount_above": "1000", "currency": "EUR"}
RULE_SETS = [
    policies(
        document(
            version=1,
            default="hold",
            chains=[
                {"id": "small", "when": BELOW, "steps": [{"group": "clerks"}]},
                {"id": "large", "when": ABOVE, "steps": [{"group": "clerks", "count": 2}, {"group": "cfo"}]},
            ],
        )
    ),
    policies(
        document(
            version=2,
            default="approval",
            default_steps=[{"group": "cfo"}, {"group": "board"}],
            limits=[
                {
                    "id": "single",
                    "period": "payment",
                    "amount": "1000",
                    "currency": "EUR",
                    "outcome": "approval",
                    "steps": [{"group": "cfo"}],
                    "recheck": True,
                }
            ],
        )
    ),
    policies(
        document(
            version=3,
            restrictions=[
                {"id": "only-them", "when": ABOVE, "what": "creditor_account", "forbidden": [THEIRS], "outcome": "hold"}
            ],
            chains=[{"id": "all", "steps": [{"group": "clerks"}, {"group": "cfo"}], "recheck": True}],
        )
    ),
    policies(document(version=4, restrictions=[{"id": "euro", "what": "currency", "allowed": ["CHF"], "outcome": "block"}])),
]
names = st.sampled_from([*sorted(PEOPLE), "bert", "dora", "anna", "carl"])
rule_sets = st.sampled_from([*RULE_SETS, RULE_SETS[0], RULE_SETS[2]])
some = st.lists(names, min_size=1, max_size=6)


class Approvals(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = count(1)
        self.people: dict[str, Person] = dict(PEOPLE)
        self.said: list[tuple[Choice, Person, bytes, frozenset[str]]] = []
        self.over: PaymentState | None = None

    @initialize(rules=rule_sets, amount=st.sampled_from(["900", "1100", "1200"]))
    def submitted(self, rules: object, amount: str) -> None:
        self.rules = rules
        self.payment = subject(amount, submitted_by="sub")
        self.standing = standing_of(self.payment, self.verdict())

    def verdict(self) -> Verdict:
        return Verdict(findings=judge(self.rules, self.payment, known_to(self.rules, [self.payment]), NOW))  # type: ignore[arg-type]

    def decide(self, choice: Choice, name: str, digest: bytes, holds: frozenset[str] = frozenset()) -> None:
        """Tries it; what `may_…` says and what `after` does are the same thing."""
        one = self.people[name]
        at = NOW + timedelta(seconds=next(self.clock))
        asked = {Choice.APPROVE: may_approve, Choice.REFUSE: may_refuse, Choice.RELEASE: may_release}[choice]
        extra = (self.people,) if choice is Choice.APPROVE else ()
        reason: NotAllowed | None = asked(self.standing, one, self.payment, *extra)  # type: ignore[operator]
        before = self.standing
        try:
            decision = Decision(choice=choice, person=one, digest=digest, at=at, holds=holds)
            self.standing = after(self.standing, decision, self.people)
        except DecisionRefused:
            assert self.standing is before
            assert reason is not None or digest != before.digest or not holds & before.held_by
            return
        assert reason is None
        self.said.append((choice, one, digest, holds))
        if choice is Choice.REFUSE:
            self.over = self.over or PaymentState.REJECTED

    @rule(several=some)
    def approve(self, several: list[str]) -> None:
        for name in several:
            self.decide(Choice.APPROVE, name, self.standing.digest)

    @rule(several=some)
    def are_written_by_hand(self, several: list[str]) -> None:
        """Into the table of approvals, past every check: they count for what those people may do, and no more."""
        for name in several:
            digest, at = self.standing.digest, NOW + timedelta(seconds=next(self.clock))
            forged = Decision(choice=Choice.APPROVE, person=self.people[name], digest=digest, at=at)
            self.standing = replace(self.standing, decisions=(*self.standing.decisions, forged))
            self.said.append((Choice.APPROVE, self.people[name], digest, frozenset()))

    @rule(name=names, amount=st.sampled_from(["900", "1100", "1"]))
    def approves_other_content(self, name: str, amount: str) -> None:
        self.decide(Choice.APPROVE, name, digest_of(subject(amount, submitted_by="sub")))

    @rule(name=names)
    def replays_for_another_payment(self, name: str) -> None:
        self.decide(Choice.APPROVE, name, digest_of(replace(self.payment, payment_id="another")))

    @rule(name=names, chance=st.integers(0, 4))
    def refuses(self, name: str, chance: int) -> None:
        if chance == 0:
            self.decide(Choice.REFUSE, name, self.standing.digest)

    @rule(name=names)
    def releases(self, name: str) -> None:
        self.decide(Choice.RELEASE, name, self.standing.digest, self.standing.holds)

    @rule(amount=st.sampled_from(["900", "1100", "1200"]))
    def changes_content(self, amount: str) -> None:
        transfer = replace(self.payment.transfer, amount=Decimal(amount))
        self.payment = replace(self.payment, transfer=transfer)
        self.standing = judged_again(self.standing, self.payment, self.verdict())

    @rule(rules=rule_sets)
    def rules_change(self, rules: object) -> None:
        self.rules = rules
        self.standing = judged_again(self.standing, self.payment, self.verdict())

    @rule(name=names)
    def loses_the_role(self, name: str) -> None:
        self.people[name] = replace(self.people[name], roles=frozenset({Role.VIEWER}))

    @rule(name=names)
    def changes_group(self, name: str) -> None:
        self.people[name] = replace(self.people[name], groups=frozenset({"sales"}))

    @rule(name=names)
    def is_as_before(self, name: str) -> None:
        self.people[name] = PEOPLE[name]

    @rule(chance=st.integers(0, 9))
    def cancels(self, chance: int) -> None:
        if chance == 0:
            self.standing = cancelled(self.standing)
            self.over = PaymentState.CANCELLED

    @invariant()
    def approved_is_what_the_policy_asks(self) -> None:
        now = state(self.standing, self.people)
        if self.over is not None:
            assert now is self.over
            return
        assert (now is PaymentState.APPROVED) == self.really_approved()

    def really_approved(self) -> bool:
        """From what was said alone."""
        findings, digest = self.verdict().findings, digest_of(self.payment)
        if any(finding.outcome is Outcome.BLOCK for finding in findings):
            return False
        holding = {f"{one.rule}, {one.version}" for one in findings if one.outcome is Outcome.HOLD}
        released = [holds for choice, _, of, holds in self.said if choice is Choice.RELEASE and of == digest]
        if not holding <= set().union(*released):
            return False
        approvals = [who for choice, who, of, _ in self.said if choice is Choice.APPROVE and of == digest]
        asked = [finding for finding in findings if finding.outcome is Outcome.APPROVAL]
        return all(
            self.taken([step.group for step in one.steps for _ in range(step.count)], approvals, recheck=RECHECK in one.facts)
            for one in asked
        )

    def taken(self, groups: list[str], approvals: list[Person], *, recheck: bool) -> bool:
        """Whether the groups, one person each, were all served in this order."""
        names: set[str] = set()
        for who in approvals:
            if not groups:
                break
            right = who.name.lower() not in names | {"sub"} and self.able(who, groups[0])
            if right and (not recheck or self.able(self.people[who.name], groups[0])):
                names.add(who.name.lower())
                groups = groups[1:]
        return not groups

    def able(self, who: Person, group: str) -> bool:
        return Role.APPROVER in who.roles and group in who.groups and not {"*", "house"}.isdisjoint(who.connections)


Approvals.TestCase.settings = settings(max_examples=100, stateful_step_count=16)
TestApprovals = Approvals.TestCase
