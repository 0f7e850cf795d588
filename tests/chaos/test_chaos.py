"""Chaos on real parts, the short form: every kind of fault, and the control that must fail. `make chaos` is the long form."""

from pathlib import Path

import pytest

from tests.chaos.databases import StoreKind
from tests.chaos.figures import Figures
from tests.chaos.run import Chaos, run

SEED = 1


async def played(chaos: Chaos, directory: Path) -> Figures:
    """The run, told to whoever looks at a failure."""
    told: list[str] = []
    figures = await run(chaos, directory, told.append)
    print("\n".join([*told, figures.table()]))
    return figures


@pytest.mark.timeout(170)
@pytest.mark.parametrize("store", ["sqlite"])
async def test_under_chaos_a_payment_is_paid_twice_or_lost_or_an_event_is_missed(tmp_path: Path, store: StoreKind) -> None:
    figures = await played(Chaos(seed=SEED, seconds=16, payments=150, store=store), tmp_path)
    assert figures.problems == []
    assert (figures.doubles, figures.lost, figures.waiting) == (0, 0, 0)
    assert figures.payments > 50
    assert figures.faults > 10
    assert all(time is not None for times in figures.recovery.values() for time in times)


@pytest.mark.timeout(170)
async def test_the_chaos_no_longer_shows_a_courier_that_sends_again_what_it_lost_track_of(tmp_path: Path) -> None:
    figures = await played(Chaos(seed=SEED, seconds=8, payments=80, courier="naive"), tmp_path)
    assert figures.doubles > 0
    assert any("was executed" in problem for problem in figures.problems)
