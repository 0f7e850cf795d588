"""Running lives: one, told as a story, or many, counted."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.sim.control_rules import parsed_once
from tests.sim.control_world import ControlWorld
from tests.sim.ebics_seals import cheap_seals
from tests.sim.front_world import FrontWorld
from tests.sim.life import life
from tests.sim.machine import simulated_machine
from tests.sim.settings import WORLDS, WorldKind
from tests.sim.world import PAYMENTS_MAX, World

KNOWN = Path(__file__).with_name("known_seeds.txt")
CHUNK = 25
REAL_SEALS = 16  # of so many EBICS lives one has real signatures


def one(seed: int, name: str, *, kind: WorldKind | None = None, payments_max: int = PAYMENTS_MAX) -> World:
    """Lives one life, in production code but for what is patched already."""
    seals = nullcontext() if seed % REAL_SEALS == 0 else cheap_seals()
    with simulated_machine(), parsed_once(), seals:
        chosen = kind or WORLDS[name]
        build = FrontWorld if chosen.front is not None else ControlWorld if chosen.control is not None else World
        return build(seed, name, kind=chosen, payments_max=payments_max).live(life)


def world_of(seed: int) -> str:
    """Which world a seed of a range lives in."""
    return list(WORLDS)[seed % len(WORLDS)]


def digest(world: World) -> str:
    """Of everything that happened, in its order."""
    return hashlib.sha256(repr(world.story).encode()).hexdigest()


def replay_command(world: World) -> str:
    """What shows this life step by step."""
    fewer = f" PAYMENTS={world.payments_max}" if world.payments_max != PAYMENTS_MAX else ""
    return f"make sim SEEDS={world.seed} WORLD={world.name}{fewer}"


def told(world: World) -> str:
    """The life as a numbered story in plain words."""
    lines = []
    for number, (at, who, what, times) in enumerate(world.story, 1):
        clock = f"{timedelta(seconds=round(at, 3))!s:.11}"
        again = f" ({times} times)" if times > 1 else ""
        lines.append(f"{number:5}. {clock:>16}  {who:9} {what}{again}")
    return "\n".join(lines)


def shrunk(world: World) -> World:
    """The same seed with fewer payments, if that goes wrong too: the fewest."""
    for fewer in range(1, PAYMENTS_MAX):
        smaller = one(world.seed, world.name, kind=world.kind, payments_max=fewer)
        if smaller.violation is not None:
            return smaller
    return world


@dataclass
class Outcome:
    """Of many lives."""

    lives: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str, str]] = field(default_factory=list)  # seed, world, what was wrong

    def add(self, other: "Outcome") -> None:
        self.lives += other.lives
        self.seen += other.seen
        self.violations += other.violations

    def summary(self) -> str:
        """The first violation with the command that replays it."""
        seed, name, what = self.violations[0]
        return f"{what}\n  seed {seed} of world {name}; step by step: make sim SEEDS={seed} WORLD={name}"


def many(seeds: Iterable[tuple[int, str]], *, kind: WorldKind | None = None, stop_at_first: bool = False) -> Outcome:
    """Lives them one after another."""
    total = Outcome()
    for seed, name in seeds:
        world = one(seed, name, kind=kind)
        total.add(Outcome(1, world.seen))
        if world.violation is not None:
            total.violations.append((seed, name, world.violation))
            if stop_at_first:
                break
    return total


def known_seeds() -> Iterator[tuple[int, str, str]]:
    """Seeds that once found something: seed, world, what."""
    for line in KNOWN.read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"(\d+)\s+([\w-]+)\s+(\S.*)", line)
        if found:
            yield int(found[1]), found[2], found[3]


def in_parallel(seeds: list[tuple[int, str]], processes: int) -> Outcome:
    """Lives them on several cores, with a line about the progress now and then."""
    total, began, last = Outcome(), time.monotonic(), 0.0
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(processes) as pool:
        for outcome in pool.map(many, chunks):
            total.add(outcome)
            for seed, name, what in outcome.violations:
                print(f"VIOLATION in seed {seed} of world {name}: {what}\n  make sim SEEDS={seed} WORLD={name}", flush=True)
            now = time.monotonic()
            if now - last > 10 or total.lives == len(seeds):
                last = now
                pace = total.lives / max(now - began, 0.001)
                print(f"{total.lives} of {len(seeds)} lives, {pace:.1f} a second, {len(total.violations)} violations", flush=True)
    return total
