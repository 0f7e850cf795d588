"""Which front machine a life has, what its connection claims, and how it is configured: drawn from the seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.config import Configuration, ConnectionSettings
from gateway.demo.fronts import FRONTS, HOLDER
from tests.sim.bank import LEASE
from tests.sim.settings import NOWHERE

BANKS: Final = ("cib", "icbc", "spdb", "boc", "bocom", "ccb", "abc", "cmb", "cmbc", "pingan")
REFUSAL: Final = (
    "SIM001",
    "余额不足，交易未受理",
)  # nothing of the request is executed, as the bank has confirmed
HIDDEN: Final = 1200.0  # seconds: the longest in which questions do not find what the bank has
NOT_FOUND_WAIT: Final = 1500.0  # as the connection is configured, and never shorter than the bank needs
MORNING: Final = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # 10:00 in China
LATE: Final = datetime(2026, 11, 25, 15, 40, tzinfo=UTC)  # 23:40 in China: a day, and at some banks a quiet hour, begins soon


NO_RECORD: Final[Mapping[str, str]] = {"boc": "SIM404", "ccb": "SIM404", "abc": "S404", "pingan": "SIM404"}
"""What the simulator says for "no such record" where the sheet has no code for it, and the operator was told one."""

NOT_CONNECTED: Final = "SIM107"  # likewise, of CCB: connect first


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`guarantee`: "idempotent", "queryable", "final" (queryable, and absence is final). `claimed`: what the connection says, if
    that is another one. `batch`: several payments in one request, where the bank has one for that."""

    bank: str
    guarantee: str
    claimed: str
    person: str
    batch: bool
    statements: bool
    start: datetime
    wrong_codes: float = 0.12  # how often a payment is answered with a code that is not what the bank does


def drawn(seed: int, pins: Mapping[str, Any]) -> Plan:
    """The plan of a seed; what is in `pins` is as it says."""
    dice = random.Random(f"front plan {seed}")
    facts: dict[str, Any] = {
        "bank": dice.choice(BANKS),
        "guarantee": dice.choice(["idempotent", "queryable", "final", "final"]),
        "person": dice.choice(["", "late", "careless"]),
        "batch": dice.random() < 0.5,
        "statements": dice.random() < 0.3,
        "start": dice.choice([MORNING, LATE]),
        "claimed": "",
    } | dict(pins)
    if facts["bank"] not in FRONTS:
        facts["bank"] = "icbc"
    if facts["guarantee"] == "idempotent" and not FRONTS[facts["bank"]].idempotent:
        facts["guarantee"] = "queryable"
    if facts["bank"] == "pingan":  # the fields of its batch are in no document; its plugin refuses to be set so
        facts["batch"] = False
    return Plan(**facts)


GUARANTEES: Final[Mapping[str, Mapping[str, Any]]] = {
    "idempotent": {"kind": "idempotent", "evidence": "letter of 2026-03-02"},
    "queryable": {"kind": "queryable"},
    "final": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": 700},
}


def configured(plan: Plan, more: Mapping[str, Any]) -> Configuration:
    """The configuration of every process. `more`: tables that replace these."""
    front = FRONTS[plan.bank]
    rejected = (*front.bank_settings.get("rejected_codes", ()), REFUSAL[0])
    settings = {**front.bank_settings, "rejected_codes": rejected, "batch": plan.batch}
    if plan.bank in NO_RECORD:
        settings["not_found_codes"] = (NO_RECORD[plan.bank],)
    if plan.bank == "ccb":
        settings["not_connected_codes"] = (NOT_CONNECTED,)
    every = 600.0 if plan.statements else 0.0
    table: dict[str, Any] = {
        "id": "bank",
        "bank": plan.bank,
        "initiating_party": HOLDER,
        "accounts": (
            {
                "other_id": front.account,
                "currency": "CNY",
                "holder": HOLDER,
                "agent_clearing_system_id": "CNAPS",
                "agent_clearing_system_member_id": front.bank_code,
            },
        ),
        "channel": {"kind": "frontend"},
        "bank_settings": settings,
        "guarantee": dict(GUARANTEES[plan.claimed or plan.guarantee]),
        "retry": {"first_seconds": 5, "longest_seconds": 300, "attempts_max": 6, "lease_seconds": LEASE},
        "schedule": {"fetch_seconds": 900, "ask_seconds": 120},
        "batching": {"wait_seconds": 2},
        "dialogue": {
            "ask_after_seconds": 60,
            "ask_longest_seconds": 900,
            "repeat_after_seconds": 600,
            "not_found_wait_seconds": NOT_FOUND_WAIT,
            "returns_days": 1,
            "returns_seconds": 1800,
            "statement_seconds": every,
            "balance_seconds": every * 3,
        },
    } | dict(more)
    return Configuration(directory=NOWHERE, connections={"bank": ConnectionSettings.model_validate(table)})
