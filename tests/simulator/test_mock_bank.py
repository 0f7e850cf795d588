"""The real ledger behind our doors: each outcome of mock-bank can be provoked and comes out at the customer."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from simulator.fixture import iban, run_bank
from tests.simulator.helpers import Identities, Pay, Ways, pain001, texts

_serial = count(1)


@pytest.fixture
async def ways(tmp_path: Path, mock_bank: str, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    """A bank with one debtor account of its own, unknown to the other tests of the module."""
    serial = next(_serial)
    debtor = iban("NL", f"MOCK{900_000_000 + serial:010d}")
    customer = {**acme, "accounts": [debtor]}
    async with run_bank(
        tmp_path,
        customers=[customer],
        ledger={"kind": "mock-bank", "url": mock_bank, "collect_seconds": 0},
        client_certificates=[identities.certificate],
    ) as bank:
        await bank.seed(f"DEBTOR{serial}", debtor)
        yield Ways(bank, identities, f"DEBTOR{serial}", debtor)


async def seed_creditor(ways: Ways, behaviour: str, **more: Any) -> str:
    serial = next(_serial)
    creditor = iban("NL", f"MOCK{800_000_000 + serial:010d}")
    await ways.bank.seed(f"CREDITOR{serial}", creditor, behaviour=behaviour, **more)
    return creditor


async def test_an_accepted_payment_is_answered_then_booked_on_the_statement(ways: Ways) -> None:
    await ways.upload(pain001("GOOD-1", ways.debtor, Pay("G1", "12.34")), "good-1.xml")

    answers = await ways.fetch()
    kinds = [name.split("-")[0] for name in answers]
    assert kinds == ["pain.002.001.10", "camt.054.001.08"]
    report, notification = answers.values()
    assert texts(report, "OrgnlMsgId") == ["GOOD-1"]
    assert "ACCP" in texts(report, "GrpSts")
    assert texts(notification, "EndToEndId") == ["G1"]

    await ways.bank.advance(1)
    (statement,) = (await ways.fetch()).values()
    assert texts(statement, "EndToEndId") == ["G1"]
    assert [float(amount) for amount in texts(statement, "Amt")[:2]] == [1000000.00, 999987.66]


@pytest.mark.parametrize(
    ("behaviour", "reason", "more"),
    [("closed-account", "AC04", {"closed": True}), ("bad-bank-id", "RC01", {"bic": "ZZZZNL2AXXX"})],
)
async def test_a_creditor_that_cannot_be_paid_rejects_one_payment_of_two(
    ways: Ways, behaviour: str, reason: str, more: dict[str, Any]
) -> None:
    creditor = await seed_creditor(ways, behaviour, **more)
    message = f"PART-{reason}"
    await ways.upload(pain001(message, ways.debtor, Pay(f"{message}-no", "5.00", creditor), Pay(f"{message}-yes")), "part.xml")

    report = next(body for name, body in (await ways.fetch()).items() if name.startswith("pain.002"))
    assert texts(report, "GrpSts") == ["PART"]
    assert dict(zip(texts(report, "OrgnlEndToEndId"), texts(report, "TxSts"), strict=True)) == {
        f"{message}-no": "RJCT",
        f"{message}-yes": "ACCP",
    }
    assert reason in texts(report, "Cd")
    books = await ways.bank.books()
    assert books["messages"][message] == {"executed": 1, "rejected": 1, "returned": 0}


async def test_a_debtor_without_money_is_told_so(ways: Ways) -> None:
    await ways.bank.seed(ways.account, ways.debtor, behaviour="insufficient-funds", balance="12.50")
    await ways.upload(pain001("POOR-1", ways.debtor, Pay("P1", "12.51"), Pay("P2", "12.50")), "poor.xml")

    report = next(body for name, body in (await ways.fetch()).items() if name.startswith("pain.002"))
    assert dict(zip(texts(report, "OrgnlEndToEndId"), texts(report, "TxSts"), strict=True)) == {"P1": "RJCT", "P2": "ACCP"}
    assert "AM04" in texts(report, "Cd")


async def test_a_settled_payment_comes_back_days_later(ways: Ways) -> None:
    await ways.bank.seed(
        ways.account, ways.debtor, behaviour="return-later", parameters={"days": 2, "reason": "MD07", "end_to_end_id": "R1"}
    )
    await ways.upload(pain001("BACK-1", ways.debtor, Pay("R1", "7.00"), Pay("R2", "8.00")), "back.xml")
    await ways.fetch()

    await ways.bank.advance(6)

    answers = await ways.fetch()
    returned = next(body for name, body in answers.items() if name.startswith("pacs.004.001.09"))
    assert texts(returned, "OrgnlEndToEndId") == ["R1"]
    assert "MD07" in texts(returned, "Cd")
    assert any(name.startswith("camt.053") for name in answers)
    assert any(name.startswith("camt.054") and texts(body, "EndToEndId") == ["R1"] for name, body in answers.items())
    books = await ways.bank.books()
    assert books["messages"]["BACK-1"] == {"executed": 2, "rejected": 0, "returned": 1}


async def test_a_silent_debtor_account_books_and_reports_nothing(ways: Ways) -> None:
    await ways.bank.seed(ways.account, ways.debtor, behaviour="silent")
    await ways.upload(pain001("QUIET-1", ways.debtor, Pay("Q1")), "quiet.xml")

    assert [name for name in await ways.fetch() if name.startswith("pain.002")] == []
    assert (await ways.bank.books())["messages"]["QUIET-1"]["executed"] == 1


async def test_a_file_nobody_can_read_is_answered_to_the_customer_who_sent_it(ways: Ways) -> None:
    await ways.upload(b"this is not a payment file", "nonsense.xml")

    (report,) = (await ways.fetch()).values()
    assert texts(report, "GrpSts") == ["RJCT"]
    assert texts(report, "OrgnlMsgId") == ["NOTPROVIDED"]


async def test_a_message_taken_twice_is_a_duplicate_to_the_ledger_and_paid_once(ways: Ways) -> None:
    ways.bank.moods.set("take_twice")
    await ways.upload(pain001("TWICE-1", ways.debtor, Pay("T1")), "twice.xml")

    reports = [body for name, body in (await ways.fetch()).items() if name.startswith("pain.002")]
    assert [texts(report, "GrpSts") for report in reports] == [["ACCP"], ["RJCT"]]
    assert "DUPL" in texts(reports[1], "Cd")
    books = await ways.bank.books()
    assert books["messages"]["TWICE-1"]["executed"] == 1
    assert books["paid_twice"] == []


async def test_the_same_payment_in_a_second_message_shows_in_the_books_as_paid_twice(ways: Ways) -> None:
    await ways.upload(pain001("DOUBLE-1", ways.debtor, Pay("D1")), "double-1.xml")
    await ways.upload(pain001("DOUBLE-2", ways.debtor, Pay("D1")), "double-2.xml")

    books = await ways.bank.books()
    assert {"instruction_id": "I-D1", "end_to_end_id": "D1", "times": 2} in books["paid_twice"]
