"""Every verdict of the lane in the audit log: what was stopped by itself, what passed together, by which rules."""

import json
from typing import Any

from gateway.store.audit import AuditFilter
from tests.gateway.review.conftest import BIG, DAY_LIMIT, Build, House

BOUNDS = """
id = "small"
version = 2
valid_from = 2026-01-01
default = "approval"
default_steps = [{ group = "finance" }]

[[automatic]]
id = "pocket-money"
when = { currency = "EUR", amount_up_to = "20.00" }
"""


async def lines(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    rows, _ = await house.store.list_audit(AuditFilter(action="payment"), limit=99)
    rows += (await house.store.list_audit(AuditFilter(action="payments"), limit=99))[0]
    rows.sort(key=lambda row: row.number)
    return [(row.action, row.object_id or "", json.loads(row.detail or "")) for row in rows]


async def test_what_a_rule_stops_is_a_line_with_the_rules_their_versions_and_the_content(build: Build) -> None:
    house = build(BIG, DAY_LIMIT)
    big, embargo = await house.submit("150.00", "900.00")
    await house.reviewer.pump()
    (first, second) = await lines(house)
    digest = (await house.case(big.payment_id)).digest.hex()
    rules = house.checks.digest(house.now())
    steps = [["finance", 1], ["board", 1]]
    chain = {"rule": "pay.big", "version": 7, "outcome": "approval", "score": None, "steps": steps}
    assert first[:2] == ("payment.judged", big.payment_id)
    assert first[2]["findings"][0] | {"rule": "pay.big"} == chain
    assert (first[2]["verdict"], first[2]["state"], first[2]["again"]) == ("approval", "awaiting_approval", False)
    assert (first[2]["content"], first[2]["rules"]) == (digest, rules)
    assert second[:2] == ("payment.judged", embargo.payment_id)
    assert (second[2]["verdict"], second[2]["state"]) == ("hold", "held")
    story = json.dumps([first, second])
    assert not [word for word in ("Supplier", "DE89370400440532013000", "NL41MOCK0000000001") if word in story]


async def test_what_passes_is_one_line_with_every_payment_and_the_rule_that_let_it_pass(build: Build) -> None:
    house = build(BOUNDS)
    stored = [one.payment_id for one in await house.submit("5.00", "6.00", "7.00", "150.00")]
    await house.reviewer.pump()
    (stopped, passed) = await lines(house)
    assert stopped[:2] == ("payment.judged", stored[3])
    assert passed[0] == "payments.passed"
    assert passed[2]["count"] == 3
    ((rule, ids),) = passed[2]["by"].items()
    assert sorted(ids) == sorted(stored[:3])
    assert rule.endswith("pocket-money version 2"), "an automatic approval names the bounds it was given by"


async def test_what_is_judged_again_is_told_anew_only_where_it_changed(build: Build) -> None:
    house = build(BIG)
    small, big = await house.judged("50.00", "150.00")
    house.write("p1", DAY_LIMIT)
    await house.reviewer.pump()
    again = (await lines(house))[2:]
    assert [(action, detail["by"]) for action, _, detail in again] == [("payments.passed", {"as before": [small, big]})]
    house.write("p1", DAY_LIMIT.replace("version = 3", "version = 4").replace("1000.00", "10.00"))
    await house.reviewer.pump()
    last = (await lines(house))[3:]
    assert [(action, thing, detail["again"]) for action, thing, detail in last] == [
        *(("payment.judged", small, True), ("payment.judged", big, True)),
    ]


async def test_content_that_somebody_changed_is_a_line_that_says_so(build: Build) -> None:
    house = build(BIG)
    (big,) = await house.judged("150.00")
    change = "UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'Supplier', 'Thief') AS BLOB)"
    await house.store._write(lambda tx: tx.db.execute(change).rowcount)  # as somebody with the database could
    house.write("p1", DAY_LIMIT)
    await house.reviewer.pump()
    (action, thing, detail) = (await lines(house))[-1]
    assert (action, thing, detail["reason"], detail["state"]) == ("payment.judged", big, "bankgate.approval-void", "held")
