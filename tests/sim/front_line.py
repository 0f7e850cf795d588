"""The line to a front machine as a life has it, and the production conversation and channel over it.

Replaced is what carries bytes (`channels.frontend`). It strikes at each step: nothing left; left and lost; arrived, and the
answer lost, cut, or so late that the send's lease is over; on its way for minutes while everybody else goes on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.channel import FateReport, InDoubt, NotSent, Parcel, Receipt
from channels.frontend import Carried, NotSealed
from channels.frontend_frames import BadFrame
from formats.dialogue import Asked, Asking, DialogueBank, Heard, HeldAccount, Outcome
from formats.exchange import Exchange
from gateway.connection import Connection
from gateway.dialogue.channel import DialogueChannel
from gateway.dialogue.conversation import Conversation
from gateway.dialogue.manner import Manner
from gateway.dialogue.rounds import Rounds
from tests.sim.bank import IDLE_CUT, ON_THE_WAY

if TYPE_CHECKING:
    from tests.sim.front_world import FrontWorld
    from tests.sim.world import Process


@dataclass
class SimLine:
    """An `Exchanger` of one process. `message`: what is being sent, or asked about."""

    world: "FrontWorld"
    process: "Process"
    message: str = ""

    async def exchange(self, request: Carried) -> bytes:
        """See `channels.frontend.Exchanger.exchange`."""
        world, dice, kind = self.world, self.world.dice, request.purpose
        often = 2.0 if kind == "payment" else 1.0
        await self._step(f"before a {kind}", often)
        if world.strikes(f"front: no connection for a {kind}", 0.04):
            raise NotSent("no connection: ConnectionRefusedError")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(dice.random())
        await self._step(f"connected for a {kind}", often)
        if asyncio.get_running_loop().time() - began > IDLE_CUT and self.process.stopped_since(began):
            raise InDoubt("the connection was idle for too long and was cut")
        if kind == "payment":
            world.under_way(self.message)
            world.last_sent[self.message] = world.loop.time()
        if world.strikes(f"front: {kind} lost", 0.04 * often):
            raise InDoubt("not answered whole: the line broke")
        if world.strikes(f"front: {kind} on its way for long", 0.03 * often):
            world.later(ON_THE_WAY * dice.random(), lambda: world.deliver(request), flying=self.message)
            raise InDoubt("not answered whole: TimeoutError")
        reply = world.deliver(request)
        await self._step(f"after a {kind}", often)
        await asyncio.sleep(dice.choice([1, 1, 1, 2, 60 if world.chaos else 1]) * dice.random())
        if world.strikes(f"front: answer to a {kind} very late", 0.03 * often):
            await asyncio.sleep(500 * dice.random())
        if reply is None or world.strikes(f"front: answer to a {kind} lost", 0.05 * often):
            raise InDoubt("not answered whole: the line broke")
        if world.strikes(f"front: answer to a {kind} cut", 0.02):
            reply = reply[: dice.randrange(len(reply) + 1)]
        if kind == "payment":
            world.front_checkers.answered(self.message)
        return reply

    async def _step(self, where: str, often: float) -> None:
        """The process is killed or stopped here, perhaps."""
        world = self.world
        if world.strikes(f"front: killed {where}", 0.008 * often):
            world.kill(self.process, where)
            await world.never()
        if world.strikes(f"front: stopped {where}", 0.012 * often):
            world.pause(self.process, where)
            await asyncio.sleep(0)

    async def seal(self, content: bytes) -> bytes:
        await asyncio.sleep(0.1 * self.world.dice.random())
        if self.world.strikes("front: the sign service is gone", 0.02):
            raise NotSealed("the sign service gave no answer")
        return self.world.house.sign(content)

    async def open(self, content: bytes) -> bytes:
        await asyncio.sleep(0.1 * self.world.dice.random())
        if self.world.strikes("front: a reply cannot be verified", 0.03):
            raise ValueError("the sign service gave no answer")
        return self.world.house.verify(content)

    def secrets(self) -> Mapping[str, str]:
        return self.world.house.side.secrets

    async def check(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConversation(Conversation):
    """The production conversation; the checkers see each content before it is wrapped."""

    world: "FrontWorld" = field(repr=False)

    async def have(self, content: bytes, asked: Asked) -> tuple[Exchange, Heard]:
        if asked.kind is Asking.PAYMENT:
            self.world.front_checkers.goes_out(asked.serials, content)
        exchange, heard = await super(SimConversation, self).have(content, asked)
        if asked.kind is Asking.PAYMENT and heard.outcome is Outcome.REFUSED and not asked.repeat:
            self.world.front_checkers.refused |= set(asked.serials)
        self.world.seen[f"front: {asked.kind.value} heard as {heard.outcome.value}"] += 1
        self.world.tell(f"{asked.kind.value}", f"{heard.outcome.value} {heard.code} found={heard.found} missing={heard.missing}")
        return exchange, heard


class SimDialogueChannel(DialogueChannel):
    """The production channel over the simulated line."""

    def __init__(self, world: "FrontWorld", process: "Process", own: Connection) -> None:
        bank, manner = own.dialogue, own.manner
        assert isinstance(bank, DialogueBank)
        assert isinstance(manner, Manner)
        self._world, self._process = world, process
        self._line = SimLine(world, process)
        conversation = SimConversation(
            bank=bank,
            line=self._line,
            seal=self._line.seal,
            open=self._line.open,
            secrets=self._line.secrets,
            zone=manner.zone,
            clock=process.clock,
            digits=lambda count: "".join(world.dice.choice("0123456789") for _ in range(count)),
            signed_in=own.signed_in,
            world=world,
        )
        rounds = Rounds(
            conversation=conversation,
            store=process.store,
            connection_id=own.id,
            accounts=[HeldAccount(number=world.house.side.account)],
            manner=manner,
        )
        super().__init__(
            conversation,
            process.store,
            connection_id=own.id,
            guarantee=own.guarantee,
            absence_is_final=own.settings.guarantee.absence_is_final,
            manner=manner,
            rounds=rounds,
            ask_within=60.0,
        )

    async def send(self, parcel: Parcel) -> Receipt:
        world = self._world
        world.tell(self._process, f"begins to send {parcel.name}")
        world.last_sent[parcel.key] = world.loop.time()
        self._line.message = parcel.key
        return await super().send(parcel)

    async def fate(self, parcel: Parcel) -> FateReport:
        self._line.message = parcel.key
        report = await super().fate(parcel)
        self._world.seen[f"front: asked, {report.fate.value}"] += 1
        self._world.tell(self._process, f"hears of {parcel.name}: {report.fate.value}, {report.detail}")
        return report


__all__ = ["BadFrame", "SimDialogueChannel"]
