"""A seeded simulation: the production code over the real store, against a bank that keeps books and a world that breaks things.

One seed decides everything: which await is the last of a process, what becomes of each send, when another worker takes the lane
over, when the bank answers, how often and in which order. Then the world calms down, and the books are compared:

* nothing was executed twice at the bank;
* nothing is lost: each payment stands where the bank says, or waits where a person sees it;
* whatever the bank said was read, and the events of each payment end in its state.

The control sends again without asking anybody. It must be caught.
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
from gateway import outcome
from gateway.delivery import Courier
from gateway.intake import Intake
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.prepare import Preparer
from gateway.store.records import DeliveryFilter, NewPayment, PaymentFilter
from gateway.store.sqlite import connection
from gateway.store.store import Stale, StoreUnavailable
from gateway.telemetry import Metrics

SEEDS = 30  # for each guarantee
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
    arrived: dict[str, bytes] = field(default_factory=dict)
    executed: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, PaymentState] = field(default_factory=dict)
    offers: list[tuple[str, bytes]] = field(default_factory=list)
    later: list[bytes] = field(default_factory=list)  # news not offered yet

    def take(self, name: str, data: bytes) -> None:
        text = data.decode()
        (message_id,) = re.findall(r"<MsgId>(\w+)</MsgId>", text)
        again = name in self.arrived
        self.arrived[name] = data
        if again and self.idempotent:
            seen = "<StsRsnInf><Rsn><Cd>DU01</Cd></Rsn></StsRsnInf>"
            self.later.append(self.files.pain002(message_id, group="RJCT", reasons=seen).encode())
            return
        for payment_id, end_to_end_id in re.findall(r"<InstrId>(\w+)</InstrId><EndToEndId>([\w-]+)<", text):
            self.executed[payment_id] += 1
            self._decide(message_id, payment_id, end_to_end_id)

    def _decide(self, message_id: str, payment_id: str, end_to_end_id: str) -> None:
        files, verdict = self.files, self.dice.choice([PaymentState.SETTLED] * 3 + [PaymentState.REJECTED, PaymentState.RETURNED])
        self.verdicts[payment_id] = verdict

        def status(word: str, reason: str | None = None) -> bytes:
            body = files.block(f"{message_id}-1", files.transaction(payment_id, end_to_end_id, word, reason))
            return files.pain002(message_id, group=self.dice.choice([None, "PART"]), body=body).encode()

        news = [status("ACTC"), status("ACSP")]
        if verdict is PaymentState.REJECTED:
            news = [news[0], status("RJCT", "AC04")]
        else:
            references = self.dice.choice(
                [f"<EndToEndId>{end_to_end_id}</EndToEndId>", f"<MsgId>{message_id}</MsgId><InstrId>{payment_id}</InstrId>"]
            )
            news.append(files.camt054(files.entry("10.00", references)).encode())
        if verdict is PaymentState.RETURNED:
            why = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
            back = files.entry("10.00", f"<EndToEndId>{end_to_end_id}</EndToEndId>", direction="CRDT", details=why)
            news.append(files.camt054(back).encode())
        for item in news:
            copies = self.dice.choice([1, 1, 2, 3])  # the same again, and the same said in another file
            self.later += [item + b"<!-- %d -->" % self.dice.randrange(2) for _ in range(copies)]

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
    for _ in range(7):
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
    assert not twice, f"executed more than once at the bank: {twice}"
    health = await store.health(name)
    discrepancies = await store.list_discrepancies(connection_ids=[name], limit=100)
    for payment in payments:
        truth = world.bank.verdicts.get(payment.payment_id)
        if truth is not None:
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


async def simulate(make_desk: Any, files: Any, seeds: range, *, claimed: str, idempotent: bool) -> Counter[str]:
    """Many lives over one database, each on a connection of its own; what went wrong in them."""
    seen: Counter[str] = Counter()
    desk = await make_desk(guarantee=GUARANTEES[claimed], retry=RETRY)
    for seed in seeds:
        dice = random.Random(f"{claimed} {seed}")
        settings = desk.connection.settings.model_copy(update={"id": f"bank-{seed}"})
        own = replace(desk.connection, settings=settings)
        rows = [replace(desk.row(f"{claimed}-{seed}-{number}"), connection_id=own.id) for number in range(dice.randint(1, 4))]
        world = World(desk.store, own, desk.clock, Bank(dice, files, idempotent), Chaos(dice, seen))
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
    assert not [what for what, times in seen.items() if not times], "the world was too kind for this to prove anything"


async def test_the_simulation_catches_a_gateway_that_sends_again_without_asking(make_desk, files) -> None:
    """The control: a bank that executes whatever arrives, and a configuration that claims it would not."""
    with pytest.raises(AssertionError, match="executed more than once"):
        await simulate(make_desk, files, range(SEEDS), claimed="idempotent", idempotent=False)


async def test_the_simulation_catches_a_gateway_that_takes_absence_for_proof_at_once(make_desk, files, monkeypatch) -> None:
    """The control of the quiet time: bytes that are still on their way land after the bank said that it has nothing."""
    monkeypatch.setattr(Courier, "_absence_counts", lambda *_: True)
    with pytest.raises(AssertionError, match="executed more than once"):
        await simulate(make_desk, files, range(SEEDS), claimed="queryable", idempotent=False)
