"""The front machine of a life: the simulator's own, over its books and the world's clock, with a bad day at each request.

What it does wrong it may do: it executes a repeated serial number again where its sheet promises nothing, does not find for a
while what it has, refuses a repeat because the first has used up the balance, and answers with codes that nobody knows.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from channels.frontend import Carried
from channels.frontend_frames import BadFrame, framed, unframed
from gateway.demo.fronts import FRONTS, HOLDER
from simulator.front.bank import Incoming
from simulator.front.books import Order
from simulator.front.clock import Clock
from simulator.front.fates import State
from simulator.front.moods import GARBAGE, FrontMood
from simulator.front.running import make_front
from simulator.front.sealing import SIGN, VERIFY
from simulator.front.settings import FrontSettings
from tests.sim.front_plan import HIDDEN, REFUSAL, Plan

OPENING = "1000000.00"
PACE = {"settle": 5.0, "pending": 300.0, "doubtful": 300.0, "manual": 600.0, "returned": 900.0, "hidden": HIDDEN}
STRANGE = "Z9Z9"  # a code that is on no list
MOODS: dict[str, tuple[tuple[FrontMood, float], ...]] = {
    "payment": (
        (FrontMood.ANSWER_UNKNOWN, 0.05),
        (FrontMood.WRONG_CODE, 1.0),  # times what the plan says
        (FrontMood.GARBAGE, 0.06),
        (FrontMood.FORGET_FOR, 0.25),
        (FrontMood.REFUSE_REPEATS, 0.2),
        (FrontMood.TOO_OFTEN, 0.04),
        (FrontMood.EXPIRE_TOKEN, 0.08),
    ),
    "question": (
        (FrontMood.ANSWER_UNKNOWN, 0.05),
        (FrontMood.WRONG_CODE, 0.05),
        (FrontMood.STATUS_CODE, 0.06),
        (FrontMood.GARBAGE, 0.06),
        (FrontMood.TOO_OFTEN, 0.04),
        (FrontMood.EXPIRE_TOKEN, 0.05),
        (FrontMood.PAGE_ROWS, 0.3),
    ),
}


@dataclass
class FrontHouse:
    """`strikes(what, chance)`: whether fate wants it. `on_take`: told of each order that the bank takes. `ours`: our serial
    number of an order, which in a batch may be the bank's number of the request and of the line in it."""

    plan: Plan
    dice: random.Random
    now: Callable[[], datetime]
    strikes: Callable[[str, float], bool]
    on_take: Callable[[Order], None]
    seen: Counter[str]
    lies: bool = False
    pending: int = 0  # nothing is said by itself
    offers: dict[str, bytes] = field(default_factory=dict)
    ours: Callable[[Order], str] = lambda order: order.serial
    orders: dict[str, list[Order]] = field(default_factory=dict)  # by our serial number, as they were taken

    def __post_init__(self) -> None:
        self.side = FRONTS[self.plan.bank]
        settings = FrontSettings.model_validate(
            {
                "bank": self.plan.bank,
                "accounts": [{"number": self.side.account, "name": HOLDER, "balance": OPENING}],
                "pace": PACE,
                "page_rows": 3,
            }
        )
        self.front = make_front(settings, Clock(self.now))
        self._last = 0

    # -- requests ------------------------------------------------------------------------------------------------------

    def answer(self, request: Carried) -> bytes | None:
        """One exchange; None: the line breaks. Raises `BadFrame` for a reply that has no whole frame."""
        kind = "payment" if request.purpose == "payment" else "question"
        for mood, usual in MOODS[kind]:
            chance = usual * self.plan.wrong_codes if (kind, mood) == ("payment", FrontMood.WRONG_CODE) else usual
            if self.strikes(f"front: {kind} meets {mood.value}", chance):
                count = None if mood in {FrontMood.FORGET_FOR, FrontMood.STATUS_CODE} else 1
                self.front.moods.set(mood, count, self._value(mood, kind))
        try:
            outgoing = self.front.answer(self._incoming(request))
        finally:
            self.front.moods.clear()
            self._look_for_orders()
        if outgoing.body is None:
            return None
        return outgoing.body if self._bare else unframed(self._framing, outgoing.body)

    @property
    def _framing(self) -> Any:
        return self.side.framing or "none"

    @property
    def _bare(self) -> bool:
        """Whether the front machine sees no header, for the line has taken it off."""
        return self._framing == "length8"

    def _incoming(self, request: Carried) -> Incoming:
        path, _, query = f"{self.side.path}{request.target}".partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if self.side.shape == "http_form":
            return Incoming(path=path, query=asked, fields=dict(request.fields), content_type="application/x-www-form-urlencoded")
        body = request.body if self._bare else framed(self._framing, request.body)
        kind = "" if self.side.shape == "tcp" else request.content_type or "text/xml"
        return Incoming(body=body, path=path, query=asked, content_type=kind)

    def _value(self, mood: FrontMood, kind: str) -> Any:
        dice = self.dice
        match mood:
            case FrontMood.FORGET_FOR:
                return HIDDEN * dice.random()
            case FrontMood.STATUS_CODE:
                return STRANGE
            case FrontMood.GARBAGE:
                return dice.choice(GARBAGE)
            case FrontMood.PAGE_ROWS:
                return 1
            case FrontMood.WRONG_CODE if kind == "payment" and dice.random() < 0.6:
                return {"code": REFUSAL[0], "text": REFUSAL[1]}  # and it does nothing
            case FrontMood.WRONG_CODE:
                return {"code": STRANGE, "text": "模拟返回码", "executed": dice.random() < 0.5}
        return None

    def sign(self, content: bytes) -> bytes:
        """What the sign service beside the front machine makes of it."""
        return self._signed(content, SIGN, b"sign").strip()

    def verify(self, content: bytes) -> bytes:
        """What was signed. Raises `ValueError` for what the bank has not signed."""
        return self._signed(content, VERIFY, b"sic")

    def _signed(self, content: bytes, kind: str, tag: bytes) -> bytes:
        page = self.front.seal(Incoming(body=content, content_type=kind)).body or b""
        if b"<result>0</result>" not in page:
            raise ValueError("the sign service says no")
        return page.partition(b"<%s>" % tag)[2].rpartition(b"</%s>" % tag)[0]

    # -- books ---------------------------------------------------------------------------------------------------------

    def _look_for_orders(self) -> None:
        found = [order for order in self.front.books.orders() if order.id > self._last]
        for order in found:
            self._last = order.id
            self.orders.setdefault(self.ours(order), []).append(order)
        for order in found:
            self.on_take(order)

    def executed(self, serial: str) -> int:
        """How often a serial number of ours was executed, or will be by what is under way."""
        executions = self.front.books.executions()
        names = {order.serial for order in self.orders.get(serial, ())}
        return sum(times for (_, _, known), times in executions.items() if known in names)

    def states(self, serial: str) -> list[State]:
        """Where each order of that serial number stands, the executed ones first."""
        taken = {order.id for order in self.orders.get(serial, ())}
        if not taken:
            return []
        self.front.books.settle(self.front.clock.now())
        found = [order for order in self.front.books.orders() if order.id in taken]
        return [order.state for order in sorted(found, key=lambda order: not order.executed)]

    def close(self) -> None:
        self.front.books.close()


__all__ = ["BadFrame", "FrontHouse"]
