"""Screening against a large list: payments a second, memory, and what is found and what is taken for somebody by mistake.

    python -m bench.screening [--names 50000] [--payments 3000] [--each 300]

The peer in the same run is rapidfuzz alone: `process.extract` with `token_sort_ratio` over all names, written alike
beforehand. List, payees and noise are made (`bench/screening_made.py`) from a fixed seed. *new*: no payee was met before;
*again*: the same ones once more, as payment runs have them. CPU seconds of one process; then two processes at a time by the
clock. Two figures of the payees of one kind: found at a score or above it, and wrongly found.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

from rapidfuzz import fuzz, process, utils

from bench.reading import peak_mib
from bench.screening_made import NOISE, Listed, innocents, made_list, noisy
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PostalAddress
from gateway.policy.screening.entries import ListAction, ScreeningList
from gateway.policy.screening.names import name_of
from gateway.policy.screening.screen import Screen, ScreenRules
from gateway.policy.subject import Subject

TODAY = date(2026, 11, 26)
SEED = 2026
THRESHOLDS = (70, 75, 80, 85, 90, 95)
PEER_SCORE = 85


def screen_of(listed: list[Listed]) -> Screen:
    entries = tuple(one.entry for one in listed)
    made = ScreeningList(
        id="made", kind="own", source="made", date=TODAY, sha256="0" * 64, action=ListAction.HOLD, entries=entries
    )
    return Screen([made], ScreenRules())


def subject(name: str) -> Subject:
    """A payment to somebody, with bank and address."""
    return Subject(
        payment_id="p",
        caller="erp",
        connection_id="house",
        submitted_at=datetime(2026, 11, 26, 9, tzinfo=UTC),
        submitted_by=None,
        terms=PaymentTerms(
            debtor=Party(name="Muster GmbH"),
            debtor_account=Account(iban="DE89370400440532013000"),
            debtor_agent=Agent(bic="COBADEFFXXX"),
            requested_execution_date=TODAY,
        ),
        transfer=CreditTransfer(
            instruction_id="1",
            end_to_end_id="1",
            amount=Decimal("10.00"),
            currency="EUR",
            creditor=Party(name=name, postal_address=PostalAddress(country="NL")),
            creditor_account=Account(iban="CH9300762011623852957"),
            creditor_agent=Agent(bic="MOCKNL2AXXX"),
        ),
    )


def payees(listed: list[Listed], count: int) -> list[str]:
    """One in a hundred stands on the list under some spelling, the others do not; no name twice."""
    clean = [text for _, text in innocents(listed, SEED + 1, count)]
    dirty = [text for _, text, _ in noisy(listed, SEED + 2, max(1, count // 100))]
    return list(dict.fromkeys([*clean[:: max(1, len(clean) // count)], *dirty[:: len(NOISE)]]))[:count]


def pace(names: int, count: int) -> dict[str, float]:
    """In a process of its own: what building and judging cost."""
    listed = made_list(SEED, names)
    before, memory = time.process_time(), peak_mib()
    screen = screen_of(listed)
    found = {"build": time.process_time() - before, "memory": peak_mib() - memory, "peak": peak_mib()}
    subjects = [subject(text) for text in payees(listed, count)]
    name_of.cache_clear()
    for kind in ("new", "again"):
        began, clock = time.process_time(), time.perf_counter()
        hits = sum(bool(screen.judge(one, TODAY)) for one in subjects)
        found[kind], found[f"{kind}_clock"] = time.process_time() - began, time.perf_counter() - clock
        found["held"] = hits / len(subjects)
    found["count"] = len(subjects)
    found["peak_after"] = peak_mib()
    return found


def peer(listed: list[Listed], texts: list[str]) -> float:
    """CPU seconds a name of the peer."""
    choices = [utils.default_process(one.entry.names[0]) for one in listed]
    began = time.process_time()
    for text in texts:
        process.extract(text, choices, scorer=fuzz.token_sort_ratio, processor=utils.default_process, score_cutoff=PEER_SCORE)
    return (time.process_time() - began) / len(texts)


def table(listed: list[Listed], each: int) -> None:
    """Found and wrongly found, by kind and score."""
    index = screen_of(listed)._index  # the names alone: no rules, no limit of what is told
    keys = [name.key for name in index.names]
    best: dict[str, list[float]] = defaultdict(list)
    for kind, text, who in noisy(listed, SEED + 3, each):
        wanted = name_of(who.entry.names[0]).key
        hits = index.search(name_of(text), THRESHOLDS[0])
        best[kind].append(max((hit.score for hit in hits if keys[hit.number] == wanted), default=0))
    wrong: dict[str, list[float]] = defaultdict(list)
    for kind, text in innocents(listed, SEED + 4, each):
        hits = index.search(name_of(text), THRESHOLDS[0])
        wrong[kind].append(hits[0].score if hits else 0)
    print(f"\n{'found at a score of':32}" + "".join(f"{score:>8}" for score in THRESHOLDS))
    for kind, scores in best.items():
        print(f"{kind:32}" + "".join(f"{share(scores, score):8.1%}" for score in THRESHOLDS))
    every = [score for scores in best.values() for score in scores]
    print(f"{'all kinds (recall)':32}" + "".join(f"{share(every, score):8.1%}" for score in THRESHOLDS))
    print("\nwrongly found")
    for kind, scores in wrong.items():
        print(f"{kind:32}" + "".join(f"{share(scores, score):8.1%}" for score in THRESHOLDS))
    innocent = [score for scores in wrong.values() for score in scores]
    print(f"{'all kinds':32}" + "".join(f"{share(innocent, score):8.1%}" for score in THRESHOLDS))
    precision = [precise(every, innocent, score) for score in THRESHOLDS]
    print(f"{'precision, as many of either':32}" + "".join(f"{value:8.1%}" for value in precision))


def share(scores: list[float], least: float) -> float:
    return sum(score >= least for score in scores) / len(scores)


def precise(right: list[float], wrong: list[float], least: float) -> float:
    """Of those found, how many stand on the list, if payees were half and half."""
    found = share(right, least)
    return found / (found + share(wrong, least)) if found else 0.0


def peer_table(listed: list[Listed], each: int) -> None:
    """The peer's figures at its own usual score, on a part of the set."""
    choices = [utils.default_process(one.entry.names[0]) for one in listed]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for kind, text, who in noisy(listed, SEED + 3, each):
        hits = process.extract(
            text, choices, scorer=fuzz.token_sort_ratio, processor=utils.default_process, score_cutoff=PEER_SCORE, limit=50
        )
        kinds[kind].append(any(listed[place].entry.names == who.entry.names for _, _, place in hits))
    told = ", ".join(f"{kind} {sum(found) / len(found):.0%}" for kind, found in kinds.items())
    every = [one for found in kinds.values() for one in found]
    print(f"\nrapidfuzz token_sort_ratio at {PEER_SCORE} finds {sum(every) / len(every):.1%}: {told}")


def main() -> None:
    from bench import setting

    arguments = argparse.ArgumentParser(description="Screening against a large list.")
    arguments.add_argument("--names", type=int, default=50_000)
    arguments.add_argument("--payments", type=int, default=3_000)
    arguments.add_argument("--each", type=int, default=300)
    arguments.add_argument("--pace", action="store_true", help="in a process of its own")
    asked = arguments.parse_args()
    if asked.pace:
        print(json.dumps(pace(asked.names, asked.payments)))
        return
    print(f"screening: {setting.machine()}; {asked.names:,} names, {asked.payments:,} payments")
    command = [
        sys.executable,
        "-m",
        "bench.screening",
        "--pace",
        *map(str, ("--names", asked.names, "--payments", asked.payments)),
    ]
    one = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    two = [json.loads(process.communicate()[0]) for process in running]
    listed = made_list(SEED, asked.names)
    theirs = peer(listed, payees(listed, asked.payments)[:60])
    print(f"built in {one['build']:.1f} CPU s, {one['memory']:.0f} MiB; peak of the process {one['peak_after']:.0f} MiB")
    for kind in ("new", "again"):
        each = one[kind] / one["count"]
        both = sum(found["count"] / found[f"{kind}_clock"] for found in two)
        ratio = theirs / each
        print(
            f"{kind:6} {each * 1e6:6.0f} µs CPU a payment, {1 / each:6,.0f} payments/s of one process; "
            f"two processes by the clock {both:6,.0f} payments/s; rapidfuzz alone takes {ratio:.0f} × as long"
        )
    print(f"held: {one['held']:.1%} of the payments")
    table(listed, asked.each)
    peer_table(listed, max(10, asked.each // 15))


if __name__ == "__main__":
    main()
