"""Acme: what this bank takes and gives, as data.

Source: Acme Bank, "Host-to-host parameters", version 3.1 of 2026-09-01.
"""

from formats.bank import Capabilities, Validity
from formats.iso20022 import STANDARD_PACKS, IsoBank
from formats.model import CreditTransfer
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting

ALWAYS = Validity()


def _long_id(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    return HERE if isinstance(transfer.end_to_end_id, str) and len(transfer.end_to_end_id) > 30 else NOTHING


ACME = Pack(
    name="acme",
    rules=(
        Rule(
            id="acme.end-to-end-id",
            source="Acme Bank, Host-to-host parameters 3.1, section 2.4",
            parts=("transfer",),
            field="end_to_end_id",
            message_en="Acme Bank keeps 30 characters of an end-to-end id. Send a shorter one.",
            message_zh="Acme 银行只保留端到端标识的前 30 个字符，请缩短。",
            check=_long_id,
        ),
    ),
)

BANK = IsoBank(
    name="acme",
    capabilities=Capabilities(
        sends={"pain.001.001.09": ALWAYS},
        reads=("pain.002", "camt.052", "camt.053"),
        currencies=frozenset({"EUR", "CHF"}),
        transfers_max=10_000,
        horizon_days=60,
        time_zone="Europe/Luxembourg",
        routes={"pain.001": "PAY", "pain.002": "STATUS", "camt": "STATEMENTS"},
    ),
    packs=(*STANDARD_PACKS, ACME),
)
