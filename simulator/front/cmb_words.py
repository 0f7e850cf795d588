"""What both interfaces of CMB say in the same words: states of requests (REQSTS, RTNFLG), and entries of an account.

A state and its flag are written "FIN/S" here; the flag means something with FIN only.
"""

import re
from typing import Final

from simulator.front.amounts import yuan
from simulator.front.books import Entry
from simulator.front.fates import State

_CODES: Final = {
    State.PROCESSING: "BNK",
    State.WAITING: "APD",
    State.DOUBTFUL: "WRF",
    State.SETTLED: "FIN/S",
    State.RETURNED: "FIN/B",
    State.REJECTED: "FIN/F",
    State.CANCELLED: "FIN/C",
    State.EXPIRED: "FIN/D",
}
_STATUS: Final = re.compile(r"(AUT|NTE|BNK|OPR|APW|APD|WCF|ACK|WRF|FIN)(/[A-Z])?")


def code(state: State, *, cloud: bool = False) -> str:
    """ "FIN/S". The word for "waits for somebody at the bank" is APD at the front machine, APW in the cloud."""
    return "APW" if cloud and state is State.WAITING else _CODES[state]


def is_status(text: str) -> bool:
    return _STATUS.fullmatch(text) is not None


def split(text: str) -> tuple[str, str]:
    """("FIN", "S")."""
    status, _, flag = text.partition("/")
    return status, flag


def entry(row: Entry) -> tuple[tuple[str, str], ...]:
    """The fields of NTQACTRSZ2, by their names in the cloud. Money that comes back comes as a credit of its own."""
    other = row.other
    return (
        ("etydat", f"{row.time:%Y%m%d}"),
        ("etytim", f"{row.time:%H%M%S}"),
        ("vltdat", f"{row.time:%Y%m%d}"),
        ("trscod", "CPIA" if row.credit else "CPAA"),
        ("naryur", "退票" if row.reversal else other.purpose),
        ("trsamt", yuan(row.amount)),
        ("amtcdr", "C" if row.credit else "D"),
        ("trsblv", yuan(row.balance)),
        ("refnbr", f"{row.time:%y%m%d}{row.id:010d}"),
        ("reqnbr", row.reference[-10:] if row.order_id else ""),
        ("nusage", other.purpose),
        ("yurref", row.serial),
        ("busnar", other.remark),
        ("rpynam", other.name),
        ("rpyacc", other.account),
        ("rpybbn", other.bank_code),
        ("rpybnk", other.bank_name),
        ("rsvflg", ""),
    )
