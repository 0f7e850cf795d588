"""The plan of a chaos run: fixed by its seed, and with every kind of fault in it."""

import pytest

from tests.chaos.plan import LANE_LEASE_SECONDS, Kind, draw


def test_the_same_seed_strikes_at_other_moments_or_other_victims() -> None:
    assert draw(7, 120) == draw(7, 120)


def test_another_seed_strikes_the_same_way() -> None:
    assert draw(7, 120) != draw(8, 120)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_a_few_rounds_leaves_a_kind_out_or_a_strike_comes_late_or_out_of_order(seed: int) -> None:
    plan = draw(seed, 60)
    assert {strike.kind for strike in plan} == set(Kind)
    assert [strike.at for strike in plan] == sorted(strike.at for strike in plan)
    assert 0 < plan[0].at <= plan[-1].at < 60


def test_a_kind_that_cannot_be_done_here_is_drawn_all_the_same() -> None:
    assert {strike.kind for strike in draw(1, 60, kinds=[Kind.KILL_WORKER, Kind.CUT_SFTP])} == {Kind.KILL_WORKER, Kind.CUT_SFTP}


@pytest.mark.parametrize("seed", range(10))
def test_a_stopped_worker_is_woken_before_another_can_have_taken_its_lanes(seed: int) -> None:
    stops = [strike for strike in draw(seed, 120) if strike.kind is Kind.FREEZE_WORKER]
    assert stops
    assert all(strike.lasts > LANE_LEASE_SECONDS for strike in stops)
