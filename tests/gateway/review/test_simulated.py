"""Nothing leaves without its approvals, whatever happens at once; and a gateway that is broken on purpose is caught."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.policy import chain
from gateway.review_gate import Watch
from gateway.review_standing import standing, subject_of
from gateway.store.reviews import Waiting
from tests.gateway.review.conftest import BIG, Build
from tests.gateway.review.simulated import DAY, Caught, Simulation

ROUNDS = 40


def _as_judged(waiting: Waiting) -> chain.Standing:
    """Where the payment stands if nobody asks whether it still is what was judged."""
    assert waiting.review is not None
    found = standing(subject_of(waiting.payment), waiting.review.verdict, waiting.signed)
    return replace(found, digest=waiting.review.digest)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_leaves_without_its_approvals_nor_over_the_limit(build: Build, seed: int) -> None:
    simulation = Simulation(build(BIG, DAY), seed, limit=Decimal(2000))
    await simulation.run(ROUNDS)
    assert simulation.house.bank.got, "something was sent at all"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("no last look", "without its approvals|another content"),
        ("content not compared", "another content"),
        ("one person counts twice", "without its approvals"),
    ],
)
async def test_a_gateway_broken_on_purpose_is_caught(
    build: Build, broken: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(BIG)
    if broken == "no last look":
        object.__setattr__(house.preparer, "gate", None)
    elif broken == "content not compared":
        monkeypatch.setattr(Watch, "look", lambda *_: None)
        monkeypatch.setattr("gateway.review_gate.standing_now", _as_judged)
    else:
        monkeypatch.setattr(chain, "_key", lambda _: object())
    with pytest.raises(Caught, match=told):
        await Simulation(house, 1).run(ROUNDS * 8)
