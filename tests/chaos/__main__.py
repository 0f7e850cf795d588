"""`make chaos`: chaos on real parts for as long as one likes.

    make chaos                                   three runs of a minute of faults each, on PostgreSQL
    make chaos SECONDS=300 SEED=7 RUNS=1         one long one
    make chaos ARGS='--store sqlite'             on SQLite
    make chaos ARGS='--only CUT_OFF,KILL_WORKER' these kinds of faults and no others (tests/chaos/plan.py)

Where it may (Linux, root), a run on PostgreSQL puts its replicas into network namespaces, so that one can be cut off from the
database. Exit status: 0 nothing paid twice and nothing lost; 1 a promise was broken; the seed and the logs say where.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import early  # noqa: F401 - sets the environment
from tests.chaos.figures import Figures, together
from tests.chaos.guard import Guard
from tests.chaos.network import CannotMake, Network, make_network
from tests.chaos.plan import Kind
from tests.chaos.run import Chaos, run

REPLICAS = 2
JSON = Path("build/chaos.json")


def main() -> int:
    """In namespaces where that is wanted and possible, by starting this very command again inside them."""
    options = _options()
    if options.store == "sqlite" or options.no_namespaces or options.network:
        return _play(options)
    guard = Guard("tests.chaos")
    try:
        network = make_network(REPLICAS, guard)
        inside = [*network.inside(network.hub), sys.executable, "-m", "gateway.demo.leash", "tests.chaos"]
        # On a leash: if this process ends, however it does, so does the one that plays.
        with subprocess.Popen([*inside, *sys.argv[1:], "--network", network.name], stdin=subprocess.PIPE) as playing:
            return playing.wait()
    except CannotMake as why:
        _say(f"no replica is cut off from the database: {why}")
        return _play(options)
    finally:
        guard.close()


def _play(options: argparse.Namespace) -> int:
    """The runs one after the other: seeds SEED, SEED+1, … The bank of every second one refuses messages it knows."""
    done: list[Figures] = []
    for number in range(options.runs):
        directory = Path(tempfile.mkdtemp(prefix="bankgate-chaos-run-"))
        chaos = Chaos(
            seed=options.seed + number,
            seconds=options.seconds,
            store=options.store,
            replicas=REPLICAS,
            payments=options.payments,
            every=options.every,
            strict_bank=number % 2 == 1,
            courier=options.courier,
            network=Network(options.network) if options.network else None,
            only=frozenset(Kind[name] for name in options.only.split(",")) if options.only else frozenset(Kind),
        )
        done.append(asyncio.run(run(chaos, directory, _say)))
        _say(done[-1].table() + "\n")
        if done[-1].problems:
            _say(f"logs: {directory}")
        else:
            shutil.rmtree(directory)
    whole = together(done)
    if len(done) > 1:
        _say(whole.table())
    whole.write(options.json)
    _say(f"figures: {options.json}")
    return 1 if whole.problems else 0


def _say(text: str) -> None:
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults in each run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--every", type=float, default=1.0, help="seconds from one fault to the next, on average")
    parser.add_argument("--payments", type=int, default=900, help="about so many in each run")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--only", default="", help="names of kinds of faults, with commas between them")
    parser.add_argument("--no-namespaces", action="store_true", help="replicas on the machine's own loopback interface")
    parser.add_argument("--network", default="", help=argparse.SUPPRESS)
    parser.add_argument("--courier", choices=("ours", "naive"), default="ours", help="naive: the control that must fail")
    parser.add_argument("--json", type=Path, default=JSON)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
