"""At the end of a life with a front machine: each payment stands where the bank's books say, or waits where a person sees it."""

from typing import Any

from gateway.lifecycle import DeliveryState, PaymentState
from simulator.front.fates import FAILED, State
from tests.sim.checkers import WAITS_FOR_A_PERSON
from tests.sim.front_world import FrontWorld

WITH_THE_BANK = frozenset({PaymentState.SENT, PaymentState.ACCEPTED})
TELL_RETURNS_WHEN_ASKED = frozenset({"cmb", "pingan"})  # by the payment's state or a list of returns
TELLS_OF_A_DOUBLE = frozenset({"sent_twice", "paid_twice", "decision_contradicted"})


def truths(world: FrontWorld, payment_id: str) -> set[PaymentState] | None:
    """The states that the bank's books allow, if the payment reached it; None: it did not."""
    found = [state for serial in world.front_checkers.serials_of_payment(payment_id) for state in world.house.states(serial)]
    if not found:
        return None
    if any(state not in FAILED | {State.SETTLED, State.RETURNED} for state in found):
        return set(WITH_THE_BANK) | {_state(world, one) for one in found if one in FAILED | {State.SETTLED}}
    return {state for one in found for state in _states(world, one)}


def _state(world: FrontWorld, state: State) -> PaymentState:
    return PaymentState.REJECTED if state in FAILED else PaymentState.SETTLED


def _states(world: FrontWorld, state: State) -> set[PaymentState]:
    if state is not State.RETURNED:
        return {_state(world, state)}
    if world.plan.bank in TELL_RETURNS_WHEN_ASKED:
        return {PaymentState.RETURNED}
    return {PaymentState.SETTLED, PaymentState.RETURNED}  # by a line of a statement, if those are asked for, or not at all


def moves(world: FrontWorld) -> bool:
    """Whether a payment is not yet where the bank's books say, and the bank is still asked about it."""
    for payment_id, state in world.checkers.rows("SELECT payment_id, state FROM payments"):
        allowed = truths(world, payment_id)
        if allowed is None or PaymentState(state) in allowed or _tells_of_the_whole(world):
            continue
        if _is_asked(world, payment_id):
            return True
    return False


def _tells_of_the_whole(world: FrontWorld) -> bool:
    """CIB's answer about a batch does not tell which of its payments failed (`formats.banks.cib`)."""
    return world.plan.bank == "cib" and world.plan.batch


def _is_asked(world: FrontWorld, payment_id: str) -> bool:
    rows = world.checkers.rows(
        "SELECT 1 FROM serial_numbers JOIN payments USING (payment_key) WHERE payment_id = ? AND next_ask_at IS NOT NULL",
        payment_id,
    )
    return bool(rows)


def compare_with_the_bank(world: FrontWorld) -> None:
    """All payments, and all orders."""
    for payment_id, reference in world.checkers.acknowledged.items():
        times = world.front_checkers.times(payment_id)
        if times > 1:
            world.seen["paid twice by a person's wrong word"] += 1
            if not world.checkers.tells_of(payment_id, TELLS_OF_A_DOUBLE):
                world.fail(f"payment {payment_id} was executed {times} times, by a person's wrong word, and nobody is told")
        _compare(world, payment_id, f"{reference} (payment {payment_id})")


def _compare(world: FrontWorld, payment_id: str, name: str) -> None:
    state, delivery, message = _standing(world, payment_id)
    allowed = truths(world, payment_id)
    told, asked = bool(world.checkers.tells_of(payment_id)), _is_asked(world, payment_id)
    if state is PaymentState.CANCELLED:
        if world.front_checkers.times(payment_id) and not told:
            world.fail(f"{name} was cancelled, as a person wrongly said that it had not arrived, and nobody is told")
    elif allowed is None:
        _compare_unknown(world, name, state, delivery, message, told or asked)
    elif state in allowed:
        world.seen[f"front: ends {state.value}"] += 1
        if state in WITH_THE_BANK and not told and not asked:
            world.fail(f"{name} is {state}, the bank does not say what became of it, and nobody asks or is told")
    elif state is PaymentState.BATCHED and delivery in WAITS_FOR_A_PERSON:
        world.seen["waits for a person: in doubt"] += 1
    elif state is PaymentState.HELD and told and message in world.wrong_words:
        world.seen["waits for a person: held by a wrong word"] += 1
    elif state in WITH_THE_BANK and _tells_of_the_whole(world) and asked:
        world.seen["still asked: its batch tells of all or none"] += 1
    else:
        world.fail(f"{name} is {state}; at the bank it is {' or '.join(sorted(one.value for one in allowed))}")


def _compare_unknown(
    world: FrontWorld, name: str, state: PaymentState, delivery: DeliveryState | None, message: str, seen: bool
) -> None:
    """The bank has never got it."""
    if state is PaymentState.BATCHED and delivery in WAITS_FOR_A_PERSON:
        world.seen["waits for a person: in doubt"] += 1
    elif state is PaymentState.HELD and seen:
        world.seen["waits for a person: held"] += 1
    elif state is PaymentState.REJECTED and set(world.front_checkers.serials_of(message)) <= world.front_checkers.refused:
        world.seen["rejected: the bank refused it at the first try"] += 1
    elif state is PaymentState.SENT and message in world.arrived_words and seen:
        world.seen["sent by a person's wrong word, and asked about"] += 1
    else:
        world.fail(f"{name} is {state}; the bank has never seen it, its message is {delivery}, and nobody is told")


def _standing(world: FrontWorld, payment_id: str) -> tuple[PaymentState, DeliveryState | None, str]:
    row: Any
    (row,) = world.checkers.rows(
        "SELECT p.state, d.state, d.message_id FROM payments AS p LEFT JOIN blocks USING (block_key)"
        " LEFT JOIN deliveries AS d USING (delivery_key) WHERE p.payment_id = ?",
        payment_id,
    )
    return PaymentState(row[0]), None if row[1] is None else DeliveryState(row[1]), row[2] or ""
