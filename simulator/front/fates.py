"""What becomes of an order: the plan is made when it is taken, and can be read off its amount or its payee, so that a test or a
demonstration gets every outcome on demand.

The last two digits of the amount in fen, or a word in the payee's name:

    fen   word    fate                what happens (seconds: see `Pace`)
    .91   拒绝    rejected            processing, then failed
    .92   挂起    pending             processing for long, then paid
    .93   存疑    doubtful            in doubt, then paid after all
    .94   疑败    doubtful_rejected   in doubt, then failed
    .95   退票    returned            paid, then it comes back
    .96   落地    manual              waits for a person at the bank, then paid
    .97   迟查    hidden              not found for a while, then paid
    .98   悬案    stuck               in doubt for good (paid or not, the bank does not say)
    .99   撤销    cancelled           cancelled by an approver: a final failure
    .90   过期    expired             approval came too late: a final failure

Everything else is paid after `Pace.settle`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What the bank itself knows of an order. Each bank has its own codes for these."""

    PROCESSING = "processing"
    WAITING = "waiting"  # for a person
    DOUBTFUL = "doubtful"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RETURNED = "returned"


FAILED: Final = frozenset({State.REJECTED, State.CANCELLED, State.EXPIRED})


class Fate(StrEnum):
    """See the module."""

    SETTLED = "settled"
    REJECTED = "rejected"
    PENDING = "pending"
    DOUBTFUL = "doubtful"
    DOUBTFUL_REJECTED = "doubtful_rejected"
    RETURNED = "returned"
    MANUAL = "manual"
    HIDDEN = "hidden"
    STUCK = "stuck"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


BY_FEN: Final = {
    90: Fate.EXPIRED,
    91: Fate.REJECTED,
    92: Fate.PENDING,
    93: Fate.DOUBTFUL,
    94: Fate.DOUBTFUL_REJECTED,
    95: Fate.RETURNED,
    96: Fate.MANUAL,
    97: Fate.HIDDEN,
    98: Fate.STUCK,
    99: Fate.CANCELLED,
}
BY_WORD: Final = {
    "拒绝": Fate.REJECTED,
    "挂起": Fate.PENDING,
    "存疑": Fate.DOUBTFUL,
    "疑败": Fate.DOUBTFUL_REJECTED,
    "退票": Fate.RETURNED,
    "落地": Fate.MANUAL,
    "迟查": Fate.HIDDEN,
    "悬案": Fate.STUCK,
    "撤销": Fate.CANCELLED,
    "过期": Fate.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds of the bank's clock."""

    settle: float = 1.0  # from taking to the booking, and to a refusal
    pending: float = 60.0
    doubtful: float = 60.0
    manual: float = 60.0
    returned: float = 60.0  # from the booking to the return
    hidden: float = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """`after` seconds from taking, the order is in `state`."""

    after: float
    state: State


def fate_of(amount: int, payee_name: str) -> Fate:
    """`amount` in fen. A word in the name wins."""
    for word, fate in BY_WORD.items():
        if word in payee_name:
            return fate
    return BY_FEN.get(amount % 100, Fate.SETTLED)


def steps(fate: Fate, pace: Pace) -> tuple[Step, ...]:
    """The life of an order, in order of time; the first step is at 0."""
    paid, unpaid = State.SETTLED, State.REJECTED
    lives: dict[Fate, tuple[tuple[float, State], ...]] = {
        Fate.SETTLED: ((0.0, State.PROCESSING), (pace.settle, paid)),
        Fate.HIDDEN: ((0.0, State.PROCESSING), (pace.settle, paid)),
        Fate.REJECTED: ((0.0, State.PROCESSING), (pace.settle, unpaid)),
        Fate.CANCELLED: ((0.0, State.PROCESSING), (pace.settle, State.CANCELLED)),
        Fate.EXPIRED: ((0.0, State.PROCESSING), (pace.settle, State.EXPIRED)),
        Fate.PENDING: ((0.0, State.PROCESSING), (pace.pending, paid)),
        Fate.DOUBTFUL: ((0.0, State.DOUBTFUL), (pace.doubtful, paid)),
        Fate.DOUBTFUL_REJECTED: ((0.0, State.DOUBTFUL), (pace.doubtful, unpaid)),
        Fate.RETURNED: ((0.0, State.PROCESSING), (pace.settle, paid), (pace.settle + pace.returned, State.RETURNED)),
        Fate.MANUAL: ((0.0, State.WAITING), (pace.manual, paid)),
        Fate.STUCK: ((0.0, State.DOUBTFUL),),
    }
    return tuple(Step(after, state) for after, state in lives[fate])
