"""For each Chinese bank: fifty payments with every outcome, lost answers among them, to their ends and matched statements."""

from decimal import Decimal
from pathlib import Path

import pytest

from formats.bank import bank_named
from formats.dialogue import Asking
from gateway.demo.fronts import FRONTS, cast
from gateway.lifecycle import DeliveryState, PaymentState
from tests.journey.fronts.house import ERP, House, open_house

STRIKES = 4  # payments whose request or answer is spoilt


def spoil(house: House) -> None:
    """The next requests with payments: taken and not answered, answered "unknown", answered with rubbish."""
    moods = house.bank.moods
    moods.set("lose_answer", 2, when="payment")
    moods.set("answer_unknown", 1, when="payment")
    moods.set("garbage", 1, "truncated", when="payment")


@pytest.mark.parametrize("bank", sorted(FRONTS))
async def test_every_payment_comes_to_its_end_and_none_is_executed_twice(bank: str, tmp_path: Path) -> None:
    async with open_house(bank, tmp_path) as house:
        spoil(house)
        await house.submit(cast(bank, "bank"))
        assert await house.until_the_end() == {}
        assert house.bank.books.paid_twice() == ()
        doubted = [one for one in await house.deliveries() if one.doubt_since is not None]
        assert doubted, "no message was ever in doubt, though answers were lost"
        assert [one for one in await house.deliveries() if one.state is not DeliveryState.SENT] == []
        asks = bank_named(bank).dialogue.asks  # type: ignore[attr-defined]
        if Asking.BALANCE in asks:
            assert await house.until_the_balance_is_told() == house.book_balance()
        if Asking.STATEMENT in asks:
            executed = [Decimal(order.amount) / 100 for order in house.bank.books.orders() if order.executed]
            assert sorted((await house.debits()).values()) == sorted(executed)


@pytest.mark.parametrize("bank", sorted(FRONTS)[::2])  # every other one: the world `front` of the simulation loses requests too
async def test_a_request_that_the_bank_never_got_is_not_taken_for_paid(bank: str, tmp_path: Path) -> None:
    async with open_house(bank, tmp_path) as house:
        house.bank.moods.set("lose_request", 1, when="payment")
        await house.submit(cast(bank, "bank")[:3])
        if FRONTS[bank].idempotent:
            assert await house.until_the_end() == {}
        else:  # nobody but the bank knows: a person asks it, and says so
            (delivery,) = await house.in_doubt_for(turns=15)
            await house.operations.resolve_delivery(
                ERP, delivery.delivery_id, arrived=False, reason="the bank's desk says: never seen", attempt=1
            )
            assert await house.until_the_end() == {}
        assert house.bank.books.paid_twice() == ()


@pytest.mark.parametrize("bank", sorted(bank for bank, front in FRONTS.items() if front.tells_returns))
async def test_money_that_came_back_returns_its_payment_once_though_the_line_is_told_again(bank: str, tmp_path: Path) -> None:
    """Also where the line of its return names no payment; the bank's numbers are there for whoever calls it."""
    more = {"manners": {"returns_name_payment": False}} if bank in {"boc", "bocom"} else {}
    async with open_house(bank, tmp_path, **more) as house:
        parts = [part for part in cast(bank, "bank") if part.state == "returned"]
        assert parts, "no payment of the cast comes back"
        await house.submit([*parts, *cast(bank, "bank")[:2]])
        assert await house.until_the_end() == {}
        for _ in range(5):
            await house.turn()
        for part in parts:
            payment = (await house.found())[part.reference]
            states = [event.state for event in await house.store.payment_events(payment.payment_id)]
            assert states.count(PaymentState.RETURNED) == 1
            given = await house.payments.serial_of(payment)
            assert given is not None
            assert given.asked > 0
            assert given.asked_at is not None
            delivery = await house.store.delivery(given.delivery_id)
            assert delivery is not None
            assert given in await house.operations.serials(delivery)
        found, _ = await house.store.list_discrepancies(limit=99)
        assert [one.summary_en for one in found if one.key.startswith("returned:")] == []
