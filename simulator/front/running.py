"""Puts a front machine together and takes it apart again; `run_front` is for tests and demonstrations.

async with run_front("cib", accounts={"117000000000000001": "1000000.00"}) as running:
    running.front.moods.set("lose_answer", when="payment")
    …                                            # running.url, or running.host and running.port; running.sign_url
    running.clock.advance(60)
    assert not running.books.paid_twice()
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.front.amounts import fen_of
from simulator.front.bank import FrontBank
from simulator.front.banks import front_class
from simulator.front.books import Books
from simulator.front.clock import Clock, loop_clock
from simulator.front.doors import HttpDoor, TcpDoor, open_door
from simulator.front.moods import FrontMoods
from simulator.front.settings import FrontSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFront:
    """A front machine with its doors open."""

    settings: FrontSettings
    front: FrontBank
    door: HttpDoor | TcpDoor
    sign_door: HttpDoor | None

    @property
    def books(self) -> Books:
        return self.front.books

    @property
    def clock(self) -> Clock:
        return self.front.clock

    @property
    def moods(self) -> FrontMoods:
        return self.front.moods

    @property
    def host(self) -> str:
        return self.door.host

    @property
    def port(self) -> int:
        return self.door.port

    @property
    def url(self) -> str:
        """Of an HTTP door."""
        return f"http://{self.host}:{self.port}"

    @property
    def sign_url(self) -> str | None:
        return None if self.sign_door is None else self.sign_door.url

    def advance(self, seconds: float) -> None:
        """Turns the bank's clock, and lets happen what is due."""
        self.clock.advance(seconds)
        self.books.settle(self.clock.now())

    def addresses(self) -> dict[str, Any]:
        """What a customer needs to know, JSON-ready."""
        shape = "http" if isinstance(self.door, HttpDoor) else "tcp"
        ready: dict[str, Any] = {"bank": self.front.name, "shape": shape, "host": self.host, "port": self.port}
        ready |= self.front.told()
        if self.sign_door is not None:
            ready["sign"] = {"host": self.sign_door.host, "port": self.sign_door.port}
        return ready


def make_front(settings: FrontSettings, clock: Clock, directory: Path | None = None) -> FrontBank:
    """A bank without doors. `directory`: where a relative `database` starts. Raises `ValueError` for an identity that the bank
    does not have."""
    file = None if settings.database is None else (directory or Path()) / settings.database
    books = Books(file)
    for account in settings.accounts:
        books.open_account(account.number, account.name, fen_of(account.balance) or 0)
    try:
        return front_class(settings.bank)(
            books,
            clock,
            customer=settings.customer,
            pace=settings.pace.pace(),
            page_rows=settings.page_rows,
            quiet_hours=settings.quiet_hours,
            pacing=settings.pacing,
            manners=settings.manners,
        )
    except ValueError:
        books.close()
        raise


@asynccontextmanager
async def open_front(
    settings: FrontSettings, directory: Path | None = None, clock: Clock | None = None
) -> AsyncIterator[RunningFront]:
    """Opens the doors; closes them on leaving. Raises `OSError`, `ValueError`."""
    front = make_front(settings, clock or loop_clock(), directory)
    async with AsyncExitStack() as stack:
        stack.callback(front.books.close)
        door = await open_door(front, settings.shape or front.shape, settings.listen, settings.framing)
        stack.push_async_callback(door.close)
        sign_door = None
        if front.seals:
            sign_door = await HttpDoor.start(settings.sign_listen, front.charset, front.sign)
            stack.push_async_callback(sign_door.close)
        yield RunningFront(settings=settings, front=front, door=door, sign_door=sign_door)


@asynccontextmanager
async def run_front(
    bank: str,
    *,
    accounts: Mapping[str, str],
    names: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    directory: Path | None = None,
    **more: Any,
) -> AsyncIterator[RunningFront]:
    """`accounts`: numbers and balances in yuan; `names` of holders where not 甲公司; `more`: the rest of `[front]`."""
    holders = names or {}
    tables = [
        {"number": number, "balance": balance, **({"name": holders[number]} if number in holders else {})}
        for number, balance in accounts.items()
    ]
    settings = FrontSettings.model_validate({"bank": bank, "accounts": tables, **more})
    async with open_front(settings, directory, clock) as running:
        yield running
