"""Who lives in a world: callers who submit, repeat, cancel and watch; a person who decides; and fate."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from gateway.callers import Caller
from gateway.errors import Conflict, NotFound, TooLate
from gateway.lifecycle import DeliveryState
from gateway.payment import PaymentOrder
from gateway.service import Gateway
from gateway.store.records import DeliveryFilter
from gateway.store.store import StoreUnavailable
from gateway.use_cases.payments import Submitted
from tests.sim.world import Process, World

T = TypeVar("T")

EVERYTHING = frozenset({"submit", "read", "cancel", "statements", "operate", "replay"})
PATIENCE = 20.0  # seconds until a caller takes a server for dead
IN_DOUBT = DeliveryFilter(states=(DeliveryState.IN_DOUBT,))


async def call(world: World, use: Callable[[Gateway], Awaitable[T]]) -> T:
    """Asks any server until one answers. Errors of the gateway itself are answers."""
    while True:
        server = world.serving()
        if server is None or server.gateway is None:
            await asyncio.sleep(1)
            continue
        task = server.spawn(_answered(use, server.gateway))
        await asyncio.wait([task], timeout=PATIENCE)
        if not task.done():
            world.seen["a server did not answer"] += 1
            continue
        answer: T | Exception = task.result()
        if isinstance(answer, StoreUnavailable):
            world.seen["a server could not answer"] += 1
            await asyncio.sleep(2)
            continue
        if world.strikes("answer to a caller lost", 0.08):
            continue
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _answered(use: Callable[[Gateway], Awaitable[T]], gateway: Gateway) -> T | Exception:
    try:
        return await use(gateway)
    except Exception as error:
        return error


@dataclass
class Callers:
    """One ERP system: what it wants paid, what it was told, and the events it has seen."""

    world: World
    who: Caller = field(default_factory=lambda: Caller("erp", ("*",), EVERYTHING))
    ids: dict[str, str] = field(default_factory=dict)  # what was acknowledged: payment id by reference
    asked: dict[str, PaymentOrder] = field(default_factory=dict)
    seen: list[tuple[int, str, str]] = field(default_factory=list)
    cursor: str = ""

    async def submit_all(self, count: int) -> None:
        """Everything it wants paid, in a few calls, each repeated until it is acknowledged."""
        dice = self.world.dice
        orders = [self.world.order(number) for number in range(count)]
        self.asked = {order.payment_reference: order for order in orders}
        while orders:
            await asyncio.sleep(dice.choice([1, 30, 600]) * dice.random())
            some = [orders.pop() for _ in range(dice.randint(1, len(orders)))]
            if self.ids and dice.random() < 0.3:
                some.append(self.asked[dice.choice(sorted(self.ids))])  # one it has forgotten that it submitted
            await self._submit(some)

    async def _submit(self, orders: list[PaymentOrder]) -> None:
        self.world.tell("erp", f"submits {', '.join(order.payment_reference for order in orders)}")
        answer = await call(self.world, lambda gateway: gateway.submit(self.who, orders))
        self._believe(answer)

    def _believe(self, answer: list[Submitted]) -> None:
        for one in answer:
            known = self.ids.setdefault(one.payment_reference, one.payment_id)
            if known != one.payment_id:
                self.world.fail(f"{one.payment_reference} was acknowledged as two payments")
            self.world.checkers.acknowledge(one.payment_id, one.payment_reference)
            self.world.tell("erp", f"knows {one.payment_reference} as payment {one.payment_id[-4:]}")

    async def change_their_mind(self) -> None:
        """Sometimes the same reference with another amount, sometimes a cancellation."""
        world, dice = self.world, self.world.dice
        await asyncio.sleep(900 * dice.random())
        if not self.ids:
            return
        reference = dice.choice(sorted(self.ids))
        if dice.random() < 0.5:
            other = replace(self.asked[reference], amount=Decimal("1000000.01"), content_sha256=b"x" * 32)
            try:
                await call(world, lambda gateway: gateway.submit(self.who, [other]))
            except Conflict:
                world.seen["other content under a known reference refused"] += 1
            else:
                world.fail(f"{reference} was taken again with another amount")
            return
        await self._cancel(reference)

    async def read_again(self) -> None:
        """An operator has files read again, as after a parser fix."""
        world, dice = self.world, self.world.dice
        for _ in range(3):
            await asyncio.sleep(900 * dice.random())
            found, _ = await call(world, lambda gateway: gateway.list_inbound(self.who, "bank", "read", 100, None))
            if found:
                file = dice.choice(found)
                await call(world, lambda gateway, number=file.inbound_file_id: gateway.reread(self.who, number))
                world.note("anna", "a file read again", file.name)

    async def give_up_what_is_held(self) -> None:
        """What is held did not leave, it was told: it cancels that, and pays by other means."""
        tried: set[str] = set()
        while self.world.chaos:
            await asyncio.sleep(400 * self.world.dice.random())
            now = {payment_id: state for _, payment_id, state in self.seen}
            for reference, payment_id in sorted(self.ids.items()):
                if now.get(payment_id) == "held" and reference not in tried:
                    tried.add(reference)
                    if self.world.dice.random() < 0.5:
                        await self._cancel(reference)

    async def _cancel(self, reference: str) -> None:
        try:
            done = await call(self.world, lambda g: g.cancel(self.who, payment_reference=reference, reason="no longer wanted"))
        except (TooLate, NotFound):
            return
        self.world.note("erp", "cancelled in time", reference)
        self.world.checkers.cancel(done.payment_id)

    async def watch(self) -> None:
        """Reads the feed for as long as the world lasts, and resumes wherever it was cut off."""
        while True:
            server = self.world.serving()
            if server is not None and server.gateway is not None:
                task = server.spawn(self._watch(server))
                await asyncio.wait([task], timeout=(300 if self.world.chaos else 40_000) * self.world.dice.random())
                if not task.done():
                    task.cancel()  # it hangs up, or was cut off
                    self.world.seen["watcher resumed"] += 1
            await asyncio.sleep(5)

    async def _watch(self, server: Process) -> None:
        assert server.gateway is not None
        try:
            async for events in server.gateway.watch(self.who, self.cursor, (), stop_at_end=False):
                self.heard(events)
        except StoreUnavailable:
            return

    def heard(self, events: list[Any]) -> None:
        """They reached the caller: it goes on from there."""
        self.seen += [(int(event.cursor), event.payment_id, event.state.value) for event in events]
        self.cursor = events[-1].cursor


@dataclass
class Person:
    """Decides about messages in doubt. `careless`: may say "did not arrive" of what did."""

    world: World
    careless: bool
    who: Caller = field(default_factory=lambda: Caller("anna", ("*",), EVERYTHING))
    chances: int = 3  # to be wrong

    async def work(self) -> None:
        """Looks in from time to time."""
        while True:
            hurry = self.careless and self.world.chaos  # before the bank's own news tells
            await asyncio.sleep((20 + 100 * self.world.dice.random()) if hurry else (100 + 900 * self.world.dice.random()))
            found, _ = await call(self.world, lambda gateway: gateway.list_deliveries(self.who, IN_DOUBT, 100, None))
            for delivery in found:
                await self._decide(delivery.delivery_id, delivery.attempt, delivery.file_name, delivery.message_id)

    async def _decide(self, delivery_id: str, attempt: int, name: str, message_id: str) -> None:
        world = self.world
        arrived = world.truth(message_id, name)
        if world.chaos and self.chances and world.dice.random() < (0.8 if self.careless else 0.4):
            self.chances -= 1
            if arrived is not True and (not self.careless or world.dice.random() < 0.2):
                arrived = True
                world.note("anna", "a person wrongly said 'arrived'", message_id)
                world.arrived_words.add(message_id)
            elif arrived is True and self.careless:
                arrived = False
                world.note("anna", "a person wrongly said 'did not arrive'", message_id)
                world.wrong_words.add(message_id)
        if arrived is None:
            return
        word = "the bank's hotline was asked and looked it up"
        try:
            await call(world, lambda gateway: gateway.resolve_delivery(self.who, delivery_id, arrived, word, attempt=attempt))
        except TooLate:
            world.seen["a person decided too late"] += 1
        else:
            world.note("anna", f"a person decided {'arrived' if arrived else 'did not arrive'}", message_id)


async def fate(world: World) -> None:
    """What happens to machines: clocks that jump, disks that fill up and go away, processes that die at any statement."""
    dice, disk = world.dice, world.disk
    while True:
        await asyncio.sleep(400 * dice.random())
        what = dice.choice(["clock", "clock", "clock", "fuse", "fuse", "fuse", "full", "gone", "kill", "stop"])
        process = dice.choice(world.processes) if world.processes else None
        if what == "fuse":
            disk.fuse, disk.blow = dice.randint(1, 40), dice.choice(["full", "full", "io", "unknown"])
        elif what == "full":
            await _for_a_while(world, "full", "the disk is full")
        elif what == "gone":
            await _for_a_while(world, "gone", "the database is gone")
        elif process is None:
            continue
        elif what == "clock":
            jump = dice.choice([5, 900, 7200]) * dice.uniform(-1, 1)
            process.skew += jump
            world.note(process, "clock jumped", f"by {jump:+.0f} s")
            disk.look_again()
        elif what == "kill":
            world.kill(process, "by the operating system")
        else:
            world.pause(process, "by the operating system")


async def _for_a_while(world: World, what: str, words: str) -> None:
    world.note("disk", words)
    setattr(world.disk, what, True)
    await asyncio.sleep(world.dice.choice([2, 20, 200]) * world.dice.random())
    setattr(world.disk, what, False)
    world.tell("disk", "is well again")


async def calm(world: World) -> None:
    """From now on nothing breaks any more: everybody is woken, and clocks are set right."""
    world.chaos = False
    world.disk.full = world.disk.gone = False
    world.disk.fuse = 0
    for process in list(world.processes):
        process.skew = 0.0
        if process.paused:
            world.loop.resume(process)
    world.tell("world", "calms down")
    world.calmed()
    world.disk.look_again()
