"""The tables, and how an older file becomes a current one.

`PRAGMA user_version` counts the migrations applied; each is a list of statements, and of functions where rows have to be read
anew, never edited once released. (Alembic comes with PostgreSQL; a single file that one program opens needs no more than this.)
`PRAGMA application_id` marks the file as ours.

Keys named `…_key` never leave the store: they keep indexes and event rows small, and they are the order in which things were
stored. What changes often (`payments`) is apart from what never does (`transfers`), so that moving 100,000 payments rewrites
narrow rows only.
"""

import sqlite3
from collections.abc import Callable

from gateway.store.sqlite import (
    delivery_events,
    schema_callers,
    schema_groups,
    schema_payees,
    schema_plan_search,
    schema_plans,
    schema_screening,
    schema_seals,
    statements,
)
from gateway.store.sqlite.moved import moved_to
from gateway.store.sqlite.schema_audit import AUDIT
from gateway.store.sqlite.schema_people import PEOPLE
from gateway.store.sqlite.schema_reviews import REVIEWS
from gateway.store.store import UnknownSchema

APPLICATION_ID = 0x424B4757  # "BKGW"

_FIRST = (
    """
    CREATE TABLE terms (
        terms_id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE, -- SHA-256 of content
        content BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE documents (
        document_id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL, -- who is writing it, while finished_at is NULL
        size INTEGER,
        sha256 TEXT,
        created_at INTEGER NOT NULL,
        finished_at INTEGER
    ) STRICT
    """,
    "CREATE INDEX documents_unfinished ON documents (document_id) WHERE finished_at IS NULL",
    # chunk_key = document_id * 2^20 + number: a document's chunks are neighbours, and no second index is needed.
    "CREATE TABLE chunks (chunk_key INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
    """
    CREATE TABLE deliveries (
        delivery_key INTEGER PRIMARY KEY,
        delivery_id TEXT NOT NULL UNIQUE,
        connection_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        message_name TEXT NOT NULL,
        file_name TEXT NOT NULL,
        creation_date_time INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        payment_count INTEGER NOT NULL,
        control_sum TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 1,
        lease_until INTEGER,
        due_at INTEGER,
        document_id INTEGER REFERENCES documents,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        doubt_since INTEGER,
        UNIQUE (connection_id, message_id)
    ) STRICT
    """,
    "CREATE INDEX deliveries_document ON deliveries (document_id) WHERE document_id IS NOT NULL",
    "CREATE INDEX deliveries_open ON deliveries (connection_id) WHERE state IN ('ready', 'sending', 'in_doubt')",
    """
    CREATE TABLE blocks (
        block_key INTEGER PRIMARY KEY,
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        payment_information_id TEXT NOT NULL,
        terms_id INTEGER NOT NULL REFERENCES terms,
        payment_count INTEGER NOT NULL,
        control_sum TEXT NOT NULL,
        UNIQUE (delivery_key, payment_information_id)
    ) STRICT
    """,
    """
    CREATE TABLE payments (
        payment_key INTEGER PRIMARY KEY,
        payment_id TEXT NOT NULL UNIQUE,
        caller TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        terms_id INTEGER NOT NULL REFERENCES terms,
        end_to_end_id TEXT NOT NULL,
        uetr TEXT,
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        reason TEXT,
        block_key INTEGER REFERENCES blocks,
        bank_status TEXT,
        account_servicer_reference TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (caller, payment_reference)
    ) STRICT
    """,
    "CREATE INDEX payments_approved ON payments (connection_id, terms_id) WHERE state = 'approved'",
    "CREATE INDEX payments_end_to_end ON payments (end_to_end_id, connection_id)",
    "CREATE INDEX payments_uetr ON payments (uetr) WHERE uetr IS NOT NULL",
    "CREATE INDEX payments_block ON payments (block_key) WHERE block_key IS NOT NULL",
    """
    CREATE INDEX payments_servicer_reference ON payments (account_servicer_reference)
    WHERE account_servicer_reference IS NOT NULL
    """,
    """
    CREATE TABLE transfers (
        payment_key INTEGER PRIMARY KEY,
        content_sha256 BLOB NOT NULL,
        content BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        payment_key INTEGER NOT NULL,
        state TEXT NOT NULL,
        previous_state TEXT,
        reason TEXT,
        source TEXT NOT NULL,
        delivery_key INTEGER,
        occurred_at INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX events_payment ON events (payment_key)",
    """
    CREATE TABLE attempts (
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        number INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        outcome TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (delivery_key, number)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE evidence (
        evidence_key INTEGER PRIMARY KEY,
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        found_at INTEGER NOT NULL,
        source TEXT NOT NULL,
        verdict TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX evidence_delivery ON evidence (delivery_key)",
    """
    CREATE TABLE inbound_files (
        inbound_file_id INTEGER PRIMARY KEY AUTOINCREMENT,
        connection_id TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        document_id INTEGER NOT NULL REFERENCES documents,
        state TEXT NOT NULL,
        message TEXT,
        problem TEXT,
        received_at INTEGER NOT NULL,
        records_applied INTEGER NOT NULL DEFAULT 0,
        UNIQUE (connection_id, sha256)
    ) STRICT
    """,
    "CREATE INDEX inbound_files_document ON inbound_files (document_id)",
    "CREATE INDEX inbound_files_waiting ON inbound_files (connection_id, state) WHERE state IN ('stored', 'quarantined')",
    """
    CREATE TABLE statements (
        statement_row_id INTEGER PRIMARY KEY AUTOINCREMENT,
        connection_id TEXT NOT NULL,
        inbound_file_id INTEGER NOT NULL REFERENCES inbound_files,
        position INTEGER NOT NULL,
        message TEXT NOT NULL,
        iban TEXT,
        received_at INTEGER NOT NULL,
        content BLOB NOT NULL,
        UNIQUE (inbound_file_id, position)
    ) STRICT
    """,
    # The key is made of statement_row_id (upper 32 bits) and position.
    "CREATE TABLE entries (entry_key INTEGER PRIMARY KEY, content BLOB NOT NULL, payment_ids TEXT NOT NULL) STRICT",
    """
    CREATE TABLE discrepancies (
        discrepancy_id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        connection_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        summary_en TEXT NOT NULL,
        summary_zh TEXT NOT NULL,
        evidence TEXT NOT NULL,
        inbound_file_id INTEGER,
        payment_id TEXT,
        delivery_id TEXT,
        created_at INTEGER NOT NULL,
        resolved_at INTEGER,
        resolved_by TEXT,
        resolution TEXT
    ) STRICT
    """,
    "CREATE INDEX discrepancies_open ON discrepancies (connection_id) WHERE resolved_at IS NULL",
    """
    CREATE TABLE connections (
        connection_id TEXT PRIMARY KEY,
        last_sent_at INTEGER,
        last_fetch_at INTEGER,
        last_problem TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE lanes (
        lane TEXT PRIMARY KEY,
        owner TEXT,
        ticket INTEGER NOT NULL, -- number of the last claim
        lease_until INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE wakes (lane TEXT NOT NULL, due_at INTEGER NOT NULL, PRIMARY KEY (lane, due_at)) STRICT, WITHOUT ROWID",
)

_CONTINUITY = (
    # What statements are compared by (gateway.continuity). NULL: those that belong to no chain.
    "ALTER TABLE statements ADD COLUMN chain TEXT",
    "ALTER TABLE statements ADD COLUMN facts BLOB",
    "CREATE INDEX statements_chain ON statements (connection_id, chain) WHERE chain IS NOT NULL",
    statements.fill_facts,
)

# Instant payments that go out once more, as normal ones, when the bank refuses them. A payment's row in `refused_attempts` is
# its first attempt; the key allows one.
_INSTANT = (
    "ALTER TABLE payments ADD COLUMN instant TEXT",
    "ALTER TABLE payments ADD COLUMN may_fall_back INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE deliveries ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE refused_attempts (
        payment_key INTEGER PRIMARY KEY,
        block_key INTEGER NOT NULL REFERENCES blocks,
        uetr TEXT,
        reason TEXT,
        report_created TEXT,
        refused_at INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX refused_attempts_block ON refused_attempts (block_key)",
    "CREATE INDEX refused_attempts_uetr ON refused_attempts (uetr) WHERE uetr IS NOT NULL",
)

# Files that a replay kept as they are inside their seal.
_OPENED = ("ALTER TABLE inbound_files ADD COLUMN opened INTEGER NOT NULL DEFAULT 0",)

# What happened to each delivery; and the messages that the bank has, by when it got them: the alarm for those without an answer
# asks for the last days of one connection.
_DELIVERY_EVENTS = (
    "CREATE INDEX deliveries_sent ON deliveries (connection_id, updated_at) WHERE state = 'sent'",
    """
    CREATE TABLE delivery_events (
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        number INTEGER NOT NULL,
        event TEXT NOT NULL,
        previous_state TEXT,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        reason TEXT,
        source TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        PRIMARY KEY (delivery_key, number)
    ) STRICT, WITHOUT ROWID
    """,
    delivery_events.take_over,
)

# What channels remember between two messages to a bank.
_CHANNEL_NOTES = (
    """
    CREATE TABLE channel_notes (
        name TEXT PRIMARY KEY,
        content TEXT NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

# The numbers by which banks that answer at once know payments and messages (gateway.store.serials). They stay for ever, so that
# none is given twice. `first_sent_on`: a day of the bank's time zone, as 2026-11-25.
_SERIAL_NUMBERS = (
    "ALTER TABLE deliveries ADD COLUMN package TEXT",
    "CREATE UNIQUE INDEX deliveries_package ON deliveries (connection_id, package) WHERE package IS NOT NULL",
    """
    CREATE TABLE serial_numbers (
        payment_key INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        connection_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        block_key INTEGER NOT NULL REFERENCES blocks,
        given_at INTEGER NOT NULL,
        first_sent_on TEXT,
        bank_reference TEXT,
        returned_line TEXT, -- of a statement, that told of its return
        next_ask_at INTEGER,
        asked_at INTEGER,
        asked INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (payment_key, attempt),
        UNIQUE (connection_id, serial)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX serial_numbers_block ON serial_numbers (block_key)",
    "CREATE INDEX serial_numbers_sent ON serial_numbers (connection_id, first_sent_on) WHERE first_sent_on IS NOT NULL",
    "CREATE INDEX serial_numbers_due ON serial_numbers (connection_id, next_ask_at) WHERE next_ask_at IS NOT NULL",
)

Step = str | Callable[[sqlite3.Connection], None]
MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    *(_FIRST, _CONTINUITY, _INSTANT, _OPENED, _DELIVERY_EVENTS + _CHANNEL_NOTES),
    _SERIAL_NUMBERS,
    AUDIT + PEOPLE + REVIEWS + schema_payees.STEPS + schema_plans.STEPS,
    schema_callers.STEPS + schema_seals.STEPS + schema_screening.STEPS + schema_groups.STEPS + schema_plan_search.STEPS,
)


def migrate(db: sqlite3.Connection) -> None:
    """Brings the schema up to date, in the caller's write transaction. Raises `UnknownSchema`."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise UnknownSchema("the file is a database of another program; name another file in the setting `store`")
    if (place := moved_to(db)) is not None:
        raise UnknownSchema(
            f"the payments of this file were moved to {place}: name that in the setting `store`. To go back, restore the backup"
            " made before the move, and see the operator's guide, *After a restore*"
        )
    if version > len(MIGRATIONS):
        raise UnknownSchema(
            f"the database has schema version {version}, this program knows up to {len(MIGRATIONS)}:"
            " run the newer program, or restore the backup made before the upgrade"
        )
    for steps in MIGRATIONS[version:]:
        for step in steps:
            if isinstance(step, str):
                db.execute(step)
            else:
                step(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
