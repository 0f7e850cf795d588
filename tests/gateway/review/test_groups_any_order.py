"""Whatever order payments are submitted, approved, held, cancelled and groups closed and released in: never one member in a
message before the group goes, never more or fewer than it was closed with, and each exactly once."""

import asyncio
import itertools
import tempfile
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Configuration, ConnectionSettings
from gateway.errors import GatewayError
from gateway.policy.chain import Choice
from gateway.release_groups import standing_words
from gateway.store.groups import LOST, Figures, GroupState
from gateway.store.records import Payment, PaymentFilter
from gateway.store.sqlite import SqliteStore
from tests.gateway.review.conftest import BIG, CONSOLE, ERP, IBAN, START, Doorkeeper, House
from tests.gateway.review.test_groups import CALLER, GROUP, ID, NAME

WORDS = (
    "submit",
    "submit",
    "free",
    "judge",
    "ada",
    "bo",
    "refuse",
    "cancel",
    "all",
    "close",
    "close",
    "rest",
    "drop",
    "rules",
    "send",
)
STEPS = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 3)), min_size=4, max_size=22)
GONE = {"batched", "sent"}
_runs = itertools.count(1)


class Life:
    """A house in which somebody does one thing after the other, and a reckoning of what has to hold."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.version = 7
        self.released: frozenset[str] | None = None  # whose turn it was, when the group went

    async def members(self) -> list[Payment]:
        found, _ = await self.house.store.list_payments(PaymentFilter(), limit=100)
        return [one for one in reversed(found) if one.group is not None]

    async def step(self, word: str, number: int) -> None:
        with suppress(GatewayError):
            await self.does(word, number)
        await self.holds()

    async def does(self, word: str, number: int) -> None:
        house = self.house
        amount = ("50.00", "150.00", "70.00", "250.00")[number]
        members = await self.members()
        one = members[number % len(members)] if members else None
        match word:
            case "submit":
                await house.submit(amount, prefix=f"PAY-{len(members)}", release_group=NAME)
            case "free":
                await house.submit(amount, prefix=f"FREE-{next(_runs)}")
            case "judge":
                await house.reviewer.pump()
            case "rules":
                self.version += 1
                limit = ("100.00", "60.00", "200.00", "10.00")[number]
                house.write("p0", BIG.replace("version = 7", f"version = {self.version}").replace('"100.00"', f'"{limit}"'))
                await house.reviewer.pump()
            case "ada" | "bo" if one is not None:
                await house.decide(word, one.payment_id)
            case "refuse" if one is not None:
                await house.decide("ada", one.payment_id, Choice.REFUSE)
            case "cancel" if one is not None:
                await house.gateway.cancel(ERP, payment_id=one.payment_id, reason="")
            case "all":
                person = ("ada", "bo")[number % 2]
                acting = await house.doorkeeper.acting("console", person, "")
                digest = (await house.gateway.group_case(CONSOLE, ID)).digest
                await house.gateway.decide_group(
                    CONSOLE, acting, ID, Choice.APPROVE, digest=digest, reason="", factor=house.code(person)
                )
            case "close":
                await house.gateway.close_group(ERP, CALLER, GROUP, await self.figures(number == 3))
            case "rest":
                await house.gateway.release_rest(ERP, CALLER, GROUP, await self.figures(number == 3), "")
            case "drop" if number == 0:
                await house.gateway.cancel_group(ERP, CALLER, GROUP, "")
            case "send":
                await house.send()

    async def figures(self, wrong: bool) -> Figures:
        """What is there; or one more."""
        live = [one for one in await self.members() if one.state not in LOST]
        total = sum((one.transfer.amount for one in live), Decimal(0))
        return Figures(number_of_transactions=len(live) + wrong, control_sums=(("EUR", total),))

    async def holds(self) -> None:
        members, group = await self.members(), await self.house.store.release_group(ID)
        out = {one.payment_id for one in members if one.state.value in GONE}
        if group is None or group.state is not GroupState.RELEASED:
            assert not out
            assert all(one.group is not None and one.group.waits for one in members)
            assert self.released is None
            return
        assert group.expected is not None
        freed = frozenset(one.payment_id for one in members if one.group is not None and not one.group.waits)
        assert self.released in {None, freed}, "all at one moment, and never another one"
        self.released = freed
        amounts = sum((one.transfer.amount for one in members if one.payment_id in freed), Decimal(0))
        assert (len(freed), (("EUR", amounts),)) == (group.expected.number_of_transactions, group.expected.control_sums)
        assert out <= freed

    async def ends(self) -> None:
        """What may leave has left, each payment in one message; and what waits says what for."""
        for _ in range(3):
            await self.house.reviewer.pump()
            await self.house.send()
        await self.holds()
        said = b"".join(self.house.bank.got).decode()
        found = Counter(one.payment_id for one in await self.members() for _ in range(said.count(f"<InstrId>{one.payment_id}<")))
        assert set(found.values()) <= {1}
        members, group = await self.members(), await self.house.store.release_group(ID)
        assert set(found) == {one.payment_id for one in members if one.state.value in GONE}
        left = [one for one in members if one.state.value == "approved"]
        if group is not None and group.state is GroupState.RELEASED:
            assert not left
        elif group is not None and group.state is GroupState.CLOSED:
            assert len(left) < len([one for one in members if one.state not in LOST]) or group.rest != group.expected
            assert standing_words(group)[0].startswith(("Waits for its group: ", "Waits for a decision: "))


def lived(steps: list[tuple[str, int]]) -> GroupState | None:
    """One life, in memory where the machine has such a place: this is about order, not about the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="bankgate-groups-", dir=memory if memory.is_dir() else None) as folder:
        (Path(folder) / "policies").mkdir()
        (Path(folder) / "policies" / "p0.toml").write_text(BIG, encoding="utf-8")
        return asyncio.run(live(Path(folder), steps))


async def live(folder: Path, steps: list[tuple[str, int]]) -> GroupState | None:
    store = SqliteStore(folder / "bankgate.db", clock=lambda: START)
    await store.open()
    account = {"iban": IBAN, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}
    values = {"id": "one", "bank": "iso20022", "initiating_party": "ACME BV", "accounts": [account]}
    settings_ = ConnectionSettings.model_validate({**values, "channel": {"kind": "folder", "upload": "out"}})
    configuration = Configuration(directory=folder, connections={"one": settings_})
    life = Life(House(folder, store, [START], configuration, Doorkeeper(lambda: START)))
    try:
        for word, number in steps:
            await life.step(word, number)
        await life.ends()
        group = await store.release_group(ID)
        return None if group is None else group.state
    finally:
        await store.close()


@settings(max_examples=16)
@given(STEPS)
def test_no_order_of_events_lets_a_group_go_in_parts(steps: list[tuple[str, int]]) -> None:
    lived(steps)


def test_the_ways_through_are_walked() -> None:
    """The property means something: groups that go, that go without what was lost, and that are stuck are among the lives."""
    begin = [("submit", 0), ("submit", 1), ("submit", 2), ("judge", 0)]
    approved = [*begin, ("ada", 1), ("bo", 1)]
    lives = {
        "goes": [*approved, ("close", 0)],
        "goes as a whole": [*begin, ("close", 0), ("send", 0), ("all", 0), ("all", 1)],
        "rest": [*begin, ("close", 0), ("refuse", 1), ("send", 0), ("rest", 0)],
        "stuck": [*begin, ("close", 0), ("send", 0)],
        "held again": [*approved, ("close", 0), ("rules", 3)],
        "wrong": [*approved, ("close", 3)],
    }
    ends = {name: lived(steps) for name, steps in lives.items()}
    assert ends == {
        "goes": GroupState.RELEASED,
        "goes as a whole": GroupState.RELEASED,
        "rest": GroupState.RELEASED,
        "stuck": GroupState.CLOSED,
        "held again": GroupState.CLOSED,
        "wrong": GroupState.OPEN,
    }
