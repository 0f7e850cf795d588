"""What people see when a connection to a front machine is set up wrongly: words that lead there, and nothing in doubt."""

import os
from pathlib import Path

import pytest

from gateway.demo.fronts import cast, variable
from gateway.lifecycle import DeliveryState
from tests.journey.fronts.house import open_house


@pytest.mark.parametrize("bank", ["boc", "ccb"])
async def test_a_wrong_password_is_told_in_the_banks_words_and_nothing_is_in_doubt(
    bank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(bank, tmp_path) as house:
        monkeypatch.setitem(os.environ, variable("password"), "wrong")
        await house.submit(cast(bank, "bank")[:1])
        await house.turn()
        (delivery,) = await house.deliveries()
        assert delivery.state is DeliveryState.READY
        assert "密码" in delivery.reason.bank_text
        assert "wrong" not in delivery.reason.bank_text
        assert house.bank.books.orders() == ()
