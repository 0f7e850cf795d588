"""How the Chinese banks are asked for money back: no interface document of theirs that we have holds a request for it.

What they have instead is a person: the branch that keeps the account, by a written request for return (退汇) or an inquiry
(查询) through the payment system, and the bank's service line. Sources: the interface documents named in docs/banks/; the
banks' published service numbers.
"""

from collections.abc import Mapping
from typing import Final

LINES: Final[Mapping[str, str]] = {
    "abc": "95599",
    "boc": "95566",
    "bocom": "95559",
    "ccb": "95533",
    "cib": "95561",
    "cmb": "95555",
    "cmb_cloud": "95555",
    "cmbc": "95568",
    "icbc": "95588",
    "pingan": "95511",
    "spdb": "95528",
}
"""The service line of each bank that we speak to, by the name of its plugin."""


def ask_by(bank: str) -> tuple[str, str]:
    """Whom to ask for money back at a bank that takes no message for it, in English and Chinese."""
    line = LINES.get(bank)
    english = "ask the branch that keeps the account for the payment's return, in writing" + (
        f", and call the bank's service line {line} at once" if line else ""
    )
    chinese = "请书面联系开户网点申请退汇或查询" + (f"，并立即致电银行客服 {line}" if line else "")
    return english, chinese
