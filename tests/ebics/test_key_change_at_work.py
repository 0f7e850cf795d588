"""New keys of ours for old ones, at the simulator's bank: whatever is lost and wherever a process dies, we end with keys that the
bank takes, and never work with others."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.channel import ChannelError, InDoubt, NotSent, Refused
from channels.ebics.changing import Changing
from channels.ebics.correspondent import NotReady
from channels.ebics.key_change import ChangeOrder, InForce, KeyChange
from simulator.ebics.bankkeys import BankKeys
from simulator.fixture import run_bank
from tests.channels.support.parcels import parcel
from tests.ebics.support.desk import Crash
from tests.ebics.support.door import PROCESSES, Connection
from tests.simulator.ebics_support.bank import CUSTOMER, DEBTOR, Branch
from tests.simulator.helpers import Pay, pain001

ORDERS: tuple[ChangeOrder, ...] = ("PUB", "HCA", "HCS")
PAYMENT = parcel(pain001("K-1", DEBTOR, Pay("K-1a", "1.10")))


@pytest.fixture(scope="module")
def bank_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank-keys")
    BankKeys(folder)
    return folder


@pytest.fixture(params=["H004", "H005"])
async def connection(request: pytest.FixtureRequest, tmp_path: Path, bank_keys: Path) -> AsyncIterator[Connection]:
    shutil.copytree(bank_keys, tmp_path / "data")
    async with run_bank(tmp_path, customers=[CUSTOMER], ledger={"kind": "fast"}, ebics={"segment_chars": 4000}) as bank:
        made = Connection(tmp_path / "ours", Branch(bank), request.param)
        yield made
        await made.close()


async def begun(connection: Connection, order: ChangeOrder) -> Changing:
    changing = (await connection.ready()).changing
    old, new = connection.new_keys(order)
    await changing.begin(order, old=old, new=new)
    connection.notes.writes = 0
    return changing


def after(order: ChangeOrder) -> set[str]:
    replaced = KeyChange(order=order).replaces
    return {f"{use}/{2 if use in replaced else 1}" for use in PROCESSES}


BEFORE = {f"{use}/1" for use in PROCESSES}


async def works(connection: Connection) -> None:
    """A new payment goes out with the keys that the bank has, by a new process."""
    number = len(connection.branch.orders)
    await connection.channel().send(parcel(pain001(f"K-{number}", DEBTOR, Pay(f"K-{number}a", "1.10"))))
    assert len(connection.branch.orders) == number + 1
    assert connection.branch.orders[-1]["state"] in {"accepted", "final"}


async def ended(connection: Connection, order: ChangeOrder) -> None:
    """Runs it as a person would, again and again, until it has ended; then everything is as after a change without trouble."""
    for _ in range(4):
        try:
            if await connection.channel().changing.run() is InForce.NEW:
                break
        except ChannelError:
            continue
    assert connection.bank_has == after(order)
    await works(connection)  # before the key store is brought in line
    connection.put_in_use(order)
    await connection.channel().changing.close()
    assert await connection.channel().onboarding.problems() == ()
    await works(connection)


@pytest.mark.parametrize("order", ORDERS)
async def test_a_change_puts_the_new_keys_in_force_and_the_old_ones_work_until_then(
    connection: Connection, order: ChangeOrder
) -> None:
    changing = await begun(connection, order)
    assert "wait to be sent" in (await connection.channel().onboarding.problems())[0]
    await works(connection)
    assert connection.bank_has == BEFORE
    assert await changing.run() is InForce.NEW
    assert "the bank took the new keys" in (await connection.channel().onboarding.problems())[0]
    await ended(connection, order)


LOSSES: list[tuple[str, dict[str, Any], int]] = [
    (mood, {"when": when}, count)
    for mood in ("ebics_lose_answer", "ebics_lose_request")
    for when, count in (("init", 1), ("last", 1), ("last", 3))
]


@pytest.mark.parametrize(
    ("connection", "order", "mood", "when", "count"),
    [
        *(("H004", "PUB", *loss) for loss in LOSSES),
        *(("H005", "HCS", *loss) for loss in LOSSES),
        *(("H005", "PUB", *loss) for loss in LOSSES if loss[2] == 3),
        *(("H004", "HCS", *loss) for loss in LOSSES if loss[2] == 3),
        *(("H005", "HCA", *loss) for loss in LOSSES if loss[2] == 3),
    ],
    indirect=["connection"],
)
async def test_lost_messages_and_answers_never_leave_us_without_keys_the_bank_takes(
    connection: Connection, order: ChangeOrder, mood: str, when: dict[str, Any], count: int
) -> None:
    changing = await begun(connection, order)
    connection.branch.bank.moods.set(mood, count, {**when, "order_type": order})
    try:
        in_force = await changing.run()
    except (NotSent, InDoubt, NotReady):
        in_force = None
    if in_force is InForce.NEW:
        assert connection.bank_has == after(order)
    elif in_force is InForce.OLD:
        assert connection.bank_has == BEFORE
        await works(connection)
    connection.branch.bank.moods.set(mood, 0)
    if order == "PUB" and connection.bank_has == BEFORE and count == 3 and mood == "ebics_lose_request":
        await works_not(connection)
        # the transaction is open at the bank, so that its protocol is silent
        assert await connection.channel().changing.told(InForce.OLD) is InForce.OLD
    await ended(connection, order)


async def works_not(connection: Connection) -> None:
    with pytest.raises(NotSent, match="whether the bank took them is not known"):
        await connection.channel().send(PAYMENT)
    assert "not known yet" in " ".join(await connection.channel().onboarding.problems())


@pytest.mark.parametrize(("order", "step"), [("HCS", 1), ("HCS", 2), ("HCS", 3), ("HCS", 4), ("HCA", 3), ("HCA", 4)])
@pytest.mark.parametrize(("connection", "stored"), [("H004", False), ("H005", True)], indirect=["connection"])
async def test_a_crash_at_any_step_is_gone_on_from(connection: Connection, order: ChangeOrder, step: int, stored: bool) -> None:
    changing = await begun(connection, order)
    connection.notes.crash_at, connection.notes.after = step, stored
    with pytest.raises(Crash):
        await changing.run()
    connection.notes.crash_at = 0
    await ended(connection, order)


async def test_two_processes_at_once_change_the_keys_once(connection: Connection) -> None:
    await begun(connection, "HCS")
    both = [connection.channel().changing.run() for _ in range(2)]
    found = await asyncio.gather(*both, return_exceptions=True)
    assert all(isinstance(each, InForce | ChannelError) for each in found)
    await ended(connection, "HCS")


async def test_a_bank_that_refuses_the_new_keys_leaves_the_old_ones_at_work(connection: Connection) -> None:
    changing = await begun(connection, "HCS")
    connection.branch.bank.moods.set("ebics_return_code", 1, {"when": "last", "order_type": "HCS", "code": "091205"})
    assert await changing.run() is InForce.OLD
    assert connection.bank_has == BEFORE
    await works(connection)
    await changing.close()  # given up
    assert await connection.channel().onboarding.problems() == ()


async def test_a_second_change_waits_for_the_first_and_old_keys_are_no_new_ones(connection: Connection) -> None:
    changing = await begun(connection, "PUB")
    with pytest.raises(NotReady, match="is under way"):
        await changing.begin("PUB", old=(("signature", "store:signature@1"),), new=(("signature", "store:signature@2"),))
    await changing.close()
    with pytest.raises(NotReady, match="make new ones"):
        await changing.begin("PUB", old=(("signature", "store:signature@1"),), new=(("signature", "store:signature@1"),))
    with pytest.raises(NotReady, match="HCA replaces"):
        await changing.begin("HCA", old=(("signature", "store:signature@1"),), new=(("signature", "store:signature@2"),))


async def test_only_where_the_banks_word_is_missing_a_person_may_say_which_keys_it_has(connection: Connection) -> None:
    changing = await begun(connection, "PUB")
    with pytest.raises(NotReady, match="nothing is open"):
        await changing.told(InForce.NEW)
    connection.branch.bank.moods.set("ebics_lose_request", 3, {"when": "last", "order_type": "PUB"})
    with pytest.raises(NotReady, match="whether the bank took the new keys is open"):
        await changing.run()
    with pytest.raises(NotReady, match="is not known"):
        await changing.close()
    assert await changing.told(InForce.OLD) is InForce.OLD
    await ended(connection, "PUB")


@pytest.mark.parametrize("message", ["first", "last"])
async def test_an_order_that_meets_a_change_of_keys_is_not_refused_for_good_and_goes_out_once(
    connection: Connection, message: str
) -> None:
    changing = await begun(connection, "HCS")
    write, notes = connection.notes.write, 0

    async def changed_meanwhile(name: str, text: str, *, was: str | None) -> bool:
        nonlocal notes
        if "/upload/" in name:
            notes += 1
            if notes == {"first": 1, "last": 3}[message]:  # with the old keys in hand, just before the message leaves
                assert await changing.run() is InForce.NEW
        return await write(name, text, was=was)

    connection.notes.write = changed_meanwhile  # type: ignore[method-assign]
    channel = connection.channel()
    with pytest.raises(NotSent, match="our keys changed while this was sent"):
        await channel.send(PAYMENT)
    await channel.send(PAYMENT)
    taken = [order for order in connection.branch.orders if order["state"] in {"accepted", "final"}]
    assert len(taken) == 1


async def test_a_refused_authentication_without_a_change_of_keys_is_tried_again_and_again(connection: Connection) -> None:
    channel = await connection.ready()
    connection.branch.bank.moods.set("ebics_return_code", 1, {"when": "init", "code": "061001"})
    with pytest.raises(Refused, match="061001"):
        await channel.send(PAYMENT)
