"""What the tests of front machines share: a bank without sockets, on a clock that only tests turn."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.front.bank import FrontBank, Incoming
from simulator.front.books import Party
from simulator.front.clock import Clock
from simulator.front.markup import Node, declaration, read
from simulator.front.running import make_front
from simulator.front.settings import FrontSettings

START = datetime(2026, 1, 5, 1, 30, 1, tzinfo=UTC)  # 09:30:01 in Beijing, a Monday


def front(bank: str, account: str, balance: str = "10000.00", **more: Any) -> FrontBank:
    """A bank that holds one account, with everything quick."""
    pace = {"settle": 1, "pending": 60, "doubtful": 60, "manual": 60, "returned": 60, "hidden": 60}
    tables = [{"number": account, "name": "甲公司", "balance": balance}]
    settings = FrontSettings.model_validate({"bank": bank, "accounts": tables, "pace": pace, **more})
    return make_front(settings, Clock(lambda: START))


def said(
    bank: FrontBank,
    body: bytes = b"",
    *,
    content_type: str = "text/xml",
    fields: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    path: str = "/",
) -> bytes | None:
    """What the bank answers; None: the line broke."""
    incoming = Incoming(body=body, content_type=content_type, fields=fields or {}, query=query or {}, path=path)
    return bank.answer(incoming).body


def pass_time(bank: FrontBank, seconds: float) -> None:
    """The bank's clock goes on, and what is due happens."""
    bank.clock.advance(seconds)
    bank.books.settle(bank.clock.now())


def pay_in(bank: FrontBank, account: str, amounts: range) -> None:
    """Money comes in, one entry an amount (fen)."""
    for amount in amounts:
        bank.books.receive(account, amount, Party(account="9", name="丙公司", purpose="回款"), bank.clock.now())


def tree(reply: bytes | None, codec: str = "gb18030") -> Node:
    """A reply's XML. It has to be there."""
    assert reply is not None
    return read(declaration(reply.decode(codec))[1])
