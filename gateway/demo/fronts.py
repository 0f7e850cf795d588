"""A connection to each Chinese bank, as the demo and the tests set it up against the simulator: what differs from bank to bank.

All values are invented and fit `simulator.front`; a real connection has the same keys with the bank's own values
(docs/chinese-banks.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HOLDER: Final = "甲公司"
IMPATIENT: Final[Mapping[str, Any]] = {
    "timeouts": {"connect": 2, "read": 3, "total": 8},  # the simulator answers at once, or not at all
    "payment_pause": 0,
    "question_pause": 0,
}


PACE: Final[Mapping[str, Any]] = {
    "dialogue": {
        "ask_after_seconds": 0.3,
        "ask_longest_seconds": 1.0,
        "repeat_after_seconds": 1.0,
        "not_found_wait_seconds": 30.0,
        "returns_days": 2,
        "returns_seconds": 1.0,
        "statement_seconds": 1.0,
        "balance_seconds": 1.0,
        "quiet": [],
    },
    "schedule": {"fetch_seconds": 0.2, "ask_seconds": 0.3},
    "retry": {"first_seconds": 0.1, "longest_seconds": 0.5, "lease_seconds": 3000, "in_flight_max": 1000},
}
BANK_PACE: Final[Mapping[str, float]] = {
    "settle": 0.2,
    "pending": 1.5,
    "doubtful": 1.5,
    "manual": 1.5,
    "returned": 1.0,
    "hidden": 1.5,
}
"""How long things take at the bank, in seconds, and how impatient the gateway is with it: a day's work in seconds."""
OPENING: Final = "1000000.00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """`account` is the customer's, at this bank; `bank_code` its 联行号. `channel`: the `[channel]` table but for the address,
    which the simulator says. `customer`: what the simulator's customer is called, where it is not as the sheet's example."""

    account: str
    bank_code: str
    shape: str = "http_raw"
    framing: str | None = None
    path: str = "/"
    channel: Mapping[str, Any] = field(default_factory=dict)
    bank_settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # name → value
    idempotent: bool = False  # the sheet says that a serial number is never executed twice
    tells_returns: bool = True  # by status question, list or statement; else the balance alone shows it
    seal: Mapping[str, Any] | None = None


FRONTS: Final[Mapping[str, Front]] = {
    "cib": Front(
        account="117000000000000001",
        bank_code="309391000011",
        channel={"http_version": "1.0"},
        bank_settings={"customer_id": "1000000000", "user_id": "gw01"},
        secrets={"password": "secret99"},
        idempotent=True,
    ),
    "cmb": Front(
        account="755900000000001",
        bank_code="308584000013",
        bank_settings={"login_name": "demouser", "branch_code": "75", "business_mode": "00001"},
        idempotent=True,
    ),
    "cmb_cloud": Front(
        account="755900000000001",
        bank_code="308584000013",
        shape="http_form",
        bank_settings={"uid": "N123456789", "business_mode": "00001"},
        idempotent=True,
        seal={
            "kind": "cmb_cloud",
            "uid": "N123456789",
            "signing_key": "file:keys/cmb.key.pem",
            "signing_key_passphrase": "env:DEMO_FRONT_SEAL_KEY",
            "user_key": "env:DEMO_FRONT_USER_KEY",
            "bank_signing_certificates": ["file:keys/bank.pub"],
        },
    ),
    "cmbc": Front(
        account="600000001",
        bank_code="305100000013",
        tells_returns=False,
        bank_settings={
            "client_id": "2000000001",
            "user_id": "2000000001001",
            "rejected_codes": ["9"],
            "not_found_codes": ["WEC32"],
        },
        secrets={"password": "Passw0rd"},
    ),
    "pingan": Front(
        account="11000000000001",
        bank_code="307584007998",
        shape="tcp",
        framing="pingan222",
        bank_settings={"customer_code": "00100000000000000001"},
        idempotent=True,
    ),
    "icbc": Front(
        account="0200000000000000001",
        bank_code="102100099996",
        shape="http_form",
        path="/servlet/ICBCCMPAPIReqServlet",
        bank_settings={"group_cis": "990000000000001", "certificate_id": "demo.y.9900"},
    ),
    "spdb": Front(
        account="95200000000000001",
        bank_code="310290000013",
        tells_returns=False,
        framing="length6_inclusive",
        bank_settings={"customer_number": "2000000001"},
    ),
    "boc": Front(
        account="700000000001",
        bank_code="104100000004",
        path="/B2EC/E2BServlet",
        bank_settings={
            "terminal_id": "E000000000001",
            "customer_id": "10000001",
            "operator_id": "10000002",
            "bank_numbers": {"700000000001": "40142"},
            "rejected_codes": ["SIM091", "SIM092", "SIM093"],
        },
        secrets={"password": "Passw0rd"},
    ),
    "bocom": Front(
        account="310000000000000000001",
        bank_code="301290000007",
        bank_settings={"corporation_number": "1000000001", "user_number": "00001"},
    ),
    "ccb": Front(
        account="44000000000000000001",
        bank_code="105100000017",
        shape="tcp",
        framing="close",
        bank_settings={
            "customer_id": "000000000000001#001",
            "user_id": "WLPT01",
            "settled_codes": ["2", "3", "4"],
            "rejected_codes": ["5"],
            "persons_at_other_banks": True,
        },
        secrets={"password": "Passw0rd"},
    ),
    "abc": Front(
        account="41000000000000001",
        bank_code="103100000026",
        tells_returns=False,
        shape="tcp",
        framing="abc7",
        bank_settings={"corporation_number": "6600000000000001", "operator_number": "0001", "persons_elsewhere": True},
    ),
}


def connection_toml(bank: str, ready: Mapping[str, Any], pace: Mapping[str, Any]) -> str:
    """The file of a connection. `ready`: what the simulator says about its doors; `pace`: tables that a demonstration hurries."""
    front = FRONTS[bank]
    guarantee = (
        {"kind": "idempotent", "evidence": "the bank's interface document: a serial number is never executed twice"}
        if front.idempotent
        else {"kind": "queryable", "absence_is_final": False, "quiet_seconds": 3600}
    )
    account = {
        "other_id": front.account,
        "currency": "CNY",
        "holder": HOLDER,
        "agent_clearing_system_id": "CNAPS",
        "agent_clearing_system_member_id": front.bank_code,
    }
    table: dict[str, Any] = {
        "bank": bank,
        "initiating_party": HOLDER,
        "accounts": [account],
        "channel": {"kind": "frontend", **_address(front, ready), **front.channel, **_secrets(front), **IMPATIENT},
        "bank_settings": dict(front.bank_settings),
        "guarantee": guarantee,
        **pace,
    }
    if front.seal is not None:
        table["seal"] = dict(front.seal)
    return "".join(f"{key} = {toml(value)}\n" for key, value in table.items() if value != {})


def _address(front: Front, ready: Mapping[str, Any]) -> dict[str, Any]:
    """Where the front machine is, and the sign service beside it."""
    found: dict[str, Any] = {"shape": front.shape}
    if front.framing is not None:
        found["framing"] = front.framing
    if front.shape == "tcp":
        found |= {"host": ready["host"], "port": ready["port"]}
    else:
        found |= {"url": f"http://{ready['host']}:{ready['port']}", "path": front.path}
    if "sign" in ready:
        found["sign_service"] = {"url": f"http://{ready['sign']['host']}:{ready['sign']['port']}"}
    return found


def _secrets(front: Front) -> dict[str, Any]:
    return {"secrets": {name: f"env:{variable(name)}" for name in front.secrets}} if front.secrets else {}


def variable(name: str) -> str:
    """The environment variable in which a secret of the demo is handed over."""
    return f"DEMO_FRONT_{name.upper()}"


def toml(value: Any) -> str:
    """A value in TOML: tables inline, texts as JSON writes them."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


# -- the payments ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A payment as the ERP submits it, and the state it must come to. `story`: why that one."""

    request: Mapping[str, Any]
    state: str
    story: str

    @property
    def reference(self) -> str:
        return str(self.request["payment_reference"])


# The last two digits of the amount in fen choose the outcome (simulator/README.md); the state each must come to.
_OUTCOMES: Final = (
    ("91", "rejected", "refused by the bank"),
    ("99", "rejected", "refused by an approver at the bank"),
    ("90", "rejected", "approval came too late"),
    ("92", "settled", "long at the bank, then paid"),
    ("93", "settled", "in doubt at the bank, then paid"),
    ("94", "rejected", "in doubt at the bank, then failed"),
    ("95", "returned", "paid, and came back (退票)"),
    ("96", "settled", "waited for a person at the bank (落地), then paid"),
    ("97", "settled", "not found for a while, then paid"),
)


def cast(bank: str, connection: str, count: int = 50) -> list[Part]:
    """So many payments, every outcome among them; those without a story of their own settle."""
    front = FRONTS[bank]
    told = {7 + 4 * place: outcome for place, outcome in enumerate(_OUTCOMES)}
    parts = []
    for number in range(count):
        digits, state, story = told.get(number, (f"{number % 80:02d}", "settled", "ordinary"))
        if state == "returned" and not front.tells_returns:
            state, story = "settled", "paid; that it came back shows in the balance only"
        parts.append(_part(connection, front, number, f"{100 + number}.{digits}", state, story))
    return parts


def _part(connection: str, front: Front, number: int, amount: str, state: str, story: str) -> Part:  # noqa: PLR0917 - a row
    own, person, urgent = number % 3 == 0, number % 5 == 0, number % 4 == 0
    creditor: dict[str, Any] = {"name": f"收款人{number:02d}"}
    if person:
        creditor["person"] = {"other": [{"id": f"P{number}"}]}
    bank = {"name": "某银行深圳某支行", "clearing_system_id": "CNAPS", "clearing_system_member_id": "403584099005"}
    if own:
        bank |= {"clearing_system_member_id": front.bank_code, "name": "本行营业部"}
    return Part(
        request={
            "payment_reference": f"DEMO-{number:04d}",
            "connection_id": connection,
            "debtor_account": {"other_id": front.account},
            "amount": amount,
            "currency": "CNY",
            "payment_type": {"service_level": "URGP"} if urgent else {},
            "creditor": creditor,
            "creditor_account": {"other_id": f"62000000000000{number:05d}"},
            "creditor_agent": bank,
            "remittance_information": {"unstructured": [f"货款{number:02d}"]},
            "supplementary": [{"name": "cn.city", "value": "深圳"}, {"name": "cn.province", "value": "广东"}],
        },
        state=state,
        story=story,
    )
