"""The kinds of world there are: what the connection claims, and who is in it."""

import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

from gateway.config import Configuration, ConnectionSettings
from gateway.store.sqlite.schema import migrate
from tests.sim.bank import LEASE, QUIET

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NOWHERE = Path("/nowhere")  # no file of a configuration is read
ACCOUNT = "NL41MOCK0000000001"
GUARANTEES: dict[str, dict[str, object]] = {
    "blind": {"kind": "blind"},
    "queryable": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": QUIET},
    "queryable-not-final": {"kind": "queryable", "quiet_seconds": QUIET},
    "idempotent": {"kind": "idempotent", "evidence": "letter of 2026-03-02"},
}


@dataclass(frozen=True, kw_only=True)
class WorldKind:
    """`person`: nobody (""), one who decides late and may wrongly say "arrived" ("late"), or one who also wrongly says "did not
    arrive" ("careless"). `instant`: the share of instant-else-normal payments. `days`: how late the bank's answers may be.
    `window`: from when to when the bank takes messages, in UTC. `in_flight`: at most so many messages not known to have arrived.
    `torn`: half a file may stand under its final name; the bank rejects it as unreadable, or never reads it. `bad_seconds`: how
    long things break, in the mean. `late_writers`: how often one who is about to write an outcome is stopped first. `ebics`: over
    the production EBICS channel, to a bank that speaks it; `deaf`: every other answer to a last segment is lost, and the customer
    protocol shows nearly everything late. `front`: to a front machine that answers at once, drawn
    from the seed but for what stands here (`tests.sim.front_plan`). `control`: in a house with rules and people who decide, drawn
    likewise (`tests.sim.control_world`)."""

    guarantee: str
    claimed: str = ""  # what the configuration says, if that is another guarantee than the bank's
    person: str = ""
    instant: float = 0.0
    lies: bool = False
    days: float = 0.0
    window: tuple[time, time] | None = None
    in_flight: int = 0
    torn: bool = False
    bad_seconds: float = 1500.0
    late_writers: float = 0.08
    ebics: bool = False
    deaf: bool = False
    front: dict[str, Any] | None = None
    control: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)


WORLDS: dict[str, WorldKind] = {
    "blind": WorldKind(guarantee="blind"),
    "queryable": WorldKind(guarantee="queryable"),
    "idempotent": WorldKind(guarantee="idempotent"),
    "person": WorldKind(guarantee="blind", person="late"),
    "instant-blind": WorldKind(guarantee="blind", instant=0.8),
    "queryable-not-final": WorldKind(guarantee="queryable-not-final", person="late"),
    "instant-queryable": WorldKind(guarantee="queryable", instant=0.8),
    "careless": WorldKind(guarantee="blind", person="careless", days=0.02),
    "instant-idempotent": WorldKind(guarantee="idempotent", instant=0.8),
    "days": WorldKind(guarantee="queryable", days=3.0),
    "lies": WorldKind(guarantee="blind", instant=1.0, lies=True),
    "bounds": WorldKind(guarantee="queryable", window=(time(8), time(9, 15)), in_flight=1),
    "torn": WorldKind(guarantee="blind", person="late", torn=True),
    "ebics": WorldKind(
        guarantee="queryable", ebics=True, bad_seconds=1000.0, settings={"schedule": {"fetch_seconds": 900, "ask_seconds": 300}}
    ),
    "ebics-deaf": WorldKind(
        guarantee="queryable",
        ebics=True,
        deaf=True,
        days=0.1,
        bad_seconds=1000.0,
        settings={"schedule": {"fetch_seconds": 900, "ask_seconds": 300}},
    ),
    "front": WorldKind(guarantee="drawn", front={}),
    "control": WorldKind(guarantee="drawn", person="late", control={}),
}


def configuration(kind: WorldKind) -> Configuration:
    """The configuration of every process of the world."""
    window: dict[str, Any] = {}
    if kind.window is not None:
        opens, cut_off = kind.window
        window = {"time_zone": "Etc/UTC", "send_window": {"calendar": "EVERY_DAY", "opens": opens, "cut_off": cut_off}}
    in_flight = {"in_flight_max": kind.in_flight} if kind.in_flight else {}
    settings = ConnectionSettings.model_validate(
        {
            "id": "bank",
            "bank": "iso20022",
            "message": "pain.001.001.09",
            "initiating_party": "ACME BV",
            "accounts": ({"iban": ACCOUNT, "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"},),
            "channel": {"kind": "folder", "upload": "out"},
            "guarantee": GUARANTEES[kind.claimed or kind.guarantee],
            "retry": {"first_seconds": 5, "longest_seconds": 300, "attempts_max": 6, "lease_seconds": LEASE, **in_flight},
            "schedule": {"fetch_seconds": 14400 if kind.days > 1 or kind.window else 400, "ask_seconds": 300},
            "batching": {"wait_seconds": 2},
            "instant": {"offered": True},
            **window,
            **kind.settings,
        }
    )
    return Configuration(directory=NOWHERE, connections={"bank": settings})


@cache
def _template() -> sqlite3.Connection:
    """An empty database with its schema: made once, copied for each life."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    migrate(db)
    db.execute("COMMIT")
    return db


def fresh_database() -> sqlite3.Connection:
    """A copy of the template."""
    db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
    _template().backup(db)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    return db
