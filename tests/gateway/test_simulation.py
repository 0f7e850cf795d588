"""A seeded simulation: the production code over the real store, against a bank that keeps books and a world that breaks things.

One seed decides everything: which await is the last of a process, what becomes of each send, when another worker takes the lane
over, when the bank answers, how often and in which order. Then the world calms down, and the books are compared:

* nothing was executed twice at the bank;
* nothing is lost: each payment stands where the bank says, or waits where a person sees it;
* whatever the bank said was read, and the events of each payment end in its state.

Some payments ask for instant, else normal. The bank refuses some of those as instant ones and says so late, twice and out of
order, of the payment, its block or the whole message; and it may lie: execute what it said it refused.

The controls send again without asking anybody, or take silence or an echo for a refusal. They must be caught.
"""

import random
import re
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from itertools import pairwise
from typing import Any

import pytest

from channels.channel import Arrival, Fate, FateReport, Guarantee, InDoubt, NotSent, Parcel, Receipt, Refused
from formats.instant import FALL_BACK_REASONS
from formats.model import PaymentType
from gateway import outcome
from gateway.delivery import Courier
from gateway.discrepancies import Origin
from gateway.fall_back import second_attempt
from gateway.instant import InstantChoice, payment_id_of
from gateway.intake import Intake
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.prepare import Preparer
from gateway.store.records import DeliveryFilter, Keys, NewPayment, PaymentFilter, Reason
from gateway.store.sqlite import connection
from gateway.store.store import Stale, StoreUnavailable
from gateway.telemetry import Metrics

SEEDS = 50  # for each guarantee
QUIET = 1200
GUARANTEES: dict[str, dict[str, object]] = {
    "blind": {"kind": "blind"},
    "queryable": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": QUIET},
    "queryable-not-final": {"kind": "queryable", "quiet_seconds": QUIET},
    "idempotent": {"kind": "idempotent", "evidence": "letter of 2026-03-02"},
}
RETRY = {"first_seconds": 1, "longest_seconds": 60, "attempts_max": 6, "lease_seconds": 900}


class Killed(BaseException):
    """kill -9, at whatever was being waited for."""


@dataclass
class Chaos:
    """What goes wrong, and how often."""

    dice: random.Random
    seen: Counter[str]
    on: bool = True

    def strikes(self, what: str, chance: float) -> bool:
        struck = self.on and self.dice.random() < chance
        self.seen[what] += struck
        return struck


class Mortal:
    """The store as one process sees it: any call may be the process's last, before or after it took effect; any may fail."""

    def __init__(self, store: Any, chaos: Chaos) -> None:
        self._store = store
        self._chaos = chaos

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*values: object, **named: object) -> object:
            self._strike()
            result = await method(*values, **named)
            self._strike()  # it is durable, and nobody here will ever know
            return result

        return call

    def _strike(self) -> None:
        if self._chaos.strikes("killed at the store", 0.015):
            raise Killed
        if self._chaos.strikes("store unavailable", 0.01):
            raise StoreUnavailable("database or disk is full")


@dataclass
class Bank:
    """Executes what arrives and keeps books. Only an idempotent one knows a message again."""

    dice: random.Random
    files: Any
    idempotent: bool
    lies: bool = False  # it executes what it says it refused; then it books every debit under a reference of its own
    arrived: dict[str, bytes] = field(default_factory=dict)
    executed: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, PaymentState] = field(default_factory=dict)  # by instruction id
    refused: set[str] = field(default_factory=set)  # payments refused as instant ones, for a reason that normal may not meet
    offers: list[tuple[str, bytes]] = field(default_factory=list)
    later: list[bytes] = field(default_factory=list)  # news not offered yet

    def take(self, name: str, data: bytes) -> None:
        text = data.decode()
        (message_id,) = re.findall(r"<MsgId>(\w+)</MsgId>", text)
        again = name in self.arrived
        self.arrived[name] = data
        if again and self.idempotent:
            seen = "<StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>"
            echo = self.files.pain002(message_id, group="RJCT", reasons=seen).encode()
            if self.dice.random() < 0.8:
                self.offers.append((f"echo-{message_id}.xml", echo))  # before any verdict on the first copy
            else:
                self.later.append(echo)
            return
        orders = re.findall(r"<InstrId>([\w-]+)</InstrId><EndToEndId>([\w-]+)<", text)
        instant = "<Cd>INST</Cd>" in text
        if instant and self.dice.random() < 0.3:
            self._refuse_whole(message_id, orders)
            return
        for payment_id, end_to_end_id in orders:
            if instant and self.dice.random() < 0.4:
                self._refuse(message_id, payment_id, end_to_end_id)
            else:
                self._decide(message_id, payment_id, end_to_end_id)

    def _refuse_whole(self, message_id: str, orders: list[tuple[str, str]]) -> None:
        why = "<StsRsnInf><Rsn><Cd>TM01</Cd></Rsn></StsRsnInf>"
        block = f"<OrgnlPmtInfId>{message_id}-1</OrgnlPmtInfId><PmtInfSts>RJCT</PmtInfSts>{why}"
        whole = self.files.pain002(message_id, group="RJCT", reasons=why)
        part = self.files.pain002(message_id, body=f"<OrgnlPmtInfAndSts>{block}</OrgnlPmtInfAndSts>")
        self._say([self.files.pain002(message_id, group="ACTC"), self.dice.choice([whole, part])])
        self._lie(message_id, orders)

    def _refuse(self, message_id: str, payment_id: str, end_to_end_id: str) -> None:
        """Perhaps accepted first; the refusal is written later, whenever it comes."""

        def status(word: str, minute: int, reason: str | None = None) -> str:
            body = self.files.block(f"{message_id}-1", self.files.transaction(payment_id, end_to_end_id, word, reason))
            return str(self.files.pain002(message_id, body=body)).replace("T10:00:00Z", f"T10:{minute:02}:00Z")

        self._say([status("ACTC", 1), *self.dice.choice([[], [status("ACSP", 2)]]), status("RJCT", 3, "AB06")])
        self._lie(message_id, [(payment_id, end_to_end_id)])

    def _lie(self, message_id: str, orders: list[tuple[str, str]]) -> None:
        for payment_id, end_to_end_id in orders:
            self.refused.add(payment_id)
            if self.lies and self.dice.random() < 0.9:
                self.executed[payment_id] += 1
                self._say([self._debit(message_id, payment_id, end_to_end_id)])

    def _debit(self, message_id: str, payment_id: str, end_to_end_id: str) -> str:
        references = self.dice.choice(
            [f"<EndToEndId>{end_to_end_id}</EndToEndId>", f"<MsgId>{message_id}</MsgId><InstrId>{payment_id}</InstrId>"]
        )
        own = f"<AcctSvcrRef>{self.dice.randrange(10**9)}</AcctSvcrRef>" if self.lies else ""
        return str(self.files.camt054(self.files.entry("10.00", own + references)))

    def _say(self, news: list[str]) -> None:
        for item in news:
            copies = self.dice.choice([1, 1, 2, 3])  # the same again, and the same said in another file
            self.later += [item.encode() + b"<!-- %d -->" % self.dice.randrange(2) for _ in range(copies)]

    def _decide(self, message_id: str, payment_id: str, end_to_end_id: str) -> None:
        files, verdict = self.files, self.dice.choice([PaymentState.SETTLED] * 3 + [PaymentState.REJECTED, PaymentState.RETURNED])
        self.executed[payment_id_of(payment_id)] += 1
        self.verdicts[payment_id] = verdict

        def status(word: str, reason: str | None = None) -> str:
            body = files.block(f"{message_id}-1", files.transaction(payment_id, end_to_end_id, word, reason))
            return str(files.pain002(message_id, group=self.dice.choice([None, "PART"]), body=body))

        news = [status("ACTC"), status("ACSP")]
        if verdict is PaymentState.REJECTED:
            news = [news[0], status("RJCT", "AC04")]
        else:
            news.append(self._debit(message_id, payment_id, end_to_end_id))
        if verdict is PaymentState.RETURNED:
            why = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
            back = files.entry("10.00", f"<EndToEndId>{end_to_end_id}</EndToEndId>", direction="CRDT", details=why)
            news.append(files.camt054(back))
        self._say(news)

    def publish(self, count: int) -> None:
        """Offers some of the news, in no order."""
        for _ in range(min(count, len(self.later))):
            data = self.later.pop(self.dice.randrange(len(self.later)))
            self.offers.append((f"news-{self.dice.randrange(10**6)}.xml", data))


@dataclass
class World:
    """One bank, one database, one clock, and the process that is alive just now."""

    store: Any
    connection: Any
    clock: Any
    bank: Bank
    chaos: Chaos
    flying: list[tuple[datetime, str, bytes]] = field(default_factory=list)

    def process(self) -> "Process":
        """A worker that has just started: it remembers nothing."""
        store, channel, metrics = Mortal(self.store, self.chaos), Channel(self), Metrics()
        preparer = Preparer(store, self.connection, self.clock, metrics)  # type: ignore[arg-type]
        courier = Courier(store, self.connection, channel, preparer, self.clock, metrics)  # type: ignore[arg-type]
        courier.recorder.jitter = self.chaos.dice
        return Process(courier, preparer, Intake(store, self.connection, channel, self.clock, metrics))  # type: ignore[arg-type]

    def land(self) -> None:
        """What was under way arrives."""
        due = [item for item in self.flying if item[0] <= self.clock()]
        self.flying = [item for item in self.flying if item not in due]
        for _, name, data in due:
            self.bank.take(name, data)


@dataclass
class Process:
    courier: Courier
    preparer: Preparer
    intake: Intake

    async def turn(self) -> bool:
        """One turn of both lanes, as the worker makes it. False: it was killed."""
        try:
            await self.courier.recover()
            await self.preparer.form_messages()
            await self.courier.advance_due()
            await self.intake.fetch()
            await self.intake.read_waiting()
        except Killed:
            return False
        except (StoreUnavailable, Stale):
            return True  # the engine reports it and turns the lane again
        return True


@dataclass
class Channel:
    """Sends into the world, and tells the truth about it as far as it can know."""

    world: World
    kind: str = "scripted"
    troubles: tuple[str, ...] = ()

    @property
    def guarantee(self) -> Guarantee:
        return self.world.connection.guarantee  # type: ignore[no-any-return]

    async def send(self, parcel: Parcel) -> Receipt:
        world, dice = self.world, self.world.chaos.dice
        data = b"".join([chunk async for chunk in parcel.chunks()])
        if world.chaos.strikes("not sent", 0.1):
            raise NotSent("connection refused")
        if world.chaos.strikes("refused", 0.05):
            raise Refused("403", "forbidden")
        if world.chaos.strikes("killed before it arrived", 0.1):
            raise Killed
        if world.chaos.strikes("stopped before it arrived", 0.15):  # and another worker takes the lane over
            await self._stopped()
        if world.chaos.strikes("cut", 0.1):
            raise InDoubt("cut before the end")
        if world.chaos.strikes("late", 0.1):  # on its way for less than the quiet time
            world.flying.append((world.clock() + timedelta(seconds=dice.uniform(1, QUIET / 2)), parcel.name, data))
            raise InDoubt("cut near the end")
        world.bank.take(parcel.name, data)
        if world.chaos.strikes("stopped after it arrived", 0.1):
            await self._stopped()
        if world.chaos.strikes("killed after it arrived", 0.1):
            raise Killed
        if world.chaos.strikes("answer lost", 0.1):
            raise dice.choice([InDoubt("the answer was lost"), RuntimeError("a channel that breaks its promise")])
        return Receipt(evidence="scripted.rename", detail="ok", at=world.clock())

    async def _stopped(self) -> None:
        """SIGSTOP, for less than the quiet time, while somebody else works; then SIGCONT."""
        other = self.world.process()
        for _ in range(self.world.chaos.dice.randint(1, 3)):
            self.world.clock.advance(seconds=self.world.chaos.dice.uniform(1, QUIET / 8))
            if not await other.turn():
                return

    async def fate(self, parcel: Parcel) -> FateReport:
        world = self.world
        if world.chaos.strikes("asking failed", 0.2):
            raise OSError("no route to host")
        there = parcel.name in world.bank.arrived
        if self.guarantee is Guarantee.QUERYABLE:
            return FateReport(fate=Fate.ARRIVED if there else Fate.DID_NOT_ARRIVE, evidence="scripted", detail="asked")
        return FateReport(fate=Fate.UNKNOWN, evidence="scripted", detail="cannot be asked")

    async def receive(self, keep: Callable[[Arrival], Awaitable[None]]) -> int:
        kept = 0
        for offer in list(self.world.bank.offers):
            name, data = offer

            async def chunks(data: bytes = data):  # type: ignore[no-untyped-def]
                yield data

            try:
                await keep(Arrival(name=name, size=len(data), chunks=chunks))
            except StoreUnavailable:
                continue
            kept += 1
            if (
                not self.world.chaos.strikes("bank not told", 0.1) and offer in self.world.bank.offers
            ):  # else the bank is not told, and repeats
                self.world.bank.offers.remove(offer)
        return kept


async def live(world: World, rows: list[NewPayment], turns: int) -> None:
    """The bad days, and then the calm in which everything comes to its end."""
    dice, process = world.chaos.dice, world.process()
    for _ in range(turns):
        world.clock.advance(seconds=dice.choice([1, 5, 60, 600]) * dice.random())
        world.land()
        world.bank.publish(dice.randint(0, 4))
        if rows:
            await world.store.submit([rows.pop() for _ in range(dice.randint(1, len(rows)))])
        if not await process.turn():
            process = world.process()
    world.chaos.on = False
    await world.store.submit(rows)
    process = world.process()
    for _ in range(12):
        world.clock.advance(hours=3)
        world.land()
        world.bank.publish(1000)
        assert await process.turn()


async def compare(world: World) -> None:
    """The books of the bank beside ours."""
    store, name = world.store, world.connection.id
    payments, _ = await store.list_payments(PaymentFilter(connection_id=name), limit=100)
    deliveries, _ = await store.list_deliveries(DeliveryFilter(connection_id=name), limit=100)
    states = {delivery.delivery_id: delivery.state for delivery in deliveries}
    twice = {payment_id: count for payment_id, count in world.bank.executed.items() if count > 1}
    health = await store.health(name)
    discrepancies = await store.list_discrepancies(connection_ids=[name], limit=100)
    if world.bank.lies:  # then nobody can prevent every harm; but nothing is executed twice without somebody being told
        told = {(one.kind, one.payment_id) for one in discrepancies[0]}
        # A second attempt that it rejects, after the lie was booked, is no second execution but a contradiction, told as one.
        unknown = {one for one in twice if not {("paid_twice", one), ("contradiction", one)} & told}
        assert not unknown, f"executed more than once at the bank, and nobody knows: {unknown}"
        world.chaos.seen["paid twice by a lie"] += len(twice)
        world.chaos.seen["held because of a lie"] += len({one for kind, one in told if kind == "contradiction"} - set(twice))
        return
    assert not twice, f"executed more than once at the bank: {twice}"
    for payment in payments:
        world.chaos.seen["out again as normal"] += payment.refused is not None
        truth = world.bank.verdicts.get(payment.transfer.instruction_id)
        if payment.payment_id in world.bank.refused and payment.refused is None:
            # Not at all, but for the one case in which the refusal may be of a copy.
            assert payment.state is PaymentState.REJECTED
            assert next(one for one in deliveries if one.delivery_id == payment.delivery_id).attempt > 1
        elif truth is not None:
            assert payment.state is truth
        elif payment.state is PaymentState.BATCHED:
            assert states[payment.delivery_id] is DeliveryState.IN_DOUBT
            assert health.deliveries_in_doubt > 0
        else:
            assert payment.state is PaymentState.HELD, f"{payment.state}: not with the bank, and nobody sees it"
            assert discrepancies[0]
        events = await store.payment_events(payment.payment_id)
        assert events[-1].state is payment.state
        assert all(before.state is after.previous_state for before, after in pairwise(events))
    inbound, _ = await store.list_inbound(connection_id=name, limit=1000)
    assert {file.state for file in inbound} <= {"read"}


def orders(desk: Any, dice: random.Random, name: str, connection_id: str, share: float) -> list[NewPayment]:
    """Some payments; that share of them asks for instant, else normal."""
    made = []
    for number in range(dice.randint(1, 4)):
        row = replace(desk.row(f"{name}-{number}"), connection_id=connection_id)
        if share and dice.random() < share:
            kind = PaymentType(service_level="SEPA", local_instrument="INST")
            choice = InstantChoice.INSTANT_ELSE_NORMAL
            row = replace(row, terms=replace(row.terms, payment_type=kind), instant=choice, may_fall_back=True)
        made.append(row)
    return made


async def simulate(
    make_desk: Any,
    files: Any,
    seeds: range,
    *,
    claimed: str,
    idempotent: bool,
    share: float = 0.0,
    lies: bool = False,
    **settings: object,
) -> Counter[str]:
    """Many lives over one database, each on a connection of its own; what went wrong in them. `share`: of instant payments."""
    seen: Counter[str] = Counter()
    desk = await make_desk(guarantee=GUARANTEES[claimed], retry=RETRY, **settings)
    for seed in seeds:
        dice = random.Random(f"{claimed} {seed}")
        own = replace(desk.connection, settings=desk.connection.settings.model_copy(update={"id": f"bank-{seed}"}))
        rows = orders(desk, dice, f"{claimed}-{seed}", own.id, share)
        world = World(desk.store, own, desk.clock, Bank(dice, files, idempotent, lies), Chaos(dice, seen))
        try:
            await live(world, rows, turns=dice.randint(4, 9))
            await compare(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed} of {claimed}: {error}") from error
    return seen


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, and no disk syncs: here processes die, the machine does not."""
    connect = connection.connect

    def unsynced(*values: Any, **named: Any) -> sqlite3.Connection:
        db = connect(*values, **named)
        db.execute("PRAGMA synchronous = OFF")
        return db

    monkeypatch.setattr(connection, "connect", unsynced)
    monkeypatch.setattr(outcome, "RECORD_AGAIN", timedelta(0))


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_whatever_breaks_nothing_is_paid_twice_and_nothing_is_lost(make_desk, files, guarantee: str) -> None:
    seen = await simulate(make_desk, files, range(SEEDS), claimed=guarantee, idempotent=guarantee == "idempotent")
    kind = [what for what, times in seen.items() if not times and what != "out again as normal"]
    assert not kind, "the world was too kind for this to prove anything"


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_payment_that_goes_out_again_as_normal_is_executed_once_all_the_same(make_desk, files, guarantee: str) -> None:
    idempotent = guarantee == "idempotent"
    seen = await simulate(make_desk, files, range(SEEDS // 2), claimed=guarantee, idempotent=idempotent, share=0.8)
    assert seen["out again as normal"] > 2


async def test_what_a_lying_bank_executes_twice_is_told_every_time(make_desk, files) -> None:
    seen = await simulate(make_desk, files, range(SEEDS), claimed="blind", idempotent=False, share=1.0, lies=True)
    assert seen["paid twice by a lie"] + seen["held because of a lie"] > 5


async def test_the_simulation_catches_a_gateway_that_takes_silence_for_a_refusal(make_desk, files, monkeypatch) -> None:
    """The control of the fall-back."""
    read_waiting = Intake.read_waiting

    async def impatient(self: Intake) -> int:
        where = PaymentFilter(connection_id=self.connection.id, states=(PaymentState.SENT,))
        silent = [one.payment_id for one in (await self.store.list_payments(where, limit=100))[0] if one.may_fall_back]
        candidates = await self.store.find_candidates(self.connection.id, Keys(payment_ids=tuple(silent)))
        origin = Origin(connection_id=self.connection.id, inbound_file_id=0, source="control")
        changes = [second_attempt(one, Reason(code="TIME"), origin, None, "") for one in candidates]
        await self.store.change_payments(changes)
        return await read_waiting(self)

    monkeypatch.setattr(Intake, "read_waiting", impatient)
    with pytest.raises(AssertionError, match="executed more than once"):
        await simulate(make_desk, files, range(SEEDS), claimed="blind", idempotent=False, share=0.8)


async def test_the_simulation_catches_a_gateway_that_takes_an_echo_for_a_refusal(make_desk, files, monkeypatch) -> None:
    """The control of its proof: "seen before", said of the copy of a message that is being executed, and no second look later."""
    monkeypatch.setattr("gateway.news.is_duplicate", lambda _: False)
    monkeypatch.setattr("gateway.apply.is_duplicate", lambda _: False)
    monkeypatch.setattr("gateway.apply.handed_over_once", lambda _: True)
    monkeypatch.setattr("gateway.apply.executed_after_all", lambda *_: False)
    lax = {"instant": {"fall_back_codes": [*FALL_BACK_REASONS, "DU01"]}}
    with pytest.raises(AssertionError, match="of idempotent"):  # one life in ten comes to this: paid twice, or books that differ
        await simulate(make_desk, files, range(4 * SEEDS), claimed="idempotent", idempotent=True, share=1.0, **lax)


async def test_the_simulation_catches_a_gateway_that_sends_again_without_asking(make_desk, files) -> None:
    """The control: a bank that executes whatever arrives, and a configuration that claims it would not."""
    with pytest.raises(AssertionError, match="executed more than once"):
        await simulate(make_desk, files, range(SEEDS), claimed="idempotent", idempotent=False)


async def test_the_simulation_catches_a_gateway_that_takes_absence_for_proof_at_once(make_desk, files, monkeypatch) -> None:
    """The control of the quiet time: bytes that are still on their way land after the bank said that it has nothing."""
    monkeypatch.setattr(Courier, "_absence_counts", lambda *_: True)
    with pytest.raises(AssertionError, match="executed more than once"):
        await simulate(make_desk, files, range(SEEDS), claimed="queryable", idempotent=False)
