"""Draws docs/lifecycle.md from the tables of gateway/lifecycle.py.

python deploy/scripts/lifecycle_diagram.py            write it
python deploy/scripts/lifecycle_diagram.py --check    exit 1 if the page differs from the tables
"""

import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gateway import lifecycle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

INTRODUCTION = """\
# Where payments and deliveries stand

<!-- Drawn by `make diagrams` from the tables of gateway/lifecycle.py; edit those. A test fails when this page differs. -->

Two machines, each one table. A pair of state and event that is not in its table is illegal: nothing changes, and somebody is
told. Hundreds of payments travel in one delivery (one file to the bank). Doubt is about the delivery; verdicts are about
payments.
"""

PAYMENTS = """\
## Payment

From `sent` on, the bank speaks. Its news comes late, twice and out of order, so news never moves a payment down, and
consistent news ends in the same state in every order. A rejection together with a settlement or a return is a contradiction:
the second is illegal, whichever it is, and becomes a discrepancy for a person.

One way leads back: `instant_refused`. A payment that asked for instant-else-normal goes out again as a normal payment, once,
after the bank's proven refusal of its instant form; never upon silence.
"""

DELIVERIES = """\
## Delivery

`sending` is committed before the first byte leaves. Found so after a crash, or when the channel cannot tell, it is `in_doubt`:
a state, not a retry. It is left by evidence (`found`, `found_missing`, `refused`), or by `send_again` where the connection is
one on which a repeat cannot be executed twice. `postponed` keeps a message `ready` until its bank's next send window.
"""

DOUBT = """\
## Out of doubt

What leads out of `in_doubt` depends on the guarantee that the connection declares. A new attempt begins there in two ways only: a
repeat under IDEMPOTENT, and proof that the bank never got the message (`found_missing`). Under every guarantee the bank's own
news, a listing or an answer that shows the message is proof that it arrived; a person decides with a reason; and the channel's
own word counts when it comes late, about the very attempt that is in doubt: the process was stopped, and somebody else had begun
to doubt.

"Not there" is proof under QUERYABLE alone, where the bank promised that this answer is final, and only after the quiet time,
which is longer than the longest send: bytes of a stopped process may land after the bank was asked.
"""

_F = lifecycle.DeliveryEvent
_BY_ALL = {
    _F.FOUND: "the bank's answer or news, or a person",
    _F.FOUND_MISSING: "a person, or the channel late: nothing left",
    _F.REFUSED: "the channel late: the door said no",
}
# `tests/model` goes through every interleaving and sees these events there, and no others.
OUT_OF_DOUBT: Mapping[str, Mapping[lifecycle.DeliveryEvent, str]] = {
    "IDEMPOTENT": {_F.SEND_AGAIN: "at once, up to `attempts_max`: a repeat is not executed twice", **_BY_ALL},
    "QUERYABLE, final": {
        **_BY_ALL,
        _F.FOUND_MISSING: "the bank's final answer after the quiet time; " + _BY_ALL[_F.FOUND_MISSING],
    },
    "QUERYABLE, not final": _BY_ALL,
    "BLIND": _BY_ALL,
}


def doubt() -> list[str]:
    """A row for each guarantee and event."""
    lines = ["| guarantee | event → next state | upon |", "|---|---|---|"]
    for guarantee, events in OUT_OF_DOUBT.items():
        for event, upon in events.items():
            following = lifecycle.advance(lifecycle.DELIVERY_TABLE, lifecycle.DeliveryState.IN_DOUBT, event)
            lines.append(f"| {guarantee} | {event.value} → {following.value} | {upon} |")
    return lines


def diagram(table: Mapping[tuple[S, E], S], first: S, final: Iterable[S]) -> list[str]:
    """A mermaid state diagram: one arrow for every pair of states, with the events that lead from the one to the other."""
    arrows: dict[tuple[S, S], list[str]] = {}
    for (state, event), following in table.items():
        if state != following:
            arrows.setdefault((state, following), []).append(event.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}"]
    lines += [f"    {state.value} --> {following.value} : {', '.join(events)}" for (state, following), events in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in type(first) if state in set(final)]
    return [*lines, "```"]


def transitions(table: Mapping[tuple[S, E], S], states: Iterable[S]) -> list[str]:
    """The whole table, a row for every state: what each event does, and which change nothing."""
    lines = ["| in state | event → next state | changes nothing |", "|---|---|---|"]
    for state in states:
        here = {event: following for (at, event), following in table.items() if at == state}
        moving = ", ".join(f"{event.value} → {following.value}" for event, following in here.items() if following != state)
        staying = ", ".join(event.value for event, following in here.items() if following == state)
        lines.append(f"| `{state.value}` | {moving or '–'} | {staying or '–'} |")
    return lines


def page() -> str:
    """The whole of docs/lifecycle.md."""
    payment, delivery = lifecycle.PAYMENT_TABLE, lifecycle.DELIVERY_TABLE
    lines = [INTRODUCTION, PAYMENTS]
    lines += diagram(payment, lifecycle.PaymentState.RECEIVED, lifecycle.FINAL_PAYMENT_STATES)
    lines += ["", *transitions(payment, lifecycle.PaymentState), "", DELIVERIES]
    lines += diagram(delivery, lifecycle.DeliveryState.READY, lifecycle.FINAL_DELIVERY_STATES)
    lines += ["", *transitions(delivery, lifecycle.DeliveryState), "", DOUBT, *doubt(), ""]
    return "\n".join(lines)


def main() -> None:
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            raise SystemExit("docs/lifecycle.md differs from gateway/lifecycle.py (run `make diagrams`)")
    else:
        PAGE.write_text(page(), encoding="utf-8")
        print("written: docs/lifecycle.md")


if __name__ == "__main__":
    main()
