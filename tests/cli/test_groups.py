"""`bankgate groups` against a real service: a group from its first payment to its end, as its caller sees it."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.rpc.client import CallFailed, Client, Target


@pytest.fixture
def group(bankgate: Any, service: str, examples: Path, tmp_path: Path) -> str:
    """The address of a service with a group of three payments."""
    lines = (examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()
    file = tmp_path / "group.jsonl"
    file.write_text("".join(line[:-1] + ', "release_group": "PAYROLL"}\n' for line in lines), encoding="utf-8")
    assert bankgate("submit", file, "--connection", "house", "--target", service).code == 0
    return service


def test_a_group_is_listed_shown_closed_and_cancelled(bankgate: Any, group: str) -> None:
    of = ("PAYROLL", "--connection", "house", "--target", group)
    assert "Open: 3 payments so far." in bankgate("groups", "list", "--target", group).out
    shown = bankgate("groups", "show", *of, "--language", "zh").out
    assert "开放中：已有 3 笔付款" in shown
    there = json.loads(bankgate("groups", "show", *of, "--json").out)
    assert (there["submitted"]["number_of_transactions"], there["counts"]) == (
        "3",
        [{"state": "PAYMENT_STATE_APPROVED", "payments": "3"}],
    )
    wrong = bankgate("groups", "close", *of, "--payments", "4", "--sum", "EUR=5000.00")
    assert (wrong.code, "the group is not complete: it has 3 (" in wrong.err) == (1, True)
    sums = [f"--sum={currency}={amount}" for currency, amount in there["submitted"]["control_sums"].items()]
    closed = bankgate("groups", "close", *of, "--payments", "3", *sums)
    assert (closed.code, "All 3 are approved" in closed.out, "by caller: erp" in closed.out) == (0, True, True)
    assert bankgate("groups", "release", *of, "--payments", "2", "--sum", "EUR=1.00").code == 1
    assert bankgate("groups", "cancel", *of, "--reason", "wrong month").code == 0
    listed = json.loads(bankgate("groups", "list", "--state", "cancelled", "--json", "--target", group).out)
    assert [(one["release_group"], one["reason"]) for one in listed] == [("PAYROLL", "wrong month")]


OF = ("PAYROLL", "--connection", "house", "--payments", "1")


def test_what_cannot_be_is_told_in_words(bankgate: Any, group: str) -> None:
    for arguments, code, words in (
        (("list", "--state", "lost"), 2, "there are open, closed, released, cancelled"),
        (("close", *OF, "--sum", "EUR"), 2, "as EUR=1200.50"),
        (("close", *OF, "--sum", "EUR=1", "--sum", "EUR=2"), 2, "once for each"),
        (("close", *OF, "--sum", "EUR=-1"), 1, "is by currency"),
        (("show", "NOBODY", "--connection", "house"), 1, "no such release group of yours"),
        (("show", ""), 1, "name the group by group_id"),
        (("review", "0" * 32), 1, "may not approve"),
    ):
        done = bankgate("groups", *arguments, "--target", group)
        assert (done.code, words in done.err) == (code, True), done.err


async def test_a_payment_says_what_its_group_waits_for_and_a_closed_group_refuses_more(group: str, examples: Path) -> None:
    async with Client(Target(address=group)) as client:

        async def ask(method: str, request: dict[str, Any], service: str = "PaymentService") -> dict[str, Any]:
            return await client.call(service, method, request)

        payment = (await ask("GetPayment", {"payment_reference": "2026-1001"}))["payment"]
        assert (payment["release_group"]["waits"], payment["request"]["release_group"]) == (True, "PAYROLL")
        assert payment["release_group"]["text_en"].startswith("Open: 3 payments so far.")
        assert payment["reason"]["code"] == "bankgate.waits-for-group"
        await ask("CancelPayment", {"payment_reference": "2026-1002"})
        name = {"connection_id": "house", "release_group": "PAYROLL"}
        there = (await ask("GetReleaseGroup", {"group": name}, "ReleaseGroupService"))["group"]
        await ask("CloseReleaseGroup", {"group": name, "expected": there["rest"]}, "ReleaseGroupService")
        first = json.loads((examples / "payments.jsonl").read_text(encoding="utf-8").splitlines()[0])
        more = {**first, "payment_reference": "LATE", "connection_id": "house", "release_group": "PAYROLL"}
        with pytest.raises(CallFailed) as refused:
            await ask("SubmitPayments", {"payments": [more]})
        assert [(one.field, one.rule) for one in refused.value.broken] == [
            ("payments[0].release_group", "release-group.not-open")
        ]
        await ask("CancelPayment", {"payment_reference": "2026-1003"})
        rest = {"number_of_transactions": 1, "control_sums": {"EUR": first["amount"]}}
        request = {"group": name, "expected": rest, "reason": "without the others"}
        after = (await ask("ReleaseRest", request, "ReleaseGroupService"))["group"]
        assert (after["state"], after["reason"]) == ("RELEASE_GROUP_STATE_CLOSED", "without the others")
