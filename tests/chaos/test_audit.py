"""The reckoning after a chaos run sees what it is there to see: doubles, losses, wrong amounts, strangers."""

from typing import Any

import pytest

from tests.chaos.audit import Verdict, compare
from tests.chaos.callers import Ledger, request
from tests.chaos.faults import Struck
from tests.chaos.figures import Figures, recovery, together
from tests.chaos.plan import Kind, Strike
from tests.chaos.scene import ACCOUNTS


def world() -> tuple[dict[str, Any], dict[str, Any], Ledger]:
    """Two payments, each settled and executed once."""
    ledger = Ledger()
    payments, rows = {}, []
    for number, reference in enumerate(("R-1", "R-2"), 1):
        asked = request(reference, ACCOUNTS[0], number)
        ledger.requests[reference] = asked
        ledger.payment_ids[reference] = f"id-{number}"
        payments[reference] = {"payment_id": f"id-{number}", "state": "PAYMENT_STATE_SETTLED", "request": asked}
        rows.append({"instruction_id": f"id-{number}", "executed": True, "amount": asked["amount"]})
    return payments, {"payments": rows, "paid_twice": []}, ledger


def judged(payments: dict[str, Any], books: dict[str, Any], ledger: Ledger) -> Verdict:
    verdict = Verdict()
    compare(payments, books, ledger, verdict)
    return verdict


def test_a_good_end_is_called_a_bad_one() -> None:
    verdict = judged(*world())
    assert verdict.problems == []
    assert (verdict.doubles, verdict.lost, verdict.states["settled"]) == (0, 0, 2)


def test_a_payment_executed_twice_is_not_seen() -> None:
    payments, books, ledger = world()
    books["payments"].append(books["payments"][0])
    books["paid_twice"] = [{"instruction_id": "id-1"}]
    verdict = judged(payments, books, ledger)
    assert verdict.doubles == 1
    assert verdict.doubled_over == {ACCOUNTS[0].connection_id: 1}
    assert verdict.problems == ["R-1 was executed 2 times"]


def test_an_acknowledged_payment_that_is_gone_is_not_seen() -> None:
    payments, books, ledger = world()
    del payments["R-2"], books["payments"][1]
    assert judged(payments, books, ledger).lost == 1


def test_a_payment_said_to_be_settled_that_the_bank_does_not_have_is_not_seen() -> None:
    payments, books, ledger = world()
    books["payments"][1]["executed"] = False
    assert judged(payments, books, ledger).lost == 1


def test_a_payment_that_waits_visibly_counts_as_lost() -> None:
    payments, books, ledger = world()
    payments["R-2"]["state"] = "PAYMENT_STATE_HELD"
    del books["payments"][1]
    verdict = judged(payments, books, ledger)
    assert (verdict.lost, verdict.waiting, verdict.problems) == (0, 1, [])


def test_a_held_payment_that_the_bank_executed_is_not_seen() -> None:
    payments, books, ledger = world()
    payments["R-2"]["state"] = "PAYMENT_STATE_HELD"
    assert judged(payments, books, ledger).lost == 1


def test_another_amount_than_asked_or_a_payment_of_nobody_is_not_seen() -> None:
    payments, books, ledger = world()
    books["payments"][0]["amount"] = "999.99"
    books["payments"].append({"instruction_id": "stranger", "executed": True, "amount": "1.00"})
    assert len(judged(payments, books, ledger).problems) == 2


def test_a_reference_acknowledged_as_two_payments_is_not_seen() -> None:
    ledger = Ledger()
    for payment_id in ("a", "b"):
        ledger.answered({"payments": [{"payment_reference": "R", "payment_id": payment_id}]})
    assert ledger.findings == ["R was acknowledged as two payments"]


@pytest.mark.parametrize(("kind", "seconds"), [(Kind.KILL_WORKER, 1.0), (Kind.CUT_HTTPS, 4.0)])
def test_recovery_counts_payments_from_before_the_fault_or_over_another_door(kind: Kind, seconds: float) -> None:
    strike = Strike(at=0, kind=kind, replica=0, lasts=0, number=0, up=True)
    events = [{"payment_reference": name, "state": "PAYMENT_STATE_SENT"} for name in ("before", "sftp", "https")]
    found = recovery(
        [Struck(strike=strike, began=10.0, ended=10.5, detail="")],
        {"before": 9.0, "sftp": 10.2, "https": 10.1},
        {"before": "https", "sftp": "sftp", "https": "https"},
        events,
        [10.4, 11.0, 14.0],
    )
    assert found == {kind.value: [pytest.approx(seconds)]}


def test_figures_of_several_runs_do_not_add_up() -> None:
    one = Figures(
        seeds=[1], store="sqlite", payments=5, settled_total="1.10", recovery={"x": [1.0, 3.0]}, by_themselves={"serve": 1}
    )
    two = Figures(
        seeds=[2],
        store="sqlite",
        payments=7,
        settled_total="2.25",
        recovery={"x": [None]},
        by_themselves={"serve": 2},
        problems=["p"],
    )
    whole = together([one, two]).as_json()
    assert (whole["payments"], whole["settled_total"], whole["faults"], whole["runs"]) == (12, "3.35", 3, 2)
    assert whole["faults_by_kind"]["x"] == {"struck": 3, "median_seconds": 2.0, "worst_seconds": 3.0}
    assert whole["by_themselves"] == {"serve": 3}
    assert whole["problems"] == ["p"]
