"""The network between a worker and the bank: it delays, cuts, tears and loses; and it tells the truth as far as it can know."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from channels.channel import Arrival, Fate, FateReport, Guarantee, InDoubt, NotSent, Parcel, Receipt, Refused, Unreachable
from gateway.store.store import StoreUnavailable
from tests.sim.bank import IDLE_CUT, ON_THE_WAY

if TYPE_CHECKING:
    from tests.sim.world import Process, World


class SimChannel:
    """One worker's way to the bank."""

    kind = "simulated"

    def __init__(self, world: "World", process: "Process", guarantee: Guarantee) -> None:
        self._world = world
        self._process = process
        self.guarantee = guarantee
        self.troubles: tuple[str, ...] = ()

    async def send(self, parcel: Parcel) -> Receipt:
        world, dice, loop = self._world, self._world.dice, asyncio.get_running_loop()
        world.tell(self._process, f"begins to send {parcel.name}")
        world.begins_to_send(self._process, parcel.name)
        self._touch(parcel.name)
        data = b"".join([chunk async for chunk in parcel.chunks()])
        await self._way("while it looks for the bank", 0.05)
        if world.strikes("not sent", 0.1):
            raise NotSent("connection refused")
        await self._way("while it connects", 2)
        active = loop.time()
        if world.strikes("refused at the door", 0.04):
            raise Refused("403", "forbidden")
        await self._way("in the middle of the upload", dice.choice([1, 1, 60, 400]), chance=3)
        world.under_way(parcel.key)
        if loop.time() - active > IDLE_CUT and self._process.stopped_since(active):
            world.seen["session cut while stopped"] += 1
            raise InDoubt("the session was idle for too long and was cut")
        self._arrive(parcel.name, data)
        await self._way("before the bank's answer", dice.choice([2, 2, 2, 60, 500]), chance=3)
        if world.strikes("answer lost", 0.1):
            raise dice.choice([InDoubt("the answer was lost"), RuntimeError("a channel that breaks its promise")])
        return Receipt(evidence="simulated.rename", detail="ok", at=self._process.clock())

    def _arrive(self, name: str, data: bytes) -> None:
        """The last byte has left: it arrives, or a part, or nothing, or later."""
        world, bank = self._world, self._world.bank
        self._touch(name)
        if world.strikes("upload torn", 0.08):
            bank.tear(name, data[: world.dice.randrange(len(data))] if world.kind.torn else None)
            raise InDoubt("cut before the end")
        if world.strikes("upload cut at the end", 0.06):
            raise InDoubt("cut near the end")
        if world.strikes("upload on its way for long", 0.1):
            world.later(ON_THE_WAY * world.dice.random(), lambda: bank.take(name, data), flying=name)
            raise InDoubt("cut after the last byte")
        if world.strikes("upload reordered", 0.05):  # the answer overtakes it
            world.later(5 * world.dice.random(), lambda: bank.take(name, data), flying=name)
            return
        bank.take(name, data)

    def _touch(self, name: str) -> None:
        self._world.last_sent[name] = self._world.loop.time()

    async def _way(self, where: str, seconds: float, chance: float = 1.0) -> None:
        world = self._world
        if world.strikes("killed " + where, 0.02 * chance):
            world.kill(self._process, where)
            await world.never()
        if world.strikes("stopped " + where, 0.04 * chance):
            world.pause(self._process, where)
        await asyncio.sleep(seconds * world.dice.random())

    async def fate(self, parcel: Parcel) -> FateReport:
        world = self._world
        await self._way("while it asks", 1)
        if world.strikes("asking failed", 0.15):
            raise OSError("no route to host")
        if self.guarantee is not Guarantee.QUERYABLE:
            return FateReport(fate=Fate.UNKNOWN, evidence="simulated", detail="cannot be asked")
        if world.strikes("clock set while the bank is asked", 0.08):
            self._process.skew += 7200 * world.dice.uniform(-1, 1)
            world.disk.look_again()
        there = world.bank.lists(parcel.name)
        if not there and (parcel.name in world.bank.arrived or parcel.name in world.flying):
            world.seen["bank said 'not there' of what it has or gets"] += 1
        return FateReport(fate=Fate.ARRIVED if there else Fate.DID_NOT_ARRIVE, evidence="simulated", detail="asked")

    async def receive(self, keep: Callable[[Arrival], Awaitable[None]]) -> int:
        world, bank = self._world, self._world.bank
        await self._way("while it asks for answers", 1)
        if world.strikes("fetch failed", 0.08):
            raise Unreachable("no route to host")
        kept = 0
        for name, data in list(bank.offers.items()):
            if world.strikes("answer cut by the network", 0.06):
                continue  # noticed by its length; fetched again next time
            with suppress(StoreUnavailable):
                await keep(Arrival(name=name, size=len(data), chunks=_once(data)))
                kept += 1
                await self._way("before it says 'got it'", 0.5)
                if bank.offers.get(name) == data and not world.strikes("'got it' lost", 0.1):
                    del bank.offers[name]
        return kept

    async def check(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


def _once(data: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    return chunks
