"""What a world is like, and what a state of it holds: values."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.delivery import Courier
from tests.model.books import Books, Pay

FLYING, TAKEN, TURNED_AWAY, LOST = "flying", "taken", "turned away", "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One world: what is declared, what is true, and how much of it is looked at."""

    name: str
    kind: str  # the guarantee the connection declares
    final: bool = False  # and whether it declares "not there" to be final
    lease: int = 1
    flight: int = 1
    quiet: int = 2
    attempts: int = 2  # no further attempt is looked at
    attempts_max: int = 2  # the connection's own bound
    senders: int = 2
    fine: bool = False  # the reader and the person work request by request, beside the senders; else in one go
    person: str = "right"  # "none"; "right": late, and never mistaken; "wrong": decides anything at any time
    knows_copies: bool = False  # the bank executes a message once, however often it comes
    door_lies: bool = False  # it takes what it refuses
    verdicts: bool = False  # the bank goes on to settle, reject and return, and says so
    instant: bool = False  # the payment goes as an instant one first, and as a normal one if that is refused
    lies_about_instant: bool = False  # the bank executes what it said it refused
    decisions: bool = False  # from RECEIVED on, with policy and people; else from APPROVED
    windows: bool = False  # the send window may be closed whenever a task begins
    stops: bool = False  # another payment of a message turns out to be executed, perhaps: no attempt of it may start any more
    courier: type[Courier] = Courier


class Copy(NamedTuple):
    """Bytes of an attempt: under way for at most `left` more ticks, or where they came to."""

    where: str = ""
    left: int = 0
    message: int = 0


class Process(NamedTuple):
    """Idle: node -1. `offset`: ticks since its task began, where that can still matter, up to `World.long`. `copy`: of the
    attempt it is carrying out just now."""

    node: int = -1
    offset: int = 0
    copy: Copy = Copy()
    asked: tuple[tuple[int, int, int], ...] = ()  # (message, attempt, ticks ago): since when it has been asking


IDLE = Process()


class Bank(NamedTuple):
    """What the bank did with a message. `executed`: how often; `verdict`: what became of the payment in it."""

    executed: int = 0
    copies: bool = False  # a copy came beside the first one
    verdict: str = ""

    @property
    def has_it(self) -> bool:
        return self.executed > 0 or bool(self.verdict)


class State(NamedTuple):
    books: Books
    senders: tuple[Process, ...]
    others: tuple[Process, ...]  # the reader and the person, where they work request by request
    bank: tuple[Bank, ...]
    network: tuple[tuple[int, int], ...] = ()  # (message, ticks left) of bytes whose sender knows no more of them
    mistaken: bool = False  # a person decided what is not so

    @property
    def pay(self) -> Pay:
        return self.books.pay
