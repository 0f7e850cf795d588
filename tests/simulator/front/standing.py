"""A front machine without doors, on a clock that stands until a test turns it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.front.banks import front_class
from simulator.front.books import Books, Party
from simulator.front.clock import Clock
from simulator.front.fates import Pace
from simulator.front.markup import Node, declaration, read

START = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)  # 09:30 in Beijing


def standing(bank: str, accounts: Mapping[str, int], **more: Any) -> Any:
    """`accounts`: numbers and balances in fen; all are held by 甲公司."""
    books = Books()
    for number, balance in accounts.items():
        books.open_account(number, "甲公司", balance)
    return front_class(bank)(books, Clock(lambda: START), pace=Pace(), **more)


def pass_time(front: Any, seconds: float) -> None:
    front.clock.advance(seconds)
    front.books.settle(front.clock.now())


def pay_in(front: Any, account: str, amounts: range) -> None:
    """Money comes in, one entry an amount (fen)."""
    for amount in amounts:
        front.books.receive(account, amount, Party(account="9", name="丙公司", purpose="回款"), front.clock.now())


def tree(reply: bytes | None, codec: str = "gb18030") -> Node:
    """A reply's XML. It has to be there."""
    assert reply is not None
    return read(declaration(reply.decode(codec))[1])
