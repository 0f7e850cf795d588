"""One life: processes, clocks, network, bank and people, all driven by one seed."""

import asyncio
import gc
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from channels.channel import Channel
from formats.bank import bank_named
from formats.model import Account, Party, PaymentType, PostalAddress
from gateway.config_load import ConfigurationProblems
from gateway.connection import Connection
from gateway.delivery import Courier
from gateway.dialogue.channel import DialogueChannel
from gateway.engine.local import LocalEngine
from gateway.instant import InstantChoice
from gateway.intake import Intake
from gateway.lanes import fetch_lane
from gateway.lifecycle import ATTEMPT_STARTS, DeliveryState, PaymentState
from gateway.payment import PaymentOrder
from gateway.prepare import Preparer
from gateway.recall_lane import Recaller
from gateway.review_gate import Gate
from gateway.screening_lists import ScreeningProblems
from gateway.service import Gateway
from gateway.store.records import DeliveryChange
from gateway.store.store import StoreUnavailable
from gateway.telemetry import Metrics
from gateway.worker import FetchLane, SendLane
from keys.plain import PlainSeal
from tests.sim.bank import QUIET, Bank
from tests.sim.channel import SimChannel
from tests.sim.checkers import Checkers
from tests.sim.disk import Disk, SimStore
from tests.sim.ebics_bank import EbicsBank
from tests.sim.ebics_channel import SimEbicsChannel, profile, subscriber_note
from tests.sim.loop import OWNER, Holder, VirtualLoop
from tests.sim.settings import NOWHERE, START, WORLDS, WorldKind, configuration, fresh_database

if TYPE_CHECKING:
    from tests.sim.people import Callers

PAYMENTS_MAX = 6
LANE_LEASE = timedelta(seconds=30)
METRICS = Metrics()
NOT_STARTED = (StoreUnavailable, ConfigurationProblems, ScreeningProblems)
BANK = bank_named("iso20022")
STRUCK_AT_A_STEP = 0.0012  # killed or stopped, at each step of a process


class Lane(Protocol):
    """What an engine turns."""

    async def pump(self) -> datetime | None: ...


@dataclass
class Judging:
    """What a worker has where payments are judged: nothing, in most worlds."""

    gate: Gate | None = None
    lanes: dict[str, Lane] = field(default_factory=dict)
    recaller: Recaller | None = None


class Process(Holder):
    """One incarnation of a worker or a server. It remembers nothing of the one before."""

    def __init__(self, world: "World", role: str, number: int) -> None:
        super().__init__()
        self.world = world
        self.role = role
        self.name = f"{role} {number}"
        self.skew = world.dice.uniform(-1.5, 1.5)
        self.stops: list[float] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.store = SimStore(world.disk, self.name, self.clock, lambda: 0.004 * world.dice.random())
        self.store.before_change = lambda change: world.before_change(self, change)
        self.gateway: Gateway | None = None
        self.judging = Judging()
        self._context = copy_context()
        self._context.run(OWNER.set, self)

    def clock(self) -> datetime:
        """The wall clock as this process reads it."""
        return self.world.now() + timedelta(seconds=self.skew)

    def stopped_since(self, moment: float) -> bool:
        return any(stop >= moment for stop in self.stops)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs in this process, and dies with it."""
        task = self.world.loop.create_task(work, context=self._context.copy())
        self.tasks.append(task)
        return task

    def start(self) -> None:
        """Raises `StoreUnavailable`, or what is wrong with its rules: then it ends at once, and somebody starts another."""
        self.store.start()
        if self.role == "worker":
            self.judging = self.world.judging(self)
            self.spawn(self._work())
        else:
            self.gateway = self.world.gateway(self)
        self.world.tell(self, "starts")

    async def _work(self) -> None:
        world = self.world
        own, channels = world.connect(self)
        below = world.dice.randrange
        preparer = Preparer(
            self.store, own, self.clock, METRICS, new_id=world.new_message_id, below=below, gate=self.judging.gate
        )
        courier = Courier(self.store, own, channels[0], preparer, self.clock, METRICS)
        courier.recorder.jitter = world.dice
        courier.uptime = world.loop.time
        intake = Intake(self.store, own, channels[1], self.clock, METRICS)
        lanes: dict[str, Lane] = {
            **self.judging.lanes,
            "bank": SendLane(courier, preparer, self.judging.recaller),
            fetch_lane("bank"): FetchLane(
                intake,
                self.clock,
                timedelta(seconds=own.settings.schedule.fetch_seconds),
                channels[1].next_due if isinstance(channels[1], DialogueChannel) else None,
            ),
        }
        engine = LocalEngine(
            self.store,
            list(lanes),
            owner=self.name,
            report=self._report,
            clock=self.clock,
            lease=LANE_LEASE,
        )
        try:
            for lane in lanes:
                await self.store.wake_lane(lane)
            await engine.run(lambda lane: lanes[lane].pump())
        except StoreUnavailable as error:
            world.tell(self, f"ends: {error}")
            world.end(self)

    def _report(self, lane: str, fault: Exception) -> None:
        self.world.reported(self, lane, fault)


class World:
    """See the module. `live` runs it to its end; then `violation` is what was wrong, or None."""

    def __init__(self, seed: int, name: str, *, kind: WorldKind | None = None, payments_max: int = PAYMENTS_MAX) -> None:
        self.seed = seed
        self.payments_max = payments_max
        self.name = name
        self.kind = kind or WORLDS[name]
        self.dice = random.Random(f"{name} {seed}")
        self.seen: Counter[str] = Counter()
        self.story: list[tuple[float, str, str, int]] = []  # when, who, what, how often
        self.violation: str | None = None
        self.chaos = True
        self.processes: list[Process] = []
        self.buried: list[Process] = []
        self.flying: Counter[str] = Counter()
        self.about_to_write: dict[str, list[Process]] = {}  # by delivery id: who is stopped just before it writes an outcome
        self.wrong_words: set[str] = set()  # messages of which a person wrongly said that they did not arrive
        self.arrived_words: set[str] = set()  # of which a person wrongly said that they did
        self.last_sent: dict[str, float] = {}  # when a worker last had to do with sending a file
        self._steps_left = self._until_a_step_strikes()
        self._numbers: Counter[str] = Counter()
        self._outside = Context()
        self.loop = VirtualLoop(lambda: 0.004 * self.dice.random())
        self.loop.before_step = self._before_step  # type: ignore[assignment]
        self.over: asyncio.Future[None] = self.loop.create_future()
        self._db = fresh_database()
        self.disk = Disk(self._db)
        self._make_sides()
        self.disk.on_commit = self.checkers.committed
        self.disk.struck = lambda what: self.note("disk", _BLOWS[what])

    checkers_kind: type[Checkers] = Checkers

    def _make_sides(self) -> None:
        """What we are configured as, the bank, and who watches both."""
        self.configuration = configuration(self.kind)
        self.bank: Bank = Bank(
            dice=self.dice,
            later=self.later,
            now=self.loop.time,
            tell=lambda text: self.tell("bank", text),
            on_take=lambda taken: self.checkers.taken(taken),  # noqa: PLW0108 - they are made below
            idempotent=self.kind.guarantee == "idempotent",
            lies=self.kind.lies,
            days=self.kind.days,
            seen=self.seen,
        )
        self.checkers = self.checkers_kind(
            db=self._db,
            bank=self.bank,
            fail=self.fail,
            tell=self.tell,
            now=self.loop.time,
            may_double=self.wrong_words.__contains__,
            in_flight_max=self.kind.in_flight,
        )
        self.ebics = EbicsBank(self) if self.kind.ebics else None
        if self.ebics is not None:
            note = subscriber_note(profile(self.ebics.version, self.ebics.segment_chars))
            self._db.execute("INSERT INTO channel_notes (name, content, updated_at) VALUES (?, ?, 0)", note)

    def connect(self, process: Process) -> tuple[Connection, list[Channel]]:
        """What a worker holds of the connection, with a channel to send and one to fetch."""
        settings = self.configuration.connections["bank"]
        own = Connection(settings, BANK, PlainSeal(), "", NOWHERE, process.clock)
        build = SimChannel if self.ebics is None else SimEbicsChannel
        return own, [build(self, process, own.guarantee) for _ in range(2)]

    def gateway(self, process: Process) -> Gateway:
        """What a server serves."""
        return Gateway(self.configuration, process.store, clock=process.clock, metrics=METRICS, new_id=self.new_payment_id)

    # -- what other worlds have more -----------------------------------------------------------------------------------

    def judging(self, process: Process) -> Judging:
        """What a worker judges with."""
        del process
        return Judging()

    def crowd(self, callers: "Callers") -> list[Coroutine[Any, Any, None]]:
        """Who lives here beside the callers."""
        del callers
        return []

    def calmed(self) -> None:
        """Nothing breaks any more."""

    def moves(self) -> bool:
        """Whether something is still to happen that `tests.sim.life` does not know of."""
        return False

    def explains(self, payment_id: str, state: PaymentState) -> bool:
        """Whether a payment that never left is where it belongs."""
        del payment_id, state
        return False

    def compare(self) -> None:
        """More books side by side, at the end."""

    # -- what is true --------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self.loop.time())

    def order(self, number: int) -> PaymentOrder:
        """One more payment that a caller wants, instant or not."""
        dice = self.dice
        instant = InstantChoice.INSTANT_ELSE_NORMAL if self.kind.instant and dice.random() < self.kind.instant else None
        made = PaymentOrder(
            payment_reference=f"INV-{number}",
            connection_id="bank",
            amount=Decimal(dice.randint(1, 99999)) / 100,
            currency="EUR",
            content_sha256=b"",
            charge_bearer="SLEV",
            payment_type=PaymentType(service_level="SEPA") if self.kind.instant else None,
            creditor=Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
            creditor_account=Account(iban="DE89370400440532013000"),
            instant=instant,
        )
        return replace(made, content_sha256=hashlib.sha256(repr(made).encode()).digest())

    def truth(self, message_id: str, name: str) -> bool | None:
        """What the bank says of a message on the telephone; None while it may still be on its way."""
        del message_id
        if name in self.bank.arrived or name in self.bank.rejected:
            return True
        last = self.last_sent.get(name, 0.0)
        return False if self.loop.time() - last > QUIET and name not in self.flying else None

    # -- the story -----------------------------------------------------------------------------------------------------

    def tell(self, who: "Process | str", text: str) -> None:
        if self.violation is not None or self.loop.reaping:
            return
        name = who if isinstance(who, str) else who.name
        if self.story and self.story[-1][1:3] == (name, text):
            self.story[-1] = (*self.story[-1][:3], self.story[-1][3] + 1)
        else:
            self.story.append((self.loop.time(), name, text, 1))

    def note(self, who: "Process | str", what: str, more: str = "") -> None:
        """A fault struck: counted, and told."""
        self.seen[what] += 1
        self.tell(who, f"{what} {more}".strip())

    def fail(self, what: str) -> None:
        """Something that must never happen has happened: the life ends here."""
        if self.violation is None:
            self.tell("checkers", f"VIOLATION: {what}")
            self.violation = what
            if not self.over.done():
                self.over.set_result(None)

    def reported(self, process: Process, lane: str, fault: Exception) -> None:
        """The engine's report of a failed turn. What is no named error is a fault of ours, and a finding."""
        name = type(fault).__name__
        self.seen[f"turn failed: {name}"] += 1
        self.tell(process, f"reports of lane {lane or '-'}: {name}: {fault}"[:160])
        if name not in {"StoreUnavailable", "LeaseLost", "Stale"}:
            self.fail(f"{process.name}: lane {lane} fell over {name}: {fault}")

    # -- chance --------------------------------------------------------------------------------------------------------

    def strikes(self, what: str, chance: float) -> bool:
        """Whether it happens, now. In the calm at the end nothing does."""
        if not self.chaos or self.dice.random() >= chance:
            return False
        self.note("fate", what)
        return True

    def new_payment_id(self) -> str:
        return f"{int(self.loop.time() * 1000):012x}7{self.dice.getrandbits(76):019x}"

    def new_message_id(self, now: datetime) -> str:
        return now.strftime("BG%y%m%d%H%M%S") + "".join(self.dice.choice("ABCDEFGHJK") for _ in range(10))

    def later(self, seconds: float, call: Callable[[], None], flying: str = "") -> None:
        """A timer of the world, which outlives every process."""
        self.flying[flying] += 1

        def ring() -> None:
            self.flying[flying] -= 1
            self.flying += Counter()
            call()

        self.loop.call_later(seconds, ring, context=self._outside)

    async def never(self) -> None:
        """What a process that was just killed waits for."""
        await self.loop.create_future()

    # -- processes -----------------------------------------------------------------------------------------------------

    def _before_step(self, process: Process) -> None:
        if not self.chaos:
            return
        self._steps_left -= 1
        if self._steps_left:
            return
        self._steps_left = self._until_a_step_strikes()
        if self.dice.random() < 0.5:
            self.kill(process, "between two awaits")
        else:
            self.pause(process, "between two awaits")

    def _until_a_step_strikes(self) -> int:
        """Steps, as many as independent chances at each would let pass."""
        return 1 + int(self.dice.expovariate(STRUCK_AT_A_STEP))

    def start(self, role: str) -> None:
        """Starts a process; if it cannot, tries again."""
        self._numbers[role] += 1
        process = Process(self, role, self._numbers[role])
        try:
            process.start()
        except NOT_STARTED as error:
            self.tell(process, f"cannot start: {error}"[:120])
            self.end(process)
            return
        self.processes.append(process)

    def kill(self, process: Process, where: str) -> None:
        """kill -9."""
        if not process.dead:
            self.note(process, "killed", where)
            self.end(process)

    def end(self, process: Process) -> None:
        """It is gone; its supervisor starts another."""
        process.dead = True
        process.store.end()
        self.buried.append(process)
        if process in self.processes:
            self.processes.remove(process)
        self.later(self.dice.choice([0.5, 5, 60]) * self.dice.random(), lambda: self.start(process.role))

    def pause(self, process: Process, where: str, seconds: float | None = None) -> None:
        """SIGSTOP, and SIGCONT after a while: seconds, longer than a lane's lease, than a send's, or than the quiet time."""
        if process.dead or process.paused:
            return
        duration = self.dice.choice([1, 60, 60, 500, 2500]) * self.dice.random() if seconds is None else seconds
        process.paused = True
        process.stops.append(self.loop.time())
        self.note(process, "stopped", f"{where}, for {duration:.0f} s")

        self.later(duration, lambda: self.resume(process))

    def resume(self, process: Process) -> None:
        """SIGCONT, if it is stopped."""
        if process.paused and not process.dead:
            self.tell(process, "goes on")
            self.loop.resume(process)

    def before_change(self, process: Process, change: DeliveryChange) -> None:
        """A process has looked at a message and is about to write: the worst moment to be stopped until others have moved it."""
        if process.role != "worker":
            return
        if change.event in ATTEMPT_STARTS:
            if self.strikes("stopped before it writes a start", 0.05):
                self.pause(process, "before it writes a start", self.dice.uniform(20, 300))
            return
        late = self.kind.late_writers
        if change.state is DeliveryState.SENDING and self.strikes("stopped before it writes an outcome", late):
            self.pause(process, "before it writes an outcome", self.dice.choice([100, 1000, 5000]) * self.dice.random())
            self.about_to_write.setdefault(change.delivery_id, []).append(process)

    def under_way(self, message_id: str) -> None:
        """Bytes of a message leave. Whoever is about to write the outcome of an attempt before does so now, perhaps."""
        for process in self.about_to_write.pop(f"d{message_id[2:].lower()}", []):
            if self.dice.random() < 0.7:
                self.resume(process)

    def begins_to_send(self, process: Process, name: str) -> None:
        """Nothing may leave outside the bank's hours, by the sender's own clock."""
        window, now = self.kind.window, process.clock()
        if window is not None and not window[0] <= now.time() < window[1]:
            self.fail(f"{process.name} sends {name} at {now:%H:%M:%S} by its clock, and the window is {window[0]} to {window[1]}")

    def serving(self) -> Process | None:
        """A server that a caller reaches: any that is not dead. It may be stopped, and then it does not answer."""
        found = [process for process in self.processes if process.role == "serve"]
        return self.dice.choice(found) if found else None

    # -- life ----------------------------------------------------------------------------------------------------------

    def live(self, script: Callable[["World"], Coroutine[Any, Any, None]]) -> "World":
        """Runs the script until it ends or something is wrong. Garbage is collected afterwards: what that finds (generators left
        in the middle, which the loop then ends) would come at another step each time."""
        asyncio.events.set_event_loop(None)
        collects = gc.isenabled()
        gc.disable()
        try:
            main = self.loop.create_task(script(self))
            self.loop.run_until_complete(self._until(main))
        finally:
            self._reap()
            if collects:
                gc.enable()
        return self

    async def _until(self, main: "asyncio.Task[None]") -> None:
        await asyncio.wait([main, self.over], return_when=asyncio.FIRST_COMPLETED)
        if main.done() and self.violation is None:
            main.result()

    def _reap(self) -> None:
        """Ends what is left without effect: every store is closed first."""
        for process in self.processes:
            process.dead = True
            process.store.end()
        self.loop.reaping = True
        self.loop.set_exception_handler(lambda *_: None)
        for _ in range(5):
            left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            for process in (*self.processes, *self.buried):
                self.loop.resume(process)
            self.loop.run_until_complete(asyncio.wait(left, timeout=5))
        self._db.close()
        self.loop.close()


_BLOWS = {
    "full": "disk full at a statement",
    "io": "disk error at a statement",
    "unknown": "commit took effect and was told as failed",
}
