"""`make chaos`: chaos on real parts for as long as one likes.

    make chaos                                   three runs of a minute of faults each
    make chaos SECONDS=300 SEED=7 RUNS=1         one long one
    make chaos ARGS='--store sqlite'             on SQLite instead of PostgreSQL

Exit status: 0 nothing paid twice and nothing lost; 1 a promise was broken; the seed and the log say where.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.figures import Figures, together
from tests.chaos.run import Chaos, run

JSON = Path("build/chaos.json")


def main() -> int:
    """Plays the runs one after the other: seeds SEED, SEED+1, … The bank of every second one refuses messages it knows."""
    options = _options()
    done: list[Figures] = []
    for number in range(options.runs):
        directory = Path(tempfile.mkdtemp(prefix="bankgate-chaos-"))
        chaos = Chaos(
            seed=options.seed + number,
            seconds=options.seconds,
            store=options.store,
            payments=options.payments,
            strict_bank=number % 2 == 1,
            courier=options.courier,
        )
        done.append(asyncio.run(run(chaos, directory, _say)))
        _say(f"logs: {directory}")
        _say(done[-1].table() + "\n")
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
    parser.add_argument("--payments", type=int, default=900, help="at most in each run")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--courier", choices=("ours", "naive"), default="ours", help="naive: the control that must fail")
    parser.add_argument("--json", type=Path, default=JSON)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
