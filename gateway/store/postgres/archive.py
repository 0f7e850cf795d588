"""Taking months out of the database: written to files, read back, and only then dropped.

Oldest month first, since the events of a payment lie in the months in which they happened: a month goes only when every payment
of it, and every payment that has events in it, is at an end, with its message and its discrepancies, and all its events are
sealed (`gateway.sealing`). What makes a repeat known
stays for ever (`payment_keys`, `serial_numbers`), and so do the messages (deliveries, their events, evidence, attempts,
documents).

All that the database forgets, it forgets in one transaction, after the files were verified: under a lock that keeps changes out
it is asked once more whether the month still is what was written. A crash before the commit leaves the database as it was, and
whatever is in the files is made anew by the next run; a crash after it leaves nothing to do.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from gateway.audit.events import Stream
from gateway.store import archive_files as files
from gateway.store.archive_files import AT_AN_END, BadArchive, Manifest, Totals, plain
from gateway.store.postgres.migrate import VERSION_TABLE, must_be_current
from gateway.store.postgres.partitions import SEQUENCES, first_key, month_of, month_of_key, month_text, partition_name
from gateway.store.store import StoreUnavailable

LOCK: Final = 0x424B4757_0002  # advisory: one archive at a time
NAMED_MAX: Final = 20
TRIES: Final = 5  # of a drop, against those who change the month just then
LOCK_TRIES: Final = 50  # to keep all others out, a moment each
_PASSES: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

Step = Callable[[str], None]
"""Told of each step before it is done."""


class NotAtAnEnd(Exception):
    """A month cannot be archived yet: names what is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """One month that went: where it is, and what it holds."""

    month: str
    directory: Path
    manifest: Manifest


def archive_name(month: int) -> str:
    """The name of a month's directory."""
    return f"bankgate-{month_text(month)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archiver:
    """Archives the months of one database to `out`. Blocking."""

    url: str
    libpq: Mapping[str, Any]
    out: Path
    now: datetime
    step: Step = lambda _: None

    def before(self, limit: int) -> Iterator[Archived]:
        """Archives and drops every month before `limit`, oldest first; gives each when it is done.

        Raises `NotAtAnEnd` at the first month that cannot go, `BadArchive`, `StoreUnavailable`.
        """
        must_be_current(self.url, self.libpq)
        with connected(self.url, self.libpq) as db:
            if db.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
                raise StoreUnavailable("another archive of this database is being made")
            limit = min(limit, month_of(self.now), _written_now(db))
            gone = {month for (month,) in db.execute("SELECT month FROM archives")}  # its files are not to be written anew
            for month in months(db):
                if month < limit and month not in gone:
                    yield self._month(db, month)

    def _month(self, db: psycopg.Connection[Any], month: int) -> Archived:
        name = archive_name(month)
        self.step("check")
        must_be_at_an_end(db, month)
        self.step("write")
        partial = files.begin(self.out, name)
        with connected(self.url, self.libpq) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            with reader.transaction():
                manifest = _write(reader, month, partial, self.now)
        self.step("publish")
        directory = files.publish(partial, name)
        self.step("verify")
        if files.verify(directory) != manifest:
            raise BadArchive(f"{directory}: what was read back is not what was written")
        self.step("drop")
        for attempt in range(1, TRIES + 1):
            try:
                with db.transaction():
                    _forget(db, month, manifest, files.digest(directory / files.MANIFEST), self.now)
                    self.step("detach")
                    _drop(db, month)
                    self.step("commit")
                break
            except _PASSES:
                if attempt == TRIES:
                    raise
        self.step("done")
        return Archived(month=month_text(month), directory=directory, manifest=manifest)


def months(db: psycopg.Connection[Any]) -> list[int]:
    """The months that have partitions, oldest first."""
    names = {
        name for (name,) in db.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'payments'::regclass")
    }
    return sorted(12 * (int(name[-6:-2]) - 1970) + int(name[-2:]) - 1 for name in names)


def _written_now(db: psycopg.Connection[Any]) -> int:
    """The month that new rows go to, at the least."""
    found = [db.execute(f"SELECT last_value FROM {name}").fetchone() for name in sorted(set(SEQUENCES.values()))]
    return min(month_of_key(row[0]) for row in found if row)


@contextmanager
def connected(url: str, libpq: Mapping[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    """A connection for work that may take long, outside any transaction. Errors are `StoreUnavailable`."""
    try:
        with psycopg.connect(url, **libpq, autocommit=True) as db:
            db.execute("SET statement_timeout = 0")
            db.execute("SET idle_in_transaction_session_timeout = 0")
            yield db
    except psycopg.Error as error:
        raise StoreUnavailable(f"the database cannot be read or changed: {str(error).strip() or repr(error)}") from error


# -- what is open ------------------------------------------------------------------------------------------------------


def must_be_at_an_end(db: psycopg.Connection[Any], month: int) -> None:
    """Raises `NotAtAnEnd` naming payments, messages and discrepancies."""
    payments, events = partition_name("payments", month), partition_name("events", month)
    questions = (
        (
            "payment",
            f"""
            SELECT k.payment_id || ' (' || k.payment_reference || ', ' || p.state || ')' FROM {payments} AS p
            JOIN payment_keys AS k ON k.payment_key = p.payment_key WHERE p.state <> ALL(%(at_an_end)s)
            """,
        ),
        (
            "payment of a later month with events in it",
            f"""
            SELECT DISTINCT k.payment_id || ' (' || k.payment_reference || ', ' || p.state || ')' FROM {events} AS e
            JOIN payments AS p ON p.payment_key = e.payment_key JOIN payment_keys AS k ON k.payment_key = p.payment_key
            WHERE p.payment_key >= %(end)s AND p.state <> ALL(%(at_an_end)s)
            """,
        ),
        (
            "message",
            f"""
            SELECT DISTINCT d.message_id || ' (' || d.connection_id || ', ' || d.state || ')' FROM {payments} AS p
            JOIN blocks AS b ON b.block_key = p.block_key JOIN deliveries AS d ON d.delivery_key = b.delivery_key
            WHERE d.state IN ('ready', 'sending', 'in_doubt')
            """,
        ),
        (
            "discrepancy",
            f"""
            SELECT discrepancy_id::text || ' (' || kind || ')' FROM discrepancies AS x WHERE resolved_at IS NULL AND (
                EXISTS (SELECT 1 FROM payment_keys AS k WHERE k.payment_id = x.payment_id
                    AND k.payment_key >= %(start)s AND k.payment_key < %(end)s)
                OR EXISTS (SELECT 1 FROM deliveries AS d JOIN blocks AS b ON b.delivery_key = d.delivery_key
                    JOIN {payments} AS p ON p.block_key = b.block_key WHERE d.delivery_id = x.delivery_id))
            """,
        ),
        (
            "event that is not sealed yet (the worker seals them)",
            f"""
            SELECT e.xid::text || '.' || e.seq::text FROM {events} AS e LEFT JOIN (
                SELECT split_part(last_cursor, '.', 1)::xid8 AS xid, split_part(last_cursor, '.', 2)::bigint AS seq
                FROM event_seals WHERE stream = %(stream)s ORDER BY first_number DESC LIMIT 1) AS s ON true
            WHERE s.xid IS NULL OR (e.xid, e.seq) > (s.xid, s.seq)
            """,
        ),
    )
    given = {"at_an_end": AT_AN_END, "stream": Stream.PAYMENTS.value, "start": first_key(month), "end": first_key(month + 1)}
    problems = []
    for what, question in questions:
        count = _one(db, f"SELECT count(*) FROM ({question}) AS open", given)
        if count:
            named = [row[0] for row in db.execute(f"{question} ORDER BY 1 LIMIT {NAMED_MAX}", given)]
            more = f", and {count - len(named)} more" if count > len(named) else ""
            problems.append(f"{what}: {', '.join(named)}{more}")
    if problems:
        raise NotAtAnEnd(f"{month_text(month)} is not at an end; " + "; ".join(problems))


# -- writing -----------------------------------------------------------------------------------------------------------


def _write(db: psycopg.Connection[Any], month: int, partial: Path, now: datetime) -> Manifest:
    """All parts from one snapshot; their totals are those that the database itself reckons."""
    totals = Totals()
    payments = files.write_part(partial / files.PAYMENTS, _payments(db, month, totals))
    last: list[str] = []
    events = files.write_part(partial / files.EVENTS, _events(db, month, last))
    manifest = Manifest(
        format=files.FORMAT,
        month=month_text(month),
        schema=str(_one(db, f"SELECT version_num FROM {VERSION_TABLE}")),
        made_at=now.isoformat(timespec="seconds"),
        payments=payments,
        events=events,
        sums=totals.sums_text,
        states=dict(sorted(totals.states.items())),
        versions=totals.versions,
        last_event=last[0] if last else None,
    )
    _must_match(db, month, manifest)
    files.write_manifest(partial, manifest)
    return manifest


def _payments(db: psycopg.Connection[Any], month: int, totals: Totals) -> Iterator[dict[str, Any]]:
    columns = (
        *(
            "payment_id",
            "payment_reference",
            "caller",
            "connection_id",
            "content_sha256",
            "terms",
            "transfer",
            "amount",
            "currency",
        ),
        *("state", "version", "reason", "instant", "may_fall_back", "bank_status", "account_servicer_reference", "created_at"),
        *("updated_at", "delivery_id", "message_id", "payment_information_id", "refused", "serial_numbers", "submitted_by"),
    )
    query = f"""
    SELECT k.payment_id, k.payment_reference, k.caller, k.connection_id, encode(k.content_sha256, 'hex'), c.content, t.content,
        p.amount, p.currency, p.state, p.version, p.reason, p.instant, p.may_fall_back, p.bank_status,
        p.account_servicer_reference, p.created_at, p.updated_at, d.delivery_id, d.message_id, b.payment_information_id,
        (SELECT jsonb_build_object('uetr', r.uetr, 'reason', r.reason, 'report_created', r.report_created,
            'refused_at', r.refused_at, 'delivery_id', rd.delivery_id, 'message_id', rd.message_id,
            'payment_information_id', rb.payment_information_id)
        FROM refused_attempts AS r JOIN blocks AS rb ON rb.block_key = r.block_key
        JOIN deliveries AS rd ON rd.delivery_key = rb.delivery_key WHERE r.payment_key = p.payment_key),
        (SELECT jsonb_agg(jsonb_build_object('serial', s.serial, 'attempt', s.attempt, 'package', sd.package,
            'message_id', sd.message_id, 'given_at', s.given_at, 'first_sent_on', s.first_sent_on,
            'bank_reference', s.bank_reference) ORDER BY s.attempt)
        FROM serial_numbers AS s JOIN blocks AS sb ON sb.block_key = s.block_key
        JOIN deliveries AS sd ON sd.delivery_key = sb.delivery_key WHERE s.payment_key = p.payment_key),
        p.submitted_by
    FROM {partition_name("payments", month)} AS p
    JOIN payment_keys AS k ON k.payment_key = p.payment_key
    JOIN {partition_name("transfers", month)} AS t ON t.payment_key = p.payment_key
    JOIN terms AS c ON c.terms_id = p.terms_id
    LEFT JOIN blocks AS b ON b.block_key = p.block_key
    LEFT JOIN deliveries AS d ON d.delivery_key = b.delivery_key
    ORDER BY p.payment_key
    """
    with db.cursor(name="archive_payments") as rows:
        rows.itersize = 2_000
        for row in rows.execute(query):
            payment = dict(zip(columns, row, strict=True))
            for content in ("terms", "transfer"):
                payment[content] = msgspec.Raw(payment[content])
            totals.take(payment)
            yield payment


def _events(db: psycopg.Connection[Any], month: int, last: list[str]) -> Iterator[dict[str, Any]]:
    columns = ("cursor", "payment_id", "state", "previous_state", "reason", "source", "message_id", "occurred_at")
    query = f"""
    SELECT e.xid::text || '.' || e.seq::text, k.payment_id, e.state, e.previous_state, e.reason, e.source, d.message_id,
        e.occurred_at
    FROM {partition_name("events", month)} AS e
    JOIN payment_keys AS k ON k.payment_key = e.payment_key
    LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
    ORDER BY e.xid, e.seq
    """
    with db.cursor(name="archive_events") as rows:
        rows.itersize = 2_000
        for row in rows.execute(query):
            last[:] = [row[0]]
            yield dict(zip(columns, row, strict=True))


def _must_match(db: psycopg.Connection[Any], month: int, manifest: Manifest) -> None:
    """That the month in the database is what the manifest says. Raises `BadArchive`."""
    payments, transfers, events = (partition_name(table, month) for table in ("payments", "transfers", "events"))
    sums = db.execute(f"SELECT currency, sum(amount::numeric) FROM {payments} GROUP BY currency ORDER BY currency").fetchall()
    states = db.execute(f"SELECT state, count(*) FROM {payments} GROUP BY state ORDER BY state").fetchall()
    for what, found, said in (
        ("payments", _one(db, f"SELECT count(*) FROM {payments}"), manifest.payments.rows),
        ("transfers", _one(db, f"SELECT count(*) FROM {transfers}"), manifest.payments.rows),
        ("sums by currency", {currency: plain(Decimal(total)) for currency, total in sums}, manifest.sums),
        ("states", dict(states), manifest.states),
        ("versions", int(_one(db, f"SELECT coalesce(sum(version), 0) FROM {payments}")), manifest.versions),
        ("events", _one(db, f"SELECT count(*) FROM {events}"), manifest.events.rows),
    ):
        if found != said:
            raise BadArchive(
                f"{manifest.month}: {what}: the database holds {found}, the archive {said}: it changed meanwhile; archive again"
            )


# -- dropping ----------------------------------------------------------------------------------------------------------


def _forget(db: psycopg.Connection[Any], month: int, manifest: Manifest, digest: str, now: datetime) -> None:
    """In the caller's transaction: the month's partitions are locked against changes, and looked at again; what stays of the
    payments is noted, and that the month was archived."""
    names = [partition_name(table, month) for table in SEQUENCES]
    db.execute("SET LOCAL lock_timeout = '5s'")
    db.execute(f"LOCK TABLE {', '.join(names)} IN SHARE MODE")
    must_be_at_an_end(db, month)
    _must_match(db, month, manifest)
    db.execute(
        f"""
        UPDATE payment_keys AS k SET archived_state = p.state, archived_end_to_end_id = p.end_to_end_id
        FROM {partition_name("payments", month)} AS p WHERE p.payment_key = k.payment_key
        """
    )
    db.execute("DELETE FROM refused_attempts WHERE payment_key >= %s AND payment_key < %s", _range(month))
    xid, _, seq = (manifest.last_event or "").partition(".")
    db.execute(
        """
        INSERT INTO archives (month, payment_count, event_count, last_xid, last_seq, manifest_sha256, archived_at)
        VALUES (%s, %s, %s, %s::text::xid8, %s, %s, %s)
        """,
        (month, manifest.payments.rows, manifest.events.rows, xid or None, int(seq) if seq else None, digest, now),
    )


def _drop(db: psycopg.Connection[Any], month: int) -> None:
    """In the caller's transaction, whose end everybody waits for who asks for payments or events: it follows at once."""
    _keep_all_out(db, month)
    for table in SEQUENCES:
        name = partition_name(table, month)
        db.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
        db.execute(f"DROP TABLE {name}")


def _keep_all_out(db: psycopg.Connection[Any], month: int) -> None:
    """Locks the tables and the month's partitions against everybody, in several short tries.

    Others take these locks in orders of their own, so that we and they may wait for each other. The server would then break off
    one of us after `deadlock_timeout` (1 s unless set otherwise); giving up sooner, it is always us, and they go on.
    """
    tables = ", ".join([*(f"ONLY {table}" for table in SEQUENCES), *(partition_name(table, month) for table in SEQUENCES)])
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            with db.transaction():
                db.execute("SET LOCAL statement_timeout = '700ms'")
                db.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
                db.execute("SET LOCAL statement_timeout = 0")
        except (psycopg.errors.QueryCanceled, *_PASSES):
            if attempt == LOCK_TRIES:
                raise
            time.sleep(random.uniform(0.02, 0.02 * attempt))  # noqa: S311 - a pause is no secret
        else:
            return


def _range(month: int) -> Sequence[int]:
    return first_key(month), first_key(month + 1)


def _one(db: psycopg.Connection[Any], query: str, given: Mapping[str, Any] | None = None) -> Any:
    row = db.execute(query, given).fetchone()
    return row[0] if row else None
