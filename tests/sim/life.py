"""One life from its first payment to the comparison of all books."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.lifecycle import DeliveryState, PaymentState
from tests.sim.checkers import WAITS_FOR_A_PERSON
from tests.sim.control_people import HouseCallers
from tests.sim.control_world import ControlWorld
from tests.sim.front_compare import TELLS_OF_A_DOUBLE, compare_with_the_bank, moves
from tests.sim.front_world import FrontWorld
from tests.sim.people import Callers, Person, calm, fate
from tests.sim.world import PAYMENTS_MAX, World

WORKERS, SERVERS = 2, 2
SETTLED = frozenset({PaymentState.SETTLED, PaymentState.RETURNED, PaymentState.REJECTED, PaymentState.CANCELLED})
CALM_HOURS_MAX = 12


async def life(world: World) -> None:
    """The bad hour, and then the calm in which everything comes to its end."""
    dice = world.dice
    for role, count in (("worker", WORKERS), ("serve", SERVERS)):
        for _ in range(count):
            world.start(role)
    callers = HouseCallers(world) if isinstance(world, ControlWorld) else Callers(world)
    crowd: list[Coroutine[Any, Any, None]] = [callers.watch(), callers.give_up_what_is_held(), *world.crowd(callers)]
    if world.kind.person:
        crowd.append(Person(world, world.kind.person == "careless").work())
    people = [world.loop.create_task(one) for one in crowd]
    trouble = world.loop.create_task(fate(world))
    paying = [world.loop.create_task(callers.read_again())] if dice.random() < 0.3 else []
    paying += [world.loop.create_task(callers.submit_all(min(dice.randint(2, PAYMENTS_MAX), world.payments_max)))]
    if dice.random() < 0.4:
        paying.append(world.loop.create_task(callers.change_their_mind()))
    try:
        await asyncio.sleep(world.kind.bad_seconds * (0.5 + dice.random()))
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
        await calm(world)
        await asyncio.gather(*paying)
        await _until_still(world)
        for one in people:
            one.cancel()
        for outcome in await asyncio.gather(*people, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome  # somebody fell ill: the life proves less than it says
        if world.violation is None:
            await compare(world, callers)
    finally:
        for task in (trouble, *paying, *people):
            task.cancel()


async def _until_still(world: World) -> None:
    """Until the bank has said everything, it was fetched, and nothing can change any more without a person."""
    pause = world.configuration.connections["bank"].schedule.fetch_seconds / 2 + 60
    ends = world.loop.time() + CALM_HOURS_MAX * 3600 + (world.kind.days + (world.kind.window is not None)) * 86400
    still = 0
    while still < 2 and world.loop.time() < ends and world.violation is None:
        await asyncio.sleep(pause)
        still = still + 1 if not world.bank.pending and not world.bank.offers and not _moving(world) else 0


def _moving(world: World) -> bool:
    if world.kind.person and world.checkers.rows("SELECT 1 FROM deliveries WHERE state = 'in_doubt'"):
        return True
    due = world.checkers.rows(
        "SELECT 1 FROM deliveries WHERE state IN ('ready', 'sending')"
        " UNION ALL SELECT 1 FROM payments WHERE state = 'approved'"
        " UNION ALL SELECT 1 FROM inbound_files WHERE state = 'stored'"
    )
    queryable = world.kind.guarantee in {"queryable", "idempotent", "final"}
    if isinstance(world, FrontWorld):
        queryable = world.kind.guarantee != "queryable"  # there it is asked for ever, and nothing follows from it
        if moves(world):
            return True
    if world.moves():
        return True
    doubts = world.checkers.rows("SELECT 1 FROM deliveries WHERE state = 'in_doubt' AND due_at IS NOT NULL")
    return bool(due) or (queryable and bool(doubts))


async def compare(world: World, callers: Callers) -> None:
    """All books side by side."""
    checkers = world.checkers
    if isinstance(world, FrontWorld):
        compare_with_the_bank(world)
    else:
        _compare_with_the_bank(world)
    world.compare()
    if {one for _, one, _ in checkers.feed} != set(checkers.acknowledged):
        world.fail("a payment is stored that no caller was ever told of, after it asked again")
    left = checkers.rows("SELECT name, state, problem FROM inbound_files WHERE state <> 'read'")
    if any(state == "stored" for _, state, _ in left):
        world.fail(f"answers of the bank were never read: {left}")
    if any(problem.startswith("a fault") for _, _, problem in left):
        world.fail(f"a fault of ours kept an answer from being read: {left}")
    await _compare_feed(world, callers)


def _compare_with_the_bank(world: World) -> None:
    checkers, bank = world.checkers, world.bank
    discrepancies = checkers.rows("SELECT kind, payment_id, delivery_id, resolved_at FROM discrepancies")
    told = {(kind, payment_id) for kind, payment_id, _, _ in discrepancies}
    for payment_id, times in sorted(bank.paid.items()):
        if times > 1 and bank.lies and ("paid_twice", payment_id) not in told:
            world.fail(f"payment {payment_id} was executed {times} times, by a lie of the bank's, and nobody is told")
        if times > 1:
            world.seen["paid twice by a lie" if bank.lies else "paid twice by a person's wrong word"] += 1
            if not bank.lies and not checkers.tells_of(payment_id, TELLS_OF_A_DOUBLE):
                world.fail(f"payment {payment_id} was executed {times} times, by a person's wrong word, and nobody is told")
    world.seen["held because of a lie"] += sum(kind == "contradiction" for kind, _ in told) if bank.lies else 0
    for payment_id, reference in checkers.acknowledged.items():
        _compare_payment(world, payment_id, reference, discrepancies)


def _compare_payment(world: World, payment_id: str, reference: str, discrepancies: list[Any]) -> None:
    """It stands where the bank says, or waits where a person sees it."""
    ((state_word, delivery, attempt, refused),) = world.checkers.rows(
        "SELECT p.state, d.state, d.attempt, r.payment_key IS NOT NULL FROM payments AS p LEFT JOIN blocks USING (block_key)"
        " LEFT JOIN deliveries AS d USING (delivery_key) LEFT JOIN refused_attempts AS r USING (payment_key)"
        " WHERE p.payment_id = ?",
        payment_id,
    )
    state, bank = PaymentState(state_word), world.bank
    world.seen["out again as normal"] += refused
    name = f"{reference} (payment {payment_id})"
    if bank.lies:
        return
    truth = bank.verdicts.get(payment_id + "-2" if refused else payment_id)
    if truth is None and world.explains(payment_id, state):
        return
    if state is PaymentState.CANCELLED:
        if bank.executed[payment_id] and not world.checkers.tells_of(payment_id):
            world.fail(f"{name} was cancelled, as a person wrongly said that it had not arrived, and nobody is told")
        return
    if truth is not None:
        if state is not truth:
            world.fail(f"{name} is {state}; at the bank it is {truth}")
    elif world.checkers.message_of(payment_id) in bank.unreadable:
        if state is not PaymentState.REJECTED:
            world.fail(f"{name} is {state}; the bank could not read its message, and said so")
    elif payment_id in bank.refused and not refused:
        # Not at all, but for the one case in which the refusal may be of a copy.
        if state is not PaymentState.REJECTED or attempt < 2:
            world.fail(f"{name} was refused as an instant payment and is {state}, attempt {attempt}")
    elif state is PaymentState.BATCHED:
        if DeliveryState(delivery) not in WAITS_FOR_A_PERSON:
            world.fail(f"{name} is not with the bank, its message is {delivery}, and nobody sees it")
        world.seen["waits for a person: in doubt"] += 1
    elif state is PaymentState.SENT and world.seen["a person wrongly said 'arrived'"]:
        world.seen["sent by a person's wrong word, and never answered"] += 1
    elif state is PaymentState.HELD:
        if not discrepancies:
            world.fail(f"{name} is held, and nobody is told")
        world.seen["waits for a person: held"] += 1
    else:
        world.fail(f"{name} is {state}; the bank has never seen it, and nobody is told")


async def _compare_feed(world: World, callers: Callers) -> None:
    """The watcher reads what is left, from where it stopped, at a server that lives; then it has seen all, once, in order."""
    server = next(process for process in world.processes if process.role == "serve")
    assert server.gateway is not None
    task = server.spawn(_rest(callers, server.gateway))
    await asyncio.wait([task])
    task.result()
    if callers.seen != world.checkers.feed:
        world.fail(
            f"a watcher who stopped and resumed saw {len(callers.seen)} events, not the {len(world.checkers.feed)} there are"
        )


async def _rest(callers: Callers, gateway: Any) -> None:
    async for events in gateway.watch(callers.who, callers.cursor, (), stop_at_end=True):
        callers.heard(events)
