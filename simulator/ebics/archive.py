"""What the EBICS door remembers for good, in one SQLite file: users with their keys, orders, the customer protocol, nonces.

Open transactions are not in it: a bank that restarts has forgotten them, and marks their orders as aborted.
"""

import json
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from keys.ebics_keys import EbicsKey, KeyVersion, key_of_certificate, key_of_numbers

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS subscriber (
    partner TEXT NOT NULL, user TEXT NOT NULL, state TEXT NOT NULL, keys TEXT NOT NULL, seen TEXT NOT NULL,
    PRIMARY KEY (partner, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, partner TEXT NOT NULL, user TEXT NOT NULL, order_id TEXT NOT NULL,
    version TEXT NOT NULL, order_type TEXT NOT NULL, label TEXT NOT NULL, digest BLOB, size INTEGER NOT NULL, state TEXT NOT NULL,
    at TEXT NOT NULL, signers TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS step (
    number INTEGER PRIMARY KEY AUTOINCREMENT, partner TEXT NOT NULL, user TEXT NOT NULL, order_id TEXT NOT NULL,
    order_type TEXT NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS nonce (nonce TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORDER_COLUMNS: Final = "number, partner, user, order_id, version, order_type, label, digest, size, state, at, signers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed an order, in which class, when."""

    partner_id: str
    user_id: str
    level: str
    at: str


@dataclass(slots=True, kw_only=True)
class Order:
    """An upload. `state`: open, aborted, refused, parked (for more signatures), waiting (for paper), accepted
    (handed over), final (decided by the ledger), cancelled, done (of orders that move no money)."""

    number: int
    partner_id: str
    user_id: str
    order_id: str
    version: str
    order_type: str
    label: str
    digest: bytes | None
    size: int
    state: str
    at: str
    signers: list[Signer] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        """Under which the ledger gets its data; never used twice."""
        return f"ebics-{self.number:08d}-{self.order_id}.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the customer protocol."""

    number: int
    partner_id: str
    user_id: str
    order_id: str
    order_type: str
    action: str
    reason: str
    text: str
    at: str


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Archive:
    """Synchronous and quick; used from the event loop only."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    # users -----------------------------------------------------------------------------------------------------------------

    def subscriber(self, partner_id: str, user_id: str) -> tuple[str, dict[str, EbicsKey], dict[str, int]] | None:
        """State, keys by use, and the last step each protocol has shown them."""
        row = self._db.execute(
            "SELECT state, keys, seen FROM subscriber WHERE partner=? AND user=?", (partner_id, user_id)
        ).fetchone()
        if row is None:
            return None
        return row[0], {use: _key(table) for use, table in json.loads(row[1]).items()}, json.loads(row[2])

    def keep_subscriber(self, partner_id: str, user_id: str, state: str, keys: dict[str, EbicsKey], seen: dict[str, int]) -> None:
        row = (partner_id, user_id, state, json.dumps({use: _table(key) for use, key in keys.items()}), json.dumps(seen))
        self._db.execute("INSERT OR REPLACE INTO subscriber VALUES (?,?,?,?,?)", row)

    # orders ----------------------------------------------------------------------------------------------------------------

    def new_order(
        self, partner_id: str, user_id: str, *, version: str, order_type: str, label: str, digest: bytes | None = None
    ) -> Order:
        """An order whose transaction begins; its OrderID counts per customer from A001 on and comes again after a while."""
        (count,) = self._db.execute("SELECT COUNT(*) FROM orders WHERE partner=?", (partner_id,)).fetchone()
        at = now_text()
        row = (partner_id, user_id, order_id_of(count + 1), version, order_type, label, digest, at)
        number = self._db.execute(
            "INSERT INTO orders (partner, user, order_id, version, order_type, label, digest, size, state, at, signers)"
            " VALUES (?,?,?,?,?,?,?,0,'open',?,'[]')",
            row,
        ).lastrowid
        return self.order(int(number or 0))

    def keep_order(self, order: Order) -> None:
        signers = json.dumps([[s.partner_id, s.user_id, s.level, s.at] for s in order.signers])
        self._db.execute(
            "UPDATE orders SET digest=?, size=?, state=?, signers=? WHERE number=?",
            (order.digest, order.size, order.state, signers, order.number),
        )

    def order(self, number: int) -> Order:
        return _order(self._db.execute(f"SELECT {_ORDER_COLUMNS} FROM orders WHERE number=?", (number,)).fetchone())

    def orders(self, partner_id: str | None = None, state: str | None = None) -> list[Order]:
        """Oldest first; of one customer, in one state, where asked."""
        rows = self._db.execute(
            f"SELECT {_ORDER_COLUMNS} FROM orders WHERE (?1 IS NULL OR partner=?1) AND (?2 IS NULL OR state=?2) ORDER BY number",
            (partner_id, state),
        ).fetchall()
        return [_order(row) for row in rows]

    def sent_before(self, partner_id: str, digest: bytes, but: int = 0) -> bool:
        """Whether the bank holds an order of the customer over data of this digest."""
        row = self._db.execute(
            "SELECT 1 FROM orders WHERE partner=? AND digest=? AND number<>?"
            " AND state IN ('accepted','final','parked','waiting') LIMIT 1",
            (partner_id, digest, but),
        ).fetchone()
        return row is not None

    # the customer protocol -------------------------------------------------------------------------------------------------

    def note(
        self, order: Order, action: str, reason: str = "", text: str = "", *, user_id: str = "", order_type: str = ""
    ) -> None:
        """A step of an order, by its sender unless another user, or another order about it, is named."""
        whose = (order.partner_id, user_id or order.user_id, order.order_id, order_type or order.order_type)
        row = (*whose, action, reason, text[:105], now_text())
        self._db.execute(
            "INSERT INTO step (partner, user, order_id, order_type, action, reason, text, at) VALUES (?,?,?,?,?,?,?,?)", row
        )

    def steps(self, partner_id: str, after: int = 0, days: tuple[str, str] | None = None) -> list[Step]:
        """Of a customer: those after one, or those of some days."""
        rows = self._db.execute(
            "SELECT number, partner, user, order_id, order_type, action, reason, text, at FROM step"
            " WHERE partner=? AND number>? ORDER BY number",
            (partner_id, 0 if days else after),
        ).fetchall()
        names = ("number", "partner_id", "user_id", "order_id", "order_type", "action", "reason", "text", "at")
        found = [Step(**dict(zip(names, row, strict=True))) for row in rows]
        return [step for step in found if days is None or days[0] <= step.at[:10] <= days[1]]

    # nonces ----------------------------------------------------------------------------------------------------------------

    def new_nonce(self, nonce: str, now: float, window: float) -> bool:
        """Notes a nonce; False if it was used within the window before."""
        self._db.execute("DELETE FROM nonce WHERE at < ?", (now - 2 * window,))
        return self._db.execute("INSERT OR IGNORE INTO nonce VALUES (?,?)", (nonce, now)).rowcount == 1


def order_id_of(count: int) -> str:
    """A001, A002, …, A009, A00A, …, B000, …: four characters, the first a letter (schema OrderIDType)."""
    rest, digits = count, ""
    for _ in range(3):
        rest, digit = divmod(rest, 36)
        digits = _ALPHABET[digit] + digits
    return _ALPHABET[10 + rest % 26] + digits


def _order(row: tuple[Any, ...]) -> Order:
    number, partner, user, order_id, version, order_type, label, digest, size, state, at, signers = row
    return Order(
        number=number,
        partner_id=partner,
        user_id=user,
        order_id=order_id,
        version=version,
        order_type=order_type,
        label=label,
        digest=digest,
        size=size,
        state=state,
        at=at,
        signers=[Signer(partner_id=p, user_id=u, level=level, at=when) for p, u, level, when in json.loads(signers)],
    )


def _table(key: EbicsKey) -> dict[str, str]:
    numbers = key.public.public_numbers()
    certificate = "" if key.certificate is None else key.certificate.hex()
    return {"version": key.version, "n": f"{numbers.n:x}", "e": f"{numbers.e:x}", "certificate": certificate}


def _key(table: dict[str, str]) -> EbicsKey:
    version: KeyVersion = table["version"]  # type: ignore[assignment]  # written by _table
    if table["certificate"]:
        return key_of_certificate(version, bytes.fromhex(table["certificate"]), "a kept key")
    modulus, exponent = (bytes.fromhex(text.zfill(len(text) + len(text) % 2)) for text in (table["n"], table["e"]))
    return key_of_numbers(version, modulus, exponent, "a kept key")
