"""Rules in the worker and in the answers that callers get."""

from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.config_load import ConfigurationProblems
from gateway.lanes import PLANS_LANE, REVIEW_LANE
from gateway.worker import Worker
from tests.gateway.review.conftest import BIG, DAY_LIMIT, ERP, Build, House, order


def worker_of(house: House) -> Worker:
    return Worker(house.configuration, house.store, now=house.now, measures=house.metrics)


async def test_the_worker_judges_on_a_lane_of_its_own_before_it_sends(build: Build) -> None:
    house = build(BIG)
    worker = worker_of(house)
    small, big = [one.payment_id for one in await house.submit("50.00", "150.00")]
    await worker.wake_all()
    lanes = set()
    while claimed := await house.store.claim_lane("me", house.now(), timedelta(seconds=9), worker.lanes):
        lanes.add(claimed[0])
        await house.store.release_lane(claimed[0], "me", claimed[1], None)
    assert lanes == {"one", "fetch:one", REVIEW_LANE, PLANS_LANE}
    assert (await worker.pump("one"), await house.states([small])) != (None, ["batched"]), "not before it was judged"
    again = await worker.pump(REVIEW_LANE)
    assert again is not None
    assert again > house.now(), "rules and lists are looked at again"
    assert await house.states([small, big]) == ["approved", "awaiting_approval"]
    await worker.close()


async def test_a_lost_wake_is_mended_by_the_look_at_the_queues(build: Build) -> None:
    house = build(BIG)
    worker = worker_of(house)
    await house.submit("50.00")
    ticket = await house.store.claim_lane("me", house.now(), timedelta(seconds=9), [REVIEW_LANE])
    assert ticket is not None
    await house.store.release_lane(*ticket[:1], "me", ticket[1], None)
    assert await house.store.claim_lane("me", house.now(), timedelta(seconds=9), [REVIEW_LANE]) is None
    await worker.check_queues()
    assert await house.store.claim_lane("me", house.now(), timedelta(seconds=9), [REVIEW_LANE]) is not None
    await worker.close()


async def test_one_that_winds_down_judges_no_more(build: Build) -> None:
    house = build(BIG)
    worker = worker_of(house)
    (stored,) = await house.submit("50.00")
    worker.wind_down()
    await worker.pump(REVIEW_LANE)
    assert await house.states([stored.payment_id]) == ["received"]
    await worker.close()


async def test_nothing_starts_over_rules_with_mistakes(build: Build) -> None:
    house = build()
    house.write("p0", "id = 7")
    with pytest.raises(ConfigurationProblems, match=r"policies/p0.toml"):
        worker_of(house)


async def test_a_dry_run_says_what_policies_would_say_and_counts_within_the_call(build: Build) -> None:
    house = build(BIG, DAY_LIMIT)
    orders = [order(f"INV-{place}", amount=Decimal("600")) for place in range(2)]
    violations, conflicts, warnings, _ = await house.gateway.check(ERP, orders, None)
    assert (violations, list(conflicts)) == ((), [])
    assert [(one.index, one.violation.rule, one.violation.severity) for one in warnings] == [
        (0, "policy.big", "warning"),
        (1, "policy.day", "warning"),
        (1, "policy.big", "warning"),
    ]
    assert warnings[0].violation.message_en.startswith("It would wait for approval: ")
    assert (await house.store.review_book()).fence == 0, "nothing was written"


async def test_a_payment_shows_its_caller_what_rules_said(build: Build) -> None:
    house = build(BIG)
    (big,) = await house.judged("150.00")
    case = await house.gateway.case_of(await house.payment(big))
    assert case is not None
    assert case.review.verdict.leading is not None
    assert (case.review.verdict.leading.rule, case.review.verdict.leading.version) == ("big", 7)
