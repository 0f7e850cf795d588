"""What strikes when: drawn from a seed before the run begins, so that it can be printed, counted and had again.

A real process never does the same twice to the millisecond. What the seed fixes is the list: the moments, the victims, the bytes.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of fault. What each does stands in `tests/chaos/faults.py`."""

    KILL_WORKER = "worker killed -9"
    KILL_SERVE = "serve killed -9"
    FREEZE_WORKER = "worker stopped longer than its lease"
    FREEZE_SERVE = "serve stopped"
    CUT_SFTP = "SFTP line cut"
    CUT_HTTPS = "HTTPS line cut"
    STALL_SFTP = "SFTP line stalled"
    STALL_HTTPS = "HTTPS line stalled"
    CUT_EBICS = "EBICS line cut"
    STALL_EBICS = "EBICS line stalled"
    CUT_STORE = "database line cut"
    STALL_STORE = "database line stalled"
    RESTART_STORE = "database restarted (fast)"
    CRASH_STORE = "database restarted (immediate)"
    KILL_STORE = "database killed -9"
    FILL_DISK = "database's disk full"
    CUT_OFF = "replica cut off from the database"
    LOSE_ANSWER = "bank loses its answer"
    FORGET = "bank forgets an EBICS transaction"
    TAKE_TWICE = "bank takes a file twice"
    TORN_FILE = "upload torn by the bank"
    GARBAGE = "bank serves garbage"
    DUPLICATE_ANSWER = "bank answers twice"
    LATE_ANSWER = "bank answers late"
    REORDER_ANSWERS = "bank answers out of order"


OF_A_SERVER = frozenset(
    {Kind.CUT_STORE, Kind.STALL_STORE, Kind.RESTART_STORE, Kind.CRASH_STORE, Kind.KILL_STORE},
)
"""Faults of a database that is a server of its own: SQLite has none of them."""

OF_A_NETWORK = frozenset({Kind.CUT_OFF})
"""Faults that need replicas in namespaces of their own."""

LANE_LEASE_SECONDS = 5.0  # of the replicas' configuration: a worker that is stopped for longer finds its lanes taken
LASTS = {
    Kind.KILL_WORKER: (0.0, 1.5),  # until it is started again
    Kind.KILL_SERVE: (0.0, 1.5),
    Kind.FREEZE_WORKER: (LANE_LEASE_SECONDS + 0.5, LANE_LEASE_SECONDS + 2.0),
    Kind.FREEZE_SERVE: (1.0, 4.0),
    Kind.STALL_SFTP: (1.0, 5.0),
    Kind.STALL_HTTPS: (1.0, 5.0),
    Kind.STALL_EBICS: (1.0, 5.0),
    Kind.STALL_STORE: (0.5, 3.0),
    Kind.KILL_STORE: (0.0, 1.0),
    Kind.FILL_DISK: (1.0, 3.0),
    Kind.CUT_OFF: (2.0, LANE_LEASE_SECONDS + 2.0),
    Kind.LATE_ANSWER: (0.5, 3.0),  # how late
}
BYTES = 24_000  # lines are cut within so many
CONNECTION_KINDS = {
    "sftp": frozenset({Kind.CUT_SFTP, Kind.STALL_SFTP}),
    "https": frozenset({Kind.CUT_HTTPS, Kind.STALL_HTTPS}),
    "ebics": frozenset({Kind.CUT_EBICS, Kind.STALL_EBICS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault to come. What a kind has no use for is 0."""

    at: float  # seconds from the start
    kind: Kind
    replica: int  # whose process or line
    lasts: float  # seconds until it is over
    number: int  # bytes until a line is cut, or which variant of a mood
    up: bool  # which direction of a line

    def __str__(self) -> str:
        way = "up" if self.up else "down"
        return f"{self.at:7.2f} s  {self.kind.value:<38} replica {self.replica}, {self.lasts:.2f} s, {self.number}, {way}"


def draw(
    seed: int, seconds: float, *, replicas: int = 2, kinds: Collection[Kind] = tuple(Kind), every: float = 1.0
) -> tuple[Strike, ...]:
    """Strikes in the order of time, one in about `every` seconds, each kind about as often as the others.

    Kinds come in shuffled rounds, so that a run of about `every * len(kinds)` seconds has each of them. The longest one comes
    first in a round: a run ends when the last one is over.
    """
    chance = random.Random(f"chaos {seed}")
    found: list[Strike] = []
    bag: list[Kind] = []
    now = 0.0
    while True:
        now += chance.uniform(0.4, 1.6) * every
        if now >= seconds:
            return tuple(found)
        bag = bag or _round(chance, kinds)
        kind = bag.pop()
        found.append(
            Strike(
                at=round(now, 2),
                kind=kind,
                replica=chance.randrange(replicas),
                lasts=round(chance.uniform(*LASTS.get(kind, (0.0, 0.0))), 2),
                number=chance.randrange(BYTES),
                up=chance.random() < 0.6,  # what matters most is on its way to the bank
            )
        )


def _round(chance: random.Random, kinds: Iterable[Kind]) -> list[Kind]:
    """Every kind once, to be taken from the end."""
    bag = sorted(kinds)
    chance.shuffle(bag)
    bag.sort(key=lambda kind: kind is Kind.FREEZE_WORKER)
    return bag
