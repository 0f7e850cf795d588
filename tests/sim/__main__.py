"""`make sim`: SEEDS is a count (100000), a range (500-900) or, with WORLD, one seed told step by step."""

import argparse
import os
import sys

from tests.sim.run import in_parallel, one, replay_command, shrunk, told, world_of
from tests.sim.settings import WORLDS
from tests.sim.world import PAYMENTS_MAX


def main() -> int:
    """The exit status: 0 if nothing that must not happen has happened."""
    parser = argparse.ArgumentParser(prog="make sim")
    parser.add_argument("seeds", help="a count, a range, or one seed with --world")
    parser.add_argument("--world", choices=list(WORLDS), help="one kind of world; without it seeds take turns among them")
    parser.add_argument("--payments", type=int, default=PAYMENTS_MAX, help="at most so many in one life")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    if asked.world and not last:
        return _tell(int(first), asked.world, asked.payments)
    numbers = range(int(first), int(last) + 1) if last else range(int(first))
    seeds = [(number, asked.world or world_of(number)) for number in numbers]
    outcome = in_parallel(seeds, asked.processes)
    print(f"\n{outcome.lives} lives; what struck, and how often:")
    for what, times in sorted(outcome.seen.items()):
        print(f"{times:10}  {what}")
    return 1 if outcome.violations else 0


def _tell(seed: int, name: str, payments: int) -> int:
    world = one(seed, name, payments_max=payments)
    if world.violation is not None and payments == PAYMENTS_MAX:
        world = shrunk(world)
    print(told(world))
    if world.violation is None:
        print(f"\nNothing went wrong in seed {seed} of world {name}.")
        return 0
    print(f"\n{world.violation}\n{replay_command(world)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
