"""The stand-in bank for benches: a ledger of its own that accepts everything and answers in full, at tens of thousands a second.

For every file: one pain.002.001.10 with a status per transaction, and for every debtor account in it one camt.053.001.08 with an
entry per transaction. Memory does not grow with the file. All effects of a file are one transaction of one SQLite database, the
answers included, so a killed bank has either taken the file or not.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulator.books import Booked
from simulator.fast_reader import Block, Header, Transfer, Unreadable, read
from simulator.fast_writer import (
    REPORT_BLOCK_TAIL,
    REPORT_TAIL,
    STATEMENT,
    STATEMENT_TAIL,
    STATUS_REPORT,
    Spool,
    StatementTotals,
    put_together,
    report_block_head,
    report_head,
    report_transfer,
    statement_entry,
    statement_head,
)
from simulator.ledger import Answer, Refusal, Verdict
from simulator.money import from_minor, to_minor
from simulator.settings import FastBankSettings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY, id TEXT, currency TEXT NOT NULL, balance TEXT NOT NULL, statements INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (message_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payment (
    message_id TEXT NOT NULL, payment_information_id TEXT NOT NULL, instruction_id TEXT, end_to_end_id TEXT NOT NULL,
    debtor_account TEXT NOT NULL, creditor_account TEXT, amount TEXT NOT NULL, currency TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answer (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, customer TEXT NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS clock (days INTEGER NOT NULL);
"""
_INSERT = "INSERT INTO payment VALUES (?,?,?,?,?,?,?,?)"
_PIECE = 1000  # rows an insert
DAYS_MAX = 3650


@dataclass(slots=True)
class _Work:
    """What one file brings about, while it is read."""

    number: int  # of the status report; answers and references are named after it
    folder: Path
    created: str
    on: date
    header: Header | None = None
    count: int = 0
    total: Decimal = Decimal(0)
    statements: dict[str, StatementTotals] = field(default_factory=dict)
    spools: dict[str, Path] = field(default_factory=dict)

    def path(self, what: str) -> Path:
        return self.folder / _answer_file(self.number, what)

    def refusal(self, code: str, text: str) -> Unreadable:
        """The file is rejected whole, in the name of the message as far as that is known."""
        known = self.header
        return Unreadable(code, text, known.message_id, known.message_name) if known else Unreadable(code, text)


class FastLedger:
    """One file at a time, in a thread. `directory` holds the database and the answers not yet confirmed."""

    def __init__(self, settings: FastBankSettings, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._folder = directory
        self._db = sqlite3.connect(directory / "fastbank.db", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
        self._lock = threading.Lock()
        self._closed = False

    # the ledger's interface ------------------------------------------------------------------------------------------------

    async def submit(self, customer: str, file: Path) -> Verdict:
        return await asyncio.to_thread(self._submit, customer, file)

    async def collect(self) -> tuple[Answer, ...]:
        with self._lock:
            rows = self._db.execute("SELECT id, kind, customer FROM answer WHERE NOT confirmed ORDER BY id").fetchall()
        return tuple(
            Answer(
                key=f"fast/{number}",
                kind=kind,
                customer=customer,
                account_names=(),
                body=self._folder / _answer_file(number, kind),
            )
            for number, kind, customer in rows
        )

    async def confirm(self, answers: tuple[Answer, ...]) -> None:
        with self._lock:
            keys = [(int(answer.key.removeprefix("fast/")),) for answer in answers]
            self._db.executemany("UPDATE answer SET confirmed = 1 WHERE id = ?", keys)
        for answer in answers:
            if isinstance(answer.body, Path):
                answer.body.unlink(missing_ok=True)

    async def advance(self, days: int) -> Mapping[str, Any]:
        if not 0 <= days <= DAYS_MAX:
            raise Refusal(f"days is a whole number of days, at most {DAYS_MAX}")
        before = await self.today()
        with self._lock:
            self._db.execute("INSERT INTO clock VALUES (?)", (days,))
        return {"from": before.isoformat(), "to": (await self.today()).isoformat(), "calendarDays": days}

    async def today(self) -> date:
        with self._lock:
            return self._today()

    async def open_account(self, account: Mapping[str, Any]) -> Mapping[str, Any]:
        name, currency, balance = account.get("iban"), account.get("currency", "EUR"), account.get("balance", 0)
        if not isinstance(name, str) or not name or not isinstance(balance, int):
            raise Refusal("an account needs an iban, and its balance is a whole number of minor units")
        if account.get("behaviour", "accept") != "accept" or account.get("closed"):
            raise Refusal('the fast ledger accepts everything: for other behaviours use the ledger "mock-bank"')
        row = (name, account.get("id", name), currency, str(from_minor(balance, currency)))
        with self._lock:
            self._db.execute(
                "INSERT INTO account (name, id, currency, balance) VALUES (?,?,?,?)"
                " ON CONFLICT (name) DO UPDATE SET id=excluded.id, currency=excluded.currency, balance=excluded.balance",
                row,
            )
        return {"id": row[1], "iban": name, "currency": currency, "balance": balance, "behaviour": "accept"}

    async def accounts(self) -> list[Mapping[str, Any]]:
        with self._lock:
            rows = self._db.execute("SELECT name, id, currency, balance FROM account ORDER BY name").fetchall()
        return [
            {"id": number, "iban": name, "currency": money, "balance": to_minor(Decimal(balance), money), "behaviour": "accept"}
            for name, number, money, balance in rows
        ]

    async def payments(self) -> list[Mapping[str, Any]]:
        return await asyncio.to_thread(self._payments)

    async def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._db.close()

    def _payments(self) -> list[Mapping[str, Any]]:
        with self._lock:
            rows = self._db.execute("SELECT * FROM payment ORDER BY rowid").fetchall()
        return [_booked(row) for row in rows]

    # one file --------------------------------------------------------------------------------------------------------------

    def _today(self) -> date:
        (days,) = self._db.execute("SELECT COALESCE(SUM(days), 0) FROM clock").fetchone()
        return datetime.now(UTC).date() + timedelta(days=days)

    def _submit(self, customer: str, file: Path) -> Verdict:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                verdict = self._decide(customer, file)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return verdict

    def _decide(self, customer: str, file: Path) -> Verdict:
        report = self._new_answer(STATUS_REPORT, customer)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        work = _Work(number=report, folder=self._folder, created=created, on=self._today())
        self._db.execute("SAVEPOINT reading")
        try:
            self._read(work, file)
        except Unreadable as error:
            self._db.execute("ROLLBACK TO reading")
            self._reject(work, error)
            verdict = Verdict(message_id=error.message_id, status="RJCT", reason=error.code, accepted=0, rejected=work.count)
        else:
            self._accept(work, customer)
            message_id = work.header.message_id if work.header else None
            verdict = Verdict(message_id=message_id, status="ACCP", reason=None, accepted=work.count, rejected=0)
        finally:
            for spool in [work.path("report"), *work.spools.values()]:
                spool.unlink(missing_ok=True)
        return verdict

    def _new_answer(self, kind: str, customer: str) -> int:
        return int(self._db.execute("INSERT INTO answer (kind, customer) VALUES (?,?)", (kind, customer)).lastrowid or 0)

    def _read(self, work: _Work, file: Path) -> None:
        report = Spool(work.path("report"))
        entries: Spool | None = None
        block: Block | None = None
        rows: list[tuple[str | None, ...]] = []
        try:
            for record in read(file):
                if isinstance(record, Transfer):
                    assert work.header is not None  # noqa: S101 - the reader gives the header and the block first
                    assert block is not None  # noqa: S101
                    report.add(report_transfer(record))
                    entry = self._book(work, block, record)
                    if entries is not None:
                        entries.add(entry)
                    rows.append(_row(work.header.message_id, block, record))
                    if len(rows) >= _PIECE:
                        self._db.executemany(_INSERT, rows)
                        rows.clear()
                elif isinstance(record, Block):
                    report.add_bytes((REPORT_BLOCK_TAIL if block else b"") + report_block_head(record))
                    block = record
                    entries = self._entries_of(work, block, entries)
                else:
                    self._begin(work, record)
            if block is not None:
                report.add_bytes(REPORT_BLOCK_TAIL)
            self._db.executemany(_INSERT, rows)
            _check_totals(work)
        finally:
            report.close()
            if entries is not None:
                entries.close()

    def _begin(self, work: _Work, header: Header) -> None:
        work.header = header
        new = self._db.execute("INSERT OR IGNORE INTO message VALUES (?)", (header.message_id,)).rowcount
        if not new and not self._settings.allow_duplicates:
            # ExternalStatusReason1Code DUPL, the code mock-bank gives for the same thing
            raise work.refusal("DUPL", "a message with this MsgId was received before")

    def _entries_of(self, work: _Work, block: Block, before: Spool | None) -> Spool:
        if before is not None:
            before.close()
        if block.account not in work.spools:
            work.spools[block.account] = work.path(f"entries-{len(work.spools)}")
        return Spool(work.spools[block.account])

    def _book(self, work: _Work, block: Block, transfer: Transfer) -> str:
        totals = work.statements.get(block.account)
        if totals is None:
            currency, balance = self._account(block.account, transfer.currency)
            totals = StatementTotals(account=block.account, is_iban=block.is_iban, currency=currency, opening=balance)
            work.statements[block.account] = totals
        if transfer.currency != totals.currency:
            raise work.refusal("AM03", "a currency that is not the debtor account's")
        amount = Decimal(transfer.amount)
        totals.debits += amount
        totals.count += 1
        work.total += amount
        work.count += 1
        message_id = work.header.message_id if work.header else ""
        return statement_entry(f"{work.number}-{work.count}", str(work.on), message_id, block.payment_information_id, transfer)

    def _account(self, name: str, currency: str) -> tuple[str, Decimal]:
        row = self._db.execute("SELECT currency, balance FROM account WHERE name = ?", (name,)).fetchone()
        if row is None:
            row = (currency, self._settings.opening_balance)
            self._db.execute("INSERT INTO account (name, id, currency, balance) VALUES (?,?,?,?)", (name, name, *row))
        return row[0], Decimal(row[1])

    def _accept(self, work: _Work, customer: str) -> None:
        head = report_head(f"FB-P002-{work.number}", work.created, work.header, "ACCP", None)
        put_together(work.path(STATUS_REPORT), head, work.path("report"), REPORT_TAIL)
        for account, totals in work.statements.items():
            (sequence,) = self._db.execute(
                "UPDATE account SET balance = ?, statements = statements + 1 WHERE name = ? RETURNING statements",
                (f"{totals.opening - totals.debits:f}", account),
            ).fetchone()
            if not self._settings.statements:
                continue
            number = self._new_answer(STATEMENT, customer)
            target = self._folder / _answer_file(number, STATEMENT)
            statement = statement_head(f"FB-C053-{number}", sequence, work.created, work.on, totals)
            put_together(target, statement, work.spools[account], STATEMENT_TAIL)

    def _reject(self, work: _Work, error: Unreadable) -> None:
        head = report_head(f"FB-P002-{work.number}", work.created, work.header, "RJCT", (error.code, str(error)))
        put_together(work.path(STATUS_REPORT), head, None, REPORT_TAIL)


def _answer_file(number: int, what: str) -> str:
    return f"{number:08d}-{what}"


def _check_totals(work: _Work) -> None:
    header = work.header
    if header is None or header.number_of_transactions != work.count:
        raise work.refusal("AM18", "NbOfTxs is not the number of transfers")
    if header.control_sum is not None and header.control_sum != work.total:
        raise work.refusal("AM10", "CtrlSum is not the sum of the amounts")


def _row(message_id: str, block: Block, transfer: Transfer) -> tuple[str | None, ...]:
    return (
        message_id,
        block.payment_information_id,
        transfer.instruction_id,
        transfer.end_to_end_id,
        block.account,
        transfer.creditor_account,
        transfer.amount,
        transfer.currency,
    )


def _booked(row: tuple[Any, ...]) -> Booked:
    message_id, block_id, instruction_id, end_to_end_id, debtor, creditor, amount, currency = row
    return Booked(
        message_id=message_id,
        payment_information_id=block_id,
        instruction_id=instruction_id,
        end_to_end_id=end_to_end_id,
        debtor_account=debtor,
        creditor_account=creditor,
        amount=amount,
        currency=currency,
        executed=True,
        status="accepted",
        reason=None,
    )
