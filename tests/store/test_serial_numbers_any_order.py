"""Whatever order numbers are given, used, brought along and asked about in: both stores do what a dictionary would."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import Delivery, PlannedBlock
from gateway.store.serials import SerialAsk, SerialTaken
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Stale, Store
from tests.store.support.make import START, HandClock, moved, new_delivery, waiting

SERIALS, PACKAGES = [f"S{number}" for number in range(7)], [None, "P0", "P1", "P2"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["form", "give", "give", "give", "start", "unbatch", "ask"]),
        st.integers(0, 1),  # which connection
        st.integers(0, 3),  # which delivery of it, how many payments, which package
        st.lists(st.integers(0, len(SERIALS) - 1), min_size=3, max_size=3),
    ),
    max_size=24,
)
_runs = itertools.count(1)


@dataclass
class Row:
    serial: str
    delivery_id: str
    next_ask_at: datetime | None = None
    asked: int = 0


@dataclass
class Model:
    """What one connection ought to remember."""

    connection_id: str
    rows: dict[str, Row] = field(default_factory=dict)  # by instruction id
    packages: dict[str, str] = field(default_factory=dict)  # by delivery, also of those that were given up
    members: dict[str, list[str]] = field(default_factory=dict)  # instruction ids by delivery
    waiting: list[str] = field(default_factory=list)

    def refusal(self, delivery: Delivery, serials: list[str], package: str | None) -> bool:
        """Whether these numbers are refused; else they are noted."""
        ids = self.members[delivery.delivery_id]
        if all(one in self.rows and self.rows[one].delivery_id == delivery.delivery_id for one in ids):
            return False
        new = [(one, serial) for one, serial in zip(ids, serials, strict=True) if one not in self.rows]
        used = [row.serial for row in self.rows.values()] + [serial for _, serial in new]
        if len(set(used)) < len(used) or package in self.packages.values():
            return True
        for one in ids:
            if one in self.rows:
                self.rows[one].delivery_id = delivery.delivery_id
        self.rows.update({one: Row(serial, delivery.delivery_id) for one, serial in new})
        if package is not None:
            self.packages[delivery.delivery_id] = package
        return False


@pytest.fixture
def kept(request: pytest.FixtureRequest, kind: str, place: Path, clock: HandClock) -> Iterator[Store]:
    """A store that is opened outside any event loop: each example has one of its own, and connections of its own."""
    database: Database | None = request.getfixturevalue("database") if kind == "postgres" else None
    store: Store = PostgresStore(database, clock=clock) if database else SqliteStore(place / "store.db", clock=clock)
    asyncio.run(store.open())
    yield store
    asyncio.run(store.close())


def test_numbers_are_unique_for_ever_and_stay_with_their_payments_in_every_order(kept: Store, clock: HandClock) -> None:
    @settings(max_examples=30, deadline=None)
    @given(STEPS)
    def live(steps: list[tuple[str, int, int, list[int]]]) -> None:
        run = next(_runs)
        models = [Model(f"c{run}-{number}") for number in range(2)]

        async def all_of_it() -> None:
            for number, (what, connection, which, picks) in enumerate(steps):
                await _step(kept, clock, models[connection], f"{run}-{number}", what, which, picks)
                for model in models:
                    await _compare(kept, clock, model)

        asyncio.run(all_of_it())

    live()


async def _step(store: Store, clock: HandClock, model: Model, name: str, what: str, which: int, picks: list[int]) -> None:
    clock.advance(seconds=1)
    if what == "form":
        await _form(store, model, name, 1 + which % 3)
        return
    if what == "ask":
        moment = None if which == 0 else clock() + timedelta(seconds=which)
        asks = [SerialAsk(serial=SERIALS[pick], next_ask_at=moment) for pick in sorted(set(picks[:2]))]
        await store.ask_serials(model.connection_id, asks)
        for row in model.rows.values():
            if row.serial in {one.serial for one in asks}:
                row.next_ask_at, row.asked = moment, row.asked + 1
        return
    known = sorted(model.members)
    if not known:
        return
    delivery = await store.delivery(known[which % len(known)])
    assert delivery is not None
    ids = model.members[delivery.delivery_id]
    if what == "give":
        await _give(store, model, delivery, [SERIALS[pick] for pick in picks[: len(ids)]], PACKAGES[picks[2] % len(PACKAGES)])
    elif delivery.state is DeliveryState.READY and what == "start":
        await moved(store, delivery, DeliveryEvent.STARTED, ask_at=clock())
        for one in ids:
            if one in model.rows and model.rows[one].delivery_id == delivery.delivery_id:
                model.rows[one].next_ask_at = model.rows[one].next_ask_at or clock()
    elif delivery.state is DeliveryState.READY:
        await moved(store, delivery, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH)
        model.waiting += ids


async def _form(store: Store, model: Model, name: str, count: int) -> None:
    model.waiting += [new.payment_id for new in await waiting(store, 1, connection_id=model.connection_id)]
    model.waiting.sort()  # the longest waiting first
    (group,) = await store.waiting_groups(model.connection_id)
    block = PlannedBlock(payment_information_id="B", terms_id=group.terms_id, count=count)
    delivery = await store.form_delivery(new_delivery(block, name=name, connection_id=model.connection_id))
    assert delivery is not None
    model.members[delivery.delivery_id], model.waiting = model.waiting[:count], model.waiting[count:]


async def _give(store: Store, model: Model, delivery: Delivery, serials: list[str], package: str | None) -> None:
    pairs = list(zip(model.members[delivery.delivery_id], serials, strict=True))
    giving = store.give_serials(delivery.delivery_id, delivery.fence, pairs, package)
    if delivery.state is not DeliveryState.READY:
        with pytest.raises(Stale):
            await giving
    elif model.refusal(delivery, serials, package):
        with pytest.raises(SerialTaken):
            await giving
    else:
        await giving


async def _compare(store: Store, clock: HandClock, model: Model) -> None:
    by_serial = {row.serial: one for one, row in model.rows.items()}
    assert await store.named_by_serial(model.connection_id, SERIALS) == by_serial
    for delivery_id, ids in model.members.items():
        here = [one for one in ids if one in model.rows and model.rows[one].delivery_id == delivery_id]
        found = await store.serials_of(delivery_id)
        assert [(row.instruction_id, row.serial, row.asked) for row in found] == [
            (one, model.rows[one].serial, model.rows[one].asked) for one in here
        ]
        assert {row.package for row in found} <= {model.packages.get(delivery_id)}
    asked = sorted((row.next_ask_at, one) for one, row in model.rows.items() if row.next_ask_at is not None)
    due = [(row.next_ask_at, row.instruction_id) for row in await store.serials_due(model.connection_id, clock(), 99)]
    assert due == [place for place in asked if place[0] <= clock()]
    assert await store.next_serial_due(model.connection_id) == (asked[0][0] if asked else None)
    assert clock() > START
