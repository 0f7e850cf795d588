"""Carries a plan out: each strike from its beginning to its end, with a log of what struck when."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.ebics.upload import TRIES_MAX
from simulator import garbage
from simulator.moods import DUPLICATES
from tests.chaos.plan import Kind, Strike
from tests.chaos.scene import ACCOUNTS
from tests.chaos.world import Managed, World

CUT_PATIENCE_SECONDS = 4.0  # a line that carries fewer bytes than the cut waits for is cut where it stands
GARBAGE_KINDS = tuple(kind for kind in garbage.KINDS if kind != "deep")
HANG_SECONDS = 0.7  # a message is formed and its sending begun meanwhile
TORN_WITHIN = 3_000  # a sealed file is longer
EBICS_WITHIN = 6_000  # about two messages

Act = Callable[["Faults", Strike], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that was done: when, in seconds of the loop's clock, and what came of it in words."""

    strike: Strike
    began: float
    ended: float
    detail: str


@dataclass
class Faults:
    """`struck` fills as the plan is carried out; `failed` names strikes that could not be done, which is a fault of the run."""

    world: World
    plan: Sequence[Strike]
    say: Callable[[str], None] = lambda _: None
    struck: list[Struck] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _database: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Every strike at its moment, whether or not an earlier one is over; returns when all are."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with asyncio.TaskGroup() as group:
            for strike in self.plan:
                await asyncio.sleep(max(0.0, start + strike.at - loop.time()))
                group.create_task(self._strike(strike, start))

    async def _strike(self, strike: Strike, start: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            detail = await _ACTS[strike.kind](self, strike)
        except Exception as fault:
            self.failed.append(f"{strike.kind.value}: {fault!r}")
            detail = f"could not be done: {fault!r}"
        self.struck.append(Struck(strike=strike, began=began, ended=loop.time(), detail=detail))
        self.say(f"{began - start:7.2f} s  {strike.kind.value}, {loop.time() - began:.2f} s: {detail}")

    # -- processes -----------------------------------------------------------------------------------------------------------

    async def _kill(self, strike: Strike) -> str:
        one = self._victim(strike)
        async with one.busy:
            await one.kill()
            await asyncio.sleep(strike.lasts)
            await one.start(self.world.guard)
        return one.name

    async def _freeze(self, strike: Strike) -> str:
        one = self._victim(strike)
        async with one.busy:
            one.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(strike.lasts)
            finally:
                one.signal(signal.SIGCONT)
        return one.name

    def _victim(self, strike: Strike) -> Managed:
        replica = self.world.replicas[strike.replica]
        return replica.worker if strike.kind in {Kind.KILL_WORKER, Kind.FREEZE_WORKER} else replica.serve

    # -- lines ---------------------------------------------------------------------------------------------------------------

    async def _cut(self, strike: Strike) -> str:
        line = self.world.replicas[strike.replica].lines[_LINES[strike.kind]]
        count = strike.number % EBICS_WITHIN if strike.kind is Kind.CUT_EBICS else strike.number
        reached = await line.cut_after(count, up=strike.up, patience=CUT_PATIENCE_SECONDS)
        way = "out" if strike.up else "back"
        return f"replica {strike.replica}, {way}, after {count} bytes" if reached else f"replica {strike.replica}, as it stood"

    async def _stall(self, strike: Strike) -> str:
        line = self.world.replicas[strike.replica].lines[_LINES[strike.kind]]
        line.stall()
        try:
            await asyncio.sleep(strike.lasts)
        finally:
            line.flow()
        return f"replica {strike.replica}"

    async def _cut_off(self, strike: Strike) -> str:
        """In the middle of sends: they hang for a moment, go on once the database is gone, and end before it is back."""
        network, replica = self.world.network, self.world.replicas[strike.replica]
        assert network is not None
        doors = [replica.lines[door] for door in ("sftp", "https", "ebics")]
        async with replica.cable:
            for door in doors:
                door.stall()
            try:
                await asyncio.sleep(HANG_SECONDS)
                await asyncio.to_thread(network.pull, strike.replica)
            finally:
                for door in doors:
                    door.flow()
            try:
                await asyncio.sleep(strike.lasts)
            finally:
                await asyncio.to_thread(network.plug, strike.replica)
        return f"replica {strike.replica}"

    # -- the database --------------------------------------------------------------------------------------------------------

    async def _store(self, strike: Strike) -> str:
        async with self._database:
            await self.world.database.strike(strike.kind, strike.lasts)
        return self.world.database.kind

    # -- the bank ------------------------------------------------------------------------------------------------------------

    async def _mood(self, strike: Strike) -> str:
        doors = {account.customer: account.door for account in ACCOUNTS}
        customers = sorted(doors)
        if strike.kind is Kind.FORGET:
            customers = [customer for customer in customers if doors[customer] == "ebics"]
        if strike.kind is not Kind.LOSE_ANSWER:  # that one is what doubt is made of: under each guarantee
            customers = [customers[strike.number % len(customers)]]
        await self.world.control("POST", "/moods", [{"customer": one, **_mood_of(strike, doors[one])} for one in customers])
        return ", ".join(customers)


def _mood_of(strike: Strike, door: str) -> dict[str, Any]:
    variant = strike.number // 7
    if door == "ebics" and strike.kind is Kind.GARBAGE and variant % 2:
        return _GARBLED[variant // 2 % len(_GARBLED)]
    if door == "ebics" and strike.kind in _AT_AN_EBICS_DOOR:
        count = 1 if strike.kind is not Kind.LOSE_ANSWER or variant % 2 else TRIES_MAX  # once, or each time it is sent
        return {"mood": _AT_AN_EBICS_DOOR[strike.kind], "value": {"when": "last"}, "count": count}
    moods: dict[Kind, dict[str, Any]] = {
        Kind.LOSE_ANSWER: {"mood": "lose_answer"},
        Kind.TAKE_TWICE: {"mood": "take_twice"},
        Kind.TORN_FILE: {"mood": "cut_at_byte", "value": variant % TORN_WITHIN},
        Kind.GARBAGE: {"mood": "garbage", "value": GARBAGE_KINDS[variant % len(GARBAGE_KINDS)], "sealed": strike.up},
        Kind.DUPLICATE_ANSWER: {"mood": "duplicate_answers", "value": DUPLICATES[variant % len(DUPLICATES)]},
        Kind.LATE_ANSWER: {"mood": "delay_answers_seconds", "value": strike.lasts},
        Kind.REORDER_ANSWERS: {"mood": "reorder", "count": 2 + variant % 2},
    }
    return moods[strike.kind]


_AT_AN_EBICS_DOOR: Mapping[Kind, str] = {
    Kind.LOSE_ANSWER: "ebics_lose_answer",
    Kind.TORN_FILE: "ebics_lose_request",
    Kind.FORGET: "ebics_forget",
}
"""What such a fault is where files come in segments: to the message with the last of them."""

_GARBLED: Sequence[dict[str, Any]] = (
    {"mood": "ebics_bad_signature", "value": {"when": "any"}},
    {"mood": "ebics_truncate", "value": {"when": "any"}},
    {"mood": "ebics_wrong_transaction_id", "value": {"when": "transfer"}},
    {"mood": "ebics_http_status", "value": {"when": "any"}},
    {"mood": "ebics_return_code", "value": {"when": "last", "code": "061099", "executed": True}},
)
"""Garbage of the messages that carry the files; every other time it is a bad file in an archive of good ones, as elsewhere."""

_LINES: Mapping[Kind, str] = {
    Kind.CUT_SFTP: "sftp",
    Kind.STALL_SFTP: "sftp",
    Kind.CUT_HTTPS: "https",
    Kind.STALL_HTTPS: "https",
    Kind.CUT_EBICS: "ebics",
    Kind.STALL_EBICS: "ebics",
    Kind.CUT_STORE: "store",
    Kind.STALL_STORE: "store",
}
_ACTS: Mapping[Kind, Act] = {
    **dict.fromkeys((Kind.KILL_WORKER, Kind.KILL_SERVE), Faults._kill),
    **dict.fromkeys((Kind.FREEZE_WORKER, Kind.FREEZE_SERVE), Faults._freeze),
    **dict.fromkeys((Kind.CUT_SFTP, Kind.CUT_HTTPS, Kind.CUT_EBICS, Kind.CUT_STORE), Faults._cut),
    **dict.fromkeys((Kind.STALL_SFTP, Kind.STALL_HTTPS, Kind.STALL_EBICS, Kind.STALL_STORE), Faults._stall),
    Kind.CUT_OFF: Faults._cut_off,
    **dict.fromkeys((Kind.RESTART_STORE, Kind.CRASH_STORE, Kind.KILL_STORE, Kind.FILL_DISK), Faults._store),
    **dict.fromkeys(
        (
            *(Kind.LOSE_ANSWER, Kind.FORGET, Kind.TAKE_TWICE, Kind.TORN_FILE, Kind.GARBAGE),
            *(Kind.DUPLICATE_ANSWER, Kind.LATE_ANSWER, Kind.REORDER_ANSWERS),
        ),
        Faults._mood,
    ),
}


async def calm(world: World) -> None:
    """The bank in a good mood, every line whole. Processes are woken and started by whoever did something to them."""
    await world.control("DELETE", "/moods")
    for replica in world.replicas:
        for line in replica.lines.values():
            line.flow()
