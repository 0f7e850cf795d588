"""A life in a house with rules: the production lane that judges, the gate, people with second factors, and standing orders."""

import random
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gateway.config import CallerSettings, PeopleSettings
from gateway.lanes import PLANS_LANE, REVIEW_LANE
from gateway.lifecycle import IllegalTransition, PaymentState
from gateway.payment import PaymentOrder
from gateway.plan_lane import PlanLane
from gateway.review import Reviewer
from gateway.review_checks import checks_of
from gateway.review_gate import Gate
from gateway.rpc.forms import order_of_form
from gateway.schedule import Frequency, Schedule
from gateway.service import Gateway
from gateway.standing_order import StandingOrder
from gateway.use_cases.payments import Payments
from tests.sim.control_checkers import WATCHED, ControlCheckers, House
from tests.sim.control_people import (
    GROUPS,
    KEY,
    LATE,
    Approver,
    Officer,
    cheap_passwords,
    hire,
    honest_order,
    keep_rules,
    write_by_hand,
)
from tests.sim.control_rules import CREDITORS, HABITS, SCREENING, Rulebook, with_habits
from tests.sim.people import Callers, call
from tests.sim.settings import START
from tests.sim.world import METRICS, Judging, Process, World

MEMORY: Final = Path("/dev/shm")
RENT: Final = Decimal("130.00")
_WAITS: Final = """
SELECT 1 FROM payments WHERE state = 'awaiting_approval' OR (state = 'held' AND (reason LIKE '%policy.%'
    OR reason LIKE '%approval-void%' OR reason LIKE '%not-reviewed%')) LIMIT 1
"""
_HAND: Final = "SELECT p.payment_key, p.payment_id, p.amount FROM payments AS p JOIN reviews USING (payment_key) WHERE"


class ControlWorld(World):
    """See the module."""

    checkers_kind = ControlCheckers
    checkers: ControlCheckers
    house: House

    def _make_sides(self) -> None:
        plan = random.Random(f"control plan {self.seed}")
        self.kind = replace(
            self.kind,
            guarantee=plan.choice(["queryable", "queryable", "blind"]),
            instant=plan.choice([0.0, 0.0, 0.6]),
            **(self.kind.control or {}),
        )
        self._start = START + plan.choice([timedelta(0), LATE])
        self._verdict_dice = random.Random(f"control verdicts {self.seed}")
        self._habits = plan.choice([(None,), (None,), HABITS])
        self._rent = plan.random() < 0.3
        self._directory = tempfile.TemporaryDirectory(prefix="bankgate-sim-", dir=MEMORY if MEMORY.is_dir() else None)
        directory = Path(self._directory.name)
        key = directory / "people.key"
        key.write_text(KEY)
        key.chmod(0o600)
        super()._make_sides()
        self.configuration = self._plain = self.configuration.model_copy(
            update={
                "directory": directory,
                "screening": SCREENING,
                "people": PeopleSettings(key="file:people.key"),
                "callers": (CallerSettings(name="erp", plaintext=True),),
            }
        )
        hire(self._db)
        book = Rulebook(directory, self.dice, self._plain, self.now, habits=self._habits)
        book.begin()
        self.house = self.checkers.house = House(rulebook=book)
        self.house.asked["rent"] = ("Landlord", CREDITORS["Supplier"], RENT)
        self.disk.checked = self.disk.checked | WATCHED
        self.choose_habits()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.loop.time())

    def choose_habits(self) -> None:
        """The settings with which processes begin from now on."""
        self.configuration = with_habits(self._plain, self.dice.choice(self._habits))

    # -- processes -----------------------------------------------------------------------------------------------------

    def gateway(self, process: Process) -> Gateway:
        made = super().gateway(process)
        process.store.before_verdict = lambda what: self._before_verdict(process, what)
        made.people._given_passwords = cheap_passwords()
        return made

    def judging(self, process: Process) -> Judging:
        process.store.before_verdict = lambda what: self._before_verdict(process, what)
        checks = checks_of(self.configuration, process.store)
        payments = Payments(self.configuration, process.store, clock=process.clock, metrics=METRICS, new_id=self.new_payment_id)
        return Judging(
            gate=Gate(process.store, "bank", lambda: checks.configured),
            lanes={
                REVIEW_LANE: Reviewer(process.store, checks, process.clock, METRICS),
                PLANS_LANE: PlanLane(self.configuration, process.store, payments, order_of_form, process.clock),
            },
        )

    def _before_verdict(self, process: Process, what: str) -> None:
        """It has looked at everything and is about to write: the worst moment to be stopped until others have changed it."""
        if self.chaos and self._verdict_dice.random() < 0.06:
            self.note(process, f"control: stopped before it writes a {what}")
            self.pause(
                process, f"before it writes a {what}", self._verdict_dice.choice([40, 200, 900]) * self._verdict_dice.random()
            )

    # -- people --------------------------------------------------------------------------------------------------------

    def order(self, number: int) -> PaymentOrder:
        dice = self.dice
        name = dice.choice(list(CREDITORS))
        amount = Decimal(dice.choice((20, 60, 110, 180, 240))) + Decimal(dice.randrange(100)) / 100
        made = honest_order(super().order(number), name, CREDITORS[name], amount)
        self.house.asked[made.payment_reference] = (name, CREDITORS[name], amount)
        return made

    def crowd(self, callers: Callers) -> list[Coroutine[Any, Any, None]]:
        people = [Approver(self, name).work() for name in GROUPS]
        more = [Officer(self).work(), keep_rules(self), write_by_hand(self)]
        return [*people, *more, self._standing_order(callers)] if self._rent else [*people, *more]

    async def _standing_order(self, callers: Callers) -> None:
        """One that falls due at once, and again after midnight."""
        party = {"name": "Landlord", "postal_address": {"town_name": "Delft", "country": "NL"}}
        form = {"connection_id": "bank", "amount": str(RENT), "currency": "EUR", "creditor": party}
        form |= {"creditor_account": {"iban": CREDITORS["Supplier"]}}
        schedule = Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))
        order = StandingOrder(template_id="rent", schedule=schedule, lead_days=1)
        await call(self, lambda g: g.put_template(callers.who, "rent", {"payment": form}, version=None, reason=""))
        await call(
            self,
            lambda g: g.put_standing_order(callers.who, "rent", order, version=None, reason="", read=order_of_form),
        )
        self.tell("erp", "has a standing order")

    def reported(self, process: Process, lane: str, fault: Exception) -> None:
        """A state that was written by hand while a turn had the one before in its hand ends that turn; the next one reads it."""
        if isinstance(fault, IllegalTransition) and self.house.by_hand:
            self.seen["control: a turn ended by what was written by hand"] += 1
            return
        super().reported(process, lane, fault)

    # -- by hand -------------------------------------------------------------------------------------------------------

    def forge(self, what: str) -> None:
        """Somebody writes into the database: a state, a payee, an amount, or an approval that was given for something else."""
        before = ("awaiting_approval", "held", "approved", "approved")
        where = f"block_key IS NULL AND state = '{self.dice.choice(before)}'"
        found = self.checkers.rows(f"{_HAND} {where}")
        if not found:
            return
        key, payment_id, amount = self.dice.choice(found)
        if what == "approved":
            self._db.execute("UPDATE payments SET state = 'approved' WHERE payment_key = ?", (key,))
            self.checkers.states[key] = PaymentState.APPROVED
            self.house.by_hand.add(payment_id)
        elif what == "payee":
            payee, _, _ = self.checkers.asked(payment_id)
            self._db.execute(
                "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), ?, 'Thief') AS BLOB) WHERE payment_key = ?",
                (payee, key),
            )
        elif what == "amount":
            more = f"{Decimal(amount) + 1000}"
            self._db.execute("UPDATE payments SET amount = ? WHERE payment_key = ?", (more, key))
            self.checkers.ids[key] = (payment_id, more)
        else:
            self._forge_approval(key)
        self.note("thief", f"control: by hand: {what}", payment_id[-4:])

    def _forge_approval(self, key: int) -> None:
        """A row of another payment's, as if it had been given for this one."""
        rows = self.checkers.rows("SELECT approval_key FROM approvals WHERE payment_key <> ? AND decision = 'approve'", key)
        if not rows:
            return
        columns = (
            "decision, person, person_then, digest, holds, reason, factor_kind, factor_id, factor_at, factor_bound_to,"
            " factor_evidence, caller, address, decided_at"
        )
        cursor = self._db.execute(
            f"INSERT INTO approvals (payment_key, {columns}) SELECT ?, {columns} FROM approvals WHERE approval_key = ?",
            (key, self.dice.choice(rows)[0]),
        )
        assert cursor.lastrowid is not None
        self.house.forged.add(cursor.lastrowid)

    # -- the end -------------------------------------------------------------------------------------------------------

    def calmed(self) -> None:
        self.house.rulebook.mend()
        # As a worker does every minute for what stands approved, so also for what was written by hand and woke nobody.
        self._db.execute("INSERT OR IGNORE INTO wakes (lane, due_at) VALUES ('bank', 0)")
        self.disk.committed({"wakes"}, "a worker")

    def moves(self) -> bool:
        return self.somebody_waits() or bool(self.checkers.rows("SELECT 1 FROM payments WHERE state = 'received' LIMIT 1"))

    def somebody_waits(self) -> bool:
        """Whether it is worth looking at the console."""
        return bool(self.checkers.rows(_WAITS))

    def explains(self, payment_id: str, state: PaymentState) -> bool:
        if state is PaymentState.REJECTED:
            return any(one.choice == "refuse" for one in self.checkers.given.get(payment_id, []))
        return False

    def compare(self) -> None:
        checkers = self.checkers
        checkers.audit_chain()
        made = checkers.rows(
            "SELECT payment_id, payment_reference FROM payments WHERE payment_reference LIKE 'rent/%' ORDER BY payment_key"
        )
        for payment_id, reference in made:
            checkers.acknowledge(payment_id, reference)
        told = checkers.rows("SELECT payment_reference FROM plan_occurrences WHERE state IN ('submitted', 'late')")
        if sorted(reference for _, reference in made) != sorted(reference for (reference,) in told):
            self.fail(f"the standing order has made {made}, and tells of {told}")
        self.seen["control: payments of a standing order"] += len(made)

    def _reap(self) -> None:
        super()._reap()
        self._directory.cleanup()
