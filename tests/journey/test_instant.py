"""Instant refused, then settled as a normal payment: through the real gateway and a bank, each a process of its own."""

from typing import Any

import pytest

from gateway.demo.cast import creditor_iban
from gateway.demo.scenery import SFTP_ACCOUNT

PAYMENTS = 5


def request(number: int, choice: str) -> dict[str, Any]:
    return {
        "payment_reference": f"{choice}-{number}".replace("_", "-"),
        "connection_id": "acme-sftp",
        "debtor_account": {"iban": SFTP_ACCOUNT},
        "amount": f"{number + 1}.50",
        "currency": "EUR",
        "payment_type": {"service_level": "SEPA"},
        "instant": f"INSTANT_CHOICE_{choice}",
        "charge_bearer": "SLEV",
        "creditor": {"name": f"Supplier {number}"},
        "creditor_account": {"iban": creditor_iban(number)},
    }


@pytest.mark.timeout(120)
async def test_what_the_bank_refuses_as_instant_settles_as_normal_and_is_executed_once(make_stage: Any) -> None:
    stage = await make_stage()
    await stage.control("POST", "/moods", {"mood": "refuse_instant", "count": None, "value": "AG03"})
    await stage.start("serve")
    await stage.start("worker")
    choices = [*["INSTANT_ELSE_NORMAL"] * PAYMENTS, "INSTANT", "NORMAL"]
    async with stage.erp() as erp:
        await erp.submit([request(number, choice) for number, choice in enumerate(choices)])
        told: dict[str, list[tuple[str, str]]] = {}
        async for event in erp.events():
            told.setdefault(event.reference, []).append((event.state, event.code))
            if len(told) == len(choices) and all(events[-1][0] in {"settled", "rejected"} for events in told.values()):
                break
        for reference, events in told.items():
            states = [state for state, _ in events]
            if reference.startswith("INSTANT-ELSE"):
                assert ("approved", "bankgate.instant-refused") in events
                assert states.count("sent") == 2
                assert (states[-1], "rejected" in states) == ("settled", False)
            else:
                assert events[-1] == (("rejected", "AG03") if reference == "INSTANT-5" else ("settled", "bankgate.settled"))
        shown = await erp._client.call("PaymentService", "GetPayment", {"payment_reference": "INSTANT-ELSE-NORMAL-0"})
        first, second = shown["payment"]["attempts"]
        assert second["instruction_id"] == f"{first['instruction_id']}-2"
        assert first["message_id"] != second["message_id"]
        assert first["uetr"] != second["uetr"]
        assert shown["payment"]["request"]["payment_type"]["local_instrument"] == "INST"
    books = await stage.control("GET", "/books")
    assert books["paid_twice"] == []
    assert books["totals"]["executed"] == books["totals"]["executed_distinct"] == PAYMENTS + 1
    by_end = [row["end_to_end_id"] for row in books["payments"] if row["executed"]]
    assert len(by_end) == len(set(by_end))
