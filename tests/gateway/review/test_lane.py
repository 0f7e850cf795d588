"""The lane that judges payments: what each verdict leads to, limits that hold whoever judges, and judging again."""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pytest

from formats.model import Account, Agent
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.policy.chain import Choice
from gateway.policy.verdict import Finding
from gateway.reasons import ours
from gateway.review import Judging, Reviewer
from gateway.store.records import PaymentChange, PaymentFilter
from gateway.store.reviews import Waiting
from gateway.store.store import Stale
from tests.gateway.review.conftest import BIG, CONSOLE, DAY_LIMIT, ERP, Build


async def test_without_rules_a_payment_is_approved_at_once_and_nothing_is_judged(build: Build) -> None:
    house = build()
    (stored,) = await house.submit("12.50")
    assert stored.state is PaymentState.APPROVED
    assert await house.reviewer.pump() is None
    assert await house.send() == 1
    assert (await house.store.review_book()).fence == 0


async def test_a_payment_waits_in_review_and_each_verdict_leads_where_it_says(build: Build) -> None:
    house = build(BIG, DAY_LIMIT)
    (stored,) = await house.submit("12.50")
    assert (stored.state, (await house.payment(stored.payment_id)).reason.code) == (PaymentState.RECEIVED, "bankgate.in-review")
    assert await house.send() == 0, "nothing leaves before it was judged"
    ids = [stored.payment_id, *await house.judged("900.00", "800.00", prefix="B")]
    assert await house.states(ids) == ["approved", "awaiting_approval", "held"]
    approved, waits, held = [await house.payment(one) for one in ids]
    assert approved.reason.code == "bankgate.approved"
    assert waits.reason.code == "policy.big"
    assert "rule big, version 7" in waits.reason.text_en
    assert "next: finance (0 of 2 given)" in waits.reason.text_en
    assert held.reason.code == "policy.day"
    assert held.reason.text_en.startswith("held: ")
    assert "规则 day，版本 3" in held.reason.text_zh
    assert await house.story(ids[2]) == [("received", "bankgate.in-review", "caller"), ("held", "policy.day", "review")]
    assert await house.send() == 1


async def test_what_a_rule_blocks_is_rejected_and_counts_for_no_limit(build: Build) -> None:
    house = build(DAY_LIMIT)
    blocked = await house.judged("900.00", prefix="K", creditor_account=Account(other_id="1"), creditor_agent=_bank("KP"))
    allowed = await house.judged("900.00")
    assert await house.states([*blocked, *allowed]) == ["rejected", "approved"]
    assert (await house.payment(blocked[0])).reason.text_en.startswith("refused: ")


def _bank(country: str) -> Agent:
    return Agent(bic=f"MOCK{country}22XXX", name="Bank")


async def test_a_thousand_payments_against_a_limit_never_exceed_it(build: Build) -> None:
    """Submitted in calls of many sizes, judged by two runners at once that lose the race against each other again and again."""
    house = build(DAY_LIMIT)
    for call in range(5):
        await house.submit(*["7.00"] * 200, prefix=f"C{call}")
    others = [house.reviewer, house.another_reviewer()]
    for _ in range(3):
        await asyncio.gather(*(one.pump() for one in others))
    counts = await house.store.count_payments(PaymentFilter())
    assert counts == {PaymentState.APPROVED: 142, PaymentState.HELD: 858}, "142 times 7.00 is 994.00"


async def test_a_runner_that_dies_between_judging_and_writing_loses_nothing_and_counts_nothing(build: Build) -> None:
    house = build(DAY_LIMIT)
    ids = [one.payment_id for one in await house.submit("600.00", "600.00")]
    write = house.store.write_judged

    async def dies(*_: object) -> frozenset[str]:
        raise ConnectionError("killed")

    house.store.write_judged = dies  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await house.reviewer.pump()
    assert await house.states(ids) == ["received", "received"]
    house.store.write_judged = write  # type: ignore[method-assign]
    await house.another_reviewer().pump()
    assert await house.states(ids) == ["approved", "held"]


async def test_one_that_lost_its_lease_and_wakes_up_late_writes_nothing(build: Build) -> None:
    house = build(DAY_LIMIT)
    ids = [one.payment_id for one in await house.submit("600.00", "600.00")]
    late = house.another_reviewer()
    found = await house.store.unjudged(1)
    await house.reviewer.pump()
    assert not await late._judge(0, found), "judged by what it saw, both would have been approved"
    assert await house.states(ids) == ["approved", "held"]


async def test_a_cancelled_payment_frees_what_it_used(build: Build) -> None:
    house = build(DAY_LIMIT)
    (first,) = await house.judged("900.00")
    await house.gateway.cancel(ERP, payment_id=first, reason="not needed")
    assert await house.states(await house.judged("900.00", prefix="B")) == ["approved"]


async def test_cancelling_works_in_every_waiting_state(build: Build) -> None:
    house = build(BIG, DAY_LIMIT)
    stored = await house.submit("1.00", prefix="R")
    received = stored[0].payment_id
    await house.gateway.cancel(ERP, payment_id=received, reason="x")
    ids = await house.judged("900.00", "950.00")
    assert await house.states(ids) == ["awaiting_approval", "held"]
    for one in ids:
        await house.gateway.cancel(ERP, payment_id=one, reason="x")
    assert await house.states([received, *ids]) == ["cancelled"] * 3


# -- judging again -----------------------------------------------------------------------------------------------------


async def test_when_rules_change_everything_that_waits_is_judged_again_and_says_so(build: Build) -> None:
    house = build(BIG)
    ids = await house.judged("50.00", "150.00")
    assert await house.states(ids) == ["approved", "awaiting_approval"]
    house.write("p0", BIG.replace("version = 7", "version = 8").replace('"100.00"', '"40.00"'))
    await house.reviewer.pump()
    assert await house.states(ids) == ["awaiting_approval", "awaiting_approval"]
    assert "version 8" in (await house.payment(ids[0])).reason.text_en
    assert [state for state, _, _ in await house.story(ids[0])] == ["received", "approved", "held", "awaiting_approval"]
    assert (await house.story(ids[1]))[-1] == ("awaiting_approval", "bankgate.judged-again", "review")
    assert await house.send() == 0
    house.write("p0", BIG.replace("version = 7", "version = 9").replace('"100.00"', '"200.00"'))
    await house.reviewer.pump()
    assert await house.states(ids) == ["approved", "approved"]
    assert (await house.story(ids[1]))[-1] == ("approved", "bankgate.judged-again", "review"), "laxer, and said"


async def test_judged_again_each_payment_stands_at_its_own_place_before_the_limit(build: Build) -> None:
    house = build(DAY_LIMIT)
    ids = await house.judged("400.00", "400.00", "400.00")
    assert await house.states(ids) == ["approved", "approved", "held"]
    house.write("p0", DAY_LIMIT.replace("version = 3", "version = 4").replace("1000.00", "900.00"))
    await house.reviewer.pump()
    assert await house.states(ids) == ["approved", "approved", "held"], "those that were first are still first"
    house.write("p0", DAY_LIMIT.replace("version = 3", "version = 5").replace("1000.00", "1200.00"))
    await house.reviewer.pump()
    assert await house.states(ids) == ["approved"] * 3


async def test_a_payment_held_for_another_reason_is_not_released_by_rules(build: Build) -> None:
    house = build(DAY_LIMIT)
    (one,) = await house.judged("10.00")
    hold = PaymentChange(
        payment_id=one,
        version=2,
        event=PaymentEvent.HOLD,
        state=PaymentState.HELD,
        reason=ours("perhaps-executed"),
        source="pain.002",
    )
    await house.store.change_payments([hold])
    house.write("p0", DAY_LIMIT.replace("version = 3", "version = 4").replace("1000.00", "900.00"))
    await house.reviewer.pump()
    assert (await house.payment(one)).reason.code == "bankgate.perhaps-executed"
    assert (await house.gateway.list_approvals(CONSOLE, None, (), 10, None))[0] == []


async def test_rules_with_mistakes_leave_those_before_them_in_force(build: Build) -> None:
    house = build(BIG)
    house.write("p0", "id = ")
    assert await house.states(await house.judged("150.00")) == ["awaiting_approval"]
    house.write("p0", BIG.replace('"100.00"', '"900.00"'))  # the same version, saying something else
    assert await house.states(await house.judged("150.00", prefix="B")) == ["awaiting_approval"]


async def test_a_held_payment_that_was_changed_in_the_database_says_so_and_is_told_once(build: Build) -> None:
    house = build(DAY_LIMIT)
    (one,) = await house.judged("1500.00")
    with sqlite3.connect(house.directory / "bankgate.db") as db:
        db.execute("UPDATE transfers SET content = CAST(replace(CAST(content AS TEXT), 'Supplier', 'Thief') AS BLOB)")
    for version in (4, 5):
        house.write("p0", DAY_LIMIT.replace("version = 3", f"version = {version}"))
        await house.reviewer.pump()
    assert (await house.payment(one)).reason.code == "bankgate.approval-void"
    assert await house.discrepancies() == [("approval_void", one)]
    assert (await house.case(one)).choices == (Choice.REFUSE,)


async def test_a_runner_that_was_stopped_does_not_judge_by_rules_that_another_one_has_replaced(build: Build) -> None:
    """It had read the files, and lost its lease; meanwhile they were made stricter, and taken up by the other one."""
    house = build(BIG)
    await house.judged("50.00")
    slow, write = house.another_reviewer(), house.store.unjudged
    await slow.pump()

    async def stopped(limit: int) -> list[Waiting]:
        house.store.unjudged = write  # type: ignore[method-assign]
        house.write("p0", BIG.replace("version = 7", "version = 8").replace('"100.00"', '"10.00"'))
        await house.reviewer.pump()
        await house.submit("60.00", prefix="B")
        return await write(limit)

    house.store.unjudged = stopped  # type: ignore[method-assign]
    await slow.pump()
    payment = await house.gateway.payment(ERP, payment_reference="B-0")
    assert payment.state is PaymentState.AWAITING_APPROVAL
    assert "version 8" in payment.reason.text_en


async def test_rules_that_cannot_be_read_are_not_judged_by_once_another_runner_has_newer_ones(build: Build) -> None:
    house = build(BIG)
    await house.judged("50.00")
    old = house.another_reviewer()
    house.write("p0", BIG.replace("version = 7", "version = 8").replace('"100.00"', '"10.00"'))
    await house.reviewer.pump()
    assert await house.states([(await house.submit("60.00", prefix="B"))[0].payment_id]) == ["received"]
    house.write("p0", "id = ")
    await old.pump()
    payment = await house.gateway.payment(ERP, payment_reference="B-0")
    assert payment.state is PaymentState.RECEIVED, "it waits until the rules can be read, or the other runner comes"
    await house.reviewer.pump()
    assert (await house.payment(payment.payment_id)).state is PaymentState.AWAITING_APPROVAL


async def test_where_the_rules_are_gone_what_was_submitted_under_rules_is_held(build: Build) -> None:
    house = build(BIG)
    (stored,) = await house.submit("1.00")
    (house.directory / "policies" / "p0.toml").unlink()
    await house.another_reviewer().pump()
    assert (await house.payment(stored.payment_id)).reason.code == "policy.no-rules"


# -- checks that fail --------------------------------------------------------------------------------------------------


@dataclass
class Breaks:
    """A check that cannot be made of some payments."""

    name: str = "lists"

    def digest(self, now: datetime) -> str:
        return "1"

    async def judge(self, judging: Judging) -> Sequence[Sequence[Finding]]:
        if any(one.transfer.amount == Decimal("13.00") for one in judging.subjects):
            raise ZeroDivisionError
        return [() for _ in judging.subjects]


async def test_a_payment_that_a_check_cannot_be_made_of_is_held_and_holds_nothing_else_up(build: Build) -> None:
    house = build(DAY_LIMIT)

    class WithBroken:
        configured, unread = True, False

        async def refresh(self) -> None:
            return None

        def digest(self, now: datetime) -> str:
            return "x"

        @property
        def all(self) -> Sequence[object]:
            return (Breaks(), *house.checks.all)

    reviewer = Reviewer(house.store, WithBroken(), house.now, house.metrics)  # type: ignore[arg-type]
    ids = [one.payment_id for one in await house.submit("600.00", "13.00", "600.00")]
    await reviewer.pump()
    assert await house.states(ids) == ["approved", "held", "held"]
    assert [(await house.payment(one)).reason.code for one in ids[1:]] == ["policy.check-failed", "policy.day"]


async def test_other_runners_that_never_stop_are_left_to_the_engine(build: Build) -> None:
    house = build(DAY_LIMIT)
    await house.submit("1.00")

    async def stale(*_: object) -> frozenset[str]:
        raise Stale("another")

    house.store.write_judged = stale  # type: ignore[method-assign]
    with pytest.raises(Stale):
        await house.reviewer.pump()


async def test_a_finding_that_asks_approval_of_nobody_holds(build: Build) -> None:
    house = build(BIG.replace('default = "pass"', 'default = "hold"'))
    assert await house.states(await house.judged("1.00")) == ["held"]
