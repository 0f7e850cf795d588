"""A life with a front machine: the production plugins, conversation, rounds and channel over the simulator's own bank."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from channels.channel import Channel
from channels.frontend import Carried
from formats.model import Account, Agent, Party, PaymentType, RemittanceInformation
from gateway.banks import bank_of
from gateway.connection import Connection
from gateway.payment import PaymentOrder
from keys.plain import PlainSeal
from tests.sim.bank import QUIET
from tests.sim.front_bank import BadFrame, FrontHouse
from tests.sim.front_checkers import FrontCheckers
from tests.sim.front_line import SimDialogueChannel
from tests.sim.front_plan import Plan, configured, drawn
from tests.sim.settings import NOWHERE
from tests.sim.world import Process, World

FATES = tuple(range(90, 100))  # fen by which the simulator chooses what becomes of an order (`simulator.front.fates`)


class FrontWorld(World):
    """See the module."""

    plan: Plan
    house: FrontHouse
    front_checkers: FrontCheckers

    def _make_sides(self) -> None:
        self.plan = plan = drawn(self.seed, self.kind.front or {})
        self.kind = replace(self.kind, guarantee=plan.guarantee, person=plan.person)
        self.configuration = configured(plan, self.kind.settings)
        self.house = FrontHouse(
            plan=plan,
            dice=self.dice,
            now=self.now,
            strikes=self.strikes,
            on_take=lambda order: self.front_checkers.front_took(order),  # noqa: PLW0108 - they are made below
            seen=self.seen,
            ours=lambda order: self.front_checkers.our_number(order),  # noqa: PLW0108 - likewise
        )
        self.bank = self.house
        self.checkers = self.front_checkers = FrontCheckers(
            db=self._db,
            bank=self.house,
            fail=self.fail,
            tell=self.tell,
            now=self.loop.time,
            may_double=self.wrong_words.__contains__,
        )
        self.front_checkers.house, self.front_checkers.disk = self.house, self.disk
        self.front_checkers.arrived_words = self.arrived_words
        self.ebics = None
        self.seen[f"front: a life with {plan.bank}, {plan.guarantee}"] += 1
        self.tell("world", f"{plan}")

    def now(self) -> datetime:
        return self.plan.start + timedelta(seconds=self.loop.time())

    def connect(self, process: Process) -> tuple[Connection, list[Channel]]:
        settings = self.configuration.connections["bank"]
        own = Connection(settings, bank_of(settings), PlainSeal(), "", NOWHERE, process.clock)
        return own, [SimDialogueChannel(self, process, own) for _ in range(2)]

    def deliver(self, request: Carried) -> bytes | None:
        """A request reaches the bank; its reply, or None where the line breaks."""
        try:
            return self.house.answer(request)
        except BadFrame:
            return None

    def order(self, number: int) -> PaymentOrder:
        dice, side = self.dice, self.house.side
        fen = dice.choice(FATES) if dice.random() < 0.5 else dice.randrange(90)
        own = dice.random() < 0.4
        agent = Agent(
            name="本行营业部" if own else "某银行深圳某支行",
            clearing_system_id="CNAPS",
            clearing_system_member_id=side.bank_code if own else "403584099005",
        )
        account = f"62000000000000{number:05d}"
        self.front_checkers.payees[account] = f"INV-{number}"
        made = PaymentOrder(
            payment_reference=f"INV-{number}",
            connection_id="bank",
            amount=Decimal(dice.randint(1, 900) * 100 + fen) / 100,
            currency="CNY",
            content_sha256=b"",
            payment_type=PaymentType(service_level="URGP") if dice.random() < 0.3 else None,
            creditor=Party(name=f"收款人{number:02d}"),
            creditor_account=Account(other_id=account),
            creditor_agent=agent,
            remittance_information=RemittanceInformation(unstructured=(f"货款{number:02d}",)),
            supplementary=(("cn.city", "深圳"), ("cn.province", "广东")),
        )
        return replace(made, content_sha256=sha256(repr(made).encode()).digest())

    def truth(self, message_id: str, name: str) -> bool | None:
        del name
        if any(serial in self.house.orders for serial in self.front_checkers.serials_of(message_id)):
            return True
        last = self.last_sent.get(message_id, 0.0)
        return False if self.loop.time() - last > QUIET and message_id not in self.flying else None

    def _reap(self) -> None:
        super()._reap()
        self.house.close()
