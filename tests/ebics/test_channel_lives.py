"""Short lives from a seed: answers and messages lost, processes that end, a bank that forgets, all mixed. Whatever happens, an
order is in the bank's books at most once, what we believe of it is true, and a doubt that is left says so."""

import random
from pathlib import Path

import pytest

from channels.channel import Fate, InDoubt, NotSent, Parcel
from tests.channels.support.parcels import parcel
from tests.ebics.support.bank import EbicsBank
from tests.ebics.support.desk import Crash, Desk, MemoryNotes

STEPS = ("start", "1", "2", "last", "last", "last")
TURNS = 25


class Life:
    """One order of one gateway, which decides as `gateway.delivery` does."""

    def __init__(self, desk: Desk, chance: random.Random, order: Parcel) -> None:
        self.desk, self.chance, self.order = desk, chance, order
        self.kind = "BTU" if desk.bank.version == "H005" else "CCT"
        self.state = "ready"
        self.channel = desk.channel()

    def misfortune(self) -> None:
        """What goes wrong in the next turn, if anything."""
        bank, chance, notes = self.desk.bank, self.chance, self.desk.notes
        bank.lose.clear()
        bank.drop.clear()
        notes.crash_at = 0
        if chance.random() < 0.6:
            losses = chance.choice((bank.lose, bank.drop))
            losses[f"{self.kind} {chance.choice(STEPS)}"] = chance.choice((1, 1, 2, 3))
        if chance.random() < 0.4:
            notes.writes, notes.crash_at, notes.after = 0, chance.randint(1, 12), chance.random() < 0.5
        bank.recovers = chance.random() < 0.7
        bank.forgets = chance.random() < 0.1
        bank.keeps_no_protocol = chance.random() < 0.3
        if chance.random() < 0.2:
            bank.lose["HAC start"] = 1

    async def turn(self) -> None:
        self.misfortune()
        self.desk.later(minutes=1)
        try:
            if self.state == "ready":
                await self._send()
            elif self.state == "in doubt":
                await self._ask()
        except Crash:  # whoever comes after finds it sending, which is a doubt
            self.state = "in doubt"
            self.channel = self.desk.channel()

    async def _send(self) -> None:
        try:
            await self.channel.send(self.order)
        except NotSent:
            return
        except InDoubt:
            self.state = "in doubt"
        else:
            self.state = "sent"

    async def _ask(self) -> None:
        report = await self.channel.fate(self.order)
        if report.fate is Fate.ARRIVED:
            self.state = "sent"
        elif report.fate is Fate.DID_NOT_ARRIVE and report.proved:
            assert self.desk.bank.executed == [], f"it says: {report.detail}"
            self.state = "ready"


class Reckless(Life):
    """The control: takes every doubt for "not there", and forgets what was sent before. It loses the answer that matters."""

    def misfortune(self) -> None:
        self.desk.bank.lose.clear()
        self.desk.bank.recovers = False
        if self.state == "ready" and not self.desk.bank.executed:
            self.desk.bank.lose[f"{self.kind} last"] = 1

    async def _ask(self) -> None:
        self.desk.notes.texts = {name: text for name, text in self.desk.notes.texts.items() if "/upload/" not in name}
        self.state = "ready"


async def live(folder: Path, seed: int, version: str, kind: type[Life] = Life) -> str:
    """How a life ended. The facts are checked on the way."""
    chance = random.Random(seed)
    async with EbicsBank(version=version) as bank:
        desk = Desk(folder, bank, settings={"segment_chars": 60})
        await desk.ready()
        desk.notes = MemoryNotes(texts=dict(desk.notes.texts))
        content = b"<Document>" + bytes(chance.choice(b"abcdefghij") for _ in range(90)) + b"</Document>"
        life = kind(desk, chance, parcel(content))
        for _ in range(TURNS):
            await life.turn()
            assert len(bank.executed) <= 1, f"seed {seed}: executed twice"
            if life.state == "sent":
                break
        if life.state == "sent":
            assert bank.executed == [content], f"seed {seed}: believed to be there"
        assert [fault for fault in bank.faults if "BTU" not in fault] == []
        await desk.close()
        return life.state


@pytest.mark.parametrize("seed", range(24))
async def test_a_life_from_a_seed_never_pays_twice_and_believes_nothing_false(tmp_path: Path, seed: int) -> None:
    end = await live(tmp_path, seed, "H005" if seed % 2 else "H004")
    assert end in {"sent", "ready", "in doubt"}


async def test_most_lives_end_with_the_order_executed(tmp_path: Path) -> None:
    """Else the lives above would show little."""
    ends = []
    for seed in range(100, 108):
        folder = tmp_path / str(seed)
        folder.mkdir()
        ends.append(await live(folder, seed, "H005"))
    assert ends.count("sent") >= 5


async def test_a_gateway_that_sends_again_what_is_in_doubt_is_seen_to_pay_twice(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="executed twice"):
        await live(tmp_path, 1, "H005", Reckless)
