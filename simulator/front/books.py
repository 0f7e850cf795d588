"""The ledger behind all front machines: accounts, orders, what was booked, in one SQLite file or in memory.

An order is known by (bank, customer, serial number). Where a bank executes a repeated serial number again, each time is a row of
its own, with its own booking: that is what tests look for (`paid_twice`).

Amounts are fen, whole numbers. Times are seconds since 1970 (UTC); days are Beijing's.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from simulator.front.clock import BEIJING
from simulator.front.fates import FAILED, State, Step

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS account (
    number TEXT PRIMARY KEY, name TEXT NOT NULL, currency TEXT NOT NULL, opening INTEGER NOT NULL, balance INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, bank TEXT NOT NULL, customer TEXT NOT NULL, serial TEXT NOT NULL, package TEXT NOT NULL,
    function TEXT NOT NULL, account TEXT NOT NULL, amount INTEGER NOT NULL, content TEXT NOT NULL, taken REAL NOT NULL,
    visible REAL NOT NULL, state TEXT NOT NULL, changed REAL NOT NULL, reason TEXT NOT NULL, steps TEXT NOT NULL,
    executed INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS orders_serial ON orders (bank, customer, serial);
CREATE INDEX IF NOT EXISTS orders_due ON orders (id) WHERE steps <> '[]';
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL, amount INTEGER NOT NULL,
    credit INTEGER NOT NULL, reversal INTEGER NOT NULL, balance INTEGER NOT NULL, content TEXT NOT NULL, serial TEXT NOT NULL,
    order_id INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS entry_day ON entry (account, day);
CREATE TABLE IF NOT EXISTS used (bank TEXT, customer TEXT, what TEXT, name TEXT, PRIMARY KEY (bank, customer, what, name));
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    number: str
    name: str
    currency: str
    opening: int  # before the first entry
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """The other side of a payment, and what it is for."""

    account: str = ""
    name: str = ""
    bank_code: str = ""
    bank_name: str = ""
    purpose: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order as a customer gives it. `echo`: what else the bank shows of it in its answers, as text."""

    serial: str
    package: str  # the request it came in; "" where the bank has no number for that
    function: str
    account: str  # the payer's
    amount: int
    payee: Party
    echo: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order taken. `reference` is the bank's own number for it."""

    id: int
    bank: str
    customer: str
    serial: str
    package: str
    function: str
    account: str
    amount: int
    payee: Party
    echo: Mapping[str, str]
    taken: float
    visible: float
    state: State
    changed: float
    reason: str
    executed: bool  # booked, even if it came back later

    @property
    def reference(self) -> str:
        return reference(self.id)

    @property
    def failed(self) -> bool:
        return self.state in FAILED

    @property
    def failure(self) -> str:
        """Why it failed; "" if it did not. For banks that do not tell by a status that, and why, a payment came back."""
        return self.reason if self.failed else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a statement. `amount` is unsigned; `reversal`: it takes an earlier debit back."""

    id: int
    account: str
    at: float
    amount: int
    credit: bool
    reversal: bool
    balance: int  # after it
    other: Party
    serial: str  # of the order, "" for others'
    order_id: int

    @property
    def reference(self) -> str:
        """The bank's number for the order, or for the entry where none of ours is behind it."""
        return reference(self.order_id) if self.order_id else f"9{self.id:011d}"

    @property
    def time(self) -> datetime:
        return beijing(self.at)


def reference(order_id: int) -> str:
    """The bank's own number for an order: 12 digits."""
    return f"{order_id:012d}"


def beijing(at: float) -> datetime:
    """A time of the books as one of the bank's."""
    return datetime.fromtimestamp(at, BEIJING)


class Books:
    """Synchronous and quick; used from one thread only. `file` None: in memory."""

    def __init__(self, file: Path | None = None) -> None:
        self._db = sqlite3.connect(":memory:" if file is None else file, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an exception undoes it. Also within another one."""
        self._db.execute("SAVEPOINT piece")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO piece")
            raise
        finally:
            self._db.execute("RELEASE piece")

    # -- accounts ------------------------------------------------------------------------------------------------------

    def open_account(self, number: str, name: str, balance: int, currency: str = "CNY") -> None:
        """Opens an account; one that is there stays as it is (a restart)."""
        self._db.execute("INSERT OR IGNORE INTO account VALUES (?,?,?,?,?)", (number, name, currency, balance, balance))

    def account(self, number: str) -> Account | None:
        row = self._db.execute("SELECT * FROM account WHERE number=?", (number,)).fetchone()
        return None if row is None else Account(**dict(row))

    def accounts(self) -> tuple[Account, ...]:
        return tuple(Account(**dict(row)) for row in self._db.execute("SELECT * FROM account ORDER BY number"))

    def balance_before(self, number: str, day: date) -> int:
        """What was on the account at the end of the day before."""
        row = self._db.execute(
            "SELECT balance FROM entry WHERE account=? AND day<? ORDER BY id DESC LIMIT 1", (number, day.isoformat())
        ).fetchone()
        account = self.account(number)
        return int(row["balance"]) if row is not None else 0 if account is None else account.opening

    def receive(self, account: str, amount: int, payer: Party, now: datetime) -> Entry:
        """Books money that came in. Raises `KeyError` for an account that the bank does not hold."""
        if self.account(account) is None:
            raise KeyError(account)
        return self._enter(account, amount, now.timestamp(), payer)

    # -- orders --------------------------------------------------------------------------------------------------------

    def take(
        self, bank: str, customer: str, order: NewOrder, plan: Sequence[Step], now: datetime, *, hidden_for: float = 0.0
    ) -> Order:
        """Takes an order, whatever its serial number; its life begins. Call within `transaction` where several go together."""
        at = now.timestamp()
        steps = json.dumps([[at + step.after, step.state] for step in plan[1:]])
        content = json.dumps({"payee": asdict(order.payee), "echo": dict(order.echo)}, ensure_ascii=False)
        cursor = self._db.execute(
            "INSERT INTO orders (bank, customer, serial, package, function, account, amount, content, taken, visible, state,"
            " changed, reason, steps, executed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,'',?,0)",
            (
                *(bank, customer, order.serial, order.package, order.function, order.account, order.amount, content),
                *(at, at + hidden_for, plan[0].state, at, steps),
            ),
        )
        self.settle(now)
        return self._order(cursor.lastrowid)

    def settle(self, now: datetime) -> None:
        """Everything that is due happens, in order of time."""
        until = now.timestamp()
        due = [
            (step[0], row["id"], place)
            for row in self._db.execute("SELECT id, steps FROM orders WHERE steps <> '[]'")
            for place, step in enumerate(json.loads(row["steps"]))
            if step[0] <= until
        ]
        if due:
            with self.transaction():
                for _at, number, _place in sorted(due):
                    self._next_step(number)

    def force(self, bank: str, serial: str, state: State, reason: str, now: datetime) -> Order:
        """The last order of that serial number gets this state now, and stays in it. Raises `KeyError`."""
        row = self._db.execute(
            "SELECT id FROM orders WHERE bank=? AND serial=? ORDER BY id DESC LIMIT 1", (bank, serial)
        ).fetchone()
        if row is None:
            raise KeyError(serial)
        with self.transaction():
            self._db.execute("UPDATE orders SET steps='[]' WHERE id=?", (row["id"],))
            self._reach(row["id"], state, now.timestamp(), reason)
        return self._order(row["id"])

    def known(self, bank: str, customer: str, serial: str) -> Order | None:
        """The last order of a serial number, whether questions find it yet or not."""
        found = self._orders("bank=? AND customer=? AND serial=? ORDER BY id DESC LIMIT 1", bank, customer, serial)
        return found[0] if found else None

    def known_package(self, bank: str, customer: str, package: str) -> tuple[Order, ...]:
        """The orders of a request, whether questions find them yet or not."""
        return tuple(self._orders("bank=? AND customer=? AND package=? ORDER BY id", bank, customer, package))

    def find(self, bank: str, customer: str, serial: str, now: datetime) -> Order | None:
        """As `known`, for questions: not before it is visible."""
        found = self.known(bank, customer, serial)
        return found if found is not None and found.visible <= now.timestamp() else None

    def find_reference(self, bank: str, customer: str, number: str, now: datetime) -> Order | None:
        """By the bank's own number."""
        if not (number.isascii() and number.isdigit() and len(number) == len(reference(0))):
            return None
        found = self._orders("bank=? AND customer=? AND id=? AND visible<=?", bank, customer, int(number), now.timestamp())
        return found[0] if found else None

    def of_package(self, bank: str, customer: str, package: str, now: datetime) -> tuple[Order, ...]:
        """The orders of a request, in its order, that questions find."""
        where = "bank=? AND customer=? AND package=? AND visible<=? ORDER BY id"
        return tuple(self._orders(where, bank, customer, package, now.timestamp()))

    def returned(self, bank: str, customer: str, since: date, until: date) -> tuple[Order, ...]:
        """The orders that came back on these days, both inclusive."""
        found = self._orders("bank=? AND customer=? AND state=? ORDER BY changed, id", bank, customer, State.RETURNED)
        return tuple(order for order in found if since <= beijing(order.changed).date() <= until)

    def orders(self, bank: str | None = None) -> tuple[Order, ...]:
        """All, oldest first."""
        return tuple(self._orders("1 ORDER BY id") if bank is None else self._orders("bank=? ORDER BY id", bank))

    # -- what was booked -----------------------------------------------------------------------------------------------

    def entries(self, account: str, since: date, until: date) -> tuple[Entry, ...]:
        """Both days inclusive, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM entry WHERE account=? AND day BETWEEN ? AND ? ORDER BY id",
            (account, since.isoformat(), until.isoformat()),
        )
        return tuple(_entry(row) for row in rows)

    def executions(self) -> Mapping[tuple[str, str, str], int]:
        """How often each serial number (bank, customer, serial) was executed, or will be by what is under way."""
        rows = self._db.execute(
            "SELECT bank, customer, serial, SUM(executed OR steps LIKE '%\"settled\"%') AS times FROM orders"
            " GROUP BY bank, customer, serial"
        )
        return {(row["bank"], row["customer"], row["serial"]): int(row["times"]) for row in rows}

    def paid_twice(self) -> tuple[str, ...]:
        """The serial numbers that were executed more than once."""
        return tuple(serial for (_bank, _customer, serial), times in self.executions().items() if times > 1)

    def alike(self) -> Mapping[tuple[str, ...], tuple[str, ...]]:
        """The serial numbers of orders that are executed, or will be, and say the same (accounts, name, amount, purpose, remark):
        one payment under two serial numbers, where every payment of a test says something else."""
        found: dict[tuple[str, ...], tuple[str, ...]] = {}
        for row in self._db.execute("SELECT * FROM orders WHERE executed OR steps LIKE '%\"settled\"%' ORDER BY id"):
            order = _order(row)
            payee = order.payee
            same = (order.account, payee.account, payee.name, str(order.amount), payee.purpose, payee.remark)
            found[same] = (*found.get(same, ()), order.serial)
        return {same: serials for same, serials in found.items() if len(serials) > 1}

    # -- what else is remembered ---------------------------------------------------------------------------------------

    def use(self, bank: str, customer: str, what: str, name: str) -> bool:
        """Notes that a name was used; False if it had been before."""
        row = (bank, customer, what, name)
        return self._db.execute("INSERT OR IGNORE INTO used VALUES (?,?,?,?)", row).rowcount == 1

    def keep(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?,?)", (name, value))

    def kept(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM kept WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    # -- inside --------------------------------------------------------------------------------------------------------

    def _orders(self, where: str, *values: object) -> list[Order]:
        return [_order(row) for row in self._db.execute(f"SELECT * FROM orders WHERE {where}", values)]

    def _order(self, number: int | None) -> Order:
        return self._orders("id=?", number)[0]

    def _next_step(self, number: int) -> None:
        (text,) = self._db.execute("SELECT steps FROM orders WHERE id=?", (number,)).fetchone()
        if steps := json.loads(text):  # none: an earlier step ended its life
            self._db.execute("UPDATE orders SET steps=? WHERE id=?", (json.dumps(steps[1:]), number))
            self._reach(number, State(steps[0][1]), steps[0][0])

    def _reach(self, number: int, state: State, at: float, reason: str = "") -> None:
        """An order gets to a state, with the booking that belongs to it."""
        order = self._order(number)
        account = self.account(order.account)
        pays = state is State.SETTLED and not order.executed
        if pays and (account is None or account.balance < order.amount):
            state, reason, pays = State.REJECTED, "余额不足", False
            self._db.execute("UPDATE orders SET steps='[]' WHERE id=?", (number,))
        comes_back = state is State.RETURNED and order.executed and order.state is not State.RETURNED
        if not reason:
            reason = "收款账户异常" if state in FAILED else "收款账号户名不符" if state is State.RETURNED else ""
        self._db.execute(
            "UPDATE orders SET state=?, changed=?, reason=?, executed=? WHERE id=?",
            (state, at, reason, order.executed or pays, number),
        )
        if pays or comes_back:
            self._enter(order.account, order.amount, at, order.payee, back=comes_back, order=order)

    def _enter(
        self, account: str, amount: int, at: float, other: Party, *, back: bool = False, order: Order | None = None
    ) -> Entry:
        """Books money that leaves for an order, comes back for it, or comes in (no order)."""
        credit = back or order is None
        (balance,) = self._db.execute(
            "UPDATE account SET balance = balance + ? WHERE number=? RETURNING balance", (amount if credit else -amount, account)
        ).fetchone()
        content = json.dumps(asdict(other), ensure_ascii=False)
        cursor = self._db.execute(
            "INSERT INTO entry (account, at, day, amount, credit, reversal, balance, content, serial, order_id)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                *(account, at, beijing(at).date().isoformat(), amount, credit, back, balance, content),
                *(("", 0) if order is None else (order.serial, order.id)),
            ),
        )
        return _entry(self._db.execute("SELECT * FROM entry WHERE id=?", (cursor.lastrowid,)).fetchone())


def _order(row: sqlite3.Row) -> Order:
    content = json.loads(row["content"])
    plain = {field.name: row[field.name] for field in fields(Order) if field.name not in {"payee", "echo"}}
    order = Order(**plain, payee=Party(**content["payee"]), echo=content["echo"])
    return replace(order, state=State(order.state), executed=bool(order.executed))


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        **{name: row[name] for name in ("id", "account", "at", "amount", "balance", "serial", "order_id")},
        credit=bool(row["credit"]),
        reversal=bool(row["reversal"]),
        other=Party(**json.loads(row["content"])),
    )


def listed(order: Order) -> dict[str, Any]:
    """An order, JSON-ready."""
    return {**asdict(order), "reference": order.reference}
