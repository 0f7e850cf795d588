"""What the simulation must catch. A gateway that breaks a rule and is not caught would mean that the rule is not proven."""

import pytest

from tests.sim.control_mutants import CONTROL
from tests.sim.ebics_mutants import EBICS
from tests.sim.front_mutants import FRONT
from tests.sim.mutants import CONTROLS, MUTANTS, Mutant
from tests.sim.run import one

pytestmark = pytest.mark.timeout(900)  # the rarest is caught after a hundred lives


def _caught(mutant: Mutant) -> None:
    with mutant.broken():
        for seed in range(mutant.first, mutant.first + mutant.seeds):
            violation = one(seed, mutant.world, kind=mutant.kind).violation
            if violation is not None and mutant.says in violation:  # it may break other things on the way
                return
    pytest.fail(f"not caught within {mutant.seeds} seeds from {mutant.first} on of world {mutant.world}")


@pytest.mark.parametrize("name", CONTROLS)
def test_the_simulation_catches_a_gateway_that(name: str) -> None:
    _caught(CONTROLS[name])


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_catches_a_rule_that_is_broken(name: str) -> None:
    _caught(MUTANTS[name])


@pytest.mark.parametrize("name", EBICS)
def test_the_simulation_catches_an_ebics_channel_that(name: str) -> None:
    _caught(EBICS[name])


@pytest.mark.parametrize("name", FRONT)
def test_the_simulation_catches_a_gateway_before_a_front_machine_that(name: str) -> None:
    _caught(FRONT[name])


@pytest.mark.parametrize("name", CONTROL)
def test_the_simulation_catches_a_house_that(name: str) -> None:
    _caught(CONTROL[name])
