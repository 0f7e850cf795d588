"""What all banks of front machines have in common: a request comes in, a reply goes out; in between are the bank's own
reading and writing, one ledger, and the bad days.

A bank is `class CibFront(FrontBank)` in `simulator/front/cib.py`, named in `simulator.front.banks`. Nothing here or there knows
the plugins of the gateway: both sides read the bank's sheet, each for itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any, ClassVar, Final, Literal, TypeVar

from simulator.front import fates
from simulator.front.books import Books, Entry, NewOrder, Order
from simulator.front.clock import Clock
from simulator.front.fates import Fate, Pace, Step
from simulator.front.moods import SEAL, FrontMood, FrontMoods

Kind = Literal["payment", "question", "sign_in"]
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request as it left the customer. `body`: the bank's message, with the header that belongs to it (SPDB, Ping An, ABC);
    `fields`: those of an HTML form, decoded; `query`: those of the address."""

    body: bytes = b""
    content_type: str = ""
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A reply. `body` None: the line breaks instead."""

    body: bytes | None
    content_type: str = "text/xml"
    status: int = 200
    wait_seconds: float = 0.0


class Refused(Exception):
    """The bank takes nothing of a request, and says so with a code."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


class NoAnswer(Exception):
    """The bank takes nothing of a request, and there is nobody to say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that the bank could read. `data` is the bank's own."""

    function: str  # the bank's word for it
    kind: Kind
    data: Any = None


class FrontBank(ABC):
    """One bank, one customer. `answer` and `seal` are functions of books, clock and moods: no sockets, no waiting."""

    name: ClassVar[str]
    identity: ClassVar[Mapping[str, str]]  # what the customer's messages name itself by, with example values; passwords too
    charset: ClassVar[str] = "gbk"  # of forms
    framing: ClassVar[str] = "close"  # of the bank's messages on a bare TCP connection; see `simulator.front.framing`
    shape: ClassVar[Literal["http", "tcp"]] = "http"  # the usual door
    reply_type: ClassVar[str] = "text/xml; charset=GBK"
    repeats_are_safe: ClassVar[bool]  # a serial number is never executed twice
    unknown: ClassVar[tuple[str, str]]  # code and words for "not known what became of it"
    repeated: ClassVar[tuple[str, str] | None] = None  # for a repeated serial number, where it is refused
    too_often: ClassVar[tuple[str, str] | None] = None
    pauses: ClassVar[tuple[float, float]] = (0.0, 0.0)  # the least seconds between two payments, two questions
    quiet: ClassVar[tuple[time, time] | None] = None  # hours without service
    seals: ClassVar[bool] = False  # a sign service stands beside the front machine
    manner: ClassVar[Mapping[str, bool]] = {}  # where the sheet leaves two readings: what is chosen unless the tester says else

    def __init__(
        self,
        books: Books,
        clock: Clock,
        *,
        customer: Mapping[str, str] | None = None,
        moods: FrontMoods | None = None,
        pace: Pace | None = None,
        page_rows: int = 20,
        quiet_hours: bool = True,
        pacing: bool = False,
        manners: Mapping[str, bool] | None = None,
    ) -> None:
        """`customer`: other values for `identity`, `manners`: for `manner`. Raises `ValueError` for names they do not have."""
        self.customer: Final = self._known(self.identity, customer)
        self.manners: Final = self._known(self.manner, manners)
        self.books: Final = books
        self.clock: Final = clock
        self.moods: Final = moods or FrontMoods()
        self.pace: Final = pace or Pace()
        self.page_rows: Final = page_rows
        self.quiet_hours: Final = quiet_hours
        self.pacing: Final = pacing
        self._last: dict[Kind, datetime] = {}

    def _known(self, usual: Mapping[str, V], given: Mapping[str, V] | None) -> dict[str, V]:
        if given is not None and (strange := sorted(given.keys() - usual.keys())):
            raise ValueError(f"{self.name} knows no {', '.join(strange)}; it has {', '.join(usual) or 'none'}")
        return {**usual, **(given or {})}

    # -- the bank's own ------------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, incoming: Incoming) -> Call:
        """Reads and checks a request, as strictly as the sheet. Raises `Refused`, `NoAnswer`."""

    @abstractmethod
    def perform(self, call: Call) -> bytes:
        """Does what is asked and writes the reply. Raises `Refused`: then nothing was done."""

    @abstractmethod
    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        """A reply with this code and nothing else. `call` None: the request could not be read."""

    def seal(self, incoming: Incoming) -> Outgoing:
        """What the sign service answers, where there is one."""
        del incoming
        return Outgoing(body=None)

    def told(self) -> Mapping[str, str]:
        """What a customer has to know of the bank beside where its doors are; for the ready file."""
        return {}

    def sign(self, incoming: Incoming) -> Outgoing:
        """One exchange with the sign service, which has bad days of its own."""
        lost, garbage, slow = (
            self.moods.take(mood, SEAL, SEAL) for mood in (FrontMood.LOSE_REQUEST, FrontMood.GARBAGE, FrontMood.SLOW)
        )
        reply = Outgoing(body=None) if lost is not None else self.seal(incoming)
        if garbage is not None and reply.body is not None:
            reply = replace(reply, body=_garbage(garbage.value, reply.body))
        return reply if slow is None else replace(reply, wait_seconds=float(slow.value))

    # -- a request -----------------------------------------------------------------------------------------------------

    def answer(self, incoming: Incoming) -> Outgoing:
        """One exchange."""
        self.books.settle(self.clock.now())
        try:
            call = self.read(incoming)
            self._in_hours()
        except NoAnswer:
            return Outgoing(body=None)
        except Refused as refused:
            return self._reply(self.refusal(None, refused.code, refused.text))
        if self._take(FrontMood.LOSE_REQUEST, call):
            return Outgoing(body=None)
        if self.too_often is not None and (self._take(FrontMood.TOO_OFTEN, call) or self._too_fast(call)):
            return self._reply(self.refusal(call, *self.too_often))
        if self._take(FrontMood.EXPIRE_TOKEN, call):
            self.expire_tokens()
        wrong = self._take(FrontMood.WRONG_CODE, call)
        if wrong is not None and not wrong.get("executed"):
            return self._reply(self.refusal(call, wrong["code"], wrong.get("text") or "模拟返回码"))
        try:
            with self.books.transaction():
                body = self.perform(call)
            done = True
        except Refused as refused:
            body, done = self.refusal(call, refused.code, refused.text), False
        return self._bad_days(call, body, wrong, done=done)

    def expire_tokens(self) -> None:
        """Forgets every sign-in; for banks that have such."""
        return

    def _bad_days(self, call: Call, body: bytes, wrong: Mapping[str, Any] | None, *, done: bool) -> Outgoing:
        """What is done is done; the reply may still suffer. Of what it refused it never says that it does not know."""
        if self._take(FrontMood.LOSE_ANSWER, call):
            return Outgoing(body=None)
        if wrong is not None:
            body = self.refusal(call, wrong["code"], wrong.get("text") or "模拟返回码")
        if done and self._take(FrontMood.ANSWER_UNKNOWN, call):
            body = self.refusal(call, *self.unknown)
        kind = self._take(FrontMood.GARBAGE, call)
        if kind is not None:
            body = _garbage(kind, body)
        slow = self._take(FrontMood.SLOW, call)
        return self._reply(body, float(slow or 0.0))

    def _reply(self, body: bytes, wait_seconds: float = 0.0) -> Outgoing:
        return Outgoing(body=body, content_type=self.reply_type, wait_seconds=wait_seconds)

    def _in_hours(self) -> None:
        if self.quiet is not None and self.quiet_hours and self.quiet[0] <= self.clock.now().time() < self.quiet[1]:
            raise NoAnswer

    def _too_fast(self, call: Call) -> bool:
        """Whether a request comes too soon after the last of its kind, where that is watched."""
        last, now = self._last.get(call.kind), self.now
        self._last[call.kind] = now
        pause = self.pauses[call.kind != "payment"]
        return self.pacing and last is not None and (now - last).total_seconds() < pause

    def _take(self, mood: FrontMood, call: Call) -> Any:
        """The value of a mood that strikes now (True where it has none), used up; None if it does not."""
        setting = self.moods.take(mood, call.function, call.kind)
        return None if setting is None else True if setting.value is None else setting.value

    # -- for the banks -------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def customer_id(self) -> str:
        """Under which the books keep the customer's orders: the first value of `identity`."""
        return next(iter(self.customer.values()))

    def accept(
        self, call: Call, order: NewOrder, *, after: float = 0.0, fate: Fate | None = None, at_once: bool = False
    ) -> Order:
        """Takes an order, or shows what became of an earlier one with its serial number where the bank promises that. Its life
        goes on `after` seconds later than usual (a date on which to pay). `fate`: what the bank makes of such an order by itself.
        `at_once`: what is paid or fails does so before the answer. Raises `Refused` for a repeated one where the bank refuses
        such."""
        before = self.books.known(self.name, self.customer_id, order.serial)
        if before is not None and self.repeats_are_safe:
            return before
        if before is not None and self._take(FrontMood.REFUSE_REPEATS, call):
            raise Refused(*(self.repeated or self.unknown))
        pace, hidden = replace(self.pace, settle=0.0) if at_once else self.pace, 0.0
        outcome = self._take(FrontMood.OUTCOME, call)
        if outcome is not None:
            fate = Fate(outcome)
        elif fate is None:
            fate = fates.fate_of(order.amount, order.payee.name)
        back = self._take(FrontMood.RETURN_AFTER_SUCCESS, call)
        if back is not None:
            fate, pace = Fate.RETURNED, replace(pace, returned=float(back))
        if fate is Fate.HIDDEN:
            hidden = pace.hidden
        forgotten = self._take(FrontMood.FORGET_FOR, call)
        if forgotten is not None:
            hidden = float(forgotten)
        first, *more = fates.steps(fate, pace)
        plan = [first, *(Step(step.after + after, step.state) for step in more)]
        return self.books.take(self.name, self.customer_id, order, plan, self.now, hidden_for=hidden)

    def use_number(self, call: Call, what: str, number: str) -> None:
        """For banks where every request has a number of its own: raises `Refused` for one that was used before, unless a payment
        comes again with its own (then `accept` decides)."""
        fresh = self.books.use(self.name, self.customer_id, what, number)
        if not fresh and (call.kind != "payment" or self.books.known(self.name, self.customer_id, number) is None):
            raise Refused(*(self.repeated or self.unknown))

    def find(self, serial: str) -> Order | None:
        """For status questions."""
        return self.books.find(self.name, self.customer_id, serial, self.now)

    def shown(self, call: Call, code: str) -> str:
        """The code that is shown for an order's state: the tester's, if the mood says so."""
        setting = self._take(FrontMood.STATUS_CODE, call)
        return code if setting is None else str(setting)

    def page(self, call: Call, account: str, since: date, until: date, start: int) -> tuple[tuple[Entry, ...], bool]:
        """Entries from number `start` (from 0) on, as many as go on a page, and whether more follow."""
        rows = self.books.entries(account, since, until)
        size = self.rows(call)
        return rows[start : start + size], start + size < len(rows)

    def rows(self, call: Call) -> int:
        """How many go on a page."""
        few = self._take(FrontMood.PAGE_ROWS, call)
        return self.page_rows if few is None else int(few)


def _garbage(kind: str, body: bytes) -> bytes:
    return {
        "empty": b"",
        "truncated": body[: len(body) // 2],
        "random": bytes((number * 151 + 43) % 256 for number in range(512)),
        "html": b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
        "other_bank": b"<?xml version='1.0' encoding='GBK'?><OTHER><HEAD><CODE>0</CODE></HEAD><BODY/></OTHER>",
    }[kind]
