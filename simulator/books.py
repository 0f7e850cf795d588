"""What the bank executed, counted so that "nothing was paid twice" can be shown."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

_SECOND = re.compile(r"([0-9a-f]{32})-2")


class Booked(TypedDict):
    """One transaction the bank decided. `executed`: accepted (booked now or on its day), even if it came back later."""

    message_id: str
    payment_information_id: str | None
    instruction_id: str | None
    end_to_end_id: str | None
    debtor_account: str | None
    creditor_account: str | None
    amount: str  # decimal, in the currency's own units
    currency: str | None
    executed: bool
    status: str  # accepted, rejected, returned
    reason: str | None


def identity(payment: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What makes two executions the same payment, whatever message carried them.

    The instruction id and the end-to-end id are the payer's own; the money's way is added because both may repeat by right
    ("NOTPROVIDED"). The message id is left out on purpose: the same payment in a second message is the mistake to find. So is
    what marks a second attempt: "-2" after the 32 digits of a first, which the payer sends once that is surely not executed.
    """
    names = ("end_to_end_id", "debtor_account", "creditor_account", "amount", "currency")
    instruction_id = payment["instruction_id"]
    second = _SECOND.fullmatch(instruction_id or "")
    return (second[1] if second else instruction_id, *(payment[name] for name in names))


def summarise(payments: Iterable[Mapping[str, Any]], *, listed: bool = True) -> dict[str, Any]:
    """The answer of `GET /books`: totals, one row a message, the payments executed more than once, and every payment."""
    rows = list(payments)
    executed = Counter(identity(row) for row in rows if row["executed"])
    messages: dict[str, dict[str, int]] = {}
    for row in rows:
        message = messages.setdefault(row["message_id"], {"executed": 0, "rejected": 0, "returned": 0})
        message["executed" if row["executed"] else "rejected"] += 1
        message["returned"] += row["status"] == "returned"
    twice = [
        {**dict(zip(("instruction_id", "end_to_end_id"), key[:2], strict=True)), "times": times}
        for key, times in executed.items()
        if times > 1
    ]
    summary: dict[str, Any] = {
        "totals": {
            "messages": len(messages),
            "executed": sum(executed.values()),
            "executed_distinct": len(executed),
            "rejected": sum(not row["executed"] for row in rows),
            "returned": sum(row["status"] == "returned" for row in rows),
        },
        "messages": messages,
        "paid_twice": twice,
    }
    if listed:
        summary["payments"] = [{**row, "times_executed": executed.get(identity(row), 0)} for row in rows]
    return summary
